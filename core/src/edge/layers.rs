//! What every request passes on its way in and out: request id, address, CORS, security headers, panics, errors, log line.
//! One layer, outermost, so that every answer of every path has the same shape. Never knows a route.

use super::allow::{self, UPLOADS};
use super::body::{GuardedBody, Unread};
use super::deadline::{self, Waiting};
use super::extract::count_anyone;
use super::lambda::Invocation;
use super::peer::{ClientAddress, Peer};
use super::problem::{self, Failure};
use crate::app::App;
use crate::error::{Error, chain};
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;

/// The header that carries a request's id, in and out.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken over from a caller.
const MAX_REQUEST_ID_CHARS: usize = 64;
/// Names and values of all headers together.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_SECONDS: u64 = 7200;

const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// What requests may carry: what the service reads, what HTTP clients add by themselves, and what the browser libraries of
/// tracing and error reporting (W3C, Zipkin, Sentry, Datadog, New Relic, Application Insights and others) add to every
/// request of a page. One that is missing here ends the page's requests before they are sent.
const ALLOWED_HEADERS: &str = "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Pragma, Prefer, Range, Repr-Digest, Tus-Resumable, Upload-Checksum, Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, Upload-Proof, X-Client-Info, X-CSRF-Token, X-HTTP-Method-Override, X-Request-Id, X-Requested-With, X-XSRF-Token, b3, baggage, Correlation-Context, elastic-apm-traceparent, newrelic, Request-Context, Request-Id, sentry-trace, traceparent, tracestate, uber-trace-id, X-Amzn-Trace-Id, X-B3-Flags, X-B3-ParentSpanId, X-B3-Sampled, X-B3-SpanId, X-B3-TraceId, X-Cloud-Trace-Context, X-Correlation-Id, X-Datadog-Origin, X-Datadog-Parent-Id, X-Datadog-Sampled, X-Datadog-Sampling-Priority, X-Datadog-Tags, X-Datadog-Trace-Id, X-dtpc, X-dtReferer, X-Highlight-Request, X-Honeycomb-Trace, X-Instana-L, X-Instana-S, X-Instana-T, X-NewRelic-ID, X-NewRelic-Transaction, X-OpenReplay-Session-Id, X-PostHog-Distinct-Id, X-PostHog-Session-Id, X-PostHog-Window-Id";
const EXPOSED_HEADERS: &str = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, Location, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-File-Id, Upload-Known, Upload-Length, Upload-Limit, Upload-Metadata, Upload-Offset, X-File-Size, X-Request-Id";

/// Handles one request around the routes.
pub(super) async fn envelope(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let origin = allowed_origin(&app, request.headers());
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().copied();
    let address = client_address(&app, peer, request.headers());
    // The raw path is never logged: signed and capability URLs carry secrets.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "request",
        request.id = %request_id,
        user.id = tracing::field::Empty,
        error.code = tracing::field::Empty,
    );
    let response = respond(&app, request, address, next).instrument(span.clone()).await;
    let route = route.as_deref().unwrap_or("(none)");
    let mut response = render(response, &request_id, route, &span);
    finish_headers(&mut response, &request_id, origin);
    record(&span, &method, route, &response, started);
    response
}

async fn respond(app: &App, request: Request, address: Option<IpAddr>, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let awaits_continue = parts.headers.contains_key(header::EXPECT);
    let unread = parts.extensions.get::<Unread>().cloned().unwrap_or_default();
    let waiting = Waiting::new();
    let body = if http_body::Body::is_end_stream(&body) {
        body
    } else {
        Body::new(GuardedBody::new(body, &app.config.limits, awaits_continue, unread, waiting.clone()))
    };
    if let Err(error) = refuse_ambiguous(&parts) {
        return error.into_response();
    }
    if parts.method == Method::OPTIONS {
        // Here an OPTIONS request asks for more than what a browser may do (tus 1.0).
        let asks_for_the_protocol = parts.uri.path().starts_with(UPLOADS);
        let path = parts.extensions.get::<MatchedPath>();
        let methods = path.and_then(|path| allow::allow_with_options(path.as_str()));
        let answer = if asks_for_the_protocol {
            next.run(Request::from_parts(parts, body)).await
        } else {
            StatusCode::NO_CONTENT.into_response()
        };
        return preflight(answer, methods);
    }
    let invocation = parts.extensions.get::<Invocation>().copied();
    if let Some(Err(error)) = invocation.map(|how| how.admit_request()) {
        return error.into_response();
    }
    parts.extensions.insert(ClientAddress(address));
    let asked = asked(&parts);
    let route = parts.extensions.get::<MatchedPath>();
    let deadline = deadline::of(&parts.method, route.map(MatchedPath::as_str), &app.config.limits);
    let handling = AssertUnwindSafe(next.run(Request::from_parts(parts, body))).catch_unwind();
    let Some(handled) = deadline::within(handling, &waiting, deadline).await else {
        return Error::Unavailable { part: "database" }.into_response();
    };
    let response = handled.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Error::Internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
    });
    if is_unknown_method(&response)
        && let Err(error) = count_anyone(&mut asked.into_parts().0, app).await
    {
        return error.into_response();
    }
    match invocation.map(|how| how.admit_answer(&response)) {
        Some(Err(error)) => error.into_response(),
        _ => response,
    }
}

/// Of a request, what tells who sent it.
fn asked(parts: &Parts) -> axum::http::Request<()> {
    let mut asked = axum::http::Request::new(());
    *asked.method_mut() = parts.method.clone();
    *asked.uri_mut() = parts.uri.clone();
    if let Some(credentials) = parts.headers.get(header::AUTHORIZATION) {
        asked.headers_mut().insert(header::AUTHORIZATION, credentials.clone());
    }
    if let Some(address) = parts.extensions.get::<ClientAddress>() {
        asked.extensions_mut().insert(*address);
    }
    asked
}

/// Whether the router had no such method. Guesses at methods count as those at paths do.
fn is_unknown_method(response: &Response) -> bool {
    response.status() == StatusCode::METHOD_NOT_ALLOWED && response.extensions().get::<Failure>().is_none()
}

/// A failed handler left its error in the response: make the answer from it, and log it, once.
fn render(mut response: Response, request_id: &str, route: &str, span: &tracing::Span) -> Response {
    let failure = response.extensions_mut().remove::<Failure>().or_else(|| bare_failure(&response));
    let Some(Failure(error)) = failure else { return response };
    span.record("error.code", error.code());
    if let Error::Internal(cause) = &*error {
        span.in_scope(|| tracing::error!(error = %chain(cause.as_ref()), "request failed"));
    }
    // What inner layers said stays, such as the version of a protocol.
    let mut headers = std::mem::take(response.headers_mut());
    if let (Error::MethodNotAllowed, Some(methods)) = (&*error, allow::allow(route)) {
        headers.insert(header::ALLOW, methods);
    }
    problem::render(&error, request_id, headers)
}

/// The router's own answers to unknown paths and methods have no body.
fn bare_failure(response: &Response) -> Option<Failure> {
    let error = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => Error::MethodNotAllowed,
        StatusCode::NOT_FOUND if !response.headers().contains_key(header::CONTENT_TYPE) => Error::NotFound,
        _ => return None,
    };
    Some(Failure(Arc::new(error)))
}

/// Requests that two servers could read differently are refused: no host or two, two lengths, escaped separators in
/// the path. hyper lets them pass. HTTP/1.0 knows no Host, and load balancers ask for health in it.
fn refuse_ambiguous(parts: &Parts) -> Result<(), Error> {
    let (headers, uri) = (&parts.headers, &parts.uri);
    let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADER_BYTES {
        return Err(Error::HeadersTooLarge);
    }
    let needs_host = parts.version > Version::HTTP_10;
    if headers.get_all(header::HOST).iter().count() > 1
        || (needs_host && !headers.contains_key(header::HOST) && uri.host().is_none())
    {
        return Err(Error::invalid_body("exactly one Host header is needed"));
    }
    if let (Some(host), Some(authority)) = (headers.get(header::HOST), uri.authority())
        && host.as_bytes() != authority.as_str().as_bytes()
    {
        return Err(Error::invalid_body("the target names another host"));
    }
    let path = uri.path().to_ascii_lowercase();
    if ["%00", "%2f", "%5c", "%2e"].iter().any(|escape| path.contains(escape)) {
        return Err(Error::NotFound);
    }
    Ok(())
}

/// Completes the answer to OPTIONS: what this path has, and what any page of an allowed origin may send anywhere.
fn preflight(mut response: Response, methods: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    if let Some(methods) = methods {
        headers.insert(header::ALLOW, methods);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOWED_METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_SECONDS));
    response
}

/// The request's origin if it is one of the configured ones; never reflected otherwise.
fn allowed_origin(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let known = app.config.cors_origins.iter().any(|allowed| is_origin(allowed, origin.as_bytes()));
    known.then(|| origin.clone())
}

/// Whether an origin is the configured one, whose port `*` is any port.
fn is_origin(allowed: &str, origin: &[u8]) -> bool {
    let Some(host) = allowed.strip_suffix(":*") else { return allowed.as_bytes() == origin };
    match origin.strip_prefix(host.as_bytes()) {
        Some([]) => true,
        Some([b':', port @ ..]) => !port.is_empty() && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn finish_headers(response: &mut Response, request_id: &str, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
}

/// Takes over a caller's id when it is plain, so that a request can be followed across services.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(plain).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// The peer, or the last address in `X-Forwarded-For` that no trusted proxy wrote about itself.
fn client_address(app: &App, peer: Option<Peer>, headers: &HeaderMap) -> Option<IpAddr> {
    let trusted = &app.config.trusted_proxies;
    let direct = match peer {
        Some(Peer::Address(address)) if !trusted.addresses.contains(&address) => return Some(address),
        Some(Peer::Address(address)) => Some(address),
        Some(Peer::Unix) if trusted.unix => None,
        Some(Peer::Unix) | None => return None,
    };
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let mut hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    while let Some(address) = hops.pop().and_then(|hop| hop.parse::<IpAddr>().ok()) {
        if !trusted.addresses.contains(&address) {
            return Some(address);
        }
    }
    direct
}

fn record(span: &tracing::Span, method: &Method, route: &str, response: &Response, started: Instant) {
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let method = known_method(method);
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("jam_http_requests_total", &labels).increment(1);
    metrics::histogram!("jam_http_request_seconds", "route" => route.to_owned())
        .record(elapsed.as_secs_f64());
    let duration_ms = elapsed.as_micros() as f64 / 1000.0;
    span.in_scope(|| tracing::info!(method, route, status, duration_ms, "answered"));
}

/// A method's name if HTTP has it: whoever invents names must not make a time series of each.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_known_exactly_or_with_any_port() {
        let any = "http://localhost:*";
        for origin in ["http://localhost", "http://localhost:5173", "http://localhost:80"] {
            assert!(is_origin(any, origin.as_bytes()), "{origin}");
        }
        for foreign in [
            "http://localhost.evil.example",
            "http://localhost:",
            "http://localhost:80.evil.example",
            "http://localhost:80/",
            "https://localhost:80",
            "http://localhosts",
        ] {
            assert!(!is_origin(any, foreign.as_bytes()), "{foreign}");
        }
        assert!(is_origin("https://a.example", b"https://a.example"));
        assert!(!is_origin("https://a.example", b"https://a.example:443"));
    }
}
