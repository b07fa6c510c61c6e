//! What administrators do for others: upload, look at files and users, set quotas.

use crate::app::media::{bytes, png};
use crate::app::process::Site;
use crate::app::{ADMIN, ANN, BOB, Form, IMPERSONATED, TestApp, user_id};
use axum::extract::Query;
use axum::{Json, Router, routing::get};
use jam_core::config::Secret;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;

const UPLOAD: &str = "/api/files/admin/upload";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_administrator_uploads_for_the_user_named_before_or_after_the_files(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let forms = [
        Form::new().field("targetUserId", ANN).file("a.png", &png(3, 3)).field("packageName", "p"),
        Form::new().file("a.png", &png(3, 3)).field("packageName", "p").field("targetUserId", ANN),
    ];
    for form in forms {
        let file = app.admin().submit(UPLOAD, form).await.expect(200).json()["files"][0].clone();
        assert_eq!((&file["userId"], &file["packageName"]), (&json!(ANN), &json!("p")));
        assert!(file["filePath"].as_str().unwrap().starts_with("user_a/images/"), "{}", file["filePath"]);
        assert_eq!(&app.ann().file(file["id"].as_str().unwrap()).await, &file);
    }
    assert_eq!(app.ann().usage().await["fileCount"], 2);
    assert_eq!(app.admin().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_quota_that_counts_is_the_owners(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 10_000).await;
    app.set_quota(ADMIN, 0).await;
    let content = bytes(1, 10_001);
    let forms = |content: &[u8]| {
        [
            Form::new().field("targetUserId", ANN).file("a.bin", content),
            Form::new().file("a.bin", content).field("targetUserId", ANN),
        ]
    };
    for form in forms(&content) {
        let error = app.admin().submit(UPLOAD, form).await.refused(413, "quota_exceeded");
        assert_eq!(error["maxBytes"], 10_000);
    }
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    for form in forms(&content[..5000]) {
        app.admin().submit(UPLOAD, form).await.expect(200);
    }
    assert_eq!(app.ann().counters().await, json!([10_000, 0, 0, 2]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_for_nobody_is_refused_and_leaves_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let forms = [
        Form::new().file("a.png", &png(3, 3)),
        Form::new().file("a.png", &png(3, 3)).field("targetUserId", ""),
        Form::new().file("a.png", &png(3, 3)).field("targetUserId", "../user_a"),
        Form::new().field("targetUserId", "a b").file("a.png", &png(3, 3)),
    ];
    for form in forms {
        let error = app.admin().submit(UPLOAD, form).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], "targetUserId");
    }
    let form = Form::new().field("targetUserId", ANN).file("a.png", &png(3, 3));
    app.bob().submit(UPLOAD, form.clone()).await.refused(403, "admin_only");
    app.nobody().submit(UPLOAD, form).await.refused(401, "unauthenticated");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_administrator_lists_anybodys_files_as_they_do_themselves(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        app.ann().store(name, b"x").await;
    }
    app.bob().store("d.txt", b"x").await;
    for query in ["", "?q=B", "?sortBy=name&sortOrder=asc&limit=2", "?includeTotal=true"] {
        let seen = app.admin().get(&format!("/api/admin/files/{ANN}{query}")).await.expect(200).json();
        assert_eq!(seen, app.ann().get(&format!("/api/files{query}")).await.expect(200).json());
    }
    let unknown = app.admin().get("/api/admin/files/user_nobody").await.expect(200).json();
    assert_eq!(unknown["files"], json!([]));
    for malformed in ["a%20b", "x.y", &"x".repeat(65)] {
        app.admin().get(&format!("/api/admin/files/{malformed}")).await.refused(404, "not_found");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_administrator_reads_anybodys_file_and_changes_none(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = png(30, 20);
    let id = app.ann().store_id("a.png", &content).await;
    let path = format!("/api/files/{id}");
    let file = app.ann().file(&id).await;
    assert_eq!(app.admin().file(&id).await, file);
    for what in ["download", "stream"] {
        assert_eq!(app.admin().get(&format!("{path}/{what}")).await.expect(200).body, content);
    }
    for query in ["", "?size=small"] {
        app.admin().get(&format!("{path}/thumbnail{query}")).await.expect(200);
    }
    app.admin().get(&format!("{path}/derivatives")).await.expect(200);
    // An impersonated administrator is the one they act for, and nobody's administrator.
    for other in [app.bob(), app.user(IMPERSONATED)] {
        for what in ["", "/download", "/stream", "/thumbnail", "/derivatives"] {
            other.get(&format!("{path}{what}")).await.refused(404, "not_found");
        }
    }
    app.admin().patch(&path, json!({ "packageName": "p" })).await.refused(404, "not_found");
    app.admin().put(&format!("{path}/tags"), json!({ "tags": [] })).await.refused(404, "not_found");
    app.admin().post(&format!("{path}/favorite"), json!({})).await.refused(404, "not_found");
    app.admin().delete(&path).await.refused(404, "not_found");
    app.ann().delete(&path).await.expect(200);
    for what in ["", "/download", "/stream", "/thumbnail"] {
        app.admin().get(&format!("{path}{what}")).await.refused(404, "not_found");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_administrators_look_at_somebodys_file_is_in_the_log(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let id = process.user(ANN).store_id("a.txt", b"a").await;
    process.user(ANN).get(&format!("/api/files/{id}/download")).await.expect(200);
    process.user(ADMIN).get(&format!("/api/files/{id}/download")).await.expect(200);
    process.stop().await;
    let log = site.log_of("jam-all");
    let looks: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("an administrator reads a user's file"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(looks.len(), 1, "{log}");
    let look = looks[0].to_string();
    for part in [ADMIN, ANN, &id, "/download"] {
        assert!(look.contains(part), "{look}");
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_an_identity_provider_the_users_are_those_with_storage(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().store("a.txt", &[b'x'; 100]).await;
    app.set_quota(BOB, 5000).await;
    let users = app.admin().get("/api/admin/users").await.expect(200).json();
    assert_eq!((&users["count"], users["users"].as_array().unwrap().len()), (&json!(2), 2));
    let ann = users["users"].as_array().unwrap().iter().find(|user| user["id"] == ANN).unwrap();
    let storage =
        json!({ "totalBytes": 100, "reservedBytes": 0, "maxBytes": 10_737_418_240_u64, "fileCount": 1 });
    assert_eq!((&ann["storage"], &ann["fullName"], &ann["email"]), (&storage, &json!(ANN), &json!("")));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn with_an_identity_provider_its_users_are_joined_with_what_they_store(pool: PgPool) {
    let (provider, _serving) = identity_provider(700).await;
    let app = TestApp::with(pool, |config| {
        config.clerk_api_url = provider;
        config.clerk_secret_key = Some(Secret::new("sk_test_secret"));
    })
    .await;
    app.user(ANN).store("a.txt", &[b'x'; 100]).await;
    let users = app.admin().get("/api/admin/users").await.expect(200).json();
    assert_eq!(users["count"], 700);
    let of =
        |id: &str| users["users"].as_array().unwrap().iter().find(|user| user["id"] == id).unwrap().clone();
    let ann = of(ANN);
    assert_eq!((&ann["fullName"], &ann["email"]), (&json!("Ann 0"), &json!("main-0@example.com")));
    assert_eq!((&ann["createdAt"], &ann["lastSignInAt"]), (&json!("2024-01-01T00:00:00Z"), &Value::Null));
    assert_eq!(ann["storage"]["totalBytes"], 100);
    assert_eq!(of("user_699")["storage"], Value::Null);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_identity_provider_that_does_not_answer_is_a_503(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        // Nothing listens on the port that TCP reserves for multiplexing.
        config.clerk_api_url = "http://127.0.0.1:1".to_owned();
        config.clerk_secret_key = Some(Secret::new("sk_test_secret"));
    })
    .await;
    let error = app.admin().get("/api/admin/users").await.refused(503, "unavailable");
    assert_eq!(error["part"], "identity provider");
    app.finish().await;
}

/// A server of Clerk's Backend API with so many users, the first of them Ann.
async fn identity_provider(count: usize) -> (String, tokio::task::JoinSet<()>) {
    let users = get(async move |Query(query): Query<BTreeMap<String, String>>| {
        let number = |name: &str| query[name].parse::<usize>().unwrap();
        let page = number("offset")..(number("offset") + number("limit")).min(count);
        Json(page.map(clerk_user).collect::<Vec<_>>())
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = tokio::task::JoinSet::new();
    let router = Router::new().route("/v1/users", users);
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), serving)
}

fn clerk_user(number: usize) -> Value {
    let id = if number == 0 { user_id(ANN).to_string() } else { format!("user_{number}") };
    json!({
        "id": id, "first_name": "Ann", "last_name": number.to_string(), "image_url": null,
        "created_at": 1_704_067_200_000_i64, "last_sign_in_at": null, "primary_email_address_id": "main",
        "email_addresses": [
            { "id": "other", "email_address": format!("other-{number}@example.com") },
            { "id": "main", "email_address": format!("main-{number}@example.com") },
        ],
    })
}
