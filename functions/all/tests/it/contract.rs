//! Every operation of the contract is called once as it is meant to be, and answers as the contract says.

use crate::app::media::{MP4, png};
use crate::app::tus::{UPLOADS, location};
use crate::app::{ANN, Answer, BOB, Form, OPERATIONS, Operation, TestApp, send};
use crate::webhooks::{deliver, event, listening};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// The operations that were called.
#[derive(Default)]
struct Called(BTreeSet<&'static str>);

impl Called {
    #[track_caller]
    fn ok(&mut self, id: &str, answer: Answer) -> Value {
        self.answered(id, 200, answer)
    }

    #[track_caller]
    fn answered(&mut self, id: &str, status: u16, answer: Answer) -> Value {
        let answer = answer.expect(status);
        let operation = Operation::by_id(id);
        operation.assert_describes(&answer);
        self.0.insert(operation.id);
        match answer.header("content-type") {
            Some("application/json") => answer.json(),
            _ => Value::Null,
        }
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_operation_answers_as_the_contract_says(pool: PgPool) {
    let app = listening(pool).await;
    let mut called = Called::default();
    let file = call_uploads_and_listings(&app, &mut called).await;
    call_resumable_uploads(&app, &mut called).await;
    call_what_changes_a_file(&app, &mut called, file["id"].as_str().unwrap()).await;
    call_downloads(&app, &mut called, &file).await;
    call_what_is_about_derivatives(&app, &mut called).await;
    call_what_deletes(&app, &mut called, file["id"].as_str().unwrap()).await;
    call_what_is_about_storage(&app, &mut called).await;
    let missing: Vec<_> =
        OPERATIONS.iter().map(|operation| operation.id).filter(|id| !called.0.contains(id)).collect();
    assert!(missing.is_empty(), "this test does not call {missing:?}");
    app.finish().await;
}

async fn call_uploads_and_listings(app: &TestApp, called: &mut Called) -> Value {
    let ann = app.ann();
    let form = Form::new().file("a.png", &png(30, 20)).file("b.html", b"<html>").field("tags", r#"["t"]"#);
    let uploaded = called.ok("upload", ann.upload(form).await);
    let named = Form::new().field("targetUserId", BOB).file("c.txt", b"c");
    called.ok("upload_for_user", app.admin().submit("/api/files/admin/upload", named).await);
    app.run_jobs_in_queue().await;
    let file = &uploaded["files"][0];
    called.ok("list_files", ann.get("/api/files?includeTotal=true").await);
    called.ok("list_files_of_user", app.admin().get(&format!("/api/admin/files/{BOB}")).await);
    let path = format!("/api/files/{}", file["id"].as_str().unwrap());
    called.ok("get_file", ann.get(&path).await)["file"].clone()
}

async fn call_resumable_uploads(app: &TestApp, called: &mut Called) {
    let bob = app.bob();
    called.answered("upload_options", 204, send(bob.request(Method::OPTIONS, UPLOADS)).await);
    let created = send(bob.creation(8)).await;
    let url = location(&created);
    called.answered("create_upload", 201, created);
    called.answered("upload_options_of_one", 204, send(bob.request(Method::OPTIONS, &url)).await);
    called.ok("list_uploads", bob.get(UPLOADS).await);
    called.ok("upload_state", bob.get(&url).await);
    called.ok("upload_offset", bob.look_up(&url).await);
    called.answered("append_upload", 204, bob.append(&url, 0, b"some").await);
    let head = bob.tus(Method::POST, &url).header("x-http-method-override", "HEAD");
    called.ok("override_upload_method", send(head).await);
    called.answered("append_upload", 204, bob.append(&url, 4, b"more").await);
    called.ok("upload_state", send(bob.tus(Method::GET, &url)).await);
    called.answered("delete_upload", 204, bob.cancel(&url).await);
}

async fn call_what_changes_a_file(app: &TestApp, called: &mut Called, id: &str) {
    let ann = app.ann();
    let path = format!("/api/files/{id}");
    let details = json!({ "audioCategory": "sfx", "voiceoverType": "male", "assetCategory": "clip", "audioDurationSeconds": 1 });
    called.ok("patch_file", ann.patch(&path, details).await);
    called.ok("set_favorite", ann.post(&format!("{path}/favorite"), json!({})).await);
    called.ok("set_tags", ann.put(&format!("{path}/tags"), json!({ "tags": ["a"] })).await);
    called.ok("copy_file", ann.post(&format!("{path}/copy"), json!({ "originalName": "b.png" })).await);
    called.ok("make_url", ann.post(&format!("{path}/url"), json!({ "purpose": "stream" })).await);
    let other = app.bob().store_id("b.txt", b"b").await;
    called.ok("revoke_urls", app.bob().delete(&format!("/api/files/{other}/urls")).await);
    let ids = [id, &other, "not-an-id"];
    called.ok("run_batch", ann.post("/api/files/batch", json!({ "action": "favorite", "ids": ids })).await);
}

async fn call_downloads(app: &TestApp, called: &mut Called, file: &Value) {
    let id = file["id"].as_str().unwrap();
    for what in ["download", "stream", "thumbnail"] {
        called.ok(what, app.ann().get(&format!("/api/files/{id}/{what}")).await);
    }
    for (id, name) in [
        ("download_signed", "downloadUrl"),
        ("stream_signed", "streamUrl"),
        ("thumbnail_signed", "thumbnailUrl"),
    ] {
        called.ok(id, app.nobody().get(file[name].as_str().unwrap()).await);
    }
}

async fn call_what_is_about_derivatives(app: &TestApp, called: &mut Called) {
    let bob = app.bob();
    let id = bob.store_id("a.mp4", &MP4).await;
    let path = format!("/api/files/{id}/derivatives");
    called.ok("list_derivatives", bob.get(&path).await);
    app.run_jobs_in_queue().await;
    let file = called.ok("get_file", bob.get(&format!("/api/files/{id}")).await)["file"].clone();
    called.ok("playback_signed", app.nobody().get(file["streamUrl"].as_str().unwrap()).await);
    called.ok("delete_derivative", bob.delete(&format!("{path}/playback")).await);
    called.ok("retry_derivative", bob.post(&format!("{path}/playback/retry"), json!({})).await);
}

async fn call_what_deletes(app: &TestApp, called: &mut Called, id: &str) {
    let path = format!("/api/files/{id}");
    called.ok("delete_file", app.ann().delete(&path).await);
    called.ok("list_files", app.ann().get("/api/files?trash=true").await);
    called.ok("restore_file", app.ann().post(&format!("{path}/restore"), json!({})).await);
    called.ok("empty_trash", app.ann().delete("/api/files/trash").await);
}

async fn call_what_is_about_storage(app: &TestApp, called: &mut Called) {
    called.ok("usage", app.ann().get("/api/storage/usage").await);
    called.ok("clerk_webhook", deliver(app, "msg_1", &event("user.created")).await);
    called.ok("initialize", app.ann().post("/api/storage/initialize", json!({})).await);
    let quota = json!({ "userId": ANN, "maxBytes": 1_000_000 });
    called.ok("set_quota", app.admin().put("/api/storage/quota", quota).await);
    called.ok("stats", app.admin().get("/api/storage/stats").await);
    called.ok("list_users", app.admin().get("/api/admin/users").await);
    called.ok("health", app.nobody().get("/health").await);
    let served = called.ok("openapi", app.nobody().get("/openapi.json").await);
    assert_eq!(served, serde_json::from_str::<Value>(&jam_all::openapi().unwrap()).unwrap());
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_operation_that_is_not_public_asks_for_a_token(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut private = 0;
    for operation in OPERATIONS.iter().filter(|operation| !operation.is_public) {
        let path = operation.path.replace("{kind}", "playback").replace("{userId}", ANN);
        let target: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "019a0000-0000-7000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for token in [None, Some("Bearer forged"), Some("Basic dXNlcjp3b3Jk")] {
            let mut request = app.nobody().request(operation.method.clone(), &target);
            request = request.header("tus-resumable", "1.0.0").header("content-type", "application/json");
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            assert_eq!(send(request).await.status, 401, "{} {target} {token:?}", operation.method);
        }
        private += 1;
    }
    assert!(private > 25, "only {private} operations are private");
    app.finish().await;
}
