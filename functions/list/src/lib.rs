//! The list function: a user's files as pages, one file, an administrator's look at a user's files, the contract itself.
//! Reads only; never opens a file.

mod query;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use jam_core::Result;
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::{
    Admin, DerivativeView, FileFields, PathUser, Public, ReadableFile, UserFile, Validators,
};
use jam_core::ids::UserId;
use jam_core::ops;
use query::ListQuery;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This function's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_files))
        .routes(routes!(get_file))
        .routes(routes!(list_derivatives))
        .routes(routes!(list_files_of_user))
        .routes(routes!(openapi))
}

/// A page of files.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct FileList {
    success: bool,
    /// With `fields`, each has only those.
    #[schema(value_type = Vec<UserFile>)]
    files: Vec<FileFields>,
    /// Files on this page.
    count: usize,
    /// Continues this listing, filter and sort included; null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Files that the filter finds, with `includeTotal=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

/// One file.
#[derive(Debug, Serialize, ToSchema)]
struct OneFile {
    success: bool,
    file: UserFile,
}

/// What is made from a file.
#[derive(Debug, Serialize, ToSchema)]
struct DerivativeList {
    success: bool,
    derivatives: Vec<DerivativeView>,
}

/// The caller's files.
#[utoipa::path(get, path = "/api/files", tag = "list", params(ListQuery), responses((status = 200, body = FileList)))]
async fn list_files(State(app): State<App>, caller: Caller, query: ListQuery) -> Result<Json<FileList>> {
    list(&app, &caller.user, query).await
}

/// A user's files, for administrators.
#[utoipa::path(get, path = "/api/admin/files/{userId}", tag = "list", params(("userId" = String, Path), ListQuery),
    responses((status = 200, body = FileList), (status = 403, description = "Not an administrator")))]
async fn list_files_of_user(
    State(app): State<App>,
    _admin: Admin,
    PathUser(user): PathUser,
    query: ListQuery,
) -> Result<Json<FileList>> {
    list(&app, &user, query).await
}

async fn list(app: &App, user: &UserId, query: ListQuery) -> Result<Json<FileList>> {
    let ListQuery { request, wants_total, fields } = query;
    let (page, total) = ops::browse::page(app, user, request.clone(), wants_total).await?;
    let next_cursor = page.next.map(|place| query::cursor(&request, place)).transpose()?;
    let files: Vec<FileFields> =
        page.files.into_iter().map(|file| FileFields::new(file, app, &fields)).collect();
    Ok(Json(FileList { success: true, count: files.len(), files, next_cursor, total }))
}

/// One of the caller's files; for administrators, anybody's.
#[utoipa::path(get, path = "/api/files/{id}", tag = "list", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = OneFile), (status = 404, description = "No such file")))]
async fn get_file(State(app): State<App>, wanted: ReadableFile, headers: HeaderMap) -> Result<Response> {
    let file = ops::browse::file(&app, &wanted.owner, wanted.id).await?;
    let validators = Validators::of_metadata(&file);
    if validators.is_not_modified(&headers) {
        return Ok((axum::http::StatusCode::NOT_MODIFIED, [(ETAG, validators.etag)]).into_response());
    }
    let file = UserFile::new(file, &app);
    Ok(([(ETAG, validators.etag)], Json(OneFile { success: true, file })).into_response())
}

/// What is made from one of the caller's files, and how far it is.
#[utoipa::path(get, path = "/api/files/{id}/derivatives", tag = "list", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = DerivativeList), (status = 404, description = "No such file")))]
async fn list_derivatives(State(app): State<App>, wanted: ReadableFile) -> Result<Json<DerivativeList>> {
    let file = ops::browse::file(&app, &wanted.owner, wanted.id).await?;
    Ok(Json(DerivativeList { success: true, derivatives: DerivativeView::all(&file, &app.signer) }))
}

/// This contract as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "list", security(()), responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
async fn openapi(_: Public) -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("../../../docs/openapi.json")).into_response()
}
