//! Six hundred clients that send next to nothing, as slowhttptest does it: everybody else is served as if they were not
//! there, and none of them stays.

use crate::app::{Raw, TestApp, token};
use reqwest::Method;
use sqlx::PgPool;
use std::time::{Duration, Instant};

const SLOW_CLIENTS: usize = 600;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn six_hundred_slow_clients_keep_nobody_else_out(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.max_connections_per_address = 1000;
        config.limits.header_timeout = Duration::from_secs(2);
        config.limits.body_idle_timeout = Duration::from_secs(2);
    })
    .await;
    let user = token(crate::app::ANN);
    let head = "POST /api/storage/initialize HTTP/1.1\r\nHost: a\r\n";
    let stalled_body = format!(
        "{head}Authorization: Bearer {user}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{"
    );
    let beginnings = ["", "P", head, &stalled_body];
    let mut slow = Vec::new();
    for number in 0..SLOW_CLIENTS {
        let mut raw = Raw::connect(&app, &Method::POST, "/api/storage/initialize").await;
        raw.send(beginnings[number % beginnings.len()].as_bytes()).await.unwrap();
        slow.push(raw);
    }
    let started = Instant::now();
    for _ in 0..20 {
        app.ann().get("/api/storage/usage").await.expect(200);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "took {:?}", started.elapsed());
    for (number, mut raw) in slow.into_iter().enumerate() {
        if number % beginnings.len() == 3 {
            raw.answer().await.refused(408, "request_timeout");
        }
        assert!(raw.is_closed().await, "client {number}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_address_cannot_take_the_places_of_others(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_connections_per_address = 50).await;
    let mut held = Vec::new();
    for _ in 0..SLOW_CLIENTS {
        held.push(Raw::connect(&app, &Method::GET, "/health").await);
    }
    // All but fifty were closed at once; somebody over a unix socket or from elsewhere would find the service idle.
    let mut closed = 0;
    for raw in &mut held[50..] {
        closed += usize::from(raw.is_closed().await);
    }
    assert_eq!(closed, SLOW_CLIENTS - 50);
    drop(held);
    app.finish().await;
}
