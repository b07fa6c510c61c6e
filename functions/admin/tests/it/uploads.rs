//! Open resumable uploads: they are nobody's orphans, and one that lost bytes is found.

use crate::jam::{Jam, finding, user_id};
use bytes::Bytes;
use jam_core::db::sessions::Session;
use jam_core::model::{ByteSize, FileMetadata, FileName, Sha256Digest, UploadRole};
use jam_core::ops::upload::append::{self, Piece};
use jam_core::ops::upload::session::{self, Description, New};
use sqlx::PgPool;

/// An upload of a thousand bytes that has come half way.
async fn half_way(jam: &Jam) -> Session {
    let description = Description {
        name: FileName::sanitize("half.scene"),
        declared: None,
        metadata: FileMetadata::default(),
        sent: None,
    };
    let new = New {
        user: user_id("user_a"),
        secret_hash: Sha256Digest([0; 32]),
        length: Some(ByteSize::new(1000)),
        role: UploadRole::File,
        description,
        expected_sha256: None,
        idempotency_key: None,
    };
    let created = session::create(&jam.app, new).await.unwrap();
    let half = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(&[b'h'; 500]))]));
    append::append(&jam.app, &created, Piece::default(), half).await.unwrap()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_open_upload_is_no_finding(pool: PgPool) {
    let jam = Jam::new(pool).await;
    half_way(&jam).await;
    for verb in ["check", "repair"] {
        let answer = jam.admin(&[verb, "--json"]).await;
        assert_eq!((answer.findings(), answer.code), (vec![], 0));
    }
    let janitor = jam.admin(&["janitor", "--json"]).await;
    assert_eq!(janitor.json()["uploadsCancelled"], 0);
    jam.execute("UPDATE user_storage SET reserved_bytes = 7").await;
    jam.admin(&["recount", "user_a"]).await;
    assert_eq!(jam.admin(&["check", "--json"]).await.findings(), []);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_that_lost_acknowledged_bytes_is_found_and_cancelled(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let path = half_way(&jam).await.open.unwrap().staging.to_string();
    std::fs::File::options().write(true).open(jam.path(&path)).unwrap().set_len(499).unwrap();
    let checked = jam.admin(&["check", "--json"]).await;
    assert_eq!((checked.findings(), checked.code), (vec![finding("tornUpload", &path)], 1));
    let text = jam.admin(&["check"]).await.stdout;
    assert!(text.contains("500 bytes were acknowledged, 499 are there"), "{text}");
    let repaired = jam.admin(&["repair", "--json"]).await;
    assert_eq!((repaired.findings(), repaired.code), (vec![finding("tornUpload", &path)], 0));
    assert!(!jam.path(&path).exists());
    assert_eq!(jam.admin(&["check", "--json"]).await.findings(), []);
}
