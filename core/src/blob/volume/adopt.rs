//! Taking blobs over from the directory of the legacy service: a second name for the same bytes where the filesystem
//! allows it, a copy otherwise.
//! Invariant: a file for which `adopt` returned is complete and survives a power cut; the source keeps its names.
//! Never follows a link, in the source as little as on the volume.

use super::Look;
use super::blocking::blocking;
use super::{Modes, Volume, create_new, open_beneath, open_directory, open_or_make_directory, open_root};
use crate::error::Result;
use crate::model::{BlobKey, ByteSize, Sha256Digest};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{fchmod, fstat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};
use sha2::Digest as _;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The legacy service's storage root.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    root: Arc<OwnedFd>,
}

/// A file of the source, as much of it as decides its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its size.
    pub size: ByteSize,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

/// A blob that was adopted.
#[derive(Debug)]
pub struct Adopted {
    /// Open for reading.
    pub file: File,
    /// Its size.
    pub size: ByteSize,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Whether it shares its bytes with the source.
    pub is_link: bool,
}

impl Source {
    /// Opens the directory.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), root: Arc::new(open_root(path)?) })
    }

    /// A path as a row has it, relative to the root; absolute ones below it are understood too.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        if !path.starts_with('/') {
            return (!path.is_empty()).then_some(path);
        }
        Path::new(path).strip_prefix(&self.path).ok()?.to_str()
    }

    /// Whether a volume is in the same directory, which then has old and new names.
    ///
    /// # Errors
    /// When one of them cannot be looked at.
    pub fn is_root_of(&self, volume: &Volume) -> io::Result<bool> {
        let (ours, theirs) = (fstat(&*self.root)?, fstat(&volume.inner.root)?);
        Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
    }

    /// Reads a file's first bytes.
    ///
    /// # Errors
    /// When the file cannot be examined.
    pub async fn head(&self, path: &str, most_bytes: usize) -> Result<Look<Head>> {
        let (root, path) = (Arc::clone(&self.root), path.to_owned());
        blocking("looking at a file of the legacy service", move || {
            Ok(super::inventory::look(read_head(&root, &path, most_bytes)))
        })
        .await
    }
}

impl Volume {
    /// Gives a file of the source a name on the volume and hashes it. Durable on return. Fails if the name exists.
    ///
    /// # Errors
    /// [`crate::Error::VolumeFull`] or [`crate::Error::Unavailable`]; [`crate::Error::Internal`] when the source cannot
    /// be read.
    pub async fn adopt(&self, source: &Source, path: &str, key: &BlobKey) -> Result<Adopted> {
        let (inner, source, path, key) =
            (Arc::clone(&self.inner), Arc::clone(&source.root), path.to_owned(), key.clone());
        blocking("taking a file over", move || {
            let (directory, name) = key.split();
            let directory = open_or_make_directory(&inner.root, directory)?;
            let adopted = match link(&source, &path, &directory, name)? {
                Some(file) => hash(file, None, true)?,
                None => {
                    let from = open_file(&source, &path)?;
                    hash(from, Some(create_new(&directory, name)?), false)?
                }
            };
            adopted.file.sync_data()?;
            fsync(&directory)?;
            Ok(adopted)
        })
        .await
    }

    /// Restricts a blob that has its name already, and hashes it. Durable on return; safe to repeat.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when it cannot be read or belongs to another user.
    pub async fn adopt_in_place(&self, key: &BlobKey) -> Result<Adopted> {
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        blocking("taking a file over as it is", move || {
            let file = open_file(&inner.root, key.as_str())?;
            fchmod(&file, inner.modes.file)?;
            let adopted = hash(file, None, true)?;
            adopted.file.sync_all()?;
            fsync(&open_directory(&inner.root, key.split().0)?)?;
            Ok(adopted)
        })
        .await
    }
}

fn open_file(root: &OwnedFd, path: &str) -> io::Result<File> {
    let file = File::from(open_beneath(root, path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(Errno::ENOENT.into()) }
}

fn read_head(root: &OwnedFd, path: &str, most_bytes: usize) -> io::Result<Head> {
    let file = open_file(root, path)?;
    let size = ByteSize::new(file.metadata()?.len());
    let mut bytes = Vec::new();
    file.take(most_bytes as u64).read_to_end(&mut bytes)?;
    Ok(Head { size, bytes })
}

/// `None` where a second name is not possible: another filesystem, or a file of another user, whose permissions could
/// not be set.
fn link(source: &OwnedFd, path: &str, target: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let (directory, old_name) = path.rsplit_once('/').unwrap_or((".", path));
    let directory = open_directory(source, directory)?;
    match linkat(&directory, old_name, target, name, AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::EXDEV | Errno::EPERM | Errno::EACCES | Errno::EMLINK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let opened = open_file(target, name).and_then(|file| {
        fchmod(&file, Modes::below(target)?.file)?;
        Ok(file)
    });
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(cause) => {
            unlinkat(target, name, UnlinkatFlags::NoRemoveDir)?;
            if cause.kind() == io::ErrorKind::PermissionDenied { Ok(None) } else { Err(cause) }
        }
    }
}

/// Reads a file whole; what is read goes to `copy`, which then is the blob.
fn hash(mut from: File, mut copy: Option<File>, is_link: bool) -> io::Result<Adopted> {
    let (mut digest, mut size_bytes) = (sha2::Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match from.read(&mut chunk)? {
            0 => break,
            read => &chunk[..read],
        };
        digest.update(read);
        size_bytes += read.len() as u64;
        if let Some(copy) = &mut copy {
            copy.write_all(read)?;
        }
    }
    let mut file = copy.unwrap_or(from);
    file.rewind()?;
    Ok(Adopted {
        file,
        size: ByteSize::new(size_bytes),
        sha256: Sha256Digest(digest.finalize().into()),
        is_link,
    })
}
