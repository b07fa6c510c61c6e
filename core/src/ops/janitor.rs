//! What is over and nobody ended: uploads of processes that died, files whose time in the trash is up.
//! Safe to run anywhere, at any time, in any number.

use crate::app::App;
use crate::db;
use crate::db::uploads::OpenUpload;
use crate::error::Result;
use crate::ids::{InstanceId, UploadId, UserId};
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
    /// Files whose time in the trash was over.
    pub files_purged: u64,
}

/// One pass over everything.
///
/// # Errors
/// When Postgres or the volume does not answer; the next pass goes on.
pub async fn pass(app: &App) -> Result<Pass> {
    let uploads_cancelled = cancel_abandoned(app).await?;
    app.volume.sweep_instances().await?;
    let files_purged = trash::purge_due(app).await?;
    let before = app.clock.now() - DELIVERIES_KEPT;
    db::webhooks::forget(&mut *app.db.conn().await?, before).await?;
    let pass = Pass { uploads_cancelled, files_purged };
    if pass != Pass::default() {
        tracing::info!(uploads_cancelled, files_purged, "the janitor cleaned up");
    }
    Ok(pass)
}

/// A live process ends its own uploads: only those of dead ones, and expired ones, are cancelled here.
async fn cancel_abandoned(app: &App) -> Result<u64> {
    let mut alive: HashMap<InstanceId, bool> = HashMap::new();
    let mut after: Option<(UserId, UploadId)> = None;
    let mut cancelled = 0;
    loop {
        let page = db::uploads::list_open(&mut *app.db.conn().await?, after.as_ref(), PAGE).await?;
        for open in &page {
            let is_alive = match alive.get(&open.instance_id) {
                Some(known) => *known,
                None => {
                    let found = app.volume.is_alive(open.instance_id).await?;
                    *alive.entry(open.instance_id).or_insert(found)
                }
            };
            if (open.is_expired || !is_alive) && cancel(app, open).await? {
                cancelled += 1;
            }
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = Some((last.user_id.clone(), last.id)),
            _ => return Ok(cancelled),
        }
    }
}

async fn cancel(app: &App, open: &OpenUpload) -> Result<bool> {
    tracing::info!(user.id = %open.user_id, upload.id = %open.id, expired = open.is_expired, "cancelling an abandoned upload");
    upload::cancel(app, &open.user_id, open.id).await
}
