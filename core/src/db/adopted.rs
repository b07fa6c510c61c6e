//! Files that come from the legacy service, with their ids and times; see `ops::adopt`.
//! Never reserves anything: their owners have the room already, or had it in the legacy service.

use super::Ledger;
use super::files::NewFile;
use crate::error::Result;
use crate::ids::{ContentId, FileId};
use crate::model::{AssetCategory, AudioCategory, ByteSize};
use sqlx::types::Json;
use time::OffsetDateTime;

/// What an adopted file has beyond a new one.
#[derive(Debug, Clone)]
pub struct Past {
    /// When its upload was complete.
    pub upload_date: OffsetDateTime,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When its metadata changed last.
    pub updated_at: OffsetDateTime,
    /// When it went to the trash.
    pub deleted_at: Option<OffsetDateTime>,
    /// Whether its owner likes it.
    pub is_favorite: bool,
}

/// Adds an adopted file. Answers the content that it shows.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(ledger: &mut Ledger, file: &NewFile, past: &Past) -> Result<ContentId> {
    let metadata = &file.metadata;
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO user_files (
             user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256, width, height
           , duration_seconds, package_name, tags, asset_category, usage_tags, character_names, audio_category, asset_details
           , is_favorite, upload_date, created_at, updated_at, deleted_at, needs_playback)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
         RETURNING content_id AS "content_id!: ContentId""#,
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
        past.is_favorite,
        past.upload_date,
        past.created_at,
        past.updated_at,
        past.deleted_at,
        file.needs_playback,
    )
    .fetch_one(&mut **ledger)
    .await?)
}
