//! Whether a directory is a volume, and still the one that was opened.
//! Never changes anything.

use super::{Inner, SENTINEL, exists, open_root};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::geteuid;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The path leads to the directory that is held, and that is a volume.
pub(super) fn require_mounted(inner: &Inner) -> io::Result<()> {
    let now = open_root(&inner.path)?;
    let (held, found) = (fstat(&inner.root)?, fstat(&now)?);
    if (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino) {
        return Err(Errno::ESTALE.into());
    }
    require_sentinel(&now, &inner.path)
}

pub(super) fn require_sentinel(root: &OwnedFd, path: &Path) -> io::Result<()> {
    if exists(root, SENTINEL)? {
        return Ok(());
    }
    let text = format!(
        "{} has no {SENTINEL}: the volume is not mounted, or was never set up (jam-admin init-volume)",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// What root made here the service, which runs as another user, could neither lock nor sweep nor move.
pub(super) fn refuse_root(instances: &OwnedFd, path: &Path) -> io::Result<()> {
    let owner = fstat(instances)?.st_uid;
    if !geteuid().is_root() || owner == 0 {
        return Ok(());
    }
    let text =
        format!("{} is the volume of user {owner}: run this as that user, not as root", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}
