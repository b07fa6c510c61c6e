//! The upload function: bytes in, as whole files in a form or piece by piece by tus. Both share one core, `ops::upload`.
//! Never decides whether bytes fit, where they go or what they are.

mod form;
mod tus;

pub use tus::{MAX_KEY_CHARS, VERSION as TUS_VERSION};

use axum::Json;
use axum::extract::{Request, State};
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::{Admin, UserFile};
use jam_core::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This function's routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload)).routes(routes!(upload_for_user)).merge(tus::routes())
}

/// What became of an upload.
#[derive(Debug, Serialize, ToSchema)]
struct Uploaded {
    success: bool,
    /// Files that are stored.
    files: Vec<UserFile>,
    /// Files that are not, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<NotStored>,
}

/// A file of the form that is not stored.
#[derive(Debug, Serialize, ToSchema)]
struct NotStored {
    filename: String,
    error: String,
    code: &'static str,
}

/// A form with files and what the client says about them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the form; form.rs reads it")]
struct UploadForm {
    /// One part a file.
    #[schema(value_type = Vec<String>, format = Binary)]
    files: Vec<u8>,
    /// `video`, `image`, `scene`, `project` or `audio`; by the content if it is missing. Once, or once a file.
    file_type: Option<String>,
    /// Once, or once a file, like every asset field of a file.
    package_name: Option<String>,
    /// JSON text of a list; for all files.
    tags: Option<String>,
}

/// Stores the files of a form. 200 when at least one is stored; otherwise the status of the first error.
#[utoipa::path(post, path = "/api/files/upload", tag = "upload",
    request_body(content = UploadForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = Uploaded),
        (status = 413, description = "Over the quota or a limit"),
        (status = 415, description = "Not of the declared type, or refused"),
        (status = 507, description = "The volume is full")))]
async fn upload(State(app): State<App>, caller: Caller, request: Request) -> Result<Json<Uploaded>> {
    let form = form::receive(&app, request, form::Target::Own(caller.user)).await?;
    answer(&app, form)
}

/// Stores files for the user named by the field `targetUserId`, for administrators.
#[utoipa::path(post, path = "/api/files/admin/upload", tag = "upload",
    request_body(content = UploadForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = Uploaded),
        (status = 403, description = "Not an administrator"),
        (status = 413, description = "Over the quota or a limit"),
        (status = 415, description = "Not of the declared type, or refused")))]
async fn upload_for_user(
    State(app): State<App>,
    Admin(admin): Admin,
    request: Request,
) -> Result<Json<Uploaded>> {
    let form = form::receive(&app, request, form::Target::Named { admin: admin.user.clone() }).await?;
    tracing::info!(admin = %admin.user, files = form.files.len(), "uploaded for another user");
    answer(&app, form)
}

fn answer(app: &App, form: form::Form) -> Result<Json<Uploaded>> {
    if form.files.is_empty() {
        return Err(form.refused.into_iter().next().map_or(Error::NoFiles, |(_, error)| error));
    }
    let files = form.files.into_iter().map(|file| UserFile::new(file, app)).collect();
    let errors = form.refused.into_iter().map(|(name, error)| NotStored {
        filename: name.as_str().to_owned(),
        error: error.to_string(),
        code: error.code(),
    });
    Ok(Json(Uploaded { success: true, files, errors: errors.collect() }))
}
