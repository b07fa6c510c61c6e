//! One writer for each upload: the lock on its bytes decides, and its holder can be made to release it.
//! Invariant: what a session says under its lock stays so until the lock is dropped, unless the upload is cancelled.

use super::fork;
use super::stored::{load, lost};
use crate::app::App;
use crate::blob::{Lock, Locked, Recovered, Writer};
use crate::db;
use crate::db::sessions::{Claim, Open, Session};
use crate::db::uploads::Reason;
use crate::error::{Error, Result};
use crate::ids::UploadId;
use crate::model::ByteSize;
use std::time::Duration;
use tokio::time::Instant;

/// How long the holder of a lock has to release it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after writers of other processes were asked they are asked again: one that was about to begin missed it.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a Lambda instance has to release its lock before the upload is forked: it may be frozen until it is called.
const FROZEN: Duration = Duration::from_secs(2);
/// Between two attempts while a writer releases its lock.
const PAUSE: Duration = Duration::from_millis(10);

/// What to do when somebody else holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Ask them to stop, and wait.
    Evict,
    /// Leave them alone.
    Yield,
}

/// The outcome of an attempt to lock an upload.
pub(super) enum Acquired {
    /// It is ours.
    Held(Box<Held>),
    /// It has ended, one way or the other.
    Ended(Box<Session>),
    /// Somebody else holds it.
    Busy,
}

/// An open upload whose lock is ours.
pub(super) struct Held {
    pub(super) session: Session,
    pub(super) open: Open,
    locked: Locked,
}

/// Locks an upload.
///
/// # Errors
/// [`Error::UploadLocked`] when its holder does not release it, [`Error::Gone`] when its bytes are lost.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn acquire(app: &App, id: UploadId, persistence: Persistence) -> Result<Acquired> {
    let started = Instant::now();
    let (mut missed, mut is_made) = (false, false);
    let mut asked_others: Option<Instant> = None;
    loop {
        let session = load(app, id).await?;
        let Some(open) = session.open.clone() else { return Ok(Acquired::Ended(Box::new(session))) };
        match lock(app, &open).await? {
            Lock::Held(locked) => {
                // What was loaded before the lock may be old.
                let session = load(app, id).await?;
                let Some(open) = session.open.clone() else {
                    if is_made {
                        app.blobs.remove(vec![open.staging]).await?;
                    }
                    return Ok(Acquired::Ended(Box::new(session)));
                };
                return Ok(Acquired::Held(Box::new(Held { session, open, locked })));
            }
            // Its rename or its end may have come between reading the row and looking for the file.
            Lock::Missing if !missed => missed = true,
            // The process that made the row ended before it made the file.
            Lock::Missing
                if !is_made && session.durable.offset() == ByteSize::ZERO && !open.is_finalizing =>
            {
                app.blobs.stage_empty(&open.staging, session.length.unwrap_or_default()).await?;
                is_made = true;
            }
            Lock::Missing => return Err(lost(&session)),
            Lock::Busy if persistence == Persistence::Yield => return Ok(Acquired::Busy),
            Lock::Busy => {
                let is_due = asked_others.is_none_or(|asked| asked.elapsed() > ASK_AGAIN);
                if !app.writers.evict(id) && is_due {
                    db::evictions::ask(&mut *app.db.conn().await?, &session.user_id, id).await?;
                    asked_others = Some(Instant::now());
                }
                if app.config.lambda.is_some() && !open.is_finalizing && started.elapsed() > FROZEN {
                    fork::start(app, &session, &open).await?;
                    continue;
                }
            }
        }
        if started.elapsed() > PATIENCE {
            return Err(Error::UploadLocked);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Once its final path is settled, the bytes may have either name.
async fn lock(app: &App, open: &Open) -> Result<Lock> {
    match app.blobs.lock_staged(&open.staging).await? {
        Lock::Missing if open.is_finalizing => app.blobs.lock_staged(&open.final_key).await,
        found => Ok(found),
    }
}

impl Held {
    /// Brings the bytes to where they go on. Durable on return, but not recorded.
    ///
    /// # Errors
    /// [`Error::Gone`] when bytes are lost that were acknowledged: the upload is cancelled.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn recover(self, app: &App) -> Result<(Session, Open, Writer)> {
        let Self { session, open, locked } = self;
        let known = session.durable.offset();
        let keeps_tail = session.boot == Some(app.blobs.volume().boot()) && !open.is_finalizing;
        match locked.recover(session.durable.clone(), keeps_tail, session.length).await? {
            Recovered::At(writer) => Ok((session, open, writer)),
            Recovered::Torn { found } => {
                tracing::error!(user.id = %session.user_id, upload.id = %session.id, known_bytes = known.bytes(),
                    found_bytes = found.bytes(), "acknowledged bytes of an upload are lost");
                super::cancel(app, &session.user_id, session.id, Reason::Wanted).await?;
                Err(Error::Gone)
            }
        }
    }
}

/// Records what recovery found and makes us the latest writer. `counts_tail`: bytes that we write count even if we die
/// before they are recorded.
///
/// # Errors
/// [`Error::Gone`] when the upload was cancelled meanwhile, or forked away from its holder.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn claim(
    app: &App,
    session: &Session,
    open: &Open,
    writer: &Writer,
    counts_tail: bool,
) -> Result<i64> {
    let claim = Claim {
        user: &session.user_id,
        id: session.id,
        staging: &open.staging,
        at: writer.durable(),
        boot: counts_tail.then(|| app.blobs.volume().boot()),
    };
    db::sessions::claim(&mut *app.db.conn().await?, &claim).await?.ok_or(Error::Gone)
}
