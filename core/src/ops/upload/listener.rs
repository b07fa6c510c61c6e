//! While this process writes, it listens for uploads that another process wants.
//! Invariant: a notification only makes a writer check sooner than it would; its epoch decides whether it stops.

use crate::app::App;
use crate::db::evictions::Evictions;
use crate::error::{Result, chain};
use std::time::Duration;

/// How often the listener checks whether anybody still writes: its connection outlives the pauses between a client's
/// pieces. Also the pause before it listens again after a failure.
const LINGER: Duration = Duration::from_secs(10);

/// Starts the listener, unless this process has one. Under Lambda a process is frozen between requests and would
/// receive nothing.
#[expect(clippy::disallowed_methods, reason = "one for all writers: it outlives the one that started it")]
pub(super) fn begin(app: &App) {
    if app.config.lambda.is_none() && app.writers.begin_listening() {
        let app = app.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = listen(&app) => {}
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

async fn listen(app: &App) {
    loop {
        if let Err(error) = listen_until_lost(app).await {
            tracing::warn!(error = %chain(&error), "uploads that other processes want are not received for a while");
        }
        tokio::time::sleep(LINGER).await;
    }
}

async fn listen_until_lost(app: &App) -> Result<()> {
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
