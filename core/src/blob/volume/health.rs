//! Whether the disk can be trusted with new bytes. The kernel reports a failed write once, to one sync, and then takes
//! the pages for clean. Nothing says which other bytes are lost with them, so after one such error the process accepts
//! no more until it restarts. Reading goes on.

use nix::errno::Errno;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the disk has failed; cheap to clone, all clones share one state.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    has_failed: Arc<AtomicBool>,
}

impl Health {
    /// Notes the result of a write or a sync.
    pub(super) fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|cause| cause.raw_os_error() == Some(Errno::EIO as i32))
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::error!("the disk failed: this process accepts no more bytes until it restarts");
        }
        result
    }

    /// Whether the disk never failed.
    pub(super) fn holds(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed)
    }
}
