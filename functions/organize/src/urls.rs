//! Signed URLs for one file: made on request, revoked all at once.

use axum::Json;
use axum::extract::State;
use jam_core::app::App;
use jam_core::auth::{Caller, Variant};
use jam_core::db;
use jam_core::edge::{JsonBody, PathFile};
use jam_core::ids::{FileId, UserId};
use jam_core::media;
use jam_core::model::{DerivativeState, ScanState, ThumbnailSize, Whole};
use jam_core::{Error, Result, ops};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What a URL is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UrlRequest {
    purpose: Purpose,
    /// Seconds; rounded up to the next quarter of an hour, at most 1 h for a thumbnail and 12 h otherwise.
    #[schema(value_type = Option<u64>)]
    expires_in: Option<Whole>,
    /// Of a thumbnail; 400x225 without it.
    size: Option<ThumbnailSize>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    Download,
    Stream,
    Thumbnail,
}

/// A URL that works without a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UrlAnswer {
    success: bool,
    url: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

/// Signs a URL for one of the caller's files.
#[utoipa::path(post, path = "/api/files/{id}/url", tag = "organize", params(("id" = uuid::Uuid, Path)),
    request_body = UrlRequest, responses(
        (status = 200, body = UrlAnswer),
        (status = 400, description = "A browser must not show this type in place"),
        (status = 404, description = "No such file"),
        (status = 409, description = "The file is not scanned for viruses yet, or one was found in it"),
        (status = 503, description = "No signing key is configured")))]
pub(crate) async fn make_url(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
    JsonBody(request): JsonBody<UrlRequest>,
) -> Result<Json<UrlAnswer>> {
    let content =
        db::files::content(&mut *app.db.conn().await?, &caller.user, id).await?.ok_or(Error::NotFound)?;
    let variant = match request.purpose {
        Purpose::Download => Variant::Download,
        Purpose::Stream if has_playback(&app, &caller.user, id).await? => Variant::Playback,
        Purpose::Stream if !media::is_inline_safe(&content.mime_type) => return Err(Error::NotStreamable),
        Purpose::Stream => Variant::Stream,
        Purpose::Thumbnail => Variant::Thumbnail(request.size.unwrap_or(ThumbnailSize::Default)),
    };
    match content.scan.filter(|_| variant.is_original()) {
        Some(ScanState::Infected) => return Err(conflict("A virus was found in the file")),
        Some(state) if !state.allows_links() => {
            return Err(conflict("The file is still being scanned for viruses: try again in a moment"));
        }
        _ => {}
    }
    let lifetime = request.expires_in.map(|Whole(seconds)| Duration::from_secs(seconds));
    let signed = app
        .signer
        .sign(&caller.user, id, variant, content.url_epochs, lifetime)
        .ok_or(Error::Unavailable { part: "signed URLs" })?;
    Ok(Json(UrlAnswer { success: true, url: signed.url, expires_at: signed.expires_at }))
}

fn conflict(reason: &str) -> Error {
    Error::Conflict { reason: reason.to_owned() }
}

/// Whether there is a video for browsers.
async fn has_playback(app: &App, user: &UserId, id: FileId) -> Result<bool> {
    let found = ops::playback::find(app, user, id).await?;
    Ok(found.is_some_and(|found| found.state == Some(DerivativeState::Ready)))
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Revoked {
    success: bool,
}

/// Revokes every URL given out for a file so far.
#[utoipa::path(delete, path = "/api/files/{id}/urls", tag = "organize", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = Revoked), (status = 404, description = "No such file")))]
pub(crate) async fn revoke_urls(
    State(app): State<App>,
    caller: Caller,
    PathFile(id): PathFile,
) -> Result<Json<Revoked>> {
    ops::organize::revoke_urls(&app, &caller.user, id).await?;
    Ok(Json(Revoked { success: true }))
}
