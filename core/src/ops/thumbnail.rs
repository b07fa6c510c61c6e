//! Pictures of files: made once per variant and format, by whoever claims the right to, for everybody who waits.
//! Invariant: a derivative's row names its path first; `ready` means its bytes are durable.

use crate::app::App;
use crate::blob::{BlobKey, Folder};
use crate::db;
use crate::db::derivatives::{Found, Name};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::media::{self, MediaError, Picture, PictureFormat};
use crate::model::{ByteSize, DerivativeKind, DerivativeState, File, PictureKind};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Longer than any picture may take; then its maker is gone and another may try.
const LEASE: Duration = Duration::from_secs(120);
/// How long a reader waits for somebody else to make it.
const PATIENCE: Duration = Duration::from_secs(30);
/// First pause between two looks; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

/// A picture on the volume.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// Where it is.
    pub key: BlobKey,
    /// Its size.
    pub size: ByteSize,
    /// When it was made.
    pub made_at: OffsetDateTime,
}

/// Whether a picture can be made of files of this type.
#[must_use]
pub fn can_have(mime_type: &str) -> bool {
    ["image/", "video/", "audio/"].iter().any(|prefix| mime_type.starts_with(prefix))
}

/// One picture of a file.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The file's owner.
    pub user: &'a UserId,
    /// The file.
    pub file: FileId,
    /// Its size.
    pub kind: PictureKind,
    /// How it is coded.
    pub format: PictureFormat,
}

impl<'a> Wanted<'a> {
    /// Its name among the derivatives.
    #[must_use]
    pub const fn name(&self) -> Name<'a> {
        let kind = DerivativeKind::of_picture(self.kind);
        Name { user: self.user, file: self.file, kind, mime_type: self.format.mime() }
    }
}

/// Where a picture is kept.
///
/// # Errors
/// Never for names made by [`Wanted::name`].
pub(in crate::ops) fn key(name: &Name<'_>) -> Result<BlobKey> {
    let extension = name.mime_type.trim_start_matches("image/");
    let file_name = format!("{}.{}.{extension}", name.file, name.kind.as_str());
    BlobKey::new(name.user.as_str(), Folder::Thumbnails, &file_name)
}

/// The picture `found` is about: as it is if it is ready, else made now, by us or by whoever makes it already.
///
/// # Errors
/// [`Error::NotFound`] when its file is gone, [`Error::ThumbnailUnavailable`] with the reason when none can be made.
pub async fn get(app: &App, wanted: &Wanted<'_>, found: Found) -> Result<Thumbnail> {
    if let Some(ready) = ready(&found)? {
        return Ok(ready);
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        make(app, wanted).await?;
        let found = db::derivatives::find(&mut *app.db.conn().await?, &wanted.name())
            .await?
            .ok_or(Error::NotFound)?;
        if let Some(ready) = ready(&found)? {
            return Ok(ready);
        }
        if Instant::now() > deadline {
            return Err(Error::Unavailable { part: "thumbnail" });
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
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

/// Makes a picture unless it is made, failed, or being made: 1 its row, 2 the right to make it, 3 its bytes, 4 `ready`.
///
/// # Crash
/// After 2 or 3: the lease lapses and another makes it again, under the same name.
///
/// # Errors
/// [`Error::NotFound`] when the file is gone; a failure that may pass. One that will not pass is recorded instead.
pub async fn make(app: &App, wanted: &Wanted<'_>) -> Result<()> {
    let name = &wanted.name();
    let mut conn = app.db.conn().await?;
    let file = db::files::get(&mut conn, name.user, name.file).await?.ok_or(Error::NotFound)?;
    if !can_have(&file.mime_type) {
        return Err(Error::ThumbnailUnavailable {
            reason: "there is no picture of files of this type".to_owned(),
        });
    }
    let key = key(name)?;
    db::derivatives::request(&mut conn, name, &key).await?;
    if !db::derivatives::claim(&mut conn, name, LEASE).await? {
        return Ok(());
    }
    drop(conn);
    let drawn = draw(app, &file, wanted).await;
    match drawn {
        Ok(Ok(picture)) => keep(app, name, key, picture).await,
        Ok(Err(failure)) if !failure.retryable => {
            db::derivatives::set_failed(&mut *app.db.conn().await?, name, &failure.reason).await
        }
        Ok(Err(failure)) => {
            db::derivatives::give_back(&mut *app.db.conn().await?, name).await?;
            Err(Error::Internal(anyhow::anyhow!("a picture could not be made: {}", failure.reason)))
        }
        Err(error) => {
            db::derivatives::give_back(&mut *app.db.conn().await?, name).await?;
            Err(error)
        }
    }
}

async fn keep(app: &App, name: &Name<'_>, key: BlobKey, picture: Picture) -> Result<()> {
    let size = ByteSize::new(picture.bytes.len() as u64);
    app.volume.put(&key, picture.bytes).await?;
    let mut tx = app.db.begin().await?;
    if name.kind == DerivativeKind::Default {
        // The file's row before the derivative's: the order of whoever removes both.
        db::files::set_thumbhash(&mut tx, name.user, name.file, &picture.thumbhash).await?;
    }
    let is_recorded = db::derivatives::set_ready(&mut tx, name, size, None).await?;
    tx.commit().await?;
    if !is_recorded {
        // Its file was purged meanwhile, and with it the row that named the picture.
        app.volume.remove(vec![key]).await?;
    }
    Ok(())
}

async fn draw(
    app: &App,
    file: &File,
    wanted: &Wanted<'_>,
) -> Result<std::result::Result<Picture, MediaError>> {
    let Wanted { kind, format, .. } = *wanted;
    // Waiting here bounds both memory and processor time, whoever asks for how many pictures.
    let _permit = app.decoders.acquire().await.map_err(|_| Error::Draining)?;
    let source = app.volume.open_blob(&BlobKey::parse(&file.file_path)?).await?;
    let (mime_type, limits) = (file.mime_type.clone(), app.media_limits.clone());
    if !mime_type.starts_with("image/") {
        let drawn = media::poster(source, &mime_type, file.duration_seconds, kind, format, &limits).await;
        return Ok(drawn);
    }
    let drawn = tokio::task::spawn_blocking(move || {
        media::image_thumbnail(&source, &mime_type, kind, format, &limits)
    });
    // A decoder that panics says something about the file, not about us: it fails for good.
    Ok(drawn.await.unwrap_or_else(|_| {
        Err(MediaError { reason: "the picture is damaged".to_owned(), retryable: false })
    }))
}
