//! Each call of the store fails once in every operation, in both ways: nothing was done, or all of it was and the answer
//! got lost. What was answered with success is there, whoever repeats the rest has it, and nothing is left over.

use crate::app::media::{by_ffmpeg, bytes, png};
use crate::app::tus::{UPLOADS, location, offset, proof, repr_digest};
use crate::app::{ANN, Answer, As, Form, TestApp, eventually, rows, send, user_id};
use jam_core::blob::Failure;
use jam_core::ops::reconcile::{self, Scope, Share};
use jam_core::ops::{janitor, trash};
use serde_json::json;
use sqlx::PgPool;
use std::cell::Cell;

/// More calls than any operation makes.
const CALLS_MAX: usize = 60;
const CONTENT_BYTES: usize = 300_000;

/// One attempt at an operation, of which one call fails.
struct Attempt<'a> {
    app: &'a TestApp,
    /// Differs in every attempt.
    number: usize,
    calls: usize,
    failure: Failure,
    /// The verb that failed.
    failed: Cell<Option<&'static str>>,
}

impl Attempt<'_> {
    /// From here on calls count.
    fn begin(&self) {
        self.app.faults.fail_after(self.calls, self.failure);
    }

    /// From here on no call fails.
    fn end(&self) {
        if let Some(verb) = self.app.faults.end() {
            self.failed.set(Some(verb));
        }
    }

    /// Sends a request until it succeeds. What failed of it was 503.
    async fn send(&self, request: impl AsyncFn() -> Answer) -> Answer {
        let answer = request().await;
        self.end();
        if answer.status < 300 {
            return answer;
        }
        answer.refused(503, "unavailable");
        let again = request().await;
        assert!(again.status < 300, "{self}: {}", String::from_utf8_lossy(&again.body));
        again
    }

    /// A file holds what was sent.
    async fn assert_holds(&self, ann: &As<'_>, id: &str, content: &[u8]) {
        let read = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
        assert!(read.body == content, "{self}: the file's bytes differ");
    }

    /// Creates an upload and sends its first bytes.
    async fn begun(&self, ann: &As<'_>) -> String {
        let url = ann.create("a.bin", CONTENT_BYTES).await;
        ann.append(&url, 0, &self.content()[..1000]).await.expect(204);
        url
    }

    /// Does what the worker would do, as if all pauses were over.
    async fn run_jobs(&self) {
        rows::make_jobs_due(&mut self.app.app.db.conn().await.unwrap()).await;
        self.app.run_jobs_in_queue().await;
    }

    /// Bytes of no other attempt.
    fn content(&self) -> Vec<u8> {
        bytes(self.number as u64, CONTENT_BYTES)
    }
}

impl std::fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = self.failed.get().unwrap_or("which is to come");
        write!(f, "call {} failed ({verb}), {:?}", self.calls, self.failure)
    }
}

/// Attempts an operation until every one of its calls has failed in both ways. These must be the verbs that failed, by
/// when each did so first.
async fn fail_each_call(pool: PgPool, verbs: &[&str], operation: impl AsyncFn(&Attempt<'_>, &As<'_>)) {
    let app = TestApp::new(pool).await;
    let mut number = 0;
    for failure in [Failure::DidNotHappen, Failure::Happened] {
        let mut failed = Vec::new();
        for calls in 0..CALLS_MAX {
            number += 1;
            let attempt = Attempt { app: &app, number, calls, failure, failed: Cell::default() };
            operation(&attempt, &app.ann()).await;
            attempt.end();
            let Some(verb) = attempt.failed.get() else { break };
            // How many pieces a body comes in is up to the network.
            if !failed.contains(&verb) {
                failed.push(verb);
            }
            app.no_upload_is_open().await;
            attempt.run_jobs().await;
        }
        assert_eq!(failed, verbs, "{failure:?}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form(pool: PgPool) {
    fail_each_call(pool, &["stage", "push", "finish", "publish"], async |attempt, ann| {
        upload_and_delete(attempt, ann, &attempt.content()).await;
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_form_with_a_small_file(pool: PgPool) {
    fail_each_call(pool, &["put"], async |attempt, ann| {
        upload_and_delete(attempt, ann, &attempt.content()[..60_000]).await;
    })
    .await;
}

async fn upload_and_delete(attempt: &Attempt<'_>, ann: &As<'_>, content: &[u8]) {
    attempt.begin();
    let answer = attempt.send(async || ann.upload(Form::new().file("a.bin", content)).await).await;
    let id = answer.json()["files"][0]["id"].as_str().unwrap().to_owned();
    attempt.assert_holds(ann, &id, content).await;
    ann.delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    assert_eq!(ann.counters().await, json!([0, 0, 0, 0]), "{attempt}");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_resumable_upload(pool: PgPool) {
    fail_each_call(
        pool,
        &["stage_empty", "lock_staged", "recover", "push", "sync", "finish", "publish"],
        async |attempt, ann| {
            let content = attempt.content();
            let key = format!("attempt-{}", attempt.number);
            attempt.begin();
            let url = loop {
                let answer = send(ann.creation(CONTENT_BYTES).header("idempotency-key", &key)).await;
                if answer.status == 201 {
                    break location(&answer);
                }
                answer.refused(503, "unavailable");
            };
            let file = loop {
                let asked = ann.look_up(&url).await;
                if asked.status == 503 {
                    continue;
                }
                if let Some(id) = asked.header("upload-file-id") {
                    break id.to_owned();
                }
                assert_eq!(asked.status, 200, "{attempt}");
                let at = offset(&asked);
                let end = CONTENT_BYTES.min(at + CONTENT_BYTES / 2);
                let answer = ann.append(&url, at, &content[at..end]).await;
                if answer.status == 204 {
                    assert_eq!(offset(&answer), end, "{attempt}");
                } else {
                    answer.refused(503, "unavailable");
                }
            };
            attempt.end();
            attempt.assert_holds(ann, &file, &content).await;
        },
    )
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_proof(pool: PgPool) {
    fail_each_call(pool, &["lock_staged", "recover", "read", "remove", "share"], async |attempt, ann| {
        let content = attempt.content();
        ann.store_id("first.bin", &content).await;
        let creation = ann.creation(CONTENT_BYTES).header("repr-digest", repr_digest(&content));
        let created = send(creation).await.expect(201);
        let (url, challenge) = (location(&created), created.header("upload-known").unwrap());
        attempt.begin();
        let prove =
            async || send(ann.piece(&url, 0, b"").header("upload-proof", proof(challenge, &content))).await;
        let answer = prove().await;
        if answer.status != 204 {
            answer.refused(503, "unavailable");
        }
        attempt.end();
        if ann.look_up(&url).await.expect(200).header("upload-file-id").is_none() {
            prove().await.expect(204);
        }
        let asked = ann.look_up(&url).await.expect(200);
        attempt.assert_holds(ann, asked.header("upload-file-id").unwrap(), &content).await;
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_join(pool: PgPool) {
    fail_each_call(
        pool,
        &["stage_empty", "lock_staged", "recover", "read", "push", "sync", "finish", "publish", "remove"],
        async |attempt, ann| {
            let content = attempt.content();
            let mut parts = Vec::new();
            for piece in content.chunks(CONTENT_BYTES / 2) {
                let request = ann.creation(piece.len()).header("upload-concat", "partial");
                let url = location(&send(request).await.expect(201));
                ann.append(&url, 0, piece).await.expect(204);
                parts.push(url);
            }
            let key = format!("attempt-{}", attempt.number);
            attempt.begin();
            let join = async || {
                let request = ann.request(reqwest::Method::POST, UPLOADS).header("tus-resumable", "1.0.0");
                let request = request.header("idempotency-key", &key);
                send(request.header("upload-concat", format!("final;{}", parts.join(" ")))).await
            };
            let url = location(&attempt.send(join).await);
            let joined = async || Some(ann.look_up(&url).await.header("upload-file-id")?.to_owned());
            let file = eventually("the parts are joined", joined).await;
            attempt.assert_holds(ann, &file, &content).await;
            for part in &parts {
                ann.cancel(part).await;
            }
        },
    )
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_copy(pool: PgPool) {
    fail_each_call(pool, &["share"], async |attempt, ann| {
        let content = attempt.content();
        let source = ann.store_id("a.bin", &content).await;
        attempt.begin();
        let copy = async || ann.post(&format!("/api/files/{source}/copy"), json!({})).await;
        let answer = attempt.send(copy).await;
        attempt.assert_holds(ann, answer.json()["file"]["id"].as_str().unwrap(), &content).await;
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_end_of_a_file(pool: PgPool) {
    fail_each_call(pool, &["remove"], async |attempt, ann| {
        let id = ann.store_id("a.bin", &attempt.content()).await;
        attempt.begin();
        ann.delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
        for _ in 0..2 {
            attempt.run_jobs().await;
        }
        assert_eq!(attempt.app.blobs_of(ANN), [""; 0], "{attempt}");
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_end_of_an_upload(pool: PgPool) {
    fail_each_call(pool, &["remove"], async |attempt, ann| {
        let url = attempt.begun(ann).await;
        attempt.begin();
        attempt.send(async || ann.cancel(&url).await).await;
        ann.look_up(&url).await.expect(410);
        assert_eq!(ann.counters().await, json!([0, 0, 0, 0]), "{attempt}");
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitors_work(pool: PgPool) {
    fail_each_call(pool, &["remove"], async |attempt, ann| {
        let url = attempt.begun(ann).await;
        rows::expire_uploads(&mut attempt.app.app.db.conn().await.unwrap()).await;
        attempt.begin();
        if janitor::pass(&attempt.app.app).await.is_err() || ann.look_up(&url).await.status != 410 {
            janitor::pass(&attempt.app.app).await.unwrap();
        }
        ann.look_up(&url).await.expect(410);
        assert_eq!(ann.counters().await, json!([0, 0, 0, 0]), "{attempt}");
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_end_of_a_user(pool: PgPool) {
    fail_each_call(pool, &["remove"], async |attempt, ann| {
        ann.store_id("a.png", &png(80, 60)).await;
        attempt.app.run_jobs_in_queue().await;
        attempt.begun(ann).await;
        attempt.begin();
        let user = user_id(ANN);
        if trash::remove_everything(&attempt.app.app, &user, &mut |_| {}).await.is_err() {
            trash::remove_everything(&attempt.app.app, &user, &mut |_| {}).await.unwrap();
        }
        for _ in 0..2 {
            attempt.run_jobs().await;
        }
        assert_eq!(attempt.app.blobs_of(ANN), [""; 0], "{attempt}");
        assert_eq!(ann.counters().await, json!([0, 0, 0, 0]), "{attempt}");
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_repair(pool: PgPool) {
    fail_each_call(pool, &["stat_entry", "quarantine", "stat", "digest"], async |attempt, ann| {
        let content = attempt.content();
        let file = ann.store("a.bin", &content).await;
        let on_volume = attempt.app.on_volume(file["filePath"].as_str().unwrap());
        let orphan = on_volume.with_file_name(format!("orphan-{}.bin", attempt.number));
        std::fs::copy(on_volume, &orphan).unwrap();
        let scope = Scope { user: None, read: Some(Share::ALL) };
        attempt.begin();
        if reconcile::repair(&attempt.app.app, &scope, &mut |_| {}).await.is_err() {
            reconcile::repair(&attempt.app.app, &scope, &mut |_| {}).await.unwrap();
        }
        attempt.end();
        assert!(!orphan.exists(), "{attempt}");
        attempt.assert_holds(ann, file["id"].as_str().unwrap(), &content).await;
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_download(pool: PgPool) {
    fail_each_call(pool, &["read"], async |attempt, ann| {
        let content = attempt.content();
        let id = ann.store_id("a.bin", &content).await;
        attempt.begin();
        let answer = attempt.send(async || ann.get(&format!("/api/files/{id}/download")).await).await;
        assert!(answer.body == content, "{attempt}: the file's bytes differ");
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail(pool: PgPool) {
    fail_each_call(pool, &["open_blob", "put", "read"], async |attempt, ann| {
        let id = ann.store_id("a.png", &png(800, 600)).await;
        attempt.begin();
        make(attempt, &id).await;
        let path = format!("/api/files/{id}/thumbnail");
        attempt.send(async || ann.get(&path).await).await;
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_playback_version(pool: PgPool) {
    let video = by_ffmpeg("a.avi", "-f lavfi -i testsrc=size=160x120:rate=5:duration=1 -c:v mpeg4");
    fail_each_call(pool, &["open_blob", "put", "draft", "keep"], async |attempt, ann| {
        let id = ann.store_id("a.avi", &video).await;
        attempt.begin();
        make(attempt, &id).await;
    })
    .await;
}

/// Makes a file's derivatives as a worker does whose jobs are due again at once.
async fn make(attempt: &Attempt<'_>, id: &str) {
    let ann = attempt.app.ann();
    for _ in 0..6 {
        attempt.run_jobs().await;
        let derivatives = ann.file(id).await["derivatives"].clone();
        if derivatives.as_array().unwrap().iter().all(|made| made["state"] == "ready") {
            return;
        }
    }
    panic!("{attempt}: {}", ann.file(id).await["derivatives"]);
}
