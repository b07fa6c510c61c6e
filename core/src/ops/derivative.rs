//! What is made of a content: asked for, tried again, given up.
//! Invariant: what no reader waits for has a job from the statement on that asked for it.
//! Never makes anything itself (see `ops::thumbnail` and `ops::playback`).

mod rebuild;

pub use rebuild::{Scope, Tally, rebuild};

use crate::app::App;
use crate::blob::Look;
use crate::db::derivatives::Name;
use crate::db::files::NewDerivative;
use crate::db::jobs::Task;
use crate::db::{self, Ledger, retrying};
use crate::error::{Error, Result};
use crate::ids::{ContentId, FileId, UserId};
use crate::media::ThumbnailFormat;
use crate::model::{BlobKey, ByteSize, Derivative, DerivativeKind, DerivativeState, File};
use crate::ops::{playback, thumbnail};

/// The media type of a derivative as everybody sees it.
#[must_use]
pub const fn mime_type(kind: DerivativeKind) -> &'static str {
    match kind.thumbnail() {
        Some(_) => ThumbnailFormat::WebP.mime(),
        None => playback::MIME_TYPE,
    }
}

/// The name of a derivative as everybody sees it; thumbnails in other formats are made for old clients only.
#[must_use]
pub fn name(user: &UserId, content: ContentId, kind: DerivativeKind) -> Name<'_> {
    match kind.thumbnail() {
        Some(kind) => thumbnail::Wanted { user, content, kind, format: ThumbnailFormat::WebP }.name(),
        None => playback::name(user, content),
    }
}

/// What is made of a content that has arrived: the thumbnail that lists show, and a video that browsers can play.
///
/// # Errors
/// [`Error::Internal`] when a path cannot be named.
pub fn of_new(
    user: &UserId,
    content: ContentId,
    mime_type: &str,
    needs_playback: Option<bool>,
) -> Result<Vec<NewDerivative>> {
    kinds_of_new(mime_type, needs_playback).map(|kind| new(user, content, kind)).collect()
}

fn kinds_of_new(
    mime_type: &str,
    needs_playback: Option<bool>,
) -> impl Iterator<Item = DerivativeKind> + Send + use<> {
    let thumbnail = thumbnail::can_have(mime_type).then_some(DerivativeKind::Default);
    let playback = (needs_playback == Some(true)).then_some(DerivativeKind::Playback);
    thumbnail.into_iter().chain(playback)
}

fn new(user: &UserId, content: ContentId, kind: DerivativeKind) -> Result<NewDerivative> {
    let name = name(user, content, kind);
    let derivative = Derivative {
        kind,
        mime_type: name.mime_type.to_owned(),
        state: DerivativeState::Pending,
        progress: None,
        error: None,
        path: key(&name)?.as_str().to_owned(),
    };
    Ok(NewDerivative { derivative, task: Task::Derive { content, kind } })
}

/// Where a derivative goes that is asked for the first time.
fn key(name: &Name<'_>) -> Result<BlobKey> {
    match name.kind.thumbnail() {
        Some(_) => thumbnail::key(name),
        None => playback::new_key(name.user, name.content),
    }
}

/// Queues what is made of a content that has arrived and that it does not have yet. It is made once the caller's transaction is committed.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn queue(
    ledger: &mut Ledger,
    content: ContentId,
    mime_type: &str,
    needs_playback: Option<bool>,
) -> Result<()> {
    for kind in kinds_of_new(mime_type, needs_playback) {
        request(ledger, content, kind).await?;
    }
    Ok(())
}

/// Names a derivative's path and gives the worker its job, unless the content has it already.
async fn request(ledger: &mut Ledger, content: ContentId, kind: DerivativeKind) -> Result<()> {
    let user = ledger.user().clone();
    let name = name(&user, content, kind);
    if db::derivatives::request(ledger, &name, &key(&name)?).await? {
        db::jobs::enqueue(ledger, &user, &Task::Derive { content, kind }).await?;
    }
    Ok(())
}

/// Lets the worker try again what failed or was cancelled; what it has not done yet stays as it is.
///
/// # Errors
/// [`Error::NotFound`] when there is no such file outside the trash, or it has no such derivative;
/// [`Error::Conflict`] when the derivative is ready.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn retry(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move { retry_to_the_end(&owned, &user, id, kind).await }).await
}

async fn retry_to_the_end(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        let file = locked(&mut ledger, id).await?;
        let content = file.content_id;
        let mime_type = mime_type(kind);
        let found = file.derivatives.iter().find(|made| made.kind == kind && made.mime_type == mime_type);
        match found.map(|made| made.state) {
            Some(DerivativeState::Ready) => {
                return Err(Error::Conflict {
                    reason: "The derivative is ready: there is nothing to retry".to_owned(),
                });
            }
            Some(DerivativeState::Pending) => {}
            Some(DerivativeState::Failed) => {
                db::derivatives::forgive(&mut ledger, content, kind).await?;
                // One that was given up may be kept there for an operator.
                db::jobs::cancel_derive(&mut ledger, content, kind).await?;
                db::jobs::enqueue(&mut ledger, user, &Task::Derive { content, kind }).await?;
            }
            None if can_have(&file.mime_type, file.needs_playback, kind) => {
                request(&mut ledger, content, kind).await?;
            }
            None => return Err(Error::NotFound),
        }
        let file = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        ledger.commit().await?;
        Ok(file)
    })
    .await
}

fn can_have(mime_type: &str, needs_playback: Option<bool>, kind: DerivativeKind) -> bool {
    match kind {
        DerivativeKind::Playback => mime_type.starts_with("video/") && needs_playback != Some(false),
        _ => thumbnail::can_have(mime_type),
    }
}

/// Gives up a video for browsers, whether it waits, is being made, is there or failed: in one transaction its job and its
/// row go, and another job removes its bytes. Whoever makes it finds its job gone and stops.
///
/// # Errors
/// [`Error::NotFound`] when there is no such file outside the trash, or it has no such derivative;
/// [`Error::Conflict`] for thumbnails.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn cancel(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    if kind.thumbnail().is_some() {
        let reason = "A thumbnail is made whenever somebody asks for it, so there is nothing to cancel";
        return Err(Error::Conflict { reason: reason.to_owned() });
    }
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move { cancel_to_the_end(&owned, &user, id, kind).await }).await
}

async fn cancel_to_the_end(app: &App, user: &UserId, id: FileId, kind: DerivativeKind) -> Result<File> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        let content = locked(&mut ledger, id).await?.content_id;
        if !give_up(&mut ledger, content, kind).await? {
            return Err(Error::NotFound);
        }
        let file = db::files::get(&mut ledger, user, id).await?.ok_or(Error::NotFound)?;
        ledger.commit().await?;
        Ok(file)
    })
    .await
}

/// Removes a derivative's job and row, and has its bytes removed. `false` when there is no such row.
async fn give_up(ledger: &mut Ledger, content: ContentId, kind: DerivativeKind) -> Result<bool> {
    let user = ledger.user().clone();
    db::jobs::cancel_derive(ledger, content, kind).await?;
    let Some(path) = db::derivatives::remove(ledger, &name(&user, content, kind)).await? else {
        return Ok(false);
    };
    db::jobs::enqueue(ledger, &user, &Task::RemoveBlobs { paths: vec![path] }).await?;
    Ok(true)
}

async fn locked(ledger: &mut Ledger, id: FileId) -> Result<File> {
    if !db::files::lock(ledger, id).await? {
        return Err(Error::NotFound);
    }
    let user = ledger.user().clone();
    db::files::get(ledger, &user, id).await?.ok_or(Error::NotFound)
}

/// Has a derivative made again whose bytes turn out to be lost when somebody wants them. `false` when they are whole.
///
/// # Errors
/// When Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn renew_if_lost(
    app: &App,
    user: &UserId,
    content: ContentId,
    (key, size): (&BlobKey, ByteSize),
) -> Result<bool> {
    // A volume that went away would make everything look lost.
    app.blobs.check().await?;
    if matches!(app.blobs.stat(key).await?, Look::There(stat) if stat.size == size) {
        return Ok(false);
    }
    tracing::warn!(user.id = %user, content.id = %content, path = %key, "the bytes of a derivative are lost: it is made again");
    // Another request may have done it already.
    renew(app, user, content, key.as_str()).await?;
    Ok(true)
}

/// Has a derivative made again whose bytes are lost. `false` when it is not ready any more.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn renew(app: &App, user: &UserId, content: ContentId, path: &str) -> Result<bool> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        let Some(kind) = db::derivatives::renew(&mut ledger, content, path).await? else { return Ok(false) };
        if kind.thumbnail().is_none() {
            db::jobs::enqueue(&mut ledger, user, &Task::Derive { content, kind }).await?;
        }
        ledger.commit().await?;
        Ok(true)
    })
    .await
}
