//! What the machine does to the service: connections to Postgres that break, files and descriptors that run out.
//! Every fault has its answer, and is over as soon as its cause is.

use crate::app::media::{bytes, sha256};
use crate::app::postgres::Postgres;
use crate::app::process::Site;
use crate::app::{ANN, As, Form, Raw, TestApp, eventually, rows, send, tus};
use jam_core::app::App;
use jam_core::config::Config;
use jam_core::db::Db;
use serde_json::json;
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// How often all connections to Postgres break.
const BREAKS: u32 = 10;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn broken_connections_to_postgres_are_503_and_cost_no_file_and_no_byte(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start("jam-all", &[("JAM_JANITOR_SECONDS", "1")]).await;
    let (ann, app) = (process.user(ANN), site.app());
    let uploading = futures_util::future::join_all((0..4).map(|client| upload_a_while(&ann, client)));
    let (answered, ()) = tokio::join!(uploading, break_connections(&app));
    let answered: Vec<_> = answered.into_iter().flatten().collect();
    assert!(answered.len() > 20, "only {} uploads were answered", answered.len());
    let recovered = async || {
        let answer = ann.get("/api/storage/usage").await;
        (answer.status == 200).then_some(())
    };
    eventually("the service has recovered", recovered).await;
    for (id, digest) in &answered {
        let download = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
        assert_eq!(sha256(&download.body), *digest);
    }
    eventually("no byte is promised any more", async || {
        (ann.usage().await["reservedBytes"] == 0).then_some(())
    })
    .await;
    rows::lapse_leases(&mut app.db.conn().await.unwrap()).await;
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

async fn break_connections(app: &App) {
    let mut conn = app.db.conn().await.unwrap();
    for _ in 0..BREAKS {
        rows::disconnect_others(&mut conn).await;
        // Time to connect again, so that every break meets uploads at another step.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Uploads one file after the other; ids and digests of those that were stored. Nothing but success and 503 comes back.
async fn upload_a_while(ann: &As<'_>, client: u64) -> Vec<(String, String)> {
    let mut stored = Vec::new();
    for number in 0..30 {
        let content = bytes(client * 100 + number, 50_000);
        let answer = ann.upload(Form::new().file("a.bin", &content)).await;
        if answer.status == 200 {
            let id = answer.json()["files"][0]["id"].as_str().unwrap().to_owned();
            stored.push((id, sha256(&content)));
        } else {
            assert_eq!(answer.refused(503, "unavailable")["part"], "database");
        }
    }
    stored
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_that_stands_still_is_503_in_time_and_over_when_it_goes_on(pool: PgPool) {
    let postgres = Postgres::beside(&pool).await;
    let quick = |config: &mut Config| config.limits.answer = Duration::from_secs(1);
    let app = TestApp::with(postgres.pool().await, quick).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    postgres.freeze();
    let started = Instant::now();
    let paths = [
        "/api/files",
        "/api/files?q=a",
        "/api/storage/usage",
        "/api/uploads",
        &format!("/api/files/{id}/download"),
    ];
    for path in paths {
        let error = app.ann().get(path).await.refused(503, "unavailable");
        assert_eq!(error["part"], "database", "{path}");
    }
    app.ann().post(&format!("/api/files/{id}/favorite"), json!({})).await.refused(503, "unavailable");
    app.ann()
        .patch(&format!("/api/files/{id}"), json!({ "originalName": "b" }))
        .await
        .refused(503, "unavailable");
    app.nobody().get("/health").await.refused(503, "unavailable");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    postgres.thaw();
    eventually("the service has recovered", async || {
        let answer = app.ann().get("/api/files").await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(app.ann().file(&id).await["originalName"], "a.txt");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_ends_in_time_when_the_database_stands_still_and_goes_on_with_every_byte(pool: PgPool) {
    let postgres = Postgres::beside(&pool).await;
    let quick = |config: &mut Config| config.limits.answer = Duration::from_millis(500);
    let app = TestApp::with(postgres.pool().await, quick).await;
    let ann = app.ann();
    let url = ann.create("a.txt", 6).await;
    // The client may take longer than the service.
    let bytes = futures_util::stream::unfold(0, async |sent| {
        let piece = ["ab", "cd"].get(sent)?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Some((Ok::<_, std::io::Error>(*piece), sent + 1))
    });
    let slow = ann.piece(&url, 0, b"").body(reqwest::Body::wrap_stream(bytes));
    send(slow).await.expect(204);

    postgres.freeze();
    let started = Instant::now();
    let form = Form::new().file("b.txt", b"b");
    let (piece, form) = tokio::join!(ann.append(&url, 4, b"ef"), ann.upload(form));
    assert_eq!(piece.refused(503, "unavailable")["part"], "database");
    assert_eq!(form.refused(503, "unavailable")["part"], "database");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    postgres.thaw();

    let offset = eventually("the upload goes on", async || {
        let answer = ann.look_up(&url).await;
        (answer.status == 200).then(|| tus::offset(&answer))
    })
    .await;
    if offset < 6 {
        ann.append(&url, offset, &b"abcdef"[offset..]).await.expect(204);
    }
    let list = ann.get("/api/files?q=a.txt").await.expect(200).json();
    let id = list["files"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ann.get(&format!("/api/files/{id}/download")).await.body, "abcdef");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn postgres_is_talked_to_only_if_its_certificate_is_the_one_that_was_named(pool: PgPool) {
    let mut postgres = Postgres::beside(&pool).await;
    let port = postgres.listen_with_tls();
    let connect = |host: &str, options: &str| {
        let url = format!("postgres://jam@{host}:{port}/postgres?{options}");
        let settings = [("DATABASE_URL", url.as_str()), ("JAM_AUTH_ISSUER", "https://clerk.example.com")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Db::connect_lazy(&Config::read(&settings).unwrap()).unwrap()
    };
    let certificate =
        |name: &str| format!("sslmode=verify-full&sslrootcert={}", postgres.certificate_path(name));
    let db = connect("localhost", &certificate("server"));
    assert!(rows::is_encrypted(&mut db.conn().await.unwrap()).await);
    for (host, options) in [
        ("localhost", certificate("other")),
        // No public authority signed it.
        ("localhost", "sslmode=verify-full".to_owned()),
        ("127.0.0.1", certificate("server")),
    ] {
        let refused = connect(host, &options).check().await.unwrap_err();
        assert_eq!(refused.code(), "unavailable", "{host} {options}");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_that_the_system_does_not_let_grow_is_a_507_and_no_end_of_the_process(pool: PgPool) {
    let site = Site::new(pool);
    // 1 MiB in blocks of 512 bytes.
    let process = site.start_limited("jam-all", "-f 2048").await;
    let ann = process.user(ANN);
    let small = ann.store_id("small.bin", &bytes(1, 500_000)).await;
    let large = Form::new().file("large.bin", &bytes(2, 3 << 20));
    ann.upload(large).await.refused(507, "volume_full");
    assert_eq!(ann.counters().await, json!([500_000, 0, 0, 1]));
    ann.get(&format!("/api/files/{small}/download")).await.expect(200);
    ann.delete(&format!("/api/files/{small}?permanent=true")).await.expect(200);
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_descriptors_left_the_service_waits_and_goes_on(pool: PgPool) {
    let site = Site::new(pool);
    let process = site.start_limited("jam-all", "-n 48").await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(Raw::over(process.connect().await.unwrap()));
    }
    let mut first = held.remove(0);
    first.send(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    first.answer().await.refused(404, "not_found");
    drop(held);
    let ann = process.user(ANN);
    eventually("new callers are let in", async || {
        (ann.get("/api/storage/usage").await.status == 200).then_some(())
    })
    .await;
    let content = bytes(1, 100_000);
    let id = ann.store_id("a.bin", &content).await;
    assert_eq!(ann.get(&format!("/api/files/{id}/download")).await.expect(200).body, content);
    drop(ann);
    process.stop().await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_database_that_only_reads_is_left_as_soon_as_another_one_writes(pool: PgPool) {
    let site = Site::new(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let process = site.start("jam-all", &[]).await;
    let ann = process.user(ANN);
    rows::set_read_only(&mut conn, true).await;
    rows::disconnect_others(&mut conn).await;
    eventually("the database only reads", async || {
        let answer = ann.upload(Form::new().file("a.txt", b"a")).await;
        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
        (answer.status == 503).then_some(())
    })
    .await;
    for _ in 0..5 {
        ann.upload(Form::new().file("a.txt", b"a")).await.refused(503, "unavailable");
        assert_eq!(ann.get("/health").await.refused(503, "unavailable")["part"], "database");
    }
    // Its connections are to the old one: only new ones can write.
    rows::set_read_only(&mut conn, false).await;
    eventually("uploads go on", async || {
        let answer = ann.upload(Form::new().file("a.txt", b"a")).await;
        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
        (answer.status == 200).then_some(())
    })
    .await;
    ann.get("/health").await.expect(200);
    drop((ann, conn));
    process.stop().await;
    site.settled().await.stop().await;
    site.assert_clean().await;
}
