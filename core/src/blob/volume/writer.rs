//! The write path: chunks in, hashed and written on a blocking thread while the next ones arrive.
//! Memory is bounded: at most two batches are held. Never decides where the bytes end up.

use super::blocking::{fault, forcing};
use super::health::Health;
use super::room::Ahead;
use crate::error::Result;
use crate::model::{ByteSize, Checkpoint, Sha256Digest};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;
use tokio::task::JoinHandle;

/// Bytes that are gathered before a blocking thread is asked to write them.
const BATCH_BYTES: usize = 128 * 1024;
/// Bytes after which what was written is forced out, beside the next writes, so that the disk has work early and the last
/// sync is short.
const SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// A file on its way in.
pub struct Writer {
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// As the last finished write left it.
    durable: Checkpoint,
    writing: Writing,
    health: Health,
}

/// The open file is either at hand or with the blocking thread.
enum Writing {
    Idle(Box<Open>),
    Busy(JoinHandle<io::Result<Box<Open>>>),
    /// A write failed: never written to again (a failed fsync must not be repeated on the same file).
    Broken,
}

struct Open {
    file: File,
    at: Checkpoint,
    /// The latest checkpoint that was forced out.
    synced: Checkpoint,
    /// Where the latest sync was started. What was written so far is forced out beside the next writes; an error is
    /// the file's: the kernel reports it once.
    started: Checkpoint,
    syncing: Option<JoinHandle<io::Result<()>>>,
    ahead: Option<Ahead>,
    health: Health,
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
    pub(super) fn new(file: File, at: Checkpoint, ahead: Option<Ahead>, health: Health) -> Self {
        let open = Open {
            file,
            synced: at.clone(),
            started: at.clone(),
            at: at.clone(),
            syncing: None,
            ahead,
            health: health.clone(),
        };
        let writing = Writing::Idle(Box::new(open));
        Self { batch: Vec::new(), batch_bytes: 0, durable: at, writing, health }
    }

    /// See [`Writer::push`](crate::blob::Writer::push).
    pub(in crate::blob) async fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.batch_bytes += chunk.len();
        self.batch.push(chunk);
        if self.batch_bytes >= BATCH_BYTES { self.write_batch().await } else { Ok(()) }
    }

    /// See [`Writer::finish`](crate::blob::Writer::finish).
    pub(in crate::blob) async fn finish(mut self) -> Result<Staged> {
        let Open { file, at, .. } = *self.synced().await?;
        Ok(Staged { file, size: at.offset(), sha256: at.sha256() })
    }

    /// See [`Writer::sync`](crate::blob::Writer::sync).
    pub(in crate::blob) async fn sync(&mut self) -> Result<Checkpoint> {
        let open = self.synced().await?;
        self.durable = open.synced.clone();
        self.writing = Writing::Idle(open);
        Ok(self.durable.clone())
    }

    /// See [`Writer::durable`](crate::blob::Writer::durable).
    #[must_use]
    pub(in crate::blob) fn durable(&self) -> &Checkpoint {
        &self.durable
    }

    /// See [`Writer::take_back`](crate::blob::Writer::take_back).
    pub(in crate::blob) async fn take_back(mut self, point: &Checkpoint) -> Result<()> {
        let (mut open, end) = (self.idle().await?, point.offset().bytes());
        open.join_sync().await.map_err(|cause| fault("syncing an upload", cause))?;
        forcing(&self.health, "taking back the end of an upload", move || {
            open.file.set_len(end)?;
            open.file.sync_data()
        })
        .await
    }

    async fn synced(&mut self) -> Result<Box<Open>> {
        let mut open = self.idle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        open.join_sync().await.map_err(|cause| fault("syncing an upload", cause))?;
        forcing(&self.health, "writing the end of an upload", move || {
            open.write(&batch)?;
            open.sync()?;
            Ok(open)
        })
        .await
    }

    async fn write_batch(&mut self) -> Result<()> {
        let mut open = self.idle().await?;
        open.sync_beside().await.map_err(|cause| fault("syncing an upload", cause))?;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            let written = open.write(&batch);
            open.health.note(written)?;
            Ok(open)
        }));
        Ok(())
    }

    /// The open file, after the batch before has been written.
    async fn idle(&mut self) -> Result<Box<Open>> {
        let open = match std::mem::replace(&mut self.writing, Writing::Broken) {
            Writing::Idle(open) => open,
            Writing::Busy(handle) => {
                let written = handle.await.map_err(io::Error::other).and_then(|written| written);
                written.map_err(|cause| fault("writing an upload", cause))?
            }
            Writing::Broken => {
                return Err(fault("writing an upload", io::Error::from_raw_os_error(nix::libc::EIO)));
            }
        };
        if open.synced.offset() > self.durable.offset() {
            self.durable = open.synced.clone();
        }
        Ok(open)
    }
}

impl Open {
    /// Takes note of a sync that is done and starts one when there is enough for it. One at a time: a disk slower than
    /// the network holds the upload up here.
    async fn sync_beside(&mut self) -> io::Result<()> {
        let is_due = self.at.offset().bytes() - self.started.offset().bytes() >= SYNC_BYTES;
        if is_due || self.syncing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join_sync().await?;
        }
        if is_due {
            let file = self.file.try_clone()?;
            self.started = self.at.clone();
            self.syncing = Some(tokio::task::spawn_blocking(move || sync_data(&file)));
        }
        Ok(())
    }

    async fn join_sync(&mut self) -> io::Result<()> {
        if let Some(syncing) = self.syncing.take() {
            let synced = syncing.await.map_err(io::Error::other).and_then(|synced| synced);
            self.health.note(synced)?;
            self.synced = self.started.clone();
        }
        Ok(())
    }

    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        if let Some(ahead) = &mut self.ahead {
            let batch_bytes: usize = batch.iter().map(Bytes::len).sum();
            ahead.reach(&self.file, self.at.offset().bytes() + batch_bytes as u64)?;
        }
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

    fn sync(&mut self) -> io::Result<()> {
        sync_data(&self.file)?;
        self.started = self.at.clone();
        self.synced = self.at.clone();
        Ok(())
    }
}

/// Forces a file's bytes to disk.
fn sync_data(file: &File) -> io::Result<()> {
    let started = Instant::now();
    file.sync_data()?;
    metrics::histogram!("jam_sync_seconds").record(started.elapsed().as_secs_f64());
    Ok(())
}
