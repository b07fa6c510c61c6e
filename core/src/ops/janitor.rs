//! What is over and nobody ended: uploads of processes that died, resumable ones that expired or only lack their file,
//! files whose time in the trash is up.
//! Safe to run anywhere, at any time, in any number.

use crate::app::App;
use crate::db::uploads::{OpenUpload, Reason};
use crate::db::{self, within};
use crate::error::{Result, chain};
use crate::ids::{InstanceId, UploadId, UserId};
use crate::ops::upload::session;
use crate::ops::{trash, upload};
use std::collections::HashMap;
use std::time::Duration;

/// Uploads looked at in one query.
const PAGE: i64 = 500;
/// A webhook's delivery is refused minutes after it was signed, so nobody can repeat one that is forgotten.
const DELIVERIES_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How far this machine's clock and the database's may differ.
const MOST_SKEW: time::Duration = time::Duration::seconds(60);

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// Uploads whose process was gone, or whose time was over.
    pub uploads_cancelled: u64,
    /// Resumable uploads that only lacked their file.
    pub uploads_finished: u64,
    /// Files whose time in the trash was over.
    pub files_purged: u64,
    /// Files that are due and wait for an operator's word.
    pub files_waiting: u64,
    /// How far this machine's clock is before the database's, if that is so far that nothing was done.
    pub wrong_clock_seconds: Option<i64>,
}

/// One pass over everything. With a clock that differs from the database's by over a minute it does nothing: one of the
/// two is wrong, and what is decided by a wrong one cannot be undone.
///
/// # Errors
/// When Postgres or the volume does not answer; the next pass goes on.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn pass(app: &App) -> Result<Pass> {
    if let Some(seconds) = wrong_clock(app).await? {
        tracing::error!(seconds, "nothing is cleaned up: this machine's clock and the database's differ");
        return Ok(Pass { wrong_clock_seconds: Some(seconds), ..Pass::default() });
    }
    let (uploads_cancelled, uploads_finished) = Box::pin(end_uploads(app)).await?;
    let memory = app.config.limits.upload_memory;
    within(async { db::sessions::forget_ended(&mut *app.db.conn().await?, memory).await }).await?;
    app.blobs.volume().sweep_instances().await?;
    let purged = trash::purge_due(app).await?;
    app.upkeep.set_files_waiting(purged.waiting);
    within(async { db::webhooks::forget(&mut *app.db.conn().await?, DELIVERIES_KEPT).await }).await?;
    let (files_purged, files_waiting) = (purged.files, purged.waiting);
    if uploads_cancelled + uploads_finished + files_purged > 0 {
        tracing::info!(uploads_cancelled, uploads_finished, files_purged, "the janitor cleaned up");
    }
    Ok(Pass { uploads_cancelled, uploads_finished, files_purged, files_waiting, wrong_clock_seconds: None })
}

/// How far this machine's clock is before the database's, if that is too far.
async fn wrong_clock(app: &App) -> Result<Option<i64>> {
    let before = app.clock.now();
    let theirs = within(async { db::purges::now(&mut *app.db.conn().await?).await }).await?;
    // The answer took its time: theirs was read at some moment in between.
    let after = app.clock.now();
    let ahead = before - theirs;
    let behind = theirs - after;
    let skew = if ahead.is_positive() { ahead } else { -behind.max(time::Duration::ZERO) };
    let is_wrong = skew.abs() > MOST_SKEW;
    app.upkeep.set_clock(skew.whole_seconds(), is_wrong);
    Ok(is_wrong.then(|| skew.whole_seconds()))
}

/// A live process ends its own uploads: only those of dead ones, and expired ones, are cancelled here. Answers how many
/// were cancelled and how many finished.
async fn end_uploads(app: &App) -> Result<(u64, u64)> {
    let mut alive: HashMap<InstanceId, bool> = HashMap::new();
    let mut after: Option<(UserId, UploadId)> = None;
    let (mut cancelled, mut finished) = (0, 0);
    loop {
        let page =
            within(async { db::uploads::list_open(&mut *app.db.conn().await?, after.as_ref(), PAGE).await })
                .await?;
        for open in &page {
            if open.is_due {
                finished += u64::from(finish(app, open).await);
            } else if let Some(reason) = reason(app, open, &mut alive).await? {
                cancelled += u64::from(cancel(app, open, reason).await?);
            }
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = Some((last.user_id.clone(), last.id)),
            _ => return Ok((cancelled, finished)),
        }
    }
}

/// Why to end it: its time is over, or the process is gone that received it. `None` while somebody else will end it: that
/// process, or the client of a resumable upload.
async fn reason(
    app: &App,
    open: &OpenUpload,
    alive: &mut HashMap<InstanceId, bool>,
) -> Result<Option<Reason>> {
    if open.is_expired {
        return Ok(Some(Reason::Expired));
    }
    let Some(instance) = open.instance_id else { return Ok(None) };
    let is_alive = match alive.get(&instance) {
        Some(known) => *known,
        None => {
            let found = app.blobs.volume().is_alive(instance).await?;
            *alive.entry(instance).or_insert(found)
        }
    };
    Ok((!is_alive).then_some(Reason::Abandoned(instance)))
}

/// Content that cannot become a file ends its upload; anything else is tried again in the next pass.
async fn finish(app: &App, open: &OpenUpload) -> bool {
    Box::pin(session::finish_due(app, open.id)).await.unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), user.id = %open.user_id, upload.id = %open.id, "an upload could not be finished yet");
        false
    })
}

async fn cancel(app: &App, open: &OpenUpload, reason: Reason) -> Result<bool> {
    tracing::info!(user.id = %open.user_id, upload.id = %open.id, expired = open.is_expired, "cancelling an abandoned upload");
    upload::cancel(app, &open.user_id, open.id, reason).await
}
