//! What is made from a file: tried again, or given up.

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::edge::{DerivativeView, PathDerivative, PathFile};
use jam_core::model::File;
use jam_core::{Result, ops};
use serde::Serialize;
use utoipa::ToSchema;

/// What is made from a file, after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedDerivatives {
    success: bool,
    derivatives: Vec<DerivativeView>,
}

fn changed(app: &App, file: &File) -> Json<ChangedDerivatives> {
    Json(ChangedDerivatives { success: true, derivatives: DerivativeView::all(file, &app.signer) })
}

/// Tries again what failed or was cancelled. What waits or is being made stays as it is.
#[utoipa::path(post, path = "/api/files/{id}/derivatives/{kind}/retry", tag = "organize",
    params(("id" = uuid::Uuid, Path), ("kind" = jam_core::model::DerivativeKind, Path)),
    responses(
        (status = 200, body = ChangedDerivatives),
        (status = 404, description = "No such file, or nothing of this kind can be made from it"),
        (status = 409, description = "It is ready")))]
pub(crate) async fn retry_derivative(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    PathDerivative(kind): PathDerivative,
) -> Result<Json<ChangedDerivatives>> {
    Ok(changed(&app, &ops::derivative::retry(&app, &caller.user, id, kind).await?))
}

/// Cancels the `playback` derivative while it waits or is being made, and removes it when it is ready. Thumbnails are
/// made whenever they are asked for, so they cannot be cancelled.
#[utoipa::path(delete, path = "/api/files/{id}/derivatives/{kind}", tag = "organize",
    params(("id" = uuid::Uuid, Path), ("kind" = jam_core::model::DerivativeKind, Path)),
    responses(
        (status = 200, body = ChangedDerivatives),
        (status = 404, description = "No such file, or it has no such derivative"),
        (status = 409, description = "A thumbnail")))]
pub(crate) async fn delete_derivative(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    PathDerivative(kind): PathDerivative,
) -> Result<Json<ChangedDerivatives>> {
    Ok(changed(&app, &ops::derivative::cancel(&app, &caller.user, id, kind).await?))
}
