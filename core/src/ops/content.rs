//! Stored contents, as those see them who make something of them, and what their headers did not tell at the upload:
//! size and length of videos and audio, asked of ffprobe by the worker.
//! Never changes what is known already.

use crate::app::App;
use crate::db::contents::Content;
use crate::db::{self, Db, retrying, within};
use crate::error::{Error, Result};
use crate::ids::{ContentId, UserId};
use crate::media;
use crate::model::BlobKey;

/// A content, whether the files that show it are in the trash or not.
///
/// # Errors
/// [`Error::NotFound`]; when Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn stored(app: &App, user: &UserId, id: ContentId) -> Result<Content> {
    let found = within(async { db::contents::get(&mut *app.db.conn().await?, user, id).await }).await?;
    found.ok_or(Error::NotFound)
}

/// A content with what was not known about it, if it is a video or audio.
///
/// # Crash
/// Before the row is changed: the next one who has something to do with the content asks again.
///
/// # Errors
/// [`Error::NotFound`] when the content is gone; when Postgres or the volume does not answer. One that does not tell
/// either is none.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn completed(app: &App, user: &UserId, id: ContentId) -> Result<Content> {
    let content = stored(app, user, id).await?;
    if !is_incomplete(&content) {
        return Ok(content);
    }
    let source = app.blobs.open_blob(&BlobKey::parse(&content.key)?).await?;
    match media::probe(&source, &content.mime_type, &app.media_limits).await {
        Ok(facts) => {
            let pixels = |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok());
            let size = pixels(facts.width).zip(pixels(facts.height));
            retrying(|| async {
                let mut ledger = app.db.ledger(user).await?;
                db::contents::complete_facts(&mut ledger, id, size, facts.duration_seconds).await?;
                ledger.commit().await
            })
            .await?;
            stored(app, user, id).await
        }
        Err(fault) => {
            tracing::debug!(user.id = %user, content.id = %id, reason = fault.reason, "a content does not tell its size and length");
            Ok(content)
        }
    }
}

/// Makes a content's row agree with the files that show it; without such a file it goes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn mend(db: &Db, user: &UserId, id: ContentId) -> Result<()> {
    retrying(|| async {
        let mut ledger = db.ledger(user).await?;
        db::contents::mend(&mut ledger, &[id]).await?;
        ledger.commit().await
    })
    .await
}

fn is_incomplete(content: &Content) -> bool {
    let has_length = content.duration_seconds.is_some();
    match content.mime_type.split_once('/') {
        Some(("video", _)) => !has_length || content.width.is_none(),
        Some(("audio", _)) => !has_length,
        _ => false,
    }
}
