//! The tus clients of the world, unchanged, against the real process; what they do is in functions/upload/tests/clients,
//! what they leave is looked at here.

use crate::app::process::Site;
use sqlx::PgPool;
use std::path::Path;

/// Runs one file of the clients' tests.
async fn run(pool: PgPool, file: &str) {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../upload/tests/clients");
    assert!(
        clients.join("node_modules").exists(),
        "the clients are not installed: local-dev/install-clients"
    );
    let site = Site::new(pool);
    site.run_client(&clients, "node", &["--test", file]).await;
    site.assert_clean().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn tus_js_client_loses_nothing_whatever_its_options_and_its_breaks(pool: PgPool) {
    run(pool, "tus-js-client.test.js").await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn tuspy_uploads_and_resumes(pool: PgPool) {
    run(pool, "tuspy.test.js").await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn uppy_in_a_browser_pauses_resumes_and_tells_what_was_refused(pool: PgPool) {
    run(pool, "uppy.test.js").await;
}
