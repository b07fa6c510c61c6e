//! Two instances of the service on one database and one volume, behind one entrance: one is killed or replaced while the
//! other goes on.

use crate::app::media::{bytes, sha256};
use crate::app::process::{Entrance, Process, Site};
use crate::app::tus::offset;
use crate::app::{ANN, As, Form};
use crate::kill::{content, kills};
use nix::sys::signal::Signal;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Clients that upload at once.
const CLIENTS: u64 = 4;
/// Both janitors look for what dead processes left behind as often as they can.
const SETTINGS: [(&str, &str); 1] = [("JAM_JANITOR_SECONDS", "1")];

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn kills_of_one_instance_cost_the_other_nothing(pool: PgPool) {
    let site = Site::new(pool);
    let entrance = site.entrance();
    let ann = entrance.user(ANN);
    let killed = CancellationToken::new();
    let clients = (0..CLIENTS).map(|client| upload_until(&killed, &ann, client));
    let uploading = futures_util::future::join_all(clients);
    let kill = async {
        let mut instances = both(&site, &entrance).await;
        for _ in 0..kills() {
            let chance = u64::from(uuid::Uuid::new_v4().as_fields().0) % 400;
            tokio::time::sleep(Duration::from_millis(chance)).await;
            let instance = instances.remove(0);
            instance.signal(Signal::SIGKILL);
            assert_eq!(instance.ended().await.signal(), Some(9));
            instances.push(site.start_behind(&entrance, "jam-all", &SETTINGS).await);
        }
        killed.cancel();
        instances
    };
    let (answers, instances) = tokio::join!(uploading, kill);
    let (answered, lost): (Vec<_>, Vec<_>) = answers.into_iter().flatten().partition(|(id, _)| id.is_some());
    let answered: BTreeMap<_, _> =
        answered.into_iter().filter_map(|(id, digest)| Some((id?, digest))).collect();
    assert!(answered.len() as u64 > kills(), "only {} uploads were answered", answered.len());
    assert!(lost.len() as u64 <= kills() * CLIENTS, "{} uploads went unanswered", lost.len());
    for instance in instances {
        instance.stop().await;
    }
    let process = site.settled().await;
    process.assert_downloads(&answered).await;
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_rolling_restart_under_load_fails_no_request(pool: PgPool) {
    let site = Site::new(pool);
    let entrance = site.entrance();
    let mut instances = both(&site, &entrance).await;
    let ann = entrance.user(ANN);
    let restarted = CancellationToken::new();
    let restart = async {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            instances.remove(0).stop().await;
            instances.push(site.start_behind(&entrance, "jam-all", &SETTINGS).await);
        }
        restarted.cancel();
    };
    let uploading =
        futures_util::future::join_all((0..2).map(|client| upload_until(&restarted, &ann, client)));
    let (uploaded, resumed, read, ()) =
        tokio::join!(uploading, resume_until(&restarted, &ann), read_until(&restarted, &ann), restart);
    assert!(resumed > 1 && read > 20, "{resumed} resumable uploads, {read} readings");
    for (id, digest) in uploaded.into_iter().flatten() {
        let id = id.expect("an upload was not answered");
        assert_eq!(ann.file(&id).await["sha256"], digest);
    }
    for instance in instances {
        instance.stop().await;
    }
    site.assert_clean().await;
}

async fn both(site: &Site, entrance: &Entrance) -> Vec<Process> {
    vec![
        site.start_behind(entrance, "jam-all", &SETTINGS).await,
        site.start_behind(entrance, "jam-all", &SETTINGS).await,
    ]
}

/// Uploads one file after the other; the ids of those that were answered for, and the digests of all.
async fn upload_until(end: &CancellationToken, ann: &As<'_>, client: u64) -> Vec<(Option<String>, String)> {
    let mut uploaded = Vec::new();
    for number in 0.. {
        if end.is_cancelled() {
            break;
        }
        let content = content(client, number);
        let answer = ann.try_upload(Form::new().file("a.bin", &content)).await;
        let file = answer.map(|answer| answer.expect(200).json()["files"][0].clone());
        let id = file.map(|file| file["id"].as_str().unwrap().to_owned());
        uploaded.push((id, sha256(&content)));
    }
    uploaded
}

/// Sends one resumable upload after the other, each in pieces that meet whichever instance there is; how many.
async fn resume_until(end: &CancellationToken, ann: &As<'_>) -> usize {
    let mut sent = 0;
    while !end.is_cancelled() {
        let content = bytes(sent as u64, 700_000);
        let url = ann.create("a.bin", content.len()).await;
        let mut at = 0;
        while at < content.len() {
            let piece = &content[at..content.len().min(at + 150_000)];
            let answer = ann.append(&url, at, piece).await;
            // An instance that is to end lets go of a piece: the next one says how far it came.
            let answer =
                if answer.status == 503 { ann.look_up(&url).await.expect(200) } else { answer.expect(204) };
            at = offset(&answer);
            if at == content.len() {
                let id = answer.header("upload-file-id").expect("it is whole");
                assert_eq!(ann.file(id).await["sha256"], sha256(&content));
            }
        }
        sent += 1;
    }
    sent
}

/// Lists, and downloads what comes first; how often.
async fn read_until(end: &CancellationToken, ann: &As<'_>) -> usize {
    let mut read = 0;
    while !end.is_cancelled() {
        let page = ann.get("/api/files?limit=1").await.expect(200).json();
        if let Some(file) = page["files"].get(0) {
            let id = file["id"].as_str().unwrap();
            let answer = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
            assert_eq!(sha256(&answer.body), file["sha256"]);
        }
        read += 1;
    }
    read
}
