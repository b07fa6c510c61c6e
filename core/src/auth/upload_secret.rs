//! The secret in the URL of a resumable upload: a client that has it may continue the upload after its token
//! has lapsed.
//! Invariant: it is kept nowhere but with its client; rows hold its digest.

use crate::error::{Error, Result};
use crate::model::Sha256Digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// 128 bits of chance, as 32 hex digits.
#[derive(Clone)]
pub struct UploadSecret(String);

impl UploadSecret {
    /// Its length in a URL.
    const CHARS: usize = 32;

    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness.
    pub fn new() -> Result<Self> {
        let mut bytes = [0; Self::CHARS / 2];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| Error::Internal(anyhow::anyhow!("the system gives no random bytes")))?;
        Ok(Self(hex::encode(bytes)))
    }

    /// One that a URL carries.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == Self::CHARS && is_hex).then(|| Self(text.to_owned()))
    }

    /// What rows keep of it. That it cannot be turned back makes comparing it safe in any time.
    #[must_use]
    pub fn hash(&self) -> Sha256Digest {
        Sha256Digest(Sha256::digest(&self.0).into())
    }

    /// The text for its URL; never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UploadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::UploadSecret;

    #[test]
    fn a_secret_survives_its_url_and_is_not_shown() {
        let (one, other) = (UploadSecret::new().unwrap(), UploadSecret::new().unwrap());
        let again = UploadSecret::parse(one.expose()).unwrap();
        assert_eq!(again.hash(), one.hash());
        assert_ne!(one.hash(), other.hash());
        assert!(!format!("{one:?}").contains(one.expose()));
        assert!(UploadSecret::parse("short").is_none() && UploadSecret::parse(&"G".repeat(32)).is_none());
    }
}
