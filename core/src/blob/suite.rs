//! What every store promises, as tests: each runs on each store, and a new store joins them by one line.

use super::{Blobs, Lock, Look, Recovered, Volume, Writer};
use crate::error::Error;
use crate::model::{BlobKey, ByteSize, Checkpoint, FileType, Folder};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use std::io::Write as _;
use tempfile::TempDir;

/// The stores, each empty and with what it needs for as long as it is used.
fn stores() -> Vec<(Blobs, TempDir)> {
    let volume = || {
        let directory = tempfile::tempdir().unwrap();
        Volume::initialize(directory.path()).unwrap();
        (Volume::open(directory.path(), ByteSize::ZERO).unwrap(), directory)
    };
    let (real, of_real) = volume();
    #[cfg(not(feature = "crash-points"))]
    return vec![(Blobs::Volume(real), of_real)];
    #[cfg(feature = "crash-points")]
    {
        let (calm, of_calm) = volume();
        let calm = super::Faulty::new(calm, super::Faults::default());
        vec![(Blobs::Volume(real), of_real), (Blobs::Faulty(calm), of_calm)]
    }
}

fn staging(name: &str) -> BlobKey {
    BlobKey::new("user_a", Folder::Staging, name).unwrap()
}

fn file(name: &str) -> BlobKey {
    BlobKey::new("user_a", Folder::Files(FileType::Project), name).unwrap()
}

async fn arrived(blobs: &Blobs, key: &BlobKey, content: &'static [u8]) {
    let mut writer = blobs.stage(key).await.unwrap();
    writer.push(Bytes::from_static(content)).await.unwrap();
    writer.finish().await.unwrap();
}

async fn stored(blobs: &Blobs, key: &BlobKey, content: &'static [u8]) {
    arrived(blobs, &staging("arriving"), content).await;
    assert!(blobs.publish(&staging("arriving"), key).await.unwrap());
}

async fn content(blobs: &Blobs, key: &BlobKey) -> Option<Vec<u8>> {
    let Look::There(stat) = blobs.stat(key).await.unwrap() else { return None };
    let stream = blobs.read(key, stat.size, 0..stat.size.bytes()).await.unwrap();
    Some(stream.try_collect::<Vec<_>>().await.unwrap().concat())
}

async fn locked(blobs: &Blobs, key: &BlobKey) -> super::Locked {
    match blobs.lock_staged(key).await.unwrap() {
        Lock::Held(locked) => locked,
        _ => panic!("{key} cannot be locked"),
    }
}

async fn recovered(blobs: &Blobs, key: &BlobKey, at: Checkpoint, keeps_tail: bool) -> Writer {
    match locked(blobs, key).await.recover(at, keeps_tail, None).await.unwrap() {
        Recovered::At(writer) => writer,
        Recovered::Torn { found } => panic!("{key} has only {found}"),
    }
}

/// Begins an upload with two pieces, both durable, and answers where the first ends.
async fn begun(blobs: &Blobs, key: &BlobKey, [first, second]: [&'static [u8]; 2]) -> (Writer, Checkpoint) {
    blobs.stage_empty(key, ByteSize::ZERO).await.unwrap();
    let mut writer = recovered(blobs, key, Checkpoint::start(), true).await;
    writer.push(Bytes::from_static(first)).await.unwrap();
    let between = writer.sync().await.unwrap();
    writer.push(Bytes::from_static(second)).await.unwrap();
    writer.sync().await.unwrap();
    (writer, between)
}

/// Where so many bytes end.
fn end_of(content: &[u8]) -> Checkpoint {
    let mut at = Checkpoint::start();
    at.pass(content);
    at
}

#[tokio::test]
async fn a_published_blob_is_whole_and_publishing_it_again_changes_nothing() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"content").await;
        assert!(blobs.publish(&staging("arriving"), &file("a.bin")).await.unwrap());
        assert_eq!(content(&blobs, &file("a.bin")).await.unwrap(), b"content");
        assert!(!blobs.publish(&staging("arriving"), &file("b.bin")).await.unwrap());
    }
}

#[tokio::test]
async fn publishing_never_replaces_a_blob() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"first").await;
        arrived(&blobs, &staging("second"), b"second").await;
        blobs.publish(&staging("second"), &file("a.bin")).await.unwrap_err();
        assert_eq!(content(&blobs, &file("a.bin")).await.unwrap(), b"first");
    }
}

#[tokio::test]
async fn a_staging_name_is_given_once() {
    for (blobs, _directory) in stores() {
        let _writer = blobs.stage(&staging("a")).await.unwrap();
        assert!(blobs.stage(&staging("a")).await.is_err());
        blobs.stage_empty(&staging("a"), ByteSize::ZERO).await.unwrap_err();
        blobs.stage_empty(&staging("b"), ByteSize::mib(1)).await.unwrap();
        assert!(blobs.stage(&staging("b")).await.is_err());
    }
}

#[tokio::test]
async fn a_shared_blob_outlives_its_first_name() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"content").await;
        for _ in 0..2 {
            assert!(blobs.share(&file("a.bin"), &file("b.bin")).await.unwrap());
        }
        blobs.remove(vec![file("a.bin")]).await.unwrap();
        assert_eq!(content(&blobs, &file("b.bin")).await.unwrap(), b"content");
        assert!(!blobs.share(&file("a.bin"), &file("c.bin")).await.unwrap());
    }
}

#[tokio::test]
async fn what_is_gone_is_removed_once_more() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"content").await;
        for _ in 0..2 {
            blobs.remove(vec![file("never.bin"), file("a.bin")]).await.unwrap();
        }
        assert_eq!(content(&blobs, &file("a.bin")).await, None);
    }
}

#[tokio::test]
async fn a_blob_of_another_size_is_not_read() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"content").await;
        for size in [6, 8] {
            assert!(blobs.read(&file("a.bin"), ByteSize::new(size), 0..1).await.is_err());
        }
        let part = blobs.read(&file("a.bin"), ByteSize::new(7), 3..5).await.unwrap();
        assert_eq!(part.try_collect::<Vec<_>>().await.unwrap().concat(), b"te");
    }
}

#[tokio::test]
async fn a_staged_blob_has_one_writer_at_a_time() {
    for (blobs, _directory) in stores() {
        assert!(matches!(blobs.lock_staged(&staging("a")).await.unwrap(), Lock::Missing));
        blobs.stage_empty(&staging("a"), ByteSize::ZERO).await.unwrap();
        let held = locked(&blobs, &staging("a")).await;
        assert!(matches!(blobs.lock_staged(&staging("a")).await.unwrap(), Lock::Busy));
        drop(held);
        locked(&blobs, &staging("a")).await;
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_durable_or_with_what_came_after() {
    for (blobs, _directory) in stores() {
        for (keeps_tail, expected) in [(true, &b"onetwothree"[..]), (false, b"onethree")] {
            let key = staging(&format!("{keeps_tail}"));
            let (writer, durable) = begun(&blobs, &key, [b"one", b"two"]).await;
            drop(writer);
            let mut writer = recovered(&blobs, &key, durable, keeps_tail).await;
            writer.push(Bytes::from_static(b"three")).await.unwrap();
            let staged = writer.finish().await.unwrap();
            let all = end_of(expected);
            assert_eq!((staged.size, staged.sha256), (all.offset(), all.sha256()));
        }
    }
}

#[tokio::test]
async fn bytes_that_were_durable_and_are_gone_are_noticed() {
    for (blobs, _directory) in stores() {
        blobs.stage_empty(&staging("a"), ByteSize::ZERO).await.unwrap();
        let found = locked(&blobs, &staging("a")).await.recover(end_of(b"lost"), true, None).await.unwrap();
        assert!(matches!(found, Recovered::Torn { found: ByteSize::ZERO }));
    }
}

#[tokio::test]
async fn what_is_taken_back_is_gone() {
    for (blobs, _directory) in stores() {
        blobs.stage_empty(&staging("a"), ByteSize::ZERO).await.unwrap();
        let mut writer = recovered(&blobs, &staging("a"), Checkpoint::start(), true).await;
        writer.push(Bytes::from_static(b"kept")).await.unwrap();
        let kept = writer.sync().await.unwrap();
        writer.push(Bytes::from_static(b"wrong")).await.unwrap();
        writer.take_back(&kept).await.unwrap();
        assert_eq!(content(&blobs, &staging("a")).await.unwrap(), b"kept");
    }
}

#[tokio::test]
async fn a_copy_has_what_is_durable_of_a_staged_blob_or_is_none() {
    for (blobs, _directory) in stores() {
        let (_writer, durable) = begun(&blobs, &staging("a"), [b"one", b"two"]).await;
        assert!(blobs.copy_staged(&staging("a"), &staging("b"), durable.clone()).await.unwrap());
        assert_eq!(content(&blobs, &staging("b")).await.unwrap(), b"one");
        assert!(!blobs.copy_staged(&staging("never"), &staging("c"), durable).await.unwrap());
        assert!(!blobs.copy_staged(&staging("a"), &staging("d"), end_of(b"two")).await.unwrap());
    }
}

#[tokio::test]
async fn a_derivative_replaces_an_older_one_and_has_no_name_before_it_is_kept() {
    for (blobs, directory) in stores() {
        let key = BlobKey::new("user_a", Folder::Thumbnails, "a.webp").unwrap();
        blobs.put(&key, b"first".to_vec()).await.unwrap();
        blobs.put(&key, b"second".to_vec()).await.unwrap();
        assert_eq!(content(&blobs, &key).await.unwrap(), b"second");
        let draft = blobs.draft().await.unwrap();
        draft.file().write_all(b"third").unwrap();
        assert_eq!(content(&blobs, &key).await.unwrap(), b"second");
        assert_eq!(blobs.keep(draft, &key).await.unwrap(), ByteSize::new(5));
        assert_eq!(content(&blobs, &key).await.unwrap(), b"third");
        drop(blobs.draft().await.unwrap());
        blobs.discard(blobs.draft().await.unwrap()).await.unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join(".jam/tmp")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_is_listed_can_be_looked_at_and_moved_out_of_the_way() {
    for (blobs, _directory) in stores() {
        stored(&blobs, &file("a.bin"), b"content").await;
        let (mut entries, mut rest) = (Vec::new(), Some(blobs.list("user_a")));
        while let Some(listing) = rest {
            let (page, after) = listing.page().await.unwrap();
            entries.extend(page);
            rest = after;
        }
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(entry.path(), file("a.bin").as_str());
        assert_eq!(blobs.stat_entry(entry).await.unwrap().unwrap().size, ByteSize::new(7));
        let known = end_of(b"content").sha256();
        assert_eq!(blobs.digest(&file("a.bin")).await.unwrap(), Look::There(known));
        assert!(blobs.quarantine(entry).await.unwrap().is_some());
        assert_eq!(blobs.quarantine(entry).await.unwrap(), None);
        assert_eq!(blobs.stat(&file("a.bin")).await.unwrap(), Look::Missing);
        assert!(matches!(blobs.read(&file("a.bin"), ByteSize::new(7), 0..7).await, Err(Error::Internal(_))));
    }
}
