//! The walk over owners, their directories and their rows.
//! Invariant: directories are listed before rows are read, and rows are read again after the disk was looked at.
//! Never holds more than a page of an owner.

use super::{Event, Finding, Outcome, Scope, Tally, Watch, recount};
use crate::app::App;
use crate::blob::{Entry, Look, Stat};
use crate::db;
use crate::db::audit::{self, StoredDerivative, StoredFile};
use crate::db::uploads::Reason;
use crate::error::{Error, Result};
use crate::ids::{ContentId, FileId, UserId};
use crate::model::{BlobKey, ByteSize, Folder};
use crate::ops::{content, derivative, upload};
use std::collections::HashSet;
use std::time::Duration;

/// Users, or files of one user, looked at in one query.
const PAGE: i64 = 1000;
/// A thumbnail whose file was purged while it was being made stays on the volume until its maker, which cannot record
/// it, has removed it.
const DRAWING: Duration = Duration::from_secs(60);

/// One check or repair under way.
pub(super) struct Walk<'a> {
    app: &'a App,
    pub(super) scope: &'a Scope,
    mend: bool,
    watch: Watch<'a>,
    pub(super) tally: Tally,
}

impl<'a> Walk<'a> {
    pub(super) fn new(app: &'a App, scope: &'a Scope, mend: bool, watch: Watch<'a>) -> Self {
        Self { app, scope, mend, watch, tally: Tally::default() }
    }

    /// One user.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn one(&mut self, user: &UserId) -> Result<()> {
        let has_row = db::storage::get(&mut *self.app.db.conn().await?, user).await?.is_some();
        if !has_row && self.app.blobs.volume().places(user.as_str()).await?.is_empty() {
            return Err(Error::NotFound);
        }
        self.tally.owners_expected = 1;
        self.owner(user).await
    }

    /// Every user with a row, then every directory whose owner has none.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn everybody(&mut self) -> Result<()> {
        let users = db::storage::totals(&mut *self.app.db.conn().await?).await?.users;
        self.tally.owners_expected = users.unsigned_abs();
        let mut after = None;
        loop {
            let page = db::storage::list(&mut *self.app.db.conn().await?, after.as_ref(), PAGE).await?;
            for line in &page {
                self.owner(&line.user_id).await?;
            }
            match page.last() {
                Some(last) if page.len() as i64 == PAGE => after = Some(last.user_id.clone()),
                _ => break,
            }
        }
        let mut rest = Some(self.app.blobs.list_root());
        while let Some(listing) = rest {
            let (page, next) = listing.page().await?;
            rest = next;
            let names = page.iter().filter(|entry| entry.is_directory()).map(Entry::path);
            let owners: Vec<UserId> = names.filter_map(|name| UserId::parse(&name)).collect();
            for user in audit::unknown_users(&mut *self.app.db.conn().await?, &owners).await? {
                self.owner(&user).await?;
            }
        }
        Ok(())
    }

    async fn owner(&mut self, user: &UserId) -> Result<()> {
        self.app.blobs.check().await?;
        self.orphans(user).await?;
        for place in self.app.blobs.volume().places(user.as_str()).await? {
            if let Some(finding) =
                Finding::of_directory_mode(user, &place, self.app.blobs.volume().directory_mode())
            {
                self.settle(finding).await?;
            }
        }
        self.contents(user).await?;
        self.files(user).await?;
        self.uploads(user).await?;
        self.counters(user).await?;
        self.tally.owners += 1;
        (self.watch)(Event::Progress(self.tally));
        Ok(())
    }

    /// What is in an owner's directory and no row names.
    async fn orphans(&mut self, user: &UserId) -> Result<()> {
        let mut rest = Some(self.app.blobs.list(user.as_str()));
        while let Some(listing) = rest {
            let (page, next) = listing.page().await?;
            rest = next;
            for entry in self.unnamed(user, page).await? {
                self.orphan(user, &entry).await?;
            }
        }
        Ok(())
    }

    /// Those entries that no row names, asked twice: without holding anybody up, and what is left under the lock of
    /// the user's row, past every transaction that was under way. A name is committed before its path exists and never
    /// comes back, so what is unnamed then stays unnamed.
    async fn unnamed(&mut self, user: &UserId, mut entries: Vec<Entry>) -> Result<Vec<Entry>> {
        let suspects = audit::unnamed(&mut *self.app.db.conn().await?, user, &paths(&entries)).await?;
        retain(&mut entries, suspects);
        if !entries.is_empty() {
            let mut ledger = self.app.db.ledger(user).await?;
            let unnamed = audit::unnamed(&mut ledger, user, &paths(&entries)).await?;
            ledger.commit().await?;
            retain(&mut entries, unnamed);
        }
        Ok(entries)
    }

    async fn orphan(&mut self, user: &UserId, entry: &Entry) -> Result<()> {
        // Looked at after the rows: what a job removed meanwhile is gone.
        let Some(stat) = self.app.blobs.stat_entry(entry).await? else { return Ok(()) };
        if entry.is_in(Folder::Thumbnails) && self.is_fresh(&stat) {
            return Ok(());
        }
        let finding = Finding::Orphan { user_id: user.clone(), path: entry.path(), found_bytes: stat.size };
        if !self.mend {
            self.report(finding, Outcome::Reported);
        } else if let Some(kept) = self.app.blobs.quarantine(entry).await? {
            self.report(finding, Outcome::MovedTo(kept));
        }
        Ok(())
    }

    fn is_fresh(&self, stat: &Stat) -> bool {
        self.app.clock.now() - stat.changed_at < DRAWING
    }

    /// Contents against the files that show them. One statement looks at both, so there is nothing to confirm.
    async fn contents(&mut self, user: &UserId) -> Result<()> {
        let wrong = audit::wrong_contents(&mut *self.app.db.conn().await?, user, PAGE).await?;
        for audit::WrongContent { id, reason } in wrong {
            let finding = Finding::WrongContent { user_id: user.clone(), content_id: id, reason };
            self.settle(finding).await?;
        }
        Ok(())
    }

    /// A user's rows, page by page.
    async fn files(&mut self, user: &UserId) -> Result<()> {
        let mut after = None;
        loop {
            let page = audit::files(&mut *self.app.db.conn().await?, user, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let mut suspicions = Vec::new();
            for file in &page {
                suspicions
                    .extend(self.look_at(user, file).await?.into_iter().map(|finding| (file.id, finding)));
                self.tally.files += 1;
                (self.watch)(Event::Progress(self.tally));
            }
            self.confirm(user, suspicions).await?;
            let contents: Vec<ContentId> = page.iter().filter_map(|file| file.first_of).collect();
            self.derivatives(user, &contents).await?;
        }
    }

    async fn look_at(&mut self, user: &UserId, file: &StoredFile) -> Result<Vec<Finding>> {
        let (user_id, file_id, path) = (user.clone(), file.id, file.file_path.clone());
        let expected_bytes = file.size;
        let look = match BlobKey::parse(&path) {
            Ok(key) => self.app.blobs.stat(&key).await?,
            Err(_) => Look::Missing,
        };
        let stat = match look {
            Look::Missing => {
                return Ok(vec![Finding::MissingFile { user_id, file_id, path, expected_bytes }]);
            }
            Look::Unreadable(reason) => {
                return Ok(vec![Finding::Unreadable { user_id, file_id, path, reason }]);
            }
            Look::There(stat) => stat,
        };
        let wrong_mode = Finding::of_file_mode(user, &path, stat.mode, self.app.blobs.volume().file_mode());
        let mut findings: Vec<Finding> = wrong_mode.into_iter().collect();
        if stat.size != expected_bytes {
            let found_bytes = stat.size;
            findings.push(Finding::WrongSize { user_id, file_id, path, expected_bytes, found_bytes });
        } else if self.scope.read.is_some_and(|share| share.holds(&path)) {
            findings.extend(self.digest(user, file).await?);
        }
        Ok(findings)
    }

    async fn digest(&mut self, user: &UserId, file: &StoredFile) -> Result<Option<Finding>> {
        let (user_id, file_id, path) = (user.clone(), file.id, file.file_path.clone());
        let (expected, expected_bytes) = (file.sha256, file.size);
        let look = self.app.blobs.digest(&BlobKey::parse(&path)?).await?;
        self.tally.files_read += 1;
        self.tally.bytes_read += expected_bytes.bytes();
        Ok(match look {
            Look::There(found) if found == expected => None,
            Look::There(found) => Some(Finding::WrongDigest { user_id, file_id, path, expected, found }),
            Look::Unreadable(reason) => Some(Finding::Unreadable { user_id, file_id, path, reason }),
            Look::Missing => Some(Finding::MissingFile { user_id, file_id, path, expected_bytes }),
        })
    }

    /// A row that is still there was there while the disk was looked at, and its file with it: a file's bytes never
    /// move or change.
    async fn confirm(&mut self, user: &UserId, suspicions: Vec<(FileId, Finding)>) -> Result<()> {
        if suspicions.is_empty() {
            return Ok(());
        }
        // A volume that went away would make everything look lost.
        self.app.blobs.check().await?;
        let ids: Vec<FileId> = suspicions.iter().map(|(id, _)| *id).collect();
        let remaining = audit::remaining_files(&mut *self.app.db.conn().await?, user, &ids).await?;
        let remaining: HashSet<FileId> = remaining.into_iter().collect();
        for (_, finding) in suspicions.into_iter().filter(|(id, _)| remaining.contains(id)) {
            self.settle(finding).await?;
        }
        Ok(())
    }

    /// Derivatives of contents.
    async fn derivatives(&mut self, user: &UserId, contents: &[ContentId]) -> Result<()> {
        let before = audit::derivatives(&mut *self.app.db.conn().await?, user, contents).await?;
        let mut suspicions = Vec::new();
        for derivative in before {
            let findings = self.look_at_derivative(user, &derivative).await?;
            suspicions.extend(findings.into_iter().map(|finding| (derivative.clone(), finding)));
        }
        if suspicions.is_empty() {
            return Ok(());
        }
        self.app.blobs.check().await?;
        let ids: Vec<ContentId> = suspicions.iter().map(|(derivative, _)| derivative.content_id).collect();
        let after = audit::derivatives(&mut *self.app.db.conn().await?, user, &ids).await?;
        for (derivative, finding) in suspicions {
            if after.contains(&derivative) {
                self.settle(finding).await?;
            }
        }
        Ok(())
    }

    async fn look_at_derivative(&self, user: &UserId, derivative: &StoredDerivative) -> Result<Vec<Finding>> {
        let path = &derivative.path;
        let look = match BlobKey::parse(path) {
            Ok(key) => self.app.blobs.stat(&key).await?,
            Err(_) => Look::Missing,
        };
        let reason = match look {
            Look::Missing => "is gone".to_owned(),
            Look::Unreadable(reason) => format!("cannot be read: {reason}"),
            // It may have been made twice, and its second maker has not recorded it yet.
            Look::There(stat) if self.is_fresh(&stat) => return Ok(Vec::new()),
            Look::There(stat) if stat.size != derivative.size => {
                format!("has {} bytes instead of {}", stat.size, derivative.size)
            }
            Look::There(stat) => {
                let expected = self.app.blobs.volume().file_mode();
                return Ok(Finding::of_file_mode(user, path, stat.mode, expected).into_iter().collect());
            }
        };
        let (user_id, content_id, path) = (user.clone(), derivative.content_id, path.clone());
        Ok(vec![Finding::MissingDerivative { user_id, content_id, path, reason }])
    }

    /// Resumable uploads: their bytes only grow, and their rows follow.
    async fn uploads(&mut self, user: &UserId) -> Result<()> {
        let before = audit::open_uploads(&mut *self.app.db.conn().await?, user).await?;
        let mut suspicions = Vec::new();
        for upload in before {
            let found_bytes = match self.app.blobs.stat(&BlobKey::parse(&upload.staging_path)?).await? {
                Look::There(stat) => stat.size,
                Look::Missing | Look::Unreadable(_) => ByteSize::ZERO,
            };
            if found_bytes < upload.durable {
                suspicions.push((upload, found_bytes));
            }
        }
        if suspicions.is_empty() {
            return Ok(());
        }
        self.app.blobs.check().await?;
        let after = audit::open_uploads(&mut *self.app.db.conn().await?, user).await?;
        for (upload, found_bytes) in suspicions {
            // What has become a file meanwhile is looked at as one.
            if after.iter().any(|still| still.id == upload.id) {
                let (path, expected_bytes) = (upload.staging_path, upload.durable);
                let (user_id, upload_id) = (user.clone(), upload.id);
                self.settle(Finding::TornUpload { user_id, upload_id, path, expected_bytes, found_bytes })
                    .await?;
            }
        }
        Ok(())
    }

    async fn counters(&mut self, user: &UserId) -> Result<()> {
        let drifts = audit::drift(&mut *self.app.db.conn().await?, user).await?;
        let (drifts, outcome) = match self.mend && !drifts.is_empty() {
            true => (recount(&self.app.db, user).await?, Outcome::Mended),
            false => (drifts, Outcome::Reported),
        };
        for drift in drifts {
            let (counter, expected, found) = (drift.counter, drift.rows, drift.ledger);
            let finding = Finding::CounterDrift { user_id: user.clone(), counter, expected, found };
            self.report(finding, outcome.clone());
        }
        Ok(())
    }

    /// Reports what was confirmed, set right if it can be and was asked for.
    async fn settle(&mut self, finding: Finding) -> Result<()> {
        let outcome = if self.mend { self.remedy(&finding).await? } else { Outcome::Reported };
        self.report(finding, outcome);
        Ok(())
    }

    async fn remedy(&mut self, finding: &Finding) -> Result<Outcome> {
        let is_mended = match finding {
            Finding::WrongMode { path, .. } => self.app.blobs.volume().restrict(path).await?,
            Finding::MissingDerivative { user_id, content_id, path, .. } => {
                derivative::renew(self.app, user_id, *content_id, path).await?
            }
            Finding::WrongContent { user_id, content_id, .. } => {
                content::mend(&self.app.db, user_id, *content_id).await?;
                true
            }
            Finding::TornUpload { user_id, upload_id, .. } => {
                upload::cancel(self.app, user_id, *upload_id, Reason::Wanted).await?
            }
            _ => false,
        };
        Ok(if is_mended { Outcome::Mended } else { Outcome::Reported })
    }

    fn report(&mut self, finding: Finding, outcome: Outcome) {
        (self.watch)(Event::Found(finding, outcome));
    }
}

fn paths(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(Entry::path).collect()
}

fn retain(entries: &mut Vec<Entry>, paths: Vec<String>) {
    let paths: HashSet<String> = paths.into_iter().collect();
    entries.retain(|entry| paths.contains(&entry.path()));
}
