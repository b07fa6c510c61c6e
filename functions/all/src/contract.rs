//! The contract as OpenAPI 3.1, gathered from the handlers' annotations. `docs/openapi.json` is its generated copy.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

/// What the annotations do not say.
#[derive(OpenApi)]
#[openapi(
    info(title = "Jam Storage", description = "Per-user file storage for media apps."),
    security(("session" = [])),
    components(schemas(Problem))
)]
struct Contract;

/// Every failure's body; numbers that explain it come beside these fields.
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
}

/// The document as it is served at `/openapi.json`.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    let routes = OpenApiRouter::with_openapi(Contract::openapi()).merge(super::routes());
    let (_, mut document) = jam_core::edge::with_health(routes).split_for_parts();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation.responses.responses.insert("default".to_owned(), failure().into());
    }
    // An answer to HEAD has no body.
    for operation in document.paths.paths.values_mut().filter_map(|path| path.head.as_mut()) {
        let failure = ResponseBuilder::new().description("A failure").build();
        operation.responses.responses.insert("default".to_owned(), failure.into());
    }
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("session", SecurityScheme::Http(scheme));
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, patch, .. } = path;
    [get, put, post, delete, options, patch].into_iter().flatten()
}

/// What every operation may answer instead of what it promises.
fn failure() -> Response {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description("A failure").content("application/json", problem).build()
}
