//! Removing files for good: rows first, bytes after, by a job that names them until they are gone.

use crate::app::App;
use crate::db::files::Removable;
use crate::db::jobs::Task;
use crate::db::uploads::Reason;
use crate::db::{self, Ledger, retrying, within};
use crate::error::Result;
use crate::ids::{FileId, UserId};
use crate::ops::upload;
use time::OffsetDateTime;

/// Files removed in one transaction.
const BATCH: i64 = 500;
/// Files of the trash of all users that a pass removes whatever part of it they are: small installations need no operator.
pub const ALWAYS: i64 = 1000;

/// Removes those of these files that may be removed, within the caller's transaction. Answers which were.
///
/// # Crash
/// After the commit: the job is there and removes the bytes.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn purge(ledger: &mut Ledger, ids: &[FileId], which: Removable) -> Result<Vec<FileId>> {
    let held = db::files::lock_removable(ledger, ids, which).await?;
    let released = db::contents::shown_only_by(ledger, &held).await?;
    let mut paths = db::derivatives::paths_of(ledger, &released).await?;
    paths.extend(db::files::delete(ledger, &held).await?);
    if !paths.is_empty() {
        let user = ledger.user().clone();
        db::jobs::enqueue(ledger, &user, &Task::RemoveBlobs { paths }).await?;
    }
    Ok(held)
}

/// [`purge`] in a transaction of its own.
async fn purge_now(app: &App, user: &UserId, ids: &[FileId], which: Removable) -> Result<u64> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        let removed = purge(&mut ledger, ids, which).await?;
        ledger.commit().await?;
        Ok(removed.len() as u64)
    })
    .await
}

/// Removes everything in a user's trash, also when the client hangs up. Answers how many files that were.
///
/// # Crash
/// Between two batches: the rest stays in the trash.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn empty(app: &App, user: &UserId) -> Result<u64> {
    let (owned, user) = (app.clone(), user.clone());
    app.outlive(async move {
        let (app, mut removed) = (owned, 0);
        loop {
            let (found, purged) = retrying(|| async {
                let mut ledger = app.db.ledger(&user).await?;
                let ids = db::files::trashed(&mut ledger, &user, BATCH).await?;
                let purged = purge(&mut ledger, &ids, Removable::Trashed).await?;
                ledger.commit().await?;
                Ok((ids.len() as i64, purged.len() as u64))
            })
            .await?;
            removed += purged;
            if found < BATCH {
                return Ok(removed);
            }
        }
    })
    .await
}

/// What [`remove_everything`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Uploads that were under way.
    pub uploads: u64,
    /// Files, in the trash or not.
    pub files: u64,
}

/// Removes everything a user has: uploads under way, then files, in the trash or not. The user's row stays, with its
/// quota. `watch` is called with the number of files that are gone.
///
/// # Crash
/// Between two uploads or two batches: what is left is as it was.
///
/// # Errors
/// When Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn remove_everything(
    app: &App,
    user: &UserId,
    watch: &mut (dyn FnMut(u64) + Send),
) -> Result<Removed> {
    let mut removed = Removed::default();
    let uploads = within(async { db::uploads::ids_of(&mut *app.db.conn().await?, user).await }).await?;
    for id in uploads {
        removed.uploads += u64::from(upload::cancel(app, user, id, Reason::Wanted).await?);
    }
    loop {
        let files =
            within(async { db::audit::files(&mut *app.db.conn().await?, user, None, BATCH).await }).await?;
        if files.is_empty() {
            return Ok(removed);
        }
        let ids: Vec<FileId> = files.into_iter().map(|file| file.id).collect();
        removed.files += purge_now(app, user, &ids, Removable::Any).await?;
        watch(removed.files);
    }
}

/// What a pass over the trash of all users did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Files that were removed.
    pub files: u64,
    /// Files that are due and wait for an operator's word, because there are too many at once.
    pub waiting: u64,
}

/// Removes files of any user whose time in the trash is over, by Postgres' clock. More than a tenth of all trash at once
/// is more likely a wrong clock or a wrong setting than the passing of time: then only what an operator has [allowed]
/// is removed, and the rest waits. [`ALWAYS`] files are removed in any case.
///
/// # Crash
/// Between two users: the next pass does the rest.
///
/// # Errors
/// When Postgres does not answer.
///
/// [allowed]: allow_due
#[tracing::instrument(level = "debug", skip_all)]
pub async fn purge_due(app: &App) -> Result<Purged> {
    let kept = app.config.limits.trash_keep;
    let (waiting, until) = within(too_many_due(app)).await?;
    let mut files = 0;
    loop {
        let due =
            within(async { db::files::trash_due(&mut *app.db.conn().await?, kept, until, BATCH).await })
                .await?;
        for group in due.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((user, _)) = group.first() else { continue };
            let ids: Vec<FileId> = group.iter().map(|(_, id)| *id).collect();
            files += purge_now(app, user, &ids, Removable::TrashedFor(kept)).await?;
        }
        if (due.len() as i64) < BATCH {
            return Ok(Purged { files, waiting });
        }
    }
}

/// How many files are due that must wait, and since when what may be removed is in the trash at the latest. Counts no
/// further than it has to.
async fn too_many_due(app: &App) -> Result<(u64, Option<OffsetDateTime>)> {
    let kept = app.config.limits.trash_keep;
    let mut conn = app.db.conn().await?;
    let allowed = db::purges::allowed_before(&mut conn).await?;
    if db::purges::count_due(&mut conn, kept, allowed, ALWAYS + 1).await? <= ALWAYS {
        return Ok((0, None));
    }
    let most = ALWAYS.max(db::purges::count_trash(&mut conn).await? / 10);
    let due = db::purges::count_due(&mut conn, kept, allowed, i64::MAX).await?;
    if due <= most {
        return Ok((0, None));
    }
    tracing::error!(
        due,
        most,
        "the trash is not emptied: more is due at once than ever by itself. See `jam-admin allow-purge`"
    );
    Ok((due.unsigned_abs(), Some(allowed.unwrap_or(OffsetDateTime::UNIX_EPOCH))))
}

/// Lets the next passes remove what is due now, however much it is. Answers how many files that are.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn allow_due(app: &App) -> Result<u64> {
    let kept = app.config.limits.trash_keep;
    Ok(db::purges::allow(&mut *app.db.conn().await?, kept).await?.unsigned_abs())
}
