//! What parts have reserved, while an upload joins them.
//! Invariant: the ledger does not change: what one gives up another takes in the same statement.

use crate::db::Ledger;
use crate::error::Result;
use crate::ids::UploadId;
use crate::model::ByteSize;
use std::time::Duration;
use uuid::Uuid;

/// Moves the reservations of parts to the upload that joins them. Answers how much that is. The caller adds
/// that upload in the same transaction.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn take_reservations(
    ledger: &mut Ledger,
    parts: &[UploadId],
    expires_in: Duration,
) -> Result<ByteSize> {
    let ids: Vec<Uuid> = parts.iter().map(|id| id.0).collect();
    Ok(sqlx::query_scalar!(
        r#"WITH held AS (
               SELECT id, reserved_bytes FROM uploads WHERE user_id = $1 AND id = ANY($2) FOR UPDATE)
         , taken AS (
               UPDATE uploads u SET reserved_bytes = 0, expires_at = greatest(u.expires_at, now() + make_interval(secs => $3))
                 FROM held WHERE u.user_id = $1 AND u.id = held.id
            RETURNING held.reserved_bytes AS bytes)
           SELECT coalesce(sum(bytes), 0)::bigint AS "bytes!: ByteSize" FROM taken"#,
        ledger.user().as_str(),
        &ids,
        expires_in.as_secs_f64(),
    )
    .fetch_one(&mut **ledger)
    .await?)
}

/// Gives parts back what the upload that was to join them has taken. The caller ends that upload in the same transaction.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn return_reservations(ledger: &mut Ledger, joined: UploadId, parts: &[UploadId]) -> Result<()> {
    let ids: Vec<Uuid> = parts.iter().map(|id| id.0).collect();
    sqlx::query!(
        "WITH joined AS (
             SELECT user_id FROM uploads WHERE user_id = $1 AND id = $2 AND state = 'receiving' FOR UPDATE)
         , parts AS (
             SELECT u.id, s.length
               FROM joined JOIN uploads u USING (user_id) JOIN upload_sessions s USING (user_id, id)
              WHERE u.id = ANY($3) AND u.reserved_bytes = 0
                FOR UPDATE OF u)
         , returned AS (
             UPDATE uploads u SET reserved_bytes = parts.length FROM parts
              WHERE u.user_id = $1 AND u.id = parts.id
          RETURNING parts.length)
         UPDATE uploads SET reserved_bytes = reserved_bytes - (SELECT coalesce(sum(length), 0)::bigint FROM returned)
          WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        joined as UploadId,
        &ids,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}
