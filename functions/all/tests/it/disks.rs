//! The disk below the volume: its power is cut right after an answer, it has no room, or it fails. What was acknowledged
//! is there, and what is not was not acknowledged.

use crate::app::disk::{Failing, Kind};
use crate::app::media::{bytes, sha256};
use crate::app::process::{Process, Site};
use crate::app::tus::{location, offset};
use crate::app::{ANN, Form, eventually, send};
use serde_json::json;
use sqlx::PgPool;
use std::io::Write as _;

/// Long enough for more than one of ext4's allocations.
const BYTES: usize = 3_000_017;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_power_cut_is_one_here_what_nobody_forced_out_is_lost(pool: PgPool) {
    let Some(mut site) = Site::on_disk(pool, Kind::Ext4) else { return };
    let path = site.on_volume("unforced");
    std::fs::File::options().create_new(true).write(true).open(&path).unwrap().write_all(b"lost").unwrap();
    let process = site.start("jam-all", &[]).await;
    site.cut_power(process).await;
    assert_eq!(std::fs::metadata(&path).map_or(0, |found| found.len()), 0);
    let left = std::fs::OpenOptions::new().append(true).open(site.on_volume(".jam-volume"));
    assert!(left.is_ok(), "the volume is gone");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_that_was_answered_survives_a_power_cut(pool: PgPool) {
    let Some(mut site) = Site::on_disk(pool, Kind::Ext4) else { return };
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, BYTES);
    let id = process.user(ANN).store_id("a.bin", &content).await;
    site.cut_power(process).await;
    let process = site.start("jam-all", &[]).await;
    assert_stored(&process, &id, &content).await;
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_offset_that_was_told_survives_a_power_cut(pool: PgPool) {
    let Some(mut site) = Site::on_disk(pool, Kind::Ext4) else { return };
    let mut process = site.start("jam-all", &[]).await;
    let content = bytes(1, BYTES);
    let url = process.user(ANN).create("a.bin", BYTES).await;
    for at in [0, 1_000_000, 1_000_001] {
        let next = if at == 1_000_000 { 1_000_001 } else { at + 1_000_000 };
        process.user(ANN).append(&url, at, &content[at..next]).await.expect(204);
        site.cut_power(process).await;
        process = site.start("jam-all", &[]).await;
        assert_eq!(process.user(ANN).offset(&url).await, next);
    }
    let last = process.user(ANN).append(&url, 2_000_001, &content[2_000_001..]).await.expect(204);
    let id = last.header("upload-file-id").unwrap();
    assert_stored(&process, id, &content).await;
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_last_piece_that_was_answered_survives_a_power_cut(pool: PgPool) {
    let Some(mut site) = Site::on_disk(pool, Kind::Ext4) else { return };
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, BYTES);
    let url = process.user(ANN).create("a.bin", BYTES).await;
    let last = process.user(ANN).append(&url, 0, &content).await.expect(204);
    site.cut_power(process).await;
    let process = site.start("jam-all", &[]).await;
    let asked = process.user(ANN).look_up(&url).await.expect(200);
    assert_eq!((offset(&asked), &asked.headers["upload-file-id"]), (BYTES, &last.headers["upload-file-id"]));
    assert_stored(&process, last.header("upload-file-id").unwrap(), &content).await;
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_that_was_answered_survives_a_power_cut(pool: PgPool) {
    let Some(mut site) = Site::on_disk(pool, Kind::Ext4) else { return };
    let process = site.start("jam-all", &[]).await;
    let url = process.user(ANN).create("a.bin", BYTES).await;
    site.cut_power(process).await;
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, BYTES);
    let last = process.user(ANN).append(&url, 0, &content).await.expect(204);
    assert_stored(&process, last.header("upload-file-id").unwrap(), &content).await;
    process.stop().await;
    site.assert_clean().await;
}

async fn assert_stored(process: &Process, id: &str, content: &[u8]) {
    let stored = process.user(ANN).get(&format!("/api/files/{id}/download")).await.expect(200);
    assert_eq!(sha256(&stored.body), sha256(content));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn of_two_uploads_that_do_not_fit_side_by_side_one_is_refused_before_its_bytes(pool: PgPool) {
    let Some(site) = Site::on_disk(pool, Kind::Memory(40)) else { return };
    let process = site.start("jam-all", &[]).await;
    let ann = process.user(ANN);
    let small = ann.store_id("small.bin", &bytes(1, 1)).await;
    ann.delete(&format!("/api/files/{small}?permanent=true")).await.expect(200);
    let disk = site.disk.as_ref().unwrap();
    let before = eventually("the small file is off the disk", async || {
        let free = disk.free_bytes();
        (ann.counters().await == json!([0, 0, 0, 0])).then_some(free)
    })
    .await;
    let content = bytes(2, 30 << 20);
    let create = || send(ann.creation(content.len()));
    let (one, other) = tokio::join!(create(), create());
    let (made, refused) = if one.status == 201 { (one, other) } else { (other, one) };
    let url = location(&made.expect(201));
    assert!(refused.header("retry-after").is_some());
    refused.refused(507, "volume_full");
    let last = ann.append(&url, 0, &content).await.expect(204);
    let id = last.header("upload-file-id").unwrap();
    assert_stored(&process, id, &content).await;
    ann.delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    // The directory of the user and a page of its entries may have grown.
    eventually("the disk is as it was", async || (disk.free_bytes() + 65_536 >= before).then_some(())).await;
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_that_the_disk_failed_to_keep_are_never_acknowledged_and_it_is_given_no_more(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let (ann, content) = (process.user(ANN), bytes(1, 700_000));
    let kept = ann.store_id("kept.bin", &content).await;
    let (form, piecewise) =
        (Form::new().file("lost.bin", &bytes(2, 9_000)), ann.create("a.bin", BYTES).await);
    let begun = ann.create("b.bin", BYTES).await;
    for url in [&piecewise, &begun] {
        ann.append(url, 0, &content).await.expect(204);
    }
    let Some(failing) = Failing::syncs_of(process.id()) else { return };
    ann.append(&piecewise, content.len(), &content).await.refused(503, "unavailable");
    failing.end();

    // The disk would take them again, but nobody knows what else it lost.
    ann.upload(form.clone()).await.refused(503, "unavailable");
    ann.append(&begun, content.len(), &content).await.refused(503, "unavailable");
    assert_eq!(ann.offset(&piecewise).await, content.len());
    assert_eq!(ann.get("/health").await.expect(200).json()["status"], "degraded");
    assert_stored(&process, &kept, &content).await;
    assert_eq!(ann.usage().await["totalBytes"], content.len());
    drop(ann);
    process.stop().await;

    let process = site.start("jam-all", &[]).await;
    let ann = process.user(ANN);
    ann.upload(form).await.expect(200);
    let whole = bytes(1, BYTES);
    assert_eq!(whole[..content.len()], content);
    for url in [&piecewise, &begun] {
        assert_eq!(ann.offset(url).await, content.len());
        let last = ann.append(url, content.len(), &whole[content.len()..]).await.expect(204);
        assert_stored(&process, last.header("upload-file-id").unwrap(), &whole).await;
    }
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
#[expect(clippy::disallowed_methods, reason = "takes the volume away, as an operator may")]
async fn a_volume_that_is_no_longer_mounted_takes_nothing(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let (ann, content) = (process.user(ANN), bytes(1, 700_000));
    let kept = ann.store_id("kept.bin", &content).await;
    let begun = ann.create("a.bin", BYTES).await;
    let aside = site.path("aside");
    std::fs::rename(site.root(), &aside).unwrap();
    std::fs::create_dir(site.root()).unwrap();
    let form = Form::new().file("lost.bin", &content);
    for answer in [
        ann.upload(form.clone()).await,
        send(ann.creation(BYTES)).await,
        ann.append(&begun, 0, &content).await,
        ann.get("/health").await,
    ] {
        assert_eq!(answer.refused(503, "unavailable")["part"], "volume");
    }
    std::fs::remove_dir(site.root()).unwrap();
    ann.upload(form.clone()).await.refused(503, "unavailable");
    std::fs::rename(&aside, site.root()).unwrap();
    assert_stored(&process, &kept, &content).await;
    ann.upload(form).await.expect(200);
    ann.append(&begun, 0, &content).await.expect(204);
    ann.cancel(&begun).await.expect(204);
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}
