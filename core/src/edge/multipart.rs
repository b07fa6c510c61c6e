//! `multipart/form-data` of RFC 7578 as a stream of parts, with every bound in place.
//! Own code, because an exact reservation needs the offset of a part within the body, and because part headers and the
//! number of parts must be bounded. Never stores anything.

mod boundary;
mod head;

pub use head::PartHead;

use self::boundary::Boundary;
use super::body::require_plain;
use crate::error::{Error, Result};
use crate::model::ByteSize;
use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use memchr::memmem::Finder;

/// Longest header block of a part.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest name of a field that a refusal repeats.
const MAX_SHOWN_CHARS: usize = 64;

/// A multipart body being read.
pub struct Multipart {
    stream: BodyDataStream,
    /// Received and not yet taken.
    buffer: Bytes,
    /// Bytes taken out of the body so far.
    position: u64,
    content_length: Option<u64>,
    /// CRLF, two dashes, the boundary.
    delimiter: Vec<u8>,
    finder: Finder<'static>,
    /// Whether names are known to be written as WHATWG says.
    is_of_a_browser: bool,
    place: Place,
    parts_left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Preamble,
    /// Within a part's content.
    Content,
    /// Right after a delimiter.
    Delimiter,
    /// After the last part.
    End,
}

impl Multipart {
    /// Starts reading a request's body, of at most `max_parts` parts.
    ///
    /// # Errors
    /// [`Error::UnsupportedContentType`] when it is not multipart, [`Error::UnsupportedEncoding`] when it is compressed,
    /// [`Error::InvalidBody`] for a bad boundary.
    pub fn new(headers: &HeaderMap, body: Body, max_parts: usize) -> Result<Self> {
        require_plain(headers)?;
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = Boundary::of(content_type)?;
        let delimiter = boundary.delimiter();
        let content_length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Self {
            stream: body.into_data_stream(),
            buffer: Bytes::new(),
            position: 0,
            content_length,
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            is_of_a_browser: boundary.is_of_a_browser(),
            place: Place::Preamble,
            parts_left: max_parts,
        })
    }

    /// The next part's headers; what is left of the part before is skipped. `None` after the last part.
    ///
    /// # Errors
    /// [`Error::InvalidBody`] for anything malformed, over a bound or no form, [`Error::IncompleteBody`] when it breaks
    /// off.
    pub async fn next_part(&mut self) -> Result<Option<PartHead>> {
        if self.place == Place::Preamble {
            // The first delimiter may open the body without its CRLF.
            self.fill_to(self.delimiter.len()).await?;
            if self.buffer.starts_with(&self.delimiter[2..]) {
                self.take(self.delimiter.len() - 2);
                self.place = Place::Delimiter;
            }
        }
        while matches!(self.place, Place::Preamble | Place::Content) {
            self.advance().await?;
        }
        if self.place == Place::End {
            return Ok(None);
        }
        self.fill_to(2).await?;
        if self.buffer.starts_with(b"--") {
            self.take(2);
            self.place = Place::End;
            return Ok(None);
        }
        self.parts_left =
            self.parts_left.checked_sub(1).ok_or_else(|| Error::invalid_body("it has too many parts"))?;
        self.read_head().await.map(Some)
    }

    /// The next piece of the current part's content; `None` at its end.
    ///
    /// # Errors
    /// [`Error::IncompleteBody`] when the body breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while self.place == Place::Content {
            let chunk = self.advance().await?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// The content of the current part, which is the field `name`, as text of at most `max` bytes.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] when it is longer, [`Error::InvalidBody`] when it is not UTF-8.
    pub async fn text(&mut self, name: &str, max: ByteSize) -> Result<String> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > max.bytes() {
                return Err(Error::BodyTooLarge { max_bytes: max });
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).map_err(|_| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
            Error::invalid_body(format!(
                "the field {name} is not UTF-8 text; a part with a file needs a filename or a Content-Type"
            ))
        })
    }

    /// How many bytes the current part holds if it is the last one of the body; only right after [`Multipart::next_part`].
    /// Exact for what clients send; an epilogue or further parts make it an upper bound. `None` without a Content-Length.
    #[must_use]
    pub fn content_bound_bytes(&self) -> Option<u64> {
        let closing_bytes = (self.delimiter.len() + "--\r\n".len()) as u64;
        let rest_bytes = self.content_length?.saturating_sub(self.position);
        Some(rest_bytes.saturating_sub(closing_bytes))
    }

    /// How many bytes of the body are still to come, if the client said.
    #[must_use]
    pub fn rest_bytes(&self) -> Option<u64> {
        self.content_length.map(|length| length.saturating_sub(self.position))
    }

    /// Takes content up to the next delimiter, or as much as is at hand. An empty answer means the delimiter was taken
    /// or more must be received.
    async fn advance(&mut self) -> Result<Bytes> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        if let Some(at) = self.finder.find(&self.buffer) {
            let content = self.take(at);
            self.take(self.delimiter.len());
            self.place = Place::Delimiter;
            return Ok(content);
        }
        let kept_bytes = self.delimiter_prefix_at_end();
        let content = self.take(self.buffer.len() - kept_bytes);
        if kept_bytes > 0 && content.is_empty() {
            self.fill().await?;
        }
        Ok(content)
    }

    /// Length of the longest end of the buffer that could be the start of a delimiter.
    fn delimiter_prefix_at_end(&self) -> usize {
        let longest = (self.delimiter.len() - 1).min(self.buffer.len());
        let tail_at = self.buffer.len() - longest;
        memchr::memchr_iter(b'\r', &self.buffer[tail_at..])
            .map(|at| &self.buffer[tail_at + at..])
            .find(|tail| self.delimiter.starts_with(tail))
            .map_or(0, <[u8]>::len)
    }

    async fn read_head(&mut self) -> Result<PartHead> {
        let end = loop {
            let end = memchr::memmem::find(&self.buffer, b"\r\n\r\n").map(|end| end + 4);
            self.refuse_bare_line_ends(end)?;
            if let Some(end) = end {
                break end;
            }
            if self.buffer.len() > MAX_HEADER_BYTES {
                return Err(Error::invalid_body("the headers of a part are too long"));
            }
            self.fill().await?;
        };
        if end > MAX_HEADER_BYTES {
            return Err(Error::invalid_body("the headers of a part are too long"));
        }
        let head = self.take(end);
        self.place = Place::Content;
        head::parse(&head, self.is_of_a_browser)
    }

    /// Lines that end with LF alone: where a file ends would be a guess, because a CR before it could be the file's.
    fn refuse_bare_line_ends(&self, end: Option<usize>) -> Result<()> {
        let head = &self.buffer[..end.unwrap_or(self.buffer.len())];
        if memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r') {
            return Err(Error::invalid_body("the lines of a form end with CRLF, and here is a LF alone"));
        }
        Ok(())
    }

    /// Receives until at least `bytes` are at hand.
    async fn fill_to(&mut self, bytes: usize) -> Result<()> {
        while self.buffer.len() < bytes {
            self.fill().await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        let chunk = match self.stream.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(cause)) => return Err(super::body::read_error(&cause)),
            // Whole, as far as its length says, but for its form.
            None if self.place == Place::Preamble && self.read_bytes() >= self.delimiter.len() as u64 => {
                return Err(Error::invalid_body("it does not hold the boundary that its Content-Type names"));
            }
            None => return Err(Error::IncompleteBody),
        };
        if self.buffer.is_empty() {
            self.buffer = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.buffer.len() + chunk.len());
            joined.extend_from_slice(&self.buffer);
            joined.extend_from_slice(&chunk);
            self.buffer = joined.freeze();
        }
        Ok(())
    }

    /// What has arrived.
    fn read_bytes(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    fn take(&mut self, bytes: usize) -> Bytes {
        self.position += bytes as u64;
        self.buffer.split_to(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Multipart, PartHead};
    use crate::error::Error;
    use axum::body::Body;
    use axum::http::{HeaderMap, HeaderValue};
    use bytes::Bytes;
    use std::convert::Infallible;

    fn headers(length: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=xxB"));
        headers.insert("content-length", HeaderValue::from(length));
        headers
    }

    /// Reads a body that arrives `step` bytes at a time.
    async fn read(body: &[u8], step: usize) -> Result<Vec<(PartHead, Vec<u8>)>, Error> {
        let pieces: Vec<_> =
            body.chunks(step).map(|c| Ok::<_, Infallible>(Bytes::copy_from_slice(c))).collect();
        let stream = Body::from_stream(futures_util::stream::iter(pieces));
        let mut multipart = Multipart::new(&headers(body.len()), stream, 4)?;
        let mut parts = Vec::new();
        while let Some(head) = multipart.next_part().await? {
            let mut content = Vec::new();
            while let Some(chunk) = multipart.chunk().await? {
                content.extend_from_slice(&chunk);
            }
            parts.push((head, content));
        }
        Ok(parts)
    }

    const BODY: &[u8] = b"--xxB\r\nContent-Disposition: form-data; name=\"tags\"\r\n\r\n[\"a\"]\r\n--xxB\r\n\
        Content-Disposition: form-data; name=\"files\"; filename=\"a \\\"b\\\".bin\"\r\nContent-Type: x/y\r\n\r\n\
        \r\n--xx\r\r\n--xxA \r\n--xxB--\r\n";

    #[tokio::test]
    async fn parts_come_out_whole_however_the_bytes_arrive() {
        for step in 1..=BODY.len() {
            let parts = read(BODY, step).await.unwrap();
            assert_eq!(
                parts[0].0,
                PartHead { name: "tags".into(), file_name: None, has_content_type: false }
            );
            assert_eq!(parts[0].1, b"[\"a\"]");
            let file_name = Some("a \"b\".bin".into());
            assert_eq!(parts[1].0, PartHead { name: "files".into(), file_name, has_content_type: true });
            assert_eq!(parts[1].1, b"\r\n--xx\r\r\n--xxA ", "step {step}");
            assert_eq!(parts.len(), 2);
        }
    }

    #[tokio::test]
    async fn the_bound_of_a_last_part_is_its_size() {
        let mut multipart = Multipart::new(&headers(BODY.len()), Body::from(BODY), 4).unwrap();
        multipart.next_part().await.unwrap();
        multipart.next_part().await.unwrap();
        assert_eq!(multipart.content_bound_bytes(), Some(b"\r\n--xx\r\r\n--xxA ".len() as u64));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        for end in 0..BODY.len() - "--\r\n".len() {
            assert!(matches!(read(&BODY[..end], 7).await, Err(Error::IncompleteBody)), "cut at {end}");
        }
    }

    #[tokio::test]
    async fn a_whole_body_that_is_no_form_is_said_to_be_none() {
        for body in [vec![b'x'; 40 << 20], br#"{"files":["a.txt"]}"#.to_vec()] {
            let error = read(&body, 1 << 16).await.unwrap_err();
            assert!(error.to_string().contains("does not hold the boundary"), "{error}");
        }
    }

    #[tokio::test]
    async fn too_many_parts_and_too_long_headers_are_refused() {
        let part = "--xxB\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        let body = format!("{}--xxB--\r\n", part.repeat(5));
        assert!(matches!(read(body.as_bytes(), 999).await, Err(Error::InvalidBody { .. })));
        let body = format!("--xxB\r\nContent-Disposition: form-data; name=\"{}", "a".repeat(1 << 20));
        assert!(matches!(read(body.as_bytes(), 4096).await, Err(Error::InvalidBody { .. })));
    }
    #[tokio::test]
    async fn lines_that_end_with_lf_alone_are_refused_in_words() {
        let all = String::from_utf8(BODY.to_vec()).unwrap().replace("\r\n", "\n");
        let head = "--xxB\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n--xxB--\r\n";
        let one = "--xxB\r\nContent-Disposition: form-data; name=\"a\"\nX-A: 1\r\n\r\nx\r\n--xxB--\r\n";
        for body in [&all, head, one] {
            for step in [1, 7, 999] {
                let error = read(body.as_bytes(), step).await.unwrap_err().to_string();
                assert!(error.contains("CRLF"), "{error}");
            }
        }
    }
}
