//! What sending a file's bytes needs to know, and whose file it is.
//! Never tells of the content of files in the trash.

use super::{digest, scan};
use crate::db::row_enum::Known;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use crate::model::{ByteSize, FileName, ScanState, Sha256Digest, UrlEpochs};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// What sending a file's bytes needs to know.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its name as the user knows it.
    pub original_name: FileName,
    /// Its media type.
    pub mime_type: String,
    /// Its size.
    pub size: ByteSize,
    /// Where its bytes are.
    pub file_path: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// When its upload was complete.
    pub upload_date: OffsetDateTime,
    /// What the virus scanner said; `None` when there was none.
    pub scan: Option<ScanState>,
    /// Epochs that a signed URL must carry.
    pub url_epochs: UrlEpochs,
}

/// Where a file's bytes are; `None` for a file in the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn content(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<Option<Content>> {
    let row = sqlx::query!(
        r#"SELECT f.original_name AS "original_name: FileName", f.mime_type, f.file_size AS "size: ByteSize", f.file_path
                , f.sha256, f.upload_date, f.scan_state AS "scan_state: Known<ScanState>", f.url_epoch, s.url_epoch AS user_url_epoch
             FROM user_files f
             JOIN user_storage s ON s.user_id = f.user_id
            WHERE f.user_id = $1 AND f.id = $2 AND f.deleted_at IS NULL"#,
        user.as_str(),
        id as FileId,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Content {
            original_name: row.original_name,
            mime_type: row.mime_type,
            size: row.size,
            file_path: row.file_path,
            sha256: digest(id, row.sha256)?,
            upload_date: row.upload_date,
            scan: row.scan_state.map(scan),
            url_epochs: UrlEpochs { user: row.user_url_epoch, file: row.url_epoch },
        })
    })
    .transpose()
}

/// Whose file this is, in the trash or not: for administrators, who name a file by its id alone. Should several users have
/// one of this id, `preferred` comes first.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn owner(conn: &mut PgConnection, id: FileId, preferred: &UserId) -> Result<Option<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: UserId" FROM user_files WHERE id = $1
            ORDER BY user_id <> $2, user_id LIMIT 1"#,
        id as FileId,
        preferred.as_str(),
    )
    .fetch_optional(conn)
    .await?)
}
