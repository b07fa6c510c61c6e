//! What must be true whenever nothing is under way: the ledger is the sum of the rows, and the volume holds what the
//! rows name, byte for byte, and nothing else.

use super::eventually;
use jam_core::app::App;
use jam_core::db;
use jam_core::ops::reconcile::{self, Event, Scope, Share};

/// Whether the test's rows have their files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blobs {
    Checked,
    Absent,
}

/// An upload that broke off is undone behind the answer: waits for it.
pub(super) async fn no_upload_is_open(app: &App) {
    eventually("no upload is open", async || {
        let mut conn = app.db.conn().await.unwrap();
        let open = db::uploads::list_open(&mut conn, None, 1000).await.unwrap();
        open.is_empty().then_some(())
    })
    .await;
}

pub(super) async fn hold(app: &App, blobs: Blobs) {
    let mut conn = app.db.conn().await.unwrap();
    for user in db::storage::list(&mut conn, None, 10_000).await.unwrap() {
        let drift = db::audit::drift(&mut conn, &user.user_id).await.unwrap();
        assert!(drift.is_empty(), "counters disagree with their rows: {drift:?}");
    }
    let [_, running, dead] = db::jobs::counts(&mut conn).await.unwrap();
    assert_eq!((running, dead), (0, 0), "jobs that run for ever or are dead");
    if blobs == Blobs::Absent {
        return;
    }
    drop(conn);
    let scope = Scope { user: None, read: Some(Share::ALL) };
    let mut findings = Vec::new();
    let mut watch = |event| {
        if let Event::Found(finding, _) = event {
            findings.push(finding);
        }
    };
    reconcile::check(app, &scope, &mut watch).await.unwrap();
    assert!(findings.is_empty(), "rows and volume disagree: {findings:#?}");
    let half_written = std::fs::read_dir(app.config.storage_root.join(".jam/tmp"));
    assert_eq!(half_written.map_or(0, Iterator::count), 0, "half-written thumbnails");
}
