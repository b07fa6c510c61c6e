//! A small HTTPS client for the identity provider: GET, bounded in time and size.
//! Plain http only to this machine. Never follows a redirect.

use crate::config::is_loopback_url;
use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// Longest time for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The client; clones are cheap.
#[derive(Clone)]
pub(super) struct HttpsClient(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl HttpsClient {
    /// A client that trusts the web's certificate authorities.
    pub(super) fn new() -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .context("TLS")?
            .https_or_http()
            .enable_http1()
            .build();
        // Requests are minutes apart: a kept connection would be dead, most of all on a frozen Lambda.
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)))
    }

    /// The body of a 200 answer, up to `max_bytes`.
    pub(super) async fn get(
        &self,
        url: &Uri,
        bearer: Option<&str>,
        max_bytes: usize,
    ) -> anyhow::Result<Bytes> {
        let mut request = Request::get(url);
        if let Some(token) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new())?;
        let answer = tokio::time::timeout(TIMEOUT, async {
            let response = self.0.request(request).await?;
            ensure!(response.status() == StatusCode::OK, "the server answers {}", response.status());
            let body = Limited::new(response.into_body(), max_bytes).collect().await;
            Ok(body.map_err(|error| anyhow!(error))?.to_bytes())
        });
        answer.await.context("the server is too slow")?
    }
}

/// Reads a URL that a secret or a trust decision depends on: https, or http to this machine.
pub(super) fn parse_url(url: &str) -> anyhow::Result<Uri> {
    let uri: Uri = url.parse().context("not a URL")?;
    let is_https = uri.scheme_str() == Some("https");
    ensure!(is_https || is_loopback_url(url), "must be https, or http on loopback");
    Ok(uri)
}
