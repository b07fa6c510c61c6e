//! Listings: every filter and order, pages by offset and by cursor, and the errors for bad queries.

use crate::app::media::{MP3, MP4, png};
use crate::app::{ANN, As, BOB, Form, TestApp, rows, user_id};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// Eight files that differ in everything a listing can be narrowed by; `h.png` is in the trash.
async fn store_different_files(ann: &As<'_>) {
    let forms = [
        Form::new().file("a.mp4", &MP4).field("tags", r#"["red", "blue"]"#).field("assetCategory", "clip"),
        Form::new().file("b.png", &png(1, 1)).field("tags", r#"["red"]"#).field("packageName", "Spring 24"),
        Form::new().file("c.mp3", &MP3).field("audioCategory", "jingle").field("usageTags", r#"["intro"]"#),
        Form::new().file("d.txt", b"d").field("characterNames", r#"["Ada", "Bo"]"#),
        Form::new().file("e.txt", b"e").field("fileType", "scene").field("usageTags", r#"["outro"]"#),
        Form::new().file("100%_Sale.txt", b"f").field("packageName", "100%"),
        Form::new().file("1000 sales.txt", b"g").field("characterNames", r#"["Bo"]"#),
        Form::new().file("h.png", &png(2, 2)).field("tags", r#"["red"]"#),
    ];
    for form in forms {
        ann.upload(form).await.expect(200);
    }
    let files = ann.get("/api/files?sortBy=name&sortOrder=asc").await.expect(200).json()["files"].clone();
    let id = |name: &str| {
        let file = files.as_array().unwrap().iter().find(|file| file["originalName"] == name).unwrap();
        file["id"].as_str().unwrap().to_owned()
    };
    ann.delete(&format!("/api/files/{}", id("h.png"))).await.expect(200);
    for name in ["a.mp4", "d.txt"] {
        ann.post(&format!("/api/files/{}/favorite", id(name)), json!({})).await.expect(200);
    }
}

async fn names(ann: &As<'_>, query: &str) -> Vec<String> {
    let page = ann.get(&format!("/api/files?sortBy=name&sortOrder=asc&{query}")).await.expect(200).json();
    let names: Vec<String> =
        column(&page, "originalName").iter().map(|n| n.as_str().unwrap().to_owned()).collect();
    assert_eq!(page["count"], names.len());
    names
}

fn column(page: &Value, name: &str) -> Vec<Value> {
    page["files"].as_array().unwrap().iter().map(|file| file[name].clone()).collect()
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn each_filter_finds_its_files_and_no_others(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    store_different_files(&ann).await;
    let found: [(&str, &[&str]); 34] = [
        ("", &["100%_Sale.txt", "1000 sales.txt", "a.mp4", "b.png", "c.mp3", "d.txt", "e.txt"]),
        ("type=video", &["a.mp4"]),
        ("type=image", &["b.png"]),
        ("type=audio", &["c.mp3"]),
        ("type=scene", &["e.txt"]),
        ("type=project", &["100%_Sale.txt", "1000 sales.txt", "d.txt"]),
        ("favorite=true", &["a.mp4", "d.txt"]),
        ("favorite=false", &["100%_Sale.txt", "1000 sales.txt", "b.png", "c.mp3", "e.txt"]),
        ("package=Spring%2024", &["b.png"]),
        ("tags=red", &["a.mp4", "b.png"]),
        ("tags=blue,%20red", &["a.mp4", "b.png"]),
        ("tags=blue,green", &["a.mp4"]),
        ("assetCategory=clip", &["a.mp4"]),
        ("usageTags=intro,outro", &["c.mp3", "e.txt"]),
        ("usageTags[]=intro&usageTags[]=outro", &["c.mp3", "e.txt"]),
        ("tags=blue&tags=red", &["a.mp4", "b.png"]),
        ("tags%5B%5D=blue", &["a.mp4"]),
        ("characterNames[0]=Ada&characterNames[1]=Bo", &["1000 sales.txt", "d.txt"]),
        ("audioCategory=jingle", &["c.mp3"]),
        ("characterNames=Bo", &["1000 sales.txt", "d.txt"]),
        ("minWidth=1", &["a.mp4", "b.png"]),
        ("minWidth=2", &["a.mp4"]),
        ("minWidth=640", &["a.mp4"]),
        ("minWidth=641", &[]),
        ("minWidth=2&trash=true", &["h.png"]),
        ("minWidth=1&tags=red&type=image", &["b.png"]),
        ("q=SALE", &["100%_Sale.txt", "1000 sales.txt"]),
        ("q=100%25", &["100%_Sale.txt"]),
        ("q=0_s", &[]),
        ("q=%25_s", &["100%_Sale.txt"]),
        ("q=%5C", &[]),
        ("trash=true", &["h.png"]),
        ("trash=true&type=video", &[]),
        ("type=project&q=sale&characterNames=Bo&colour=ignored", &["1000 sales.txt"]),
    ];
    for (query, expected) in found {
        assert_eq!(names(&ann, query).await, expected, "{query}");
        let counted =
            ann.get(&format!("/api/files?limit=1&includeTotal=true&{query}")).await.expect(200).json();
        assert_eq!(counted["total"], expected.len(), "{query}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn every_order_runs_both_ways_and_has_its_short_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 150).await;
    let ann = app.ann();
    let page = async |query: &str| ann.get(&format!("/api/files?limit=200&{query}")).await.expect(200).json();
    let orders = [
        ("upload_date", "uploadDate"),
        ("created_at", "createdAt"),
        ("original_name", "originalName"),
        ("file_name", "fileName"),
        ("file_size", "fileSize"),
        ("duration", "durationSeconds"),
    ];
    for (order, field) in orders {
        let up = page(&format!("sortBy={order}&sortOrder=asc")).await;
        let mut down = column(&page(&format!("sortBy={order}&sortOrder=DESC")).await, "id");
        down.reverse();
        assert_eq!(column(&up, "id"), down, "{order}");
        let keys = column(&up, field);
        assert!(keys.windows(2).all(|pair| in_order(&pair[0], &pair[1])), "{order}: {keys:?}");
    }
    for (short, long) in [("date", "upload_date"), ("name", "original_name"), ("size", "file_size")] {
        let ids = async |name: &str| column(&page(&format!("sortBy={name}&sortOrder=Asc")).await, "id");
        assert_eq!(ids(short).await, ids(long).await);
    }
    let newest_first = column(&page("").await, "id");
    assert_eq!(newest_first, column(&page("sortBy=upload_date&sortOrder=desc").await, "id"));
    app.finish_without_blobs().await;
}

/// Whether two sort keys may stand in this order; what is unknown comes first.
fn in_order(first: &Value, second: &Value) -> bool {
    match (first, second) {
        (Value::Null, _) => true,
        (Value::String(first), Value::String(second)) => first <= second,
        (Value::Number(first), Value::Number(second)) => first.as_f64() <= second.as_f64(),
        _ => false,
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_value_out_of_bounds_is_refused_with_its_parameter(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let long = "x".repeat(256);
    let many = vec!["x"; 65].join(",");
    let wrong = [
        ("type", "hologram"),
        ("favorite", "maybe"),
        ("package", &long),
        ("tags", &many),
        ("usageTags", &long),
        ("characterNames", &many),
        ("assetCategory", "Clip"),
        ("audioCategory", "song"),
        ("minWidth", "0"),
        ("minWidth", "-1"),
        ("minWidth", "1000001"),
        ("minWidth", "99999999999999999999"),
        ("minWidth", "1.5"),
        ("minWidth", "wide"),
        ("q", &long),
        ("trash", "yes"),
        ("limit", "0"),
        ("limit", "ten"),
        ("offset", "-1"),
        ("offset", "1e3"),
        ("sortBy", "uploadDate"),
        ("sortBy", "size;DROP"),
        ("sortOrder", "up"),
        ("includeTotal", "2"),
        ("cursor", "not-a-cursor"),
        ("fields", "colour"),
        ("fields", "id,original_name"),
        ("fields", &many),
    ];
    for (parameter, value) in wrong {
        let error =
            app.ann().get(&format!("/api/files?{parameter}={value}")).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], parameter, "{value}");
    }
    for (query, parameter) in [("limit=5&limit=6", "limit"), ("q=%00", "q"), ("tags=a%00b", "tags")] {
        let error = app.ann().get(&format!("/api/files?{query}")).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], parameter);
    }
    // An empty value is no value, as forms send it.
    app.ann().get("/api/files?type=&q=&limit=&cursor=&sortBy=").await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_filter_that_is_almost_one_is_named_and_not_dropped(pool: PgPool) {
    let app = TestApp::new(pool).await;
    app.ann().store("a.txt", b"a").await;
    for name in [
        "tags[x]",
        "tag",
        "tags[0][a]",
        "usagetags",
        "Type",
        "limit[]",
        "sort_by",
        "character_names[]",
        "min_width",
        "field",
        "fields[users]",
    ] {
        let error = app.ann().get(&format!("/api/files?{name}=a")).await.refused(400, "invalid_parameter");
        assert_eq!(error["parameter"], name);
    }
    // What is like nothing that we know is somebody else's.
    app.ann().get("/api/files?_=1699&utm_source=mail&v=2&cache=no&v=3").await.expect(200);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_label_with_a_comma_is_found(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.txt", b"a").await;
    app.ann().put(&format!("/api/files/{id}/tags"), json!({ "tags": ["red, green"] })).await.expect(200);
    app.ann().store("b.txt", b"b").await;
    for query in ["tags[]=red,%20green", "tags%5B0%5D=red%2C+green"] {
        assert_eq!(names(&app.ann(), query).await, ["a.txt"], "{query}");
    }
    assert!(names(&app.ann(), "tags=red,%20green").await.is_empty());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn texts_that_look_the_same_are_found_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let nfd = "cafe\u{301}";
    let list = json!([nfd]).to_string();
    let form = Form::new()
        .file("cafe\u{301}.txt", b"a")
        .field("packageName", nfd)
        .field("tags", &list)
        .field("usageTags", &list)
        .field("characterNames", &list);
    let stored = ann.upload(form).await.expect(200).json()["files"][0].clone();
    let patched = ann.store_id("other cafe\u{301}.txt", b"b").await;
    let labels = json!([nfd, "caf\u{e9}"]);
    let patch =
        json!({ "packageName": nfd, "usageTags": labels, "characterNames": labels, "sceneLocation": nfd });
    ann.patch(&format!("/api/files/{patched}"), patch).await.expect(200);
    ann.put(&format!("/api/files/{patched}/tags"), json!({ "tags": labels })).await.expect(200);
    for file in [stored, ann.file(&patched).await] {
        assert_eq!(file["packageName"], "caf\u{e9}");
        for name in ["tags", "usageTags", "characterNames"] {
            assert_eq!(file[name], json!(["caf\u{e9}"]), "{name}");
        }
    }
    for text in ["cafe%CC%81", "caf%C3%A9"] {
        for name in ["q", "package", "tags", "tags[]", "usageTags", "characterNames"] {
            assert_eq!(names(&ann, &format!("{name}={text}")).await.len(), 2, "{name}={text}");
        }
    }
    let batch = json!({ "action": "untag", "ids": [patched], "tags": [nfd] });
    ann.post("/api/files/batch", batch).await.expect(200);
    assert_eq!(ann.file(&patched).await["tags"], json!([]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn limit_and_offset_cut_the_same_listing(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 90).await;
    let page = async |query: &str| app.ann().get(&format!("/api/files?{query}")).await.expect(200).json();
    let all = column(&page("limit=200").await, "id");
    assert_eq!(all.len(), 90);
    assert_eq!(page("").await["count"], 50);
    assert_eq!(column(&page("limit=7").await, "id"), all[..7]);
    assert_eq!(column(&page("limit=7&offset=80").await, "id"), all[80..87]);
    assert_eq!(column(&page("limit=7&offset=88").await, "id"), all[88..]);
    assert_eq!(page("offset=5000").await["count"], 0);
    assert_eq!(page("limit=90").await["nextCursor"], Value::Null);
    assert_eq!(page("limit=1").await.get("total"), None);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn paging_through_a_thousand_files_loses_and_doubles_none_while_others_arrive(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = user_id(ANN);
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &ann, 1000).await;
    let before = all_ids(&app, "sortBy=file_name").await;
    assert_eq!(before.len(), 990, "every hundredth file is in the trash");
    for order in
        ["sortBy=upload_date", "sortBy=name&sortOrder=asc", "sortBy=duration", "sortBy=size&sortOrder=asc"]
    {
        let others_arrive = async || rows::add_files(&mut app.app.db.conn().await.unwrap(), &ann, 5).await;
        let seen = paged_ids(&app, &format!("limit=97&{order}"), others_arrive).await;
        let once: BTreeSet<String> = seen.iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert_eq!(once.len(), seen.len(), "{order}: a file came twice");
        assert!(once.is_superset(&before), "{order}: {} files were lost", before.difference(&once).count());
    }
    app.finish_without_blobs().await;
}

/// Every id of a listing in its order, by cursor; something happens after each page.
async fn paged_ids(app: &TestApp, query: &str, after_page: impl AsyncFn()) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.ann().get(&format!("/api/files?{query}{cursor}")).await.expect(200).json();
        seen.extend(column(&page, "id"));
        after_page().await;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

/// Every id of a listing, by offset.
async fn all_ids(app: &TestApp, order: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    loop {
        let query = format!("/api/files?limit=200&{order}&offset={}", ids.len());
        let page = app.ann().get(&query).await.expect(200).json();
        ids.extend(column(&page, "id").iter().map(|id| id.as_str().unwrap().to_owned()));
        if page["count"] != 200 {
            return ids;
        }
    }
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_cursor_continues_its_own_filter_and_order(pool: PgPool) {
    let app = TestApp::new(pool).await;
    rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(ANN), 200).await;
    let page = async |query: &str| app.ann().get(&format!("/api/files?{query}")).await.expect(200).json();
    let listing = "type=scene&sortBy=size&sortOrder=asc";
    let all = column(&page(&format!("limit=200&{listing}")).await, "id");
    let first = page(&format!("limit=3&{listing}")).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    let alone = page(&format!("limit=4&cursor={cursor}")).await;
    assert_eq!(column(&alone, "id"), all[3..7]);
    let contradicted = page(&format!("limit=4&cursor={cursor}&type=video&sortBy=name")).await;
    assert_eq!(column(&contradicted, "id"), all[3..7]);
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_cursor_shows_nobody_elses_files(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for user in [ANN, BOB] {
        rows::add_files(&mut app.app.db.conn().await.unwrap(), &user_id(user), 50).await;
    }
    let first = app.ann().get("/api/files?limit=10").await.expect(200).json();
    let query = format!("/api/files?limit=200&cursor={}", first["nextCursor"].as_str().unwrap());
    let page = app.bob().get(&query).await.expect(200).json();
    assert!(column(&page, "userId").iter().all(|user| user == BOB), "{page}");
    app.finish_without_blobs().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_cursor_that_was_tampered_with_is_refused(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let cursor = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let id = "019a0000-0000-7000-8000-000000000000";
    let place = |key: &str| {
        format!(
            r#"{{"filter":{{}},"sort":"upload_date","order":"desc","place":{{"key":{key},"id":"{id}"}}}}"#
        )
    };
    app.ann().get(&format!("/api/files?cursor={}", cursor(&place(r#"{"t":0}"#)))).await.expect(200);
    let tampered = [
        place(r#"{"n":1}"#),
        place(r#"{"s":"name"}"#),
        place(r#"{"t":9223372036854775807}"#),
        // Ten thousand years before and after: beyond what Postgres, and what RFC 3339, can say.
        place(r#"{"t":-315619200000000000}"#),
        place(r#"{"t":315619200000000000}"#),
        place("null"),
        place(r#"{"t":0}"#).replace("upload_date", "password"),
        place(r#"{"t":0}"#).replace(r#""filter":{}"#, r#""filter":{"q":"\u0000"}"#),
        place(r#"{"t":0}"#).replace(id, "1"),
        "{}".to_owned(),
        String::new(),
    ];
    for text in tampered.iter().filter(|text| !text.is_empty()) {
        let error = app.ann().get(&format!("/api/files?cursor={}", cursor(text))).await;
        assert_eq!(error.refused(400, "invalid_parameter")["parameter"], "cursor", "{text}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_listing_and_its_files_say_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    store_different_files(&app.ann()).await;
    let page = app.ann().get("/api/files").await.expect(200).json();
    for file in page["files"].as_array().unwrap() {
        assert_eq!(&app.ann().file(file["id"].as_str().unwrap()).await, file);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_listing_of_some_fields_has_just_those_and_says_the_same_of_them(pool: PgPool) {
    let app = TestApp::new(pool).await;
    store_different_files(&app.ann()).await;
    let images = app.ann().get("/api/files?type=image&fields=id").await.expect(200).json();
    let made = format!("/api/files/{}/thumbnail", images["files"][0]["id"].as_str().unwrap());
    app.ann().get(&made).await.expect(200);
    for trash in ["false", "true"] {
        let list = async |query: &str| {
            let page = app.ann().get(&format!("/api/files?trash={trash}{query}")).await.expect(200).json();
            page["files"].as_array().unwrap().clone()
        };
        let whole = list("").await;
        let first = whole[0].as_object().unwrap();
        assert!(first.len() > 40, "{first:?}");
        let all = first.keys().map(String::as_str).collect::<Vec<_>>();
        for fields in all.iter().map(|field| vec![*field]).chain([all.clone(), vec!["tags", "id", "tags"]]) {
            let expected: Vec<Value> = whole
                .iter()
                .map(|file| fields.iter().map(|field| ((*field).to_owned(), file[*field].clone())).collect())
                .collect();
            assert_eq!(list(&format!("&fields={}", fields.join(","))).await, expected, "{fields:?}");
        }
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn some_fields_come_with_a_cursor_and_to_administrators_too(pool: PgPool) {
    let app = TestApp::new(pool).await;
    store_different_files(&app.ann()).await;
    let first = app.ann().get("/api/files?limit=4&includeTotal=true&fields=id").await.expect(200).json();
    assert_eq!((first["count"].as_u64(), first["total"].as_i64()), (Some(4), Some(7)));
    let cursor = first["nextCursor"].as_str().unwrap();
    // Each page says for itself what it wants.
    let second = format!("/api/files?cursor={cursor}&fields=fileSize&fields=isFavorite");
    for file in app.ann().get(&second).await.expect(200).json()["files"].as_array().unwrap() {
        assert_eq!(file.as_object().unwrap().keys().collect::<Vec<_>>(), ["fileSize", "isFavorite"]);
    }
    // A place in an order is known without the field that it is about.
    for sort in ["name", "size", "duration", "created_at"] {
        let all = app.ann().get(&format!("/api/files?sortBy={sort}&fields=id")).await.expect(200).json();
        let paged = paged_ids(&app, &format!("sortBy={sort}&fields=id&limit=2"), async || {}).await;
        assert_eq!(paged, column(&all, "id"), "{sort}");
    }
    let of_ann = format!("/api/admin/files/{ANN}?fields=id");
    let seen = app.admin().get(&of_ann).await.expect(200).json();
    let ids = app.ann().get("/api/files?fields=id").await.expect(200).json();
    assert_eq!(seen["files"], ids["files"]);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_that_did_not_change_is_not_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}", app.ann().store_id("a.txt", b"a").await);
    let etag = app.ann().get(&path).await.expect(200).header("etag").unwrap().to_owned();
    let unchanged = app.ann().get_with(&path, "if-none-match", &etag).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.body.len()), (Some(etag.as_str()), 0));
    app.ann().patch(&path, json!({ "packageName": "p" })).await.expect(200);
    app.ann().get_with(&path, "if-none-match", &etag).await.expect(200);
    app.finish().await;
}
