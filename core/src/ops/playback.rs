//! Videos as every browser can stream them, made of videos that some cannot.
//! Invariant: the worker that holds the job's lease makes the video, and only it records it; a cancelled video leaves
//! no files.
//! Never touches the content that it is made of.

use crate::app::App;
use crate::blob::Draft;
use crate::db::contents::Content;
use crate::db::derivatives::{Found, Name, Ready};
use crate::db::jobs::ClaimedJob;
use crate::db::{self, retrying, within};
use crate::error::{Error, Result, chain};
use crate::ids::{ContentId, FileId, UserId};
use crate::media::{self, Conversion, Facts, MediaError, VideoSource};
use crate::model::{BlobKey, DerivativeKind, DerivativeState, Folder};
use crate::ops::content;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the job is kept between two signs of life.
const LEASE: Duration = Duration::from_secs(180);
/// Time between two signs of life, each of which records the progress and notices a cancellation.
const PULSE: Duration = Duration::from_secs(1);

/// The media type of every video for browsers.
pub const MIME_TYPE: &str = "video/mp4";

/// The name of a content's video for browsers.
#[must_use]
pub fn name(user: &UserId, content: ContentId) -> Name<'_> {
    Name { user, content, kind: DerivativeKind::Playback, mime_type: MIME_TYPE }
}

/// How far the video of a file is; `None` when there is no such file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(app: &App, user: &UserId, file: FileId) -> Result<Option<Found>> {
    let wanted = (DerivativeKind::Playback, MIME_TYPE);
    within(async { db::derivatives::find(&mut *app.db.conn().await?, (user, file), wanted).await }).await
}

/// A new place for one. No two are the same, so that removing an old video never hits its successor.
///
/// # Errors
/// Never for ids that were parsed.
pub(in crate::ops) fn new_key(user: &UserId, content: ContentId) -> Result<BlobKey> {
    let nonce = uuid::Uuid::new_v4().simple();
    Ok(BlobKey::new(user.as_str(), Folder::Thumbnails, &format!("{content}.playback.{nonce}.mp4"))?)
}

/// How a conversion ended.
enum Ended {
    /// With what a person should know about it.
    Converted(Option<&'static str>),
    Failed(MediaError),
    /// Its job or its row is gone.
    Unwanted,
    Stopped,
}

/// Makes a video: 1 look what has to be done, 2 convert aside, 3 give the result its name, 4 in one transaction `ready`,
/// if the job is still ours.
///
/// # Crash
/// After 1 or 2: what was written is swept, and the job is taken over when its lease lapses. After 3: the next holder
/// writes over it.
///
/// # Errors
/// [`Error::NotFound`] when the content is gone, [`Error::Draining`] when the process stops; a failure that may pass.
/// One that will not pass is recorded instead.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn make(app: &App, job: &ClaimedJob, id: ContentId, stop: &CancellationToken) -> Result<()> {
    let name = name(&job.user_id, id);
    let Some((content, key)) = wanted(app, &name).await? else { return Ok(()) };
    let source = app.blobs.open_blob(&BlobKey::parse(&content.key)?).await?;
    let (mime, facts) = examine(app, &source).await?;
    let conversion = media::conversion(mime, &facts);
    if !record_need(app, job, &name, conversion.is_some()).await? {
        return Ok(());
    }
    let Some(conversion) = conversion else { return Ok(()) };
    app.blobs.require_room(content.size).await?;
    let draft = app.blobs.draft().await?;
    let duration_seconds = content.duration_seconds;
    let video = VideoSource { file: &source, mime, duration_seconds, hdr: facts.hdr };
    match convert(app, job, &name, video, conversion, &draft, stop).await {
        Ok(Ended::Converted(remark)) => keep(app, job, &name, draft, &key, remark).await,
        ended => {
            app.blobs.discard(draft).await?;
            conclude(app, &name, ended?).await
        }
    }
}

/// Records whether browsers need a derivative; one that they do not need is asked for no more. `false` when the job is
/// not ours any more, and then nothing is recorded.
async fn record_need(app: &App, job: &ClaimedJob, name: &Name<'_>, needs_playback: bool) -> Result<bool> {
    retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        if !db::jobs::renew(&mut ledger, job, LEASE).await? {
            return Ok(false);
        }
        db::contents::set_needs_playback(&mut ledger, name.content, needs_playback).await?;
        if !needs_playback {
            db::derivatives::remove(&mut ledger, name).await?;
        }
        ledger.commit().await?;
        Ok(true)
    })
    .await
}

/// The content and the place of its video, if that is still to be made.
async fn wanted(app: &App, name: &Name<'_>) -> Result<Option<(Content, BlobKey)>> {
    let content = content::stored(app, name.user, name.content).await?;
    let found = within(async { db::derivatives::get(&mut *app.db.conn().await?, name).await }).await?;
    let Some(pending) = found.filter(|made| made.state == DerivativeState::Pending) else { return Ok(None) };
    Ok(Some((content, BlobKey::parse(&pending.path)?)))
}

/// What the content is.
async fn examine(app: &App, source: &std::fs::File) -> Result<(&'static str, Facts)> {
    let failed = |cause: anyhow::Error| Error::Internal(cause.context("looking at a video"));
    let source = source.try_clone().map_err(|cause| failed(cause.into()))?;
    let limits = app.media_limits.clone();
    let examined = tokio::task::spawn_blocking(move || media::examine(&source, &limits));
    let (sniffed, facts) =
        examined.await.map_err(|panic| failed(panic.into()))?.map_err(|cause| failed(cause.into()))?;
    Ok((sniffed.mime, facts))
}

async fn convert(
    app: &App,
    job: &ClaimedJob,
    name: &Name<'_>,
    video: VideoSource<'_>,
    conversion: Conversion,
    draft: &Draft,
    stop: &CancellationToken,
) -> Result<Ended> {
    let percent = AtomicU8::new(0);
    // ffmpeg dies with the future that lost.
    tokio::select! {
        converted = media::convert(video, conversion, draft.file(), &percent, &app.media_limits) => {
            Ok(converted.map_or_else(Ended::Failed, Ended::Converted))
        }
        held = hold(app, job, name, &percent) => held.map(|()| Ended::Unwanted),
        () = stop.cancelled() => Ok(Ended::Stopped),
    }
}

/// Keeps the job and records the progress, until the video is cancelled.
async fn hold(app: &App, job: &ClaimedJob, name: &Name<'_>, percent: &AtomicU8) -> Result<()> {
    let mut last = Instant::now();
    loop {
        match beat(app, job, name, percent.load(Ordering::Relaxed)).await {
            Ok(true) => last = Instant::now(),
            Ok(false) => return Ok(()),
            // The lease outlives a database that is away for a moment.
            Err(error) if last.elapsed() < LEASE / 2 => {
                tracing::warn!(error = %chain(&error), job.id = %job.id, "progress could not be recorded");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PULSE).await;
    }
}

async fn beat(app: &App, job: &ClaimedJob, name: &Name<'_>, percent: u8) -> Result<bool> {
    retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        let is_wanted = db::jobs::renew(&mut ledger, job, LEASE).await?
            && db::derivatives::set_progress(&mut ledger, name, percent, LEASE).await?;
        ledger.commit().await?;
        Ok(is_wanted)
    })
    .await
}

async fn keep(
    app: &App,
    job: &ClaimedJob,
    name: &Name<'_>,
    draft: Draft,
    key: &BlobKey,
    remark: Option<&str>,
) -> Result<()> {
    let size = app.blobs.keep(draft, key).await?;
    let ready = Ready { size, remark, thumbhash: None };
    let is_wanted = retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        let is_wanted = db::jobs::renew(&mut ledger, job, LEASE).await?
            && db::derivatives::set_ready(&mut ledger, name, ready).await?;
        ledger.commit().await?;
        Ok(is_wanted)
    })
    .await?;
    if !is_wanted {
        app.blobs.remove(vec![key.clone()]).await?;
    }
    Ok(())
}

async fn conclude(app: &App, name: &Name<'_>, ended: Ended) -> Result<()> {
    let failed_for_good = match &ended {
        Ended::Converted(_) | Ended::Unwanted => return Ok(()),
        Ended::Failed(failure) if !failure.retryable => Some(failure.reason.as_str()),
        Ended::Failed(_) | Ended::Stopped => None,
    };
    retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        match failed_for_good {
            Some(reason) => db::derivatives::set_failed(&mut ledger, name, reason).await?,
            None => db::derivatives::give_back(&mut ledger, name).await?,
        }
        ledger.commit().await
    })
    .await?;
    match ended {
        Ended::Stopped => Err(Error::Draining),
        Ended::Failed(failure) if failure.retryable => {
            Err(Error::Internal(anyhow::anyhow!("a video could not be converted: {}", failure.reason)))
        }
        _ => Ok(()),
    }
}
