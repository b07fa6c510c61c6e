//! Webhooks of the identity provider: believed by their signature alone, acted on once.

use crate::app::{ANN, Answer, Form, TestApp, eventually, send, user_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jam_core::config::Secret;
use jam_core::db;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgPool;

pub(crate) const KEY: &[u8] = b"a key of the identity provider's";

/// The service with the provider's secret.
pub(crate) async fn listening(pool: PgPool) -> TestApp {
    TestApp::with(pool, |config| {
        config.clerk_webhook_secret = Some(Secret::new(format!("whsec_{}", STANDARD.encode(KEY))));
    })
    .await
}

/// Delivers an event as the provider does.
pub(crate) async fn deliver(app: &TestApp, id: &str, event: &Value) -> Answer {
    send(delivery(app, id, event)).await
}

pub(crate) fn delivery(app: &TestApp, id: &str, event: &Value) -> RequestBuilder {
    let (body, sent_at) = (event.to_string(), app.app.clock.unix_seconds());
    let mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    let mac = mac.chain_update(format!("{id}.{sent_at}.{body}")).finalize().into_bytes();
    let request = app.nobody().request(Method::POST, "/api/webhooks/clerk").body(body);
    let request = request.header("svix-id", id).header("svix-timestamp", sent_at);
    request.header("svix-signature", format!("v1,{}", STANDARD.encode(mac)))
}

pub(crate) fn event(kind: &str) -> Value {
    json!({ "type": kind, "object": "event", "data": { "id": ANN, "object": "user" } })
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_new_user_has_storage_and_a_repeated_delivery_changes_nothing(pool: PgPool) {
    let app = listening(pool).await;
    deliver(&app, "msg_1", &event("user.created")).await.expect(200);
    assert_eq!(app.admin().get("/api/storage/stats").await.expect(200).json()["stats"]["totalUsers"], 1);
    app.set_quota(ANN, 5000).await;
    deliver(&app, "msg_1", &event("user.created")).await.expect(200);
    assert_eq!(app.ann().usage().await["maxBytes"], 5000);
    deliver(&app, "msg_2", &event("session.created")).await.expect(200);
    app.finish().await;
}

/// Not one file more is taken from Ann, not even of no bytes.
async fn keeps_nothing(app: &TestApp) {
    for content in [&b""[..], b"late"] {
        let answers = [
            app.ann().upload(Form::new().file("b.txt", content)).await,
            send(app.ann().creation(content.len())).await,
        ];
        for answer in answers {
            assert!([401, 413].contains(&answer.status), "{}", answer.status);
        }
    }
}

/// Ann's token is worth nothing, whatever is asked with it.
async fn is_shut_out(app: &TestApp) {
    let file = "/api/files/0198c0de-0000-7000-8000-000000000000";
    for path in ["/api/files", "/api/storage/usage", "/api/uploads", file, &format!("{file}/download")] {
        eventually("the token is worth nothing", async || {
            (app.ann().get(path).await.status == 401).then_some(())
        })
        .await;
    }
    for path in ["/api/storage/initialize", "/api/files/batch"] {
        eventually("the token is worth nothing", async || {
            (app.ann().post(path, json!({})).await.status == 401).then_some(())
        })
        .await;
    }
    // Each instance learns of it by itself.
    for make in ["a form", "an upload"] {
        let refused = eventually("the token is worth nothing", async || {
            let answer = match make {
                "a form" => app.ann().upload(Form::new().file("b.txt", b"")).await,
                _ => send(app.ann().creation(0)).await,
            };
            (answer.status == 401).then_some(answer)
        });
        refused.await.refused(401, "unauthenticated");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn of_a_deleted_user_nothing_stays_and_nothing_comes_back(pool: PgPool) {
    let app = listening(pool).await;
    let file = app.ann().store("a.txt", b"theirs").await;
    let link = file["downloadUrl"].as_str().unwrap();
    app.nobody().get(link).await.expect(200);
    deliver(&app, "msg_1", &event("user.deleted")).await.expect(200);
    app.nobody().get(link).await.expect(404);
    // A token lives on for a minute, and deliveries come in any order.
    keeps_nothing(&app).await;
    deliver(&app, "msg_0", &event("user.created")).await.expect(200);
    keeps_nothing(&app).await;
    is_shut_out(&app).await;
    app.run_jobs_in_queue().await;
    let usage =
        db::storage::get(&mut app.app.db.conn().await.unwrap(), &user_id(ANN)).await.unwrap().unwrap();
    assert_eq!((usage.total_bytes.bytes(), usage.file_count, usage.max_bytes.bytes()), (0, 0, 0));
    assert_eq!(app.blobs_of(ANN), Vec::<String>::new());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn who_left_before_storing_anything_stays_away_too(pool: PgPool) {
    let app = listening(pool).await;
    deliver(&app, "msg_1", &event("user.deleted")).await.expect(200);
    keeps_nothing(&app).await;
    is_shut_out(&app).await;
    app.run_jobs_in_queue().await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_not_signed_is_not_believed(pool: PgPool) {
    let app = listening(pool).await;
    app.ann().store("a.txt", b"theirs").await;
    let forged = app.nobody().request(Method::POST, "/api/webhooks/clerk").json(&event("user.deleted"));
    let forged = forged.header("svix-id", "msg_1").header("svix-timestamp", app.app.clock.unix_seconds());
    send(forged.header("svix-signature", "v1,AAAA")).await.expect(403);
    app.ann().post("/api/webhooks/clerk", event("user.deleted")).await.expect(403);
    deliver(&app, "msg_1", &json!({ "type": "user.deleted", "data": { "id": "../etc" } })).await.expect(400);
    deliver(&app, "msg_1", &json!({ "type": "user.deleted", "data": {} })).await.expect(400);
    deliver(&app, "msg_1", &json!([])).await.expect(400);
    assert_eq!(app.ann().usage().await["fileCount"], 1);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_a_secret_there_is_no_webhook(pool: PgPool) {
    let app = TestApp::new(pool).await;
    deliver(&app, "msg_1", &event("user.deleted")).await.expect(404);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_event_that_is_not_for_us_is_acknowledged_whatever_it_holds(pool: PgPool) {
    let app = listening(pool).await;
    for data in [json!([]), json!(null), json!("text"), json!(7), json!({ "id": 7 }), json!([{ "id": "x" }])]
    {
        let event = json!({ "type": "organizationDomain.created", "data": data });
        deliver(&app, "msg_1", &event).await.expect(200);
    }
    deliver(&app, "msg_1", &json!({ "type": "email.created" })).await.expect(200);
    for data in [json!([]), json!(null), json!({ "id": 7 })] {
        let event = json!({ "type": "user.deleted", "data": data });
        let error = deliver(&app, "msg_2", &event).await.refused(400, "invalid_body");
        assert!(error["error"].as_str().unwrap().contains("data.id"), "{error}");
    }
    app.finish().await;
}
