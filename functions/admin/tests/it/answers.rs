//! What the other verbs answer: quotas, usage, jobs, removal.

use crate::jam::{Jam, PNG, receive, user_id};
use jam_core::Error;
use jam_core::model::{FileMetadata, FileType};
use jam_core::ops::{upload, work};
use sqlx::PgPool;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_quota_is_set_in_units_of_1024_and_read_back(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let before = jam.admin(&["quota", "get", "user_a", "--json"]).await.json();
    assert_eq!(before["maxBytes"].as_u64(), Some(10 << 30), "the default of a user never seen");
    let set = jam.admin(&["quota", "set", "user_a", "1.5 GB", "--json"]).await;
    assert_eq!((set.code, set.json()["maxBytes"].as_u64()), (0, Some(3 << 29)));
    let text = jam.admin(&["quota", "get", "user_a"]).await.stdout;
    assert!(text.contains("user_a") && text.contains("1.5 GB"), "{text}");
    for wrong in
        [&["quota", "set", "user_a", "much"][..], &["quota", "set", "../a", "1"], &["quota", "set", "user_a"]]
    {
        assert_eq!(jam.admin(wrong).await.code, 2, "{wrong:?}");
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn usage_is_shown_for_all_near_the_quota_by_type_and_for_one(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.scene", b"0123456789").await;
    jam.store("user_b", "b.png", PNG).await;
    jam.admin(&["quota", "set", "user_a", "12"]).await;
    let all = jam.admin(&["usage", "--json"]).await.json();
    let names: Vec<_> = all["users"].as_array().unwrap().iter().map(|user| user["userId"].clone()).collect();
    assert_eq!(names, ["user_b", "user_a"], "most first");
    assert_eq!(
        (all["totalUsers"].as_u64(), all["totalUsedBytes"].as_u64()),
        (Some(2), Some(10 + PNG.len() as u64))
    );
    let near = jam.admin(&["usage", "--near", "80", "--json"]).await.json();
    assert_eq!(near["users"].as_array().unwrap().len(), 1);
    assert_eq!(near["users"][0]["percentage"].as_f64(), Some(83.33));
    let types = jam.admin(&["usage", "--by-type", "--json"]).await.json();
    assert_eq!(types["byType"]["scene"]["bytes"].as_u64(), Some(10));
    assert_eq!(types["byType"]["image"]["count"].as_u64(), Some(1));
    let one = jam.admin(&["usage", "user_a", "--json"]).await.json();
    assert_eq!((one["totalBytes"].as_u64(), one["byType"]["scene"]["count"].as_u64()), (Some(10), Some(1)));
    let text = jam.admin(&["usage"]).await.stdout;
    assert!(text.contains("83.33 %") && text.contains("10 Bytes"), "{text}");
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_largest_files_come_first(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "small.scene", b"1").await;
    jam.store("user_b", "large.scene", b"12345").await;
    jam.store("user_a", "middle.scene", b"123").await;
    let largest = jam.admin(&["largest", "--limit", "2", "--json"]).await.json();
    let files = largest["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["originalName"].clone()).collect();
    assert_eq!(names, ["large.scene", "middle.scene"]);
    assert_eq!((&files[0]["userId"], &files[0]["fileSize"]), (&"user_b".into(), &5.into()));
    assert!(jam.admin(&["largest"]).await.stdout.contains("small.scene"));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_dead_job_is_shown_with_its_reason_and_retried(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.png", PNG).await;
    jam.store("user_b", "b.png", PNG).await;
    jam.execute(
        "UPDATE jobs SET state = 'dead', attempts = 3, last_error = 'no memory' WHERE user_id = 'user_a'",
    )
    .await;
    let dead = jam.admin(&["jobs", "--state", "dead", "--json"]).await;
    assert_eq!(dead.code, 0);
    let json = dead.json();
    assert_eq!((json["dead"].as_u64(), json["ready"].as_u64()), (Some(1), Some(1)));
    let job = &json["jobs"][0];
    assert_eq!(
        (&job["userId"], &job["task"], &job["lastError"]),
        (&"user_a".into(), &"derive".into(), &"no memory".into())
    );
    assert!(jam.admin(&["jobs"]).await.stdout.contains("no memory"));
    let id = job["id"].as_str().unwrap();
    let retried = jam.admin(&["retry", id, "--json"]).await;
    assert_eq!((retried.code, retried.json()["revived"].as_u64()), (0, Some(1)));
    assert_eq!(jam.admin(&["retry", id]).await.code, 3, "it is not dead any more");
    assert_eq!(jam.admin(&["retry", "--all", "--json"]).await.json()["revived"].as_u64(), Some(0));
    assert_eq!(jam.admin(&["retry"]).await.code, 2);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_purge_of_the_trash_leaves_the_rest(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let kept = jam.store("user_a", "kept.scene", b"scene").await;
    let trashed = jam.store("user_a", "trashed.scene", b"another").await;
    jam.execute("UPDATE user_files SET deleted_at = now() WHERE original_name = 'trashed.scene'").await;
    let purged = jam.admin(&["purge", "user_a", "--trash", "--json"]).await;
    assert_eq!((purged.code, purged.json()["filesPurged"].as_u64()), (0, Some(1)));
    while work::run_next(&jam.app).await.unwrap() {}
    assert!(jam.path(&kept.file_path).exists() && !jam.path(&trashed.file_path).exists());
    assert_eq!(jam.admin(&["check"]).await.code, 0);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_purge_of_everything_needs_a_yes_and_ends_uploads_under_way(pool: PgPool) {
    let jam = Jam::new(pool).await;
    jam.store("user_a", "a.png", PNG).await;
    jam.store("user_b", "b.scene", b"scene").await;
    let mut under_way = receive(&jam.app, &user_id("user_a"), "a.scene", b"scene").await;
    under_way.append(bytes::Bytes::from_static(b"scene")).await.unwrap();
    for incomplete in
        [&["purge", "user_a", "--all"][..], &["purge", "user_a"], &["purge", "user_a", "--all", "--trash"]]
    {
        assert_eq!(jam.admin(incomplete).await.code, 2, "{incomplete:?}");
    }
    assert_eq!(jam.admin(&["purge", "user_c", "--trash"]).await.code, 3);
    let purged = jam.admin(&["purge", "user_a", "--all", "--yes", "--json"]).await;
    let json = purged.json();
    assert_eq!((json["filesPurged"].as_u64(), json["uploadsCancelled"].as_u64()), (Some(1), Some(1)));
    // Its bytes may still arrive, but they become nobody's file.
    let received = under_way.finish().await.unwrap();
    let assigned = received.assign(&jam.app, &user_id("user_a"), Some(FileType::Scene)).await.unwrap();
    let form = vec![(assigned, FileMetadata::default())];
    let completed = upload::complete(&jam.app, &user_id("user_a"), form).await;
    assert!(matches!(completed, Err(Error::Conflict { .. })), "{completed:?}");
    while work::run_next(&jam.app).await.unwrap() {}
    let usage = jam.admin(&["usage", "--json"]).await.json();
    let left: Vec<_> =
        usage["users"].as_array().unwrap().iter().map(|user| user["totalBytes"].clone()).collect();
    assert_eq!(left, [5, 0]);
    assert_eq!(jam.admin(&["check", "--read-data"]).await.code, 0);
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_janitor_ends_what_a_dead_process_left(pool: PgPool) {
    let jam = Jam::new(pool).await;
    let under_way = receive(&jam.app, &user_id("user_a"), "a.scene", b"scene").await;
    assert_eq!(jam.admin(&["janitor", "--json"]).await.json()["uploadsCancelled"].as_u64(), Some(0));
    jam.execute("UPDATE uploads SET instance_id = gen_random_uuid()").await;
    let swept = jam.admin(&["janitor", "--json"]).await;
    assert_eq!((swept.code, swept.json()["uploadsCancelled"].as_u64()), (0, Some(1)));
    assert_eq!(jam.admin(&["check"]).await.code, 0);
    drop(under_way);
}
