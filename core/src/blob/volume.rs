//! The mounted volume: every operation beneath one held directory, links never followed.
//! Durable order on ext4: fdatasync the file, rename, fsync the directories. A rename without the first leaves an
//! empty file under the final name after a power cut; a rename without the last may be lost.

mod adopt;
mod blocking;
mod derived;
mod health;
mod inventory;
mod modes;
mod mount;
mod reader;
mod room;
mod staging;
mod unclaimed;
mod writer;

pub use adopt::{Adopted, Head, Source};
pub use derived::Draft;
pub use inventory::{Entry, Listing, Look, Place, Stat};
pub use reader::ByteStream;
pub(super) use staging::{Lock, Locked, Recovered};
use writer::LargeBatches;
pub use writer::Staged;
pub(super) use writer::Writer;

use blocking::{blocking, fault, forcing};
use health::Health;
use mount::{refuse_root, require_mounted, require_sentinel};

use crate::error::{Error, Result};
use crate::ids::InstanceId;
use crate::model::{BlobKey, Boot, ByteSize};
use modes::{DIRECTORY_MODE, FILE_MODE, Modes};
use nix::NixPath;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, mkdirat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Proves that the volume is mounted: an empty mount point does not have it.
const SENTINEL: &str = ".jam-volume";
/// The service's own directory beside the owners'.
const OWN: &str = ".jam";
/// Lock files of running processes, within [`OWN`].
const INSTANCES: &str = "instances";
/// Derivatives being written, within [`OWN`]; named by instance, so that those of dead processes can be swept.
const TEMPORARY: &str = "tmp";

/// Free and total room of the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still write.
    pub free: ByteSize,
    /// The filesystem's size.
    pub total: ByteSize,
}

/// The volume, cheap to clone.
#[derive(Clone)]
pub struct Volume {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    root: OwnedFd,
    modes: Modes,
    floor: ByteSize,
    instance: InstanceId,
    boot: Boot,
    health: Health,
    large: LargeBatches,
    /// Held while room is taken: of two uploads that do not both fit, one gets its room.
    taking_room: Mutex<()>,
    /// Held for the life of the process; its release tells others that this instance is gone.
    _lock: Flock<File>,
}

impl Volume {
    /// Makes a directory a volume of this service: creates it and its sentinel. Safe to repeat.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn initialize(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        let root = open_root(path)?;
        let flags = OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let sentinel: File = nix::fcntl::openat(&root, SENTINEL, flags, FILE_MODE)?.into();
        sentinel.sync_all()?;
        fsync(&root)?;
        Ok(())
    }

    /// Opens the volume and takes this process's instance lock.
    ///
    /// # Errors
    /// When the directory is missing, is no volume ([`Volume::initialize`]), cannot be written, or is used by another
    /// user while this one is root.
    pub fn open(path: &Path, floor: ByteSize) -> io::Result<Self> {
        let root = open_root(path)?;
        require_sentinel(&root, path)?;
        let instances = open_or_make_directory(&root, &format!("{OWN}/{INSTANCES}"))?;
        refuse_root(&instances, path)?;
        let (instance, lock) = take_lock(&instances)?;
        let inner = Inner {
            path: path.to_owned(),
            modes: Modes::below(&root)?,
            root,
            floor,
            instance,
            boot: staging::current_boot(),
            health: Health::default(),
            large: LargeBatches::new(),
            taking_room: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The id under which this process holds its lock.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.inner.instance
    }

    /// See [`Blobs::check`](crate::blob::Blobs::check).
    pub(in crate::blob) async fn check(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking("checking the volume", move || require_mounted(&inner)).await.map_err(|error| match error {
            Error::Unavailable { .. } => error,
            other => {
                tracing::error!(error = %other, "volume does not answer");
                Error::Unavailable { part: "volume" }
            }
        })
    }

    /// Free and total room.
    ///
    /// # Errors
    /// When the filesystem does not answer.
    pub async fn space(&self) -> Result<Space> {
        let inner = Arc::clone(&self.inner);
        blocking("asking for free space", move || space(&inner.root)).await
    }

    /// See [`Blobs::is_healthy`](crate::blob::Blobs::is_healthy).
    #[must_use]
    pub(in crate::blob) fn is_healthy(&self) -> bool {
        self.inner.health.holds()
    }

    /// See [`Blobs::require_healthy`](crate::blob::Blobs::require_healthy).
    pub(in crate::blob) async fn require_healthy(&self) -> Result<()> {
        if self.is_healthy() { self.check().await } else { Err(Error::Unavailable { part: "volume" }) }
    }

    /// See [`Blobs::require_room`](crate::blob::Blobs::require_room).
    pub(in crate::blob) async fn require_room(&self, bytes: ByteSize) -> Result<()> {
        self.require_healthy().await?;
        let free = self.space().await?.free;
        if free < self.inner.floor.saturating_add(bytes) { Err(Error::VolumeFull) } else { Ok(()) }
    }

    /// See [`Blobs::publish`](crate::blob::Blobs::publish).
    pub(in crate::blob) async fn publish(&self, from: &BlobKey, to: &BlobKey) -> Result<bool> {
        let (inner, from, to) = (Arc::clone(&self.inner), from.clone(), to.clone());
        forcing(&self.inner.health, "publishing a file", move || {
            require_mounted(&inner)?;
            let source = open_or_make_directory(&inner.root, from.split().0)?;
            let target = open_or_make_directory(&inner.root, to.split().0)?;
            match rename_no_replace(&source, from.split().1, &target, to.split().1) {
                Ok(()) => {}
                // The rename happened before a crash and this is its repetition.
                Err(Errno::ENOENT) if exists(&target, to.split().1)? => {}
                Err(Errno::ENOENT) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
            fsync_directories(&target, &source)?;
            Ok(true)
        })
        .await
    }

    /// See [`Blobs::share`](crate::blob::Blobs::share).
    pub(in crate::blob) async fn share(&self, of: &BlobKey, as_key: &BlobKey) -> Result<bool> {
        let (inner, of, as_key) = (Arc::clone(&self.inner), of.clone(), as_key.clone());
        forcing(&self.inner.health, "sharing a file", move || {
            require_mounted(&inner)?;
            let source = open_or_make_directory(&inner.root, of.split().0)?;
            let target = open_or_make_directory(&inner.root, as_key.split().0)?;
            match linkat(&source, of.split().1, &target, as_key.split().1, AtFlags::empty()) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(Errno::ENOENT | Errno::EMLINK | Errno::EOPNOTSUPP | Errno::EPERM) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
            fsync(&target)?;
            Ok(true)
        })
        .await
    }

    /// See [`Blobs::open_blob`](crate::blob::Blobs::open_blob).
    pub(in crate::blob) async fn open_blob(&self, key: &BlobKey) -> Result<File> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("opening a file", move || {
            open_beneath(&inner.root, key.as_str(), OFlag::O_RDONLY).map(File::from)
        })
        .await
    }

    /// See [`Blobs::read`](crate::blob::Blobs::read).
    pub(in crate::blob) async fn read(
        &self,
        key: &BlobKey,
        size: ByteSize,
        range: Range<u64>,
    ) -> Result<ByteStream> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("reading a file", move || {
            let file = File::from(open_beneath(&inner.root, key.as_str(), OFlag::O_RDONLY)?);
            let found_bytes = file.metadata()?.len();
            if found_bytes != size.bytes() {
                let text = format!("{key} has {found_bytes} bytes, its row says {size}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            reader::stream(file, range)
        })
        .await
    }

    /// See [`Blobs::remove`](crate::blob::Blobs::remove).
    pub(in crate::blob) async fn remove(&self, keys: Vec<BlobKey>) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking("removing files", move || {
            for key in keys {
                let (directory, name) = key.split();
                let gone =
                    open_directory(&inner.root, directory).and_then(|directory| unlink(&directory, name));
                match gone {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
                    _ => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// Whether the process that holds this instance's lock still runs, on any machine that mounts the volume.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the volume fails.
    pub async fn is_alive(&self, instance: InstanceId) -> Result<bool> {
        if instance == self.inner.instance {
            return Ok(true);
        }
        let inner = Arc::clone(&self.inner);
        blocking("looking at an instance lock", move || {
            let path = format!("{OWN}/{INSTANCES}/{}", lock_name(instance));
            match open_beneath(&inner.root, &path, OFlag::O_RDWR) {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(cause) => Err(cause),
                Ok(fd) => Ok(Flock::lock(File::from(fd), FlockArg::LockExclusiveNonblock).is_err()),
            }
        })
        .await
    }

    /// Removes what processes that are gone left in the service's own directory: lock files, half-written small blobs.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the volume fails.
    pub async fn sweep_instances(&self) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        blocking("sweeping after processes that are gone", move || {
            let instances = open_directory(&inner.root, &format!("{OWN}/{INSTANCES}"))?;
            let waiting = open_or_make_directory(&inner.root, &format!("{OWN}/{TEMPORARY}"))?;
            // Looked at before the locks: whatever appears later belongs to a process that lives.
            let temporaries = file_names(&waiting)?;
            let locks = file_names(&instances)?;
            let mut alive = Vec::new();
            for name in locks {
                let file = match open_beneath(&instances, &name, OFlag::O_RDWR) {
                    Ok(opened) => File::from(opened),
                    Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                    Err(cause) => return Err(cause),
                };
                match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                    Ok(_lock) => unlink(&instances, &name)?,
                    Err(_) => alive.push(name.trim_end_matches(".lock").to_owned()),
                }
            }
            for name in temporaries {
                if !alive.iter().any(|instance| name.starts_with(instance)) {
                    unlink(&waiting, &name)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Whether another directory is on the same filesystem.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn shares_filesystem_with(&self, path: &Path) -> Result<bool> {
        let look = || Ok::<_, io::Error>(fstat(open_root(path)?)?.st_dev == fstat(&self.inner.root)?.st_dev);
        look().map_err(|cause| fault("looking at a directory", cause))
    }
}

/// Makes this process's lock file and takes it. A sweep that comes between the two removes the file: then the next one.
fn take_lock(instances: &OwnedFd) -> io::Result<(InstanceId, Flock<File>)> {
    loop {
        let instance = InstanceId::new();
        let file = create_new(instances, &lock_name(instance))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        if fstat(&*lock)?.st_nlink > 0 {
            return Ok((instance, lock));
        }
    }
}

fn lock_name(instance: InstanceId) -> String {
    format!("{instance}.lock")
}

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

fn exists(directory: &OwnedFd, name: &str) -> io::Result<bool> {
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn space(root: &OwnedFd) -> io::Result<Space> {
    let stat = fstatvfs(root)?;
    Ok(Space {
        free: ByteSize::new(stat.blocks_available() as u64 * stat.fragment_size() as u64),
        total: ByteSize::new(stat.blocks() as u64 * stat.fragment_size() as u64),
    })
}

/// After a rename: the new name first, so that a power cut in between leaves two names and never none.
fn fsync_directories(target: &OwnedFd, source: &OwnedFd) -> io::Result<()> {
    fsync(target)?;
    Ok(fsync(source)?)
}

/// Opens a path beneath a directory; a link anywhere in it is an error (`openat2(2)`).
#[cfg(target_os = "linux")]
fn open_beneath(directory: &OwnedFd, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    Ok(openat2(directory, path, how)?)
}

/// Opens a path beneath a directory, part by part; a link anywhere in it is an error. For development on macOS,
/// which has no `openat2`; keys hold no `..` by construction.
#[cfg(not(target_os = "linux"))]
fn open_beneath(directory: &OwnedFd, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
    let mut at = directory.try_clone()?;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_some() { OFlag::O_RDONLY | OFlag::O_DIRECTORY } else { flags };
        at = nix::fcntl::openat(&at, part, flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    }
    Ok(at)
}

fn open_directory(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    open_beneath(root, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
}

/// Opens a directory of two parts, making what is missing. A new directory's own name is made durable.
fn open_or_make_directory(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    match open_directory(root, path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let mut at = root.try_clone()?;
    for part in path.split('/') {
        let is_new = match mkdirat(&at, part, DIRECTORY_MODE) {
            Ok(()) => {
                fsync(&at)?;
                true
            }
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let modes = Modes::below(&at)?;
        at = open_directory(&at, part)?;
        if is_new && modes.directory != DIRECTORY_MODE {
            // The process's umask may have taken it away.
            fchmod(&at, modes.directory)?;
        }
    }
    Ok(at)
}

fn create_new(directory: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file: File = nix::fcntl::openat(directory, name, flags, FILE_MODE)?.into();
    let mode = Modes::below(directory)?.file;
    if mode != FILE_MODE {
        fchmod(&file, mode)?;
    }
    Ok(file)
}

#[cfg(target_os = "linux")]
fn rename_no_replace<P: NixPath + ?Sized>(
    from: &OwnedFd,
    name: &P,
    to: &OwnedFd,
    new_name: &P,
) -> nix::Result<()> {
    nix::fcntl::renameat2(from, name, to, new_name, nix::fcntl::RenameFlags::RENAME_NOREPLACE)
}

/// For development on macOS: a hard link refuses an existing name just as `RENAME_NOREPLACE` does.
#[cfg(not(target_os = "linux"))]
fn rename_no_replace<P: NixPath + ?Sized>(
    from: &OwnedFd,
    name: &P,
    to: &OwnedFd,
    new_name: &P,
) -> nix::Result<()> {
    linkat(from, name, to, new_name, AtFlags::empty())?;
    unlinkat(from, name, UnlinkatFlags::NoRemoveDir)
}

fn file_names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut dir =
        Dir::openat(directory, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut found = Vec::new();
    for entry in dir.iter() {
        let entry = entry?;
        if entry.file_type().is_some_and(|kind| kind != Type::Directory) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

/// Removes a file; one that is gone already counts as removed.
fn unlink(directory: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
