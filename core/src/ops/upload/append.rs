//! Appending to a resumable upload: bytes in, and every few of them recorded, so that whatever ends it, little is sent
//! twice.
//! Invariant: every offset that a client receives is on disk and in the row first, and no offset is ever lower than an
//! earlier one.

use super::lock::{self, Acquired, Persistence};
use super::stored;
use super::{HEAD_BYTES, LAST_STEP, content, finish, listener, quota_exceeded};
use crate::app::App;
use crate::blob::Writer;
use crate::crash;
use crate::db;
use crate::db::sessions::{Open, Progress, Session};
use crate::db::uploads::Reason;
use crate::error::{Error, Result};
use crate::media;
use crate::model::{ByteSize, Checkpoint, UploadRole};
use crate::writers::Writing;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

/// How often a writer checks whether it is still the latest one. Usually a notification makes it check; without one it
/// takes up to this long to release its lock.
const LOOK: Duration = Duration::from_secs(1);
/// The longest time that bytes are not recorded ...
const UNRECORDED: Duration = Duration::from_secs(5);
/// ... and how many of them are on disk by then at most: each record is a commit, for which the bytes wait.
const UNRECORDED_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes on their way in.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What comes with one request.
#[derive(Debug, Default)]
pub struct Piece {
    /// Where its bytes belong.
    pub offset: ByteSize,
    /// How many there are, if the client said.
    pub size: Option<ByteSize>,
    /// How long the whole upload is, if that becomes known only now.
    pub length: Option<ByteSize>,
    /// What the bytes must hash to; if they do not, none of them counts.
    pub checksum: Option<Checksum>,
}

/// A digest of one request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-1, against accidents only.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

/// A checksum being compared while its bytes come.
enum Checking {
    Nothing,
    Sha1(Sha1, [u8; 20]),
    Sha256(Sha256, [u8; 32]),
}

/// Appends bytes and, with the last one, makes the upload a file. Answers how far it is then.
///
/// # Crash
/// At any moment: what was written in this run of the kernel is found again, at least what was recorded last in any
/// other; with all bytes there, the next request finishes it, or the janitor.
///
/// # Errors
/// [`Error::OffsetMismatch`], [`Error::UploadTooLong`], [`Error::UploadLocked`], [`Error::ChecksumMismatch`],
/// [`Error::Gone`], [`Error::QuotaExceeded`] while the length is not known, [`Error::Draining`] when the process is to
/// end, [`Error::VolumeFull`], [`Error::TypeMismatch`] and [`Error::TypeRefused`] at the end, and whatever `chunks` ends
/// with. What came before an error is kept, unless there is a checksum.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn append(app: &App, session: &Session, piece: Piece, chunks: Chunks) -> Result<Session> {
    let (owned, id) = (app.clone(), session.id);
    app.outlive(async move {
        let app = owned;
        match lock::acquire(&app, id, Persistence::Evict).await? {
            Acquired::Busy => Err(Error::UploadLocked),
            Acquired::Ended(session) => at_its_end(*session, &piece),
            Acquired::Held(held) => {
                let (session, open, writer) = held.recover(&app).await?;
                if open.is_finalizing {
                    let session = finish::finish(&app, session, open, writer).await?;
                    return at_its_end(session, &piece);
                }
                run(&app, session, open, writer, piece, chunks).await
            }
        }
    })
    .await
}

/// Nothing more fits to an upload that is complete, and nothing at all to one that is gone.
fn at_its_end(session: Session, piece: &Piece) -> Result<Session> {
    let Some(length) = session.length.filter(|_| session.file_id.is_some()) else { return Err(Error::Gone) };
    match (piece.offset == length, piece.size) {
        (true, Some(ByteSize::ZERO)) => Ok(session),
        (true, _) => Err(Error::UploadTooLong { length }),
        (false, _) => Err(Error::OffsetMismatch { offset: length }),
    }
}

async fn run(
    app: &App,
    mut session: Session,
    open: Open,
    writer: Writer,
    piece: Piece,
    mut chunks: Chunks,
) -> Result<Session> {
    app.blobs.require_healthy().await?;
    let start = writer.durable().clone();
    let epoch = lock::claim(app, &session, &open, &writer, piece.checksum.is_none()).await?;
    crash::point("append.claimed");
    if piece.offset != start.offset() {
        return Err(Error::OffsetMismatch { offset: start.offset() });
    }
    if let Some(length) = piece.length {
        set_length(app, &mut session, &start, length).await?;
    }
    require_fit(app, &session, &piece)?;
    let granted = session.length.unwrap_or(open.reserved);
    let mut appending = Appending::new(app, &session, writer, epoch, granted);
    let mut checking = Checking::new(piece.checksum);
    appending.records = piece.checksum.is_none();
    let received = appending.receive(&mut chunks, &mut checking).await;
    let received = received.and_then(|()| checking.verdict());
    if received.is_err() && piece.checksum.is_some() {
        appending.writer.take_back(&start).await?;
        return received.map(|()| session);
    }
    appending.records = true;
    appending.settle(received).await?;
    let Appending { writer, .. } = appending;
    session.durable = writer.durable().clone();
    let is_whole = session.length == Some(session.durable.offset());
    if is_whole && session.role != UploadRole::Part {
        return finish::finish(app, session, open, writer).await;
    }
    drop(writer);
    stored::load(app, session.id).await
}

/// Tells early what would not fit.
fn require_fit(app: &App, session: &Session, piece: &Piece) -> Result<()> {
    let limits = &app.config.limits;
    let Some(size) = piece.size else { return Ok(()) };
    if let Some(max_bytes) = limits.max_append.filter(|max| size > *max) {
        return Err(Error::BodyTooLarge { max_bytes });
    }
    let end = piece.offset.saturating_add(size);
    match session.length {
        Some(length) if end > length => Err(Error::UploadTooLong { length }),
        None if end > limits.max_file => Err(Error::FileTooLarge { max_bytes: limits.max_file }),
        _ => Ok(()),
    }
}

/// The client knows only now how long the upload is: exactly that is reserved from here on.
async fn set_length(app: &App, session: &mut Session, at: &Checkpoint, length: ByteSize) -> Result<()> {
    let wrong = |expected: String| {
        let reason = format!("\"{length}\" was sent, expected {expected}");
        Error::invalid_parameter("Upload-Length", reason)
    };
    match session.length {
        Some(known) if known == length => return Ok(()),
        Some(known) => return Err(wrong(format!("{known}, which was said before and cannot change"))),
        None if length < at.offset() => {
            return Err(wrong(format!("at least the {} bytes that are here", at.offset())));
        }
        None => {}
    }
    let max_bytes = app.config.limits.max_file;
    if length > max_bytes {
        return Err(Error::FileTooLarge { max_bytes });
    }
    let mut conn = app.db.conn().await?;
    if !db::uploads::resize(&mut conn, &session.user_id, session.id, length).await? {
        drop(conn);
        return Err(quota_exceeded(app, &session.user_id).await?);
    }
    if !db::sessions::set_length(&mut conn, &session.user_id, session.id, length).await? {
        return Err(Error::Gone);
    }
    session.length = Some(length);
    Ok(())
}

/// A writer at work.
pub(super) struct Appending<'a> {
    app: &'a App,
    session: &'a Session,
    // Leaves the list of writers before the lock goes with the file.
    writing: Writing,
    pub(super) writer: Writer,
    epoch: i64,
    end_bytes: u64,
    received_bytes: u64,
    granted: ByteSize,
    recorded: ByteSize,
    recorded_at: Instant,
    /// Whether bytes count before all have come.
    records: bool,
    /// The first bytes, until there are enough to tell what the file is.
    head: Option<Vec<u8>>,
}

impl<'a> Appending<'a> {
    pub(super) fn new(
        app: &'a App,
        session: &'a Session,
        writer: Writer,
        epoch: i64,
        granted: ByteSize,
    ) -> Self {
        let at = writer.durable().offset();
        let writing = app.writers.enter(session.id);
        listener::begin(app);
        Self {
            app,
            session,
            writing,
            writer,
            epoch,
            end_bytes: at.bytes(),
            received_bytes: 0,
            granted,
            recorded: at,
            recorded_at: Instant::now(),
            records: true,
            head: (at == ByteSize::ZERO && session.role == UploadRole::File).then(Vec::new),
        }
    }

    /// Takes bytes until there are no more, somebody asks to stop, or the process is to end.
    async fn receive(&mut self, chunks: &mut Chunks, checking: &mut Checking) -> Result<()> {
        let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                () = self.writing.stop.cancelled() => return Err(Error::UploadLocked),
                () = self.app.stop.cancelled() => return Err(Error::Draining),
                () = self.writing.look.notified() => None,
                _ = look.tick() => None,
                next = chunks.next() => Some(next),
            };
            let Some(next) = next else {
                self.look_around().await?;
                continue;
            };
            let Some(chunk) = next.transpose()? else { return Ok(()) };
            checking.pass(&chunk);
            self.push(chunk).await?;
        }
    }

    /// The same for bytes of our own, which need no checking.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn copy(&mut self, mut chunks: Chunks) -> Result<()> {
        self.receive(&mut chunks, &mut Checking::Nothing).await
    }

    async fn push(&mut self, chunk: Bytes) -> Result<()> {
        let limits = &self.app.config.limits;
        self.received_bytes += chunk.len() as u64;
        if let Some(max_bytes) = limits.max_append.filter(|max| self.received_bytes > max.bytes()) {
            return Err(Error::BodyTooLarge { max_bytes });
        }
        let end_bytes = self.end_bytes + chunk.len() as u64;
        match self.session.length {
            Some(length) if end_bytes > length.bytes() => return Err(Error::UploadTooLong { length }),
            None if end_bytes > limits.max_file.bytes() => {
                return Err(Error::FileTooLarge { max_bytes: limits.max_file });
            }
            None if end_bytes > self.granted.bytes() => self.grow(ByteSize::new(end_bytes)).await?,
            _ => {}
        }
        self.look_at_head(&chunk)?;
        self.writer.push(chunk).await?;
        self.end_bytes = end_bytes;
        let durable = self.writer.durable();
        if durable.offset().saturating_sub(self.recorded).bytes() >= UNRECORDED_BYTES {
            let at = durable.clone();
            self.record(&at).await?;
        }
        Ok(())
    }

    /// Content that will be refused at the end is refused as soon as it shows.
    fn look_at_head(&mut self, chunk: &[u8]) -> Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        head.extend_from_slice(&chunk[..chunk.len().min(HEAD_BYTES - head.len())]);
        if head.len() == HEAD_BYTES {
            let sniffed = media::sniff(head, self.session.name.as_str());
            self.head = None;
            content::file_type(&sniffed, self.session.declared)?;
        }
        Ok(())
    }

    /// More bytes came than are reserved: reserve the next step, or at least what is here.
    async fn grow(&mut self, here: ByteSize) -> Result<()> {
        let max_file = self.app.config.limits.max_file;
        let next = self.granted.saturating_add(LAST_STEP).min(max_file).max(here);
        self.app.blobs.require_room(next.saturating_sub(self.granted)).await?;
        let (user, id) = (&self.session.user_id, self.session.id);
        for size in [next, here] {
            if db::uploads::resize(&mut *self.app.db.conn().await?, user, id, size).await? {
                self.granted = size;
                return Ok(());
            }
        }
        Err(quota_exceeded(self.app, user).await?)
    }

    async fn look_around(&mut self) -> Result<()> {
        let (user, id) = (&self.session.user_id, self.session.id);
        let looked = async {
            let mut conn = self.app.db.conn().await?;
            db::sessions::is_latest(&mut conn, user, id, self.epoch).await
        };
        // Without an answer the bytes go on: the next record decides.
        if let Ok(false) = looked.await {
            return Err(self.why_not_latest().await);
        }
        let is_due = self.records && self.recorded_at.elapsed() >= UNRECORDED;
        if is_due && self.end_bytes > self.recorded.bytes() {
            let at = self.writer.sync().await?;
            self.record(&at).await?;
        }
        Ok(())
    }

    /// Forces out and records what is here, however the receiving went. Of what a failing store was given since the last
    /// checkpoint nothing counts, whatever it says of it from now on. Content that cannot become a file ends the upload.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn settle(&mut self, received: Result<()>) -> Result<()> {
        let settled = match &received {
            Err(Error::Unavailable { part: "volume" }) => received,
            _ => match self.writer.sync().await {
                Ok(at) if at.offset() > self.recorded => self.record(&at).await.and(received),
                Ok(_) => received,
                Err(error) => received.and(Err(error)),
            },
        };
        let (user, id) = (&self.session.user_id, self.session.id);
        match &settled {
            Err(Error::Unavailable { part: "volume" }) => {
                db::sessions::forget_tail(&mut *self.app.db.conn().await?, user, id, self.epoch).await?;
            }
            Err(Error::TypeRefused { .. } | Error::TypeMismatch { .. }) => {
                super::cancel(self.app, user, id, Reason::Wanted).await?;
            }
            _ => {}
        }
        settled
    }

    async fn record(&mut self, at: &Checkpoint) -> Result<()> {
        if !self.records {
            return Ok(());
        }
        let checkpoint = Progress {
            user: &self.session.user_id,
            id: self.session.id,
            epoch: self.epoch,
            at,
            idle: self.app.config.limits.upload_idle,
            life: self.app.config.limits.upload_life,
        };
        crash::point("append.synced");
        let started = Instant::now();
        if !db::sessions::checkpoint(&mut *self.app.db.conn().await?, &checkpoint).await? {
            return Err(self.why_not_latest().await);
        }
        crash::point("append.recorded");
        metrics::histogram!("jam_checkpoint_seconds").record(started.elapsed().as_secs_f64());
        self.recorded = at.offset();
        self.recorded_at = Instant::now();
        Ok(())
    }

    /// Somebody took over, or the upload was cancelled.
    async fn why_not_latest(&self) -> Error {
        match stored::load(self.app, self.session.id).await {
            Ok(session) if session.open.is_some() => Error::UploadLocked,
            Ok(_) | Err(Error::NotFound) => Error::Gone,
            Err(error) => error,
        }
    }
}

impl Checking {
    fn new(checksum: Option<Checksum>) -> Self {
        match checksum {
            None => Self::Nothing,
            Some(Checksum::Sha1(expected)) => Self::Sha1(Sha1::new(), expected),
            Some(Checksum::Sha256(expected)) => Self::Sha256(Sha256::new(), expected),
        }
    }

    fn pass(&mut self, chunk: &[u8]) {
        match self {
            Self::Nothing => {}
            Self::Sha1(digest, _) => digest.update(chunk),
            Self::Sha256(digest, _) => digest.update(chunk),
        }
    }

    fn verdict(self) -> Result<()> {
        let holds = match self {
            Self::Nothing => true,
            Self::Sha1(digest, expected) => <[u8; 20]>::from(digest.finalize()) == expected,
            Self::Sha256(digest, expected) => <[u8; 32]>::from(digest.finalize()) == expected,
        };
        if holds { Ok(()) } else { Err(Error::ChecksumMismatch) }
    }
}
