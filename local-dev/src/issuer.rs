//! The local token issuer: a key server and a token desk on loopback, in the place of Clerk.
//! Invariant: the service reaches it as it would reach Clerk, by issuer and key URL alone.
//! Never listens on anything but loopback, and never answers a page of another host.

use crate::layout::Layout;
use crate::own_pages::refuse_other_pages;
use crate::token::{SigningKey, TokenRequest};
use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where the issuer listens when nobody else does.
const PORT: u16 = 3002;

/// Longer than the service waits for keys.
const SLOW: Duration = Duration::from_secs(30);

/// How the key server misbehaves on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    None,
    Down,
    Slow,
}

#[derive(serde::Deserialize)]
struct FaultRequest {
    mode: Fault,
}

struct Keys {
    current: Arc<SigningKey>,
    /// Still published after a rotation, so that tokens given out before stay good.
    previous: Option<Arc<SigningKey>>,
    fault: Fault,
}

/// The local issuer; clones are the same issuer.
#[derive(Clone)]
pub(crate) struct Issuer {
    layout: Layout,
    keys: Arc<Mutex<Keys>>,
}

type Answer = Result<Json<Value>, (StatusCode, String)>;

impl Issuer {
    /// An issuer that signs with a key until it rotates.
    pub(crate) fn new(layout: Layout, key: SigningKey) -> Self {
        let keys = Keys { current: Arc::new(key), previous: None, fault: Fault::None };
        Self { layout, keys: Arc::new(Mutex::new(keys)) }
    }

    /// Signs a session token.
    ///
    /// # Errors
    /// The request asks for something that no token can say.
    pub(crate) fn sign(&self, request: &TokenRequest) -> Result<String> {
        let key = self.keys().current.clone();
        key.sign(request)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the issuer's usual port, or any free one.
pub(crate) fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    listener.context("failed to listen for the token issuer")
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, issuer: Issuer) -> Result<()> {
    listener.set_nonblocking(true).context("failed to prepare the issuer's socket")?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router(issuer)).await.context("the token issuer ended")
}

fn router(issuer: Issuer) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(publish))
        .route("/token", post(issue))
        .route("/rotate", post(rotate))
        .route("/fault", post(misbehave))
        .layer(middleware::from_fn(refuse_other_pages))
        .with_state(issuer)
}

async fn publish(State(issuer): State<Issuer>) -> Answer {
    let fault = issuer.keys().fault;
    match fault {
        Fault::None => {}
        Fault::Slow => tokio::time::sleep(SLOW).await,
        Fault::Down => return Err((StatusCode::SERVICE_UNAVAILABLE, "down on request".to_owned())),
    }
    let keys = issuer.keys();
    let published: Vec<_> = [Some(&keys.current), keys.previous.as_ref()].into_iter().flatten().collect();
    Ok(Json(json!({ "keys": published.iter().map(|key| key.public()).collect::<Vec<_>>() })))
}

async fn issue(State(issuer): State<Issuer>, Json(request): Json<TokenRequest>) -> Answer {
    let token = issuer.sign(&request).map_err(|error| (StatusCode::BAD_REQUEST, format!("{error:#}")))?;
    Ok(Json(json!({ "token": token })))
}

async fn rotate(State(issuer): State<Issuer>) -> Answer {
    let layout = issuer.layout.clone();
    let made = tokio::task::spawn_blocking(move || SigningKey::replace(&layout)).await;
    let key = made.map_err(anyhow::Error::from).and_then(|made| made);
    let key = key.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    let kid = key.public().common.key_id.clone();
    let mut keys = issuer.keys();
    let retired = std::mem::replace(&mut keys.current, Arc::new(key));
    keys.previous = Some(retired);
    Ok(Json(json!({ "kid": kid })))
}

async fn misbehave(State(issuer): State<Issuer>, Json(request): Json<FaultRequest>) -> StatusCode {
    issuer.keys().fault = request.mode;
    StatusCode::NO_CONTENT
}
