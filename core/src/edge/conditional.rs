//! Conditional requests of RFC 9110 section 13: `If-Match`, `If-None-Match`, `If-Modified-Since`,
//! `If-Unmodified-Since`, `If-Range`.
//! Pure: headers and validators in, a decision out.

use crate::model::{File, Sha256Digest};
use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use std::time::SystemTime;
use time::OffsetDateTime;

/// What stands in a tag of metadata between the version of the file's row and what is made from the file.
const VERSION_END: char = '+';

/// What identifies a representation.
#[derive(Debug, Clone)]
pub struct Validators {
    /// A strong entity tag, quotes included.
    pub etag: String,
    /// When it changed last.
    pub last_modified: OffsetDateTime,
}

impl Validators {
    /// Of a file's metadata: they change with every change of its row, and with what is made from it.
    #[must_use]
    pub fn of_metadata(file: &File) -> Self {
        let micros = file.updated_at.unix_timestamp_nanos() / 1000;
        let mut etag = format!("\"{}-{micros}{VERSION_END}", file.id);
        for made in &file.derivatives {
            let progress = made.progress.map_or(String::new(), |percent| percent.to_string());
            etag.push_str(&format!("{}-{}{progress}.", made.kind.as_str(), made.state.as_str()));
        }
        etag.push('"');
        Self { etag, last_modified: file.updated_at }
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
            let is_same = |tag: &str| tag == "*" || tag.trim_start_matches("W/") == self.etag;
            return tags(headers, IF_NONE_MATCH).any(is_same);
        }
        let since = text(headers, IF_MODIFIED_SINCE).and_then(|value| httpdate::parse_http_date(value).ok());
        since.is_some_and(|since| system_seconds(self.last_modified) <= since)
    }

    /// Whether `If-Match` allows a change; without the header everything is allowed. A thumbnail that was made
    /// meanwhile is no change that the sender could lose.
    #[must_use]
    pub fn allows_change(&self, headers: &HeaderMap) -> bool {
        // Metadata that was compressed on its way has a weak tag, which still names one version of one row.
        let is_current = |tag: &str| {
            let tag = if self.etag.contains(VERSION_END) { tag.trim_start_matches("W/") } else { tag };
            tag == "*" || version(tag) == version(&self.etag)
        };
        !headers.contains_key(IF_MATCH) || tags(headers, IF_MATCH).any(is_current)
    }

    /// Whether `If-Match` and `If-Unmodified-Since` allow a read of these bytes (RFC 9110 sections 13.1.1 and 13.1.4):
    /// whoever goes on with a download must not get the end of another file.
    #[must_use]
    pub fn allows_read(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_MATCH) {
            // Strong comparison: a weak tag never matches.
            return tags(headers, IF_MATCH).any(|tag| tag == "*" || tag == self.etag);
        }
        let since =
            text(headers, IF_UNMODIFIED_SINCE).and_then(|value| httpdate::parse_http_date(value).ok());
        since.is_none_or(|since| system_seconds(self.last_modified) <= since)
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

fn tags(headers: &HeaderMap, name: axum::http::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The part of a tag of metadata that tells which version of the row it is.
fn version(tag: &str) -> &str {
    tag.split(VERSION_END).next().unwrap_or(tag)
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
    fn other_bytes_than_the_client_knows_are_not_read() {
        let v = validators();
        assert!(v.allows_read(&HeaderMap::new()));
        assert!(
            v.allows_read(&headers("if-match", "\"x\", \"abc\"")) && v.allows_read(&headers("if-match", "*"))
        );
        assert!(!v.allows_read(&headers("if-match", "\"x\"")));
        assert!(!v.allows_read(&headers("if-match", "W/\"abc\"")));
        assert!(v.allows_read(&headers("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")));
        assert!(!v.allows_read(&headers("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")));
        assert!(v.allows_read(&headers("if-unmodified-since", "yesterday")));
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
    fn a_change_is_allowed_whatever_was_made_from_the_file_meanwhile() {
        let v = Validators { etag: "\"abc+default-ready.\"".to_owned(), ..validators() };
        assert!(v.allows_change(&headers("if-match", "\"abc+default-pending.\"")));
        assert!(!v.allows_change(&headers("if-match", "\"old+default-ready.\"")));
        assert!(!v.is_not_modified(&headers("if-none-match", "\"abc+default-pending.\"")));
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
