//! Files on their way in: made, locked by one writer at a time, continued after whatever ended their last writer.
//! Invariant: bytes of an earlier boot of the kernel count only as far as a row says they were forced out.
//! Never knows whose upload it is.

use super::blocking::{blocking, forcing};
use super::health::Health;
use super::room::{AHEAD, Ahead, take_room};
use super::unclaimed::Unclaimed;
use super::writer::{LargeBatches, Writer};
use super::{Inner, Volume, create_new, open_beneath, open_or_make_directory};
use crate::error::Result;
use crate::model::{BlobKey, Boot, ByteSize, Checkpoint};
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::fsync;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, PoisonError};
use uuid::Uuid;

/// Bytes read at a time when the end of a file is hashed.
const CHUNK_BYTES: usize = 256 * 1024;

/// This run of the kernel. A system that does not tell gives every process one of its own, so that less counts, never
/// more.
pub(super) fn current_boot() -> Boot {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    Boot::new(boot_id.and_then(|text| Uuid::try_parse(text.trim()).ok()).unwrap_or_else(Uuid::new_v4))
}

/// Whether a staging file could be taken.
pub enum Lock<L> {
    /// Nobody else writes to it.
    Held(L),
    /// Somebody else does, in this process or another.
    Busy,
    /// It is not there, or no longer under this name.
    Missing,
}

impl<L> Lock<L> {
    /// The same of another store's lock.
    pub(in crate::blob) fn map<M>(self, held: impl FnOnce(L) -> M) -> Lock<M> {
        match self {
            Self::Held(locked) => Lock::Held(held(locked)),
            Self::Busy => Lock::Busy,
            Self::Missing => Lock::Missing,
        }
    }
}

/// A staging file that nobody else writes to until this is dropped.
pub struct Locked {
    file: File,
    health: Health,
    large: LargeBatches,
}

/// What [`Locked::recover`] found.
pub enum Recovered<W> {
    /// It goes on from here, and is durable up to here.
    At(W),
    /// It is shorter than it was known to be.
    Torn {
        /// How long it is.
        found: ByteSize,
    },
}

impl<W> Recovered<W> {
    /// The same with another store's writer.
    pub(in crate::blob) fn map<X>(self, at: impl FnOnce(W) -> X) -> Recovered<X> {
        match self {
            Self::At(writer) => Recovered::At(at(writer)),
            Self::Torn { found } => Recovered::Torn { found },
        }
    }
}

impl Volume {
    /// The run of the kernel that this process writes in.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.inner.boot
    }

    /// See [`Blobs::stage`](crate::blob::Blobs::stage).
    pub(in crate::blob) async fn stage(&self, key: &BlobKey) -> Result<Writer> {
        let (inner, owned) = (Arc::clone(&self.inner), key.clone());
        let made = blocking("creating a staging file", move || {
            let (directory, name) = owned.split();
            let directory = open_or_make_directory(&inner.root, directory)?;
            Unclaimed::create(directory, name.to_owned())
        })
        .await?;
        let file = made.claim();
        let shared = (self.inner.health.clone(), self.inner.large.clone());
        Ok(Writer::new(file, Checkpoint::start(), None, shared))
    }

    /// See [`Blobs::stage_empty`](crate::blob::Blobs::stage_empty).
    pub(in crate::blob) async fn stage_empty(&self, key: &BlobKey, length: ByteSize) -> Result<()> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        forcing(&self.inner.health, "creating a staging file", move || {
            let (directory, name) = key.split();
            let directory = open_or_make_directory(&inner.root, directory)?;
            let file = create_new(&directory, name)?;
            let taking = inner.taking_room.lock().unwrap_or_else(PoisonError::into_inner);
            take_room(&file, 0, length.min(AHEAD).bytes())?;
            drop(taking);
            file.sync_all()?;
            Ok(fsync(&directory)?)
        })
        .await
    }

    /// See [`Blobs::lock_staged`](crate::blob::Blobs::lock_staged).
    pub(in crate::blob) async fn lock_staged(&self, key: &BlobKey) -> Result<Lock<Locked>> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("locking a staging file", move || lock(&inner, &key)).await
    }

    /// See [`Blobs::copy_staged`](crate::blob::Blobs::copy_staged).
    pub(in crate::blob) async fn copy_staged(
        &self,
        from: &BlobKey,
        to: &BlobKey,
        upto: Checkpoint,
    ) -> Result<bool> {
        let (inner, from, to) = (Arc::clone(&self.inner), from.clone(), to.clone());
        let copying = move || copy(&inner, &from, &to, &upto);
        forcing(&self.inner.health, "copying a staging file", copying).await
    }
}

fn copy(inner: &Inner, from: &BlobKey, to: &BlobKey, upto: &Checkpoint) -> io::Result<bool> {
    let original = match open_beneath(&inner.root, from.as_str(), OFlag::O_RDONLY) {
        Ok(opened) => File::from(opened),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(cause),
    };
    let (directory, name) = to.split();
    let directory = open_or_make_directory(&inner.root, directory)?;
    let mut copy = create_new(&directory, name)?;
    let mut at = Checkpoint::start();
    pass_rest(&mut original.take(upto.offset().bytes()), &mut at, |chunk| copy.write_all(chunk))?;
    copy.sync_all()?;
    fsync(&directory)?;
    Ok(at.offset() == upto.offset() && at.sha256() == upto.sha256())
}

fn lock(inner: &Inner, key: &BlobKey) -> io::Result<Lock<Locked>> {
    let file = match open_beneath(&inner.root, key.as_str(), OFlag::O_RDWR) {
        Ok(opened) => File::from(opened),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Lock::Missing),
        Err(cause) => return Err(cause),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Lock::Busy),
        Err(TryLockError::Error(cause)) => return Err(cause),
    }
    // Removed between the two: its name may be another file's by now.
    Ok(if fstat(&file)?.st_nlink == 0 {
        Lock::Missing
    } else {
        Lock::Held(Locked { file, health: inner.health.clone(), large: inner.large.clone() })
    })
}

impl Locked {
    /// See [`Locked::recover`](crate::blob::Locked::recover).
    pub(in crate::blob) async fn recover(
        self,
        durable: Checkpoint,
        keeps_tail: bool,
        length: Option<ByteSize>,
    ) -> Result<Recovered<Writer>> {
        let Self { file, health, large } = self;
        let (file, at) =
            match forcing(&health, "recovering an upload", move || recover(file, durable, keeps_tail)).await?
            {
                Ok(recovered) => recovered,
                Err(found) => return Ok(Recovered::Torn { found }),
            };
        let ahead = length.map(|length| Ahead::new(at.offset(), length));
        Ok(Recovered::At(Writer::new(file, at, ahead, (health, large))))
    }
}

/// Where the file goes on, or how long it is when that is too short.
fn recover(
    mut file: File,
    durable: Checkpoint,
    keeps_tail: bool,
) -> io::Result<std::result::Result<(File, Checkpoint), ByteSize>> {
    let (found_bytes, known_bytes) = (file.metadata()?.len(), durable.offset().bytes());
    if found_bytes < known_bytes {
        return Ok(Err(ByteSize::new(found_bytes)));
    }
    file.seek(SeekFrom::Start(known_bytes))?;
    let mut at = durable;
    if found_bytes > known_bytes {
        if keeps_tail {
            pass_rest(&mut file, &mut at, |_| Ok(()))?;
        } else {
            file.set_len(known_bytes)?;
        }
        file.sync_data()?;
    }
    Ok(Ok((file, at)))
}

/// Moves past the rest of a file, and shows it piece by piece.
fn pass_rest(
    file: &mut impl Read,
    at: &mut Checkpoint,
    mut show: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(()),
            read => {
                at.pass(&chunk[..read]);
                show(&chunk[..read])?;
            }
        }
    }
}
