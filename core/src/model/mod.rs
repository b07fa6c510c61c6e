//! The service's entities as plain data: files, their types, usage, derivatives, the names of blobs, checkpoints.
//! Never does I/O, never knows a statement, a request or where the storage root is.

mod asset;
mod blob_key;
mod checkpoint;
mod derivative;
mod file_name;
mod patch;
mod scan;
mod wire;

pub use asset::{AssetCategory, AssetDetails, AudioCategory, FileMetadata, Tags, VoiceoverType};
pub use blob_key::{BlobKey, Folder, NotABlobKey};
pub use checkpoint::{Boot, Checkpoint};
pub use derivative::{Derivative, DerivativeKind, DerivativeState, ThumbnailSize};
pub use file_name::FileName;
pub use patch::Patch;
pub use scan::ScanState;
pub use wire::{Document, List, Number, OUR_WORDS, Text, Whole, nfc};

use serde::{Deserialize, Serialize};
use std::fmt;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ids::{ContentId, FileId, UserId};

/// A number of bytes. Never negative, never above `i64::MAX`, because Postgres counts in `bigint`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, sqlx::Type, ToSchema,
)]
#[serde(transparent)]
#[sqlx(transparent)]
pub struct ByteSize(i64);

impl ByteSize {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// From a count of bytes; what does not fit a `bigint` becomes its maximum.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        if bytes > i64::MAX as u64 { Self(i64::MAX) } else { Self(bytes as i64) }
    }

    /// From a count of MiB.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self::new(mib * 1024 * 1024)
    }

    /// The count of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0 as u64
    }

    /// What is left after taking `other` away, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self::new(self.bytes().saturating_sub(other.bytes()))
    }

    /// The sum, capped at the maximum.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::new(self.bytes().saturating_add(other.bytes()))
    }

    /// As the web front end writes sizes: base 1024, at most two decimals, trailing zeros dropped (`1.5 KB`).
    #[must_use]
    pub fn formatted(self) -> String {
        const UNITS: [&str; 5] = ["Bytes", "KB", "MB", "GB", "TB"];
        let mut unit = 0;
        let mut value = self.bytes() as f64;
        while value >= 1024.0 && unit < UNITS.len() - 1 {
            value /= 1024.0;
            unit += 1;
        }
        let number = format!("{value:.2}");
        let number = number.trim_end_matches('0').trim_end_matches('.');
        format!("{number} {}", UNITS[unit])
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a file is to its user. Decides its folder on the volume.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum FileType {
    /// A video.
    Video,
    /// A still image.
    Image,
    /// A scene of the media app; any content that is not refused.
    Scene,
    /// A project of the media app; any content that is not refused.
    Project,
    /// An audio file.
    Audio,
}

impl FileType {
    /// Every type, in the order usage is reported.
    pub const ALL: [Self; 5] = [Self::Video, Self::Image, Self::Scene, Self::Project, Self::Audio];

    /// The type's name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Image => "image",
            Self::Scene => "scene",
            Self::Project => "project",
            Self::Audio => "audio",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a resumable upload becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum UploadRole {
    /// A file of its own.
    File,
    /// A part of a file: stays as it is until it is joined with others.
    Part,
    /// A file that is joined from parts.
    Joined,
}

/// A SHA-256 digest; hex on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A stored file: one row of `user_files` with its derivatives.
#[derive(Debug, Clone)]
pub struct File {
    /// The file's id.
    pub id: FileId,
    /// Its owner.
    pub user_id: UserId,
    /// The content that it shows, alone or with other files.
    pub content_id: ContentId,
    /// Its name on the volume, unique.
    pub file_name: String,
    /// Its name as the user knows it.
    pub original_name: FileName,
    /// What it is to its user.
    pub file_type: FileType,
    /// Media type as decided by its content.
    pub mime_type: String,
    /// Its size.
    pub size: ByteSize,
    /// Where its bytes are, relative to the storage root.
    pub file_path: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Displayed width in pixels, after rotation.
    pub width: Option<i32>,
    /// Displayed height in pixels, after rotation.
    pub height: Option<i32>,
    /// Playing time in seconds.
    pub duration_seconds: Option<f64>,
    /// Whether browsers need a derivative to play it; `None` when nobody has looked.
    pub needs_playback: Option<bool>,
    /// What the virus scanner said; `None` when there was none.
    pub scan: Option<ScanState>,
    /// A blurred preview of about 25 bytes (ThumbHash), made with its first thumbnail.
    pub thumbhash: Option<Vec<u8>>,
    /// What the user says about it.
    pub metadata: FileMetadata,
    /// Marked by the user.
    pub is_favorite: bool,
    /// When its upload was complete.
    pub upload_date: OffsetDateTime,
    /// When its row was made.
    pub created_at: OffsetDateTime,
    /// When its row changed last.
    pub updated_at: OffsetDateTime,
    /// When it went to the trash.
    pub deleted_at: Option<OffsetDateTime>,
    /// Epochs that its signed URLs must carry.
    pub url_epochs: UrlEpochs,
    /// What was made from it.
    pub derivatives: Vec<Derivative>,
    /// Fields about it that a listing leaves out for their length.
    pub truncated_fields: Vec<String>,
}

/// Counters that revoke signed URLs when they are raised: one a user, one a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlEpochs {
    /// The owner's.
    pub user: i32,
    /// The file's.
    pub file: i32,
}

/// Bytes and files of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct TypeUsage {
    /// Bytes of these files.
    pub bytes: ByteSize,
    /// How many there are.
    pub count: i64,
}

/// A user's row in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Whose usage it is.
    pub user_id: UserId,
    /// Bytes of stored files, trash included.
    pub total_bytes: ByteSize,
    /// Bytes promised to uploads under way.
    pub reserved_bytes: ByteSize,
    /// The quota.
    pub max_bytes: ByteSize,
    /// Bytes of files in the trash; part of `total_bytes`.
    pub trash_bytes: ByteSize,
    /// Files outside the trash.
    pub file_count: i64,
    /// Files in the trash.
    pub trash_count: i64,
    /// Files outside the trash by type.
    pub by_type: [(FileType, TypeUsage); 5],
}

impl Usage {
    /// A user who never stored anything.
    #[must_use]
    pub fn unused(user_id: UserId, max_bytes: ByteSize) -> Self {
        Self {
            user_id,
            total_bytes: ByteSize::ZERO,
            reserved_bytes: ByteSize::ZERO,
            max_bytes,
            trash_bytes: ByteSize::ZERO,
            file_count: 0,
            trash_count: 0,
            by_type: FileType::ALL.map(|t| (t, TypeUsage::default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSize;

    #[test]
    fn sizes_read_as_the_front_end_writes_them() {
        let written =
            [0, 1, 1023, 1024, 1536, 10_737_418_240, 1_234_567].map(|n| ByteSize::new(n).formatted());
        assert_eq!(written, ["0 Bytes", "1 Bytes", "1023 Bytes", "1 KB", "1.5 KB", "10 GB", "1.18 MB"]);
    }
}
