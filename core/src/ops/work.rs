//! Running jobs: claim, do, finish; failures wait and are tried again, and at last set aside with their reason.

use crate::app::App;
use crate::db::jobs::{ClaimedJob, DeadJob, Task};
use crate::db::{self, Db, retrying, within};
use crate::error::{Error, Result};
use crate::ids::{ContentId, JobId};
use crate::media::ThumbnailFormat;
use crate::model::{BlobKey, ThumbnailSize};
use crate::ops::thumbnail::{Made, Wanted};
use crate::ops::{content, derivative, playback, scan, thumbnail, trash};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A worker that is silent for so long has lost its job to another.
const LEASE: Duration = Duration::from_secs(180);
/// How often a job is tried.
const MAX_ATTEMPTS: i32 = 3;
/// Pause after the first failure; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// How long a job waits for somebody else who does the same.
const WAIT: Duration = Duration::from_secs(5);

/// Runs the next job that is due, unless it is a long one. `false` when there is none.
///
/// # Errors
/// When Postgres does not answer; a job's own failure is recorded with it.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn run_next(app: &App) -> Result<bool> {
    run_one(app, false, &CancellationToken::new()).await
}

/// Runs the next long job that is due. `false` when there is none. When asked to stop, it gives the job back.
///
/// # Errors
/// As [`run_next`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn run_next_long(app: &App, stop: &CancellationToken) -> Result<bool> {
    run_one(app, true, stop).await
}

async fn run_one(app: &App, is_long: bool, stop: &CancellationToken) -> Result<bool> {
    let Some(job) = within(claim(app, is_long)).await? else { return Ok(false) };
    if job.attempts > MAX_ATTEMPTS {
        // Whoever did it never came to tell how it ended.
        set_aside(app, &job, "its worker ended in each attempt").await?;
        return Ok(true);
    }
    let started = tokio::time::Instant::now();
    let ended = run(app, &job, stop).await;
    let result = if ended.is_ok() { "done" } else { "failed" };
    metrics::histogram!("jam_job_seconds", "task" => job.task.name(), "result" => result)
        .record(started.elapsed().as_secs_f64());
    within(record_end(app, &job, ended, started.elapsed())).await?;
    Ok(true)
}

async fn record_end(app: &App, job: &ClaimedJob, ended: Result<Made>, took: Duration) -> Result<()> {
    match ended {
        Ok(Made::Settled) => {
            db::jobs::finish(&mut *app.db.conn().await?, job).await?;
            let duration_ms = took.as_millis() as u64;
            tracing::info!(job.id = %job.id, user.id = %job.user_id, task = job.task.name(), duration_ms, "job done");
            Ok(())
        }
        // A job ends only with what it is about: whoever makes that now may fail to.
        Ok(Made::ByAnother) => db::jobs::wait(&mut *app.db.conn().await?, job, WAIT).await,
        Err(Error::Draining) => db::jobs::give_back(&mut *app.db.conn().await?, job).await,
        Err(error) => fail(app, job, &reason(&error)).await,
    }
}

/// Puts a job that failed back for later, or sets it aside after the last attempt.
async fn fail(app: &App, job: &ClaimedJob, reason: &str) -> Result<()> {
    tracing::warn!(job.id = %job.id, user.id = %job.user_id, task = job.task.name(), attempts = job.attempts, reason, "job failed");
    if job.attempts >= MAX_ATTEMPTS {
        return set_aside(app, job, reason).await;
    }
    let pause = FIRST_PAUSE * 4_u32.pow(job.attempts.max(1).unsigned_abs() - 1);
    db::jobs::retry_later(&mut *app.db.conn().await?, job, reason, pause).await
}

/// One long job at a time, in whatever process.
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

async fn run(app: &App, job: &ClaimedJob, stop: &CancellationToken) -> Result<Made> {
    match &job.task {
        Task::Derive { content, kind } => {
            let made = match kind.thumbnail() {
                Some(kind) => draw(app, job, *content, kind).await,
                None => playback::make(app, job, *content, stop).await.map(|()| Made::Settled),
            };
            match made {
                // The content went while the job waited: nothing is left to do.
                Err(Error::NotFound | Error::ThumbnailUnavailable { .. }) => Ok(Made::Settled),
                made => made,
            }
        }
        Task::Scan { content } => match scan::run(app, &job.user_id, *content).await {
            Err(Error::NotFound) => Ok(Made::Settled),
            scanned => scanned.map(|()| Made::Settled),
        },
        Task::RemoveBlobs { paths } => {
            let (keys, unknown): (Vec<_>, Vec<_>) =
                paths.iter().map(|path| BlobKey::parse(path)).partition(Result::is_ok);
            app.blobs.remove(keys.into_iter().flatten().collect()).await?;
            // A newer release may name blobs otherwise: what this one cannot name keeps only itself.
            unknown.into_iter().next().transpose()?;
            Ok(Made::Settled)
        }
        Task::RemoveUser => {
            trash::remove_everything(app, &job.user_id, &mut |_| {}).await?;
            Ok(Made::Settled)
        }
    }
}

/// The first look at a content after its upload also finds out what its headers did not tell.
async fn draw(app: &App, job: &ClaimedJob, content: ContentId, kind: ThumbnailSize) -> Result<Made> {
    let stored = content::completed(app, &job.user_id, content).await?;
    let format = ThumbnailFormat::WebP;
    thumbnail::make(app, &Wanted { user: &job.user_id, content, kind, format }, stored).await
}

/// The last attempt failed: the file's owner sees why, and the job stays for an operator.
async fn set_aside(app: &App, job: &ClaimedJob, reason: &str) -> Result<()> {
    retrying(|| async {
        let mut ledger = app.db.ledger(&job.user_id).await?;
        if let Task::Derive { content, kind } = &job.task {
            let name = derivative::name(&job.user_id, *content, *kind);
            db::derivatives::set_failed(&mut ledger, &name, "it could not be made in three attempts").await?;
        }
        db::jobs::bury(&mut ledger, job, reason).await?;
        ledger.commit().await
    })
    .await
}

/// Lets dead jobs run again, one or all, and the derivatives that were given up with them. Answers how many.
///
/// # Crash
/// Between two jobs: the rest is dead as before.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn revive(db: &Db, only: Option<JobId>) -> Result<usize> {
    let mut revived = 0;
    for job in db::jobs::dead(&mut *db.conn().await?, only).await? {
        revived += usize::from(retrying(|| revive_one(db, &job)).await?);
    }
    Ok(revived)
}

async fn revive_one(db: &Db, job: &DeadJob) -> Result<bool> {
    let mut ledger = db.ledger(&job.user_id).await?;
    let is_revived = db::jobs::revive(&mut ledger, job.id).await?;
    if let (true, Task::Derive { content, kind }) = (is_revived, &job.task) {
        db::derivatives::forgive(&mut ledger, *content, *kind).await?;
    }
    ledger.commit().await?;
    Ok(is_revived)
}

fn reason(error: &Error) -> String {
    match error {
        Error::Internal(cause) => format!("{cause:#}"),
        other => other.to_string(),
    }
}
