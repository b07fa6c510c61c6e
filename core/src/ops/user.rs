//! Users as the identity provider tells of them: who came, who left.
//! Invariant: a delivery counts once, however often it comes; who left does not come back by a late one.

use crate::app::App;
use crate::db::jobs::Task;
use crate::db::{self, retrying};
use crate::error::Result;
use crate::ids::UserId;

/// Sets up a new user's storage.
///
/// # Errors
/// When Postgres does not answer: the provider then delivers again.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn created(app: &App, delivery: &str, user: &UserId) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        if db::webhooks::remember(&mut ledger, delivery).await? {
            ledger.ensure(app.config.limits.default_quota).await?;
        }
        ledger.commit().await
    })
    .await
}

/// Takes everything from a user who was deleted: at once the quota and every signed URL, by a job the files.
///
/// # Crash
/// After the commit: the job is there.
///
/// # Errors
/// When Postgres does not answer: the provider then delivers again.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn deleted(app: &App, delivery: &str, user: &UserId) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        if db::webhooks::remember(&mut ledger, delivery).await? {
            db::storage::set_deleted(&mut ledger, user).await?;
            db::jobs::enqueue(&mut ledger, user, &Task::RemoveUser).await?;
            tracing::info!(user.id = %user, "a user was deleted: their files will be removed");
        }
        ledger.commit().await
    })
    .await
}
