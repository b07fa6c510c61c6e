//! The page at `/`: the built dashboard, and what only a local installation offers it: signing in, sample media.
//! Invariant: what is below `/local` answers only to this machine's own pages; the service behind knows nothing of it.
//! Never changes what a request to the service means.

use crate::issuer::Issuer;
use crate::layout::Layout;
use crate::own_pages::refuse_other_pages;
use crate::routes::Routes;
use crate::seed::seed;
use crate::token::TokenRequest;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;
use tower_http::services::{ServeDir, ServeFile};
use tower_http::set_header::SetResponseHeaderLayer;

/// Shown where the dashboard would be.
const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Jam Storage</title>\
    <body style='font:16px/1.6 system-ui;max-width:36rem;margin:15vh auto;padding:0 1rem'>\
    <h1>The service runs.</h1><p>Its dashboard is not built, because Node.js 20 or newer was not found. \
    Install it and start <code>./local-dev/up</code> again. The API works without it.";

/// How a person proves who they are.
pub(crate) enum SignIn {
    /// By choosing a name: the local issuer believes everybody.
    Local(Issuer),
    /// By Clerk, with its publishable key.
    Clerk(String),
    /// By a token that they bring.
    Token,
}

struct Page {
    layout: Layout,
    routes: Arc<Routes>,
    sign_in: SignIn,
    /// One seeding at a time: two would draw the same files.
    seeding: Mutex<()>,
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

/// Routes of the page, to stand before those of the service.
pub(crate) fn router(layout: &Layout, routes: Arc<Routes>, sign_in: SignIn) -> Router {
    let built = built(layout);
    let page = Page { layout: layout.clone(), routes, sign_in, seeding: Mutex::new(()) };
    let local = Router::new()
        .route("/local/sign-in", get(how_to_sign_in).post(issue_token))
        .route("/local/samples", post(add_samples))
        .route_layer(middleware::from_fn(refuse_other_pages))
        .with_state(Arc::new(page));
    let shown = if built.join("index.html").is_file() {
        // Names of assets carry a hash of their content.
        let forever = SetResponseHeaderLayer::overriding(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        let assets = Router::new().fallback_service(ServeDir::new(built.join("assets"))).layer(forever);
        Router::new().route_service("/", ServeFile::new(built.join("index.html"))).nest("/assets", assets)
    } else {
        Router::new().route("/", get(Html(NOT_BUILT)))
    };
    shown.merge(local)
}

/// Where the dashboard's build puts its files.
pub(crate) fn built(layout: &Layout) -> PathBuf {
    layout.root().join("client/dashboard/dist")
}

async fn how_to_sign_in(State(page): State<Arc<Page>>) -> Json<Value> {
    Json(match &page.sign_in {
        SignIn::Local(_) => json!({ "kind": "local" }),
        SignIn::Clerk(key) => json!({ "kind": "clerk", "publishableKey": key }),
        SignIn::Token => json!({ "kind": "token" }),
    })
}

async fn issue_token(State(page): State<Arc<Page>>, Json(request): Json<TokenRequest>) -> Answer {
    let SignIn::Local(issuer) = &page.sign_in else {
        return Err(failure(StatusCode::NOT_FOUND, "Another issuer is in use."));
    };
    let signed = issuer.sign(&request);
    let token = signed.map_err(|error| failure(StatusCode::BAD_REQUEST, &format!("{error:#}")))?;
    Ok(Json(json!({ "token": token })))
}

async fn add_samples(State(page): State<Arc<Page>>, headers: HeaderMap) -> Answer {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization =
        authorization.ok_or_else(|| failure(StatusCode::UNAUTHORIZED, "Sign in to continue."))?;
    let _alone = page.seeding.lock().await;
    let seeded = seed(&page.layout, &page.routes, authorization).await;
    let count = seeded.map_err(|error| failure(StatusCode::BAD_GATEWAY, &format!("{error:#}")))?;
    Ok(Json(json!({ "success": true, "count": count })))
}

fn failure(status: StatusCode, error: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "success": false, "error": error, "code": "local" })))
}
