//! Thumbnails: made once, when they are first asked for or before; upright, in named sizes, or failed for a reason.

use crate::app::media::{MP3, MP4, jpeg, png, upright_jpeg};
use crate::app::{ANN, Answer, TestApp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use image::{DynamicImage, GenericImageView as _};
use serde_json::{Value, json};
use sqlx::PgPool;

fn decode(answer: &Answer) -> DynamicImage {
    image::load_from_memory(&answer.body).unwrap()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail_is_made_on_request_without_a_worker(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (name, content) in
        [("a.png", &png(800, 600)), ("b.jpg", &jpeg(800, 600)), ("c.mp4", &MP4), ("d.mp3", &MP3)]
    {
        let id = app.ann().store_id(name, content).await;
        let answer = app.ann().get(&format!("/api/files/{id}/thumbnail")).await.expect(200);
        let thumbnail = decode(&answer);
        assert_eq!((thumbnail.width(), thumbnail.height()), (400, 225), "{name}");
        assert_eq!(answer.header("content-type"), Some("image/webp"));
        let file = app.ann().file(&id).await;
        assert_eq!(file["derivatives"][0]["state"], "ready", "{name}");
        assert_eq!(file["thumbnailPath"], format!("{ANN}/thumbnails/{id}.default.webp"));
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_worker_makes_the_thumbnail_that_lists_show(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(800, 600)).await;
    assert_eq!(app.ann().file(&id).await["derivatives"][0]["state"], "pending");
    app.run_jobs_in_queue().await;
    let file = app.ann().file(&id).await;
    let derivative = &file["derivatives"][0];
    assert_eq!((&derivative["kind"], &derivative["state"]), (&json!("default"), &json!("ready")));
    app.nobody().get(derivative["url"].as_str().unwrap()).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_file_with_a_thumbnail_has_a_thumbhash(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (name, content) in
        [("a.png", &png(800, 600)), ("b.jpg", &jpeg(800, 600)), ("c.mp4", &MP4), ("d.mp3", &MP3)]
    {
        let file = app.ann().store(name, content).await;
        assert_eq!(file["thumbhash"], Value::Null, "{name}");
    }
    let text = app.ann().store("e.txt", b"text").await;
    app.run_jobs_in_queue().await;
    let listing = app.ann().get("/api/files").await.expect(200).json();
    for file in listing["files"].as_array().unwrap() {
        if file["id"] == text["id"] {
            assert_eq!(file["thumbhash"], Value::Null);
            continue;
        }
        let hash = STANDARD.decode(file["thumbhash"].as_str().unwrap()).unwrap();
        assert!((10..=30).contains(&hash.len()), "{} bytes of {}", hash.len(), file["fileName"]);
        assert_eq!(app.ann().file(file["id"].as_str().unwrap()).await["thumbhash"], file["thumbhash"]);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_photo_of_a_telephone_held_upright_is_upright(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.jpg", &upright_jpeg(300, 400)).await;
    assert_eq!(app.ann().file(&id).await["resolution"], "300x400");
    let thumbnail =
        decode(&app.ann().get(&format!("/api/files/{id}/thumbnail?size=small")).await.expect(200));
    assert_eq!((thumbnail.width(), thumbnail.height()), (192, 256));
    let [red, _, blue, _] = thumbnail.get_pixel(96, 20).0;
    assert!(red > 150 && blue < 100, "the upper half is red: {red} {blue}");
    let [red, _, blue, _] = thumbnail.get_pixel(96, 236).0;
    assert!(red < 100 && blue > 150, "the lower half is blue: {red} {blue}");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn forty_requests_at_once_share_one_thumbnail(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(1200, 900)).await;
    let id = file["id"].as_str().unwrap();
    let ann = app.ann();
    let path = format!("/api/files/{id}/thumbnail?size=medium");
    let answers = join_all((0..40).map(|_| ann.get(&path))).await;
    let etags: Vec<_> =
        answers.into_iter().map(|answer| answer.expect(200).header("etag").unwrap().to_owned()).collect();
    assert!(etags.iter().all(|etag| *etag == etags[0]), "{etags:?}");
    assert_eq!(app.blobs_of(ANN).iter().filter(|path| path.contains(".medium.")).count(), 1);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_that_takes_no_webp_is_given_jpeg(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(800, 600)).await;
    let path = format!("/api/files/{id}/thumbnail");
    let formats = [
        ("image/avif,image/webp,*/*", "image/webp"),
        ("*/*", "image/webp"),
        ("image/*", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("image/png, image/jpeg;q=0.8", "image/jpeg"),
        ("image/webp;q=0, */*", "image/jpeg"),
        ("image/avif", "image/jpeg"),
        ("text/html", "image/jpeg"),
    ];
    for (accept, mime_type) in formats {
        let answer = app.ann().get_with(&path, "accept", accept).await.expect(200);
        assert_eq!(answer.header("content-type"), Some(mime_type), "{accept}");
        assert!(answer.header_values("vary").contains(&"Accept"));
        assert_eq!(decode(&answer).width(), 400);
    }
    assert_eq!(
        app.ann().file(&id).await["derivatives"].as_array().unwrap().len(),
        1,
        "formats are nobody's business"
    );
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn sizes_have_names(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(600, 1200)).await;
    for (query, expected) in [
        ("", (400, 225)),
        ("?size=small", (128, 256)),
        ("?size=medium", (320, 640)),
        ("?size=large", (600, 1200)),
    ] {
        let thumbnail =
            decode(&app.ann().get(&format!("/api/files/{id}/thumbnail{query}")).await.expect(200));
        assert_eq!((thumbnail.width(), thumbnail.height()), expected, "{query}");
    }
    let error = app.ann().get(&format!("/api/files/{id}/thumbnail?size=4000x4000")).await;
    assert_eq!(error.refused(400, "invalid_parameter")["parameter"], "size");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail_that_the_client_has_is_not_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/thumbnail", app.ann().store_id("a.png", &png(800, 600)).await);
    let answer = app.ann().get(&path).await.expect(200);
    let etag = answer.header("etag").unwrap();
    app.ann().get_with(&path, "if-none-match", etag).await.expect(304);
    let head = app.ann().head(&path).await.expect(200);
    assert_eq!(
        (head.header("etag"), head.header("content-length")),
        (Some(etag), answer.header("content-length"))
    );
    let small = app.ann().get(&format!("{path}?size=small")).await.expect(200);
    assert_ne!(small.header("etag"), Some(etag));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_damaged_image_has_a_reason_instead_of_a_thumbnail(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut content = png(800, 600);
    let length = content.len();
    content[60..length - 20].fill(0);
    let id = app.ann().store_id("a.png", &content).await;
    let path = format!("/api/files/{id}/thumbnail");
    let first = app.ann().get(&path).await.refused(404, "thumbnail_unavailable");
    assert!(first["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{first}");
    assert_eq!(app.ann().get(&path).await.refused(404, "thumbnail_unavailable")["reason"], first["reason"]);
    app.run_jobs_in_queue().await;
    let file = app.ann().file(&id).await;
    let derivative = &file["derivatives"][0];
    assert_eq!((&derivative["state"], &derivative["error"]), (&json!("failed"), &first["reason"]));
    assert_eq!(
        (&derivative["url"], &file["thumbnailUrl"], &file["thumbnailPath"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(app.ann().get(&format!("/api/files/{id}/download")).await.expect(200).body, content);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_image_with_too_many_pixels_is_stored_and_not_decoded(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut content = png(8, 8);
    // IHDR: width and height at 16, its checksum at 29.
    content[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let checksum = crc32(&content[12..29]).to_be_bytes();
    content[29..33].copy_from_slice(&checksum);
    let file = app.ann().store("bomb.png", &content).await;
    assert_eq!(file["resolution"], "30000x30000");
    let path = format!("/api/files/{}/thumbnail", file["id"].as_str().unwrap());
    let error = app.ann().get(&path).await.refused(404, "thumbnail_unavailable");
    assert!(error["reason"].as_str().unwrap().contains("megapixels"), "{error}");
    app.finish().await;
}

/// The checksum of a PNG chunk (ISO 15948, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_text_has_no_thumbnail(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("project.json", b"{\"scenes\": []}").await;
    assert_eq!((&file["derivatives"], &file["thumbnailUrl"]), (&json!([]), &Value::Null));
    let path = format!("/api/files/{}/thumbnail", file["id"].as_str().unwrap());
    let error = app.ann().get(&path).await.refused(404, "thumbnail_unavailable");
    assert_eq!(error["reason"], "files of this type have no thumbnail");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn thumbnails_are_removed_with_their_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(800, 600)).await;
    let path = format!("/api/files/{id}/thumbnail");
    for query in ["", "?size=small"] {
        app.ann().get(&format!("{path}{query}")).await.expect(200);
    }
    app.ann().get_with(&path, "accept", "image/jpeg").await.expect(200);
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    app.run_jobs_in_queue().await;
    assert!(app.blobs_of(ANN).is_empty());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_drawing_is_kept_as_an_image_and_never_served_in_place(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let rectangle = "<rect width='160' height='90' fill='#f00'/><script>alert(1)</script>";
    let drawing = format!("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 160 90'>{rectangle}</svg>");
    let file = app.ann().store("a.svg", drawing.as_bytes()).await;
    assert_eq!(
        [&file["fileType"], &file["mimeType"], &file["width"], &file["height"]],
        [&json!("image"), &json!("image/svg+xml"), &json!(160), &json!(90)]
    );
    let id = file["id"].as_str().unwrap();
    let thumbnail = decode(&app.ann().get(&format!("/api/files/{id}/thumbnail")).await.expect(200));
    assert_eq!((thumbnail.width(), thumbnail.height()), (400, 225));
    let [red, green, blue, alpha] = thumbnail.to_rgba8().get_pixel(200, 100).0;
    assert!(red > 250 && green < 5 && blue < 5 && alpha == 255, "red, but for what the coding loses");
    let answer = app.ann().get(&format!("/api/files/{id}/download")).await.expect(200);
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    assert_eq!(answer.body, drawing.as_bytes());
    app.ann().get(&format!("/api/files/{id}/stream")).await.refused(400, "not_streamable");
    app.finish().await;
}
