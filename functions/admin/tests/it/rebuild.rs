//! Derivatives that an operator has made again.

use crate::jam::{Jam, PNG};
use jam_core::ops::work;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Does what the worker would do.
async fn run_jobs(jam: &Jam) {
    let stop = CancellationToken::new();
    while work::run_next(&jam.app).await.unwrap() || work::run_next_long(&jam.app, &stop).await.unwrap() {}
}

async fn rebuild(jam: &Jam, options: &[&str]) -> (u64, u64) {
    let answer = jam.admin(&[&["rebuild-derivatives", "--json"], options].concat()).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["interrupted"], false);
    (json["files"].as_u64().unwrap(), json["queued"].as_u64().unwrap())
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_missing_is_made_and_the_rest_only_when_asked(pool: PgPool) {
    let jam = Jam::new(pool).await;
    for name in ["a.png", "b.png"] {
        jam.store("user_a", name, PNG).await;
    }
    jam.store("user_b", "c.png", PNG).await;
    jam.store("user_b", "d.scene", b"scene").await;
    assert_eq!(rebuild(&jam, &[]).await, (8, 0), "what waits for the worker is left alone");
    run_jobs(&jam).await;
    assert_eq!(rebuild(&jam, &["--missing"]).await, (8, 0));
    jam.execute("UPDATE user_files SET thumbhash = NULL WHERE original_name = 'a.png'").await;
    jam.execute(
        "DELETE FROM derivatives WHERE file_id = (SELECT id FROM user_files WHERE original_name = 'b.png')",
    )
    .await;
    jam.execute("UPDATE derivatives SET state = 'failed', file_size = NULL, error = 'no memory' WHERE user_id = 'user_b'").await;
    assert_eq!(rebuild(&jam, &["--missing", "--kind", "default"]).await, (4, 3));
    run_jobs(&jam).await;
    assert_eq!(rebuild(&jam, &["--missing"]).await, (8, 0));
    assert_eq!(rebuild(&jam, &["--missing", "--kind", "small", "--user", "user_a"]).await, (2, 2));
    assert_eq!(rebuild(&jam, &["--before", "2020-01-01T00:00:00Z"]).await, (8, 0));
    assert_eq!(rebuild(&jam, &[]).await, (8, 3));
    run_jobs(&jam).await;
    assert_eq!(jam.admin(&["check"]).await.code, 0);
    assert_eq!(jam.admin(&["rebuild-derivatives", "--user", "user_c"]).await.code, 3);
    assert_eq!(jam.admin(&["rebuild-derivatives", "--before", "yesterday"]).await.code, 2);
}
