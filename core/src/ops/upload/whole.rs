//! Small files of forms: each waits in memory until its form is complete, and costs two statements and one write then.
//! Invariant: all of them together hold a bounded part of the memory, and nothing is reserved or written while they wait.

use super::content::{self, Content};
use super::{Incoming, Place, Received};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::media;
use crate::model::{ByteSize, Sha256Digest};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

const KIB: usize = 1024;

/// The largest file that waits in memory.
const WHOLE_BYTES: usize = 256 * 1024;
/// What a form holds at most whose files are read into memory: of a large file nothing is held back.
const WORTH_HOLDING: ByteSize = ByteSize::mib(4);

/// A file in memory.
pub(super) struct Whole {
    pub(super) file_id: FileId,
    pub(super) bytes: Vec<u8>,
    _memory: Memory,
}

/// Leave to hold a file in memory; given back when it is dropped.
pub struct Memory(OwnedSemaphorePermit);

impl Memory {
    /// Leave for the next file of a form, of which at most `bound` bytes are still to come. `None` for a file that is large,
    /// or while others hold what there is.
    #[must_use]
    pub fn take(app: &App, bound: Option<ByteSize>) -> Option<Self> {
        let is_small = bound.is_none_or(|bound| bound <= WORTH_HOLDING);
        let all = u32::try_from(WHOLE_BYTES / KIB).unwrap_or(u32::MAX);
        let permit = is_small.then(|| Arc::clone(&app.waiting_kib).try_acquire_many_owned(all).ok());
        permit.flatten().map(Self)
    }

    /// Whether a file of so many bytes may be held.
    #[must_use]
    pub const fn fits(&self, bytes: usize) -> bool {
        bytes <= WHOLE_BYTES
    }

    /// What a file of so many bytes needs of it; the rest is given back.
    #[must_use]
    pub fn shrunk_to(mut self, bytes: usize) -> Self {
        let needed = self.0.split(bytes.div_ceil(KIB));
        needed.map_or(self, Self)
    }
}

impl Received {
    /// A file whose every byte is here, as [`Memory`] allowed.
    ///
    /// # Errors
    /// [`Error::TypeRefused`], [`Error::TypeMismatch`], [`Error::FileTooLarge`], [`Error::VolumeFull`],
    /// [`Error::TooManyRequests`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn whole(
        app: &App,
        sender: &UserId,
        incoming: Incoming<'_>,
        bytes: Vec<u8>,
        memory: Memory,
    ) -> Result<Self> {
        let sniffed = media::sniff(incoming.head, incoming.name.as_str());
        content::file_type(&sniffed, incoming.declared)?;
        let size = ByteSize::new(bytes.len() as u64);
        let max_bytes = app.config.limits.max_file;
        if size > max_bytes {
            return Err(Error::FileTooLarge { max_bytes });
        }
        app.blobs.require_room(size).await?;
        app.rates.upload(sender)?;
        let examined = content::examine(app, move |limits| {
            let sha256 = Sha256Digest(Sha256::digest(&bytes).into());
            let (sniffed, facts) = media::settle_bytes(&bytes, sniffed, limits);
            (bytes, sha256, sniffed, facts)
        });
        let (bytes, sha256, sniffed, facts) = examined.await?;
        let content = Content { name: incoming.name, sniffed, size, sha256, facts };
        let whole = Whole { file_id: FileId::new(), bytes, _memory: memory };
        Ok(Self { content, place: Place::Memory(whole) })
    }
}
