//! A user's open sessions as a list. What only a newer release understands is not in it.

use super::super::row_enum::Known;
use crate::error::Result;
use crate::ids::{UploadId, UserId};
use crate::model::{ByteSize, FileName, FileType, UploadRole};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// An open session in its owner's list.
#[derive(Debug, Clone)]
pub struct SessionLine {
    /// The upload.
    pub id: UploadId,
    /// What its file will be called.
    pub name: FileName,
    /// What the client says it is.
    pub declared: Option<FileType>,
    /// How long it is, once that is known.
    pub length: Option<ByteSize>,
    /// What of it is on disk.
    pub offset: ByteSize,
    /// What it becomes.
    pub role: UploadRole,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it is given up.
    pub expires_at: OffsetDateTime,
}

/// A user's open sessions, the latest first, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(conn: &mut PgConnection, user: &UserId, limit: i64) -> Result<Vec<SessionLine>> {
    let rows = sqlx::query!(
        r#"SELECT s.id AS "id: UploadId", s.original_name AS "name: FileName", s.declared_type AS "declared: Known<FileType>"
                , s.length AS "length: ByteSize", s.durable_offset AS "offset: ByteSize", s.role AS "role: Known<UploadRole>", s.created_at, u.expires_at
             FROM upload_sessions s
             JOIN uploads u ON u.user_id = s.user_id AND u.id = s.id
            WHERE s.user_id = $1 AND u.state <> 'cancelling'
            ORDER BY s.id DESC
            LIMIT $2"#,
        user.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let lines = rows.into_iter().filter_map(|row| {
        Some(SessionLine {
            id: row.id,
            name: row.name,
            declared: row.declared.and_then(|declared| declared.0),
            length: row.length,
            offset: row.offset,
            role: row.role.0?,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    });
    Ok(lines.collect())
}
