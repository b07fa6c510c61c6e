//! Request bodies: a guard against stalled senders, draining after an early answer, JSON within its limit.
//! Never collects a body without a bound.

use super::deadline::Waiting;
use crate::config::Limits;
use crate::error::{Error, Result};
use crate::model::ByteSize;
use axum::body::{Body, HttpBody};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// After an early answer this much of the body is read and dropped, so that the connection stays; of more the connection's
/// end reads on (`linger`).
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;
/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// The minimum rate counts only after this long, so that a slow start is no fault.
const RATE_GRACE: Duration = Duration::from_secs(30);

/// Whether a connection's client is still sending a body that nobody reads; clones are of the same connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, is_unread: bool) {
        self.0.store(is_unread, Ordering::Relaxed);
    }
}

/// A request body that fails when its sender stalls, and is drained when its reader stops early.
pub(super) struct GuardedBody {
    inner: Option<Body>,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    min_bytes_per_second: u64,
    started: Instant,
    received_bytes: u64,
    /// The client waits for `100 Continue`: without it the body never comes, so there is nothing to drain.
    awaits_continue: bool,
    unread: Unread,
    /// Paused while the next bytes are on their way.
    waiting: Waiting,
}

impl GuardedBody {
    pub(super) fn new(
        inner: Body,
        limits: &Limits,
        awaits_continue: bool,
        unread: Unread,
        waiting: Waiting,
    ) -> Self {
        Self {
            inner: Some(inner),
            idle: Box::pin(tokio::time::sleep(limits.body_idle_timeout)),
            idle_timeout: limits.body_idle_timeout,
            min_bytes_per_second: limits.body_min_rate.bytes(),
            started: Instant::now(),
            received_bytes: 0,
            awaits_continue,
            unread,
            waiting,
        }
    }

    /// Reads no more, and leaves what still comes to the connection's end.
    fn give_up(&mut self) {
        self.inner = None;
        self.unread.set(true);
        self.waiting.start();
    }

    fn is_too_slow(&self) -> bool {
        let elapsed = self.started.elapsed();
        elapsed > RATE_GRACE
            && self.received_bytes < self.min_bytes_per_second.saturating_mul(elapsed.as_secs())
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.awaits_continue = false;
        let Some(inner) = this.inner.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        if polled.is_pending() {
            this.waiting.pause()
        } else {
            this.waiting.start()
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.received_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                let deadline = Instant::now() + this.idle_timeout;
                this.idle.as_mut().reset(deadline);
                if this.is_too_slow() {
                    this.give_up();
                    return Poll::Ready(Some(Err(stalled())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.inner = None;
                Poll::Ready(end)
            }
            Poll::Pending => {
                if this.idle.as_mut().poll(cx).is_ready() {
                    this.give_up();
                    return Poll::Ready(Some(Err(stalled())));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for GuardedBody {
    #[expect(clippy::disallowed_methods, reason = "draining goes on after the answer")]
    fn drop(&mut self) {
        self.waiting.start();
        let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        self.unread.set(true);
        if !self.awaits_continue && tokio::runtime::Handle::try_current().is_ok() {
            let unread = self.unread.clone();
            tokio::spawn(async move {
                if tokio::time::timeout(DRAIN_TIME, drain(inner)).await == Ok(true) {
                    unread.set(false);
                }
            });
        }
    }
}

/// Whether the body came to its end.
async fn drain(mut body: Body) -> bool {
    let mut dropped_bytes = 0;
    while dropped_bytes < DRAIN_BYTES {
        match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => dropped_bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            None => return true,
            Some(Err(_)) => return false,
        }
    }
    false
}

fn stalled() -> axum::Error {
    axum::Error::new(io::Error::from(io::ErrorKind::TimedOut))
}

/// Why a body could not be read, in the client's terms.
pub(super) fn read_error(cause: &(dyn std::error::Error + 'static)) -> Error {
    let mut causes = std::iter::successors(Some(cause), |cause| cause.source());
    let timed_out = causes.any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
    });
    if timed_out { Error::RequestTimeout } else { Error::IncompleteBody }
}

/// Refuses a body that is compressed for its way (`Content-Encoding`): its bytes would be kept for the file's.
///
/// # Errors
/// [`Error::UnsupportedEncoding`].
pub fn require_plain(headers: &HeaderMap) -> Result<()> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let is_plain = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').all(|coding| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        })
    };
    if values.into_iter().all(is_plain) { Ok(()) } else { Err(Error::UnsupportedEncoding) }
}

/// A body's bytes as they come, for whoever takes them without knowing HTTP.
pub fn chunks(body: Body) -> Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>> {
    Box::pin(body.into_data_stream().map_err(|cause| read_error(&cause)))
}

/// Reads a small body whole, up to `max`.
///
/// # Errors
/// [`Error::BodyTooLarge`], or why it did not arrive.
pub(super) async fn read_small(body: Body, max: ByteSize) -> Result<Bytes> {
    use http_body_util::{BodyExt as _, LengthLimitError, Limited};
    if body.size_hint().lower() > max.bytes() {
        return Err(Error::BodyTooLarge { max_bytes: max });
    }
    match Limited::new(body, max.bytes() as usize).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => Err(Error::BodyTooLarge { max_bytes: max }),
        Err(cause) => Err(read_error(&*cause)),
    }
}
