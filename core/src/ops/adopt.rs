//! Taking over a running installation of the legacy service: its users with their quotas, its files with their ids,
//! times and bytes.
//! Invariant: the legacy service's database and directory keep everything they have; a run that is interrupted is
//! finished by the next one.
//! Never makes a row whose bytes were not read whole.

mod record;

pub use record::Problem;

use crate::app::App;
use crate::blob::{Adopted, Look, Source};
use crate::db::files::NewFile;
use crate::db::legacy::{Legacy, LegacyFile, LegacyUser, Row};
use crate::db::uploads::{Ending, NewUpload};
use crate::db::{self, adopted};
use crate::error::{Error, Result};
use crate::ids::{UploadId, UserId};
use crate::media::{self, Sniffed};
use crate::model::{BlobKey, ByteSize, Folder};
use crate::ops::upload::HEAD_BYTES;
use crate::ops::upload::content::{self, Content};
use crate::ops::{derivative, janitor};
use record::Record;
use serde::Serialize;
use std::time::Duration;
use uuid::Uuid;

/// Rows in one query.
const PAGE: i64 = 500;
/// After this long the janitor takes an unfinished file for given up, although its process lives.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// How far an adoption is, and in the end what it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Users of the legacy service.
    pub users: u64,
    /// Rows of files that were looked at.
    pub files: u64,
    /// Rows of files in all.
    #[serde(skip)]
    pub files_expected: u64,
    /// Files that became ours, or in a dry run would.
    pub adopted: u64,
    /// Their bytes.
    pub adopted_bytes: u64,
    /// Files that were ours already.
    pub already_here: u64,
    /// Adopted files that share their bytes with the legacy service's.
    pub linked: u64,
}

/// What an adoption says while it runs.
#[derive(Debug)]
pub enum Event {
    /// It came further.
    Progress(Tally),
    /// Something is not as it should be.
    Found(Problem),
}

/// Takes the events of an adoption.
pub type Watch<'a> = &'a mut (dyn FnMut(Event) + Send);

/// An adoption under way.
struct Adoption<'a> {
    app: &'a App,
    database: &'a Legacy,
    source: &'a Source,
    /// Whether the source is our own storage root.
    is_in_place: bool,
    /// Only look.
    is_dry_run: bool,
    tally: Tally,
    watch: Watch<'a>,
}

/// Takes every user and every file over, or with `is_dry_run` only looks whether they can be.
///
/// # Crash
/// At any point: adopted files are whole and have their rows; a path without a row is named by an upload
/// of this process, which the janitor cancels. The next run goes on with the files that are missing.
///
/// # Errors
/// When either database, the volume or the source does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn adopt(
    app: &App,
    database: &Legacy,
    source: &Source,
    is_dry_run: bool,
    watch: Watch<'_>,
) -> Result<Tally> {
    if !is_dry_run {
        // What an interrupted run left would be in the way.
        janitor::pass(app).await?;
    }
    let is_in_place = source.is_root_of(app.blobs.volume()).map_err(|error| Error::Internal(error.into()))?;
    let tally = Tally::default();
    let mut adoption = Adoption { app, database, source, is_in_place, is_dry_run, tally, watch };
    adoption.users().await?;
    adoption.files().await?;
    Ok(adoption.tally)
}

impl Adoption<'_> {
    async fn users(&mut self) -> Result<()> {
        let mut after = String::new();
        loop {
            let page = self.database.users(&after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = match last {
                Ok(user) => user.user_id.clone(),
                Err((user, _)) => user.clone(),
            };
            for row in page {
                self.user(row).await?;
            }
        }
    }

    async fn user(&mut self, row: Row<LegacyUser>) -> Result<()> {
        self.tally.users += 1;
        let known =
            row.map_err(|(user, reason)| Problem::UnreadableRow { table: "user_storage", row: user, reason });
        let known = known.and_then(|row| {
            let user = UserId::parse(&row.user_id);
            Ok((user.ok_or_else(|| Problem::RefusedUser { user_id: row.user_id.clone() })?, row.max_bytes))
        });
        let (user, max_bytes) = match known {
            Ok(known) => known,
            Err(problem) => {
                self.report(problem);
                return Ok(());
            }
        };
        if !self.is_dry_run {
            let max = max_bytes.and_then(|bytes| u64::try_from(bytes).ok()).map(ByteSize::new);
            let max = max.unwrap_or(self.app.config.limits.default_quota);
            db::storage::ensure(&mut *self.app.db.conn().await?, &user, max).await?;
        }
        Ok(())
    }

    async fn files(&mut self) -> Result<()> {
        self.tally.files_expected = self.database.totals().await?.0.unsigned_abs();
        let mut after = Uuid::nil();
        loop {
            let page = self.database.files(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = match last {
                Ok(file) => file.id,
                Err((id, _)) => Uuid::try_parse(id).map_err(|error| Error::Internal(error.into()))?,
            };
            for row in page {
                self.tally.files += 1;
                if let Err(problem) = self.file(row).await? {
                    self.report(problem);
                }
                (self.watch)(Event::Progress(self.tally));
            }
        }
    }

    fn report(&mut self, problem: Problem) {
        (self.watch)(Event::Found(problem));
    }

    /// One file; the inner error says why it is not adopted.
    async fn file(&mut self, row: Row<LegacyFile>) -> Result<std::result::Result<(), Problem>> {
        let record = row
            .map_err(|(row, reason)| Problem::UnreadableRow { table: "user_files", row, reason })
            .and_then(|row| Record::parse(row, self.app.clock.now()));
        let mut record = match record {
            Ok(record) => record,
            Err(problem) => return Ok(Err(problem)),
        };
        let (user, ids) = (&record.user, [record.id]);
        let here = db::audit::remaining_files(&mut *self.app.db.conn().await?, user, &ids).await?;
        if !here.is_empty() {
            self.tally.already_here += 1;
            return Ok(Ok(()));
        }
        let Some(path) = self.source.relative(&record.path) else {
            return Ok(Err(record.missing("its path is outside the storage root")));
        };
        let path = path.to_owned();
        let head = match self.source.head(&path, HEAD_BYTES).await? {
            Look::There(head) => head,
            Look::Missing => return Ok(Err(record.missing("there is no such file"))),
            Look::Unreadable(reason) => return Ok(Err(record.missing(&reason))),
        };
        for problem in record.differences(&head) {
            self.report(problem);
        }
        let sniffed = media::sniff(&head.bytes, record.name.as_str());
        let name = format!("{}.{}", record.id, sniffed.extension);
        let key = BlobKey::new(record.user.as_str(), Folder::Files(record.file_type), &name)?;
        let has_our_name = self.is_in_place && path == key.as_str();
        if !has_our_name && self.app.blobs.stat(&key).await? != Look::Missing {
            return Ok(Err(record.name_taken(&key)));
        }
        if self.is_dry_run {
            self.count(head.size, false);
            return Ok(Ok(()));
        }
        if has_our_name {
            self.keep(&mut record, &key, sniffed).await?;
        } else {
            self.take(&mut record, &path, &key, sniffed).await?;
        }
        Ok(Ok(()))
    }

    /// A file that has our name for it already stays where it is. No upload names it: cancelling one removes the bytes.
    async fn keep(&mut self, record: &mut Record, key: &BlobKey, sniffed: Sniffed) -> Result<()> {
        let app = self.app;
        db::storage::ensure(&mut *app.db.conn().await?, &record.user, app.config.limits.default_quota)
            .await?;
        let kept = app.blobs.volume().adopt_in_place(key).await?;
        let size = kept.size;
        let new = new_file(app, record, key, sniffed, kept).await?;
        commit(app, record, None, &new).await?;
        self.count(size, true);
        Ok(())
    }

    /// 1 name the path by an upload, 2 link or copy the bytes and read them, 3 in one transaction end the upload, insert
    /// the file and queue its thumbnail. The path is free: cancelling the upload removes nothing of somebody else.
    async fn take(&mut self, record: &mut Record, path: &str, key: &BlobKey, sniffed: Sniffed) -> Result<()> {
        let app = self.app;
        let id = UploadId::new();
        let intent = NewUpload {
            id,
            file_id: record.id,
            staging: key.clone(),
            final_key: key.clone(),
            instance: Some(app.blobs.volume().instance()),
            want: ByteSize::ZERO,
            at_least: ByteSize::ZERO,
            expires_in: PATIENCE,
        };
        let mut conn = app.db.conn().await?;
        db::storage::ensure(&mut conn, &record.user, app.config.limits.default_quota).await?;
        db::uploads::create_reserved(&mut conn, &record.user, &intent).await?;
        drop(conn);
        let adopted = app.blobs.volume().adopt(self.source, path, key).await?;
        let (size, is_link) = (adopted.size, adopted.is_link);
        let new = new_file(app, record, key, sniffed, adopted).await?;
        commit(app, record, Some(id), &new).await?;
        self.count(size, is_link);
        Ok(())
    }

    fn count(&mut self, size: ByteSize, is_link: bool) {
        self.tally.adopted += 1;
        self.tally.adopted_bytes += size.bytes();
        self.tally.linked += u64::from(is_link);
    }
}

/// The row of an adopted file: its content says what it is, its legacy row what the content does not say.
async fn new_file(
    app: &App,
    record: &mut Record,
    key: &BlobKey,
    sniffed: Sniffed,
    adopted: Adopted,
) -> Result<NewFile> {
    let Adopted { file, size, sha256, .. } = adopted;
    let (sniffed, facts) = content::settle(app, file, sniffed).await?;
    let content = Content { name: record.name.clone(), sniffed, size, sha256, facts };
    let (ids, metadata) = ((record.user.clone(), record.id), std::mem::take(&mut record.metadata));
    let mut new = content.into_file(ids, key, record.file_type, metadata);
    record::mime_type(&sniffed).clone_into(&mut new.mime_type);
    if new.width.is_none() || new.height.is_none() {
        (new.width, new.height) = record.resolution.unzip();
    }
    new.duration_seconds = new.duration_seconds.or(record.duration_seconds);
    Ok(new)
}

async fn commit(app: &App, record: &Record, upload: Option<UploadId>, new: &NewFile) -> Result<()> {
    let mut ledger = app.db.ledger(&record.user).await?;
    if let Some(id) = upload
        && db::uploads::end(&mut ledger, &record.user, id, Ending::Complete).await?.is_none()
    {
        return Err(Error::Conflict {
            reason: "The janitor cancelled the file's upload meanwhile".to_owned(),
        });
    }
    let content = adopted::insert(&mut ledger, new, &record.past).await?;
    if record.past.deleted_at.is_none() {
        derivative::queue(&mut ledger, content, &new.mime_type, new.needs_playback).await?;
    }
    ledger.commit().await
}
