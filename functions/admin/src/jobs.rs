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
use jam_core::ops::{janitor, trash, work};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

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

fn about(task: &Value) -> String {
    match Task::deserialize(task) {
        Ok(Task::Derive { content, kind }) => format!("derive {} of {content}", kind.as_str()),
        Ok(Task::Scan { content }) => format!("scan {content}"),
        Ok(Task::RemoveBlobs { paths }) => format!("remove_blobs ({})", paths.len()),
        Ok(task @ Task::RemoveUser) => task.name().to_owned(),
        // A newer release's.
        Err(_) => task["task"].as_str().unwrap_or_default().to_owned(),
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
    /// Due, and waiting for `allow-purge`.
    files_waiting: u64,
    /// Nothing was done: this machine's clock is so far before the database's.
    wrong_clock_seconds: Option<i64>,
}

/// One pass of the janitor.
pub(crate) async fn janitor(output: &Output, app: &App) -> Result<Ended> {
    let pass = janitor::pass(app).await?;
    let janitor::Pass { uploads_cancelled, uploads_finished, files_purged, .. } = pass;
    let janitor::Pass { files_waiting, wrong_clock_seconds, .. } = pass;
    let swept =
        Swept { uploads_cancelled, uploads_finished, files_purged, files_waiting, wrong_clock_seconds };
    output.answer(&swept, |swept| {
        if let Some(seconds) = swept.wrong_clock_seconds {
            return format!(
                "Nothing was done: this machine's clock and the database's differ by {seconds} s."
            );
        }
        let waiting = match swept.files_waiting {
            0 => String::new(),
            files => format!(" Files that are due and wait for `jam-admin allow-purge`: {files}."),
        };
        format!(
            "Abandoned uploads cancelled: {}. Uploads finished: {}. Files of the trash removed: {}.{waiting}",
            swept.uploads_cancelled, swept.uploads_finished, swept.files_purged
        )
    })?;
    let is_clean = wrong_clock_seconds.is_none() && files_waiting == 0;
    Ok(if is_clean { Ended::Done } else { Ended::Findings })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Allowed {
    files_allowed: u64,
}

/// Lets the janitor remove what is due in the trash now, however much it is.
pub(crate) async fn allow_purge(output: &Output, app: &App) -> Result<Ended> {
    let files_allowed = trash::allow_due(app).await?;
    output.answer(&Allowed { files_allowed }, |allowed| {
        format!("Files that the janitor may remove in its next pass: {}.", allowed.files_allowed)
    })?;
    Ok(Ended::Done)
}
