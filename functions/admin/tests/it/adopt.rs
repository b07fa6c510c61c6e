//! `adopt`: an installation of the legacy service, built here, becomes ours with its ids, times, bytes and quotas.

use crate::jam::{Answer, Jam, PNG, run, user_id, variables};
use jam_core::db;
use jam_core::ids::FileId;
use jam_core::model::File;
use serde_json::json;
use sqlx::{ConnectOptions as _, PgPool};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use time::macros::datetime;

/// As the legacy service had them: what its API shows as a number is INTEGER.
const TABLES: &str = "
    CREATE SCHEMA replaced;
    SET search_path = replaced;
    CREATE TABLE user_storage (
        user_id text PRIMARY KEY, total_bytes bigint DEFAULT 0, max_bytes bigint, file_count integer DEFAULT 0
      , created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now());
    CREATE TABLE user_files (
        id uuid PRIMARY KEY, user_id text NOT NULL, file_name text NOT NULL, original_name text NOT NULL
      , file_type text NOT NULL, mime_type text NOT NULL, file_size bigint NOT NULL, file_path text NOT NULL
      , thumbnail_path text, resolution varchar(20), duration varchar(20), package_name text, tags text[] DEFAULT '{}'
      , is_favorite boolean DEFAULT false, upload_date timestamp DEFAULT now(), created_at timestamp DEFAULT now()
      , asset_category text, usage_tags text[], character_names text[], object_description text, scene_location text
      , has_alpha_channel boolean, audio_category text, audio_duration_seconds integer, audio_style text
      , audio_vocals boolean, audio_lyrics text, audio_tempo integer, audio_key text, voiceover_type text
      , voiceover_script text, ai_metadata jsonb DEFAULT '{}');
    RESET search_path;";

const IMAGE: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const SCENE: &str = "0d9e6679-7425-40de-944b-e07fc1f90ae8";

/// The legacy service: tables in a schema of the same database, and a directory.
struct Installation {
    jam: Jam,
    root: PathBuf,
    variables: BTreeMap<String, String>,
    directory: TempDir,
}

impl Installation {
    /// In a directory of its own, or with `in_place` in our storage root.
    async fn new(pool: PgPool, in_place: bool) -> Self {
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        let directory = TempDir::new().unwrap();
        let jam = Jam::new(pool).await;
        let root = if in_place { jam.path("") } else { directory.path().join("users") };
        let mut variables = variables(&jam.pool, jam.path(""));
        let mut url = jam.pool.connect_options().to_url_lossy();
        url.query_pairs_mut().append_pair("options[search_path]", "replaced");
        variables.insert("JAM_ADOPT_DATABASE_URL".to_owned(), url.to_string());
        Self { jam, root, variables, directory }
    }

    async fn add_user(&self, user: &str, max_bytes: i64) {
        sqlx::query("INSERT INTO replaced.user_storage (user_id, max_bytes) VALUES ($1, $2)")
            .bind(user)
            .bind(max_bytes)
            .execute(&self.jam.pool)
            .await
            .unwrap();
    }

    /// A row, and its file unless there is no content.
    async fn add(&self, id: &str, user: &str, file_type: &str, path: &str, content: Option<&[u8]>) {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        sqlx::query(
            "INSERT INTO replaced.user_files
                 (id, user_id, file_name, original_name, file_type, mime_type, file_size, file_path)
             VALUES ($1::uuid, $2, $3, $3, $4, 'application/octet-stream', $5, $6)",
        )
        .bind(id)
        .bind(user)
        .bind(name)
        .bind(file_type)
        .bind(content.map_or(1, <[u8]>::len) as i64)
        .bind(path)
        .execute(&self.jam.pool)
        .await
        .unwrap();
        if let Some(content) = content {
            self.lay(path, content);
        }
    }

    fn lay(&self, path: &str, content: &[u8]) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Two users with a file each, in folders of both spellings.
    async fn fill(&self) {
        self.add_user("user_a", 123).await;
        self.add_user("user_b", 5_000_000).await;
        self.add(IMAGE, "user_a", "image", "user_a/image/Holiday photo (1).png", Some(PNG)).await;
        self.add(SCENE, "user_b", "scene", "user_b/scenes/one.scene", Some(b"a scene")).await;
        self.lay("user_a/thumbnails/old.jpg", b"made by the legacy service");
        self.jam
            .execute(
                "UPDATE replaced.user_files
                    SET tags = '{holiday,beach}', is_favorite = true, upload_date = '2024-05-06 07:08:09.5'
                      , created_at = '2024-05-06 07:08:09', package_name = 'summer', asset_category = 'background'
                      , object_description = 'a beach', audio_vocals = NULL, ai_metadata = '{\"seen\": 1}'
                  WHERE file_type = 'image'",
            )
            .await;
    }

    /// The same for people.
    async fn adopt_in_words(&self, more: &[&str]) -> Answer {
        let arguments = [&["adopt", "--root", self.root.to_str().unwrap()], more].concat();
        run(&self.variables, &arguments).await
    }

    async fn adopt(&self, more: &[&str]) -> Answer {
        let root = self.root.to_str().unwrap();
        let arguments = [&["adopt", "--root", root, "--json"], more].concat();
        run(&self.variables, &arguments).await
    }

    async fn file(&self, user: &str, id: &str) -> Option<File> {
        let mut conn = self.jam.app.db.conn().await.unwrap();
        db::files::get(&mut conn, &user_id(user), FileId::parse(id).unwrap()).await.unwrap()
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn everything_comes_along_and_the_old_installation_keeps_what_it_has(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.fill().await;
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let json = answer.json();
    assert_eq!((&json["adopted"], &json["linked"], &json["users"]), (&json!(2), &json!(2), &json!(2)));
    let file = old.file("user_a", IMAGE).await.unwrap();
    assert_eq!(file.original_name.as_str(), "Holiday photo (1).png");
    assert_eq!((file.mime_type.as_str(), file.width, file.height), ("image/png", Some(1), Some(1)));
    assert_eq!(file.file_path, format!("user_a/images/{IMAGE}.png"));
    assert_eq!(file.upload_date, datetime!(2024-05-06 07:08:09.5 UTC));
    assert_eq!(file.created_at, datetime!(2024-05-06 07:08:09 UTC));
    assert!(file.is_favorite);
    assert_eq!(file.metadata.tags.as_slice(), ["holiday", "beach"]);
    assert_eq!(file.metadata.package_name.as_deref(), Some("summer"));
    assert_eq!(file.metadata.details.object_description.as_deref(), Some("a beach"));
    assert_eq!(file.metadata.details.ai_metadata["seen"], 1);
    assert_eq!(std::fs::read(old.jam.path(&file.file_path)).unwrap(), PNG);
    let usage = old.jam.admin(&["usage", "user_a", "--json"]).await.json();
    assert_eq!((&usage["maxBytes"], &usage["totalBytes"]), (&json!(123), &json!(PNG.len())));
    // The same bytes under two names.
    let before = std::fs::metadata(old.root.join("user_a/image/Holiday photo (1).png")).unwrap();
    assert_eq!(before.ino(), std::fs::metadata(old.jam.path(&file.file_path)).unwrap().ino());
    while jam_core::ops::work::run_next(&old.jam.app).await.unwrap() {}
    let check = old.jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!((check.findings(), check.code), (vec![], 0));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn without_apply_nothing_changes(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.fill().await;
    let answer = old.adopt(&[]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    let json = answer.json();
    assert_eq!((&json["dryRun"], &json["adopted"]), (&json!(true), &json!(2)));
    assert_eq!(json["adoptedBytes"], json!(PNG.len() + 7));
    assert!(old.file("user_a", IMAGE).await.is_none());
    assert!(!old.jam.path("user_a").exists());
    assert_eq!(old.jam.admin(&["usage", "--json"]).await.json()["totalUsers"], 0);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_installation_in_our_own_storage_root_is_adopted_in_place(pool: PgPool) {
    let old = Installation::new(pool, true).await;
    old.fill().await;
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    // The folder `image` and the scene's old name. A thumbnail that is seconds old could be the worker's.
    assert_eq!((&answer.json()["quarantined"], &answer.json()["findings"]), (&json!(2), &json!(0)));
    assert!(!old.jam.path("user_a/image").exists());
    let file = old.file("user_b", SCENE).await.unwrap();
    assert_eq!(std::fs::read(old.jam.path(&file.file_path)).unwrap(), b"a scene");
    let check = old.jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!((check.findings(), check.code), (vec![], 0));
    let again = old.adopt(&["--apply"]).await;
    assert_eq!((again.code, &again.json()["alreadyHere"]), (0, &json!(2)), "{again:?}");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn in_place_a_file_keeps_the_name_that_it_would_get_and_nobody_loses_theirs(pool: PgPool) {
    let old = Installation::new(pool, true).await;
    old.add_user("user_a", 1 << 20).await;
    let (ours, taken) = (format!("user_a/images/{IMAGE}.png"), format!("user_a/images/{SCENE}.png"));
    old.add(IMAGE, "user_a", "image", &ours, Some(PNG)).await;
    old.add(SCENE, "user_a", "image", "user_a/image/b.png", Some(PNG)).await;
    old.lay(&taken, b"somebody else's");
    for run in 0..2 {
        let answer = old.adopt(&[]).await;
        assert_eq!(answer.json()["problems"][0]["kind"], "nameTaken", "{answer:?}");
        assert_eq!(std::fs::read(old.jam.path(&taken)).unwrap(), b"somebody else's", "run {run}");
        assert_eq!(std::fs::read(old.jam.path(&ours)).unwrap(), PNG);
    }
    std::fs::rename(old.jam.path(&taken), old.jam.path("user_a/elsewhere")).unwrap();
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!((answer.code, &answer.json()["adopted"]), (0, &json!(2)), "{answer:?}");
    assert_eq!(old.file("user_a", IMAGE).await.unwrap().file_path, ours);
    let check = old.jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!((check.findings(), check.json()["filesRead"].as_u64()), (vec![], Some(2)));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_second_run_adopts_what_is_missing_and_nothing_twice(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.fill().await;
    assert_eq!(old.adopt(&["--apply"]).await.code, 0);
    old.jam.admin(&["quota", "set", "user_a", "777"]).await;
    old.add("11111111-7425-40de-944b-e07fc1f90ae9", "user_a", "audio", "user_a/audio/x.bin", Some(b"x"))
        .await;
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!((&answer.json()["adopted"], &answer.json()["alreadyHere"]), (&json!(1), &json!(2)));
    let usage = old.jam.admin(&["usage", "user_a", "--json"]).await.json();
    assert_eq!(usage["maxBytes"], 777, "a quota that was set since stays");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_run_that_is_killed_is_finished_by_the_next(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.add_user("user_a", 1 << 30).await;
    for number in 0..60 {
        let id = format!("{number:08x}-7425-40de-944b-e07fc1f90ae9");
        let path = format!("user_a/video/{number}.bin");
        old.add(&id, "user_a", "project", &path, Some(format!("file {number}").as_bytes())).await;
    }
    let root = old.root.to_str().unwrap();
    let arguments = ["adopt", "--root", root, "--apply"];
    for millis in [60, 120, 200, 300] {
        crate::jam::kill(&old.variables, &arguments, Duration::from_millis(millis)).await;
    }
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.json()["files"], 60);
    let check = old.jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!((check.findings(), check.json()["files"].as_u64()), (vec![], Some(60)));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_cannot_be_adopted_as_it_is_is_named(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.add_user("user_a", 10).await;
    old.add_user("a/b", 10).await;
    let id = |number: u8| format!("{number:08x}-7425-40de-944b-e07fc1f90ae9");
    old.add(&id(1), "user_a", "image", "user_a/image/gone.png", None).await;
    old.add(&id(2), "user_a", "image", "../outside.png", None).await;
    old.add(&id(3), "user_a", "image", "/etc/passwd", None).await;
    old.add(&id(4), "user_a", "hologram", "user_a/x/y", Some(b"x")).await;
    old.add(&id(5), "a/b", "image", "a/b/z", Some(b"x")).await;
    old.add(&id(6), "user_a", "project", "user_a/projects/page.html", Some(b"<html><script>")).await;
    old.add(&id(7), "user_a", "project", "user_a/projects/grown.bin", Some(b"x")).await;
    old.lay("user_a/projects/grown.bin", b"xy");
    old.lay("outside.png", PNG);
    std::fs::rename(old.root.join("outside.png"), old.root.join("../outside.png")).unwrap();
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!(answer.code, 1, "{answer:?}");
    let json = answer.json();
    let kinds: Vec<_> = json["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["kind"].as_str().unwrap())
        .collect();
    let expected = [
        "refusedUser",
        "missingFile",
        "missingFile",
        "missingFile",
        "unreadableRow",
        "refusedUser",
        "refusedContent",
        "wrongSize",
    ];
    assert_eq!(kinds, expected);
    assert_eq!((&json["adopted"], &json["findings"]), (&json!(2), &json!(0)));
    assert_eq!(old.file("user_a", &id(6)).await.unwrap().mime_type, "application/octet-stream");
    assert_eq!(old.file("user_a", &id(7)).await.unwrap().size.bytes(), 2);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn audio_comes_along_with_a_tempo_that_is_an_integer(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.add_user("user_a", 1 << 20).await;
    old.add(SCENE, "user_a", "audio", "user_a/audio/loop.bin", Some(b"a loop")).await;
    let set = "UPDATE replaced.user_files SET audio_tempo = 120, audio_duration_seconds = 7, audio_key = 'C'";
    old.jam.execute(set).await;
    let answer = old.adopt(&["--apply"]).await;
    assert_eq!((answer.code, &answer.json()["adopted"]), (0, &json!(1)), "{answer:?}");
    let details = old.file("user_a", SCENE).await.unwrap().metadata.details;
    assert_eq!((details.audio_duration_seconds, details.audio_key.as_deref()), (Some(7.0), Some("C")));
    assert_eq!(serde_json::to_value(details).unwrap()["audioTempo"], "120");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_known_and_accepted_fails_no_later_run(pool: PgPool) {
    let old = Installation::new(pool, false).await;
    old.add_user("user_a", 1 << 20).await;
    let id = |number: u8| format!("{number:08x}-7425-40de-944b-e07fc1f90ae9");
    old.add(&id(1), "user_a", "image", "user_a/image/gone.png", None).await;
    old.add(&id(2), "user_a", "project", "user_a/projects/page.html", Some(b"<html><script>")).await;
    let first = old.adopt(&[]).await;
    assert_eq!(first.code, 1, "{first:?}");
    let report = old.directory.path().join("known.json");
    std::fs::write(&report, first.json().to_string()).unwrap();
    let known = ["--apply", "--accept-left-out", report.to_str().unwrap()];
    for _ in 0..2 {
        let answer = old.adopt(&known).await;
        assert_eq!((answer.code, &answer.json()["problems"]), (0, &json!([])), "{answer:?}");
    }
    let words = old.adopt_in_words(&known).await;
    assert!(words.stdout.trim_end().ends_with("Known and accepted: 1. Everything agrees."), "{words:?}");
    // What is new is a problem, however much is known.
    old.add(&id(3), "user_a", "image", "user_a/image/lost.png", None).await;
    let answer = old.adopt(&known).await;
    assert_eq!((answer.code, &answer.json()["problems"][0]["fileId"]), (1, &json!(id(3))), "{answer:?}");
    let words = old.adopt_in_words(&known).await;
    assert!(!words.stdout.trim_end().contains("Everything agrees"), "{words:?}");
    assert!(
        words.stdout.trim_end().contains("Problems: 1. Known and accepted: 1. What was adopted agrees"),
        "{words:?}"
    );
    // A file that is no report accepts nothing.
    std::fs::write(&report, "[]").unwrap();
    assert_eq!(old.adopt(&known).await.code, 3);
}
