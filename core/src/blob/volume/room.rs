//! Room on the disk for bytes that are on their way, so that a full disk is found out before they are sent.
//! Never changes a file's size.

use crate::model::ByteSize;
use std::fs::File;
use std::io;

/// How much room is taken ahead of what has arrived.
pub(super) const AHEAD: ByteSize = ByteSize::mib(64);

/// The room of a file whose length is known: taken with what arrives, so that an upload that never comes takes little.
#[derive(Debug)]
pub(super) struct Ahead {
    taken_bytes: u64,
    length_bytes: u64,
}

impl Ahead {
    pub(super) fn new(at: ByteSize, length: ByteSize) -> Self {
        Self { taken_bytes: at.bytes(), length_bytes: length.bytes() }
    }

    /// Takes room before bytes up to `end_bytes` are written.
    pub(super) fn reach(&mut self, file: &File, end_bytes: u64) -> io::Result<()> {
        if end_bytes <= self.taken_bytes {
            return Ok(());
        }
        let next_bytes = end_bytes.saturating_add(AHEAD.bytes()).min(self.length_bytes);
        if next_bytes > self.taken_bytes {
            take_room(file, self.taken_bytes, next_bytes - self.taken_bytes)?;
            self.taken_bytes = next_bytes;
        }
        Ok(())
    }
}

/// Takes blocks without changing the file's size, so that a full disk is found out before the bytes are sent.
#[cfg(target_os = "linux")]
pub(super) fn take_room(file: &File, from_bytes: u64, room_bytes: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};
    let (Ok(from), Ok(room @ 1..)) = (i64::try_from(from_bytes), i64::try_from(room_bytes)) else {
        return Ok(());
    };
    match fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, from, room) {
        // A filesystem without it finds out later, as every write may.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// macOS has no such call.
#[cfg(not(target_os = "linux"))]
pub(super) fn take_room(_file: &File, _from_bytes: u64, _room_bytes: u64) -> io::Result<()> {
    Ok(())
}
