//! `uploads`: files on their way in, and the reservations they hold in the ledger.
//! Invariant: a user's `reserved_bytes` is the sum of their uploads' rows; every statement here changes both or neither.
//! Never touches the volume.

use crate::error::Result;
use crate::ids::{FileId, InstanceId, UploadId, UserId};
use crate::model::{BlobKey, ByteSize};
use sqlx::PgConnection;
use std::time::Duration;

/// What a new upload needs to be known for.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// The upload.
    pub id: UploadId,
    /// The id its file will have.
    pub file_id: FileId,
    /// Where its bytes are while they arrive.
    pub staging: BlobKey,
    /// Where they go.
    pub final_key: BlobKey,
    /// The process that receives them; `None` for a resumable upload, which any process may continue.
    pub instance: Option<InstanceId>,
    /// Bytes to reserve.
    pub want: ByteSize,
    /// Fewest bytes worth starting with.
    pub at_least: ByteSize,
    /// After which time it is given up, by Postgres' clock.
    pub expires_in: Duration,
}

/// Reserves and records uploads of one user in one statement, all or none. `None` when the quota does not hold `at_least`,
/// when the user's files and those under way would be more than `max_files`, or when the user has no row; otherwise the
/// bytes reserved: `want`, or all that is left of the quota if that is less. Only one that comes alone takes less.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn create(
    conn: &mut PgConnection,
    user: &UserId,
    new: &[&NewUpload],
    max_files: i64,
) -> Result<Option<Vec<ByteSize>>> {
    let sum = |bytes: fn(&NewUpload) -> ByteSize| {
        new.iter().fold(ByteSize::ZERO, |sum, one| sum.saturating_add(bytes(one)))
    };
    let want = sum(|one| one.want);
    let at_least = if let [one] = new { one.at_least } else { want };
    let rows = sqlx::query!(
        r#"WITH room AS (
               SELECT user_id, max_bytes - total_bytes - reserved_bytes AS bytes, file_count
                 FROM user_storage WHERE user_id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE)
         , granted AS (
               UPDATE user_storage s
                  SET reserved_bytes = s.reserved_bytes + least($2, room.bytes), updated_at = now()
                 FROM room
                WHERE s.user_id = room.user_id AND room.bytes >= $3
                  AND room.file_count + cardinality($5::uuid[])
                    + (SELECT count(*) FROM uploads u
                        WHERE u.user_id = $1
                          AND NOT EXISTS (SELECT 1 FROM upload_sessions p
                                           WHERE p.user_id = u.user_id AND p.id = u.id AND p.role = 'part')) <= $4
            RETURNING least($2, room.bytes) AS bytes)
           INSERT INTO uploads (user_id, id, file_id, reserved_bytes, staging_path, final_path, instance_id, expires_at)
           SELECT $1, new.id, new.file_id, least(new.bytes, granted.bytes), new.staging_path, new.final_path
                , new.instance_id, now() + make_interval(secs => new.seconds)
             FROM granted
                , unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::text[], $9::text[], $10::uuid[], $11::float8[])
                  new (id, file_id, bytes, staging_path, final_path, instance_id, seconds)
        RETURNING id AS "id: UploadId", reserved_bytes AS "reserved_bytes: ByteSize""#,
        user.as_str(),
        want as ByteSize,
        at_least as ByteSize,
        max_files,
        &new.iter().map(|one| one.id.0).collect::<Vec<_>>(),
        &new.iter().map(|one| one.file_id.0).collect::<Vec<_>>(),
        &new.iter().map(|one| one.want).collect::<Vec<_>>() as _,
        &new.iter().map(|one| one.staging.as_str()).collect::<Vec<_>>() as _,
        &new.iter().map(|one| one.final_key.as_str()).collect::<Vec<_>>() as _,
        &new.iter().map(|one| one.instance).collect::<Vec<_>>() as _,
        &new.iter().map(|one| one.expires_in.as_secs_f64()).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    let granted = |new: &&NewUpload| rows.iter().find(|row| row.id == new.id).map(|row| row.reserved_bytes);
    Ok(new.iter().map(granted).collect())
}

/// Records an upload whose bytes are reserved already, by the parts that it is joined from, or count for nothing yet.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn create_reserved(conn: &mut PgConnection, user: &UserId, new: &NewUpload) -> Result<()> {
    sqlx::query!(
        "INSERT INTO uploads (user_id, id, file_id, reserved_bytes, staging_path, final_path, instance_id, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))",
        user.as_str(),
        new.id as UploadId,
        new.file_id as FileId,
        new.want as ByteSize,
        new.staging.as_str(),
        new.final_key.as_str(),
        new.instance as Option<InstanceId>,
        new.expires_in.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets an upload's reservation to exactly `bytes`, up or down. `false` when the quota does not hold it.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn resize(conn: &mut PgConnection, user: &UserId, id: UploadId, bytes: ByteSize) -> Result<bool> {
    let resized = sqlx::query_scalar!(
        r#"WITH ledger AS MATERIALIZED (SELECT user_id FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE)
         , held AS MATERIALIZED (
               SELECT u.reserved_bytes AS bytes FROM ledger JOIN uploads u USING (user_id) WHERE u.id = $2 FOR UPDATE OF u)
         , granted AS (
               UPDATE user_storage s
                  SET reserved_bytes = s.reserved_bytes - held.bytes + $3, updated_at = now()
                 FROM held
                WHERE s.user_id = $1
                  AND ($3 <= held.bytes OR s.total_bytes + s.reserved_bytes - held.bytes + $3 <= s.max_bytes)
            RETURNING 1)
           UPDATE uploads SET reserved_bytes = $3
             FROM granted
            WHERE user_id = $1 AND id = $2
        RETURNING 1 AS "one!""#,
        user.as_str(),
        id as UploadId,
        bytes as ByteSize,
    )
    .fetch_optional(conn)
    .await?;
    Ok(resized.is_some())
}

/// An upload that gets its owner after it has arrived.
#[derive(Debug)]
pub struct NewOwner<'a> {
    /// Who kept it, with nothing reserved.
    pub from: &'a UserId,
    /// The upload.
    pub id: UploadId,
    /// Whose it is.
    pub to: &'a UserId,
    /// What to reserve for it.
    pub bytes: ByteSize,
}

/// Moves an upload to its owner's ledger and reserves its bytes there. `false` when their quota does not hold them, or
/// the upload is no longer `receiving`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn assign(conn: &mut PgConnection, new: &NewOwner<'_>) -> Result<bool> {
    let assigned = sqlx::query_scalar!(
        r#"WITH granted AS (
               UPDATE user_storage s
                  SET reserved_bytes = s.reserved_bytes + $4, updated_at = now()
                WHERE s.user_id = $3 AND s.total_bytes + s.reserved_bytes + $4 <= s.max_bytes
                  AND EXISTS (SELECT 1 FROM uploads u
                               WHERE u.user_id = $1 AND u.id = $2 AND u.state = 'receiving' AND u.reserved_bytes = 0)
            RETURNING 1)
           UPDATE uploads SET user_id = $3, reserved_bytes = $4
             FROM granted
            WHERE user_id = $1 AND id = $2
        RETURNING 1 AS "one!""#,
        new.from.as_str(),
        new.id as UploadId,
        new.to.as_str(),
        new.bytes as ByteSize,
    )
    .fetch_optional(conn)
    .await?;
    Ok(assigned.is_some())
}

/// Settles where the file that was received under `staging` goes, before it is renamed. `false` when the upload is no
/// longer `receiving`, or goes on under another name.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_final_path(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    staging: &BlobKey,
    to: &BlobKey,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE uploads SET final_path = $4, state = 'finalizing'
          WHERE user_id = $1 AND id = $2 AND staging_path = $3 AND state = 'receiving'",
        user.as_str(),
        id as UploadId,
        staging.as_str(),
        to.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets an upload go on under another staging name: a writer under the old one can record nothing any more.
/// `false` when it is no longer `receiving` there.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_staging(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    from: &BlobKey,
    to: &BlobKey,
) -> Result<bool> {
    let moved = sqlx::query_scalar!(
        r#"WITH moved AS (
               UPDATE uploads SET staging_path = $4
                WHERE user_id = $1 AND id = $2 AND staging_path = $3 AND state = 'receiving' RETURNING id)
           UPDATE upload_sessions SET writer_epoch = writer_epoch + 1
             FROM moved
            WHERE user_id = $1 AND upload_sessions.id = moved.id
        RETURNING 1 AS "one!""#,
        user.as_str(),
        id as UploadId,
        from.as_str(),
        to.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(moved.is_some())
}

/// Names where an upload's file may appear while it still takes bytes. `false` when it does not.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn name_final(conn: &mut PgConnection, user: &UserId, id: UploadId, to: &BlobKey) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE uploads SET final_path = $3 WHERE user_id = $1 AND id = $2 AND state = 'receiving'",
        user.as_str(),
        id as UploadId,
        to.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Why an upload is given up. Asked again of its row when it is: what made somebody decide may be over by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its client, its receiver or an operator wants it gone, whatever its state.
    Wanted,
    /// Its time is over, or it was given up before and its bytes are still there.
    Expired,
    /// The process that received it is gone.
    Abandoned(InstanceId),
}

/// Takes an upload out of its receiver's hands before its bytes are removed, and answers the paths that they may have.
/// `None` when it is complete or gone, or the reason does not hold any more. Safe to repeat.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_cancelling(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    reason: Reason,
) -> Result<Option<[BlobKey; 2]>> {
    let receiver = match reason {
        Reason::Abandoned(instance) => Some(instance),
        Reason::Wanted | Reason::Expired => None,
    };
    let row = sqlx::query!(
        "UPDATE uploads SET state = 'cancelling'
          WHERE user_id = $1 AND id = $2
            AND (NOT $3 OR expires_at < now() OR state = 'cancelling')
            AND ($4::uuid IS NULL OR instance_id = $4)
      RETURNING staging_path, final_path",
        user.as_str(),
        id as UploadId,
        reason == Reason::Expired,
        receiver as Option<InstanceId>,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok([BlobKey::parse(&row.staging_path)?, BlobKey::parse(&row.final_path)?])).transpose()
}

/// How an upload ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its file's row is inserted in the same transaction.
    Complete,
    /// Its bytes are gone from the volume.
    Cancelled,
}

/// Removes an upload and gives back what it reserved. Answers how many files the user has, whose row is then held;
/// `None` when the upload has ended already, or the other way: nothing is given back twice.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn end(
    conn: &mut PgConnection,
    user: &UserId,
    id: UploadId,
    ending: Ending,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        r#"WITH ledger AS MATERIALIZED (SELECT user_id FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE)
         , gone AS (
               DELETE FROM uploads u USING ledger
                WHERE u.user_id = ledger.user_id AND u.id = $2 AND (u.state = 'cancelling') = $3
            RETURNING u.reserved_bytes)
           UPDATE user_storage s
              SET reserved_bytes = s.reserved_bytes - gone.reserved_bytes, updated_at = now()
             FROM gone
            WHERE s.user_id = $1
        RETURNING s.file_count"#,
        user.as_str(),
        id as UploadId,
        ending == Ending::Cancelled,
    )
    .fetch_optional(conn)
    .await?)
}

/// An open upload as the janitor sees it.
#[derive(Debug, Clone)]
pub struct OpenUpload {
    /// The upload.
    pub id: UploadId,
    /// Its owner.
    pub user_id: UserId,
    /// The process that receives it; `None` for a resumable upload.
    pub instance_id: Option<InstanceId>,
    /// Whether its time is over, or was ended by its client and its bytes are still there.
    pub is_expired: bool,
    /// Whether its client has nothing more to do: only its file is missing.
    pub is_due: bool,
}

/// Open uploads of every user in the order of their keys, after `after`, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list_open(
    conn: &mut PgConnection,
    after: Option<&(UserId, UploadId)>,
    limit: i64,
) -> Result<Vec<OpenUpload>> {
    Ok(sqlx::query_as!(
        OpenUpload,
        r#"SELECT u.id AS "id: UploadId", u.user_id AS "user_id: UserId", u.instance_id AS "instance_id: InstanceId"
                , (u.expires_at < now() OR (u.instance_id IS NULL AND u.state = 'cancelling')) AS "is_expired!"
                , coalesce(u.state <> 'cancelling'
                       AND (s.role = 'joined' OR (s.role = 'file' AND s.durable_offset = s.length)), false) AS "is_due!"
             FROM uploads u
             LEFT JOIN upload_sessions s ON s.user_id = u.user_id AND s.id = u.id
            WHERE (u.user_id, u.id) > ($1, $2)
            ORDER BY u.user_id, u.id
            LIMIT $3"#,
        after.map_or("", |(user, _)| user.as_str()),
        after.map_or(uuid::Uuid::nil(), |(_, id)| id.0),
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A user's open uploads.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn ids_of(conn: &mut PgConnection, user: &UserId) -> Result<Vec<UploadId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: UploadId" FROM uploads WHERE user_id = $1 ORDER BY id"#,
        user.as_str(),
    )
    .fetch_all(conn)
    .await?)
}

/// How many of a user's open uploads become a file of their own.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn count_files(conn: &mut PgConnection, user: &UserId) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM uploads u
            WHERE u.user_id = $1
              AND NOT EXISTS (SELECT 1 FROM upload_sessions p
                               WHERE p.user_id = u.user_id AND p.id = u.id AND p.role = 'part')"#,
        user.as_str(),
    )
    .fetch_one(conn)
    .await?)
}

/// Bytes promised to open uploads and how many there are, over all users.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn open_totals(conn: &mut PgConnection) -> Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", coalesce(sum(reserved_bytes), 0)::bigint AS "bytes!" FROM uploads"#
    )
    .fetch_one(conn)
    .await?;
    Ok((row.count, row.bytes))
}
