//! Thumbnails of contents: each made once per size and format, by the request or worker that claims it, for all that wait.
//! Invariant: a derivative's row names its path first; `ready` means its bytes are durable.

use crate::app::App;
use crate::db::contents::Content;
use crate::db::derivatives::{Found, Name, Ready};
use crate::db::{self, retrying, within};
use crate::error::{Error, Result, chain};
use crate::ids::{ContentId, FileId, UserId};
use crate::media::{self, MediaError, ThumbnailFormat};
use crate::model::{BlobKey, ByteSize, DerivativeKind, DerivativeState, Folder, ThumbnailSize};
use crate::ops::content;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Longer than any thumbnail may take: after that its maker is gone and another may try.
const LEASE: Duration = Duration::from_secs(120);
/// How long a reader waits for somebody else to make it.
const PATIENCE: Duration = Duration::from_secs(30);
/// First pause between two looks; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// Before each attempt to release the lease of a thumbnail: the database may be away.
const GIVE_BACK_PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(2), Duration::from_secs(10)];

/// A thumbnail on the volume.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// Where it is.
    pub key: BlobKey,
    /// Its size.
    pub size: ByteSize,
    /// When it was made.
    pub made_at: OffsetDateTime,
}

/// Whether a thumbnail can be made of files of this type.
#[must_use]
pub fn can_have(mime_type: &str) -> bool {
    ["image/", "video/", "audio/"].iter().any(|prefix| mime_type.starts_with(prefix))
}

/// One thumbnail of a content.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The content's owner.
    pub user: &'a UserId,
    /// The content.
    pub content: ContentId,
    /// Its size.
    pub kind: ThumbnailSize,
    /// How it is coded.
    pub format: ThumbnailFormat,
}

impl<'a> Wanted<'a> {
    /// Its name among the derivatives.
    #[must_use]
    pub const fn name(&self) -> Name<'a> {
        let kind = DerivativeKind::of_thumbnail(self.kind);
        Name { user: self.user, content: self.content, kind, mime_type: self.format.mime() }
    }
}

/// Where a thumbnail is stored.
///
/// # Errors
/// Never for names made by [`Wanted::name`].
pub(in crate::ops) fn key(name: &Name<'_>) -> Result<BlobKey> {
    let extension = name.mime_type.trim_start_matches("image/");
    let file_name = format!("{}.{}.{extension}", name.content, name.kind.as_str());
    Ok(BlobKey::new(name.user.as_str(), Folder::Thumbnails, &file_name)?)
}

/// The thumbnail of a file that `found` describes: as it is if it is ready, else made now, here or by the process that
/// makes it already.
///
/// # Errors
/// [`Error::NotFound`] when its file is gone, [`Error::ThumbnailUnavailable`] with the reason when none can be made.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn get(
    app: &App,
    (user, file): (&UserId, FileId),
    (kind, format): (ThumbnailSize, ThumbnailFormat),
    mut found: Found,
) -> Result<Thumbnail> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(ready) = ready(&found)? {
            return Ok(ready);
        }
        if Instant::now() > deadline {
            return Err(Error::Unavailable { part: "thumbnail" });
        }
        let wanted = Wanted { user, content: found.content, kind, format };
        let is_made_by_another = found.is_leased
            || make(app, &wanted, content::stored(app, user, found.content).await?).await? == Made::ByAnother;
        if is_made_by_another {
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        found = find(app, (user, file), (kind, format)).await?.ok_or(Error::NotFound)?;
    }
}

/// How far the thumbnail of a file is; `None` when there is no such file.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(
    app: &App,
    file: (&UserId, FileId),
    (kind, format): (ThumbnailSize, ThumbnailFormat),
) -> Result<Option<Found>> {
    let wanted = (DerivativeKind::of_thumbnail(kind), format.mime());
    within(async { db::derivatives::find(&mut *app.db.conn().await?, file, wanted).await }).await
}

fn ready(found: &Found) -> Result<Option<Thumbnail>> {
    match (found.state, &found.path, found.size, found.updated_at) {
        (Some(DerivativeState::Ready), Some(path), Some(size), Some(made_at)) => {
            Ok(Some(Thumbnail { key: BlobKey::parse(path)?, size, made_at }))
        }
        (Some(DerivativeState::Failed), ..) => {
            Err(Error::ThumbnailUnavailable { reason: found.error.clone().unwrap_or_default() })
        }
        _ => Ok(None),
    }
}

/// How an attempt to make a thumbnail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there, or failed for good: nothing is left to do.
    Settled,
    /// Somebody else makes it and may fail to.
    ByAnother,
}

/// Makes a thumbnail of a stored content unless it is made, failed, or being made: 1 its row and the lease, 2 its bytes,
/// 3 `ready`.
/// Continues when the caller is gone, so that the lease never lapses while its owner lives.
///
/// # Crash
/// After 1 or 2: the lease lapses and another makes it again, under the same name.
///
/// # Errors
/// [`Error::ThumbnailUnavailable`] for a type without thumbnails; a failure that may pass. One that will not pass is
/// recorded instead.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn make(app: &App, wanted: &Wanted<'_>, stored: Content) -> Result<Made> {
    let (owned, user) = (app.clone(), wanted.user.clone());
    let Wanted { content, kind, format, .. } = *wanted;
    app.outlive(async move {
        let wanted = Wanted { user: &user, content, kind, format };
        Box::pin(make_to_the_end(&owned, &wanted, &stored)).await
    })
    .await
}

async fn make_to_the_end(app: &App, wanted: &Wanted<'_>, content: &Content) -> Result<Made> {
    let name = &wanted.name();
    if !can_have(&content.mime_type) {
        return Err(Error::ThumbnailUnavailable {
            reason: "files of this type have no thumbnail".to_owned(),
        });
    }
    let key = key(name)?;
    if !claim(app, name, &key).await? {
        let found = within(async { db::derivatives::get(&mut *app.db.conn().await?, name).await }).await?;
        let is_pending = found.is_some_and(|made| made.state == DerivativeState::Pending);
        return Ok(if is_pending { Made::ByAnother } else { Made::Settled });
    }
    let recorded = match draw(app, content, wanted).await {
        Ok(Ok(image)) => keep(app, name, key, image).await,
        Ok(Err(failure)) if !failure.retryable => set_failed(app, name, &failure.reason).await,
        Ok(Err(failure)) => {
            Err(Error::Internal(anyhow::anyhow!("a thumbnail could not be made: {}", failure.reason)))
        }
        Err(error) => Err(error),
    };
    if recorded.is_err() {
        give_back(app, name).await;
    }
    recorded.map(|()| Made::Settled)
}

/// Records why a thumbnail cannot be made.
async fn set_failed(app: &App, name: &Name<'_>, reason: &str) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        db::derivatives::set_failed(&mut ledger, name, reason).await?;
        ledger.commit().await
    })
    .await
}

/// Records the thumbnail's path and takes the lease to make it.
async fn claim(app: &App, name: &Name<'_>, key: &BlobKey) -> Result<bool> {
    retrying(|| async { db::derivatives::claim(&mut *app.db.conn().await?, name, key, LEASE).await }).await
}

/// Releases the lease of a thumbnail, so that the next request need not wait until it lapses. Retries later if the
/// database is away.
async fn give_back(app: &App, name: &Name<'_>) {
    if give_back_once(app, name).await.is_ok() {
        return;
    }
    let (owned, user) = (app.clone(), name.user.clone());
    let (content, kind, mime_type) = (name.content, name.kind, name.mime_type);
    app.detach(async move {
        let name = Name { user: &user, content, kind, mime_type };
        for pause in GIVE_BACK_PAUSES {
            tokio::time::sleep(pause).await;
            match give_back_once(&owned, &name).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(error = %chain(&error), content.id = %content, "the lease of a thumbnail is still held");
                }
            }
        }
    });
}

async fn give_back_once(app: &App, name: &Name<'_>) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(name.user).await?;
        db::derivatives::give_back(&mut ledger, name).await?;
        ledger.commit().await
    })
    .await
}

async fn keep(app: &App, name: &Name<'_>, key: BlobKey, made: media::Thumbnail) -> Result<()> {
    let size = ByteSize::new(made.bytes.len() as u64);
    app.blobs.put(&key, made.bytes).await?;
    let thumbhash = (name.kind == DerivativeKind::Default).then_some(made.thumbhash.as_slice());
    let ready = Ready { size, remark: None, thumbhash };
    let is_recorded =
        retrying(|| async { db::derivatives::set_ready(&mut *app.db.conn().await?, name, ready).await });
    if !is_recorded.await? {
        // Its content was purged meanwhile, and with it the row that named the thumbnail.
        app.blobs.remove(vec![key]).await?;
    }
    Ok(())
}

async fn draw(
    app: &App,
    content: &Content,
    wanted: &Wanted<'_>,
) -> Result<std::result::Result<media::Thumbnail, MediaError>> {
    let (frame, format) = (media::frame(wanted.kind), wanted.format);
    // Waiting here bounds memory and processor time, however many thumbnails are asked for.
    let asked = Instant::now();
    let permit = app.decoders.clone().acquire_owned().await.map_err(|_| Error::Draining)?;
    metrics::histogram!("jam_decoder_wait_seconds").record(asked.elapsed().as_secs_f64());
    let source = app.blobs.open_blob(&BlobKey::parse(&content.key)?).await?;
    let (mime_type, limits) = (content.mime_type.clone(), app.media_limits.clone());
    // Nobody can stop a decoder: this is never dropped before it has ended, because `make` outlives its caller.
    let making = async {
        if mime_type.starts_with("image/") {
            media::image_thumbnail(source, &mime_type, frame, format, &limits).await
        } else {
            media::poster(source, &mime_type, content.duration_seconds, frame, format, &limits).await
        }
    };
    let drawn = AssertUnwindSafe(making).catch_unwind().await;
    drop(permit);
    Ok(drawn.unwrap_or_else(|_| Err(damaged())))
}

/// A decoder that panics says something about the file, not about us: it fails for good.
fn damaged() -> MediaError {
    MediaError { reason: "the image is damaged".to_owned(), retryable: false }
}
