//! Signed URLs: they work without a token for exactly what they were made for, until they expire or are revoked.

use crate::app::media::{MP4, png};
use crate::app::{ANN, TestApp, send};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::Duration;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_urls_of_a_files_json_work_without_a_token(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let video = app.ann().store("a.mp4", &MP4).await;
    let get = async |name: &str| app.nobody().get(video[name].as_str().unwrap()).await.expect(200);
    let download = get("downloadUrl").await;
    assert_eq!(download.body, &**MP4);
    assert!(download.header("content-disposition").unwrap().starts_with("attachment"));
    let stream = get("streamUrl").await;
    assert!(stream.header("content-disposition").unwrap().starts_with("inline"));
    let max_age: u32 =
        stream.header("cache-control").unwrap().strip_prefix("private, max-age=").unwrap().parse().unwrap();
    assert!((11 * 3600..=12 * 3600).contains(&max_age), "{max_age}");
    let thumbnail = get("thumbnailUrl").await;
    assert_eq!(thumbnail.header("content-type"), Some("image/webp"));
    assert!(thumbnail.header("cache-control").unwrap().ends_with(", immutable"));
    let seek = app
        .nobody()
        .get_with(video["streamUrl"].as_str().unwrap(), "range", "bytes=100-199")
        .await
        .expect(206);
    assert_eq!(seek.body, MP4[100..200]);
    assert_eq!(app.nobody().head(video["streamUrl"].as_str().unwrap()).await.expect(200).body, "");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn urls_stay_the_same_within_a_quarter_of_an_hour(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    // Whatever the time is, it is at the start of a quarter now.
    let into_quarter = app.app.clock.unix_seconds().rem_euclid(900);
    app.app.clock.advance(Duration::seconds(901 - into_quarter));
    let first = app.ann().file(&id).await["downloadUrl"].clone();
    app.app.clock.advance(Duration::minutes(14));
    assert_eq!(app.ann().file(&id).await["downloadUrl"], first);
    app.app.clock.advance(Duration::minutes(2));
    assert_ne!(app.ann().file(&id).await["downloadUrl"], first);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_url_expires(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    let made = make(&app, &id, json!({ "purpose": "download", "expiresIn": 60 })).await;
    let url = made["url"].as_str().unwrap();
    app.nobody().get(url).await.expect(200);
    app.app.clock.advance(Duration::minutes(16));
    app.nobody().get(url).await.refused(403, "bad_signature");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn no_url_outlives_what_its_purpose_needs(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    for (purpose, hours) in [("thumbnail", 1), ("stream", 12), ("download", 12)] {
        for asked in [json!(u64::MAX), json!(null)] {
            let made = make(&app, &id, json!({ "purpose": purpose, "expiresIn": asked })).await;
            let expires_at = made["expiresAt"].as_str().unwrap();
            let format = &time::format_description::well_known::Rfc3339;
            let left = time::OffsetDateTime::parse(expires_at, format).unwrap() - app.app.clock.now();
            assert!(left <= Duration::hours(hours) && left > Duration::minutes(30), "{purpose}: {left}");
        }
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_url_that_was_changed_in_any_place_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    let other = app.ann().store("b.png", &png(4, 4)).await;
    let id = |file: &Value| file["id"].as_str().unwrap().to_owned();
    let url = file["downloadUrl"].as_str().unwrap();
    let parameter = |name: &str| url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap();
    let expiry: i64 = parameter("e=").parse().unwrap();
    let forged = [
        url.replace("/download?", "/stream?"),
        url.replace("/download?", "/thumbnail?"),
        url.replace(&id(&file), &id(&other)),
        url.replace(&format!("e={expiry}"), &format!("e={}", expiry + 900)),
        url.replace(&format!("e={expiry}"), &format!("e=0{expiry}")),
        url.replace("k=k1", "k=k2"),
        url.replace(&format!("u={ANN}"), "u=user_b"),
        url.replace("v=0.0", "v=0.1"),
        url.replace("&s=", "&s=A"),
        format!("{}{}", &url[..url.len() - 1], if url.ends_with('A') { 'Q' } else { 'A' }),
        url[..url.len() - 2].to_owned(),
    ];
    for url in forged {
        app.nobody().get(&url).await.refused(403, "bad_signature");
    }
    let unknown = url.replace(&id(&file), "019a0000-0000-7000-8000-000000000000");
    app.nobody().get(&unknown).await.refused(403, "bad_signature");
    app.nobody().get(&url.replace(&id(&file), "not-an-id")).await.refused(404, "not_found");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_query_of_a_url_has_its_five_keys_once_and_no_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    for name in ["downloadUrl", "streamUrl", "thumbnailUrl"] {
        let url = file[name].as_str().unwrap();
        for query in ["&size=large", "&utm_source=x", "&e=1", "&s=", "&"] {
            app.nobody().get(&format!("{url}{query}")).await.refused(400, "invalid_parameter");
        }
        let without_signature = url.split("&s=").next().unwrap();
        app.nobody().get(without_signature).await.refused(400, "invalid_parameter");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn revoking_ends_every_url_of_one_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    let other = app.ann().store("b.png", &png(3, 3)).await;
    let id = file["id"].as_str().unwrap();
    app.ann().delete(&format!("/api/files/{id}/urls")).await.expect(200);
    for name in ["downloadUrl", "streamUrl", "thumbnailUrl"] {
        app.nobody().get(file[name].as_str().unwrap()).await.refused(404, "not_found");
        app.nobody().get(app.ann().file(id).await[name].as_str().unwrap()).await.expect(200);
        app.nobody().get(other[name].as_str().unwrap()).await.expect(200);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_url_of_a_deleted_file_leads_nowhere_until_the_file_is_restored(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    let id = file["id"].as_str().unwrap();
    app.ann().delete(&format!("/api/files/{id}")).await.expect(200);
    for name in ["downloadUrl", "streamUrl", "thumbnailUrl"] {
        app.nobody().get(file[name].as_str().unwrap()).await.refused(404, "not_found");
    }
    app.ann().post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
    app.nobody().get(file["downloadUrl"].as_str().unwrap()).await.expect(200);
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    app.nobody().get(file["downloadUrl"].as_str().unwrap()).await.refused(404, "not_found");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_url_is_made_for_a_purpose_and_a_size(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3000, 1500)).await;
    for (size, expected) in
        [("default", (400, 225)), ("small", (256, 128)), ("medium", (640, 320)), ("large", (1440, 720))]
    {
        let made = make(&app, &id, json!({ "purpose": "thumbnail", "size": size })).await;
        let thumbnail = app.nobody().get(made["url"].as_str().unwrap()).await.expect(200);
        let thumbnail = image::load_from_memory(&thumbnail.body).unwrap();
        assert_eq!((thumbnail.width(), thumbnail.height()), expected, "{size}");
    }
    let text = app.ann().store_id("a.txt", b"text").await;
    let path = format!("/api/files/{text}/url");
    app.ann().post(&path, json!({ "purpose": "stream" })).await.refused(400, "not_streamable");
    for wrong in [json!({}), json!({ "purpose": "edit" }), json!({ "purpose": "thumbnail", "size": "huge" })]
    {
        app.ann().post(&path, wrong).await.refused(400, "invalid_body");
    }
    app.finish().await;
}

async fn make(app: &TestApp, id: &str, request: Value) -> Value {
    app.ann().post(&format!("/api/files/{id}/url"), request).await.expect(200).json()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_a_signing_key_urls_need_a_token(pool: PgPool) {
    let signed = "/f/019a0000-0000-7000-8000-000000000000/download?e=9999999999&k=k1&u=user_a&v=0.0&s=AAAA";
    let app = TestApp::with(pool, |config| config.url_keys.clear()).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    let id = file["id"].as_str().unwrap();
    assert_eq!(file["downloadUrl"], format!("/api/files/{id}/download"));
    app.ann().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
    app.ann()
        .post(&format!("/api/files/{id}/url"), json!({ "purpose": "download" }))
        .await
        .refused(503, "unavailable");
    app.nobody().get(signed).await.refused(403, "bad_signature");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn urls_start_with_the_public_base_url_if_there_is_one(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.public_base_url = "https://files.example.com".to_owned()).await;
    let file = app.ann().store("a.png", &png(3, 3)).await;
    let path = file["downloadUrl"].as_str().unwrap().strip_prefix("https://files.example.com").unwrap();
    send(app.nobody().request(Method::GET, path)).await.expect(200);
    app.finish().await;
}
