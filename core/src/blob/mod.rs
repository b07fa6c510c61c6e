//! Bytes in their store. [`Blobs`] is the contract; the volume is a store, and owns every path under the storage root.
//! Invariant: what `publish` and `put` returned for is complete and survives a power cut.
//! Never knows a user, a quota or a database row.
#![expect(clippy::disallowed_methods, reason = "this module owns the volume")]

#[cfg(feature = "crash-points")]
mod faulty;
mod health;
mod reader;
mod store;
#[cfg(test)]
mod suite;
mod volume;
mod writer;

#[cfg(feature = "crash-points")]
pub use faulty::{Failure, Faults, Faulty};
pub use reader::ByteStream;
pub use store::{Blobs, Lock, Locked, Recovered, Writer};
pub use volume::{Adopted, Draft, Entry, Head, Listing, Look, Place, Source, Space, Stat, Volume};
pub use writer::Staged;

use crate::error::{Error, Result, chain};
use health::Health;
use nix::errno::Errno;
use std::io;

/// Runs file I/O on a thread that may block.
async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|cause| fault(doing, cause)),
        Err(panicked) => Err(Error::Internal(anyhow::Error::new(panicked).context(doing))),
    }
}

/// The same for what must be on disk afterwards.
async fn forcing<T: Send + 'static>(
    health: &Health,
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let health = health.clone();
    blocking(doing, move || health.note(work())).await
}

/// What an I/O error means to a client: no room, no volume, or a fault of ours.
fn fault(doing: &'static str, cause: io::Error) -> Error {
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
