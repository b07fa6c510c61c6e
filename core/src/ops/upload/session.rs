//! Resumable uploads from their creation to their end, whatever protocol asks for it.
//! Invariant: all state of a session is in Postgres and on the volume: any process can answer the next request.

use super::lock::{self, Acquired, Persistence};
use super::stored;
use super::{LAST_STEP, cancel, finish, no_room, parts};
use crate::app::App;
use crate::crash;
use crate::db::sessions::{self, NewSession, Session};
use crate::db::uploads::{NewUpload, Reason};
use crate::db::{self, retrying};
use crate::error::{Error, Result};
use crate::ids::{FileId, UploadId, UserId};
use crate::model::{BlobKey, ByteSize, FileMetadata, FileName, FileType, Folder, Sha256Digest, UploadRole};
use sqlx::PgConnection;

/// What a client says about a file before its bytes come.
#[derive(Debug, Clone)]
pub struct Description {
    /// What it will be called.
    pub name: FileName,
    /// What the client says it is.
    pub declared: Option<FileType>,
    /// What the client says about it.
    pub metadata: FileMetadata,
    /// The same in the client's own words.
    pub sent: Option<String>,
}

/// A resumable upload to be made.
#[derive(Debug, Clone)]
pub struct New {
    /// Its owner.
    pub user: UserId,
    /// SHA-256 of the secret in its URL.
    pub secret_hash: Sha256Digest,
    /// How long it is, if that is known.
    pub length: Option<ByteSize>,
    /// A file of its own, or a part of one.
    pub role: UploadRole,
    /// What is said about it.
    pub description: Description,
    /// What the whole content must hash to.
    pub expected_sha256: Option<Sha256Digest>,
    /// The client's name for this creation.
    pub idempotency_key: Option<String>,
}

/// Reserves and prepares everything, so that what could refuse the upload does so before its bytes are sent. Under an
/// idempotency key that is known, answers that upload instead, which then goes by the new secret.
///
/// # Crash
/// After the rows, with the file or without: the same key finds the upload, otherwise it expires.
///
/// # Errors
/// [`Error::FileTooLarge`], [`Error::VolumeFull`], [`Error::QuotaExceeded`], [`Error::TooManyStoredFiles`],
/// [`Error::TooManyUploads`], [`Error::TooManyRequests`]; [`Error::Conflict`] for a key that was used for something else.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn create(app: &App, new: New) -> Result<Session> {
    let owned = app.clone();
    app.outlive(async move { Box::pin(create_to_the_end(&owned, new)).await }).await
}

/// What a creation begins with.
enum Begun {
    Known(UploadId),
    New(UploadId, Paths),
}

async fn create_to_the_end(app: &App, new: New) -> Result<Session> {
    let limits = &app.config.limits;
    require_size(new.length, limits.max_file)?;
    let want = new.length.unwrap_or(LAST_STEP.min(limits.max_file));
    app.blobs.require_room(want).await?;
    app.rates.upload(&new.user)?;
    let (id, paths) = match retrying(|| begin(app, &new, want)).await? {
        Begun::Known(known) => return repeat(app, known, &new, &[]).await,
        Begun::New(id, paths) => (id, paths),
    };
    crash::point("create.rows");
    if let Err(error) = app.blobs.stage_empty(&paths.staging, new.length.unwrap_or_default()).await {
        discard(app, &new.user, id).await?;
        return Err(error);
    }
    crash::point("create.file");
    let session = stored::load(app, id).await?;
    // Nothing more will come for an empty file.
    if new.length == Some(ByteSize::ZERO) { refresh(app, session).await } else { Ok(session) }
}

fn require_size(length: Option<ByteSize>, max_bytes: ByteSize) -> Result<()> {
    if let Some(length) = length.filter(|length| *length > max_bytes) {
        tracing::debug!(length_bytes = length.bytes(), "an upload over the limit");
        return Err(Error::FileTooLarge { max_bytes });
    }
    Ok(())
}

/// Reserves and records under the owner's row: creations of one user come one after the other.
async fn begin(app: &App, new: &New, want: ByteSize) -> Result<Begun> {
    let mut ledger = app.db.ledger(&new.user).await?;
    ledger.ensure(app.config.limits.default_quota).await?;
    if let Some(key) = &new.idempotency_key
        && let Some(known) = find_by_key(&mut ledger, &new.user, key).await?
    {
        ledger.commit().await?;
        return Ok(Begun::Known(known));
    }
    require_few(app, &mut ledger, &new.user).await?;
    let id = UploadId::new();
    let paths = Paths::new(&new.user, id)?;
    let row = paths.row(app, want, if new.length.is_some() { want } else { ByteSize::new(1) });
    // A part is no file: the whole is counted when it is joined.
    let max_files =
        if new.role == UploadRole::Part { i64::MAX } else { app.config.limits.max_files_per_user };
    if db::uploads::create(&mut ledger, &new.user, &[&row], max_files).await?.is_none() {
        return Err(no_room(app, &mut ledger, &new.user).await?);
    }
    sessions::insert(&mut ledger, &session_row(new, id, &[])).await?;
    ledger.commit().await?;
    Ok(Begun::New(id, paths))
}

/// The upload that was made under this key. One that was given up is forgotten: the key makes another.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn find_by_key(
    conn: &mut PgConnection,
    user: &UserId,
    key: &str,
) -> Result<Option<UploadId>> {
    let Some(id) = sessions::id_by_key(conn, user, key).await? else { return Ok(None) };
    let session = sessions::get(conn, id).await?;
    if session.is_some_and(|session| session.open.is_some() || session.file_id.is_some()) {
        return Ok(Some(id));
    }
    if sessions::forget(conn, user, id).await? {
        return Ok(None);
    }
    Err(Error::Conflict { reason: "The upload of this idempotency key is being cancelled".to_owned() })
}

/// The same creation again: its answer was lost.
#[tracing::instrument(level = "debug", skip_all)]
pub(super) async fn repeat(app: &App, id: UploadId, new: &New, part_ids: &[UploadId]) -> Result<Session> {
    let session = stored::load(app, id).await?;
    let is_same = (session.length == new.length || new.role == UploadRole::Joined)
        && session.role == new.role
        && session.part_ids == part_ids
        && session.sent_metadata == new.description.sent
        && session.expected_sha256 == new.expected_sha256;
    if !is_same {
        let reason = "This idempotency key was used for another upload".to_owned();
        return Err(Error::Conflict { reason });
    }
    sessions::set_secret(&mut *app.db.conn().await?, &new.user, id, new.secret_hash).await?;
    refresh(app, session).await
}

/// The names that an upload takes on the volume, and the id of its file.
pub(super) struct Paths {
    id: UploadId,
    file_id: FileId,
    pub(super) staging: BlobKey,
    final_key: BlobKey,
}

impl Paths {
    /// Where the file goes is settled when its content is known.
    pub(super) fn new(user: &UserId, id: UploadId) -> Result<Self> {
        let file_id = FileId::new();
        let staging = BlobKey::new(user.as_str(), Folder::Staging, &id.to_string())?;
        let folder = Folder::Files(FileType::Project);
        let final_key = BlobKey::new(user.as_str(), folder, &format!("{file_id}.bin"))?;
        Ok(Self { id, file_id, staging, final_key })
    }

    /// The upload's row in `uploads`.
    pub(super) fn row(&self, app: &App, want: ByteSize, at_least: ByteSize) -> NewUpload {
        NewUpload {
            id: self.id,
            file_id: self.file_id,
            staging: self.staging.clone(),
            final_key: self.final_key.clone(),
            instance: None,
            want,
            at_least,
            expires_in: app.config.limits.upload_start,
        }
    }
}

pub(super) fn session_row<'a>(new: &'a New, id: UploadId, part_ids: &'a [UploadId]) -> NewSession<'a> {
    NewSession {
        id,
        user: &new.user,
        secret_hash: new.secret_hash,
        length: new.length,
        role: new.role,
        part_ids,
        name: &new.description.name,
        declared: new.description.declared,
        metadata: &new.description.metadata,
        sent_metadata: new.description.sent.as_deref(),
        expected_sha256: new.expected_sha256,
        idempotency_key: new.idempotency_key.as_deref(),
    }
}

/// Undoes a creation that is refused: nobody knows of it.
///
/// # Errors
/// When Postgres or the volume does not answer: then it expires.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn discard(app: &App, user: &UserId, id: UploadId) -> Result<()> {
    cancel(app, user, id, Reason::Wanted).await?;
    sessions::forget(&mut *app.db.conn().await?, user, id).await.map(drop)
}

/// Refuses a user who has too many uploads open. The caller holds their row.
async fn require_few(app: &App, conn: &mut PgConnection, user: &UserId) -> Result<()> {
    let max_open = app.config.limits.max_open_uploads;
    let open = sessions::count_open(conn, user).await?;
    if usize::try_from(open).is_ok_and(|open| open < max_open) {
        Ok(())
    } else {
        Err(Error::TooManyUploads { max_open })
    }
}

/// A session for its owner or for a client that knows its secret; for anybody else there is none.
///
/// # Errors
/// [`Error::NotFound`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn find(
    app: &App,
    id: UploadId,
    secret_hash: Option<Sha256Digest>,
    caller: Option<&UserId>,
) -> Result<Session> {
    let session = stored::load(app, id).await?;
    let is_known = secret_hash == Some(session.secret_hash) || caller == Some(&session.user_id);
    if is_known { Ok(session) } else { Err(Error::NotFound) }
}

/// How far an upload really is: makes its writer release the lock, recovers what a writer that died has written, and
/// finishes an upload that only lacks its file.
///
/// # Errors
/// [`Error::Gone`], [`Error::UploadLocked`], and what finishing ends with.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn refresh(app: &App, session: Session) -> Result<Session> {
    let owned = app.clone();
    app.outlive(async move { Box::pin(refresh_to_the_end(&owned, session)).await }).await
}

async fn refresh_to_the_end(app: &App, session: Session) -> Result<Session> {
    // Joining is our own work: asking for it does not stop it.
    let persistence =
        if session.role == UploadRole::Joined { Persistence::Yield } else { Persistence::Evict };
    match lock::acquire(app, session.id, persistence).await? {
        Acquired::Busy => Ok(session),
        Acquired::Ended(session) if session.file_id.is_some() => Ok(*session),
        Acquired::Ended(_) => Err(Error::Gone),
        Acquired::Held(held) => Box::pin(advance(app, *held)).await,
    }
}

/// Finishes an upload whose client has nothing more to do, unless somebody is at it. `false` when there is nothing to
/// finish.
///
/// # Errors
/// As [`refresh`].
#[tracing::instrument(level = "debug", skip_all)]
pub async fn finish_due(app: &App, id: UploadId) -> Result<bool> {
    match lock::acquire(app, id, Persistence::Yield).await? {
        Acquired::Busy | Acquired::Ended(_) => Ok(false),
        Acquired::Held(held) => Ok(Box::pin(advance(app, *held)).await?.file_id.is_some()),
    }
}

async fn advance(app: &App, held: lock::Held) -> Result<Session> {
    let (known, counted) = (held.session.durable.offset(), held.session.boot);
    let (mut session, open, writer) = held.recover(app).await?;
    if session.role == UploadRole::Joined && !open.is_finalizing {
        return parts::join(app, session, open, writer).await;
    }
    let at = writer.durable().clone();
    if at.offset() != known || (counted.is_some() && counted != Some(app.blobs.volume().boot())) {
        lock::claim(app, &session, &open, &writer, true).await?;
    }
    session.durable = at;
    let is_whole = session.length == Some(session.durable.offset()) && session.role != UploadRole::Part;
    if is_whole { finish::finish(app, session, open, writer).await } else { Ok(session) }
}

/// Ends an upload: an open one is cancelled, one that has ended is forgotten. A finished file stays.
///
/// # Errors
/// When Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn end(app: &App, session: &Session) -> Result<()> {
    let (owned, user, id) = (app.clone(), session.user_id.clone(), session.id);
    app.outlive(async move {
        if !cancel(&owned, &user, id, Reason::Wanted).await? {
            sessions::forget(&mut *owned.db.conn().await?, &user, id).await?;
        }
        Ok(())
    })
    .await
}
