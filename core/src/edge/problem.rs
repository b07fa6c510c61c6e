//! From an error to an answer: the one place that knows HTTP status numbers.
//! A failed handler answers with the bare error attached; the outermost layer renders it, once, with the request id.

use crate::error::Error;
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Seconds after which a client may ask a part again that did not answer.
const RETRY_SECONDS: u64 = 2;

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
        Error::AdminOnly | Error::BadSignature => StatusCode::FORBIDDEN,
        Error::NotFound | Error::ThumbnailUnavailable { .. } => StatusCode::NOT_FOUND,
        Error::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Error::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Error::Conflict { .. } => StatusCode::CONFLICT,
        Error::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Error::FileTooLarge { .. } | Error::BodyTooLarge { .. } | Error::QuotaExceeded { .. } => {
            StatusCode::PAYLOAD_TOO_LARGE
        }
        Error::TypeMismatch { .. } | Error::TypeRefused { .. } | Error::UnsupportedContentType { .. } => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        Error::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Unavailable { .. } | Error::Draining => StatusCode::SERVICE_UNAVAILABLE,
        Error::VolumeFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The whole answer: envelope, numbers that explain it, the headers its status asks for.
pub(super) fn render(error: &Error, request_id: &str, allow: Option<HeaderValue>) -> Response {
    let mut body = numbers(error);
    body.insert("success".to_owned(), json!(false));
    body.insert("error".to_owned(), json!(error.to_string()));
    body.insert("code".to_owned(), json!(error.code()));
    body.insert("requestId".to_owned(), json!(request_id));
    let retry_after_seconds = match error {
        Error::TooManyRequests { retry_after_seconds } => Some(*retry_after_seconds),
        Error::Unavailable { .. } | Error::Draining | Error::VolumeFull => Some(RETRY_SECONDS),
        _ => None,
    };
    if let Some(seconds) = retry_after_seconds {
        body.insert("retryAfter".to_owned(), json!(seconds));
    }
    let mut response = Response::new(Body::from(Value::Object(body).to_string()));
    *response.status_mut() = status(error);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = allow {
        headers.insert(ALLOW, allow);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn numbers(error: &Error) -> Map<String, Value> {
    let value = match error {
        Error::InvalidParameter { parameter, .. } => json!({ "parameter": parameter }),
        Error::FileTooLarge { max_bytes } | Error::BodyTooLarge { max_bytes } => json!({ "maxBytes": max_bytes }),
        Error::TooManyFiles { max_files } => json!({ "maxFiles": max_files }),
        Error::QuotaExceeded { total_bytes, reserved_bytes, max_bytes } => {
            json!({ "totalBytes": total_bytes, "reservedBytes": reserved_bytes, "maxBytes": max_bytes })
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
