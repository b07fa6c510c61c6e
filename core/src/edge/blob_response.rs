//! Bytes of a blob as an answer: whole, one range or several, with validators and the headers that keep them harmless.
//! Never looks a file up, never decides who may read it.

use super::accel;
use super::conditional::Validators;
use super::range::{self, Ranges};
use crate::app::App;
use crate::blob::Blobs;
use crate::error::{Error, Result};
use crate::model::{BlobKey, ByteSize};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::io;
use std::ops::Range;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Our own copy of the size: Lambda's streaming renames `Content-Length`.
const X_FILE_SIZE: HeaderName = HeaderName::from_static("x-file-size");

/// A blob to be sent.
pub struct BlobResponse {
    /// Where it is.
    pub key: BlobKey,
    /// Its size.
    pub size: ByteSize,
    /// Its media type.
    pub mime_type: String,
    /// What identifies it.
    pub validators: Validators,
    /// How a browser treats it.
    pub disposition: HeaderValue,
    /// Who may keep it for how long.
    pub cache_control: String,
}

impl BlobResponse {
    /// Answers a GET or HEAD: 200, 206 or 304. With `JAM_ACCEL=nginx` the proxy sends the bytes where it would send
    /// the same ones.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] for other bytes than the client knows, [`Error::RangeNotSatisfiable`], or when the
    /// blob cannot be read.
    pub async fn send(self, app: &App, method: &Method, request: &HeaderMap) -> Result<Response> {
        let blobs = &app.blobs;
        if !self.validators.allows_read(request) {
            return Err(Error::PreconditionFailed);
        }
        if self.validators.is_not_modified(request) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.put_validators(response.headers_mut());
            return Ok(response);
        }
        // HEAD has no ranges (RFC 9110 section 14.2).
        let is_ranged = method == Method::GET && self.validators.allows_range(request);
        let wanted = request.get(RANGE).filter(|_| is_ranged).and_then(|value| value.to_str().ok());
        let ranges = match range::parse(wanted, self.size.bytes()) {
            Ranges::Unsatisfiable => return Err(Error::RangeNotSatisfiable { size: self.size }),
            Ranges::Whole => None,
            Ranges::Parts(parts) => Some(parts),
        };
        let mut response = Response::new(Body::empty());
        self.put_headers(response.headers_mut());
        if app.config.accel && accel::understands(method, request, self.size) {
            accel::require_whole(blobs, &self.key, self.size).await?;
            accel::hand_over(response.headers_mut(), &self.key);
            return Ok(response);
        }
        let wants_body = method != Method::HEAD;
        match ranges.as_deref() {
            None => {
                let whole = 0..self.size.bytes();
                self.put_part(&mut response, blobs, whole, wants_body).await?;
            }
            Some([part]) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                put(response.headers_mut(), CONTENT_RANGE, &self.content_range(part));
                self.put_part(&mut response, blobs, part.clone(), wants_body).await?;
            }
            Some(parts) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                self.put_parts(&mut response, blobs, parts, wants_body);
            }
        }
        Ok(response)
    }

    async fn put_part(
        &self,
        response: &mut Response,
        blobs: &Blobs,
        part: Range<u64>,
        wants_body: bool,
    ) -> Result<()> {
        put(response.headers_mut(), CONTENT_LENGTH, &(part.end - part.start).to_string());
        if wants_body {
            *response.body_mut() = Body::from_stream(blobs.read(&self.key, self.size, part).await?);
        }
        Ok(())
    }

    /// `multipart/byteranges` of RFC 9110 section 14.6; each part is opened when its turn comes.
    fn put_parts(&self, response: &mut Response, blobs: &Blobs, parts: &[Range<u64>], wants_body: bool) {
        let boundary = format!("jam-{}", uuid::Uuid::new_v4().simple());
        let heads: Vec<Bytes> = parts.iter().map(|part| self.part_head(&boundary, part)).collect();
        let closing = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let content_bytes: u64 = parts.iter().map(|part| part.end - part.start).sum();
        let framing_bytes = heads.iter().map(Bytes::len).sum::<usize>() + closing.len();
        let headers = response.headers_mut();
        put(headers, CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"));
        put(headers, CONTENT_LENGTH, &(content_bytes + framing_bytes as u64).to_string());
        if !wants_body {
            return;
        }
        let (blobs, key, size) = (blobs.clone(), self.key.clone(), self.size);
        let pieces = stream::iter(heads.into_iter().zip(parts.to_vec())).then(move |(head, part)| {
            let (blobs, key) = (blobs.clone(), key.clone());
            async move {
                let content = blobs.read(&key, size, part).await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(stream::once(async { Ok(head) }).chain(content))
            }
        });
        let all = pieces.try_flatten().chain(stream::once(async { Ok(closing) }));
        *response.body_mut() = Body::from_stream(all);
    }

    fn part_head(&self, boundary: &str, part: &Range<u64>) -> Bytes {
        let content_range = self.content_range(part);
        let mime_type = &self.mime_type;
        format!("\r\n--{boundary}\r\nContent-Type: {mime_type}\r\nContent-Range: {content_range}\r\n\r\n")
            .into()
    }

    fn content_range(&self, part: &Range<u64>) -> String {
        format!("bytes {}-{}/{}", part.start, part.end - 1, self.size)
    }

    fn put_validators(&self, headers: &mut HeaderMap) {
        put(headers, ETAG, &self.validators.etag);
        put(headers, LAST_MODIFIED, &self.validators.http_date());
        put(headers, CACHE_CONTROL, &self.cache_control);
    }

    fn put_headers(&self, headers: &mut HeaderMap) {
        self.put_validators(headers);
        put(headers, CONTENT_TYPE, &self.mime_type);
        put(headers, X_FILE_SIZE, &self.size.to_string());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_DISPOSITION, self.disposition.clone());
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
