//! The virus scanner, with a real clamd: until a file has passed it, no link to its bytes works without a token.

use crate::app::clamd::{Clamd, MAX_BYTES, VIRUS};
use crate::app::media::png;
use crate::app::tus::{location, proof, repr_digest};
use crate::app::{Form, TestApp, rows, send};
use jam_core::config::ListenAddress;
use jam_core::ops::work;
use serde_json::{Value, json};
use sqlx::PgPool;

async fn with_scanner(pool: PgPool, address: ListenAddress) -> TestApp {
    TestApp::with(pool, |config| config.scanner = Some(address)).await
}

/// Whether both ways to a link that works without a token are closed, and the owner still has the bytes.
async fn needs_a_token(app: &TestApp, file: &Value, content: &[u8]) {
    let id = file["id"].as_str().unwrap();
    assert_eq!(file["downloadUrl"], format!("/api/files/{id}/download"));
    let wanted = json!({ "purpose": "download" });
    app.ann().post(&format!("/api/files/{id}/url"), wanted).await.refused(409, "conflict");
    assert_eq!(app.ann().get(&format!("/api/files/{id}/download")).await.expect(200).body, content);
}

async fn is_open(app: &TestApp, file: &Value) {
    let id = file["id"].as_str().unwrap();
    app.nobody().get(file["downloadUrl"].as_str().unwrap()).await.expect(200);
    app.ann().post(&format!("/api/files/{id}/url"), json!({ "purpose": "download" })).await.expect(200);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_link_to_a_file_works_without_a_token_only_after_its_scan(pool: PgPool) {
    let clamd = Clamd::start().await;
    let app = with_scanner(pool, clamd.address()).await;
    let (image, large) = (png(40, 30), vec![7; MAX_BYTES + 1]);
    let form = Form::new().file("a.png", &image).file("b.bin", VIRUS).file("c.bin", &large);
    let stored = app.ann().upload(form).await.expect(200).json();
    let in_pieces = app.ann().upload_in_pieces("d.bin", VIRUS, 10).await;
    let files = [&stored["files"][0], &stored["files"][1], &stored["files"][2], &in_pieces];
    for (file, content) in files.into_iter().zip([&*image, VIRUS, &large, VIRUS]) {
        assert_eq!(file["scan"], "pending");
        needs_a_token(&app, file, content).await;
    }
    // Thumbnails are made here and carry nothing of the file's own bytes.
    app.nobody().get(stored["files"][0]["thumbnailUrl"].as_str().unwrap()).await.expect(200);

    app.run_jobs_in_queue().await;
    let mut found = Vec::new();
    for file in files {
        found.push(app.ann().file(file["id"].as_str().unwrap()).await);
    }
    let states: Vec<_> = found.iter().map(|file| file["scan"].as_str().unwrap()).collect();
    assert_eq!(states, ["clean", "infected", "skipped", "infected"]);
    is_open(&app, &found[0]).await;
    needs_a_token(&app, &found[1], VIRUS).await;
    is_open(&app, &found[2]).await;
    needs_a_token(&app, &found[3], VIRUS).await;
    let list = app.ann().get("/api/files?q=b.bin").await.expect(200).json();
    assert_eq!(list["files"][0]["scan"], "infected");
    let copy = format!("/api/files/{}/copy", found[1]["id"].as_str().unwrap());
    let copy = app.ann().post(&copy, json!({})).await.expect(200).json()["file"].clone();
    assert_eq!(copy["scan"], "infected", "a copy shows the same content");
    needs_a_token(&app, &copy, VIRUS).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_waits_for_a_scanner_that_is_away(pool: PgPool) {
    let app = with_scanner(pool, ListenAddress::Unix("/nowhere/clamd.ctl".into())).await;
    let id = app.ann().store_id("a.bin", b"a").await;
    assert!(work::run_next(&app.app).await.unwrap());
    let file = app.ann().file(&id).await;
    assert_eq!(file["scan"], "pending");
    needs_a_token(&app, &file, b"a").await;
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_a_scanner_nothing_waits(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.bin", b"a").await;
    assert_eq!(file["scan"], Value::Null);
    is_open(&app, &file).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_scan_found_is_said_of_every_file_of_the_same_bytes_when_there_is_no_scanner_any_more(
    pool: PgPool,
) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.bin", VIRUS).await;
    let found = "UPDATE user_files SET scan_state = 'infected'";
    rows::run(&mut app.app.db.conn().await.unwrap(), found).await;
    let copy = ann.post(&format!("/api/files/{id}/copy"), json!({})).await.expect(200).json()["file"].clone();
    let created = send(ann.creation(VIRUS.len()).header("repr-digest", repr_digest(VIRUS))).await.expect(201);
    let challenge = created.header("upload-known").unwrap();
    let proven = ann.piece(&location(&created), 0, b"").header("upload-proof", proof(challenge, VIRUS));
    let proven = send(proven).await.expect(204);
    let proven = ann.file(proven.header("upload-file-id").unwrap()).await;
    for file in [&copy, &proven] {
        assert_eq!(file["scan"], "infected");
        needs_a_token(&app, file, VIRUS).await;
    }
    app.finish().await;
}
