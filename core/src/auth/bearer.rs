//! Where a request carries its token: exactly one `Authorization: Bearer` header (RFC 6750 section 2.1).
//! Never a cookie, a query key or a body field.

use crate::error::{Error, Result};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The token of a request. The scheme's case does not matter (RFC 9110 section 11.1).
///
/// # Errors
/// [`Error::Unauthenticated`] for no header, for two (proxies may disagree on which one counts), or for
/// another scheme.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::Unauthenticated) };
    let text = value.to_str().map_err(|_| Error::Unauthenticated)?;
    let (scheme, token) = text.split_once(' ').ok_or(Error::Unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Error::Unauthenticated)
    }
}
