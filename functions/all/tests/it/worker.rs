//! Work behind the requests: jobs that fail, lapse and race, and the janitor.

use crate::app::media::{bytes, png};
use crate::app::{ANN, Form, Raw, TestApp, eventually, rows, token, user_id};
use jam_core::db::{self, jobs::Task, uploads::NewUpload};
use jam_core::ids::{FileId, InstanceId, UploadId};
use jam_core::model::{BlobKey, ByteSize, Folder};
use jam_core::ops::{janitor, work};
use serde_json::json;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

async fn enqueue(app: &TestApp, task: &Task) {
    db::jobs::enqueue(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), task).await.unwrap();
}

/// A job that can never succeed.
fn hopeless() -> Task {
    Task::RemoveBlobs { paths: vec!["../../etc/passwd".to_owned()] }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_job_that_fails_is_tried_three_times_and_set_aside_with_its_reason(pool: PgPool) {
    let app = TestApp::new(pool).await;
    enqueue(&app, &hopeless()).await;
    for (attempt, state) in [(1, "ready"), (2, "ready"), (3, "dead")] {
        assert!(work::run_next(&app.app).await.unwrap());
        assert!(!work::run_next(&app.app).await.unwrap(), "it waits before it is tried again");
        let mut conn = app.app.db.conn().await.unwrap();
        let job = db::jobs::list(&mut conn, None, 10).await.unwrap().remove(0);
        assert_eq!((job.attempts, job.state.as_str()), (attempt, state));
        assert!(job.last_error.unwrap().contains("not a blob key"));
        rows::make_jobs_due(&mut conn).await;
    }
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(work::revive(&app.app.db, None).await.unwrap(), 1);
    assert!(work::run_next(&app.app).await.unwrap(), "an operator can let it try again");
    for _ in 0..2 {
        rows::make_jobs_due(&mut conn).await;
        work::run_next(&app.app).await.unwrap();
    }
    assert_eq!(db::jobs::counts(&mut conn).await.unwrap(), [0, 0, 1]);
    rows::forget_dead_jobs(&mut conn).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail_whose_making_fails_for_now_is_retried(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(800, 600)).await;
    let on_volume = app.on_volume(file["filePath"].as_str().unwrap());
    let aside = app.on_volume("user_a/aside");
    let state =
        async || app.ann().file(file["id"].as_str().unwrap()).await["derivatives"][0]["state"].clone();
    std::fs::hard_link(&on_volume, &aside).unwrap();
    app.remove_from_volume(file["filePath"].as_str().unwrap());
    assert!(work::run_next(&app.app).await.unwrap());
    assert_eq!(state().await, "pending");
    std::fs::hard_link(&aside, &on_volume).unwrap();
    app.remove_from_volume("user_a/aside");
    rows::make_jobs_due(&mut app.app.db.conn().await.unwrap()).await;
    assert!(work::run_next(&app.app).await.unwrap());
    assert_eq!(state().await, "ready");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail_that_was_given_up_is_made_when_an_operator_retries_its_job(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let file = app.ann().store("a.png", &png(800, 600)).await;
    let (path, id) = (file["filePath"].as_str().unwrap(), file["id"].as_str().unwrap());
    std::fs::hard_link(app.on_volume(path), app.on_volume("user_a/aside")).unwrap();
    app.remove_from_volume(path);
    for _ in 0..3 {
        rows::make_jobs_due(&mut app.app.db.conn().await.unwrap()).await;
        assert!(work::run_next(&app.app).await.unwrap());
    }
    let derivative = app.ann().file(id).await["derivatives"][0].clone();
    assert_eq!((&derivative["state"], derivative["error"].is_string()), (&json!("failed"), true));
    std::fs::hard_link(app.on_volume("user_a/aside"), app.on_volume(path)).unwrap();
    app.remove_from_volume("user_a/aside");
    app.ann().get(&format!("/api/files/{id}/thumbnail")).await.refused(404, "thumbnail_unavailable");
    assert_eq!(work::revive(&app.app.db, None).await.unwrap(), 1);
    app.run_jobs_in_queue().await;
    assert_eq!(app.ann().file(id).await["derivatives"][0]["state"], "ready");
    app.ann().get(&format!("/api/files/{id}/thumbnail")).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_lapsed_lease_is_taken_over_and_its_old_holder_has_no_say(pool: PgPool) {
    let app = TestApp::new(pool).await;
    enqueue(&app, &hopeless()).await;
    let mut conn = app.app.db.conn().await.unwrap();
    let silent = db::jobs::claim(&mut conn, false, Duration::ZERO).await.unwrap().unwrap();
    let taken = db::jobs::claim(&mut conn, false, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!((silent.id, taken.attempts), (taken.id, 2));
    assert!(
        db::jobs::claim(&mut conn, false, Duration::from_secs(60)).await.unwrap().is_none(),
        "it is held"
    );
    assert!(!db::jobs::finish(&mut conn, &silent).await.unwrap());
    db::jobs::bury(&mut conn, &silent, "too late").await.unwrap();
    assert!(db::jobs::finish(&mut conn, &taken).await.unwrap());
    assert_eq!(db::jobs::counts(&mut conn).await.unwrap(), [0, 0, 0]);
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn four_workers_claim_every_job_exactly_once(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..200 {
        enqueue(&app, &hopeless()).await;
    }
    // All are connected before the first one begins: to connect may take longer than all jobs.
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(app.app.db.conn().await.unwrap());
    }
    let claims = futures_util::future::join_all(connections.into_iter().map(async |mut conn| {
        let mut claimed = Vec::new();
        while let Some(job) = db::jobs::claim(&mut conn, false, Duration::from_secs(60)).await.unwrap() {
            assert!(db::jobs::finish(&mut conn, &job).await.unwrap());
            claimed.push(job.id.to_string());
        }
        claimed
    }))
    .await;
    let all: Vec<&String> = claims.iter().flatten().collect();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (200, 200));
    assert!(claims.iter().all(|claimed| !claimed.is_empty()), "all of them had something to do");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_worker_does_what_is_queued_and_ends_when_it_is_told(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.worker_concurrency = 3).await;
    let stop = CancellationToken::new();
    let mut worker = tokio::task::JoinSet::new();
    worker.spawn(jam_worker::background(app.app.clone(), stop.clone()));
    let mut ids = Vec::new();
    for n in 1..=8 {
        ids.push(app.ann().store_id("a.png", &png(100 * n, 100)).await);
    }
    for id in &ids {
        eventually("its thumbnail is made", async || {
            (app.ann().file(id).await["derivatives"][0]["state"] == "ready").then_some(())
        })
        .await;
    }
    stop.cancel();
    worker.join_next().await.unwrap().unwrap();
    app.finish().await;
}

/// An upload whose process is gone: its row, its reservation and half its bytes.
async fn leave_behind(app: &TestApp, instance: InstanceId) {
    let (user, id) = (user_id(ANN), UploadId::new());
    let staging = BlobKey::new(ANN, Folder::Staging, &id.to_string()).unwrap();
    let final_key = BlobKey::new(ANN, Folder::Files(jam_core::model::FileType::Project), "half.bin").unwrap();
    let bytes = ByteSize::new(1000);
    let new = NewUpload {
        id,
        file_id: FileId::new(),
        staging: staging.clone(),
        final_key,
        instance: Some(instance),
        want: bytes,
        at_least: bytes,
        expires_in: Duration::from_secs(3600),
    };
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(db::uploads::create(&mut conn, &user, &[&new], 1000).await.unwrap(), Some(vec![bytes]));
    drop(app.app.blobs.stage(&staging).await.unwrap());
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitor_undoes_uploads_of_processes_that_are_gone_and_leaves_the_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 10_000_000).await;
    for _ in 0..3 {
        leave_behind(&app, InstanceId::new()).await;
    }
    let body = Form::new().file("a.bin", &bytes(1, 500_000)).into_body();
    let mut living = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    living.send(&body[..300_000]).await.unwrap();
    eventually("the living upload holds its bytes", async || {
        (app.ann().usage().await["reservedBytes"] == 503_000).then_some(())
    })
    .await;
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 3);
    assert_eq!(app.ann().usage().await["reservedBytes"], 500_000);
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 0);
    living.send(&body[300_000..]).await.unwrap();
    living.answer().await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitor_ends_an_upload_whose_time_is_over(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = Form::new().file("a.bin", &bytes(1, 500_000)).into_body();
    let mut late = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    late.send(&body[..300_000]).await.unwrap();
    eventually("the upload holds its bytes", async || {
        (app.ann().usage().await["reservedBytes"] == 500_000).then_some(())
    })
    .await;
    rows::expire_uploads(&mut app.app.db.conn().await.unwrap()).await;
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 1);
    late.send(&body[300_000..]).await.unwrap();
    late.answer().await.refused(409, "conflict");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitor_empties_the_trash_when_its_time_has_come(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.trash_keep = Duration::from_secs(30 * 86_400)).await;
    let trashed = app.ann().store_id("a.png", &png(30, 30)).await;
    let kept = app.ann().store_id("b.txt", b"b").await;
    app.run_jobs_in_queue().await;
    app.ann().delete(&format!("/api/files/{trashed}")).await.expect(200);
    let pass_days = async |days: u64| {
        rows::let_time_pass(&mut app.app.db.conn().await.unwrap(), Duration::from_secs(days * 86_400)).await;
    };
    pass_days(29).await;
    assert_eq!(janitor::pass(&app.app).await.unwrap().files_purged, 0);
    pass_days(2).await;
    assert_eq!(janitor::pass(&app.app).await.unwrap().files_purged, 1);
    app.run_jobs_in_queue().await;
    assert_eq!(app.ann().counters().await, json!([1, 0, 0, 1]));
    assert_eq!(app.blobs_of(ANN).len(), 1);
    app.ann().get(&format!("/api/files/{kept}")).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitor_sweeps_what_dead_processes_left_in_the_services_own_directory(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann()
        .get(&format!("/api/files/{}/thumbnail", app.ann().store_id("a.png", &png(30, 30)).await))
        .await
        .expect(200);
    let (dead, living) = (InstanceId::new(), app.app.blobs.volume().instance());
    for path in [format!("instances/{dead}.lock"), format!("tmp/{dead}.1"), format!("tmp/{living}.1")] {
        std::fs::File::create_new(app.on_volume(&format!(".jam/{path}"))).unwrap();
    }
    janitor::pass(&app.app).await.unwrap();
    assert!(!app.on_volume(&format!(".jam/instances/{dead}.lock")).exists());
    assert!(!app.on_volume(&format!(".jam/tmp/{dead}.1")).exists());
    assert!(app.on_volume(&format!(".jam/instances/{living}.lock")).exists());
    app.remove_from_volume(&format!(".jam/tmp/{living}.1"));
    app.finish().await;
}
