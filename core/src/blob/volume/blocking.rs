//! File I/O on threads that may block, and what its errors mean.
//! Invariant: what must be on disk afterwards is noted with the disk's health.

use super::health::Health;
use crate::error::{Error, Result, chain};
use nix::errno::Errno;
use std::io;

/// Runs file I/O on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|cause| fault(doing, cause)),
        Err(panicked) => Err(Error::Internal(anyhow::Error::new(panicked).context(doing))),
    }
}

/// The same for what must be on disk afterwards.
pub(super) async fn forcing<T: Send + 'static>(
    health: &Health,
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let health = health.clone();
    blocking(doing, move || health.note(work())).await
}

/// What an I/O error means to a client: no room, no volume, or a fault of ours.
pub(super) fn fault(doing: &'static str, cause: io::Error) -> Error {
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => {
            tracing::error!(error = %chain(&cause), doing, "volume is full");
            Error::VolumeFull
        }
        Some(
            Errno::EROFS
            | Errno::EIO
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::ESTALE
            | Errno::EMFILE
            | Errno::ENFILE,
        ) => {
            tracing::error!(error = %chain(&cause), doing, "volume does not answer");
            Error::Unavailable { part: "volume" }
        }
        Some(Errno::EACCES | Errno::EPERM) => {
            tracing::error!(error = %chain(&cause), doing, "volume refuses access: the service's user must own all that is in it");
            Error::Unavailable { part: "volume" }
        }
        _ => Error::Internal(anyhow::Error::new(cause).context(doing)),
    }
}

#[cfg(test)]
mod tests {
    use super::fault;
    use crate::error::Error;
    use nix::errno::Errno;

    #[test]
    fn a_volume_that_refuses_access_does_not_answer() {
        for errno in [Errno::EACCES, Errno::EPERM, Errno::EROFS] {
            assert!(matches!(fault("writing", errno.into()), Error::Unavailable { part: "volume" }));
        }
        assert!(matches!(fault("writing", Errno::ENOSPC.into()), Error::VolumeFull));
    }
}
