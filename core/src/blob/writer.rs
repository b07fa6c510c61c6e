//! The write path: chunks in, hashed and written on a blocking thread while the next ones arrive.
//! Memory is bounded: at most two batches are held. Never decides where the bytes end up.

use super::{Midpoint, blocking};
use crate::error::Result;
use crate::model::{ByteSize, Sha256Digest};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt as _;

/// Bytes that are gathered before a blocking thread is asked to write them.
const BATCH_BYTES: usize = 128 * 1024;
/// Bytes after which what was written is forced out, beside the next writes, so that the last sync is short.
const SYNC_BYTES: u64 = 32 * 1024 * 1024;

/// A file on its way in.
pub struct Writer {
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// As the last finished sync left it.
    durable: Midpoint,
    syncing: Option<Syncing>,
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
    at: Midpoint,
}

/// What was written up to a point being forced out. Its error is the file's: the kernel reports it once.
struct Syncing {
    point: Midpoint,
    done: tokio::task::JoinHandle<io::Result<()>>,
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

impl Staged {
    /// Up to `bytes` of its beginning. Blocking.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let want = usize::try_from(self.size.bytes()).unwrap_or(usize::MAX).min(bytes);
        let mut head = vec![0; want];
        self.file.read_exact_at(&mut head, 0)?;
        Ok(head)
    }
}

impl Writer {
    /// Goes on with a file that is durable up to `at`, which is where its cursor stands and where it ends.
    pub(super) fn new(file: File, at: Midpoint) -> Self {
        let open = Open { file, at: at.clone() };
        let writing = Writing::Idle(Box::new(open));
        Self { batch: Vec::new(), batch_bytes: 0, durable: at, syncing: None, writing }
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
        let Open { file, at } = *self.synced().await?;
        Ok(Staged { file, size: at.offset(), sha256: at.sha256() })
    }

    /// Forces everything that was pushed to disk, and answers how far that is. Durable on return.
    ///
    /// # Errors
    /// As [`Writer::push`]; what was written since the last success must then be discarded.
    pub async fn sync(&mut self) -> Result<Midpoint> {
        let open = self.synced().await?;
        self.writing = Writing::Idle(open);
        Ok(self.durable.clone())
    }

    /// How far the file is known to be durable. While bytes arrive it is forced out from time to time.
    #[must_use]
    pub fn durable(&self) -> &Midpoint {
        &self.durable
    }

    /// Takes back everything after `point`, which was durable. Durable on return.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub async fn take_back(mut self, point: &Midpoint) -> Result<()> {
        let (open, end) = (self.idle().await?, point.offset().bytes());
        self.end_sync().await?;
        blocking("taking back the end of an upload", move || {
            open.file.set_len(end)?;
            open.file.sync_data()
        })
        .await
    }

    async fn synced(&mut self) -> Result<Box<Open>> {
        let mut open = self.idle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.end_sync().await?;
        let open = blocking("writing the end of an upload", move || {
            open.write(&batch)?;
            open.file.sync_data()?;
            Ok(open)
        })
        .await?;
        self.durable = open.at.clone();
        Ok(open)
    }

    async fn write_batch(&mut self) -> Result<()> {
        let mut open = self.idle().await?;
        self.sync_beside(&open).await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            open.write(&batch)?;
            Ok(open)
        }));
        Ok(())
    }

    /// Forces out what is due while the next bytes are written. One sync at a time: a disk slower than the network holds
    /// the upload up here.
    async fn sync_beside(&mut self, open: &Open) -> Result<()> {
        let started = self.syncing.as_ref().map_or(self.durable.offset(), |syncing| syncing.point.offset());
        let is_due = open.at.offset().saturating_sub(started).bytes() >= SYNC_BYTES;
        if is_due || self.syncing.as_ref().is_some_and(|syncing| syncing.done.is_finished()) {
            self.end_sync().await?;
        }
        if is_due {
            let file = open.file.try_clone().map_err(|cause| super::fault("syncing an upload", cause))?;
            let done = tokio::task::spawn_blocking(move || file.sync_data());
            self.syncing = Some(Syncing { point: open.at.clone(), done });
        }
        Ok(())
    }

    async fn end_sync(&mut self) -> Result<()> {
        let Some(Syncing { point, done }) = self.syncing.take() else { return Ok(()) };
        let synced = done.await.map_err(io::Error::other).and_then(|synced| synced);
        synced.map_err(|cause| super::fault("syncing an upload", cause))?;
        self.durable = point;
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
            self.at.pass(chunk);
        }
        Ok(())
    }
}
