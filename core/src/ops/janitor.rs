//! What is over and nobody ended: uploads of processes that died, resumable ones that expired or only lack their file,
//! files whose time in the trash is up.
//! Safe to run anywhere, at any time, in any number.

use crate::app::App;
use crate::db;
use crate::db::uploads::OpenUpload;
use crate::error::Result;
use crate::ids::{InstanceId, UploadId, UserId};
use crate::ops::upload::session;
use crate::ops::{trash, upload};
use std::collections::HashMap;

/// Uploads looked at in one query.
const PAGE: i64 = 500;
/// A webhook's delivery is refused minutes after it was signed, so nobody can repeat one that is forgotten.
const DELIVERIES_KEPT: time::Duration = time::Duration::days(1);

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// Uploads whose process was gone, or whose time was over.
    pub uploads_cancelled: u64,
    /// Resumable uploads that only lacked their file.
    pub uploads_finished: u64,
    /// Files whose time in the trash was over.
    pub files_purged: u64,
}

/// One pass over everything.
///
/// # Errors
/// When Postgres or the volume does not answer; the next pass goes on.
pub async fn pass(app: &App) -> Result<Pass> {
    let (uploads_cancelled, uploads_finished) = end_uploads(app).await?;
    let before = app.clock.now() - app.config.limits.upload_memory;
    db::sessions::forget_ended(&mut *app.db.conn().await?, before).await?;
    app.volume.sweep_instances().await?;
    let files_purged = trash::purge_due(app).await?;
    let before = app.clock.now() - DELIVERIES_KEPT;
    db::webhooks::forget(&mut *app.db.conn().await?, before).await?;
    let pass = Pass { uploads_cancelled, uploads_finished, files_purged };
    if pass != Pass::default() {
        tracing::info!(uploads_cancelled, uploads_finished, files_purged, "the janitor cleaned up");
    }
    Ok(pass)
}

/// A live process ends its own uploads: only those of dead ones, and expired ones, are cancelled here. Answers how many
/// were cancelled and how many finished.
async fn end_uploads(app: &App) -> Result<(u64, u64)> {
    let mut alive: HashMap<InstanceId, bool> = HashMap::new();
    let mut after: Option<(UserId, UploadId)> = None;
    let (mut cancelled, mut finished) = (0, 0);
    loop {
        let page = db::uploads::list_open(&mut *app.db.conn().await?, after.as_ref(), PAGE).await?;
        for open in &page {
            if open.is_due {
                finished += u64::from(finish(app, open).await);
            } else if open.is_expired || !is_owned(app, open, &mut alive).await? {
                cancelled += u64::from(cancel(app, open).await?);
            }
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = Some((last.user_id.clone(), last.id)),
            _ => return Ok((cancelled, finished)),
        }
    }
}

/// Whether somebody will end it: the process that receives it, or the client of a resumable upload.
async fn is_owned(app: &App, open: &OpenUpload, alive: &mut HashMap<InstanceId, bool>) -> Result<bool> {
    let Some(instance) = open.instance_id else { return Ok(true) };
    if let Some(known) = alive.get(&instance) {
        return Ok(*known);
    }
    let found = app.volume.is_alive(instance).await?;
    Ok(*alive.entry(instance).or_insert(found))
}

/// Content that cannot become a file ends its upload; anything else is tried again in the next pass.
async fn finish(app: &App, open: &OpenUpload) -> bool {
    session::finish_due(app, open.id).await.unwrap_or_else(|error| {
        tracing::warn!(%error, user.id = %open.user_id, upload.id = %open.id, "an upload could not be finished yet");
        false
    })
}

async fn cancel(app: &App, open: &OpenUpload) -> Result<bool> {
    tracing::info!(user.id = %open.user_id, upload.id = %open.id, expired = open.is_expired, "cancelling an abandoned upload");
    upload::cancel(app, &open.user_id, open.id).await
}
