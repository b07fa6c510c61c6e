//! nginx in front, with the server's own configuration: it routes by the contract, and sends the bytes that the service
//! has allowed exactly as the service would.

use crate::app::media::{bytes, png};
use crate::app::nginx::Nginx;
use crate::app::process::{Site, session_token};
use crate::app::{ANN, Answer, As, BOB, Form, eventually, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SIZE: usize = 1_300_000;

/// Everything that tells one answer from another, but what is new in each answer and what nginx says of itself.
fn essence(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let own = [
        "connection",
        "date",
        "server",
        "strict-transport-security",
        "transfer-encoding",
        "x-request-id",
        "keep-alive",
        "vary",
    ];
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .filter(|(name, _)| !own.contains(&name.as_str()))
        // nginx does not repeat with a part that it can send parts.
        .filter(|(name, _)| answer.status != 206 || name != "accept-ranges")
        .collect();
    headers.sort();
    let id = answer.header("x-request-id").unwrap_or_default();
    let body = String::from_utf8(answer.body.to_vec()).map(|text| text.replace(id, "").into_bytes());
    (answer.status, headers, body.unwrap_or_else(|_| answer.body.to_vec()))
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_nginx_sends_is_what_the_service_would_send(pool: PgPool) {
    let site = Site::new(pool);
    let origin = ("CORS_ORIGIN", "https://app.example.com");
    let plain = site.start("jam-all", &[origin]).await;
    let nginx = Nginx::start(&site).await;
    let file = nginx.user(ANN).store("Gr\u{fc}\u{df}e \"\u{5199}\u{771f}\".bin", &bytes(1, SIZE)).await;
    let path = format!("/api/files/{}/download", file["id"].as_str().unwrap());
    let whole = plain.user(ANN).get(&path).await.expect(200);
    let (etag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let requests: [&[(&str, &str)]; 17] = [
        &[],
        &[("range", "bytes=0-0")],
        &[("range", "bytes=524287-524289")],
        &[("range", "bytes=1299990-")],
        &[("range", "bytes=-10")],
        &[("range", "bytes=1299999-9999999")],
        &[("range", "bytes=9-5")],
        &[("range", "bytes=5000000-")],
        &[("range", "bytes=2-3"), ("if-range", etag)],
        &[("range", "bytes=2-3"), ("if-range", date)],
        &[("range", "bytes=2-3"), ("if-range", "\"other\"")],
        &[("range", "bytes=2-3"), ("if-range", "Sat, 01 Jan 2000 00:00:00 GMT")],
        &[("if-none-match", etag)],
        &[("if-none-match", "\"other\"")],
        &[("if-modified-since", date)],
        &[("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT")],
        &[("if-match", "\"other\"")],
    ];
    for headers in requests {
        for method in [Method::GET, Method::HEAD] {
            let ask = async |user: &As<'_>| {
                let request = user.request(method.clone(), &path);
                send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
                    .await
            };
            let (expected, found) = (ask(&plain.user(ANN)).await, ask(&nginx.user(ANN)).await);
            assert!(essence(&found) == essence(&expected), "{method} {headers:?}: {:?}", found.headers);
            assert!(found.header_values("vary").concat().contains("Origin"));
            assert!(found.header("x-request-id").is_some());
        }
    }
    let parts = nginx.user(ANN).get_with(&path, "range", "bytes=0-1,5-6").await.expect(206);
    assert!(parts.header("content-type").unwrap().starts_with("multipart/byteranges"));
    nginx.stop().await;
    plain.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_bytes_are_sent_by_nginx_and_by_nobody_without_the_services_leave(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let content = png(300, 200);
    let file = nginx.user(ANN).store("a.png", &content).await;
    let (id, file_path) = (file["id"].as_str().unwrap(), file["filePath"].as_str().unwrap());
    for what in ["download", "stream"] {
        let path = format!("/api/files/{id}/{what}");
        let handed_over = nginx.function("download").user(ANN).get(&path).await.expect(200);
        assert_eq!(handed_over.header("x-accel-redirect"), Some(format!("/_volume/{file_path}").as_str()));
        assert!(handed_over.body.is_empty());
        let sent = nginx.user(ANN).get(&path).await.expect(200);
        assert_eq!((sent.header("x-accel-redirect"), &*sent.body), (None, &content[..]));
        nginx.user(BOB).get(&path).await.refused(404, "not_found");
        nginx.nobody().get(&path).await.refused(401, "unauthenticated");
    }
    let signed = nginx.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(signed.body, content);
    let thumbnail = nginx.user(ANN).get(&format!("/api/files/{id}/thumbnail")).await.expect(200);
    assert_eq!(thumbnail.header("content-type"), Some("image/webp"));
    assert!(thumbnail.header_values("vary").concat().contains("Accept"));
    for direct in [format!("/_volume/{file_path}"), "/_volume/".to_owned(), "/_volume/.jam-volume".to_owned()]
    {
        let refused = nginx.user(ANN).get(&direct).await.expect(404);
        assert_eq!(refused.json()["code"], "not_found", "{direct}");
    }
    nginx.stop().await;
    run_jobs(&site).await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_damaged_file_is_not_handed_over(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let content = bytes(1, 1000);
    let file = nginx.user(ANN).store("a.bin", &content).await;
    let on_volume = site.on_volume(file["filePath"].as_str().unwrap());
    let open = || std::fs::OpenOptions::new().write(true).open(&on_volume).unwrap();
    open().set_len(500).unwrap();
    let path = format!("/api/files/{}/download", file["id"].as_str().unwrap());
    nginx.user(ANN).get(&path).await.refused(500, "internal");
    std::io::Write::write_all(&mut open(), &content).unwrap();
    assert_eq!(nginx.user(ANN).get(&path).await.expect(200).body, content);
    nginx.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn no_secret_of_a_url_is_in_nginxs_logs(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::strict(&site).await;
    let (ann, nobody) = (nginx.user(ANN), nginx.nobody());
    let content = bytes(1, 1000);
    let file = ann.store("a.bin", &content).await;
    let url = ann.create("b.bin", content.len()).await;
    let upload = url.strip_prefix("http://localhost").unwrap_or(&url);
    ann.append(upload, 0, &content[..500]).await.expect(204);
    nobody.look_up(upload).await.expect(200);
    for odd in
        [upload.replace("/api/", "//api/"), upload.replace("uploads", "%75ploads"), format!("{upload}/x")]
    {
        send(nobody.request(Method::GET, &odd)).await;
    }
    let signed = file["downloadUrl"].as_str().unwrap();
    nobody.get(signed).await.expect(200);
    // Over the limit of requests nginx has something to say itself, and when nobody is behind it any more.
    let limited =
        futures_util::future::join_all((0..60).flat_map(|_| [nobody.get(signed), nobody.get(upload)]));
    assert!(limited.await.iter().any(|answer| answer.status == 429));
    let nginx = nginx.without_functions().await;
    for target in [signed, upload] {
        let answer = eventually("the limit is over", async || {
            let answer = nginx.nobody().get(target).await;
            (answer.status != 429).then_some(answer)
        });
        answer.await.refused_by_nginx(502, "unavailable");
    }
    let logs = nginx.logs();
    let query = signed.split_once('?').unwrap().1;
    let secrets =
        query.split('&').map(|pair| pair.split_once('=').unwrap().1).filter(|value| value.len() > 8);
    let secret = &upload[upload.len() - 20..];
    for secret in secrets.chain([secret]) {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
    for said in ["/api/uploads/-", "/download\"", "\"limit\":\"REJECTED\"", "\"status\":502"] {
        assert!(logs.contains(said), "{said} is missing: {logs}");
    }
    nginx.stop().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_operation_reaches_its_function_through_nginx(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let ann = nginx.user(ANN);
    let form = Form::new().file("a.txt", b"0123456789").field("tags", r#"["one"]"#);
    let file = ann.upload(form).await.expect(200).json()["files"][0].clone();
    let id = file["id"].as_str().unwrap();
    assert_eq!(ann.get("/api/files?tags=one").await.expect(200).json()["count"], 1);
    ann.patch(&format!("/api/files/{id}"), json!({ "originalName": "b.txt" })).await.expect(200);
    assert_eq!(ann.file(id).await["originalName"], "b.txt");
    ann.put(&format!("/api/files/{id}/tags"), json!({ "tags": ["two"] })).await.expect(200);
    ann.post(&format!("/api/files/{id}/favorite"), json!({ "favorite": true })).await.expect(200);
    ann.delete(&format!("/api/files/{id}")).await.expect(200);
    ann.post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
    assert_eq!(ann.counters().await, json!([10, 0, 0, 1]));
    ann.get("/api/storage/stats").await.refused(403, "admin_only");
    ann.get("/openapi.json").await.expect(200);
    ann.get("/nowhere").await.refused(404, "not_found");
    ann.put(&format!("/api/files/{id}"), json!({})).await.refused(405, "method_not_allowed");
    drop(ann);
    nginx.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_process_that_is_replaced_behind_nginx_fails_no_request(pool: PgPool) {
    let site = Site::new(pool);
    let entrance = site.entrance();
    let mut instance = site.start_behind(&entrance, "jam-all", &[("JAM_ACCEL", "nginx")]).await;
    let nginx = Nginx::in_front_of(&site, &entrance).await;
    let content = bytes(1, 100_000);
    let file = nginx.user(ANN).store("a.bin", &content).await;
    let path = format!("/api/files/{}/download", file["id"].as_str().unwrap());
    let is_over = CancellationToken::new();
    let read = async || {
        let mut answers = 0;
        while !is_over.is_cancelled() {
            assert_eq!(nginx.user(ANN).get(&path).await.expect(200).body, content);
            nginx.user(ANN).get("/api/files").await.expect(200);
            answers += 1;
        }
        assert!(answers > 20, "{answers}");
    };
    let write = async || {
        while !is_over.is_cancelled() {
            nginx.user(ANN).store("b.bin", b"some bytes").await;
        }
    };
    let replace = async {
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            instance.stop().await;
            instance = site.start_behind(&entrance, "jam-all", &[("JAM_ACCEL", "nginx")]).await;
        }
        is_over.cancel();
        instance
    };
    let ((), (), (), instance) = tokio::join!(read(), read(), write(), replace);
    nginx.stop().await;
    instance.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn nginx_compresses_json_and_never_a_file(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let ann = nginx.user(ANN);
    let scene = json!({ "scene": "x".repeat(5000) }).to_string();
    let name = format!("{}.json", "long ".repeat(45));
    let form = (0..10).fold(Form::new().file(&name, scene.as_bytes()), |form, number| {
        form.file(&format!("{number}.txt"), b"text")
    });
    let id = ann.upload(form).await.expect(200).json()["files"][0]["id"].as_str().unwrap().to_owned();
    let listing = ann.get_with("/api/files", "accept-encoding", "gzip").await.expect(200);
    assert_eq!(listing.header("content-encoding"), Some("gzip"));
    assert!(listing.header_values("vary").contains(&"Accept-Encoding"));
    assert_eq!(ann.get("/api/files").await.expect(200).header("content-encoding"), None);
    let path = format!("/api/files/{id}");
    let sent = ann.get_with(&format!("{path}/download"), "accept-encoding", "gzip").await.expect(200);
    assert_eq!((sent.header("content-encoding"), &*sent.body), (None, scene.as_bytes()));
    let tag = ann.get_with(&path, "accept-encoding", "gzip").await.expect(200);
    let tag = tag.header("etag").unwrap();
    assert!(tag.starts_with("W/"), "{tag}");
    let change = ann.request(Method::PATCH, &path).header("if-match", tag);
    send(change.json(&json!({ "originalName": "b.json" }))).await.expect(200);
    drop(ann);
    nginx.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_answer_tells_browsers_to_stay_with_https(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let ann = nginx.user(ANN);
    let file = ann.store("a.png", &png(30, 20)).await;
    let path = format!("/api/files/{}", file["id"].as_str().unwrap());
    let signed = file["streamUrl"].as_str().unwrap().to_owned();
    let (download, thumbnail) = (format!("{path}/download"), format!("{path}/thumbnail"));
    for (target, status) in [
        ("/health", 200),
        ("/nowhere", 404),
        ("/_volume/x", 404),
        ("/api/files", 200),
        (download.as_str(), 200),
        (&thumbnail, 200),
        (&signed, 200),
    ] {
        let answer = ann.get(target).await.expect(status);
        assert_eq!(answer.header_values("strict-transport-security"), ["max-age=31536000"], "{target}");
    }
    let refused = nginx.nobody().get("/api/files").await.expect(401);
    assert_eq!(refused.header_values("strict-transport-security"), ["max-age=31536000"]);
    drop(ann);
    nginx.stop().await;
    run_jobs(&site).await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_sent_without_tls_is_refused_and_reaches_nobody(pool: PgPool) {
    let site = Site::new(pool);
    let nginx = Nginx::start(&site).await;
    let unsafe_port = nginx.port_80();
    let ann = As::new(&unsafe_port, Some(session_token(ANN)));
    for target in ["/api/files", "/api/files/upload", "/api/uploads", "/f/a/download?s=secret"] {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::OPTIONS] {
            let answer = send(ann.request(method.clone(), target).body("x")).await.expect(403);
            assert_eq!(answer.json()["code"], "https_required", "{method} {target}");
            assert_eq!(answer.header("location"), None);
        }
    }
    let page = ann.get("/").await.expect(308);
    assert_eq!(page.header("location"), Some("https://files.example.com/"));
    drop(ann);
    assert_eq!(nginx.user(ANN).counters().await, json!([0, 0, 0, 0]));
    nginx.stop().await;
    site.assert_clean().await;
}

/// Does what the worker would do, until nothing is due.
async fn run_jobs(site: &Site) {
    let app = site.app();
    while jam_core::ops::work::run_next(&app).await.unwrap() {}
}
