//! A kill at every step: the process ends as each of its changes to files, database and sockets is about to happen, from
//! the creation of an upload to the answer that names its file. The next request finds every acknowledged byte.
#![cfg(target_os = "linux")]

use crate::app::media::{bytes, sha256};
use crate::app::process::{Process, Site};
use crate::app::syscalls::Doomed;
use crate::app::tus::{BYTES, UPLOADS};
use crate::app::{ANN, Answer, As, Form};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

/// Every so many changes there is a kill; `TEST_KILL_EVERY=1` has one at each.
const EVERY: u64 = 3;
/// More changes than an upload makes.
const MOST: u64 = 1000;

#[expect(clippy::disallowed_methods, reason = "how long to try is chosen from outside")]
fn every() -> u64 {
    std::env::var("TEST_KILL_EVERY").map_or(EVERY, |text| text.parse().unwrap())
}

/// One upload, and the offset that its client received last.
struct Client {
    key: String,
    content: Vec<u8>,
    url: Option<String>,
    acknowledged: usize,
}

impl Client {
    fn new(number: u64) -> Self {
        let content = bytes(number, 600_000 + usize::try_from(number).unwrap());
        Self { key: format!("upload-{number}"), content, url: None, acknowledged: 0 }
    }

    /// Goes on until the upload is a file, whose id it answers, or the process is gone.
    async fn go_on(&mut self, ann: &As<'_>) -> Option<String> {
        if self.url.is_none() {
            let request = ann.tus(Method::POST, UPLOADS).header("upload-length", self.content.len());
            let made = attempt(request.header("idempotency-key", &self.key)).await?.expect(201);
            self.url = made.header("location").map(str::to_owned);
        }
        let url = self.url.clone()?;
        loop {
            let asked = attempt(ann.tus(Method::HEAD, &url)).await?.expect(200);
            let at: usize = asked.header("upload-offset")?.parse().unwrap();
            assert!(at >= self.acknowledged, "{} acknowledged before and {at} now", self.acknowledged);
            self.acknowledged = at;
            if at == self.content.len() {
                return Some(asked.header("upload-file-id").expect("it is whole").to_owned());
            }
            let end = self.content.len().min(at + 300_000);
            let piece = ann.tus(Method::PATCH, &url).header("content-type", BYTES);
            let piece = piece.header("upload-offset", at).body(self.content[at..end].to_vec());
            let answer = attempt(piece).await?.expect(204);
            self.acknowledged = answer.header("upload-offset")?.parse().unwrap();
        }
    }
}

/// An answer, unless the process is gone first.
async fn attempt(request: RequestBuilder) -> Option<Answer> {
    Answer::read(request.send().await.ok()?).await
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_resumable_upload_survives_a_kill_at_each_of_its_steps(pool: PgPool) {
    let site = Site::new(pool);
    let mut stored: Vec<(String, String)> = Vec::new();
    let mut steps = BTreeSet::new();
    let mut left: Option<Client> = None;
    for number in (0..MOST).map(|round| 1 + round * every()) {
        let process = site.start("jam-all", &[]).await;
        let ann = process.user(ANN);
        if let Some(mut client) = left.take() {
            let id = client.go_on(&ann).await.expect("nobody kills it this time");
            stored.push((id, sha256(&client.content)));
        }
        let mut client = Client::new(number);
        let doomed = Doomed::at_change(process.id(), number);
        let finished = client.go_on(&ann).await;
        drop(ann);
        if let Some(id) = finished {
            // More changes were asked for than there are.
            stored.push((id, sha256(&client.content)));
            end(doomed, process).await;
            break;
        }
        steps.insert(doomed.killed_at());
        assert_eq!(process.ended().await.signal(), Some(9));
        left = Some(client);
    }
    assert!(left.is_none(), "it never came to an end");
    // Which kinds of change every third one meets is up to the scheduler.
    assert!(stored.len() > 10 && steps.len() > 2, "{} kills at {steps:?}", stored.len() - 1);
    assert_all_stored(&site, &stored).await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_survives_a_kill_at_each_of_its_steps_or_leaves_nothing(pool: PgPool) {
    kill_at_each_step_of_a_form(pool, 600_000).await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_with_a_small_file_survives_a_kill_at_each_of_its_steps_or_leaves_nothing(pool: PgPool) {
    kill_at_each_step_of_a_form(pool, 60_000).await;
}

async fn kill_at_each_step_of_a_form(pool: PgPool, content_bytes: usize) {
    let site = Site::new(pool);
    let mut answered: Vec<(String, String)> = Vec::new();
    for number in (0..MOST).map(|round| 1 + round * every()) {
        let process = site.start("jam-all", &[]).await;
        let ann = process.user(ANN);
        let content = bytes(number, content_bytes);
        let doomed = Doomed::at_change(process.id(), number);
        let answer = ann.try_upload(Form::new().file("a.bin", &content)).await;
        drop(ann);
        let Some(answer) = answer else {
            doomed.killed_at();
            assert_eq!(process.ended().await.signal(), Some(9));
            continue;
        };
        let file = answer.expect(200).json()["files"][0].clone();
        answered.push((file["id"].as_str().unwrap().to_owned(), sha256(&content)));
        end(doomed, process).await;
        break;
    }
    assert_eq!(answered.len(), 1, "it never came to an end");
    let process = site.settled().await;
    let files = process.user(ANN).get("/api/files?limit=100").await.expect(200).json();
    for file in files["files"].as_array().unwrap() {
        // Stored and not answered for, or answered for: whole either way.
        answered.push((file["id"].as_str().unwrap().to_owned(), file["sha256"].as_str().unwrap().to_owned()));
    }
    process.assert_downloads(answered.iter().map(|(id, digest)| (id, digest))).await;
    process.stop().await;
    site.assert_clean().await;
}

/// Ends a process that has answered for everything. What it does after its last answer may be the change that kills it.
async fn end(doomed: Doomed, process: Process) {
    if doomed.spare() {
        process.stop().await;
    } else {
        assert_eq!(process.ended().await.signal(), Some(9));
    }
}

/// One row an upload, the right bytes, and nothing else.
async fn assert_all_stored(site: &Site, stored: &[(String, String)]) {
    let process = site.settled().await;
    process.assert_downloads(stored.iter().map(|(id, digest)| (id, digest))).await;
    let usage = process.user(ANN).usage().await;
    assert_eq!((&usage["reservedBytes"], &usage["fileCount"]), (&json!(0), &json!(stored.len())));
    process.stop().await;
    site.assert_clean().await;
}
