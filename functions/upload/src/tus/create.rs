//! Creating an upload: alone, with its first bytes, or by joining parts.
//! Invariant: a refusal names no URL, and leaves no upload that nobody could find.

use super::answer;
use super::headers::{self, UPLOAD_KNOWN, UPLOAD_LIMIT};
use super::metadata;
use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::header::{HeaderMap, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jam_core::app::App;
use jam_core::auth::{Caller, UploadSecret};
use jam_core::config::Limits;
use jam_core::db::sessions::Session;
use jam_core::edge::{self, MaxAppend, UploadUrl};
use jam_core::model::{ByteSize, UploadRole};
use jam_core::ops::upload::append::{self, Piece};
use jam_core::ops::upload::join::{self, MAX_PARTS};
use jam_core::ops::upload::proof;
use jam_core::ops::upload::session::{self, New};
use jam_core::{Error, Result};

/// What `Upload-Concat` asks for.
enum Concat<'a> {
    /// Nothing: a file of its own.
    None,
    /// A part of a file.
    Partial,
    /// A file from these parts.
    Final(Vec<&'a str>),
}

/// Starts a resumable upload. Its URL in `Location` carries a secret: whoever has it can go on without a token.
///
/// If `Repr-Digest` names content that the caller has stored already, `Upload-Known: nonce=:N:, range=A-B` comes back:
/// an empty PATCH at offset 0 with `Upload-Proof: sha-256=:P:`, where P is the SHA-256 of N followed by the bytes A to B
/// of the content, makes the upload a file without sending it. Both N and P are base64.
#[utoipa::path(post, path = "/api/uploads", tag = "upload",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = Option<u64>, Header, description = "Bytes in all"),
        ("Upload-Defer-Length" = Option<u8>, Header, description = "`1` instead: not known yet"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename`, `fileType`, `packageName`, `tags`, asset fields"),
        ("Upload-Concat" = Option<String>, Header, description = "`partial`, or `final;` and the URLs of parts"),
        ("Upload-Checksum" = Option<String>, Header, description = "Of the bytes that come along"),
        ("Repr-Digest" = Option<String>, Header, description = "`sha-256=:...:` of the whole content"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key answers the same upload")),
    responses(
        (status = 201, description = "`Location`, `Upload-Expires`, `Upload-Limit`; `Upload-Offset` when bytes came along"),
        (status = 400, description = "A header that cannot be read"),
        (status = 404, description = "A part that is not there"),
        (status = 409, description = "A part that cannot be joined, or a key used for something else"),
        (status = 412, description = "Another version of the protocol"),
        (status = 413, description = "Over the quota or a limit"),
        (status = 415, description = "Not bytes of an upload, or content that is refused"),
        (status = 429, description = "Too many uploads"),
        (status = 460, description = "The bytes do not match their checksum"),
        (status = 507, description = "The volume is full")))]
pub(super) async fn create_upload(
    State(app): State<App>,
    caller: Caller,
    max_append: MaxAppend,
    request: Request,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    headers::require_version(&parts.headers)?;
    edge::require_plain(&parts.headers)?;
    let has_body = !body.is_end_stream();
    if has_body && !headers::has_bytes_type(&parts.headers) {
        return Err(Error::UnsupportedContentType { expected: headers::BYTES });
    }
    let secret = UploadSecret::new()?;
    let mut new = read_new(&app.config.limits, &parts.headers, &caller, &secret)?;
    let concat = read_concat(max_append, &parts.headers)?;
    let session = match concat {
        Concat::Final(urls) => Box::pin(join_parts(&app, &caller, new, &parts.headers, &urls)).await?,
        Concat::None | Concat::Partial => {
            new.length = headers::new_length(&parts.headers)?;
            if matches!(concat, Concat::Partial) {
                new.role = UploadRole::Part;
            }
            let piece = first_piece(&parts.headers, !has_body)?;
            let session = Box::pin(session::create(&app, new)).await?;
            if has_body {
                Box::pin(append_first(&app, session, piece, edge::chunks(body))).await?
            } else {
                session
            }
        }
    };
    let mut response = created(&app, &session, &secret, has_body);
    let limits = headers::limits_text(&app.config.limits, max_append);
    headers::put(response.headers_mut(), UPLOAD_LIMIT, &limits);
    if let Some(challenge) = proof::offer(&app, &session).await? {
        headers::put(response.headers_mut(), UPLOAD_KNOWN, &headers::challenge_text(&challenge));
    }
    Ok(response)
}

fn read_new(limits: &Limits, headers: &HeaderMap, caller: &Caller, secret: &UploadSecret) -> Result<New> {
    let sent = headers::text(headers, "Upload-Metadata")?;
    let (sent_bytes, most) = (sent.map_or(0, str::len), limits.max_upload_metadata.bytes());
    if sent_bytes as u64 > most {
        let reason = format!("it has {sent_bytes} bytes, expected at most {most}");
        return Err(Error::invalid_parameter("Upload-Metadata", reason));
    }
    Ok(New {
        user: caller.user.clone(),
        secret_hash: secret.hash(),
        length: None,
        role: UploadRole::File,
        description: metadata::describe(sent)?,
        expected_sha256: headers::content_digest(headers)?,
        idempotency_key: headers::idempotency_key(headers)?,
    })
}

fn read_concat(max_append: MaxAppend, headers: &HeaderMap) -> Result<Concat<'_>> {
    let Some(text) = headers::text(headers, "Upload-Concat")? else { return Ok(Concat::None) };
    let wrong = |reason: String| Err(Error::invalid_parameter("Upload-Concat", reason));
    if !headers::can_join(max_append) {
        return wrong("it was sent, expected none: parts are not joined here".to_owned());
    }
    if text == "partial" {
        return Ok(Concat::Partial);
    }
    let Some(urls) = text.strip_prefix("final;") else {
        // What follows may be URLs, which are secrets.
        let kind = text.split([';', ' ', '/']).next().unwrap_or_default();
        return Err(headers::not("Upload-Concat", kind, "partial, or final; and the URLs of parts"));
    };
    let urls: Vec<&str> = urls.split_ascii_whitespace().collect();
    if !(1..=MAX_PARTS).contains(&urls.len()) {
        return wrong(format!("it names {} parts, expected 1 to {MAX_PARTS}", urls.len()));
    }
    if let Some(at) = (1..urls.len()).find(|at| urls[..*at].contains(&urls[*at])) {
        return wrong(format!("part {} is named before, expected each once", at + 1));
    }
    Ok(Concat::Final(urls))
}

async fn join_parts(
    app: &App,
    caller: &Caller,
    mut new: New,
    headers: &HeaderMap,
    urls: &[&str],
) -> Result<Session> {
    for name in ["Upload-Length", "Upload-Defer-Length"] {
        if headers.contains_key(name) {
            let reason = "it was sent, expected none: the length follows from the parts";
            return Err(Error::invalid_parameter(name, reason));
        }
    }
    let mut parts = Vec::new();
    for (at, url) in urls.iter().enumerate() {
        let named = url.rsplit('/').next().and_then(UploadUrl::parse);
        let (id, _) = named.ok_or_else(|| {
            let reason = format!("part {} is another text, expected the Location of a part", at + 1);
            Error::invalid_parameter("Upload-Concat", reason)
        })?;
        // A join takes its owner's token, as every creation does.
        parts.push(session::find(app, id, None, Some(&caller.user)).await?);
    }
    new.role = UploadRole::Joined;
    Box::pin(join::join(app, new, &parts)).await
}

/// What comes along with the creation.
fn first_piece(headers: &HeaderMap, is_empty: bool) -> Result<Piece> {
    let checksum = headers::checksum(headers)?;
    Ok(Piece { offset: ByteSize::ZERO, size: headers::body_size(headers, is_empty), length: None, checksum })
}

/// Appends what came along. When it breaks off, the client goes on from where it is; when it is refused, so is the
/// creation.
async fn append_first(app: &App, session: Session, piece: Piece, chunks: append::Chunks) -> Result<Session> {
    if session.file_id.is_some() || session.durable.offset() > ByteSize::ZERO {
        // A creation that is repeated: its bytes are here already.
        return Ok(session);
    }
    match append::append(app, &session, piece, chunks).await {
        Err(
            Error::IncompleteBody
            | Error::RequestTimeout
            | Error::Draining
            | Error::UploadLocked
            | Error::OffsetMismatch { .. },
        ) => session::find(app, session.id, Some(session.secret_hash), None).await,
        Err(error) => {
            session::discard(app, &session.user_id, session.id).await?;
            Err(error)
        }
        appended => appended,
    }
}

fn created(app: &App, session: &Session, secret: &UploadSecret, has_body: bool) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    let answer = response.headers_mut();
    answer::put_progress(answer, session);
    if !has_body && session.durable.offset() == ByteSize::ZERO {
        answer.remove(headers::UPLOAD_OFFSET);
    }
    let base = &app.config.public_base_url;
    let location = format!("{base}/api/uploads/{}-{}", session.id, secret.expose());
    if let Ok(mut value) = HeaderValue::from_str(&location) {
        value.set_sensitive(true);
        answer.insert(LOCATION, value);
    }
    response
}
