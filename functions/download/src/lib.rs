//! The download function: a file's bytes, to keep or to play, for its owner or for whoever holds a signed URL.
//! Reads only; knows no picture.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use jam_core::app::App;
use jam_core::auth::{Caller, Variant};
use jam_core::blob::BlobKey;
use jam_core::db;
use jam_core::edge::{BlobResponse, PathFile, SignedBy, Validators, disposition};
use jam_core::ids::{FileId, UserId};
use jam_core::media;
use jam_core::model::File;
use jam_core::{Error, Result};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// This function's routes. axum answers HEAD by the GET handlers.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(download)).routes(routes!(stream)).routes(routes!(signed))
}
