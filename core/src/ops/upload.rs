//! Receiving a file: reserve, stage, hash, publish, record. What comes in one piece goes through [`Receiving`], or waits in
//! memory if it is small ([`Received::whole`]); what may come in many goes through [`session`] and [`append`]. All end in the
//! same rows, and so does what is copied from a stored file by [`copy`].
//! Invariant: what [`complete`] answered for is on disk under its final name and has its row; anything else leaves a
//! row that names what to undo.

pub mod append;
pub(super) mod content;
pub mod copy;
mod finish;
mod fork;
mod held;
pub mod join;
mod listener;
mod lock;
mod parts;
pub mod proof;
mod refusal;
pub mod session;
mod stored;
mod whole;

use crate::app::App;
use crate::blob::{Staged, Writer};
use crate::crash;
use crate::db::files::Arrival;
use crate::db::uploads::{Ending, Reason};
use crate::db::{self, retrying, within};
use crate::error::{Error, Result};
use crate::ids::{FileId, UploadId, UserId};
use crate::media::{self, Sniffed};
use crate::model::{ByteSize, File, FileMetadata, FileName, FileType};
use bytes::Bytes;
use content::{Content, file_type, final_key};
use futures_util::future::join_all;
use held::{Held, cancelled};
use refusal::{no_room, over_file_limit, over_quota, quota_exceeded};
pub use whole::Memory;
use whole::Whole;

/// What a body's fields around a file may weigh: a reservation may start smaller than its bound by so much.
const SLACK: ByteSize = ByteSize::new(64 * 1024);
/// Without a declared length the reservation grows by doubling from here ...
const FIRST_STEP: ByteSize = ByteSize::mib(1);
/// ... to here.
const LAST_STEP: ByteSize = ByteSize::mib(64);
/// What is known of a file when its first bytes are here.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its name.
    pub name: FileName,
    /// What the client says it is.
    pub declared: Option<FileType>,
    /// Its first bytes, up to 4 KiB or the whole file.
    pub head: &'a [u8],
    /// How many bytes it can have at most, if the client said.
    pub bound: Option<ByteSize>,
}

/// Whose ledger a file counts in while it arrives.
#[derive(Debug, Clone)]
pub enum Owner {
    /// The user whose file it will be.
    Known(UserId),
    /// Nobody's yet: an administrator sends it and names its owner later. Nothing is reserved until
    /// [`Received::assign`].
    Unknown {
        /// Who keeps it meanwhile.
        receiver: UserId,
    },
}

impl Owner {
    /// Whose limits on uploads count.
    #[must_use]
    pub const fn sender(&self) -> &UserId {
        match self {
            Self::Known(user) | Self::Unknown { receiver: user } => user,
        }
    }
}

/// A file being received. Dropped before [`complete`], it cancels itself.
pub struct Receiving {
    held: Held,
    name: FileName,
    sniffed: Sniffed,
    writer: Writer,
    received_bytes: u64,
    granted: ByteSize,
}

/// A file that is here, whose owner and type may still be open.
pub struct Received {
    content: Content,
    place: Place,
}

/// Where a received file is.
enum Place {
    /// On disk under its staging name, its reservation exactly its size.
    Staged(Held),
    /// In memory. Nothing is reserved for it, and nothing of it written.
    Memory(Whole),
}

/// A received file with its owner and its type, its reservation exactly its size. Dropped before [`complete`], it cancels
/// itself.
pub struct Assigned {
    held: Held,
    content: Content,
    file_type: FileType,
    /// Its bytes, unless they are on disk already.
    memory: Option<Whole>,
}

/// The size of a head that decides a file's type.
pub const HEAD_BYTES: usize = 4096;

impl Receiving {
    /// Decides whether a file may come in, reserves its bytes and opens its staging file.
    ///
    /// # Crash
    /// After the row: the janitor cancels it. After the staging file: the same, and the file goes with it.
    ///
    /// # Errors
    /// [`Error::TypeRefused`], [`Error::TypeMismatch`], [`Error::QuotaExceeded`], [`Error::TooManyStoredFiles`],
    /// [`Error::VolumeFull`], [`Error::TooManyRequests`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn start(app: &App, owner: &Owner, incoming: Incoming<'_>) -> Result<Self> {
        let sniffed = media::sniff(incoming.head, incoming.name.as_str());
        let file_type = file_type(&sniffed, incoming.declared)?;
        let (want, at_least) = reservation(app, &incoming);
        app.blobs.require_room(at_least).await?;
        let (user, want, at_least) = match owner {
            Owner::Known(user) => (user, want, at_least),
            Owner::Unknown { receiver } => (receiver, ByteSize::ZERO, ByteSize::ZERO),
        };
        app.rates.upload(user)?;
        let file_id = FileId::new();
        let final_key = final_key(user, file_id, file_type, &sniffed)?;
        let (mut held, granted) = Held::reserve(app, user, (file_id, final_key), (want, at_least)).await?;
        held.is_assigned = matches!(owner, Owner::Known(_));
        let writer = app.blobs.stage(&held.staging).await?;
        Ok(Self { held, name: incoming.name, sniffed, writer, received_bytes: 0, granted })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`], [`Error::QuotaExceeded`] when there are more than were reserved and the quota does not
    /// hold them, [`Error::VolumeFull`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn append(&mut self, chunk: Bytes) -> Result<()> {
        let limits = &self.held.app.config.limits;
        self.received_bytes += chunk.len() as u64;
        if self.received_bytes > limits.max_file.bytes() {
            return Err(Error::FileTooLarge { max_bytes: limits.max_file });
        }
        if self.held.is_assigned && self.received_bytes > self.granted.bytes() {
            self.grow().await?;
        }
        self.writer.push(chunk).await
    }

    /// Forces the bytes to disk and settles the reservation to their number.
    ///
    /// # Errors
    /// As [`Receiving::append`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn finish(self) -> Result<Received> {
        let Self { held, name, sniffed, writer, granted, .. } = self;
        let Staged { file, size, sha256 } = writer.finish().await?;
        if held.is_assigned && size != granted {
            held.resize(size).await?;
        }
        let (sniffed, facts) = content::settle(&held.app, file, sniffed).await?;
        let content = Content { name, sniffed, size, sha256, facts };
        Ok(Received { content, place: Place::Staged(held) })
    }

    /// Gives the file up; see [`Received::cancel`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn cancel(self) {
        self.held.cancel().await;
    }

    /// More bytes came than were reserved: reserve the next step, or at least what is here.
    async fn grow(&mut self) -> Result<()> {
        let here = ByteSize::new(self.received_bytes);
        let step = self.granted.max(FIRST_STEP).min(LAST_STEP);
        let next = self.granted.saturating_add(step).max(here);
        for size in [next, here] {
            if self.held.try_resize(size).await? {
                self.granted = size;
                return Ok(());
            }
        }
        Err(self.held.quota_exceeded().await?)
    }
}

impl Received {
    /// Gives the file its owner and its type: the reservation for its bytes is in the owner's ledger on return. What is
    /// refused is given up, before the answer.
    ///
    /// # Crash
    /// After the row: the janitor cancels it.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`]; [`Error::QuotaExceeded`] and [`Error::TooManyStoredFiles`] of the owner.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn assign(self, app: &App, owner: &UserId, declared: Option<FileType>) -> Result<Assigned> {
        let Self { content, place } = self;
        let file_type = content.file_type(declared);
        match place {
            Place::Memory(whole) => {
                let file_type = file_type?;
                let key = final_key(owner, whole.file_id, file_type, &content.sniffed)?;
                let size = (content.size, content.size);
                let (held, _) = Held::reserve(app, owner, (whole.file_id, key), size).await?;
                Ok(Assigned { held, content, file_type, memory: Some(whole) })
            }
            Place::Staged(mut held) => {
                let assigned = async {
                    held.assign(owner, content.size).await?;
                    file_type
                };
                match assigned.await {
                    Ok(file_type) => Ok(Assigned { held, content, file_type, memory: None }),
                    Err(error) => {
                        held.cancel().await;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Gives the file up: on return its bytes are gone and its reservation is free for the next one. If the database or
    /// the volume does not answer, that happens later.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn cancel(self) {
        if let Place::Staged(held) = self.place {
            held.cancel().await;
        }
    }

    /// The file's name, to tell it apart from others of the same request.
    #[must_use]
    pub fn name(&self) -> &FileName {
        &self.content.name
    }
}

impl Assigned {
    /// Gives the bytes their final name. Durable on return.
    async fn publish(&mut self, app: &App) -> Result<()> {
        match self.memory.take() {
            Some(whole) => app.blobs.put(&self.held.final_key, whole.bytes).await,
            None => {
                self.held.settle_path(self.file_type, &self.content.sniffed).await?;
                let is_there = app.blobs.publish(&self.held.staging, &self.held.final_key).await?;
                if is_there { Ok(()) } else { Err(cancelled()) }
            }
        }
    }
}

/// Refuses a user whose quota holds not one byte or file more, before their body is read. A look, no promise: what decides is
/// the reservation of each file.
///
/// # Errors
/// [`Error::QuotaExceeded`], [`Error::TooManyStoredFiles`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn require_any_room(app: &App, user: &UserId) -> Result<()> {
    let usage = db::storage::get(&mut *app.db.conn().await?, user).await?;
    let Some(usage) = usage else { return Ok(()) };
    let is_full = usage.total_bytes.saturating_add(usage.reserved_bytes) >= usage.max_bytes;
    let full = is_full.then(|| over_quota(&usage)).or_else(|| over_file_limit(app, &usage, 0));
    full.map_or(Ok(()), Err)
}

/// Makes received files the user's, all or none, also when the client hangs up: 1 settle the final paths, 2 write what is
/// in memory, rename the rest, sync, 3 in one transaction end the uploads, insert the files and queue what is made of them.
///
/// # Crash
/// After 1 or 2: the janitor cancels the uploads and removes their files, whose ids no client has received. After 3:
/// done.
///
/// # Errors
/// [`Error::TooManyStoredFiles`]; [`Error::VolumeFull`]; [`Error::Unavailable`]; [`Error::Conflict`] when an upload was
/// cancelled meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn complete(
    app: &App,
    user: &UserId,
    received: Vec<(Assigned, FileMetadata)>,
) -> Result<Vec<File>> {
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move { Box::pin(complete_to_the_end(&owned, &user, received)).await }).await
}

async fn complete_to_the_end(
    app: &App,
    user: &UserId,
    received: Vec<(Assigned, FileMetadata)>,
) -> Result<Vec<File>> {
    let publishing = received.into_iter().map(async |(mut one, metadata)| {
        let published = one.publish(app).await;
        published.map(|()| (one, metadata))
    });
    // Each to its end: nothing is cancelled while its bytes are still being written.
    let published: Vec<Result<_>> = join_all(publishing).await;
    let (mut arrivals, mut all_held) = (Vec::new(), Vec::new());
    for published in published {
        let (one, metadata) = published?;
        let Assigned { held, content, file_type, .. } = one;
        let ids = (held.user.clone(), held.file_id);
        let file = content.into_file(ids, &held.final_key, file_type, metadata);
        arrivals.push(content::arrival(held.id, file)?);
        all_held.push(held);
    }
    // On an error the outcome may be unknown: the files stay held, and cancelling finds out.
    let recorded = match arrivals.as_slice() {
        [only] if app.config.scanner.is_none() => {
            content::record_alone(app, only).await?.map(|file| vec![file])
        }
        several => retrying(|| record_all(app, user, several)).await?,
    };
    let Some(files) = recorded else {
        // Who cancelled one may have looked for its bytes before they had this name, which no row has any more.
        app.blobs.remove(all_held.iter().map(|held| held.final_key.clone()).collect()).await?;
        return Err(cancelled());
    };
    all_held.iter_mut().for_each(|held| held.is_over = true);
    Ok(files)
}

/// `None` when one was cancelled meanwhile.
async fn record_all(app: &App, user: &UserId, arrivals: &[Arrival]) -> Result<Option<Vec<File>>> {
    let mut ledger = app.db.ledger(user).await?;
    let recorded = content::record(app, &mut ledger, &arrivals.iter().collect::<Vec<_>>()).await?;
    if recorded.is_some() {
        ledger.commit().await?;
    }
    Ok(recorded)
}

/// Undoes an upload: 1 take it out of its receiver's hands, 2 remove its bytes, 3 remove its row and give back what it
/// reserved. `false` when it was complete or gone, or the reason does not hold any more. Safe to repeat, also while its bytes still arrive.
///
/// # Crash
/// After 1 or 2: the janitor does it again.
///
/// # Errors
/// When Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn cancel(app: &App, user: &UserId, id: UploadId, reason: Reason) -> Result<bool> {
    let marked =
        within(async { db::uploads::set_cancelling(&mut *app.db.conn().await?, user, id, reason).await });
    let Some(paths) = marked.await? else {
        return Ok(false);
    };
    crash::point("cancel.marked");
    app.writers.evict(id);
    // The staging name first: its receiver may be about to rename it, which then fails or is undone right after.
    app.blobs.remove(paths.into()).await?;
    crash::point("cancel.removed");
    let ended =
        within(async { db::uploads::end(&mut *app.db.conn().await?, user, id, Ending::Cancelled).await });
    Ok(ended.await?.is_some())
}

/// Bytes to reserve, and the fewest to start with: the whole file when its size is known, a first step otherwise.
fn reservation(app: &App, incoming: &Incoming<'_>) -> (ByteSize, ByteSize) {
    let here = ByteSize::new(incoming.head.len() as u64);
    match incoming.bound {
        Some(bound) => {
            let want = bound.min(app.config.limits.max_file).max(here);
            (want, want.saturating_sub(SLACK).max(here))
        }
        None => (FIRST_STEP.max(here), here),
    }
}
