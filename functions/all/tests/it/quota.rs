//! The quota: exact to the byte in every race, and refused before the bytes are sent.

use crate::app::{ANN, Form, Raw, TestApp, eventually, media, token};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

const MIB: usize = 1 << 20;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_user_never_seen_before_has_the_default_quota_and_no_row(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let nothing = json!({ "bytes": 0, "count": 0 });
    let expected = json!({
        "userId": ANN, "totalBytes": 0, "maxBytes": 10_737_418_240_u64, "fileCount": 0, "percentage": 0.0,
        "totalFormatted": "0 Bytes", "maxFormatted": "10 GB", "availableBytes": 10_737_418_240_u64,
        "availableFormatted": "10 GB", "reservedBytes": 0, "trashBytes": 0,
        "byType": { "video": nothing, "image": nothing, "scene": nothing, "project": nothing, "audio": nothing },
        "limits": { "maxFileBytes": 2_147_483_648_u64, "maxAppendBytes": null, "maxFilesPerUpload": 100, "maxFilesPerUser": 1_000_000 },
    });
    assert_eq!(app.ann().usage().await, expected);
    let stats = app.admin().get("/api/storage/stats").await.expect(200).json();
    assert_eq!(stats["stats"]["totalUsers"], 0);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn usage_counts_every_byte_by_type(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 3000).await;
    app.ann().store("a.txt", &[b'x'; 700]).await;
    let form = Form::new().field("fileType", "scene").file("b.txt", &[b'y'; 300]);
    app.ann().upload(form).await.expect(200);
    let usage = app.ann().usage().await;
    assert_eq!((&usage["totalBytes"], &usage["fileCount"]), (&json!(1000), &json!(2)));
    assert_eq!((&usage["percentage"], &usage["availableBytes"]), (&json!(33.33), &json!(2000)));
    assert_eq!(
        (&usage["totalFormatted"], &usage["availableFormatted"]),
        (&json!("1000 Bytes"), &json!("1.95 KB"))
    );
    assert_eq!(usage["byType"]["project"], json!({ "bytes": 700, "count": 1 }));
    assert_eq!(usage["byType"]["scene"], json!({ "bytes": 300, "count": 1 }));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_of_exactly_the_remaining_bytes_fits_and_one_byte_more_does_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let around = |content: &[u8]| {
        Form::new()
            .field("packageName", "before")
            .file("a.bin", content)
            .field("sceneLocation", &"x".repeat(4000))
    };
    app.set_quota(ANN, 500_000).await;
    let error = app.ann().upload(around(&media::bytes(1, 500_001))).await.refused(413, "quota_exceeded");
    assert_eq!((&error["totalBytes"], &error["maxBytes"]), (&json!(0), &json!(500_000)));
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.ann().upload(around(&media::bytes(2, 499_990))).await.expect(200);
    app.ann().upload(around(&media::bytes(3, 11))).await.refused(413, "quota_exceeded");
    app.ann().upload(around(&media::bytes(3, 10))).await.expect(200);
    assert_eq!(app.ann().counters().await, json!([500_000, 0, 0, 2]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn of_a_form_as_many_files_are_stored_as_fit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 2500).await;
    let form = (0..4).fold(Form::new(), |form, n| form.file(&format!("{n}.txt"), &[b'x'; 1000]));
    let answer = app.ann().upload(form).await.expect(200).json();
    assert_eq!(
        (answer["files"].as_array().unwrap().len(), answer["errors"].as_array().unwrap().len()),
        (2, 2)
    );
    assert_eq!(
        (&answer["errors"][0]["filename"], &answer["errors"][0]["code"]),
        (&json!("2.txt"), &json!("quota_exceeded"))
    );
    assert_eq!(app.ann().counters().await, json!([2000, 0, 0, 2]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_that_does_not_fit_leaves_its_room_to_the_next_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 100_000).await;
    let form =
        Form::new().file("large.bin", &media::bytes(1, 300_000)).file("small.bin", &media::bytes(2, 100_000));
    let answer = app.ann().upload(form).await.expect(200).json();
    assert_eq!(answer["files"][0]["originalName"], "small.bin");
    assert_eq!(answer["errors"][0]["filename"], "large.bin");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn fifty_racing_for_twenty_places_fill_exactly_twenty(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 20 * MIB as u64).await;
    assert_eq!(race(&app, 50, MIB).await, (20, 30));
    assert_eq!(app.ann().counters().await, json!([20 * MIB, 0, 0, 20]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn two_hundred_racing_for_a_hundred_places_fill_exactly_a_hundred(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 100_000).await;
    assert_eq!(race(&app, 200, 1000).await, (100, 100));
    assert_eq!(app.ann().counters().await, json!([100_000, 0, 0, 100]));
    app.finish().await;
}

/// Uploads files of one size at once; how many were stored, and how many were over the quota.
async fn race(app: &TestApp, files: u64, size: usize) -> (usize, usize) {
    let ann = app.ann();
    let uploads = (0..files).map(|seed| ann.upload(Form::new().file("a.bin", &media::bytes(seed, size))));
    let mut stored = 0;
    let mut refused = 0;
    for answer in join_all(uploads).await {
        if answer.status == 200 {
            stored += 1;
        } else {
            answer.refused(413, "quota_exceeded");
            refused += 1;
        }
    }
    (stored, refused)
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_are_promised_while_they_arrive_and_given_back_when_they_do_not(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 2 * MIB as u64).await;
    let body = Form::new().file("a.bin", &media::bytes(1, MIB)).into_body();
    let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
    raw.send(&body[..MIB / 2]).await.unwrap();
    eventually("the bytes are reserved", async || {
        (app.ann().usage().await["reservedBytes"] == MIB).then_some(())
    })
    .await;
    assert_eq!(app.ann().usage().await["availableBytes"], MIB);
    app.ann()
        .upload(Form::new().file("b.bin", &media::bytes(2, MIB + 1)))
        .await
        .refused(413, "quota_exceeded");
    app.ann().upload(Form::new().file("c.bin", &media::bytes(3, MIB))).await.expect(200);
    drop(raw);
    eventually("the reservation is given back", async || {
        (app.ann().counters().await == json!([MIB, 0, 0, 1])).then_some(())
    })
    .await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_full_account_refuses_before_a_client_that_asks_has_sent_anything(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 1000).await;
    app.ann().store("a.txt", &[b'x'; 1000]).await;
    let mut raw = Raw::start_upload(&app, &token(ANN), 64 * MIB, "Expect: 100-continue\r\n").await;
    raw.answer().await.refused(413, "quota_exceeded");
    assert!(raw.is_closed().await, "a connection whose body never comes is of no more use");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_that_asks_and_fits_is_told_to_go_on(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let body = Form::new().file("a.bin", &media::bytes(1, 2 * MIB)).into_body();
    let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "Expect: 100-continue\r\n").await;
    raw.answer().await.expect(100);
    raw.send(&body).await.unwrap();
    raw.answer().await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_client_that_sends_without_asking_sees_the_refusal_and_no_broken_pipe(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.set_quota(ANN, 1000).await;
    for mib in [8, 24] {
        let body = Form::new().file("a.bin", &media::bytes(1, mib * MIB)).into_body();
        // One client sends everything and then looks; the other is the usual kind that does both.
        let mut raw = Raw::start_upload(&app, &token(ANN), body.len(), "").await;
        for piece in body.chunks(64 * 1024).take(8 * MIB / (64 * 1024)) {
            raw.send(piece).await.unwrap();
        }
        if mib == 8 {
            raw.send(&body[8 * MIB..]).await.unwrap();
        }
        raw.answer().await.refused(413, "quota_exceeded");
        app.ann()
            .upload(Form::new().file("a.bin", &media::bytes(1, mib * MIB)))
            .await
            .refused(413, "quota_exceeded");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn setting_up_storage_is_safe_to_repeat_and_only_administrators_choose_the_quota(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for _ in 0..2 {
        let storage = app.ann().post("/api/storage/initialize", json!({})).await.expect(200).json();
        assert_eq!(storage["storage"]["maxBytes"], 10_737_418_240_u64);
    }
    app.ann()
        .post("/api/storage/initialize", json!({ "maxBytes": 1_u64 << 40 }))
        .await
        .refused(403, "admin_only");
    let own =
        app.admin().post("/api/storage/initialize", json!({ "maxBytes": 5000 })).await.expect(200).json();
    assert_eq!(own["storage"]["maxBytes"], 5000);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_quota_below_what_is_stored_only_blocks_new_uploads(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", &[b'x'; 1000]).await;
    let lowered = json!({ "userId": ANN, "maxBytes": 500 });
    app.ann().put("/api/storage/quota", lowered.clone()).await.refused(403, "admin_only");
    let storage = app.admin().put("/api/storage/quota", lowered).await.expect(200).json()["storage"].clone();
    assert_eq!((&storage["maxBytes"], &storage["percentage"]), (&json!(500), &json!(200.0)));
    assert_eq!((&storage["availableBytes"], &storage["userId"]), (&json!(0), &json!(ANN)));
    app.ann().upload(Form::new().file("b.txt", b"b")).await.refused(413, "quota_exceeded");
    app.ann().get(&format!("/api/files/{id}/download")).await.expect(200);
    app.ann().delete(&format!("/api/files/{id}?permanent=true")).await.expect(200);
    app.ann().store("b.txt", b"b").await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_quota_that_makes_no_sense_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let wrong: [(Value, &str); 6] = [
        (json!({}), "invalid_body"),
        (json!({ "userId": ANN }), "invalid_body"),
        (json!({ "userId": ANN, "maxBytes": -1 }), "invalid_body"),
        (json!({ "userId": ANN, "maxBytes": "1000" }), "invalid_body"),
        (json!({ "userId": "../etc", "maxBytes": 1000 }), "invalid_body"),
        (json!({ "userId": ANN, "maxBytes": u64::MAX }), "invalid_parameter"),
    ];
    for (body, code) in wrong {
        app.admin().put("/api/storage/quota", body).await.refused(400, code);
    }
    app.finish().await;
}
