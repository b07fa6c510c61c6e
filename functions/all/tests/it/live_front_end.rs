//! What the live front end relies on, field by field: the type of everything that it reads, and the requests that it sends.

use crate::app::media::{MP3, MP4, png};
use crate::app::{ANN, Form, TestApp, rows, send, user_id};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

/// The types of JSON that a field may have.
#[derive(Clone, Copy, Debug)]
enum Type {
    Text,
    Number,
    Flag,
    Texts,
    Object,
}

#[track_caller]
fn assert_types(object: &Value, fields: &[(&str, Type, bool)]) {
    for (name, expected, may_be_null) in fields {
        let value = object.get(*name).unwrap_or_else(|| panic!("{name} is missing: {object}"));
        let fits = match expected {
            Type::Text => value.is_string(),
            Type::Number => value.is_number(),
            Type::Flag => value.is_boolean(),
            Type::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Type::Object => value.is_object(),
        };
        assert!(fits || (*may_be_null && value.is_null()), "{name} is {value}, expected {expected:?}");
    }
}

const USER_FILE: [(&str, Type, bool); 42] = [
    ("id", Type::Text, false),
    ("userId", Type::Text, false),
    ("fileName", Type::Text, false),
    ("originalName", Type::Text, false),
    ("fileType", Type::Text, false),
    ("mimeType", Type::Text, false),
    ("fileSize", Type::Number, false),
    ("fileSizeFormatted", Type::Text, false),
    ("filePath", Type::Text, false),
    ("thumbnailPath", Type::Text, true),
    ("resolution", Type::Text, true),
    ("duration", Type::Text, true),
    ("packageName", Type::Text, true),
    ("tags", Type::Texts, false),
    ("isFavorite", Type::Flag, false),
    ("uploadDate", Type::Text, false),
    ("createdAt", Type::Text, false),
    ("assetCategory", Type::Text, true),
    ("usageTags", Type::Texts, false),
    ("characterNames", Type::Texts, false),
    ("objectDescription", Type::Text, true),
    ("sceneLocation", Type::Text, true),
    ("hasAlphaChannel", Type::Flag, false),
    ("audioCategory", Type::Text, true),
    ("audioDurationSeconds", Type::Number, true),
    ("audioStyle", Type::Text, true),
    ("audioVocals", Type::Flag, false),
    ("audioLyrics", Type::Text, true),
    ("audioTempo", Type::Number, true),
    ("audioKey", Type::Text, true),
    ("voiceoverType", Type::Text, true),
    ("voiceoverScript", Type::Text, true),
    ("aiMetadata", Type::Object, false),
    ("sha256", Type::Text, false),
    ("width", Type::Number, true),
    ("height", Type::Number, true),
    ("durationSeconds", Type::Number, true),
    ("updatedAt", Type::Text, false),
    ("deletedAt", Type::Text, true),
    ("thumbnailUrl", Type::Text, true),
    ("downloadUrl", Type::Text, false),
    ("streamUrl", Type::Text, true),
];

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_field_of_a_file_has_its_type_whatever_is_known_of_it(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let described = Form::new()
        .file("c.mp3", &MP3)
        .field("packageName", "p")
        .field("tags", r#"["a"]"#)
        .field("usageTags", r#"["a"]"#)
        .field("characterNames", r#"["a"]"#)
        .field("assetCategory", "audio")
        .field("objectDescription", "o")
        .field("sceneLocation", "s")
        .field("hasAlphaChannel", "true")
        .field("audioCategory", "jingle")
        .field("audioDurationSeconds", "12")
        .field("audioStyle", "s")
        .field("audioVocals", "true")
        .field("audioLyrics", "l")
        .field("audioTempo", "120")
        .field("audioKey", "C")
        .field("voiceoverType", "male")
        .field("voiceoverScript", "v")
        .field("aiMetadata", r#"{"a": 1}"#);
    let file = app.ann().upload(described).await.expect(200).json()["files"][0].clone();
    let all_set: Vec<_> = USER_FILE.iter().filter(|field| !file[field.0].is_null()).copied().collect();
    assert!(all_set.len() > 33, "{file}");
    assert_types(&file, &USER_FILE);
    assert_eq!((&file["audioTempo"], &file["audioDurationSeconds"]), (&json!(120), &json!(12)));
    for (name, content) in [("a.mp4", MP4.to_vec()), ("b.png", png(3, 3)), ("d.txt", b"d".to_vec())] {
        assert_types(&app.ann().store(name, &content).await, &USER_FILE);
    }
    let listed = app.ann().get("/api/files").await.expect(200).json();
    for file in listed["files"].as_array().unwrap() {
        assert_types(file, &USER_FILE);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_tempo_is_a_number_however_it_was_written(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.mp3", &MP3).await;
    let path = format!("/api/files/{id}");
    for (sent, kept) in [
        (json!(120), json!(120)),
        (json!("92.5"), json!(92.5)),
        (json!(" 60 "), json!(60)),
        (json!(null), json!(null)),
    ] {
        let patched = app.ann().patch(&path, json!({ "audioTempo": sent })).await.expect(200).json();
        assert_eq!(patched["file"]["audioTempo"], kept, "{sent}");
    }
    // Rows of earlier releases hold text, and those of another system a number.
    for (stored, shown) in [
        (json!("128"), json!(128)),
        (json!("fast"), json!(null)),
        (json!(99), json!(99)),
        (json!(""), json!(null)),
    ] {
        let mut conn = app.app.db.conn().await.unwrap();
        rows::set_asset_detail(&mut conn, &user_id(ANN), "audioTempo", &stored).await;
        drop(conn);
        assert_eq!(app.ann().file(&id).await["audioTempo"], shown, "{stored}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_it_asks_on_every_page_is_answered(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 1200).await;
    for (limit, count) in [("1000", 1000), ("1001", 1000), ("99999999999999999999", 1000), ("999", 999)] {
        let page = app.ann().get(&format!("/api/files?limit={limit}")).await.expect(200).json();
        assert_eq!(page["count"], count, "{limit}");
    }
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn storage_and_users_have_their_types(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().store("a.txt", b"a").await;
    let storage = [
        ("userId", Type::Text, false),
        ("totalBytes", Type::Number, false),
        ("maxBytes", Type::Number, false),
        ("fileCount", Type::Number, false),
        ("percentage", Type::Number, false),
        ("totalFormatted", Type::Text, false),
        ("maxFormatted", Type::Text, false),
        ("availableBytes", Type::Number, false),
        ("availableFormatted", Type::Text, false),
    ];
    assert_types(&app.ann().usage().await, &storage);
    let initialized = app.ann().post("/api/storage/initialize", json!({})).await.expect(200).json();
    assert_types(&initialized["storage"], &storage);
    let stats = app.admin().get("/api/storage/stats").await.expect(200).json()["stats"].clone();
    for name in ["totalUsers", "totalUsed", "totalQuota", "avgUsed", "totalFiles"] {
        assert_types(&stats, &[(name, Type::Number, false)]);
    }
    for name in ["totalUsedFormatted", "totalQuotaFormatted", "avgUsedFormatted"] {
        assert_types(&stats, &[(name, Type::Text, false)]);
    }
    let users = app.admin().get("/api/admin/users").await.expect(200).json()["users"].clone();
    for name in ["id", "email", "firstName", "lastName", "fullName", "imageUrl"] {
        assert_types(&users[0], &[(name, Type::Text, false)]);
    }
    for name in ["createdAt", "lastSignInAt"] {
        assert_types(&users[0], &[(name, Type::Text, true)]);
    }
    let health = app.nobody().get("/health").await.expect(200).json();
    assert_types(
        &health,
        &[
            ("success", Type::Flag, false),
            ("status", Type::Text, false),
            ("uptime", Type::Number, false),
            ("timestamp", Type::Text, false),
        ],
    );
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn its_requests_without_a_body_or_with_an_empty_one_work(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    let favorite = format!("/api/files/{id}/favorite");
    for body in ["", "{}", " {} "] {
        let request = app.ann().request(Method::POST, &favorite).header("content-type", "application/json");
        send(request.body(body)).await.expect(200);
        let request = app.ann().request(Method::POST, "/api/storage/initialize");
        send(request.header("content-type", "application/json").body(body)).await.expect(200);
    }
    send(app.ann().request(Method::POST, &favorite)).await.expect(200);
    app.finish().await;
}
