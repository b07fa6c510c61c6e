//! One RSA public key that verifies RS256 (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3).
//! Invariant: 2048 to 4096 bits; shorter ones are broken, longer ones cost a request too much time.

use anyhow::{Context as _, Result, ensure};
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};

/// Accepted lengths of the modulus.
const MODULUS_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// A public key of the issuer.
#[derive(Debug)]
pub(super) struct RsaKey(DecodingKey);

impl RsaKey {
    /// Reads a public key in PEM: `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    pub(super) fn from_pem(pem: &str) -> Result<Self> {
        let key = DecodingKey::from_rsa_pem(pem.as_bytes()).context("not an RSA key in PEM")?;
        let der = key.try_get_as_bytes().context("not an RSA key in PEM")?;
        let (modulus, exponent) = (DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(der)
            .context("not an RSA public key")?;
        Self::from_components(&modulus, &exponent)
    }

    /// Takes a modulus and an exponent, both big-endian.
    pub(super) fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let significant = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &modulus[at..]);
        let bits = significant.first().map_or(0, |top| significant.len() as u32 * 8 - top.leading_zeros());
        ensure!(MODULUS_BITS.contains(&bits), "an RSA key of {bits} bits: only 2048 to 4096 are accepted");
        Ok(Self(DecodingKey::from_rsa_raw_components(significant, exponent)))
    }

    /// Whether this key signed exactly this text. The signature is base64url.
    pub(super) fn verifies(&self, signed: &str, signature: &str) -> bool {
        // An error here means that the signature or the key is unusable, which proves as little as a wrong one.
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.0, Algorithm::RS256).unwrap_or(false)
    }
}
