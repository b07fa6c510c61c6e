//! What resumable uploads may take: quota, disk, number, size of a piece, time.

use crate::app::media::bytes;
use crate::app::tus::{UPLOADS, location, offset, piece_head};
use crate::app::{ANN, Raw, TestApp, eventually, rows, send};
use jam_core::model::ByteSize;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn of_forty_creations_at_once_exactly_those_succeed_that_the_quota_holds(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // Small, since what is promised is also taken on the disk.
    app.set_quota(ANN, 10 << 20).await;
    let ann = app.ann();
    let racing = (0..40).map(|_| send(ann.creation(1 << 20)));
    let answers = futures_util::future::join_all(racing).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((created.len(), refused.len()), (10, 30));
    for answer in refused {
        let body = answer.refused(413, "quota_exceeded");
        assert_eq!((&body["totalBytes"], &body["maxBytes"]), (&json!(0), &json!(10_u64 << 20)));
    }
    assert_eq!(ann.usage().await["reservedBytes"], 10_u64 << 20);
    for answer in created {
        ann.cancel(&location(&answer)).await.expect(204);
    }
    assert_eq!(ann.counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_over_a_limit_is_refused_before_its_bytes(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.max_file = ByteSize::new(1000);
        config.limits.max_open_uploads = 2;
    })
    .await;
    let ann = app.ann();
    assert_eq!(send(ann.creation(1001)).await.refused(413, "file_too_large")["maxBytes"], 1000);
    let open = [ann.create("a", 10).await, ann.create("b", 10).await];
    let third = send(ann.creation(10)).await;
    assert!(third.header("retry-after").is_some());
    assert_eq!(third.refused(429, "too_many_uploads")["maxOpen"], 2);
    app.bob().cancel(&app.bob().create("c", 10).await).await.expect(204);
    for url in open {
        ann.cancel(&url).await.expect(204);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_of_unknown_length_ends_where_the_quota_or_the_limit_does(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_file = ByteSize::new(200_000)).await;
    app.set_quota(ANN, 100_000).await;
    let ann = app.ann();
    let deferred = || ann.tus(Method::POST, UPLOADS).header("upload-defer-length", "1");
    let url = location(&send(deferred()).await.expect(201));
    ann.append(&url, 0, &bytes(1, 60_000)).await.expect(204);
    let refused = ann.append(&url, 60_000, &bytes(2, 60_000)).await;
    assert_eq!(refused.refused(413, "quota_exceeded")["maxBytes"], 100_000);
    let at = ann.offset(&url).await;
    assert!((60_000..=100_000).contains(&at), "{at}");
    app.set_quota(ANN, 1_000_000).await;
    ann.append(&url, at, &bytes(2, 200_001 - at)).await.refused(413, "file_too_large");
    let at = ann.offset(&url).await;
    send(ann.piece(&url, at, b"").header("upload-length", at)).await.expect(204);
    assert_eq!(ann.counters().await, json!([at, 0, 0, 1]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_volume_below_its_floor_takes_no_creation_and_says_when_to_ask_again(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.volume_floor = ByteSize::new(1 << 60)).await;
    let answer = send(app.ann().creation(10)).await;
    assert_eq!((answer.header("retry-after"), answer.header("location")), (Some("2"), None));
    answer.refused(507, "volume_full");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn where_requests_are_bounded_a_piece_says_so_and_is(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_append = Some(ByteSize::new(1000))).await;
    let ann = app.ann();
    let answer = send(ann.creation(2000)).await.expect(201);
    assert!(answer.header("upload-limit").unwrap().contains("max-append-size=1000"));
    assert_eq!(ann.usage().await["limits"]["maxAppendBytes"], 1000);
    let options = send(ann.request(Method::OPTIONS, UPLOADS)).await.expect(204);
    assert!(!options.header("tus-extension").unwrap().contains("concatenation"));
    send(ann.creation(10).header("upload-concat", "partial")).await.refused(400, "invalid_parameter");
    let url = location(&answer);
    assert_eq!(ann.append(&url, 0, &bytes(1, 1001)).await.refused(413, "body_too_large")["maxBytes"], 1000);
    ann.append(&url, 0, &bytes(1, 1000)).await.expect(204);
    ann.append(&url, 1000, &bytes(1, 1000)).await.expect(204);
    app.finish().await;
}

/// How long from now on an upload is kept if nothing more comes.
async fn kept_for(app: &TestApp, url: &str) -> time::Duration {
    let state = app.ann().get_with(url, "tus-resumable", "1.0.0").await.expect(200).json();
    let expires_at = OffsetDateTime::parse(state["upload"]["expiresAt"].as_str().unwrap(), &Rfc3339).unwrap();
    expires_at - app.app.clock.now()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_is_kept_an_hour_without_a_byte_a_day_after_its_last_and_a_week_at_most(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 1000).await;
    let step = Duration::from_secs(12 * 3600);
    let assert_kept = async |hours: i64| {
        let (kept, expected) = (kept_for(&app, &url).await, time::Duration::hours(hours));
        assert!(kept <= expected && kept > expected - time::Duration::minutes(1), "{kept} of {expected}");
    };
    assert_kept(1).await;
    for at in 0..13 {
        app.ann().append(&url, at * 10, &[0; 10]).await.expect(204);
        assert_kept(24).await;
        rows::let_time_pass(&mut app.app.db.conn().await.unwrap(), step).await;
        assert_kept(12).await;
    }
    app.ann().append(&url, 130, &[0; 10]).await.expect(204);
    assert_kept(12).await;
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_sender_that_stalls_is_told_so_and_what_came_is_kept(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.limits.body_idle_timeout = Duration::from_millis(300)).await;
    let content = bytes(1, 500_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let mut raw = Raw::connect(&app, &Method::PATCH, &url).await;
    raw.send(piece_head(&url, 0, content.len()).as_bytes()).await.unwrap();
    raw.send(&content[..300_000]).await.unwrap();
    raw.answer().await.refused(408, "request_timeout");
    assert_eq!(app.ann().offset(&url).await, 300_000);
    app.ann().append(&url, 300_000, &content[300_000..]).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_whose_bytes_stop_coming_has_its_url_all_the_same(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.limits.body_idle_timeout = Duration::from_millis(300)).await;
    let content = bytes(1, 500_000);
    let mut raw = Raw::connect(&app, &Method::POST, UPLOADS).await;
    let head = format!(
        "POST {UPLOADS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Length: 500000\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 500000\r\n\r\n",
        crate::app::token(ANN)
    );
    raw.send(head.as_bytes()).await.unwrap();
    raw.send(&content[..300_000]).await.unwrap();
    let answer = raw.answer().await.expect(201);
    assert_eq!(offset(&answer), 300_000);
    let url = location(&answer);
    let last = app.nobody().append(&url, 300_000, &content[300_000..]).await.expect(204);
    eventually("its file is there", async || {
        (app.ann().file(last.header("upload-file-id").unwrap()).await["fileSize"] == 500_000).then_some(())
    })
    .await;
    app.finish().await;
}

/// What the user's files under way take of the disk, in bytes.
fn taken_on_disk(app: &TestApp) -> u64 {
    let staged = app.blobs_of(ANN).into_iter().filter(|path| path.contains("/.uploads/"));
    staged.map(|path| std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).unwrap()) * 512).sum()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_takes_the_disk_with_what_arrives_and_little_ahead(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let mut urls = Vec::new();
    for _ in 0..4 {
        urls.push(ann.create("a.bin", 2_000_000_000).await);
    }
    assert!(taken_on_disk(&app) <= 4 * (65 << 20), "{}", taken_on_disk(&app));
    let content = bytes(1, 3 << 20);
    ann.append(&urls[0], 0, &content).await.expect(204);
    ann.append(&urls[0], content.len(), &content).await.expect(204);
    let taken = taken_on_disk(&app);
    assert!(taken <= 4 * (65 << 20) + 2 * (3 << 20), "{taken}");
    for url in &urls {
        ann.cancel(url).await.expect(204);
    }
    assert_eq!(taken_on_disk(&app), 0);
    app.finish().await;
}
