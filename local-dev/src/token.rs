//! The local issuer's key and the session tokens it signs, in the shape of Clerk's.
//! Invariant: a token made here passes the service's ordinary checks or none; there is no side door.
//! Never checks a token.
#![expect(clippy::disallowed_methods, reason = "reads the issuer's own key and the time of this machine")]

use crate::layout::Layout;
use crate::system::write_secret;
use anyhow::{Context as _, Result, ensure};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// `iss` of every local token. A loopback name, which the service refuses in production; the keys' address varies.
pub(crate) const ISSUER: &str = "http://localhost/jam-dev";

/// Clerk's mark of a session token.
const SESSION_TOKEN: &str = "cl_B7d4PD111AAA";

/// A day: the service takes none that lives longer.
const LONGEST_TTL_SECONDS: i64 = 86_400;

/// What a token shall say.
#[derive(Debug, Clone, serde::Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// The user's id, such as `user_ann`
    pub(crate) user: String,
    /// The user is an administrator
    #[arg(long)]
    #[serde(default)]
    pub(crate) admin: bool,
    /// Seconds until it expires; a negative number makes an expired token
    #[arg(long, value_name = "SECONDS", default_value_t = one_hour(), allow_negative_numbers = true)]
    #[serde(default = "one_hour")]
    pub(crate) ttl: i64,
    /// The origin that asked for the token
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) azp: Option<String>,
}

fn one_hour() -> i64 {
    3600
}

/// The key that signs tokens, and its public half.
pub(crate) struct SigningKey {
    private: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// The key in `.jam/issuer-key.pem`, made at the first call.
    pub(crate) fn load_or_make(layout: &Layout) -> Result<Self> {
        match std::fs::read(layout.state("issuer-key.pem")) {
            Ok(pem) => Self::from_pem(&pem),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::replace(layout),
            Err(error) => Err(error).context("failed to read .jam/issuer-key.pem"),
        }
    }

    /// Makes a new key in place of the one in `.jam/issuer-key.pem`.
    pub(crate) fn replace(layout: &Layout) -> Result<Self> {
        let key =
            RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).context("failed to make an RSA key")?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).context("failed to write an RSA key as PEM")?;
        write_secret(&layout.state("issuer-key.pem"), &pem)?;
        Self::from_pem(pem.as_bytes())
    }

    fn from_pem(pem: &[u8]) -> Result<Self> {
        let private = EncodingKey::from_rsa_pem(pem).context(".jam/issuer-key.pem is not an RSA key")?;
        let mut public = Jwk::from_encoding_key(&private, Algorithm::RS256)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { private, public })
    }

    /// The public half, as a key server publishes it.
    pub(crate) fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs a session token.
    pub(crate) fn sign(&self, request: &TokenRequest) -> Result<String> {
        let user = request.user.as_bytes();
        let plain = user.iter().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(b));
        ensure!(plain && (1..=64).contains(&user.len()), "a user id is 1 to 64 of A-Z a-z 0-9 _ -");
        ensure!(request.ttl.abs() <= LONGEST_TTL_SECONDS, "a token lives a day at most");
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.public.common.key_id);
        header.extras.insert("cat", SESSION_TOKEN);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
        let claims = claims(request, i64::try_from(now)?);
        jsonwebtoken::encode(&header, &claims, &self.private).context("failed to sign a token")
    }
}

/// Clerk's claims, version 2: <https://clerk.com/docs/guides/sessions/session-tokens>.
fn claims(request: &TokenRequest, now: i64) -> Value {
    let expires = now + request.ttl;
    let issued = now.min(expires - 1);
    let mut claims = json!({
        "v": 2,
        "iss": ISSUER,
        "sub": request.user,
        "sid": format!("sess_{}", request.user),
        "sts": "active",
        "iat": issued,
        "nbf": issued - 10,
        "exp": expires,
    });
    if let Some(azp) = &request.azp {
        claims["azp"] = json!(azp);
    }
    if request.admin {
        claims["metadata"] = json!({ "role": "admin" });
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::{ISSUER, SigningKey, TokenRequest, claims};
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
    use serde_json::Value;

    fn request(ttl: i64) -> TokenRequest {
        TokenRequest { user: "user_ann".to_owned(), admin: true, ttl, azp: None }
    }

    fn key() -> SigningKey {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        SigningKey::from_pem(key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn a_token_verifies_against_the_published_key() {
        let key = key();
        let token = key.sign(&request(60)).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[ISSUER]);
        let public = DecodingKey::from_jwk(key.public()).unwrap();
        let decoded = jsonwebtoken::decode::<Value>(&token, &public, &validation).unwrap();
        assert_eq!(decoded.claims["sub"], "user_ann");
        assert_eq!(decoded.claims["metadata"]["role"], "admin");
        assert_eq!(decoded.header.kid, key.public().common.key_id);
    }

    #[test]
    fn an_expired_token_was_issued_before_it_expired() {
        let claims = claims(&request(-60), 1_000);
        assert_eq!(claims["exp"], 940);
        assert!(claims["iat"].as_i64() < claims["exp"].as_i64());
    }

    #[test]
    fn a_user_id_that_the_service_would_refuse_gets_no_token() {
        let key = key();
        for user in ["", "a b", "a/b", &"x".repeat(65)] {
            let request = TokenRequest { user: user.to_owned(), ..request(60) };
            assert!(key.sign(&request).is_err(), "{user:?}");
        }
    }
}
