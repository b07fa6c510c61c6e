//! Processes beside each other: a writer that stands still, clients of two that send the same upload or want the same
//! thumbnail, workers that make videos, a database server that stops.

use crate::app::media::{MP4, bytes, long_video, png, sha256, video_writers};
use crate::app::postgres::Postgres;
use crate::app::process::{Process, Site};
use crate::app::tus::{offset, piece_head, session};
use crate::app::{ANN, As, Raw, eventually, rows};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use jam_core::app::App;
use jam_core::db::sessions::Session;
use jam_core::model::ByteSize;
use jam_core::ops::upload::append::{Piece, append};
use jam_core::ops::upload::session::refresh;
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_process_that_stands_still_keeps_its_upload_from_others_and_loses_no_byte(pool: PgPool) {
    let site = Site::new(pool);
    let (first, second) = (site.start("jam-all", &[]).await, site.start("jam-upload", &[]).await);
    let content = bytes(1, 900_000);
    let url = first.user(ANN).create("a.bin", content.len()).await;
    first.user(ANN).append(&url, 0, &content[..100_000]).await.expect(204);
    let stalled = first.stalled_sender(&site, &url, &content, 100_000..600_000).await;
    let other = As::new(&second, None);
    // As long as its writer could go on writing, nobody else may: the lock is the kernel's, not a promise of time.
    first.signal(Signal::SIGSTOP);
    let asked = Instant::now();
    let busy = other.look_up(&url).await.expect(423);
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert!(asked.elapsed() < Duration::from_secs(7), "{:?}", asked.elapsed());
    other.append(&url, 100_000, &content[100_000..]).await.refused(423, "upload_locked");
    first.signal(Signal::SIGCONT);
    let at = eventually("the writer lets go", async || {
        let answer = other.look_up(&url).await;
        (answer.status == 200).then(|| offset(&answer))
    })
    .await;
    assert!((100_000..=600_000).contains(&at), "{at}");
    let last = other.append(&url, at, &content[at..]).await.expect(204);
    let file = first.user(ANN).file(last.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    drop(other);
    drop(stalled);
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn under_lambda_a_writer_that_stands_still_is_left_behind_and_its_late_bytes_never_count(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, 900_000);
    let wrong = [&content[..100_000], &bytes(2, 800_000)].concat();
    let url = process.user(ANN).create("a.bin", content.len()).await;
    process.user(ANN).append(&url, 0, &content[..100_000]).await.expect(204);
    let mut frozen = process.stalled_sender(&site, &url, &wrong, 100_000..600_000).await;
    process.signal(Signal::SIGSTOP);
    // Its lock is held all the while. Two instances ask at once: the upload moves away from it once.
    let (one, other) = (site.app_under_lambda(), site.app_under_lambda());
    let as_it_was = session(&one, &url).await;
    let asked = join_all([&one, &other].map(|app| refresh(app, as_it_was.clone()))).await;
    for session in asked {
        assert_eq!(session.unwrap().durable.offset().bytes(), 100_000, "only what was acknowledged counts");
    }
    send_piece(&one, &url, &content[..500_000]).await;
    process.signal(Signal::SIGCONT);
    frozen.send(&wrong[600_000..]).await.unwrap();
    frozen.answer().await.refused(423, "upload_locked");
    let file_id = send_piece(&other, &url, &content).await.file_id.expect("it is whole").to_string();
    let (ann, digest) = (process.user(ANN), sha256(&content));
    assert_eq!(ann.file(&file_id).await["sha256"], digest);
    process.assert_downloads([(&file_id, &digest)]).await;
    assert_eq!(ann.counters().await, json!([content.len(), 0, 0, 1]));
    drop(ann);
    process.stop().await;
    site.settled().await.stop().await;
    site.assert_clean().await;
}

/// Appends the rest of this content, as an instance that was sent it.
async fn send_piece(app: &App, url: &str, content: &[u8]) -> Session {
    let session = session(app, url).await;
    let offset = session.durable.offset();
    let rest = Bytes::copy_from_slice(&content[usize::try_from(offset.bytes()).unwrap()..]);
    let piece = Piece { offset, size: Some(ByteSize::new(rest.len() as u64)), ..Piece::default() };
    append(app, &session, piece, stream::iter([Ok(rest)]).boxed()).await.unwrap()
}

/// The shortest time that a stalled sender to one process holds up whoever asks another: others share the machine.
async fn fastest_takeover(site: &Site, from: &Process, by: &As<'_>, content: &[u8]) -> Duration {
    let url = from.user(ANN).create("a.bin", content.len()).await;
    let (mut at, mut fastest) = (0, Duration::MAX);
    for _ in 0..5 {
        let mut stalled = from.stalled_sender(site, &url, content, at..at + 400_000).await;
        let asked = Instant::now();
        let offset = by.offset(&url).await;
        fastest = fastest.min(asked.elapsed());
        stalled.answer().await.refused(423, "upload_locked");
        assert!((at + 1..=at + 400_000).contains(&offset), "{offset} after {at}");
        at = offset;
    }
    let last = by.append(&url, at, &content[at..]).await.expect(204);
    let file = from.user(ANN).file(last.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(content));
    fastest
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_stalled_sender_to_one_process_is_sent_away_at_once_by_whoever_asks_another(pool: PgPool) {
    let site = Site::new(pool.clone());
    let (first, second) = (site.start("jam-all", &[]).await, site.start("jam-upload", &[]).await);
    let (other, content) = (As::new(&second, None), bytes(1, 3_000_000));
    // A writer without notifications checks every second.
    let at_once = Duration::from_millis(400);
    let fastest = fastest_takeover(&site, &first, &other, &content).await;
    assert!(fastest < at_once, "{fastest:?}");
    // A lost connection is made again.
    assert!(rows::end_listening(&mut pool.acquire().await.unwrap()).await > 0);
    let fastest = fastest_takeover(&site, &first, &other, &content).await;
    assert!(fastest < at_once, "{fastest:?} after the connection was lost");
    drop(other);
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_hundred_requests_to_two_processes_share_one_thumbnail(pool: PgPool) {
    let site = Site::new(pool.clone());
    rows::count_what_is_made(&mut pool.acquire().await.unwrap()).await;
    let (first, second) = (site.start("jam-all", &[]).await, site.start("jam-thumbnail", &[]).await);
    let id = first.user(ANN).store_id("a.png", &png(2400, 1800)).await;
    let path = format!("/api/files/{id}/thumbnail?size=medium");
    let callers = [first.user(ANN), second.user(ANN)];
    let answers = join_all((0..100).map(|n| callers[n % 2].get(&path))).await;
    let tags: BTreeSet<String> =
        answers.into_iter().map(|answer| answer.expect(200).header("etag").unwrap().to_owned()).collect();
    assert_eq!(tags.len(), 1, "everybody has the same thumbnail: {tags:?}");
    assert_eq!(rows::times_made(&mut pool.acquire().await.unwrap(), "medium").await, 1);
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn two_workers_make_one_video_at_a_time(pool: PgPool) {
    let site = Site::new(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    rows::watch_long_jobs(&mut conn).await;
    let entrance = site.entrance();
    let first = site.start_behind(&entrance, "jam-all", &[]).await;
    let second = site.start_behind(&entrance, "jam-all", &[]).await;
    let ann = entrance.user(ANN);
    for name in ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"] {
        ann.store(name, &MP4).await;
    }
    eventually("every video is made", async || {
        let jobs = jam_core::db::jobs::counts(&mut conn).await.unwrap();
        (jobs == [0, 0, 0]).then_some(())
    })
    .await;
    assert_eq!(rows::most_long_jobs(&mut conn).await, 1);
    drop(ann);
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_worker_that_is_killed_takes_its_ffmpeg_with_it(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let id = process.user(ANN).store_id("a.avi", &long_video()).await;
    eventually("a video is being written", async || (!video_writers(&site.root()).is_empty()).then_some(()))
        .await;
    process.signal(Signal::SIGKILL);
    process.ended().await;
    eventually("ffmpeg is gone", async || video_writers(&site.root()).is_empty().then_some(())).await;
    let process = site.start("jam-all", &[]).await;
    process.user(ANN).delete(&format!("/api/files/{id}/derivatives/playback")).await.expect(200);
    process.stop().await;
    site.settled().await.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn clients_of_two_processes_that_send_the_same_upload_make_one_file(pool: PgPool) {
    let site = Site::new(pool);
    let (first, second) = (site.start("jam-all", &[]).await, site.start("jam-upload", &[]).await);
    let content = bytes(1, 4_000_000);
    let url = first.user(ANN).create("a.bin", content.len()).await;
    let clients = [As::new(&first, None), As::new(&second, None)];
    let [one, other] = &clients;
    let (one, other) = tokio::join!(send_all(one, &url, &content), send_all(other, &url, &content));
    assert_eq!(one, other, "both answers name the same file");
    let ann = first.user(ANN);
    assert_eq!(ann.file(&one).await["sha256"], sha256(&content));
    assert_eq!(ann.counters().await, json!([content.len(), 0, 0, 1]));
    drop((ann, clients));
    first.stop().await;
    second.stop().await;
    site.assert_clean().await;
}

/// Sends pieces from wherever the upload is, until it is whole; the file's id.
async fn send_all(client: &As<'_>, url: &str, content: &[u8]) -> String {
    let mut acknowledged = 0;
    loop {
        let asked = client.look_up(url).await;
        if asked.status == 423 {
            continue;
        }
        let at = offset(&asked.expect(200));
        assert!(at >= acknowledged, "{acknowledged} acknowledged before and {at} now");
        acknowledged = at;
        let end = content.len().min(at + 700_000);
        let answer = client.append(url, at, &content[at..end]).await;
        assert!(matches!(answer.status, 204 | 409 | 413 | 423), "{}", answer.status);
        if let Some(id) = answer.header("upload-file-id") {
            return id.to_owned();
        }
        if answer.status == 413 || offset_of(&answer) == Some(content.len()) {
            let asked = client.look_up(url).await.expect(200);
            return asked.header("upload-file-id").expect("it is whole").to_owned();
        }
    }
}

fn offset_of(answer: &crate::app::Answer) -> Option<usize> {
    answer.header("upload-offset")?.parse().ok()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_server_that_stops_while_bytes_come_costs_no_byte(pool: PgPool) {
    let postgres = Postgres::beside(&pool).await;
    let site = Site::new(postgres.pool().await);
    let process = site.start("jam-all", &[]).await;
    let (ann, content) = (process.user(ANN), bytes(1, 3_000_000));
    let url = ann.create("a.bin", content.len()).await;
    ann.append(&url, 0, &content[..1_000_000]).await.expect(204);
    let mut sending = Raw::over(process.connect().await.unwrap());
    sending.send(piece_head(&url, 1_000_000, 2_000_000).as_bytes()).await.unwrap();
    sending.send(&content[1_000_000..2_000_000]).await.unwrap();
    postgres.stop();
    sending.send(&content[2_000_000..]).await.unwrap();
    assert_eq!(sending.answer().await.refused(503, "unavailable")["part"], "database");
    postgres.start();
    let at = eventually("the upload answers", async || {
        let asked = ann.look_up(&url).await;
        (asked.status == 200).then(|| offset(&asked))
    })
    .await;
    assert!(at >= 1_000_000, "{at}");
    if at < content.len() {
        ann.append(&url, at, &content[at..]).await.expect(204);
    }
    let asked = ann.look_up(&url).await.expect(200);
    let file = ann.file(asked.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_server_that_stops_before_the_last_transaction_costs_no_byte(pool: PgPool) {
    let postgres = Postgres::beside(&pool).await;
    let site = Site::new(postgres.pool().await);
    let process = site.start("jam-all", &[]).await;
    let (ann, content) = (process.user(ANN), bytes(1, 1_000_000));
    let url = ann.create("a.bin", content.len()).await;
    let mut sending = process.stalled_sender(&site, &url, &content, 0..999_999).await;
    postgres.stop();
    sending.send(&content[999_999..]).await.unwrap();
    assert_eq!(sending.answer().await.refused(503, "unavailable")["part"], "database");
    postgres.start();
    let id = eventually("the upload is a file", async || {
        let asked = ann.look_up(&url).await;
        asked.header("upload-file-id").map(str::to_owned)
    })
    .await;
    assert_eq!(ann.file(&id).await["sha256"], sha256(&content));
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}
