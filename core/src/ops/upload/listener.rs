//! While this process writes, it hears of uploads that another process wants.
//! Invariant: hearing only makes a writer look sooner than it would; its epoch tells it whether to stop.

use crate::app::App;
use crate::db::evictions::Evictions;
use crate::error::{Result, chain};
use std::time::Duration;

/// How often it is looked whether anybody still writes: the connection outlives the pauses between a client's pieces.
const LINGER: Duration = Duration::from_secs(10);

/// Begins to hear, unless this process does already. Under Lambda a process stands still between requests and hears
/// nothing.
#[expect(clippy::disallowed_methods, reason = "one for all writers: it outlives the one that began it")]
pub(super) fn begin(app: &App) {
    if app.config.lambda.is_none() && app.writers.begin_listening() {
        let app = app.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = hear(&app) => {}
                () = nobody_writes(&app) => {}
                () = app.db.closing() => {}
            }
        });
    }
}

async fn nobody_writes(app: &App) {
    loop {
        tokio::time::sleep(LINGER).await;
        if app.writers.end_listening() {
            return;
        }
    }
}

async fn hear(app: &App) {
    loop {
        if let Err(error) = hear_until_lost(app).await {
            tracing::warn!(error = %chain(&error), "writers of this process are not told when another one wants their upload");
        }
        tokio::time::sleep(LINGER).await;
    }
}

async fn hear_until_lost(app: &App) -> Result<()> {
    let mut evictions = Evictions::listen(&app.db).await?;
    // Somebody may have asked before.
    app.writers.hint_all();
    loop {
        match evictions.next().await? {
            Some(id) => app.writers.hint(id),
            None => app.writers.hint_all(),
        }
    }
}
