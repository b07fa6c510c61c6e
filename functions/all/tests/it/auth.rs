//! Who may call, the errors for everybody else, and what every answer carries.

use crate::app::process::Site;
use crate::app::tus::UPLOADS;
use crate::app::{ADMIN, ANN, Answer, BOB, IMPERSONATED, ORIGIN, Raw, TestApp, send, token};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use std::collections::BTreeSet;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whoever_proves_nothing_is_asked_to_sign_in(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let headers: [&[&str]; 8] = [
        &[],
        &["Bearer wrong"],
        &["Bearer "],
        &["Bearer"],
        &["Basic dXNlcjpwYXNz"],
        &[&token(ANN)],
        &[&format!("Bearer {}", token(ANN)), &format!("Bearer {}", token(ANN))],
        &[&format!("Bearer {}", token(ANN)), "Bearer wrong"],
    ];
    let mut bodies = BTreeSet::new();
    for values in headers {
        let request = app.nobody().request(Method::GET, "/api/files").header("x-request-id", "same");
        let request = values.iter().fold(request, |request, value| request.header("authorization", *value));
        let answer = send(request).await;
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{values:?}");
        bodies.insert(answer.refused(401, "unauthenticated").to_string());
    }
    assert_eq!(bodies.len(), 1, "all failures look the same");
    let lower = format!("bearer {}", token(ANN));
    app.nobody().get_with("/api/files", "authorization", &lower).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn administrators_endpoints_are_for_administrators_themselves(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/api/storage/stats", "/api/admin/users", "/api/admin/files/user_b"] {
        app.nobody().get(path).await.refused(401, "unauthenticated");
        for user in [ANN, IMPERSONATED] {
            app.user(user).get(path).await.refused(403, "admin_only");
        }
        app.admin().get(path).await.expect(200);
    }
    app.user(IMPERSONATED).get("/api/files").await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_answer_carries_its_id_and_the_headers_that_protect_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    let answers = [
        app.ann().get("/api/files").await.expect(200),
        app.ann().get(&format!("/api/files/{id}/download")).await.expect(200),
        app.ann().get_with(&format!("/api/files/{id}/download"), "range", "bytes=9-").await.expect(416),
        app.nobody().get("/health").await.expect(200),
        app.nobody().get("/openapi.json").await.expect(200),
        app.nobody().get("/api/files").await.expect(401),
        app.ann().get("/api/storage/stats").await.expect(403),
        app.ann().get("/nowhere").await.expect(404),
        app.ann().put("/api/files/upload", json!({})).await.expect(405),
        send(app.nobody().request(Method::OPTIONS, "/api/files")).await.expect(204),
    ];
    let mut ids = BTreeSet::new();
    for answer in &answers {
        ids.insert(answer.header("x-request-id").unwrap().to_owned());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(answer.header("cache-control").is_some() || answer.status == 416);
        assert!(answer.header_values("vary").contains(&"Origin"));
    }
    assert_eq!(ids.len(), answers.len(), "no two requests share an id");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_plain_request_id_is_taken_over_and_no_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answered = async |id: &str| {
        let answer = app.nobody().get_with("/api/files", "x-request-id", id).await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(answered("trace-1.2_3").await, "trace-1.2_3");
    for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
        assert_ne!(answered(odd).await, odd);
    }
    app.finish().await;
}

#[track_caller]
fn assert_allows_origin(answer: &Answer, origin: Option<&str>) {
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert_eq!(exposed.contains("X-Request-Id"), origin.is_some());
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn browsers_of_the_configured_origin_may_read_every_answer_and_no_others_any(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/api/files", "/api/files/unknown", "/nowhere", "/health"] {
        for caller in [app.ann(), app.nobody()] {
            assert_allows_origin(&caller.get_with(path, "origin", ORIGIN).await, Some(ORIGIN));
            for foreign in [
                "https://evil.example",
                "null",
                "https://app.example.com.evil.example",
                "http://app.example.com",
            ] {
                assert_allows_origin(&caller.get_with(path, "origin", foreign).await, None);
            }
            assert_allows_origin(&caller.get(path).await, None);
        }
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_browser_may_ask_before_it_calls_any_path(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/api/files", "/api/files/upload", "/f/x/download", "/nowhere"] {
        let request = app.nobody().request(Method::OPTIONS, path).header("origin", ORIGIN);
        let answer = send(request.header("access-control-request-method", "PATCH")).await.expect(204);
        assert_allows_origin(&answer, Some(ORIGIN));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("Authorization"));
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_path_that_is_nowhere_and_a_method_that_is_missing_have_their_answers(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for path in ["/", "/api", "/api/file", "/api/files/", "/metrics", "/api/files/x/y/z", "/.env"] {
        app.ann().get(path).await.refused(404, "not_found");
    }
    let answer = app.ann().put("/api/files/upload", json!({})).await;
    assert_eq!(answer.header("allow"), Some("POST"));
    answer.refused(405, "method_not_allowed");
    let answer = app.ann().delete("/api/storage/usage").await;
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    answer.refused(405, "method_not_allowed");
    // Two functions share this path, and either tells the methods of both.
    let answer = app.ann().put("/api/files/x", json!({})).await;
    assert_eq!(answer.header("allow"), Some("DELETE,GET,HEAD,PATCH"));
    answer.refused(405, "method_not_allowed");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn health_needs_no_token_and_tells_what_fails(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let health = app.nobody().get("/health").await.expect(200).json();
    assert_eq!((&health["success"], &health["status"]), (&json!(true), &json!("healthy")));
    assert!(health["uptime"].is_number() && health["timestamp"].as_str().unwrap().ends_with('Z'), "{health}");
    let sentinel = app.on_volume(".jam-volume");
    let aside = app.on_volume("aside");
    std::fs::hard_link(&sentinel, &aside).unwrap();
    app.remove_from_volume(".jam-volume");
    let failing = app.nobody().get("/health").await;
    assert!(failing.header("retry-after").is_some());
    assert_eq!(failing.refused(503, "unavailable")["part"], "volume");
    std::fs::hard_link(&aside, &sentinel).unwrap();
    app.nobody().get("/health").await.expect(200);
    app.remove_from_volume("aside");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_that_does_not_answer_is_a_503_and_no_500(pool: PgPool) {
    let app = TestApp::new(pool.clone()).await;
    pool.close().await;
    for path in ["/api/files", "/api/storage/usage", "/health"] {
        let answer = app.ann().get(path).await;
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.refused(503, "unavailable")["part"], "database");
    }
    let answer = app.ann().upload(crate::app::Form::new().file("a.txt", b"a")).await;
    assert_eq!(answer.refused(503, "unavailable")["part"], "database");
    assert!(app.blobs_of(ANN).is_empty());
    app.abandon().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn tokens_of_two_users_on_one_connection_are_told_apart(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut raw = Raw::connect(&app, &Method::GET, "/api/storage/usage").await;
    for user in [ANN, BOB, ADMIN, ANN] {
        let token = token(user);
        let request =
            format!("GET /api/storage/usage HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        raw.send(request.as_bytes()).await.unwrap();
        assert_eq!(raw.answer().await.expect(200).json()["storage"]["userId"], user);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_instrumented_page_may_send_what_its_libraries_add(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let request = app.nobody().request(Method::OPTIONS, "/api/files").header("origin", ORIGIN);
    let answer = send(request.header("access-control-request-method", "GET")).await.expect(204);
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    let allowed: BTreeSet<&str> = allowed.split(", ").collect();
    for header in [
        "sentry-trace",
        "baggage",
        "traceparent",
        "tracestate",
        "x-datadog-origin",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-datadog-trace-id",
        "cache-control",
        "pragma",
        "b3",
        "x-b3-traceid",
        "newrelic",
        "x-requested-with",
        "if-match",
        "idempotency-key",
        "prefer",
        "request-id",
    ] {
        assert!(allowed.contains(header), "{header}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn options_tells_the_methods_that_a_path_has(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (path, methods) in [
        ("/api/files", Some("GET,HEAD,OPTIONS")),
        ("/api/files/upload", Some("OPTIONS,POST")),
        ("/api/files/x", Some("DELETE,GET,HEAD,OPTIONS,PATCH")),
        ("/api/uploads", Some("GET,HEAD,OPTIONS,POST")),
        ("/nowhere", None),
    ] {
        let answer = send(app.nobody().request(Method::OPTIONS, path)).await.expect(204);
        assert_eq!(answer.header("allow"), methods, "{path}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn pages_of_this_machine_may_call_whatever_their_port_is_where_that_is_set(pool: PgPool) {
    let app = TestApp::with(pool, |config| {
        config.cors_origins = vec!["http://localhost:*".to_owned(), "http://127.0.0.1:*".to_owned()];
    })
    .await;
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "http://localhost"] {
        assert_allows_origin(&app.ann().get_with("/api/files", "origin", origin).await, Some(origin));
    }
    for origin in
        ["https://localhost:5173", "http://localhost.evil.example:80", "http://127.0.0.1.evil.example"]
    {
        assert_allows_origin(&app.ann().get_with("/api/files", "origin", origin).await, None);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn whoever_acts_as_somebody_else_leaves_a_line_for_each_request(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[]).await;
    let support = process.acting_as(ANN);
    support.get("/api/files").await.expect(200);
    let url = support.create("a.bin", 20).await;
    support.append(&url, 0, &[0; 10]).await.expect(204);
    support.look_up(&url).await.expect(200);
    support.cancel(&url).await.expect(204);
    drop(support);
    process.stop().await;
    let log = site.log_of("jam-all");
    let id = &url[..UPLOADS.len() + 37];
    for (method, path) in
        [("GET", "/api/files"), ("POST", UPLOADS), ("PATCH", id), ("HEAD", id), ("DELETE", id)]
    {
        let is_line = |line: &&str| {
            line.contains("impersonated access") && line.contains(method) && line.contains(path)
        };
        assert!(log.lines().any(|line| is_line(&line)), "{method} {path} left no line:\n{log}");
    }
    assert!(!log.contains(&url), "the secret of a URL is in the log");
    site.assert_clean().await;
}
