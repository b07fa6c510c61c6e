//! Contents apart from names: files of the same bytes share what is made of them and outlive each other, and the release
//! before, which knows files alone, works on the same rows.

use crate::app::media::{MP4, png, sha256};
use crate::app::tus::{location, proof, repr_digest};
use crate::app::{ANN, As, TestApp, rows, send, user_id};
use jam_core::db::MIGRATOR;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

/// What a copy, or an upload of known content, gives.
async fn second_file(ann: &As<'_>, source: &str, content: &[u8], by_proof: bool) -> Value {
    if !by_proof {
        let path = format!("/api/files/{source}/copy");
        return ann.post(&path, json!({})).await.expect(200).json()["file"].clone();
    }
    let creation = ann.creation(content.len()).header("repr-digest", repr_digest(content));
    let created = send(creation).await.expect(201);
    let challenge = created.header("upload-known").unwrap();
    let piece = ann.piece(&location(&created), 0, b"").header("upload-proof", proof(challenge, content));
    ann.file(send(piece).await.expect(204).header("upload-file-id").unwrap()).await
}

fn id(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}

async fn contents(app: &TestApp) -> i64 {
    rows::count(&mut app.app.db.conn().await.unwrap(), "SELECT count(*) FROM contents").await
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn files_of_one_content_share_what_is_made_of_it_and_outlive_each_other(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    rows::count_what_is_made(&mut app.app.db.conn().await.unwrap()).await;
    for (by_proof, removes_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let first = ann.store_id("a.mp4", &MP4).await;
        app.run_jobs_in_queue().await;
        let first = ann.file(&first).await;
        let second = second_file(&ann, id(&first), &MP4, by_proof).await;
        assert_eq!(contents(&app).await, 1);
        for fact in ["sha256", "duration", "thumbhash", "needsPlayback", "resolution"] {
            assert_eq!(first[fact], second[fact], "{fact}");
        }
        assert_eq!(ann.counters().await, json!([2 * MP4.len(), 0, 0, 2]), "each counts");
        for made in second["derivatives"].as_array().unwrap() {
            assert_eq!(made["state"], "ready");
            app.nobody().get(made["url"].as_str().unwrap()).await.expect(200);
        }
        let (gone, kept) = if removes_first { (&first, &second) } else { (&second, &first) };
        ann.delete(&format!("/api/files/{}?permanent=true", id(gone))).await.expect(200);
        app.run_jobs_in_queue().await;
        let kept = ann.file(id(kept)).await;
        for made in kept["derivatives"].as_array().unwrap() {
            app.nobody().get(made["url"].as_str().unwrap()).await.expect(200);
        }
        for size in ["small", "large"] {
            let path = format!("/api/files/{}/thumbnail?size={size}", id(&kept));
            ann.get(&path).await.expect(200);
        }
        assert_eq!(
            sha256(&ann.get(&format!("/api/files/{}/download", id(&kept))).await.expect(200).body),
            sha256(&MP4)
        );
        ann.delete(&format!("/api/files/{}?permanent=true", id(&kept))).await.expect(200);
        app.run_jobs_in_queue().await;
        assert_eq!(
            (contents(&app).await, app.blobs_of(ANN)),
            (0, vec![]),
            "the last one takes everything along"
        );
    }
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(rows::times_made(&mut conn, "playback").await, 4, "once a content");
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_video_that_is_being_made_is_made_once_and_for_the_file_that_is_left(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let first = ann.store_id("a.mp4", &MP4).await;
    let second = second_file(&ann, &first, &MP4, false).await;
    ann.delete(&format!("/api/files/{first}?permanent=true")).await.expect(200);
    app.run_jobs_in_queue().await;
    let left = ann.file(id(&second)).await;
    let states: Vec<_> = left["derivatives"].as_array().unwrap().iter().map(|made| &made["state"]).collect();
    assert_eq!(states, ["ready", "ready"]);
    // One is given up for both.
    let third = second_file(&ann, id(&second), &MP4, false).await;
    ann.delete(&format!("/api/files/{}/derivatives/playback", id(&third))).await.expect(200);
    assert_eq!(ann.file(id(&second)).await["derivatives"].as_array().unwrap().len(), 1);
    ann.post(&format!("/api/files/{}/derivatives/playback/retry", id(&second)), json!({})).await.expect(200);
    app.run_jobs_in_queue().await;
    assert_eq!(ann.file(id(&third)).await["derivatives"].as_array().unwrap().len(), 2);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_made_of_a_content_and_lost_is_made_again_when_somebody_wants_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let id = ann.store_id("a.mp4", &MP4).await;
    app.run_jobs_in_queue().await;
    let file = ann.file(&id).await;
    let playback = app.blobs_of(ANN).into_iter().find(|path| path.contains(".playback.")).unwrap();
    let paths = [format!("{ANN}/thumbnails/{id}.default.webp"), playback];
    paths.iter().for_each(|path| app.remove_from_volume(path));
    let whole = app.nobody().get(file["thumbnailUrl"].as_str().unwrap()).await.expect(200);
    assert_eq!(whole.header("content-type").unwrap(), "image/webp");
    assert!(app.on_volume(&paths[0]).exists());
    app.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(500);
    app.run_jobs_in_queue().await;
    app.nobody().get(file["streamUrl"].as_str().unwrap()).await.expect(200);
    app.finish().await;
}

/// A file, a derivative, facts and a removal as the release before contents writes them.
const OF_THE_RELEASE_BEFORE: [&str; 4] = [
    "INSERT INTO user_files (user_id, id, file_name, original_name, file_type, mime_type, file_size, file_path, sha256)
     SELECT user_id, '019a0000-0000-7000-8000-000000000001', 'old.png', 'old.png', file_type, mime_type, file_size
          , user_id || '/images/old.png', sha256
       FROM user_files WHERE original_name = 'a.png' AND id = content_id",
    "INSERT INTO derivatives (user_id, file_id, kind, mime_type, path)
     SELECT f.user_id, f.id, 'default', 'image/webp', f.user_id || '/thumbnails/' || f.id || '.default.webp'
       FROM user_files f ON CONFLICT DO NOTHING",
    "UPDATE user_files SET width = 7, height = 8, thumbhash = decode(repeat('07', 8), 'hex')
      WHERE original_name = 'a.png' AND id = content_id",
    "DELETE FROM user_files WHERE original_name = 'a.png' AND id = content_id",
];

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_release_before_writes_beside_this_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = png(60, 40);
    let first = ann.store("a.png", &content).await;
    let second = second_file(&ann, id(&first), &content, false).await;
    app.run_jobs_in_queue().await;
    let old = app.on_volume(&format!("{ANN}/images/old.png"));
    std::fs::hard_link(app.on_volume(first["filePath"].as_str().unwrap()), old).unwrap();
    let mut conn = app.app.db.conn().await.unwrap();
    let [file, derivative, facts, removal] = OF_THE_RELEASE_BEFORE;
    rows::run(&mut conn, file).await;
    assert_eq!(contents(&app).await, 2, "its file has a content of its own");
    rows::run(&mut conn, derivative).await;
    let derived = rows::count(&mut conn, "SELECT count(*) FROM derivatives").await;
    assert_eq!(derived, 2, "what it asks for a copy is its content's");
    ann.get("/api/files/019a0000-0000-7000-8000-000000000001/thumbnail").await.expect(200);
    rows::run(&mut conn, facts).await;
    assert_eq!(ann.file(id(&second)).await["resolution"], "7x8", "its facts are the content's");
    rows::run(&mut conn, removal).await;
    let path = first["filePath"].as_str().unwrap().to_owned();
    app.remove_from_volume(&path);
    ann.get(&format!("/api/files/{}/thumbnail?size=large", id(&second))).await.expect(200);
    assert_eq!(ann.get(&format!("/api/files/{}/download", id(&second))).await.expect(200).body, content);
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn files_from_before_contents_get_theirs_when_the_schema_is_brought_up_to_date(pool: PgPool) {
    let options = (*pool.connect_options()).clone();
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let ids = [ann.store_id("a.png", &png(60, 40)).await, ann.store_id("b.mp4", &MP4).await];
    app.run_jobs_in_queue().await;
    let mut conn = app.app.db.conn().await.unwrap();
    let bob = user_id("user_bob_with_many");
    rows::add_files(&mut conn, &bob, 2500).await;
    let before = [ann.file(&ids[0]).await, ann.file(&ids[1]).await];
    rows::run(&mut conn, "UPDATE user_files SET content_id = NULL").await;
    rows::run(&mut conn, "DELETE FROM contents").await;
    let one_connection = PgPoolOptions::new().max_connections(1);
    let one_connection = one_connection.connect_with(options).await.unwrap();
    let one_connection = jam_core::db::Db::from_pool(one_connection);
    for _ in 0..2 {
        one_connection.migrate().await.unwrap();
        assert_eq!(contents(&app).await, 2502);
        assert_eq!([ann.file(&ids[0]).await, ann.file(&ids[1]).await], before);
    }
    for id in &ids {
        let again = ann.request(Method::GET, &format!("/api/files/{id}/thumbnail?size=medium"));
        send(again).await.expect(200);
    }
    rows::run(&mut conn, "DELETE FROM user_files WHERE user_id = 'user_bob_with_many'").await;
    assert_eq!(contents(&app).await, 2);
    drop(conn);
    app.finish().await;
}

#[sqlx::test(migrations = false)]
async fn the_role_of_the_release_before_may_write_as_soon_as_the_schema_has_changed(pool: PgPool) {
    let up_to = |last: i64| {
        let applied = MIGRATOR.iter().filter(move |migration| migration.version <= last);
        Migrator::with_migrations(applied.cloned().collect())
    };
    up_to(10).run(&pool).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let role = rows::add_role_of_the_service(&mut conn).await;
    up_to(i64::MAX).run(&pool).await.unwrap();
    rows::write_files_as(&mut conn, &role).await;
    rows::remove_role(&mut conn, &role).await;
}
