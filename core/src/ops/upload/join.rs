//! Joining parts to one file: the service itself is the writer, so a join goes on after a crash as any upload does.
//! Invariant: a part's bytes are promised once: its reservation moves to the whole when the join begins.

use super::append::{Appending, Chunks};
use super::session::{self, New, Paths};
use super::{cancel, finish, lock};
use crate::app::App;
use crate::blob::{BlobKey, Writer};
use crate::crash;
use crate::db;
use crate::db::sessions::{self, Open, Session};
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
/// After the rows: whoever asks for the upload goes on with it, or the janitor. After the file: its parts expire.
///
/// # Errors
/// [`Error::Conflict`] for a part that is not one, not whole or joined already; [`Error::FileTooLarge`],
/// [`Error::VolumeFull`], and what finishing ends with.
#[expect(clippy::disallowed_methods, reason = "a join goes on when its request is gone")]
pub async fn join(app: &App, mut new: New, parts: &[Session]) -> Result<Session> {
    let ids: Vec<UploadId> = parts.iter().map(|part| part.id).collect();
    let mut tx = app.db.begin().await?;
    session::lock_owner(app, &mut tx, &new.user).await?;
    if let Some(key) = &new.idempotency_key
        && let Some(known) = session::known_by_key(&mut tx, &new.user, key).await?
    {
        tx.commit().await?;
        return session::repeat(app, known, &new, &ids).await;
    }
    // Looked at again under the owner's row: two joins cannot have the same part.
    let mut length = ByteSize::ZERO;
    for id in &ids {
        let part = sessions::get(&mut tx, *id).await?.ok_or(Error::NotFound)?;
        length = length.saturating_add(whole_part(&part)?);
    }
    let max_bytes = app.config.limits.max_file;
    if length > max_bytes {
        return Err(Error::FileTooLarge { max_bytes });
    }
    new.length = Some(length);
    let id = UploadId::new();
    let paths = Paths::new(&new.user, id)?;
    let mut row = paths.row(app, &new.user, length, length);
    row.expires_at = app.clock.now() + app.config.limits.upload_idle;
    row.want = sessions::take_reservations(&mut tx, &new.user, &ids, row.expires_at).await?;
    db::uploads::create_reserved(&mut tx, &row).await?;
    sessions::insert(&mut tx, &session::session_row(&new, id, &ids)).await?;
    tx.commit().await?;
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
    let (app, session) = (app.clone(), lock::load(app, id).await?);
    let joining = tokio::spawn(async move { session::refresh(&app, session).await });
    joining.await.map_err(|panicked| Error::Internal(anyhow::Error::new(panicked).context("joining")))?
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
        cancel(app, &finished.user_id, *part).await?;
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
            cancel(app, &session.user_id, session.id).await?;
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
