//! The thumbnail function: thumbnails of files in named sizes, made when they are first asked for.
//! Never sends a file's own bytes.

use axum::extract::State;
use axum::http::header::{ACCEPT, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use jam_core::app::App;
use jam_core::auth::Variant;
use jam_core::db::derivatives::Found;
use jam_core::edge::{BlobResponse, Params, ReadableFile, SignedBy, Validators, disposition};
use jam_core::ids::{ContentId, FileId, UserId};
use jam_core::media::ThumbnailFormat;
use jam_core::model::{FileName, ThumbnailSize};
use jam_core::ops::derivative;
use jam_core::ops::thumbnail::{self, Thumbnail};
use jam_core::{Error, Result};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A browser may show a thumbnail that it got with a token again after it has revalidated it.
const PRIVATE: &str = "private, max-age=0, must-revalidate";

/// This function's routes. HEAD is answered by the GET handlers.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(thumbnail)).routes(routes!(thumbnail_signed))
}

/// The thumbnail of a file: 400x225, cropped to fill; other sizes by name. WebP, or JPEG when `Accept` allows no WebP.
#[utoipa::path(get, path = "/api/files/{id}/thumbnail", tag = "thumbnail",
    params(("id" = uuid::Uuid, Path), ("size" = Option<String>, Query, description = "`small`, `medium` or `large`")),
    responses(
        (status = 200, description = "The thumbnail", content_type = "image/webp"),
        (status = 304, description = "Unchanged"),
        (status = 404, description = "No such file, or it has no thumbnail (`thumbnail_unavailable`)")))]
async fn thumbnail(
    State(app): State<App>,
    ReadableFile { owner, id }: ReadableFile,
    params: Params,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let size = params.parsed("size", "small, medium or large", ThumbnailSize::parse)?;
    let kind = size.unwrap_or(ThumbnailSize::Default);
    let (file, wanted) = ((&owner, id), (kind, format(&headers)));
    let found = find(&app, file, wanted).await?;
    send(&app, file, wanted, found, PRIVATE.to_owned(), &method, &headers).await
}

/// A thumbnail by a signed URL; the variant is `thumbnail`, `thumbnail-small`, `thumbnail-medium` or `thumbnail-large`.
#[utoipa::path(get, path = "/f/{id}/{variant}", tag = "thumbnail", security(()),
    params(("id" = uuid::Uuid, Path), ("variant" = String, Path)),
    responses(
        (status = 200, description = "The thumbnail", content_type = "image/webp"),
        (status = 403, description = "Not a valid signature, or expired"),
        (status = 404, description = "The file is gone or has no thumbnail, or the URL was revoked")))]
async fn thumbnail_signed(
    State(app): State<App>,
    SignedBy(signed): SignedBy,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let Variant::Thumbnail(kind) = signed.variant else { return Err(Error::NotFound) };
    let (file, wanted) = ((&signed.user, signed.file), (kind, format(&headers)));
    let found = find(&app, file, wanted).await?;
    if found.url_epochs != signed.epochs {
        return Err(Error::NotFound);
    }
    let max_age = (signed.expires_at - app.clock.now()).whole_seconds().max(0);
    let cache_control = format!("private, max-age={max_age}, immutable");
    send(&app, file, wanted, found, cache_control, &method, &headers).await
}

async fn find(app: &App, file: (&UserId, FileId), wanted: (ThumbnailSize, ThumbnailFormat)) -> Result<Found> {
    let found = thumbnail::find(app, file, wanted).await?;
    found.filter(|found| !found.is_trashed).ok_or(Error::NotFound)
}

async fn send(
    app: &App,
    file: (&UserId, FileId),
    (kind, format): (ThumbnailSize, ThumbnailFormat),
    found: Found,
    cache_control: String,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let content = found.content;
    let made = thumbnail::get(app, file, (kind, format), found).await?;
    let sent = send_made(app, content, (kind, format), made.clone(), &cache_control, (method, headers)).await;
    let lost = (&made.key, made.size);
    match sent {
        Err(Error::Internal(_)) if derivative::renew_if_lost(app, file.0, content, lost).await? => {
            let found = find(app, file, (kind, format)).await?;
            let made = thumbnail::get(app, file, (kind, format), found).await?;
            send_made(app, content, (kind, format), made, &cache_control, (method, headers)).await
        }
        sent => sent,
    }
}

async fn send_made(
    app: &App,
    content: ContentId,
    (kind, format): (ThumbnailSize, ThumbnailFormat),
    made: Thumbnail,
    cache_control: &str,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Response> {
    let made_micros = made.made_at.unix_timestamp_nanos() / 1000;
    let etag = format!("\"{content}-{}-{}-{made_micros}\"", kind.as_str(), format.mime());
    let response = BlobResponse {
        key: made.key,
        size: made.size,
        mime_type: format.mime().to_owned(),
        validators: Validators { etag, last_modified: made.made_at },
        disposition: disposition::inline(&FileName::sanitize("thumbnail")),
        cache_control: cache_control.to_owned(),
    };
    let mut response = response.send(app, method, headers).await?;
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// WebP, unless `Accept` refuses it or does not name it; the most specific range counts (RFC 9110 section 12.5.1).
fn format(headers: &HeaderMap) -> ThumbnailFormat {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let is_taken_by = |wanted: &str| {
        accept.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_refused = |parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
            (parts.next() == Some(wanted)).then(|| !parts.any(is_refused))
        })
    };
    let takes_webp = ["image/webp", "image/*", "*/*"].into_iter().find_map(is_taken_by).unwrap_or(false);
    if takes_webp { ThumbnailFormat::WebP } else { ThumbnailFormat::Jpeg }
}
