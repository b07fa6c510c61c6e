//! Anything in any order: random operations on several uploads, each compared with a model of what is promised.
//! `TEST_SEED` replays one run; a failure names its seed.

use crate::app::media::{bytes, sha256};
use crate::app::tus::{offset, piece_head};
use crate::app::{ANN, Raw, TestApp, eventually, send};
use jam_core::ops::janitor;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

/// Operations in one run.
const STEPS: usize = 120;
/// Largest upload.
const MAX_BYTES: u64 = 400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    Cancelled,
}

#[derive(Debug)]
struct Upload {
    url: String,
    content: Vec<u8>,
    /// How far the service has said it is.
    at: usize,
    state: State,
}

/// Xorshift: a seed is a run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1)).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "which run to replay is chosen from outside")]
fn seed() -> u64 {
    let chosen = std::env::var("TEST_SEED").ok().map(|text| text.parse().unwrap());
    chosen.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0) | 1)
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whatever_is_done_in_whatever_order_the_service_does_as_it_promised(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let seed = seed();
    let mut chance = Chance(seed);
    let mut uploads: Vec<Upload> = Vec::new();
    for step in 0..STEPS {
        let chosen = chance.below(uploads.len() as u64);
        let operation = chance.below(10);
        let what = format!("TEST_SEED={seed}, step {step}, operation {operation}");
        match (operation, uploads.get_mut(chosen)) {
            (0 | 1, _) | (_, None) => uploads.push(create(&app, &mut chance).await),
            (2..=4, Some(upload)) => append(&app, upload, &mut chance, &what).await,
            (5, Some(upload)) => append_elsewhere(&app, upload, &mut chance, &what).await,
            (6, Some(upload)) => append_damaged(&app, upload, &what).await,
            (7, Some(upload)) => break_off(&app, upload, &mut chance).await,
            (8, Some(upload)) if chance.below(3) == 0 => cancel(&app, upload, &what).await,
            _ => drop(janitor::pass(&app.app).await.unwrap()),
        }
        assert_as_modelled(&app, &mut uploads, &what).await;
    }
    for upload in &uploads {
        if upload.state == State::Open {
            app.ann().cancel(&upload.url).await.expect(204);
        }
    }
    app.finish().await;
}

async fn create(app: &TestApp, chance: &mut Chance) -> Upload {
    let content = bytes(chance.0, 1 + chance.below(MAX_BYTES));
    let url = app.ann().create("a.bin", content.len()).await;
    Upload { url, content, at: 0, state: State::Open }
}

async fn append(app: &TestApp, upload: &mut Upload, chance: &mut Chance, what: &str) {
    let left = upload.content.len() - upload.at;
    let end = upload.at + if chance.below(3) == 0 { left } else { chance.below(left as u64 + 1) };
    let answer = app.ann().append(&upload.url, upload.at, &upload.content[upload.at..end]).await;
    let expected = match upload.state {
        State::Open | State::Complete => 204,
        State::Cancelled => 410,
    };
    assert_eq!(answer.status, expected, "{what}");
    if upload.state == State::Open {
        upload.at = end;
        if end == upload.content.len() {
            assert!(answer.header("upload-file-id").is_some(), "{what}");
            upload.state = State::Complete;
        }
    }
}

async fn append_elsewhere(app: &TestApp, upload: &Upload, chance: &mut Chance, what: &str) {
    let elsewhere = upload.at + 1 + chance.below(1000);
    let answer = app.ann().append(&upload.url, elsewhere, b"x").await;
    assert_eq!(answer.status, if upload.state == State::Cancelled { 410 } else { 409 }, "{what}");
    if answer.status == 409 {
        assert_eq!(offset(&answer), upload.at, "{what}");
    }
}

async fn append_damaged(app: &TestApp, upload: &Upload, what: &str) {
    let content = &upload.content[upload.at..];
    let request = app.ann().piece(&upload.url, upload.at, content);
    let answer = send(request.header("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")).await;
    let expected = match upload.state {
        State::Open => 460,
        State::Complete => 204,
        State::Cancelled => 410,
    };
    assert_eq!(answer.status, expected, "{what}");
}

/// Sends a part of what is left and goes away: all that was sent counts.
async fn break_off(app: &TestApp, upload: &mut Upload, chance: &mut Chance) {
    let left = &upload.content[upload.at..];
    let part = chance.below(left.len() as u64);
    if upload.state != State::Open || part == 0 {
        return;
    }
    let mut raw = Raw::connect(app, &Method::PATCH, &upload.url).await;
    raw.send(piece_head(&upload.url, upload.at, left.len()).as_bytes()).await.unwrap();
    raw.send(&left[..part]).await.unwrap();
    drop(raw);
    upload.at += part;
    eventually("what was sent is recorded", async || {
        let state = app.nobody().get(&upload.url).await.expect(200).json();
        (state["upload"]["offset"] == upload.at).then_some(())
    })
    .await;
}

async fn cancel(app: &TestApp, upload: &mut Upload, what: &str) {
    if upload.state == State::Open {
        assert_eq!(app.ann().cancel(&upload.url).await.status, 204, "{what}");
        upload.state = State::Cancelled;
    }
}

async fn assert_as_modelled(app: &TestApp, uploads: &mut [Upload], what: &str) {
    for upload in uploads.iter_mut() {
        let asked = app.ann().look_up(&upload.url).await;
        assert_eq!(asked.status, if upload.state == State::Cancelled { 410 } else { 200 }, "{what}");
        if upload.state == State::Open {
            let at = offset(&asked);
            assert!((upload.at..upload.content.len()).contains(&at), "{what}: {at} after {}", upload.at);
            upload.at = at;
        }
        if upload.state == State::Complete {
            let file = app.ann().file(asked.header("upload-file-id").unwrap()).await;
            assert_eq!(file["sha256"], sha256(&upload.content), "{what}");
        }
    }
    let sum = |state| -> usize {
        uploads.iter().filter(|upload| upload.state == state).map(|upload| upload.content.len()).sum()
    };
    let files = uploads.iter().filter(|upload| upload.state == State::Complete).count();
    let expected = json!([sum(State::Complete), sum(State::Open), 0, files]);
    assert_eq!(app.user(ANN).counters().await, expected, "{what}");
}
