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
/// Longest life of a token, in seconds: a session's lives a minute, and one that is good for weeks cannot be taken back.
const MAX_LIFE_SECONDS: i64 = 24 * 60 * 60;
/// Longest name of somebody who acts for a user.
const MAX_ACTOR_CHARS: usize = 128;
/// How long after its end a token still tells whose request it came with: a computer that slept overnight.
const LAPSED_SECONDS: i64 = 24 * 3600;
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
    let is_admin = rules.admin_users.contains(&user) || has_admin_claim(claims, rules);
    let caller = Caller {
        user,
        role: if is_admin { Role::Admin } else { Role::User },
        session: session.to_owned(),
        impersonator: claims.get("act").map(actor),
    };
    Ok(Session { caller, expires_at })
}

/// Whose requests those with a refused token are: the user's, if only time or a step of signing in stands against it.
/// A token that lapsed longer ago is worth nothing, so that somebody who finds one cannot use up its user's requests.
pub(super) fn user_of_refused(claims: &Map<String, Value>, rules: &AuthConfig, now: i64) -> Option<UserId> {
    check_issuer(claims, rules).ok()?;
    let expires_at = seconds(claims, "exp").ok()??;
    check_times(claims, now.min(expires_at)).ok()?;
    let is_recent = expires_at.saturating_add(LAPSED_SECONDS) > now;
    subject(claims).ok().filter(|_| is_recent)
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
    let issued_at = seconds(claims, "iat")?;
    if issued_at.is_some_and(|from| from > latest_start) {
        return Err(Refusal("issued in the future"));
    }
    let latest_end = issued_at.unwrap_or(now).saturating_add(MAX_LIFE_SECONDS + SKEW_SECONDS);
    if expires_at > latest_end {
        return Err(Refusal("lives longer than a day"));
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

/// `act.sub` (RFC 8693, section 4.1) as far as it can stand in a log; empty when the token does not name anybody.
fn actor(act: &Value) -> String {
    let named = act.get("sub").and_then(Value::as_str).unwrap_or_default();
    named.chars().filter(char::is_ascii_graphic).take(MAX_ACTOR_CHARS).collect()
}

/// `metadata.role`, or an admin of the pinned organization. Without a pinned one organization roles mean nothing:
/// users can found organizations and are admins of their own. Each version of the token says it in claims of its own, and
/// the other version's are any text that a token template puts there.
fn has_admin_claim(claims: &Map<String, Value>, rules: &AuthConfig) -> bool {
    if claims.get("metadata").and_then(|metadata| metadata.get("role")).is_some_and(|role| role == "admin") {
        return true;
    }
    let Some(pinned) = rules.admin_org.as_deref() else { return false };
    let (organization, role, admin) = match claims.get("v").map(Value::as_i64) {
        None | Some(Some(1)) => (text(claims, "org_id"), text(claims, "org_role"), "org:admin"),
        // Its roles lack the prefix of version 1.
        Some(Some(2)) => {
            let organization = claims.get("o");
            let field = |name| organization.and_then(|o| o.get(name)).and_then(Value::as_str);
            (field("id"), field("rol"), "admin")
        }
        Some(_) => return false,
    };
    organization == Some(pinned) && role == Some(admin)
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
