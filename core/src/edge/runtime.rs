//! One entry point for every function's binary: configuration, logs, the application, sockets or Lambda, signals, drain.
//! The environment alone decides between them. Never knows which function it runs.

use super::extract::count_anyone;
use super::{Listener, health, lambda, layers, metrics, serve_connections};
use crate::app::App;
use crate::config::{Config, LambdaConfig, ListenAddress};
use crate::error::{Error, chain};
use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use std::future::Future;
use std::io::IsTerminal as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use utoipa_axum::router::OpenApiRouter;

/// Threads for file I/O and decoding; more would only wait for the same disk.
const BLOCKING_THREADS: usize = 64;

/// Work without a request, until it is done or its token is cancelled.
pub type Background = fn(App, CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a function until a signal stops it.
#[must_use]
pub fn run(name: &'static str, routes: OpenApiRouter<App>) -> ExitCode {
    run_function(Function { name, routes, background: None, scheduled: None })
}

/// Runs a function with work beside its requests. Under Lambda, which stops a process between requests, it has only
/// requests.
#[must_use]
pub fn run_with(name: &'static str, routes: OpenApiRouter<App>, background: Background) -> ExitCode {
    run_function(Function { name, routes, background: Some(background), scheduled: None })
}

/// Runs a function that is all work: on a server in the background, under Lambda `scheduled` for each event, whatever
/// the event says.
#[must_use]
pub fn run_scheduled(
    name: &'static str,
    routes: OpenApiRouter<App>,
    background: Background,
    scheduled: Background,
) -> ExitCode {
    run_function(Function { name, routes, background: Some(background), scheduled: Some(scheduled) })
}

struct Function {
    name: &'static str,
    routes: OpenApiRouter<App>,
    background: Option<Background>,
    scheduled: Option<Background>,
}

fn run_function(function: Function) -> ExitCode {
    let name = function.name;
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return refuse(name, &anyhow::Error::new(error)),
    };
    if let Err(error) = start_logging(&config) {
        return refuse(name, &error);
    }
    match start(function, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %chain(error.as_ref()), function = name, "stopped");
            refuse(name, &error)
        }
    }
}

#[expect(clippy::disallowed_macros, reason = "the reason of a refused start belongs on the terminal")]
fn refuse(name: &str, error: &anyhow::Error) -> ExitCode {
    eprintln!("{name} did not start: {error:#}");
    ExitCode::FAILURE
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_filter).context("JAM_LOG is not a log filter")?;
    // With debug, the end of each operation and database function says how long it worked and waited.
    let is_debug = filter.max_level_hint().is_none_or(|most| most >= LevelFilter::DEBUG);
    let builder = tracing_subscriber::fmt()
        .with_span_events(if is_debug { FmtSpan::CLOSE } else { FmtSpan::NONE })
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(is_debug);
    let started =
        if config.log_json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}

fn start(function: Function, config: Config) -> anyhow::Result<()> {
    // Files and sockets are nobody else's, whatever the caller's umask was.
    umask(Mode::from_bits_truncate(0o077));
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let outcome = match config.lambda {
        Some(lambda) => runtime.block_on(serve_lambda(function, config, lambda)),
        None => runtime.block_on(serve_socket(function, config)),
    };
    // A decoder that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

/// Lambda counts and times requests itself, and ends the process when it likes: there is nothing to drain.
async fn serve_lambda(function: Function, config: Config, lambda: LambdaConfig) -> anyhow::Result<()> {
    let app = App::open(config)?;
    survive_file_size_limit()?;
    stop_on_signals(app.stop.clone())?;
    tracing::info!(function = function.name, listen = "lambda", "ready");
    let serving = async {
        match function.scheduled {
            Some(scheduled) => lambda::serve_schedule(app.clone(), scheduled, lambda).await,
            None => lambda::serve(router(app.clone(), function.routes), lambda).await,
        }
    };
    tokio::select! {
        ended = serving => ended,
        () = app.stop.cancelled() => Ok(()),
    }
}

async fn serve_socket(function: Function, config: Config) -> anyhow::Result<()> {
    let Function { name, routes, background, .. } = function;
    let handle = metrics::install()?;
    let app = App::open(config)?;
    survive_file_size_limit()?;
    let stop = app.stop.clone();
    stop_on_signals(stop.clone())?;
    let connections = TaskTracker::new();
    let side = TaskTracker::new();
    if let Some(address) = &app.config.metrics_listen {
        let listener = Listener::bind(address).await.context("JAM_METRICS_LISTEN")?;
        let (router, limits, stop) =
            (metrics::router(app.clone(), handle), app.config.limits.clone(), stop.clone());
        side.spawn(
            async move { serve_connections(listener, router, &limits, stop, TaskTracker::new()).await },
        );
    }
    if let Some(background) = background {
        side.spawn(background(app.clone(), stop.clone()));
    }
    let (listener, listen) = match Listener::from_systemd().context("LISTEN_FDS")? {
        Some(passed) => {
            exit_when_idle(&app, &connections, &stop, &side);
            (passed, "systemd".to_owned())
        }
        None => {
            let listen = listen_text(&app.config.listen);
            (Listener::bind(&app.config.listen).await.with_context(|| listen.clone())?, listen)
        }
    };
    tracing::info!(function = name, listen, "ready");
    let router = router(app.clone(), routes);
    serve_connections(listener, router, &app.config.limits, stop.clone(), connections).await;
    stop.cancel();
    side.close();
    side.wait().await;
    end_tasks(&app).await;
    app.db.close().await;
    tracing::info!(function = name, "stopped");
    Ok(())
}

/// What outlived its request is ended as well, so that it leaves no lease behind.
async fn end_tasks(app: &App) {
    app.tasks.close();
    if tokio::time::timeout(app.config.limits.drain, app.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = app.tasks.len(), "work of requests that have ended is still running");
    }
}

/// The routes of a function with `/health`, which every function has.
#[must_use]
pub fn with_health(routes: OpenApiRouter<App>) -> OpenApiRouter<App> {
    routes.merge(health::routes())
}

/// The routes as they are served: with `/health` and the layer that every request passes.
pub fn router(app: App, routes: OpenApiRouter<App>) -> Router {
    let (routes, _) = with_health(routes).split_for_parts();
    routes
        .fallback(unknown_path)
        .layer(axum::middleware::from_fn_with_state(app.clone(), layers::envelope))
        .with_state(app)
}

/// Guesses count like everything else that a caller asks for.
async fn unknown_path(State(app): State<App>, request: Request) -> Error {
    let (mut parts, _) = request.into_parts();
    count_anyone(&mut parts, &app).await.err().unwrap_or(Error::NotFound)
}

fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    #[expect(clippy::disallowed_methods, reason = "waits for signals for the life of the process")]
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: open requests may finish");
        stop.cancel();
    });
    Ok(())
}

/// Under socket activation a process without connections ends, and systemd starts it again when one comes.
fn exit_when_idle(app: &App, connections: &TaskTracker, stop: &CancellationToken, side: &TaskTracker) {
    let Some(idle_exit) = app.config.idle_exit else { return };
    let (connections, stop) = (connections.clone(), stop.clone());
    side.spawn(async move {
        let step = Duration::from_millis(250).min(idle_exit);
        let mut idle_for = Duration::ZERO;
        while idle_for < idle_exit {
            tokio::select! {
                () = tokio::time::sleep(step) => {}
                () = stop.cancelled() => return,
            }
            idle_for = if connections.is_empty() { idle_for + step } else { Duration::ZERO };
        }
        tracing::info!("idle: exiting");
        stop.cancel();
    });
}

/// With a handler in place, a write beyond the limit of the system (`RLIMIT_FSIZE`) fails with EFBIG like one to a full
/// disk; without one the signal ends the process.
fn survive_file_size_limit() -> std::io::Result<()> {
    signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)).map(drop)
}

/// Connections and files each take a descriptor: use all that the system allows.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(error = %chain(&error), "the limit of open files stays as it was");
    }
}

fn listen_text(address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix(path) => format!("unix:{}", path.display()),
    }
}
