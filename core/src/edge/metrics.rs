//! Prometheus metrics on their own private address; what only the database or the volume knows is asked at each scrape.
//! Never part of the public router.

use crate::app::App;
use crate::db;
use crate::error::{Result, chain};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the histograms, in seconds.
const BUCKETS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Starts counting; must run once, before the first request.
///
/// # Errors
/// When a recorder is installed already.
pub(super) fn install() -> std::result::Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(BUCKETS)?.install_recorder()?;
    // A rate needs the nothing that came before the first one.
    metrics::counter!("jam_jwks_stale_total").increment(0);
    Ok(handle)
}

pub(super) fn router(app: App, handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((app, handle))
}

async fn scrape(State((app, handle)): State<(App, PrometheusHandle)>) -> impl IntoResponse {
    if let Err(error) = refresh(&app).await {
        tracing::warn!(error = %chain(&error), "gauges are as they were at the last scrape");
    }
    handle.run_upkeep();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render())
}

async fn refresh(app: &App) -> Result<()> {
    metrics::gauge!("jam_clock_skew_seconds").set(app.upkeep.clock_skew_seconds() as f64);
    metrics::gauge!("jam_janitor_stopped").set(f64::from(u8::from(app.upkeep.is_clock_wrong())));
    metrics::gauge!("jam_trash_waiting_files").set(app.upkeep.files_waiting() as f64);
    let space = app.blobs.space().await?;
    metrics::gauge!("jam_volume_free_bytes").set(space.free.bytes() as f64);
    metrics::gauge!("jam_volume_total_bytes").set(space.total.bytes() as f64);
    metrics::gauge!("jam_volume_failed").set(f64::from(u8::from(!app.blobs.is_healthy())));
    let mut conn = app.db.conn().await?;
    let [ready, running, dead] = db::jobs::counts(&mut conn).await?;
    for (state, count) in [("ready", ready), ("running", running), ("dead", dead)] {
        metrics::gauge!("jam_jobs", "state" => state).set(count as f64);
    }
    let (uploads, reserved_bytes) = db::uploads::open_totals(&mut conn).await?;
    metrics::gauge!("jam_uploads_open").set(uploads as f64);
    metrics::gauge!("jam_uploads_reserved_bytes").set(reserved_bytes as f64);
    metrics::gauge!("jam_reserved_drift_bytes").set(db::audit::reserved_drift(&mut conn).await? as f64);
    let totals = db::storage::totals(&mut conn).await?;
    metrics::gauge!("jam_users").set(totals.users as f64);
    metrics::gauge!("jam_files").set(totals.files as f64);
    metrics::gauge!("jam_used_bytes").set(totals.used.bytes() as f64);
    Ok(())
}
