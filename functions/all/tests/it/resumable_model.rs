//! Random operations on one user's uploads and files, beside a model that is too simple to be wrong: after every step
//! ledger, offsets, refusals and bytes are what the model says.
#![expect(clippy::disallowed_macros, reason = "says how to play a run again")]

use crate::app::media::bytes;
use crate::app::tus::{location, offset, piece_head};
use crate::app::{ANN, Raw, TestApp, eventually, rows, send};
use jam_core::ops::janitor;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

/// Steps of one run; `TEST_MODEL_STEPS` asks for more, `TEST_MODEL_SEED` for a certain run.
const STEPS: u64 = 400;
const MAX_BYTES: u64 = 40_000;
const MAX_OPEN: usize = 100;

#[expect(clippy::disallowed_methods, reason = "what to try is chosen from outside")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// SplitMix64: the same seed, the same choices.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

struct Upload {
    url: String,
    content: Vec<u8>,
    at: usize,
}

struct Stored {
    id: String,
    content: Vec<u8>,
    is_trashed: bool,
}

/// What should be.
struct Model<'a> {
    app: &'a TestApp,
    chance: Chance,
    quota: u64,
    open: Vec<Upload>,
    ended: Vec<String>,
    files: Vec<Stored>,
}

impl Model<'_> {
    fn promised(&self) -> usize {
        self.open.iter().map(|upload| upload.content.len()).sum()
    }

    fn used(&self) -> usize {
        self.files.iter().map(|file| file.content.len()).sum()
    }

    fn bytes_of(files: &[Stored], is_trashed: bool) -> usize {
        files.iter().filter(|file| file.is_trashed == is_trashed).map(|file| file.content.len()).sum()
    }

    async fn step(&mut self) {
        match self.chance.below(100) {
            0..=24 => self.create().await,
            25..=49 => self.append().await,
            50..=59 => self.break_off().await,
            60..=66 => self.look_up().await,
            67..=70 => self.append_elsewhere().await,
            71..=75 => self.cancel().await,
            76 => self.expire().await,
            77..=79 => self.reboot().await,
            80..=84 => self.change_quota().await,
            85..=89 => self.trash_or_restore().await,
            90..=94 => self.delete().await,
            95 => self.empty_the_trash().await,
            96 => self.app.run_jobs_in_queue().await,
            97 => self.append_damaged().await,
            _ => self.download().await,
        }
        let visible = self.files.iter().filter(|file| !file.is_trashed).count();
        let trashed = Self::bytes_of(&self.files, true);
        let expected = json!([self.used(), self.promised(), trashed, visible]);
        assert_eq!(self.app.ann().counters().await, expected);
    }

    async fn create(&mut self) {
        let length = usize::try_from(self.chance.below(MAX_BYTES)).unwrap();
        let length = if self.chance.below(20) == 0 { 0 } else { length };
        let content = bytes(self.chance.next(), length);
        let answer = send(self.app.ann().creation(length)).await;
        let fits = (self.used() + self.promised() + length) as u64 <= self.quota;
        if self.open.len() >= MAX_OPEN {
            assert!(matches!(answer.status, 413 | 429), "{}", answer.status);
        } else if !fits {
            answer.refused(413, "quota_exceeded");
        } else {
            let answer = answer.expect(201);
            let upload = Upload { url: location(&answer), content, at: 0 };
            match answer.header("upload-file-id") {
                Some(id) => self.finished(upload, id.to_owned()),
                None => self.open.push(upload),
            }
        }
    }

    fn finished(&mut self, upload: Upload, id: String) {
        self.ended.push(upload.url);
        self.files.push(Stored { id, content: upload.content, is_trashed: false });
    }

    fn pick_open(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.chance.index(self.open.len()))
    }

    fn pick_file(&mut self) -> Option<usize> {
        (!self.files.is_empty()).then(|| self.chance.index(self.files.len()))
    }

    async fn append(&mut self) {
        let Some(index) = self.pick_open() else { return };
        let upload = &self.open[index];
        let left = upload.content.len() - upload.at;
        let size = 1 + self.chance.index(left);
        let (url, at) = (upload.url.clone(), upload.at);
        let answer = self.app.ann().append(&url, at, &upload.content[at..at + size]).await.expect(204);
        assert_eq!(offset(&answer), at + size);
        self.open[index].at += size;
        match answer.header("upload-file-id") {
            Some(id) => {
                let upload = self.open.swap_remove(index);
                assert_eq!(upload.at, upload.content.len());
                self.finished(upload, id.to_owned());
            }
            None => assert!(size < left),
        }
    }

    /// The connection breaks in the middle of a piece: all that was sent counts.
    async fn break_off(&mut self) {
        let Some(index) = self.pick_open() else { return };
        let upload = &self.open[index];
        let left = upload.content.len() - upload.at;
        let sent = self.chance.index(left);
        if sent == 0 {
            return;
        }
        let mut raw = Raw::connect(self.app, &Method::PATCH, &upload.url).await;
        let head = piece_head(&upload.url, upload.at, left);
        let end = upload.at + sent;
        raw.send(&[head.as_bytes(), &upload.content[upload.at..end]].concat()).await.unwrap();
        drop(raw);
        eventually("what was sent is recorded", async || {
            let state = self.app.nobody().get(&upload.url).await.expect(200).json();
            (state["upload"]["offset"] == end).then_some(())
        })
        .await;
        self.open[index].at = end;
    }

    async fn look_up(&mut self) {
        if let Some(index) = self.pick_open() {
            assert_eq!(self.app.ann().offset(&self.open[index].url).await, self.open[index].at);
        }
        if !self.ended.is_empty() {
            let url = &self.ended[self.chance.index(self.ended.len())];
            let status = self.app.ann().look_up(url).await.status;
            assert!(matches!(status, 200 | 404 | 410), "{status}");
        }
    }

    /// A client that is wrong about how far it is, or sends too much.
    async fn append_elsewhere(&mut self) {
        let Some(index) = self.pick_open() else { return };
        let upload = &self.open[index];
        let answer = self.app.ann().append(&upload.url, upload.at + 1, b"").await;
        assert_eq!(offset(&answer), upload.at);
        answer.refused(409, "offset_mismatch");
        let too_much = vec![0; upload.content.len() - upload.at + 1];
        self.app.ann().append(&upload.url, upload.at, &too_much).await.refused(413, "upload_too_long");
        assert_eq!(self.app.ann().offset(&upload.url).await, upload.at);
    }

    /// Bytes that were damaged on their way do not count.
    async fn append_damaged(&mut self) {
        let Some(index) = self.pick_open() else { return };
        let upload = &self.open[index];
        let piece = self.app.ann().piece(&upload.url, upload.at, &upload.content[upload.at..]);
        let damaged = send(piece.header("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")).await;
        damaged.refused(460, "checksum_mismatch");
        assert_eq!(self.app.ann().offset(&upload.url).await, upload.at);
    }

    async fn cancel(&mut self) {
        let Some(index) = self.pick_open() else { return };
        let upload = self.open.swap_remove(index);
        self.app.ann().cancel(&upload.url).await.expect(204);
        self.app.ann().look_up(&upload.url).await.expect(410);
        self.ended.push(upload.url);
    }

    async fn expire(&mut self) {
        rows::expire_uploads(&mut self.app.app.db.conn().await.unwrap()).await;
        let pass = janitor::pass(&self.app.app).await.unwrap();
        assert_eq!(pass.uploads_cancelled, self.open.len() as u64);
        self.ended.extend(self.open.drain(..).map(|upload| upload.url));
    }

    /// The kernel restarts: what was acknowledged is there, and nothing else counts.
    async fn reboot(&mut self) {
        rows::forget_the_boot(&mut self.app.app.db.conn().await.unwrap()).await;
    }

    async fn change_quota(&mut self) {
        self.quota = self.chance.below(20 * MAX_BYTES);
        self.app.set_quota(ANN, self.quota).await;
    }

    async fn trash_or_restore(&mut self) {
        let Some(index) = self.pick_file() else { return };
        let file = &mut self.files[index];
        if file.is_trashed {
            self.app.ann().post(&format!("/api/files/{}/restore", file.id), json!({})).await.expect(200);
        } else {
            self.app.ann().delete(&format!("/api/files/{}", file.id)).await.expect(200);
        }
        file.is_trashed = !file.is_trashed;
    }

    async fn delete(&mut self) {
        let Some(index) = self.pick_file() else { return };
        let file = self.files.swap_remove(index);
        self.app.ann().delete(&format!("/api/files/{}?permanent=true", file.id)).await.expect(200);
    }

    async fn empty_the_trash(&mut self) {
        self.app.ann().delete("/api/files/trash").await.expect(200);
        self.files.retain(|file| !file.is_trashed);
    }

    async fn download(&mut self) {
        let Some(index) = self.pick_file() else { return };
        let file = &self.files[index];
        let answer = self.app.ann().get(&format!("/api/files/{}/download", file.id)).await;
        if !file.is_trashed {
            assert!(answer.expect(200).body == file.content, "{} has other bytes", file.id);
        }
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whatever_happens_in_whatever_order_ledger_offsets_and_bytes_are_what_they_must_be(pool: PgPool) {
    let seed = setting("TEST_MODEL_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let steps = setting("TEST_MODEL_STEPS").unwrap_or(STEPS);
    eprintln!("To play this run again: TEST_MODEL_SEED={seed} TEST_MODEL_STEPS={steps}");
    let app = TestApp::new(pool).await;
    app.ann().counters().await;
    let quota = 10 * MAX_BYTES;
    app.set_quota(ANN, quota).await;
    let mut model =
        Model { app: &app, chance: Chance(seed), quota, open: vec![], ended: vec![], files: vec![] };
    for _ in 0..steps {
        model.step().await;
    }
    model.expire().await;
    drop(model);
    app.finish().await;
}
