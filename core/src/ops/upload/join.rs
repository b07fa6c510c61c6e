//! Beginning to join parts to one file; `parts` copies them.
//! Invariant: a part's bytes are promised once: its reservation moves to the whole when the join begins.

use super::session::{self, New, Paths};
use super::stored;
use crate::app::App;
use crate::crash;
use crate::db::sessions::{self, Session};
use crate::db::uploads::Reason;
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::ids::{UploadId, UserId};
use crate::model::{ByteSize, UploadRole};

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
#[tracing::instrument(level = "debug", skip_all)]
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
    let staged = match app.blobs.require_room(length).await {
        Ok(()) => app.blobs.stage_empty(&paths.staging, length).await,
        full => full,
    };
    if let Err(error) = staged {
        retrying(|| release(app, &new.user, id, ids)).await?;
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
    let mut row = paths.row(app, length, length);
    row.expires_in = app.config.limits.upload_idle;
    row.want = sessions::take_reservations(&mut ledger, ids, row.expires_in).await?;
    db::uploads::create_reserved(&mut ledger, &new.user, &row).await?;
    let whole = New { length: Some(length), ..new.clone() };
    sessions::insert(&mut ledger, &session::session_row(&whole, id, ids)).await?;
    ledger.commit().await?;
    Ok(Begun::New(id, paths, length))
}

/// Gives the parts of a join that cannot begin what it took of them: they are whole as before, and can be joined again.
async fn release(app: &App, user: &UserId, id: UploadId, ids: &[UploadId]) -> Result<()> {
    let mut ledger = app.db.ledger(user).await?;
    sessions::return_reservations(&mut ledger, id, ids).await?;
    db::uploads::set_cancelling(&mut ledger, user, id, Reason::Wanted).await?;
    ledger.commit().await
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
