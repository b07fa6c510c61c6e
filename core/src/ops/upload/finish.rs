//! From an upload whose bytes are all here to its owner's file.
//! Invariant: the lock on the bytes is held until the file's row is there.

use super::content::{self, Content};
use super::{HEAD_BYTES, stored};
use crate::app::App;
use crate::blob::{Staged, Writer};
use crate::crash;
use crate::db::sessions::{Open, Session};
use crate::db::uploads::Reason;
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::media;
use crate::model::BlobKey;
use std::fs::File;

/// Makes the upload a file: 1 settle the final path, 2 rename and sync the directories, 3 in one transaction end the
/// upload, add the file, queue its thumbnail, and remember the file's id. Safe to repeat.
///
/// # Crash
/// After 1 or 2: the next request for the upload goes on, or the janitor. After 3: done.
///
/// # Errors
/// [`Error::ChecksumMismatch`], [`Error::TypeMismatch`] or [`Error::TypeRefused`] for content that cannot become this
/// file, [`Error::TooManyStoredFiles`]: the upload is then cancelled, since sending it again would end the same. [`Error::Gone`] when it was cancelled
/// meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn finish(app: &App, session: Session, open: Open, writer: Writer) -> Result<Session> {
    let staged = writer.finish().await?;
    match publish(app, &session, &open, staged).await {
        Err(
            error @ (Error::ChecksumMismatch
            | Error::TypeMismatch { .. }
            | Error::TypeRefused { .. }
            | Error::TooManyStoredFiles { .. }),
        ) => {
            super::cancel(app, &session.user_id, session.id, Reason::Wanted).await?;
            Err(error)
        }
        Err(error) => Err(error),
        Ok(()) => stored::load(app, session.id).await,
    }
}

async fn publish(app: &App, session: &Session, open: &Open, staged: Staged) -> Result<()> {
    if session.expected_sha256.is_some_and(|expected| expected != staged.sha256) {
        return Err(Error::ChecksumMismatch);
    }
    let (content, _locked) = examine(app, session, staged).await?;
    let file_type = content.file_type(session.declared)?;
    let (user, id) = (&session.user_id, session.id);
    let key = content::final_key(user, open.file_id, file_type, &content.sniffed)?;
    if !open.is_finalizing && session.expected_sha256.is_some() {
        // A proof of known content may have been cut off after it gave those bytes that name.
        app.blobs.remove(vec![open.final_key.clone()]).await?;
    }
    settle_path(app, session, open, &key).await?;
    crash::point("finish.settled");
    if !app.blobs.publish(&open.staging, &key).await? {
        return Err(Error::Gone);
    }
    crash::point("finish.renamed");
    let file = content.into_file((user.clone(), open.file_id), &key, file_type, session.metadata.clone());
    let arrival = content::arrival(id, file)?;
    retrying(|| content::record_session(app, &arrival)).await?;
    crash::point("finish.done");
    tracing::info!(user.id = %user, upload.id = %id, file.id = %arrival.file.id, size_bytes = arrival.file.size.bytes(), "an upload became a file");
    Ok(())
}

async fn settle_path(app: &App, session: &Session, open: &Open, key: &BlobKey) -> Result<()> {
    if open.is_finalizing && open.final_key == *key {
        return Ok(());
    }
    let (user, id) = (&session.user_id, session.id);
    let mut conn = app.db.conn().await?;
    let settled = db::uploads::set_final_path(&mut conn, user, id, &open.staging, key).await?;
    if settled { Ok(()) } else { Err(Error::Gone) }
}

/// What the bytes are; the file comes back because its lock is still needed.
async fn examine(app: &App, session: &Session, staged: Staged) -> Result<(Content, File)> {
    let (name, limits) = (session.name.clone(), app.media_limits.clone());
    let examined = tokio::task::spawn_blocking(move || {
        let head = staged.head(HEAD_BYTES)?;
        let (sniffed, facts) = media::settle(&staged.file, media::sniff(&head, name.as_str()), &limits);
        let Staged { file, size, sha256 } = staged;
        Ok((Content { name, sniffed, size, sha256, facts }, file))
    });
    let failed = |cause: anyhow::Error| Error::Internal(cause.context("reading the beginning of an upload"));
    let examined: std::io::Result<(Content, File)> = examined.await.map_err(|panic| failed(panic.into()))?;
    examined.map_err(|cause| failed(cause.into()))
}
