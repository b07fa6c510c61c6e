//! The router: a reverse proxy from one TCP port to the functions' unix sockets.
//! Invariant: bodies stream both ways in bounded memory; a function sees the request as a proxy may pass it on (RFC 9110, 7.6).
//! Never decides what a request means: a path's function comes from `routes`.

use crate::routes::Routes;
use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::UnixStream;

/// Headers that end at a proxy, beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Connects to one socket, whatever the URI.
#[derive(Clone)]
struct Socket(Arc<Path>);

impl tower::Service<Uri> for Socket {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<UnixStream>>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}

/// A function behind its unix socket, or behind its URL of the Lambda emulator.
#[derive(Clone)]
pub(crate) struct Upstream {
    name: &'static str,
    route: Route,
}

#[derive(Clone)]
enum Route {
    Socket(Client<Socket, Body>),
    Emulator(Client<HttpConnector, Body>, SocketAddr),
}

impl Upstream {
    /// Connects lazily and keeps connections open.
    pub(crate) fn new(name: &'static str, socket: &Path) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        // A request without Host must reach the function as it is, to be refused there.
        let client = builder.set_host(false).build(Socket(socket.into()));
        Self { name, route: Route::Socket(client) }
    }

    /// The function as the emulator's URLs call it.
    pub(crate) fn emulated(name: &'static str, emulator: SocketAddr) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        // Every request gets a connection of its own: the emulator ends those of requests that were given up.
        let client = builder.set_host(false).pool_max_idle_per_host(0).build_http();
        Self { name, route: Route::Emulator(client, emulator) }
    }

    /// The function's name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Sends a request for a path of this function.
    pub(crate) async fn send(&self, mut request: Request) -> Result<Response> {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.version_mut() = Version::HTTP_11;
        let (authority, path) = match &self.route {
            Route::Socket(_) => ("function".to_owned(), path.to_string()),
            Route::Emulator(_, address) => (address.to_string(), format!("/lambda-url/{}{path}", self.name)),
        };
        let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path);
        *request.uri_mut() = uri.build().context("failed to address the function")?;
        let response = match &self.route {
            Route::Socket(client) => client.request(request).await,
            Route::Emulator(client, _) => client.request(request).await,
        };
        Ok(response.with_context(|| format!("{} does not answer", self.name))?.map(Body::new))
    }

    /// Sends a GET, as the tool's own question to the function.
    pub(crate) async fn get(&self, path: &'static str) -> Result<Response> {
        let request = Request::get(path).header(header::HOST, "localhost").body(Body::empty())?;
        self.send(request).await
    }
}

/// Serves until dropped; the routes of `page` come before those of the functions.
pub(crate) async fn serve(listener: TcpListener, routes: Arc<Routes>, page: Router) -> Result<()> {
    listener.set_nonblocking(true).context("failed to prepare the router's socket")?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = page.fallback_service(Router::new().fallback(forward).with_state(routes));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await.context("the router ended")
}

async fn forward(
    State(routes): State<Arc<Routes>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let upstream = routes.find(request.method(), request.uri().path());
    prepare_request(&mut request, client);
    match upstream.send(request).await {
        Ok(mut response) => {
            remove_hop_by_hop(response.headers_mut());
            response
        }
        Err(error) => {
            let body =
                json!({ "success": false, "error": format!("{error:#}"), "code": "function_unavailable" });
            (StatusCode::BAD_GATEWAY, Json(body)).into_response()
        }
    }
}

fn prepare_request(request: &mut Request, client: SocketAddr) {
    // RFC 9112, 3.2.2: the authority of an absolute-form target replaces Host.
    let authority = request.uri().authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    let is_without_host =
        request.version() < Version::HTTP_11 && !request.headers().contains_key(header::HOST);
    let headers = request.headers_mut();
    if let Some(authority) = authority {
        headers.insert(header::HOST, authority);
    } else if is_without_host {
        // HTTP/1.0 knows no Host, and HTTP/1.1, in which the request goes on, needs one.
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    }
    remove_hop_by_hop(headers);
    // The server side of this proxy has answered 100-continue itself by the time the body is read.
    headers.remove(header::EXPECT);
    let hops = headers.get_all(&FORWARDED_FOR).iter().filter_map(|hop| hop.to_str().ok());
    let hops: Vec<String> = hops.map(str::to_owned).chain([client.ip().to_string()]).collect();
    if let Ok(hops) = HeaderValue::from_str(&hops.join(", ")) {
        headers.insert(FORWARDED_FOR, hops);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make their own sockets' directory")]
mod tests {
    use super::{Upstream, serve};
    use crate::routes::Routes;
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::Arc;
    use tokio::net::UnixListener;

    /// Answers with the request's head, and with how long its body was.
    async fn echo(request: Request) -> Vec<u8> {
        let mut head = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        let mut body = request.into_body().into_data_stream();
        let mut length = 0;
        while let Some(chunk) = futures_util::StreamExt::next(&mut body).await {
            length += chunk.unwrap().len();
        }
        format!("{head}body: {length}").into_bytes()
    }

    /// Routes to an echoing function while a blocking client talks to the router.
    fn with_router<T: Send + 'static>(
        name: &str,
        client: impl FnOnce(SocketAddr) -> T + Send + 'static,
    ) -> T {
        let directory = std::env::temp_dir().join(format!("jam-dev-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("socket");
        let router = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = router.local_addr().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let answer = runtime.block_on(async {
            let function = UnixListener::bind(&socket).unwrap();
            let routes = Arc::new(Routes::single(Upstream::new("echo", &socket)));
            tokio::select! {
                result = tokio::task::spawn_blocking(move || client(address)) => result.unwrap(),
                _ = axum::serve(function, Router::new().fallback(echo)).into_future() => unreachable!(),
                _ = serve(router, routes, Router::new()) => unreachable!(),
            }
        });
        std::fs::remove_dir_all(directory).unwrap();
        answer
    }

    fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> String {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_function_learns_the_caller_and_no_header_meant_for_the_proxy() {
        let head = "GET /a?b=%2F HTTP/1.1\r\nHost: files.example\r\nConnection: close, X-Secret\r\n\
                    X-Secret: 1\r\nTE: trailers\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n";
        let answer = with_router("headers", |address| exchange(address, head, b""));
        assert!(answer.contains("GET /a?b=%2F\n"), "{answer}");
        assert!(answer.contains("host: files.example\n"), "{answer}");
        assert!(answer.contains("x-forwarded-for: 9.9.9.9, 127.0.0.1\n"), "{answer}");
        assert!(!answer.contains("x-secret") && !answer.contains("te: trailers"), "{answer}");
    }

    #[test]
    fn a_request_without_host_reaches_the_function_without_one() {
        let answer = with_router("host", |address| {
            exchange(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"")
        });
        assert!(!answer.contains("host:"), "{answer}");
    }

    #[test]
    fn a_request_of_http_1_0_needs_no_host() {
        let answer = with_router("http10", |address| exchange(address, "GET /health HTTP/1.0\r\n\r\n", b""));
        assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("host: localhost\n"), "{answer}");
    }

    #[test]
    fn a_body_of_any_size_passes_through() {
        let body = vec![7; 32 << 20];
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = with_router("body", move |address| exchange(address, &head, &body));
        assert!(answer.ends_with("body: 33554432"), "{answer}");
    }

    #[tokio::test]
    async fn a_function_that_is_gone_is_an_error_that_names_it() {
        let gone = Upstream::new("jam-list", std::path::Path::new("/nowhere/jam-list.sock"));
        let error = gone.send(Request::new(Body::empty())).await.unwrap_err();
        assert_eq!(error.to_string(), "jam-list does not answer");
    }
}
