//! Facts about a file that are determined after its upload. None of them is a change that its user made.

use super::Ledger;
use crate::error::Result;
use crate::ids::FileId;
use crate::model::ScanState;

/// Records whether browsers need a derivative to play a file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_needs_playback(ledger: &mut Ledger, id: FileId, needs_playback: bool) -> Result<()> {
    sqlx::query!(
        "UPDATE user_files SET needs_playback = $3 WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as FileId,
        needs_playback,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Records the size and the length of a video or an audio file, as far as they are not known already.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn complete_facts(
    ledger: &mut Ledger,
    id: FileId,
    size: Option<(i32, i32)>,
    duration_seconds: Option<f64>,
) -> Result<()> {
    let (width, height) = size.unzip();
    sqlx::query!(
        "UPDATE user_files
            SET width = coalesce(width, $3), height = coalesce(height, $4)
              , duration_seconds = coalesce(duration_seconds, $5)
          WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as FileId,
        width,
        height,
        duration_seconds,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Records a file's ThumbHash, a preview of about 25 bytes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_thumbhash(ledger: &mut Ledger, id: FileId, thumbhash: &[u8]) -> Result<()> {
    sqlx::query!(
        "UPDATE user_files SET thumbhash = $3
          WHERE user_id = $1 AND id = $2 AND thumbhash IS DISTINCT FROM $3",
        ledger.user().as_str(),
        id as FileId,
        thumbhash,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}

/// Records what the virus scanner said about a file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn set_scan_state(ledger: &mut Ledger, id: FileId, state: ScanState) -> Result<()> {
    sqlx::query!(
        "UPDATE user_files SET scan_state = $3 WHERE user_id = $1 AND id = $2",
        ledger.user().as_str(),
        id as FileId,
        state as ScanState,
    )
    .execute(&mut **ledger)
    .await?;
    Ok(())
}
