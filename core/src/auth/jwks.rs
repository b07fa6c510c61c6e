//! The issuer's public keys (JWKS, RFC 7517): fetched when needed, kept, replaced when they rotate.
//! Invariant: one fetch at a time, bounded in time, size and frequency, whatever tokens arrive.
//! Never answers "bad token" when the truth is that the key server is down.
#![expect(clippy::disallowed_methods, reason = "a fetch must outlive the request that started it")]

use super::https::{HttpsClient, parse_url};
use super::rsa_key::RsaKey;
use super::token::{Refusal, is_kid};
use crate::clock::Clock;
use crate::error::{Error, Result, chain};
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// Age up to which keys are used without asking again, in seconds.
const FRESH_SECONDS: u64 = 5 * 60;
/// Age up to which keys are used while the key server is down, in seconds.
const STALE_SECONDS: u64 = 60 * 60;
/// Pause between two fetches on account of an unknown `kid`, in seconds.
const UNKNOWN_KID_PAUSE_SECONDS: u64 = 30;
/// Pause between two fetches while the key server is down, in seconds.
const RETRY_PAUSE_SECONDS: u64 = 5;
/// How long a `kid` that a fetch did not bring causes no other fetch, in seconds.
const ABSENT_SECONDS: u64 = FRESH_SECONDS;
/// Largest accepted document.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

type KeysByKid = HashMap<String, Arc<RsaKey>>;

/// The keys behind one URL.
pub(super) struct Jwks(Arc<Source>);

struct Source {
    url: Uri,
    client: HttpsClient,
    clock: Clock,
    known: Mutex<Known>,
    /// Held by the one fetch under way.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// What the fetches so far have shown. Times are seconds since 1970 and compared by distance, so that a clock set
/// back neither freezes old keys nor expires good ones.
#[derive(Default)]
struct Known {
    keys: Option<FetchedKeys>,
    last_fetch_at: Option<i64>,
    /// Each `kid` that was fetched for in vain, and when. A fetch adds one at most and drops the old ones, so the
    /// pause between fetches bounds this map.
    absent: HashMap<String, i64>,
}

struct FetchedKeys {
    by_kid: KeysByKid,
    fetched_at: i64,
}

impl Jwks {
    /// Keys behind a URL; nothing is fetched before the first [`Jwks::key`].
    pub(super) fn new(url: &str, clock: Clock) -> anyhow::Result<Self> {
        let url = parse_url(url).context("the key URL")?;
        Ok(Self(Arc::new(Source {
            url,
            client: HttpsClient::new()?,
            clock,
            known: Mutex::default(),
            fetching: Arc::default(),
        })))
    }

    /// The key of a name, fetched if need be.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if there is no such key; [`Error::Unavailable`] if nobody can say because the
    /// key server is down.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<RsaKey>> {
        if self.0.fetch_is_due(kid) && !self.0.can_do_without(kid) {
            let turn = Arc::clone(&self.0.fetching).lock_owned().await;
            // Whoever had to wait for another fetch finds the work done.
            if self.0.fetch_is_due(kid) {
                self.fetch_detached(kid, turn).await;
            }
        }
        self.0.answer(kid)
    }

    /// Fetches in a task of its own, so that a client who hangs up does not cancel the fetch for all others.
    async fn fetch_detached(&self, kid: &str, turn: OwnedMutexGuard<()>) {
        let (source, kid) = (Arc::clone(&self.0), kid.to_owned());
        let fetch = tokio::spawn(async move {
            let outcome = source.fetch().await;
            source.record(outcome, kid);
            drop(turn);
        });
        if let Err(error) = fetch.await {
            tracing::error!(error = %chain(&error), "the fetch of the issuer's keys broke off");
        }
    }
}

impl Source {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing under this lock panics, so that a poisoned one still holds audio data.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch_is_due(&self, kid: &str) -> bool {
        let now = self.clock.unix_seconds();
        let known = self.known();
        let rested_for = |seconds| known.last_fetch_at.is_none_or(|at| at.abs_diff(now) >= seconds);
        match &known.keys {
            Some(keys) if keys.fetched_at.abs_diff(now) < FRESH_SECONDS => {
                let absent = known.absent.get(kid).is_some_and(|at| at.abs_diff(now) < ABSENT_SECONDS);
                !keys.by_kid.contains_key(kid) && !absent && rested_for(UNKNOWN_KID_PAUSE_SECONDS)
            }
            _ => rested_for(RETRY_PAUSE_SECONDS),
        }
    }

    /// Whether another request is fetching already and the key at hand will do until it is done: a slow key server
    /// then holds up one request, not all.
    fn can_do_without(&self, kid: &str) -> bool {
        let now = self.clock.unix_seconds();
        let usable = self.known().keys.as_ref().is_some_and(|keys| {
            keys.fetched_at.abs_diff(now) < STALE_SECONDS && keys.by_kid.contains_key(kid)
        });
        usable && self.fetching.try_lock().is_err()
    }

    fn answer(&self, kid: &str) -> Result<Arc<RsaKey>> {
        const DOWN: Error = Error::Unavailable { part: "keys" };
        let known = self.known();
        let keys = known.keys.as_ref().ok_or(DOWN)?;
        let key = keys.by_kid.get(kid).cloned();
        match keys.fetched_at.abs_diff(self.clock.unix_seconds()) {
            ..FRESH_SECONDS => key.ok_or_else(|| Refusal("kid is unknown").into()),
            FRESH_SECONDS..STALE_SECONDS => {
                metrics::counter!("jam_jwks_stale_total").increment(1);
                // Keys this old say nothing about a name they lack: it may be the successor.
                key.ok_or(DOWN)
            }
            STALE_SECONDS.. => Err(DOWN),
        }
    }

    fn record(&self, outcome: anyhow::Result<KeysByKid>, kid: String) {
        let now = self.clock.unix_seconds();
        let mut known = self.known();
        known.last_fetch_at = Some(now);
        match outcome {
            Ok(by_kid) => {
                known.absent.retain(|_, at| at.abs_diff(now) < ABSENT_SECONDS);
                if !by_kid.contains_key(&kid) {
                    known.absent.insert(kid, now);
                }
                known.keys = Some(FetchedKeys { by_kid, fetched_at: now });
            }
            Err(error) => {
                tracing::warn!(error = %chain(error.as_ref()), "the issuer's keys cannot be fetched")
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<KeysByKid> {
        read_document(&self.client.get(&self.url, None, MAX_DOCUMENT_BYTES).await?)
    }
}

/// Takes the RSA signing keys out of a JWKS document; other keys are none of our business.
fn read_document(document: &[u8]) -> anyhow::Result<KeysByKid> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    let document: Document = serde_json::from_slice(document).context("not a JWKS document")?;
    let keys: KeysByKid = document.keys.into_iter().filter_map(read_key).collect();
    // An empty set would lock everybody out on one wrong answer: keep what there was instead.
    ensure!(!keys.is_empty(), "the JWKS document holds no RSA signing key");
    Ok(keys)
}

fn read_key(key: serde_json::Value) -> Option<(String, Arc<RsaKey>)> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        kid: String,
        r#use: Option<String>,
        alg: Option<String>,
        n: String,
        e: String,
    }
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let signs = jwk.r#use.is_none_or(|usage| usage == "sig") && jwk.alg.is_none_or(|alg| alg == "RS256");
    if jwk.kty != "RSA" || !signs || !is_kid(&jwk.kid) {
        return None;
    }
    let modulus = URL_SAFE_NO_PAD.decode(jwk.n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(jwk.e).ok()?;
    let key = RsaKey::from_components(&modulus, &exponent)
        .inspect_err(|error| tracing::warn!(kid = jwk.kid, error = %chain(error.as_ref()), "a key of the issuer is not used"))
        .ok()?;
    Some((jwk.kid, Arc::new(key)))
}
