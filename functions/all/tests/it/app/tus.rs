//! A client of resumable uploads whose requests a test spells out header by header.

use super::media::sha256;
use super::{Answer, As, send};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jam_core::app::App;
use jam_core::db::{self, sessions::Session};
use jam_core::ids::UploadId;
use reqwest::{Method, RequestBuilder};

/// The media type of bytes that belong to an upload.
pub(crate) const BYTES: &str = "application/offset+octet-stream";
/// Where uploads are made.
pub(crate) const UPLOADS: &str = "/api/uploads";

impl As<'_> {
    /// A request of the protocol.
    pub(crate) fn tus(&self, method: Method, target: &str) -> RequestBuilder {
        self.request(method, target).header("tus-resumable", "1.0.0")
    }

    /// A creation of so many bytes; more headers may follow.
    pub(crate) fn creation(&self, length: usize) -> RequestBuilder {
        self.tus(Method::POST, UPLOADS).header("upload-length", length)
    }

    /// Creates an upload of so many bytes and answers its URL.
    pub(crate) async fn create(&self, name: &str, length: usize) -> String {
        let request = self.creation(length).header("upload-metadata", metadata(&[("filename", name)]));
        location(&send(request).await.expect(201))
    }

    /// A piece at its place.
    pub(crate) fn piece(&self, url: &str, offset: usize, content: &[u8]) -> RequestBuilder {
        let request = self.tus(Method::PATCH, url).header("content-type", BYTES);
        request.header("upload-offset", offset).body(Bytes::copy_from_slice(content))
    }

    /// Sends a piece at its place.
    pub(crate) async fn append(&self, url: &str, offset: usize, content: &[u8]) -> Answer {
        send(self.piece(url, offset, content)).await
    }

    /// Asks how far an upload is.
    pub(crate) async fn look_up(&self, url: &str) -> Answer {
        send(self.tus(Method::HEAD, url)).await
    }

    /// How far an upload is.
    pub(crate) async fn offset(&self, url: &str) -> usize {
        offset(&self.look_up(url).await.expect(200))
    }

    /// Ends an upload.
    pub(crate) async fn cancel(&self, url: &str) -> Answer {
        send(self.tus(Method::DELETE, url)).await
    }

    /// Uploads a file in pieces and answers its JSON.
    pub(crate) async fn upload_in_pieces(
        &self,
        name: &str,
        content: &[u8],
        piece_bytes: usize,
    ) -> serde_json::Value {
        let url = self.create(name, content.len()).await;
        let mut file_id = None;
        for (number, piece) in content.chunks(piece_bytes).enumerate() {
            let answer = self.append(&url, number * piece_bytes, piece).await.expect(204);
            assert_eq!(offset(&answer), number * piece_bytes + piece.len());
            file_id = answer.header("upload-file-id").map(str::to_owned);
        }
        self.file(&file_id.expect("the last answer names the file")).await
    }
}

/// `Upload-Metadata` with these fields.
pub(crate) fn metadata(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// The URL of an upload that was created.
#[track_caller]
pub(crate) fn location(answer: &Answer) -> String {
    answer.header("location").expect("it has a URL").to_owned()
}

/// The session behind a URL, as its rows say.
pub(crate) async fn session(app: &App, url: &str) -> Session {
    let last = url.rsplit('/').next().unwrap();
    let id = UploadId::parse(&last[..36]).unwrap();
    db::sessions::get(&mut app.db.conn().await.unwrap(), id).await.unwrap().unwrap()
}

/// How far an answer says the upload is.
#[track_caller]
pub(crate) fn offset(answer: &Answer) -> usize {
    answer.header("upload-offset").expect("it has an offset").parse().unwrap()
}

/// The head of a piece, as curl would write it.
pub(crate) fn piece_head(url: &str, offset: usize, body_bytes: usize) -> String {
    format!(
        "PATCH {url} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nContent-Type: {BYTES}\r\n\
         Upload-Offset: {offset}\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
}

/// `Repr-Digest` of this content.
pub(crate) fn repr_digest(content: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(hex::decode(sha256(content)).unwrap()))
}

/// The proof that a challenge asks for, of somebody who has this content.
pub(crate) fn proof(challenge: &str, content: &[u8]) -> String {
    let (nonce, range) = challenge.strip_prefix("nonce=:").unwrap().split_once(":, range=").unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let range = start.parse().unwrap()..=end.parse::<usize>().unwrap();
    let proven = [&STANDARD.decode(nonce).unwrap(), &content[range]].concat();
    format!("sha-256=:{}:", STANDARD.encode(hex::decode(sha256(&proven)).unwrap()))
}
