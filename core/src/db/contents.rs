//! `contents`: stored bytes with what they are, apart from the names that files give them.
//! Invariant: a content lives as long as a file shows it; triggers see to that, and repeat its facts in the rows of its
//! files. Its bytes never change.

use super::{Db, Ledger};
use crate::error::Result;
use crate::ids::{ContentId, FileId, UserId};
use crate::model::{ByteSize, ScanState};
use sqlx::PgConnection;

/// Files that get their content in one transaction.
const BATCH: i64 = 1000;

/// What a worker needs to know about a content.
#[derive(Debug, Clone)]
pub struct Content {
    /// Where its bytes are.
    pub key: String,
    /// Their number.
    pub size: ByteSize,
    /// Their media type.
    pub mime_type: String,
    /// Displayed width in pixels, after rotation.
    pub width: Option<i32>,
    /// Playing time in seconds.
    pub duration_seconds: Option<f64>,
}

/// One content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(conn: &mut PgConnection, user: &UserId, id: ContentId) -> Result<Option<Content>> {
    Ok(sqlx::query_as!(
        Content,
        r#"SELECT key, size AS "size: ByteSize", mime_type, width, duration_seconds
             FROM contents WHERE user_id = $1 AND id = $2"#,
        user.as_str(),
        id as ContentId,
    )
    .fetch_optional(conn)
    .await?)
}

/// Records whether browsers need a derivative to play a content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_needs_playback(ledger: &mut Ledger, id: ContentId, needs_playback: bool) -> Result<()> {
    sqlx::query!(
        "UPDATE contents SET needs_playback = $3
          WHERE user_id = $1 AND id = $2 AND needs_playback IS DISTINCT FROM $3",
        ledger.user().as_str(),
        id as ContentId,
        needs_playback,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Records the size and the length of a video or of audio, as far as they are not known already.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn complete_facts(
    ledger: &mut Ledger,
    id: ContentId,
    size: Option<(i32, i32)>,
    duration_seconds: Option<f64>,
) -> Result<()> {
    let (width, height) = size.unzip();
    sqlx::query!(
        "UPDATE contents
            SET width = coalesce(width, $3), height = coalesce(height, $4)
              , duration_seconds = coalesce(duration_seconds, $5)
          WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as ContentId,
        width,
        height,
        duration_seconds,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Marks a content that was never scanned as waiting for it. `false` when it was, or waits already.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn begin_scan(ledger: &mut Ledger, id: ContentId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE contents SET scan_state = $3 WHERE user_id = $1 AND id = $2 AND scan_state IS NULL",
        ledger.user().as_str(),
        id as ContentId,
        ScanState::Pending as ScanState,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Records what the virus scanner said about a content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_scan_state(ledger: &mut Ledger, id: ContentId, state: ScanState) -> Result<()> {
    sqlx::query!(
        "UPDATE contents SET scan_state = $3 WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as ContentId,
        state as ScanState,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Of these files' contents, those that no other file shows: they go with the files.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn shown_only_by(ledger: &mut Ledger, files: &[FileId]) -> Result<Vec<ContentId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT DISTINCT f.content_id AS "content_id!: ContentId"
             FROM user_files f
            WHERE f.user_id = $1 AND f.id = ANY($2)
              AND NOT EXISTS (SELECT FROM user_files other
                               WHERE other.user_id = $1 AND other.content_id = f.content_id AND other.id <> ALL($2))"#,
        ledger.user().as_str(),
        files as &[FileId],
    )
    .fetch_all(&mut **ledger)
    .await?)
}

/// Makes the rows of contents agree with the files that show them: the first of them is right. Without such a file a
/// content goes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn mend(ledger: &mut Ledger, ids: &[ContentId]) -> Result<()> {
    sqlx::query!(
        "WITH first AS (
             SELECT DISTINCT ON (content_id) * FROM user_files
              WHERE user_id = $1 AND content_id = ANY($2) ORDER BY content_id, id)
            , unshown AS (
             SELECT unnest($2::uuid[]) AS id EXCEPT SELECT content_id FROM first)
            , released AS (
             DELETE FROM contents WHERE user_id = $1 AND id IN (SELECT id FROM unshown))
            , unmade AS (
             DELETE FROM derivatives WHERE user_id = $1 AND file_id IN (SELECT id FROM unshown))
         INSERT INTO contents (user_id, id, bucket, key, size, sha256, mime_type, width, height, duration_seconds
                             , needs_playback, thumbhash, scan_state)
         SELECT user_id, content_id, bucket, file_path, file_size, sha256, mime_type, width, height, duration_seconds
              , needs_playback, thumbhash, scan_state
           FROM first
         ON CONFLICT (user_id, id) DO UPDATE
            SET bucket = excluded.bucket, key = excluded.key, size = excluded.size, sha256 = excluded.sha256
              , mime_type = excluded.mime_type",
        ledger.user().as_str(),
        ids as &[ContentId],
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Gives each file its content that the release before contents stored. Safe to repeat, and beside that release.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn fill(db: &Db) -> Result<()> {
    let mut after = String::new();
    loop {
        // One connection at a time: there may be no other.
        let next = user_to_fill(&mut *db.conn().await?, &after).await?;
        let Some(user) = next else { return Ok(()) };
        loop {
            let mut ledger = db.ledger(&user).await?;
            let shown = show_own(&mut ledger).await?;
            mend(&mut ledger, &shown).await?;
            ledger.commit().await?;
            if (shown.len() as i64) < BATCH {
                break;
            }
        }
        after = user.to_string();
    }
}

async fn user_to_fill(conn: &mut PgConnection, after: &str) -> Result<Option<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT s.user_id AS "user_id: UserId" FROM user_storage s
            WHERE s.user_id > $1
              AND EXISTS (SELECT FROM user_files f WHERE f.user_id = s.user_id AND f.content_id IS NULL)
            ORDER BY s.user_id LIMIT 1"#,
        after,
    )
    .fetch_optional(conn)
    .await?)
}

/// Lets files that show no content show one of their own.
async fn show_own(ledger: &mut Ledger) -> Result<Vec<ContentId>> {
    Ok(sqlx::query_scalar!(
        r#"UPDATE user_files SET content_id = id
            WHERE user_id = $1
              AND id IN (SELECT id FROM user_files WHERE user_id = $1 AND content_id IS NULL LIMIT $2)
        RETURNING content_id AS "content_id!: ContentId""#,
        ledger.user().as_str(),
        BATCH,
    )
    .fetch_all(&mut **ledger)
    .await?)
}
