//! Requests of one user that meet at their row in the ledger share a statement, and each is answered as if it were alone.

use crate::app::media::bytes;
use crate::app::{ANN, BOB, Form, Raw, TestApp, eventually, rows, token, user_id};
use futures_util::future::join_all;
use jam_core::app::App;
use jam_core::db::files::{Arrival, NewFile};
use jam_core::db::uploads::NewUpload;
use jam_core::ids::{FileId, UploadId, UserId};
use jam_core::model::{BlobKey, ByteSize, FileMetadata, FileName, FileType, Folder, Sha256Digest};
use sqlx::PgPool;
use std::future::Future;
use std::time::Duration;

const SIZE: ByteSize = ByteSize::new(1000);
const MANY_FILES: i64 = 1000;

fn new_upload(user: &UserId) -> NewUpload {
    let (id, file_id) = (UploadId::new(), FileId::new());
    let folder = Folder::Files(FileType::Project);
    NewUpload {
        id,
        file_id,
        staging: BlobKey::new(user.as_str(), Folder::Staging, &id.to_string()).unwrap(),
        final_key: BlobKey::new(user.as_str(), folder, &format!("{file_id}.bin")).unwrap(),
        instance: None,
        want: SIZE,
        at_least: SIZE,
        expires_in: Duration::from_secs(3600),
    }
}

fn arrival(user: &UserId, upload: &NewUpload) -> Arrival {
    let path = upload.final_key.as_str();
    let file = NewFile {
        id: upload.file_id,
        user_id: user.clone(),
        file_name: path.rsplit('/').next().unwrap().to_owned(),
        original_name: FileName::sanitize("a.bin"),
        file_type: FileType::Project,
        mime_type: "application/octet-stream".to_owned(),
        size: SIZE,
        file_path: path.to_owned(),
        sha256: Sha256Digest([7; 32]),
        width: None,
        height: None,
        duration_seconds: None,
        needs_playback: Some(false),
        content: None,
        metadata: FileMetadata::default(),
    };
    Arrival { upload: upload.id, file, derivatives: Vec::new() }
}

/// Lets all requests be made while somebody holds the user's row.
async fn while_held<T>(app: &App, user: &UserId, requests: Vec<impl Future<Output = T>>) -> Vec<T> {
    let holder = app.db.ledger(user).await.unwrap();
    let release = async {
        somebody_waits(app).await;
        holder.commit().await.unwrap();
    };
    tokio::join!(join_all(requests), release).0
}

async fn somebody_waits(app: &App) {
    let mut conn = app.db.conn().await.unwrap();
    eventually("somebody waits", async || rows::is_anybody_waiting(&mut conn).await.then_some(())).await;
}

async fn reserve(app: &App, user: &UserId, uploads: &[NewUpload], max_files: i64) {
    for upload in uploads {
        assert_eq!(app.db.reserve(user, upload.clone(), max_files).await.unwrap(), Some(SIZE));
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_waits_for_a_users_row_is_reserved_and_added_by_one_statement(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (db, user) = (&app.app.db, user_id(ANN));
    app.set_quota(ANN, 1_000_000).await;
    let uploads: Vec<NewUpload> = (0..20).map(|_| new_upload(&user)).collect();
    let reservations = uploads.iter().map(|new| db.reserve(&user, new.clone(), MANY_FILES)).collect();
    let granted = while_held(&app.app, &user, reservations).await;
    assert!(granted.into_iter().all(|granted| granted.unwrap() == Some(SIZE)));
    let mut conn = db.conn().await.unwrap();
    // The first one may be under way before the others come.
    assert!(rows::count(&mut conn, "SELECT count(DISTINCT xmin::text) FROM uploads").await <= 2);

    let additions = uploads.iter().map(|new| db.add_file(arrival(&user, new), MANY_FILES)).collect();
    let added = while_held(&app.app, &user, additions).await;
    for (added, upload) in added.into_iter().zip(&uploads) {
        assert_eq!(added.unwrap().map(|file| file.id), Some(upload.file_id));
    }
    assert!(rows::count(&mut conn, "SELECT count(DISTINCT xmin::text) FROM user_files").await <= 2);
    assert_eq!(app.ann().usage().await["totalBytes"], 20_000);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn where_a_quota_or_a_number_of_files_holds_some_of_them_exactly_those_get_in(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (db, ann, bob) = (&app.app.db, user_id(ANN), user_id(BOB));
    app.set_quota(ANN, 6500).await;
    let reservations = (0..10).map(|_| db.reserve(&ann, new_upload(&ann), MANY_FILES)).collect();
    let granted = while_held(&app.app, &ann, reservations).await;
    let granted: Vec<bool> = granted.into_iter().map(|granted| granted.unwrap().is_some()).collect();
    assert_eq!(granted, [[true; 6].as_slice(), &[false; 4]].concat());

    app.set_quota(BOB, 1_000_000).await;
    let uploads: Vec<NewUpload> = (0..10).map(|_| new_upload(&bob)).collect();
    reserve(&app.app, &bob, &uploads, MANY_FILES).await;
    let additions = uploads.iter().map(|new| db.add_file(arrival(&bob, new), 7)).collect();
    let added = while_held(&app.app, &bob, additions).await;
    let added: Vec<bool> = added.into_iter().map(|added| added.unwrap().is_some()).collect();
    assert_eq!(added, [[true; 7].as_slice(), &[false; 3]].concat());
    app.abandon().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_that_postgres_refuses_or_that_was_cancelled_fails_alone(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (db, user) = (&app.app.db, user_id(ANN));
    app.set_quota(ANN, 1_000_000).await;
    let uploads: Vec<NewUpload> = (0..6).map(|_| new_upload(&user)).collect();
    reserve(&app.app, &user, &uploads, MANY_FILES).await;
    let mut arrivals: Vec<Arrival> = uploads.iter().map(|new| arrival(&user, new)).collect();
    arrivals[2].file.duration_seconds = Some(-1.0);
    arrivals[4].upload = UploadId::new();
    let additions = arrivals.into_iter().map(|arrival| db.add_file(arrival, MANY_FILES)).collect();
    let added = while_held(&app.app, &user, additions).await;
    let outcomes: Vec<Option<bool>> =
        added.into_iter().map(|added| added.ok().map(|file| file.is_some())).collect();
    assert_eq!(outcomes, [Some(true), Some(true), None, Some(true), Some(false), Some(true)]);
    let usage = app.ann().usage().await;
    assert_eq!((usage["totalBytes"].as_u64(), usage["reservedBytes"].as_u64()), (Some(4000), Some(2000)));
    app.abandon().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_user_whose_row_is_held_makes_nobody_else_wait(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 1_000_000).await;
    app.set_quota(BOB, 1_000_000).await;
    let (db, ann, bob) = (&app.app.db, user_id(ANN), user_id(BOB));
    let holder = db.ledger(&ann).await.unwrap();
    let waiting = join_all((0..5).map(|_| db.reserve(&ann, new_upload(&ann), MANY_FILES)));
    let others = async {
        for _ in 0..5 {
            assert_eq!(db.reserve(&bob, new_upload(&bob), MANY_FILES).await.unwrap(), Some(SIZE));
        }
        holder.commit().await.unwrap();
    };
    let (granted, ()) = tokio::join!(waiting, others);
    assert!(granted.into_iter().all(|granted| granted.unwrap() == Some(SIZE)));
    app.abandon().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_that_hangs_up_while_its_reservation_waits_leaves_none(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for size in [1000, 500_000] {
        app.set_quota(ANN, 1_000_000).await;
        let holder = app.app.db.ledger(&user_id(ANN)).await.unwrap();
        let body = Form::new().file("a.bin", &bytes(1, size)).into_body();
        let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
        raw.send(&body).await.unwrap();
        somebody_waits(&app.app).await;
        drop(raw);
        app.nobody().get("/health").await.expect(200);
        holder.commit().await.unwrap();
        app.no_upload_is_open().await;
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_that_hangs_up_takes_nobody_along_who_waits_with_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 1_000_000).await;
    let holder = app.app.db.ledger(&user_id(ANN)).await.unwrap();
    let body = Form::new().file("first.bin", &bytes(1, 1000)).into_body();
    let mut first = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    first.send(&body).await.unwrap();
    somebody_waits(&app.app).await;
    let ann = app.ann();
    let others =
        join_all((0..5).map(|number| ann.upload(Form::new().file(&format!("{number}.bin"), b"other"))));
    let hang_up = async {
        drop(first);
        app.nobody().get("/health").await.expect(200);
        holder.commit().await.unwrap();
    };
    let (answers, ()) = tokio::join!(others, hang_up);
    answers.into_iter().for_each(|answer| drop(answer.expect(200)));
    app.finish().await;
}
