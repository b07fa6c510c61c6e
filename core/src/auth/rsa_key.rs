//! One RSA public key that verifies RS256 (RSASSA-PKCS1-v1_5 with SHA-256, RFC 7518 section 3.3).
//! Invariant: 2048 to 4096 bits; shorter ones are broken, longer ones cost a request too much time.

use anyhow::{Context as _, Result, ensure};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use spki::der::Decode as _;
use spki::{Document, SubjectPublicKeyInfoRef};

/// Accepted lengths of the modulus.
const MODULUS_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// A public key of the issuer.
#[derive(Debug)]
pub(super) struct RsaKey(RsaPublicKeyComponents<Vec<u8>>);

impl RsaKey {
    /// Reads a public key in PEM (`PUBLIC KEY`, RFC 7468 section 13), the form in which Clerk shows it.
    pub(super) fn from_pem(pem: &str) -> Result<Self> {
        let (label, document) = Document::from_pem(pem).context("not a key in PEM")?;
        ensure!(label == "PUBLIC KEY", "not a public key but a {label}");
        let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes()).context("not a public key")?;
        info.algorithm.assert_algorithm_oid(pkcs1::ALGORITHM_OID).context("not an RSA key")?;
        let key = info.subject_public_key.as_bytes().context("not a whole number of bytes")?;
        let key = pkcs1::RsaPublicKey::from_der(key).context("not an RSA public key")?;
        Self::from_components(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }

    /// Takes a modulus and an exponent, both big-endian.
    pub(super) fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self> {
        let modulus = without_leading_zeros(modulus);
        let bits = modulus.first().map_or(0, |top| modulus.len() as u32 * 8 - top.leading_zeros());
        ensure!(MODULUS_BITS.contains(&bits), "an RSA key of {bits} bits: only 2048 to 4096 are accepted");
        let exponent = without_leading_zeros(exponent);
        Ok(Self(RsaPublicKeyComponents { n: modulus.to_vec(), e: exponent.to_vec() }))
    }

    /// Whether this key signed exactly this text.
    pub(super) fn verifies(&self, signed: &str, signature: &[u8]) -> bool {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), signature).is_ok()
    }
}

/// Big-endian numbers may be padded, which neither the length nor ring takes well.
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    number.iter().position(|byte| *byte != 0).map_or(&[], |start| &number[start..])
}
