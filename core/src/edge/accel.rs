//! Handing a blob over to nginx (`X-Accel-Redirect`), which then sends it with sendfile: infra/hetzner/nginx.
//! Invariant: a request is handed over only where nginx answers it with the bytes that we would send.
//! Never decides who may read.

use super::range::{self, Ranges};
use crate::blob::{Blobs, Look};
use crate::error::{Error, Result};
use crate::model::{BlobKey, ByteSize};
use axum::http::header::{ACCEPT_RANGES, HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Method};

const X_ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
/// nginx's internal location that stands for the storage root.
const LOCATION: &str = "/_volume/";

/// Whether nginx reads this request as we do. It refuses ranges that we ignore, writes several ranges in its own way, answers
/// HEAD with a range, and knows the file's own times and tags but not ours.
pub(super) fn understands(method: &Method, request: &HeaderMap, size: ByteSize) -> bool {
    if method == Method::HEAD && request.contains_key(RANGE) {
        return false;
    }
    if request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE) {
        return false;
    }
    let Some(wanted) = request.get(RANGE) else { return true };
    let wanted = wanted.to_str().ok().filter(|text| !text.contains(','));
    wanted.is_some() && matches!(range::parse(wanted, size.bytes()), Ranges::Parts(_))
}

/// Refuses a blob that is missing or has another size: it is damaged, and nginx would not know.
pub(super) async fn require_whole(blobs: &Blobs, key: &BlobKey, size: ByteSize) -> Result<()> {
    let found = match blobs.stat(key).await? {
        Look::There(found) if found.size == size => return Ok(()),
        Look::There(found) => format!("has {} bytes", found.size),
        Look::Missing => "is gone".to_owned(),
        Look::Unreadable(reason) => reason,
    };
    Err(Error::Internal(anyhow::anyhow!("{key} {found}, its row says {size} bytes")))
}

/// Lets nginx send the blob: it adds length, range and `Accept-Ranges`, and keeps our other headers.
pub(super) fn hand_over(headers: &mut HeaderMap, key: &BlobKey) {
    headers.remove(ACCEPT_RANGES);
    // A key holds plain names only, so it is a path as it is.
    if let Ok(location) = HeaderValue::from_str(&format!("{LOCATION}{key}")) {
        headers.insert(X_ACCEL_REDIRECT, location);
    }
}

#[cfg(test)]
mod tests {
    use super::understands;
    use crate::model::ByteSize;
    use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

    #[test]
    fn only_what_nginx_reads_as_we_do_is_handed_over() {
        let check = |headers: &[(&'static str, &'static str)], expected| {
            let request = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let request = HeaderMap::from_iter(request);
            let handed_over = understands(&Method::GET, &request, ByteSize::new(1000));
            let has_range = request.contains_key("range");
            assert_eq!(understands(&Method::HEAD, &request, ByteSize::new(1000)), expected && !has_range);
            assert_eq!(handed_over, expected, "{headers:?}");
        };
        check(&[], true);
        for alike in ["bytes=0-", "bytes=5-9", "bytes=-1", "bytes=990-5000"] {
            check(&[("range", alike)], true);
        }
        check(&[("range", "bytes=0-9"), ("if-range", "\"other\"")], true);
        for different in ["bytes=0-1,5-6", "bytes=0-1,", "bytes=9-5", "items=0-1", "bytes=1000-"] {
            check(&[("range", different)], false);
        }
        check(&[("if-match", "\"other\"")], false);
        check(&[("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT")], false);
    }
}
