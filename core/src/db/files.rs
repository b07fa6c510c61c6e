//! `user_files`: one row a stored file. Usage counters follow by trigger, in the same statement.
//! Every statement names the owner; a foreign file is a missing one. Listings are in `db::listing`.

mod arrival;
mod content;
mod copy;
mod removal;

pub use arrival::{Arrival, NewDerivative, NewFile, insert};
pub use content::{Content, content, owner};
pub use copy::{Copied, Copy, copy};
pub use removal::{Removable, delete, lock_removable, trash_due, trashed};

use super::Ledger;
use super::row_enum::{self, Known};
use crate::error::{Error, Result};
use crate::ids::{ContentId, FileId, UserId};
use crate::model::{
    AssetCategory, AudioCategory, ByteSize, Derivative, File, FileMetadata, FileName, FileType, ScanState,
    Sha256Digest, Tags, UrlEpochs,
};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

/// A row as Postgres gives it, with the file's derivatives and its owner's URL epoch.
#[derive(sqlx::FromRow)]
pub(super) struct FileRow {
    id: FileId,
    user_id: UserId,
    content_id: ContentId,
    file_name: String,
    original_name: FileName,
    file_type: Known<FileType>,
    mime_type: String,
    file_size: ByteSize,
    file_path: String,
    sha256: Vec<u8>,
    width: Option<i32>,
    height: Option<i32>,
    duration_seconds: Option<f64>,
    needs_playback: Option<bool>,
    scan_state: Option<Known<ScanState>>,
    thumbhash: Option<Vec<u8>>,
    package_name: Option<String>,
    tags: Tags,
    is_favorite: bool,
    asset_category: Option<Known<AssetCategory>>,
    usage_tags: Tags,
    character_names: Tags,
    audio_category: Option<Known<AudioCategory>>,
    asset_details: Json<Value>,
    upload_date: OffsetDateTime,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    deleted_at: Option<OffsetDateTime>,
    url_epoch: i32,
    user_url_epoch: i32,
    /// A listing asks for those of all its files at once.
    #[sqlx(default)]
    derivatives: Json<Vec<DerivativeDocument>>,
    /// A listing leaves long texts out.
    truncated_fields: Vec<String>,
}

/// A derivative within the row of its file.
#[derive(Deserialize)]
struct DerivativeDocument {
    kind: String,
    mime_type: String,
    state: String,
    progress: Option<i16>,
    error: Option<String>,
    path: String,
}

impl DerivativeDocument {
    fn known(self) -> Option<Derivative> {
        Some(Derivative {
            kind: Known::parse(&self.kind).0?,
            mime_type: self.mime_type,
            state: Known::parse(&self.state).0?,
            progress: self.progress,
            error: self.error,
            path: self.path,
        })
    }
}

impl TryFrom<FileRow> for File {
    type Error = Error;

    fn try_from(row: FileRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            content_id: row.content_id,
            file_name: row.file_name,
            original_name: row.original_name,
            // A type of a newer release: its bytes can be had and removed like those of any project.
            file_type: row.file_type.0.unwrap_or(FileType::Project),
            mime_type: row.mime_type,
            size: row.file_size,
            file_path: row.file_path,
            sha256: digest(row.id, row.sha256)?,
            width: row.width,
            height: row.height,
            duration_seconds: row.duration_seconds,
            needs_playback: row.needs_playback,
            scan: row.scan_state.map(scan),
            thumbhash: row.thumbhash,
            metadata: FileMetadata {
                package_name: row.package_name,
                tags: row.tags,
                asset_category: row.asset_category.and_then(|known| known.0),
                usage_tags: row.usage_tags,
                character_names: row.character_names,
                audio_category: row.audio_category.and_then(|known| known.0),
                details: row_enum::details(row.asset_details.0),
            },
            is_favorite: row.is_favorite,
            upload_date: row.upload_date,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            url_epochs: UrlEpochs { user: row.user_url_epoch, file: row.url_epoch },
            derivatives: row.derivatives.0.into_iter().filter_map(DerivativeDocument::known).collect(),
            truncated_fields: row.truncated_fields,
        })
    }
}

/// One file, in the trash or not.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(conn: &mut PgConnection, user: &UserId, id: FileId) -> Result<Option<File>> {
    let row = sqlx::query_as!(
        FileRow,
        r#"SELECT f.id AS "id: FileId", f.user_id AS "user_id: UserId", f.content_id AS "content_id!: ContentId", f.file_name
                , f.original_name AS "original_name: FileName", f.file_type AS "file_type: Known<FileType>", f.mime_type
                , f.file_size AS "file_size: ByteSize", f.file_path, f.sha256, f.width, f.height, f.duration_seconds
                , f.needs_playback, f.scan_state AS "scan_state: Known<ScanState>", f.thumbhash
                , f.package_name, f.tags AS "tags: Tags", f.is_favorite
                , f.asset_category AS "asset_category: Known<AssetCategory>", f.usage_tags AS "usage_tags: Tags"
                , f.character_names AS "character_names: Tags", f.audio_category AS "audio_category: Known<AudioCategory>"
                , f.asset_details AS "asset_details: Json<Value>"
                , f.upload_date, f.created_at, f.updated_at, f.deleted_at, f.url_epoch, s.url_epoch AS user_url_epoch
                , coalesce((SELECT jsonb_agg(jsonb_build_object('kind', d.kind, 'mime_type', d.mime_type, 'state', d.state, 'progress', d.progress, 'error', d.error, 'path', d.path))
                              FROM derivatives d WHERE d.user_id = f.user_id AND d.file_id = f.content_id), '[]') AS "derivatives!: Json<Vec<DerivativeDocument>>"
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

/// What a newer release says and this one does not know is no permission.
pub(super) fn scan(state: Known<ScanState>) -> ScanState {
    state.0.unwrap_or(ScanState::Pending)
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
#[tracing::instrument(level = "debug", skip_all)]
pub async fn lock(ledger: &mut Ledger, id: FileId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT 1 AS "one!" FROM user_files WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        ledger.user().as_str(),
        id as FileId,
    )
    .fetch_optional(&mut **ledger)
    .await?;
    Ok(found.is_some())
}

/// Writes back what its user changed about a file. What a newer release wrote and this one cannot read stays as it is.
/// The caller holds [`lock`] since it read `before`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn update(ledger: &mut Ledger, before: &File, after: &File) -> Result<()> {
    let (was, is) = (&before.metadata, &after.metadata);
    sqlx::query!(
        "UPDATE user_files
            SET original_name = $3, file_type = coalesce($4, file_type), is_favorite = $5, package_name = $6, tags = $7
              , asset_category = CASE WHEN $8 THEN $9 ELSE asset_category END
              , usage_tags = $10, character_names = $11
              , audio_category = CASE WHEN $12 THEN $13 ELSE audio_category END
              , asset_details = asset_details || $14, updated_at = now()
          WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        after.id as FileId,
        after.original_name.as_str(),
        (before.file_type != after.file_type).then_some(after.file_type.as_str()),
        after.is_favorite,
        is.package_name,
        is.tags.as_slice(),
        was.asset_category != is.asset_category,
        is.asset_category as Option<AssetCategory>,
        is.usage_tags.as_slice(),
        is.character_names.as_slice(),
        was.audio_category != is.audio_category,
        is.audio_category as Option<AudioCategory>,
        Json(row_enum::changed_details(&was.details, &is.details)) as _,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Which of these files exist outside the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn existing(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: FileId" FROM user_files
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL"#,
        user.as_str(),
        ids as &[FileId],
    )
    .fetch_all(conn)
    .await?)
}

/// Moves files to the trash; those already there stay as they are. Answers which were moved.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn trash(ledger: &mut Ledger, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET deleted_at = now(), updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Takes files out of the trash. Answers which were.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn restore(ledger: &mut Ledger, ids: &[FileId]) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET deleted_at = NULL, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NOT NULL
        RETURNING id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Sets or clears the favourite mark. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_favorite(ledger: &mut Ledger, ids: &[FileId], favorite: bool) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET is_favorite = $3, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
        favorite,
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Puts files into a package, or into none. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_package(ledger: &mut Ledger, ids: &[FileId], package: Option<&str>) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET package_name = $3, updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
        package,
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Adds labels to files that stay within the limit of labels. Answers which files were changed.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn add_tags(ledger: &mut Ledger, ids: &[FileId], tags: &Tags) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files f SET tags = merged.tags, updated_at = now()
             FROM (SELECT g.id, g.tags || ARRAY(SELECT t FROM unnest($3::text[]) t WHERE t <> ALL (g.tags)) AS tags
                     FROM user_files g WHERE g.user_id = $1 AND g.id = ANY($2) AND g.deleted_at IS NULL) merged
            WHERE f.user_id = $1 AND f.id = merged.id AND cardinality(merged.tags) <= $4
              AND octet_length(array_to_string(merged.tags, '')) <= $5
        RETURNING f.id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
        tags.as_slice(),
        Tags::MAX_COUNT as i32,
        Tags::MAX_BYTES as i32,
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Takes labels off files. Answers which files were outside the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn remove_tags(ledger: &mut Ledger, ids: &[FileId], tags: &Tags) -> Result<Vec<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET tags = ARRAY(SELECT t FROM unnest(tags) t WHERE t <> ALL ($3)), updated_at = now()
            WHERE user_id = $1 AND id = ANY($2) AND deleted_at IS NULL
        RETURNING id AS "id: FileId""#,
        ledger.user().as_str(),
        ids as &[FileId],
        tags.as_slice(),
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Revokes every signed URL given out for a file. `false` when there is no such file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn revoke_urls(ledger: &mut Ledger, id: FileId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE user_files SET url_epoch = url_epoch + 1 WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as FileId,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected() == 1)
}
