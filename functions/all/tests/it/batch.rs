//! Batches: one action on many files, one result a file, all of it or nothing.

use crate::app::{ANN, TestApp};
use serde_json::{Value, json};
use sqlx::PgPool;

const UNKNOWN: &str = "019a0000-0000-7000-8000-000000000000";

async fn store(app: &TestApp, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(app.ann().store_id(&format!("{n}.txt"), &[b'x'; 100]).await);
    }
    ids
}

async fn run(app: &TestApp, body: Value) -> Value {
    app.ann().post("/api/files/batch", body).await.expect(200).json()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn each_action_does_to_many_what_it_does_to_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 3).await;
    let actions = [
        (json!({ "action": "favorite" }), "isFavorite", json!(true)),
        (json!({ "action": "unfavorite" }), "isFavorite", json!(false)),
        (json!({ "action": "tag", "tags": ["b", "a"] }), "tags", json!(["b", "a"])),
        (json!({ "action": "tag", "tags": ["a", "c"] }), "tags", json!(["b", "a", "c"])),
        (json!({ "action": "untag", "tags": ["a", "z"] }), "tags", json!(["b", "c"])),
        (json!({ "action": "move", "packageName": "p" }), "packageName", json!("p")),
        (json!({ "action": "move", "packageName": null }), "packageName", Value::Null),
    ];
    for (mut body, field, expected) in actions {
        body["ids"] = json!(ids[..2]);
        let answer = run(&app, body.clone()).await;
        assert_eq!(answer["count"], 2, "{body}");
        for id in &ids[..2] {
            assert_eq!(app.ann().file(id).await[field], expected, "{body}");
        }
        let untouched = app.ann().file(&ids[2]).await;
        assert!(
            untouched[field] == json!(false) || untouched[field] == json!([]) || untouched[field].is_null()
        );
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn usage_is_exact_after_each_batch(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 4).await;
    let steps = [
        ("delete", &ids[..3], 3, json!([400, 0, 300, 1])),
        ("delete", &ids[..3], 0, json!([400, 0, 300, 1])),
        ("restore", &ids[..1], 1, json!([400, 0, 200, 2])),
        ("purge", &ids[..2], 2, json!([200, 0, 100, 1])),
        ("purge", &ids[..2], 0, json!([200, 0, 100, 1])),
        ("restore", &ids[..], 1, json!([200, 0, 0, 2])),
        ("purge", &ids[..], 2, json!([0, 0, 0, 0])),
    ];
    for (action, ids, count, counters) in steps {
        assert_eq!(run(&app, json!({ "action": action, "ids": ids })).await["count"], count, "{action}");
        assert_eq!(app.ann().counters().await, counters, "{action}");
    }
    app.run_jobs_in_queue().await;
    assert!(app.blobs_of(ANN).is_empty());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_cannot_be_done_is_named_and_the_rest_is_done(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 2).await;
    let foreign = app.bob().store_id("b.txt", b"b").await;
    let asked = [UNKNOWN, &ids[0], "not-an-id", &foreign, &ids[1]];
    let answer = run(&app, json!({ "action": "favorite", "ids": asked })).await;
    let gone = |id: &str| json!({ "id": id, "success": false, "error": "Not found.", "code": "not_found" });
    let done = |id: &str| json!({ "id": id, "success": true });
    let results = json!([gone(UNKNOWN), done(&ids[0]), gone("not-an-id"), gone(&foreign), done(&ids[1])]);
    assert_eq!((&answer["results"], &answer["count"]), (&results, &json!(2)));
    assert_eq!(app.bob().file(&foreign).await["isFavorite"], false);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_that_would_have_too_many_tags_keeps_its_own(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 2).await;
    let full: Vec<String> = (0..64).map(|n| n.to_string()).collect();
    app.ann().put(&format!("/api/files/{}/tags", ids[0]), json!({ "tags": full })).await.expect(200);
    let answer = run(&app, json!({ "action": "tag", "tags": ["new"], "ids": ids })).await;
    assert_eq!(answer["results"][0]["code"], "too_many_tags");
    assert_eq!(answer["results"][1], json!({ "id": ids[1], "success": true }));
    assert_eq!(app.ann().file(&ids[0]).await["tags"], json!(full));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_batch_that_makes_no_sense_does_nothing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 1).await;
    let wrong = [
        (json!({ "ids": ids }), "invalid_body"),
        (json!({ "action": "delete" }), "invalid_body"),
        (json!({ "action": "destroy", "ids": ids }), "invalid_body"),
        (json!({ "action": "delete", "ids": [1] }), "invalid_body"),
        (json!({ "action": "delete", "ids": vec![&ids[0]; 501] }), "invalid_parameter"),
        (json!({ "action": "tag", "ids": ids }), "invalid_parameter"),
        (json!({ "action": "tag", "ids": ids, "tags": [" "] }), "invalid_parameter"),
        (json!({ "action": "tag", "ids": ids, "tags": ["x".repeat(65)] }), "invalid_parameter"),
        (json!({ "action": "untag", "ids": ids }), "invalid_parameter"),
        (json!({ "action": "move", "ids": ids }), "invalid_parameter"),
        (json!({ "action": "move", "ids": ids, "package": "x" }), "invalid_body"),
        (json!({ "action": "favorite", "ids": ids, "favorite": false }), "invalid_body"),
        (json!({ "action": "move", "ids": ids, "packageName": "x".repeat(256) }), "invalid_parameter"),
    ];
    for (body, code) in wrong {
        app.ann().post("/api/files/batch", body).await.refused(400, code);
    }
    assert_eq!(app.ann().usage().await["fileCount"], 1);
    assert_eq!(run(&app, json!({ "action": "delete", "ids": [] })).await["results"], json!([]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn five_hundred_at_once_are_done_and_so_are_racing_batches(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 20).await;
    let backwards: Vec<&String> = ids.iter().rev().collect();
    let filled: Vec<&str> = ids.iter().map(String::as_str).chain(std::iter::repeat_n(UNKNOWN, 480)).collect();
    let ann = app.ann();
    let racing = [
        json!({ "action": "delete", "ids": filled }),
        json!({ "action": "restore", "ids": backwards }),
        json!({ "action": "delete", "ids": backwards }),
        json!({ "action": "restore", "ids": ids }),
        json!({ "action": "favorite", "ids": backwards }),
    ];
    let answers = futures_util::future::join_all(racing.map(|body| ann.post("/api/files/batch", body))).await;
    for answer in answers {
        answer.expect(200);
    }
    assert_eq!(app.ann().usage().await["totalBytes"], 2000);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_misspelt_argument_leaves_every_file_in_its_package(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ids = store(&app, 2).await;
    run(&app, json!({ "action": "move", "ids": ids, "packageName": "p" })).await;
    let ann = app.ann();
    let batch = async |body: Value| ann.post("/api/files/batch", body).await;
    let error =
        batch(json!({ "action": "move", "ids": ids, "package": "x" })).await.refused(400, "invalid_body");
    assert_eq!(error["parameter"], "package");
    let error = batch(json!({ "action": "move", "ids": ids })).await.refused(400, "invalid_parameter");
    assert_eq!(error["parameter"], "packageName");
    for id in &ids {
        assert_eq!(app.ann().file(id).await["packageName"], "p");
    }
    app.finish().await;
}
