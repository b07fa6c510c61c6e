//! Files that were just made, while nothing names them yet.
//! Invariant: one that nobody claims is removed: whoever asked for it may have gone, and with them the row that named it.

use super::{create_new, unlink};
use crate::error::chain;
use nix::fcntl::renameat;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// A file that is removed when this is dropped, unless it is claimed or gets another name.
#[derive(Debug)]
pub(super) struct Unclaimed {
    file: File,
    place: Place,
}

/// Where it is. Apart from the file, which a claim takes out.
#[derive(Debug)]
struct Place {
    directory: OwnedFd,
    name: String,
    is_over: bool,
}

impl Unclaimed {
    /// Makes it. Fails if the name is taken.
    pub(super) fn create(directory: OwnedFd, name: String) -> io::Result<Self> {
        let file = create_new(&directory, &name)?;
        Ok(Self { file, place: Place { directory, name, is_over: false } })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Leaves it where it is.
    pub(super) fn claim(mut self) -> File {
        self.place.is_over = true;
        self.file
    }

    /// Gives it another name, replacing a file that has it.
    pub(super) fn rename(mut self, directory: &OwnedFd, name: &str) -> io::Result<()> {
        renameat(&self.place.directory, self.place.name.as_str(), directory, name)?;
        self.place.is_over = true;
        Ok(())
    }

    /// Removes it, and tells whether that worked.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.place.is_over = true;
        unlink(&self.place.directory, &self.place.name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_over
            && let Err(error) = unlink(&self.directory, &self.name)
        {
            tracing::warn!(error = %chain(&error), "an unused file could not be removed");
        }
    }
}
