//! A PostgreSQL of a test's own, which it stops in the middle: durable, unlike the one that all tests share.
#![expect(clippy::disallowed_methods, reason = "runs the database server's own programs")]

use super::rows;
use jam_core::db::MIGRATOR;
use nix::unistd::{User, chown, geteuid};
use sqlx::PgPool;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    /// Whom the server runs as when we are root, whom it refuses.
    account: Option<User>,
}

impl Postgres {
    /// A new one, by the programs of a server that runs.
    pub(crate) async fn beside(pool: &PgPool) -> Self {
        let programs = rows::programs_of_postgres(&mut pool.acquire().await.unwrap()).await;
        let directory = tempfile::tempdir().unwrap();
        let account = geteuid().is_root().then(|| User::from_name("postgres").unwrap().expect("the account"));
        if let Some(account) = &account {
            chown(directory.path(), Some(account.uid), Some(account.gid)).unwrap();
        }
        let postgres = Self { directory, programs: programs.into(), account };
        postgres.run("initdb", &["--auth=trust", "--username=jam", "--encoding=UTF8", "--no-sync"]);
        postgres.start();
        postgres
    }

    pub(crate) fn start(&self) {
        let socket = self.directory.path().display();
        let options = format!("-c listen_addresses= -c unix_socket_directories={socket} -c port=5432");
        self.run("pg_ctl", &["start", "--wait", "--silent", "--log=/dev/null", "--options", &options]);
    }

    /// Stops it as a crash would: open transactions are lost, committed ones are not.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--silent", "--mode=immediate"]);
    }

    /// Its database, with all migrations.
    pub(crate) async fn pool(&self) -> PgPool {
        let socket = self.directory.path().display();
        let url = format!("postgres:///postgres?host={socket}&port=5432&user=jam");
        let pool = PgPool::connect(&url).await.unwrap();
        MIGRATOR.run(&pool).await.unwrap();
        pool
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).env("PGDATA", self.directory.path().join("data")).current_dir("/");
        // The server inherits what is open here: a pipe would stay open as long as it runs.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(account) = &self.account {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        assert!(command.status().unwrap().success(), "{command:?}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may be stopped already.
        let postmaster = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid"));
        if postmaster.is_ok() {
            self.stop();
        }
    }
}
