//! Uploads: what a form may hold, and what becomes of it.

use crate::app::media::{self, png, sha256};
use crate::app::{ANN, Form, Raw, TestApp, eventually, send, token};
use bytes::Bytes;
use jam_core::model::ByteSize;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

const PAGE: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_stored_file_is_described_field_for_field(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = png(40, 30);
    let answer = app.ann().upload(Form::new().file("Urlaub.png", &content)).await.expect(200).json();
    assert_eq!((&answer["success"], answer.get("errors")), (&json!(true), None));
    let file = &answer["files"][0];
    let expected = json!({
        "userId": ANN, "originalName": "Urlaub.png", "fileType": "image", "mimeType": "image/png",
        "fileSize": content.len(), "sha256": sha256(&content), "width": 40, "height": 30, "resolution": "40x30",
        "duration": null, "durationSeconds": null, "packageName": null, "tags": [], "isFavorite": false,
        "assetCategory": null, "usageTags": [], "characterNames": [], "objectDescription": null,
        "sceneLocation": null, "hasAlphaChannel": false, "audioCategory": null, "audioDurationSeconds": null,
        "audioStyle": null, "audioVocals": false, "audioLyrics": null, "audioTempo": null, "audioKey": null,
        "voiceoverType": null, "voiceoverScript": null, "aiMetadata": {}, "deletedAt": null, "thumbnailPath": null,
        "derivatives": [{ "kind": "default", "state": "pending", "progress": null, "error": null, "url": null }],
        "thumbhash": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&file[name], value, "{name}");
    }
    assert_eq!((&file["relativePath"], &file["scan"]), (&Value::Null, &Value::Null));
    let id = file["id"].as_str().unwrap();
    assert_eq!(file["filePath"], json!(format!("{ANN}/images/{id}.png")));
    assert_eq!(&app.ann().file(id).await, file);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn fields_describe_the_files_whether_they_come_before_or_after_them(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new()
        .field("packageName", "Spring")
        .field("fileType", "project")
        .file("a.png", &png(4, 4))
        .field("tags", r#"["one", " two ", "one"]"#)
        .field("assetCategory", "background")
        .field("usageTags", r#"["a, b", "{\"c\"}", "\\\\x64", "NULL"]"#)
        .field("characterNames", r#"["Ada"]"#)
        .field("audioCategory", "sfx")
        .field("hasAlphaChannel", "true")
        .field("audioDurationSeconds", "1.5")
        .field("voiceoverType", "female")
        .field("aiMetadata", r#"{"model": {"name": "m"}}"#)
        .field("csrf", "fields that nobody reads are ignored");
    let answer = app.ann().upload(form).await.expect(200).json();
    let file = &answer["files"][0];
    assert_eq!((&file["packageName"], &file["fileType"]), (&json!("Spring"), &json!("project")));
    assert_eq!((&file["tags"], &file["assetCategory"]), (&json!(["one", "two"]), &json!("background")));
    assert_eq!((&file["characterNames"], &file["hasAlphaChannel"]), (&json!(["Ada"]), &json!(true)));
    assert_eq!((&file["audioDurationSeconds"], &file["voiceoverType"]), (&json!(1.5), &json!("female")));
    assert_eq!(file["usageTags"], json!(["a, b", "{\"c\"}", "\\\\x64", "NULL"]));
    assert_eq!(file["audioCategory"], "sfx");
    assert_eq!(file["aiMetadata"], json!({ "model": { "name": "m" } }));
    assert_eq!(&app.ann().file(file["id"].as_str().unwrap()).await, file);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_type_that_comes_after_its_file_decides_the_folder(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new().file("a.png", &png(4, 4)).field("fileType", "scene");
    let file = app.ann().upload(form).await.expect(200).json()["files"][0].clone();
    assert_eq!(file["fileType"], "scene");
    assert!(file["filePath"].as_str().unwrap().starts_with("user_a/scenes/"), "{}", file["filePath"]);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_field_given_once_is_every_files_and_given_often_goes_by_position(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new()
        .field("objectDescription", "first")
        .file("a.png", &png(1, 1))
        .file("b.png", &png(2, 2))
        .field("objectDescription", "second")
        .field("packageName", "shared")
        .field("tags", r#"["shared"]"#)
        .field("fileType", "image")
        .field("fileType", "scene");
    let answer = app.ann().upload(form).await.expect(200).json();
    let column = |name: &str| -> Vec<Value> {
        answer["files"].as_array().unwrap().iter().map(|file| file[name].clone()).collect()
    };
    assert_eq!(column("originalName"), ["a.png", "b.png"]);
    assert_eq!(column("objectDescription"), ["first", "second"]);
    assert_eq!(column("fileType"), ["image", "scene"]);
    assert_eq!(column("packageName"), ["shared", "shared"]);
    assert_eq!(column("tags"), [json!(["shared"]), json!(["shared"])]);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refused_file_does_not_keep_the_others_out(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new().file("a.png", &png(1, 1)).file("evil.html", PAGE).file("b.png", &png(2, 2));
    let answer = app.ann().upload(form).await.expect(200).json();
    assert_eq!(answer["files"].as_array().unwrap().len(), 2);
    let error = json!([{
        "filename": "evil.html", "code": "type_refused",
        "error": "Files of this kind are not accepted: HTML document.",
    }]);
    assert_eq!(answer["errors"], error);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn when_no_file_is_stored_the_first_error_is_the_answer(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_file = ByteSize::new(1000)).await;
    let form = Form::new().file("a.html", PAGE).file("large.txt", &[b'x'; 1001]);
    let error = app.ann().upload(form).await.refused(415, "type_refused");
    assert_eq!(error["found"], "HTML document");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn content_that_a_browser_or_a_shell_would_run_is_refused_under_any_name_and_type(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let refused: [(&str, &[u8]); 7] = [
        ("HTML document", PAGE),
        ("HTML document", b"\xEF\xBB\xBF \n<html><body>"),
        ("SVG drawing", b"<?xml version=\"1.0\"?><x:root xmlns:x=\"http://www.w3.org/2000/svg\"/>"),
        ("script", b"#!/bin/sh\nrm -rf /\n"),
        ("program", b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"),
        ("program", b"MZ\x90\0\x03\0\0\0"),
        ("playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    ];
    for (found, content) in refused {
        for form in
            [Form::new(), Form::new().field("fileType", "project"), Form::new().field("fileType", "image")]
        {
            let error =
                app.ann().upload(form.file("harmless.png", content)).await.refused(415, "type_refused");
            assert_eq!(error["found"], found);
        }
    }
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_type_that_the_content_is_not_is_refused_before_and_after_the_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let forms = [
        Form::new().field("fileType", "video").file("a.mp4", &png(4, 4)),
        Form::new().file("a.mp4", &png(4, 4)).field("fileType", "video"),
    ];
    for form in forms {
        let error = app.ann().upload(form).await.refused(415, "type_mismatch");
        assert_eq!((&error["declared"], &error["found"]), (&json!("video"), &json!("PNG image")));
    }
    let unknown = Form::new().field("fileType", "hologram").file("a.png", &png(4, 4));
    let error = app.ann().upload(unknown).await.refused(400, "invalid_parameter");
    assert_eq!(error["parameter"], "fileType");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_may_be_as_large_as_the_limit_and_no_larger(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_file = ByteSize::new(1000)).await;
    assert_eq!(app.ann().store("a.txt", &[b'x'; 1000]).await["fileSize"], 1000);
    let error =
        app.ann().upload(Form::new().file("b.txt", &[b'x'; 1001])).await.refused(413, "file_too_large");
    assert_eq!(error["maxBytes"], 1000);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn names_come_back_as_they_were_without_paths_and_tricks(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = format!("{}.txt", "ü".repeat(150));
    let shortened = format!("{}.txt", "ü".repeat(125));
    let names = [
        ("Grüße 写真 🎬.txt", "Grüße 写真 🎬.txt"),
        ("say \"hi\".txt", "say \"hi\".txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\a.txt", "a.txt"),
        ("a\r\nX-Evil: 1\r\n.txt", "aX-Evil: 1.txt"),
        ("evil\u{202E}txt.exe", "eviltxt.exe"),
        ("...", "untitled"),
        (&long, &shortened),
    ];
    for (sent, kept) in names {
        assert_eq!(app.ann().store(sent, b"text").await["originalName"], kept);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_of_no_bytes_is_a_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("empty.txt", b"").await;
    assert_eq!((&file["fileSize"], &file["fileSizeFormatted"]), (&json!(0), &json!("0 Bytes")));
    assert_eq!(file["sha256"], sha256(b""));
    let download = app.ann().get(file["downloadUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(download.header("content-length"), Some("0"));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_videos_and_a_sounds_facts_are_known_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let video = app.ann().store("video.mp4", &media::MP4).await;
    assert_eq!((&video["fileType"], &video["mimeType"]), (&json!("video"), &json!("video/mp4")));
    assert_eq!((&video["resolution"], &video["duration"]), (&json!("640x360"), &json!("00:02")));
    let audio = app.ann().store("audio.mp3", &media::MP3).await;
    assert_eq!((&audio["fileType"], &audio["mimeType"]), (&json!("audio"), &json!("audio/mpeg")));
    assert_eq!((&audio["resolution"], &audio["duration"]), (&json!(null), &json!("00:03")));
    let photo = app.ann().store("photo.jpg", &media::upright_jpeg(60, 80)).await;
    assert_eq!((&photo["mimeType"], &photo["resolution"]), (&json!("image/jpeg"), &json!("60x80")));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_body_of_unknown_length_is_stored_whole(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = media::bytes(1, 5 << 20);
    let body = Form::new().file("a.bin", &content).field("packageName", "chunked").into_body();
    let chunks: Vec<_> =
        body.chunks(70_001).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c))).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let request =
        app.ann().request(Method::POST, "/api/files/upload").header("content-type", Form::CONTENT_TYPE);
    let answer = send(request.body(body)).await.expect(200).json();
    assert_eq!(answer["files"][0]["sha256"], sha256(&content));
    assert_eq!(answer["files"][0]["packageName"], "chunked");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_that_breaks_off_leaves_nothing_wherever_it_does(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = Form::new().field("tags", "[]").file("a.bin", &media::bytes(2, 700_000)).into_body();
    for end in [0, 10, 90, 200, 300, 4096, 65_536, 300_000, 699_999, body.len() - 20, body.len() - 5] {
        let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
        raw.send(&body[..end]).await.unwrap();
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_that_breaks_off_takes_its_finished_files_with_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let first = media::bytes(2, 300_000);
    let body = Form::new().file("a.bin", &first).file("b.bin", &media::bytes(3, 400_000)).into_body();
    let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    raw.send(&body[..body.len() - 1000]).await.unwrap();
    drop(raw);
    eventually("the upload is undone", async || {
        (app.ann().counters().await == json!([0, 0, 0, 0])).then_some(())
    })
    .await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_volume_below_its_floor_takes_nothing_and_says_when_to_ask_again(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.volume_floor = ByteSize::new(1 << 60)).await;
    let answer = app.ann().upload(Form::new().file("a.txt", b"text")).await;
    assert!(answer.header("retry-after").is_some());
    answer.refused(507, "volume_full");
    app.ann().get("/api/files").await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_small_file_holds_neither_quota_nor_disk_while_the_rest_of_its_form_is_awaited(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let memory = || app.app.waiting_kib.available_permits();
    let all = memory();
    let content = media::bytes(4, 60_000);
    let body = Form::new().file("a.bin", &content).field("packageName", "late").into_body();
    for hangs_up in [true, false] {
        let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
        raw.send(&body[..body.len() - 20]).await.unwrap();
        eventually("the file waits in memory", async || (memory() == all - 59).then_some(())).await;
        assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
        assert!(app.blobs_of(ANN).is_empty());
        if !hangs_up {
            raw.send(&body[body.len() - 20..]).await.unwrap();
            let file = raw.answer().await.expect(200).json()["files"][0].clone();
            assert_eq!((&file["sha256"], &file["packageName"]), (&json!(sha256(&content)), &json!("late")));
            assert_eq!(app.ann().file(file["id"].as_str().unwrap()).await, file);
        }
        drop(raw);
        eventually("the memory is given back", async || (memory() == all).then_some(())).await;
    }
    assert_eq!(app.ann().counters().await, json!([60_000, 0, 0, 1]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn while_others_hold_the_memory_a_small_file_is_staged_on_disk(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let taken = app.app.waiting_kib.acquire_many(16 * 1024).await.unwrap();
    let content = media::bytes(5, 60_000);
    let body = Form::new().file("a.bin", &content).field("packageName", "late").into_body();
    let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    raw.send(&body[..body.len() - 20]).await.unwrap();
    eventually("its bytes are reserved", async || {
        (app.ann().counters().await == json!([0, 60_000, 0, 0])).then_some(())
    })
    .await;
    drop(taken);
    raw.send(&body[body.len() - 20..]).await.unwrap();
    assert_eq!(raw.answer().await.expect(200).json()["files"][0]["sha256"], sha256(&content));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn small_and_large_files_of_a_form_keep_their_order_and_share_the_quota(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 500_000).await;
    let form = || {
        let form =
            Form::new().file("1.bin", &media::bytes(1, 10_000)).file("2.bin", &media::bytes(2, 300_000));
        form.file("3.bin", &media::bytes(3, 20_000)).file("4.txt", b"four")
    };
    let names = |answer: &Value, of: &str, name: &str| {
        let named = answer[of].as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned());
        named.collect::<Vec<_>>()
    };
    let stored = app.ann().upload(form()).await.expect(200).json();
    assert_eq!(names(&stored, "files", "originalName"), ["1.bin", "2.bin", "3.bin", "4.txt"]);
    let listed = app.ann().get("/api/files?sortOrder=ASC").await.expect(200).json();
    assert_eq!(names(&listed, "files", "originalName"), ["1.bin", "2.bin", "3.bin", "4.txt"]);
    // The large one does not fit any more, the others do.
    let again = app.ann().upload(form()).await.expect(200).json();
    assert_eq!(names(&again, "files", "originalName"), ["1.bin", "3.bin", "4.txt"]);
    assert_eq!(names(&again, "errors", "filename"), ["2.bin"]);
    assert_eq!(app.ann().counters().await, json!([360_008, 0, 0, 7]));
    app.finish().await;
}
