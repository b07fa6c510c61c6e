//! `webhook_deliveries`: which deliveries were acted on. Never knows what they said.

use crate::error::Result;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Remembers a delivery in the transaction that acts on it. `false` when it was acted on before.
///
/// # Errors
/// When Postgres does not answer.
pub async fn remember(conn: &mut PgConnection, id: &str) -> Result<bool> {
    let inserted = sqlx::query!("INSERT INTO webhook_deliveries (id) VALUES ($1) ON CONFLICT DO NOTHING", id)
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Forgets deliveries from before that time.
///
/// # Errors
/// When Postgres does not answer.
pub async fn forget(conn: &mut PgConnection, before: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM webhook_deliveries WHERE received_at < $1", before).execute(conn).await?;
    Ok(())
}
