//! Derivatives: written aside, whole, and durable before they have their name.
//! Invariant: what has a name is complete; what a dead process was writing has none, and is swept.
//! Never knows what they are made from.

use super::{OWN, TEMPORARY, Volume, create_new, open_or_make_directory, require_mounted, unlink};
use crate::blob::{blocking, forcing};
use crate::error::Result;
use crate::ids::InstanceId;
use crate::model::{BlobKey, ByteSize};
use nix::fcntl::renameat;
use nix::unistd::fsync;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A derivative that somebody writes, until it is kept or discarded.
#[derive(Debug)]
pub struct Draft {
    /// Open for reading and writing.
    pub file: File,
    name: String,
    waiting: OwnedFd,
}

impl Volume {
    /// Writes a small blob whole, replacing an older one. Durable on return; safe to repeat.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn put(&self, key: &BlobKey, bytes: Vec<u8>) -> Result<()> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        forcing(&self.inner.health, "writing a derivative", move || {
            require_mounted(&inner)?;
            let mut draft = Draft::new(&inner.root, inner.instance)?;
            let kept = draft.file.write_all(&bytes).and_then(|()| draft.keep(&inner.root, &key));
            if kept.is_err() {
                draft.discard()?;
            }
            kept.map(drop)
        })
        .await
    }

    /// Starts a derivative that another program writes.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn draft(&self) -> Result<Draft> {
        let inner = Arc::clone(&self.inner);
        blocking("starting a derivative", move || Draft::new(&inner.root, inner.instance)).await
    }

    /// Gives a written derivative its name, replacing an older one, and tells its size. Durable on return. What cannot
    /// be kept is discarded.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn keep(&self, draft: Draft, key: &BlobKey) -> Result<ByteSize> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        forcing(&self.inner.health, "keeping a derivative", move || {
            let kept = require_mounted(&inner).and_then(|()| draft.keep(&inner.root, &key));
            if kept.is_err() {
                draft.discard()?;
            }
            kept
        })
        .await
    }

    /// Removes a derivative that is not wanted after all.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the volume fails; it is swept when this process is gone.
    pub async fn discard(&self, draft: Draft) -> Result<()> {
        blocking("discarding a derivative", move || draft.discard()).await
    }
}

impl Draft {
    fn new(root: &OwnedFd, instance: InstanceId) -> io::Result<Self> {
        let waiting = open_or_make_directory(root, &format!("{OWN}/{TEMPORARY}"))?;
        let name = format!("{instance}.{}", uuid::Uuid::new_v4());
        Ok(Self { file: create_new(&waiting, &name)?, name, waiting })
    }

    fn keep(&self, root: &OwnedFd, key: &BlobKey) -> io::Result<ByteSize> {
        self.file.sync_data()?;
        let size = self.file.metadata()?.len();
        let (directory, name) = key.split();
        let directory = open_or_make_directory(root, directory)?;
        renameat(&self.waiting, self.name.as_str(), &directory, name)?;
        fsync(&directory)?;
        Ok(ByteSize::new(size))
    }

    fn discard(&self) -> io::Result<()> {
        unlink(&self.waiting, &self.name)
    }
}
