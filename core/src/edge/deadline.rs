//! How long a request may wait for what is behind the service: a database that stands still must not hold it for ever.
//! Bounds the time to an answer's head; its body streams for as long as it takes.

use crate::config::Limits;
use axum::http::Method;
use std::time::Duration;

/// A picture may be asked for while another request makes it, and then be made.
const PICTURES: u32 = 4;

/// How long the request may take; `None` when its own bytes decide that, or its end takes as long as a disk does.
pub(super) fn of(method: &Method, route: Option<&str>, limits: &Limits) -> Option<Duration> {
    let route = route.unwrap_or_default();
    let is_upload = route.starts_with("/api/uploads") || route.ends_with("/upload");
    if is_upload && (method == Method::POST || method == Method::PATCH) {
        return None;
    }
    let is_picture = route.ends_with("/thumbnail") || route.ends_with("/{variant}");
    Some(if is_picture { limits.answer * PICTURES } else { limits.answer })
}
