//! Clocks that are wrong: nothing is removed and no upload is given up because of one.

use crate::app::{ANN, Form, TestApp, rows, user_id};
use jam_core::db;
use jam_core::ops::{janitor, trash};
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_janitor_whose_clock_is_wrong_does_nothing_and_says_so(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.trash_keep = DAY).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    app.ann().delete(&format!("/api/files/{id}")).await.expect(200);
    for days in [4000, -4000] {
        app.app.clock.advance(time::Duration::days(days));
        let pass = janitor::pass(&app.app).await.unwrap();
        let wrong_by = pass.wrong_clock_seconds.unwrap();
        assert!((wrong_by - days * 86_400).abs() < 60, "{wrong_by}");
        assert_eq!((pass.files_purged, app.app.upkeep.is_clock_wrong()), (0, true));
        app.app.clock.advance(time::Duration::days(-days));
    }
    let pass = janitor::pass(&app.app).await.unwrap();
    assert_eq!((pass.wrong_clock_seconds, app.app.upkeep.is_clock_wrong()), (None, false));
    app.ann().post(&format!("/api/files/{id}/restore"), json!({})).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_service_with_a_wrong_clock_takes_is_kept_as_long_as_anything(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.app.clock.advance(time::Duration::hours(-48));
    let url = app.ann().create("a.bin", 1000).await;
    app.ann().append(&url, 0, &[0; 10]).await.expect(204);
    let open = db::uploads::list_open(&mut app.app.db.conn().await.unwrap(), None, 10).await.unwrap();
    assert!(!open[0].is_expired);
    app.app.clock.advance(time::Duration::hours(48));
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 0);
    app.ann().append(&url, 10, &[0; 990]).await.expect(204);
    app.ann().upload(Form::new().file("b.txt", b"b")).await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn more_than_a_tenth_of_all_trash_waits_for_an_operators_word(pool: PgPool) {
    let app = TestApp::with(pool, |config| config.limits.trash_keep = 30 * DAY).await;
    let mut conn = app.app.db.conn().await.unwrap();
    rows::add_files(&mut conn, &user_id(ANN), 3000).await;
    rows::trash_files(&mut conn, trash::ALWAYS, 40).await;
    let purged = async || {
        let pass = janitor::pass(&app.app).await.unwrap();
        (pass.files_purged, pass.files_waiting)
    };
    assert_eq!(purged().await, (1000, 0), "a small installation needs nobody");
    rows::trash_files(&mut conn, trash::ALWAYS + 200, 40).await;
    assert_eq!(purged().await, (0, 1200));
    assert_eq!(app.app.upkeep.files_waiting(), 1200);
    assert_eq!(trash::allow_due(&app.app).await.unwrap(), 1200);
    // What comes to be due after the word needs another one.
    assert_eq!(purged().await, (1200, 0));
    assert_eq!(app.app.upkeep.files_waiting(), 0);
    drop(conn);
    app.finish_without_blobs().await;
}
