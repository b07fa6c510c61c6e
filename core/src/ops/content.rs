//! Size and length of videos and audio files that their headers did not tell at the upload: asked of ffprobe, by the worker.
//! Never changes what is known already.

use crate::app::App;
use crate::db::{self, retrying};
use crate::error::Result;
use crate::ids::{FileId, UserId};
use crate::media;
use crate::model::{BlobKey, File};
use crate::ops::browse;

/// Finds out what is not known about a file, if it is a video or an audio file.
///
/// # Crash
/// Before the row is changed: the next one who has something to do with the file asks again.
///
/// # Errors
/// [`NotFound`](crate::Error::NotFound) when the file is gone; when Postgres or the volume does not answer. A file that
/// does not tell either is none.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn complete(app: &App, user: &UserId, id: FileId) -> Result<()> {
    let file = browse::stored(app, user, id).await?;
    if !is_incomplete(&file) {
        return Ok(());
    }
    let source = app.blobs.open_blob(&BlobKey::parse(&file.file_path)?).await?;
    match media::probe(&source, &file.mime_type, &app.media_limits).await {
        Ok(facts) => {
            let pixels = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok());
            let size = pixels(facts.width).zip(pixels(facts.height));
            retrying(|| async {
                let mut ledger = app.db.ledger(user).await?;
                db::files::complete_facts(&mut ledger, id, size, facts.duration_seconds).await?;
                ledger.commit().await
            })
            .await
        }
        Err(fault) => {
            tracing::debug!(user.id = %user, file.id = %id, reason = fault.reason, "a file does not tell its size and length");
            Ok(())
        }
    }
}

fn is_incomplete(file: &File) -> bool {
    let has_length = file.duration_seconds.is_some();
    match file.mime_type.split_once('/') {
        Some(("video", _)) => !has_length || file.width.is_none(),
        Some(("audio", _)) => !has_length,
        _ => false,
    }
}
