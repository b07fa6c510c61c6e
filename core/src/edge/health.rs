//! `GET /health`, the same in every function: whether the parts this process needs answer.
//! Never needs a token, never tells more than a part's name.

use crate::app::App;
use crate::error::{Error, Result};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A part that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    success: bool,
    /// `healthy`, or `degraded`: the disk failed, files are served and none are taken. What does not answer at all is a
    /// 503 with an error.
    status: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: OffsetDateTime,
    /// Seconds since the process started.
    uptime: f64,
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Whether Postgres and the volume answer.
#[utoipa::path(get, path = "/health", tag = "every function", security(()), responses(
    (status = 200, body = Health), (status = 503, description = "A part does not answer")))]
async fn health(State(app): State<App>) -> Result<Json<Health>> {
    let within = |part| move |_| Error::Unavailable { part };
    tokio::time::timeout(PATIENCE, app.db.check()).await.map_err(within("database"))??;
    tokio::time::timeout(PATIENCE, app.volume.check()).await.map_err(within("volume"))??;
    let uptime = app.started.elapsed().as_secs_f64();
    let status = if app.volume.is_sound() { "healthy" } else { "degraded" };
    Ok(Json(Health { success: true, status, timestamp: app.clock.now(), uptime }))
}
