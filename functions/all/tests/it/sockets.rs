//! Every function as a process of its own on its own socket, with nothing between them but a router that goes by the
//! contract's tags: together they are the service.

use crate::app::media::{png, sha256};
use crate::app::process::{Process, Site, session_token};
use crate::app::{ANN, As, BOB, Form, Operation, Service, eventually, functions};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// One process a function.
struct Processes(BTreeMap<&'static str, Process>);

impl Processes {
    async fn start(site: &Site) -> Self {
        let mut processes = BTreeMap::new();
        for function in functions() {
            processes.insert(function, site.start(&format!("jam-{function}"), &[]).await);
        }
        Self(processes)
    }

    fn user(&self, name: &str) -> As<'_> {
        As::new(self, Some(session_token(name)))
    }

    fn nobody(&self) -> As<'_> {
        As::new(self, None)
    }
}

impl Service for Processes {
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let function = Operation::answering(&method, target).map_or("list", |operation| operation.function);
        self.0[function].request(method, target)
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn functions_as_processes_of_their_own_are_one_service(pool: PgPool) {
    let site = Site::new(pool);
    let service = Processes::start(&site).await;
    let worker = site.start("jam-worker", &[("JAM_JANITOR_SECONDS", "1")]).await;
    let (ann, bob) = (service.user(ANN), service.user(BOB));
    let content = png(800, 600);
    let form = Form::new().file("a.png", &content).field("tags", r#"["one"]"#);
    let file = ann.upload(form).await.expect(200).json()["files"][0].clone();
    let id = file["id"].as_str().unwrap();

    assert_eq!(ann.get("/api/files?tags=one").await.expect(200).json()["files"][0]["id"], *id);
    assert_eq!(bob.get("/api/files").await.expect(200).json()["count"], 0);
    let range =
        ann.get_with(&format!("/api/files/{id}/download"), "range", "bytes=100-199").await.expect(206);
    assert_eq!(range.body, content[100..200]);
    let stream = service.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(sha256(&stream.body), file["sha256"]);
    eventually("the worker made the thumbnail", async || {
        (ann.file(id).await["derivatives"][0]["state"] == "ready").then_some(())
    })
    .await;
    ann.get(&format!("/api/files/{id}/thumbnail?size=small")).await.expect(200);
    service.nobody().get(file["thumbnailUrl"].as_str().unwrap()).await.expect(200);

    ann.put(&format!("/api/files/{id}/tags"), json!({ "tags": ["two"] })).await.expect(200);
    ann.delete(&format!("/api/files/{id}")).await.expect(200);
    assert_eq!(ann.counters().await, json!([content.len(), 0, content.len(), 0]));
    ann.post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
    assert_eq!(ann.file(id).await["tags"], json!(["two"]));
    ann.delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    assert_eq!(ann.counters().await, json!([0, 0, 0, 0]));
    let on_volume = site.on_volume(file["filePath"].as_str().unwrap());
    eventually("the worker removed the bytes", async || (!on_volume.exists()).then_some(())).await;

    for (_, process) in service.0 {
        process.stop().await;
    }
    worker.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_function_answers_its_own_operations_and_no_others(pool: PgPool) {
    let site = Site::new(pool);
    let service = Processes::start(&site).await;
    for (function, process) in service.0 {
        let user = process.user(ANN);
        let is_there = async |path: &str| user.get(path).await.status != 404;
        assert!(is_there("/health").await);
        for (owner, path) in
            [("list", "/api/files"), ("quota", "/api/storage/usage"), ("list", "/openapi.json")]
        {
            assert_eq!(is_there(path).await, owner == function, "{function}: {path}");
        }
        let unknown: Value = user.get("/nowhere").await.refused(404, "not_found");
        assert!(unknown["requestId"].is_string());
        drop(user);
        process.stop().await;
    }
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_function_that_systemd_started_ends_when_nobody_is_connected(pool: PgPool) {
    let site = Site::new(pool);
    let settings = [("JAM_IDLE_EXIT_SECONDS", "1")];
    let process = site.start_behind(&site.entrance(), "jam-list", &settings).await;
    process.user(ANN).get("/api/files").await.expect(200);
    assert!(process.ended().await.success());
    assert!(site.log_of("jam-list").contains("idle: exiting"));
    site.assert_clean().await;
}
