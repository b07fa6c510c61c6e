//! How often a caller may ask. Every process counts for itself, so these tests are about one instance of each function.

use crate::app::{Form, TestApp, send};
use crate::webhooks::{KEY, deliver, delivery, event};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jam_core::config::Secret;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn callers_without_a_token_are_counted_by_address_and_users_by_themselves(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.anonymous_requests = Some(5);
        config.limits.user_requests_per_second = Some(1);
    })
    .await;
    for _ in 0..5 {
        app.nobody().get("/api/files").await.refused(401, "unauthenticated");
    }
    let answer = app.nobody().get("/api/files").await;
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=181).contains(&seconds), "{seconds}");
    assert_eq!(answer.refused(429, "too_many_requests")["retryAfter"], seconds);
    app.nobody()
        .get_with("/api/files", "x-forwarded-for", "192.0.2.1")
        .await
        .refused(429, "too_many_requests");
    app.nobody().get("/health").await.expect(200);
    for _ in 0..10 {
        app.ann().get("/api/files").await.expect(200);
    }
    app.ann().get("/api/files").await.refused(429, "too_many_requests");
    app.bob().get("/api/files").await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_trusted_proxys_word_on_its_clients_counts(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.anonymous_requests = Some(2);
        config.trusted_proxies.addresses = vec!["127.0.0.1".parse().unwrap(), "10.0.0.7".parse().unwrap()];
    })
    .await;
    let asking = async |hops: &str| app.nobody().get_with("/api/files", "x-forwarded-for", hops).await.status;
    assert_eq!(asking("192.0.2.9").await, 401);
    // What a client writes itself stands before what the proxy saw.
    assert_eq!(asking("203.0.113.5, 192.0.2.9, 10.0.0.7").await, 401);
    assert_eq!(asking("192.0.2.9").await, 429);
    assert_eq!(asking("192.0.2.10").await, 401);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn true_deliveries_are_not_counted_and_others_are(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.clerk_webhook_secret = Some(Secret::new(format!("whsec_{}", STANDARD.encode(KEY))));
        config.limits.anonymous_requests = Some(3);
    })
    .await;
    let forged = async || {
        let forged = delivery(&app, "msg_1", &event("session.created")).header("svix-signature", "v1,AAAA");
        let unsigned = app.nobody().request(Method::POST, "/api/webhooks/clerk").body("{}");
        [send(forged.body("{}")).await.status, send(unsigned).await.status]
    };
    assert_eq!([forged().await, forged().await].concat(), [403, 403, 403, 429]);
    for number in 0..20 {
        deliver(&app, &format!("msg_{number}"), &event("session.created")).await.expect(200);
    }
    assert_eq!(forged().await, [429, 429]);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn going_on_with_an_upload_is_never_too_often(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.user_requests_per_second = Some(1);
        config.limits.user_uploads_per_minute = Some(1);
        config.limits.anonymous_requests = Some(1);
    })
    .await;
    let url = app.ann().create("a.bin", 1000).await;
    for at in 0..100 {
        app.ann().append(&url, at * 10, &[0; 10]).await.expect(204);
        assert_eq!(app.nobody().offset(&url).await, at * 10 + 10);
    }
    send(app.ann().creation(5)).await.refused(429, "too_many_requests");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn who_creates_files_too_fast_is_told_to_wait(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.user_uploads_per_minute = Some(3)).await;
    for _ in 0..3 {
        app.ann().store("a.txt", b"text").await;
    }
    let answer = app.ann().upload(Form::new().file("a.txt", b"text")).await;
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=21).contains(&seconds), "{seconds}");
    assert_eq!(answer.refused(429, "too_many_requests")["retryAfter"], seconds);
    app.bob().store("b.txt", b"text").await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy_counts_as_a_file_that_a_user_starts_to_send(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.user_uploads_per_minute = Some(2)).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    app.ann().post(&format!("/api/files/{id}/copy"), json!({})).await.expect(200);
    app.ann().post(&format!("/api/files/{id}/copy"), json!({})).await.refused(429, "too_many_requests");
    assert_eq!(app.ann().counters().await, json!([2, 0, 0, 2]));
    app.finish().await;
}
