//! JSON is compressed where nothing stands before the service, and nothing else ever is.

use crate::app::process::Site;
use crate::app::{ANN, Answer, Form, TestApp, send};
use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::io::Read as _;

/// The answer's body, unpacked.
fn unpacked(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("content-length").unwrap(), answer.body.len().to_string());
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_listing_is_a_fraction_of_its_size_for_clients_that_read_gzip(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let form = (0..40).fold(Form::new(), |form, number| form.file(&format!("{number}.txt"), b"text"));
    app.ann().upload(form).await.expect(200);
    let plain = app.ann().get("/api/files?limit=40").await.expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.header_values("vary").contains(&"Accept-Encoding"));
    let packed = app.ann().get_with("/api/files?limit=40", "accept-encoding", "br, gzip").await.expect(200);
    assert!(packed.header_values("vary").contains(&"Accept-Encoding"));
    assert!(packed.body.len() * 4 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
    assert_eq!(unpacked(&packed)["count"], 40);
    let short = app.ann().get_with("/api/files?q=nothing", "accept-encoding", "gzip").await.expect(200);
    assert_eq!((short.header("content-encoding"), short.json()["count"].as_i64()), (None, Some(0)));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_files_bytes_are_never_compressed_whatever_they_are(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = json!({ "scene": "x".repeat(5000) }).to_string();
    let file = app.ann().store("scene.json", content.as_bytes()).await;
    for target in [
        file["downloadUrl"].as_str().unwrap(),
        &format!("/api/files/{}/download", file["id"].as_str().unwrap()),
    ] {
        let answer = app.ann().get_with(target, "accept-encoding", "gzip").await.expect(200);
        assert_eq!((answer.header("content-encoding"), &*answer.body), (None, content.as_bytes()));
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_weak_tag_of_a_compressed_answer_is_as_good_as_the_strong_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id(&format!("{}.txt", "long ".repeat(45)), b"text").await;
    let path = format!("/api/files/{id}");
    let plain = app.ann().get(&path).await.expect(200);
    let packed = app.ann().get_with(&path, "accept-encoding", "gzip").await.expect(200);
    assert_eq!(unpacked(&packed)["file"]["id"], *id);
    let weak = packed.header("etag").unwrap();
    assert_eq!(weak, format!("W/{}", plain.header("etag").unwrap()));
    app.ann().get_with(&path, "if-none-match", weak).await.expect(304);
    let change = |tag: &str| {
        let request = app.ann().request(Method::PATCH, &path).header("if-match", tag);
        request.json(&json!({ "originalName": "b.txt" }))
    };
    send(change(weak)).await.expect(200);
    send(change(weak)).await.refused(412, "precondition_failed");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn behind_a_proxy_compression_is_the_proxys(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let form = (0..10).fold(Form::new(), |form, number| form.file(&format!("{number}.txt"), b"text"));
    process.user(ANN).upload(form).await.expect(200);
    let answer = process.user(ANN).get_with("/api/files", "accept-encoding", "gzip").await.expect(200);
    assert_eq!((answer.header("content-encoding"), answer.json()["count"].as_i64()), (None, Some(10)));
    process.stop().await;
    site.assert_clean().await;
}
