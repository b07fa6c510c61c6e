//! The service under test: a real Postgres, a real directory, real sockets; the clock and the callers are ours.
//! Invariant: a test ends with `finish`, which compares ledger, rows and volume with each other.

mod answer;
mod caller;
pub(crate) mod clamd;
mod contract;
pub(crate) mod disk;
mod doors;
mod form;
pub(crate) mod gateway;
mod invariants;
pub(crate) mod media;
pub(crate) mod nginx;
pub(crate) mod postgres;
pub(crate) mod process;
mod raw;
pub(crate) mod rows;
pub(crate) mod syscalls;
pub(crate) mod tus;

pub(crate) use answer::Answer;
pub(crate) use caller::{As, Service, send};
pub(crate) use contract::{OPERATIONS, Operation, functions};
pub(crate) use form::Form;
pub(crate) use raw::{Raw, upload_head};

use doors::Doors;
use jam_core::app::App;
use jam_core::auth::{Caller, Role, Verifier};
use jam_core::blob::{Blobs, Faults, Faulty, Volume};
use jam_core::clock::Clock;
use jam_core::config::Config;
use jam_core::db::{self, Db};
use jam_core::ids::UserId;
use jam_core::model::ByteSize;
use jam_core::ops;
use reqwest::{Method, RequestBuilder};
use sqlx::PgPool;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The origin that may call from a browser.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// What is expected to become true does so within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// The service, as its clients and its operator see it.
pub(crate) struct TestApp {
    pub(crate) app: App,
    /// When calls of the store fail: never, unless a test says so.
    pub(crate) faults: Faults,
    pool: PgPool,
    doors: Doors,
    http: reqwest::Client,
    directory: TempDir,
    is_finished: bool,
}

impl TestApp {
    /// The service with generous limits.
    pub(crate) async fn new(pool: PgPool) -> Self {
        Self::with(pool, |_| {}).await
    }

    /// The service with settings of the test's own.
    pub(crate) async fn with(pool: PgPool, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("volume");
        Volume::initialize(&root).unwrap();
        let mut config = config(&root);
        change(&mut config);
        let (clock, faults) = (Clock::manual(), Faults::default());
        let app = assemble(&config, &pool, &clock, &faults);
        let doors = Doors::open(&app, || assemble(&config, &pool, &clock, &faults)).await;
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { app, faults, pool, doors, http, directory, is_finished: false }
    }

    /// The same service as a process that starts now.
    pub(crate) fn another(&self) -> App {
        assemble(&self.app.config, &self.pool, &self.app.clock, &self.faults)
    }

    /// The paths of everything in a user's directory, as the file system tells.
    pub(crate) fn blobs_of(&self, user: &str) -> Vec<String> {
        let folders = std::fs::read_dir(self.app.config.storage_root.join(user)).into_iter().flatten();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().path().display().to_string()).collect()
    }

    /// A user with a token.
    pub(crate) fn user(&self, name: &str) -> As<'_> {
        As::new(self, Some(token(name)))
    }

    /// The user that most tests are about.
    pub(crate) fn ann(&self) -> As<'_> {
        self.user(ANN)
    }

    /// Somebody else.
    pub(crate) fn bob(&self) -> As<'_> {
        self.user(BOB)
    }

    /// A user with the administrator's role.
    pub(crate) fn admin(&self) -> As<'_> {
        self.user(ADMIN)
    }

    /// A caller without a token.
    pub(crate) fn nobody(&self) -> As<'_> {
        As::new(self, None)
    }

    /// Gives a user a quota.
    pub(crate) async fn set_quota(&self, user: &str, bytes: u64) {
        let mut conn = self.app.db.conn().await.unwrap();
        db::storage::set_quota(&mut conn, &user_id(user), ByteSize::new(bytes)).await.unwrap();
    }

    /// Does what the worker would do, until nothing is due.
    pub(crate) async fn run_jobs_in_queue(&self) {
        let stop = CancellationToken::new();
        while ops::work::run_next(&self.app).await.unwrap()
            || ops::work::run_next_long(&self.app, &stop).await.unwrap()
        {}
    }

    /// A file on the volume by its `filePath`.
    pub(crate) fn on_volume(&self, file_path: &str) -> PathBuf {
        self.app.config.storage_root.join(file_path)
    }

    /// Takes a file of any kind off the volume, behind the service's back.
    #[expect(clippy::disallowed_methods, reason = "no operation of the service does this")]
    pub(crate) fn remove_from_volume(&self, path: &str) {
        std::fs::remove_file(self.on_volume(path)).unwrap();
    }

    /// Waits until uploads that broke off are undone.
    pub(crate) async fn no_upload_is_open(&self) {
        invariants::no_upload_is_open(&self.app).await;
    }

    /// Stops the service of a test that took its database away: there is nothing left to check.
    pub(crate) async fn abandon(mut self) {
        self.is_finished = true;
        self.doors.close().await;
    }

    /// Stops the service and checks that nothing was left behind.
    pub(crate) async fn finish(self) {
        self.finish_with(invariants::Blobs::Checked).await;
    }

    /// The same for a test that made rows without files.
    pub(crate) async fn finish_without_blobs(self) {
        self.finish_with(invariants::Blobs::Absent).await;
    }

    async fn finish_with(mut self, blobs: invariants::Blobs) {
        self.is_finished = true;
        self.doors.close().await;
        invariants::no_upload_is_open(&self.app).await;
        self.run_jobs_in_queue().await;
        invariants::hold(&self.app, blobs).await;
    }
}

impl Service for TestApp {
    fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let url = self.doors.url(&method, target);
        self.http.request(method, url)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let is_checked = self.is_finished || std::thread::panicking();
        assert!(is_checked, "the test did not call finish: {}", self.directory.path().display());
    }
}

pub(crate) const ANN: &str = "user_a";
pub(crate) const BOB: &str = "user_b";
pub(crate) const ADMIN: &str = "user_admin";
/// An administrator for whom somebody else acts.
pub(crate) const IMPERSONATED: &str = "user_impersonated";

/// What signs URLs: any bytes will do.
const URL_KEY: &str = "dGVzdHMgc2lnbiB0aGVpciBVUkxzIHdpdGggdGhpcyBrZXkgYW5kIG5vIG90aGVy";

pub(crate) fn user_id(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn token(user: &str) -> String {
    format!("token-of-{user}")
}

fn callers() -> impl Iterator<Item = (String, Caller)> {
    let roles = [(ANN, Role::User), (BOB, Role::User), (ADMIN, Role::Admin), (IMPERSONATED, Role::Admin)];
    roles.into_iter().map(|(name, role)| {
        let session = format!("sess_{name}");
        let impersonator = (name == IMPERSONATED).then(|| "user_support".to_owned());
        (token(name), Caller { user: user_id(name), role, session, impersonator })
    })
}

fn config(root: &Path) -> Config {
    let settings = [
        ("DATABASE_URL", "postgres:///unused"),
        ("USER_STORAGE_ROOT", root.to_str().unwrap()),
        ("JAM_AUTH_ISSUER", "https://clerk.example.com"),
        ("JAM_URL_KEYS", &format!("k1:{URL_KEY}")),
        ("CORS_ORIGIN", ORIGIN),
        ("JAM_DRAIN_SECONDS", "5"),
        ("JAM_VOLUME_FLOOR", "0"),
        ("RATE_LIMIT_MAX_REQUESTS", "0"),
        ("JAM_RATE_REQUESTS_PER_SECOND", "0"),
        ("JAM_RATE_UPLOADS_PER_MINUTE", "0"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut config = Config::read(&settings).unwrap();
    // Hundreds of uploads race each other.
    config.limits.max_open_forms = 1000;
    config
}

/// One process's worth of the service.
fn assemble(config: &Config, pool: &PgPool, clock: &Clock, faults: &Faults) -> App {
    let volume = Volume::open(&config.storage_root, config.limits.volume_floor).unwrap();
    let blobs = Blobs::Faulty(Faulty::new(volume, faults.clone()));
    let db = Db::from_pool(pool.clone());
    App::assemble(config.clone(), db, blobs, Verifier::fixed(callers()), clock.clone()).unwrap()
}

/// Looks again and again until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
