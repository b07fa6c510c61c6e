//! The service as processes of its own, as an operator runs it: binaries, settings, sockets, tokens and signals.
#![expect(clippy::disallowed_methods, reason = "starts the service's binaries and keeps their logs")]

use super::disk::{Disk, Kind};
use super::media::sha256;
use super::tus::piece_head;
use super::{ADMIN, ANN, As, Raw, Service, URL_KEY, assemble, config, eventually, invariants, rows};
use jam_core::app::App;
use jam_core::blob::{Faults, Volume};
use jam_core::clock::Clock;
use jam_core::config::{LambdaAnswers, LambdaConfig};
use jam_core::db;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, RequestBuilder};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use serde_json::json;
use sqlx::{ConnectOptions as _, PgPool};
use std::fs::File;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::LazyLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

const ISSUER: &str = "https://clerk.example.com";

/// The issuer's key: its public half is a setting of the service.
static KEY: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap());

/// A session token of this user for the next hour.
pub(crate) fn session_token(user: &str) -> String {
    signed_token(user, Clock::System.unix_seconds() + 3600, None)
}

/// A session token of this user that ended a minute ago.
pub(crate) fn lapsed_token(user: &str) -> String {
    signed_token(user, Clock::System.unix_seconds() - 60, None)
}

/// A token of this user, as whom somebody else acts if that is named.
fn signed_token(user: &str, end: i64, actor: Option<&str>) -> String {
    let start = end - 3600;
    let role = if user == ADMIN { "admin" } else { "user" };
    let mut claims = json!({
        "iss": ISSUER, "sub": user, "sid": "sess_1", "sts": "active", "iat": start, "nbf": start - 10, "exp": end,
        "metadata": { "role": role },
    });
    if let Some(actor) = actor {
        claims["act"] = json!({ "sub": actor });
    }
    let pem = KEY.to_pkcs8_pem(LineEnding::LF).unwrap();
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

/// A database and a volume that processes share.
pub(crate) struct Site {
    // Unmounted before its directory is removed.
    pub(crate) disk: Option<Disk>,
    directory: TempDir,
    pool: PgPool,
}

impl Site {
    pub(crate) fn new(pool: PgPool) -> Self {
        let site = Self { disk: None, directory: tempfile::tempdir().unwrap(), pool };
        Volume::initialize(&site.root()).unwrap();
        site
    }

    /// The same on a disk of its own; `None` where none can be mounted.
    pub(crate) fn on_disk(pool: PgPool, kind: Kind) -> Option<Self> {
        let mut site = Self { disk: None, directory: tempfile::tempdir().unwrap(), pool };
        site.disk = Some(Disk::mount(kind, &site.root())?);
        Volume::initialize(&site.root()).unwrap();
        Some(site)
    }

    /// Ends a process by a power cut of the volume's disk, and gives the disk its power back.
    pub(crate) async fn cut_power(&mut self, process: Process) {
        let cut = self.disk.as_mut().unwrap().cut_power();
        process.signal(Signal::SIGKILL);
        process.ended().await;
        cut.remount();
        // The kernel is another one as well.
        rows::forget_the_boot(&mut self.pool.acquire().await.unwrap()).await;
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("volume")
    }

    /// A path beside the volume.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file on the volume by its `filePath`.
    pub(crate) fn on_volume(&self, file_path: &str) -> PathBuf {
        self.root().join(file_path)
    }

    /// The same database and volume, looked at from this process.
    pub(crate) fn app(&self) -> App {
        assemble(&config(&self.root()), &self.pool, &Clock::System, &Faults::default())
    }

    /// The same as an instance of a Lambda function.
    pub(crate) fn app_under_lambda(&self) -> App {
        let mut config = config(&self.root());
        config.lambda = Some(LambdaConfig { answers: LambdaAnswers::Auto, is_emulated: false });
        assemble(&config, &self.pool, &Clock::System, &Faults::default())
    }

    /// Starts a binary of the service by its name and waits until it is ready.
    pub(crate) async fn start(&self, binary: &str, settings: &[(&str, &str)]) -> Process {
        self.run(binary, self.command(binary, settings)).await
    }

    /// The same under a limit of the system, in the words of the shell's `ulimit`.
    pub(crate) async fn start_limited(&self, binary: &str, limit: &str) -> Process {
        let inner = self.command(binary, &[]);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit {limit} && exec \"$0\"")).arg(inner.as_std().get_program());
        shell.env_clear().envs(inner.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.run(binary, shell).await
    }

    /// A socket that processes can be started behind.
    pub(crate) fn entrance(&self) -> Entrance {
        let path = self.path("entrance.sock");
        Entrance { listener: UnixListener::bind(&path).unwrap(), http: client_over(&path), path }
    }

    /// Starts a binary as systemd does for a socket unit: the socket is there before it, as descriptor 3.
    pub(crate) async fn start_behind(
        &self,
        entrance: &Entrance,
        binary: &str,
        settings: &[(&str, &str)],
    ) -> Process {
        let inner = self.command(binary, settings);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("exec env LISTEN_FDS=1 LISTEN_PID=$$ \"$0\" 3<&0 </dev/null");
        shell.arg(inner.as_std().get_program()).stdin(OwnedFd::from(entrance.listener.try_clone().unwrap()));
        shell.env_clear().envs(inner.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.run_at(&entrance.path, binary, shell).await
    }

    /// Starts a binary that listens to nobody.
    pub(crate) fn spawn(&self, binary: &str, settings: &[(&str, &str)]) -> Child {
        let log = File::create(self.path(&format!("{binary}.log"))).unwrap();
        self.command(binary, settings).stderr(log).kill_on_drop(true).spawn().unwrap()
    }

    /// Runs a client that starts, kills and ends the service itself, within two minutes; fails with what it said.
    pub(crate) async fn run_client(&self, directory: &Path, program: &str, arguments: &[&str]) {
        let inner = self.command("jam-all", &[]);
        let mut client = Command::new(program);
        client.args(arguments).current_dir(directory).env_clear();
        client.envs(inner.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        client.env("SERVICE_PROGRAM", inner.as_std().get_program());
        client.env("SERVICE_LOG", self.path("jam-all.log")).env("SERVICE_TOKEN", session_token(ANN));
        let output = client.kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(120), output).await.expect("it ends").unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", self.log_of("jam-all"));
    }

    async fn run(&self, binary: &str, command: Command) -> Process {
        self.run_at(&self.path(&format!("{binary}.sock")), binary, command).await
    }

    async fn run_at(&self, socket: &Path, binary: &str, mut command: Command) -> Process {
        let log = File::create(self.path(&format!("{binary}.log"))).unwrap();
        let child = command.stderr(log).kill_on_drop(true).spawn().unwrap();
        let http = client_over(socket);
        let mut process = Process { child, socket: socket.to_owned(), http };
        eventually("the service is healthy", async || {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "{binary} ended early: {}", self.log_of(binary));
            let answer = process.http.get("http://localhost/health").send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        process
    }

    /// Starts a binary that cannot run; what it says, and its exit code.
    pub(crate) async fn refused_start(
        &self,
        binary: &str,
        settings: &[(&str, &str)],
    ) -> (String, Option<i32>) {
        let output = self.command(binary, settings).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(20), output).await.expect("it ends").unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    }

    fn command(&self, binary: &str, settings: &[(&str, &str)]) -> Command {
        // Binaries of other functions are in the directory of our own.
        let path = Path::new(env!("CARGO_BIN_EXE_jam-all")).with_file_name(binary);
        assert!(path.exists(), "{binary} is not built: cargo build --workspace --bins");
        let mut command = Command::new(path);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("DATABASE_URL", self.pool.connect_options().to_url_lossy().as_str());
        command.env("USER_STORAGE_ROOT", self.root()).env("JAM_AUTH_ISSUER", ISSUER);
        command.env("JAM_LISTEN", format!("unix:{}", self.path(&format!("{binary}.sock")).display()));
        command.env("CLERK_JWT_KEY", KEY.to_public_key().to_public_key_pem(LineEnding::LF).unwrap());
        command.env("JAM_DATABASE_CONNECTIONS", "4").env("JAM_VOLUME_FLOOR", "0");
        command.env("JAM_RATE_UPLOADS_PER_MINUTE", "0").env("JAM_RATE_REQUESTS_PER_SECOND", "0");
        command.env("JAM_URL_KEYS", format!("k1:{URL_KEY}"));
        command.envs(settings.iter().copied());
        command
    }

    /// What a binary has logged since its last start.
    pub(crate) fn log_of(&self, binary: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{binary}.log"))).unwrap()
    }

    /// A process of everything, after the janitor and the worker have done what there was to do.
    pub(crate) async fn settled(&self) -> Process {
        let process = self.start("jam-all", &[("JAM_JANITOR_SECONDS", "1")]).await;
        let app = self.app();
        rows::lapse_leases(&mut app.db.conn().await.unwrap()).await;
        eventually("the janitor and the worker are done", async || {
            let mut conn = app.db.conn().await.unwrap();
            let open = db::uploads::list_open(&mut conn, None, 1).await.unwrap();
            let jobs = db::jobs::counts(&mut conn).await.unwrap();
            (open.is_empty() && jobs == [0, 0, 0]).then_some(())
        })
        .await;
        process
    }

    /// Bytes of Ann's only upload that are in its file.
    pub(crate) fn staged_bytes(&self) -> u64 {
        let staged = std::fs::read_dir(self.on_volume(ANN).join(".uploads")).into_iter().flatten().next();
        staged.map_or(0, |file| file.unwrap().metadata().unwrap().len())
    }

    /// Rows, ledger and volume agree, and nothing is under way any more.
    pub(crate) async fn assert_clean(&self) {
        let app = self.app();
        invariants::no_upload_is_open(&app).await;
        invariants::hold(&app, invariants::Blobs::Checked).await;
    }
}

/// A client of whoever listens on a unix socket.
pub(crate) fn client_over(socket: &Path) -> reqwest::Client {
    reqwest::Client::builder().unix_socket(socket).build().unwrap()
}

/// A socket that is there before, between and after the processes that listen to it, as that of a systemd socket unit.
/// Who connects while nobody listens waits.
pub(crate) struct Entrance {
    pub(crate) path: PathBuf,
    listener: UnixListener,
    http: reqwest::Client,
}

impl Entrance {
    /// A user with a session token.
    pub(crate) fn user(&self, name: &str) -> As<'_> {
        As::new(self, Some(session_token(name)))
    }
}

impl Service for Entrance {
    /// Each request on a connection of its own, as from nginx.
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.http.request(method, format!("http://localhost{target}")).header("connection", "close")
    }
}

/// A running process of the service.
pub(crate) struct Process {
    child: Child,
    socket: PathBuf,
    http: reqwest::Client,
}

impl Process {
    /// A user with a session token.
    pub(crate) fn user(&self, name: &str) -> As<'_> {
        As::new(self, Some(session_token(name)))
    }

    /// Somebody who acts as this user.
    pub(crate) fn acting_as(&self, name: &str) -> As<'_> {
        As::new(self, Some(signed_token(name, Clock::System.unix_seconds() + 3600, Some("user_support"))))
    }

    /// A connection without an HTTP library.
    pub(crate) async fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(&self.socket).await
    }

    /// Its number.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap())
    }

    /// A client that announces the rest of Ann's only upload from `range.start` on and stops at `range.end`, once some of
    /// that has been written.
    pub(crate) async fn stalled_sender(
        &self,
        site: &Site,
        url: &str,
        content: &[u8],
        range: Range<usize>,
    ) -> Raw<UnixStream> {
        let mut sending = Raw::over(self.connect().await.unwrap());
        sending.send(piece_head(url, range.start, content.len() - range.start).as_bytes()).await.unwrap();
        let before = range.start as u64;
        sending.send(&content[range]).await.unwrap();
        eventually("bytes are written", async || (site.staged_bytes() > before).then_some(())).await;
        sending
    }

    /// Ann downloads files of these ids and gets bytes of these digests.
    pub(crate) async fn assert_downloads<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) {
        for (id, digest) in files {
            let download = self.user(ANN).get(&format!("/api/files/{id}/download")).await.expect(200);
            assert_eq!(sha256(&download.body), *digest, "{id}");
        }
    }

    /// Sends a signal: SIGKILL leaves the process no say, after SIGTERM it may finish what it does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).unwrap();
    }

    /// Tells the process to end and waits until it has done so, in order.
    pub(crate) async fn stop(self) {
        self.signal(Signal::SIGTERM);
        assert!(self.ended().await.success());
    }

    /// Waits for the process to end; no connection to it is kept.
    pub(crate) async fn ended(self) -> ExitStatus {
        let Self { mut child, http, .. } = self;
        drop(http);
        tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").unwrap()
    }
}

impl Service for Process {
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        self.http.request(method, format!("http://localhost{target}"))
    }
}
