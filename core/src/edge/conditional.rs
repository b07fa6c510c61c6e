//! Conditional requests of RFC 9110 section 13: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Range`.
//! Pure: headers and validators in, a decision out.

use crate::model::{File, Sha256Digest};
use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE};
use std::time::SystemTime;
use time::OffsetDateTime;

/// What identifies a representation.
#[derive(Debug, Clone)]
pub struct Validators {
    /// A strong entity tag, quotes included.
    pub etag: String,
    /// When it changed last.
    pub last_modified: OffsetDateTime,
}

impl Validators {
    /// Of a file's metadata: they change with every change of its row.
    #[must_use]
    pub fn of_metadata(file: &File) -> Self {
        let micros = file.updated_at.unix_timestamp_nanos() / 1000;
        Self { etag: format!("\"{}-{micros}\"", file.id), last_modified: file.updated_at }
    }

    /// Of a file's bytes: they never change, so their digest is their tag.
    #[must_use]
    pub fn of_content(sha256: &Sha256Digest, stored_at: OffsetDateTime) -> Self {
        Self { etag: format!("\"{sha256}\""), last_modified: stored_at }
    }

    /// `Last-Modified` as HTTP writes dates.
    #[must_use]
    pub fn http_date(&self) -> String {
        http_date(self.last_modified)
    }

    /// Whether a GET may be answered 304.
    #[must_use]
    pub fn is_not_modified(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_NONE_MATCH) {
            // Weak comparison: a weak tag of the same text matches.
            return listed(headers, IF_NONE_MATCH, &self.etag, true);
        }
        let since = text(headers, IF_MODIFIED_SINCE).and_then(|value| httpdate::parse_http_date(value).ok());
        since.is_some_and(|since| system_seconds(self.last_modified) <= since)
    }

    /// Whether `If-Match` allows a change; without the header everything is allowed.
    #[must_use]
    pub fn allows_change(&self, headers: &HeaderMap) -> bool {
        !headers.contains_key(IF_MATCH) || listed(headers, IF_MATCH, &self.etag, false)
    }

    /// Whether `If-Range` lets a `Range` header count; without the header it does.
    #[must_use]
    pub fn allows_range(&self, headers: &HeaderMap) -> bool {
        match text(headers, IF_RANGE) {
            None => !headers.contains_key(IF_RANGE),
            Some(value) if value.starts_with('"') => value == self.etag,
            Some(value) => {
                httpdate::parse_http_date(value).is_ok_and(|date| date == system_seconds(self.last_modified))
            }
        }
    }
}

/// A time as HTTP writes dates.
#[must_use]
pub fn http_date(at: OffsetDateTime) -> String {
    httpdate::fmt_http_date(system_seconds(at))
}

/// HTTP dates have whole seconds.
fn system_seconds(at: OffsetDateTime) -> SystemTime {
    let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn listed(headers: &HeaderMap, name: axum::http::HeaderName, etag: &str, weak: bool) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag == etag || (weak && tag.strip_prefix("W/") == Some(etag)))
}

#[cfg(test)]
mod tests {
    use super::Validators;
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use time::OffsetDateTime;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    fn validators() -> Validators {
        Validators {
            etag: "\"abc\"".to_owned(),
            last_modified: OffsetDateTime::from_unix_timestamp(784_111_777).unwrap()
                + time::Duration::milliseconds(5),
        }
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let v = validators();
        assert!(v.is_not_modified(&headers("if-none-match", "\"x\", W/\"abc\"")));
        assert!(v.is_not_modified(&headers("if-none-match", "*")));
        assert!(!v.is_not_modified(&headers("if-none-match", "\"x\"")));
        assert!(v.is_not_modified(&headers("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")));
        assert!(!v.is_not_modified(&headers("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")));
        assert!(!v.is_not_modified(&headers("if-modified-since", "yesterday")));
    }

    #[test]
    fn a_range_counts_only_for_the_same_bytes() {
        let v = validators();
        assert!(v.allows_range(&HeaderMap::new()));
        assert!(v.allows_range(&headers("if-range", "\"abc\"")));
        assert!(!v.allows_range(&headers("if-range", "W/\"abc\"")));
        assert!(v.allows_range(&headers("if-range", "Sun, 06 Nov 1994 08:49:37 GMT")));
        assert!(!v.allows_range(&headers("if-range", "Sun, 06 Nov 1994 08:49:38 GMT")));
    }

    #[test]
    fn a_change_is_refused_when_the_tag_is_old() {
        let v = validators();
        assert!(
            v.allows_change(&headers("if-match", "\"abc\"")) && v.allows_change(&headers("if-match", "*"))
        );
        assert!(
            !v.allows_change(&headers("if-match", "\"old\""))
                && !v.allows_change(&headers("if-match", "W/\"abc\""))
        );
    }
}
