//! Derivatives: written aside, whole, and durable before they have their name.
//! Invariant: what has a name is complete; what a dead process was writing has none, and is swept.
//! Never knows what they are made from.

use super::blocking::{blocking, forcing};
use super::unclaimed::Unclaimed;
use super::{OWN, TEMPORARY, Volume, open_or_make_directory, require_mounted};
use crate::error::Result;
use crate::ids::InstanceId;
use crate::model::{BlobKey, ByteSize};
use nix::unistd::fsync;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A derivative that somebody writes. Removed when it is dropped, unless it was kept: whoever asked for it may be gone.
#[derive(Debug)]
pub struct Draft(Unclaimed);

impl Volume {
    /// See [`Blobs::put`](crate::blob::Blobs::put).
    pub(in crate::blob) async fn put(&self, key: &BlobKey, bytes: Vec<u8>) -> Result<()> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        forcing(&self.inner.health, "writing a derivative", move || {
            require_mounted(&inner)?;
            let draft = Draft::new(&inner.root, inner.instance)?;
            draft.file().write_all(&bytes)?;
            draft.keep(&inner.root, &key).map(drop)
        })
        .await
    }

    /// See [`Blobs::draft`](crate::blob::Blobs::draft).
    pub(in crate::blob) async fn draft(&self) -> Result<Draft> {
        let inner = Arc::clone(&self.inner);
        blocking("starting a derivative", move || Draft::new(&inner.root, inner.instance)).await
    }

    /// See [`Blobs::keep`](crate::blob::Blobs::keep).
    pub(in crate::blob) async fn keep(&self, draft: Draft, key: &BlobKey) -> Result<ByteSize> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        forcing(&self.inner.health, "keeping a derivative", move || {
            require_mounted(&inner)?;
            draft.keep(&inner.root, &key)
        })
        .await
    }

    /// See [`Blobs::discard`](crate::blob::Blobs::discard).
    pub(in crate::blob) async fn discard(&self, draft: Draft) -> Result<()> {
        blocking("discarding a derivative", move || draft.0.remove()).await
    }
}

impl Draft {
    fn new(root: &OwnedFd, instance: InstanceId) -> io::Result<Self> {
        let waiting = open_or_make_directory(root, &format!("{OWN}/{TEMPORARY}"))?;
        Unclaimed::create(waiting, format!("{instance}.{}", uuid::Uuid::new_v4())).map(Self)
    }

    /// Open for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        self.0.file()
    }

    fn keep(self, root: &OwnedFd, key: &BlobKey) -> io::Result<ByteSize> {
        self.file().sync_data()?;
        let size = self.file().metadata()?.len();
        let (directory, name) = key.split();
        let directory = open_or_make_directory(root, directory)?;
        self.0.rename(&directory, name)?;
        fsync(&directory)?;
        Ok(ByteSize::new(size))
    }
}
