//! Request bodies: a guard against stalled senders, draining after an early answer, JSON within its limit.
//! Never collects a body without a bound.

use crate::config::Limits;
use crate::error::{Error, Result};
use crate::model::ByteSize;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// After an early answer this much of the body is read and dropped, so that the client sees the answer instead of a
/// broken pipe.
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;
/// And for no longer than this.
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// The minimum rate counts only after this long, so that a slow start is no fault.
const RATE_GRACE: Duration = Duration::from_secs(30);

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
}

impl GuardedBody {
    pub(super) fn new(inner: Body, limits: &Limits, awaits_continue: bool) -> Self {
        Self {
            inner: Some(inner),
            idle: Box::pin(tokio::time::sleep(limits.body_idle_timeout)),
            idle_timeout: limits.body_idle_timeout,
            min_bytes_per_second: limits.body_min_rate.bytes(),
            started: Instant::now(),
            received_bytes: 0,
            awaits_continue,
        }
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
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.received_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                let deadline = Instant::now() + this.idle_timeout;
                this.idle.as_mut().reset(deadline);
                if this.is_too_slow() {
                    this.inner = None;
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
                    this.inner = None;
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
        if let Some(inner) = self.inner.take()
            && !inner.is_end_stream()
            && !self.awaits_continue
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::spawn(tokio::time::timeout(DRAIN_TIME, drain(inner)));
        }
    }
}

async fn drain(mut body: Body) {
    let mut dropped_bytes = 0;
    while dropped_bytes < DRAIN_BYTES {
        match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => dropped_bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            _ => return,
        }
    }
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
