//! One upload by its URL: how far it is, more bytes, its end; and the list of a caller's open ones.

use super::answer::{self, UploadAnswer, UploadsAnswer};
use super::headers;
use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jam_core::app::App;
use jam_core::auth::Caller;
use jam_core::db;
use jam_core::db::sessions::Session;
use jam_core::edge::{self, BlobResponse, UploadUrl, Validators, disposition};
use jam_core::ids::FileId;
use jam_core::model::{BlobKey, ByteSize, UploadRole};
use jam_core::ops::upload::append::{self, Piece};
use jam_core::ops::upload::{proof, session};
use jam_core::{Error, Result};

/// How long a browser may keep a file it got with a token, without asking again whether it may.
const PRIVATE: &str = "private, max-age=0, must-revalidate";

/// The caller's open uploads.
#[utoipa::path(get, path = "/api/uploads", tag = "upload", responses((status = 200, body = UploadsAnswer)))]
pub(super) async fn list_uploads(State(app): State<App>, caller: Caller) -> Result<Json<UploadsAnswer>> {
    let most = i64::try_from(app.config.limits.max_open_uploads).unwrap_or(i64::MAX);
    let lines = db::sessions::list(&mut *app.db.conn().await?, &caller.user, most).await?;
    Ok(Json(UploadsAnswer::new(lines)))
}

/// An upload for a user interface. Of a finished one its owner gets the file instead, unless `Tus-Resumable` is sent.
#[utoipa::path(get, path = "/api/uploads/{upload}", tag = "upload",
    params(("upload" = String, Path, description = "The last part of its `Location`, or its id")), responses(
    (status = 200, body = UploadAnswer),
    (status = 206, description = "The ranges of the file that were asked for"),
    (status = 304, description = "The file is unchanged"),
    (status = 401, description = "Neither the secret nor a token"),
    (status = 404, description = "No such upload"),
    (status = 410, description = "Cancelled or expired"),
    (status = 416, description = "No such range")))]
pub(super) async fn upload_state(
    State(app): State<App>,
    url: UploadUrl,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let session = find(&app, &url).await?;
    let is_owner = url.caller.is_some_and(|caller| caller.user == session.user_id);
    match session.file_id {
        Some(file) if is_owner && headers::require_version(&headers).is_err() => {
            send_file(&app, &session, file, &method, &headers).await
        }
        None if session.open.is_none() => Err(Error::Gone),
        _ => Ok(Json(UploadAnswer::new(session)).into_response()),
    }
}

async fn send_file(
    app: &App,
    session: &Session,
    file: FileId,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let found = db::files::content(&mut *app.db.conn().await?, &session.user_id, file).await?;
    let content = found.ok_or(Error::NotFound)?;
    let response = BlobResponse {
        key: BlobKey::parse(&content.file_path)?,
        size: content.size,
        validators: Validators::of_content(&content.sha256, content.upload_date),
        disposition: disposition::attachment(&content.original_name),
        mime_type: content.mime_type,
        cache_control: PRIVATE.to_owned(),
    };
    response.send(app, method, headers).await
}

/// How far an upload is. Whoever is still sending to it is stopped, and what only lacks its file becomes it.
#[utoipa::path(head, path = "/api/uploads/{upload}", tag = "upload", params(
    ("upload" = String, Path, description = "The last part of its `Location`, or its id"),
    ("Tus-Resumable" = String, Header, description = "`1.0.0`")), responses(
    (status = 200, description = "`Upload-Offset`, `Upload-Length` or `Upload-Defer-Length`, `Upload-Metadata`, `Upload-Expires`; `Upload-File-Id` of a finished one"),
    (status = 401, description = "Neither the secret nor a token"),
    (status = 404, description = "No such upload"),
    (status = 410, description = "Cancelled or expired"),
    (status = 412, description = "Another version of the protocol"),
    (status = 415, description = "Content that is refused"),
    (status = 423, description = "Somebody is sending to it and does not stop")))]
pub(super) async fn upload_offset(
    State(app): State<App>,
    url: UploadUrl,
    headers: HeaderMap,
) -> Result<Response> {
    headers::require_version(&headers)?;
    offset(&app, &url).await
}

async fn offset(app: &App, url: &UploadUrl) -> Result<Response> {
    let session = session::refresh(app, find(app, url).await?).await?;
    let mut response = StatusCode::OK.into_response();
    answer::put_progress(response.headers_mut(), &session);
    answer::put_description(response.headers_mut(), &session);
    Ok(response)
}

/// Appends bytes. They are on disk when this answers; with the last one the upload is a file.
#[utoipa::path(patch, path = "/api/uploads/{upload}", tag = "upload",
    params(
        ("upload" = String, Path, description = "The last part of its `Location`, or its id"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Where the bytes belong: how far the upload is"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes in all, if that was not known so far"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1` or `sha256` and the digest of these bytes in base64"),
        ("Upload-Proof" = Option<String>, Header, description = "Instead of bytes that are known: see the creation")),
    request_body(content_type = "application/offset+octet-stream", content = Vec<u8>),
    responses(
        (status = 204, description = "`Upload-Offset`, `Upload-Expires`; `Upload-File-Id` with the last byte"),
        (status = 400, description = "A header that cannot be read"),
        (status = 401, description = "Neither the secret nor a token"),
        (status = 403, description = "It is joined from parts"),
        (status = 404, description = "No such upload"),
        (status = 408, description = "The bytes stopped coming"),
        (status = 409, description = "Not where the upload is; `Upload-Offset` says where that is"),
        (status = 410, description = "Cancelled or expired"),
        (status = 412, description = "Another version of the protocol"),
        (status = 413, description = "More bytes than it was said to have, or over the quota or a limit"),
        (status = 415, description = "Not bytes of an upload, or content that is refused"),
        (status = 423, description = "Somebody else is sending to it"),
        (status = 460, description = "The bytes do not match their checksum"),
        (status = 507, description = "The volume is full")))]
pub(super) async fn append_upload(
    State(app): State<App>,
    url: UploadUrl,
    request: Request,
) -> Result<Response> {
    headers::require_version(request.headers())?;
    append(&app, &url, request).await
}

async fn append(app: &App, url: &UploadUrl, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    edge::require_plain(&parts.headers)?;
    if !headers::has_bytes_type(&parts.headers) {
        return Err(Error::UnsupportedContentType { expected: headers::BYTES });
    }
    let offset = headers::bytes(&parts.headers, "Upload-Offset")?;
    let piece = Piece {
        offset: offset.ok_or_else(|| {
            Error::invalid_parameter(
                "Upload-Offset",
                "it is missing, expected how far the upload is, in bytes",
            )
        })?,
        size: headers::body_size(&parts.headers, body.is_end_stream()),
        length: headers::bytes(&parts.headers, "Upload-Length")?,
        checksum: headers::checksum(&parts.headers)?,
    };
    let session = find(app, url).await?;
    if session.role == UploadRole::Joined {
        return Err(Error::JoinedUpload);
    }
    let session = match headers::proof(&parts.headers)? {
        Some(_) if piece.offset != ByteSize::ZERO || piece.size != Some(ByteSize::ZERO) => {
            let reason = "bytes or another offset were sent with it, expected no bytes, at offset 0";
            return Err(Error::invalid_parameter("Upload-Proof", reason));
        }
        Some(proof) => proof::prove(app, &session, proof).await?,
        None => Box::pin(append::append(app, &session, piece, edge::chunks(body))).await?,
    };
    let mut response = StatusCode::NO_CONTENT.into_response();
    answer::put_progress(response.headers_mut(), &session);
    Ok(response)
}

/// Ends an upload, whatever its state, and gives back what it reserved. A finished file stays.
#[utoipa::path(delete, path = "/api/uploads/{upload}", tag = "upload", params(
    ("upload" = String, Path, description = "The last part of its `Location`, or its id"),
    ("Tus-Resumable" = String, Header, description = "`1.0.0`")), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "Neither the secret nor a token"),
    (status = 404, description = "No such upload"),
    (status = 412, description = "Another version of the protocol")))]
pub(super) async fn delete_upload(
    State(app): State<App>,
    url: UploadUrl,
    headers: HeaderMap,
) -> Result<StatusCode> {
    headers::require_version(&headers)?;
    delete(&app, &url).await
}

async fn delete(app: &App, url: &UploadUrl) -> Result<StatusCode> {
    session::end(app, &find(app, url).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// For clients whose network lets nothing but GET and POST pass: the method is in `X-HTTP-Method-Override`.
#[utoipa::path(post, path = "/api/uploads/{upload}", tag = "upload", params(
    ("upload" = String, Path, description = "The last part of its `Location`, or its id"),
    ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ("X-HTTP-Method-Override" = String, Header, description = "`PATCH`, `DELETE` or `HEAD`")), responses(
    (status = 200, description = "As HEAD"),
    (status = 204, description = "As PATCH or DELETE"),
    (status = 401, description = "Neither the secret nor a token"),
    (status = 404, description = "No such upload"),
    (status = 405, description = "No such method"),
    (status = 412, description = "Another version of the protocol")))]
pub(super) async fn override_upload_method(
    State(app): State<App>,
    url: UploadUrl,
    request: Request,
) -> Result<Response> {
    headers::require_version(request.headers())?;
    match headers::text(request.headers(), "X-HTTP-Method-Override")? {
        Some("PATCH") => append(&app, &url, request).await,
        Some("HEAD") => offset(&app, &url).await,
        Some("DELETE") => Ok(delete(&app, &url).await?.into_response()),
        _ => {
            find(&app, &url).await?;
            Err(Error::MethodNotAllowed)
        }
    }
}

async fn find(app: &App, url: &UploadUrl) -> Result<Session> {
    let secret_hash = url.secret.as_ref().map(jam_core::auth::UploadSecret::hash);
    let found = session::find(app, url.id, secret_hash, url.caller.as_ref().map(|caller| &caller.user)).await;
    if let Err(Error::NotFound) = found {
        url.count_guess(app)?;
    }
    found
}
