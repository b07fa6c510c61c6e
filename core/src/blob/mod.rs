//! Bytes on the volume. Owns every path under the storage root.
//! Invariant: what `publish` and `put` returned for is complete and survives a power cut.
//! Never knows a user, a quota or a database row.
#![expect(clippy::disallowed_methods, reason = "this module owns the volume")]

mod checkpoint;
mod health;
mod reader;
mod volume;
mod writer;

pub use checkpoint::Checkpoint;
pub use reader::ByteStream;
pub use volume::{
    Adopted, Boot, Draft, Entry, Head, Listing, Lock, Locked, Look, Place, Recovered, Source, Space, Stat,
    Volume,
};
pub use writer::{Staged, Writer};

use crate::error::{Error, Result, chain};
use crate::model::FileType;
use health::Health;
use nix::errno::Errno;
use std::fmt;
use std::io;

/// A directory within an owner's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Finished files, by type.
    Files(FileType),
    /// Thumbnails and posters of files.
    Thumbnails,
    /// Files on their way in.
    Staging,
}

impl Folder {
    /// Every folder an owner's directory may have.
    pub const ALL: [Self; 7] = [
        Self::Files(FileType::Video),
        Self::Files(FileType::Image),
        Self::Files(FileType::Scene),
        Self::Files(FileType::Project),
        Self::Files(FileType::Audio),
        Self::Thumbnails,
        Self::Staging,
    ];

    /// The directory's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files(FileType::Video) => "videos",
            Self::Files(FileType::Image) => "images",
            Self::Files(FileType::Scene) => "scenes",
            Self::Files(FileType::Project) => "projects",
            Self::Files(FileType::Audio) => "audio",
            Self::Thumbnails => "thumbnails",
            Self::Staging => ".uploads",
        }
    }
}

/// Names one blob: `owner/folder/name`, relative to the storage root. Safe to join to it by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// A key from its parts; every part is checked.
    ///
    /// # Errors
    /// [`Error::Internal`] when a part is no plain file name: such a name never comes from a client.
    pub fn new(owner: &str, folder: Folder, name: &str) -> Result<Self> {
        Self::parse(&format!("{owner}/{}/{name}", folder.name()))
    }

    /// A key as a row holds it.
    ///
    /// # Errors
    /// [`Error::Internal`] when the text is not three plain names.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() == 3 && parts.iter().all(|part| is_plain_name(part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Internal(anyhow::anyhow!("not a blob key: {text:?}")))
        }
    }

    /// The key as text, relative to the storage root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory and the name in it.
    fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

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
    use super::{BlobKey, fault};
    use crate::error::Error;
    use nix::errno::Errno;

    #[test]
    fn a_volume_that_refuses_access_does_not_answer() {
        for errno in [Errno::EACCES, Errno::EPERM, Errno::EROFS] {
            assert!(matches!(fault("writing", errno.into()), Error::Unavailable { part: "volume" }));
        }
        assert!(matches!(fault("writing", Errno::ENOSPC.into()), Error::VolumeFull));
    }

    #[test]
    fn a_key_cannot_leave_the_storage_root() {
        for text in ["../a/b", "a/../b", "a/b", "/a/b", "a//b", "a/b/c/d", "a/b/c\0", "a/b/ü", ""] {
            assert!(BlobKey::parse(text).is_err(), "{text:?}");
        }
        assert!(BlobKey::parse("user_1/images/0190.jpg").is_ok());
    }
}
