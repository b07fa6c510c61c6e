//! `jobs`: work for the worker, claimed by SKIP LOCKED under a lease.
//! Invariant: only the holder of the current lease token finishes or fails a job; a finished job has no row.
//! Never runs a job.

use super::Ledger;
use crate::error::Result;
use crate::ids::{ContentId, JobId, UserId};
use crate::model::DerivativeKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What a job does. Every task may run twice with the same result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Make one derivative of a content.
    Derive {
        /// The content, under the name that releases before contents read.
        #[serde(rename = "file")]
        content: ContentId,
        /// Which derivative.
        kind: DerivativeKind,
    },
    /// Scan a new content for viruses.
    Scan {
        /// The content, under the name that releases before contents read.
        #[serde(rename = "file")]
        content: ContentId,
    },
    /// Remove blobs whose rows are gone. Until it is done, this job is the row that names them.
    RemoveBlobs {
        /// Their keys.
        paths: Vec<String>,
    },
    /// Remove everything a user has.
    RemoveUser,
}

impl Task {
    /// Whether it may take longer than others can wait.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        matches!(self, Self::Derive { kind: DerivativeKind::Playback, .. })
    }

    /// Every task's name: workers claim no others, which newer releases may have.
    const NAMES: [&'static str; 4] = ["derive", "scan", "remove_blobs", "remove_user"];

    /// The task's name in logs and in the database.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Derive { .. } => "derive",
            Self::Scan { .. } => "scan",
            Self::RemoveBlobs { .. } => "remove_blobs",
            Self::RemoveUser => "remove_user",
        }
    }
}

/// A job that a worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub id: JobId,
    /// Whose file it is about.
    pub user_id: UserId,
    /// What to do.
    pub task: Task,
    /// How often it was tried, this time included.
    pub attempts: i32,
    /// Proves the claim.
    pub lease: Uuid,
}

/// Adds a job; it runs once the caller's transaction is committed.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn enqueue(conn: &mut PgConnection, user: &UserId, task: &Task) -> Result<()> {
    enqueue_later(conn, user, task, Duration::ZERO).await?;
    Ok(())
}

/// Adds a job that runs after a while unless it is withdrawn before.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn enqueue_later(
    conn: &mut PgConnection,
    user: &UserId,
    task: &Task,
    after: Duration,
) -> Result<JobId> {
    let id = JobId::new();
    sqlx::query!(
        "INSERT INTO jobs (id, user_id, task, is_long, run_at) VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))",
        id as JobId,
        user.as_str(),
        Json(task) as _,
        task.is_long(),
        after.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Removes a job that has not begun. `false` when it has.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn withdraw(conn: &mut PgConnection, user: &UserId, id: JobId) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM jobs WHERE user_id = $1 AND id = $2 AND state = 'ready' AND attempts = 0",
        user.as_str(),
        id as JobId,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Waits until nobody else is about to claim a long job; ends with the caller's transaction.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn take_turn(conn: &mut PgConnection) -> Result<()> {
    /// Any number that nothing else locks.
    const CLAIMING_A_LONG_JOB: i64 = 0x6A61_6D01;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", CLAIMING_A_LONG_JOB).execute(conn).await?;
    Ok(())
}

fn known_tasks() -> Vec<String> {
    Task::NAMES.map(str::to_owned).to_vec()
}

fn known_kinds() -> Vec<String> {
    DerivativeKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec()
}

/// Claims the oldest job that is due, or whose holder's lease has lapsed, among the long ones or the others. `None` when
/// there is none, and as long as somebody holds a long one. Whoever claims long ones has to [`take_turn`] before, or two
/// at once would both see that nobody holds one.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn claim(
    conn: &mut PgConnection,
    is_long: bool,
    lease_for: Duration,
) -> Result<Option<ClaimedJob>> {
    let row = sqlx::query!(
        r#"UPDATE jobs
              SET state = 'running', attempts = attempts + 1, lease_token = $1
                , lease_expires_at = now() + make_interval(secs => $2)
            WHERE id = (
                SELECT id FROM jobs
                 WHERE is_long = $3
                   AND task ->> 'task' = ANY($4) AND (task ->> 'kind' IS NULL OR task ->> 'kind' = ANY($5))
                   AND NOT ($3 AND EXISTS (
                       SELECT FROM jobs WHERE is_long AND state = 'running' AND lease_expires_at >= now()))
                   AND ((state = 'ready' AND run_at <= now()) OR (state = 'running' AND lease_expires_at < now()))
                 ORDER BY run_at
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED)
        RETURNING id AS "id: JobId", user_id AS "user_id: UserId", task AS "task: Json<Task>", attempts
                , lease_token AS "lease!""#,
        Uuid::new_v4(),
        lease_for.as_secs_f64(),
        is_long,
        &known_tasks(),
        &known_kinds(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ClaimedJob {
        id: row.id,
        user_id: row.user_id,
        task: row.task.0,
        attempts: row.attempts,
        lease: row.lease,
    }))
}

/// Keeps a job for longer. `false` when it is cancelled, or somebody else holds it now.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn renew(conn: &mut PgConnection, job: &ClaimedJob, lease_for: Duration) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE jobs SET lease_expires_at = now() + make_interval(secs => $3)
          WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
        lease_for.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a job back as if it had not been claimed.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn give_back(conn: &mut PgConnection, job: &ClaimedJob) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs SET state = 'ready', lease_token = NULL, lease_expires_at = NULL, attempts = attempts - 1
          WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the jobs that make a derivative, whatever their state: who runs one finds out when it renews its lease.
/// Answers how many there were.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn cancel_derive(ledger: &mut Ledger, content: ContentId, kind: DerivativeKind) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM jobs
          WHERE task ->> 'task' = 'derive' AND task ->> 'file' = $2 AND task ->> 'kind' = $3 AND user_id = $1",
        ledger.user().as_str(),
        content.to_string(),
        kind.as_str(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected())
}

/// Removes a finished job. `false` when somebody else holds it now.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn finish(conn: &mut PgConnection, job: &ClaimedJob) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM jobs WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a failed job back for later.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn retry_later(
    conn: &mut PgConnection,
    job: &ClaimedJob,
    reason: &str,
    after: Duration,
) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs
            SET state = 'ready', lease_token = NULL, lease_expires_at = NULL, last_error = $3
              , run_at = now() + make_interval(secs => $4)
          WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
        reason,
        after.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts a job back until somebody else is done with what it is about. That is no attempt.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn wait(conn: &mut PgConnection, job: &ClaimedJob, pause: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs
            SET state = 'ready', lease_token = NULL, lease_expires_at = NULL, attempts = attempts - 1
              , run_at = now() + make_interval(secs => $3)
          WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
        pause.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets a job aside with its reason, until an operator retries it.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn bury(conn: &mut PgConnection, job: &ClaimedJob, reason: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs SET state = 'dead', lease_token = NULL, lease_expires_at = NULL, last_error = $3
          WHERE id = $1 AND state = 'running' AND lease_token = $2",
        job.id as JobId,
        job.lease,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A job as an operator sees it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLine {
    /// The job.
    pub id: JobId,
    /// Whose file it is about.
    pub user_id: UserId,
    /// What it does.
    #[serde(flatten)]
    pub task: Json<Value>,
    /// `ready`, `running` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it may run next.
    #[serde(with = "time::serde::rfc3339")]
    pub run_at: OffsetDateTime,
    /// Why it failed last.
    pub last_error: Option<String>,
}

/// Jobs in the order they run, dead ones last, of one state or of all, at most `limit`.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn list(conn: &mut PgConnection, state: Option<&str>, limit: i64) -> Result<Vec<JobLine>> {
    Ok(sqlx::query_as!(
        JobLine,
        r#"SELECT id AS "id: JobId", user_id AS "user_id: UserId", task AS "task: Json<Value>", state, attempts, run_at, last_error
             FROM jobs
            WHERE $1::text IS NULL OR state = $1
            ORDER BY state = 'dead', run_at
            LIMIT $2"#,
        state,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// How many jobs are in each state: ready, running, dead.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn counts(conn: &mut PgConnection) -> Result<[i64; 3]> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE state = 'ready') AS "ready!", count(*) FILTER (WHERE state = 'running') AS "running!"
                , count(*) FILTER (WHERE state = 'dead') AS "dead!"
             FROM jobs"#
    )
    .fetch_one(conn)
    .await?;
    Ok([row.ready, row.running, row.dead])
}

/// A job that was given up.
#[derive(Debug, Clone)]
pub struct DeadJob {
    /// The job.
    pub id: JobId,
    /// Whose file it is about.
    pub user_id: UserId,
    /// What it does.
    pub task: Task,
}

/// Jobs that were given up, one or all.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn dead(conn: &mut PgConnection, only: Option<JobId>) -> Result<Vec<DeadJob>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: JobId", user_id AS "user_id: UserId", task AS "task: Json<Task>" FROM jobs
            WHERE state = 'dead' AND ($1::uuid IS NULL OR id = $1)
              AND task ->> 'task' = ANY($2) AND (task ->> 'kind' IS NULL OR task ->> 'kind' = ANY($3))
            ORDER BY user_id, id"#,
        only.map(|id| id.0),
        &known_tasks(),
        &known_kinds(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| DeadJob { id: row.id, user_id: row.user_id, task: row.task.0 }).collect())
}

/// Lets a dead job run again. `false` when it is not dead any more.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn revive(ledger: &mut Ledger, id: JobId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE jobs SET state = 'ready', attempts = 0, run_at = now()
          WHERE state = 'dead' AND id = $1 AND user_id = $2",
        id as JobId,
        ledger.user().as_str(),
    )
    .execute(&mut **ledger)
    .await?;
    Ok(done.rows_affected() == 1)
}
