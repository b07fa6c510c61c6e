//! What every way in shares once the bytes are here: what they are, where they go, which rows they become.
//! Never moves a byte.

use super::refusal::over_file_limit;
use crate::app::App;
use crate::db::files::{Arrival, NewFile};
use crate::db::uploads::Ending;
use crate::db::{self, Ledger};
use crate::error::{Error, Result};
use crate::ids::{ContentId, FileId, UploadId, UserId};
use crate::media::{self, Class, Facts, MediaLimits, Sniffed};
use crate::model::{BlobKey, ByteSize, File, FileMetadata, FileName, FileType, Folder, Sha256Digest};
use crate::ops::{derivative, scan};
use sqlx::PgConnection;

/// What arrived.
pub(in crate::ops) struct Content {
    pub(in crate::ops) name: FileName,
    pub(in crate::ops) sniffed: Sniffed,
    pub(in crate::ops) size: ByteSize,
    pub(in crate::ops) sha256: Sha256Digest,
    pub(in crate::ops) facts: Facts,
}

impl Content {
    /// The row that it becomes.
    pub(in crate::ops) fn into_file(
        self,
        (user_id, id): (UserId, FileId),
        key: &BlobKey,
        file_type: FileType,
        metadata: FileMetadata,
    ) -> NewFile {
        let path = key.as_str();
        let needs_playback = media::conversion(self.sniffed.mime, &self.facts).is_some();
        let pixels =
            |side: Option<u32>| side.and_then(|side| i32::try_from(side).ok()).filter(|side| *side > 0);
        NewFile {
            id,
            user_id,
            file_name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            original_name: self.name,
            file_type,
            mime_type: self.sniffed.mime.to_owned(),
            size: self.size,
            file_path: path.to_owned(),
            sha256: self.sha256,
            width: pixels(self.facts.width),
            height: pixels(self.facts.height),
            duration_seconds: self
                .facts
                .duration_seconds
                .filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
            needs_playback: Some(needs_playback),
            content: None,
            metadata,
        }
    }
}

/// What a file whose beginning was sniffed is after all, and what its headers say about it.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn settle(
    app: &App,
    file: std::fs::File,
    sniffed: Sniffed,
) -> Result<(Sniffed, Facts)> {
    examine(app, move |limits| media::settle(&file, sniffed, limits)).await
}

/// Reads what a file is, on a thread that may block.
///
/// # Errors
/// [`Error::Internal`] when the reading panics.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn examine<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&MediaLimits) -> T + Send + 'static,
) -> Result<T> {
    let limits = app.media_limits.clone();
    let read = tokio::task::spawn_blocking(move || read(&limits)).await;
    read.map_err(|panicked| Error::Internal(anyhow::Error::new(panicked).context("reading a file's facts")))
}

/// A file that is here, and what is to be made of it.
pub(super) fn arrival(upload: UploadId, file: NewFile) -> Result<Arrival> {
    let derivatives = match file.content {
        Some(_) => Vec::new(),
        None => {
            derivative::of_new(&file.user_id, ContentId(file.id.0), &file.mime_type, file.needs_playback)?
        }
    };
    Ok(Arrival { upload, file, derivatives })
}

/// Ends uploads as complete, adds their files and queues what is made from them. `None` when one was cancelled meanwhile:
/// then the caller rolls back.
///
/// # Errors
/// [`Error::TooManyStoredFiles`]: exact, because the ledger is held.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn record(
    app: &App,
    ledger: &mut Ledger,
    arrivals: &[&Arrival],
) -> Result<Option<Vec<File>>> {
    let (user, max_files) = (ledger.user().clone(), app.config.limits.max_files_per_user);
    let recorded = db::files::insert(ledger, &user, arrivals, max_files).await?;
    let mut files = Vec::new();
    for (recorded, Arrival { file, .. }) in recorded.into_iter().zip(arrivals) {
        let Some(recorded) = recorded else {
            return not_recorded(app, ledger, &user).await.map(|()| None);
        };
        let content = recorded.content_id;
        if file.content.is_some() {
            // It may have what a new content would be given.
            derivative::queue(ledger, content, &file.mime_type, file.needs_playback).await?;
        }
        let scan = scan::queue(app, ledger, content).await?;
        files.push(File { scan, ..recorded });
    }
    Ok(Some(files))
}

/// The same for one file that nobody scans and whose content is new: its statement needs no transaction, and is shared with
/// other requests of the user.
///
/// # Errors
/// [`Error::TooManyStoredFiles`].
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn record_alone(app: &App, arrival: &Arrival) -> Result<Option<File>> {
    let recorded = app.db.add_file(arrival.clone(), app.config.limits.max_files_per_user).await?;
    if recorded.is_none() {
        not_recorded(app, &mut *app.db.conn().await?, &arrival.file.user_id).await?;
    }
    Ok(recorded)
}

/// Why a file was not added: without an error, its upload was cancelled.
async fn not_recorded(app: &App, conn: &mut PgConnection, user: &UserId) -> Result<()> {
    let usage = db::storage::get(conn, user).await?;
    usage.and_then(|usage| over_file_limit(app, &usage, 0)).map_or(Ok(()), Err)
}

/// Ends an upload as complete: what it reserved is free for its file, which the caller adds in the same transaction.
/// `false` when it was cancelled meanwhile.
///
/// # Errors
/// [`Error::TooManyStoredFiles`]: exact, because the ledger is held.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn end(app: &App, ledger: &mut Ledger, upload: UploadId) -> Result<bool> {
    let max_files = app.config.limits.max_files_per_user;
    let user = ledger.user().clone();
    let Some(file_count) = db::uploads::end(ledger, &user, upload, Ending::Complete).await? else {
        return Ok(false);
    };
    if file_count >= max_files {
        return Err(Error::TooManyStoredFiles { file_count, max_files });
    }
    Ok(true)
}

/// Queues what is made of a new file's content, and its scan.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn queue(
    app: &App,
    ledger: &mut Ledger,
    content: ContentId,
    mime_type: &str,
    needs_playback: Option<bool>,
) -> Result<()> {
    derivative::queue(ledger, content, mime_type, needs_playback).await?;
    scan::queue(app, ledger, content).await?;
    Ok(())
}

/// The same for a resumable upload, which remembers its file, in a transaction of its own.
///
/// # Errors
/// [`Error::Gone`] when the upload was cancelled meanwhile; [`Error::TooManyStoredFiles`].
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn record_session(app: &App, arrival: &Arrival) -> Result<()> {
    let user = &arrival.file.user_id;
    let mut ledger = app.db.ledger(user).await?;
    if record(app, &mut ledger, &[arrival]).await?.is_none() {
        return Err(Error::Gone);
    }
    db::sessions::set_file(&mut ledger, user, arrival.upload, arrival.file.id).await?;
    ledger.commit().await
}

/// What a file is stored as by its beginning: as declared if the content allows it, else what the content is.
pub(super) fn file_type(sniffed: &Sniffed, declared: Option<FileType>) -> Result<FileType> {
    if sniffed.class == Class::Refused {
        return Err(Error::TypeRefused { found: sniffed.label.to_owned() });
    }
    match declared {
        Some(declared) if media::accepts(sniffed, declared) => Ok(declared),
        Some(declared) => Err(Error::TypeMismatch { declared, found: sniffed.label.to_owned() }),
        None => Ok(media::file_type(sniffed).unwrap_or(FileType::Project)),
    }
}

impl Content {
    /// What the file is stored as, now that all of it is here: where it holds audio alone, a client that declared a video
    /// only knew its extension.
    pub(super) fn file_type(&self, declared: Option<FileType>) -> Result<FileType> {
        match file_type(&self.sniffed, declared)? {
            FileType::Video if self.facts.is_audio_alone() => Ok(FileType::Audio),
            file_type => Ok(file_type),
        }
    }
}

pub(super) fn final_key(
    user: &UserId,
    file: FileId,
    file_type: FileType,
    sniffed: &Sniffed,
) -> Result<BlobKey> {
    Ok(BlobKey::new(user.as_str(), Folder::Files(file_type), &format!("{file}.{}", sniffed.extension))?)
}

/// Name and path of a file that shows the content of a stored one.
pub(super) fn key_beside(stored: &File, file: FileId, file_type: FileType) -> Result<(String, BlobKey)> {
    let extension = stored.file_name.rsplit_once('.').map_or("bin", |(_, extension)| extension);
    let file_name = format!("{file}.{extension}");
    let key = BlobKey::new(stored.user_id.as_str(), Folder::Files(file_type), &file_name)?;
    Ok((file_name, key))
}
