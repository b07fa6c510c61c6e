//! Whether the disk can be trusted with new bytes. That bytes could not be written the kernel tells once, to one sync; it
//! then takes them for clean. Nothing says which others are lost with them, so after one such word no more are taken
//! until the process starts anew. Reading goes on.

use nix::errno::Errno;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the disk has said so far; cheap to clone, all clones know the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    has_failed: Arc<AtomicBool>,
}

impl Health {
    /// Takes note of how a write or a sync went.
    pub(super) fn note<T>(&self, forced: io::Result<T>) -> io::Result<T> {
        if forced.as_ref().is_err_and(|cause| cause.raw_os_error() == Some(Errno::EIO as i32))
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::error!("the disk failed: no more bytes are taken until this process starts anew");
        }
        forced
    }

    /// Whether the disk never failed.
    pub(super) fn holds(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed)
    }
}
