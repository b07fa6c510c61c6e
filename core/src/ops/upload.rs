//! Receiving a file: reserve, stage, hash, publish, record. What comes in one piece goes through [`Receiving`], what may
//! come in many through [`session`] and [`append`]; both end in the same rows, and so does what is copied from a stored file by
//! [`copy`].
//! Invariant: what [`complete`] answered for is on disk under its final name and has its row; anything else leaves a
//! row that names what to undo.

pub mod append;
pub(super) mod content;
pub mod copy;
mod finish;
mod fork;
pub mod join;
mod listener;
mod lock;
mod parts;
pub mod proof;
pub mod session;
mod stored;

use crate::app::App;
use crate::blob::{Staged, Writer};
use crate::crash;
use crate::db::files::NewFile;
use crate::db::uploads::{Ending, NewOwner, NewUpload, Reason};
use crate::db::{self, retrying, within};
use crate::error::{Error, Result, chain};
use crate::ids::{FileId, UploadId, UserId};
use crate::media::{self, Sniffed};
use crate::model::{BlobKey, ByteSize, File, FileMetadata, FileName, FileType, Folder, Usage};
use bytes::Bytes;
use content::{Content, file_type, final_key, record};
use sqlx::PgConnection;
use std::time::Duration;

/// An upload that is not finished by then is given up, whatever its process says.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// What a body's fields around a file may weigh: a reservation may start smaller than its bound by so much.
const SLACK: ByteSize = ByteSize::new(64 * 1024);
/// Without a declared length the reservation grows by doubling from here ...
const FIRST_STEP: ByteSize = ByteSize::mib(1);
/// ... to here.
const LAST_STEP: ByteSize = ByteSize::mib(64);
/// Pauses between attempts to cancel while the database or the volume does not answer; then the janitor does it.
const CANCEL_PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

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

/// A file being received. Dropped before [`complete`], it cancels itself.
pub struct Receiving {
    held: Held,
    name: FileName,
    sniffed: Sniffed,
    writer: Writer,
    received_bytes: u64,
    granted: ByteSize,
}

/// A file that is on disk under its staging name, its reservation exactly its size.
pub struct Received {
    held: Held,
    content: Content,
}

/// The upload's row and paths; cancels the upload when dropped, unless it was completed.
struct Held {
    app: App,
    user: UserId,
    id: UploadId,
    file_id: FileId,
    staging: BlobKey,
    final_key: BlobKey,
    /// Whether the user is the file's owner, with a reservation for it.
    is_assigned: bool,
    /// Whether the upload has ended, one way or the other.
    is_over: bool,
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
        Ok(Received { held, content: Content { name, sniffed, size, sha256, facts } })
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
    /// Whether the content may be stored as this type.
    ///
    /// # Errors
    /// [`Error::TypeMismatch`].
    pub fn require_type(&self, declared: Option<FileType>) -> Result<()> {
        self.content.file_type(declared).map(drop)
    }

    /// Gives the file its owner: the upload's row and a reservation for its bytes move to their ledger.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] of the owner.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn assign(&mut self, owner: &UserId) -> Result<()> {
        let held = &mut self.held;
        if held.is_assigned {
            return Ok(());
        }
        let moved = NewOwner { from: &held.user, id: held.id, to: owner, bytes: self.content.size };
        let mut conn = held.app.db.conn().await?;
        db::storage::ensure(&mut conn, owner, held.app.config.limits.default_quota).await?;
        if !db::uploads::assign(&mut conn, &moved).await? {
            drop(conn);
            return Err(quota_exceeded(&held.app, owner).await?);
        }
        held.user = owner.clone();
        held.is_assigned = true;
        Ok(())
    }

    /// Gives the file up: on return its bytes are gone and its reservation is free for the next one. If the database or
    /// the volume does not answer, that happens later.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn cancel(self) {
        self.held.cancel().await;
    }

    /// The file's name, to tell it apart from others of the same request.
    #[must_use]
    pub fn name(&self) -> &FileName {
        &self.content.name
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

/// Makes received files the user's, all or none, also when the client hangs up: 1 settle the final paths, 2 rename and
/// sync, 3 in one transaction end the uploads, insert the files and queue their thumbnails.
///
/// # Crash
/// After 1 or 2: the janitor cancels the uploads and removes their files, whose ids no client has received. After 3:
/// done.
///
/// # Errors
/// [`Error::TypeMismatch`] before anything happened; [`Error::TooManyStoredFiles`]; [`Error::Unavailable`];
/// [`Error::Conflict`] when an upload was cancelled meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn complete(
    app: &App,
    user: &UserId,
    received: Vec<(Received, Option<FileType>, FileMetadata)>,
) -> Result<Vec<File>> {
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move { Box::pin(complete_to_the_end(&owned, &user, received)).await }).await
}

async fn complete_to_the_end(
    app: &App,
    user: &UserId,
    received: Vec<(Received, Option<FileType>, FileMetadata)>,
) -> Result<Vec<File>> {
    let mut arrived = Vec::new();
    for (mut one, declared, metadata) in received {
        let file_type = one.content.file_type(declared)?;
        one.held.settle_path(file_type, &one.content.sniffed).await?;
        if !app.blobs.publish(&one.held.staging, &one.held.final_key).await? {
            return Err(cancelled());
        }
        let ids = (one.held.user.clone(), one.held.file_id);
        let file = one.content.into_file(ids, &one.held.final_key, file_type, metadata);
        arrived.push((file, one.held));
    }
    // On an error the outcome may be unknown: the files stay held, and cancelling finds out.
    if let Some(lost) = retrying(|| record_all(app, user, &arrived)).await? {
        // Who cancelled it may have looked for its bytes before they had this name, which no row has any more.
        app.blobs.remove(vec![lost]).await?;
        return Err(cancelled());
    }
    arrived.iter_mut().for_each(|(_, held)| held.is_over = true);
    let mut conn = app.db.conn().await?;
    let mut files = Vec::new();
    for (new, _) in &arrived {
        files.extend(db::files::get(&mut conn, user, new.id).await?);
    }
    Ok(files)
}

/// All of them or none. Answers the path of one that was cancelled meanwhile; then none is recorded.
async fn record_all(app: &App, user: &UserId, arrived: &[(NewFile, Held)]) -> Result<Option<BlobKey>> {
    let mut ledger = app.db.ledger(user).await?;
    for (file, held) in arrived {
        if !record(app, &mut ledger, held.id, file).await? {
            return Ok(Some(held.final_key.clone()));
        }
    }
    ledger.commit().await?;
    Ok(None)
}

impl Held {
    /// Makes the row of an upload: reserves between `at_least` and `want` bytes of its owner, and names where its bytes
    /// will be. Answers also how many were reserved.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::TooManyStoredFiles`].
    async fn reserve(
        app: &App,
        user: &UserId,
        (file_id, final_key): (FileId, BlobKey),
        (want, at_least): (ByteSize, ByteSize),
    ) -> Result<(Self, ByteSize)> {
        let id = UploadId::new();
        let staging = BlobKey::new(user.as_str(), Folder::Staging, &id.to_string())?;
        let new = NewUpload {
            id,
            user,
            file_id,
            staging: &staging,
            final_key: &final_key,
            instance: Some(app.blobs.volume().instance()),
            want,
            at_least,
            expires_in: LIFETIME,
        };
        let granted = reserve(app, &new).await?;
        let (app, user) = (app.clone(), user.clone());
        let held = Self { app, user, id, file_id, staging, final_key, is_assigned: true, is_over: false };
        Ok((held, granted))
    }

    /// Fields may come after the file and change its type, and with it its folder.
    async fn settle_path(&mut self, file_type: FileType, sniffed: &Sniffed) -> Result<()> {
        let settled = final_key(&self.user, self.file_id, file_type, sniffed)?;
        if settled == self.final_key {
            return Ok(());
        }
        let mut conn = self.app.db.conn().await?;
        if !db::uploads::set_final_path(&mut conn, &self.user, self.id, &self.staging, &settled).await? {
            return Err(cancelled());
        }
        self.final_key = settled;
        Ok(())
    }

    async fn cancel(mut self) {
        // After an error the drop tries again.
        self.is_over = cancel(&self.app, &self.user, self.id, Reason::Wanted).await.is_ok();
    }

    async fn try_resize(&self, size: ByteSize) -> Result<bool> {
        let mut conn = self.app.db.conn().await?;
        db::uploads::resize(&mut conn, &self.user, self.id, size).await
    }

    async fn resize(&self, size: ByteSize) -> Result<()> {
        if self.try_resize(size).await? { Ok(()) } else { Err(self.quota_exceeded().await?) }
    }

    async fn quota_exceeded(&self) -> Result<Error> {
        quota_exceeded(&self.app, &self.user).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (app, user, id) = (self.app.clone(), self.user.clone(), self.id);
        // Without a runtime the process is ending, and the janitor of the next one does it.
        if tokio::runtime::Handle::try_current().is_ok() {
            app.clone().detach(async move { cancel_patiently(&app, &user, id).await });
        }
    }
}

async fn cancel_patiently(app: &App, user: &UserId, id: UploadId) {
    for pause in CANCEL_PAUSES {
        match cancel(app, user, id, Reason::Wanted).await {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(error = %chain(&error), user.id = %user, upload.id = %id, "an upload could not be cancelled yet")
            }
        }
        tokio::time::sleep(pause).await;
    }
    tracing::error!(user.id = %user, upload.id = %id, "an upload is left to expire");
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

async fn reserve(app: &App, new: &NewUpload<'_>) -> Result<ByteSize> {
    let max_files = app.config.limits.max_files_per_user;
    if let Some(granted) = db::uploads::create(&mut *app.db.conn().await?, new, max_files).await? {
        return Ok(granted);
    }
    // No row yet, or no room: make the row and ask once more, while nobody changes what the answer goes by.
    retrying(|| async {
        let mut ledger = app.db.ledger(new.user).await?;
        ledger.ensure(app.config.limits.default_quota).await?;
        match db::uploads::create(&mut ledger, new, max_files).await? {
            Some(granted) => {
                ledger.commit().await?;
                Ok(granted)
            }
            None => Err(no_room(app, &mut ledger, new.user).await?),
        }
    })
    .await
}

/// The janitor took the upload away, because its time was over.
fn cancelled() -> Error {
    Error::Conflict { reason: "The upload was cancelled".to_owned() }
}

/// Why an upload of this user cannot grow.
async fn quota_exceeded(app: &App, user: &UserId) -> Result<Error> {
    let usage = db::storage::get(&mut *app.db.conn().await?, user).await?;
    Ok(usage.as_ref().map_or(Error::NotFound, over_quota))
}

/// Why an upload of this user cannot be reserved. The caller holds their row.
async fn no_room(app: &App, conn: &mut PgConnection, user: &UserId) -> Result<Error> {
    let Some(usage) = db::storage::get(conn, user).await? else { return Ok(Error::NotFound) };
    let open = db::uploads::count_files(conn, user).await?;
    Ok(over_file_limit(app, &usage, open).unwrap_or_else(|| over_quota(&usage)))
}

/// With `open` uploads that become files as well.
fn over_file_limit(app: &App, usage: &Usage, open: i64) -> Option<Error> {
    let max_files = app.config.limits.max_files_per_user;
    let file_count = usage.file_count + usage.trash_count + open;
    (file_count >= max_files).then_some(Error::TooManyStoredFiles { file_count, max_files })
}

fn over_quota(usage: &Usage) -> Error {
    Error::QuotaExceeded {
        total_bytes: usage.total_bytes,
        reserved_bytes: usage.reserved_bytes,
        max_bytes: usage.max_bytes,
    }
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
