//! Resumable uploads and whatever may end their process, their machine or their bytes: what was acknowledged stays, and
//! what has arrived is found again.

use crate::app::media::{bytes, sha256};
use crate::app::process::{Process, Site};
use crate::app::tus::{location, offset, session};
use crate::app::{ANN, As, TestApp, eventually, rows, send, user_id};
use crate::kill::kills;
use bytes::Bytes;
use jam_core::Error;
use jam_core::db;
use jam_core::model::{BlobKey, FileMetadata, FileName, Sha256Digest, UploadRole};
use jam_core::ops::janitor;
use jam_core::ops::upload::join;
use jam_core::ops::upload::session::{Description, New};
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::PgPool;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_survives_kills_at_any_moment_byte_for_byte(pool: PgPool) {
    let site = Site::new(pool);
    let content = bytes(1, 256 << 20);
    let mut process = site.start("jam-all", &[]).await;
    let url = process.user(ANN).create("a.bin", content.len()).await;
    let mut known = 0;
    for _ in 0..kills() {
        send_until_killed(&process, &url, known, &content).await;
        assert_eq!(process.ended().await.signal(), Some(9));
        process = site.start("jam-all", &[]).await;
        let at = process.user(ANN).offset(&url).await;
        assert!(at >= known, "{known} acknowledged before and {at} now");
        known = at;
    }
    let ann = process.user(ANN);
    let last = ann.append(&url, known, &content[known..]).await.expect(204);
    let id = last.header("upload-file-id").unwrap();
    let stored = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
    assert_eq!(sha256(&stored.body), sha256(&content));
    assert_eq!(ann.counters().await, json!([content.len(), 0, 0, 1]));
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

/// Sends so slowly that all kills find something to interrupt, and kills the process at a moment of chance; not the last byte, so that there is something left to do.
async fn send_until_killed(process: &Process, url: &str, from: usize, content: &[u8]) {
    let chance = u64::from(uuid::Uuid::new_v4().as_fields().0) % 400;
    let piece_bytes = content.len() / usize::try_from(kills() * 200).unwrap();
    let pieces: Vec<Bytes> =
        content[from..content.len() - 1].chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
    let slowly = futures_util::stream::unfold(pieces.into_iter(), |mut pieces| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        pieces.next().map(|piece| (Ok::<_, std::io::Error>(piece), pieces))
    });
    let nobody = As::new(process, None);
    let request = nobody.piece(url, from, b"").body(reqwest::Body::wrap_stream(slowly));
    let kill = async {
        tokio::time::sleep(Duration::from_millis(chance)).await;
        process.signal(Signal::SIGKILL);
    };
    let (_answer, ()) = tokio::join!(request.send(), kill);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_process_that_is_stopped_records_what_it_has_and_ends_soon(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, 900_000);
    let url = process.user(ANN).create("a.bin", content.len()).await;
    let mut raw = process.stalled_sender(&site, &url, &content, 0..600_000).await;
    let stopped = Instant::now();
    process.signal(Signal::SIGTERM);
    raw.answer().await.refused(503, "draining");
    drop(raw);
    assert!(process.ended().await.success());
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
    let recorded = session(&site.app(), &url).await.durable.offset().bytes();
    assert!((1..=600_000).contains(&recorded), "{recorded}");
    let process = site.start("jam-all", &[]).await;
    let ann = process.user(ANN);
    let at = ann.offset(&url).await;
    assert_eq!(at as u64, recorded);
    ann.append(&url, at, &content[at..]).await.expect(204);
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_writer_of_another_process_lets_go_as_well(pool: PgPool) {
    let site = Site::new(pool);
    let (first, second) = (site.start("jam-all", &[]).await, site.start("jam-upload", &[]).await);
    let content = bytes(1, 900_000);
    let url = first.user(ANN).create("a.bin", content.len()).await;
    let mut stalled = first.stalled_sender(&site, &url, &content, 0..600_000).await;
    let asked = Instant::now();
    let other = As::new(&second, None);
    let at = other.offset(&url).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    stalled.answer().await.refused(423, "upload_locked");
    other.append(&url, at, &content[at..]).await.expect(204);
    drop(other);
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_whose_last_byte_was_written_and_not_answered_is_finished_by_asking(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 300_000);
    let url = app.ann().create("a.bin", content.len()).await;
    app.ann().append(&url, 0, &content[..200_000]).await.expect(204);
    // As a process leaves it that is killed after the write and before its record.
    write_beyond(&app, &url, &content[200_000..]).await;
    let asked = app.ann().look_up(&url).await.expect(200);
    assert_eq!(offset(&asked), content.len());
    let file = app.ann().file(asked.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    app.finish().await;
}

/// Writes as a process does that is killed before it can record it.
async fn write_beyond(app: &TestApp, url: &str, more: &[u8]) {
    let staging = session(&app.app, url).await.open.unwrap().staging;
    let path = app.on_volume(staging.as_str());
    std::fs::File::options().append(true).open(path).unwrap().write_all(more).unwrap();
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_whose_bytes_are_recorded_but_whose_file_has_no_row_is_finished_by_the_janitor(
    pool: PgPool,
) {
    let app = TestApp::new(pool).await;
    for step in 0..3 {
        let content = bytes(step, 300_000);
        let url = app.ann().create("a.bin", content.len()).await;
        app.ann().append(&url, 0, &content[..200_000]).await.expect(204);
        write_beyond(&app, &url, &content[200_000..]).await;
        stop_within_the_finish(&app, &url, step).await;
        assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_finished, 1, "step {step}");
        let asked = app.ann().look_up(&url).await.expect(200);
        let file = app.ann().file(asked.header("upload-file-id").unwrap()).await;
        assert_eq!(file["sha256"], sha256(&content));
    }
    assert_eq!(app.ann().counters().await, json!([900_000, 0, 0, 3]));
    app.finish().await;
}

/// Does what a finish does before it is killed: records all bytes, then settles the path, then renames.
async fn stop_within_the_finish(app: &TestApp, url: &str, step: u64) {
    use jam_core::blob::{Lock, Recovered};
    use jam_core::db::sessions::Claim;
    let before = session(&app.app, url).await;
    let open = before.open.unwrap();
    let (user, id) = (&before.user_id, before.id);
    let Lock::Held(locked) = app.app.blobs.lock_staged(&open.staging).await.unwrap() else {
        panic!("locked")
    };
    let Recovered::At(writer) = locked.recover(before.durable, true, None).await.unwrap() else {
        panic!("torn")
    };
    let claim = Claim {
        user,
        id,
        staging: &open.staging,
        at: writer.durable(),
        boot: Some(app.app.blobs.volume().boot()),
    };
    let mut conn = app.app.db.conn().await.unwrap();
    db::sessions::claim(&mut conn, &claim).await.unwrap().unwrap();
    if step > 0 {
        let key = BlobKey::parse(&format!("{ANN}/projects/{}.bin", open.file_id)).unwrap();
        assert!(db::uploads::set_final_path(&mut conn, user, id, &open.staging, &key).await.unwrap());
        if step > 1 {
            assert!(app.app.blobs.publish(&open.staging, &key).await.unwrap());
        }
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn after_a_reboot_only_what_was_recorded_counts(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 300_000);
    let url = app.ann().create("a.bin", content.len()).await;
    app.ann().append(&url, 0, &content[..200_000]).await.expect(204);
    // Bytes that the kernel had and the disk may not have: they may be anything now.
    write_beyond(&app, &url, &[0; 50_000]).await;
    rows::forget_the_boot(&mut app.app.db.conn().await.unwrap()).await;
    assert_eq!(app.ann().offset(&url).await, 200_000);
    let last = app.ann().append(&url, 200_000, &content[200_000..]).await.expect(204);
    let file = app.ann().file(last.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_that_lost_acknowledged_bytes_is_gone_instead_of_wrong(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 300_000).await;
    app.ann().append(&url, 0, &bytes(1, 200_000)).await.expect(204);
    let staging = session(&app.app, &url).await.open.unwrap().staging;
    let file = std::fs::File::options().write(true).open(app.on_volume(staging.as_str())).unwrap();
    file.set_len(199_999).unwrap();
    drop(file);
    app.ann().append(&url, 200_000, b"more").await.refused(410, "gone");
    app.ann().look_up(&url).await.expect(410);
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_join_that_was_cut_off_goes_on_where_it_was(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = bytes(1, 600_000);
    let mut parts = Vec::new();
    for piece in content.chunks(200_000) {
        let request = ann.creation(piece.len()).header("upload-concat", "partial");
        let url = location(&send(request).await.expect(201));
        ann.append(&url, 0, piece).await.expect(204);
        parts.push(session(&app.app, &url).await);
    }
    let new = New {
        user: user_id(ANN),
        secret_hash: Sha256Digest([0; 32]),
        length: None,
        role: UploadRole::Joined,
        description: Description {
            name: FileName::sanitize("a.bin"),
            declared: None,
            metadata: FileMetadata::default(),
            sent: None,
        },
        expected_sha256: None,
        idempotency_key: None,
    };
    // A process that is stopped before the first byte.
    let dying = app.another();
    dying.stop.cancel();
    assert!(matches!(join::join(&dying, new, &parts).await, Err(Error::Draining)));
    assert_eq!(ann.counters().await, json!([0, 600_000, 0, 0]));
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_finished, 1);
    let file = ann.get("/api/files").await.expect(200).json()["files"][0].clone();
    assert_eq!((&file["sha256"], &file["originalName"]), (&json!(sha256(&content)), &json!("a.bin")));
    assert_eq!(ann.counters().await, json!([600_000, 0, 0, 1]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_that_goes_away_while_bytes_come_costs_no_byte(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let (ann, app) = (process.user(ANN), site.app());
    let content = bytes(1, 4_000_000);
    let url = ann.create("a.bin", content.len()).await;
    let mut at = 0;
    while at < content.len() {
        let piece = &content[at..content.len().min(at + 500_000)];
        rows::disconnect_others(&mut app.db.conn().await.unwrap()).await;
        let answer = ann.append(&url, at, piece).await;
        assert!(matches!(answer.status, 204 | 503), "{}", answer.status);
        at = eventually("the upload answers", async || {
            let asked = ann.look_up(&url).await;
            (asked.status == 200).then(|| offset(&asked))
        })
        .await;
    }
    let asked = ann.look_up(&url).await;
    let file = ann.file(asked.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_log_does_not_tell_the_secret_of_an_upload(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[("JAM_LOG", "debug")]).await;
    let ann = process.user(ANN);
    let url = ann.create("diagnosis.txt", 4).await;
    ann.append(&url, 2, b"text").await.refused(409, "offset_mismatch");
    ann.append(&url, 0, b"text").await.expect(204);
    ann.look_up(&url).await.expect(200);
    ann.cancel(&url).await.expect(204);
    drop(ann);
    process.stop().await;
    let log = site.log_of("jam-all");
    let secret = &url[url.len() - 32..];
    assert!(log.contains("/api/uploads/{upload}") && !log.contains(secret) && !log.contains("diagnosis"));
    site.assert_clean().await;
}
