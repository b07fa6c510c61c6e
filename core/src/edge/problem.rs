//! From an error to an answer: the one place that knows HTTP status numbers.
//! A failed handler answers with the bare error attached; the outermost layer renders it, once, with the request id.

use crate::error::Error;
use crate::model::{ByteSize, FileType};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Seconds after which a client may ask a part again that did not answer.
const RETRY_SECONDS: u64 = 2;
/// Seconds after which an upload's other writer is likely gone.
const LOCKED_SECONDS: u64 = 1;
/// Seconds after which one of a user's many uploads may be finished.
const CROWDED_SECONDS: u64 = 60;

/// How far a resumable upload has come (tus 1.0).
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The versions of the upload protocol that are spoken here (tus 1.0).
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");

/// The error of a failed request, on its way to the layer that renders it.
#[derive(Clone)]
pub(super) struct Failure(pub(super) Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

/// The HTTP status of an error.
#[must_use]
pub fn status(error: &Error) -> StatusCode {
    match error {
        Error::InvalidParameter { .. }
        | Error::InvalidBody { .. }
        | Error::NoFiles
        | Error::TooManyFiles { .. }
        | Error::IncompleteBody
        | Error::NotStreamable => StatusCode::BAD_REQUEST,
        Error::Unauthenticated | Error::SessionPending => StatusCode::UNAUTHORIZED,
        Error::AdminOnly | Error::BadSignature | Error::JoinedUpload => StatusCode::FORBIDDEN,
        Error::NotFound | Error::ThumbnailUnavailable { .. } => StatusCode::NOT_FOUND,
        Error::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Error::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Error::Conflict { .. } | Error::OffsetMismatch { .. } => StatusCode::CONFLICT,
        Error::Gone => StatusCode::GONE,
        Error::PreconditionFailed | Error::UnsupportedVersion { .. } => StatusCode::PRECONDITION_FAILED,
        Error::FileTooLarge { .. }
        | Error::BodyTooLarge { .. }
        | Error::AnswerTooLarge { .. }
        | Error::UploadTooLong { .. }
        | Error::QuotaExceeded { .. }
        | Error::TooManyStoredFiles { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        Error::UploadLocked => StatusCode::LOCKED,
        Error::ChecksumMismatch => checksum_mismatch(),
        Error::TypeMismatch { .. }
        | Error::TypeRefused { .. }
        | Error::UnsupportedContentType { .. }
        | Error::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::TooManyRequests { .. } | Error::TooManyUploads { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Unavailable { .. } | Error::TooSlow | Error::Draining => StatusCode::SERVICE_UNAVAILABLE,
        Error::VolumeFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The status of the tus protocol's checksum extension, which no registry has.
fn checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The whole answer: envelope, numbers that explain it, the headers its status asks for.
/// `headers` are those that inner layers gave the failed response.
pub(super) fn render(error: &Error, request_id: &str, mut headers: HeaderMap) -> Response {
    let mut body = numbers(error);
    body.insert("success".to_owned(), json!(false));
    body.insert("error".to_owned(), json!(error.to_string()));
    body.insert("code".to_owned(), json!(error.code()));
    body.insert("requestId".to_owned(), json!(request_id));
    if let Some(seconds) = retry_after_seconds(error) {
        body.insert("retryAfter".to_owned(), json!(seconds));
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match error {
        Error::Unauthenticated | Error::SessionPending => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::RangeNotSatisfiable { size } => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                headers.insert(CONTENT_RANGE, value);
            }
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        Error::OffsetMismatch { offset } => {
            headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset.bytes()));
        }
        Error::UnsupportedEncoding => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Error::UnsupportedVersion { supported } => {
            headers.insert(TUS_VERSION, HeaderValue::from_static(supported));
        }
        _ => {}
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = Response::new(Body::from(Value::Object(body).to_string()));
    *response.status_mut() = status(error);
    *response.headers_mut() = headers;
    response
}

fn retry_after_seconds(error: &Error) -> Option<u64> {
    match error {
        Error::TooManyRequests { retry_after_seconds } => Some(*retry_after_seconds),
        Error::TooManyUploads { .. } => Some(CROWDED_SECONDS),
        Error::Unavailable { .. } | Error::TooSlow | Error::Draining | Error::VolumeFull => {
            Some(RETRY_SECONDS)
        }
        Error::UploadLocked => Some(LOCKED_SECONDS),
        _ => None,
    }
}

/// One error of each kind with its status, for the generated list of errors.
#[must_use]
pub fn catalogue() -> String {
    let mut text = String::from(
        "<!-- Generated by `cargo dev sync` from core/src/error.rs. -->\n# Errors\n\nEvery failure answers with \
         `{\"success\": false, \"error\", \"code\", \"requestId\"}` and the numbers that explain it. `code` never changes; \
         `error` is for a person.\n\n| status | code | numbers | for example |\n|---|---|---|---|\n",
    );
    for error in examples() {
        let mut names: Vec<String> = numbers(&error).keys().map(|name| format!("`{name}`")).collect();
        names.extend(retry_after_seconds(&error).map(|_| "`retryAfter`".to_owned()));
        let (status, code) = (status(&error).as_u16(), error.code());
        text.push_str(&format!("| {status} | `{code}` | {} | {error} |\n", names.join(", ")));
    }
    text
}

fn examples() -> Vec<Error> {
    let max_bytes = ByteSize::mib(2048);
    vec![
        Error::invalid_parameter("limit", "\"ten\" was sent, expected a whole number from 1 on"),
        Error::invalid_field("tags", "tags is a number, expected a list of texts"),
        Error::NoFiles,
        Error::TooManyFiles { max_files: 100 },
        Error::IncompleteBody,
        Error::NotStreamable,
        Error::Unauthenticated,
        Error::SessionPending,
        Error::AdminOnly,
        Error::BadSignature,
        Error::NotFound,
        Error::ThumbnailUnavailable { reason: "the image is damaged".to_owned() },
        Error::MethodNotAllowed,
        Error::RequestTimeout,
        Error::Conflict { reason: "The upload was cancelled".to_owned() },
        Error::PreconditionFailed,
        Error::RangeNotSatisfiable { size: max_bytes },
        Error::OffsetMismatch { offset: max_bytes },
        Error::Gone,
        Error::UploadLocked,
        Error::JoinedUpload,
        Error::ChecksumMismatch,
        Error::UploadTooLong { length: max_bytes },
        Error::TooManyUploads { max_open: 100 },
        Error::UnsupportedVersion { supported: "1.0.0" },
        Error::FileTooLarge { max_bytes },
        Error::BodyTooLarge { max_bytes: ByteSize::mib(1) },
        Error::AnswerTooLarge { max_bytes: ByteSize::mib(4) },
        Error::QuotaExceeded { total_bytes: max_bytes, reserved_bytes: ByteSize::ZERO, max_bytes },
        Error::TooManyStoredFiles { file_count: 1_000_000, max_files: 1_000_000 },
        Error::TypeMismatch { declared: FileType::Image, found: "a PDF document".to_owned() },
        Error::TypeRefused { found: "an HTML page".to_owned() },
        Error::UnsupportedContentType { expected: "application/json" },
        Error::UnsupportedEncoding,
        Error::TooManyRequests { retry_after_seconds: 9 },
        Error::HeadersTooLarge,
        Error::Internal(anyhow::anyhow!("the cause is in the log")),
        Error::Unavailable { part: "database" },
        Error::TooSlow,
        Error::Draining,
        Error::VolumeFull,
    ]
}

/// What explains failures, beside the fields that all have: each name with a value of its kind, for the contract.
#[must_use]
pub fn explanations() -> Map<String, Value> {
    examples().iter().flat_map(numbers).collect()
}

fn numbers(error: &Error) -> Map<String, Value> {
    let value = match error {
        Error::InvalidParameter { parameter, .. } => json!({ "parameter": parameter }),
        Error::InvalidBody { parameter: Some(parameter), .. } => json!({ "parameter": parameter }),
        Error::FileTooLarge { max_bytes }
        | Error::BodyTooLarge { max_bytes }
        | Error::AnswerTooLarge { max_bytes } => json!({ "maxBytes": max_bytes }),
        Error::TooManyFiles { max_files } => json!({ "maxFiles": max_files }),
        Error::RangeNotSatisfiable { size } => json!({ "fileSize": size }),
        Error::OffsetMismatch { offset } => json!({ "uploadOffset": offset }),
        Error::UploadTooLong { length } => json!({ "uploadLength": length }),
        Error::TooManyUploads { max_open } => json!({ "maxOpen": max_open }),
        Error::QuotaExceeded { total_bytes, reserved_bytes, max_bytes } => {
            json!({ "totalBytes": total_bytes, "reservedBytes": reserved_bytes, "maxBytes": max_bytes })
        }
        Error::TooManyStoredFiles { file_count, max_files } => {
            json!({ "fileCount": file_count, "maxFiles": max_files })
        }
        Error::TypeMismatch { declared, found } => json!({ "declared": declared, "found": found }),
        Error::TypeRefused { found } => json!({ "found": found }),
        Error::ThumbnailUnavailable { reason } => json!({ "reason": reason }),
        Error::Unavailable { part } => json!({ "part": part }),
        _ => json!({}),
    };
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::examples;
    use std::collections::BTreeSet;

    #[test]
    fn every_error_is_in_the_catalogue_under_a_code_of_its_own() {
        let source = include_str!("../error.rs");
        let codes = source.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once("=> \""));
        let known: BTreeSet<&str> = codes.filter_map(|(_, rest)| rest.split('"').next()).collect();
        let listed: BTreeSet<&str> = examples().iter().map(crate::Error::code).collect();
        assert_eq!(known, listed);
        assert_eq!(listed.len(), examples().len());
    }
}
