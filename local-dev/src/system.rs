//! The machine's users and permissions: whom the database server runs as, and files that only one user may read.
//! Invariant: a directory or secret made here never becomes someone else's, even in a shared /tmp.
//! Never installs anything; `local-dev/install` does.
#![expect(clippy::disallowed_methods, reason = "the developer's tool keeps its own files outside the volume")]

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Gid, Uid, User};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// An unprivileged user that root hands a process to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Whom the database server runs as: `None` is the current user; root's servers run as `postgres`.
    pub(crate) fn for_postgres() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let user = User::from_name("postgres").context("failed to look up the user postgres")?;
        let user = user.context("PostgreSQL refuses to run as root, and there is no user postgres")?;
        Ok(Some(Self { uid: user.uid, gid: user.gid }))
    }

    /// Whether this user can write to a directory, each directory above it included.
    pub(crate) fn can_write_to(self, directory: &Path) -> Result<bool> {
        let status = command_as(Some(self), "test").arg("-w").arg(directory).status();
        Ok(status.context("failed to run test")?.success())
    }
}

/// A command that runs as `account`, or as the current user, away from the caller's working directory.
pub(crate) fn command_as(account: Option<Account>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

/// Makes a directory that other users may pass through and read.
pub(crate) fn make_shared_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("failed to open {} to the database server's user", path.display()))
}

/// Makes a directory that only `owner`, or the current user, may enter.
pub(crate) fn make_private_directory(path: &Path, owner: Option<Account>) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made.with_context(|| format!("failed to make {}", path.display()))?,
    }
    let owner = owner.map_or((Uid::effective(), Gid::effective()), |account| (account.uid, account.gid));
    let found =
        fs::symlink_metadata(path).with_context(|| format!("failed to look at {}", path.display()))?;
    let ours = [owner.0.as_raw(), Uid::effective().as_raw()].contains(&found.uid());
    if !found.is_dir() || !ours {
        bail!("{} was made by someone else; remove it", path.display());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("failed to close {} to other users", path.display()))?;
    nix::unistd::chown(path, Some(owner.0), Some(owner.1))
        .with_context(|| format!("failed to hand over {}", path.display()))
}

/// Writes a file that only the current user may read; a reader sees all of it or the previous one.
pub(crate) fn write_secret(path: &Path, content: &str) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{make_private_directory, write_secret};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn temporary(name: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("jam-dev-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_secret_is_readable_by_its_owner_only() {
        let directory = temporary("secret");
        let path = directory.join("key");
        write_secret(&path, "first").unwrap();
        write_secret(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_link_planted_in_place_of_a_private_directory_is_refused() {
        let directory = temporary("planted");
        symlink("/tmp", directory.join("run")).unwrap();
        assert!(make_private_directory(&directory.join("run"), None).is_err());
        make_private_directory(&directory.join("other"), None).unwrap();
        let mode = directory.join("other").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
