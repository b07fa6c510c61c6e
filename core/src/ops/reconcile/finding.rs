//! What a check can find, in the words an operator reads and a program acts on.
//! Never decides whether something is found.

use crate::blob::Place;
use crate::ids::{ContentId, FileId, UploadId, UserId};
use crate::model::{ByteSize, Sha256Digest};
use serde::Serialize;
use std::fmt;

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are named after what they hold")]
pub enum Finding {
    /// A row whose file is not on the volume.
    MissingFile { user_id: UserId, file_id: FileId, path: String, expected_bytes: ByteSize },
    /// A file of another size than its row says.
    WrongSize {
        user_id: UserId,
        file_id: FileId,
        path: String,
        expected_bytes: ByteSize,
        found_bytes: ByteSize,
    },
    /// A file with other bytes than were stored.
    WrongDigest {
        user_id: UserId,
        file_id: FileId,
        path: String,
        #[serde(serialize_with = "as_text")]
        expected: Sha256Digest,
        #[serde(serialize_with = "as_text")]
        found: Sha256Digest,
    },
    /// A file that the disk does not give away.
    Unreadable { user_id: UserId, file_id: FileId, path: String, reason: String },
    /// A file or directory that others than the service may read, or that it may not itself.
    WrongMode {
        user_id: UserId,
        path: String,
        #[serde(serialize_with = "as_mode")]
        expected: u32,
        #[serde(serialize_with = "as_mode")]
        found: u32,
    },
    /// Something on the volume that no row names.
    Orphan { user_id: UserId, path: String, found_bytes: ByteSize },
    /// A derivative that is not there, or not as it was made.
    MissingDerivative { user_id: UserId, content_id: ContentId, path: String, reason: String },
    /// A content's row that does not agree with the files that show it.
    WrongContent { user_id: UserId, content_id: ContentId, reason: String },
    /// A resumable upload with fewer bytes than were acknowledged.
    TornUpload {
        user_id: UserId,
        upload_id: UploadId,
        path: String,
        expected_bytes: ByteSize,
        found_bytes: ByteSize,
    },
    /// A counter of the ledger that is not the sum of its rows.
    CounterDrift { user_id: UserId, counter: String, expected: i64, found: i64 },
}

/// What `repair` does about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// Moves it to the quarantine.
    Quarantine,
    /// Sets the permissions.
    Restrict,
    /// Counts again.
    Recount,
    /// Lets it be made again.
    MakeAgain,
    /// Makes the row agree with the first file that shows it.
    Agree,
    /// Cancels it: its client starts again.
    Cancel,
    /// Nothing: the bytes must come from a backup.
    Restore,
}

impl Finding {
    /// A file's permissions, if they are wrong.
    pub(super) fn of_file_mode(user: &UserId, path: &str, found: u32, expected: u32) -> Option<Self> {
        let wrong = || Self::WrongMode { user_id: user.clone(), path: path.to_owned(), expected, found };
        (found != expected).then(wrong)
    }

    /// A directory's permissions, if they are wrong.
    pub(super) fn of_directory_mode(user: &UserId, place: &Place, expected: u32) -> Option<Self> {
        let found = place.mode;
        let wrong = || Self::WrongMode { user_id: user.clone(), path: place.path.clone(), expected, found };
        (found != expected).then(wrong)
    }

    /// What kind of finding it is, as in its JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::MissingFile { .. } => "missingFile",
            Self::WrongSize { .. } => "wrongSize",
            Self::WrongDigest { .. } => "wrongDigest",
            Self::Unreadable { .. } => "unreadable",
            Self::WrongMode { .. } => "wrongMode",
            Self::Orphan { .. } => "orphan",
            Self::MissingDerivative { .. } => "missingDerivative",
            Self::WrongContent { .. } => "wrongContent",
            Self::TornUpload { .. } => "tornUpload",
            Self::CounterDrift { .. } => "counterDrift",
        }
    }

    /// What `repair` does about it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::MissingFile { .. }
            | Self::WrongSize { .. }
            | Self::WrongDigest { .. }
            | Self::Unreadable { .. } => Remedy::Restore,
            Self::WrongMode { .. } => Remedy::Restrict,
            Self::Orphan { .. } => Remedy::Quarantine,
            Self::MissingDerivative { .. } => Remedy::MakeAgain,
            Self::WrongContent { .. } => Remedy::Agree,
            Self::TornUpload { .. } => Remedy::Cancel,
            Self::CounterDrift { .. } => Remedy::Recount,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFile { path, expected_bytes, .. } => {
                write!(f, "{path}: is gone, {expected_bytes} bytes")
            }
            Self::WrongSize { path, expected_bytes, found_bytes, .. } => {
                write!(f, "{path}: has {found_bytes} bytes instead of {expected_bytes}")
            }
            Self::WrongDigest { path, expected, found, .. } => {
                write!(f, "{path}: has SHA-256 {found} instead of {expected}")
            }
            Self::Unreadable { path, reason, .. } => write!(f, "{path}: cannot be read: {reason}"),
            Self::WrongMode { path, expected, found, .. } => {
                write!(f, "{path}: has mode {found:o} instead of {expected:o}")
            }
            Self::Orphan { path, found_bytes, .. } => {
                write!(f, "{path}: no row names it, {found_bytes} bytes")
            }
            Self::MissingDerivative { path, reason, .. } => write!(f, "{path}: {reason}"),
            Self::WrongContent { content_id, reason, .. } => write!(f, "content {content_id}: {reason}"),
            Self::TornUpload { path, expected_bytes, found_bytes, .. } => {
                write!(f, "{path}: {expected_bytes} bytes were acknowledged, {found_bytes} are there")
            }
            Self::CounterDrift { user_id, counter, expected, found } => {
                write!(f, "{user_id}: {counter} is {found} instead of {expected}")
            }
        }
    }
}

fn as_text<S: serde::Serializer>(digest: &Sha256Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

fn as_mode<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:o}"))
}
