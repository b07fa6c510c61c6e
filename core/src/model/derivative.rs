//! What is made from a file's bytes and can be made again.
//! Never knows how it is made or where it is stored.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A named size of a file's thumbnails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThumbnailSize {
    /// 400x225, cropped to fill: what lists show.
    Default,
    /// At most 256 on the longer side.
    Small,
    /// At most 640 on the longer side.
    Medium,
    /// At most 1440 on the longer side.
    Large,
}

impl ThumbnailSize {
    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        DerivativeKind::parse(text).and_then(DerivativeKind::thumbnail)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        DerivativeKind::of_thumbnail(self).as_str()
    }
}

/// A kind of derivative: something made from a file's bytes that can be made again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DerivativeKind {
    /// [`ThumbnailSize::Default`].
    Default,
    /// [`ThumbnailSize::Small`].
    Small,
    /// [`ThumbnailSize::Medium`].
    Medium,
    /// [`ThumbnailSize::Large`].
    Large,
    /// The video as every browser can play it, of a video that some cannot.
    Playback,
}

impl DerivativeKind {
    /// Every kind, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::Default, Self::Small, Self::Medium, Self::Large, Self::Playback];

    /// The name on the wire, in the database and in file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Playback => "playback",
        }
    }

    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind of a thumbnail of this size.
    #[must_use]
    pub const fn of_thumbnail(kind: ThumbnailSize) -> Self {
        match kind {
            ThumbnailSize::Default => Self::Default,
            ThumbnailSize::Small => Self::Small,
            ThumbnailSize::Medium => Self::Medium,
            ThumbnailSize::Large => Self::Large,
        }
    }

    /// The thumbnail's size, if it is a thumbnail.
    #[must_use]
    pub const fn thumbnail(self) -> Option<ThumbnailSize> {
        match self {
            Self::Default => Some(ThumbnailSize::Default),
            Self::Small => Some(ThumbnailSize::Small),
            Self::Medium => Some(ThumbnailSize::Medium),
            Self::Large => Some(ThumbnailSize::Large),
            Self::Playback => None,
        }
    }
}

/// How far a derivative is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum DerivativeState {
    /// Waiting for the worker, or being made.
    Pending,
    /// Made; its bytes are on the volume.
    Ready,
    /// Could not be made; the reason is kept, and it can be tried again.
    Failed,
}

impl DerivativeState {
    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// One derivative of one file, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derivative {
    /// Which one.
    pub kind: DerivativeKind,
    /// Its media type.
    pub mime_type: String,
    /// How far it is.
    pub state: DerivativeState,
    /// How much of it is made, in percent; `None` unless it is being made and takes long.
    pub progress: Option<i16>,
    /// Why it failed, for a person.
    pub error: Option<String>,
    /// Where its bytes are once it is ready, relative to the storage root.
    pub path: String,
}
