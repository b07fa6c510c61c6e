//! Fills a user's storage with sample media, by the service's own front door.
//! Invariant: a sample is drawn once and kept below `.jam/`; its upload is a request that anybody could send.
//! Never writes to the volume or the database.
#![expect(clippy::disallowed_methods, reason = "this module makes the sample files, with ffmpeg's help")]

use crate::layout::Layout;
use crate::routes::Routes;
use crate::samples::{Sample, samples};
use crate::system::make_shared_directory;
use anyhow::{Context as _, Result, ensure};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A line that no sample contains.
const BOUNDARY: &str = "jam-sample-media-5f1c9a";

/// An answer about one file is far smaller.
const ANSWER_MAX: usize = 1 << 20;

/// Draws what is not drawn yet, and uploads all of it for the bearer of a token. Answers how many files that were.
pub(crate) async fn seed(layout: &Layout, routes: &Routes, authorization: &HeaderValue) -> Result<usize> {
    let directory = layout.state("samples");
    make_shared_directory(&directory)?;
    let samples = samples();
    for sample in &samples {
        let file = draw(&directory, sample).await?;
        let bytes =
            tokio::fs::read(&file).await.with_context(|| format!("failed to read {}", file.display()))?;
        let answer = send(routes, authorization, form(sample, &bytes)).await;
        let answer = answer.with_context(|| format!("failed to upload {}", sample.name))?;
        if sample.is_favorite {
            let id = answer["files"][0]["id"].as_str().context("the service does not name the file")?;
            let mark = Request::post(format!("/api/files/{id}/favorite"))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(json!({ "favorite": true }).to_string()))?;
            send(routes, authorization, mark).await?;
        }
    }
    Ok(samples.len())
}

/// Asks the `up` that runs on `url` to seed the storage of a token's user.
pub(crate) fn ask(url: &str, token: &str) -> Result<u64> {
    let runtime = tokio::runtime::Runtime::new().context("failed to start the async runtime")?;
    let answer: Value = runtime.block_on(async {
        let request = Request::post(format!("{url}/local/samples"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())?;
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await;
        let body = response.with_context(|| format!("{url} does not answer"))?.into_body();
        let bytes =
            axum::body::to_bytes(Body::new(body), ANSWER_MAX).await.context("the answer ended early")?;
        serde_json::from_slice(&bytes).context("the answer is not JSON")
    })?;
    answer["count"].as_u64().with_context(|| answer["error"].as_str().unwrap_or("refused").to_owned())
}

async fn draw(directory: &Path, sample: &Sample) -> Result<PathBuf> {
    let file = directory.join(&sample.name);
    if file.exists() {
        return Ok(file);
    }
    // Under its name only when it is whole.
    let unfinished = directory.join(format!("unfinished-{}", sample.name));
    let output = Command::new("ffmpeg")
        .args(["-y", "-nostdin", "-v", "error"])
        .args(&sample.arguments)
        .arg(&unfinished)
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to start ffmpeg")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffmpeg could not make {}: {complaint}", sample.name);
    tokio::fs::rename(&unfinished, &file)
        .await
        .with_context(|| format!("failed to keep {}", file.display()))?;
    Ok(file)
}

/// The upload of one sample, multipart (RFC 7578).
fn form(sample: &Sample, bytes: &[u8]) -> Request {
    let mut body = Vec::with_capacity(bytes.len() + 2048);
    for (name, value) in &sample.fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(head.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        sample.name
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = axum::http::Method::POST;
    *request.uri_mut() = axum::http::Uri::from_static("/api/files/upload");
    let kind = HeaderValue::from_static("multipart/form-data; boundary=jam-sample-media-5f1c9a");
    request.headers_mut().insert(header::CONTENT_TYPE, kind);
    request
}

/// Sends a request to the function it belongs to and reads its JSON.
async fn send(routes: &Routes, authorization: &HeaderValue, mut request: Request) -> Result<Value> {
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, authorization.clone());
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    let upstream = routes.find(request.method(), request.uri().path());
    let response = upstream.send(request).await?;
    let is_done = response.status().is_success();
    let bytes =
        axum::body::to_bytes(response.into_body(), ANSWER_MAX).await.context("the answer ended early")?;
    let answer: Value = serde_json::from_slice(&bytes).context("the answer is not JSON")?;
    ensure!(is_done, "{}", answer["error"].as_str().unwrap_or("the service refused"));
    Ok(answer)
}
