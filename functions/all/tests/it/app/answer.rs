//! An answer as it came over the wire.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads an answer whole; `None` if it breaks off.
    pub(crate) async fn read(response: reqwest::Response) -> Option<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Self { status, headers, body: response.bytes().await.ok()? })
    }

    /// The same answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The body of a refusal with this status and code; its envelope is checked.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let answer = self.expect(status);
        let body = answer.json();
        assert_eq!((&body["success"], body["code"].as_str()), (&Value::Bool(false), Some(code)), "{body}");
        assert!(body["error"].as_str().is_some_and(|text| text.ends_with('.')), "{body}");
        assert_eq!(body["requestId"].as_str(), answer.header("x-request-id"), "{body}");
        body
    }

    /// The body of a refusal that nginx wrote itself.
    #[track_caller]
    pub(crate) fn refused_by_nginx(self, status: u16, code: &str) -> Value {
        let body = self.expect(status).json();
        assert_eq!((&body["success"], body["code"].as_str()), (&Value::Bool(false), Some(code)), "{body}");
        body
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A header, if it is there. Lambda gives some of them other names.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let renamed = || self.headers.get(format!("x-amzn-remapped-{name}"));
        self.headers.get(name).or_else(renamed).map(|value| value.to_str().unwrap())
    }

    /// Every value of a header that is a list, in order, whether it came as one or as several.
    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().flat_map(|value| value.to_str().unwrap().split(", ")).collect()
    }
}
