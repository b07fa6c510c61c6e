//! Two users: neither can see, fetch, change, delete or guess anything of the other, by any operation of the contract.

use crate::app::media::png;
use crate::app::tus::{BYTES, UPLOADS};
use crate::app::{ANN, Answer, As, Form, OPERATIONS, Operation, TestApp, send};
use crate::webhooks::{event, listening};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

const UNKNOWN: &str = "019a0000-0000-7000-8000-000000000000";
const MALFORMED: [&str; 5] = ["1", "not-an-id", "019a00000000700080000000000000000", "%F0%9F%8E%AC", "'--"];
const SECRET: &str = "what-only-ann-may-know";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn no_operation_shows_or_changes_anything_of_somebody_else(pool: PgPool) {
    let app = listening(pool).await;
    let ann = app.ann();
    let content = png(20, 20);
    let form = Form::new()
        .file(SECRET, &content)
        .field("packageName", SECRET)
        .field("tags", &format!("[\"{SECRET}\"]"));
    let file =
        ann.upload(form.clone()).await.expect(200).json()["files"][0]["id"].as_str().unwrap().to_owned();
    let trashed = ann.upload(form).await.expect(200).json()["files"][0]["id"].as_str().unwrap().to_owned();
    ann.delete(&format!("/api/files/{trashed}")).await.expect(200);
    app.run_jobs_in_queue().await;
    let uploads = [start_upload(&ann, b"").await, start_upload(&ann, b"everything").await];
    let before = everything_of(&ann).await;

    let bobs = app.bob().store("b.png", &png(9, 9)).await;
    for operation in OPERATIONS.iter() {
        if operation.path.contains("{upload}") {
            try_an_upload(&app, operation, &uploads).await;
        } else if operation.path.contains("{id}") {
            try_with_an_id(&app, operation, &[&file, &trashed], &bobs).await;
        } else {
            try_without_an_id(&app, operation, &[&file, &trashed]).await;
        }
    }

    assert_eq!(everything_of(&ann).await, before);
    ann.cancel(&uploads[0]).await.expect(204);
    assert_eq!(ann.get(&format!("/api/files/{file}/download")).await.expect(200).body, content);
    app.finish().await;
}

/// The URL of an upload of ten bytes with its owner's right to it taken away: the id alone.
async fn start_upload(ann: &As<'_>, content: &[u8]) -> String {
    let url = ann.create(SECRET, 10).await;
    if !content.is_empty() {
        ann.append(&url, 0, content).await.expect(204);
    }
    url[..url.len() - 33].to_owned()
}

async fn everything_of(user: &As<'_>) -> [Value; 4] {
    [
        user.get(UPLOADS).await.expect(200).json(),
        user.usage().await,
        user.get("/api/files").await.expect(200).json(),
        user.get("/api/files?trash=true").await.expect(200).json(),
    ]
}

/// Bob asks for Ann's files, for one that never was, and for what is no id: the answer is the same every time.
async fn try_with_an_id(app: &TestApp, operation: &Operation, anns: &[&String], bobs: &Value) {
    let mut answers = Vec::new();
    let ids = anns.iter().map(|id| id.as_str()).chain([UNKNOWN]);
    let target_of = |id: &str| match operation.id {
        "download_signed" => signed_for(bobs, "downloadUrl", id),
        "stream_signed" => signed_for(bobs, "streamUrl", id),
        "thumbnail_signed" => signed_for(bobs, "thumbnailUrl", id),
        "playback_signed" => signed_for(bobs, "downloadUrl", id).replace("/download?", "/playback?"),
        "delete_file" => format!("/api/files/{id}?permanent=true"),
        "retry_derivative" => format!("/api/files/{id}/derivatives/default/retry"),
        "delete_derivative" => format!("/api/files/{id}/derivatives/playback"),
        _ => operation.path.replace("{id}", id),
    };
    for id in ids {
        answers.push(ask(app, operation, &target_of(id)).await);
    }
    if operation.is_public {
        assert!(answers.iter().all(|answer| answer.status == 403), "{}: a forged signature", operation.id);
    } else {
        assert!(answers.iter().all(|answer| answer.status == 404), "{}", operation.id);
        for id in MALFORMED {
            answers.push(ask(app, operation, &target_of(id)).await);
        }
    }
    for answer in &answers {
        operation.assert_describes(answer);
        assert_eq!(answer.body, answers[0].body, "{}", operation.id);
        assert_tells_nothing(operation, answer);
    }
}

/// Bob asks for Ann's uploads, for one that never was, and for what is no upload: the answer is the same every time.
async fn try_an_upload(app: &TestApp, operation: &Operation, anns: &[String]) {
    let bob = app.bob();
    let never_was = [format!("{UPLOADS}/{UNKNOWN}"), format!("{UPLOADS}/not-an-upload")];
    let mut answers = Vec::new();
    for target in anns.iter().chain(&never_was) {
        let request = bob.tus(operation.method.clone(), target).header("x-request-id", "the-same");
        let request = request.header("x-http-method-override", "DELETE").header("upload-offset", 0);
        answers.push(send(request.header("content-type", BYTES)).await);
    }
    let status = if operation.is_public { 204 } else { 404 };
    for answer in answers {
        assert_eq!(answer.status, status, "{}", operation.id);
        operation.assert_describes(&answer);
        assert_tells_nothing(operation, &answer);
    }
}

fn signed_for(file: &Value, name: &str, id: &str) -> String {
    file[name].as_str().unwrap().replace(file["id"].as_str().unwrap(), id)
}

async fn ask(app: &TestApp, operation: &Operation, target: &str) -> Answer {
    let body = match operation.id {
        "get_file" | "download" | "stream" | "thumbnail" | "download_signed" | "stream_signed"
        | "playback_signed" | "thumbnail_signed" | "delete_file" | "revoke_urls" | "restore_file"
        | "list_derivatives" | "retry_derivative" | "delete_derivative" => None,
        "patch_file" => Some(json!({ "packageName": "stolen" })),
        "set_favorite" => Some(json!({ "favorite": true })),
        "set_tags" => Some(json!({ "tags": ["stolen"] })),
        "make_url" => Some(json!({ "purpose": "download" })),
        "copy_file" => Some(json!({ "originalName": "stolen.txt" })),
        unknown => panic!("nobody tried yet what {unknown} shows of others"),
    };
    let request = app.bob().request(operation.method.clone(), target).header("x-request-id", "the-same");
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn try_without_an_id(app: &TestApp, operation: &Operation, anns: &[&String]) {
    let bob = app.bob();
    let answers = match operation.id {
        "list_files" => {
            let queries = [
                "",
                "?trash=true",
                "?q=what",
                &format!("?tags={SECRET}"),
                "?includeTotal=true",
                "?package=x",
                "?minWidth=1",
            ];
            let mut answers = Vec::new();
            for query in queries {
                answers.push(bob.get(&format!("/api/files{query}")).await.expect(200));
            }
            answers
        }
        "run_batch" => try_every_action(&bob, anns).await,
        "empty_trash" => {
            let emptied = bob.delete("/api/files/trash").await.expect(200);
            assert_eq!(emptied.json()["deletedCount"], 0);
            vec![emptied]
        }
        "upload" => {
            let form = Form::new().field("userId", ANN).field("targetUserId", ANN).file("c.txt", b"c");
            let stored = bob.upload(form).await.expect(200);
            assert_eq!(stored.json()["files"][0]["userId"], "user_b");
            vec![stored]
        }
        "initialize" => {
            bob.post(operation.path, json!({ "userId": ANN })).await.refused(400, "invalid_body");
            vec![bob.post(operation.path, json!({})).await.expect(200)]
        }
        "usage" => vec![bob.get(operation.path).await.expect(200)],
        "set_quota" => {
            vec![bob.put(operation.path, json!({ "userId": ANN, "maxBytes": 0 })).await.expect(403)]
        }
        "stats" | "list_users" => vec![bob.get(operation.path).await.expect(403)],
        "list_files_of_user" => vec![bob.get(&operation.path.replace("{userId}", ANN)).await.expect(403)],
        "upload_for_user" => {
            let form = Form::new().field("targetUserId", ANN).file("c.txt", b"c");
            vec![bob.submit(operation.path, form).await.expect(403)]
        }
        "clerk_webhook" => vec![bob.post(operation.path, event("user.deleted")).await.expect(403)],
        "create_upload" => {
            let join =
                bob.tus(Method::POST, UPLOADS).header("upload-concat", format!("final;{UPLOADS}/{UNKNOWN}"));
            vec![send(join).await.expect(404)]
        }
        "list_uploads" => vec![bob.get(UPLOADS).await.expect(200)],
        "upload_options" => vec![send(bob.request(Method::OPTIONS, UPLOADS)).await.expect(204)],
        "health" | "openapi" => vec![app.nobody().get(operation.path).await.expect(200)],
        unknown => panic!("nobody tried yet what {unknown} shows of others"),
    };
    for answer in &answers {
        operation.assert_describes(answer);
        assert_tells_nothing(operation, answer);
    }
}

async fn try_every_action(bob: &As<'_>, anns: &[&String]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for action in ["delete", "restore", "purge", "favorite", "unfavorite", "tag", "untag", "move"] {
        let body = json!({ "action": action, "ids": anns, "tags": ["stolen"], "packageName": "stolen" });
        let answer = bob.post("/api/files/batch", body).await.expect(200);
        for result in answer.json()["results"].as_array().unwrap() {
            assert_eq!(
                (&result["success"], &result["code"]),
                (&json!(false), &json!("not_found")),
                "{action}"
            );
        }
        answers.push(answer);
    }
    answers
}

#[track_caller]
fn assert_tells_nothing(operation: &Operation, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains(SECRET) && !text.contains(ANN), "{} tells of Ann: {text}", operation.id);
}
