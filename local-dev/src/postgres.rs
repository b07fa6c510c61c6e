//! Private PostgreSQL clusters: one for development, one for tests, both reached by a unix socket only.
//! Invariant: a cluster is initialised completely or not at all, and only its own server is ever stopped.
//! Never touches the system's clusters, and never opens a TCP port.
#![expect(clippy::disallowed_methods, reason = "this module owns the database server's files and processes")]

use crate::layout::Layout;
use crate::system::{Account, command_as, make_private_directory, make_shared_directory};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The superuser of the private clusters; the socket's directory keeps other users of the machine out.
const SUPERUSER: &str = "jam";

/// What a directory must hold to be a server's.
const PROGRAMS: &[&str] = &["initdb", "pg_ctl", "pg_dump", "pg_isready", "postgres", "psql"];

/// Holds for both clusters.
const SETTINGS: &[&str] = &["listen_addresses=", "port=5432", "unix_socket_permissions=0700", "timezone=UTC"];

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Keeps its data: durable.
    Development,
    /// Thrown away at will: nothing is flushed, many tests connect at once.
    Test,
}

impl Purpose {
    fn directory(self) -> &'static str {
        match self {
            Self::Development => "postgres",
            Self::Test => "test-postgres",
        }
    }

    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Development => &["shared_buffers=128MB", "max_connections=100"],
            Self::Test => {
                &["shared_buffers=128MB", "max_connections=200", "fsync=off", "full_page_writes=off"]
            }
        }
    }
}

/// Whether [`Cluster::start`] had to start a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// By this call.
    Now,
    /// By an earlier one.
    Before,
}

/// A private cluster: its files, its server's programs and whom the server runs as.
#[derive(Debug)]
pub(crate) struct Cluster {
    purpose: Purpose,
    home: PathBuf,
    socket: PathBuf,
    programs: PathBuf,
    account: Option<Account>,
}

impl Cluster {
    /// Finds, or makes room for, the cluster of this checkout: below `.jam/`, or below /var/lib/jam-storage when
    /// root has no user who could reach `.jam/`.
    pub(crate) fn open(layout: &Layout, purpose: Purpose) -> Result<Self> {
        let account = Account::for_postgres()?;
        let mut home = layout.state(purpose.directory());
        make_private_directory(&home, account)?;
        if let Some(account) = account
            && !account.can_write_to(&home)?
        {
            let outside = Path::new("/var/lib/jam-storage").join(layout.fingerprint());
            make_shared_directory(&outside)?;
            home = outside.join(purpose.directory());
            make_private_directory(&home, Some(account))?;
        }
        let socket = layout.socket_directory(home.join("socket"), purpose.directory());
        make_private_directory(&socket, account)?;
        let programs = find_programs(fs::read_to_string(home.join("data/PG_VERSION")).ok().as_deref())?;
        Ok(Self { purpose, home, socket, programs, account })
    }

    /// Where the cluster's files are.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// A connection string for one of its databases, as its superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port=5432&user={SUPERUSER}", self.socket.display())
    }

    /// Starts the server unless it runs already, and waits until it answers.
    pub(crate) fn start(&self) -> Result<Started> {
        let gate = fs::File::create(self.home.join("start.lock")).context("failed to make start.lock")?;
        gate.lock().context("failed to wait for another start of this cluster")?;
        if self.is_running() {
            self.wait_until_ready()?;
            return Ok(Started::Before);
        }
        self.defuse_lock_files().context("failed to deal with a crashed server's lock files")?;
        if !self.home.join("data").exists() {
            self.initialise()?;
        }
        let mut start = self.server_control("start");
        start.args(["-t", "60", "-l"]).arg(self.home.join("server.log")).arg("-o").arg(self.server_options());
        run(&mut start).with_context(|| format!("see {}", self.home.join("server.log").display()))?;
        Ok(Started::Now)
    }

    /// Stops the server, if it runs, after ending its sessions.
    pub(crate) fn stop(&self) -> Result<()> {
        if self.is_running() {
            run(self.server_control("stop").args(["-m", "fast", "-t", "60"]))?;
        }
        Ok(())
    }

    /// Makes a database unless it exists.
    pub(crate) fn create_database(&self, name: &str) -> Result<()> {
        let found = self.query("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))?;
        if found.is_empty() {
            self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        }
        Ok(())
    }

    /// Makes a database afresh.
    pub(crate) fn recreate_database(&self, name: &str) -> Result<()> {
        self.query("postgres", &format!("DROP DATABASE IF EXISTS {name}"))?;
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(())
    }

    /// One of the server's own programs, such as psql or pg_dump, as the current user.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    fn query(&self, database: &str, sql: &str) -> Result<String> {
        let output = run(self.program("psql").args(["-XAtq", "-c", sql, &self.url(database)]))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A server that starts, recovers or stops accepts connections all the while.
    fn is_running(&self) -> bool {
        // Line 5 is the socket's directory.
        let pid_file = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap_or_default();
        let socket = pid_file.lines().nth(4).map(|directory| Path::new(directory).join(".s.PGSQL.5432"));
        socket.is_some_and(|socket| UnixStream::connect(socket).is_ok())
    }

    /// Nobody listens, so lock files are left from a crash. The process id in them may be another program's by now,
    /// which Postgres would take for a running server. It ignores the id of whoever starts it, and still refuses to
    /// start while the crashed server's own children are alive.
    fn defuse_lock_files(&self) -> std::io::Result<()> {
        let lock_file = self.home.join("data/postmaster.pid");
        if let Ok(text) = fs::read_to_string(&lock_file) {
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            fs::write(&lock_file, format!("{}\n{rest}", std::process::id()))?;
        }
        let socket_lock_file = self.socket.join(".s.PGSQL.5432.lock");
        if socket_lock_file.exists() { fs::remove_file(socket_lock_file) } else { Ok(()) }
    }

    fn wait_until_ready(&self) -> Result<()> {
        for _ in 0..240 {
            let ready = run(self.program("pg_isready").args(["-q", "-d", &self.url("postgres")]));
            if ready.is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        bail!("PostgreSQL does not get ready; see {}", self.home.join("server.log").display())
    }

    fn initialise(&self) -> Result<()> {
        let unfinished = self.home.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).context("failed to remove a half-made cluster")?;
        }
        let ctype = if cfg!(target_os = "macos") { "en_US.UTF-8" } else { "C.UTF-8" };
        let mut initdb = command_as(self.account, self.programs.join("initdb"));
        initdb.args(["--encoding=UTF8", "--locale=C", "--auth=trust", "--username", SUPERUSER]);
        initdb.arg(format!("--lc-ctype={ctype}")).arg("-D").arg(&unfinished);
        if self.purpose == Purpose::Test {
            initdb.arg("--no-sync");
        }
        run(&mut initdb)?;
        fs::rename(&unfinished, self.home.join("data")).context("failed to name the new cluster")
    }

    fn server_control(&self, verb: &str) -> Command {
        let mut command = command_as(self.account, self.programs.join("pg_ctl"));
        command.arg(verb).arg("-w").arg("-D").arg(self.home.join("data"));
        command
    }

    fn server_options(&self) -> String {
        let socket = format!("unix_socket_directories={}", self.socket.display());
        let settings = SETTINGS.iter().chain(self.purpose.settings()).map(|setting| (*setting).to_owned());
        settings.chain([socket]).map(|setting| format!("-c {setting} ")).collect()
    }
}

/// The newest server's programs, or those of the version that made the cluster.
fn find_programs(version: Option<&str>) -> Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = program_directories()
        .into_iter()
        .filter(|directory| PROGRAMS.iter().all(|program| directory.join(program).is_file()))
        .filter_map(|directory| Some((server_version(&directory)?, directory)))
        .collect();
    found.sort();
    match version.and_then(|version| version.trim().parse::<u32>().ok()) {
        None => Ok(found.pop().context("PostgreSQL is not installed: run ./local-dev/install")?.1),
        Some(wanted) => {
            let same = found.into_iter().find(|(version, _)| *version == wanted);
            let hint =
                format!("this cluster was made by PostgreSQL {wanted}, which is not installed any more");
            Ok(same.context(hint)?.1)
        }
    }
}

/// Debian keeps every version apart and outside PATH; so does Homebrew.
fn program_directories() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        directories.extend(entries.map(|entry| entry.path().join("bin")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    directories.extend(std::env::split_paths(&path));
    directories
}

/// `postgres (PostgreSQL) 15.13 (Debian ...)` is 15.
fn server_version(directory: &Path) -> Option<u32> {
    let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

/// Runs a program to its end; a failure carries what it printed.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to start {program}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let printed = [output.stdout, output.stderr].concat();
    bail!("{program} failed ({}):\n{}", output.status, String::from_utf8_lossy(&printed).trim())
}

#[cfg(test)]
mod tests {
    use super::{Cluster, Purpose, Started};
    use crate::layout::Layout;
    use crate::system::make_shared_directory;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::time::Duration;

    #[test]
    fn data_outlives_a_killed_server_whose_process_id_another_program_bears() {
        let root = std::env::temp_dir().join(format!("jam-dev-cluster-{}", std::process::id()));
        let layout = Layout::of_test(&root);
        make_shared_directory(&layout.state("")).unwrap();
        let cluster = Cluster::open(&layout, Purpose::Test).unwrap();
        assert_eq!(cluster.start().unwrap(), Started::Now);
        assert_eq!(cluster.start().unwrap(), Started::Before);
        cluster.create_database("jam").unwrap();
        cluster.query("jam", "CREATE TABLE kept AS SELECT 7 AS number").unwrap();

        let lock_file = cluster.home().join("data/postmaster.pid");
        let text = std::fs::read_to_string(&lock_file).unwrap();
        let (server, rest) = text.split_once('\n').unwrap();
        kill(Pid::from_raw(server.parse().unwrap()), Signal::SIGKILL).unwrap();
        let someone = std::os::unix::process::parent_id();
        std::fs::write(&lock_file, format!("{someone}\n{rest}")).unwrap();

        // The killed server's children take a moment to notice; until then a start is refused.
        let restarted = (0..100).find_map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            cluster.start().ok()
        });
        assert_eq!(restarted, Some(Started::Now));
        assert_eq!(cluster.query("jam", "SELECT number FROM kept").unwrap(), "7");
        cluster.stop().unwrap();
        assert!(!cluster.is_running());
        std::fs::remove_dir_all(root).unwrap();
    }
}
