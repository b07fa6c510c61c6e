//! Two releases side by side: what a newer one wrote, and this one does not know, fails nothing here and stays as it is.

use crate::app::media::{bytes, png};
use crate::app::tus::UPLOADS;
use crate::app::{ANN, TestApp, rows, send, user_id};
use jam_core::db;
use jam_core::ops::{janitor, trash, work};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

/// What a newer release might have written about a file.
const ABOUT_FILES: [&str; 8] = [
    "UPDATE user_files SET file_type = 'hologram'",
    "UPDATE user_files SET asset_category = 'hologram'",
    "UPDATE user_files SET audio_category = 'hologram'",
    "UPDATE user_files SET asset_details = '{\"voiceoverType\": \"robot\", \"smell\": 1, \"audioKey\": \"C\"}'",
    "UPDATE user_files SET bucket = 'moon'",
    "INSERT INTO derivatives (user_id, file_id, kind, mime_type, path)
     SELECT user_id, id, 'hologram', 'model/gltf', user_id || '/thumbnails/' || id || '.hologram' FROM user_files",
    "UPDATE derivatives SET kind = 'hologram'",
    "UPDATE derivatives SET state = 'sleeping', file_size = NULL",
];

/// What of it must be there after others changed something else.
const KEPT: [&str; 4] = [
    "SELECT file_type FROM user_files WHERE file_type = 'hologram'",
    "SELECT asset_category FROM user_files WHERE asset_category = 'hologram'",
    "SELECT audio_category FROM user_files WHERE audio_category = 'hologram'",
    "SELECT 'robot 1' FROM user_files
      WHERE asset_details ->> 'voiceoverType' = 'robot' AND asset_details ->> 'smell' = '1'",
];

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_row_of_a_newer_release_fails_no_listing_no_file_and_no_removal(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::drop_checks(&mut app.app.db.conn().await.unwrap()).await;
    for (number, statement) in ABOUT_FILES.into_iter().enumerate() {
        let id = app.ann().store_id("a.png", &png(60, 40)).await;
        app.run_jobs_in_queue().await;
        rows::run(&mut app.app.db.conn().await.unwrap(), statement).await;
        walk(&app, &id, statement).await;
        if let Some(kept) = KEPT.get(number) {
            assert!(rows::finds(&mut app.app.db.conn().await.unwrap(), kept).await, "{statement}: lost");
        }
        let path = format!("/api/files/{id}");
        let copied = app.ann().post(&format!("{path}/copy"), json!({})).await.expect(200).json();
        let copy = copied["file"]["id"].as_str().unwrap();
        app.ann().delete(&path).await.expect(200);
        let trash = app.ann().get("/api/files?trash=true").await.expect(200).json();
        assert_eq!(trash["count"], 1, "{statement}");
        app.ann().post(&format!("{path}/restore"), json!({})).await.expect(200);
        app.ann().delete(&format!("{path}?permanent=true")).await.expect(200);
        if let Some(kept) = KEPT.get(number) {
            let is_copied = rows::finds(&mut app.app.db.conn().await.unwrap(), kept).await;
            assert!(is_copied, "{statement}: lost in a copy");
        }
        app.ann().delete(&format!("/api/files/{copy}?permanent=true")).await.expect(200);
        app.run_jobs_in_queue().await;
    }
    app.finish().await;
}

/// Asks everything about a file that must be listed, whatever is in its row.
async fn walk(app: &TestApp, id: &str, statement: &str) {
    let (ann, path) = (app.ann(), format!("/api/files/{id}"));
    let listing = ann.get("/api/files?includeTotal=true").await.expect(200).json();
    assert_eq!(listing["files"][0]["id"], id, "{statement}");
    let batch = |action: &str| json!({ "action": action, "ids": [id], "tags": ["t"], "packageName": null });
    let asked = [
        (Method::GET, String::new(), None),
        (Method::GET, "/derivatives".to_owned(), None),
        (Method::GET, "/download".to_owned(), None),
        (Method::PATCH, String::new(), Some(json!({ "packageName": "p", "audioKey": "D" }))),
        (Method::POST, "/favorite".to_owned(), Some(json!({}))),
        (Method::PUT, "/tags".to_owned(), Some(json!({ "tags": ["a"] }))),
        (Method::POST, "/url".to_owned(), Some(json!({ "purpose": "download" }))),
        (Method::DELETE, "/urls".to_owned(), None),
    ];
    for (method, rest, body) in asked {
        let request = ann.request(method.clone(), &format!("{path}{rest}"));
        let answer = send(if let Some(body) = &body { request.json(body) } else { request }).await;
        assert_eq!(answer.status, 200, "{statement}: {method} {rest}");
    }
    for rest in ["/thumbnail", "/thumbnail?size=small", "/stream"] {
        let answer = ann.get(&format!("{path}{rest}")).await;
        assert!(answer.status < 500, "{statement}: {rest} {}", answer.status);
    }
    let retried = ann.post(&format!("{path}/derivatives/default/retry"), json!({})).await;
    assert!(retried.status < 500, "{statement}: retry {}", retried.status);
    for action in ["tag", "untag", "favorite"] {
        let answer = ann.post("/api/files/batch", batch(action)).await.expect(200).json();
        assert_eq!(answer["count"], 1, "{statement}: {action}");
    }
    app.admin().get(&format!("/api/admin/files/{ANN}")).await.expect(200);
    ann.usage().await;
    janitor::pass(&app.app).await.unwrap();
    app.run_jobs_in_queue().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn workers_do_what_they_know_and_leave_the_rest_to_the_newer_release(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut conn = app.app.db.conn().await.unwrap();
    rows::drop_checks(&mut conn).await;
    let tasks = [
        r#"{"task": "dream"}"#,
        r#"{"task": "derive", "file": "019a0000-0000-7000-8000-000000000000", "kind": "hologram"}"#,
    ];
    for (task, is_long) in tasks.iter().flat_map(|task| [(task, false), (task, true)]) {
        rows::add_job(&mut conn, ANN, task, "ready", is_long).await;
        rows::add_job(&mut conn, ANN, task, "paused", is_long).await;
    }
    let id = app.ann().store_id("a.png", &png(60, 40)).await;
    app.run_jobs_in_queue().await;
    assert_eq!(app.ann().file(&id).await["derivatives"][0]["state"], "ready");
    assert_eq!(db::jobs::counts(&mut conn).await.unwrap(), [4, 0, 0], "they wait for the newer release");
    assert_eq!(db::jobs::list(&mut conn, None, 100).await.unwrap().len(), 8);
    assert_eq!(work::revive(&app.app.db, None).await.unwrap(), 0);
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_blob_that_only_the_newer_release_can_name_keeps_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().store_id("a.png", &png(60, 40)).await;
    let mut conn = app.app.db.conn().await.unwrap();
    let leftover = format!("{ANN}/images/leftover.png");
    std::fs::File::create_new(app.on_volume(&leftover)).unwrap();
    let task = json!({"task": "remove_blobs", "paths": ["elsewhere:b2", leftover]});
    rows::add_job(&mut conn, ANN, &task.to_string(), "ready", false).await;
    app.run_jobs_in_queue().await;
    assert!(!app.on_volume(&leftover).exists());
    assert_eq!(db::jobs::list(&mut conn, None, 100).await.unwrap().len(), 1, "the other waits");
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_of_a_newer_release_waits_for_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::drop_checks(&mut app.app.db.conn().await.unwrap()).await;
    let ann = app.ann();
    for statement in [
        "UPDATE upload_sessions SET role = 'hologram'",
        "UPDATE upload_sessions SET declared_type = 'hologram'",
        r#"UPDATE upload_sessions SET metadata = '{"assetCategory": "hologram", "asset_category": "hologram"}'"#,
        r"UPDATE upload_sessions SET midstate = '\xFF'::bytea || midstate",
        "UPDATE uploads SET state = 'dreaming'",
    ] {
        let url = ann.create("a.bin", 1000).await;
        rows::run(&mut app.app.db.conn().await.unwrap(), statement).await;
        ann.look_up(&url).await.expect(423);
        ann.append(&url, 0, &[0; 10]).await.expect(423);
        ann.get(UPLOADS).await.expect(200);
        assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 0, "{statement}");
        let removed = trash::remove_everything(&app.app, &user_id(ANN), &mut |_| {}).await.unwrap();
        assert_eq!(removed.uploads, 1, "{statement}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_of_the_release_before_or_the_next_goes_on(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (ann, content) = (app.ann(), bytes(1, 70_000));
    // The one before keeps the digest under way as this one does, the next may write a version before it.
    for written in [
        "SELECT 1 / (octet_length(midstate) = 104)::int FROM upload_sessions",
        r"UPDATE upload_sessions SET midstate = '\x01'::bytea || midstate WHERE octet_length(midstate) = 104",
    ] {
        let url = ann.create("a.bin", content.len()).await;
        ann.append(&url, 0, &content[..40_000]).await.expect(204);
        let mut conn = app.app.db.conn().await.unwrap();
        rows::run(&mut conn, written).await;
        drop(conn);
        assert_eq!(ann.offset(&url).await, 40_000, "{written}");
        let last = ann.append(&url, 40_000, &content[40_000..]).await.expect(204);
        let file = ann.file(last.header("upload-file-id").unwrap()).await;
        assert_eq!(file["sha256"], crate::app::media::sha256(&content));
    }
    app.finish().await;
}
