//! Where the tool keeps its files: below `.jam/` at the repository's root, beside the build's own directory.
//! Invariant: the same checkout always gets the same paths, whoever starts the tool from whatever directory.
//! Never reads or writes the files there.

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Unix socket paths end at 103 bytes on macOS and 107 on Linux.
const SOCKET_PATH_MAX: usize = 103;

/// `/.s.PGSQL.5432.lock` and `/jam-thumbnail.sock` are the longest names put below a socket directory.
const SOCKET_NAME_MAX: usize = 20;

/// This checkout and the names derived from it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    state: PathBuf,
}

impl Layout {
    /// Finds the checkout that the working directory is in; `state` is where it keeps its files, from its root.
    pub(crate) fn find(state: &Path) -> Result<Self> {
        let here = std::env::current_dir().context("failed to read the working directory")?;
        let root = here
            .ancestors()
            .find(|directory| directory.join("local-dev/Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside a checkout of Jam Storage", here.display()))?;
        let root = root.canonicalize().context("failed to resolve the checkout's path")?;
        Ok(Self { state: root.join(state), root })
    }

    /// A checkout that is an empty directory.
    #[cfg(test)]
    pub(crate) fn of_test(root: &Path) -> Self {
        Self { root: root.to_owned(), state: root.join(".jam") }
    }

    /// The repository's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below `.jam/`, or below the other directory that was chosen.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Twelve hex digits that tell this state from others on the machine.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.state.as_os_str().as_encoded_bytes());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// `preferred` when a unix socket and a connection string can hold it as it is, else a short path in /tmp.
    pub(crate) fn socket_directory(&self, preferred: PathBuf, label: &str) -> PathBuf {
        let bytes = preferred.as_os_str().as_encoded_bytes();
        let plain = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(b));
        if plain && bytes.len() + SOCKET_NAME_MAX <= SOCKET_PATH_MAX {
            preferred
        } else {
            PathBuf::from(format!("/tmp/jam-{}-{label}", self.fingerprint()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_path_that_a_socket_or_a_connection_string_cannot_hold_moves_to_tmp() {
        let layout = Layout::of_test(Path::new("/home/dev/jam"));
        let short = PathBuf::from("/home/dev/jam/.jam/run");
        assert_eq!(layout.socket_directory(short.clone(), "run"), short);
        for preferred in ["/home/a space/.jam/run", &format!("/home/{}", "x".repeat(90))] {
            let moved = layout.socket_directory(PathBuf::from(preferred), "run");
            assert!(moved.starts_with("/tmp") && moved.as_os_str().len() < 40, "{}", moved.display());
        }
    }

    #[test]
    fn two_checkouts_never_share_a_fingerprint() {
        let of = |root: &str| Layout::of_test(Path::new(root)).fingerprint();
        assert_ne!(of("/a"), of("/b"));
        assert_eq!(of("/a").len(), 12);
    }
}
