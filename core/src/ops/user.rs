//! Users as the identity provider tells of them: who came, who left.
//! Invariant: a delivery counts once, however often it comes; who left does not come back by a late one.

use crate::app::App;
use crate::db;
use crate::db::jobs::Task;
use crate::error::Result;
use crate::ids::UserId;

/// Sets up a new user's storage.
///
/// # Errors
/// When Postgres does not answer: the provider then delivers again.
pub async fn created(app: &App, delivery: &str, user: &UserId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if db::webhooks::remember(&mut tx, delivery).await? {
        db::storage::ensure(&mut tx, user, app.config.limits.default_quota).await?;
    }
    Ok(tx.commit().await?)
}

/// Takes everything from a user who was deleted: at once the quota and every signed URL, by a job the files.
///
/// # Crash
/// After the commit: the job is there.
///
/// # Errors
/// When Postgres does not answer: the provider then delivers again.
pub async fn deleted(app: &App, delivery: &str, user: &UserId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if db::webhooks::remember(&mut tx, delivery).await? {
        db::storage::set_deleted(&mut tx, user).await?;
        db::jobs::enqueue(&mut tx, user, &Task::RemoveUser).await?;
        tracing::info!(user.id = %user, "a user was deleted: their files will be removed");
    }
    Ok(tx.commit().await?)
}
