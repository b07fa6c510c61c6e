//! Operations at the same time on the same files: what each answered is true, none fails for the others, no two wait for
//! each other in a circle, and the ledger is exact.

use crate::app::media::png;
use crate::app::{ANN, Answer, As, Form, TestApp, eventually, rows, send, user_id};
use crate::webhooks::{deliver, event, listening};
use futures_util::future::{BoxFuture, LocalBoxFuture, join_all};
use futures_util::poll;
use jam_core::db::Db;
use jam_core::ops::{janitor, work};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;

/// How often a restore meets something that removes.
const ROUNDS: u32 = 40;
/// How often every operation meets every other one.
const STORMS: u64 = 3;

/// Whether a restore, single or in a batch, says that the file is back.
fn says_restored(answer: &Answer) -> bool {
    match answer.status {
        200 => answer.json().get("count").is_none_or(|count| *count == 1),
        status => {
            assert_eq!(status, 404);
            false
        }
    }
}

/// Lets a restore and something that removes what is in the trash meet, in turn each first, many times.
async fn restore_beside<T>(app: &TestApp, remove: impl AsyncFn(&str) -> T) {
    let ann = app.ann();
    for round in 0..ROUNDS {
        let id = ann.store_id("a.txt", format!("{round}").as_bytes()).await;
        let path = format!("/api/files/{id}");
        ann.delete(&path).await.expect(200);
        let restore = async || {
            let batch = json!({ "action": "restore", "ids": [id] });
            match round % 4 < 2 {
                true => ann.post(&format!("{path}/restore"), json!({})).await,
                false => ann.post("/api/files/batch", batch).await,
            }
        };
        let restored = match round % 2 {
            0 => tokio::join!(restore(), remove(&id)).0,
            _ => tokio::join!(remove(&id), restore()).1,
        };
        let expected = if says_restored(&restored) { 200 } else { 404 };
        app.run_jobs_in_queue().await;
        ann.get(&format!("{path}/download")).await.expect(expected);
        ann.delete(&format!("{path}?permanent=true")).await;
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_restore_answers_is_true_beside_emptying_the_trash(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    restore_beside(&app, async |_| ann.delete("/api/files/trash").await.expect(200)).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_restore_answers_is_true_beside_the_janitor(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.trash_keep = Duration::ZERO).await;
    restore_beside(&app, async |_| janitor::pass(&app.app).await.unwrap()).await;
    app.finish().await;
}

/// Everything that can be asked about one file.
fn about_one(id: &str) -> Vec<(Method, String, Option<Value>)> {
    let path = format!("/api/files/{id}");
    let ask = |method: Method, rest: &str, body: Option<Value>| (method, format!("{path}{rest}"), body);
    vec![
        ask(Method::DELETE, "", None),
        ask(Method::POST, "/restore", Some(json!({}))),
        ask(Method::PATCH, "", Some(json!({ "fileType": "project" }))),
        ask(Method::PATCH, "", Some(json!({ "fileType": "image", "packageName": "p" }))),
        ask(Method::POST, "/favorite", Some(json!({}))),
        ask(Method::POST, "/copy", Some(json!({ "originalName": "c.png" }))),
        ask(Method::PUT, "/tags", Some(json!({ "tags": ["a"] }))),
        ask(Method::GET, "/thumbnail", None),
        ask(Method::GET, "/thumbnail?size=small", None),
        ask(Method::POST, "/derivatives/default/retry", Some(json!({}))),
        ask(Method::POST, "/restore", Some(json!({}))),
        ask(Method::DELETE, "/urls", None),
        ask(Method::GET, "/download", None),
        ask(Method::GET, "", None),
    ]
}

/// Everything that can be asked about many files.
fn about_many(ids: &[String]) -> Vec<(Method, String, Option<Value>)> {
    let backwards: Vec<&String> = ids.iter().rev().collect();
    let batch = |body: Value| (Method::POST, "/api/files/batch".to_owned(), Some(body));
    vec![
        batch(json!({ "action": "delete", "ids": backwards })),
        batch(json!({ "action": "restore", "ids": ids })),
        batch(json!({ "action": "tag", "tags": ["b"], "ids": backwards })),
        batch(json!({ "action": "untag", "tags": ["a"], "ids": ids })),
        batch(json!({ "action": "move", "packageName": "q", "ids": backwards })),
        batch(json!({ "action": "favorite", "ids": ids })),
        batch(json!({ "action": "restore", "ids": backwards })),
        batch(json!({ "action": "purge", "ids": [ids[4], ids[0]] })),
        (Method::DELETE, "/api/files/trash".to_owned(), None),
        (Method::DELETE, format!("/api/files/{}?permanent=true", ids[1]), None),
        (Method::GET, "/api/files?includeTotal=true".to_owned(), None),
    ]
}

/// Sends a request; what fails on our side fails the test.
async fn ask(caller: &As<'_>, (method, target, body): (Method, String, Option<Value>)) {
    let request = caller.request(method.clone(), &target);
    let answer = send(if let Some(body) = &body { request.json(body) } else { request }).await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status < 500, "{method} {target} {body:?}: {} {text}", answer.status);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_operation_meets_every_other_one_on_the_same_files(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let app = listening(pool.clone()).await;
    let (ann, admin) = (app.ann(), app.admin());
    for storm in 0..STORMS {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(ann.store_id(&format!("{n}.png"), &png(60 + n, 40)).await);
        }
        let mut all: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
        for request in about_many(&ids).into_iter().chain(ids.iter().flat_map(|id| about_one(id))) {
            all.push(Box::pin(ask(&ann, request)));
        }
        for n in 0..5 {
            let quota = json!({ "userId": ANN, "maxBytes": 1_000_000 + n });
            all.push(Box::pin(ask(&admin, (Method::PUT, "/api/storage/quota".to_owned(), Some(quota)))));
            all.push(Box::pin(async {
                ann.upload(Form::new().file("new.png", &png(20, 20))).await.expect(200);
            }));
            all.push(Box::pin(async {
                janitor::pass(&app.app).await.unwrap();
            }));
            all.push(Box::pin(async {
                work::run_next(&app.app).await.unwrap();
            }));
            all.push(Box::pin(async {
                send(ann.creation(0)).await.expect(201);
            }));
        }
        if storm == STORMS - 1 {
            // Uploads are refused from then on.
            all.truncate(all.len() - 25);
            all.push(Box::pin(async {
                deliver(&app, "msg_1", &event("user.deleted")).await.expect(200);
                while work::run_next(&app.app).await.unwrap() {}
            }));
        }
        // Each storm in another order, so that every operation is once before and once after every other.
        let step = [7, 11, 13][storm as usize % 3];
        let count = all.len();
        let mut turns: Vec<Option<LocalBoxFuture<'_, ()>>> = all.into_iter().map(Some).collect();
        let order = (0..count).map(|n| n * step % count);
        let mut shuffled: Vec<_> = order.filter_map(|n| turns[n].take()).collect();
        shuffled.extend(turns.into_iter().flatten());
        join_all(shuffled).await;
    }
    rows::make_jobs_due(&mut app.app.db.conn().await.unwrap()).await;
    app.finish().await;
    pool.close().await;
    assert_eq!(rows::deadlocks(&options).await, 0, "deadlocks that Postgres had to end");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_image_that_scrolls_away_is_made_all_the_same_and_holds_nothing_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.png", &png(300, 200)).await;
    let path = format!("/api/files/{id}/thumbnail");
    let cores = app.app.decoders.available_permits();
    let busy = app.app.decoders.clone().acquire_many_owned(u32::try_from(cores).unwrap()).await.unwrap();
    hang_up_once(&app, "pending", ann.request(Method::GET, &path)).await;
    // The worker's job waits for what the request began, however that ends.
    assert!(work::run_next(&app.app).await.unwrap());
    assert_eq!(ann.file(&id).await["derivatives"][0]["state"], "pending");
    drop(busy);
    crate::app::eventually("the image is ready", async || {
        (ann.file(&id).await["derivatives"][0]["state"] == "ready").then_some(())
    })
    .await;
    ann.get(&path).await.expect(200);
    rows::make_jobs_due(&mut app.app.db.conn().await.unwrap()).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_job_outlives_whoever_began_its_image_and_died(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.png", &png(300, 200)).await;
    rows::lease_derivatives(&mut app.app.db.conn().await.unwrap()).await;
    assert!(work::run_next(&app.app).await.unwrap());
    assert!(!work::run_next(&app.app).await.unwrap(), "it waits for the owner of the lease");
    let mut conn = app.app.db.conn().await.unwrap();
    rows::lapse_leases(&mut conn).await;
    rows::make_jobs_due(&mut conn).await;
    drop(conn);
    assert!(work::run_next(&app.app).await.unwrap());
    assert_eq!(ann.file(&id).await["derivatives"][0]["state"], "ready");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_decoder_keeps_its_permit_when_its_reader_hangs_up(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.png", &png(5000, 4000)).await;
    let cores = app.app.decoders.available_permits();
    let reading = send(ann.request(Method::GET, &format!("/api/files/{id}/thumbnail?size=small")));
    tokio::select! {
        _ = reading => panic!("so large an image takes longer"),
        () = crate::app::eventually("it is decoded", async || {
            (app.app.decoders.available_permits() < cores).then_some(())
        }) => {}
    }
    assert!(app.app.decoders.available_permits() < cores, "the decoder still runs");
    let made = async || {
        let file = ann.file(&id).await;
        let small = file["derivatives"]
            .as_array()
            .unwrap()
            .iter()
            .any(|made| made["kind"] == "small" && made["state"] == "ready");
        small.then_some(())
    };
    crate::app::eventually("it is made all the same", made).await;
    assert_eq!(app.app.decoders.available_permits(), cores);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn who_hangs_up_after_asking_for_the_trash_to_be_emptied_has_emptied_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(ann.store_id(&format!("{n}.txt"), b"x").await);
    }
    ann.post("/api/files/batch", json!({ "action": "delete", "ids": ids })).await.expect(200);
    // The request waits for the ledger while its client goes away.
    let ledger = app.app.db.ledger(&crate::app::user_id(ANN)).await.unwrap();
    hang_up_once_waiting(&app, ann.request(Method::DELETE, "/api/files/trash")).await;
    ledger.commit().await.unwrap();
    crate::app::eventually("the trash is empty", async || {
        (ann.usage().await["trashBytes"] == 0).then_some(())
    })
    .await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn who_hangs_up_after_asking_for_a_copy_has_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.txt", b"a").await;
    let ledger = app.app.db.ledger(&crate::app::user_id(ANN)).await.unwrap();
    let copy = ann.request(Method::POST, &format!("/api/files/{id}/copy")).json(&json!({}));
    hang_up_once_waiting(&app, copy).await;
    ledger.commit().await.unwrap();
    crate::app::eventually("the copy is there", async || {
        (ann.counters().await == json!([2, 0, 0, 2])).then_some(())
    })
    .await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn who_hangs_up_while_a_transaction_begins_leaves_none_to_the_next(pool: PgPool) {
    let one = PgPoolOptions::new().max_connections(1).connect_lazy_with((*pool.connect_options()).clone());
    let db = Db::from_pool(one);
    for polls in 0..60 {
        for begin in 0..3 {
            let mut beginning: BoxFuture<'_, ()> = match begin {
                0 => Box::pin(async { drop(db.begin().await.unwrap()) }),
                1 => Box::pin(async { drop(db.indexed().await.unwrap()) }),
                _ => Box::pin(async { drop(db.scan().await.unwrap()) }),
            };
            for _ in 0..polls {
                if poll!(&mut beginning).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(beginning);
            let mut next = db.conn().await.unwrap();
            assert!(!rows::is_in_transaction(&mut next).await, "{begin}, given up after {polls} looks");
        }
    }
    db.close().await;
}

/// Sends a request and goes away once the derivative that it asks for is leased.
async fn hang_up_once(app: &TestApp, state: &str, request: reqwest::RequestBuilder) {
    let leased = async || {
        let mut conn = app.app.db.conn().await.unwrap();
        rows::is_any_leased(&mut conn, state).await.then_some(())
    };
    tokio::select! {
        _ = send(request) => panic!("it was answered"),
        () = crate::app::eventually("somebody makes it", leased) => {}
    }
}

/// Sends a request and goes away once it waits for a lock.
async fn hang_up_once_waiting(app: &TestApp, request: reqwest::RequestBuilder) {
    let waits = async || {
        let mut conn = app.app.db.conn().await.unwrap();
        rows::is_anybody_waiting(&mut conn).await.then_some(())
    };
    tokio::select! {
        _ = send(request) => panic!("it was answered"),
        () = crate::app::eventually("the request waits", waits) => {}
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_change_that_loses_against_others_is_tried_again_and_at_last_503(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.txt", b"a").await;
    let favorite = format!("/api/files/{id}/favorite");
    rows::lose_races(&mut app.app.db.conn().await.unwrap(), 3).await;
    ann.post(&favorite, json!({ "favorite": true })).await.expect(200);
    rows::lose_races(&mut app.app.db.conn().await.unwrap(), 4).await;
    ann.post(&favorite, json!({ "favorite": false })).await.refused(503, "unavailable");
    assert_eq!(ann.file(&id).await["isFavorite"], true);
    ann.post(&favorite, json!({ "favorite": false })).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_thumbnail_is_not_begun_of_a_content_that_goes_while_its_request_waits(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(4, 4)).await;
    app.run_jobs_in_queue().await;
    let mut holder = app.app.db.ledger(&user_id(ANN)).await.unwrap();
    rows::run(&mut holder, "DELETE FROM user_files").await;
    let purge = async {
        let mut look = app.app.db.conn().await.unwrap();
        eventually("it waits", async || rows::is_anybody_waiting(&mut look).await.then_some(())).await;
        holder.commit().await.unwrap();
    };
    let (ann, path) = (app.ann(), format!("/api/files/{id}/thumbnail?size=small"));
    let (answer, ()) = tokio::join!(ann.get(&path), purge);
    answer.expect(404);
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(rows::count(&mut conn, "SELECT count(*) FROM derivatives").await, 0);
    app.abandon().await;
}
