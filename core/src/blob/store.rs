//! The contract of every store of blobs: what ops ask, what is durable on return, what may be repeated. One arm a store.
//! Invariant: an error of a verb that writes means that it **may have happened**; each is safe to repeat or to undo by
//! [`Blobs::remove`], unless it says otherwise. What happened is whole: a blob under a final name is complete.
//! Never decides which store takes a blob, and never knows a user, a quota or a row.

use super::volume::{Draft, Entry, Listing, Look, Space, Stat, Volume};
use super::{ByteStream, Staged, volume};
use crate::error::Result;
use crate::model::{BlobKey, ByteSize, Checkpoint, Sha256Digest};
use bytes::Bytes;
use std::fs::File;
use std::ops::Range;

#[cfg(feature = "crash-points")]
use super::faulty::{self, Faulty};

/// The same verb, whichever store it is.
macro_rules! each {
    ($this:expr, $verb:ident($($argument:expr),*)) => {
        match $this {
            Self::Volume(volume) => volume.$verb($($argument),*).await,
            #[cfg(feature = "crash-points")]
            Self::Faulty(faulty) => faulty.$verb($($argument),*).await,
        }
    };
}

/// Where blobs are kept, cheap to clone.
#[derive(Clone)]
pub enum Blobs {
    /// The mounted volume.
    Volume(Volume),
    /// A volume whose calls fail when a test says so.
    #[cfg(feature = "crash-points")]
    Faulty(Faulty),
}

/// A blob on its way in.
pub enum Writer {
    /// On the volume.
    Volume(volume::Writer),
    /// On a volume whose calls fail.
    #[cfg(feature = "crash-points")]
    Faulty(faulty::Writer),
}

/// Whether a staged blob could be taken.
pub type Lock = volume::Lock<Locked>;

/// A staged blob that nobody else writes to until this is dropped.
pub enum Locked {
    /// On the volume.
    Volume(volume::Locked),
    /// On a volume whose calls fail.
    #[cfg(feature = "crash-points")]
    Faulty(faulty::Locked),
}

/// What [`Locked::recover`] found.
pub type Recovered = volume::Recovered<Writer>;

impl Blobs {
    /// The volume, for what only a volume has: this machine's processes, directories and permissions, a takeover.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        match self {
            Self::Volume(volume) => volume,
            #[cfg(feature = "crash-points")]
            Self::Faulty(faulty) => faulty.volume(),
        }
    }

    /// Whether the store can be reached. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when it cannot.
    pub async fn check(&self) -> Result<()> {
        self.volume().check().await
    }

    /// Free and total room. Changes nothing.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn space(&self) -> Result<Space> {
        self.volume().space().await
    }

    /// Whether the store never failed to keep bytes since this process started. After that it is only read.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.volume().is_healthy()
    }

    /// Refuses new bytes when the store failed to keep some, or is no longer where it was mounted: the directory that is
    /// held would still take them, and nobody would find them. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn require_healthy(&self) -> Result<()> {
        self.volume().require_healthy().await
    }

    /// Refuses when `bytes` more would take the store below its floor, or it must not be given more at all. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull); as [`Blobs::require_healthy`].
    pub async fn require_room(&self, bytes: ByteSize) -> Result<()> {
        self.volume().require_room(bytes).await
    }

    /// Starts a blob under a staging name. Nothing is durable before [`Writer::finish`]. Not repeatable: fails if the name
    /// is taken.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn stage(&self, key: &BlobKey) -> Result<Writer> {
        match self {
            Self::Volume(volume) => volume.stage(key).await.map(Writer::Volume),
            #[cfg(feature = "crash-points")]
            Self::Faulty(faulty) => faulty.stage(key).await.map(Writer::Faulty),
        }
    }

    /// Makes an empty blob under a staging name and takes room for its first bytes, `length` at most. Durable on return.
    /// Not repeatable: fails if the name is taken.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) when there is no such room: the blob is then there and empty.
    pub async fn stage_empty(&self, key: &BlobKey, length: ByteSize) -> Result<()> {
        each!(self, stage_empty(key, length))
    }

    /// Takes a staged blob for its only writer. Does not wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails.
    pub async fn lock_staged(&self, key: &BlobKey) -> Result<Lock> {
        match self {
            Self::Volume(volume) => Ok(volume.lock_staged(key).await?.map(Locked::Volume)),
            #[cfg(feature = "crash-points")]
            Self::Faulty(faulty) => Ok(faulty.lock_staged(key).await?.map(Locked::Faulty)),
        }
    }

    /// Copies a staged blob as far as `upto` to another staging name, whoever holds its lock. Durable on return. `false`
    /// when it is not there, or its bytes up to there are not those. Not repeatable: fails if the name is taken.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable); a part of the
    /// copy may then be there.
    pub async fn copy_staged(&self, from: &BlobKey, to: &BlobKey, upto: Checkpoint) -> Result<bool> {
        each!(self, copy_staged(from, to, upto))
    }

    /// Gives a finished blob its final name. Durable on return; repeatable; never replaces a blob. `false` when neither
    /// name exists: somebody removed the blob.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails.
    pub async fn publish(&self, from: &BlobKey, to: &BlobKey) -> Result<bool> {
        each!(self, publish(from, to))
    }

    /// Gives a finished blob a second name; its bytes never change, so that each name is as good as a copy. Durable on
    /// return; repeatable. `false` when the blob is gone, or the store cannot do it.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails.
    pub async fn share(&self, of: &BlobKey, as_key: &BlobKey) -> Result<bool> {
        each!(self, share(of, as_key))
    }

    /// Opens a blob as a file of this machine, for a decoder.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when it is missing: a committed row named it.
    pub async fn open_blob(&self, key: &BlobKey) -> Result<File> {
        each!(self, open_blob(key))
    }

    /// Streams a range of a blob whose size is known to be `size`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when the blob is missing or has another size: it is damaged and must
    /// not be served.
    pub async fn read(&self, key: &BlobKey, size: ByteSize, range: Range<u64>) -> Result<ByteStream> {
        each!(self, read(key, size, range))
    }

    /// Writes a small blob whole, replacing an older one. Durable on return; repeatable.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn put(&self, key: &BlobKey, bytes: Vec<u8>) -> Result<()> {
        each!(self, put(key, bytes))
    }

    /// Starts a derivative that another program writes. It has no name before [`Blobs::keep`], and is removed when it is
    /// dropped before; what a dead process left is swept.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn draft(&self) -> Result<Draft> {
        each!(self, draft())
    }

    /// Gives a written derivative its name, replacing an older one, and tells its size. Durable on return. What cannot be
    /// kept is discarded.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable).
    pub async fn keep(&self, draft: Draft, key: &BlobKey) -> Result<ByteSize> {
        each!(self, keep(draft, key))
    }

    /// Removes a derivative that is not wanted after all.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails; it is swept when this process is gone.
    pub async fn discard(&self, draft: Draft) -> Result<()> {
        each!(self, discard(draft))
    }

    /// Removes blobs; those already gone count as removed. Repeatable.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails; some blobs may then be gone.
    pub async fn remove(&self, keys: Vec<BlobKey>) -> Result<()> {
        each!(self, remove(keys))
    }

    /// Looks at a blob. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when a look cannot even be taken.
    pub async fn stat(&self, key: &BlobKey) -> Result<Look<Stat>> {
        each!(self, stat(key))
    }

    /// Reads a blob whole, from the disk and not from memory, and digests it. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when the reading thread fails.
    pub async fn digest(&self, key: &BlobKey) -> Result<Look<Sha256Digest>> {
        each!(self, digest(key))
    }

    /// Everything in the store: a directory for each owner, and what is nobody's.
    #[must_use]
    pub fn list_root(&self) -> Listing {
        self.volume().list_root()
    }

    /// What is an owner's: blobs of every folder, those on their way in included, and whatever else lies there. The
    /// folders themselves are not part of it. Empty when the owner has none.
    #[must_use]
    pub fn list(&self, owner: &str) -> Listing {
        self.volume().list(owner)
    }

    /// Looks at something that was listed: its size, if it is still there, and when it changed last.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails.
    pub async fn stat_entry(&self, entry: &Entry) -> Result<Option<Stat>> {
        each!(self, stat_entry(entry))
    }

    /// Moves something that no row names out of the way, bytes and name kept. Durable on return. Answers where it went;
    /// `None` when it is gone already.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails.
    pub async fn quarantine(&self, entry: &Entry) -> Result<Option<String>> {
        each!(self, quarantine(entry))
    }
}

impl Locked {
    /// Brings the blob to where it goes on: at `durable`, or after whatever lies beyond it if `keeps_tail`, because this
    /// boot of the kernel wrote it. Durable on return.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::Error::Unavailable) when the store fails; the tail must then not be kept again.
    pub async fn recover(
        self,
        durable: Checkpoint,
        keeps_tail: bool,
        length: Option<ByteSize>,
    ) -> Result<Recovered> {
        match self {
            Self::Volume(locked) => {
                Ok(locked.recover(durable, keeps_tail, length).await?.map(Writer::Volume))
            }
            #[cfg(feature = "crash-points")]
            Self::Faulty(locked) => {
                Ok(locked.recover(durable, keeps_tail, length).await?.map(Writer::Faulty))
            }
        }
    }
}

impl Writer {
    /// Takes the next bytes. Returns once they are accepted, not once they are durable.
    ///
    /// # Errors
    /// [`Error::VolumeFull`](crate::Error::VolumeFull) or [`Error::Unavailable`](crate::Error::Unavailable) from a write,
    /// now or of an earlier batch.
    pub async fn push(&mut self, chunk: Bytes) -> Result<()> {
        each!(self, push(chunk))
    }

    /// Makes everything durable, and ends the writing.
    ///
    /// # Errors
    /// As [`Writer::push`]; the blob must then be discarded.
    pub async fn finish(self) -> Result<Staged> {
        each!(self, finish())
    }

    /// Makes everything durable that was pushed, and answers how far that is.
    ///
    /// # Errors
    /// As [`Writer::push`]; what was written since the last success must then be discarded.
    pub async fn sync(&mut self) -> Result<Checkpoint> {
        each!(self, sync())
    }

    /// How far the blob is known to be durable. While bytes arrive it is forced out from time to time.
    #[must_use]
    pub fn durable(&self) -> &Checkpoint {
        match self {
            Self::Volume(writer) => writer.durable(),
            #[cfg(feature = "crash-points")]
            Self::Faulty(writer) => writer.durable(),
        }
    }

    /// Takes back everything after `point`, which was durable. Durable on return.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub async fn take_back(self, point: &Checkpoint) -> Result<()> {
        each!(self, take_back(point))
    }
}
