//! How long a request may wait for what is behind the service: a database that stands still must not hold it for ever.
//! Bounds the time to an answer's head; its body streams for as long as it takes. The time in which an upload waits for
//! its client does not count: `body` bounds that.

use super::allow::UPLOADS;
use crate::config::Limits;
use axum::http::Method;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A thumbnail may be requested while another request makes it, and then be made; an upload's last bytes are forced to
/// the disk.
const SLOW: u32 = 4;
/// Parts of an upload are copied into one file.
const COPYING: u32 = 15;

/// Since when a request waits for the service; clones are of the same request.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Mutex<Option<Instant>>>);

impl Waiting {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    /// The service waits for the client.
    pub(super) fn pause(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It is the service's turn.
    pub(super) fn start(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the request ends with, unless it waits for the service for longer than it may.
pub(super) async fn within<F: Future>(handling: F, waiting: &Waiting, most: Duration) -> Option<F::Output> {
    tokio::select! {
        biased;
        handled = handling => Some(handled),
        () = exceeded(waiting, most) => None,
    }
}

async fn exceeded(waiting: &Waiting, most: Duration) {
    loop {
        let due = waiting.since().unwrap_or_else(Instant::now) + most;
        tokio::time::sleep_until(due).await;
        if waiting.since().is_some_and(|since| since.elapsed() >= most) {
            return;
        }
    }
}

/// How long a request of this route may wait for the service.
pub(super) fn of(method: &Method, route: Option<&str>, limits: &Limits) -> Duration {
    let route = route.unwrap_or_default();
    let is_thumbnail = route.ends_with("/thumbnail") || route.ends_with("/{variant}");
    let takes_bytes = route.starts_with(UPLOADS) || route.ends_with("/upload");
    match *method {
        Method::POST if takes_bytes => limits.answer * COPYING,
        Method::PATCH if takes_bytes => limits.answer * SLOW,
        _ if is_thumbnail => limits.answer * SLOW,
        _ => limits.answer,
    }
}
