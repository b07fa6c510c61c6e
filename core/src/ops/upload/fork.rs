//! Forking an upload away from a writer that holds its lock and does not release it: Lambda freezes a process between
//! requests, and it may go on writing whenever it is called again.
//! Invariant: what that writer writes then goes to a file that is no longer the upload's, and it can record nothing.

use super::stored;
use crate::app::App;
use crate::db;
use crate::db::jobs::Task;
use crate::db::sessions::{Open, Session};
use crate::error::Result;
use crate::ids::UploadId;
use crate::model::{BlobKey, Folder};
use std::time::Duration;

/// A copy that has not replaced its original by then is removed. Lambda ends every request sooner.
const COPYING: Duration = Duration::from_secs(3600);

/// Moves an upload to a copy of what is recorded of it: 1 a job names the copy, 2 copy and sync, 3 in one transaction the
/// copy replaces the original, and a job names the original. Whoever moves it first wins.
///
/// # Crash
/// After 1 or 2: the job removes the copy. After 3: done.
///
/// # Errors
/// [`crate::Error::Gone`] when the original is not what was recorded, [`crate::Error::VolumeFull`].
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn start(app: &App, session: &Session, open: &Open) -> Result<()> {
    let (user, id) = (&session.user_id, session.id);
    app.blobs.require_room(session.durable.offset()).await?;
    let copy = BlobKey::new(user.as_str(), Folder::Staging, &UploadId::new().to_string())?;
    let removal = remove(&copy);
    let job = db::jobs::enqueue_later(&mut *app.db.conn().await?, user, &removal, COPYING).await?;
    if !app.blobs.copy_staged(&open.staging, &copy, session.durable.clone()).await? {
        // It may have been finished or cancelled, or moved by somebody else.
        let now = stored::load(app, id).await?;
        let is_same = now.open.is_some_and(|now| now.staging == open.staging && !now.is_finalizing);
        return if is_same { Err(stored::lost(session)) } else { Ok(()) };
    }
    let mut ledger = app.db.ledger(user).await?;
    if db::jobs::withdraw(&mut ledger, user, job).await?
        && db::uploads::set_staging(&mut ledger, user, id, &open.staging, &copy).await?
    {
        db::jobs::enqueue(&mut ledger, user, &remove(&open.staging)).await?;
        ledger.commit().await?;
        tracing::warn!(user.id = %user, upload.id = %id, copied_bytes = session.durable.offset().bytes(),
            "an upload was forked away from a writer that does not release its lock");
        return Ok(());
    }
    drop(ledger);
    app.blobs.remove(vec![copy]).await?;
    db::jobs::withdraw(&mut *app.db.conn().await?, user, job).await.map(drop)
}

fn remove(key: &BlobKey) -> Task {
    Task::RemoveBlobs { paths: vec![key.as_str().to_owned()] }
}
