//! A PostgreSQL of a test's own, which it stops in the middle: durable, unlike the one that all tests share.
#![expect(clippy::disallowed_methods, reason = "runs the database server's own programs")]

use super::rows;
use jam_core::db::MIGRATOR;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};
use sqlx::PgPool;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Postgres {
    directory: TempDir,
    programs: PathBuf,
    /// Where it listens.
    listening: String,
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
        let listening = "-c listen_addresses= -c port=5432".to_owned();
        let postgres = Self { directory, programs: programs.into(), listening, account };
        postgres.run("initdb", &["--auth=trust", "--username=jam", "--encoding=UTF8", "--no-sync"]);
        postgres.start();
        postgres
    }

    /// Lets it listen on a port of `localhost` as well, encrypted by a certificate of its own; the port.
    pub(crate) fn listen_with_tls(&mut self) -> u16 {
        self.stop();
        let data = self.directory.path().join("data");
        self.certificate("server");
        self.certificate("other");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (key, certificate) = (data.join("server.key"), data.join("server.pem"));
        self.listening = format!(
            "-c listen_addresses=localhost -c port={free} -c ssl=on -c ssl_key_file={} -c ssl_cert_file={}",
            key.display(),
            certificate.display()
        );
        self.start();
        free
    }

    /// Where a certificate is.
    pub(crate) fn certificate_path(&self, name: &str) -> String {
        self.directory.path().join(format!("data/{name}.pem")).display().to_string()
    }

    fn certificate(&self, name: &str) {
        let data = self.directory.path().join("data");
        let (key, certificate) = (data.join(format!("{name}.key")), data.join(format!("{name}.pem")));
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        assert!(openssl.stderr(Stdio::null()).status().unwrap().success());
        for file in [key, certificate] {
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            if let Some(account) = &self.account {
                chown(&file, Some(account.uid), Some(account.gid)).unwrap();
            }
        }
    }

    pub(crate) fn start(&self) {
        let socket = self.directory.path().display();
        let options = format!("-c unix_socket_directories={socket} {}", self.listening);
        self.run("pg_ctl", &["start", "--wait", "--silent", "--log=/dev/null", "--options", &options]);
    }

    /// Stops it as a crash would: open transactions are lost, committed ones are not.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--silent", "--mode=immediate"]);
    }

    /// Stops all of its processes where they are: connections stay, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap();
        // The postmaster first, so that it starts nobody meanwhile.
        kill(Pid::from_raw(postmaster.parse().unwrap()), signal).unwrap();
        let children =
            std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        for child in children.split_whitespace() {
            // It may just have ended.
            let _ = kill(Pid::from_raw(child.parse().unwrap()), signal);
        }
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
            self.thaw();
            self.stop();
        }
    }
}
