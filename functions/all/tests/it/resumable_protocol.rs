//! The letter of tus 1.0: every header and every refusal, as clients in the wild read them.

use crate::app::media::bytes;
use crate::app::tus::{BYTES, UPLOADS, location, metadata, offset, piece_head};
use crate::app::{ANN, ORIGIN, Raw, TestApp, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

const NEVER_WAS: &str = "/api/uploads/019a0000-0000-7000-8000-000000000000-0123456789abcdef0123456789abcdef";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_service_says_what_it_can(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for target in [UPLOADS, NEVER_WAS] {
        let answer =
            send(app.nobody().request(Method::OPTIONS, target).header("origin", ORIGIN)).await.expect(204);
        assert_eq!(
            (answer.header("tus-resumable"), answer.header("tus-version")),
            (Some("1.0.0"), Some("1.0.0"))
        );
        let extensions = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation";
        assert_eq!(answer.header("tus-extension"), Some(extensions));
        assert_eq!(answer.header("tus-max-size"), Some("2147483648"));
        assert_eq!(answer.header("tus-checksum-algorithm"), Some("sha1,sha256"));
        assert_eq!(answer.header("upload-limit"), Some("max-size=2147483648, max-age=86400"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("PATCH") && methods.contains("HEAD"), "{methods}");
        assert!(answer.header("access-control-allow-headers").unwrap().contains("Upload-Offset"));
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_answers_with_a_relative_url_and_an_expiry(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = send(app.ann().creation(10).header("origin", ORIGIN)).await.expect(201);
    let url = location(&answer);
    assert!(url.starts_with("/api/uploads/") && url.len() == "/api/uploads/".len() + 36 + 1 + 32, "{url}");
    assert!(answer.header("upload-expires").unwrap().ends_with(" GMT"));
    assert_eq!(answer.header("upload-limit"), Some("max-size=2147483648, max-age=86400"));
    assert_eq!((answer.header("upload-offset"), answer.header("upload-file-id")), (None, None));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    let exposed: Vec<&str> = exposed.split(", ").collect();
    for name in "Accept-Ranges Content-Disposition Content-Range ETag Location Retry-After Tus-Checksum-Algorithm \
                 Tus-Extension Tus-Max-Size Tus-Resumable Tus-Version Upload-Concat Upload-Defer-Length Upload-Expires \
                 Upload-File-Id Upload-Length Upload-Limit Upload-Metadata Upload-Offset X-Request-Id"
        .split_whitespace()
    {
        assert!(exposed.contains(&name), "{name}");
    }
    let asked = app.nobody().look_up(&url).await.expect(200);
    assert_eq!((offset(&asked), asked.header("upload-length")), (0, Some("10")));
    assert_eq!((asked.header("cache-control"), asked.header("upload-metadata")), (Some("no-store"), None));
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_public_address_comes_before_the_url(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.public_base_url = "https://files.example.com".to_owned()).await;
    let url = location(&send(app.ann().creation(0)).await.expect(201));
    assert!(url.starts_with("https://files.example.com/api/uploads/"), "{url}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_that_cannot_be_read_is_refused_without_a_url(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let wrong: &[&[(&str, &str)]] = &[
        &[],
        &[("upload-length", "-1")],
        &[("upload-length", "ten")],
        &[("upload-length", "99999999999999999999")],
        &[("upload-length", "5"), ("upload-defer-length", "1")],
        &[("upload-defer-length", "2")],
        &[("upload-length", "5"), ("upload-length", "5")],
        &[("upload-length", "5"), ("upload-metadata", "filename %%%")],
        &[("upload-length", "5"), ("upload-metadata", "a YQ==,a YQ==")],
        &[("upload-length", "5"), ("upload-concat", "both")],
        &[("upload-length", "5"), ("upload-concat", "final;/api/uploads/x")],
        &[("upload-length", "5"), ("repr-digest", "sha-256=:short:")],
        &[("upload-length", "5"), ("idempotency-key", "")],
    ];
    for headers in wrong {
        let mut request = app.ann().tus(Method::POST, UPLOADS);
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let answer = send(request.header("origin", ORIGIN)).await;
        assert_eq!((answer.header("location"), answer.header("tus-resumable")), (None, Some("1.0.0")));
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        answer.refused(400, "invalid_parameter");
    }
    let endless = metadata(&[("filename", &"x".repeat(4000))]);
    let request = app.ann().creation(5).header("upload-metadata", endless);
    assert_eq!(send(request).await.refused(400, "invalid_parameter")["parameter"], "Upload-Metadata");
    let car = app.ann().creation(5).header("upload-metadata", metadata(&[("fileType", "car")]));
    assert_eq!(send(car).await.refused(400, "invalid_parameter")["parameter"], "Upload-Metadata");
    let typed = app.ann().creation(5).header("content-type", "text/plain").body("12345");
    send(typed).await.refused(415, "unsupported_content_type");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn another_version_is_told_which_one_is_spoken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 5).await;
    for method in [Method::POST, Method::HEAD, Method::PATCH, Method::DELETE] {
        let target = if method == Method::POST { UPLOADS } else { &url };
        for version in [None, Some("0.2.2"), Some("1.0.1")] {
            let mut request = app.ann().request(method.clone(), target).header("upload-length", "5");
            if let Some(version) = version {
                request = request.header("tus-resumable", version);
            }
            let answer = send(request).await.expect(412);
            assert_eq!(
                (answer.header("tus-version"), answer.header("tus-resumable")),
                (Some("1.0.0"), Some("1.0.0"))
            );
        }
    }
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_is_for_whoever_knows_its_secret_or_owns_it_and_for_nobody_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 5).await;
    let id_alone = url.split_at(url.len() - 33).0;
    let guessed = format!("{id_alone}-{}", "0".repeat(32));
    for target in [id_alone, &guessed, NEVER_WAS, "/api/uploads/not-an-upload"] {
        app.bob().look_up(target).await.expect(404);
        app.bob().append(target, 0, b"12345").await.refused(404, "not_found");
        app.bob().get(target).await.refused(404, "not_found");
        app.bob().cancel(target).await.refused(404, "not_found");
    }
    for target in [id_alone, "/api/uploads/not-an-upload"] {
        app.nobody().look_up(target).await.expect(401);
        let refused = app.nobody().append(target, 0, b"12345").await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        refused.refused(401, "unauthenticated");
    }
    app.nobody().look_up(&guessed).await.expect(404);
    app.nobody().get(UPLOADS).await.refused(401, "unauthenticated");
    send(app.nobody().creation(5)).await.refused(401, "unauthenticated");
    app.nobody().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_piece_that_does_not_fit_is_refused_with_the_true_offset(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let url = ann.create("a.txt", 10).await;
    ann.append(&url, 0, b"1234").await.expect(204);
    for wrong in [0, 3, 5, 10, 1_000_000] {
        let answer = ann.append(&url, wrong, b"5").await;
        assert_eq!(offset(&answer), 4, "{wrong}");
        assert_eq!(answer.refused(409, "offset_mismatch")["uploadOffset"], 4);
    }
    assert_eq!(ann.append(&url, 4, b"5678901").await.refused(413, "upload_too_long")["uploadLength"], 10);
    let untyped = ann.tus(Method::PATCH, &url).header("upload-offset", 4).body("5");
    send(untyped).await.refused(415, "unsupported_content_type");
    let nowhere = ann.tus(Method::PATCH, &url).header("content-type", BYTES).body("5");
    assert_eq!(send(nowhere).await.refused(400, "invalid_parameter")["parameter"], "Upload-Offset");
    let odd = ann.tus(Method::PATCH, &url).header("content-type", BYTES).header("upload-offset", "4.0");
    send(odd.body("5")).await.refused(400, "invalid_parameter");
    assert_eq!(ann.offset(&url).await, 4);
    ann.cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn more_bytes_than_announced_end_at_the_announced_length(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 10).await;
    let chunks: Vec<std::io::Result<Vec<u8>>> = vec![Ok(b"12345".to_vec()), Ok(b"678901".to_vec())];
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let request = app.ann().tus(Method::PATCH, &url).header("content-type", BYTES).header("upload-offset", 0);
    send(request.body(body)).await.refused(413, "upload_too_long");
    assert!(app.ann().offset(&url).await <= 5);
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn content_that_may_not_be_stored_ends_its_upload(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let page = b"<!DOCTYPE html><html><script>alert(1)</script></html>";
    let url = app.ann().create("a.html", page.len()).await;
    app.ann().append(&url, 0, page).await.refused(415, "type_refused");
    app.ann().look_up(&url).await.expect(410);
    let declared = metadata(&[("filename", "a.png"), ("fileType", "image")]);
    let url = location(&send(app.ann().creation(4).header("upload-metadata", declared)).await.expect(201));
    app.ann().append(&url, 0, b"text").await.refused(415, "type_mismatch");
    // Of a large one the beginning is enough.
    let url = app.ann().create("a.html", 1_000_000).await;
    let beginning = page.repeat(100);
    app.ann().append(&url, 0, &beginning).await.refused(415, "type_refused");
    app.ann().look_up(&url).await.expect(410);
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    assert_eq!(app.blobs_of(ANN), Vec::<String>::new());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_method_may_come_in_a_header(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 4).await;
    let instead =
        |method: &str| app.nobody().tus(Method::POST, &url).header("x-http-method-override", method);
    let piece = instead("PATCH").header("content-type", BYTES).header("upload-offset", 0).body("so");
    assert_eq!(offset(&send(piece).await.expect(204)), 2);
    assert_eq!(offset(&send(instead("HEAD")).await.expect(200)), 2);
    send(instead("PUT")).await.refused(405, "method_not_allowed");
    send(instead("DELETE")).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refused_body_is_read_so_that_its_sender_hears_why(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 5_000_000).await;
    let content = bytes(1, 5_000_000);
    let mut raw = Raw::connect(&app, &Method::PATCH, &url).await;
    raw.send(piece_head(&url, 7, content.len()).as_bytes()).await.unwrap();
    raw.send(&content).await.unwrap();
    assert_eq!(offset(&raw.answer().await), 0);
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whoever_asks_before_sending_is_told_to_go_on_or_why_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 4).await;
    let asking = |offset| piece_head(&url, offset, 4).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let mut wrong = Raw::connect(&app, &Method::PATCH, &url).await;
    wrong.send(asking(2).as_bytes()).await.unwrap();
    wrong.answer().await.refused(409, "offset_mismatch");
    let mut right = Raw::connect(&app, &Method::PATCH, &url).await;
    right.send(asking(0).as_bytes()).await.unwrap();
    right.answer().await.expect(100);
    right.send(b"text").await.unwrap();
    right.answer().await.expect(204);
    app.finish().await;
}
