//! A checkpoint of a file: an offset in bytes, and the state of the SHA-256 over exactly the bytes before it.
//! Invariant: the two never disagree. Never touches a file.

use super::{ByteSize, Sha256Digest};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// Version of the stored digest state: that of sha2 0.11. It is read by this release and written by the next, because
/// the release before this one reads a state without a version and nothing else, and may go on with an upload that this
/// one began.
const VERSION: u8 = 1;

/// An offset within a file from which it can be continued without reading the bytes before.
#[derive(Clone)]
pub struct Checkpoint {
    bytes: u64,
    digest: Sha256,
}

impl Checkpoint {
    /// Before the first byte.
    #[must_use]
    pub fn start() -> Self {
        Self { bytes: 0, digest: Sha256::new() }
    }

    /// Reads a checkpoint from a row. `None` when another release wrote it in a version that this one does not know.
    #[must_use]
    pub fn parse(bytes: ByteSize, state: &[u8]) -> Option<Self> {
        let size = SerializedState::<Sha256>::default().len();
        let state = match state.split_first() {
            // As rows have it without a version.
            _ if state.len() == size => state,
            Some((&VERSION, state)) => state,
            _ => return None,
        };
        let state = SerializedState::<Sha256>::try_from(state).ok()?;
        let digest = Sha256::deserialize(&state).ok()?;
        Some(Self { bytes: bytes.bytes(), digest })
    }

    /// The digest state for a row: the serialized state of `sha2`, in the form that the release before this one reads.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        self.digest.serialize().to_vec()
    }

    /// How many bytes are before it.
    #[must_use]
    pub const fn offset(&self) -> ByteSize {
        ByteSize::new(self.bytes)
    }

    /// The digest, if the file ends here.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        Sha256Digest(self.digest.clone().finalize().into())
    }

    /// Moves past the next bytes.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({})", self.bytes)
    }
}

/// One run of the kernel. What was written but not forced out is still there in the same run, and in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Boot(Uuid);

impl Boot {
    /// The run with this id.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, VERSION};
    use sha2::digest::common::hazmat::{SerializableState as _, SerializedState};
    use sha2::{Digest as _, Sha256};

    #[test]
    fn a_digest_goes_on_from_its_row_as_if_it_had_never_stopped() {
        let content: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for cut in [0, 1, 55, 63, 64, 65, 128, 999, 1000] {
            let mut before = Checkpoint::start();
            before.pass(&content[..cut]);
            let mut after = Checkpoint::parse(before.offset(), &before.state()).unwrap();
            after.pass(&content[cut..]);
            assert_eq!(after.offset().bytes(), 1000);
            assert_eq!(after.sha256().0, <[u8; 32]>::from(Sha256::digest(&content)), "{cut}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let state = Checkpoint::start().state();
        let newer = [&[2][..], &state[..]].concat();
        for wrong in [&state[1..], &[][..], &[0xFF; 105][..], &newer[..]] {
            assert!(Checkpoint::parse(Checkpoint::start().offset(), wrong).is_none());
        }
    }

    #[test]
    fn a_state_with_a_version_is_read_before_it_is_written() {
        let mut before = Checkpoint::start();
        before.pass(b"some bytes");
        let versioned = [&[VERSION][..], &before.state()[..]].concat();
        let read = Checkpoint::parse(before.offset(), &versioned).unwrap();
        assert_eq!(read.sha256(), before.sha256());
    }

    #[test]
    fn a_state_is_written_as_the_release_before_reads_it() {
        let state = Checkpoint::start().state();
        let read = SerializedState::<Sha256>::try_from(state.as_slice()).unwrap();
        assert!(Sha256::deserialize(&read).is_ok());
    }
}
