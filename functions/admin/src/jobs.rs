//! Work of the background: jobs, dead ones above all, and the janitor.

use crate::Ended;
use crate::arguments;
use crate::output::{Output, table};
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use jam_core::app::App;
use jam_core::db::jobs::{JobLine, Task};
use jam_core::db::{self, Db};
use jam_core::ids::JobId;
use jam_core::ops::{janitor, work};
use serde::Serialize;

#[derive(Args)]
pub(crate) struct JobsOptions {
    /// Only jobs in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// So many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// Given up, until retried
    Dead,
    /// Waiting for a worker or for its time
    Ready,
    /// Held by a worker
    Running,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Ready => "ready",
            Self::Running => "running",
        }
    }
}

#[derive(Args)]
pub(crate) struct RetryOptions {
    /// One dead job
    #[arg(value_parser = arguments::job, required_unless_present = "all", conflicts_with = "all")]
    job: Option<JobId>,
    /// Every dead job
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Jobs {
    ready: i64,
    running: i64,
    dead: i64,
    jobs: Vec<JobLine>,
}

/// Shows jobs in the order they run, dead ones last.
pub(crate) async fn jobs(output: &Output, db: &Db, options: JobsOptions) -> Result<Ended> {
    let mut conn = db.conn().await?;
    let [ready, running, dead] = db::jobs::counts(&mut conn).await?;
    let jobs = db::jobs::list(&mut conn, options.state.map(State::as_str), i64::from(options.limit)).await?;
    output.answer(&Jobs { ready, running, dead, jobs }, |shown| {
        let rows = shown.jobs.iter().map(|job| {
            [
                job.id.to_string(),
                job.state.clone(),
                job.user_id.to_string(),
                about(&job.task),
                job.attempts.to_string(),
                job.last_error.clone().unwrap_or_default(),
            ]
        });
        let counts = format!("{ready} ready, {running} running, {dead} dead.");
        let heading = ["JOB", "STATE", "USER", "TASK", "ATTEMPTS", "LAST ERROR"];
        if shown.jobs.is_empty() { counts } else { format!("{}\n\n{counts}", table(heading, rows)) }
    })?;
    Ok(Ended::Done)
}

fn about(task: &Task) -> String {
    match task {
        Task::Derive { file, kind } => format!("{} {} of {file}", task.name(), kind.as_str()),
        Task::RemoveBlobs { paths } => format!("{} ({})", task.name(), paths.len()),
        Task::RemoveUser => task.name().to_owned(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Revived {
    revived: usize,
}

/// Lets dead jobs run again.
pub(crate) async fn retry(output: &Output, db: &Db, options: RetryOptions) -> Result<Ended> {
    let revived = work::revive(db, options.job).await?;
    ensure!(options.all || revived > 0, "no dead job has this id");
    output
        .answer(&Revived { revived }, |revived| format!("Jobs that will run again: {}.", revived.revived))?;
    Ok(Ended::Done)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Swept {
    uploads_cancelled: u64,
    uploads_finished: u64,
    files_purged: u64,
}

/// One pass of the janitor.
pub(crate) async fn janitor(output: &Output, app: &App) -> Result<Ended> {
    let pass = janitor::pass(app).await?;
    let janitor::Pass { uploads_cancelled, uploads_finished, files_purged } = pass;
    let swept = Swept { uploads_cancelled, uploads_finished, files_purged };
    output.answer(&swept, |swept| {
        format!(
            "Abandoned uploads cancelled: {}. Uploads finished: {}. Files of the trash removed: {}.",
            swept.uploads_cancelled, swept.uploads_finished, swept.files_purged
        )
    })?;
    Ok(Ended::Done)
}
