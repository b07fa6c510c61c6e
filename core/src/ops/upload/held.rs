//! An upload's row while its process holds it: the reservation, both paths, and cancelling when it is dropped.
//! Invariant: whatever ends without its file gives its reservation back, here or in the janitor.

use super::cancel;
use super::content::final_key;
use super::refusal::{no_room, quota_exceeded};
use crate::app::App;
use crate::db::uploads::{NewOwner, NewUpload, Reason};
use crate::db::{self, retrying};
use crate::error::{Error, Result, chain};
use crate::ids::{FileId, UploadId, UserId};
use crate::media::Sniffed;
use crate::model::{BlobKey, ByteSize, FileType, Folder};
use std::time::Duration;

/// An upload that is not finished by then is given up, whatever its process says.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Pauses between attempts to cancel while the database or the volume does not answer; then the janitor does it.
const CANCEL_PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// The upload's row and paths; cancels the upload when dropped, unless it was completed.
pub(super) struct Held {
    pub(super) app: App,
    pub(super) user: UserId,
    pub(super) id: UploadId,
    pub(super) file_id: FileId,
    pub(super) staging: BlobKey,
    pub(super) final_key: BlobKey,
    /// Whether the user is the file's owner, with a reservation for it.
    pub(super) is_assigned: bool,
    /// Whether the upload has ended, one way or the other.
    pub(super) is_over: bool,
}

impl Held {
    /// Makes the row of an upload: reserves between `at_least` and `want` bytes of its owner, and names where its bytes
    /// will be. Answers also how many were reserved.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::TooManyStoredFiles`].
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn reserve(
        app: &App,
        user: &UserId,
        (file_id, final_key): (FileId, BlobKey),
        (want, at_least): (ByteSize, ByteSize),
    ) -> Result<(Self, ByteSize)> {
        let id = UploadId::new();
        let new = NewUpload {
            id,
            file_id,
            staging: BlobKey::new(user.as_str(), Folder::Staging, &id.to_string())?,
            final_key,
            instance: Some(app.blobs.volume().instance()),
            want,
            at_least,
            expires_in: LIFETIME,
        };
        // Of a client that hangs up here, the reservation is made and given back.
        let (owned, user) = (app.clone(), user.clone());
        app.outlive(async move {
            let granted = reserve(&owned, &user, &new).await?;
            let NewUpload { staging, final_key, .. } = new;
            let held =
                Self { app: owned, user, id, file_id, staging, final_key, is_assigned: true, is_over: false };
            Ok((held, granted))
        })
        .await
    }

    /// Fields may come after the file and change its type, and with it its folder.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn settle_path(&mut self, file_type: FileType, sniffed: &Sniffed) -> Result<()> {
        let settled = final_key(&self.user, self.file_id, file_type, sniffed)?;
        if settled == self.final_key {
            return Ok(());
        }
        let mut conn = self.app.db.conn().await?;
        if !db::uploads::set_final_path(&mut conn, &self.user, self.id, &self.staging, &settled).await? {
            return Err(cancelled());
        }
        self.final_key = settled;
        Ok(())
    }

    /// Moves the row and a reservation for the file's bytes to its owner's ledger, unless they are there already.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] of the owner.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn assign(&mut self, owner: &UserId, bytes: ByteSize) -> Result<()> {
        if self.is_assigned {
            return Ok(());
        }
        let moved = NewOwner { from: &self.user, id: self.id, to: owner, bytes };
        let mut conn = self.app.db.conn().await?;
        db::storage::ensure(&mut conn, owner, self.app.config.limits.default_quota).await?;
        if !db::uploads::assign(&mut conn, &moved).await? {
            drop(conn);
            return Err(quota_exceeded(&self.app, owner).await?);
        }
        self.user = owner.clone();
        self.is_assigned = true;
        Ok(())
    }

    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn cancel(self) {
        let mut held = self;
        // After an error the drop tries again.
        held.is_over = cancel(&held.app, &held.user, held.id, Reason::Wanted).await.is_ok();
    }

    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn try_resize(&self, size: ByteSize) -> Result<bool> {
        let mut conn = self.app.db.conn().await?;
        db::uploads::resize(&mut conn, &self.user, self.id, size).await
    }

    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn resize(&self, size: ByteSize) -> Result<()> {
        if self.try_resize(size).await? { Ok(()) } else { Err(self.quota_exceeded().await?) }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn quota_exceeded(&self) -> Result<Error> {
        quota_exceeded(&self.app, &self.user).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (app, user, id) = (self.app.clone(), self.user.clone(), self.id);
        // Without a runtime the process is ending, and the janitor of the next one does it.
        if tokio::runtime::Handle::try_current().is_ok() {
            app.clone().detach(async move { cancel_patiently(&app, &user, id).await });
        }
    }
}

async fn cancel_patiently(app: &App, user: &UserId, id: UploadId) {
    for pause in CANCEL_PAUSES {
        match cancel(app, user, id, Reason::Wanted).await {
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(error = %chain(&error), user.id = %user, upload.id = %id, "an upload could not be cancelled yet")
            }
        }
        tokio::time::sleep(pause).await;
    }
    tracing::error!(user.id = %user, upload.id = %id, "an upload is left to expire");
}

async fn reserve(app: &App, user: &UserId, new: &NewUpload) -> Result<ByteSize> {
    let max_files = app.config.limits.max_files_per_user;
    if let Some(granted) = app.db.reserve(user, new.clone(), max_files).await? {
        return Ok(granted);
    }
    // No row yet, or no room: make the row and ask once more, while nobody changes what the answer goes by.
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        ledger.ensure(app.config.limits.default_quota).await?;
        match db::uploads::create(&mut ledger, user, &[new], max_files).await?.as_deref() {
            Some([granted]) => {
                ledger.commit().await?;
                Ok(*granted)
            }
            _ => Err(no_room(app, &mut ledger, user).await?),
        }
    })
    .await
}

/// The janitor took the upload away, because its time was over.
pub(super) fn cancelled() -> Error {
    Error::Conflict { reason: "The upload was cancelled".to_owned() }
}
