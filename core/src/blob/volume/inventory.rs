//! What is on the volume, for checks and repairs: listings page by page, how a blob looks, the quarantine.
//! Invariant: nothing is removed here; what is moved keeps its bytes and its name.
//! Never knows what of it should be there.

use super::blocking::blocking;
use super::{
    Inner, OWN, Volume, fsync_directories, open_beneath, open_directory, open_or_make_directory,
    rename_no_replace,
};
use crate::error::Result;
use crate::model::{BlobKey, ByteSize, Folder, Sha256Digest};
use nix::dir::{Dir, OwningIter, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat};
use sha2::Digest as _;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use time::OffsetDateTime;

/// Where `repair` moves what no row names, within the service's own directory.
const QUARANTINE: &str = "quarantine";
/// Entries in one page of a listing.
const PAGE: usize = 10_000;
/// Bytes read at a time for a digest.
const CHUNK_BYTES: usize = 256 * 1024;

/// Something in a directory of the volume, of whatever kind and name.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Relative to the storage root; empty for the root itself.
    directory: String,
    name: CString,
    /// Or of a kind that the filesystem does not tell.
    is_directory: bool,
}

/// A listing that is read page by page. It holds one directory open; what changes meanwhile may be in it or not.
pub struct Listing {
    volume: Arc<Inner>,
    /// Directories still to be read, relative to the storage root.
    waiting: Vec<String>,
    reading: Option<(String, OwningIter)>,
}

/// One look at a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T> {
    /// There is no such file.
    Missing,
    /// The disk does not give it away; the reason is for a person.
    Unreadable(String),
    /// It is there.
    There(T),
}

/// How a blob looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its size.
    pub size: ByteSize,
    /// Its permissions.
    pub mode: u32,
    /// When it was written, renamed or given other permissions last.
    pub changed_at: OffsetDateTime,
}

/// A directory of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Relative to the storage root.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
}

impl Entry {
    /// Where it is, relative to the storage root. Names that are no UTF-8 are shown as well as possible.
    #[must_use]
    pub fn path(&self) -> String {
        let name = self.name.to_string_lossy();
        if self.directory.is_empty() { name.into_owned() } else { format!("{}/{name}", self.directory) }
    }

    /// Whether it is in this folder of an owner.
    #[must_use]
    pub fn is_in(&self, folder: Folder) -> bool {
        self.directory.split_once('/').is_some_and(|(_, name)| name == folder.name())
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }
}

impl Volume {
    /// Permissions of every blob.
    #[must_use]
    pub fn file_mode(&self) -> u32 {
        self.inner.modes.file.bits()
    }

    /// Permissions of every directory.
    #[must_use]
    pub fn directory_mode(&self) -> u32 {
        self.inner.modes.directory.bits()
    }

    /// See [`Blobs::list_root`](crate::blob::Blobs::list_root).
    #[must_use]
    pub(in crate::blob) fn list_root(&self) -> Listing {
        self.listing(String::new())
    }

    /// See [`Blobs::list`](crate::blob::Blobs::list).
    #[must_use]
    pub(in crate::blob) fn list(&self, owner: &str) -> Listing {
        self.listing(owner.to_owned())
    }

    fn listing(&self, directory: String) -> Listing {
        Listing { volume: Arc::clone(&self.inner), waiting: vec![directory], reading: None }
    }

    /// See [`Blobs::stat`](crate::blob::Blobs::stat).
    pub(in crate::blob) async fn stat(&self, key: &BlobKey) -> Result<Look<Stat>> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("looking at a file", move || Ok(look(stat(&inner.root, &key)))).await
    }

    /// See [`Blobs::stat_entry`](crate::blob::Blobs::stat_entry).
    pub(in crate::blob) async fn stat_entry(&self, entry: &Entry) -> Result<Option<Stat>> {
        let (inner, entry) = (Arc::clone(&self.inner), entry.clone());
        blocking("looking at an entry", move || {
            let found = open_directory(&inner.root, entry.place()).and_then(|directory| {
                Ok(fstatat(&directory, entry.name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?)
            });
            match found {
                Ok(found) => Ok(Some(read_stat(&found))),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(cause) => Err(cause),
            }
        })
        .await
    }

    /// An owner's directory and the folders in it.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when the volume fails.
    pub async fn places(&self, owner: &str) -> Result<Vec<Place>> {
        let (inner, owner) = (Arc::clone(&self.inner), owner.to_owned());
        blocking("looking at directories", move || {
            let folders = Folder::ALL.map(|folder| format!("{owner}/{}", folder.name()));
            let mut places = Vec::new();
            for path in std::iter::once(owner).chain(folders) {
                match open_directory(&inner.root, &path) {
                    Ok(directory) => {
                        places.push(Place { path, mode: permissions(fstat(&directory)?.st_mode) })
                    }
                    Err(cause) if is_no_directory(&cause) => {}
                    Err(cause) => return Err(cause),
                }
            }
            Ok(places)
        })
        .await
    }

    /// Gives a file or directory the permissions that everything of the service has. `false` when it is gone. Safe to
    /// repeat.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when it is not the service's own.
    pub async fn restrict(&self, path: &str) -> Result<bool> {
        let (inner, path) = (Arc::clone(&self.inner), path.to_owned());
        blocking("restricting permissions", move || {
            let found = match open_beneath(&inner.root, &path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
                Ok(found) => found,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(cause) => return Err(cause),
            };
            let is_directory = has_type(fstat(&found)?.st_mode, SFlag::S_IFDIR);
            fchmod(&found, if is_directory { inner.modes.directory } else { inner.modes.file })?;
            Ok(true)
        })
        .await
    }

    /// See [`Blobs::digest`](crate::blob::Blobs::digest).
    pub(in crate::blob) async fn digest(&self, key: &BlobKey) -> Result<Look<Sha256Digest>> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("digesting a file", move || Ok(look(digest(&inner.root, &key)))).await
    }

    /// See [`Blobs::quarantine`](crate::blob::Blobs::quarantine).
    pub(in crate::blob) async fn quarantine(&self, entry: &Entry) -> Result<Option<String>> {
        let (inner, entry) = (Arc::clone(&self.inner), entry.clone());
        let kept = format!("{OWN}/{QUARANTINE}/{}", self.instance());
        blocking("moving a file to quarantine", move || {
            let source = match open_directory(&inner.root, entry.place()) {
                Ok(source) => source,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(cause) => return Err(cause),
            };
            let target = open_or_make_directory(&inner.root, &format!("{kept}/{}", entry.directory))?;
            match rename_no_replace(&source, entry.name.as_c_str(), &target, entry.name.as_c_str()) {
                Ok(()) => fsync_directories(&target, &source)?,
                Err(Errno::ENOENT) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
            Ok(Some(format!("{kept}/{}", entry.path())))
        })
        .await
    }
}

impl Entry {
    /// Its directory, as it can be opened beneath the root.
    fn place(&self) -> &str {
        if self.directory.is_empty() { "." } else { &self.directory }
    }
}

impl Listing {
    /// The next entries, in no order, and what remains of the listing.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] when the volume fails.
    pub async fn page(mut self) -> Result<(Vec<Entry>, Option<Self>)> {
        blocking("listing a directory", move || {
            let mut page = Vec::new();
            while page.len() < PAGE {
                match self.next()? {
                    Some(entry) => page.push(entry),
                    None => return Ok((page, None)),
                }
            }
            Ok((page, Some(self)))
        })
        .await
    }

    fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some((directory, entries)) = &mut self.reading else {
                let Some(directory) = self.waiting.pop() else { return Ok(None) };
                self.reading =
                    open_listing(&self.volume.root, &directory)?.map(|entries| (directory, entries));
                continue;
            };
            let Some(entry) = entries.next().transpose()? else {
                self.reading = None;
                continue;
            };
            // Not every filesystem says; a folder must never pass for a stray entry.
            let is_directory = entry.file_type().is_none_or(|kind| kind == Type::Directory);
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let found = Entry { directory: directory.clone(), name: name.to_owned(), is_directory };
            if is_directory && is_folder(directory, OsStr::from_bytes(name.to_bytes())) {
                self.waiting.push(found.path());
                continue;
            }
            return Ok(Some(found));
        }
    }
}

/// Whether a directory is one of an owner's folders.
fn is_folder(parent: &str, name: &OsStr) -> bool {
    let is_owners = !parent.is_empty() && !parent.contains('/');
    is_owners && Folder::ALL.iter().any(|folder| name == folder.name())
}

/// `None` when the directory is gone.
fn open_listing(root: &OwnedFd, directory: &str) -> io::Result<Option<OwningIter>> {
    let path = if directory.is_empty() { "." } else { directory };
    match open_directory(root, path) {
        Ok(opened) => Ok(Some(Dir::from_fd(opened)?.into_iter())),
        Err(cause) if is_no_directory(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Missing, or something else under that name, which a listing of its parent shows.
fn is_no_directory(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP))
}

fn stat(root: &OwnedFd, key: &BlobKey) -> io::Result<Stat> {
    let (directory, name) = key.split();
    let found = fstatat(&open_directory(root, directory)?, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if has_type(found.st_mode, SFlag::S_IFREG) { Ok(read_stat(&found)) } else { Err(Errno::ENOENT.into()) }
}

fn read_stat(found: &nix::sys::stat::FileStat) -> Stat {
    Stat {
        size: ByteSize::new(found.st_size.unsigned_abs()),
        mode: permissions(found.st_mode),
        changed_at: OffsetDateTime::from_unix_timestamp(found.st_ctime).unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}

fn permissions(mode: nix::libc::mode_t) -> u32 {
    Mode::from_bits_truncate(mode).bits()
}

fn has_type(mode: nix::libc::mode_t, wanted: SFlag) -> bool {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == wanted
}

fn digest(root: &OwnedFd, key: &BlobKey) -> io::Result<Sha256Digest> {
    let mut file = File::from(open_beneath(root, key.as_str(), OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
    drop_cached(&file);
    let mut digest = sha2::Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => digest.update(&chunk[..read]),
        }
    }
    drop_cached(&file);
    Ok(Sha256Digest(digest.finalize().into()))
}

/// Memory would hide what the disk has lost, and what was read once must not push out what readers need.
#[cfg(target_os = "linux")]
fn drop_cached(file: &File) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let _only_advice = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// macOS has no such advice.
#[cfg(not(target_os = "linux"))]
fn drop_cached(_file: &File) {}

pub(super) fn look<T>(found: io::Result<T>) -> Look<T> {
    match found {
        Ok(found) => Look::There(found),
        Err(cause) if is_no_directory(&cause) => Look::Missing,
        Err(cause) => Look::Unreadable(cause.to_string()),
    }
}
