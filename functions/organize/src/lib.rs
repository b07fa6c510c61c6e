//! The organize function: changes to files that leave their bytes alone, copies, signed URLs and their revocation.
//! Never opens a file.

mod batch;
mod derivatives;
mod urls;

pub use batch::MAX_ID_BYTES;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::{FilePatch, JsonBody, NewName, Params, PathFile, UserFile, Validators};
use jam_core::model::{File, Tags};
use jam_core::{Error, Result, ops};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This function's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(delete_file, patch_file))
        .routes(routes!(empty_trash))
        .routes(routes!(restore_file))
        .routes(routes!(copy_file))
        .routes(routes!(set_favorite))
        .routes(routes!(set_tags))
        .routes(routes!(batch::run_batch))
        .routes(routes!(derivatives::retry_derivative))
        .routes(routes!(derivatives::delete_derivative))
        .routes(routes!(urls::make_url))
        .routes(routes!(urls::revoke_urls))
}

/// A file after a change.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedFile {
    success: bool,
    file: UserFile,
}

/// A file that was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeletedFile {
    success: bool,
    message: &'static str,
    deleted_file: UserFile,
}

fn changed(app: &App, file: File) -> Json<ChangedFile> {
    Json(ChangedFile { success: true, file: UserFile::new(file, app) })
}

/// Moves a file to the trash, or with `permanent=true` removes it for good, from the trash as well.
#[utoipa::path(delete, path = "/api/files/{id}", tag = "organize",
    params(("id" = uuid::Uuid, Path), ("permanent" = Option<bool>, Query)),
    responses(
        (status = 200, body = DeletedFile),
        (status = 404, description = "No such file"),
        (status = 412, description = "The file has changed since (`If-Match`)")))]
async fn delete_file(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    params: Params,
    headers: HeaderMap,
) -> Result<Json<DeletedFile>> {
    let permanent = params.flag("permanent")?.unwrap_or(false);
    let check = |file: &File| require_match(file, &headers);
    let file = ops::organize::delete(&app, &caller.user, id, permanent, check).await?;
    let message = if permanent { "File deleted permanently" } else { "File moved to the trash" };
    Ok(Json(DeletedFile { success: true, message, deleted_file: UserFile::new(file, &app) }))
}

/// Changes what is named and leaves the rest (RFC 7396). With `If-Match` only if the file is still as it was read.
#[utoipa::path(patch, path = "/api/files/{id}", tag = "organize", params(("id" = uuid::Uuid, Path)),
    request_body = FilePatch, responses(
        (status = 200, body = ChangedFile),
        (status = 404, description = "No such file"),
        (status = 412, description = "The file has changed since (`If-Match`)")))]
async fn patch_file(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    headers: HeaderMap,
    JsonBody(patch): JsonBody<FilePatch>,
) -> Result<Response> {
    let file = ops::organize::edit(&app, &caller.user, id, |file| {
        require_match(file, &headers)?;
        patch.clone().apply(file)
    })
    .await?;
    Ok(changed_with_tag(&app, file))
}

/// Refuses to change a file that is not as the client read it (`If-Match`).
fn require_match(file: &File, headers: &HeaderMap) -> Result<()> {
    if Validators::of_metadata(file).allows_change(headers) { Ok(()) } else { Err(Error::PreconditionFailed) }
}

/// A changed file with the tag that the next change may name.
fn changed_with_tag(app: &App, file: File) -> Response {
    let etag = Validators::of_metadata(&file).etag;
    ([(ETAG, etag)], changed(app, file)).into_response()
}

/// How much was removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EmptiedTrash {
    success: bool,
    /// Files removed for good.
    deleted_count: u64,
}

/// Removes everything in the trash for good.
#[utoipa::path(delete, path = "/api/files/trash", tag = "organize", responses((status = 200, body = EmptiedTrash)))]
async fn empty_trash(State(app): State<App>, caller: Caller) -> Result<Json<EmptiedTrash>> {
    let deleted_count = ops::trash::empty(&app, &caller.user).await?;
    Ok(Json(EmptiedTrash { success: true, deleted_count }))
}

/// Takes a file out of the trash.
#[utoipa::path(post, path = "/api/files/{id}/restore", tag = "organize", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = ChangedFile), (status = 404, description = "No such file in the trash")))]
async fn restore_file(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
) -> Result<Json<ChangedFile>> {
    Ok(changed(&app, ops::organize::restore(&app, &caller.user, id).await?))
}

/// What a copy is called; without a name as its source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CopyFile {
    /// A name, 1 to 255 bytes.
    #[schema(value_type = Option<String>)]
    original_name: Option<NewName>,
}

/// Makes a second file of the same bytes, with everything that is said about the first but the favourite mark. It counts
/// in full, and neither needs the other any more. Each request makes another copy.
#[utoipa::path(post, path = "/api/files/{id}/copy", tag = "organize", params(("id" = uuid::Uuid, Path)),
    request_body = CopyFile, responses(
        (status = 200, body = ChangedFile),
        (status = 404, description = "No such file"),
        (status = 409, description = "The volume cannot share the bytes of this file"),
        (status = 413, description = "The quota or the number of files is full")))]
async fn copy_file(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    JsonBody(wanted): JsonBody<CopyFile>,
) -> Result<Json<ChangedFile>> {
    let name = wanted.original_name.map(|name| name.parse()).transpose()?;
    Ok(changed(&app, ops::upload::copy::copy(&app, &caller.user, id, name).await?))
}

/// Whether a file is a favourite; without it the mark is toggled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetFavorite {
    favorite: Option<bool>,
}

/// Toggles the favourite mark, or sets it.
#[utoipa::path(post, path = "/api/files/{id}/favorite", tag = "organize", params(("id" = uuid::Uuid, Path)),
    request_body = SetFavorite, responses(
        (status = 200, body = ChangedFile),
        (status = 404, description = "No such file"),
        (status = 412, description = "The file has changed since (`If-Match`)")))]
async fn set_favorite(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<SetFavorite>,
) -> Result<Response> {
    let file = ops::organize::edit(&app, &caller.user, id, |file| {
        require_match(file, &headers)?;
        file.is_favorite = wanted.favorite.unwrap_or(!file.is_favorite);
        Ok(())
    })
    .await?;
    Ok(changed_with_tag(&app, file))
}

/// A file's labels: at most 64 of 64 characters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetTags {
    #[schema(value_type = Vec<String>)]
    tags: Tags,
}

/// Replaces a file's labels.
#[utoipa::path(put, path = "/api/files/{id}/tags", tag = "organize", params(("id" = uuid::Uuid, Path)),
    request_body = SetTags, responses(
        (status = 200, body = ChangedFile),
        (status = 404, description = "No such file"),
        (status = 412, description = "The file has changed since (`If-Match`)")))]
async fn set_tags(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<SetTags>,
) -> Result<Response> {
    let file = ops::organize::edit(&app, &caller.user, id, |file| {
        require_match(file, &headers)?;
        file.metadata.tags.clone_from(&wanted.tags);
        Ok(())
    })
    .await?;
    Ok(changed_with_tag(&app, file))
}
