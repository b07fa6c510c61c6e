//! Reading from an open file, or from bytes, at any place, with a bound on how much.
//! Invariant: a `Source` never fetches more than its budget, and never moves the file's own cursor.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// What the smallest read is charged, in bytes: a system call costs time however little it fetches.
const LEAST_CHARGE: u64 = 512;

/// A file, a place in it, and how many bytes may still be fetched.
pub(super) struct Source<'a> {
    content: Content<'a>,
    position: u64,
    length: u64,
    budget: u64,
}

/// Where bytes come from.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    File(&'a File),
    Bytes(&'a [u8]),
}

impl Content<'_> {
    /// Reads at an offset; short at the end.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        match self {
            Self::File(file) => file.read_at(buffer, offset),
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[start..]).read(buffer)
            }
        }
    }
}

impl<'a> Source<'a> {
    /// A source at the start of `file` that fetches at most `budget` bytes.
    pub(super) fn new(file: &'a File, budget: u64) -> Result<Self> {
        Self::of(Content::File(file), budget)
    }

    /// The same of a file or of bytes.
    pub(super) fn of(content: Content<'a>, budget: u64) -> Result<Self> {
        let length = match content {
            Content::File(file) => file.metadata()?.len(),
            Content::Bytes(bytes) => bytes.len() as u64,
        };
        Ok(Self { content, position: 0, length, budget })
    }

    /// A source at the start of `bytes`, which are in memory anyway.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { content: Content::Bytes(bytes), position: 0, length: bytes.len() as u64, budget: u64::MAX }
    }

    /// The file's length in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing more can be fetched: what ended now may have more behind it.
    pub(super) const fn is_spent(&self) -> bool {
        self.budget < LEAST_CHARGE
    }

    /// `N` bytes at `offset`, if the file and the budget have them.
    pub(super) fn bytes<const N: usize>(&mut self, offset: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.seek(SeekFrom::Start(offset)).ok()?;
        self.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// `length` bytes at `offset`, or fewer where the file ends.
    pub(super) fn up_to(&mut self, offset: u64, length: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(offset)).ok()?;
        self.take(length).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.is_spent() {
            return Err(Error::new(ErrorKind::QuotaExceeded, "too much would have to be read"));
        }
        let wanted = buffer.len().min(usize::try_from(self.budget).unwrap_or(usize::MAX));
        let fetched = self.content.read_at(&mut buffer[..wanted], self.position)?;
        self.position += fetched as u64;
        self.budget = self.budget.saturating_sub((fetched as u64).max(LEAST_CHARGE));
        Ok(fetched)
    }
}

impl Seek for Source<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "seek out of range"))?;
        Ok(self.position)
    }
}

impl symphonia::core::io::MediaSource for Source<'_> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
