//! `derivatives`: what was made of a content, or why it could not be. The column `file_id` is the content's id; it has its
//! name from the time when each file had its own.
//! Invariant: a row names its path before the path exists. Never touches the volume, never decides what to make.

use super::Ledger;
use super::row_enum::Known;
use crate::error::Result;
use crate::ids::{ContentId, FileId, UserId};
use crate::model::{BlobKey, ByteSize, Derivative, DerivativeKind, DerivativeState, UrlEpochs};
use sqlx::PgConnection;
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Why a derivative is not shown that is in a state of a newer release.
const NEWER: &str = "a newer release of the service takes care of it";

/// Names one derivative.
#[derive(Debug, Clone)]
pub struct Name<'a> {
    /// The content's owner.
    pub user: &'a UserId,
    /// The content.
    pub content: ContentId,
    /// Which derivative.
    pub kind: DerivativeKind,
    /// In which format.
    pub mime_type: &'static str,
}

/// A derivative with what a reader of it must know about its file, in one query.
#[derive(Debug, Clone)]
pub struct Found {
    /// The content that the file shows.
    pub content: ContentId,
    /// How far it is; `None` when it was never asked for.
    pub state: Option<DerivativeState>,
    /// Whether somebody makes it right now.
    pub is_leased: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// Where it is.
    pub path: Option<String>,
    /// Its size once it is ready.
    pub size: Option<ByteSize>,
    /// When it was made.
    pub updated_at: Option<OffsetDateTime>,
    /// Whether the file is in the trash.
    pub is_trashed: bool,
    /// Epochs that a signed URL must carry.
    pub url_epochs: UrlEpochs,
}

/// Looks a derivative up together with its file; `None` when there is no such file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(
    conn: &mut PgConnection,
    (user, file): (&UserId, FileId),
    (kind, mime_type): (DerivativeKind, &str),
) -> Result<Option<Found>> {
    let row = sqlx::query!(
        r#"SELECT d.state AS "state?: Known<DerivativeState>", d.error, d.path AS "path?", d.file_size AS "size: ByteSize"
                , d.updated_at AS "updated_at?", f.deleted_at IS NOT NULL AS "is_trashed!"
                , coalesce(d.state = 'pending' AND d.lease_expires_at >= now(), false) AS "is_leased!"
                , f.content_id AS "content_id!: ContentId", f.url_epoch, s.url_epoch AS user_url_epoch
             FROM user_files f
             JOIN user_storage s ON s.user_id = f.user_id
             LEFT JOIN derivatives d ON d.user_id = f.user_id AND d.file_id = f.content_id AND d.kind = $3
                                    AND d.mime_type = $4
            WHERE f.user_id = $1 AND f.id = $2"#,
        user.as_str(),
        file as FileId,
        kind.as_str(),
        mime_type,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Found {
        content: row.content_id,
        // A state of a newer release: this one can neither show it nor bring it to an end.
        state: row.state.map(|known| known.0.unwrap_or(DerivativeState::Failed)),
        is_leased: row.is_leased,
        error: row
            .error
            .or_else(|| row.state.is_some_and(|known| known.0.is_none()).then(|| NEWER.to_owned())),
        path: row.path,
        size: row.size,
        updated_at: row.updated_at,
        is_trashed: row.is_trashed,
        url_epochs: UrlEpochs { user: row.user_url_epoch, file: row.url_epoch },
    }))
}

/// One derivative; `None` when it was never asked for, or is of a newer release.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(conn: &mut PgConnection, name: &Name<'_>) -> Result<Option<Derivative>> {
    let made = of_contents(conn, name.user, &[name.content]).await?.remove(&name.content).unwrap_or_default();
    Ok(made.into_iter().find(|made| made.kind == name.kind && made.mime_type == name.mime_type))
}

/// The derivatives of some of a user's contents, by content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn of_contents(
    conn: &mut PgConnection,
    user: &UserId,
    contents: &[ContentId],
) -> Result<HashMap<ContentId, Vec<Derivative>>> {
    let rows = sqlx::query!(
        r#"SELECT file_id AS "content_id: ContentId", kind AS "kind: Known<DerivativeKind>", mime_type
                , state AS "state: Known<DerivativeState>", progress, error, path
             FROM derivatives
            WHERE user_id = $1 AND file_id = ANY($2)"#,
        user.as_str(),
        contents as &[ContentId],
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<ContentId, Vec<Derivative>> = HashMap::with_capacity(contents.len());
    for row in rows {
        let (Known(Some(kind)), Known(Some(state))) = (row.kind, row.state) else { continue };
        let derivative = Derivative {
            kind,
            mime_type: row.mime_type,
            state,
            progress: row.progress,
            error: row.error,
            path: row.path,
        };
        found.entry(row.content_id).or_default().push(derivative);
    }
    Ok(found)
}

/// Records that a derivative is to be made, and where. Keeps an existing row as it is; does nothing without the content.
/// Whether it was asked for the first time.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn request(ledger: &mut Ledger, name: &Name<'_>, key: &BlobKey) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO derivatives (user_id, file_id, kind, mime_type, path)
         SELECT c.user_id, c.id, $3, $4, $5 FROM contents c WHERE c.user_id = $1 AND c.id = $2
         ON CONFLICT DO NOTHING",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
        key.as_str(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records that a derivative is made, and where, and takes the lease to make it, in one statement that takes the user's row
/// in the ledger first. Keeps an existing row's path. `false` when it is made, failed, or somebody else makes it, and
/// without the content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    conn: &mut PgConnection,
    name: &Name<'_>,
    key: &BlobKey,
    lease_for: Duration,
) -> Result<bool> {
    let claimed = sqlx::query_scalar!(
        r#"WITH ledger AS MATERIALIZED (
               SELECT user_id FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE)
         -- Locked, so that one that went while the statement waited for the ledger is not seen any more.
         , content AS MATERIALIZED (
               SELECT c.user_id, c.id FROM ledger JOIN contents c USING (user_id) WHERE c.id = $2 FOR KEY SHARE OF c)
           INSERT INTO derivatives AS d (user_id, file_id, kind, mime_type, path, lease_expires_at)
           SELECT user_id, id, $3, $4, $5, now() + make_interval(secs => $6) FROM content
               ON CONFLICT (user_id, file_id, kind, mime_type) DO UPDATE
              SET lease_expires_at = excluded.lease_expires_at
            WHERE d.state = 'pending' AND (d.lease_expires_at IS NULL OR d.lease_expires_at < now())
        RETURNING 1 AS "one!""#,
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
        key.as_str(),
        lease_for.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(claimed.is_some())
}

/// Releases the lease of a derivative that was not made, after a failure that may pass.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn give_back(ledger: &mut Ledger, name: &Name<'_>) -> Result<()> {
    sqlx::query!(
        "UPDATE derivatives SET progress = NULL, lease_expires_at = NULL
          WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND mime_type = $4 AND state = 'pending'",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// What is known of a derivative that is on the volume.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    /// Its size.
    pub size: ByteSize,
    /// What a person should know about it.
    pub remark: Option<&'a str>,
    /// The ThumbHash of its content, a preview of about 25 bytes, if making it told that.
    pub thumbhash: Option<&'a [u8]>,
}

/// Records that a derivative is on the volume, in one statement that takes the user's row in the ledger first. `false` when
/// its content is gone meanwhile.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_ready(conn: &mut PgConnection, name: &Name<'_>, ready: Ready<'_>) -> Result<bool> {
    let done = sqlx::query!(
        "WITH ledger AS MATERIALIZED (
               SELECT user_id FROM user_storage WHERE user_id = $1 FOR NO KEY UPDATE)
         , content AS (
               UPDATE contents c SET thumbhash = $7
                 FROM ledger
                WHERE c.user_id = ledger.user_id AND c.id = $2 AND c.thumbhash IS DISTINCT FROM $7 AND $7 IS NOT NULL)
           UPDATE derivatives d
              SET state = 'ready', error = $6, file_size = $5, progress = NULL, lease_expires_at = NULL, updated_at = now()
             FROM ledger
            WHERE d.user_id = ledger.user_id AND d.file_id = $2 AND d.kind = $3 AND d.mime_type = $4",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
        ready.size as ByteSize,
        ready.remark,
        ready.thumbhash,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records why a derivative could not be made. A ready one stays ready.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_failed(ledger: &mut Ledger, name: &Name<'_>, reason: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE derivatives SET state = 'failed', error = $5, progress = NULL, lease_expires_at = NULL, updated_at = now()
          WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND mime_type = $4 AND state = 'pending'",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
        reason,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Records how much of a derivative is made and renews its lease. `false` when it was cancelled.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_progress(
    ledger: &mut Ledger,
    name: &Name<'_>,
    percent: u8,
    lease_for: Duration,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE derivatives SET progress = $5, lease_expires_at = now() + make_interval(secs => $6)
          WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND mime_type = $4 AND state = 'pending'",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
        i16::from(percent),
        lease_for.as_secs_f64(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a failed derivative be tried again, in every format.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn forgive(ledger: &mut Ledger, content: ContentId, kind: DerivativeKind) -> Result<()> {
    sqlx::query!(
        "UPDATE derivatives SET state = 'pending', error = NULL, updated_at = now()
          WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND state = 'failed'",
        ledger.user().as_str(),
        content as ContentId,
        kind.as_str(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Removes the row of a derivative, whatever its state. Answers the path that it may use.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn remove(ledger: &mut Ledger, name: &Name<'_>) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "DELETE FROM derivatives WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND mime_type = $4 RETURNING path",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
    )
    .fetch_optional(&mut **ledger)
    .await?)
}

/// What a content has of one derivative.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The content, which a file outside the trash shows.
    pub content: ContentId,
    /// Its media type.
    pub mime_type: String,
    /// Whether browsers need a derivative to play it; `None` when nobody has looked.
    pub needs_playback: Option<bool>,
    /// Whether it has a ThumbHash, a preview to show before its thumbnail has loaded.
    pub has_thumbhash: bool,
    /// How far the derivative is; `None` when it was never asked for.
    pub state: Option<DerivativeState>,
    /// When it came to that state.
    pub updated_at: Option<OffsetDateTime>,
}

/// What the contents of a user's files outside the trash have of one derivative, in the order of their ids, after
/// `after`, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn candidates(
    conn: &mut PgConnection,
    user: &UserId,
    (kind, mime_type): (DerivativeKind, &str),
    after: Option<ContentId>,
    limit: i64,
) -> Result<Vec<Candidate>> {
    let rows = sqlx::query!(
        r#"SELECT c.id AS "content: ContentId", c.mime_type, c.needs_playback
                , c.thumbhash IS NOT NULL AS "has_thumbhash!", d.state AS "state?: Known<DerivativeState>"
                , d.updated_at AS "updated_at?"
             FROM contents c
             LEFT JOIN derivatives d ON d.user_id = c.user_id AND d.file_id = c.id AND d.kind = $2 AND d.mime_type = $3
            WHERE c.user_id = $1 AND c.id > $4
              -- Not EXISTS, for which each page would read all files of the user.
              AND (SELECT true FROM user_files f
                    WHERE f.user_id = c.user_id AND f.content_id = c.id AND f.deleted_at IS NULL LIMIT 1)
            ORDER BY c.id
            LIMIT $5"#,
        user.as_str(),
        kind.as_str(),
        mime_type,
        after.map_or(Uuid::nil(), |id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let candidates = rows.into_iter().map(|row| Candidate {
        content: row.content,
        mime_type: row.mime_type,
        needs_playback: row.needs_playback,
        has_thumbhash: row.has_thumbhash,
        // What a newer release is at is left alone like everything that waits.
        state: row.state.map(|known| known.0.unwrap_or(DerivativeState::Pending)),
        updated_at: row.updated_at,
    });
    Ok(candidates.collect())
}

/// Lets a derivative be made again, whatever became of it.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn reset(ledger: &mut Ledger, name: &Name<'_>) -> Result<()> {
    sqlx::query!(
        "UPDATE derivatives
            SET state = 'pending', file_size = NULL, error = NULL, lease_expires_at = NULL, updated_at = now()
          WHERE user_id = $1 AND file_id = $2 AND kind = $3 AND mime_type = $4 AND state <> 'pending'",
        name.user.as_str(),
        name.content as ContentId,
        name.kind.as_str(),
        name.mime_type,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Every path that derivatives of these contents may use on the volume, made or not.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn paths_of(ledger: &mut Ledger, contents: &[ContentId]) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT path FROM derivatives WHERE user_id = $1 AND file_id = ANY($2)",
        ledger.user().as_str(),
        contents as &[ContentId],
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Lets a ready derivative be made again, because its bytes are lost. Answers its kind; `None` when it is not ready any
/// more.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn renew(ledger: &mut Ledger, content: ContentId, path: &str) -> Result<Option<DerivativeKind>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE derivatives SET state = 'pending', file_size = NULL, lease_expires_at = NULL, updated_at = now()
            WHERE user_id = $1 AND file_id = $2 AND path = $3 AND state = 'ready' AND kind = ANY($4)
        RETURNING kind AS "kind: DerivativeKind""#,
        ledger.user().as_str(),
        content as ContentId,
        path,
        &DerivativeKind::ALL.map(|kind| kind.as_str().to_owned()),
    )
    .fetch_optional(&mut **ledger)
    .await?)
}
