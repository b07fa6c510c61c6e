//! Resumable uploads by tus 1.0 (<https://tus.io/protocols/resumable-upload>): headers in, headers out.
//! Never decides whether bytes fit, where they go or what they are; knows no row and no file.

mod answer;
mod create;
mod headers;
mod metadata;
mod resource;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use headers::{
    CHECKSUM_ALGORITHMS, TUS_CHECKSUM_ALGORITHM, TUS_EXTENSION, TUS_MAX_SIZE, TUS_RESUMABLE, TUS_VERSION,
    UPLOAD_LIMIT,
};
pub use headers::{MAX_KEY_CHARS, VERSION};
use jam_core::app::App;
use jam_core::edge::MaxAppend;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum";

/// The routes of the protocol; every answer names its version, refusals included.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_upload, resource::list_uploads, upload_options))
        .routes(routes!(
            resource::upload_state,
            resource::upload_offset,
            resource::append_upload,
            resource::delete_upload,
            resource::override_upload_method,
            upload_options_of_one
        ))
        .layer(map_response(name_version))
}

async fn name_version(mut response: Response) -> Response {
    response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// What the protocol can do here: versions, extensions, limits.
#[utoipa::path(options, path = "/api/uploads", tag = "upload", security(()), responses(
    (status = 204, description = "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`, `Tus-Checksum-Algorithm`, `Upload-Limit`")))]
async fn upload_options(State(app): State<App>, max_append: MaxAppend) -> Response {
    capabilities(&app, max_append)
}

/// The same for one upload.
#[utoipa::path(options, path = "/api/uploads/{upload}", tag = "upload", security(()),
    params(("upload" = String, Path, description = "The last part of its `Location`")), responses(
    (status = 204, description = "`Tus-Version`, `Tus-Extension`, `Tus-Max-Size`, `Tus-Checksum-Algorithm`, `Upload-Limit`")))]
async fn upload_options_of_one(State(app): State<App>, max_append: MaxAppend) -> Response {
    capabilities(&app, max_append)
}

fn capabilities(app: &App, max_append: MaxAppend) -> Response {
    let limits = &app.config.limits;
    let extensions = if headers::can_join(max_append) {
        format!("{EXTENSIONS},concatenation")
    } else {
        EXTENSIONS.to_owned()
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    answer.insert(TUS_MAX_SIZE, HeaderValue::from(limits.max_file.bytes()));
    answer.insert(TUS_CHECKSUM_ALGORITHM, HeaderValue::from_static(CHECKSUM_ALGORITHMS));
    headers::put(answer, TUS_EXTENSION, &extensions);
    headers::put(answer, UPLOAD_LIMIT, &headers::limits_text(limits, max_append));
    response
}
