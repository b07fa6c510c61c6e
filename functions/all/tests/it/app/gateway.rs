//! Lambda as a function sees it: a runtime interface that hands out events and takes answers, and the gateways whose
//! events they are.
#![expect(clippy::disallowed_methods, reason = "serves the runtime interface beside the test")]

use super::Answer;
use super::process::Site;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jam_core::clock::Clock;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::{Mutex, Notify, mpsc};

/// A running function and its side of Lambda.
pub(crate) struct Function {
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Given>,
    interface: Arc<Interface>,
    process: Child,
}

/// What a function gave to the runtime interface.
struct Given {
    /// `response` or `error`.
    kind: String,
    is_streamed: bool,
    body: Bytes,
}

struct Interface {
    events: Mutex<mpsc::Receiver<String>>,
    answers: mpsc::Sender<Given>,
    /// SnapStart: notified when the function is ready to be copied, and when a copy may go on.
    is_ready: Notify,
    is_restored: Notify,
}

impl Function {
    /// Starts a binary as a Lambda function.
    pub(crate) async fn start(site: &Site, binary: &str, settings: &[(&str, &str)]) -> Self {
        let (events, queue) = mpsc::channel(1);
        let (give, answers) = mpsc::channel(1);
        let (is_ready, is_restored) = (Notify::new(), Notify::new());
        let interface =
            Arc::new(Interface { events: Mutex::new(queue), answers: give, is_ready, is_restored });
        let router = Router::new()
            .route("/2018-06-01/runtime/restore/next", get(restore))
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{kind}", post(take))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(interface.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(axum::serve(listener, router).into_future());
        let lambda = [
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", binary),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ];
        let process = site.spawn(binary, &[&lambda, settings].concat());
        Self { events, answers, interface, process }
    }

    /// Waits until the function is ready for its snapshot, with `AWS_LAMBDA_INITIALIZATION_TYPE=snap-start`.
    pub(crate) async fn ready_for_snapshot(&self) {
        let is_ready = tokio::time::timeout(Duration::from_secs(30), self.interface.is_ready.notified());
        is_ready.await.expect("the function asks to be restored");
    }

    /// Lets a function that waits for it go on, as a copy does.
    pub(crate) fn restore(&self) {
        self.interface.is_restored.notify_one();
    }

    /// Hands out an event that is no request and waits until the function is done with it.
    pub(crate) async fn invoke(&mut self, event: &Value) -> Value {
        let given = self.give(event).await;
        assert_eq!((given.kind.as_str(), given.is_streamed), ("response", false));
        serde_json::from_slice(&given.body).unwrap()
    }

    /// Sends a request through a gateway; its answer, and whether it was streamed.
    pub(crate) async fn request(&mut self, gateway: Gateway, request: &Request<'_>) -> (Answer, bool) {
        let given = self.give(&gateway.event(request)).await;
        assert_eq!(given.kind, "response", "{}", String::from_utf8_lossy(&given.body));
        let answer = if given.is_streamed { streamed(&given.body) } else { whole(&given.body) };
        (answer, given.is_streamed)
    }

    async fn give(&mut self, event: &Value) -> Given {
        self.events.send(event.to_string()).await.unwrap();
        let given = tokio::time::timeout(Duration::from_secs(30), self.answers.recv()).await;
        given.expect("the function answers").unwrap()
    }

    /// Ends the process as Lambda does, whatever it does.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }
}

async fn restore(State(interface): State<Arc<Interface>>) {
    interface.is_ready.notify_one();
    interface.is_restored.notified().await;
}

async fn next(State(interface): State<Arc<Interface>>) -> Response {
    let Some(event) = interface.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let deadline_ms = (Clock::System.unix_seconds() + 30) * 1000;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:1:function:jam".to_owned()),
    ];
    (headers, event).into_response()
}

async fn take(
    State(interface): State<Arc<Interface>>,
    Path((_, kind)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) {
    let is_streamed = headers.get("lambda-runtime-function-response-mode").is_some();
    interface.answers.send(Given { kind, is_streamed, body }).await.unwrap();
}

/// A prelude in JSON, eight NULs, the body.
fn streamed(body: &Bytes) -> Answer {
    let end = body.windows(8).position(|window| window == [0; 8]).expect("a prelude");
    let prelude: Value = serde_json::from_slice(&body[..end]).unwrap();
    answer(&prelude, body.slice(end + 8..))
}

fn whole(body: &Bytes) -> Answer {
    let whole: Value = serde_json::from_slice(body).unwrap();
    let text = whole["body"].as_str().unwrap();
    let is_base64 = whole["isBase64Encoded"] == true;
    let body = if is_base64 { STANDARD.decode(text).unwrap() } else { text.as_bytes().to_vec() };
    answer(&whole, body.into())
}

fn answer(head: &Value, body: Bytes) -> Answer {
    let headers = head["headers"].as_object().unwrap().iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
    });
    Answer { status: head["statusCode"].as_u64().unwrap() as u16, headers: headers.collect(), body }
}

/// A request as a client sends it.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// In the form in which it stands in a URL; values hold nothing that is escaped.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
    /// The client's address.
    pub(crate) from: &'a str,
}

/// What turns requests into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gateway {
    RestApi,
    HttpApi,
    FunctionUrl,
    LoadBalancer,
}

impl Gateway {
    pub(crate) const ALL: [Self; 4] = [Self::RestApi, Self::HttpApi, Self::FunctionUrl, Self::LoadBalancer];

    fn event(self, request: &Request<'_>) -> Value {
        let mut headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        headers.insert("host".to_owned(), json!("files.example.com"));
        let parameters: Map<String, Value> = request
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let mut event = match self {
            Self::RestApi => rest_api_event(request, &headers, &parameters),
            Self::HttpApi => version_2_event(request, "prod", "a1b2.execute-api.eu-central-1.amazonaws.com"),
            Self::FunctionUrl => version_2_event(request, "$default", "a1b2.lambda-url.eu-central-1.on.aws"),
            Self::LoadBalancer => {
                // The client may have sent one too: the load balancer adds what it saw.
                headers.insert("x-forwarded-for".to_owned(), json!(format!("203.0.113.9, {}", request.from)));
                json!({
                    "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/jam/1" } },
                    "httpMethod": request.method,
                    "path": request.path,
                    "queryStringParameters": parameters,
                })
            }
        };
        event["headers"] = Value::Object(headers);
        let is_text = request.headers.contains(&("content-type", "application/json"));
        event["isBase64Encoded"] = json!(!is_text && !request.body.is_empty());
        event["body"] = match (request.body.is_empty(), is_text) {
            (true, _) => Value::Null,
            (false, true) => json!(std::str::from_utf8(request.body).unwrap()),
            (false, false) => json!(STANDARD.encode(request.body)),
        };
        event
    }
}

fn rest_api_event(
    request: &Request<'_>,
    headers: &Map<String, Value>,
    parameters: &Map<String, Value>,
) -> Value {
    let listed = |map: &Map<String, Value>| -> Value {
        map.iter().map(|(name, value)| (name.clone(), json!([value]))).collect::<Map<_, _>>().into()
    };
    json!({
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "multiValueHeaders": listed(headers),
        "queryStringParameters": parameters,
        "multiValueQueryStringParameters": listed(parameters),
        "pathParameters": { "proxy": request.path.trim_start_matches('/') },
        "stageVariables": null,
        "requestContext": {
            "accountId": "1", "apiId": "a1b2", "resourceId": "r", "stage": "prod", "requestId": "q", "protocol": "HTTP/1.1",
            "resourcePath": "/{proxy+}", "httpMethod": request.method, "path": format!("/prod{}", request.path),
            "domainName": "a1b2.execute-api.eu-central-1.amazonaws.com", "requestTimeEpoch": 1,
            "identity": { "sourceIp": request.from, "userAgent": "test" },
        },
    })
}

/// API Gateway's HTTP APIs and function URLs share a form.
fn version_2_event(request: &Request<'_>, stage: &str, domain: &str) -> Value {
    let prefix = if stage == "$default" { String::new() } else { format!("/{stage}") };
    let path = format!("{prefix}{}", request.path);
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.query,
        "requestContext": {
            "accountId": "1", "apiId": "a1b2", "domainName": domain, "domainPrefix": "a1b2", "requestId": "q",
            "routeKey": "$default", "stage": stage, "time": "24/Nov/2026:12:00:00 +0000", "timeEpoch": 1,
            "http": {
                "method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": request.from, "userAgent": "test",
            },
        },
    })
}
