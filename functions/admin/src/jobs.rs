//! Work of the background: the janitor.

use crate::Ended;
use crate::output::Output;
use anyhow::Result;
use jam_core::app::App;
use jam_core::ops::janitor;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Swept {
    uploads_cancelled: u64,
    files_purged: u64,
}

/// One pass of the janitor.
pub(crate) async fn janitor(output: &Output, app: &App) -> Result<Ended> {
    let pass = janitor::pass(app).await?;
    let swept = Swept { uploads_cancelled: pass.uploads_cancelled, files_purged: pass.files_purged };
    output.answer(&swept, |swept| {
        format!(
            "{} abandoned uploads cancelled, {} files of the trash removed.",
            swept.uploads_cancelled, swept.files_purged
        )
    })?;
    Ok(Ended::Done)
}
