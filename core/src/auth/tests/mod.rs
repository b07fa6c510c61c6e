//! What the identity checks promise, against real RSA keys and a real key server on loopback.

mod key_fetching;
mod session_tokens;
mod signed_urls;
mod webhooks;

use super::Verifier;
use crate::clock::Clock;
use crate::config::{AuthConfig, KeySource};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey as Pkcs1v15;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};
use std::sync::LazyLock;

const ISSUER: &str = "https://clerk.example.com";
const PARTY: &str = "https://app.example.com";

static FIRST: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("ins_first", 2048));
static SECOND: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("ins_second", 2048));
static SHORT: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::new("ins_short", 1024));

/// A key pair of the issuer.
struct SigningKey {
    kid: &'static str,
    pair: RsaPrivateKey,
}

impl SigningKey {
    fn new(kid: &'static str, bits: usize) -> Self {
        Self { kid, pair: RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).unwrap() }
    }

    fn public_pem(&self) -> String {
        self.pair.to_public_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(self.pair.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(self.pair.e().to_bytes_be()),
        })
    }

    fn header(&self) -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid, "cat": "cl_B7d4PD111AAA" })
    }

    fn token(&self, claims: &Value) -> String {
        self.token_with(&self.header(), claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string())
    }

    /// Signs the two texts as they are, valid JSON or not.
    fn token_of_text(&self, header: &str, payload: &str) -> String {
        self.token_of_parts(&URL_SAFE_NO_PAD.encode(header), &URL_SAFE_NO_PAD.encode(payload))
    }

    /// Signs the two parts as they are, valid base64url or not.
    fn token_of_parts(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = Pkcs1v15::<Sha256>::new(self.pair.clone()).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// What Clerk writes into a session token, version 2.
fn claims(now: i64) -> Value {
    json!({
        "iss": ISSUER, "azp": PARTY, "sub": "user_a", "sid": "sess_1", "sts": "active", "v": 2, "fva": [1, -1],
        "iat": now, "nbf": now - 10, "exp": now + 60,
    })
}

/// Claims with some replaced, added, or (by null) removed.
fn claims_with(now: i64, changes: Value) -> Value {
    changed(claims(now), changes)
}

fn changed(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(&name);
        } else {
            object[name] = value;
        }
    }
    object
}

fn config(keys: KeySource) -> AuthConfig {
    AuthConfig {
        issuer: ISSUER.to_owned(),
        keys,
        authorized_parties: vec!["https://other.example.com".to_owned(), PARTY.to_owned()],
        allow_missing_azp: false,
        admin_org: None,
        admin_users: Vec::new(),
    }
}

/// What a token is worth: its user, or the code of the error.
async fn verdict(verifier: &Verifier, token: &str) -> String {
    match verifier.verify(token).await {
        Ok(caller) => caller.user.to_string(),
        Err(error) => error.code().to_owned(),
    }
}

/// A verifier that holds the first key as PEM, and its clock.
fn pem_verifier() -> (Verifier, Clock) {
    let clock = Clock::manual();
    let config = config(KeySource::Pem(FIRST.public_pem()));
    (Verifier::new(&config, clock.clone()).unwrap(), clock)
}
