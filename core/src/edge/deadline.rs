//! How long a request may wait for the database and the volume: one that does not answer must not block it for ever.
//! Bounds the time to an answer's head; its body streams for as long as it takes.

use crate::config::Limits;
use axum::http::Method;
use std::time::Duration;

/// A request for a thumbnail may first wait for another request that makes it, and then make it itself.
const THUMBNAILS: u32 = 4;

/// How long the request may take; `None` when its own bytes decide that, or its end takes as long as a disk does.
pub(super) fn of(method: &Method, route: Option<&str>, limits: &Limits) -> Option<Duration> {
    let route = route.unwrap_or_default();
    let is_upload = route.starts_with("/api/uploads") || route.ends_with("/upload");
    if is_upload && (method == Method::POST || method == Method::PATCH) {
        return None;
    }
    let is_thumbnail = route.ends_with("/thumbnail") || route.ends_with("/{variant}");
    Some(if is_thumbnail { limits.answer * THUMBNAILS } else { limits.answer })
}
