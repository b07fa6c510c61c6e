//! A multipart form as curl and browsers write it, its parts in the order in which they are added.

const BOUNDARY: &str = "----jam-test-3f9c1b";

#[derive(Clone)]
pub(crate) struct Form {
    body: Vec<u8>,
}

impl Form {
    pub(crate) const CONTENT_TYPE: &'static str = "multipart/form-data; boundary=----jam-test-3f9c1b";

    pub(crate) fn new() -> Self {
        Self { body: Vec::new() }
    }

    /// A text field.
    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("form-data; name=\"{name}\""), value.as_bytes())
    }

    /// A part named `files`; quotes and line breaks in its name are escaped as browsers do it (WHATWG).
    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        self.part(&format!("form-data; name=\"files\"; filename=\"{name}\""), content)
    }

    /// A part with this `Content-Disposition`, as it is.
    pub(crate) fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n");
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(content);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// A part with this head, as it is.
    pub(crate) fn raw_part(mut self, head: &[u8], content: &[u8]) -> Self {
        let start = format!("--{BOUNDARY}\r\n");
        for bytes in [start.as_bytes(), head, b"\r\n\r\n", content, b"\r\n"] {
            self.body.extend_from_slice(bytes);
        }
        self
    }

    /// The whole body with another boundary, which no content may hold.
    pub(crate) fn into_body_with(self, boundary: &str) -> Vec<u8> {
        let body = self.into_body();
        let mut changed = Vec::with_capacity(body.len());
        let mut rest = &body[..];
        while let Some(at) = rest.windows(BOUNDARY.len()).position(|found| found == BOUNDARY.as_bytes()) {
            changed.extend_from_slice(&rest[..at]);
            changed.extend_from_slice(boundary.as_bytes());
            rest = &rest[at + BOUNDARY.len()..];
        }
        changed.extend_from_slice(rest);
        changed
    }

    /// The whole body.
    pub(crate) fn into_body(mut self) -> Vec<u8> {
        self.body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}
