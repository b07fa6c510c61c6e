//! Copying parts into the file they are joined to: the service itself is the writer, so a join goes on after a crash as
//! any upload does.
//! Invariant: a part ends only when the whole is a file.

use super::append::{Appending, Chunks};
use super::{cancel, finish, lock};
use crate::app::App;
use crate::blob::Writer;
use crate::crash;
use crate::db::sessions::{self, Open, Session};
use crate::db::uploads::Reason;
use crate::error::{Error, Result};
use crate::model::{BlobKey, ByteSize};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::ops::Range;

/// Goes on with a join under its lock, and ends its parts.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn join(app: &App, mut session: Session, open: Open, writer: Writer) -> Result<Session> {
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
    let blobs = app.blobs.clone();
    let read = move |(key, length, range): (BlobKey, ByteSize, Range<u64>)| {
        let blobs = blobs.clone();
        async move { Ok::<_, Error>(blobs.read(&key, length, range).await?.map_err(unreadable)) }
    };
    Ok(stream::iter(pieces).then(read).try_flatten().boxed())
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::Internal(anyhow::Error::new(cause).context("reading a part"))
}
