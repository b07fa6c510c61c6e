//! A client of the service: somebody with a token, or nobody.

use super::{Answer, Form};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Something that takes requests: within this process, or processes of its own.
pub(crate) trait Service {
    /// A request for whoever answers this method and target.
    fn request(&self, method: Method, target: &str) -> RequestBuilder;
}

pub(crate) struct As<'a> {
    service: &'a dyn Service,
    token: Option<String>,
}

impl<'a> As<'a> {
    pub(crate) fn new(service: &'a dyn Service, token: Option<String>) -> Self {
        Self { service, token }
    }

    /// A request of this caller, to be sent by [`send`].
    pub(crate) fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let request = self.service.request(method, target);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        send(self.request(Method::GET, target)).await
    }

    pub(crate) async fn head(&self, target: &str) -> Answer {
        send(self.request(Method::HEAD, target)).await
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Answer {
        send(self.request(Method::POST, target).json(&body)).await
    }

    pub(crate) async fn put(&self, target: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, target).json(&body)).await
    }

    pub(crate) async fn patch(&self, target: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, target).json(&body)).await
    }

    pub(crate) async fn delete(&self, target: &str) -> Answer {
        send(self.request(Method::DELETE, target)).await
    }

    /// A GET with one more header.
    pub(crate) async fn get_with(&self, target: &str, name: &str, value: &str) -> Answer {
        send(self.request(Method::GET, target).header(name, value)).await
    }

    /// Sends a form to an upload endpoint.
    pub(crate) async fn submit(&self, target: &str, form: Form) -> Answer {
        let request = self.request(Method::POST, target).header("content-type", Form::CONTENT_TYPE);
        send(request.body(form.into_body())).await
    }

    pub(crate) async fn upload(&self, form: Form) -> Answer {
        self.submit("/api/files/upload", form).await
    }

    /// Uploads to a service that may go away before its answer is here.
    pub(crate) async fn try_upload(&self, form: Form) -> Option<Answer> {
        let request =
            self.request(Method::POST, "/api/files/upload").header("content-type", Form::CONTENT_TYPE);
        let response = request.body(form.into_body()).send().await.ok()?;
        Answer::read(response).await
    }

    /// Stores one file and answers its JSON.
    pub(crate) async fn store(&self, name: &str, content: &[u8]) -> Value {
        let answer = self.upload(Form::new().file(name, content)).await.expect(200);
        answer.json()["files"][0].clone()
    }

    /// Stores one file and answers its id.
    pub(crate) async fn store_id(&self, name: &str, content: &[u8]) -> String {
        self.store(name, content).await["id"].as_str().unwrap().to_owned()
    }

    /// One of the caller's files as the list function shows it.
    pub(crate) async fn file(&self, id: &str) -> Value {
        self.get(&format!("/api/files/{id}")).await.expect(200).json()["file"].clone()
    }

    /// What the caller stores.
    pub(crate) async fn usage(&self) -> Value {
        self.get("/api/storage/usage").await.expect(200).json()["storage"].clone()
    }

    /// Stored, promised and trashed bytes, and files outside the trash.
    pub(crate) async fn counters(&self) -> Value {
        let usage = self.usage().await;
        json!([usage["totalBytes"], usage["reservedBytes"], usage["trashBytes"], usage["fileCount"]])
    }
}

/// Sends a request and reads its answer whole.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.unwrap()).await.unwrap()
}
