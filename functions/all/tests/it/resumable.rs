//! Resumable uploads as a client lives with them: pieces, breaks, takeovers, second thoughts.

use crate::app::media::{bytes, png, sha256};
use crate::app::tus::{BYTES, UPLOADS, location, metadata, offset, piece_head, proof, repr_digest};
use crate::app::{ANN, As, Raw, TestApp, eventually, rows, send};
use jam_core::ops::janitor;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use std::time::{Duration, Instant};

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_in_pieces_is_the_file_in_one(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = png(400, 300);
    let whole = ann.store("a.png", &content).await;
    let file = ann.upload_in_pieces("a.png", &content, 1000).await;
    for name in ["originalName", "fileType", "mimeType", "fileSize", "sha256", "resolution", "derivatives"] {
        assert_eq!(file[name], whole[name], "{name}");
    }
    let id = file["id"].as_str().unwrap();
    assert_eq!(ann.get(&format!("/api/files/{id}/download")).await.expect(200).body, content);
    assert_eq!(ann.counters().await, json!([2 * content.len(), 0, 0, 2]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn what_is_said_at_the_creation_describes_the_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let said = metadata(&[
        ("filename", "../../Grüße\r\n写真.bin"),
        ("filetype", "image/png"),
        ("fileType", "scene"),
        ("packageName", "Spring"),
        ("tags", r#"["one", " two "]"#),
        ("assetCategory", "background"),
        ("hasAlphaChannel", "true"),
    ]);
    let content = bytes(1, 5000);
    let request = app.ann().creation(content.len()).header("upload-metadata", &said);
    let url = location(&send(request).await.expect(201));
    assert_eq!(app.ann().look_up(&url).await.header("upload-metadata"), Some(said.as_str()));
    let answer = app.ann().append(&url, 0, &content).await.expect(204);
    let file = app.ann().file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!((&file["originalName"], &file["fileType"]), (&json!("Grüße写真.bin"), &json!("scene")));
    assert_eq!((&file["packageName"], &file["tags"]), (&json!("Spring"), &json!(["one", "two"])));
    assert_eq!((&file["assetCategory"], &file["hasAlphaChannel"]), (&json!("background"), &json!(true)));
    assert_eq!(file["mimeType"], "application/octet-stream");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_broken_connection_costs_no_byte_that_arrived(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 900_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let mut raw = Raw::connect(&app, &Method::PATCH, &url).await;
    raw.send(piece_head(&url, 0, content.len()).as_bytes()).await.unwrap();
    raw.send(&content[..600_000]).await.unwrap();
    drop(raw);
    // Asking by HEAD would send the sender away.
    eventually("all that was sent is recorded", async || {
        let state = app.ann().get_with(&url, "tus-resumable", "1.0.0").await.expect(200).json();
        (state["upload"]["offset"] == 600_000).then_some(())
    })
    .await;
    assert_eq!(app.ann().offset(&url).await, 600_000);
    let answer = app.ann().append(&url, 600_000, &content[600_000..]).await.expect(204);
    let file = app.ann().file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    app.finish().await;
}

/// Waits until more bytes of Ann's only upload than these are in its file: whoever sends them is at work.
async fn bytes_are_written(app: &TestApp, beyond: usize) {
    eventually("bytes are written", async || {
        let blobs = app.blobs_of(ANN);
        let written = std::fs::metadata(blobs.first()?).ok()?.len();
        (written > beyond as u64).then_some(())
    })
    .await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_stalled_sender_is_sent_away_at_once_by_whoever_asks_anew(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 3_000_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let (mut at, mut fastest) = (0, Duration::MAX);
    for _ in 0..5 {
        let mut stalled = Raw::connect(&app, &Method::PATCH, &url).await;
        stalled.send(piece_head(&url, at, content.len() - at).as_bytes()).await.unwrap();
        stalled.send(&content[at..at + 400_000]).await.unwrap();
        bytes_are_written(&app, at).await;
        let asked = Instant::now();
        let offset = app.ann().offset(&url).await;
        fastest = fastest.min(asked.elapsed());
        stalled.answer().await.refused(423, "upload_locked");
        assert!((at + 1..=at + 400_000).contains(&offset), "{offset} after {at}");
        at = offset;
    }
    // The fastest of several: other tests share the machine and its disk.
    assert!(fastest < Duration::from_millis(200), "{fastest:?}");
    let answer = app.ann().append(&url, at, &content[at..]).await.expect(204);
    let file = app.ann().file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_cancelled_while_it_is_sent_is_gone_with_all_it_held(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 900_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let mut sending = Raw::connect(&app, &Method::PATCH, &url).await;
    sending.send(piece_head(&url, 0, content.len()).as_bytes()).await.unwrap();
    sending.send(&content[..500_000]).await.unwrap();
    bytes_are_written(&app, 0).await;
    app.ann().cancel(&url).await.expect(204);
    sending.answer().await.refused(410, "gone");
    app.ann().look_up(&url).await.expect(410);
    app.ann().get(&url).await.refused(410, "gone");
    app.ann().append(&url, 0, b"more").await.refused(410, "gone");
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    assert_eq!(app.blobs_of(ANN), Vec::<String>::new());
    app.ann().cancel(&url).await.expect(204);
    app.ann().look_up(&url).await.expect(404);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_last_answer_can_be_lost_and_asked_for_again(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 70_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let last = app.ann().append(&url, 0, &content).await.expect(204);
    let file_id = last.header("upload-file-id").unwrap();
    for _ in 0..2 {
        let asked = app.ann().look_up(&url).await.expect(200);
        assert_eq!((offset(&asked), asked.header("upload-file-id")), (content.len(), Some(file_id)));
        let again = app.ann().append(&url, content.len(), b"").await.expect(204);
        assert_eq!((offset(&again), again.header("upload-file-id")), (content.len(), Some(file_id)));
    }
    app.ann().append(&url, 0, &content).await.refused(409, "offset_mismatch");
    assert_eq!(app.ann().counters().await, json!([content.len(), 0, 0, 1]));
    // A day later it is forgotten; the file stays.
    let mut conn = app.app.db.conn().await.unwrap();
    rows::let_time_pass(&mut conn, std::time::Duration::from_secs(25 * 3600)).await;
    drop(conn);
    janitor::pass(&app.app).await.unwrap();
    app.ann().look_up(&url).await.expect(404);
    app.ann().file(file_id).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn ending_a_finished_upload_leaves_its_file(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 4).await;
    let last = app.ann().append(&url, 0, b"text").await.expect(204);
    app.ann().cancel(&url).await.expect(204);
    app.ann().look_up(&url).await.expect(404);
    app.ann().file(last.header("upload-file-id").unwrap()).await;
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_file_of_no_bytes_is_there_with_its_creation(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let answer = send(app.ann().creation(0)).await.expect(201);
    let file = app.ann().file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!((&file["fileSize"], &file["originalName"]), (&json!(0), &json!("untitled")));
    assert_eq!(app.ann().offset(&location(&answer)).await, 0);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_may_come_with_the_creation(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 300_000);
    let with =
        |part: &[u8]| app.ann().creation(content.len()).header("content-type", BYTES).body(part.to_vec());
    let answer = send(with(&content)).await.expect(201);
    assert_eq!(offset(&answer), content.len());
    let file = app.ann().file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!(file["sha256"], sha256(&content));
    let answer = send(with(&content[..100_000])).await.expect(201);
    let url = location(&answer);
    assert_eq!((offset(&answer), answer.header("upload-file-id")), (100_000, None));
    app.ann().append(&url, 100_000, &content[100_000..]).await.expect(204);
    let refused = send(app.ann().creation(3).header("content-type", BYTES).body("four")).await;
    assert_eq!(refused.header("location"), None);
    refused.refused(413, "upload_too_long");
    assert_eq!(app.ann().counters().await, json!([600_000, 0, 0, 2]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_length_may_become_known_later(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let request = ann.tus(Method::POST, UPLOADS).header("upload-defer-length", "1");
    let url = location(&send(request).await.expect(201));
    assert_eq!(ann.usage().await["reservedBytes"], 64 << 20);
    let asked = ann.look_up(&url).await.expect(200);
    assert_eq!((asked.header("upload-defer-length"), asked.header("upload-length")), (Some("1"), None));
    ann.append(&url, 0, b"first ").await.expect(204);
    let too_short = ann.piece(&url, 6, b"").header("upload-length", 5);
    send(too_short).await.refused(400, "invalid_parameter");
    send(ann.piece(&url, 6, b"second ").header("upload-length", 17)).await.expect(204);
    assert_eq!(ann.usage().await["reservedBytes"], 17);
    assert_eq!(ann.look_up(&url).await.header("upload-length"), Some("17"));
    send(ann.piece(&url, 13, b"last").header("upload-length", 18)).await.refused(400, "invalid_parameter");
    let last = ann.append(&url, 13, b"last").await.expect(204);
    assert_eq!(ann.file(last.header("upload-file-id").unwrap()).await["fileSize"], 17);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_wrong_checksum_leaves_the_offset_where_it_was(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let url = ann.create("a.txt", 22).await;
    ann.append(&url, 0, b"hello world").await.expect(204);
    // SHA-1 and SHA-256 of "hello world".
    let sha1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
    let sha256 = "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
    for checksum in [sha1, sha256] {
        let damaged = ann.piece(&url, 11, b"hello w0rld").header("upload-checksum", checksum);
        send(damaged).await.refused(460, "checksum_mismatch");
        assert_eq!(ann.offset(&url).await, 11);
    }
    let unknown =
        ann.piece(&url, 11, b"hello world").header("upload-checksum", "md5 XrY7u+Ae7tCTyyK7j1rNww==");
    send(unknown).await.refused(400, "invalid_parameter");
    let right = ann.piece(&url, 11, b"hello world").header("upload-checksum", sha256);
    let last = send(right).await.expect(204);
    let id = last.header("upload-file-id").unwrap();
    let stored = ann.get(&format!("/api/files/{id}/download")).await.expect(200);
    assert_eq!(stored.body, &b"hello worldhello world"[..]);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn bytes_under_a_checksum_that_break_off_do_not_count(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let content = bytes(1, 500_000);
    let url = app.ann().create("a.bin", content.len()).await;
    let head = piece_head(&url, 0, content.len());
    let head = head.replace("\r\n\r\n", "\r\nUpload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n\r\n");
    let mut raw = Raw::connect(&app, &Method::PATCH, &url).await;
    raw.send(head.as_bytes()).await.unwrap();
    raw.send(&content[..400_000]).await.unwrap();
    bytes_are_written(&app, 0).await;
    assert_eq!(app.ann().offset(&url).await, 0);
    app.ann().append(&url, 0, &content).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn the_whole_content_must_be_what_was_announced(pool: PgPool) {
    let app = TestApp::new(pool).await;
    // SHA-256 of "hello world".
    let announced = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";
    for (content, status) in [(b"hello world", 204), (b"hello w0rld", 460)] {
        let request = app.ann().creation(11).header("repr-digest", announced);
        let url = location(&send(request).await.expect(201));
        app.ann().append(&url, 0, content).await.expect(status);
    }
    assert_eq!(app.ann().counters().await, json!([11, 0, 0, 1]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn content_that_its_owner_has_is_proven_instead_of_sent(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = [png(300, 200), bytes(1, 200_000)].concat();
    let first = ann.store("a.png", &content).await;
    let digest = repr_digest(&content);
    let announced = |caller: &As<'_>| send(caller.creation(content.len()).header("repr-digest", &digest));
    let answer = announced(&ann).await.expect(201);
    let (url, challenge) = (location(&answer), answer.header("upload-known").unwrap());
    let wrong = ann.piece(&url, 0, b"").header("upload-proof", proof(challenge, &bytes(2, content.len())));
    send(wrong).await.refused(460, "checksum_mismatch");
    let digest_alone = ann.piece(&url, 0, b"").header("upload-proof", &digest);
    send(digest_alone).await.refused(460, "checksum_mismatch");
    let right = ann.piece(&url, 0, b"").header("upload-proof", proof(challenge, &content));
    let last = send(right).await.expect(204);
    assert_eq!(offset(&last), content.len());
    let file = ann.file(last.header("upload-file-id").unwrap()).await;
    for name in ["sha256", "fileSize", "mimeType", "fileType", "resolution"] {
        assert_eq!(file[name], first[name], "{name}");
    }
    assert_eq!(ann.counters().await, json!([2 * content.len(), 0, 0, 2]));
    // Each is a file of its own.
    app.run_jobs_in_queue().await;
    ann.delete(&format!("/api/files/{}?permanent=true", first["id"].as_str().unwrap())).await.expect(200);
    app.run_jobs_in_queue().await;
    let download = format!("/api/files/{}/download", file["id"].as_str().unwrap());
    assert_eq!(ann.get(&download).await.expect(200).body, content);
    // Nobody learns what somebody else has.
    let bobs = announced(&app.bob()).await.expect(201);
    assert_eq!(bobs.header("upload-known"), None);
    app.bob().cancel(&location(&bobs)).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn content_that_is_known_may_be_sent_all_the_same(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = bytes(1, 100_000);
    let first = ann.store_id("a.bin", &content).await;
    let digest = repr_digest(&content);
    let answer = send(ann.creation(content.len()).header("repr-digest", &digest)).await.expect(201);
    let (url, challenge) = (location(&answer), answer.header("upload-known").unwrap().to_owned());
    ann.delete(&format!("/api/files/{first}?permanent=true")).await.expect(200);
    let late = ann.piece(&url, 0, b"").header("upload-proof", proof(&challenge, &content));
    send(late).await.refused(409, "conflict");
    ann.append(&url, 0, &content).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn parts_become_one_file_in_their_order(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let content = bytes(1, 900_000);
    let mut parts = Vec::new();
    for piece in content.chunks(300_000) {
        let request = ann.creation(piece.len()).header("upload-concat", "partial");
        let url = location(&send(request).await.expect(201));
        ann.append(&url, 0, piece).await.expect(204);
        assert_eq!(ann.look_up(&url).await.header("upload-concat"), Some("partial"));
        parts.push(url);
    }
    assert_eq!(ann.counters().await, json!([0, 900_000, 0, 0]));
    let join = |urls: &str| {
        let request = ann.tus(Method::POST, UPLOADS).header("upload-concat", format!("final;{urls}"));
        send(request.header("upload-metadata", metadata(&[("filename", "joined.bin")])))
    };
    let answer = join(&parts.join(" ")).await.expect(201);
    let file = ann.file(answer.header("upload-file-id").unwrap()).await;
    assert_eq!((&file["sha256"], &file["originalName"]), (&json!(sha256(&content)), &json!("joined.bin")));
    let url = location(&answer);
    assert!(ann.look_up(&url).await.header("upload-concat").unwrap().starts_with("final;/api/uploads/"));
    ann.append(&url, 900_000, b"").await.refused(403, "joined_upload");
    assert_eq!(ann.counters().await, json!([900_000, 0, 0, 1]));
    for part in &parts {
        ann.look_up(part).await.expect(410);
    }
    join(&parts.join(" ")).await.refused(409, "conflict");
    join(&format!("{} {}", parts[0], parts[0])).await.refused(400, "invalid_parameter");
    join("").await.refused(400, "invalid_parameter");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn only_whole_parts_of_ones_own_are_joined(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (ann, bob) = (app.ann(), app.bob());
    let half = location(&send(ann.creation(10).header("upload-concat", "partial")).await.expect(201));
    ann.append(&half, 0, b"five!").await.expect(204);
    let file = ann.create("a.txt", 5).await;
    for (caller, url, status) in [(&ann, &half, 409), (&ann, &file, 409), (&bob, &half, 404)] {
        let request = caller.tus(Method::POST, UPLOADS).header("upload-concat", format!("final;{url}"));
        send(request).await.expect(status);
    }
    ann.cancel(&half).await.expect(204);
    ann.cancel(&file).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_that_nobody_goes_on_with_expires_and_gives_back_what_it_held(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.bin", 10_000).await;
    app.ann().append(&url, 0, b"some").await.expect(204);
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 0, "it belongs to no process");
    rows::expire_uploads(&mut app.app.db.conn().await.unwrap()).await;
    assert_eq!(janitor::pass(&app.app).await.unwrap().uploads_cancelled, 1);
    app.ann().look_up(&url).await.expect(410);
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    assert_eq!(app.blobs_of(ANN), Vec::<String>::new());
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_creation_under_the_same_key_is_the_same_upload(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let create = |length: usize, key: &str| send(ann.creation(length).header("idempotency-key", key));
    let first = location(&create(8, "one").await.expect(201));
    ann.append(&first, 0, b"some").await.expect(204);
    let again = create(8, "one").await.expect(201);
    let second = location(&again);
    assert_eq!(offset(&again), 4);
    assert_eq!(first.split_at(48).0, second.split_at(48).0, "the same id");
    app.nobody().look_up(&first).await.expect(404);
    assert_eq!(app.nobody().offset(&second).await, 4);
    create(9, "one").await.refused(409, "conflict");
    let last = ann.append(&second, 4, b"more").await.expect(204);
    let done = create(8, "one").await.expect(201);
    assert_eq!(done.header("upload-file-id"), last.header("upload-file-id"));
    let racing = futures_util::future::join_all((0..8).map(|_| create(5, "two"))).await;
    assert!(racing.iter().all(|answer| answer.status == 201));
    assert_eq!(ann.usage().await["reservedBytes"], 5);
    ann.cancel(&location(&racing[7])).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn open_uploads_can_be_listed_and_looked_at(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let ann = app.ann();
    let url = ann.create("Urlaub.mp4", 10).await;
    ann.append(&url, 0, b"some").await.expect(204);
    let listed = ann.get(UPLOADS).await.expect(200).json();
    let upload = &listed["uploads"][0];
    assert_eq!((&listed["count"], &upload["fileName"]), (&json!(1), &json!("Urlaub.mp4")));
    assert_eq!(
        (&upload["length"], &upload["offset"], &upload["state"]),
        (&json!(10), &json!(4), &json!("open"))
    );
    let by_id = format!("{UPLOADS}/{}", upload["id"].as_str().unwrap());
    assert_eq!(&ann.get(&by_id).await.expect(200).json()["upload"], upload);
    assert_eq!(&app.nobody().get(&url).await.expect(200).json()["upload"], upload);
    assert_eq!(app.bob().get(UPLOADS).await.expect(200).json()["count"], 0);
    let last = ann.append(&by_id, 4, b"and more").await;
    last.refused(413, "upload_too_long");
    ann.append(&by_id, 4, b"others").await.expect(204);
    let state = send(ann.tus(Method::GET, &url)).await.expect(200).json();
    assert_eq!(state["upload"]["state"], "complete");
    assert_eq!(ann.get(&url).await.expect(200).body, &b"someothers"[..]);
    let ranged = ann.get_with(&url, "range", "bytes=4-").await.expect(206);
    assert_eq!(ranged.body, &b"others"[..]);
    assert_eq!(app.nobody().get(&url).await.expect(200).json()["upload"]["state"], "complete");
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn an_upload_goes_on_when_its_token_has_lapsed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 8).await;
    let lapsed = |request: reqwest::RequestBuilder| request.bearer_auth("a token of yesterday");
    let nobody = app.nobody();
    send(lapsed(nobody.piece(&url, 0, b"some"))).await.expect(204);
    assert_eq!(offset(&send(lapsed(nobody.tus(Method::HEAD, &url))).await.expect(200)), 4);
    let id_alone = url.split_at(url.len() - 33).0;
    send(lapsed(nobody.tus(Method::HEAD, id_alone))).await.expect(401);
    send(app.ann().tus(Method::HEAD, id_alone)).await.expect(200);
    nobody.append(&url, 4, b"more").await.expect(204);
    send(lapsed(nobody.creation(4))).await.refused(401, "unauthenticated");
    assert_eq!(app.ann().counters().await, json!([8, 0, 0, 1]));
    app.finish().await;
}
