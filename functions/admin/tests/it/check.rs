//! `check`: what it finds, and what it must not find.

use crate::jam::{Jam, PNG, finding, purge, receive, user_id};
use jam_core::ops::work;
use sqlx::PgPool;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_volume_as_the_service_left_it_is_clean(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.png", PNG).await;
    jam.store("user_b", "b.scene", b"bytes of a scene").await;
    while work::run_next(&jam.app).await.unwrap() {}
    let answer = jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!(answer.findings(), []);
    assert_eq!(answer.code, 0);
    let json = answer.json();
    assert_eq!((json["clean"].as_bool(), json["owners"].as_u64()), (Some(true), Some(2)));
    assert_eq!((json["files"].as_u64(), json["filesRead"].as_u64()), (Some(2), Some(2)));
    assert_eq!(json["bytesRead"].as_u64(), Some(PNG.len() as u64 + 16));
    assert!(jam.admin(&["check"]).await.stdout.starts_with("Everything agrees. Owners: 2. Files: 2,"));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_orphan_is_found_whatever_it_is_and_whoever_owns_the_directory(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"scene").await;
    jam.stray("user_a/scenes/stray.bin", b"1234");
    jam.stray("user_a/.uploads/0190a0a0-0000-7000-8000-000000000000", b"12");
    jam.stray("user_a/notes.txt", b"1");
    jam.stray("user_a/photos/0.jpg", b"1");
    jam.stray("user_nobody/images/1 \u{fc}.jpg", b"123");
    std::os::unix::fs::symlink("/etc/passwd", jam.path("user_a/scenes/link")).unwrap();
    let answer = jam.admin(&["check", "--json"]).await;
    let orphans: Vec<_> = answer.findings().into_iter().filter(|(kind, _)| kind == "orphan").collect();
    let expected = [
        "user_a/.uploads/0190a0a0-0000-7000-8000-000000000000",
        "user_a/notes.txt",
        "user_a/photos",
        "user_a/scenes/link",
        "user_a/scenes/stray.bin",
        "user_nobody/images/1 \u{fc}.jpg",
    ];
    assert_eq!(orphans, expected.map(|path| finding("orphan", path)));
    assert_eq!(answer.code, 1);
    assert!(jam.path("user_a/scenes/stray.bin").exists(), "a check changes nothing");
    let text = jam.admin(&["check"]).await;
    assert!(text.stdout.contains("user_a/scenes/stray.bin: no row names it, 4 bytes"), "{}", text.stdout);
    assert_eq!(text.code, 1);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_missing_file_and_a_truncated_one_are_found(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let gone = jam.store("user_a", "gone.scene", b"scene").await;
    let short = jam.store("user_a", "short.scene", b"another scene").await;
    jam.store("user_a", "whole.scene", b"the third").await;
    std::fs::remove_file(jam.path(&gone.file_path)).unwrap();
    std::fs::File::options().write(true).open(jam.path(&short.file_path)).unwrap().set_len(3).unwrap();
    let answer = jam.admin(&["check", "--json"]).await;
    let expected = [finding("missingFile", &gone.file_path), finding("wrongSize", &short.file_path)];
    assert_eq!(answer.findings(), expected);
    assert_eq!(answer.code, 1);
    let json = answer.json();
    let short =
        json["findings"].as_array().unwrap().iter().find(|found| found["kind"] == "wrongSize").unwrap();
    assert_eq!((&short["expectedBytes"], &short["foundBytes"]), (&13.into(), &3.into()));
    assert_eq!((&short["userId"], &short["remedy"]), (&"user_a".into(), &"restore".into()));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_flipped_bit_is_found_by_reading_and_only_in_its_share(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let file = jam.store("user_a", "a.scene", b"scene").await;
    std::fs::write(jam.path(&file.file_path), b"scenE").unwrap();
    assert_eq!(jam.admin(&["check"]).await.code, 0, "its size is right");
    let answer = jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!(answer.findings(), [finding("wrongDigest", &file.file_path)]);
    assert_eq!(answer.code, 1);
    assert_eq!(answer.json()["findings"][0]["expected"], file.sha256.to_string());
    let mut codes = Vec::new();
    for share in ["1/3", "2/3", "3/3"] {
        codes.push(jam.admin(&["check", "--read-data", "--subset", share]).await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 1]);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_wrong_mode_is_found_on_files_and_directories(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let file = jam.store("user_a", "a.scene", b"scene").await;
    std::fs::set_permissions(jam.path(&file.file_path), Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(jam.path("user_a/scenes"), Permissions::from_mode(0o755)).unwrap();
    let answer = jam.admin(&["check", "--json"]).await;
    let expected = [finding("wrongMode", "user_a/scenes"), finding("wrongMode", &file.file_path)];
    assert_eq!(answer.findings(), expected);
    assert_eq!(answer.code, 1);
    let first = &answer.json()["findings"][0];
    assert_eq!((&first["expected"], &first["found"]), (&"700".into(), &"755".into()));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_root_that_lets_its_group_read_has_files_and_directories_that_do(pool: PgPool) {
    let jam = Jam::new(pool).await;
    std::fs::set_permissions(jam.path("."), Permissions::from_mode(0o2750)).unwrap();
    // A process looks at the root when it starts.
    let jam = jam.restarted();
    let old = jam.store("user_a", "a.scene", b"scene").await;
    let mode = |path: &str| std::fs::metadata(jam.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&old.file_path), mode("user_a/scenes"), mode("user_a")), (0o640, 0o2750, 0o2750));
    assert_eq!(jam.admin(&["check"]).await.code, 0);
    std::fs::set_permissions(jam.path(&old.file_path), Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(jam.path("user_a/scenes"), Permissions::from_mode(0o700)).unwrap();
    let expected = [finding("wrongMode", "user_a/scenes"), finding("wrongMode", &old.file_path)];
    assert_eq!(jam.admin(&["check", "--json"]).await.findings(), expected);
    assert_eq!(jam.admin(&["repair"]).await.code, 0);
    assert_eq!((mode(&old.file_path), mode("user_a/scenes")), (0o640, 0o2750));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_missing_thumbnail_is_reported(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let file = jam.store("user_a", "a.png", PNG).await;
    assert_eq!(jam.admin(&["check"]).await.code, 0, "not made yet is not lost");
    while work::run_next(&jam.app).await.unwrap() {}
    let thumbnail = format!("user_a/thumbnails/{}.default.webp", file.id);
    std::fs::remove_file(jam.path(&thumbnail)).unwrap();
    let answer = jam.admin(&["check", "--json"]).await;
    assert_eq!(answer.findings(), [finding("missingDerivative", &thumbnail)]);
    assert_eq!(answer.code, 1);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_content_that_does_not_agree_with_its_files_is_found_and_repaired(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.png", PNG).await;
    while work::run_next(&jam.app).await.unwrap() {}
    for (broken, reason) in [
        ("DELETE FROM contents", "it has no row"),
        ("UPDATE contents SET size = size + 1", "a file says another size or digest"),
        (
            "UPDATE contents SET key = 'user_a/images/none.png'",
            "its bytes are at the path of no file that shows it",
        ),
        (
            "INSERT INTO contents SELECT made.* FROM contents c
              , jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid())) made",
            "no file shows it",
        ),
    ] {
        jam.execute(broken).await;
        let answer = jam.admin(&["check", "--json"]).await;
        let findings = answer.json()["findings"].clone();
        assert_eq!((&findings[0]["kind"], &findings[0]["reason"]), (&"wrongContent".into(), &reason.into()));
        assert_eq!((findings.as_array().unwrap().len(), answer.code), (1, 1), "{reason}");
        assert_eq!(jam.admin(&["repair"]).await.code, 0, "{reason}");
        assert_eq!(jam.admin(&["check", "--read-data"]).await.code, 0, "{reason}");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_counter_that_drifts_is_found(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"scene").await;
    jam.store("user_b", "b.scene", b"scene").await;
    jam.execute(
        "UPDATE user_storage
            SET total_bytes = 1, file_count = 2, trash_bytes = 3, trash_count = 4, reserved_bytes = 5
              , video_bytes = 6, video_count = 7, image_bytes = 8, image_count = 9, scene_bytes = 10, scene_count = 11
              , project_bytes = 12, project_count = 13, audio_bytes = 14, audio_count = 15
          WHERE user_id = 'user_a'",
    )
    .await;
    let answer = jam.admin(&["check", "--json"]).await;
    assert_eq!(answer.code, 1);
    let json = answer.json();
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 15);
    assert!(findings.iter().all(|found| found["kind"] == "counterDrift" && found["userId"] == "user_a"));
    let of = |counter: &str| findings.iter().find(|found| found["counter"] == counter).unwrap();
    assert_eq!(
        (of("scene_bytes")["found"].as_i64(), of("scene_bytes")["expected"].as_i64()),
        (Some(10), Some(5))
    );
    assert_eq!(
        (of("trash_count")["found"].as_i64(), of("trash_count")["expected"].as_i64()),
        (Some(4), Some(0))
    );
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_user_can_be_checked_alone_and_an_unknown_one_is_an_error(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"scene").await;
    jam.store("user_b", "b.scene", b"scene").await;
    jam.stray("user_b/scenes/stray", b"");
    assert_eq!(jam.admin(&["check", "--user", "user_a"]).await.code, 0);
    assert_eq!(jam.admin(&["check", "--user", "user_b"]).await.code, 1);
    let unknown = jam.admin(&["check", "--user", "user_c", "--json"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (3, ""));
    assert!(unknown.stderr.contains("user_c"), "{}", unknown.stderr);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_under_way_and_bytes_that_wait_for_their_removal_are_no_findings(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let user = user_id("user_a");
    let purged = jam.store("user_a", "purged.png", PNG).await;
    while work::run_next(&jam.app).await.unwrap() {}
    purge(&jam.app, &user, &[purged.id]).await;
    let under_way = receive(&jam.app, &user, "a.scene", b"scene").await;
    assert!(jam.path(&purged.file_path).exists(), "the worker has not come yet");
    assert_eq!(std::fs::read_dir(jam.path("user_a/.uploads")).unwrap().count(), 1);
    let answer = jam.admin(&["check", "--json"]).await;
    assert_eq!((answer.findings(), answer.code), (vec![], 0));
    drop(under_way);
}
