//! Forms that are no proper upload: each is refused with a reason, and nothing of it is stored.

use crate::app::media::png;
use crate::app::tus::BYTES;
use crate::app::{Form, TestApp, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_field_once_is_every_files_and_more_often_goes_by_position(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new()
        .field("audioStyle", "jazz")
        .field("packageName", "first")
        .field("tags", r#"["old"]"#)
        .file("a.txt", b"a")
        .field("packageName", "")
        .field("tags", r#"["new"]"#)
        .file("b.txt", b"b")
        .field("packageName", "third")
        .file("c.txt", b"c")
        .file("d.txt", b"d");
    let answer = app.ann().upload(form).await.expect(200).json();
    let said: Vec<_> = answer["files"].as_array().unwrap().iter().map(|file| &file["packageName"]).collect();
    assert_eq!(said, [&json!("first"), &json!(null), &json!("third"), &json!(null)]);
    for file in answer["files"].as_array().unwrap() {
        assert_eq!((&file["tags"], &file["audioStyle"]), (&json!(["new"]), &json!("jazz")));
    }
    let wrong = Form::new().field("audioTempo", "1").field("audioTempo", "fast").file("a.txt", b"a");
    app.ann().upload(wrong.clone()).await.expect(200);
    let refused = app.ann().upload(wrong.file("b.txt", b"b")).await.refused(400, "invalid_parameter");
    assert_eq!(refused["parameter"], "audioTempo");
    let car = Form::new().field("fileType", "car").file("a.txt", b"a");
    let refused = app.ann().upload(car).await.refused(400, "invalid_parameter");
    assert!(refused["error"].as_str().unwrap().contains("\"car\" was sent, expected video"), "{refused}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_without_a_file_is_no_upload(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().upload(Form::new()).await.refused(400, "no_files");
    app.ann().upload(Form::new().field("tags", "[]")).await.refused(400, "no_files");
    // What a browser sends for a file input that nobody filled in.
    app.ann().upload(Form::new().file("", b"")).await.refused(400, "no_files");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_in_a_part_of_another_name_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new().part("form-data; name=\"photo\"; filename=\"a.png\"", &png(1, 1));
    let error = app.ann().upload(form).await.refused(400, "invalid_body");
    assert!(error["error"].as_str().unwrap().contains("files"), "{error}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn more_files_than_allowed_are_refused_all_together(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_files_per_upload = 2).await;
    let two = Form::new().file("a.txt", b"a").file("b.txt", b"b");
    app.ann().upload(two.clone()).await.expect(200);
    let error = app.ann().upload(two.file("c.txt", b"c")).await.refused(400, "too_many_files");
    assert_eq!(error["maxFiles"], 2);
    assert_eq!(app.ann().usage().await["fileCount"], 2);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_field_that_does_not_fit_is_named_and_nothing_is_stored(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let labels = json!(vec!["x".repeat(65)]).to_string();
    let document = json!({ "text": "x".repeat(64 * 1024) }).to_string();
    let wrong = [
        ("tags", "a, b"),
        ("tags", r#"{"a": 1}"#),
        ("usageTags", labels.as_str()),
        ("characterNames", "[1]"),
        ("assetCategory", "hologram"),
        ("audioCategory", "Jingle"),
        ("voiceoverType", "robot"),
        ("audioDurationSeconds", "NaN"),
        ("audioDurationSeconds", "-1"),
        ("audioVocals", "maybe"),
        ("aiMetadata", "[]"),
    ];
    for (name, text) in wrong {
        for form in [
            Form::new().field(name, text).file("a.png", &png(1, 1)),
            Form::new().file("a.png", &png(1, 1)).field(name, text),
        ] {
            let error = app.ann().upload(form).await.refused(400, "invalid_parameter");
            assert_eq!(error["parameter"], name, "{text}");
        }
    }
    let too_long = Form::new().field("aiMetadata", &document).file("a.png", &png(1, 1));
    app.ann().upload(too_long).await.refused(413, "body_too_large");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn text_that_cannot_be_kept_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let nul = Form::new().field("packageName", "a\0b").file("a.png", &png(1, 1));
    app.ann().upload(nul).await.refused(400, "invalid_body");
    let escaped = Form::new().field("aiMetadata", r#"{"a": "\u0000"}"#).file("a.png", &png(1, 1));
    app.ann().upload(escaped).await.refused(400, "invalid_parameter");
    let latin = Form::new().part("form-data; name=\"packageName\"", b"Gr\xFC\xDFe").file("a.png", &png(1, 1));
    app.ann().upload(latin).await.refused(400, "invalid_body");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_body_of_another_kind_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content_types = [
        (415, "unsupported_content_type", "application/json"),
        (415, "unsupported_content_type", "application/x-www-form-urlencoded"),
        (400, "invalid_body", "multipart/form-data"),
    ];
    for (status, code, content_type) in content_types {
        let request =
            app.ann().request(Method::POST, "/api/files/upload").header("content-type", content_type);
        send(request.body(Form::new().file("a.png", &png(1, 1)).into_body())).await.refused(status, code);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn malformed_parts_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let many_parts = (0..100_000).fold(Form::new(), |form, _| form.field("a", ""));
    let malformed = [
        Form::new().part("attachment; name=\"files\"; filename=\"a.txt\"", b"x"),
        Form::new().part("form-data; filename=\"a.txt\"", b"x"),
        Form::new().part("form-data; name=\"files; filename=a", b"x"),
        Form::new().part(&format!("form-data; name=\"{}\"", "a".repeat(20_000)), b"x"),
        many_parts,
    ];
    for form in malformed {
        app.ann().upload(form).await.refused(400, "invalid_body");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_field_that_is_too_long_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = Form::new().field("voiceoverScript", &"x".repeat(64 * 1024 + 1)).file("a.png", &png(1, 1));
    let error = app.ann().upload(form).await.refused(413, "body_too_large");
    assert_eq!(error["maxBytes"], 64 * 1024);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_that_cannot_be_read_is_told_why(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let wrong = [
        (Form::new().part("attachment; name=\"files\"; filename=\"a.txt\"", b"x"), "not form-data"),
        (Form::new().part("form-data; filename=\"a.txt\"", b"x"), "no name"),
        (Form::new().part("form-data; name=\"files; filename=a", b"x"), "quotes"),
        (Form::new().raw_part(b"Content-Type: image/png", b"x"), "no Content-Disposition"),
        (Form::new().raw_part(b"Content-Disposition: form-data; name=\"a\"\nX-A: 1", b"x"), "CRLF"),
        (
            Form::new().raw_part(
                b"Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\nContent-Transfer-Encoding: base64",
                b"eA==",
            ),
            "Content-Transfer-Encoding",
        ),
    ];
    for (form, reason) in wrong {
        let error = app.ann().upload(form).await.refused(400, "invalid_body");
        assert!(error["error"].as_str().unwrap().contains(reason), "{error}");
    }
    let body = Form::new().file("a.txt", b"x").into_body();
    let lines = String::from_utf8(body).unwrap().replace("\r\n", "\n");
    let request = app.ann().request(Method::POST, "/api/files/upload");
    let error = send(request.header("content-type", Form::CONTENT_TYPE).body(lines))
        .await
        .refused(400, "invalid_body");
    assert!(error["error"].as_str().unwrap().contains("CRLF"), "{error}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_compressed_body_is_refused_and_never_kept_as_a_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let url = ann.create("a.bin", 4).await;
    let form = || {
        let request =
            ann.request(Method::POST, "/api/files/upload").header("content-type", Form::CONTENT_TYPE);
        request.body(Form::new().file("a.txt", b"text").into_body())
    };
    let json = || ann.request(Method::POST, "/api/storage/initialize").json(&json!({}));
    let creation = || ann.creation(4).header("content-type", BYTES).body("text");
    for coding in ["gzip", "br", "identity, gzip"] {
        for request in [form(), json(), creation(), ann.piece(&url, 0, b"text")] {
            let answer = send(request.header("content-encoding", coding)).await;
            assert_eq!(answer.header("accept-encoding"), Some("identity"));
            answer.refused(415, "unsupported_encoding");
        }
    }
    assert_eq!(ann.offset(&url).await, 0);
    send(form().header("content-encoding", "identity")).await.expect(200);
    send(ann.piece(&url, 0, b"text").header("content-encoding", "Identity")).await.expect(204);
    app.finish().await;
}
