//! `derivatives`: what was made from a file, or why it could not be.
//! Never touches the volume, never decides what to make.

use crate::error::Result;
use crate::ids::{FileId, UserId};
use crate::model::{Derivative, DerivativeKind, DerivativeState};
use sqlx::PgConnection;

/// One derivative of a file; `None` when it was never asked for.
///
/// # Errors
/// When Postgres does not answer.
pub async fn get(
    conn: &mut PgConnection,
    user: &UserId,
    file: FileId,
    kind: DerivativeKind,
) -> Result<Option<Derivative>> {
    Ok(sqlx::query_as!(
        Derivative,
        r#"SELECT kind AS "kind: DerivativeKind", state AS "state: DerivativeState", error, path, mime_type
             FROM derivatives
            WHERE user_id = $1 AND file_id = $2 AND kind = $3"#,
        user.as_str(),
        file as FileId,
        kind.as_str(),
    )
    .fetch_optional(conn)
    .await?)
}

/// Records that a derivative is to be made. Keeps an existing row as it is.
///
/// # Errors
/// When Postgres does not answer.
pub async fn request(conn: &mut PgConnection, user: &UserId, file: FileId, kind: DerivativeKind) -> Result<()> {
    sqlx::query!(
        "INSERT INTO derivatives (user_id, file_id, kind) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        user.as_str(),
        file as FileId,
        kind.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that a derivative is on the volume. `false` when its file is gone meanwhile.
///
/// # Errors
/// When Postgres does not answer.
pub async fn set_ready(
    conn: &mut PgConnection,
    user: &UserId,
    file: FileId,
    kind: DerivativeKind,
    path: &str,
    mime_type: &str,
) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO derivatives (user_id, file_id, kind, state, path, mime_type)
         SELECT f.user_id, f.id, $3, 'ready', $4, $5 FROM user_files f WHERE f.user_id = $1 AND f.id = $2
         ON CONFLICT (user_id, file_id, kind)
         DO UPDATE SET state = 'ready', error = NULL, path = excluded.path, mime_type = excluded.mime_type, updated_at = now()",
        user.as_str(),
        file as FileId,
        kind.as_str(),
        path,
        mime_type,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records why a derivative could not be made. A ready one stays ready.
///
/// # Errors
/// When Postgres does not answer.
pub async fn set_failed(
    conn: &mut PgConnection,
    user: &UserId,
    file: FileId,
    kind: DerivativeKind,
    reason: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO derivatives (user_id, file_id, kind, state, error)
         SELECT f.user_id, f.id, $3, 'failed', $4 FROM user_files f WHERE f.user_id = $1 AND f.id = $2
         ON CONFLICT (user_id, file_id, kind)
         DO UPDATE SET state = 'failed', error = excluded.error, updated_at = now() WHERE derivatives.state <> 'ready'",
        user.as_str(),
        file as FileId,
        kind.as_str(),
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The paths of a user's derivatives that are on the volume, for files with these ids.
///
/// # Errors
/// When Postgres does not answer.
pub async fn paths(conn: &mut PgConnection, user: &UserId, files: &[FileId]) -> Result<Vec<String>> {
    let ids: Vec<uuid::Uuid> = files.iter().map(|file| file.0).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT path AS "path!" FROM derivatives WHERE user_id = $1 AND file_id = ANY($2) AND path IS NOT NULL"#,
        user.as_str(),
        &ids,
    )
    .fetch_all(conn)
    .await?)
}

/// Every path of a user's derivatives that are on the volume, for a check.
///
/// # Errors
/// When Postgres does not answer.
pub async fn all_paths(conn: &mut PgConnection, user: &UserId) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT path AS "path!" FROM derivatives WHERE user_id = $1 AND path IS NOT NULL"#,
        user.as_str(),
    )
    .fetch_all(conn)
    .await?)
}
