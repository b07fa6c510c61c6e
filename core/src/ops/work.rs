//! Running jobs: claim, do, finish; failures wait and are tried again, and at last set aside with their reason.

use crate::app::App;
use crate::blob::BlobKey;
use crate::db::jobs::{ClaimedJob, Task};
use crate::db::{self, Db};
use crate::error::{Error, Result};
use crate::ids::JobId;
use crate::media::PictureFormat;
use crate::ops::{thumbnail, trash};
use std::time::Duration;

/// A worker that is silent for so long has lost its job to another.
const LEASE: Duration = Duration::from_secs(180);
/// How often a job is tried.
const MAX_ATTEMPTS: i32 = 3;
/// Pause after the first failure; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Runs the next job that is due. `false` when there is none.
///
/// # Errors
/// When Postgres does not answer; a job's own failure is recorded with it.
pub async fn run_next(app: &App) -> Result<bool> {
    let Some(job) = db::jobs::claim(&mut *app.db.conn().await?, LEASE).await? else { return Ok(false) };
    let started = tokio::time::Instant::now();
    let outcome = run(app, &job).await;
    let duration_ms = started.elapsed().as_millis() as u64;
    let mut conn = app.db.conn().await?;
    match outcome {
        Ok(()) => {
            db::jobs::finish(&mut conn, &job).await?;
            tracing::info!(job.id = %job.id, user.id = %job.user_id, task = job.task.name(), duration_ms, "job done");
        }
        Err(error) => {
            let reason = reason(&error);
            tracing::warn!(job.id = %job.id, user.id = %job.user_id, task = job.task.name(), attempts = job.attempts, reason, "job failed");
            if job.attempts < MAX_ATTEMPTS {
                let pause = FIRST_PAUSE * 4_u32.pow(job.attempts.max(1).unsigned_abs() - 1);
                db::jobs::retry_later(&mut conn, &job, &reason, pause).await?;
            } else {
                set_aside(app, &job, &reason).await?;
            }
        }
    }
    Ok(true)
}

async fn run(app: &App, job: &ClaimedJob) -> Result<()> {
    match &job.task {
        Task::Derive { file, kind } => {
            match thumbnail::make(app, &thumbnail::name(&job.user_id, *file, *kind, PictureFormat::WebP))
                .await
            {
                // The file went while the job waited: nothing is left to do.
                Err(Error::NotFound | Error::ThumbnailUnavailable { .. }) => Ok(()),
                made => made,
            }
        }
        Task::RemoveBlobs { paths } => {
            let keys = paths.iter().map(|path| BlobKey::parse(path)).collect::<Result<Vec<_>>>()?;
            app.volume.remove(keys).await
        }
        Task::RemoveUser => {
            trash::remove_everything(app, &job.user_id, &mut |_| {}).await?;
            Ok(())
        }
    }
}

/// The last attempt failed: the file's owner sees why, and the job stays for an operator.
async fn set_aside(app: &App, job: &ClaimedJob, reason: &str) -> Result<()> {
    let mut conn = app.db.conn().await?;
    if let Task::Derive { file, kind } = &job.task {
        let name = thumbnail::name(&job.user_id, *file, *kind, PictureFormat::WebP);
        db::derivatives::set_failed(&mut conn, &name, "it could not be made in three attempts").await?;
    }
    db::jobs::bury(&mut conn, job, reason).await
}

/// Lets dead jobs run again, one or all, and the pictures that were given up with them. Answers how many.
///
/// # Errors
/// When Postgres does not answer: then nothing was done.
pub async fn revive(db: &Db, only: Option<JobId>) -> Result<usize> {
    let mut tx = db.begin().await?;
    let revived = db::jobs::revive(&mut tx, only).await?;
    for (user, task) in &revived {
        if let Task::Derive { file, kind } = task {
            let name = thumbnail::name(user, *file, *kind, PictureFormat::WebP);
            db::derivatives::forgive(&mut tx, &name).await?;
        }
    }
    tx.commit().await?;
    Ok(revived.len())
}

fn reason(error: &Error) -> String {
    match error {
        Error::Internal(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}
