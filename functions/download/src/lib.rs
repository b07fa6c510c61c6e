//! The download function: a file's bytes, to keep or to play, for its owner or for whoever holds a signed URL.
//! Reads only; never sends a thumbnail.

mod playback;

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use jam_core::app::App;
use jam_core::auth::Variant;
use jam_core::db;
use jam_core::db::files::Content;
use jam_core::edge::{BlobResponse, Params, ReadableFile, SignedBy, Validators, disposition};
use jam_core::media;
use jam_core::model::{BlobKey, DerivativeKind};
use jam_core::{Error, Result};
use playback::Playback;
use time::OffsetDateTime;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a browser may keep a file it got with a token, without asking again whether it may.
const PRIVATE: &str = "private, max-age=0, must-revalidate";

/// This function's routes. HEAD is answered by the GET handlers.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(download))
        .routes(routes!(stream))
        .routes(routes!(download_signed))
        .routes(routes!(stream_signed))
        .routes(routes!(playback_signed))
}

/// The bytes, to be saved. `Range`, `If-Range`, `If-None-Match` and `If-Modified-Since` are honoured.
#[utoipa::path(get, path = "/api/files/{id}/download", tag = "download", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, description = "The whole file", content_type = "application/octet-stream"),
    (status = 206, description = "The ranges asked for"),
    (status = 304, description = "Unchanged"),
    (status = 404, description = "No such file"),
    (status = 416, description = "No such range")))]
async fn download(
    State(app): State<App>,
    ReadableFile { owner, id }: ReadableFile,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let content = db::files::content(&mut *app.db.conn().await?, &owner, id).await?.ok_or(Error::NotFound)?;
    send(&app, content, Variant::Download, PRIVATE.to_owned(), &method, &headers).await
}

/// The same bytes, to be shown in place. Only for images, audio and video. With `derivative=playback` the video that
/// was made of it for browsers.
#[utoipa::path(get, path = "/api/files/{id}/stream", tag = "download",
    params(("id" = uuid::Uuid, Path), ("derivative" = Option<String>, Query, description = "`playback`")), responses(
    (status = 200, description = "The whole file"),
    (status = 206, description = "The ranges asked for"),
    (status = 304, description = "Unchanged"),
    (status = 400, description = "A browser must not show this type in place"),
    (status = 404, description = "No such file"),
    (status = 416, description = "No such range")))]
async fn stream(
    State(app): State<App>,
    ReadableFile { owner, id }: ReadableFile,
    params: Params,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let derivative = params.parsed("derivative", "playback", DerivativeKind::parse)?;
    match derivative {
        None => {}
        Some(DerivativeKind::Playback) => {
            let video = Playback::find(&app, &owner, id).await?;
            return video.send(&app, PRIVATE.to_owned(), &method, &headers).await;
        }
        Some(_) => return Err(Error::invalid_parameter("derivative", "expected playback")),
    }
    let content = db::files::content(&mut *app.db.conn().await?, &owner, id).await?.ok_or(Error::NotFound)?;
    send(&app, content, Variant::Stream, PRIVATE.to_owned(), &method, &headers).await
}

/// The bytes by a signed URL, to be saved.
#[utoipa::path(get, path = "/f/{id}/download", tag = "download", security(()), params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, description = "The whole file"),
    (status = 206, description = "The ranges asked for"),
    (status = 403, description = "Not a valid signature, or expired"),
    (status = 404, description = "Gone or revoked")))]
async fn download_signed(
    State(app): State<App>,
    signed: SignedBy,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    send_signed(&app, signed, &method, &headers).await
}

/// The bytes by a signed URL, to be shown in place.
#[utoipa::path(get, path = "/f/{id}/stream", tag = "download", security(()), params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, description = "The whole file"),
    (status = 206, description = "The ranges asked for"),
    (status = 403, description = "Not a valid signature, or expired"),
    (status = 404, description = "Gone or revoked")))]
async fn stream_signed(
    State(app): State<App>,
    signed: SignedBy,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    send_signed(&app, signed, &method, &headers).await
}

/// The video that was made of a file for browsers, by a signed URL.
#[utoipa::path(get, path = "/f/{id}/playback", tag = "download", security(()), params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, description = "The whole video", content_type = "video/mp4"),
    (status = 206, description = "The ranges asked for"),
    (status = 403, description = "Not a valid signature, or expired"),
    (status = 404, description = "Gone or revoked")))]
async fn playback_signed(
    State(app): State<App>,
    SignedBy(signed): SignedBy,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let video = Playback::find(&app, &signed.user, signed.file).await?;
    if video.url_epochs != signed.epochs {
        return Err(Error::NotFound);
    }
    video.send(&app, for_the_life_of(&app, signed.expires_at), &method, &headers).await
}

async fn send_signed(
    app: &App,
    SignedBy(signed): SignedBy,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let found = db::files::content(&mut *app.db.conn().await?, &signed.user, signed.file).await?;
    let content = found.filter(|content| content.url_epochs == signed.epochs).ok_or(Error::NotFound)?;
    send(app, content, signed.variant, for_the_life_of(app, signed.expires_at), method, headers).await
}

/// A browser may keep what it got by a signed URL for as long as the URL works.
fn for_the_life_of(app: &App, expires_at: OffsetDateTime) -> String {
    format!("private, max-age={}", (expires_at - app.clock.now()).whole_seconds().max(0))
}

async fn send(
    app: &App,
    content: Content,
    variant: Variant,
    cache_control: String,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let disposition = match variant {
        Variant::Stream if !media::is_inline_safe(&content.mime_type) => return Err(Error::NotStreamable),
        Variant::Stream => disposition::inline(&content.original_name),
        _ => disposition::attachment(&content.original_name),
    };
    let response = BlobResponse {
        key: BlobKey::parse(&content.file_path)?,
        size: content.size,
        mime_type: content.mime_type,
        validators: Validators::of_content(&content.sha256, content.upload_date),
        disposition,
        cache_control,
    };
    response.send(app, method, headers).await
}
