//! Audio in containers that can hold video, audio whose length no header tells, and videos with audio that nobody decodes.
#![expect(clippy::disallowed_methods, reason = "ffmpeg reads a cover from a file")]

use crate::app::media::by_ffmpeg;
use crate::app::{Form, TestApp};
use serde_json::{Value, json};
use sqlx::PgPool;

const TONE: &str = "-f lavfi -i sine=duration=2";
const VIDEO: &str = "-f lavfi -i testsrc=size=160x90:rate=10:duration=2";
const COVER: &str = "-f lavfi -i color=red:size=300x300:duration=1:rate=1 -frames:v 1";

fn is_audio(file: &Value, mime: &str, name: &str) {
    assert_eq!((&file["fileType"], &file["mimeType"]), (&json!("audio"), &json!(mime)), "{name}");
    assert!(file["filePath"].as_str().unwrap().contains("/audio/"), "{name}: {}", file["filePath"]);
    assert_eq!(file["duration"], "00:02", "{name}");
    let derivatives = file["derivatives"].as_array().unwrap();
    assert!(derivatives.iter().all(|made| made["kind"] != "playback"), "{name}: {derivatives:?}");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn audio_alone_in_a_container_of_videos_is_listed_counted_and_shown_as_audio(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut bytes = 0;
    for (name, codec, mime) in [
        ("memo.mp4", "-c:a aac", "audio/mp4"),
        ("memo.m4a", "-c:a alac", "audio/mp4"),
        ("memo.mov", "-c:a pcm_s16le", "audio/mp4"),
        ("memo.3gp", "-c:a aac", "audio/3gpp"),
        ("recording.webm", "-c:a libopus", "audio/webm"),
        ("memo.mka", "-c:a libopus", "audio/x-matroska"),
        ("memo.wma", "-c:a wmav2 -f asf", "audio/x-ms-wma"),
        ("memo.ts", "-c:a aac", "audio/mp2t"),
    ] {
        let content = by_ffmpeg(name, &format!("{TONE} {codec}"));
        // Browsers take the extension for the type; with and without that, and in pieces.
        let form = Form::new().file(name, &content);
        let declared = app.ann().upload(form.field("fileType", "video")).await.expect(200).json();
        let declared = declared["files"][0]["id"].as_str().unwrap().to_owned();
        let plain = app.ann().store_id(name, &content).await;
        let in_pieces = app.ann().upload_in_pieces(name, &content, 1500).await;
        app.run_jobs_in_queue().await;
        for id in [&declared, &plain, in_pieces["id"].as_str().unwrap()] {
            let file = app.ann().file(id).await;
            is_audio(&file, mime, name);
            assert_eq!(file["derivatives"][0]["state"], "ready", "{name} has a waveform");
            let stream = app.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
            assert_eq!((stream.header("content-type"), stream.body.len()), (Some(mime), content.len()));
            bytes += content.len();
        }
    }
    let usage = app.ann().usage().await;
    assert_eq!(usage["byType"]["audio"], json!({ "bytes": bytes, "count": 24 }));
    assert_eq!(usage["byType"]["video"], json!({ "bytes": 0, "count": 0 }));
    let listed = app.ann().get("/api/files?fileType=audio&includeTotal=true").await.expect(200).json();
    assert_eq!(listed["total"], 24);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_keeps_its_type_and_one_declared_as_audio_is_taken_for_its_sound(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = by_ffmpeg("a.webm", &format!("{VIDEO} {TONE} -pix_fmt yuv420p -c:v libvpx -c:a libopus"));
    let video = app.ann().store("a.webm", &content).await;
    assert_eq!((&video["fileType"], &video["mimeType"]), (&json!("video"), &json!("video/webm")));
    let form = Form::new().file("a.webm", &content).field("fileType", "audio");
    let audio = app.ann().upload(form).await.expect(200).json()["files"][0].clone();
    assert_eq!((&audio["fileType"], &audio["mimeType"]), (&json!("audio"), &json!("video/webm")));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_cover_of_an_audio_is_its_thumbnail_in_every_container(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let folder = tempfile::tempdir().unwrap();
    let cover = folder.path().join("cover.jpg");
    std::fs::write(&cover, by_ffmpeg("cover.jpg", COVER)).unwrap();
    let attached = format!(
        "{TONE} -c:a libopus -attach {} -metadata:s:t mimetype=image/jpeg -metadata:s:t filename=cover.jpg",
        cover.display()
    );
    let beside = format!("{TONE} -i {} -map 0 -map 1 -c:v copy -disposition:v attached_pic", cover.display());
    for (name, arguments) in
        [("a.mka", attached.as_str()), ("a.mp4", &format!("{beside} -c:a aac")), ("a.mp3", &beside)]
    {
        let id = app.ann().store_id(name, &by_ffmpeg(name, arguments)).await;
        app.run_jobs_in_queue().await;
        assert_eq!(app.ann().file(&id).await["fileType"], "audio", "{name}");
        let answer = app.ann().get(&format!("/api/files/{id}/thumbnail?size=small")).await.expect(200);
        let image = image::load_from_memory(&answer.body).unwrap().to_rgb8();
        let [red, green, blue] = image.get_pixel(image.width() / 2, image.height() / 2).0;
        assert!(red > 200 && green < 60 && blue < 60, "{name}: {red} {green} {blue}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_length_that_no_header_tells_is_counted_by_the_worker(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut flac = by_ffmpeg("a.flac", TONE);
    // The number of samples, as a recorder leaves it that cannot go back.
    const SAMPLES: std::ops::Range<usize> = 22..26;
    flac[21] &= 0xF0;
    flac[SAMPLES].fill(0);
    let file = app.ann().store("a.flac", &flac).await;
    assert_eq!((&file["mimeType"], &file["duration"]), (&json!("audio/flac"), &Value::Null));
    app.run_jobs_in_queue().await;
    assert_eq!(app.ann().file(file["id"].as_str().unwrap()).await["duration"], "00:02");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_whose_audio_nobody_decodes_is_silent_and_says_so_or_has_the_next_audio(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let video = format!("{VIDEO} {TONE}");
    for (arguments, is_silent) in [
        (format!("{video} -pix_fmt yuv420p -c:v libx264 -c:a pcm_s16le"), true),
        (
            format!(
                "{video} {TONE} -map 0 -map 1 -map 2 -pix_fmt yuv420p -c:v libx264 -c:a:0 pcm_s16le -c:a:1 aac"
            ),
            false,
        ),
    ] {
        let mut content = by_ffmpeg("a.mov", &arguments);
        let at = content.windows(4).position(|window| window == b"sowt").unwrap();
        content[at..at + 4].copy_from_slice(b"apac");
        let id = app.ann().store_id("a.mov", &content).await;
        app.run_jobs_in_queue().await;
        let file = app.ann().file(&id).await;
        let made = file["derivatives"].as_array().unwrap().iter().find(|made| made["kind"] == "playback");
        let (state, remark) = (&made.unwrap()["state"], &made.unwrap()["error"]);
        assert_eq!(state, "ready", "{remark}");
        assert_eq!(remark.as_str().is_some_and(|remark| remark.contains("silent")), is_silent, "{remark}");
        let video = app.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200).body;
        assert_eq!(video.windows(4).any(|window| window == b"soun"), !is_silent);
    }
    app.finish().await;
}
