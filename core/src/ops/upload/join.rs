//! Joining parts to one file: the service itself is the writer, so a join goes on after a crash as any upload does.
//! Invariant: a part's bytes are promised once: its reservation moves to the whole when the join begins.

use super::append::{Appending, Chunks};
use super::session::{self, New, Paths};
use super::{cancel, finish, lock, stored};
use crate::app::App;
use crate::blob::{BlobKey, Writer};
use crate::crash;
use crate::db::sessions::{self, Open, Session};
use crate::db::uploads::Reason;
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::ids::UploadId;
use crate::model::{ByteSize, UploadRole};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::ops::Range;

/// Parts of one file at most.
pub const MAX_PARTS: usize = 100;

/// Joins parts in their order and ends them. Under an idempotency key that is known, answers that join instead.
///
/// # Crash
/// After the rows: the next request for the upload goes on with it, or the janitor. After the file: its parts expire.
///
/// # Errors
/// [`Error::Conflict`] for a part that is not one, not whole or joined already; [`Error::FileTooLarge`],
/// [`Error::VolumeFull`], and what finishing ends with.
pub async fn join(app: &App, new: New, parts: &[Session]) -> Result<Session> {
    let ids: Vec<UploadId> = parts.iter().map(|part| part.id).collect();
    let owned = app.clone();
    app.outlive(async move { Box::pin(join_to_the_end(&owned, new, &ids)).await }).await
}

/// What a join begins with.
enum Begun {
    Known(UploadId),
    New(UploadId, Paths, ByteSize),
}

async fn join_to_the_end(app: &App, new: New, ids: &[UploadId]) -> Result<Session> {
    let (id, paths, length) = match retrying(|| begin(app, &new, ids)).await? {
        Begun::Known(known) => return session::repeat(app, known, &new, ids).await,
        Begun::New(id, paths, length) => (id, paths, length),
    };
    crash::point("join.rows");
    let staged = match app.volume.require_room(length).await {
        Ok(()) => app.volume.stage_empty(&paths.staging, length).await,
        full => full,
    };
    if let Err(error) = staged {
        session::discard(app, &new.user, id).await?;
        return Err(error);
    }
    crash::point("join.file");
    session::refresh(app, stored::load(app, id).await?).await
}

/// Takes the parts under the owner's row, so that no two joins have the same.
async fn begin(app: &App, new: &New, ids: &[UploadId]) -> Result<Begun> {
    let mut ledger = app.db.ledger(&new.user).await?;
    ledger.ensure(app.config.limits.default_quota).await?;
    if let Some(key) = &new.idempotency_key
        && let Some(known) = session::find_by_key(&mut ledger, &new.user, key).await?
    {
        ledger.commit().await?;
        return Ok(Begun::Known(known));
    }
    let mut length = ByteSize::ZERO;
    for id in ids {
        let part = sessions::get(&mut ledger, *id).await?.ok_or(Error::NotFound)?;
        length = length.saturating_add(whole_part(&part)?);
    }
    let max_bytes = app.config.limits.max_file;
    if length > max_bytes {
        return Err(Error::FileTooLarge { max_bytes });
    }
    let id = UploadId::new();
    let paths = Paths::new(&new.user, id)?;
    let mut row = paths.row(app, &new.user, length, length);
    row.expires_in = app.config.limits.upload_idle;
    row.want = sessions::take_reservations(&mut ledger, ids, row.expires_in).await?;
    db::uploads::create_reserved(&mut ledger, &row).await?;
    let whole = New { length: Some(length), ..new.clone() };
    sessions::insert(&mut ledger, &session::session_row(&whole, id, ids)).await?;
    ledger.commit().await?;
    Ok(Begun::New(id, paths, length))
}

/// The length of a part that can be joined.
fn whole_part(part: &Session) -> Result<ByteSize> {
    let refuse = |reason: &str| Err(Error::Conflict { reason: reason.to_owned() });
    let (UploadRole::Part, Some(open)) = (part.role, &part.open) else {
        return refuse(
            "One of these uploads was not created as a part (Upload-Concat: partial), so it cannot be joined",
        );
    };
    match part.length {
        Some(length) if length == part.durable.offset() && length == open.reserved => Ok(length),
        Some(length) if length == part.durable.offset() => refuse("A part is joined already"),
        _ => refuse("A part is not complete"),
    }
}

/// Goes on with a join under its lock.
pub(super) async fn go_on(app: &App, mut session: Session, open: Open, writer: Writer) -> Result<Session> {
    let chunks = rest_of_parts(app, &session, writer.durable().offset().bytes()).await?;
    let epoch = lock::claim(app, &session, &open, &writer, true).await?;
    let mut joining = Appending::new(app, &session, writer, epoch, open.reserved);
    let copied = joining.copy(chunks).await;
    joining.settle(copied).await?;
    crash::point("join.copied");
    let Appending { writer, .. } = joining;
    session.durable = writer.durable().clone();
    let finished = finish::finish(app, session, open, writer).await?;
    crash::point("join.finished");
    for part in &finished.part_ids {
        cancel(app, &finished.user_id, *part, Reason::Wanted).await?;
    }
    Ok(finished)
}

/// What is still to be copied after `done_bytes`. Without one of its parts the join can never end: it is cancelled.
async fn rest_of_parts(app: &App, session: &Session, done_bytes: u64) -> Result<Chunks> {
    let mut pieces: Vec<(BlobKey, ByteSize, Range<u64>)> = Vec::new();
    let mut start_bytes = 0;
    for id in &session.part_ids {
        let part = sessions::get(&mut *app.db.conn().await?, *id).await?;
        let Some((length, open)) = part.and_then(|part| part.length.zip(part.open)) else {
            cancel(app, &session.user_id, session.id, Reason::Wanted).await?;
            return Err(Error::Gone);
        };
        let skipped_bytes = done_bytes.saturating_sub(start_bytes).min(length.bytes());
        pieces.push((open.staging, length, skipped_bytes..length.bytes()));
        start_bytes += length.bytes();
    }
    let volume = app.volume.clone();
    let read = move |(key, length, range): (BlobKey, ByteSize, Range<u64>)| {
        let volume = volume.clone();
        async move { Ok::<_, Error>(volume.read(&key, length, range).await?.map_err(unreadable)) }
    };
    Ok(stream::iter(pieces).then(read).try_flatten().boxed())
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::Internal(anyhow::Error::new(cause).context("reading a part"))
}
