//! The process ends at any moment, killed or by a signal to stop: what was acknowledged is stored, and nothing else is.

use crate::app::media::{bytes, png, sha256};
use crate::app::process::{Process, Site, session_token};
use crate::app::{ANN, As, Form, Raw, eventually, upload_head};
use nix::sys::signal::Signal;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

/// Kills in one run; `TEST_KILLS` asks for more.
const KILLS: u64 = 12;
/// Clients that upload at once.
const CLIENTS: u64 = 6;

#[expect(clippy::disallowed_methods, reason = "how long to try is chosen from outside")]
pub(crate) fn kills() -> u64 {
    std::env::var("TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap())
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_was_answered_for_survives_kills_at_any_moment_and_nothing_else_does(pool: PgPool) {
    let site = Site::new(pool);
    let settings = [("JAM_JANITOR_SECONDS", "1")];
    let mut answered = BTreeMap::new();
    for round in 0..kills() {
        let process = site.start("jam-all", &settings).await;
        answered.extend(upload_until_killed(process, round).await);
    }
    let process = site.settled().await;
    assert!(answered.len() as u64 > kills(), "only {} uploads were answered", answered.len());
    process.assert_downloads(&answered).await;
    process.stop().await;
    site.assert_clean().await;
}

/// Uploads from several clients until the process is killed, at a moment of chance; ids and digests of what was
/// answered for.
async fn upload_until_killed(process: Process, round: u64) -> BTreeMap<String, String> {
    let chance = u64::from(uuid::Uuid::new_v4().as_fields().0) % 600;
    let ann = process.user(ANN);
    let clients = (0..CLIENTS).map(|client| upload_until_refused(&ann, round * CLIENTS + client));
    let uploading = futures_util::future::join_all(clients);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(chance)).await;
        process.signal(Signal::SIGKILL);
    };
    let (answered, ()) = tokio::join!(uploading, kill);
    drop(ann);
    assert_eq!(process.ended().await.signal(), Some(9));
    answered.into_iter().flatten().collect()
}

/// What a client uploads: small and large in turn, never the same twice.
pub(crate) fn content(client: u64, number: u64) -> Vec<u8> {
    let seed = client * 1000 + number;
    match number % 4 {
        0 => png(10 + u32::try_from(number).unwrap(), 10),
        1 => bytes(seed, 300),
        2 => bytes(seed, 70_000),
        _ => bytes(seed, 900_000),
    }
}

async fn upload_until_refused(ann: &As<'_>, client: u64) -> Vec<(String, String)> {
    let mut answered = Vec::new();
    for number in 0.. {
        let content = content(client, number);
        let Some(answer) = ann.try_upload(Form::new().file("a.bin", &content)).await else { break };
        let file = answer.expect(200).json()["files"][0].clone();
        answered.push((file["id"].as_str().unwrap().to_owned(), sha256(&content)));
    }
    answered
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_under_way_is_finished_when_the_process_is_stopped(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let content = bytes(1, 600_000);
    let body = Form::new().file("a.bin", &content).into_body();
    let mut raw = Raw::over(process.connect().await.unwrap());
    raw.send(upload_head(&session_token(ANN), body.len(), "").as_bytes()).await.unwrap();
    raw.send(&body[..300_000]).await.unwrap();
    eventually("the upload is under way", async || {
        (process.user(ANN).usage().await["reservedBytes"] == content.len()).then_some(())
    })
    .await;
    process.signal(Signal::SIGTERM);
    eventually("nobody new is let in", async || process.connect().await.is_err().then_some(())).await;
    raw.send(&body[300_000..]).await.unwrap();
    assert_eq!(raw.answer().await.expect(200).json()["files"][0]["sha256"], sha256(&content));
    assert!(process.ended().await.success());
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_stalled_upload_does_not_delay_a_process_that_is_stopped(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[("JAM_DRAIN_SECONDS", "1")]).await;
    let body = Form::new().file("a.bin", &bytes(1, 600_000)).into_body();
    let mut raw = Raw::over(process.connect().await.unwrap());
    raw.send(upload_head(&session_token(ANN), body.len(), "").as_bytes()).await.unwrap();
    raw.send(&body[..300_000]).await.unwrap();
    eventually("the upload is under way", async || {
        (process.user(ANN).usage().await["reservedBytes"] == 600_000).then_some(())
    })
    .await;
    process.signal(Signal::SIGTERM);
    assert!(process.ended().await.success());
    // The next process undoes what this one could not.
    let next = site.start("jam-all", &[("JAM_JANITOR_SECONDS", "1")]).await;
    eventually("the reservation is given back", async || {
        (next.user(ANN).usage().await["reservedBytes"] == 0).then_some(())
    })
    .await;
    next.stop().await;
    site.assert_clean().await;
}
