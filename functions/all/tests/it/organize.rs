//! Changes to one file: favourites, tags, the merge patch, and the way through the trash. Usage is exact after each step.

use crate::app::media::png;
use crate::app::{ANN, As, TestApp, send};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_favourite_mark_toggles_or_is_set(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/favorite", app.ann().store_id("a.txt", b"a").await);
    let marks = [
        (json!({}), true),
        (json!({}), false),
        (json!({ "favorite": true }), true),
        (json!({ "favorite": true }), true),
    ];
    for (body, expected) in marks {
        let answer = app.ann().post(&path, body).await.expect(200).json();
        assert_eq!(answer["file"]["isFavorite"], expected);
    }
    // The legacy front end sends no body at all.
    let answer = send(app.ann().request(Method::POST, &path)).await.expect(200).json();
    assert_eq!(answer["file"]["isFavorite"], false);
    app.ann().post(&path, json!({ "favorite": "yes" })).await.refused(400, "invalid_body");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn tags_are_replaced_within_their_limits(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/tags", app.ann().store_id("a.txt", b"a").await);
    let full: Vec<String> = (0..64).map(|n| format!("{n}{}", "ü".repeat(62))).collect();
    let sets = [
        (json!(["b", " a ", "b", ""]), json!(["b", "a"])),
        (json!(full), json!(full)),
        (json!([]), json!([])),
    ];
    for (tags, kept) in sets {
        let answer = app.ann().put(&path, json!({ "tags": tags })).await.expect(200).json();
        assert_eq!(answer["file"]["tags"], kept);
    }
    let too_many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
    for tags in [json!(too_many), json!(["x".repeat(65)]), json!(["a\nb"])] {
        let error = app.ann().put(&path, json!({ "tags": tags })).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], "tags");
    }
    for body in [json!({}), json!({ "tags": "a" }), json!({ "tags": [1] }), json!({ "tags": null })] {
        app.ann().put(&path, body).await.refused(400, "invalid_body");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_patch_changes_what_it_names_and_null_clears(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    let path = format!("/api/files/{id}");
    let everything = json!({
        "originalName": "Neu.png", "fileType": "scene", "packageName": "p", "tags": ["t"], "assetCategory": "object",
        "usageTags": ["u"], "characterNames": ["c"], "objectDescription": "o", "sceneLocation": "s",
        "hasAlphaChannel": true, "audioCategory": "sfx", "audioDurationSeconds": 2.5, "audioStyle": "style",
        "audioVocals": true, "audioLyrics": "la\nla", "audioTempo": 120, "audioKey": "C", "voiceoverType": "male",
        "voiceoverScript": "hm", "aiMetadata": { "a": [1, null] },
    });
    let patched = app.ann().patch(&path, everything.clone()).await.expect(200).json()["file"].clone();
    for (name, value) in everything.as_object().unwrap() {
        assert_eq!(&patched[name], value, "{name}");
    }
    assert_eq!(app.ann().patch(&path, json!({})).await.expect(200).json()["file"]["audioLyrics"], "la\nla");
    let all_but: Value =
        everything.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
    let cleared = app.ann().patch(&path, all_but).await.expect(200).json()["file"].clone();
    for (name, value) in everything.as_object().unwrap() {
        let empty = match (name.as_str(), value) {
            // A file always has a name and a type.
            ("originalName" | "fileType", _) => value.clone(),
            (_, Value::Array(_)) => json!([]),
            (_, Value::Object(_)) => json!({}),
            (_, Value::Bool(_)) => json!(false),
            _ => Value::Null,
        };
        assert_eq!(cleared[name], empty, "{name}");
    }
    assert_eq!(cleared["fileName"], patched["fileName"], "the stored bytes stay where they are");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_patch_that_does_not_fit_changes_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    let path = format!("/api/files/{id}");
    let before = app.ann().file(&id).await;
    let wrong = [
        (json!({ "originalName": "" }), 400, "invalid_parameter"),
        (json!({ "originalName": "a/b.png" }), 400, "invalid_parameter"),
        (json!({ "originalName": "a\u{202E}b" }), 400, "invalid_parameter"),
        (json!({ "originalName": "x".repeat(256) }), 400, "invalid_parameter"),
        (json!({ "packageName": "x".repeat(256) }), 400, "invalid_parameter"),
        (json!({ "tags": vec!["x".repeat(65)] }), 400, "invalid_parameter"),
        (json!({ "audioDurationSeconds": -1 }), 400, "invalid_parameter"),
        (json!({ "tags": ["ok"], "fileType": "video" }), 415, "type_mismatch"),
        (json!({ "tags": ["ok"], "fileType": "audio" }), 415, "type_mismatch"),
        (json!({ "tags": ["ok"], "assetCategory": "car" }), 400, "invalid_body"),
        (json!({ "tags": ["ok"], "fileSize": 1 }), 400, "invalid_body"),
        (json!({ "tags": ["ok"], "userId": "user_b" }), 400, "invalid_body"),
        (json!({ "objectDescription": "a\u{0}b" }), 400, "invalid_body"),
        (json!([]), 400, "invalid_body"),
    ];
    for (patch, status, code) in wrong {
        app.ann().patch(&path, patch).await.refused(status, code);
    }
    assert_eq!(app.ann().file(&id).await, before);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_change_of_what_has_changed_since_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.txt", b"a").await);
    let patch = async |etag: &str, name: &str| {
        let request = app.ann().request(Method::PATCH, &path).header("if-match", etag);
        send(request.json(&json!({ "packageName": name }))).await
    };
    let read = app.ann().get(&path).await.expect(200).header("etag").unwrap().to_owned();
    let first = patch(&read, "first").await.expect(200).header("etag").unwrap().to_owned();
    patch(&read, "second").await.refused(412, "precondition_failed");
    patch(&format!("W/{read}"), "second").await.refused(412, "precondition_failed");
    // Whoever compresses an answer on its way weakens the tag.
    let weak = format!("W/{first}");
    let second = patch(&weak, "second").await.expect(200).header("etag").unwrap().to_owned();
    patch(&format!("\"other\", {second}"), "third").await.expect(200);
    patch("*", "fourth").await.expect(200);
    let file = app.ann().get(&path).await.expect(200).json()["file"].clone();
    assert_eq!(file["packageName"], "fourth");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_change_of_what_has_changed_since_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.txt", b"a").await);
    let change = async |method: Method, target: &str, etag: &str| {
        let body = if target.ends_with("tags") { json!({ "tags": [etag] }) } else { json!({}) };
        send(app.ann().request(method, target).header("if-match", etag).json(&body)).await
    };
    let old = app.ann().get(&path).await.expect(200).header("etag").unwrap().to_owned();
    app.ann().patch(&path, json!({ "packageName": "p" })).await.expect(200);
    let current = app.ann().get(&path).await.expect(200).header("etag").unwrap().to_owned();
    let changes = [
        (Method::PUT, format!("{path}/tags")),
        (Method::POST, format!("{path}/favorite")),
        (Method::DELETE, path.clone()),
        (Method::DELETE, format!("{path}?permanent=true")),
    ];
    for (method, target) in &changes {
        change(method.clone(), target, &old).await.refused(412, "precondition_failed");
    }
    let file = app.ann().file(path.rsplit('/').next().unwrap()).await;
    assert_eq!((&file["tags"], &file["isFavorite"]), (&json!([]), &json!(false)));
    let mut etag = current;
    for (method, target) in &changes[..2] {
        let answer = change(method.clone(), target, &etag).await.expect(200);
        etag = answer.header("etag").unwrap().to_owned();
    }
    change(Method::DELETE, &path, &etag).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_document_is_merged_and_not_replaced(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.txt", b"a").await);
    for (patch, merged) in [
        (
            json!({ "model": { "name": "x", "seed": 7 }, "score": 1 }),
            json!({ "model": { "name": "x", "seed": 7 }, "score": 1 }),
        ),
        (
            json!({ "model": { "seed": null, "size": "s" } }),
            json!({ "model": { "name": "x", "size": "s" }, "score": 1 }),
        ),
        (
            json!({ "score": null, "list": [1, null] }),
            json!({ "model": { "name": "x", "size": "s" }, "list": [1, null] }),
        ),
        (json!({ "model": "none" }), json!({ "model": "none", "list": [1, null] })),
        (json!(null), json!({})),
    ] {
        let answer = app.ann().patch(&path, json!({ "aiMetadata": patch })).await.expect(200).json();
        assert_eq!(answer["file"]["aiMetadata"], merged, "{patch}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_new_type_moves_the_bytes_between_the_counters(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = png(3, 3);
    let path = format!("/api/files/{}", app.ann().store_id("a.png", &content).await);
    app.ann().patch(&path, json!({ "fileType": "project" })).await.expect(200);
    let usage = app.ann().usage().await;
    assert_eq!(usage["byType"]["image"], json!({ "bytes": 0, "count": 0 }));
    assert_eq!(usage["byType"]["project"], json!({ "bytes": content.len(), "count": 1 }));
    app.finish().await;
}

/// Total, trashed and image bytes, files and images outside the trash.
async fn usage(ann: &As<'_>) -> [Value; 5] {
    let usage = ann.usage().await;
    let images = usage["byType"]["image"].clone();
    [
        usage["totalBytes"].clone(),
        usage["trashBytes"].clone(),
        images["bytes"].clone(),
        usage["fileCount"].clone(),
        images["count"].clone(),
    ]
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn usage_is_exact_on_the_way_through_the_trash(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = png(300, 200);
    let size = content.len();
    let file = ann.store("a.png", &content).await;
    let path = format!("/api/files/{}", file["id"].as_str().unwrap());
    ann.store("b.txt", &[b'x'; 100]).await;
    assert_eq!(usage(&ann).await, [size + 100, 0, size, 2, 1]);

    let deleted = ann.delete(&path).await.expect(200).json();
    assert_eq!(
        (&deleted["message"], &deleted["deletedFile"]["id"]),
        (&json!("File moved to the trash"), &file["id"])
    );
    assert!(deleted["deletedFile"]["deletedAt"].is_string());
    assert_eq!(usage(&ann).await, [size + 100, size, 0, 1, 0]);
    ann.get(&path).await.refused(404, "not_found");
    ann.delete(&path).await.refused(404, "not_found");
    ann.patch(&path, json!({ "packageName": "p" })).await.refused(404, "not_found");

    let restored = ann.post(&format!("{path}/restore"), json!({})).await.expect(200).json();
    assert_eq!(
        (&restored["file"]["deletedAt"], &restored["file"]["sha256"]),
        (&Value::Null, &file["sha256"])
    );
    assert_eq!(usage(&ann).await, [size + 100, 0, size, 2, 1]);
    ann.post(&format!("{path}/restore"), json!({})).await.refused(404, "not_found");

    ann.delete(&path).await.expect(200);
    let purged = ann.delete(&format!("{path}?permanent=true")).await.expect(200).json();
    assert_eq!(purged["message"], "File deleted permanently");
    assert_eq!(usage(&ann).await, [100, 0, 0, 1, 0]);
    ann.post(&format!("{path}/restore"), json!({})).await.refused(404, "not_found");
    app.run_jobs_in_queue().await;
    assert!(!app.on_volume(file["filePath"].as_str().unwrap()).exists());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_is_deleted_for_good_without_the_trash_if_so_asked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.png", &png(3, 3)).await);
    app.ann().delete(&format!("{path}?permanent=perhaps")).await.refused(400, "invalid_parameter");
    app.ann().delete(&format!("{path}?permanent=true")).await.expect(200);
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn emptying_the_trash_leaves_the_other_files_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for name in ["a.txt", "b.txt", "c.txt"] {
        let id = app.ann().store_id(name, &[b'x'; 100]).await;
        if name != "c.txt" {
            app.ann().delete(&format!("/api/files/{id}")).await.expect(200);
        }
    }
    let bobs = app.bob().store_id("d.txt", b"d").await;
    app.bob().delete(&format!("/api/files/{bobs}")).await.expect(200);
    for count in [2, 0] {
        let emptied = app.ann().delete("/api/files/trash").await.expect(200).json();
        assert_eq!(emptied["deletedCount"], count);
    }
    assert_eq!(app.ann().counters().await, json!([100, 0, 0, 1]));
    assert_eq!(app.bob().usage().await["trashBytes"], 1);
    app.run_jobs_in_queue().await;
    assert_eq!(app.blobs_of(ANN).len(), 1);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bodies_that_are_no_json_are_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/tags", app.ann().store_id("a.txt", b"a").await);
    let put = async |content_type: &str, body: String| {
        send(app.ann().request(Method::PUT, &path).header("content-type", content_type).body(body)).await
    };
    for body in
        ["{", "{\"tags\": []} trailing", "\"tags\"", "{\"tags\": [\"\\u0000\"]}", "{\"tags\": [\"\u{0}\"]}"]
    {
        put("application/json", body.to_owned()).await.refused(400, "invalid_body");
    }
    put("text/plain", "{\"tags\": []}".to_owned()).await.refused(415, "unsupported_content_type");
    put("application/json; charset=utf-8", "{\"tags\": []}".to_owned()).await.expect(200);
    let deep = format!("{{\"tags\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    put("application/json", deep).await.refused(400, "invalid_body");
    let large = format!("{{\"tags\": [\"{}\"]}}", "x".repeat(1 << 20));
    assert_eq!(put("application/json", large).await.refused(413, "body_too_large")["maxBytes"], 1 << 20);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_in_the_trash_has_no_urls_and_says_when_it_goes_for_good(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.limits.trash_keep = std::time::Duration::from_secs(864_000))
            .await;
    let file = app.ann().store("a.png", &png(60, 40)).await;
    app.run_jobs_in_queue().await;
    assert_eq!(file["purgeAt"], Value::Null);
    let path = format!("/api/files/{}", file["id"].as_str().unwrap());
    let deleted = app.ann().delete(&path).await.expect(200).json()["deletedFile"].clone();
    let listed = app.ann().get("/api/files?trash=true").await.expect(200).json()["files"][0].clone();
    for shown in [&deleted, &listed] {
        for url in ["downloadUrl", "streamUrl", "thumbnailUrl"] {
            assert_eq!(shown[url], Value::Null, "{url}");
        }
        assert_eq!(shown["derivatives"][0]["url"], Value::Null);
        let time = |name: &str| {
            let format = &time::format_description::well_known::Rfc3339;
            time::OffsetDateTime::parse(shown[name].as_str().unwrap(), format).unwrap()
        };
        assert_eq!(time("purgeAt") - time("deletedAt"), time::Duration::days(10));
    }
    let restored =
        app.ann().post(&format!("{path}/restore"), json!({})).await.expect(200).json()["file"].clone();
    assert_eq!(restored["purgeAt"], Value::Null);
    app.nobody().get(restored["downloadUrl"].as_str().unwrap()).await.expect(200);
    app.finish().await;
}
