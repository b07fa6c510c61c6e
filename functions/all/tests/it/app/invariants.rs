//! What must be true whenever nothing is under way: the ledger is the sum of the rows, and the volume holds what the
//! rows name, byte for byte, and nothing else.

use super::eventually;
use jam_core::app::App;
use jam_core::blob::BlobKey;
use jam_core::db;
use jam_core::ids::UserId;
use std::collections::BTreeMap;

/// Whether the test's rows have their files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blobs {
    Checked,
    Absent,
}

/// An upload that broke off is undone behind the answer: waits for it.
pub(super) async fn no_upload_is_open(app: &App) {
    eventually("no upload is open", async || {
        let mut conn = app.db.conn().await.unwrap();
        let open = db::uploads::list_open(&mut conn, None, 1000).await.unwrap();
        open.is_empty().then_some(())
    })
    .await;
}

pub(super) async fn hold(app: &App, blobs: Blobs) {
    let mut conn = app.db.conn().await.unwrap();
    let drift = db::storage::drift(&mut conn).await.unwrap();
    assert!(drift.is_empty(), "counters disagree with their rows: {drift:?}");
    let [_, running, dead] = db::jobs::counts(&mut conn).await.unwrap();
    assert_eq!((running, dead), (0, 0), "jobs that run for ever or are dead");
    if blobs == Blobs::Absent {
        return;
    }
    let users = db::storage::list(&mut conn, None, 10_000).await.unwrap();
    drop(conn);
    for user in &users {
        rows_and_volume_agree(app, &user.user_id).await;
    }
    let strangers: Vec<String> = app.volume.owners().await.unwrap();
    let is_known = |owner: &String| users.iter().any(|user| user.user_id.as_str() == owner);
    assert!(strangers.iter().all(is_known), "directories of nobody: {strangers:?}");
    let half_written = std::fs::read_dir(app.config.storage_root.join(".jam/tmp"));
    assert_eq!(half_written.map_or(0, Iterator::count), 0, "half-written pictures");
}

async fn rows_and_volume_agree(app: &App, user: &UserId) {
    let mut conn = app.db.conn().await.unwrap();
    // The size is unknown of what may or may not be there: pictures not made yet, blobs being removed.
    let mut named: BTreeMap<String, Option<u64>> = BTreeMap::new();
    for derivative in db::derivatives::stored(&mut conn, user).await.unwrap() {
        named.insert(derivative.path, derivative.size.map(|size| size.bytes()));
    }
    for doomed in db::jobs::doomed_paths(&mut conn, user).await.unwrap() {
        named.insert(doomed, None);
    }
    for file in db::files::stored(&mut conn, user, None, 100_000).await.unwrap() {
        let digest = app.volume.digest(&BlobKey::parse(&file.file_path).unwrap()).await.unwrap();
        assert_eq!(digest.0.as_slice(), file.sha256, "{} is damaged", file.file_path);
        named.insert(file.file_path, Some(file.size.bytes()));
    }
    let found = app.volume.list(user.as_str()).await.unwrap();
    let found: BTreeMap<String, u64> =
        found.into_iter().map(|(key, size)| (key.as_str().to_owned(), size.bytes())).collect();
    for path in found.keys() {
        assert!(named.contains_key(path), "no row names {path}");
    }
    for (path, size) in named {
        assert!(
            size.is_none() || found.get(&path).copied() == size,
            "{path} is not on the volume as its row says"
        );
    }
}
