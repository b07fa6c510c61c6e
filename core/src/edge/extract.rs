//! What handlers take: the caller, ids, who signed. Parsed here once; handlers trust their arguments.
//! A handler without [`Caller`] is public.

use super::allow::UPLOADS;
use super::body::read_small;
use super::lambda::Invocation;
use super::peer::ClientAddress;
use crate::app::App;
use crate::auth::signed_url::SignedRequest;
use crate::auth::{Caller, Refused, bearer_token};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{ByteSize, DerivativeKind};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    /// Verifies the request's token and counts the request: for the user whose it is or was, or for the address.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match verified_caller(parts, app).await {
            Ok(caller) => {
                app.rates.request(&caller.user)?;
                app.db.require_present(&caller.user).await?;
                Ok(caller)
            }
            Err(refused) => {
                refused.count(client_address(parts), app)?;
                Err(refused.error)
            }
        }
    }
}

impl Refused {
    /// Counts a request whose token does not count: for the user whose it was, so that an office behind one address has
    /// no common budget for tokens that lapsed, or for the address.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub(super) fn count(&self, address: Option<IpAddr>, app: &App) -> Result<()> {
        match (&self.user, &self.error) {
            (Some(user), _) => app.rates.request(user),
            (None, Error::Unauthenticated | Error::SessionPending) => app.rates.anonymous(address),
            // The keys could not be had: nobody's fault.
            _ => Ok(()),
        }
    }
}

/// Counts a request that needs no caller: for the user whose token it brings, else for its address.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub(super) async fn count_anyone(parts: &mut Parts, app: &App) -> Result<()> {
    match Caller::from_request_parts(parts, app).await {
        Err(error @ Error::TooManyRequests { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// The one way from a request to its caller: whoever comes by a token comes through here, and whoever acts for somebody
/// else leaves a line. Counts nothing.
pub(super) async fn verified_caller(parts: &Parts, app: &App) -> Result<Caller, Refused> {
    let caller = app.verifier.identify(bearer_token(&parts.headers)?).await?;
    name_user(&caller.user);
    if let Some(actor) = &caller.impersonator {
        let path = without_secret(parts.uri.path());
        tracing::info!(user.id = %caller.user, actor, session = %caller.session, method = %parts.method, path, "impersonated access");
    }
    Ok(caller)
}

/// The log lines of a request name its user.
fn name_user(user: &UserId) {
    tracing::Span::current().record("user.id", user.as_str());
}

/// An upload's URL without what makes it a capability.
fn without_secret(path: &str) -> &str {
    let end = UPLOADS.len() + "/".len() + uuid::fmt::Hyphenated::LENGTH;
    if path.starts_with(UPLOADS) { path.get(..end).unwrap_or(UPLOADS) } else { path }
}

pub(super) fn client_address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().and_then(|address| address.0)
}

/// A caller with the administrator's role.
#[derive(Debug)]
pub struct Admin(pub Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.require_admin()?;
        Ok(Self(caller))
    }
}

/// A request of anyone, counted against its address.
#[derive(Debug)]
pub struct Public;

impl FromRequestParts<App> for Public {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        app.rates.anonymous(client_address(parts))?;
        Ok(Self)
    }
}

/// How many bytes of an upload one request can hold, as configured and as the gateway in front lets pass.
#[derive(Debug, Clone, Copy)]
pub struct MaxAppend(pub Option<ByteSize>);

impl FromRequestParts<App> for MaxAppend {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let passed = parts.extensions.get::<Invocation>().map(Invocation::max_append);
        Ok(Self(passed.into_iter().chain(app.config.limits.max_append).min()))
    }
}

/// A request by a signed URL (`/f/{id}/{variant}?...`) whose signature holds. Its file may be gone or its URLs revoked:
/// compare [`SignedRequest::user`](crate::auth::signed_url::SignedRequest) and its epochs with the rows.
#[derive(Debug)]
pub struct SignedBy(pub SignedRequest);

impl FromRequestParts<App> for SignedBy {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let PathFile(file) = PathFile::from_request_parts(parts, app).await?;
        let variant = parts.uri.path().rsplit('/').next().unwrap_or_default();
        match app.signer.verify(file, variant, parts.uri.query().unwrap_or_default()) {
            Ok(signed) => {
                name_user(&signed.user);
                app.rates.request(&signed.user)?;
                Ok(Self(signed))
            }
            Err(error) => {
                app.rates.anonymous(client_address(parts))?;
                Err(error)
            }
        }
    }
}

/// The `{id}` of a path as a file id; anything else is a file that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct PathFile(pub FileId);

impl FromRequestParts<App> for PathFile {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        // Another parameter may follow the id in the path.
        let named: Path<BTreeMap<String, String>> =
            Path::from_request_parts(parts, app).await.map_err(|_| Error::NotFound)?;
        named.get("id").and_then(|id| FileId::parse(id)).map(Self).ok_or(Error::NotFound)
    }
}

/// The `{kind}` of a path as a derivative's; anything else is one that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct PathDerivative(pub DerivativeKind);

impl FromRequestParts<App> for PathDerivative {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let named: Path<BTreeMap<String, String>> =
            Path::from_request_parts(parts, app).await.map_err(|_| Error::NotFound)?;
        named.get("kind").and_then(|kind| DerivativeKind::parse(kind)).map(Self).ok_or(Error::NotFound)
    }
}

/// The `{userId}` of a path; anything else is a user that does not exist.
#[derive(Debug, Clone)]
pub struct PathUser(pub UserId);

impl FromRequestParts<App> for PathUser {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let named: Path<BTreeMap<String, String>> =
            Path::from_request_parts(parts, app).await.map_err(|_| Error::NotFound)?;
        named.get("userId").and_then(|id| UserId::parse(id)).map(Self).ok_or(Error::NotFound)
    }
}

/// A webhook's delivery whose signature holds.
#[derive(Debug)]
pub struct SignedDelivery {
    /// Its id, the same when it is repeated.
    pub id: String,
    /// Its body, to the byte as it was signed.
    pub body: Bytes,
}

impl FromRequest<App> for SignedDelivery {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let (parts, body) = request.into_parts();
        // The sender of true deliveries has one address and may have many of them: only others are counted.
        Self::verified(&parts.headers, body, app).await.or_else(|error| {
            app.rates.anonymous(client_address(&parts))?;
            Err(error)
        })
    }
}

impl SignedDelivery {
    async fn verified(headers: &HeaderMap, body: Body, app: &App) -> Result<Self> {
        let verifier = app.webhooks.as_ref().ok_or(Error::NotFound)?;
        // What cannot hold is refused before its body is read.
        verifier.require_recent(headers)?;
        let body = read_small(body, app.config.limits.max_json).await?;
        let id = verifier.verify(headers, &body)?.to_owned();
        Ok(Self { id, body })
    }
}
