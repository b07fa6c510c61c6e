//! `user_files`: one row a stored file. Usage counters follow by trigger, in the same statement.
//! Every statement names the owner; a foreign file is a missing one. Listings are in `db::listing`.

mod content;
mod found;

pub use content::{Content, content, owner};
pub use found::{complete_facts, set_needs_playback, set_thumbhash};

use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{
    AssetCategory, AssetDetails, AudioCategory, ByteSize, Derivative, File, FileMetadata, FileName, FileType,
    Sha256Digest, Tags, UrlEpochs,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row as Postgres gives it, with the file's derivatives and its owner's URL epoch.
#[derive(sqlx::FromRow)]
pub(super) struct FileRow {
    id: FileId,
    user_id: UserId,
    file_name: String,
    original_name: FileName,
    file_type: FileType,
    mime_type: String,
    file_size: ByteSize,
    file_path: String,
    sha256: Vec<u8>,
    width: Option<i32>,
    height: Option<i32>,
    duration_seconds: Option<f64>,
    needs_playback: Option<bool>,
    thumbhash: Option<Vec<u8>>,
    package_name: Option<String>,
    tags: Tags,
    is_favorite: bool,
    asset_category: Option<AssetCategory>,
    usage_tags: Tags,
    character_names: Tags,
    audio_category: Option<AudioCategory>,
    asset_details: Json<AssetDetails>,
    upload_date: OffsetDateTime,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
    url_epoch: i32,
    user_url_epoch: i32,
    /// A listing asks for those of all its files at once.
    #[sqlx(default)]
    derivatives: Json<Vec<Derivative>>,
    /// A listing leaves long texts out.
    truncated_fields: Vec<String>,
}

impl TryFrom<FileRow> for File {
    type Error = Error;

    fn try_from(row: FileRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            file_name: row.file_name,
            original_name: row.original_name,
            file_type: row.file_type,
            mime_type: row.mime_type,
            size: row.file_size,
            file_path: row.file_path,
            sha256: digest(row.id, row.sha256)?,
            width: row.width,
            height: row.height,
            duration_seconds: row.duration_seconds,
            needs_playback: row.needs_playback,
            thumbhash: row.thumbhash,
            metadata: FileMetadata {
                package_name: row.package_name,
                tags: row.tags,
                asset_category: row.asset_category,
                usage_tags: row.usage_tags,
                character_names: row.character_names,
                audio_category: row.audio_category,
                details: row.asset_details.0,
            },
            is_favorite: row.is_favorite,
            upload_date: row.upload_date,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            url_epochs: UrlEpochs { user: row.user_url_epoch, file: row.url_epoch },
            derivatives: row.derivatives.0,
            truncated_fields: row.truncated_fields,
        })
    }
}

/// One file, in the trash or not.
///
/// # Errors
/// When Postgres does not answer.
pub async fn get(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<Option<File>> {
    let row = sqlx::query_as!(
        FileRow,
        r#"SELECT f.id AS "id: FileId", f.user_id AS "user_id: UserId", f.file_name
                , f.original_name AS "original_name: FileName", f.file_type AS "file_type: FileType", f.mime_type
                , f.file_size AS "file_size: ByteSize", f.file_path, f.sha256, f.width, f.height, f.duration_seconds
                , f.needs_playback, f.thumbhash
                , f.package_name, f.tags AS "tags: Tags", f.is_favorite
                , f.asset_category AS "asset_category: AssetCategory", f.usage_tags AS "usage_tags: Tags"
                , f.character_names AS "character_names: Tags", f.audio_category AS "audio_category: AudioCategory"
                , f.asset_details AS "asset_details: Json<AssetDetails>"
                , f.upload_date, f.created_at, f.updated_at, f.deleted_at, f.url_epoch, s.url_epoch AS user_url_epoch
                , coalesce((SELECT jsonb_agg(jsonb_build_object('kind', d.kind, 'mime_type', d.mime_type, 'state', d.state, 'progress', d.progress, 'error', d.error, 'path', d.path))
                              FROM derivatives d WHERE d.user_id = f.user_id AND d.file_id = f.id), '[]') AS "derivatives!: Json<Vec<Derivative>>"
                , '{}'::text[] AS "truncated_fields!"
             FROM user_files f
             JOIN user_storage s ON s.user_id = f.user_id
            WHERE f.user_id = $1 AND f.id = $2"#,
        user.as_str(),
        id as FileId,
    )
    .fetch_optional(conn)
    .await?;
    row.map(File::try_from).transpose()
}

pub(super) fn digest(id: FileId, bytes: Vec<u8>) -> Result<Sha256Digest> {
    <[u8; 32]>::try_from(bytes)
        .map(Sha256Digest)
        .map_err(|_| Error::Internal(anyhow::anyhow!("file {id} has a digest of another length")))
}

/// Takes a file's row for the rest of the transaction. `false` when there is no such file outside the trash.
///
/// # Errors
/// When Postgres does not answer.
pub async fn lock(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT 1 AS "one!" FROM user_files WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        user.as_str(),
        id as FileId,
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// A file that has arrived.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its id.
    pub id: FileId,
    /// Its owner.
    pub user_id: UserId,
    /// Its name on the volume.
    pub file_name: String,
    /// Its name as the user knows it.
    pub original_name: FileName,
    /// What it is to its user.
    pub file_type: FileType,
    /// Media type as decided by its content.
    pub mime_type: String,
    /// Its size.
    pub size: ByteSize,
    /// Where its bytes are.
    pub file_path: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Displayed width in pixels.
    pub width: Option<i32>,
    /// Displayed height in pixels.
    pub height: Option<i32>,
    /// Playing time in seconds.
    pub duration_seconds: Option<f64>,
    /// Whether browsers need a derivative to play it; `None` when nobody has looked.
    pub needs_playback: Option<bool>,
    /// What the user says about it.
    pub metadata: FileMetadata,
}

/// Adds a file. Safe to repeat: a row that exists stays as it is.
///
/// # Errors
/// When Postgres does not answer.
pub async fn insert(conn: &mut PgConnection, file: &NewFile) -> Result<()> {
    let metadata = &file.metadata;
    sqlx::query!(
        "INSERT INTO user_files (
             user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256, width, height
           , duration_seconds, package_name, tags, asset_category, usage_tags, character_names, audio_category, asset_details
           , needs_playback)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         ON CONFLICT (user_id, id) DO NOTHING",
        file.user_id.as_str(),
        file.id as FileId,
        file.file_name,
        file.original_name.as_str(),
        file.file_type.as_str(),
        file.mime_type,
        file.size as ByteSize,
        file.file_path,
        file.sha256.0.as_slice(),
        file.width,
        file.height,
        file.duration_seconds,
        metadata.package_name,
        metadata.tags.as_slice(),
        metadata.asset_category as Option<AssetCategory>,
        metadata.usage_tags.as_slice(),
        metadata.character_names.as_slice(),
        metadata.audio_category as Option<AudioCategory>,
        Json(&metadata.details) as _,
        file.needs_playback,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes back everything about a file that its user can change. The caller holds [`lock`].
///
/// # Errors
/// When Postgres does not answer.
pub async fn update(conn: &mut PgConnection, file: &File) -> Result<()> {
    let metadata = &file.metadata;
    sqlx::query!(
        "UPDATE user_files
            SET original_name = $3, file_type = $4, is_favorite = $5, package_name = $6, tags = $7, asset_category = $8
              , usage_tags = $9, character_names = $10, audio_category = $11, asset_details = $12, updated_at = now()
          WHERE user_id = $1 AND id = $2",
        file.user_id.as_str(),
        file.id as FileId,
        file.original_name.as_str(),
        file.file_type.as_str(),
        file.is_favorite,
        metadata.package_name,
        metadata.tags.as_slice(),
        metadata.asset_category as Option<AssetCategory>,
        metadata.usage_tags.as_slice(),
        metadata.character_names.as_slice(),
        metadata.audio_category as Option<AudioCategory>,
        Json(&metadata.details) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these files exist, in the trash (`true`) or outside it (`false`).
///
/// # Errors
/// When Postgres does not answer.
pub async fn existing(
    conn: &mut PgConnection,
    user: &UserId,
    ids: &[FileId],
    in_trash: bool,
) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: FileId" FROM user_files
            WHERE user_id = $1 AND id = ANY($2) AND (deleted_at IS NOT NULL) = $3
            ORDER BY id FOR NO KEY UPDATE"#,
        user.as_str(),
        &uuids(ids),
        in_trash,
    )
    .fetch_all(conn)
    .await?)
}

/// Moves files to the trash; those already there stay as they are. Answers which were moved.
///
/// # Errors
/// When Postgres does not answer.
pub async fn trash(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET deleted_at = now(), updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?)
}

/// Takes files out of the trash. Answers which were.
///
/// # Errors
/// When Postgres does not answer.
pub async fn restore(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET deleted_at = NULL, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NOT NULL
        RETURNING id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?)
}

/// Sets or clears the favourite mark. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
pub async fn set_favorite(
    conn: &mut PgConnection,
    user: &UserId,
    ids: &[FileId],
    favorite: bool,
) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET is_favorite = $3, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
        favorite,
    )
    .fetch_all(conn)
    .await?)
}

/// Puts files into a package, or into none. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
pub async fn set_package(
    conn: &mut PgConnection,
    user: &UserId,
    ids: &[FileId],
    package: Option<&str>,
) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET package_name = $3, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
        package,
    )
    .fetch_all(conn)
    .await?)
}

/// Adds labels to files that stay within the limit of labels. Answers which files were changed.
///
/// # Errors
/// When Postgres does not answer.
pub async fn add_tags(
    conn: &mut PgConnection,
    user: &UserId,
    ids: &[FileId],
    tags: &Tags,
) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files f SET tags = merged.tags, updated_at = now()
             FROM (SELECT g.id, g.tags || ARRAY(SELECT t FROM unnest($3::text[]) t WHERE t <> ALL (g.tags)) AS tags
                     FROM user_files g WHERE g.user_id = $1 AND g.id = ANY($2) AND g.deleted_at IS NULL) merged
            WHERE f.user_id = $1 AND f.id = merged.id AND cardinality(merged.tags) <= $4
              AND octet_length(array_to_string(merged.tags, '')) <= $5
        RETURNING f.id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
        tags.as_slice(),
        Tags::MAX_COUNT as i32,
        Tags::MAX_BYTES as i32,
    )
    .fetch_all(conn)
    .await?)
}

/// Takes labels off files. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
pub async fn remove_tags(
    conn: &mut PgConnection,
    user: &UserId,
    ids: &[FileId],
    tags: &Tags,
) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET tags = ARRAY(SELECT t FROM unnest(tags) t WHERE t <> ALL ($3)), updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        user.as_str(),
        &uuids(ids),
        tags.as_slice(),
    )
    .fetch_all(conn)
    .await?)
}

/// Revokes every signed URL given out for a file. `false` when there is no such file.
///
/// # Errors
/// When Postgres does not answer.
pub async fn revoke_urls(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE user_files SET url_epoch = url_epoch + 1 WHERE user_id = $1 AND id = $2",
        user.as_str(),
        id as FileId,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes rows for good. Answers the removed files with the paths of their bytes; derivatives go with them, so
/// their paths must be read first.
///
/// # Errors
/// When Postgres does not answer.
pub async fn delete(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<(FileId, String)>> {
    let rows = sqlx::query!(
        r#"DELETE FROM user_files WHERE user_id = $1 AND id = ANY($2) RETURNING id AS "id: FileId", file_path"#,
        user.as_str(),
        &uuids(ids),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.file_path)).collect())
}

/// Files in a user's trash, oldest first, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
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

/// Files of any user that went to the trash before `before`, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
pub async fn trash_due(
    conn: &mut PgConnection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(UserId, FileId)>> {
    let rows = sqlx::query!(
        r#"SELECT user_id AS "user_id: UserId", id AS "id: FileId" FROM user_files
            WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2"#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.id)).collect())
}

fn uuids(ids: &[FileId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
