//! Scanning a new content for viruses before links to its files work without a token.
//! Invariant: a file whose content waits for its scan, or failed it, has no such links; its owner reads it with a token.

use crate::app::App;
use crate::db::jobs::Task;
use crate::db::{self, Ledger, retrying};
use crate::error::{Error, Result};
use crate::ids::{ContentId, UserId};
use crate::model::{BlobKey, ScanState};
use crate::ops::content;
use crate::scanner::{self, Verdict};

/// Queues the scan of a new file's content, if there is a scanner and it was never scanned; it runs once the caller's
/// transaction is committed. Answers the content's state if it was queued.
///
/// # Errors
/// When Postgres does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn queue(
    app: &App,
    ledger: &mut Ledger,
    content: ContentId,
) -> Result<Option<ScanState>> {
    if app.config.scanner.is_none() || !db::contents::begin_scan(ledger, content).await? {
        return Ok(None);
    }
    let user = ledger.user().clone();
    db::jobs::enqueue(ledger, &user, &Task::Scan { content }).await?;
    Ok(Some(ScanState::Pending))
}

/// Scans a content and records the result.
///
/// # Crash
/// Before the row is changed: the job runs again.
///
/// # Errors
/// [`Error::NotFound`] when the content is gone; when the scanner, Postgres or the volume does not answer.
#[tracing::instrument(level = "debug", skip_all)]
pub(in crate::ops) async fn run(app: &App, user: &UserId, id: ContentId) -> Result<()> {
    let Some(address) = &app.config.scanner else {
        return Err(Error::Unavailable { part: "virus scanner" });
    };
    let content = content::stored(app, user, id).await?;
    let key = BlobKey::parse(&content.key)?;
    let bytes = app.blobs.read(&key, content.size, 0..content.size.bytes()).await?;
    let state = match scanner::scan(address, bytes).await? {
        Verdict::Clean => ScanState::Clean,
        Verdict::Infected(virus) => {
            tracing::warn!(user.id = %user, content.id = %id, virus, "a virus was found in a file");
            ScanState::Infected
        }
        Verdict::TooLarge => {
            tracing::warn!(user.id = %user, content.id = %id, "a file is too large for the virus scanner");
            ScanState::Skipped
        }
    };
    retrying(|| async {
        let mut ledger = app.db.ledger(user).await?;
        db::contents::set_scan_state(&mut ledger, id, state).await?;
        ledger.commit().await
    })
    .await
}
