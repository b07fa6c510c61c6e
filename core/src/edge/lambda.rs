//! AWS Lambda, or its emulator, in place of a socket: from a gateway's event to a request, from a response to an answer.
//! Invariant: a streamed body never ends in an error, which would become part of the file: it is cut off, and its length
//! tells. Never knows a route.

use super::Background;
use super::peer::Peer;
use crate::app::App;
use crate::config::{LambdaAnswers, LambdaConfig};
use crate::error::{Error, Result, chain};
use crate::model::ByteSize;
use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Request, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use lambda_http::lambda_runtime::{FunctionResponse, MetadataPrelude, StreamResponse, run_concurrent};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{LambdaEvent, RequestExt as _, service_fn};
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// What an event may hold beside its body: headers and what the gateway adds.
const EVENT_OVERHEAD_BYTES: u64 = 64 * 1024;
/// How long before Lambda would kill scheduled work it is asked to stop.
const SCHEDULE_MARGIN: Duration = Duration::from_secs(10);
/// The emulator needs a moment before it can be asked again.
const EMULATOR_PAUSE: Duration = Duration::from_millis(100);
/// An emulator that refuses so often in a row has ended.
const EMULATOR_ATTEMPTS: u32 = 20;

/// What invoked the function for this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gateway {
    /// A function URL.
    FunctionUrl,
    /// API Gateway, REST or HTTP.
    Api,
    /// An application load balancer.
    LoadBalancer,
}

/// How a request came through Lambda; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invocation {
    gateway: Gateway,
    /// The body's size in the event, where bytes that are not text take four thirds.
    body_bytes: u64,
    /// Whether the answer's size has no limit.
    is_streamed: bool,
}

/// Serves requests until the runtime's interface fails. The emulator breaks it whenever a client gives up, and does not
/// start the function again: there it is asked again until it is gone.
///
/// # Errors
/// When the interface fails.
pub async fn serve(router: Router, config: LambdaConfig) -> anyhow::Result<()> {
    let handler = service_fn(move |event| handle(router.clone(), config.answers, event));
    keep_serving(config, || run_concurrent(handler.clone())).await
}

/// Does the scheduled work for each event, whatever the event says.
pub(super) async fn serve_schedule(app: App, work: Background, config: LambdaConfig) -> anyhow::Result<()> {
    let handler = service_fn(move |event| run_schedule(app.clone(), work, event));
    keep_serving(config, || run_concurrent(handler.clone())).await
}

/// The work is asked to stop early enough to finish what it does.
async fn run_schedule(
    app: App,
    work: Background,
    event: LambdaEvent<Value>,
) -> std::result::Result<Value, Infallible> {
    let deadline = Duration::from_millis(event.context.deadline);
    let now = Duration::from_secs(app.clock.unix_seconds().unsigned_abs());
    let time = deadline.saturating_sub(now).saturating_sub(SCHEDULE_MARGIN);
    let stop = CancellationToken::new();
    let working = work(app, stop.clone());
    tokio::pin!(working);
    tokio::select! {
        () = &mut working => return Ok(Value::Null),
        () = tokio::time::sleep(time) => stop.cancel(),
    }
    working.await;
    Ok(Value::Null)
}

async fn keep_serving<F>(config: LambdaConfig, mut run: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = std::result::Result<(), lambda_http::Error>>,
{
    let mut failures = 0;
    loop {
        let started = Instant::now();
        match run().await {
            Err(error) if config.is_emulated && failures < EMULATOR_ATTEMPTS => {
                failures = if started.elapsed() < EMULATOR_PAUSE { failures + 1 } else { 0 };
                tracing::warn!(error = %chain(&*error), "the emulator broke the connection: asking again");
                tokio::time::sleep(EMULATOR_PAUSE).await;
            }
            ended => return ended.map_err(|error| anyhow!(error)).context("Lambda's runtime interface"),
        }
    }
}

async fn handle(
    router: Router,
    answers: LambdaAnswers,
    event: LambdaEvent<LambdaRequest>,
) -> std::result::Result<FunctionResponse<Value, CutOff>, lambda_http::Error> {
    let request = into_request(event.payload.into(), answers)?;
    let is_streamed = request.extensions().get::<Invocation>().is_some_and(|how| how.is_streamed);
    let mut response = router.oneshot(request).await?;
    // Without a type, gateways take bytes for text and break them.
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(octets);
    if is_streamed {
        return Ok(FunctionResponse::StreamingResponse(streamed(response)));
    }
    Ok(FunctionResponse::BufferedResponse(whole(response).await?))
}

/// The event's request with what the gateway knows about its caller. Path and query are the client's, as far as the
/// gateway left them; a stage in front of the path is dropped.
fn into_request(event: lambda_http::Request, answers: LambdaAnswers) -> anyhow::Result<Request<Body>> {
    let context = event.request_context_ref().context("an event without a context")?;
    let (gateway, source, host) = match context {
        RequestContext::ApiGatewayV1(context) => {
            (Gateway::Api, context.identity.source_ip.clone(), context.domain_name.clone())
        }
        RequestContext::ApiGatewayV2(context) => {
            let is_url = context.domain_name.as_ref().is_some_and(|name| name.contains(".lambda-url."));
            let gateway = if is_url { Gateway::FunctionUrl } else { Gateway::Api };
            (gateway, context.http.source_ip.clone(), context.domain_name.clone())
        }
        // It tells the client's address only as the last one that the request was forwarded for.
        _ => (Gateway::LoadBalancer, last_forwarded_for(event.headers()), None),
    };
    let stage = match context {
        RequestContext::ApiGatewayV2(context) => context.stage.as_deref(),
        _ => None,
    };
    let path = without_stage(event.raw_http_path(), stage);
    let target = match event.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let uri = Uri::from(PathAndQuery::try_from(target).context("a path that no URL can have")?);
    let body_bytes = match event.body() {
        lambda_http::Body::Text(text) => text.len(),
        lambda_http::Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        _ => 0,
    } as u64;
    let is_streamed = match (answers, gateway) {
        (_, Gateway::LoadBalancer) | (LambdaAnswers::Whole, _) => false,
        (LambdaAnswers::Stream, _) | (LambdaAnswers::Auto, Gateway::FunctionUrl) => true,
        (LambdaAnswers::Auto, Gateway::Api) => false,
    };
    let (mut parts, body) = event.into_parts();
    parts.uri = uri;
    parts.extensions.insert(Invocation { gateway, body_bytes, is_streamed });
    if let Some(address) = source.and_then(|source| source.parse::<IpAddr>().ok()) {
        parts.extensions.insert(Peer::Address(address.to_canonical()));
    }
    if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
        parts.headers.entry(HOST).or_insert(host);
    }
    Ok(Request::from_parts(parts, into_body(body)))
}

fn into_body(body: lambda_http::Body) -> Body {
    match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    }
}

fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

fn last_forwarded_for(headers: &HeaderMap) -> Option<String> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next().map(|address| address.trim().to_owned())
}

impl Invocation {
    /// The largest body of bytes that an event or a whole answer can hold.
    fn max_body(&self) -> ByteSize {
        let event = match self.gateway {
            Gateway::FunctionUrl | Gateway::Api => ByteSize::mib(6),
            Gateway::LoadBalancer => ByteSize::mib(1),
        };
        ByteSize::new((event.bytes() - EVENT_OVERHEAD_BYTES) / 4 * 3)
    }

    /// The largest piece of a resumable upload that surely fits.
    pub(super) fn max_append(&self) -> ByteSize {
        match self.gateway {
            Gateway::FunctionUrl | Gateway::Api => ByteSize::mib(4),
            Gateway::LoadBalancer => ByteSize::new(512 * 1024),
        }
    }

    /// Refuses what AWS would not have let through; its emulator does.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`].
    pub(super) fn admit_request(&self) -> Result<()> {
        let max_bytes = self.max_body();
        if self.body_bytes.div_ceil(4) * 3 > max_bytes.bytes() {
            return Err(Error::BodyTooLarge { max_bytes });
        }
        Ok(())
    }

    /// Refuses an answer that the gateway would replace by an error of its own.
    ///
    /// # Errors
    /// [`Error::AnswerTooLarge`].
    pub(super) fn admit_answer(&self, response: &Response) -> Result<()> {
        let max_bytes = self.max_body();
        let declared = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let declared = declared.and_then(|value| value.parse().ok()).unwrap_or(0);
        let body = response.body();
        let is_too_large = body.size_hint().lower().max(declared) > max_bytes.bytes();
        // HEAD tells the length of a body that it does not have.
        if !self.is_streamed && is_too_large && !body.is_end_stream() {
            return Err(Error::AnswerTooLarge { max_bytes });
        }
        Ok(())
    }
}

/// A body that ends where it fails.
struct CutOff(BodyDataStream);

impl Stream for CutOff {
    type Item = std::result::Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|chunk| match chunk? {
            Ok(bytes) => Some(Ok(bytes)),
            Err(error) => {
                tracing::error!(error = %chain(&error), "an answer was cut off");
                None
            }
        })
    }
}

fn streamed(response: Response) -> StreamResponse<CutOff> {
    let (parts, body) = response.into_parts();
    let stream = CutOff(body.into_data_stream());
    let headers = joined(&parts.headers);
    let metadata_prelude = MetadataPrelude { headers, status_code: parts.status, cookies: Vec::new() };
    StreamResponse { metadata_prelude, stream }
}

/// Each header once, its values as a list (RFC 9110, 5.3): gateways take one text for a name.
fn joined(headers: &HeaderMap) -> HeaderMap {
    let names = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let list = values.collect::<Vec<_>>().join(", ");
        (name.clone(), HeaderValue::try_from(list).unwrap_or_else(|_| HeaderValue::from_static("")))
    });
    names.collect()
}

/// An answer in the JSON that every gateway understands. Text stays text, because a REST API turns base64 back into bytes
/// only for the types that it is configured for.
async fn whole(response: Response) -> anyhow::Result<Value> {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.context("an answer could not be read")?;
    let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_text = content_type.starts_with(b"text/") || content_type.starts_with(b"application/json");
    let (body, is_base64) = match std::str::from_utf8(&bytes) {
        Ok(text) if is_text => (text.to_owned(), false),
        _ => (STANDARD.encode(&bytes), true),
    };
    let headers = joined(&parts.headers);
    let headers: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
        .collect();
    let listed: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    Ok(json!({
        "statusCode": parts.status.as_u16(),
        "statusDescription": parts.status.to_string(),
        "headers": headers,
        "multiValueHeaders": listed,
        "body": body,
        "isBase64Encoded": is_base64,
    }))
}

#[cfg(test)]
mod tests {
    use super::{CutOff, without_stage};
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::{StreamExt as _, stream};

    #[tokio::test]
    async fn a_body_that_fails_is_cut_off_without_a_word() {
        let chunks = [Ok(Bytes::from_static(b"good")), Err(std::io::Error::other("a secret path"))];
        let body = CutOff(Body::from_stream(stream::iter(chunks)).into_data_stream());
        let sent: Vec<Bytes> = body.map(|chunk| chunk.unwrap_or_default()).collect().await;
        assert_eq!(sent, ["good"]);
    }

    #[test]
    fn a_stage_in_front_of_the_path_is_no_part_of_it() {
        assert_eq!(without_stage("/prod/api/files", Some("prod")), "/api/files");
        assert_eq!(without_stage("/api/files", Some("prod")), "/api/files");
        assert_eq!(without_stage("/product/api", Some("prod")), "/product/api");
        assert_eq!(without_stage("/$default/x", None), "/$default/x");
        assert_eq!(without_stage("/api/files", Some("$default")), "/api/files");
    }
}
