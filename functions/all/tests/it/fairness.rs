//! One user's searches are that user's matter: whoever else asks is answered as before.

use crate::app::{ANN, BOB, TestApp, rows, user_id};
use futures_util::future::join_all;
use sqlx::PgPool;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_users_many_searches_leave_the_database_to_everybody_else(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 20_000).await;
    let id = app.bob().store_id("a.txt", b"a").await;
    let until = Instant::now() + Duration::from_secs(3);
    let queries =
        ["q=name%209", "includeTotal=true&tags=common", "trash=true&q=7", "sortBy=size&offset=10000"];
    let search = async |number: usize| {
        let mut refused = 0;
        while Instant::now() < until {
            let answer = app.ann().get(&format!("/api/files?{}", queries[number % queries.len()])).await;
            match answer.status {
                200 => {}
                429 => {
                    assert!(answer.refused(429, "too_many_requests")["retryAfter"].is_u64());
                    refused += 1;
                }
                _ => drop(answer.expect(200)),
            }
        }
        refused
    };
    let read = async {
        let mut slowest = Duration::ZERO;
        while Instant::now() < until {
            let started = Instant::now();
            app.bob().file(&id).await;
            app.nobody().get("/health").await.expect(200);
            app.bob().get("/api/files?limit=5").await.expect(200);
            slowest = slowest.max(started.elapsed());
        }
        slowest
    };
    let (_, slowest) = tokio::join!(join_all((0..24).map(search)), read);
    assert!(slowest < Duration::from_secs(4), "{slowest:?}");
    app.ann().get("/api/files?q=name").await.expect(200);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_search_that_takes_too_long_ends_in_words_and_the_next_ones_wait_their_turn(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 10).await;
    let mut other = pool.begin().await.unwrap();
    rows::lock_files(&mut other).await;
    let ann = app.ann();
    let searches = join_all((0..5).map(|_| ann.get("/api/files?q=name")));
    let looks = async {
        for _ in 0..10 {
            app.nobody().get("/health").await.expect(200);
            app.bob().usage().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (answers, ()) = tokio::join!(searches, looks);
    let mut codes: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [429, 429, 429, 503, 503]);
    for answer in answers {
        let code = if answer.status == 503 { "too_slow" } else { "too_many_requests" };
        let status = answer.status;
        let error = answer.refused(status, code);
        assert!(error["retryAfter"].is_u64(), "{error}");
    }
    other.rollback().await.unwrap();
    assert_eq!(app.ann().get("/api/files?q=name").await.expect(200).json()["count"], 10);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_deep_offset_is_refused_with_the_way_that_works(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().get("/api/files?offset=10000").await.expect(200);
    for offset in ["10001", "1000000", "-1"] {
        let refused =
            app.ann().get(&format!("/api/files?offset={offset}")).await.refused(400, "invalid_parameter");
        assert_eq!(refused["parameter"], "offset");
        assert!(refused["error"].as_str().unwrap().contains("nextCursor"), "{refused}");
    }
    app.user(BOB).get("/api/files?offset=0").await.expect(200);
    app.finish().await;
}
