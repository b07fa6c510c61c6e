//! Questions of operators: what the rows say is on the volume, whether the ledger agrees with them, what is largest.
//! Invariant: one statement, one look: a file on its way from one table to the next is never taken for unnamed.
//! Never changes a row, never touches the volume.

use super::files;
use super::row_enum::Known;
use crate::error::Result;
use crate::ids::{ContentId, FileId, UploadId, UserId};
use crate::model::{ByteSize, FileName, FileType, Sha256Digest};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Of paths in a user's directory, those that no row names: no file, derivative, upload, nor job that removes it.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn unnamed(conn: &mut PgConnection, user: &UserId, paths: &[String]) -> Result<Vec<String>> {
    // Uploads of every user: an administrator's upload keeps its staging path when it gets its owner.
    Ok(sqlx::query_scalar!(
        r#"SELECT unnest($2::text[]) AS "path!"
           EXCEPT SELECT file_path FROM user_files WHERE user_id = $1
           EXCEPT SELECT key FROM contents WHERE user_id = $1
           EXCEPT SELECT path FROM derivatives WHERE user_id = $1
           EXCEPT SELECT unnest(ARRAY[staging_path, final_path]) FROM uploads
           EXCEPT SELECT jsonb_array_elements_text(task -> 'paths') FROM jobs
                   WHERE user_id = $1 AND task ->> 'task' = 'remove_blobs'"#,
        user.as_str(),
        paths,
    )
    .fetch_all(conn)
    .await?)
}

/// What a check compares with the volume.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// The file.
    pub id: FileId,
    /// The content that it shows, if it is the first file that does.
    pub first_of: Option<ContentId>,
    /// Where its bytes are.
    pub file_path: String,
    /// Their number.
    pub size: ByteSize,
    /// Their digest.
    pub sha256: Sha256Digest,
}

/// A user's files in the order of their ids, the trash included, after `after`, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn files(
    conn: &mut PgConnection,
    user: &UserId,
    after: Option<FileId>,
    limit: i64,
) -> Result<Vec<StoredFile>> {
    let rows = sqlx::query!(
        r#"SELECT f.id AS "id: FileId", f.file_path, f.file_size AS "size: ByteSize", f.sha256
                , CASE WHEN NOT EXISTS (SELECT FROM user_files other
                                         WHERE other.user_id = $1 AND other.content_id = f.content_id AND other.id < f.id)
                       THEN f.content_id END AS "first_of: ContentId"
             FROM user_files f WHERE f.user_id = $1 AND f.id > $2 ORDER BY f.id LIMIT $3"#,
        user.as_str(),
        after.map_or(Uuid::nil(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let files = rows.into_iter().map(|row| {
        let sha256 = files::digest(row.id, row.sha256)?;
        let first_of = row.first_of;
        Ok(StoredFile { id: row.id, first_of, file_path: row.file_path, size: row.size, sha256 })
    });
    files.collect()
}

/// Which of these files still have a row, in the trash or not.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn remaining_files(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: FileId" FROM user_files WHERE user_id = $1 AND id = ANY($2)"#,
        user.as_str(),
        ids as &[FileId],
    )
    .fetch_all(conn)
    .await?)
}

/// A ready derivative as a check of the volume sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDerivative {
    /// The content it was made of.
    pub content_id: ContentId,
    /// Where it is.
    pub path: String,
    /// Its size.
    pub size: ByteSize,
}

/// A resumable upload that still takes bytes, as a check of the volume sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// The upload.
    pub id: UploadId,
    /// Where its bytes are.
    pub staging_path: String,
    /// How many of them are known to be on disk.
    pub durable: ByteSize,
}

/// A user's resumable uploads that still take bytes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn open_uploads(conn: &mut PgConnection, user: &UserId) -> Result<Vec<OpenUpload>> {
    Ok(sqlx::query_as!(
        OpenUpload,
        r#"SELECT u.id AS "id: UploadId", u.staging_path, s.durable_offset AS "durable: ByteSize"
             FROM uploads u
             JOIN upload_sessions s ON s.user_id = u.user_id AND s.id = u.id
            WHERE u.user_id = $1 AND u.state = 'receiving'
            ORDER BY u.id"#,
        user.as_str(),
    )
    .fetch_all(conn)
    .await?)
}

/// What is ready of a user's contents.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn derivatives(
    conn: &mut PgConnection,
    user: &UserId,
    contents: &[ContentId],
) -> Result<Vec<StoredDerivative>> {
    Ok(sqlx::query_as!(
        StoredDerivative,
        r#"SELECT file_id AS "content_id: ContentId", path, file_size AS "size!: ByteSize"
             FROM derivatives WHERE user_id = $1 AND file_id = ANY($2) AND state = 'ready'"#,
        user.as_str(),
        contents as &[ContentId],
    )
    .fetch_all(conn)
    .await?)
}

/// A content whose row does not agree with the files that show it.
#[derive(Debug, Clone)]
pub struct WrongContent {
    /// The content.
    pub id: ContentId,
    /// What does not agree.
    pub reason: String,
}

/// A user's contents that do not agree with the files that show them, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn wrong_contents(conn: &mut PgConnection, user: &UserId, limit: i64) -> Result<Vec<WrongContent>> {
    Ok(sqlx::query_as!(
        WrongContent,
        r#"SELECT coalesce(c.id, f.content_id) AS "id!: ContentId"
                , CASE WHEN c.id IS NULL THEN 'it has no row'
                       WHEN count(f.id) = 0 THEN 'no file shows it'
                       WHEN NOT bool_or(f.file_path = c.key) THEN 'its bytes are at the path of no file that shows it'
                       ELSE 'a file says another size or digest' END AS "reason!"
             FROM (SELECT * FROM contents WHERE user_id = $1) c
             FULL JOIN (SELECT * FROM user_files WHERE user_id = $1) f ON f.content_id = c.id
            GROUP BY f.content_id, c.id, c.key, c.size, c.sha256
           HAVING c.id IS NULL OR count(f.id) = 0 OR NOT bool_or(f.file_path = c.key)
               OR bool_or((f.file_size, f.sha256) <> (c.size, c.sha256))
            ORDER BY 1 LIMIT $2"#,
        user.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Of these users, those without a row.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn unknown_users(conn: &mut PgConnection, users: &[UserId]) -> Result<Vec<UserId>> {
    let names: Vec<String> = users.iter().map(ToString::to_string).collect();
    Ok(sqlx::query_scalar!(
        r#"SELECT unnest($1::text[]) AS "user_id!: UserId" EXCEPT SELECT user_id FROM user_storage ORDER BY 1"#,
        &names,
    )
    .fetch_all(conn)
    .await?)
}

/// A counter of the ledger that does not agree with the rows it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The counter's column.
    pub counter: String,
    /// What the ledger says.
    pub ledger: i64,
    /// What the rows add up to.
    pub rows: i64,
}

/// A user's counters that do not agree with their rows, in one look at both.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn drift(conn: &mut PgConnection, user: &UserId) -> Result<Vec<Drift>> {
    Ok(sqlx::query_as!(
        Drift,
        r#"WITH by_type AS (
               SELECT file_type, deleted_at IS NOT NULL AS trashed, sum(file_size)::bigint AS bytes, count(*) AS files
                 FROM user_files WHERE user_id = $1 GROUP BY 1, 2)
         , counted AS (
               SELECT 'total_bytes' AS counter, sum(bytes) AS rows FROM by_type
               UNION ALL SELECT 'file_count', sum(files) FROM by_type
               UNION ALL SELECT 'trash_bytes', sum(bytes) FROM by_type WHERE trashed
               UNION ALL SELECT 'trash_count', sum(files) FROM by_type WHERE trashed
               UNION ALL SELECT file_type || '_bytes', bytes FROM by_type WHERE NOT trashed
               UNION ALL SELECT file_type || '_count', files FROM by_type WHERE NOT trashed
               UNION ALL SELECT 'reserved_bytes', sum(reserved_bytes) FROM uploads WHERE user_id = $1)
           SELECT ledger.counter AS "counter!", ledger.value AS "ledger!", coalesce(counted.rows, 0)::bigint AS "rows!"
             FROM user_storage s
            CROSS JOIN LATERAL (VALUES
                  ('total_bytes', s.total_bytes),     ('file_count', s.file_count)
                , ('trash_bytes', s.trash_bytes),     ('trash_count', s.trash_count)
                , ('video_bytes', s.video_bytes),     ('video_count', s.video_count)
                , ('image_bytes', s.image_bytes),     ('image_count', s.image_count)
                , ('scene_bytes', s.scene_bytes),     ('scene_count', s.scene_count)
                , ('project_bytes', s.project_bytes), ('project_count', s.project_count)
                , ('audio_bytes', s.audio_bytes),     ('audio_count', s.audio_count)
                , ('reserved_bytes', s.reserved_bytes)) AS ledger (counter, value)
             LEFT JOIN counted USING (counter)
            WHERE s.user_id = $1 AND ledger.value <> coalesce(counted.rows, 0)"#,
        user.as_str(),
    )
    .fetch_all(conn)
    .await?)
}

/// Bytes that the ledger has reserved beyond what open uploads hold, over all users: 0, unless something is wrong.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn reserved_drift(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT (coalesce((SELECT sum(reserved_bytes) FROM user_storage), 0)
                 - coalesce((SELECT sum(reserved_bytes) FROM uploads), 0))::bigint AS "drift!""#
    )
    .fetch_one(conn)
    .await?)
}

/// A file in an operator's list.
#[derive(Debug, Clone)]
pub struct FileLine {
    /// Its owner.
    pub user_id: UserId,
    /// The file.
    pub id: FileId,
    /// Its name as the user knows it.
    pub original_name: FileName,
    /// What it is to its user.
    pub file_type: FileType,
    /// Its size.
    pub size: ByteSize,
    /// When it went to the trash.
    pub deleted_at: Option<OffsetDateTime>,
}

/// The largest files of all users, the trash included. Looks at every row: for operators.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn largest(conn: &mut PgConnection, limit: i64) -> Result<Vec<FileLine>> {
    let rows = sqlx::query!(
        r#"SELECT user_id AS "user_id: UserId", id AS "id: FileId", original_name AS "original_name: FileName"
                , file_type AS "file_type: Known<FileType>", file_size AS "size: ByteSize", deleted_at
             FROM user_files ORDER BY file_size DESC, user_id, id LIMIT $1"#,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let lines = rows.into_iter().map(|row| FileLine {
        user_id: row.user_id,
        id: row.id,
        original_name: row.original_name,
        file_type: row.file_type.0.unwrap_or(FileType::Project),
        size: row.size,
        deleted_at: row.deleted_at,
    });
    Ok(lines.collect())
}
