//! The process as its operator meets it: what it says when it cannot start, what it logs, what it counts.

use crate::app::media::png;
use crate::app::process::{Site, client_over, lapsed_token, session_token};
use crate::app::{ANN, As, BOB, Form, eventually, send};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::path::Path;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_start_that_cannot_work_says_why(pool: PgPool) {
    let site = Site::new(pool);
    let unmounted = site.path("unmounted");
    std::fs::DirBuilder::new().create(&unmounted).unwrap();
    let unmounted = unmounted.to_str().unwrap();
    let settings = [
        ("JAM_TYPO", "1", "JAM_TYPO: is not a setting of this service"),
        ("MAX_FILE_SIZE", "big", "MAX_FILE_SIZE: \"big\" is not a whole number (default: 2147483648)"),
        ("JAM_URL_KEYS", "k1:short", "JAM_URL_KEYS"),
        ("USER_STORAGE_ROOT", unmounted, "has no .jam-volume: the volume is not mounted"),
        ("TEMP_UPLOAD_DIR", "/proc", "TEMP_UPLOAD_DIR /proc is not on the volume's filesystem"),
        ("CLERK_JWT_KEY", "no key", "not a key in PEM"),
        ("APP_ENV", "production", "JAM_AUTHORIZED_PARTIES: is empty, which production refuses"),
    ];
    for (name, value, reason) in settings {
        let (said, code) = site.refused_start("jam-all", &[(name, value)]).await;
        assert!(said.contains(reason), "{name}={value}: {said}");
        assert_eq!(code, Some(1), "{name}={value}");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_log_is_json_and_tells_no_secret(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[("JAM_LOG", "debug")]).await;
    let ann = process.user(ANN);
    let form = Form::new().file("diagnosis.png", &png(30, 30)).field("packageName", "oncology");
    let file = ann.upload(form).await.expect(200).json()["files"][0].clone();
    let id = file["id"].as_str().unwrap();
    let signed = file["downloadUrl"].as_str().unwrap();
    As::new(&process, None).get(signed).await.expect(200);
    As::new(&process, None).get(&format!("{signed}x")).await.expect(403);
    ann.get(&format!("/api/files/{id}/thumbnail")).await.expect(200);
    ann.get("/api/files?q=diagnosis").await.expect(200);
    ann.patch(&format!("/api/files/{id}"), json!({ "originalName": "biopsy.png" })).await.expect(200);
    let forged = format!("{}x", session_token("user_forged"));
    As::new(&process, Some(forged.clone())).get("/api/files").await.expect(401);
    drop(ann);
    process.stop().await;
    let log = site.log_of("jam-all");
    assert!(log.lines().count() > 8, "{log}");
    for line in log.lines() {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["timestamp"].is_string() && parsed["level"].is_string(), "{line}");
    }
    let signature = signed.split("&s=").nth(1).unwrap();
    let token = session_token(ANN);
    let token_body = token.split('.').nth(1).unwrap();
    let secrets = ["diagnosis", "biopsy", "oncology", signature, token_body, &forged, "jam-test-3f9c1b"];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_counted_is_read_on_a_socket_of_its_own(pool: PgPool) {
    let site = Site::new(pool);
    let socket = site.path("metrics.sock");
    let process =
        site.start("jam-all", &[("JAM_METRICS_LISTEN", &format!("unix:{}", socket.display()))]).await;
    let ann = process.user(ANN);
    ann.store("a.txt", &[b'x'; 1234]).await;
    ann.get("/metrics").await.refused(404, "not_found");
    drop(ann);
    let text = scrape(&socket).await;
    let expected = [
        "jam_used_bytes 1234",
        "jam_files 1",
        "jam_users 1",
        "jam_uploads_open 0",
        "jam_reserved_drift_bytes 0",
        "jam_jobs{state=\"dead\"} 0",
        "jam_http_requests_total{method=\"POST\",route=\"/api/files/upload\",status=\"200\"} 1",
    ];
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn invented_methods_are_counted_as_one(pool: PgPool) {
    let site = Site::new(pool);
    let socket = site.path("metrics.sock");
    let listen = format!("unix:{}", socket.display());
    let process = site.start("jam-all", &[("JAM_METRICS_LISTEN", &listen)]).await;
    let ann = process.user(ANN);
    for number in 0..50 {
        let method = Method::from_bytes(format!("INVENTED{number}").as_bytes()).unwrap();
        send(ann.request(method, "/api/files")).await.refused(405, "method_not_allowed");
    }
    drop(ann);
    let text = scrape(&socket).await;
    assert!(!text.contains("INVENTED"), "{text}");
    let line = "jam_http_requests_total{method=\"other\",route=\"/api/files\",status=\"405\"} 50";
    assert!(text.lines().any(|found| found == line), "{text}");
    process.stop().await;
    site.assert_clean().await;
}

/// Everything that a process counts.
async fn scrape(socket: &Path) -> String {
    let scraped = client_over(socket).get("http://localhost/metrics").send().await.unwrap();
    scraped.error_for_status().unwrap().text().await.unwrap()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn alerts_and_dashboard_ask_for_metrics_that_exist(pool: PgPool) {
    let site = Site::new(pool);
    let socket = site.path("metrics.sock");
    let process =
        site.start("jam-all", &[("JAM_METRICS_LISTEN", &format!("unix:{}", socket.display()))]).await;
    // A measure is there once it was taken.
    process.user(ANN).upload_in_pieces("a.png", &png(40, 30), 50).await;
    let text = eventually("the image's job is done", async || {
        let text = scrape(&socket).await;
        text.contains("jam_job_seconds").then_some(text)
    })
    .await;
    let exists = |name: &str| text.lines().any(|line| line.starts_with(&format!("# TYPE {name} ")));
    for file in ["rules.yml", "dashboard.json"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/monitoring").join(file);
        let asked = metric_names(&std::fs::read_to_string(path).unwrap());
        assert!(asked.len() > 5, "{file}: {asked:?}");
        for name in asked {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(
                exists(&name) || family.is_some_and(exists),
                "{file} asks for {name}, which is not in:\n{text}"
            );
        }
    }
    process.stop().await;
    site.assert_clean().await;
}

/// Words that start as our metrics do.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("jam_"));
    words.map(str::to_owned).collect()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn lapsed_tokens_of_an_office_count_for_their_users_and_not_for_its_address(pool: PgPool) {
    let site = Site::new(pool);
    let settings = [("RATE_LIMIT_MAX_REQUESTS", "2"), ("JAM_TRUSTED_PROXIES", "unix")];
    let process = site.start("jam-all", &settings).await;
    let ask = async |path: &str, token: &str| {
        let request = As::new(&process, None).request(Method::GET, path).bearer_auth(token);
        send(request.header("x-forwarded-for", "192.0.2.1")).await.status
    };
    for user in [ANN, BOB, ANN, BOB] {
        assert_eq!(ask("/api/files", &lapsed_token(user)).await, 401);
        assert_eq!(ask("/api/uploads/nothing", &lapsed_token(user)).await, 401);
    }
    let forged = format!("{}x", lapsed_token(ANN));
    let of_nobody = [
        ask("/api/files", &forged).await,
        ask("/api/files", &forged).await,
        ask("/api/files", &forged).await,
    ];
    assert_eq!(of_nobody, [401, 401, 429]);
    assert_eq!(ask("/api/files", &lapsed_token(ANN)).await, 401);
    assert_eq!(ask("/api/files", &session_token(ANN)).await, 200);
    process.stop().await;
    site.assert_clean().await;
}
