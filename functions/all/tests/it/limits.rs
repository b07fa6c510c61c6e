//! Requests that no library would send, senders that stall, and too many of them: each has its answer and costs nothing.

use crate::app::tus::UPLOADS;
use crate::app::{ANN, Answer, Form, Raw, TestApp, eventually, media, send, token};
use jam_core::model::ByteSize;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;

/// Sends a request text to whoever answers `GET /api/files`, signed in as Ann.
async fn exchange(app: &TestApp, request_line: &str, headers: &str) -> Answer {
    let mut raw = Raw::connect(app, &Method::GET, "/api/files").await;
    let token = token(ANN);
    let text = format!("{request_line} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
    raw.send(text.as_bytes()).await.unwrap();
    raw.answer().await
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_request_that_two_servers_could_read_differently_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ambiguous = [
        ("GET /api/files", ""),
        ("GET /api/files", "Host: a\r\nHost: a\r\n"),
        ("GET /api/files", "Host: a\r\nHost: b\r\n"),
        ("GET http://a/api/files", "Host: b\r\n"),
    ];
    for (line, headers) in ambiguous {
        exchange(&app, line, headers).await.refused(400, "invalid_body");
    }
    for (line, headers) in [("GET /api/files", "Host: a\r\n"), ("GET http://a/api/files", "Host: a\r\n")] {
        exchange(&app, line, headers).await.expect(200);
    }
    let never_parsed = [
        ("GET /api/files", "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
        ("GET /api/files", "Host: a\r\nContent-Length: +1\r\n"),
        ("GET /api/files", "Host: a\r\nTransfer-Encoding: identity\r\n"),
        ("GET /api/files", "Host : a\r\n"),
        ("GET /api/files", "Host: a\r\nX: a\0b\r\n"),
        ("GET  /api/files", "Host: a\r\n"),
    ];
    for (line, headers) in never_parsed {
        exchange(&app, line, headers).await.expect(400);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_path_with_dots_and_escapes_leads_nowhere(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    let paths = [
        "/api/files/..".to_owned(),
        "/api/files/../files".to_owned(),
        "/api/files/%2e%2e/files".to_owned(),
        format!("/api/files/{id}%00"),
        format!("/api/files/{id}%2Fdownload"),
        format!("/api/files/{id}/..%2f{id}/download"),
        format!("/api/files/%5c{id}"),
        "//api/files".to_owned(),
        "/API/files".to_owned(),
        "/api/files/%FF".to_owned(),
        "/api/admin/files/..%2f..%2fuser_b".to_owned(),
    ];
    for path in paths {
        let answer = exchange(&app, &format!("GET {path}"), "Host: a\r\n").await;
        assert_eq!(answer.refused(404, "not_found")["error"], "Not found.", "{path}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn headers_have_an_end(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let with_bytes = |bytes: usize| format!("Host: a\r\nX-Long: {}\r\n", "x".repeat(bytes));
    exchange(&app, "GET /api/files", &with_bytes(15 * 1024)).await.expect(200);
    exchange(&app, "GET /api/files", &with_bytes(16 * 1024)).await.refused(431, "headers_too_large");
    let mut raw = Raw::connect(&app, &Method::GET, "/api/files").await;
    // The service stops reading at its limit: the rest may find the connection closed.
    let _ = raw.send(format!("GET /api/files HTTP/1.1\r\n{}\r\n", with_bytes(4 << 20)).as_bytes()).await;
    raw.answer().await.expect(431);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    exchange(&app, "GET /api/files", &format!("Host: a\r\n{many}")).await.expect(431);
    exchange(&app, &format!("GET /api/files?q={}", "x".repeat(100_000)), "Host: a\r\n").await.expect(414);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whoever_does_not_finish_their_headers_is_disconnected(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.header_timeout = Duration::from_millis(300)).await;
    let mut silent = Raw::connect(&app, &Method::GET, "/api/files").await;
    let mut slow = Raw::connect(&app, &Method::GET, "/api/files").await;
    slow.send(b"GET /api/files HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    assert!(silent.is_closed().await && slow.is_closed().await);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_body_that_stalls_is_given_up_with_a_reason_and_leaves_nothing(pool: PgPool) {
    let app =
        TestApp::with(pool, |config| config.limits.body_idle_timeout = Duration::from_millis(300)).await;
    let body = Form::new().file("a.bin", &media::bytes(1, 500_000)).into_body();
    for end in [0, 50, 250_000] {
        let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
        raw.send(&body[..end]).await.unwrap();
        raw.answer().await.refused(408, "request_timeout");
    }
    let mut raw = Raw::connect(&app, &Method::POST, "/api/storage/initialize").await;
    let head = format!(
        "POST /api/storage/initialize HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{",
        token(ANN)
    );
    raw.send(head.as_bytes()).await.unwrap();
    raw.answer().await.refused(408, "request_timeout");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_address_holds_so_many_connections_and_no_more(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_connections_per_address = 3).await;
    refuses_a_fourth_connection(&app).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn all_addresses_together_hold_so_many_connections_and_no_more(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_connections = 3).await;
    refuses_a_fourth_connection(&app).await;
    app.finish().await;
}

async fn refuses_a_fourth_connection(app: &TestApp) {
    let connect = async || {
        let mut raw = Raw::connect(app, &Method::GET, "/health").await;
        let sent = raw.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await;
        (sent.is_ok() && raw.answers().await).then_some(raw)
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect().await.expect("there is room"));
    }
    assert!(connect().await.is_none(), "the fourth is closed at once");
    open.pop();
    eventually("the place of a closed connection is free", connect).await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refusal_does_not_cost_the_connection(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut raw = Raw::connect(&app, &Method::POST, "/api/files/upload").await;
    for (path, status) in [("/nowhere", 404), ("/api/files/upload", 415), ("/health", 200)] {
        let method = if status == 200 { "GET" } else { "POST" };
        let token = token(ANN);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 4\r\n\r\nbody"
        );
        raw.send(request.as_bytes()).await.unwrap();
        raw.answer().await.expect(status);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_request_of_http_1_0_needs_no_host(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut raw = Raw::connect(&app, &Method::GET, "/health").await;
    raw.send(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(raw.answer().await.expect(200).json()["status"], "healthy");
    assert!(raw.is_closed().await);
    app.finish().await;
}

/// Sends all of a large body before the answer is looked at, as a browser does.
async fn answer_after_all(app: &TestApp, token: &str, headers: &str) -> Answer {
    const BODY_BYTES: usize = 48 << 20;
    let mut raw = Raw::connect(app, &Method::POST, "/api/files/upload").await;
    let head = format!(
        "POST /api/files/upload HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {BODY_BYTES}\r\n{headers}\r\n"
    );
    raw.send(head.as_bytes()).await.unwrap();
    let start = Form::new().file("a.bin", b"").into_body();
    let start = &start[..start.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4];
    raw.send(start).await.unwrap();
    let piece = media::bytes(1, 1 << 20);
    let mut left = BODY_BYTES - start.len();
    while left > 0 {
        let bytes = left.min(piece.len());
        raw.send(&piece[..bytes]).await.expect("what is sent is read");
        left -= bytes;
    }
    let answer = raw.answer().await;
    assert!(raw.is_closed().await);
    answer
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_early_refusal_reaches_a_client_that_sends_all_first(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.max_file = ByteSize::new(1000)).await;
    let form = format!("Content-Type: {}\r\n", Form::CONTENT_TYPE);
    let ann = token(ANN);
    answer_after_all(&app, "nobody", &form).await.refused(401, "unauthenticated");
    answer_after_all(&app, &ann, &form).await.refused(413, "file_too_large");
    answer_after_all(&app, &ann, "Content-Type: application/json\r\n")
        .await
        .refused(415, "unsupported_content_type");
    answer_after_all(&app, &ann, &format!("{form}Host: b\r\n")).await.refused(400, "invalid_body");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn that_the_volume_is_full_reaches_a_client_that_sends_all_first(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.volume_floor = ByteSize::new(1 << 60)).await;
    let form = format!("Content-Type: {}\r\n", Form::CONTENT_TYPE);
    answer_after_all(&app, &token(ANN), &form).await.refused(507, "volume_full");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn guesses_count_and_what_is_known_does_not(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.limits.anonymous_requests = Some(3);
        config.trusted_proxies.addresses = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let url = app.ann().create("a.bin", 10).await;
    let guess = format!("{}-{}", &url[..url.len() - 33], "0".repeat(32));
    let ask = async |address: &str, method: Method, target: &str| {
        let request = app.nobody().tus(method, target).header("x-forwarded-for", address);
        send(request).await.status
    };
    for (address, method, target, status) in [
        ("192.0.2.1", Method::GET, "/nowhere", 404),
        ("192.0.2.2", Method::POST, "/.env", 404),
        ("192.0.2.3", Method::HEAD, guess.as_str(), 404),
        ("192.0.2.4", Method::GET, "/health", 200),
        ("192.0.2.5", Method::PUT, "/api/files", 405),
        ("192.0.2.6", Method::from_bytes(b"BREW").unwrap(), UPLOADS, 405),
    ] {
        for _ in 0..3 {
            assert_eq!(ask(address, method.clone(), target).await, status, "{target}");
        }
        assert_eq!(ask(address, method, target).await, 429, "{target}");
    }
    for _ in 0..5 {
        // Whoever has the secret, a watcher of the installation, and a user with a token.
        assert_eq!(ask("192.0.2.1", Method::HEAD, &url).await, 200);
        assert_eq!(ask("10.0.0.5", Method::GET, "/health").await, 200);
        let known = app.ann().request(Method::GET, "/nowhere").header("x-forwarded-for", "192.0.2.1");
        send(known).await.refused(404, "not_found");
        let known = app.ann().request(Method::PUT, "/api/files").header("x-forwarded-for", "192.0.2.5");
        send(known).await.refused(405, "method_not_allowed");
    }
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}
