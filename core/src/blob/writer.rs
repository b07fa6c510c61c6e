//! The write path: chunks in, hashed and written on a blocking thread while the next ones arrive.
//! Memory is bounded: at most two batches are held. Never decides where the bytes end up.

use super::blocking;
use crate::error::Result;
use crate::model::{ByteSize, Sha256Digest};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, IoSlice, Write};

/// Bytes that are gathered before a blocking thread is asked to write them.
const BATCH_BYTES: usize = 128 * 1024;
/// Bytes after which what was written is forced out, beside the next writes, so that the last sync is short.
const SYNC_BYTES: u64 = 32 * 1024 * 1024;

/// A file on its way in.
pub struct Writer {
    batch: Vec<Bytes>,
    batch_bytes: usize,
    writing: Writing,
}

/// The open file is either at hand or with the blocking thread.
enum Writing {
    Idle(Box<Open>),
    Busy(tokio::task::JoinHandle<io::Result<Box<Open>>>),
    /// A write failed: never written to again (a failed fsync must not be repeated on the same file).
    Broken,
}

struct Open {
    file: File,
    digest: Sha256,
    written_bytes: u64,
    unsynced_bytes: u64,
    /// A sync of what was written so far. Its error is the file's: the kernel reports it once.
    syncing: Option<tokio::task::JoinHandle<io::Result<()>>>,
}

/// A file that arrived whole: on disk under its staging name.
#[derive(Debug)]
pub struct Staged {
    /// The open file, for whoever reads its headers: its name may be gone by then.
    pub file: File,
    /// Its size.
    pub size: ByteSize,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
}

impl Writer {
    pub(super) fn new(file: File) -> Self {
        let open = Open { file, digest: Sha256::new(), written_bytes: 0, unsynced_bytes: 0, syncing: None };
        Self { batch: Vec::new(), batch_bytes: 0, writing: Writing::Idle(Box::new(open)) }
    }

    /// Takes the next bytes. Returns once they are accepted, not once they are durable.
    ///
    /// # Errors
    /// [`crate::Error::VolumeFull`] or [`crate::Error::Unavailable`] from a write, now or of an earlier batch.
    pub async fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.batch_bytes += chunk.len();
        self.batch.push(chunk);
        if self.batch_bytes >= BATCH_BYTES { self.write_batch().await } else { Ok(()) }
    }

    /// Forces everything to disk. Durable on return.
    ///
    /// # Errors
    /// As [`Writer::push`]; the file must then be discarded.
    pub async fn finish(mut self) -> Result<Staged> {
        let mut open = self.idle().await?;
        let batch = std::mem::take(&mut self.batch);
        open.join_sync().await.map_err(|cause| super::fault("syncing an upload", cause))?;
        let open = blocking("writing the end of an upload", move || {
            open.write(&batch)?;
            open.file.sync_data()?;
            Ok(open)
        })
        .await?;
        let Open { file, digest, written_bytes, .. } = *open;
        let sha256 = Sha256Digest(digest.finalize().into());
        Ok(Staged { file, size: ByteSize::new(written_bytes), sha256 })
    }

    async fn write_batch(&mut self) -> Result<()> {
        let mut open = self.idle().await?;
        if open.unsynced_bytes >= SYNC_BYTES {
            open.start_sync().await.map_err(|cause| super::fault("syncing an upload", cause))?;
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            open.write(&batch)?;
            Ok(open)
        }));
        Ok(())
    }

    /// The open file, after the batch before has been written.
    async fn idle(&mut self) -> Result<Box<Open>> {
        match std::mem::replace(&mut self.writing, Writing::Broken) {
            Writing::Idle(open) => Ok(open),
            Writing::Busy(handle) => {
                let written = handle.await.map_err(io::Error::other).and_then(|written| written);
                written.map_err(|cause| super::fault("writing an upload", cause))
            }
            Writing::Broken => {
                Err(super::fault("writing an upload", io::Error::from_raw_os_error(nix::libc::EIO)))
            }
        }
    }
}

impl Open {
    /// One sync at a time: a disk slower than the network holds the upload up here.
    async fn start_sync(&mut self) -> io::Result<()> {
        self.join_sync().await?;
        let file = self.file.try_clone()?;
        self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        self.unsynced_bytes = 0;
        Ok(())
    }

    async fn join_sync(&mut self) -> io::Result<()> {
        match self.syncing.take() {
            Some(syncing) => syncing.await.map_err(io::Error::other).and_then(|synced| synced),
            None => Ok(()),
        }
    }

    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = batch.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = self.file.write_vectored(rest)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        for chunk in batch {
            self.digest.update(chunk);
            self.written_bytes += chunk.len() as u64;
            self.unsynced_bytes += chunk.len() as u64;
        }
        Ok(())
    }
}
