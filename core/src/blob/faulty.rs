//! A volume whose calls fail when a test says so: before anything was done, or after all of it was. Only for tests.
//! Invariant: a call fails in one of the two ways that the contract allows, never half way.

use super::volume::{self, Draft, Entry, Look, Stat, Volume};
use super::{ByteStream, Staged};
use crate::error::{Error, Result};
use crate::model::{BlobKey, ByteSize, Checkpoint, Sha256Digest};
use bytes::Bytes;
use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// How a call fails. Its caller cannot tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was done.
    DidNotHappen,
    /// All of it was done, and the answer got lost.
    Happened,
}

/// Which call fails next. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    /// How many calls succeed before the one that fails, and how that fails.
    next: Option<(usize, Failure)>,
    failed: Option<&'static str>,
}

impl Faults {
    /// After `calls` more calls, the next one fails.
    pub fn fail_after(&self, calls: usize, failure: Failure) {
        *self.plan() = Plan { next: Some((calls, failure)), failed: None };
    }

    /// No call fails any more. Answers the verb that failed since [`Faults::fail_after`], if one did.
    pub fn end(&self) -> Option<&'static str> {
        std::mem::take(&mut *self.plan()).failed
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, verb: &'static str) -> Option<Failure> {
        let mut plan = self.plan();
        match plan.next {
            Some((0, failure)) => {
                *plan = Plan { next: None, failed: Some(verb) };
                Some(failure)
            }
            Some((calls, failure)) => {
                plan.next = Some((calls - 1, failure));
                None
            }
            None => None,
        }
    }

    async fn meet<T>(&self, verb: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let failure = self.due(verb);
        if failure != Some(Failure::DidNotHappen) {
            let answer = call.await?;
            if failure.is_none() {
                return Ok(answer);
            }
        }
        Err(Error::Unavailable { part: "volume" })
    }

    /// Something on the volume whose calls fail by this plan.
    fn with<T>(self, real: T) -> Planned<T> {
        Planned { real, faults: self }
    }
}

/// The volume, and when its calls fail.
pub type Faulty = Planned<Volume>;
/// A blob on its way in, and when its calls fail.
pub(super) type Writer = Planned<volume::Writer>;
/// A staged blob that is taken, and when its calls fail.
pub(super) type Locked = Planned<volume::Locked>;

/// Something whose calls fail by a plan.
#[derive(Clone)]
pub struct Planned<T> {
    real: T,
    faults: Faults,
}

impl Faulty {
    /// A volume whose calls succeed until `faults` says otherwise.
    #[must_use]
    pub fn new(volume: Volume, faults: Faults) -> Self {
        faults.with(volume)
    }

    pub(super) fn volume(&self) -> &Volume {
        &self.real
    }

    pub(super) async fn stage(&self, key: &BlobKey) -> Result<Writer> {
        let writer = self.faults.meet("stage", self.real.stage(key)).await?;
        Ok(self.faults.clone().with(writer))
    }

    pub(super) async fn stage_empty(&self, key: &BlobKey, length: ByteSize) -> Result<()> {
        self.faults.meet("stage_empty", self.real.stage_empty(key, length)).await
    }

    pub(super) async fn lock_staged(&self, key: &BlobKey) -> Result<volume::Lock<Locked>> {
        let lock = self.faults.meet("lock_staged", self.real.lock_staged(key)).await?;
        Ok(lock.map(|real| self.faults.clone().with(real)))
    }

    pub(super) async fn copy_staged(&self, from: &BlobKey, to: &BlobKey, upto: Checkpoint) -> Result<bool> {
        self.faults.meet("copy_staged", self.real.copy_staged(from, to, upto)).await
    }

    pub(super) async fn publish(&self, from: &BlobKey, to: &BlobKey) -> Result<bool> {
        self.faults.meet("publish", self.real.publish(from, to)).await
    }

    pub(super) async fn share(&self, of: &BlobKey, as_key: &BlobKey) -> Result<bool> {
        self.faults.meet("share", self.real.share(of, as_key)).await
    }

    pub(super) async fn open_blob(&self, key: &BlobKey) -> Result<File> {
        self.faults.meet("open_blob", self.real.open_blob(key)).await
    }

    pub(super) async fn read(&self, key: &BlobKey, size: ByteSize, range: Range<u64>) -> Result<ByteStream> {
        self.faults.meet("read", self.real.read(key, size, range)).await
    }

    pub(super) async fn put(&self, key: &BlobKey, bytes: Vec<u8>) -> Result<()> {
        self.faults.meet("put", self.real.put(key, bytes)).await
    }

    pub(super) async fn draft(&self) -> Result<Draft> {
        self.faults.meet("draft", self.real.draft()).await
    }

    pub(super) async fn keep(&self, draft: Draft, key: &BlobKey) -> Result<ByteSize> {
        self.faults.meet("keep", self.real.keep(draft, key)).await
    }

    pub(super) async fn discard(&self, draft: Draft) -> Result<()> {
        self.faults.meet("discard", self.real.discard(draft)).await
    }

    pub(super) async fn remove(&self, keys: Vec<BlobKey>) -> Result<()> {
        self.faults.meet("remove", self.real.remove(keys)).await
    }

    pub(super) async fn stat(&self, key: &BlobKey) -> Result<Look<Stat>> {
        self.faults.meet("stat", self.real.stat(key)).await
    }

    pub(super) async fn digest(&self, key: &BlobKey) -> Result<Look<Sha256Digest>> {
        self.faults.meet("digest", self.real.digest(key)).await
    }

    pub(super) async fn stat_entry(&self, entry: &Entry) -> Result<Option<Stat>> {
        self.faults.meet("stat_entry", self.real.stat_entry(entry)).await
    }

    pub(super) async fn quarantine(&self, entry: &Entry) -> Result<Option<String>> {
        self.faults.meet("quarantine", self.real.quarantine(entry)).await
    }
}

impl Locked {
    pub(super) async fn recover(
        self,
        durable: Checkpoint,
        keeps_tail: bool,
        length: Option<ByteSize>,
    ) -> Result<volume::Recovered<Writer>> {
        let Self { real, faults } = self;
        let recovered = faults.meet("recover", real.recover(durable, keeps_tail, length)).await?;
        Ok(recovered.map(|real| faults.with(real)))
    }
}

impl Writer {
    pub(super) async fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.faults.meet("push", self.real.push(chunk)).await
    }

    pub(super) async fn finish(self) -> Result<Staged> {
        self.faults.meet("finish", self.real.finish()).await
    }

    pub(super) async fn sync(&mut self) -> Result<Checkpoint> {
        self.faults.meet("sync", self.real.sync()).await
    }

    pub(super) fn durable(&self) -> &Checkpoint {
        self.real.durable()
    }

    pub(super) async fn take_back(self, point: &Checkpoint) -> Result<()> {
        self.faults.meet("take_back", self.real.take_back(point)).await
    }
}
