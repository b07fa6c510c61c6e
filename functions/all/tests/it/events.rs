//! The binaries as Lambda functions, driven by events as AWS writes them: API Gateway's two forms, function URLs, load
//! balancers, a schedule.

use crate::app::gateway::{Function, Gateway, Request};
use crate::app::media::{bytes, png, sha256};
use crate::app::process::{Site, session_token};
use crate::app::tus::{BYTES, UPLOADS, offset};
use crate::app::{ANN, Answer, Form, rows};
use jam_core::db;
use serde_json::json;
use sqlx::PgPool;

const HOME: &str = "198.51.100.7";

/// Ann's side of a function.
struct Ann<'a> {
    function: &'a mut Function,
    gateway: Gateway,
    authorization: String,
}

impl<'a> Ann<'a> {
    fn new(function: &'a mut Function, gateway: Gateway) -> Self {
        Self { function, gateway, authorization: format!("Bearer {}", session_token(ANN)) }
    }

    async fn send(
        &mut self,
        method: &'static str,
        target: &str,
        header: (&str, &str),
        body: &[u8],
    ) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = [("authorization", self.authorization.as_str()), header];
        let request = Request { method, path, query, headers: &headers, body, from: HOME };
        let (answer, is_streamed) = self.function.request(self.gateway, &request).await;
        assert_eq!(is_streamed, self.gateway == Gateway::FunctionUrl, "{:?}", self.gateway);
        assert!(answer.header("content-type").is_some(), "{method} {target}");
        answer
    }

    async fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, ("accept", "*/*"), b"").await
    }

    async fn upload(&mut self, content: &[u8]) -> Answer {
        let form = Form::new().file("a.png", content).field("tags", r#"["one"]"#).into_body();
        self.send("POST", "/api/files/upload", ("content-type", Form::CONTENT_TYPE), &form).await
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_goes_in_and_comes_out_through_every_gateway(pool: PgPool) {
    let site = Site::new(pool);
    let mut function = Function::start(&site, "jam-all", &[]).await;
    for gateway in Gateway::ALL {
        let mut ann = Ann::new(&mut function, gateway);
        let content = png(300, 200);
        let file = ann.upload(&content).await.expect(200).json()["files"][0].clone();
        let path = format!("/api/files/{}", file["id"].as_str().unwrap());
        let listed = ann.get("/api/files?tags=one&limit=1").await.expect(200).json();
        assert_eq!(listed["files"][0]["id"], file["id"], "{gateway:?}");

        let download = ann.get(&format!("{path}/download")).await.expect(200);
        assert_eq!(download.body, content, "{gateway:?}");
        let size = content.len().to_string();
        assert_eq!(download.header("content-type"), Some("image/png"));
        assert_eq!(download.header("x-file-size"), Some(size.as_str()));
        assert_eq!(download.header("content-length"), Some(size.as_str()));
        let etag = download.header("etag").unwrap().to_owned();
        let range =
            ann.send("GET", &format!("{path}/download"), ("range", "bytes=10-19"), b"").await.expect(206);
        assert_eq!(range.body, content[10..20]);
        let unchanged =
            ann.send("GET", &format!("{path}/download"), ("if-none-match", &etag), b"").await.expect(304);
        assert!(unchanged.body.is_empty());
        let head = ann.send("HEAD", &format!("{path}/download"), ("accept", "*/*"), b"").await.expect(200);
        assert!(head.body.is_empty() && head.header("x-file-size") == Some(size.as_str()));
        let thumbnail = ann.get(&format!("{path}/thumbnail")).await.expect(200);
        assert_eq!(thumbnail.header("content-type"), Some("image/webp"));

        let json_body = ("content-type", "application/json");
        let tagged =
            ann.send("PUT", &format!("{path}/tags"), json_body, r#"{"tags":["zwei ö"]}"#.as_bytes()).await;
        assert_eq!(tagged.expect(200).json()["file"]["tags"], json!(["zwei ö"]));
        ann.get("/nowhere").await.refused(404, "not_found");
    }
    function.kill().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_event_over_the_limit_is_refused_in_our_words_and_the_limit_is_told_before(pool: PgPool) {
    let site = Site::new(pool);
    let mut function = Function::start(&site, "jam-all", &[]).await;
    for gateway in Gateway::ALL {
        let mut ann = Ann::new(&mut function, gateway);
        let limits = ann.get("/api/storage/usage").await.expect(200).json()["storage"]["limits"].clone();
        let max_append: usize = if gateway == Gateway::LoadBalancer { 512 << 10 } else { 4 << 20 };
        assert_eq!(limits["maxAppendBytes"], max_append, "{gateway:?}");
        ann.upload(&bytes(1, max_append)).await.expect(200);
        let refused = ann.upload(&bytes(1, max_append * 3 / 2)).await.refused(413, "body_too_large");
        assert!(refused["maxBytes"].as_u64().unwrap() > max_append as u64, "{gateway:?}");
    }
    function.kill().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_larger_than_an_answer_is_streamed_or_comes_in_ranges(pool: PgPool) {
    let site = Site::new(pool);
    let server = site.start("jam-upload", &[]).await;
    let content = bytes(7, 6 << 20);
    let id = server.user(ANN).store_id("large.bin", &content).await;
    server.stop().await;
    let mut function = Function::start(&site, "jam-download", &[]).await;
    let path = format!("/api/files/{id}/download");
    for gateway in Gateway::ALL {
        let mut ann = Ann::new(&mut function, gateway);
        let answer = ann.get(&path).await;
        if gateway == Gateway::FunctionUrl {
            assert_eq!(answer.expect(200).body, content);
        } else {
            answer.refused(413, "answer_too_large");
        }
        let range = ann.send("GET", &path, ("range", "bytes=6000000-6291455"), b"").await.expect(206);
        assert_eq!(range.body, content[6_000_000..], "{gateway:?}");
        ann.send("HEAD", &path, ("accept", "*/*"), b"").await.expect(200);
    }
    function.kill().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_is_known_by_the_address_that_the_gateway_saw(pool: PgPool) {
    let site = Site::new(pool);
    let settings = [("RATE_LIMIT_MAX_REQUESTS", "2")];
    for gateway in Gateway::ALL {
        let mut function = Function::start(&site, "jam-list", &settings).await;
        for (turn, status) in [(1, 401), (2, 401), (3, 429)] {
            let pretended = format!("192.0.2.{turn}");
            let headers = [("x-forwarded-for", pretended.as_str())];
            let request = Request {
                method: "GET",
                path: "/api/files",
                query: "",
                headers: &headers,
                body: b"",
                from: HOME,
            };
            function.request(gateway, &request).await.0.expect(status);
        }
        let request = Request {
            method: "GET",
            path: "/api/files",
            query: "",
            headers: &[],
            body: b"",
            from: "198.51.100.8",
        };
        function.request(gateway, &request).await.0.expect(401);
        function.kill().await;
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_function_is_one_under_lambda_too(pool: PgPool) {
    let site = Site::new(pool);
    let owned = [
        ("jam-upload", "POST", "/api/files/upload", 415),
        ("jam-list", "GET", "/api/files", 200),
        ("jam-download", "GET", "/api/files/x/download", 404),
        ("jam-thumbnail", "GET", "/api/files/x/thumbnail", 404),
        ("jam-quota", "GET", "/api/storage/usage", 200),
        ("jam-organize", "DELETE", "/api/files/trash", 200),
    ];
    for (binary, method, path, status) in owned {
        let mut function = Function::start(&site, binary, &[]).await;
        let mut ann = Ann::new(&mut function, Gateway::FunctionUrl);
        ann.send(method, path, ("accept", "*/*"), b"").await.expect(status);
        ann.get("/health").await.expect(200);
        function.kill().await;
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_event_of_a_schedule_makes_the_worker_do_what_is_due(pool: PgPool) {
    let site = Site::new(pool);
    let server = site.start("jam-upload", &[]).await;
    server.user(ANN).store("a.png", &png(800, 600)).await;
    server.stop().await;
    let app = site.app();
    let counts = async || db::jobs::counts(&mut app.db.conn().await.unwrap()).await.unwrap();
    assert!(counts().await[0] > 0);
    let mut worker = Function::start(&site, "jam-worker", &[]).await;
    worker.invoke(&json!({ "source": "aws.events", "detail-type": "Scheduled Event" })).await;
    assert_eq!(counts().await, [0, 0, 0]);
    worker.kill().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_whose_every_piece_meets_a_function_just_started_is_whole(pool: PgPool) {
    let site = Site::new(pool);
    let content = bytes(1, 9_000_000);
    let (length, authorization) = (content.len().to_string(), format!("Bearer {}", session_token(ANN)));
    let creation = [("authorization", authorization.as_str()), ("upload-length", &length)];
    let url =
        tus(&site, "POST", UPLOADS, &creation, b"").await.expect(201).header("location").unwrap().to_owned();
    let mut at = 0;
    while at < content.len() {
        let end = content.len().min(at + (4 << 20));
        let here = at.to_string();
        let piece = [("content-type", BYTES), ("upload-offset", here.as_str())];
        let answer = tus(&site, "PATCH", &url, &piece, &content[at..end]).await.expect(204);
        assert_eq!(offset(&answer), end);
        at = end;
    }
    let head = tus(&site, "HEAD", &url, &[], b"").await.expect(200);
    let process = site.settled().await;
    let file = process.user(ANN).file(head.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_snapshot_of_a_function_holds_no_connection_and_its_copy_serves(pool: PgPool) {
    let site = Site::new(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let snap_start = [("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")];
    let mut function = Function::start(&site, "jam-all", &snap_start).await;
    function.ready_for_snapshot().await;
    assert_eq!(rows::connections(&mut conn).await, 0);
    function.restore();
    let mut ann = Ann::new(&mut function, Gateway::HttpApi);
    ann.upload(b"some bytes").await.expect(200);
    assert!(rows::connections(&mut conn).await > 0);
    function.kill().await;
    site.assert_clean().await;
}

/// One request of the protocol to a function that is started for it and killed after it.
async fn tus(site: &Site, method: &'static str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut function = Function::start(site, "jam-upload", &[]).await;
    let headers = [&[("tus-resumable", "1.0.0")], headers].concat();
    let request = Request { method, path, query: "", headers: &headers, body, from: HOME };
    let (answer, _) = function.request(Gateway::HttpApi, &request).await;
    function.kill().await;
    answer
}
