//! Removing a user's files for good.

use crate::Ended;
use crate::arguments;
use crate::output::{Output, progress};
use anyhow::{Context as _, Result};
use clap::Args;
use jam_core::app::App;
use jam_core::db;
use jam_core::ids::UserId;
use jam_core::ops::trash::{self, Removed};
use serde::Serialize;

#[derive(Args)]
pub(crate) struct PurgeOptions {
    #[arg(value_parser = arguments::user)]
    user: UserId,
    /// What is in the user's trash
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    trash: bool,
    /// Everything the user has, uploads under way included; needs --yes
    #[arg(long, requires = "yes")]
    all: bool,
    /// Yes, all of it, for good
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Purged {
    user_id: UserId,
    files_purged: u64,
    uploads_cancelled: u64,
}

/// Empties a user's trash, or removes everything they have. The rows are gone on return; the worker removes the bytes.
pub(crate) async fn purge(output: &Output, app: &App, options: PurgeOptions) -> Result<Ended> {
    let user = options.user;
    let usage = db::storage::get(&mut *app.db.conn().await?, &user).await?;
    let usage = usage.with_context(|| format!("{user} has no storage"))?;
    let bar = progress("files")?;
    let removed = if options.all {
        bar.set_length(usage.file_count.unsigned_abs());
        trash::remove_everything(app, &user, &mut |files| bar.set_position(files)).await
    } else {
        trash::empty(app, &user).await.map(|files| Removed { files, uploads: 0 })
    };
    bar.finish_and_clear();
    let Removed { files: files_purged, uploads: uploads_cancelled } = removed?;
    output.answer(&Purged { user_id: user, files_purged, uploads_cancelled }, |purged| {
        format!(
            "Files removed: {}. Uploads cancelled: {}. The worker removes the bytes.",
            purged.files_purged, purged.uploads_cancelled
        )
    })?;
    Ok(Ended::Done)
}
