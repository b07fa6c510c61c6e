//! `GET /health`, the same in every function: whether the parts this process needs answer.
//! Never needs a token, never tells more than a part's name.

use super::extract::{client_address, count_anyone};
use crate::app::App;
use crate::error::{Error, Result};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use std::net::IpAddr;
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
    /// `healthy`, or `degraded` by what `degraded` names. What does not answer at all is a 503 with an error.
    status: &'static str,
    /// `volume`: the disk failed, files are served and none are accepted. `clock`: this machine's clock and the
    /// database's differ, nothing is cleaned up. `trash`: more is due in it than is removed without an operator's word.
    degraded: Vec<&'static str>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: OffsetDateTime,
    /// Seconds since the process started.
    uptime: f64,
}

/// Whoever asks how the service is. Load balancers, containers and watchers of the installation ask from private addresses
/// every few seconds and are not counted; others are, because each answer asks the database.
struct Watcher;

impl FromRequestParts<App> for Watcher {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        if client_address(parts).is_some_and(is_public) {
            count_anyone(parts, app).await?;
        }
        Ok(Self)
    }
}

/// Whether an address is one of the internet's (RFC 6890, RFC 6598).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0b1100_0000 == 64;
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || is_shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local()),
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Whether Postgres and the volume answer.
#[utoipa::path(get, path = "/health", tag = "every function", security(()), responses(
    (status = 200, body = Health), (status = 503, description = "A part does not answer")))]
async fn health(State(app): State<App>, _counted: Watcher) -> Result<Json<Health>> {
    let within = |part| move |_| Error::Unavailable { part };
    tokio::time::timeout(PATIENCE, app.db.check()).await.map_err(within("database"))??;
    tokio::time::timeout(PATIENCE, app.blobs.check()).await.map_err(within("volume"))??;
    let uptime = app.started.elapsed().as_secs_f64();
    let parts = [
        ("volume", !app.blobs.is_healthy()),
        ("clock", app.upkeep.is_clock_wrong()),
        ("trash", app.upkeep.files_waiting() > 0),
    ];
    let degraded: Vec<&str> = parts.iter().filter(|(_, is)| *is).map(|(part, _)| *part).collect();
    let status = if degraded.is_empty() { "healthy" } else { "degraded" };
    Ok(Json(Health { success: true, status, degraded, timestamp: app.clock.now(), uptime }))
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn addresses_of_an_installation_are_told_from_those_of_the_internet() {
        for own in ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "::1"]
        {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
        for own in ["fd00::1", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(!is_public(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(is_public(other.parse().unwrap()), "{other}");
        }
    }
}
