//! `upload_sessions`: what resumable uploads are beyond their open row in `uploads`.
//! Invariant: only the latest writer records progress, and progress never goes back.
//! Never decides whether a session is over; whoever has no open row and no file is.

mod joins;
mod lines;

pub use joins::{return_reservations, take_reservations};
pub use lines::{SessionLine, list};

use super::files;
use super::row_enum::Known;
use crate::error::{Error, Result};
use crate::ids::{FileId, UploadId, UserId};
use crate::model::{
    BlobKey, Boot, ByteSize, Checkpoint, FileMetadata, FileName, FileType, Sha256Digest, UploadRole,
};
use serde::Deserialize as _;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A resumable upload.
#[derive(Debug, Clone)]
pub struct Session {
    /// The upload.
    pub id: UploadId,
    /// Its owner.
    pub user_id: UserId,
    /// SHA-256 of the secret in its URL.
    pub secret_hash: Sha256Digest,
    /// How long the file is, once that is known.
    pub length: Option<ByteSize>,
    /// What of it is on disk whatever happens.
    pub durable: Checkpoint,
    /// In which run of the kernel more may have been written.
    pub boot: Option<Boot>,
    /// What it becomes.
    pub role: UploadRole,
    /// The parts of a joined one, in their order.
    pub part_ids: Vec<UploadId>,
    /// What its file will be called.
    pub name: FileName,
    /// What the client says it is.
    pub declared: Option<FileType>,
    /// What the client says about it.
    pub metadata: FileMetadata,
    /// The same in the client's own words.
    pub sent_metadata: Option<String>,
    /// What the whole content must hash to.
    pub expected_sha256: Option<Sha256Digest>,
    /// The finished file.
    pub file_id: Option<FileId>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Its row in `uploads`, while it is open.
    pub open: Option<Open>,
}

/// The part of a session that goes when it ends.
#[derive(Debug, Clone)]
pub struct Open {
    /// The id that its file will have.
    pub file_id: FileId,
    /// Whether its final path is settled.
    pub is_finalizing: bool,
    /// What it holds of its owner's quota.
    pub reserved: ByteSize,
    /// Where its bytes are while they arrive.
    pub staging: BlobKey,
    /// Where they go.
    pub final_key: BlobKey,
    /// When it is given up.
    pub expires_at: OffsetDateTime,
}

/// A session by its id, which its URL names without its owner: the caller compares one or the other.
///
/// # Errors
/// [`Error::UploadLocked`] for one that only a newer release understands; when Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(conn: &mut PgConnection, id: UploadId) -> Result<Option<Session>> {
    let row = sqlx::query!(
        r#"SELECT s.user_id AS "user_id: UserId", s.secret_hash, s.length AS "length: ByteSize"
                , s.durable_offset AS "durable_offset: ByteSize", s.midstate, s.boot_id AS "boot: Boot"
                , s.role AS "role: Known<UploadRole>", s.part_ids AS "part_ids: Vec<UploadId>"
                , s.original_name AS "original_name: FileName", s.declared_type AS "declared: Known<FileType>"
                , s.metadata AS "metadata: Json<Value>", s.sent_metadata, s.expected_sha256
                , s.file_id AS "file_id: FileId", s.created_at
                , u.file_id AS "open_file_id?: FileId", u.state AS "state?", u.reserved_bytes AS "reserved?: ByteSize"
                , u.staging_path AS "staging_path?", u.final_path AS "final_path?", u.expires_at AS "expires_at?"
             FROM upload_sessions s
             LEFT JOIN uploads u ON u.user_id = s.user_id AND u.id = s.id AND u.state <> 'cancelling'
            WHERE s.id = $1"#,
        id as UploadId,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // Of a newer release, in part: only that one can go on with it, so the client is sent to ask again.
    let is_open = row.state.as_deref().is_none_or(|state| matches!(state, "receiving" | "finalizing"));
    let known = (row.role.0, row.declared.map_or(Some(None), |declared| declared.0.map(Some)));
    let metadata = FileMetadata::deserialize(&row.metadata.0);
    let durable = Checkpoint::parse(row.durable_offset, &row.midstate);
    let (true, (Some(role), Some(declared)), Ok(metadata), Some(durable)) =
        (is_open, known, metadata, durable)
    else {
        tracing::debug!(upload.id = %id, "an upload of a newer release");
        return Err(Error::UploadLocked);
    };
    let open = match (row.open_file_id, row.reserved, row.staging_path, row.final_path, row.expires_at) {
        (Some(file_id), Some(reserved), Some(staging), Some(final_key), Some(expires_at)) => Some(Open {
            file_id,
            is_finalizing: row.state.as_deref() == Some("finalizing"),
            reserved,
            staging: BlobKey::parse(&staging)?,
            final_key: BlobKey::parse(&final_key)?,
            expires_at,
        }),
        _ => None,
    };
    Ok(Some(Session {
        id,
        user_id: row.user_id,
        secret_hash: files::digest(FileId(id.0), row.secret_hash)?,
        length: row.length,
        durable,
        boot: row.boot,
        role,
        part_ids: row.part_ids,
        name: row.original_name,
        declared,
        metadata,
        sent_metadata: row.sent_metadata,
        expected_sha256: row.expected_sha256.map(|bytes| files::digest(FileId(id.0), bytes)).transpose()?,
        file_id: row.file_id,
        created_at: row.created_at,
        open,
    }))
}

/// What a new session needs to be known for beyond its row in `uploads`.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// The upload.
    pub id: UploadId,
    /// Its owner.
    pub user: &'a UserId,
    /// SHA-256 of the secret in its URL.
    pub secret_hash: Sha256Digest,
    /// How long the file is, if that is known.
    pub length: Option<ByteSize>,
    /// What it becomes.
    pub role: UploadRole,
    /// The parts of a joined one.
    pub part_ids: &'a [UploadId],
    /// What its file will be called.
    pub name: &'a FileName,
    /// What the client says it is.
    pub declared: Option<FileType>,
    /// What the client says about it.
    pub metadata: &'a FileMetadata,
    /// The same in the client's own words.
    pub sent_metadata: Option<&'a str>,
    /// What the whole content must hash to.
    pub expected_sha256: Option<Sha256Digest>,
    /// The client's name for this creation.
    pub idempotency_key: Option<&'a str>,
}

/// Adds a session before its first byte. The caller holds the user's row and has added its row in `uploads`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn insert(conn: &mut PgConnection, new: &NewSession<'_>) -> Result<()> {
    let part_ids: Vec<Uuid> = new.part_ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "INSERT INTO upload_sessions (
             user_id, id, secret_hash, length, midstate, role, part_ids, original_name, declared_type, metadata
           , sent_metadata, expected_sha256, idempotency_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        new.user.as_str(),
        new.id as UploadId,
        new.secret_hash.0.as_slice(),
        new.length as Option<ByteSize>,
        Checkpoint::start().state(),
        new.role as UploadRole,
        &part_ids,
        new.name.as_str(),
        new.declared as Option<FileType>,
        Json(new.metadata) as _,
        new.sent_metadata,
        new.expected_sha256.as_ref().map(|digest| digest.0.as_slice()),
        new.idempotency_key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The session that was made under this name, if one was.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn id_by_key(conn: &mut PgConnection, user: &UserId, key: &str) -> Result<Option<UploadId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: UploadId" FROM upload_sessions WHERE user_id = $1 AND idempotency_key = $2"#,
        user.as_str(),
        key,
    )
    .fetch_optional(conn)
    .await?)
}

/// Gives a session's URL another secret; the old one is worth nothing from then on.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_secret(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    hash: Sha256Digest,
) -> Result<()> {
    sqlx::query!(
        "UPDATE upload_sessions SET secret_hash = $3 WHERE user_id = $1 AND id = $2",
        user.as_str(),
        id as UploadId,
        hash.0.as_slice(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many resumable uploads of a user are open.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_open(conn: &mut PgConnection, user: &UserId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM uploads WHERE user_id = $1 AND instance_id IS NULL"#,
        user.as_str(),
    )
    .fetch_one(conn)
    .await?)
}

/// A writer's claim to an upload whose lock it holds.
#[derive(Debug)]
pub struct Claim<'a> {
    /// The owner.
    pub user: &'a UserId,
    /// The upload.
    pub id: UploadId,
    /// Where its bytes are.
    pub staging: &'a BlobKey,
    /// What is on disk.
    pub at: &'a Checkpoint,
    /// In which run of the kernel bytes will be written after it; `None` if they do not count until recorded.
    pub boot: Option<Boot>,
}

/// Records what a writer found and makes it the latest one. Answers its epoch; `None` when the upload is no longer
/// receiving, or goes on in another file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(conn: &mut PgConnection, claim: &Claim<'_>) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE upload_sessions s
              SET durable_offset = $3, midstate = $4, boot_id = $5, writer_epoch = s.writer_epoch + 1
             FROM uploads u
            WHERE s.user_id = $1 AND s.id = $2 AND u.user_id = s.user_id AND u.id = s.id AND u.state = 'receiving'
              AND u.staging_path = $6 AND s.durable_offset <= $3
        RETURNING s.writer_epoch"#,
        claim.user.as_str(),
        claim.id as UploadId,
        claim.at.offset() as ByteSize,
        claim.at.state(),
        claim.boot as Option<Boot>,
        claim.staging.as_str(),
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether a writer is still the latest one, of an upload that is still open.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_latest(conn: &mut PgConnection, user: &UserId, id: UploadId, epoch: i64) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM upload_sessions s JOIN uploads u USING (user_id, id)
                WHERE user_id = $1 AND id = $2 AND s.writer_epoch = $3 AND u.state = 'receiving') AS "is_latest!""#,
        user.as_str(),
        id as UploadId,
        epoch,
    )
    .fetch_one(conn)
    .await?)
}

/// A writer's progress.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The owner.
    pub user: &'a UserId,
    /// The upload.
    pub id: UploadId,
    /// The writer's epoch.
    pub epoch: i64,
    /// What is on disk.
    pub at: &'a Checkpoint,
    /// After which time it is given up if nothing more comes ...
    pub idle: Duration,
    /// ... and after which time since its creation in any case.
    pub life: Duration,
}

/// Records progress and moves the expiry. `false` when the writer is no longer the latest one, or the upload is no
/// longer open.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn checkpoint(conn: &mut PgConnection, new: &Progress<'_>) -> Result<bool> {
    let recorded = sqlx::query_scalar!(
        r#"WITH kept AS (
               UPDATE uploads
                  SET expires_at = least(now() + make_interval(secs => $6), created_at + make_interval(secs => $7))
                WHERE user_id = $1 AND id = $2 AND state = 'receiving' RETURNING 1)
           UPDATE upload_sessions SET durable_offset = $4, midstate = $5, touched_at = now()
             FROM kept
            WHERE user_id = $1 AND id = $2 AND writer_epoch = $3 AND durable_offset <= $4
        RETURNING 1 AS "one!""#,
        new.user.as_str(),
        new.id as UploadId,
        new.epoch,
        new.at.offset() as ByteSize,
        new.at.state(),
        new.idle.as_secs_f64(),
        new.life.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(recorded.is_some())
}

/// Lets nothing count that was written after the last checkpoint. Only the latest writer may say so; from an earlier one
/// it changes nothing.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn forget_tail(conn: &mut PgConnection, user: &UserId, id: UploadId, epoch: i64) -> Result<()> {
    sqlx::query!(
        "UPDATE upload_sessions SET boot_id = NULL WHERE user_id = $1 AND id = $2 AND writer_epoch = $3",
        user.as_str(),
        id as UploadId,
        epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says how long an upload is, which was not known so far. `false` when it was.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_length(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    length: ByteSize,
) -> Result<bool> {
    let set = sqlx::query!(
        "UPDATE upload_sessions SET length = $3
          WHERE user_id = $1 AND id = $2 AND length IS NULL AND durable_offset <= $3",
        user.as_str(),
        id as UploadId,
        length as ByteSize,
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// A file of this user, outside the trash, with this content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn stored_file(
    conn: &mut PgConnection,
    user: &UserId,
    sha256: &Sha256Digest,
    size: ByteSize,
) -> Result<Option<FileId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: FileId" FROM user_files
            WHERE user_id = $1 AND file_size = $3 AND sha256 = $2 AND deleted_at IS NULL
            ORDER BY id DESC LIMIT 1"#,
        user.as_str(),
        sha256.0.as_slice(),
        size as ByteSize,
    )
    .fetch_optional(conn)
    .await?)
}

/// Records which file an upload became, whole, in the transaction that adds the file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_file(conn: &mut PgConnection, user: &UserId, id: UploadId, file: FileId) -> Result<()> {
    sqlx::query!(
        "UPDATE upload_sessions SET file_id = $3, durable_offset = coalesce(length, durable_offset), touched_at = now()
          WHERE user_id = $1 AND id = $2",
        user.as_str(),
        id as UploadId,
        file as FileId,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a session that has ended. `false` when there is none, or it is open.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn forget(conn: &mut PgConnection, user: &UserId, id: UploadId) -> Result<bool> {
    let gone = sqlx::query!(
        "DELETE FROM upload_sessions s
          WHERE user_id = $1 AND id = $2
            AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.user_id = s.user_id AND u.id = s.id)",
        user.as_str(),
        id as UploadId,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected() == 1)
}

/// Forgets sessions that have ended and were not touched for so long, by Postgres' clock. Answers how many.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn forget_ended(conn: &mut PgConnection, kept: Duration) -> Result<u64> {
    let gone = sqlx::query!(
        "DELETE FROM upload_sessions s
          WHERE touched_at < now() - make_interval(secs => $1)
            AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.user_id = s.user_id AND u.id = s.id)",
        kept.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
