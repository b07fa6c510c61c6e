//! A volume, a database and the environment that names both.
//! Never shared by two tests.

use bytes::Bytes;
use jam_core::app::App;
use jam_core::config::Config;
use jam_core::db::files::Removable;
use jam_core::ids::{FileId, UserId};
use jam_core::model::{ByteSize, File, FileMetadata, FileName, FileType};
use jam_core::ops::trash;
use jam_core::ops::upload::{self, Incoming, Owner, Receiving};
use serde_json::Value;
use sqlx::{ConnectOptions as _, PgPool};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// An image of one pixel.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

pub(crate) struct Jam {
    pub(crate) pool: PgPool,
    pub(crate) app: App,
    variables: BTreeMap<String, String>,
    _directory: TempDir,
}

/// What the tool answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Jam {
    /// A migrated database and an initialized, empty volume.
    pub(crate) async fn new(pool: PgPool) -> Self {
        let directory = TempDir::new().unwrap();
        let variables = variables(&pool, directory.path().join("users"));
        let config = Config::read(&variables).unwrap();
        jam_core::blob::Volume::initialize(&config.storage_root).unwrap();
        let app = App::open(config).unwrap();
        Self { pool, app, variables, _directory: directory }
    }

    /// The same as a process that starts now.
    pub(crate) fn restarted(mut self) -> Self {
        self.app = App::open(self.app.config.clone()).unwrap();
        self
    }

    /// Runs `jam-admin`.
    pub(crate) async fn admin(&self, arguments: &[&str]) -> Answer {
        run(&self.variables, arguments).await
    }

    /// Starts `jam-admin` and kills it after a while, unless it was faster.
    pub(crate) async fn kill_admin(&self, arguments: &[&str], after: Duration) {
        kill(&self.variables, arguments, after).await;
    }

    /// Stores a file as an upload does.
    pub(crate) async fn store(&self, user: &str, name: &str, bytes: &'static [u8]) -> File {
        store(&self.app, &user_id(user), name, bytes).await
    }

    /// Where something is on this machine.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.app.config.storage_root.join(relative)
    }

    /// Lays something on the volume that no row names.
    pub(crate) fn stray(&self, relative: &str, bytes: &[u8]) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }
}

impl Answer {
    /// The document of a verb with `--json`.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Kind and place of each finding of a check or repair, sorted.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<(String, String)> {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = json["findings"].as_array().unwrap().iter();
        let place = |finding: &Value| text(finding.get("path").unwrap_or(&finding["counter"]));
        let mut found: Vec<_> = findings.map(|finding| (text(&finding["kind"]), place(finding))).collect();
        found.sort();
        found
    }
}

/// A finding as [`Answer::findings`] gives it.
pub(crate) fn finding(kind: &str, place: &str) -> (String, String) {
    (kind.to_owned(), place.to_owned())
}

pub(crate) fn user_id(user: &str) -> UserId {
    UserId::parse(user).unwrap()
}

/// The environment of the tool.
pub(crate) fn variables(pool: &PgPool, storage_root: PathBuf) -> BTreeMap<String, String> {
    let variables = [
        ("DATABASE_URL", pool.connect_options().to_url_lossy().to_string()),
        ("USER_STORAGE_ROOT", storage_root.display().to_string()),
        ("JAM_AUTH_ISSUER", "https://clerk.example.com".to_owned()),
        ("JAM_VOLUME_FLOOR", "0".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Runs `jam-admin` in an environment of nothing but these variables.
pub(crate) async fn run(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Answer {
    let output = command(variables, arguments).output().await.unwrap();
    Answer {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts `jam-admin` and kills it after a while, unless it was faster.
pub(crate) async fn kill(variables: &BTreeMap<String, String>, arguments: &[&str], after: Duration) {
    let mut child = command(variables, arguments).spawn().unwrap();
    let _killed = tokio::time::timeout(after, child.wait()).await;
    child.kill().await.unwrap();
}

pub(crate) async fn store(app: &App, user: &UserId, name: &str, bytes: &'static [u8]) -> File {
    let mut receiving = receive(app, user, name, bytes).await;
    receiving.append(Bytes::from_static(bytes)).await.unwrap();
    let received = receiving.finish().await.unwrap();
    let assigned = received.assign(app, user, declared(name)).await.unwrap();
    let files = upload::complete(app, user, vec![(assigned, FileMetadata::default())]).await.unwrap();
    files.into_iter().next().unwrap()
}

/// An upload that has begun and has no bytes yet.
pub(crate) async fn receive(app: &App, user: &UserId, name: &str, head: &[u8]) -> Receiving {
    let bound = Some(ByteSize::new(head.len() as u64));
    let incoming = Incoming { name: FileName::sanitize(name), declared: declared(name), head, bound };
    Receiving::start(app, &Owner::Known(user.clone()), incoming).await.unwrap()
}

/// Purges files as the service does: rows and job in one transaction.
pub(crate) async fn purge(app: &App, user: &UserId, files: &[FileId]) {
    let mut ledger = app.db.ledger(user).await.unwrap();
    trash::purge(&mut ledger, files, Removable::Any).await.unwrap();
    ledger.commit().await.unwrap();
}

fn command(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jam-admin"));
    command.args(arguments).env_clear().envs(variables);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn declared(name: &str) -> Option<FileType> {
    name.ends_with(".scene").then_some(FileType::Scene)
}
