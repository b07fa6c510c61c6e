//! Uploads of content that the owner has stored already: the client sends a proof instead of the bytes.
//! Invariant: never across users, and a digest of the whole content alone proves nothing: the proof is a digest over
//! bytes that the service picks.

use super::content::{arrival, key_beside, record_session};
use super::finish;
use super::lock::{self, Acquired, Persistence};
use super::stored;
use crate::app::App;
use crate::crash;
use crate::db::files::NewFile;
use crate::db::sessions::{self, Open, Session};
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::ids::{FileId, UploadId};
use crate::media;
use crate::model::{BlobKey, ByteSize, File, Sha256Digest, UploadRole};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// How many bytes a proof covers.
const PROOF_BYTES: u64 = 64 * 1024;

/// What a client has to prove: the SHA-256 of the nonce followed by these bytes of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Makes a digest that somebody has of these bytes worthless.
    pub nonce: [u8; 16],
    /// Which bytes.
    pub range: Range<u64>,
}

/// What the client of a new upload can prove instead of sending its bytes; `None` when its owner has no such content.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn offer(app: &App, session: &Session) -> Result<Option<Challenge>> {
    let is_open = session.open.is_some() && session.role == UploadRole::File;
    let (Some(challenge), true) = (challenge(session), is_open) else { return Ok(None) };
    Ok(find(app, session).await?.map(|_| challenge))
}

/// Derived from the session alone, so that any process can issue and verify it. The secret of its URL makes it random.
fn challenge(session: &Session) -> Option<Challenge> {
    let size_bytes = session.length?.bytes();
    let length_bytes = size_bytes.min(PROOF_BYTES);
    let seed: [u8; 32] =
        Sha256::new().chain_update("known content").chain_update(session.secret_hash.0).finalize().into();
    let number = seed.iter().skip(16).take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let start = number % (size_bytes - length_bytes + 1);
    let nonce = seed.first_chunk().copied()?;
    (size_bytes > 0).then_some(Challenge { nonce, range: start..start + length_bytes })
}

/// A file of the owner with the announced content.
async fn find(app: &App, session: &Session) -> Result<Option<FileId>> {
    let (Some(sha256), Some(size)) = (session.expected_sha256, session.length) else { return Ok(None) };
    sessions::stored_file(&mut *app.db.conn().await?, &session.user_id, &sha256, size).await
}

/// Makes an upload a file by a proof: 1 name the final path, 2 link the stored bytes to it, 3 remove the
/// staging file, 4 in one transaction end the upload and add the file.
///
/// # Crash
/// After 1, 2 or 3: the upload is as it was, and takes a proof or its bytes. After 4: done.
///
/// # Errors
/// [`Error::ChecksumMismatch`] for a wrong proof, [`Error::Conflict`] when the stored file is gone or cannot be linked:
/// the bytes can be sent then. [`Error::TypeMismatch`], [`Error::TooManyStoredFiles`], [`Error::Gone`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn prove(app: &App, session: &Session, proof: Sha256Digest) -> Result<Session> {
    let (owned, id) = (app.clone(), session.id);
    app.outlive(async move { Box::pin(prove_to_the_end(&owned, id, proof)).await }).await
}

async fn prove_to_the_end(app: &App, id: UploadId, proof: Sha256Digest) -> Result<Session> {
    let held = match lock::acquire(app, id, Persistence::Evict).await? {
        Acquired::Busy => return Err(Error::UploadLocked),
        Acquired::Ended(session) if session.file_id.is_some() => return Ok(*session),
        Acquired::Ended(_) => return Err(Error::Gone),
        Acquired::Held(held) => held,
    };
    let (session, open, writer) = held.recover(app).await?;
    if open.is_finalizing {
        return finish::finish(app, session, open, writer).await;
    }
    // The lock is held until the end.
    let _writer = writer;
    let (Some(challenge), Some(stored)) = (challenge(&session), find(app, &session).await?) else {
        return Err(stored_file_gone());
    };
    let stored = db::files::get(&mut *app.db.conn().await?, &session.user_id, stored).await?;
    let stored = stored.filter(|_| session.role == UploadRole::File).ok_or_else(stored_file_gone)?;
    let source = BlobKey::parse(&stored.file_path)?;
    if digest(app, &source, stored.size, &challenge).await? != proof {
        return Err(Error::ChecksumMismatch);
    }
    share(app, &session, &open, &source, stored).await?;
    stored::load(app, session.id).await
}

async fn share(app: &App, session: &Session, open: &Open, source: &BlobKey, stored: File) -> Result<()> {
    let (user, id) = (&session.user_id, session.id);
    if let Some(declared) =
        session.declared.filter(|declared| !media::mime_accepts(&stored.mime_type, *declared))
    {
        return Err(Error::TypeMismatch { declared, found: stored.mime_type });
    }
    let file_type =
        session.declared.map_or(stored.file_type, |declared| media::stored_as(&stored.mime_type, declared));
    let (file_name, key) = key_beside(&stored, open.file_id, file_type)?;
    // An earlier proof may have left a link under the name that the row still has.
    app.blobs.remove(vec![open.final_key.clone()]).await?;
    if !db::uploads::name_final(&mut *app.db.conn().await?, user, id, &key).await? {
        return Err(Error::Gone);
    }
    crash::point("proof.named");
    if !app.blobs.share(source, &key).await? {
        return Err(stored_file_gone());
    }
    crash::point("proof.shared");
    app.blobs.remove(vec![open.staging.clone()]).await?;
    crash::point("proof.removed");
    let file = NewFile {
        id: open.file_id,
        user_id: user.clone(),
        file_name,
        original_name: session.name.clone(),
        file_type,
        mime_type: stored.mime_type,
        size: stored.size,
        file_path: key.as_str().to_owned(),
        sha256: stored.sha256,
        width: stored.width,
        height: stored.height,
        duration_seconds: stored.duration_seconds,
        needs_playback: stored.needs_playback,
        content: Some(stored.content_id),
        metadata: session.metadata.clone(),
    };
    let arrival = arrival(id, file)?;
    retrying(|| record_session(app, &arrival)).await?;
    crash::point("proof.done");
    Ok(())
}

async fn digest(app: &App, key: &BlobKey, size: ByteSize, challenge: &Challenge) -> Result<Sha256Digest> {
    let mut bytes = app.blobs.read(key, size, challenge.range.clone()).await?;
    let mut digest = Sha256::new().chain_update(challenge.nonce);
    let failed = |cause| Error::Internal(anyhow::Error::new(cause).context("reading a stored file"));
    while let Some(chunk) = bytes.try_next().await.map_err(failed)? {
        digest.update(&chunk);
    }
    Ok(Sha256Digest(digest.finalize().into()))
}

fn stored_file_gone() -> Error {
    Error::Conflict {
        reason: "The stored file of this content was deleted meanwhile: send the bytes".to_owned(),
    }
}
