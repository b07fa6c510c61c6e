//! An upload as the protocol and the JSON beside it show it.

use super::headers::{
    UPLOAD_CONCAT, UPLOAD_DEFER_LENGTH, UPLOAD_EXPIRES, UPLOAD_FILE_ID, UPLOAD_LENGTH, UPLOAD_METADATA,
    UPLOAD_OFFSET, put,
};
use axum::http::{HeaderMap, HeaderValue};
use jam_core::db::sessions::{Session, SessionLine};
use jam_core::edge;
use jam_core::ids::{FileId, UploadId};
use jam_core::model::{ByteSize, FileName, FileType, UploadRole};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Puts how far an upload is, until when it waits, and which file it became. A join that is not finished has no offset.
pub(super) fn put_progress(headers: &mut HeaderMap, session: &Session) {
    if session.role != UploadRole::Joined || session.file_id.is_some() {
        headers.insert(UPLOAD_OFFSET, HeaderValue::from(session.durable.offset().bytes()));
    }
    if let Some(open) = &session.open {
        put(headers, UPLOAD_EXPIRES, &edge::http_date(open.expires_at));
    }
    if let Some(file) = session.file_id {
        put(headers, UPLOAD_FILE_ID, &file.to_string());
    }
}

/// Puts what the client said about an upload.
pub(super) fn put_description(headers: &mut HeaderMap, session: &Session) {
    match session.length {
        Some(length) => headers.insert(UPLOAD_LENGTH, HeaderValue::from(length.bytes())),
        None => headers.insert(UPLOAD_DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    if let Some(sent) = &session.sent_metadata {
        put(headers, UPLOAD_METADATA, sent);
    }
    match session.role {
        UploadRole::File => {}
        UploadRole::Part => put(headers, UPLOAD_CONCAT, "partial"),
        UploadRole::Joined => {
            let parts: Vec<String> = session.part_ids.iter().map(|id| format!("/api/uploads/{id}")).collect();
            put(headers, UPLOAD_CONCAT, &format!("final;{}", parts.join(" ")));
        }
    }
}

/// How far an upload is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum UploadState {
    /// It takes bytes.
    Open,
    /// It is a file.
    Complete,
}

/// An upload for a user interface.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Upload {
    id: UploadId,
    state: UploadState,
    #[schema(value_type = String)]
    file_name: FileName,
    /// What the client says it is.
    #[schema(required)]
    file_type: Option<FileType>,
    role: UploadRole,
    /// Bytes in all; null while that is not known.
    #[schema(required)]
    length: Option<ByteSize>,
    /// Bytes that are on disk.
    offset: ByteSize,
    /// The finished file.
    #[schema(required)]
    file_id: Option<FileId>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When it is given up if nothing more comes.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    expires_at: Option<OffsetDateTime>,
}

/// One upload.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadAnswer {
    success: bool,
    upload: Upload,
}

/// The caller's open uploads.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadsAnswer {
    success: bool,
    /// The latest first.
    uploads: Vec<Upload>,
    count: usize,
}

impl UploadAnswer {
    pub(super) fn new(session: Session) -> Self {
        let state = if session.file_id.is_some() { UploadState::Complete } else { UploadState::Open };
        let upload = Upload {
            id: session.id,
            state,
            file_name: session.name,
            file_type: session.declared,
            role: session.role,
            length: session.length,
            offset: session.durable.offset(),
            file_id: session.file_id,
            created_at: session.created_at,
            expires_at: session.open.map(|open| open.expires_at),
        };
        Self { success: true, upload }
    }
}

impl UploadsAnswer {
    pub(super) fn new(lines: Vec<SessionLine>) -> Self {
        let uploads: Vec<Upload> = lines.into_iter().map(Upload::from).collect();
        Self { success: true, count: uploads.len(), uploads }
    }
}

impl From<SessionLine> for Upload {
    fn from(line: SessionLine) -> Self {
        Self {
            id: line.id,
            state: UploadState::Open,
            file_name: line.name,
            file_type: line.declared,
            role: line.role,
            length: line.length,
            offset: line.offset,
            file_id: None,
            created_at: line.created_at,
            expires_at: Some(line.expires_at),
        }
    }
}
