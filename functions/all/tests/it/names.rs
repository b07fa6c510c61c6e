//! Names of files in forms, in all the spellings that clients have for them, and names that are changed later.

use crate::app::media::{jpeg, png};
use crate::app::{As, Form, TestApp, send, tus};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

async fn stored(ann: &As<'_>, form: Form) -> Value {
    ann.upload(form).await.expect(200).json()["files"][0]["originalName"].clone()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_name_is_understood_in_every_spelling_that_clients_have(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let dispositions = [
        ("form-data; name=\"files\"; filename*=UTF-8''na%C3%AFve%20%F0%9F%8E%AC.txt", "naïve 🎬.txt"),
        (
            "form-data; name=\"files\"; filename=\"x.txt\"; filename*=utf-8''%E5%86%99%E7%9C%9F.txt",
            "写真.txt",
        ),
        ("form-data; name=\"files\"; filename=\"Mein%20Foto%20%C3%BC.txt\"", "Mein Foto ü.txt"),
        ("form-data; name=\"files\"; filename=\"100%25.txt\"", "100%25.txt"),
        ("Form-Data; Name=files; FileName=a.txt", "a.txt"),
        ("form-data; name=\"files\"; filename=\"summer/day 1/a.txt\"", "a.txt"),
        ("form-data; name=\"files\"; filename=\"summer%2Fday%201%2Fa.txt\"", "a.txt"),
    ];
    for (disposition, name) in dispositions {
        assert_eq!(stored(&app.ann(), Form::new().part(disposition, b"text")).await, name, "{disposition}");
    }
    let folded = b"content-disposition: form-data;\r\n name=\"files\";\r\n\tfilename=\"folded.txt\"";
    assert_eq!(stored(&app.ann(), Form::new().raw_part(folded, b"text")).await, "folded.txt");
    let legacy = b"Content-Disposition: form-data; name=\"files\"; filename=\"Gr\xFC\xDFe.txt\"";
    assert_eq!(stored(&app.ann(), Form::new().raw_part(legacy, b"text")).await, "Grüße.txt");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_of_an_uploaded_folder_keeps_its_path(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    // Browsers send `webkitRelativePath` as the name, Uppy and others as a field.
    let form = Form::new()
        .file("photos/2024/a.txt", b"a")
        .file("b.txt", b"b")
        .file("photos/c.txt", b"c")
        .field("relativePath", "null")
        .field("relativePath", "photos/2025/b.txt");
    let answer = ann.upload(form).await.expect(200).json();
    let seen: Vec<_> =
        (0..3).map(|n| (&answer["files"][n]["originalName"], &answer["files"][n]["relativePath"])).collect();
    let expected =
        [("a.txt", "photos/2024/a.txt"), ("b.txt", "photos/2025/b.txt"), ("c.txt", "photos/c.txt")];
    for ((name, path), expected) in seen.into_iter().zip(expected) {
        assert_eq!((name.as_str(), path.as_str()), (Some(expected.0), Some(expected.1)));
    }
    let pairs = [("filename", "d.txt"), ("relativePath", "photos/caf\u{e9}/d.txt")];
    let creation = ann.creation(1).header("upload-metadata", tus::metadata(&pairs));
    let url = tus::location(&send(creation).await.expect(201));
    let done = ann.append(&url, 0, b"d").await.expect(204);
    let id = done.header("upload-file-id").unwrap().to_owned();
    assert_eq!(ann.file(&id).await["relativePath"], "photos/caf\u{e9}/d.txt");
    let moved = ann.patch(&format!("/api/files/{id}"), json!({ "relativePath": "../x/d.txt" })).await;
    assert_eq!(moved.expect(200).json()["file"]["relativePath"], "x/d.txt");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_browsers_percent_signs_stay_what_they_are(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for boundary in ["----WebKitFormBoundary7MA4YWxkTrZu0gW", "----geckoformboundary19d2e"] {
        let form = Form::new().part("form-data; name=\"files\"; filename=\"a%20b %22c%22.txt\"", b"text");
        let request = app.ann().request(Method::POST, "/api/files/upload");
        let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}"));
        let answer = send(request.body(form.into_body_with(boundary))).await.expect(200).json();
        assert_eq!(answer["files"][0]["originalName"], "a%20b \"c\".txt");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_with_a_type_and_no_name_gets_one_by_its_content(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let head = b"Content-Disposition: form-data; name=\"files\"\r\nContent-Type: image/png";
    let form = Form::new().raw_part(head, &jpeg(30, 20)).raw_part(head, &png(400, 300)).field("tags", "[]");
    let answer = app.ann().upload(form).await.expect(200).json();
    let names: Vec<&Value> =
        answer["files"].as_array().unwrap().iter().map(|file| &file["originalName"]).collect();
    assert_eq!(names, ["untitled.jpg", "untitled.png"]);
    // Without a type it is a field like any other, and the refusal says what is missing.
    let bare = Form::new().part("form-data; name=\"files\"", &png(3, 3));
    let error = app.ann().upload(bare).await.refused(400, "invalid_body");
    let text = error["error"].as_str().unwrap();
    assert!(text.contains("the field files") && text.contains("filename or a Content-Type"), "{text}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn joiners_stay_in_names_and_what_nobody_sees_goes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let names = [
        "👨\u{200D}👩\u{200D}👧.txt",
        "می\u{200C}خواهم.txt",
        "क\u{094D}\u{200D}ष.txt",
        "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}.txt",
    ];
    let id = app.ann().store_id("a.txt", b"text").await;
    let path = format!("/api/files/{id}");
    for name in names {
        assert_eq!(app.ann().store(name, b"text").await["originalName"], name);
        app.ann().patch(&path, json!({ "originalName": name })).await.expect(200);
        assert_eq!(app.ann().file(&id).await["originalName"], name);
    }
    for (hidden, kept) in [
        ("a\u{2028}b\u{2029}.txt", "ab.txt"),
        ("a\u{E0061}\u{E0062}.txt", "a.txt"),
        ("a\u{200D}b.txt", "ab.txt"),
        ("a\u{202E}txt.exe", "atxt.exe"),
    ] {
        assert_eq!(app.ann().store(hidden, b"text").await["originalName"], kept);
        let error =
            app.ann().patch(&path, json!({ "originalName": hidden })).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], "originalName");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_boundary_needs_no_quotes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for boundary in ["----=_Part_1_2.3", "a/b:c(d)e?f", "=====x=====", "--'+_,-./:=?"] {
        for sent in [boundary.to_owned(), format!("\"{boundary}\""), format!("{boundary}; charset=utf-8")] {
            let body = Form::new().file("a.txt", b"text").into_body_with(boundary);
            let request = app.ann().request(Method::POST, "/api/files/upload");
            let request = request.header("content-type", format!("multipart/form-data; boundary={sent}"));
            assert_eq!(
                send(request.body(body)).await.expect(200).json()["files"][0]["fileSize"],
                4,
                "{sent}"
            );
        }
    }
    app.finish().await;
}
