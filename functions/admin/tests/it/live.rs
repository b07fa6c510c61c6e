//! A repair while the service works: nothing under way is touched.

use crate::jam::{Jam, PNG, purge, receive, store, user_id};
use jam_core::app::App;
use jam_core::ops::reconcile::{self, Event, Scope};
use jam_core::ops::work;
use sqlx::PgPool;
use tokio::task::JoinSet;

const ROUNDS: usize = 40;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn uploads_thumbnails_and_removals_under_way_are_never_reported_or_moved(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let mut work = JoinSet::new();
    for user in ["user_a", "user_b"] {
        work.spawn(upload_and_purge(jam.app.clone(), user));
    }
    work.spawn(run_jobs(jam.app.clone()));
    let mut repairs = 0;
    while work.len() > 1 {
        let mut found = Vec::new();
        let mut watch = |event| {
            if let Event::Found(finding, _) = event {
                found.push(finding);
            }
        };
        reconcile::repair(&jam.app, &Scope::default(), &mut watch).await.unwrap();
        assert_eq!(found, [], "after {repairs} repairs");
        repairs += 1;
        while let Some(done) = work.try_join_next() {
            done.unwrap();
        }
    }
    assert!(repairs > 0, "a repair ran beside the work");
    work.shutdown().await;
    assert!(!jam.path(".jam/quarantine").exists());
}

async fn upload_and_purge(app: App, user: &str) {
    let user = user_id(user);
    for round in 0..ROUNDS {
        let kept = store(&app, &user, "kept.scene", b"scene").await;
        let image = store(&app, &user, "image.png", PNG).await;
        drop(receive(&app, &user, "given up.scene", b"scene").await);
        purge(&app, &user, &[image.id]).await;
        if round % 2 == 0 {
            purge(&app, &user, &[kept.id]).await;
        }
    }
}

async fn run_jobs(app: App) {
    loop {
        if !work::run_next(&app).await.unwrap() {
            tokio::task::yield_now().await;
        }
    }
}
