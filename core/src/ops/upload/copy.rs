//! Copies of stored files: one more file of the same content, which counts in full, as an upload's.
//! Invariant: a row names the new path before anything is there, so that a copy that breaks off leaves nothing.
//! Never reads a byte.

use super::{Held, content};
use crate::app::App;
use crate::crash;
use crate::db::files::Copy;
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{BlobKey, File, FileName};
use crate::ops::browse;

/// Makes a second file of one outside the trash, also when the client hangs up: 1 reserve its bytes and name its path,
/// 2 link the stored bytes to it, 3 in one transaction end the reservation, add the file as the source then is, and queue
/// what is made from it. Not safe to repeat: each time is another copy.
///
/// # Crash
/// After 1 or 2: the janitor gives the reservation back and removes the link. After 3: done.
///
/// # Errors
/// [`Error::NotFound`], also when the source is deleted meanwhile. [`Error::QuotaExceeded`],
/// [`Error::TooManyStoredFiles`], [`Error::TooManyRequests`]. [`Error::Conflict`] when the file system gives these bytes
/// no further name, or the copy was cancelled meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn copy(app: &App, user: &UserId, id: FileId, name: Option<FileName>) -> Result<File> {
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move { Box::pin(copy_to_the_end(&owned, &user, id, name)).await }).await
}

async fn copy_to_the_end(app: &App, user: &UserId, id: FileId, name: Option<FileName>) -> Result<File> {
    let source = browse::file(app, user, id).await?;
    app.blobs.require_healthy().await?;
    app.rates.upload(user)?;
    let (mut held, file_name) = hold(app, &source).await?;
    crash::point("copy.reserved");
    match share(app, &held, &source, (file_name, name)).await {
        Ok(file) => {
            held.is_over = true;
            tracing::info!(user.id = %user, file.id = %file.id, source.id = %id, size_bytes = file.size.bytes(), "a file was copied");
            Ok(file)
        }
        Err(error) => {
            // Before the answer, so that its client finds its quota as it was.
            held.cancel().await;
            Err(error)
        }
    }
}

/// Reserves the bytes of a copy under the path that it will have. Nothing is ever staged.
async fn hold(app: &App, source: &File) -> Result<(Held, String)> {
    let file_id = FileId::new();
    let (file_name, final_key) = content::key_beside(source, file_id, source.file_type)?;
    let size = (source.size, source.size);
    let (held, _) = Held::reserve(app, &source.user_id, (file_id, final_key), size).await?;
    Ok((held, file_name))
}

async fn share(
    app: &App,
    held: &Held,
    source: &File,
    (file_name, name): (String, Option<FileName>),
) -> Result<File> {
    if !app.blobs.share(&BlobKey::parse(&source.file_path)?, &held.final_key).await? {
        browse::file(app, &held.user, source.id).await?;
        return Err(Error::Conflict { reason: "The volume cannot share the bytes of this file".to_owned() });
    }
    crash::point("copy.shared");
    let copy = Copy {
        of: source.id,
        id: held.file_id,
        file_name,
        file_path: held.final_key.as_str().to_owned(),
        original_name: name,
    };
    let Some(file) = retrying(|| record(app, held, &copy)).await? else {
        // Who cancelled it may have looked for the link before it was there, and no row names it any more.
        app.blobs.remove(vec![held.final_key.clone()]).await?;
        return Err(Error::Conflict { reason: "The copy was cancelled".to_owned() });
    };
    crash::point("copy.done");
    Ok(file)
}

/// `None` when the copy was cancelled meanwhile.
async fn record(app: &App, held: &Held, copy: &Copy) -> Result<Option<File>> {
    let mut ledger = app.db.ledger(&held.user).await?;
    if !content::end(app, &mut ledger, held.id).await? {
        return Ok(None);
    }
    let copied = db::files::copy(&mut ledger, copy).await?.ok_or(Error::NotFound)?;
    content::queue(app, &mut ledger, copied.content, &copied.mime_type, copied.needs_playback).await?;
    let file = db::files::get(&mut ledger, &held.user, copy.id).await?.ok_or(Error::NotFound)?;
    ledger.commit().await?;
    Ok(Some(file))
}
