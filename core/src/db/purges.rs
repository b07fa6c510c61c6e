//! How much of the trash of all users is due, and what an operator has allowed: `purge_allowances`.
//! Invariant: every time is compared with Postgres' own clock.

use crate::error::Result;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;

/// What Postgres' clock says.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn now(conn: &mut PgConnection) -> Result<OffsetDateTime> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(conn).await?)
}

/// Whatever went to the trash before may be removed when its time is over, however much it is; `None` while an operator
/// has allowed nothing.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn allowed_before(conn: &mut PgConnection) -> Result<Option<OffsetDateTime>> {
    Ok(sqlx::query_scalar!("SELECT max(trashed_before) FROM purge_allowances").fetch_one(conn).await?)
}

/// Lets what is due now be removed. Answers how many files that are.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn allow(conn: &mut PgConnection, kept: Duration) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"WITH allowed AS (
               INSERT INTO purge_allowances (trashed_before)
               VALUES (now() - make_interval(secs => $1)) RETURNING trashed_before)
           SELECT count(*) AS "files!" FROM user_files, allowed WHERE deleted_at <= trashed_before"#,
        kept.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?)
}

/// How many files are due that nobody has allowed to be removed, counted no further than `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_due(
    conn: &mut PgConnection,
    kept: Duration,
    allowed_before: Option<OffsetDateTime>,
    limit: i64,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "files!" FROM (
               SELECT FROM user_files
                WHERE deleted_at <= now() - make_interval(secs => $1)
                  AND ($2::timestamptz IS NULL OR deleted_at > $2)
                LIMIT $3) due"#,
        kept.as_secs_f64(),
        allowed_before,
        limit,
    )
    .fetch_one(conn)
    .await?)
}

/// How many files are in the trash of all users.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_trash(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"SELECT coalesce(sum(trash_count), 0)::bigint AS "files!" FROM user_storage"#)
        .fetch_one(conn)
        .await?)
}
