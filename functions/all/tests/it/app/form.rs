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

    /// The whole body.
    pub(crate) fn into_body(mut self) -> Vec<u8> {
        self.body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.body
    }
}
