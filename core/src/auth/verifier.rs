//! From a session token to its caller.
//! Invariant: nobody is a caller without a signature of the configured issuer; one verification is reused for a
//! minute at most, and never past `exp`.
//! Never tells a client why a token was refused.

use super::caller::Caller;
use super::claims;
use super::jwks::Jwks;
use super::rsa_key::RsaKey;
use super::token::{Refusal, Token};
use crate::clock::Clock;
use crate::config::{AuthConfig, KeySource};
use crate::error::{Error, Result};
use crate::ids::UserId;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Longest accepted token.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Verified tokens that are remembered; about 2 MiB when full.
const REMEMBERED_TOKENS: usize = 8192;
/// Longest time a verification is reused, and so the longest time a withdrawn key is still believed.
const REMEMBERED_SECONDS: i64 = 60;

/// A token that does not count, and whose it is if its signature holds and only its time has passed.
#[derive(Debug)]
pub struct Refused {
    /// The error that its sender receives.
    pub error: Error,
    /// Whose requests such tokens count as. Never a caller.
    pub user: Option<UserId>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, user: None }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Error::from(refusal).into()
    }
}

/// Checks session tokens. Clones are cheap and share keys and remembered tokens.
#[derive(Clone)]
pub struct Verifier(Arc<Kind>);

enum Kind {
    Clerk(SessionTokens),
    Static(HashMap<String, Caller>),
}

struct SessionTokens {
    rules: AuthConfig,
    clock: Clock,
    keys: Keys,
    /// By SHA-256 of the token: the tokens themselves are not kept in memory.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

enum Keys {
    Jwks(Jwks),
    Pem(Arc<RsaKey>),
}

struct Verified {
    caller: Caller,
    /// Seconds since 1970 in which this may be reused. The start guards against a clock that was set back.
    usable: Range<i64>,
}

impl Verifier {
    /// A verifier of the configured issuer's session tokens. Fetches nothing yet.
    ///
    /// # Errors
    /// A PEM that is no RSA public key of 2048 bits or more, or a key URL that is neither https nor on loopback.
    pub fn new(config: &AuthConfig, clock: Clock) -> Result<Self> {
        let keys = match &config.keys {
            KeySource::Jwks { url } => Keys::Jwks(Jwks::new(url, clock.clone())?),
            KeySource::Pem(pem) => Keys::Pem(Arc::new(RsaKey::from_pem(pem)?)),
        };
        let verified = Cache::new(REMEMBERED_TOKENS);
        Ok(Self(Arc::new(Kind::Clerk(SessionTokens { rules: config.clone(), clock, keys, verified }))))
    }

    /// For tests of other parts: each text is the token of its caller. No configuration leads here.
    pub fn fixed(callers: impl IntoIterator<Item = (String, Caller)>) -> Self {
        Self(Arc::new(Kind::Static(callers.into_iter().collect())))
    }

    /// Finds out whose token this is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] whatever is wrong with the token, [`Error::SessionPending`] if nothing is but
    /// the user has a step left, [`Error::Unavailable`] if the issuer's keys cannot be had.
    pub async fn verify(&self, token: &str) -> Result<Caller> {
        self.identify(token).await.map_err(|refused| refused.error)
    }

    /// The same, and of a refused token whose it is.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub async fn identify(&self, token: &str) -> Result<Caller, Refused> {
        match &*self.0 {
            Kind::Clerk(tokens) => tokens.verify(token).await,
            Kind::Static(callers) => callers.get(token).cloned().ok_or(Error::Unauthenticated.into()),
        }
    }
}

impl SessionTokens {
    async fn verify(&self, text: &str) -> Result<Caller, Refused> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Refusal("over 8 KiB").into());
        }
        let digest = Sha256::digest(text).into();
        if let Some(caller) = self.remembered(&digest) {
            return Ok(caller);
        }
        let token = Token::parse(text)?;
        let key = match &self.keys {
            Keys::Jwks(jwks) => jwks.key(token.kid()?).await?,
            Keys::Pem(key) => Arc::clone(key),
        };
        if !key.verifies(token.signed, &token.signature) {
            return Err(Refusal("the signature does not hold").into());
        }
        let now = self.clock.unix_seconds();
        let session = claims::check(&token.claims, &self.rules, now).map_err(|error| Refused {
            error,
            user: claims::user_of_refused(&token.claims, &self.rules, now),
        })?;
        let usable = now..session.expires_at.min(now + REMEMBERED_SECONDS);
        self.verified.insert(digest, Arc::new(Verified { caller: session.caller.clone(), usable }));
        Ok(session.caller)
    }

    fn remembered(&self, digest: &[u8; 32]) -> Option<Caller> {
        let known = self.verified.get(digest)?;
        known.usable.contains(&self.clock.unix_seconds()).then(|| known.caller.clone())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &*self.0 {
            Kind::Clerk(SessionTokens { keys: Keys::Jwks(_), .. }) => "Jwks",
            Kind::Clerk(SessionTokens { keys: Keys::Pem(_), .. }) => "Pem",
            Kind::Static(_) => "Static",
        };
        write!(f, "Verifier({kind})")
    }
}
