//! `user_storage`: the ledger, one row a user. `total_bytes` and the counts beside it are kept by triggers;
//! `reserved_bytes` is kept by `db::uploads`. Never reads `user_files`, except to recount.

use super::Ledger;
use crate::error::Result;
use crate::ids::UserId;
use crate::model::{ByteSize, FileType, TypeUsage, Usage};
use sqlx::PgConnection;

struct UsageRow {
    user_id: UserId,
    max_bytes: ByteSize,
    total_bytes: ByteSize,
    reserved_bytes: ByteSize,
    file_count: i64,
    trash_bytes: ByteSize,
    trash_count: i64,
    video_bytes: ByteSize,
    video_count: i64,
    image_bytes: ByteSize,
    image_count: i64,
    scene_bytes: ByteSize,
    scene_count: i64,
    project_bytes: ByteSize,
    project_count: i64,
    audio_bytes: ByteSize,
    audio_count: i64,
}

impl From<UsageRow> for Usage {
    fn from(row: UsageRow) -> Self {
        let of = |bytes, count| TypeUsage { bytes, count };
        Self {
            user_id: row.user_id,
            total_bytes: row.total_bytes,
            reserved_bytes: row.reserved_bytes,
            max_bytes: row.max_bytes,
            trash_bytes: row.trash_bytes,
            file_count: row.file_count - row.trash_count,
            trash_count: row.trash_count,
            by_type: [
                (FileType::Video, of(row.video_bytes, row.video_count)),
                (FileType::Image, of(row.image_bytes, row.image_count)),
                (FileType::Scene, of(row.scene_bytes, row.scene_count)),
                (FileType::Project, of(row.project_bytes, row.project_count)),
                (FileType::Audio, of(row.audio_bytes, row.audio_count)),
            ],
        }
    }
}

/// A user's usage; `None` before they ever stored anything.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(conn: &mut PgConnection, user: &UserId) -> Result<Option<Usage>> {
    let row = sqlx::query_as!(
        UsageRow,
        r#"SELECT user_id AS "user_id: UserId", max_bytes AS "max_bytes: ByteSize", total_bytes AS "total_bytes: ByteSize"
                , reserved_bytes AS "reserved_bytes: ByteSize", file_count
                , trash_bytes AS "trash_bytes: ByteSize", trash_count
                , video_bytes AS "video_bytes: ByteSize", video_count
                , image_bytes AS "image_bytes: ByteSize", image_count
                , scene_bytes AS "scene_bytes: ByteSize", scene_count
                , project_bytes AS "project_bytes: ByteSize", project_count
                , audio_bytes AS "audio_bytes: ByteSize", audio_count
             FROM user_storage
            WHERE user_id = $1"#,
        user.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Usage::from))
}

/// Makes the user's row if there is none.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn ensure(conn: &mut PgConnection, user: &UserId, max: ByteSize) -> Result<()> {
    sqlx::query!(
        "INSERT INTO user_storage (user_id, max_bytes) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING",
        user.as_str(),
        max as ByteSize,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets a user's quota, making the row if there is none.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_quota(conn: &mut PgConnection, user: &UserId, max: ByteSize) -> Result<()> {
    sqlx::query!(
        "INSERT INTO user_storage (user_id, max_bytes) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET max_bytes = excluded.max_bytes, updated_at = now()",
        user.as_str(),
        max as ByteSize,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks a user as deleted, with a quota of nothing and every signed URL revoked. Makes the row if there is none: it is
/// what a late sign of life meets.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_deleted(conn: &mut PgConnection, user: &UserId) -> Result<()> {
    sqlx::query!(
        "INSERT INTO user_storage (user_id, max_bytes, deleted_at) VALUES ($1, 0, now())
         ON CONFLICT (user_id) DO UPDATE
             SET max_bytes = 0, url_epoch = user_storage.url_epoch + 1, deleted_at = now(), updated_at = now()",
        user.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a user was deleted.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn is_deleted(conn: &mut PgConnection, user: &UserId) -> Result<bool> {
    let deleted = sqlx::query_scalar!(
        r#"SELECT deleted_at IS NOT NULL AS "is_deleted!" FROM user_storage WHERE user_id = $1"#,
        user.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(deleted.unwrap_or(false))
}

/// Takes the user's row for the rest of the transaction; see [`super::Ledger`]. `false` when there is none.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn lock(conn: &mut PgConnection, user: &UserId) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT 1 AS "one!" FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE"#,
        user.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

/// Sums over all users.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    /// Users with a row.
    pub users: i64,
    /// Stored bytes, trash included.
    pub used: ByteSize,
    /// Sum of quotas.
    pub quota: ByteSize,
    /// Files outside the trash.
    pub files: i64,
}

/// Sums over all users, for administrators.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn totals(conn: &mut PgConnection) -> Result<Totals> {
    Ok(sqlx::query_as!(
        Totals,
        r#"SELECT count(*) AS "users!"
                , least(coalesce(sum(total_bytes), 0), 9223372036854775807)::bigint AS "used!: ByteSize"
                , least(coalesce(sum(max_bytes), 0), 9223372036854775807)::bigint AS "quota!: ByteSize"
                , coalesce(sum(file_count - trash_count), 0)::bigint AS "files!"
             FROM user_storage"#
    )
    .fetch_one(conn)
    .await?)
}

/// A user's line in an administrator's list.
#[derive(Debug, Clone)]
pub struct UserLine {
    /// The user.
    pub user_id: UserId,
    /// Stored bytes, trash included.
    pub total_bytes: ByteSize,
    /// Promised bytes.
    pub reserved_bytes: ByteSize,
    /// The quota.
    pub max_bytes: ByteSize,
    /// Files outside the trash.
    pub file_count: i64,
    /// When the row was made.
    pub created_at: time::OffsetDateTime,
}

/// Users with storage after `after` in the order of their ids, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(conn: &mut PgConnection, after: Option<&UserId>, limit: i64) -> Result<Vec<UserLine>> {
    Ok(sqlx::query_as!(
        UserLine,
        r#"SELECT user_id AS "user_id: UserId", total_bytes AS "total_bytes: ByteSize"
                , reserved_bytes AS "reserved_bytes: ByteSize", max_bytes AS "max_bytes: ByteSize"
                , file_count - trash_count AS "file_count!", created_at
             FROM user_storage
            WHERE user_id > $1
            ORDER BY user_id
            LIMIT $2"#,
        after.map_or("", UserId::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Bytes and files outside the trash by type, over all users.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn totals_by_type(conn: &mut PgConnection) -> Result<[(FileType, TypeUsage); 5]> {
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(video_bytes), 0)::bigint AS "video_bytes!: ByteSize", coalesce(sum(video_count), 0)::bigint AS "video_count!"
                , coalesce(sum(image_bytes), 0)::bigint AS "image_bytes!: ByteSize", coalesce(sum(image_count), 0)::bigint AS "image_count!"
                , coalesce(sum(scene_bytes), 0)::bigint AS "scene_bytes!: ByteSize", coalesce(sum(scene_count), 0)::bigint AS "scene_count!"
                , coalesce(sum(project_bytes), 0)::bigint AS "project_bytes!: ByteSize", coalesce(sum(project_count), 0)::bigint AS "project_count!"
                , coalesce(sum(audio_bytes), 0)::bigint AS "audio_bytes!: ByteSize", coalesce(sum(audio_count), 0)::bigint AS "audio_count!"
             FROM user_storage"#
    )
    .fetch_one(conn)
    .await?;
    let of = |bytes, count| TypeUsage { bytes, count };
    Ok([
        (FileType::Video, of(row.video_bytes, row.video_count)),
        (FileType::Image, of(row.image_bytes, row.image_count)),
        (FileType::Scene, of(row.scene_bytes, row.scene_count)),
        (FileType::Project, of(row.project_bytes, row.project_count)),
        (FileType::Audio, of(row.audio_bytes, row.audio_count)),
    ])
}

/// Counts a user's rows again into the ledger.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn recount(ledger: &mut Ledger) -> Result<()> {
    sqlx::query!(
        "WITH files AS (
             SELECT coalesce(sum(file_size), 0)::bigint AS total_bytes, count(*) AS file_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NOT NULL), 0)::bigint AS trash_bytes
                  , count(*) FILTER (WHERE deleted_at IS NOT NULL) AS trash_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'video'), 0)::bigint AS video_bytes
                  , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'video') AS video_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'image'), 0)::bigint AS image_bytes
                  , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'image') AS image_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'scene'), 0)::bigint AS scene_bytes
                  , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'scene') AS scene_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'project'), 0)::bigint AS project_bytes
                  , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'project') AS project_count
                  , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'audio'), 0)::bigint AS audio_bytes
                  , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'audio') AS audio_count
               FROM user_files WHERE user_id = $1)
         UPDATE user_storage s
            SET total_bytes = f.total_bytes, file_count = f.file_count
              , trash_bytes = f.trash_bytes, trash_count = f.trash_count
              , video_bytes = f.video_bytes, video_count = f.video_count
              , image_bytes = f.image_bytes, image_count = f.image_count
              , scene_bytes = f.scene_bytes, scene_count = f.scene_count
              , project_bytes = f.project_bytes, project_count = f.project_count
              , audio_bytes = f.audio_bytes, audio_count = f.audio_count
              , reserved_bytes = (SELECT coalesce(sum(reserved_bytes), 0)::bigint FROM uploads WHERE user_id = $1)
              , updated_at = now()
           FROM files f
          WHERE s.user_id = $1",
        ledger.user().as_str(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}
