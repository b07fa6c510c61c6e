//! What the quota does not weigh has bounds of its own: the number of files, what is said about them, open forms.

use crate::app::tus::{self, UPLOADS};
use crate::app::{ANN, As, Form, Raw, TestApp, rows, send, token, user_id};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

async fn is_full(ann: &As<'_>, max_files: i64) {
    let file = Form::new().file("more.txt", b"");
    let error = ann.upload(file).await.refused(413, "too_many_stored_files");
    assert_eq!((&error["fileCount"], &error["maxFiles"]), (&json!(max_files), &json!(max_files)));
    for length in [0, 5] {
        send(ann.creation(length)).await.refused(413, "too_many_stored_files");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_account_holds_so_many_files_and_no_more_whichever_way_they_come(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_files_per_user = 5).await;
    let ann = app.ann();
    assert_eq!(ann.usage().await["limits"]["maxFilesPerUser"], 5);
    let four = (0..4).fold(Form::new(), |form, n| form.file(&format!("{n}.txt"), b""));
    ann.upload(four).await.expect(200);
    // An upload under way counts as the file that it will be.
    let url = ann.create("e.txt", 3).await;
    is_full(&ann, 5).await;
    ann.append(&url, 0, b"abc").await.expect(204);
    is_full(&ann, 5).await;
    let id = ann.get("/api/files?limit=1").await.expect(200).json()["files"][0]["id"].clone();
    ann.delete(&format!("/api/files/{}", id.as_str().unwrap())).await.expect(200);
    // What is in the trash is still there.
    is_full(&ann, 5).await;
    ann.delete("/api/files/trash").await.expect(200);
    let two = Form::new().file("f.txt", b"").file("g.txt", b"");
    let answer = ann.upload(two).await.expect(200).json();
    assert_eq!(answer["files"].as_array().unwrap().len(), 1);
    assert_eq!(answer["errors"][0]["code"], "too_many_stored_files");
    app.bob().store("a.txt", b"").await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_number_of_files_is_exact_under_concurrent_uploads(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_files_per_user = 7).await;
    let ann = app.ann();
    let forms = (0..20).map(|n| ann.upload(Form::new().file(&format!("{n}.txt"), b"")));
    let pieces = (0..10).map(|_| async { send(ann.creation(0)).await });
    let (forms, pieces) = tokio::join!(join_all(forms), join_all(pieces));
    let mut stored = 0;
    for answer in forms.into_iter().chain(pieces) {
        match answer.status {
            200 | 201 => stored += 1,
            status => drop(answer.refused(status, "too_many_stored_files")),
        }
    }
    assert_eq!((ann.usage().await["fileCount"].clone(), stored), (json!(7), 7));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn parts_are_no_files_until_they_are_joined(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_files_per_user = 1).await;
    let ann = app.ann();
    let mut parts = Vec::new();
    for _ in 0..3 {
        let answer = send(ann.creation(2).header("upload-concat", "partial")).await.expect(201);
        let url = tus::location(&answer);
        ann.append(&url, 0, b"ab").await.expect(204);
        parts.push(url);
    }
    let join = |parts: &[String]| {
        let concat = format!("final;{}", parts.join(" "));
        ann.tus(Method::POST, UPLOADS).header("upload-concat", concat)
    };
    send(join(&parts)).await.expect(201);
    assert_eq!(ann.usage().await["fileCount"], 1);
    send(ann.creation(2)).await.refused(413, "too_many_stored_files");
    app.finish().await;
}

/// A file's details, and whether a listing says that it left some out.
async fn listed(ann: &As<'_>) -> Value {
    ann.get("/api/files?q=song").await.expect(200).json()["files"][0].clone()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_said_about_a_file_has_a_bound_and_long_texts_stay_out_of_listings(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("song.txt", b"a").await;
    let path = format!("/api/files/{id}");
    assert_eq!(listed(&ann).await.get("truncatedFields"), None);
    let lyrics = "l\u{e4}".repeat(2000);
    let document = json!({ "text": "\\ \"".repeat(1000) });
    let long = json!({ "audioLyrics": lyrics, "aiMetadata": document, "audioKey": "C", "sceneLocation": "x".repeat(1024) });
    let whole = ann.patch(&path, long).await.expect(200).json()["file"].clone();
    assert_eq!((&whole["audioLyrics"], &whole["aiMetadata"]), (&json!(lyrics), &document));
    assert_eq!(ann.file(&id).await["audioLyrics"], lyrics.as_str());
    let seen = listed(&ann).await;
    assert_eq!(seen["truncatedFields"], json!(["aiMetadata", "audioLyrics"]));
    assert_eq!((&seen["audioLyrics"], &seen["aiMetadata"]), (&Value::Null, &json!({})));
    assert_eq!((&seen["audioKey"], &seen["sceneLocation"]), (&json!("C"), &json!("x".repeat(1024))));
    assert_eq!(seen["audioVocals"], false);
    let some =
        ann.get("/api/files?q=song&fields=audioLyrics,audioKey").await.expect(200).json()["files"][0].clone();
    let said = json!({ "audioLyrics": null, "audioKey": "C", "truncatedFields": ["audioLyrics"] });
    assert_eq!(some, said, "nobody takes it for a file without lyrics");
    let too_long = json!({ "voiceoverScript": "x".repeat(10_000) });
    let error = ann.patch(&path, too_long).await.refused(400, "invalid_body");
    assert!(error["error"].as_str().unwrap().contains("16384"), "{error}");
    for (field, bytes) in [("voiceoverScript", 16 * 1024 + 1), ("audioStyle", 4 * 1024 + 1)] {
        let error = ann.patch(&path, json!({ field: "x".repeat(bytes) })).await;
        assert_eq!(error.refused(400, "invalid_parameter")["parameter"], field);
    }
    let form = Form::new().field("aiMetadata", &json!({ "x": "y".repeat(16 * 1024) }).to_string());
    let error = ann.upload(form.file("b.txt", b"b")).await.refused(400, "invalid_parameter");
    assert_eq!(error["parameter"], "aiMetadata");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_text_from_before_the_bound_can_be_kept_and_shortened(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("song.txt", b"a").await;
    rows::lengthen_lyrics(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 60_000).await;
    assert_eq!(listed(&ann).await["truncatedFields"], json!(["audioLyrics"]));
    let path = format!("/api/files/{id}");
    ann.patch(&path, json!({ "originalName": "song 2.txt" })).await.expect(200);
    ann.patch(&path, json!({ "audioStyle": "more" })).await.refused(400, "invalid_body");
    ann.patch(&path, json!({ "audioStyle": "more", "audioLyrics": "less" })).await.expect(200);
    assert_eq!(listed(&ann).await.get("truncatedFields"), None);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_labels_of_a_file_weigh_little_however_they_are_written(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.txt", b"a").await;
    let wide = |from: usize| -> Vec<String> {
        (from..from + 32).map(|n| format!("{}{n}", "\u{1F3B5}".repeat(40))).collect()
    };
    let path = format!("/api/files/{id}/tags");
    ann.put(&path, json!({ "tags": wide(0) })).await.expect(200);
    let both = [wide(10), wide(40)].concat();
    let error = ann.put(&path, json!({ "tags": both })).await;
    error.expect(400);
    let adding = json!({ "action": "tag", "ids": [id], "tags": wide(40) });
    ann.post("/api/files/batch", adding).await;
    assert_eq!(ann.file(&id).await["tags"].as_array().unwrap().len(), 32, "nothing was added");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_fields_of_a_form_and_open_forms_have_a_bound(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_open_forms = 3).await;
    let fields = |count: usize| {
        let text = "x".repeat(60 * 1024);
        (0..count).fold(Form::new(), |form, n| form.field(&format!("note{n}"), &text)).file("a.txt", b"a")
    };
    app.ann().upload(fields(17)).await.expect(200);
    let error = app.ann().upload(fields(18)).await.refused(400, "invalid_body");
    assert!(error["error"].as_str().unwrap().contains("1 MB"), "{error}");
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::start_upload(&app, &token(ANN), 500, "").await;
        raw.send(b"------jam-test-3f9c1b\r\n").await.unwrap();
        open.push(raw);
    }
    let refused = crate::app::eventually("the open forms are known", async || {
        let answer = app.ann().upload(Form::new().file("b.txt", b"b")).await;
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(refused.await.refused(429, "too_many_uploads")["maxOpen"], 3);
    app.bob().store("a.txt", b"a").await;
    drop(open);
    crate::app::eventually("a form that was given up is forgotten", async || {
        let answer = app.ann().upload(Form::new().file("b.txt", b"b")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    app.finish().await;
}
