//! Signatures of webhooks by the Svix scheme, which Clerk uses.
//! Invariant: a delivery is believed only with a MAC over id, time and the raw body, made within five minutes.
//! Never drops repeated deliveries: the caller remembers the id, in the transaction that acts on it.

use crate::clock::Clock;
use crate::config::Secret;
use crate::error::{Error, Result};
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;

/// How far a delivery's time may lie from ours, both ways, in seconds: older ones may be replays.
const TOLERANCE_SECONDS: u64 = 5 * 60;
/// Signatures looked at in one delivery; the sender sends one per live secret.
const MAX_SIGNATURES: usize = 16;

/// Verifies deliveries of one sender.
#[derive(Clone)]
pub struct WebhookVerifier {
    mac: Hmac<Sha256>,
    clock: Clock,
}

impl WebhookVerifier {
    /// Takes the signing secret, `whsec_` and base64.
    ///
    /// # Errors
    /// A secret that is not of this form.
    pub fn new(secret: &Secret, clock: Clock) -> Result<Self> {
        let encoded =
            secret.expose().strip_prefix("whsec_").context("a webhook secret starts with whsec_")?;
        let key = STANDARD.decode(encoded).ok().filter(|key| !key.is_empty());
        let key = key.context("a webhook secret is base64 after whsec_")?;
        let mac = Hmac::new_from_slice(&key).context("a webhook secret is too long")?;
        Ok(Self { mac, clock })
    }

    /// Refuses a delivery whose headers cannot hold, whatever its body is.
    ///
    /// # Errors
    /// As [`WebhookVerifier::verify`].
    pub fn require_recent(&self, headers: &HeaderMap) -> Result<()> {
        header(headers, "svix-signature")?;
        self.recent(headers).map(drop)
    }

    /// The delivery's id and its time as they were sent, if the time is near ours.
    fn recent<'a>(&self, headers: &'a HeaderMap) -> Result<(&'a str, &'a str)> {
        let (id, timestamp) = (header(headers, "svix-id")?, header(headers, "svix-timestamp")?);
        let sent_at: i64 = timestamp.parse().map_err(|_| Error::BadSignature)?;
        if sent_at.abs_diff(self.clock.unix_seconds()) > TOLERANCE_SECONDS {
            return Err(Error::BadSignature);
        }
        Ok((id, timestamp))
    }

    /// Verifies a delivery and gives its id (`svix-id`), which stays the same when it is repeated.
    ///
    /// # Errors
    /// [`Error::BadSignature`] for a missing or malformed header, a time more than five minutes off, or when none
    /// of the signatures is ours.
    pub fn verify<'a>(&self, headers: &'a HeaderMap, body: &[u8]) -> Result<&'a str> {
        let (id, timestamp) = self.recent(headers)?;
        let mac = self.mac.clone().chain_update(id).chain_update(".").chain_update(timestamp);
        let mac = mac.chain_update(".").chain_update(body);
        let signed = header(headers, "svix-signature")?
            .split(' ')
            .take(MAX_SIGNATURES)
            .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|tag| mac.clone().verify_slice(&tag).is_ok());
        if signed { Ok(id) } else { Err(Error::BadSignature) }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Error::BadSignature)
}
