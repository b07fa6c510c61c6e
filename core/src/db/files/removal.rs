//! Removing files for good.
//! Invariant: what made somebody decide is asked again by the statement that locks each row, and only locked rows go.

use super::super::Ledger;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;

/// Which files may be removed for good. Asked again of each row under its lock, because what made somebody decide may
/// be over by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removable {
    /// Whether in the trash or not.
    Any,
    /// Only what is in the trash.
    Trashed,
    /// Only what has been in the trash for longer than this.
    TrashedFor(Duration),
}

impl Removable {
    /// For how many seconds a file must have been in the trash.
    fn seconds_in_trash(self) -> Option<f64> {
        match self {
            Self::Any | Self::Trashed => None,
            Self::TrashedFor(time) => Some(time.as_secs_f64()),
        }
    }
}

/// Takes those of these files that may be removed, so that nothing is made of them any more, until the transaction ends.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn lock_removable(ledger: &mut Ledger, ids: &[FileId], which: Removable) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        // Comparing truths keeps the index of the trash out: right after many files went there, Postgres counts on few.
        r#"SELECT id AS "id: FileId" FROM user_files
            WHERE user_id = $1 AND id = ANY($2)
              AND (deleted_at IS NOT NULL) >= $3
              AND coalesce(deleted_at <= now() - make_interval(secs => $4), false) >= ($4::double precision IS NOT NULL)
            ORDER BY id FOR UPDATE"#,
        ledger.user().as_str(),
        ids as &[FileId],
        which != Removable::Any,
        which.seconds_in_trash(),
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Removes the rows that [`lock_removable`] took in the same transaction. Answers the paths of their bytes. Contents that no other file shows go with them, and their derivatives, so those paths must be read first.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn delete(ledger: &mut Ledger, ids: &[FileId]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "DELETE FROM user_files WHERE user_id = $1 AND id = ANY($2) RETURNING file_path",
        ledger.user().as_str(),
        ids as &[FileId],
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Files in a user's trash, oldest first, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn trashed(conn: &mut PgConnection, user: &UserId, limit: i64) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: FileId" FROM user_files
            WHERE user_id = $1 AND deleted_at IS NOT NULL ORDER BY deleted_at, id LIMIT $2"#,
        user.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Files of any user that have been in the trash for longer than `kept`, by Postgres' clock, and since `until` at the
/// latest if that is given; at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn trash_due(
    conn: &mut PgConnection,
    kept: Duration,
    until: Option<OffsetDateTime>,
    limit: i64,
) -> Result<Vec<(UserId, FileId)>> {
    let rows = sqlx::query!(
        r#"SELECT user_id AS "user_id: UserId", id AS "id: FileId" FROM user_files
            WHERE deleted_at <= now() - make_interval(secs => $1)
              AND ($2::timestamptz IS NULL OR deleted_at <= $2)
            ORDER BY deleted_at LIMIT $3"#,
        kept.as_secs_f64(),
        until,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.id)).collect())
}
