//! `webhook_deliveries`: which deliveries were acted on. Never knows what they said.

use crate::error::Result;
use sqlx::PgConnection;
use std::time::Duration;

/// Remembers a delivery in the transaction that acts on it. `false` when it was acted on before.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn remember(conn: &mut PgConnection, id: &str) -> Result<bool> {
    let inserted = sqlx::query!("INSERT INTO webhook_deliveries (id) VALUES ($1) ON CONFLICT DO NOTHING", id)
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Forgets deliveries that came longer ago than this, by Postgres' clock.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn forget(conn: &mut PgConnection, kept: Duration) -> Result<()> {
    sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE received_at < now() - make_interval(secs => $1)",
        kept.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
