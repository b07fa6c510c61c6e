//! Downloads and streams: whole, in ranges, on conditions, and with the headers that keep them harmless.

use crate::app::media::{MP4, bytes, png, sha256};
use crate::app::{Answer, Form, TestApp, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

const SIZE: usize = 1_300_000;

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_was_uploaded_comes_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, SIZE);
    let id = app.ann().store_id("Grüße \"写真\".bin", &content).await;
    let path = format!("/api/files/{id}/download");
    let answer = app.ann().get(&path).await.expect(200);
    assert_eq!(answer.body, content);
    let hash = sha256(&content);
    let expected = [
        ("content-length", SIZE.to_string()),
        ("x-file-size", SIZE.to_string()),
        ("content-type", "application/octet-stream".to_owned()),
        ("etag", format!("\"{hash}\"")),
        ("accept-ranges", "bytes".to_owned()),
        ("cache-control", "private, max-age=0, must-revalidate".to_owned()),
        (
            "content-disposition",
            "attachment; filename=\"Gr__e ____.bin\"; \
             filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22%E5%86%99%E7%9C%9F%22.bin"
                .to_owned(),
        ),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value.as_str()), "{name}");
    }
    assert_harmless(&answer);
    let head = app.ann().head(&path).await.expect(200);
    assert!(head.body.is_empty());
    for name in ["content-length", "etag", "last-modified", "content-disposition", "x-file-size"] {
        assert_eq!(head.header(name), answer.header(name), "{name}");
    }
    app.finish().await;
}

#[track_caller]
fn assert_harmless(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn one_range_is_answered_with_exactly_its_bytes(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, SIZE);
    let path = format!("/api/files/{}/download", app.ann().store_id("a.bin", &content).await);
    let ranges = [
        ("bytes=0-0", 0..1),
        ("bytes=100-199", 100..200),
        ("bytes=524287-524289", 524_287..524_290),
        ("bytes=1299990-", 1_299_990..SIZE),
        ("bytes=-10", SIZE - 10..SIZE),
        ("bytes=-99999999", 0..SIZE),
        ("bytes=1299999-9999999", SIZE - 1..SIZE),
        ("bytes=5000000-5000001, 7-9", 7..10),
    ];
    for (header, range) in ranges {
        let answer = app.ann().get_with(&path, "range", header).await.expect(206);
        let content_range = format!("bytes {}-{}/{SIZE}", range.start, range.end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()), "{header}");
        assert_eq!(answer.body, content[range], "{header}");
        assert_harmless(&answer);
    }
    for ignored in ["bytes=9-5", "bytes=a-b", "lines=1-2", "bytes=0-9,5-15"] {
        assert_eq!(
            app.ann().get_with(&path, "range", ignored).await.expect(200).body.len(),
            SIZE,
            "{ignored}"
        );
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn several_ranges_come_as_parts_of_one_answer(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, SIZE);
    let path = format!("/api/files/{}/download", app.ann().store_id("a.bin", &content).await);
    let request = || app.ann().request(Method::GET, &path).header("range", "bytes=0-9,600000-1199999,-5");
    let answer = send(request()).await.expect(206);
    let boundary =
        answer.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut expected = Vec::new();
    for range in [0..10, 600_000..1_200_000, SIZE - 5..SIZE] {
        let (first, last) = (range.start, range.end - 1);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\n\r\n"
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&content[range]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected, "{}", String::from_utf8_lossy(&answer.body[..200]));
    assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_harmless(&answer);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_range_outside_the_file_is_answered_with_its_size(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/download", app.ann().store_id("a.txt", b"0123456789").await);
    for header in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=50-60,70-"] {
        let answer = app.ann().get_with(&path, "range", header).await.expect(416);
        assert_eq!(answer.header("content-range"), Some("bytes */10"), "{header}");
        assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{header}");
        assert_eq!(answer.refused(416, "range_not_satisfiable")["fileSize"], 10, "{header}");
    }
    let empty = format!("/api/files/{}/download", app.ann().store_id("b.txt", b"").await);
    let answer = app.ann().get_with(&empty, "range", "bytes=0-").await.expect(416);
    assert_eq!(answer.header("content-range"), Some("bytes */0"));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_head_has_no_ranges(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/download", app.ann().store_id("a.txt", b"0123456789").await);
    for range in ["bytes=0-4", "bytes=0-1,5-6", "bytes=50-"] {
        let head = send(app.ann().request(Method::HEAD, &path).header("range", range)).await.expect(200);
        assert_eq!(
            (head.header("content-length"), head.header("content-range")),
            (Some("10"), None),
            "{range}"
        );
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn other_bytes_than_the_client_knows_are_not_sent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/download", app.ann().store_id("a.txt", b"0123456789").await);
    let answer = app.ann().get(&path).await.expect(200);
    let (etag, date) = (answer.header("etag").unwrap(), answer.header("last-modified").unwrap());
    let asked = async |name: &str, value: &str| {
        let request = app.ann().request(Method::GET, &path).header("range", "bytes=5-");
        send(request.header(name, value)).await
    };
    for (name, value) in [("if-match", etag), ("if-match", "*"), ("if-unmodified-since", date)] {
        assert_eq!(asked(name, value).await.expect(206).body, "56789", "{name}");
    }
    for (name, value) in [
        ("if-match", "\"other\""),
        ("if-match", &format!("W/{etag}")),
        ("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ] {
        asked(name, value).await.refused(412, "precondition_failed");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_that_the_client_has_are_not_sent_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/download", app.ann().store_id("a.txt", b"0123456789").await);
    let answer = app.ann().get(&path).await.expect(200);
    let (etag, date) = (answer.header("etag").unwrap(), answer.header("last-modified").unwrap());
    let unchanged = [
        ("if-none-match", etag.to_owned()),
        ("if-none-match", format!("\"other\", W/{etag}")),
        ("if-none-match", "*".to_owned()),
        ("if-modified-since", date.to_owned()),
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT".to_owned()),
    ];
    for (name, value) in unchanged {
        let not_modified = app.ann().get_with(&path, name, &value).await.expect(304);
        assert!(not_modified.body.is_empty() && not_modified.header("etag") == Some(etag), "{name}: {value}");
    }
    let changed = [
        ("if-none-match", "\"other\"".to_owned()),
        ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT".to_owned()),
        ("if-modified-since", "yesterday".to_owned()),
    ];
    for (name, value) in changed {
        app.ann().get_with(&path, name, &value).await.expect(200);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_range_of_other_bytes_becomes_the_whole_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let path = format!("/api/files/{}/download", app.ann().store_id("a.txt", b"0123456789").await);
    let answer = app.ann().get(&path).await.expect(200);
    let ranged = async |condition: &str| {
        let request = app.ann().request(Method::GET, &path).header("range", "bytes=2-3");
        send(request.header("if-range", condition)).await
    };
    for same in [answer.header("etag").unwrap(), answer.header("last-modified").unwrap()] {
        assert_eq!(ranged(same).await.expect(206).body, "23");
    }
    for other in ["\"other\"", "W/\"weak\"", "Sat, 01 Jan 2000 00:00:00 GMT"] {
        assert_eq!(ranged(other).await.expect(200).body.len(), 10, "{other}");
    }
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn only_what_a_browser_shows_safely_is_streamed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (name, content, mime_type) in [("a.mp4", &**MP4, "video/mp4"), ("b.png", &png(3, 3), "image/png")] {
        let id = app.ann().store_id(name, content).await;
        let answer = app.ann().get(&format!("/api/files/{id}/stream")).await.expect(200);
        assert_eq!((answer.header("content-type"), &*answer.body), (Some(mime_type), content));
        assert_eq!(
            answer.header("content-disposition"),
            Some(format!("inline; filename=\"{name}\"").as_str())
        );
        assert_harmless(&answer);
    }
    for (name, content) in
        [("a.txt", &b"text"[..]), ("a.pdf", b"%PDF-1.7"), ("a.xml", b"<?xml version='1.0'?><a/>")]
    {
        let file = app.ann().store(name, content).await;
        assert_eq!(file["streamUrl"], json!(null));
        let path = format!("/api/files/{}/stream", file["id"].as_str().unwrap());
        app.ann().get(&path).await.refused(400, "not_streamable");
    }
    // Whatever it is called and declared as, it is what its content is.
    let form = Form::new().field("fileType", "project").file("page.html", &png(3, 3));
    let file = app.ann().upload(form).await.expect(200).json()["files"][0].clone();
    let answer =
        app.ann().get(&format!("/api/files/{}/stream", file["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("image/png"));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_damaged_file_is_an_error_and_never_served(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, SIZE);
    let file = app.ann().store("a.bin", &content).await;
    let path = format!("/api/files/{}/download", file["id"].as_str().unwrap());
    let on_volume = app.on_volume(file["filePath"].as_str().unwrap());
    let open = || std::fs::OpenOptions::new().write(true).open(&on_volume).unwrap();
    open().set_len(SIZE as u64 / 2).unwrap();
    app.ann().get(&path).await.refused(500, "internal");
    app.ann().get_with(&path, "range", "bytes=0-9").await.refused(500, "internal");
    assert_eq!(app.ann().file(file["id"].as_str().unwrap()).await["fileSize"], SIZE);
    std::io::Write::write_all(&mut open(), &content).unwrap();
    assert_eq!(app.ann().get(&path).await.expect(200).body, content);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_in_the_trash_cannot_be_downloaded(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.ann().store_id("a.png", &png(3, 3)).await;
    app.ann().delete(&format!("/api/files/{id}")).await.expect(200);
    for what in ["download", "stream", "thumbnail"] {
        app.ann().get(&format!("/api/files/{id}/{what}")).await.refused(404, "not_found");
    }
    app.finish().await;
}
