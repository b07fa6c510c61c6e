//! The claims of a session token, checked after its signature and in a fixed order.
//! Invariant: a claim of the wrong JSON type counts as wrong, never as absent.
//! Never reads a clock: the time is an argument.

use super::caller::{Caller, Role};
use super::token::Refusal;
use crate::config::AuthConfig;
use crate::error::{Error, Result};
use crate::ids::UserId;
use serde_json::{Map, Value};

/// How far the clocks of issuer and service may differ, in seconds.
const SKEW_SECONDS: i64 = 5;
/// What `sub` of a machine's token starts with; machines have no files.
const MACHINE_PREFIX: &str = "mch_";

/// What a token proves, and until when.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) caller: Caller,
    /// `exp`, in seconds since 1970.
    pub(super) expires_at: i64,
}

/// Reads a token's claims at a time (seconds since 1970).
///
/// # Errors
/// [`Error::SessionPending`] if all else is right and the user has a step left; otherwise
/// [`Error::Unauthenticated`].
pub(super) fn check(claims: &Map<String, Value>, rules: &AuthConfig, now: i64) -> Result<Session> {
    check_issuer(claims, rules)?;
    let expires_at = check_times(claims, now)?;
    let user = subject(claims)?;
    let session = text(claims, "sid").filter(|sid| !sid.is_empty()).ok_or(Refusal("sid is missing"))?;
    if text(claims, "sts") == Some("pending") {
        return Err(Error::SessionPending);
    }
    let caller = Caller {
        user,
        role: if is_admin(claims, rules) { Role::Admin } else { Role::User },
        session: session.to_owned(),
        impersonated: claims.contains_key("act"),
    };
    Ok(Session { caller, expires_at })
}

fn check_issuer(claims: &Map<String, Value>, rules: &AuthConfig) -> Result<(), Refusal> {
    if text(claims, "iss") != Some(rules.issuer.as_str()) {
        return Err(Refusal("iss is not the configured issuer"));
    }
    if rules.authorized_parties.is_empty() {
        return Ok(());
    }
    match claims.get("azp") {
        None if rules.allow_missing_azp => Ok(()),
        None => Err(Refusal("azp is missing")),
        Some(azp) if rules.authorized_parties.iter().any(|party| azp == party) => Ok(()),
        Some(_) => Err(Refusal("azp is not an authorized party")),
    }
}

/// Checks `exp`, `nbf` and `iat`, and gives `exp`. A token from the future is refused: it was signed by a clock
/// that nobody should trust with `exp` either.
fn check_times(claims: &Map<String, Value>, now: i64) -> Result<i64, Refusal> {
    let expires_at = seconds(claims, "exp")?.ok_or(Refusal("exp is missing"))?;
    if expires_at.saturating_add(SKEW_SECONDS) <= now {
        return Err(Refusal("expired"));
    }
    let latest_start = now + SKEW_SECONDS;
    if seconds(claims, "nbf")?.is_some_and(|from| from > latest_start) {
        return Err(Refusal("not valid yet"));
    }
    if seconds(claims, "iat")?.is_some_and(|from| from > latest_start) {
        return Err(Refusal("issued in the future"));
    }
    Ok(expires_at)
}

fn subject(claims: &Map<String, Value>) -> Result<UserId, Refusal> {
    let sub = text(claims, "sub").ok_or(Refusal("sub is missing"))?;
    if sub.starts_with(MACHINE_PREFIX) {
        return Err(Refusal("sub is a machine"));
    }
    UserId::parse(sub).ok_or(Refusal("sub is not a user id"))
}

/// `metadata.role`, or an admin of the pinned organization. Without a pinned one organization roles mean nothing:
/// users can found organizations and are admins of their own.
fn is_admin(claims: &Map<String, Value>, rules: &AuthConfig) -> bool {
    if claims.get("metadata").and_then(|metadata| metadata.get("role")).is_some_and(|role| role == "admin") {
        return true;
    }
    let Some(pinned) = rules.admin_org.as_deref() else { return false };
    let (organization, role) = match claims.get("o") {
        // Version 2 of Clerk's session token; its roles lack the prefix of version 1.
        Some(o) => (o.get("id").and_then(Value::as_str), o.get("rol").and_then(Value::as_str)),
        None => (text(claims, "org_id"), text(claims, "org_role")),
    };
    organization == Some(pinned) && matches!(role, Some("admin" | "org:admin"))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// A point in time in whole seconds, as Clerk writes them; `None` if the claim is absent.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(Refusal("a time is not in whole seconds")),
    }
}
