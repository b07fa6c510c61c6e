//! Copies: the same bytes and everything said about them under an id of its own, counted in full, and either file
//! outlives the other.

use crate::app::media::{MP4, bytes, png};
use crate::app::process::Site;
use crate::app::{ANN, Answer, TestApp, eventually, rows, send, user_id};
use crate::resumable_crashes::{points, send_and_die, starts};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

/// How often a copy meets something that removes its source.
const ROUNDS: u32 = 40;

fn path(id: &str) -> String {
    format!("/api/files/{id}/copy")
}

fn id_of(file: &Value) -> String {
    file["id"].as_str().unwrap().to_owned()
}

fn states(file: &Value) -> Vec<(&str, &str)> {
    let made = file["derivatives"].as_array().unwrap().iter();
    made.map(|made| (made["kind"].as_str().unwrap(), made["state"].as_str().unwrap())).collect()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy_says_what_its_source_says_and_has_what_is_made_of_it_at_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let patch = json!({
        "packageName": "P", "tags": ["t"], "assetCategory": "clip", "usageTags": ["u"], "characterNames": ["Ada"],
        "audioCategory": "sfx", "audioLyrics": "la", "relativePath": "folder/a.png", "aiMetadata": { "model": "x" },
    });
    for (name, content, kinds) in
        [("a.png", png(60, 40), vec!["default"]), ("b.mp4", MP4.to_vec(), vec!["default", "playback"])]
    {
        let id = ann.store_id(name, &content).await;
        app.run_jobs_in_queue().await;
        ann.patch(&format!("/api/files/{id}"), patch.clone()).await.expect(200);
        ann.post(&format!("/api/files/{id}/favorite"), json!({ "favorite": true })).await.expect(200);
        ann.delete(&format!("/api/files/{id}/urls")).await.expect(200);
        let source = ann.file(&id).await;
        let copied = ann.post(&path(&id), json!({})).await.expect(200).json();
        let copy = copied["file"].clone();
        assert_eq!((&copied["success"], &copy["isFavorite"]), (&json!(true), &json!(false)));
        assert!(copy["uploadDate"].as_str() > source["uploadDate"].as_str());
        let made: Vec<_> = kinds.iter().map(|kind| (*kind, "ready")).collect();
        assert_eq!(states(&copy), made, "{name}");
        let (mut conn, ids) = (app.app.db.conn().await.unwrap(), [id.clone(), id_of(&copy)]);
        let differing = rows::columns_that_differ(&mut conn, &user_id(ANN), &ids).await;
        drop(conn);
        let own = ["created_at", "file_name", "file_path", "id", "is_favorite", "updated_at", "upload_date"];
        assert_eq!(differing, [&own[..], &["url_epoch"]].concat(), "{name}");
        app.run_jobs_in_queue().await;
        assert_eq!(states(&ann.file(&id_of(&copy)).await), made, "{name}");
        assert_eq!(ann.file(&id).await, source, "the source is as it was");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_and_its_copy_survive_each_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    for (content, removes_source) in [(bytes(1, 100_000), true), (bytes(2, 100_000), false), (vec![], true)] {
        let id = ann.store_id("a.bin", &content).await;
        let copy = id_of(&ann.post(&path(&id), json!({})).await.expect(200).json()["file"]);
        assert_eq!(ann.counters().await, json!([2 * content.len(), 0, 0, 2]));
        let (gone, kept) = if removes_source { (&id, &copy) } else { (&copy, &id) };
        ann.delete(&format!("/api/files/{gone}?permanent=true")).await.expect(200);
        app.run_jobs_in_queue().await;
        ann.get(&format!("/api/files/{gone}/download")).await.expect(404);
        assert_eq!(ann.get(&format!("/api/files/{kept}/download")).await.expect(200).body, content);
        assert_eq!(ann.counters().await, json!([content.len(), 0, 0, 1]));
        // A copy can be copied as well.
        let next = id_of(&ann.post(&path(kept), json!({})).await.expect(200).json()["file"]);
        ann.delete(&format!("/api/files/{kept}?permanent=true")).await.expect(200);
        app.run_jobs_in_queue().await;
        assert_eq!(ann.get(&format!("/api/files/{next}/download")).await.expect(200).body, content);
        ann.delete(&format!("/api/files/{next}?permanent=true")).await.expect(200);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy_is_named_as_a_rename_may_name_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.txt", b"a").await;
    let named = async |body: Value| {
        let answer = ann.post(&path(&id), body).await.expect(200).json();
        answer["file"]["originalName"].as_str().unwrap().to_owned()
    };
    assert_eq!(named(json!({ "originalName": " cafe\u{301}.txt " })).await, "caf\u{e9}.txt");
    assert_eq!(named(json!({ "originalName": null })).await, "a.txt");
    let without_body = send(ann.request(Method::POST, &path(&id))).await.expect(200).json();
    assert_eq!(without_body["file"]["originalName"], "a.txt");
    let long = "x".repeat(256);
    for name in ["", "a/b.txt", "..", "a\u{202e}b", &long] {
        let body = json!({ "originalName": name });
        let refused = ann.post(&path(&id), body.clone()).await.refused(400, "invalid_parameter");
        let rename = ann.patch(&format!("/api/files/{id}"), body).await.refused(400, "invalid_parameter");
        assert_eq!((&refused["parameter"], &refused["error"]), (&rename["parameter"], &rename["error"]));
    }
    for body in [json!({ "name": "b.txt" }), json!({ "originalName": 1 }), json!([])] {
        ann.post(&path(&id), body).await.refused(400, "invalid_body");
    }
    assert_eq!(ann.counters().await, json!([4, 0, 0, 4]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy_that_does_not_fit_leaves_nothing(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_files_per_user = 3).await;
    let ann = app.ann();
    let id = ann.store_id("a.bin", &[b'x'; 1000]).await;
    let is_refused = async |code: &str| {
        let (counters, mut blobs) = (ann.counters().await, app.blobs_of(ANN));
        ann.post(&path(&id), json!({})).await.refused(413, code);
        let mut left = app.blobs_of(ANN);
        blobs.sort();
        left.sort();
        assert_eq!((ann.counters().await, left), (counters, blobs), "{code}");
    };
    app.set_quota(ANN, 1999).await;
    is_refused("quota_exceeded").await;
    app.set_quota(ANN, 2000).await;
    ann.post(&path(&id), json!({})).await.expect(200);
    is_refused("quota_exceeded").await;
    app.set_quota(ANN, 5000).await;
    ann.post(&path(&id), json!({})).await.expect(200);
    is_refused("too_many_stored_files").await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn copies_at_the_same_time_fill_the_quota_and_no_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.bin", &[b'x'; 1000]).await;
    app.set_quota(ANN, 4500).await;
    let target = path(&id);
    let answers = join_all((0..10).map(|_| ann.post(&target, json!({})))).await;
    let (made, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 3);
    for answer in refused {
        answer.refused(413, "quota_exceeded");
    }
    assert_eq!(ann.counters().await, json!([4000, 0, 0, 4]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn only_ones_own_files_outside_the_trash_can_be_copied(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    for caller in [app.bob(), app.admin()] {
        caller.post(&path(&id), json!({})).await.refused(404, "not_found");
    }
    app.ann().post(&path("019a0000-0000-7000-8000-000000000000"), json!({})).await.refused(404, "not_found");
    app.ann().delete(&format!("/api/files/{id}")).await.expect(200);
    app.ann().post(&path(&id), json!({})).await.refused(404, "not_found");
    app.ann().post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
    app.ann().post(&path(&id), json!({})).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_copy_answers_is_true_beside_the_end_of_its_source(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    for round in 0..ROUNDS {
        let content = bytes(u64::from(round), 100);
        let id = ann.store_id("a.bin", &content).await;
        let removed = format!("/api/files/{id}{}", if round % 4 < 2 { "?permanent=true" } else { "" });
        let target = path(&id);
        let copying = ann.post(&target, json!({}));
        let copied = match round % 2 {
            0 => tokio::join!(copying, ann.delete(&removed)).0,
            _ => tokio::join!(ann.delete(&removed), copying).1,
        };
        app.run_jobs_in_queue().await;
        if copied.status == 200 {
            let copy = id_of(&copied.json()["file"]);
            let read = ann.get(&format!("/api/files/{copy}/download")).await.expect(200);
            assert_eq!(read.body, content);
            ann.delete(&format!("/api/files/{copy}?permanent=true")).await.expect(200);
        } else {
            copied.refused(404, "not_found");
        }
        // A source in the trash comes back, whatever was copied from it.
        if round % 4 >= 2 {
            ann.post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
            assert_eq!(ann.get(&format!("/api/files/{id}/download")).await.expect(200).body, content);
            ann.delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
        }
        assert_eq!(ann.counters().await, json!([0, 0, 0, 0]));
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy_cut_off_anywhere_is_whole_or_leaves_nothing(pool: PgPool) {
    let site = Site::new(pool);
    let content = bytes(1, 100_000);
    for point in points("copy", 3) {
        let process = starts(&site, point).await;
        let ann = process.user(ANN);
        let id = ann.store_id("a.bin", &content).await;
        let before = ann.usage().await["fileCount"].as_u64().unwrap();
        let request = ann.request(Method::POST, &path(&id)).json(&json!({}));
        send_and_die(process, request, point).await;
        let next = site.settled().await;
        let ann = next.user(ANN);
        let count = before + u64::from(point == "copy.done");
        eventually("its reservation is given back", async || {
            (ann.counters().await == json!([count * 100_000, 0, 0, count])).then_some(())
        })
        .await;
        for file in ann.get("/api/files").await.expect(200).json()["files"].as_array().unwrap() {
            let read = ann.get(&format!("/api/files/{}/download", id_of(file))).await.expect(200);
            assert_eq!(read.body, content, "{point}");
        }
        drop(ann);
        next.stop().await;
    }
    site.assert_clean().await;
}
