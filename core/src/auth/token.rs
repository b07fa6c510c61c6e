//! The syntax of a session token: everything that can be refused before a key is looked at.
//! Invariant: a parsed token is a canonical RS256 JWS in compact form that no two readers understand differently
//! (RFC 7515, RFC 8725). Never trusts a claim.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Longest accepted `kid`.
const MAX_KID_CHARS: usize = 128;
/// `cat` of Clerk's session tokens. Its other tokens (machines, OAuth, API keys, templates) carry other values.
const SESSION_CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];

/// Why a token was refused. For our log alone: a client sees the same answer for all of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        tracing::debug!(reason = refusal.0, "token refused");
        Self::Unauthenticated
    }
}

/// A well-formed token whose signature has not been checked.
#[derive(Debug)]
pub(super) struct Token<'a> {
    header: Map<String, Value>,
    /// The payload. Worth nothing before the signature holds.
    pub(super) claims: Map<String, Value>,
    /// The exact text that was signed.
    pub(super) signed: &'a str,
    /// The signature in base64url.
    pub(super) signature: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart and refuses what no session token looks like.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal("not three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal("not three parts"))?;
        if payload.contains('.') {
            return Err(Refusal("not three parts"));
        }
        base64url(signature)?;
        let token = Self { header: object(header)?, claims: object(payload)?, signed, signature };
        token.check_header()?;
        Ok(token)
    }

    fn check_header(&self) -> Result<(), Refusal> {
        if self.header.get("alg").and_then(Value::as_str) != Some("RS256") {
            return Err(Refusal("alg is not RS256"));
        }
        if self.header.get("typ").is_some_and(|typ| typ != "JWT") {
            return Err(Refusal("typ is not JWT"));
        }
        if self.header.contains_key("crit") {
            return Err(Refusal("crit is present"));
        }
        if self.header.get("cat").is_some_and(|cat| !SESSION_CATEGORIES.iter().any(|known| cat == known)) {
            return Err(Refusal("cat is not a session token's"));
        }
        Ok(())
    }

    /// The name of the key that signed, checked so that garbage never causes a key fetch.
    pub(super) fn kid(&self) -> Result<&str, Refusal> {
        let kid = self.header.get("kid").and_then(Value::as_str).ok_or(Refusal("kid is missing"))?;
        if is_kid(kid) { Ok(kid) } else { Err(Refusal("kid is malformed")) }
    }
}

/// Whether a text can be a `kid`: 1 to 128 characters from `[A-Za-z0-9_-]`.
pub(super) fn is_kid(text: &str) -> bool {
    (1..=MAX_KID_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Decodes base64url without padding; stray bits in the last character are refused, so that every token has one
/// spelling.
fn base64url(part: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal("not canonical base64url"))
}

fn object(part: &str) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(&base64url(part)?) {
        Ok(Unambiguous(Value::Object(object))) => Ok(object),
        Ok(_) => Err(Refusal("not a JSON object")),
        Err(_) => Err(Refusal("not JSON, or a key is there twice")),
    }
}

/// A JSON value in which no object, at any depth, has a key twice: readers disagree on which one counts.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor).map(Self)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without duplicate keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unambiguous(value))) = entries.next_entry::<String, Unambiguous>()? {
            if object.insert(key, value).is_some() {
                return Err(serde::de::Error::custom("duplicate key"));
            }
        }
        Ok(Value::Object(object))
    }
}
