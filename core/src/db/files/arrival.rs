//! A new file's row.

use crate::db::jobs::Task;
use crate::error::Result;
use crate::ids::{ContentId, FileId, JobId, UploadId, UserId};
use crate::model::{
    AssetCategory, AudioCategory, ByteSize, Derivative, File, FileMetadata, FileName, FileType, Sha256Digest,
    UrlEpochs,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

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
    /// The content that it shows, if that is there still; else its bytes are a content of its own.
    pub content: Option<ContentId>,
    /// What the user says about it.
    pub metadata: FileMetadata,
}

/// What Postgres said about a new file's row.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    /// The content that it shows.
    pub content: ContentId,
    /// When the row was made.
    pub at: OffsetDateTime,
    /// Epochs that its signed URLs must carry.
    pub url_epochs: UrlEpochs,
}

impl NewFile {
    /// The file as it is now, if it brought its own content.
    #[must_use]
    pub fn arrived(&self, arrived: Arrived, derivatives: Vec<NewDerivative>) -> File {
        File {
            id: self.id,
            user_id: self.user_id.clone(),
            content_id: arrived.content,
            file_name: self.file_name.clone(),
            original_name: self.original_name.clone(),
            file_type: self.file_type,
            mime_type: self.mime_type.clone(),
            size: self.size,
            file_path: self.file_path.clone(),
            sha256: self.sha256,
            width: self.width,
            height: self.height,
            duration_seconds: self.duration_seconds,
            needs_playback: self.needs_playback,
            scan: None,
            thumbhash: None,
            metadata: self.metadata.clone(),
            is_favorite: false,
            upload_date: arrived.at,
            created_at: arrived.at,
            updated_at: arrived.at,
            deleted_at: None,
            url_epochs: arrived.url_epochs,
            derivatives: derivatives.into_iter().map(|one| one.derivative).collect(),
            truncated_fields: Vec::new(),
        }
    }
}

/// A derivative of a new content.
#[derive(Debug, Clone)]
pub struct NewDerivative {
    /// Which one, pending.
    pub derivative: Derivative,
    /// Who makes it.
    pub task: Task,
}

/// The same, column by column.
struct DerivativeColumns<'a> {
    kinds: Vec<&'a str>,
    mime_types: Vec<&'a str>,
    paths: Vec<&'a str>,
    jobs: Vec<Uuid>,
    tasks: Vec<Json<&'a Task>>,
    are_long: Vec<bool>,
}

impl<'a> DerivativeColumns<'a> {
    fn of(new: &'a [NewDerivative]) -> Self {
        Self {
            kinds: new.iter().map(|one| one.derivative.kind.as_str()).collect(),
            mime_types: new.iter().map(|one| one.derivative.mime_type.as_str()).collect(),
            paths: new.iter().map(|one| one.derivative.path.as_str()).collect(),
            jobs: new.iter().map(|_| JobId::new().0).collect(),
            tasks: new.iter().map(|one| Json(&one.task)).collect(),
            are_long: new.iter().map(|one| one.task.is_long()).collect(),
        }
    }
}

/// Ends an upload as complete, adds its file and asks for the `derivatives` of its content, in one statement that takes the
/// user's row in the ledger first. `None`, and nothing changed, when the upload has ended already or is being cancelled, or
/// the user has `max_files` files.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    conn: &mut PgConnection,
    upload: UploadId,
    file: &NewFile,
    derivatives: &[NewDerivative],
    max_files: i64,
) -> Result<Option<Arrived>> {
    let (metadata, columns) = (&file.metadata, DerivativeColumns::of(derivatives));
    let row = sqlx::query!(
        r#"WITH ledger AS MATERIALIZED (
               SELECT user_id FROM user_storage WHERE user_id = $1 AND file_count < $23 FOR NO KEY UPDATE)
         , gone AS (
               DELETE FROM uploads u USING ledger
                WHERE u.user_id = ledger.user_id AND u.id = $22 AND u.state <> 'cancelling'
            RETURNING u.reserved_bytes)
         , room AS (
               UPDATE user_storage s
                  SET reserved_bytes = s.reserved_bytes - gone.reserved_bytes, updated_at = now()
                 FROM gone
                WHERE s.user_id = $1
            RETURNING s.url_epoch)
         , file AS (
               INSERT INTO user_files (
                      user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256, width
                    , height, duration_seconds, package_name, tags, asset_category, usage_tags, character_names
                    , audio_category, asset_details, needs_playback, content_id)
               SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21
                 FROM room
            RETURNING content_id, created_at, url_epoch)
         , derivative AS (
               INSERT INTO derivatives (user_id, file_id, kind, mime_type, path)
               SELECT $1, file.content_id, wanted.kind, wanted.mime_type, wanted.path
                 FROM file, unnest($24::text[], $25::text[], $26::text[]) wanted (kind, mime_type, path))
         , job AS (
               INSERT INTO jobs (id, user_id, task, is_long)
               SELECT wanted.id, $1, wanted.task, wanted.is_long
                 FROM file, unnest($27::uuid[], $28::jsonb[], $29::boolean[]) wanted (id, task, is_long))
           SELECT file.content_id AS "content!: ContentId", file.created_at, file.url_epoch, room.url_epoch AS user_url_epoch
             FROM file, room"#,
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
        file.content as Option<ContentId>,
        upload as UploadId,
        max_files,
        &columns.kinds as _,
        &columns.mime_types as _,
        &columns.paths as _,
        &columns.jobs,
        &columns.tasks as _,
        &columns.are_long,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let url_epochs = UrlEpochs { user: row.user_url_epoch, file: row.url_epoch };
        Arrived { content: row.content, at: row.created_at, url_epochs }
    }))
}
