//! What can go wrong, in the words of this service and free of any transport.
//! A variant exists only if a client would act differently; HTTP statuses live in `edge::problem` alone.

use crate::model::{ByteSize, FileType, NotABlobKey};
use std::borrow::Cow;

/// The result of everything that can fail in a way a client may see.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure that a client can receive. The text of each variant is one sentence for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No token, or one that proves nothing. All token failures look the same from outside.
    #[error("Sign in to continue.")]
    Unauthenticated,
    /// The session exists, but the user still has a step to finish before it counts.
    #[error("Finish signing in to continue.")]
    SessionPending,
    /// The caller is known and lacks the admin role.
    #[error("Only an administrator can do this.")]
    AdminOnly,
    /// A signed URL that is malformed, forged, expired or revoked.
    #[error("This link is not valid or has expired.")]
    BadSignature,
    /// Unknown, deleted, malformed or somebody else's: the client cannot distinguish these.
    #[error("Not found.")]
    NotFound,
    /// The file exists and its thumbnail cannot be made.
    #[error("No thumbnail is available: {reason}.")]
    ThumbnailUnavailable {
        /// Why, for a person.
        reason: String,
    },
    /// A query parameter or a field has a value outside its range.
    #[error("The value of {parameter} is not valid: {reason}.")]
    InvalidParameter {
        /// The parameter's name as the client wrote it.
        parameter: Cow<'static, str>,
        /// What is wrong with the value.
        reason: String,
    },
    /// The body is not what the endpoint reads.
    #[error("The request body is not valid: {reason}.")]
    InvalidBody {
        /// The field at fault, if it is one.
        parameter: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
    /// An upload without a single part named `files`.
    #[error("The upload holds no file: send at least one part named files.")]
    NoFiles,
    /// The body ended before it was complete.
    #[error("The upload stopped before it was complete.")]
    IncompleteBody,
    /// Nothing arrived for too long.
    #[error("The request took too long to arrive.")]
    RequestTimeout,
    /// A file of a type that a browser must not show inline.
    #[error("This file can be downloaded but not shown inline.")]
    NotStreamable,
    /// The path exists and has no such method.
    #[error("This method is not supported here.")]
    MethodNotAllowed,
    /// The file changed since the client read it (`If-Match`).
    #[error("The file has changed since it was read.")]
    PreconditionFailed,
    /// No byte of the file is in the range asked for.
    #[error("The requested range is outside the file, which has {size} bytes.")]
    RangeNotSatisfiable {
        /// The size of the file.
        size: ByteSize,
    },
    /// The state of the file or upload does not allow the operation.
    #[error("{reason}.")]
    Conflict {
        /// Why not, for a person.
        reason: String,
    },
    /// Bytes for another offset than the upload's.
    #[error("Offset mismatch: the upload is at byte {offset}.")]
    OffsetMismatch {
        /// The upload's offset.
        offset: ByteSize,
    },
    /// An upload that was cancelled, expired or lost.
    #[error("The upload was cancelled or has expired: start again.")]
    Gone,
    /// Somebody else is writing to the upload.
    #[error("Another request is sending to this upload: try again in a moment.")]
    UploadLocked,
    /// Bytes for an upload that is joined from parts.
    #[error("This upload is joined from its parts and accepts no bytes of its own.")]
    JoinedUpload,
    /// Bytes that do not hash to what the client said. Nothing of them is kept.
    #[error("The bytes do not match their checksum.")]
    ChecksumMismatch,
    /// More bytes than the upload announced.
    #[error("More bytes were sent than the {length} that the upload announced.")]
    UploadTooLong {
        /// The announced length.
        length: ByteSize,
    },
    /// More uploads at once than one user may have.
    #[error("At most {max_open} uploads can be open at once: finish or cancel some.")]
    TooManyUploads {
        /// The limit.
        max_open: usize,
    },
    /// A version of the upload protocol that is not spoken here.
    #[error("This version of the upload protocol is not supported: send Tus-Resumable: {supported}.")]
    UnsupportedVersion {
        /// What is spoken here.
        supported: &'static str,
    },
    /// A single file over the limit.
    #[error("The file is larger than the limit of {}.", max_bytes.formatted())]
    FileTooLarge {
        /// The limit.
        max_bytes: ByteSize,
    },
    /// Header fields beyond all use.
    #[error("The headers of the request are too large.")]
    HeadersTooLarge,
    /// More files in one request than allowed.
    #[error("At most {max_files} files can be sent at once.")]
    TooManyFiles {
        /// The limit.
        max_files: usize,
    },
    /// A body other than file content over its limit.
    #[error("The request is larger than the limit of {}.", max_bytes.formatted())]
    BodyTooLarge {
        /// The limit.
        max_bytes: ByteSize,
    },
    /// An answer beyond what the gateway in front can carry.
    #[error("The response is larger than {}: request ranges of it.", max_bytes.formatted())]
    AnswerTooLarge {
        /// What the gateway carries.
        max_bytes: ByteSize,
    },
    /// The user's quota does not hold the bytes.
    #[error("Not enough storage: {} of {} is used.", total_bytes.formatted(), max_bytes.formatted())]
    QuotaExceeded {
        /// Bytes of stored files, trash included.
        total_bytes: ByteSize,
        /// Bytes promised to uploads under way.
        reserved_bytes: ByteSize,
        /// The quota.
        max_bytes: ByteSize,
    },
    /// The user has as many files as one may have.
    #[error(
        "The account holds {file_count} files, trash included, and {max_files} is the limit: delete some for good."
    )]
    TooManyStoredFiles {
        /// Files of the user, trash included.
        file_count: i64,
        /// The limit.
        max_files: i64,
    },
    /// The content is not of the declared `fileType`.
    #[error("The file was sent as {declared} but its content is {found}.")]
    TypeMismatch {
        /// What the client said.
        declared: FileType,
        /// What the content is, for a person.
        found: String,
    },
    /// Content this service never stores.
    #[error("Files of this kind are not accepted: {found}.")]
    TypeRefused {
        /// What the content is, for a person.
        found: String,
    },
    /// The request's `Content-Type` is not one the endpoint reads.
    #[error("The content type of the request is not supported here: send {expected}.")]
    UnsupportedContentType {
        /// What to send.
        expected: &'static str,
    },
    /// A body with a content encoding.
    #[error("The body has a Content-Encoding, which is not supported here: send it unencoded.")]
    UnsupportedEncoding,
    /// Too many requests or uploads for now.
    #[error("Too many requests: try again in {retry_after_seconds} s.")]
    TooManyRequests {
        /// When to come back.
        retry_after_seconds: u64,
    },
    /// A statement over many rows that took longer than it may.
    #[error(
        "This took the database too long: ask for less at once, such as a narrower filter, or without includeTotal."
    )]
    TooSlow,
    /// A part the service needs does not answer.
    #[error("{}", unavailable(part))]
    Unavailable {
        /// The failing part: `database`, `volume`, `keys`, or what is not there yet.
        part: &'static str,
    },
    /// The service is stopping or at its limit of connections.
    #[error("The service is restarting: try again in a moment.")]
    Draining,
    /// The volume has no room left, or is below its floor.
    #[error("The storage volume is full.")]
    VolumeFull,
    /// Anything else: a fault of ours. The cause is logged and never sent.
    #[error("Something went wrong on our side.")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    /// The stable name a program can act on. Never changes once released.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::SessionPending => "session_pending",
            Self::AdminOnly => "admin_only",
            Self::BadSignature => "bad_signature",
            Self::NotFound => "not_found",
            Self::ThumbnailUnavailable { .. } => "thumbnail_unavailable",
            Self::InvalidParameter { .. } => "invalid_parameter",
            Self::InvalidBody { .. } => "invalid_body",
            Self::NoFiles => "no_files",
            Self::IncompleteBody => "incomplete_body",
            Self::RequestTimeout => "request_timeout",
            Self::NotStreamable => "not_streamable",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PreconditionFailed => "precondition_failed",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::Conflict { .. } => "conflict",
            Self::OffsetMismatch { .. } => "offset_mismatch",
            Self::Gone => "gone",
            Self::UploadLocked => "upload_locked",
            Self::JoinedUpload => "joined_upload",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::UploadTooLong { .. } => "upload_too_long",
            Self::TooManyUploads { .. } => "too_many_uploads",
            Self::UnsupportedVersion { .. } => "unsupported_version",
            Self::FileTooLarge { .. } => "file_too_large",
            Self::HeadersTooLarge => "headers_too_large",
            Self::TooManyFiles { .. } => "too_many_files",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::AnswerTooLarge { .. } => "answer_too_large",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::TooManyStoredFiles { .. } => "too_many_stored_files",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::TypeRefused { .. } => "type_refused",
            Self::UnsupportedContentType { .. } => "unsupported_content_type",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::TooSlow => "too_slow",
            Self::Unavailable { .. } => "unavailable",
            Self::Draining => "draining",
            Self::VolumeFull => "volume_full",
            Self::Internal(_) => "internal",
        }
    }

    /// A parameter outside its range.
    pub fn invalid_parameter(parameter: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::InvalidParameter { parameter: parameter.into(), reason: reason.into() }
    }

    /// A body that does not parse.
    pub fn invalid_body(reason: impl Into<String>) -> Self {
        Self::InvalidBody { parameter: None, reason: reason.into() }
    }

    /// A body with a field that is unknown, missing or of another kind.
    pub fn invalid_field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidBody { parameter: Some(field.into()), reason: reason.into() }
    }
}

/// What a part that fails means to a person.
fn unavailable(part: &str) -> String {
    let what = match part {
        "database" => "The service cannot reach its database",
        "volume" => "The service cannot reach its storage volume",
        "keys" => "The service cannot check who you are, because the identity provider does not answer",
        "identity provider" => "The identity provider does not answer",
        "thumbnail" => "The thumbnail is still being made",
        "signed URLs" => {
            return "This installation has no key to sign URLs with: an administrator has to set one."
                .to_owned();
        }
        _ => "A part of the service does not answer",
    };
    format!("{what}: try again in a moment.")
}

impl From<NotABlobKey> for Error {
    fn from(fault: NotABlobKey) -> Self {
        Self::Internal(fault.into())
    }
}

impl From<anyhow::Error> for Error {
    fn from(cause: anyhow::Error) -> Self {
        Self::Internal(cause)
    }
}

/// An error with all its causes, for logs: the one way to write an error there. Never for clients.
#[must_use]
pub fn chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> Chain<'a> {
    Chain(error)
}

/// See [`chain`].
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(last.trim_end_matches('.'))?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some libraries repeat their cause in their own text.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, chain};

    #[test]
    fn a_log_line_names_every_cause() {
        let cause = std::io::Error::other("the disk is on fire");
        let error = Error::Internal(anyhow::Error::new(cause).context("writing"));
        assert_eq!(
            chain(&error).to_string(),
            "Something went wrong on our side: writing: the disk is on fire"
        );
    }
}
