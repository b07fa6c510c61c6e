//! A connection without an HTTP library, for what no library would send.

use super::{Answer, TestApp};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Raw<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

/// The head of an upload of a body of this length, as curl would write it; more headers may follow.
pub(crate) fn upload_head(token: &str, body_bytes: usize, more: &str) -> String {
    let content_type = super::Form::CONTENT_TYPE;
    format!(
        "POST /api/files/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {content_type}\r\nContent-Length: {body_bytes}\r\n{more}\r\n"
    )
}

impl Raw {
    /// Connects to whoever answers this method and path.
    pub(crate) async fn connect(test: &TestApp, method: &Method, path: &str) -> Self {
        Self::over(TcpStream::connect(test.doors.address(method, path)).await.unwrap())
    }

    /// Connects and starts an upload.
    pub(crate) async fn start_upload(test: &TestApp, token: &str, body_bytes: usize, more: &str) -> Self {
        let mut raw = Self::connect(test, &Method::POST, "/api/files/upload").await;
        raw.send(upload_head(token, body_bytes, more).as_bytes()).await.unwrap();
        raw
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap()
    }

    /// Reads one answer, interim ones (1xx) included.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("the service answers").unwrap()
    }

    /// Whether an answer comes before the connection is closed.
    pub(crate) async fn answers(&mut self) -> bool {
        tokio::time::timeout(PATIENCE, self.read_answer())
            .await
            .expect("the service answers or closes")
            .is_ok()
    }

    /// Whether the service closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.receive()).await.expect("the service closes or sends");
        self.received.is_empty() && !matches!(read, Ok(1..))
    }

    async fn receive(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.received).await
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let (head_bytes, status, headers) = loop {
            if let Some(head) = parse_head(&self.received) {
                break head;
            }
            if self.receive().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        let end = head_bytes + length.unwrap_or(0);
        while self.received.len() < end {
            if self.receive().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.received.split_off(end);
        let answer = std::mem::replace(&mut self.received, rest);
        Ok(Answer { status, headers, body: Bytes::from(answer).slice(head_bytes..) })
    }
}

fn parse_head(received: &[u8]) -> Option<(usize, u16, HeaderMap)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = response.parse(received).unwrap() else { return None };
    let pairs = response.headers.iter().map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).unwrap();
        (name, HeaderValue::from_bytes(header.value).unwrap())
    });
    Some((head_bytes, response.code?, pairs.collect()))
}
