//! The name of a blob, as rows hold it.
//! Invariant: joined to the storage root, it leads to a file within it.

use super::FileType;
use std::fmt;

/// A text that names no blob: another release may write it, a client never does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a blob key: {0:?}")]
pub struct NotABlobKey(String);

/// A directory within an owner's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Finished files, by type.
    Files(FileType),
    /// Thumbnails and posters of files.
    Thumbnails,
    /// Files on their way in.
    Staging,
}

impl Folder {
    /// Every folder an owner's directory may have.
    pub const ALL: [Self; 7] = [
        Self::Files(FileType::Video),
        Self::Files(FileType::Image),
        Self::Files(FileType::Scene),
        Self::Files(FileType::Project),
        Self::Files(FileType::Audio),
        Self::Thumbnails,
        Self::Staging,
    ];

    /// The directory's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files(FileType::Video) => "videos",
            Self::Files(FileType::Image) => "images",
            Self::Files(FileType::Scene) => "scenes",
            Self::Files(FileType::Project) => "projects",
            Self::Files(FileType::Audio) => "audio",
            Self::Thumbnails => "thumbnails",
            Self::Staging => ".uploads",
        }
    }
}

/// Names one blob: `owner/folder/name`, relative to the storage root. Safe to join to it by construction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// A key from its parts; every part is checked.
    ///
    /// # Errors
    /// When a part is no plain file name: such a name never comes from a client.
    pub fn new(owner: &str, folder: Folder, name: &str) -> Result<Self, NotABlobKey> {
        Self::parse(&format!("{owner}/{}/{name}", folder.name()))
    }

    /// A key as a row holds it.
    ///
    /// # Errors
    /// When the text is not three plain names.
    pub fn parse(text: &str) -> Result<Self, NotABlobKey> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() == 3 && parts.iter().all(|part| is_plain_name(part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotABlobKey(text.to_owned()))
        }
    }

    /// The key as text, relative to the storage root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory and the name in it.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::BlobKey;

    #[test]
    fn a_key_cannot_leave_the_storage_root() {
        for text in ["../a/b", "a/../b", "a/b", "/a/b", "a//b", "a/b/c/d", "a/b/c\0", "a/b/ü", ""] {
            assert!(BlobKey::parse(text).is_err(), "{text:?}");
        }
        assert!(BlobKey::parse("user_1/images/0190.jpg").is_ok());
    }
}
