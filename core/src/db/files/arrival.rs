//! New files' rows.

use crate::db::jobs::Task;
use crate::error::Result;
use crate::ids::{ContentId, FileId, JobId, UploadId, UserId};
use crate::model::{ByteSize, Derivative, File, FileMetadata, FileName, FileType, Sha256Digest, UrlEpochs};
use serde::Serialize;
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
struct Arrived {
    content: ContentId,
    at: OffsetDateTime,
    url_epochs: UrlEpochs,
}

/// A derivative of a new content.
#[derive(Debug, Clone)]
pub struct NewDerivative {
    /// Which one, pending.
    pub derivative: Derivative,
    /// Who makes it.
    pub task: Task,
}

/// An upload that becomes a file.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The upload, which ends.
    pub upload: UploadId,
    /// Its file.
    pub file: NewFile,
    /// What is to be made of its content.
    pub derivatives: Vec<NewDerivative>,
}

impl Arrival {
    /// The file as it is now, if it brought its own content.
    fn arrived(&self, arrived: Arrived) -> File {
        let file = self.file.clone();
        File {
            id: file.id,
            user_id: file.user_id,
            content_id: arrived.content,
            file_name: file.file_name,
            original_name: file.original_name,
            file_type: file.file_type,
            mime_type: file.mime_type,
            size: file.size,
            file_path: file.file_path,
            sha256: file.sha256,
            width: file.width,
            height: file.height,
            duration_seconds: file.duration_seconds,
            needs_playback: file.needs_playback,
            scan: None,
            thumbhash: None,
            metadata: file.metadata,
            is_favorite: false,
            upload_date: arrived.at,
            created_at: arrived.at,
            updated_at: arrived.at,
            deleted_at: None,
            url_epochs: arrived.url_epochs,
            derivatives: self.derivatives.iter().map(|one| one.derivative.clone()).collect(),
            truncated_fields: Vec::new(),
        }
    }
}

/// The same as a row for Postgres.
#[derive(Serialize)]
struct Row<'a> {
    upload: UploadId,
    /// How many files come before it.
    position: usize,
    id: FileId,
    file_name: &'a str,
    original_name: &'a str,
    file_type: &'a str,
    mime_type: &'a str,
    file_size: u64,
    file_path: &'a str,
    sha256: String,
    width: Option<i32>,
    height: Option<i32>,
    duration_seconds: Option<f64>,
    needs_playback: Option<bool>,
    content_id: Option<ContentId>,
    #[serde(flatten)]
    metadata: &'a FileMetadata,
}

impl<'a> Row<'a> {
    fn of((position, Arrival { upload, file, .. }): (usize, &'a Arrival)) -> Self {
        Self {
            upload: *upload,
            position,
            id: file.id,
            file_name: &file.file_name,
            original_name: file.original_name.as_str(),
            file_type: file.file_type.as_str(),
            mime_type: &file.mime_type,
            file_size: file.size.bytes(),
            file_path: &file.file_path,
            sha256: format!("\\x{}", file.sha256),
            width: file.width,
            height: file.height,
            duration_seconds: file.duration_seconds,
            needs_playback: file.needs_playback,
            content_id: file.content,
            metadata: &file.metadata,
        }
    }
}

/// Derivatives of new contents, column by column.
#[derive(Default)]
struct DerivativeColumns<'a> {
    files: Vec<Uuid>,
    kinds: Vec<&'a str>,
    mime_types: Vec<&'a str>,
    paths: Vec<&'a str>,
    jobs: Vec<Uuid>,
    tasks: Vec<Json<&'a Task>>,
    are_long: Vec<bool>,
}

impl<'a> DerivativeColumns<'a> {
    fn of(arrivals: &[&'a Arrival]) -> Self {
        let mut columns = Self::default();
        for arrival in arrivals {
            for NewDerivative { derivative, task } in &arrival.derivatives {
                columns.files.push(arrival.file.id.0);
                columns.kinds.push(derivative.kind.as_str());
                columns.mime_types.push(&derivative.mime_type);
                columns.paths.push(&derivative.path);
                columns.jobs.push(JobId::new().0);
                columns.tasks.push(Json(task));
                columns.are_long.push(task.is_long());
            }
        }
        columns
    }
}

/// Ends uploads of one user as complete, adds their files and asks for what is to be made of them, in one statement that
/// takes the user's row in the ledger first. `None` for one whose upload has ended already or is being cancelled, and where
/// the user has `max_files` files by then: of that one nothing is changed. What is answered about a content that was stored
/// before is not all.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(
    conn: &mut PgConnection,
    user: &UserId,
    arrivals: &[&Arrival],
    max_files: i64,
) -> Result<Vec<Option<File>>> {
    let files: Vec<Row<'_>> = arrivals.iter().copied().enumerate().map(Row::of).collect();
    let columns = DerivativeColumns::of(arrivals);
    let rows = sqlx::query!(
        r#"WITH ledger AS MATERIALIZED (
               SELECT user_id, file_count FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE)
         , new AS MATERIALIZED (
               SELECT * FROM jsonb_to_recordset($2) new (
                      upload uuid, position bigint, id uuid, file_name text, original_name text, file_type text
                    , mime_type text, file_size bigint, file_path text, sha256 bytea, width integer, height integer
                    , duration_seconds float8, package_name text, tags text[], asset_category text, usage_tags text[]
                    , character_names text[], audio_category text, details jsonb, needs_playback boolean, content_id uuid))
         , gone AS (
               DELETE FROM uploads u USING ledger, new
                WHERE u.user_id = ledger.user_id AND u.id = new.upload AND u.state <> 'cancelling'
                  AND ledger.file_count + new.position < $3
            RETURNING u.id, u.reserved_bytes)
         , room AS (
               UPDATE user_storage s
                  SET reserved_bytes = s.reserved_bytes - freed.bytes, updated_at = now()
                 FROM (SELECT sum(reserved_bytes)::bigint AS bytes FROM gone) freed
                WHERE s.user_id = $1 AND freed.bytes IS NOT NULL
            RETURNING s.url_epoch)
         , file AS (
               INSERT INTO user_files (
                      user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256, width
                    , height, duration_seconds, package_name, tags, asset_category, usage_tags, character_names
                    , audio_category, asset_details, needs_playback, content_id)
               SELECT $1, new.id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256, width
                    , height, duration_seconds, package_name, tags, asset_category, usage_tags, character_names
                    , audio_category, details, needs_playback, content_id
                 FROM room, new JOIN gone ON gone.id = new.upload
            RETURNING id, content_id, created_at, url_epoch)
         , derivative AS (
               INSERT INTO derivatives (user_id, file_id, kind, mime_type, path)
               SELECT $1, file.content_id, wanted.kind, wanted.mime_type, wanted.path
                 FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[]) wanted (file, kind, mime_type, path)
                 JOIN file ON file.id = wanted.file)
         , job AS (
               INSERT INTO jobs (id, user_id, task, is_long)
               SELECT wanted.id, $1, wanted.task, wanted.is_long
                 FROM unnest($4::uuid[], $8::uuid[], $9::jsonb[], $10::boolean[]) wanted (file, id, task, is_long)
                 JOIN file ON file.id = wanted.file)
           SELECT file.id AS "id!: FileId", file.content_id AS "content!: ContentId", file.created_at, file.url_epoch
                , room.url_epoch AS user_url_epoch
             FROM file, room"#,
        user.as_str(),
        Json(files) as _,
        max_files,
        &columns.files,
        &columns.kinds as _,
        &columns.mime_types as _,
        &columns.paths as _,
        &columns.jobs,
        &columns.tasks as _,
        &columns.are_long,
    )
    .fetch_all(conn)
    .await?;
    let arrived = |arrival: &&Arrival| {
        let row = rows.iter().find(|row| row.id == arrival.file.id)?;
        let url_epochs = UrlEpochs { user: row.user_url_epoch, file: row.url_epoch };
        Some(arrival.arrived(Arrived { content: row.content, at: row.created_at, url_epochs }))
    };
    Ok(arrivals.iter().map(arrived).collect())
}
