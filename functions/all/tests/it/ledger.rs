//! The ledger in SQL: triggers keep it true whoever changes a row, and a function answers for SQL users.

use crate::app::{ANN, BOB, TestApp, rows, user_id};
use jam_core::db;
use jam_core::model::{ByteSize, FileType, TypeUsage};
use sqlx::PgPool;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn counters_follow_every_change_of_rows_in_sql(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let mut conn = app.app.db.conn().await.unwrap();
    for user in [ANN, BOB] {
        rows::add_files(&mut conn, &user_id(user), 300).await;
    }
    for change in rows::CHANGES {
        rows::change_files(&mut conn, change).await;
        for user in [ANN, BOB] {
            let drift = db::audit::drift(&mut conn, &user_id(user)).await.unwrap();
            assert!(drift.is_empty(), "{change}: {drift:?}");
        }
    }
    let usage = db::storage::get(&mut conn, &user_id(ANN)).await.unwrap().unwrap();
    assert_eq!((usage.total_bytes, usage.trash_bytes, usage.file_count), (ByteSize::ZERO, ByteSize::ZERO, 0));
    assert_eq!(usage.by_type, FileType::ALL.map(|file_type| (file_type, TypeUsage::default())));
    drop(conn);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn sql_users_can_ask_whether_bytes_fit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 1000).await;
    app.ann().store("a.txt", &[b'x'; 600]).await;
    let mut conn = app.app.db.conn().await.unwrap();
    for (user, bytes, fits) in
        [(ANN, 400, true), (ANN, 401, false), (BOB, 10_737_418_240, true), (BOB, 10_737_418_241, false)]
    {
        assert_eq!(rows::fits(&mut conn, &user_id(user), bytes).await, fits, "{user}: {bytes}");
    }
    drop(conn);
    app.finish().await;
}
