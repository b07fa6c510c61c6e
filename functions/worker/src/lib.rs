//! The worker function: jobs and the janitor, a loop on a server, a pass for each scheduled event under Lambda. Serves
//! nothing but `/health`.
//! Never decides what a job does.

use jam_core::app::App;
use jam_core::error::chain;
use jam_core::{Result, ops};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

/// Pause between two looks for a job when there was none.
const IDLE_PAUSE: Duration = Duration::from_millis(300);
/// Pause after a failure of the database or the volume.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// The worker has no routes of its own.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}

/// Runs jobs and the janitor until it is stopped; jobs under way are finished first, a long one is given back. Long
/// jobs have a loop of their own: one at a time, and never in the way of the others.
pub fn background(app: App, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut loops = JoinSet::new();
        for _ in 0..app.config.worker_concurrency {
            loops.spawn(run_all(app.clone(), Jobs::Short, stop.clone()));
        }
        loops.spawn(run_all(app.clone(), Jobs::Long, stop.clone()));
        loops.spawn(run_janitor(app, stop));
        while loops.join_next().await.is_some() {}
    })
}

/// One pass: the janitor, then jobs until none is due or `stop` is cancelled, the long ones beside the others.
pub fn scheduled(app: App, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        run_janitor_once(&app).await;
        let mut loops = JoinSet::new();
        for _ in 0..app.config.worker_concurrency {
            loops.spawn(run_due(app.clone(), Jobs::Short, stop.clone()));
        }
        loops.spawn(run_due(app, Jobs::Long, stop));
        while loops.join_next().await.is_some() {}
    })
}

/// Which jobs a loop runs.
#[derive(Clone, Copy)]
enum Jobs {
    Short,
    Long,
}

async fn run_next(app: &App, jobs: Jobs, stop: &CancellationToken) -> Result<bool> {
    match jobs {
        Jobs::Short => ops::work::run_next(app).await,
        Jobs::Long => ops::work::run_next_long(app, stop).await,
    }
}

async fn run_due(app: App, jobs: Jobs, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match run_next(&app, jobs, &stop).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "jobs wait for the next event");
                return;
            }
        }
    }
}

async fn run_all(app: App, jobs: Jobs, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match run_next(&app, jobs, &stop).await {
            Ok(true) => continue,
            Ok(false) => IDLE_PAUSE,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "jobs wait");
                FAILURE_PAUSE
            }
        };
        wait(&stop, pause).await;
    }
}

async fn run_janitor(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        run_janitor_once(&app).await;
        wait(&stop, app.config.janitor_interval).await;
    }
}

async fn run_janitor_once(app: &App) {
    if let Err(error) = ops::janitor::pass(app).await {
        tracing::warn!(error = %chain(&error), "the janitor's pass was not finished");
    }
}

async fn wait(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stop.cancelled() => {}
    }
}
