//! Who may ask the tool itself for tokens and the like: programs and pages of this machine.
//! Never stands before the service, whose requests carry tokens.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// A name of another host in `Host` means DNS rebinding; another origin's page sends `Origin`, whether or not the browser
/// asks with a preflight first.
pub(crate) async fn refuse_other_pages(headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let has_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| has_port(port)).map_or(host, |(name, _)| name);
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    let origin = headers.get(header::ORIGIN).map(|origin| origin.as_bytes());
    let is_own = origin.is_none_or(|origin| origin == format!("http://{host}").as_bytes());
    if is_loopback && is_own {
        return next.run(request).await;
    }
    let refusal =
        json!({ "success": false, "error": "Only pages of this installation may ask.", "code": "local" });
    (StatusCode::FORBIDDEN, Json(refusal)).into_response()
}

#[cfg(test)]
mod tests {
    use super::refuse_other_pages;
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::middleware;
    use axum::routing::post;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn pages_of_other_hosts_get_nothing_by_their_name_or_by_their_origin() {
        let router = Router::new().route("/", post(async || "a token"));
        let router = router.layer(middleware::from_fn(refuse_other_pages));
        let asked = async |host: Option<&str>, origin: Option<&str>| {
            let mut request = Request::post("/");
            for (name, value) in [("host", host), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            answer.status().as_u16()
        };
        for host in ["127.0.0.1:3002", "localhost:3002", "[::1]:3002", "localhost", "[::1]"] {
            assert_eq!(asked(Some(host), None).await, 200, "{host}");
            assert_eq!(asked(Some(host), Some(&format!("http://{host}"))).await, 200, "{host}");
            assert_eq!(asked(Some(host), Some("https://evil.example")).await, 403, "{host}");
            assert_eq!(asked(Some(host), Some("null")).await, 403, "{host}");
        }
        for host in
            ["evil.example:3002", "127.0.0.1.evil.example", "localhost.evil.example:3002", "127.0.0.1:evil"]
        {
            assert_eq!(asked(Some(host), None).await, 403, "{host}");
        }
        assert_eq!(asked(None, None).await, 403);
    }
}
