//! `repair` and `recount`: what they set right, and that no byte is lost by it.

use crate::jam::{Jam, PNG, finding};
use jam_core::ops::work;
use sqlx::PgPool;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_can_be_set_right_is_and_a_second_check_is_clean(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let file = jam.store("user_a", "a.png", PNG).await;
    while work::run_next(&jam.app).await.unwrap() {}
    let thumbnail = format!("user_a/thumbnails/{}.default.webp", file.id);
    std::fs::remove_file(jam.path(&thumbnail)).unwrap();
    std::fs::set_permissions(jam.path(&file.file_path), Permissions::from_mode(0o666)).unwrap();
    std::fs::set_permissions(jam.path("user_a"), Permissions::from_mode(0o777)).unwrap();
    jam.stray("user_a/images/stray \u{fc}", b"kept bytes");
    jam.stray("user_a/more/deep", b"kept too");
    jam.execute("UPDATE user_storage SET image_count = 7, reserved_bytes = 9").await;

    let planned = jam.admin(&["repair", "--dry-run", "--json"]).await;
    assert_eq!((planned.findings().len(), planned.code), (7, 1));
    assert_eq!(jam.admin(&["check", "--json"]).await.findings(), planned.findings(), "nothing has changed");

    let repaired = jam.admin(&["repair", "--json"]).await;
    assert_eq!((repaired.findings(), repaired.code), (planned.findings(), 0));
    let json = repaired.json();
    let findings = json["findings"].as_array().unwrap();
    assert!(findings.iter().all(|found| found["mended"] == true), "{json}");
    let moved = |path: &str| {
        let found = findings.iter().find(|found| found["path"] == path).unwrap();
        jam.path(found["movedTo"].as_str().unwrap())
    };
    assert_eq!(std::fs::read(moved("user_a/images/stray \u{fc}")).unwrap(), b"kept bytes");
    assert_eq!(std::fs::read(moved("user_a/more").join("deep")).unwrap(), b"kept too");

    let after = jam.admin(&["check", "--read-data", "--json"]).await;
    assert_eq!((after.findings(), after.code), (vec![], 0));
    let again = jam.admin(&["repair", "--json"]).await;
    assert_eq!((again.findings(), again.code), (vec![], 0));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn lost_and_damaged_files_stay_reported_and_as_they_are(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let gone = jam.store("user_a", "gone.scene", b"scene").await;
    let long = jam.store("user_a", "long.scene", b"scene").await;
    std::fs::remove_file(jam.path(&gone.file_path)).unwrap();
    std::fs::write(jam.path(&long.file_path), b"scene and more").unwrap();
    let expected = [finding("missingFile", &gone.file_path), finding("wrongSize", &long.file_path)];
    for verb in ["repair", "check"] {
        let answer = jam.admin(&[verb, "--json"]).await;
        assert_eq!((answer.findings().as_slice(), answer.code), (expected.as_slice(), 1), "{verb}");
    }
    assert_eq!(std::fs::read(jam.path(&long.file_path)).unwrap(), b"scene and more");
    assert!(jam.admin(&["repair"]).await.stdout.contains("restore it from a backup"));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_recount_names_what_it_set_and_does_no_more_for_one_user_than_asked(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"scene").await;
    jam.store("user_b", "b.scene", b"scene").await;
    jam.execute("UPDATE user_storage SET total_bytes = 99").await;
    let one = jam.admin(&["recount", "user_a", "--json"]).await.json();
    assert_eq!((one["users"].as_u64(), one["drifted"][0]["found"].as_i64()), (Some(1), Some(99)));
    assert_eq!(one["drifted"][0]["expected"].as_i64(), Some(5));
    let all = jam.admin(&["recount", "--json"]).await.json();
    assert_eq!((all["users"].as_u64(), all["drifted"][0]["userId"].as_str()), (Some(2), Some("user_b")));
    assert_eq!(jam.admin(&["check"]).await.code, 0);
    assert_eq!(jam.admin(&["recount", "user_c"]).await.code, 3);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_repair_that_is_killed_loses_nothing_and_the_next_one_finishes(pool: PgPool) {
    const STRAYS: usize = 200;
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"scene").await;
    for number in 0..STRAYS {
        jam.stray(&format!("user_a/images/{number}"), number.to_string().as_bytes());
    }
    for after_ms in [20, 40, 60, 80, 100, 150, 200] {
        jam.kill_admin(&["repair"], Duration::from_millis(after_ms)).await;
    }
    assert_eq!(jam.admin(&["repair"]).await.code, 0);
    assert_eq!(jam.admin(&["check", "--read-data"]).await.code, 0);
    let runs = std::fs::read_dir(jam.path(".jam/quarantine")).unwrap().map(|run| run.unwrap().path());
    let kept = runs.filter_map(|run| std::fs::read_dir(run.join("user_a/images")).ok()).flatten();
    let mut kept: Vec<usize> = kept
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(path.file_name().unwrap().to_str(), Some(text.as_str()));
            text.parse().unwrap()
        })
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, (0..STRAYS).collect::<Vec<_>>());
}
