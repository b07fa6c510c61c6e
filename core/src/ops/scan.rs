//! Scanning a new file for viruses before links to it work without a token.
//! Invariant: a file that waits for its scan, or failed it, has no such links; its owner reads it with a token.

use crate::app::App;
use crate::db::jobs::Task;
use crate::db::{self, Ledger, retrying};
use crate::error::{Error, Result};
use crate::ids::{FileId, UserId};
use crate::model::{BlobKey, ScanState};
use crate::ops::browse;
use crate::scanner::{self, Verdict};

/// What a new file's row says.
#[must_use]
pub(in crate::ops) fn initial(app: &App) -> Option<ScanState> {
    app.config.scanner.is_some().then_some(ScanState::Pending)
}

/// Queues the scan of a new file, if there is a scanner; it runs once the caller's transaction is committed.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn queue(app: &App, ledger: &mut Ledger, file: FileId) -> Result<()> {
    if app.config.scanner.is_some() {
        let user = ledger.user().clone();
        db::jobs::enqueue(ledger, &user, &Task::Scan { file }).await?;
    }
    Ok(())
}

/// Scans a file and records the result.
///
/// # Crash
/// Before the row is changed: the job runs again.
///
/// # Errors
/// [`Error::NotFound`] when the file is gone; when the scanner, Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn run(app: &App, user: &UserId, id: FileId) -> Result<()> {
    let Some(address) = &app.config.scanner else {
        return Err(Error::Unavailable { part: "virus scanner" });
    };
    let file = browse::stored(app, user, id).await?;
    let key = BlobKey::parse(&file.file_path)?;
    let content = app.blobs.read(&key, file.size, 0..file.size.bytes()).await?;
    let state = match scanner::scan(address, content).await? {
        Verdict::Clean => ScanState::Clean,
        Verdict::Infected(virus) => {
            tracing::warn!(user.id = %user, file.id = %id, virus, "a virus was found in a file");
            ScanState::Infected
        }
        Verdict::TooLarge => {
            tracing::warn!(user.id = %user, file.id = %id, "a file is too large for the virus scanner");
            ScanState::Skipped
        }
    };
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        db::files::set_scan_state(&mut ledger, id, state).await?;
        ledger.commit().await
    })
    .await
}
