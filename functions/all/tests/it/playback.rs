//! Videos that browsers cannot stream: converted beside the original, with progress, cancellation and retries.

use crate::app::media::{MP4, by_ffmpeg, long_video, png, sha256, video_writers};
use crate::app::{ANN, TestApp, eventually};
use jam_core::ops::work;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::path::PathBuf;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const VIDEO: &str = "-f lavfi -i testsrc=size=640x360:rate=10:duration=2 -f lavfi -i sine=duration=2 -pix_fmt yuv420p -shortest";

async fn playback(app: &TestApp, id: &str) -> Option<Value> {
    let answer = app.ann().get(&format!("/api/files/{id}/derivatives")).await.expect(200).json();
    let derivatives = answer["derivatives"].as_array().unwrap().clone();
    derivatives.into_iter().find(|made| made["kind"] == "playback")
}

/// Waits until a part of the video is made.
async fn under_way(app: &TestApp, id: &str) {
    eventually("a part of the video is made", async || {
        let made = playback(app, id).await?;
        made["progress"].as_i64().filter(|percent| *percent > 0)
    })
    .await;
}

fn writers(app: &TestApp) -> Vec<PathBuf> {
    video_writers(&app.app.config.storage_root)
}

/// The worker's loop for long jobs, until it is stopped.
fn start_worker(app: &TestApp) -> (JoinSet<()>, CancellationToken) {
    let (mut worker, stop) = (JoinSet::new(), CancellationToken::new());
    worker.spawn(jam_worker::background(app.app.clone(), stop.clone()));
    (worker, stop)
}

async fn end_worker((mut worker, stop): (JoinSet<()>, CancellationToken)) {
    stop.cancel();
    worker.join_next().await.unwrap().unwrap();
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_with_its_index_at_the_end_is_streamed_from_a_copy_once_that_is_there(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let before = app.ann().store("a.mp4", &MP4).await;
    let id = before["id"].as_str().unwrap();
    let pending = playback(&app, id).await.unwrap();
    assert_eq!((&pending["state"], &pending["progress"]), (&json!("pending"), &Value::Null));
    let original = app.nobody().get(before["streamUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(sha256(&original.body), sha256(&MP4), "the original is there at once");
    let counters = app.ann().counters().await;
    let (path, tag) = (format!("/api/files/{id}"), app.ann().get(&format!("/api/files/{id}")).await);
    let tag = tag.header("etag").unwrap();
    app.ann().get_with(&path, "if-none-match", tag).await.expect(304);

    app.run_jobs_in_queue().await;
    app.ann().get_with(&path, "if-none-match", tag).await.expect(200);
    let after = app.ann().file(id).await;
    let ready = playback(&app, id).await.unwrap();
    assert_eq!((&ready["state"], &ready["progress"]), (&json!("ready"), &Value::Null));
    assert_eq!(after["streamUrl"], ready["url"]);
    let video = app.nobody().get(after["streamUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(video.header("content-type"), Some("video/mp4"));
    let place = |mark: &[u8]| video.body.windows(4).position(|window| window == mark).unwrap();
    assert!(place(b"moov") < place(b"mdat"), "the index is in front");
    let part = app.nobody().get_with(after["streamUrl"].as_str().unwrap(), "range", "bytes=100-199").await;
    assert_eq!(part.expect(206).body, video.body[100..200]);
    let with_token = app.ann().get(&format!("/api/files/{id}/stream?derivative=playback")).await.expect(200);
    assert_eq!(with_token.body, video.body);
    let asked = app.ann().post(&format!("/api/files/{id}/url"), json!({ "purpose": "stream" })).await;
    assert_eq!(app.nobody().get(asked.expect(200).json()["url"].as_str().unwrap()).await.body, video.body);

    for url in [after["downloadUrl"].as_str().unwrap(), before["streamUrl"].as_str().unwrap()] {
        assert_eq!(sha256(&app.nobody().get(url).await.expect(200).body), sha256(&MP4), "{url}");
    }
    assert_eq!(app.ann().counters().await, counters, "it counts towards no quota");
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    app.run_jobs_in_queue().await;
    assert!(app.blobs_of(ANN).is_empty(), "it goes with its file");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn videos_in_codecs_of_other_programs_are_made_anew(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (name, codecs) in [("a.mkv", "-c:v mpeg4 -c:a ac3"), ("a.wmv", ""), ("a.ts", "-c:v mpeg2video -r 25")]
    {
        let id = app.ann().store_id(name, &by_ffmpeg(name, &format!("{VIDEO} {codecs}"))).await;
        app.run_jobs_in_queue().await;
        let file = app.ann().file(&id).await;
        assert_eq!((&file["resolution"], &file["duration"]), (&json!("640x360"), &json!("00:02")), "{name}");
        assert_eq!(playback(&app, &id).await.unwrap()["state"], "ready", "{name}");
        let video = app.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
        let copy = app.ann().store("copy.mp4", &video.body).await;
        assert_eq!((&copy["mimeType"], &copy["resolution"]), (&json!("video/mp4"), &json!("640x360")));
        assert_eq!(playback(&app, copy["id"].as_str().unwrap()).await, None, "browsers play what came out");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_browsers_play_is_left_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let video = by_ffmpeg("a.mp4", &format!("{VIDEO} -movflags +faststart"));
    for (name, content) in [("a.mp4", video), ("b.png", png(30, 20)), ("c.txt", b"text".to_vec())] {
        let id = app.ann().store_id(name, &content).await;
        assert_eq!(playback(&app, &id).await, None, "{name}");
        let path = format!("/api/files/{id}/derivatives/playback");
        app.ann().post(&format!("{path}/retry"), json!({})).await.refused(404, "not_found");
        app.ann().delete(&path).await.refused(404, "not_found");
        app.ann().get(&format!("/api/files/{id}/stream?derivative=playback")).await.refused(404, "not_found");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_that_cannot_be_converted_says_why_and_is_tried_again_when_asked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.mp4", &MP4[..MP4.len() / 2]).await;
    app.run_jobs_in_queue().await;
    let failed = playback(&app, &id).await.unwrap();
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["error"], "the video is incomplete: its index is missing");
    let retry = format!("/api/files/{id}/derivatives/playback/retry");
    let answer = app.ann().post(&retry, json!({})).await.expect(200).json();
    assert_eq!(answer["derivatives"].as_array().unwrap().last().unwrap()["state"], "pending");
    app.ann().post(&retry, json!({})).await.expect(200);
    app.run_jobs_in_queue().await;
    assert_eq!(playback(&app, &id).await.unwrap()["state"], "failed");
    app.bob().post(&retry, json!({})).await.refused(404, "not_found");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_that_is_cancelled_while_it_is_made_leaves_nothing_behind(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.avi", &long_video()).await;
    let worker = start_worker(&app);
    under_way(&app, &id).await;
    assert_eq!(writers(&app).len(), 1);
    let path = format!("/api/files/{id}/derivatives/playback");
    app.bob().delete(&path).await.refused(404, "not_found");
    app.ann().delete(&path).await.expect(200);
    assert_eq!(playback(&app, &id).await, None);
    eventually("ffmpeg is gone", async || writers(&app).is_empty().then_some(())).await;
    app.ann().delete(&path).await.refused(404, "not_found");

    app.ann().post(&format!("{path}/retry"), json!({})).await.expect(200);
    under_way(&app, &id).await;
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    eventually("ffmpeg is gone with its file", async || writers(&app).is_empty().then_some(())).await;
    end_worker(worker).await;
    app.run_jobs_in_queue().await;
    assert!(app.blobs_of(ANN).is_empty());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_worker_that_is_told_to_stop_gives_its_video_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.avi", &long_video()).await;
    let worker = start_worker(&app);
    under_way(&app, &id).await;
    end_worker(worker).await;
    eventually("ffmpeg is gone", async || writers(&app).is_empty().then_some(())).await;
    let given_back = playback(&app, &id).await.unwrap();
    assert_eq!((&given_back["state"], &given_back["progress"]), (&json!("pending"), &Value::Null));
    let jobs = jam_core::db::jobs::list(&mut app.app.db.conn().await.unwrap(), None, 10).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].attempts, jobs[0].state.as_str()), (1, 0, "ready"));
    app.ann().delete(&format!("/api/files/{id}/derivatives/playback")).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_long_job_never_holds_the_others_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = app.ann().store_id("a.avi", &long_video()).await;
    let second = app.ann().store_id("b.mp4", &MP4).await;
    let worker = start_worker(&app);
    under_way(&app, &long).await;
    let image = app.ann().store_id("c.png", &png(300, 200)).await;
    eventually("the thumbnail of an image is made beside the video", async || {
        (app.ann().file(&image).await["derivatives"][0]["state"] == "ready").then_some(())
    })
    .await;
    assert_eq!(playback(&app, &second).await.unwrap()["progress"], Value::Null, "one video at a time");
    app.ann().delete(&format!("/api/files/{long}/derivatives/playback")).await.expect(200);
    eventually("the next video is made", async || {
        (playback(&app, &second).await?["state"] == "ready").then_some(())
    })
    .await;
    end_worker(worker).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_whose_worker_was_lost_is_recorded_by_its_successor_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.mp4", &MP4).await;
    let mut conn = app.app.db.conn().await.unwrap();
    let lost = jam_core::db::jobs::claim(&mut conn, true, std::time::Duration::ZERO).await.unwrap().unwrap();
    drop(conn);
    let content = jam_core::ids::ContentId(id.parse().unwrap());
    assert!(work::run_next_long(&app.app, &CancellationToken::new()).await.unwrap());
    let before = playback(&app, &id).await.unwrap();
    jam_core::ops::playback::make(&app.app, &lost, content, &CancellationToken::new()).await.unwrap();
    assert_eq!(playback(&app, &id).await.unwrap(), before);
    app.nobody().get(before["url"].as_str().unwrap()).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn thumbnails_are_retried_but_not_cancelled(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut damaged = png(800, 600);
    let length = damaged.len();
    damaged[60..length - 20].fill(0);
    let id = app.ann().store_id("a.png", &damaged).await;
    app.run_jobs_in_queue().await;
    let path = format!("/api/files/{id}/derivatives");
    let answer = app.ann().post(&format!("{path}/default/retry"), json!({})).await.expect(200).json();
    assert_eq!(answer["derivatives"][0]["state"], "pending");
    app.run_jobs_in_queue().await;
    assert_eq!(app.ann().file(&id).await["derivatives"][0]["state"], "failed");
    app.ann().delete(&format!("{path}/default")).await.refused(409, "conflict");
    app.ann().delete(&format!("{path}/huge")).await.refused(404, "not_found");
    let fine = app.ann().store_id("b.png", &png(80, 60)).await;
    app.run_jobs_in_queue().await;
    let ready = format!("/api/files/{fine}/derivatives/default/retry");
    app.ann().post(&ready, json!({})).await.refused(409, "conflict");
    app.finish().await;
}
