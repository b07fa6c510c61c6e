//! The contract as OpenAPI 3.1, gathered from the handlers' annotations and completed by what holds for many operations
//! at once. `docs/openapi.json` is its generated copy.

mod bounds;
mod examples;
mod requests;
mod responses;

use serde_json::{Map, Value};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

/// What the annotations do not say.
#[derive(OpenApi)]
#[openapi(
    info(title = "Jam Storage", description = "Per-user file storage for media apps."),
    security(("session" = [])),
    components(schemas(Problem))
)]
struct Contract;

/// Every failure's body, with the numbers that explain it.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what edge::problem writes")]
struct Problem {
    success: bool,
    /// One sentence for a person.
    error: String,
    /// A stable name for a program.
    code: String,
    request_id: String,
    /// Seconds after which it is worth trying again.
    retry_after: Option<u64>,
}

/// The document as it is served at `/openapi.json`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    let routes = OpenApiRouter::with_openapi(Contract::openapi()).merge(super::routes());
    let (_, mut document) = jam_core::edge::with_health(routes).split_for_parts();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("session", SecurityScheme::Http(scheme));
    let mut document = serde_json::to_value(&document)?;
    bounds::complete(&mut document);
    requests::complete(&mut document);
    responses::complete(&mut document);
    examples::complete(&mut document);
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

/// An operation while it is completed.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    fields: &'a mut Map<String, Value>,
}

impl Operation<'_> {
    fn id(&self) -> &str {
        self.fields.get("operationId").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it sends stored bytes: of a file or of a derivative.
    fn sends_bytes(&self) -> bool {
        let function = self.fields.get("tags").and_then(|tags| tags[0].as_str());
        matches!(function, Some("download" | "thumbnail"))
    }

    /// Whether it is a part of the protocol of resumable uploads.
    fn speaks_tus(&self) -> bool {
        self.path.starts_with("/api/uploads") && self.method != "get"
    }

    /// Whether it needs a token. Those of one upload take its secret instead.
    fn needs_token(&self) -> bool {
        !self.fields.contains_key("security")
    }
}

/// Calls `complete` for every operation of the document.
fn each_operation(document: &mut Value, mut complete: impl FnMut(Operation<'_>)) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            if let Some(fields) = operation.as_object_mut() {
                complete(Operation { path, method, fields });
            }
        }
    }
}

/// A reference to a schema of the document.
fn schema(name: &str) -> Value {
    serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Puts the fields of `more` into `object`, over those that it has.
fn merge(object: &mut Value, more: Value) {
    let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) else { return };
    fields.extend(more);
}
