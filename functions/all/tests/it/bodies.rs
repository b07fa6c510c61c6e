//! JSON bodies: what is misspelt, missing or of another kind is named and changes nothing, and no body costs more than
//! its size.

use crate::app::{Form, OPERATIONS, Operation, TestApp, send};
use jam_core::config::Limits;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A body as large as a body may be, less what stands around it.
const LARGEST: usize = (1 << 20) - 64;
/// Far above what the slowest costs without optimisation; a comparison of all labels with each other took minutes.
const MOST_CPU: Duration = Duration::from_secs(1);

/// What this process, service and client, has worked so far: unlike the time by the clock, it is the same on a machine
/// that does something else as well.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| Duration::from_micros(time.num_microseconds().cast_unsigned()))
        .sum()
}

/// Every operation that reads JSON of ours, with the fields that it knows. Webhooks carry whatever their sender adds.
fn operations() -> impl Iterator<Item = (&'static Operation, Value)> {
    let document: Value = serde_json::from_str(&jam_all::openapi().unwrap()).unwrap();
    OPERATIONS.iter().filter(|operation| operation.id != "clerk_webhook").filter_map(move |operation| {
        let method = operation.method.as_str().to_ascii_lowercase();
        let body = &document["paths"][operation.path][&method]["requestBody"]["content"]["application/json"];
        let name = body["schema"]["$ref"].as_str()?.rsplit('/').next()?;
        Some((operation, document["components"]["schemas"][name].clone()))
    })
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_misspelt_field_is_named_by_every_operation(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.admin().store_id("a.txt", b"a").await;
    let before = app.admin().file(&id).await;
    let mut asked = 0;
    for (operation, schema) in operations() {
        assert_eq!(schema["additionalProperties"], false, "{}", operation.id);
        let target = operation.path.replace("{id}", &id);
        let request = app.admin().request(operation.method.clone(), &target);
        let error = send(request.json(&json!({ "mispelt": 1 }))).await.refused(400, "invalid_body");
        assert_eq!(error["parameter"], "mispelt", "{}", operation.id);
        assert!(error["error"].as_str().unwrap().contains("mispelt"), "{error}");
        asked += 1;
    }
    assert!(asked >= 7, "{asked}");
    assert_eq!(app.admin().file(&id).await, before);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_largest_body_of_any_shape_costs_little(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.admin().store_id("a.txt", b"a").await;
    for (operation, schema) in operations() {
        let target = operation.path.replace("{id}", &id);
        for field in schema["properties"].as_object().unwrap().keys() {
            for value in worst_values() {
                let body = format!("{{\"{field}\":{value}}}");
                let request = app.admin().request(operation.method.clone(), &target);
                let before = cpu();
                let answer = send(request.header("content-type", "application/json").body(body)).await;
                let spent = cpu() - before;
                assert_eq!(answer.status, 400, "{} {field}: {}", operation.id, &value[..20]);
                assert!(spent < MOST_CPU, "{} {field}: {spent:?} for {}", operation.id, &value[..20]);
            }
        }
    }
    app.finish().await;
}

/// Many short entries that all differ, one text, one list in another, many fields.
fn worst_values() -> [String; 4] {
    let labels: Vec<String> = (0..LARGEST / 9).map(|n| format!("\"{n:06}\"")).collect();
    let fields: Vec<String> = (0..LARGEST / 11).map(|n| format!("\"{n:06}\":0")).collect();
    [
        format!("[{}]", labels.join(",")),
        format!("\"{}\"", "x".repeat(LARGEST)),
        format!("{}{}", "[".repeat(LARGEST / 2), "]".repeat(LARGEST / 2)),
        format!("{{{}}}", fields.join(",")),
    ]
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_largest_form_costs_little_more_than_its_files_and_everybody_is_answered_meanwhile(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (limits, ann) = (&app.app.config.limits, app.ann());
    // The files cost something as well: each is a name and a row, and on the disk before the answer.
    let count = limits.max_files_per_upload;
    let plain = (0..count).fold(Form::new(), |form, number| form.file(&format!("{number}.txt"), b"text"));
    let before = cpu();
    ann.upload(plain).await.expect(200);
    let plain_cpu = cpu() - before;
    let before = cpu();
    let answer = ann.upload(worst_form(limits)).await.expect(200).json();
    let worst_cpu = cpu() - before;
    // A form says all of it for each of its files.
    assert!(worst_cpu < 2 * plain_cpu + 4 * MOST_CPU, "{worst_cpu:?}, without fields {plain_cpu:?}");
    let files = answer["files"].as_array().unwrap();
    assert_eq!(files.len(), count);
    assert!(files.iter().all(|file| file["tags"].as_array().unwrap().len() == 64));
    // Others are answered again and again while it is read: this test has one thread for all of them.
    let is_over = CancellationToken::new();
    let upload = async {
        ann.upload(worst_form(limits)).await.expect(200);
        is_over.cancel();
    };
    let others = async {
        let mut answered = 0;
        while !is_over.is_cancelled() {
            app.nobody().get("/health").await.expect(200);
            answered += 1;
        }
        answered
    };
    let ((), answered) = tokio::join!(upload, others);
    assert!(answered > 10, "{answered} others");
    app.finish().await;
}

/// As many files, fields and labels as a form may have, and all the text: labels that are compared with 64 others, a
/// document of many small values, a name for each file, fields that nobody reads.
fn worst_form(limits: &Limits) -> Form {
    let labels: Vec<String> = (0..1024).map(|n| format!("\"{:060}\"", n % 64)).collect();
    let labels = format!("[{}]", labels[..limits.max_field.bytes() as usize / 64].join(","));
    let document: Vec<String> = (0..1400).map(|n| format!("\"{n:04}\":0")).collect();
    let mut form = Form::new().field("aiMetadata", &format!("{{{}}}", document.join(",")));
    for name in ["tags", "usageTags", "characterNames"] {
        form = form.field(name, &labels);
    }
    for number in 0..limits.max_files_per_upload {
        form = form.field("packageName", &format!("package {number}"));
    }
    let left = limits.max_fields - limits.max_files_per_upload - 4;
    let rest_bytes = limits.max_form_text.bytes() as usize - 3 * labels.len() - (32 << 10);
    for number in 0..left {
        form = form.field(&format!("unknown{number}"), &"x".repeat(rest_bytes / left - 16));
    }
    (0..limits.max_files_per_upload).fold(form, |form, number| form.file(&format!("{number}.txt"), b"text"))
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_a_body_is_told_is_for_people(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.admin().store_id("a.txt", b"a").await;
    let path = format!("/api/files/{id}");
    let (tags, url, batch) = (format!("{path}/tags"), format!("{path}/url"), "/api/files/batch".to_owned());
    let asked = [
        ("PUT", &tags, json!({}), "tags", "tags is missing"),
        ("PUT", &tags, json!({ "tags": "a" }), "tags", "tags is a text, expected a list of texts"),
        ("PUT", &tags, json!({ "tags": null }), "tags", "tags is null, expected a list of texts"),
        (
            "PUT",
            &tags,
            json!({ "tags": ["a", 1] }),
            "tags",
            "tags holds something that is a number, expected a text",
        ),
        (
            "PUT",
            &tags,
            json!({ "tags": ["a", "x".repeat(65)] }),
            "tags",
            "entry 2 has more than 64 characters",
        ),
        ("POST", &url, json!({ "purpose": "show" }), "purpose", "allowed are download, stream and thumbnail"),
        (
            "POST",
            &url,
            json!({ "purpose": "stream", "expiresIn": "1h" }),
            "expiresIn",
            "is a text, expected a whole number from 0 on",
        ),
        ("POST", &url, json!({ "purpose": "thumbnail", "size": 5 }), "size", "size"),
        ("PATCH", &path, json!({ "audioVocals": "yes" }), "audioVocals", "is a text, expected true or false"),
        ("PATCH", &path, json!({ "audioTempo": "fast" }), "audioTempo", "expected a number"),
        ("PATCH", &path, json!({ "aiMetadata": [] }), "aiMetadata", "is a list, expected an object"),
        (
            "POST",
            &batch,
            json!({ "action": "rename", "ids": [] }),
            "action",
            "allowed are delete, restore, purge",
        ),
        (
            "POST",
            &batch,
            json!({ "action": "delete", "ids": "all" }),
            "ids",
            "ids is a text, expected a list",
        ),
    ];
    for (method, target, body, parameter, sentence) in asked {
        let request = app.admin().request(method.parse().unwrap(), target);
        let answer = send(request.json(&body)).await.expect(400).json();
        assert_eq!(answer["parameter"], parameter, "{body}");
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains(sentence), "{body}: {said}");
        assert!(!said.contains("column") && !said.contains('`') && !said.contains("u64"), "{said}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_document_is_as_deep_and_as_large_as_it_may_be(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.txt", b"a").await);
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
    for (document, status) in
        [(nested(32), 200), (nested(33), 400), (json!({ "a": "x".repeat(70_000) }), 400)]
    {
        let answer = app.ann().patch(&path, json!({ "aiMetadata": document })).await.expect(status);
        if status == 400 {
            assert_eq!(answer.refused(400, "invalid_parameter")["parameter"], "aiMetadata");
        }
    }
    app.finish().await;
}
