//! The URL of a resumable upload: its id, usually with the secret that makes it a capability.
//! Never decides whose upload it is.

use super::extract::{client_address, verified_caller};
use crate::app::App;
use crate::auth::{Caller, UploadSecret};
use crate::error::{Error, Result};
use crate::ids::UploadId;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Who asks for which upload: a client that knows its secret, or a caller with a token.
///
/// Requests for an upload that is there are not counted: a client that hears 429 gives its upload up, and what counts are
/// creations and bytes. Guesses are.
#[derive(Debug)]
pub struct UploadUrl {
    /// The upload.
    pub id: UploadId,
    /// The secret, if the URL has it.
    pub secret: Option<UploadSecret>,
    /// Whose token came with it; `None` without one, or with one that has lapsed.
    pub caller: Option<Caller>,
    address: Option<IpAddr>,
}

impl UploadUrl {
    /// The last part of a URL's path: `{id}-{secret}`, or the id alone.
    #[must_use]
    pub fn parse(text: &str) -> Option<(UploadId, Option<UploadSecret>)> {
        let (id, secret) = text.split_at_checked(uuid::fmt::Hyphenated::LENGTH)?;
        let id = UploadId::parse(id)?;
        match secret.strip_prefix('-') {
            Some(secret) => Some((id, Some(UploadSecret::parse(secret)?))),
            None => secret.is_empty().then_some((id, None)),
        }
    }

    /// Counts a URL of no upload: for its caller, or without a token for the client's address.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn count_guess(&self, app: &App) -> Result<()> {
        match &self.caller {
            Some(caller) => app.rates.request(&caller.user),
            None => app.rates.anonymous(self.address),
        }
    }
}

impl FromRequestParts<App> for UploadUrl {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let named: Path<BTreeMap<String, String>> =
            Path::from_request_parts(parts, app).await.map_err(|_| Error::NotFound)?;
        let named = named.get("upload").and_then(|text| Self::parse(text));
        let address = client_address(parts);
        match (named, verified_caller(parts, app).await) {
            (Some((id, secret)), Ok(caller)) => Ok(Self { id, secret, caller: Some(caller), address }),
            // Tokens lapse within a minute, uploads take hours: the secret is enough.
            (Some((id, secret @ Some(_))), Err(_)) => Ok(Self { id, secret, caller: None, address }),
            (None, Ok(caller)) => {
                app.rates.request(&caller.user)?;
                Err(Error::NotFound)
            }
            (_, Err(refused)) => {
                refused.count(address, app)?;
                Err(refused.error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UploadUrl;

    #[test]
    fn a_url_names_an_upload_with_or_without_its_secret() {
        let id = "019a0000-0000-7000-8000-000000000000";
        assert!(matches!(UploadUrl::parse(id), Some((_, None))));
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(matches!(UploadUrl::parse(&format!("{id}-{secret}")), Some((_, Some(_)))));
        for wrong in
            ["", "ü", &id[1..], &format!("{id}-"), &format!("{id}{secret}"), &format!("{id}-{secret}0")]
        {
            assert!(UploadUrl::parse(wrong).is_none(), "{wrong}");
        }
    }
}
