//! Removing files for good: rows first, bytes after, by a job that names them until they are gone.

use crate::app::App;
use crate::db;
use crate::db::jobs::Task;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use crate::ops::upload;
use sqlx::PgConnection;

/// Files removed in one transaction.
const BATCH: i64 = 500;

/// Removes files, in the trash or not, within the caller's transaction. Answers which existed.
///
/// # Crash
/// After the commit: the job is there and removes the bytes.
///
/// # Errors
/// When Postgres does not answer.
pub async fn purge(conn: &mut PgConnection, user: &UserId, ids: &[FileId]) -> Result<Vec<FileId>> {
    db::storage::lock(conn, user).await?;
    let mut paths = db::derivatives::paths_of(conn, user, ids).await?;
    let removed = db::files::delete(conn, user, ids).await?;
    paths.extend(removed.iter().map(|(_, path)| path.clone()));
    if !removed.is_empty() {
        db::jobs::enqueue(conn, user, &Task::RemoveBlobs { paths }).await?;
    }
    Ok(removed.into_iter().map(|(id, _)| id).collect())
}

/// Removes everything in a user's trash. Answers how many files that were.
///
/// # Crash
/// Between two batches: the rest stays in the trash.
///
/// # Errors
/// When Postgres does not answer.
pub async fn empty(app: &App, user: &UserId) -> Result<u64> {
    let mut removed = 0;
    loop {
        let mut tx = app.db.begin().await?;
        let ids = db::files::trashed(&mut tx, user, BATCH).await?;
        removed += purge(&mut tx, user, &ids).await?.len() as u64;
        tx.commit().await?;
        if (ids.len() as i64) < BATCH {
            return Ok(removed);
        }
    }
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
/// quota. `watch` hears how many files are gone.
///
/// # Crash
/// Between two uploads or two batches: what is left is as it was.
///
/// # Errors
/// When Postgres or the volume does not answer.
pub async fn remove_everything(
    app: &App,
    user: &UserId,
    watch: &mut (dyn FnMut(u64) + Send),
) -> Result<Removed> {
    let mut removed = Removed::default();
    for id in db::uploads::ids_of(&mut *app.db.conn().await?, user).await? {
        removed.uploads += u64::from(upload::cancel(app, user, id).await?);
    }
    loop {
        let files = db::audit::files(&mut *app.db.conn().await?, user, None, BATCH).await?;
        if files.is_empty() {
            return Ok(removed);
        }
        let ids: Vec<FileId> = files.into_iter().map(|file| file.id).collect();
        let mut tx = app.db.begin().await?;
        removed.files += purge(&mut tx, user, &ids).await?.len() as u64;
        tx.commit().await?;
        watch(removed.files);
    }
}

/// Removes files of any user whose time in the trash is over. Answers how many.
///
/// # Crash
/// Between two users: the next pass does the rest.
///
/// # Errors
/// When Postgres does not answer.
pub async fn purge_due(app: &App) -> Result<u64> {
    let before = app.clock.now() - app.config.limits.trash_keep;
    let mut removed = 0;
    loop {
        let due = db::files::trash_due(&mut *app.db.conn().await?, before, BATCH).await?;
        for group in due.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((user, _)) = group.first() else { continue };
            let ids: Vec<FileId> = group.iter().map(|(_, id)| *id).collect();
            let mut tx = app.db.begin().await?;
            // Somebody may have restored one since.
            let still = db::files::existing(&mut tx, user, &ids, true).await?;
            removed += purge(&mut tx, user, &still).await?.len() as u64;
            tx.commit().await?;
        }
        if (due.len() as i64) < BATCH {
            return Ok(removed);
        }
    }
}
