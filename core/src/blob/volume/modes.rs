//! Who may read the files on the volume: its owner, and their group where the storage root says so.
//! Never lets anybody but the owner write, and nobody else do anything.

use nix::sys::stat::{Mode, fstat};
use std::os::fd::OwnedFd;

/// Permissions of every directory.
pub(super) const DIRECTORY_MODE: Mode = Mode::S_IRWXU;
/// Permissions of every file.
pub(super) const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
/// Permissions of a directory, and the mark of one, whose group may read what is below: `chmod 2750` on the storage root
/// lets nginx read as a member of the service's group. New directories get the mark by themselves.
const SHARED_DIRECTORY_MODE: Mode =
    DIRECTORY_MODE.union(Mode::S_IRGRP).union(Mode::S_IXGRP).union(Mode::S_ISGID);

/// Permissions that hold below a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Modes {
    pub(super) file: Mode,
    pub(super) directory: Mode,
}

impl Modes {
    /// What the directory's own permissions say.
    pub(super) fn below(directory: &OwnedFd) -> nix::Result<Self> {
        let found = Mode::from_bits_truncate(fstat(directory)?.st_mode);
        Ok(if found.contains(SHARED_DIRECTORY_MODE) {
            Self { file: FILE_MODE | Mode::S_IRGRP, directory: SHARED_DIRECTORY_MODE }
        } else {
            Self { file: FILE_MODE, directory: DIRECTORY_MODE }
        })
    }
}
