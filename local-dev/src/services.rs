//! The service's processes: started with their log files, watched until healthy, ended in order.
//! Invariant: one process a socket; a process left over from a killed start is ended before its successor starts.
//! Never restarts a process: one that dies is reported, with the end of its log.
#![expect(
    clippy::disallowed_methods,
    reason = "this module starts the service's processes and keeps their logs"
)]

use crate::contract::Contract;
use crate::router::Upstream;
use anyhow::{Context as _, Result, bail};
use axum::http::StatusCode;
use futures_util::future::{join_all, select_all};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Longest start of a process, and longest end of one that was left over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest start of the emulator, which compiles a function when it is first asked for.
const EMULATOR_PATIENCE: Duration = Duration::from_secs(900);

/// Longest wait for one answer of a process that starts.
const ANSWER: Duration = Duration::from_secs(5);

/// How long open requests may finish after SIGTERM.
const DRAIN_SECONDS: u64 = 5;

/// An OpenAPI document is far smaller.
const DOCUMENT_MAX: usize = 8 << 20;

/// Where processes find their programs, sockets and logs.
pub(crate) struct Places {
    /// The service's binaries.
    pub(crate) programs: PathBuf,
    /// Unix sockets.
    pub(crate) sockets: PathBuf,
    /// Log files.
    pub(crate) logs: PathBuf,
}

/// A process of the service.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
    upstream: Upstream,
    /// Longest start.
    patience: Duration,
}

impl Service {
    /// Starts one binary on its own socket.
    pub(crate) fn start(
        name: &'static str,
        places: &Places,
        settings: &BTreeMap<&'static str, String>,
    ) -> Result<Self> {
        let socket = places.sockets.join(format!("{name}.sock"));
        let log = places.logs.join(format!("{name}.log"));
        let output = open_log(&log)?;
        let child = Command::new(places.programs.join(name))
            .envs(settings)
            .env("JAM_DRAIN_SECONDS", DRAIN_SECONDS.to_string())
            .env("JAM_LISTEN", format!("unix:{}", socket.display()))
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("failed to share a log file")?)
            .stderr(output)
            // Out of the terminal's reach: Ctrl-C must end the processes in order, by us.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name, child, log, upstream: Upstream::new(name, &socket), patience: PATIENCE })
    }

    /// Takes `cargo lambda watch` for a service that is healthy when this function of it is.
    pub(crate) fn of_emulator(child: Child, log: PathBuf, function: Upstream) -> Self {
        Self { name: "cargo lambda watch", child, log, upstream: function, patience: EMULATOR_PATIENCE }
    }

    /// Its binary's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Where its requests go.
    pub(crate) fn upstream(&self) -> Upstream {
        self.upstream.clone()
    }

    /// Waits until `GET /health` answers 200.
    ///
    /// # Errors
    /// It ended, or it is not healthy in time; with the end of its log.
    pub(crate) async fn wait_until_healthy(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut last = String::from("no answer");
        while start.elapsed() < self.patience {
            if let Some(status) = self.child.try_wait().context("failed to watch a process")? {
                bail!(self.obituary(status));
            }
            match timeout(ANSWER, self.upstream.get("/health")).await {
                Ok(Ok(answer)) if answer.status() == StatusCode::OK => return Ok(()),
                Ok(Ok(answer)) => last = format!("/health answers {}", answer.status()),
                Ok(Err(error)) => last = format!("{error:#}"),
                Err(_) => last = "/health does not answer".to_owned(),
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{} is not healthy after {} s: {last}\n{}", self.name, self.patience.as_secs(), self.log_tail())
    }

    /// The contract of the whole service, if it is the function that serves it.
    pub(crate) async fn contract(&self) -> Result<Contract> {
        let answer = self.upstream.get("/openapi.json").await?;
        if answer.status() != StatusCode::OK {
            bail!("{} answers {} to /openapi.json", self.name, answer.status());
        }
        let bytes = axum::body::to_bytes(answer.into_body(), DOCUMENT_MAX).await;
        let bytes = bytes.with_context(|| format!("failed to read {}'s /openapi.json", self.name))?;
        let text = std::str::from_utf8(&bytes)
            .with_context(|| format!("{}'s /openapi.json is not UTF-8", self.name))?;
        Contract::parse(text).with_context(|| format!("failed to read {}'s /openapi.json", self.name))
    }

    async fn end(&mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            signal(id, Signal::SIGTERM);
        }
        let longest = Duration::from_secs(DRAIN_SECONDS + 5);
        if let Ok(status) = timeout(longest, self.child.wait()).await {
            let status = status.with_context(|| format!("failed to wait for {}", self.name))?;
            anyhow::ensure!(status.success(), self.obituary(status));
            return Ok(());
        }
        self.child.kill().await.with_context(|| format!("failed to kill {}", self.name))?;
        bail!("{} did not end within {} s and was killed", self.name, longest.as_secs())
    }

    fn obituary(&self, status: ExitStatus) -> String {
        format!("{} ended ({status}):\n{}", self.name, self.log_tail())
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("{}\n(from {})", tail.join("\n"), self.log.display())
    }
}

/// Returns when one of the processes has ended, saying which and why.
pub(crate) async fn first_death(services: &mut [Service]) -> String {
    let waits = services.iter_mut().map(|service| Box::pin(service.child.wait()));
    let (ended, index, _) = select_all(waits).await;
    match ended {
        Ok(status) => services[index].obituary(status),
        Err(error) => format!("failed to watch {}: {error}", services[index].name),
    }
}

/// Ends all processes at once and waits for them, within a limit.
///
/// # Errors
/// One failed, or had to be killed.
pub(crate) async fn end_all(services: &mut [Service]) -> Result<()> {
    let ends = join_all(services.iter_mut().map(Service::end)).await;
    ends.into_iter().collect()
}

pub(crate) fn open_log(path: &Path) -> Result<File> {
    if path.exists() {
        let previous = path.with_extension("log.previous");
        fs::rename(path, previous).with_context(|| format!("failed to keep {}", path.display()))?;
    }
    File::create(path).with_context(|| format!("failed to make {}", path.display()))
}

/// Ends processes that still listen on our sockets, because the `up` that started them was killed.
pub(crate) async fn end_leftovers(sockets: &Path) -> Result<()> {
    let entries = fs::read_dir(sockets).with_context(|| format!("failed to list {}", sockets.display()))?;
    for entry in entries {
        let socket = entry.with_context(|| format!("failed to list {}", sockets.display()))?.path();
        let start = Instant::now();
        while let Ok(connection) = UnixStream::connect(&socket).await {
            let listener = connection.peer_cred().context("failed to ask who listens")?.pid();
            let listener = listener.context("the system does not say who listens")?;
            if start.elapsed() > PATIENCE {
                bail!("process {listener} still listens on {}", socket.display());
            }
            signal(u32::try_from(listener).context("a process id is never negative")?, Signal::SIGTERM);
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

fn signal(process: u32, signal: Signal) {
    if let Ok(process) = i32::try_from(process) {
        let _ended_already = kill(Pid::from_raw(process), signal);
    }
}
