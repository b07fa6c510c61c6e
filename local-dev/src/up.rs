//! `up`: everything a front end needs, on this machine, from nothing to a printed URL and back to nothing.
//! Invariant: what was started is ended again, in reverse order, whatever went wrong in between.
//! Never replaces what the environment names: a given database, volume or issuer is used as it is.
#![expect(clippy::disallowed_methods, reason = "looks at the environment that it hands to the service")]

use crate::contract::programs;
use crate::dashboard::{self, SignIn};
use crate::issuer::{self, Issuer};
use crate::lambda;
use crate::layout::Layout;
use crate::output::say;
use crate::postgres::{Cluster, Purpose, Started, run};
use crate::router;
use crate::routes::Routes;
use crate::services::{Places, Service, end_all, end_leftovers, first_death};
use crate::system::{make_private_directory, make_shared_directory, write_secret};
use crate::token::{ISSUER, SigningKey, TokenRequest};
use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rsa::rand_core::{OsRng, RngCore as _};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Everything in one process.
const ONE_PROCESS: &str = "jam-all";

/// Runs jobs; no request is routed to it.
const WORKER: &str = "jam-worker";
/// The function that serves the contract.
const CONTRACT: &str = "jam-list";

/// Which processes make up the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Functions {
    /// All functions in one process
    All,
    /// Each function a process on its own unix socket
    Sockets,
    /// Each function a Lambda function of `cargo lambda watch`, which compiles and reloads it
    Lambda,
}

impl Functions {
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::All => vec![ONE_PROCESS],
            Self::Sockets => programs().chain([WORKER]).collect(),
            // Jobs wait for a schedule under Lambda; here the worker runs as on a server.
            Self::Lambda => vec![WORKER],
        }
    }
}

/// Options of `up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The router's port on 127.0.0.1
    #[arg(long, env = "PORT", default_value_t = 3001)]
    port: u16,
    /// One process for all functions, one each, or Lambda functions
    #[arg(long, value_enum, default_value_t = Functions::All)]
    functions: Functions,
}

impl Options {
    /// Lambda functions on the usual port.
    pub(crate) fn lambda() -> Self {
        Self { port: 3001, functions: Functions::Lambda }
    }
}

/// Longer than an orderly stop takes.
const LONGEST_STOP: Duration = Duration::from_secs(90);

type Settings = BTreeMap<&'static str, String>;

/// A local issuer that is about to serve.
struct LocalIssuer {
    listener: TcpListener,
    issuer: Issuer,
}

/// What the service's processes are started with.
struct Prepared {
    layout: Layout,
    settings: Settings,
    issuer: Option<LocalIssuer>,
    places: Places,
    welcome: String,
}

/// Runs the service until a signal, or until a part of it ends.
pub(crate) fn up(layout: &Layout, options: &Options) -> Result<()> {
    let _lock = lock(layout, options.port)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    // From here on a signal waits until everything can be ended in order.
    let signals = {
        let _entered = runtime.enter();
        StopSignals::install()?
    };
    let router = TcpListener::bind(("127.0.0.1", options.port))
        .with_context(|| format!("port {} is taken: choose another with --port", options.port))?;
    let programs = find_programs(options.functions)?;
    let cluster = match given("DATABASE_URL") {
        Some(_) => None,
        None => Some(Cluster::open(layout, Purpose::Development)?),
    };
    let prepared = prepare(layout, options, programs, cluster.as_ref());
    let result = prepared.and_then(|prepared| runtime.block_on(serve(prepared, options, router, signals)));
    // Ends the connections that still wait for a function that is gone.
    runtime.shutdown_background();
    match cluster.map_or(Ok(()), |cluster| cluster.stop()) {
        Ok(()) => say("Stopped."),
        Err(error) => say(format!("PostgreSQL did not stop: {error:#}")),
    }
    result
}

/// Makes ready what the service's processes need before they start.
fn prepare(
    layout: &Layout,
    options: &Options,
    programs: PathBuf,
    cluster: Option<&Cluster>,
) -> Result<Prepared> {
    let mut settings = start_database(layout, cluster)?;
    let issuer = prepare_issuer(layout, &mut settings)?;
    complete_settings(layout, options, &mut settings)?;
    run_admin(&programs, &settings, "migrate").context("failed to apply the migrations")?;
    say("Migrations: applied");
    match settings.get("USER_STORAGE_ROOT") {
        None => say("Volume:     the one in USER_STORAGE_ROOT"),
        Some(volume) => {
            make_shared_directory(&layout.state("volume"))?;
            make_private_directory(Path::new(volume), None)?;
            run_admin(&programs, &settings, "init-volume").context("failed to prepare the volume")?;
            say(format!("Volume:     {volume}"));
        }
    }
    let places = Places { programs, sockets: service_sockets(layout)?, logs: layout.state("logs") };
    make_private_directory(&places.logs, None)?;
    let welcome = welcome(options, issuer.as_ref().map(|local| &local.issuer))?;
    Ok(Prepared { layout: layout.clone(), settings, issuer, places, welcome })
}

/// Runs the issuer, the service and the router until a signal, or until one of them ends.
async fn serve(
    prepared: Prepared,
    options: &Options,
    router: TcpListener,
    signals: StopSignals,
) -> Result<()> {
    let Prepared { layout, settings, issuer, places, welcome } = prepared;
    let mut services = Vec::new();
    let sign_in = match (&issuer, given("CLERK_PUBLISHABLE_KEY")) {
        (Some(local), _) => SignIn::Local(local.issuer.clone()),
        (None, Some(key)) => SignIn::Clerk(key),
        (None, None) => SignIn::Token,
    };
    let serving = async {
        let routes = Arc::new(start_all(&layout, options, &places, &settings, &mut services).await?);
        say(welcome);
        let page = dashboard::router(&layout, routes.clone(), sign_in);
        tokio::select! {
            result = router::serve(router, routes, page) => result,
            death = first_death(&mut services) => bail!(death),
        }
    };
    let issuing = async {
        match issuer {
            Some(local) => issuer::serve(local.listener, local.issuer).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = serving => result,
        result = issuing => result,
        () = signals.received() => {
            say("\nStopping ...");
            Ok(())
        }
    };
    let ended = end_all(&mut services).await;
    result.and(ended)
}

/// Starts the processes and finds the routes to them.
async fn start_all(
    layout: &Layout,
    options: &Options,
    places: &Places,
    settings: &Settings,
    services: &mut Vec<Service>,
) -> Result<Routes> {
    end_leftovers(&places.sockets).await?;
    for name in options.functions.names() {
        services.push(Service::start(name, places, settings)?);
    }
    let emulated = match options.functions {
        Functions::All | Functions::Sockets => None,
        Functions::Lambda => {
            let (emulator, functions) = lambda::start(layout, places, settings)?;
            services.push(emulator);
            Some(functions)
        }
    };
    for service in services.iter_mut() {
        service.wait_until_healthy().await?;
    }
    let names: Vec<&str> = services.iter().map(Service::name).collect();
    say(format!("Functions:  {}; logs in {}", names.join(", "), places.logs.display()));
    match emulated {
        Some(functions) => Routes::of_functions(functions, &lambda::contract(layout)?),
        None => find_routes(options.functions, services).await,
    }
}

async fn find_routes(functions: Functions, services: &[Service]) -> Result<Routes> {
    if let (Functions::All, [process]) = (functions, services) {
        return Ok(Routes::single(process.upstream()));
    }
    let serving =
        services.iter().find(|service| service.name() == CONTRACT).context("nobody serves the contract")?;
    let contract = serving.contract().await?;
    let routable = services.iter().filter(|service| service.name() != WORKER).map(Service::upstream);
    Routes::of_functions(routable.collect(), &contract)
}

/// Only one `up` a checkout; its process id is in the locked file, for `down`.
fn lock(layout: &Layout, port: u16) -> Result<File> {
    let path = layout.state("up.lock");
    let mut file = File::options().create(true).append(true).open(&path).context("failed to make up.lock")?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let url = text.lines().nth(1).unwrap_or("it starts or stops");
            bail!("it is running already ({url}): `cargo dev down` stops it")
        }
        Err(TryLockError::Error(error)) => return Err(error).context("failed to lock up.lock"),
    }
    file.set_len(0).context("failed to empty up.lock")?;
    writeln!(file, "{}\nhttp://127.0.0.1:{port}", std::process::id()).context("failed to write up.lock")?;
    Ok(file)
}

/// The URL of the `up` that runs of this checkout.
///
/// # Errors
/// None runs.
pub(crate) fn running_url(layout: &Layout) -> Result<String> {
    let path = layout.state("up.lock");
    let file = File::open(&path).context("nothing runs: start ./local-dev/up first")?;
    ensure!(
        matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        "nothing runs: start ./local-dev/up first"
    );
    let text = std::fs::read_to_string(&path).context("failed to read up.lock")?;
    Ok(text.lines().nth(1).context("up.lock names no address")?.to_owned())
}

/// Stops an `up` of this checkout, wherever it runs, and both clusters.
pub(crate) fn down(layout: &Layout) -> Result<()> {
    let path = layout.state("up.lock");
    if let Ok(file) = File::options().read(true).open(&path) {
        let started = Instant::now();
        while let Err(TryLockError::WouldBlock) = file.try_lock() {
            let text = std::fs::read_to_string(&path).context("failed to read up.lock")?;
            let process = text.lines().next().and_then(|line| line.parse().ok());
            let process = process.context("up.lock names no process")?;
            if started.elapsed() > LONGEST_STOP {
                bail!("process {process} does not stop");
            }
            let _ended_already = kill(Pid::from_raw(process), nix::sys::signal::Signal::SIGTERM);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    runtime.block_on(end_leftovers(&service_sockets(layout)?))?;
    for purpose in [Purpose::Development, Purpose::Test] {
        Cluster::open(layout, purpose)?.stop()?;
    }
    say("Everything of this checkout is stopped.");
    Ok(())
}

/// The service's programs are in this one's directory: built by the same command, in the same mode.
fn find_programs(functions: Functions) -> Result<PathBuf> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let directory = program.parent().context("this program is in no directory")?;
    for name in functions.names().into_iter().chain(["jam-admin"]) {
        if !directory.join(name).is_file() {
            bail!("{} is not built: ./local-dev/up builds what it runs", directory.join(name).display());
        }
    }
    Ok(directory.to_owned())
}

/// The directory of the functions' sockets, made if need be.
fn service_sockets(layout: &Layout) -> Result<PathBuf> {
    let sockets = layout.socket_directory(layout.state("run"), "run");
    make_private_directory(&sockets, None)?;
    Ok(sockets)
}

fn start_database(layout: &Layout, cluster: Option<&Cluster>) -> Result<Settings> {
    let mut settings = Settings::new();
    let Some(cluster) = cluster else {
        say("PostgreSQL: the one in DATABASE_URL");
        return Ok(settings);
    };
    let started = match cluster.start()? {
        Started::Now => "started",
        Started::Before => "running already, taken over",
    };
    cluster.create_database("jam")?;
    say(format!("PostgreSQL: {started}, data in {}", cluster.home().display()));
    if !cluster.home().starts_with(layout.root()) {
        say("            (the user postgres, whom root runs it as, cannot reach this checkout)");
    }
    settings.insert("DATABASE_URL", cluster.url("jam"));
    Ok(settings)
}

fn prepare_issuer(layout: &Layout, settings: &mut Settings) -> Result<Option<LocalIssuer>> {
    let names = ["CLERK_PUBLISHABLE_KEY", "CLERK_JWT_KEY", "JAM_AUTH_ISSUER"];
    if let Some(named) = names.into_iter().find(|name| given(name).is_some()) {
        say(format!("Tokens:     from the issuer in {named}"));
        return Ok(None);
    }
    let key = SigningKey::load_or_make(layout)?;
    let listener = issuer::listen()?;
    let address = listener.local_addr().context("failed to read the issuer's address")?;
    settings.insert("JAM_AUTH_ISSUER", ISSUER.to_owned());
    settings.insert("JAM_AUTH_JWKS_URL", format!("http://{address}/.well-known/jwks.json"));
    say(format!("Tokens:     from the local issuer on http://{address}"));
    Ok(Some(LocalIssuer { listener, issuer: Issuer::new(layout.clone(), key) }))
}

/// The service's settings beside its database and issuer, unless the environment says otherwise.
fn complete_settings(layout: &Layout, options: &Options, settings: &mut Settings) -> Result<()> {
    let volume = layout.state("volume/users");
    let defaults = [
        ("USER_STORAGE_ROOT", volume.display().to_string()),
        ("JAM_URL_KEYS", url_key(layout)?),
        ("JAM_TRUSTED_PROXIES", "unix".to_owned()),
        ("PUBLIC_BASE_URL", format!("http://127.0.0.1:{}", options.port)),
        // Pages of development servers, whatever their ports are.
        ("CORS_ORIGIN", "http://localhost:*,http://127.0.0.1:*,http://[::1]:*".to_owned()),
    ];
    settings.extend(defaults.into_iter().filter(|(name, _)| given(name).is_none()));
    Ok(())
}

/// The key in `.jam/url-key`, made at the first call.
fn url_key(layout: &Layout) -> Result<String> {
    let path = layout.state("url-key");
    if !path.exists() {
        let mut bytes = [0; 32];
        OsRng.fill_bytes(&mut bytes);
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        write_secret(&path, &format!("local:{encoded}\n"))?;
    }
    let key = std::fs::read_to_string(&path).context("failed to read .jam/url-key")?;
    Ok(key.trim().to_owned())
}

fn run_admin(programs: &Path, settings: &Settings, verb: &str) -> Result<()> {
    run(Command::new(programs.join("jam-admin")).arg(verb).envs(settings))?;
    Ok(())
}

fn welcome(options: &Options, issuer: Option<&Issuer>) -> Result<String> {
    let url = format!("http://127.0.0.1:{}", options.port);
    let token = match issuer {
        None => "Set TOKEN to a session token of your issuer.".to_owned(),
        Some(issuer) => {
            let azp = given("JAM_AUTHORIZED_PARTIES");
            let azp = azp.and_then(|list| list.split(',').next().map(|first| first.trim().to_owned()));
            let request = TokenRequest { user: "user_local".to_owned(), admin: false, ttl: 3600, azp };
            format!(
                "A token of user_local, good for an hour (`cargo dev token USER [--admin]` makes others):\n\n\
                 TOKEN={}",
                issuer.sign(&request)?
            )
        }
    };
    Ok(format!(
        "\nJam Storage runs on {url}: open it in a browser.\n\n{token}\n\n\
         curl -H \"Authorization: Bearer $TOKEN\" -F files=@photo.jpg {url}/api/files/upload\n\n\
         Ctrl-C stops everything."
    ))
}

/// A setting that the environment names; empty counts as unset, as it does for the service.
fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Ctrl-C, SIGTERM and a closed terminal.
struct StopSignals([Signal; 3]);

impl StopSignals {
    fn install() -> Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn received(mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
