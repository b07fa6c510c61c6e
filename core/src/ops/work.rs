//! Running jobs: claim, do, finish; failures wait and are tried again, and at last set aside with their reason.

use crate::app::App;
use crate::blob::BlobKey;
use crate::db::jobs::{ClaimedJob, Task};
use crate::db::{self, Db};
use crate::error::{Error, Result};
use crate::ids::{FileId, JobId};
use crate::media::PictureFormat;
use crate::model::PictureKind;
use crate::ops::thumbnail::Wanted;
use crate::ops::{derivative, facts, playback, thumbnail, trash};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A worker that is silent for so long has lost its job to another.
const LEASE: Duration = Duration::from_secs(180);
/// How often a job is tried.
const MAX_ATTEMPTS: i32 = 3;
/// Pause after the first failure; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Runs the next job that is due, unless it is a long one. `false` when there is none.
///
/// # Errors
/// When Postgres does not answer; a job's own failure is recorded with it.
pub async fn run_next(app: &App) -> Result<bool> {
    run_one(app, false, &CancellationToken::new()).await
}

/// Runs the next long job that is due. `false` when there is none. Told to stop, it gives the job back.
///
/// # Errors
/// As [`run_next`].
pub async fn run_next_long(app: &App, stop: &CancellationToken) -> Result<bool> {
    run_one(app, true, stop).await
}

async fn run_one(app: &App, is_long: bool, stop: &CancellationToken) -> Result<bool> {
    let Some(job) = claim(app, is_long).await? else { return Ok(false) };
    if job.attempts > MAX_ATTEMPTS {
        // Whoever did it never came to tell how it ended.
        set_aside(app, &job, "its worker ended in each attempt").await?;
        return Ok(true);
    }
    let started = tokio::time::Instant::now();
    let outcome = run(app, &job, stop).await;
    let duration_ms = started.elapsed().as_millis() as u64;
    let mut conn = app.db.conn().await?;
    match outcome {
        Ok(()) => {
            db::jobs::finish(&mut conn, &job).await?;
            tracing::info!(job.id = %job.id, user.id = %job.user_id, task = job.task.name(), duration_ms, "job done");
        }
        Err(Error::Draining) => db::jobs::give_back(&mut conn, &job).await?,
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

/// Of long jobs one at a time, whoever runs it.
async fn claim(app: &App, is_long: bool) -> Result<Option<ClaimedJob>> {
    if !is_long {
        return db::jobs::claim(&mut *app.db.conn().await?, false, LEASE).await;
    }
    let mut tx = app.db.begin().await?;
    db::jobs::take_turn(&mut tx).await?;
    let claimed = db::jobs::claim(&mut tx, true, LEASE).await?;
    tx.commit().await?;
    Ok(claimed)
}

async fn run(app: &App, job: &ClaimedJob, stop: &CancellationToken) -> Result<()> {
    match &job.task {
        Task::Derive { file, kind } => {
            let made = match kind.picture() {
                Some(kind) => draw(app, job, *file, kind).await,
                None => playback::make(app, job, *file, stop).await,
            };
            match made {
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

/// The first look at a file after its upload also finds out what its headers did not tell.
async fn draw(app: &App, job: &ClaimedJob, file: FileId, kind: PictureKind) -> Result<()> {
    facts::complete(app, &job.user_id, file).await?;
    let format = PictureFormat::WebP;
    thumbnail::make(app, &Wanted { user: &job.user_id, file, kind, format }).await
}

/// The last attempt failed: the file's owner sees why, and the job stays for an operator.
async fn set_aside(app: &App, job: &ClaimedJob, reason: &str) -> Result<()> {
    let mut conn = app.db.conn().await?;
    if let Task::Derive { file, kind } = &job.task {
        let name = derivative::name(&job.user_id, *file, *kind);
        db::derivatives::set_failed(&mut conn, &name, "it could not be made in three attempts").await?;
    }
    db::jobs::bury(&mut conn, job, reason).await
}

/// Lets dead jobs run again, one or all, and the derivatives that were given up with them. Answers how many.
///
/// # Errors
/// When Postgres does not answer: then nothing was done.
pub async fn revive(db: &Db, only: Option<JobId>) -> Result<usize> {
    let mut tx = db.begin().await?;
    let revived = db::jobs::revive(&mut tx, only).await?;
    for (user, task) in &revived {
        if let Task::Derive { file, kind } = task {
            db::derivatives::forgive(&mut tx, user, *file, *kind).await?;
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
