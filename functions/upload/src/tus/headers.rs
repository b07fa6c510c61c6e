//! The protocol's headers: their names, and how each is read.
//! Invariant: a header that comes twice is refused, because two readers could disagree on which one counts; each refusal
//! names the header, what was sent in kind, and what is allowed.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jam_core::config::Limits;
use jam_core::edge::{MaxAppend, shown};
use jam_core::model::{ByteSize, Sha256Digest};
use jam_core::ops::upload::append::Checksum;
use jam_core::ops::upload::proof::Challenge;
use jam_core::{Error, Result};
use std::ops::Range;

/// The version that is spoken.
pub const VERSION: &str = "1.0.0";
/// What a piece may be checked by.
pub(super) const CHECKSUM_ALGORITHMS: &str = "sha1,sha256";
/// The media type of bytes that belong to an upload.
pub(super) const BYTES: &str = "application/offset+octet-stream";
/// Longest idempotency key.
pub const MAX_KEY_CHARS: usize = 255;

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(super) const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(super) const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
pub(super) const UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(super) const UPLOAD_FILE_ID: HeaderName = HeaderName::from_static("upload-file-id");
pub(super) const UPLOAD_KNOWN: HeaderName = HeaderName::from_static("upload-known");
pub(super) const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const UPLOAD_LIMIT: HeaderName = HeaderName::from_static("upload-limit");
pub(super) const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Refuses clients of another version of the protocol.
///
/// # Errors
/// [`Error::UnsupportedVersion`].
pub(super) fn require_version(headers: &HeaderMap) -> Result<()> {
    match text(headers, "Tus-Resumable") {
        Ok(Some(VERSION)) => Ok(()),
        _ => Err(Error::UnsupportedVersion { supported: VERSION }),
    }
}

/// Whether the body is bytes of the upload.
pub(super) fn has_bytes_type(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(BYTES)
}

/// A header's text, if it is there.
///
/// # Errors
/// [`Error::InvalidParameter`] when it comes twice or is not visible ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => {
                Err(Error::invalid_parameter(name, "it holds other characters, expected visible ASCII"))
            }
        },
        _ => Err(Error::invalid_parameter(name, "it is given more than once, expected one value")),
    }
}

/// A header's count of bytes.
///
/// # Errors
/// [`Error::InvalidParameter`] for anything but digits.
pub(super) fn bytes(headers: &HeaderMap, name: &'static str) -> Result<Option<ByteSize>> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|number| is_plain && i64::try_from(*number).is_ok());
    match number {
        Some(number) => Ok(Some(ByteSize::new(number))),
        None => Err(not(name, text, &format!("a whole number of bytes from 0 to {}", i64::MAX))),
    }
}

/// The refusal of a value that is short and no secret.
pub(super) fn not(name: &'static str, sent: &str, expected: &str) -> Error {
    let sent = if sent.is_empty() { "nothing".to_owned() } else { format!("\"{}\"", shown(sent)) };
    Error::invalid_parameter(name, format!("{sent} was sent, expected {expected}"))
}

/// How many bytes the body has, if that is known before they come.
pub(super) fn body_size(headers: &HeaderMap, is_empty: bool) -> Option<ByteSize> {
    if is_empty {
        return Some(ByteSize::ZERO);
    }
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).map(ByteSize::new)
}

/// The length of a new upload: `None` when the client does not know it yet.
///
/// # Errors
/// [`Error::InvalidParameter`] unless there is exactly one of `Upload-Length` and `Upload-Defer-Length: 1`.
pub(super) fn new_length(headers: &HeaderMap) -> Result<Option<ByteSize>> {
    match (bytes(headers, "Upload-Length")?, text(headers, "Upload-Defer-Length")?) {
        (Some(length), None) => Ok(Some(length)),
        (None, Some("1")) => Ok(None),
        (None, Some(sent)) => Err(not("Upload-Defer-Length", sent, "1")),
        (None, None) => {
            let reason = "it is missing, expected the bytes in all, or Upload-Defer-Length: 1";
            Err(Error::invalid_parameter("Upload-Length", reason))
        }
        (Some(_), Some(_)) => {
            let reason = "it was sent beside Upload-Length, expected one of the two";
            Err(Error::invalid_parameter("Upload-Defer-Length", reason))
        }
    }
}

/// What the bytes of this request must hash to.
///
/// # Errors
/// [`Error::InvalidParameter`] for an unknown algorithm or a digest that is none.
pub(super) fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>> {
    const NAME: &str = "Upload-Checksum";
    let Some(text) = text(headers, NAME)? else { return Ok(None) };
    let Some((algorithm, encoded)) = text.split_once(' ') else {
        return Err(not(NAME, text, "sha1 or sha256, a space and the digest in base64"));
    };
    let checksum = match algorithm {
        "sha1" => Checksum::Sha1(digest(NAME, encoded.trim())?),
        "sha256" => Checksum::Sha256(digest(NAME, encoded.trim())?),
        _ => return Err(not(NAME, algorithm, "sha1 or sha256 as its algorithm")),
    };
    Ok(Some(checksum))
}

/// What the whole content must hash to: the `sha-256` of `Repr-Digest` (RFC 9530). Other algorithms are not looked at.
///
/// # Errors
/// [`Error::InvalidParameter`] for a digest that is none.
pub(super) fn content_digest(headers: &HeaderMap) -> Result<Option<Sha256Digest>> {
    sha256_of(headers, "Repr-Digest")
}

/// The proof that the client has the content that its owner has stored.
///
/// # Errors
/// [`Error::InvalidParameter`] for a digest that is none.
pub(super) fn proof(headers: &HeaderMap) -> Result<Option<Sha256Digest>> {
    sha256_of(headers, "Upload-Proof")
}

fn sha256_of(headers: &HeaderMap, name: &'static str) -> Result<Option<Sha256Digest>> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    for entry in text.split(',').map(str::trim) {
        let wrong = || not(name, entry, "sha-256=: and the digest in base64 and :");
        let (algorithm, value) = entry.split_once('=').ok_or_else(wrong)?;
        if algorithm == "sha-256" {
            let encoded =
                value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(wrong)?;
            return Ok(Some(Sha256Digest(digest(name, encoded)?)));
        }
    }
    Ok(None)
}

/// A digest of `BYTES` bytes in base64.
fn digest<const BYTES: usize>(name: &'static str, encoded: &str) -> Result<[u8; BYTES]> {
    let Ok(bytes) = STANDARD.decode(encoded) else {
        return Err(not(name, encoded, &format!("a digest of {BYTES} bytes in base64")));
    };
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        let reason = format!("its digest has {} bytes, expected {BYTES}", bytes.len());
        Error::invalid_parameter(name, reason)
    })
}

/// What can be proven instead of sending the bytes.
pub(super) fn challenge_text(challenge: &Challenge) -> String {
    let Range { start, end } = challenge.range;
    format!("nonce=:{}:, range={start}-{}", STANDARD.encode(challenge.nonce), end - 1)
}

/// The client's name for this creation.
///
/// # Errors
/// [`Error::InvalidParameter`] for an empty or an endless one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(key) = text(headers, "Idempotency-Key")? else { return Ok(None) };
    if (1..=MAX_KEY_CHARS).contains(&key.len()) {
        Ok(Some(key.to_owned()))
    } else {
        let reason = format!("it has {} characters, expected 1 to {MAX_KEY_CHARS}", key.len());
        Err(Error::invalid_parameter("Idempotency-Key", reason))
    }
}

/// Whether parts can be joined: that takes as long as it takes, which bounded requests do not have.
pub(super) const fn can_join(max_append: MaxAppend) -> bool {
    max_append.0.is_none()
}

/// `Upload-Limit` in the words of the IETF's resumable uploads.
pub(super) fn limits_text(limits: &Limits, MaxAppend(max_append): MaxAppend) -> String {
    let mut text = format!("max-size={}", limits.max_file.bytes());
    if let Some(max_append) = max_append {
        text.push_str(&format!(", max-append-size={}", max_append.bytes()));
    }
    text.push_str(&format!(", max-age={}", limits.upload_idle.as_secs()));
    text
}

/// Sets a header whose text is ours, or was a header's before.
pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, checksum, content_digest, new_length};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn a_count_of_bytes_is_digits_and_nothing_else() {
        let read = |value| bytes(&headers(&[("upload-offset", value)]), "Upload-Offset");
        assert_eq!(read("70").unwrap().map(|size| size.bytes()), Some(70));
        for wrong in ["", "-1", "+1", "1.0", "0x1", "1e3", "9223372036854775808", "1 2"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert!(bytes(&headers(&[("upload-offset", "1"), ("upload-offset", "1")]), "Upload-Offset").is_err());
    }

    #[test]
    fn a_length_is_given_or_deferred_and_not_both() {
        assert!(new_length(&headers(&[("upload-length", "5")])).unwrap().is_some());
        assert!(new_length(&headers(&[("upload-defer-length", "1")])).unwrap().is_none());
        for wrong in [
            &[][..],
            &[("upload-defer-length", "2")],
            &[("upload-length", "5"), ("upload-defer-length", "1")],
        ] {
            assert!(new_length(&headers(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn digests_are_read_or_refused() {
        let sha1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
        assert!(checksum(&headers(&[("upload-checksum", sha1)])).unwrap().is_some());
        for wrong in
            ["md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1", "sha1 !"]
        {
            assert!(checksum(&headers(&[("upload-checksum", wrong)])).is_err(), "{wrong}");
        }
        let whole = "sha-512=:AA==:, sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        assert!(content_digest(&headers(&[("repr-digest", whole)])).unwrap().is_some());
        assert!(content_digest(&headers(&[("repr-digest", "sha-512=:AA==:")])).unwrap().is_none());
        assert!(content_digest(&headers(&[("repr-digest", "sha-256=AA==")])).is_err());
    }
}
