//! The process is killed at every named point of a resumable upload's life: whatever the next process is asked, it goes
//! on from there, and nothing is left behind.

use crate::app::media::{bytes, sha256};
use crate::app::process::{Process, Site};
use crate::app::tus::{UPLOADS, location, offset, proof};
use crate::app::{ANN, As, eventually, rows};
use jam_core::crash::POINTS;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::PgPool;
use std::os::unix::process::ExitStatusExt as _;

/// What is uploaded: large enough for several writes.
const CONTENT_BYTES: usize = 700_000;

/// The points of one operation; that there are so many shows that none was forgotten.
pub(crate) fn points(of: &str, count: usize) -> impl Iterator<Item = &'static str> {
    let found: Vec<_> = POINTS.into_iter().filter(|point| point.split('.').next() == Some(of)).collect();
    assert_eq!(found.len(), count);
    found.into_iter()
}

/// Sends a request that its process does not live to answer.
pub(crate) async fn send_and_die(process: Process, request: RequestBuilder, point: &str) {
    let answer = request.send().await;
    assert!(answer.is_err(), "{point} was not reached: {answer:?}");
    assert_eq!(process.ended().await.signal(), Some(9), "{point}");
}

/// The file of an upload that is complete is what was sent.
async fn assert_stored(ann: &As<'_>, url: &str, content: &[u8], point: &str) {
    let asked = ann.look_up(url).await.expect(200);
    assert_eq!(offset(&asked), content.len(), "{point}");
    let id = asked.header("upload-file-id").expect("it is a file");
    let stored = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
    assert_eq!(sha256(&stored.body), sha256(content), "{point}");
}

/// A process that will end at this point.
pub(crate) async fn starts(site: &Site, point: &str) -> Process {
    site.start("jam-all", &[("CRASH_AT", point)]).await
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_cut_off_anywhere_is_found_by_its_key(pool: PgPool) {
    let site = Site::new(pool);
    for point in points("create", 2) {
        let content = bytes(1, CONTENT_BYTES);
        let process = starts(&site, point).await;
        let request = process.user(ANN).creation(content.len()).header("idempotency-key", point);
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[]).await;
        let ann = next.user(ANN);
        let again = ann.creation(content.len()).header("idempotency-key", point);
        let url = location(&crate::app::send(again).await.expect(201));
        assert_eq!(ann.usage().await["reservedBytes"], content.len(), "{point}");
        ann.append(&url, 0, &content).await.expect(204);
        assert_stored(&ann, &url, &content, point).await;
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_cut_off_anywhere_are_gone_on_with(pool: PgPool) {
    let site = Site::new(pool);
    for point in points("append", 3) {
        let content = bytes(1, CONTENT_BYTES);
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        let url = ann.create("a.bin", content.len()).await;
        let request = ann.piece(&url, 0, &content[..600_000]);
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[]).await;
        let ann = next.user(ANN);
        let at = ann.offset(&url).await;
        assert_eq!(at, if point == "append.claimed" { 0 } else { 600_000 }, "{point}");
        ann.append(&url, at, &content[at..]).await.expect(204);
        assert_stored(&ann, &url, &content, point).await;
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_finish_cut_off_anywhere_is_finished_by_asking(pool: PgPool) {
    let site = Site::new(pool);
    for (number, point) in points("finish", 3).enumerate() {
        let content = bytes(number as u64, CONTENT_BYTES);
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        let url = ann.create("a.bin", content.len()).await;
        let request = ann.piece(&url, 0, &content);
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[("JAM_JANITOR_SECONDS", "3600")]).await;
        let ann = next.user(ANN);
        assert_stored(&ann, &url, &content, point).await;
        assert_eq!(ann.counters().await, json!([(number + 1) * CONTENT_BYTES, 0, 0, number + 1]), "{point}");
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_join_cut_off_anywhere_is_finished_by_the_same_key(pool: PgPool) {
    let site = Site::new(pool);
    for point in points("join", 4) {
        let content = bytes(1, CONTENT_BYTES);
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        let mut parts = Vec::new();
        for piece in content.chunks(CONTENT_BYTES / 2) {
            let request = ann.creation(piece.len()).header("upload-concat", "partial");
            let url = location(&crate::app::send(request).await.expect(201));
            ann.append(&url, 0, piece).await.expect(204);
            parts.push(url);
        }
        let join = |ann: &As<'_>| {
            let request = ann.tus(Method::POST, UPLOADS).header("idempotency-key", point);
            request.header("upload-concat", format!("final;{}", parts.join(" ")))
        };
        let request = join(&ann);
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[]).await;
        let ann = next.user(ANN);
        let url = location(&crate::app::send(join(&ann)).await.expect(201));
        eventually("the join is finished", async || {
            ann.look_up(&url).await.header("upload-file-id").is_some().then_some(())
        })
        .await;
        assert_stored(&ann, &url, &content, point).await;
        for part in &parts {
            // Those of a join that was cut off at its very end would expire.
            ann.cancel(part).await;
        }
        assert_eq!(ann.usage().await["reservedBytes"], 0, "{point}");
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_proof_cut_off_anywhere_leaves_an_upload_that_takes_bytes_or_is_a_file(pool: PgPool) {
    let site = Site::new(pool);
    let content = bytes(1, CONTENT_BYTES);
    let digest = crate::app::tus::repr_digest(&content);
    for point in points("proof", 4) {
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        if ann.usage().await["fileCount"] == 0 {
            ann.store_id("first.bin", &content).await;
        }
        let creation = ann.creation(content.len()).header("repr-digest", &digest);
        let created = crate::app::send(creation).await.expect(201);
        let (url, challenge) = (location(&created), created.header("upload-known").unwrap());
        let request = ann.piece(&url, 0, b"").header("upload-proof", proof(challenge, &content));
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[]).await;
        let ann = next.user(ANN);
        let at = ann.offset(&url).await;
        assert_eq!(at, if point == "proof.done" { content.len() } else { 0 }, "{point}");
        if at == 0 {
            ann.append(&url, 0, &content).await.expect(204);
        }
        assert_stored(&ann, &url, &content, point).await;
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_end_cut_off_anywhere_is_carried_through(pool: PgPool) {
    let site = Site::new(pool);
    for point in points("cancel", 2) {
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        let url = ann.create("a.bin", CONTENT_BYTES).await;
        ann.append(&url, 0, &bytes(1, 1000)).await.expect(204);
        let request = ann.tus(Method::DELETE, &url);
        send_and_die(process, request, point).await;
        let next = site.start("jam-all", &[("JAM_JANITOR_SECONDS", "1")]).await;
        let ann = next.user(ANN);
        ann.look_up(&url).await.expect(410);
        eventually("what it held is given back", async || {
            (ann.usage().await["reservedBytes"] == 0).then_some(())
        })
        .await;
        drop(ann);
        next.stop().await;
    }
    rows::lapse_leases(&mut site.app().db.conn().await.unwrap()).await;
    site.assert_clean().await;
}
