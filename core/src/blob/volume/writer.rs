//! The write path: chunks in, hashed and written on a blocking thread while the next ones arrive.
//! Memory is bounded: a writer holds at most two batches, and all of them together few large ones. Never decides where the
//! bytes end up.

use super::blocking::{fault, forcing};
use super::health::Health;
use super::room::Ahead;
use crate::error::Result;
use crate::model::{ByteSize, Checkpoint, Sha256Digest};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Bytes that are gathered before a blocking thread is asked to write them.
const BATCH_BYTES: usize = 128 * 1024;
/// Bytes that are gathered instead where they arrive quickly: handing a batch over costs as much as hashing a small one.
const LARGE_BATCH_BYTES: usize = 1024 * 1024;
/// Bytes that a writer has taken before it gathers large batches: of a short upload nothing is held back.
const LARGE_AFTER: u64 = 4 * 1024 * 1024;
/// How long a large batch may take to arrive. A slow sender's batch is written at the smaller size, so that it never holds
/// more.
const QUICK: Duration = Duration::from_millis(5);
/// Large batches that all writers of a volume hold together.
const LARGE_BATCHES: usize = 16;
/// Bytes after which what was written is forced out, beside the next writes, so that the disk has work early and the last
/// sync is short.
const SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// A file on its way in.
pub struct Writer {
    batch: Batch,
    taken_bytes: u64,
    /// As the last finished write left it.
    durable: Checkpoint,
    writing: Writing,
    large: LargeBatches,
    health: Health,
}

/// Leave to gather large batches.
#[derive(Debug, Clone)]
pub(super) struct LargeBatches(Arc<Semaphore>);

impl LargeBatches {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_BATCHES)))
    }
}

/// Bytes that wait to be written.
#[derive(Default)]
struct Batch {
    chunks: Vec<Bytes>,
    bytes: usize,
    /// When the first of them arrived.
    since: Option<Instant>,
    /// Leave to be a large one, until it is written.
    large: Option<OwnedSemaphorePermit>,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.since.get_or_insert_with(Instant::now);
        self.bytes += chunk.len();
        self.chunks.push(chunk);
    }

    /// Whether it is to be written, rather than to grow.
    fn is_full(&mut self, may_grow: bool, leave: &LargeBatches) -> bool {
        if self.bytes < BATCH_BYTES {
            return false;
        }
        let is_quick = self.since.is_some_and(|since| since.elapsed() < QUICK);
        if self.bytes >= LARGE_BATCH_BYTES || !may_grow || !is_quick {
            return true;
        }
        if self.large.is_none() {
            self.large = Arc::clone(&leave.0).try_acquire_owned().ok();
        }
        self.large.is_none()
    }
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
    pub(super) fn new(
        file: File,
        at: Checkpoint,
        ahead: Option<Ahead>,
        (health, large): (Health, LargeBatches),
    ) -> Self {
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
        Self { batch: Batch::default(), taken_bytes: 0, durable: at, writing, large, health }
    }

    /// See [`Writer::push`](crate::blob::Writer::push).
    pub(in crate::blob) async fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.taken_bytes += chunk.len() as u64;
        self.batch.push(chunk);
        let may_grow = self.taken_bytes >= LARGE_AFTER;
        if self.batch.is_full(may_grow, &self.large) { self.write_batch().await } else { Ok(()) }
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
        open.join_sync().await.map_err(|cause| fault("syncing an upload", cause))?;
        forcing(&self.health, "writing the end of an upload", move || {
            open.write(&batch.chunks)?;
            open.sync()?;
            Ok(open)
        })
        .await
    }

    async fn write_batch(&mut self) -> Result<()> {
        let mut open = self.idle().await?;
        open.sync_beside().await.map_err(|cause| fault("syncing an upload", cause))?;
        let batch = std::mem::take(&mut self.batch);
        self.writing = Writing::Busy(tokio::task::spawn_blocking(move || {
            let written = open.write(&batch.chunks);
            drop(batch);
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

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, Batch, LARGE_BATCH_BYTES, LARGE_BATCHES, LargeBatches, QUICK};
    use bytes::Bytes;
    use std::time::{Duration, Instant};

    static SMALL: [u8; BATCH_BYTES] = [0; BATCH_BYTES];

    /// A batch of so many bytes whose sender is quick however slow this machine is.
    fn quick(bytes: usize) -> Batch {
        let since = Some(Instant::now() + Duration::from_secs(3600));
        let mut batch = Batch { since, ..Batch::default() };
        (0..bytes / BATCH_BYTES).for_each(|_| batch.push(Bytes::from_static(&SMALL)));
        batch
    }

    #[test]
    fn only_a_quick_sender_gathers_a_large_batch() {
        let leave = LargeBatches::new();
        assert!(!quick(BATCH_BYTES).is_full(true, &leave));
        assert!(quick(LARGE_BATCH_BYTES).is_full(true, &leave));
        let mut slow = quick(BATCH_BYTES);
        slow.since = Instant::now().checked_sub(QUICK);
        assert!(slow.is_full(true, &leave));
        assert!(quick(BATCH_BYTES).is_full(false, &leave), "of a short upload");
        assert!(!Batch::default().is_full(true, &leave));
    }

    #[test]
    fn all_writers_together_hold_few_large_batches() {
        let leave = LargeBatches::new();
        let mut held: Vec<Batch> = (0..LARGE_BATCHES).map(|_| quick(BATCH_BYTES)).collect();
        assert!(held.iter_mut().all(|batch| !batch.is_full(true, &leave)));
        assert!(quick(BATCH_BYTES).is_full(true, &leave), "there is no leave left");
        held.pop();
        assert!(!quick(BATCH_BYTES).is_full(true, &leave), "one was written");
    }
}
