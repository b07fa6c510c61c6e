//! Refused headers of resumable uploads: each refusal names the header, what was sent in kind, and what is allowed.

use crate::app::tus::{BYTES, UPLOADS, metadata};
use crate::app::{TestApp, send};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

/// Headers, the one at fault, words about what was sent, words about what is allowed.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

const LENGTH: (&str, &str) = ("upload-length", "5");
const NUMBER: &str = "a whole number of bytes from 0 to 9223372036854775807";

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refused_creation_names_the_header_what_was_sent_and_what_is_allowed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let sha1 = "sha1 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let (tags, car) = (metadata(&[("tags", "5")]), metadata(&[("fileType", "car")]));
    let (tempo, text) =
        (metadata(&[("audioTempo", "100001")]), metadata(&[("packageName", &"x".repeat(256))]));
    let (key, endless) = ("k".repeat(256), "x".repeat(4097));
    let cases: &[Case<'_>] = &[
        (&[], "Upload-Length", "it is missing", "Upload-Defer-Length: 1"),
        (&[("upload-length", "-1")], "Upload-Length", "\"-1\" was sent", NUMBER),
        (&[("upload-length", "")], "Upload-Length", "nothing was sent", NUMBER),
        (&[("upload-length", "f\u{fc}nf")], "Upload-Length", "other characters", "expected visible ASCII"),
        (&[LENGTH, LENGTH], "Upload-Length", "more than once", "expected one value"),
        (
            &[LENGTH, ("upload-defer-length", "1")],
            "Upload-Defer-Length",
            "beside Upload-Length",
            "one of the two",
        ),
        (&[("upload-defer-length", "2")], "Upload-Defer-Length", "\"2\" was sent", "expected 1"),
        (
            &[LENGTH, ("upload-metadata", "a %%%")],
            "Upload-Metadata",
            "value of a is not base64",
            "expected pairs",
        ),
        (
            &[LENGTH, ("upload-metadata", "a YQ==,a YQ==")],
            "Upload-Metadata",
            "a is given more",
            "each name once",
        ),
        (&[LENGTH, ("upload-metadata", &endless)], "Upload-Metadata", "4097 bytes", "at most 4096"),
        (&[LENGTH, ("upload-metadata", &tags)], "Upload-Metadata", "tags: is a number", "a list of texts"),
        (
            &[LENGTH, ("upload-metadata", &car)],
            "Upload-Metadata",
            "fileType is \"car\"",
            "scene, project or audio",
        ),
        (&[LENGTH, ("upload-metadata", &tempo)], "Upload-Metadata", "audioTempo", "from 0 to 100000"),
        (&[LENGTH, ("upload-metadata", &text)], "Upload-Metadata", "it has 256 bytes", "at most 255"),
        (&[LENGTH, ("upload-concat", "both")], "Upload-Concat", "\"both\" was sent", "partial, or final;"),
        (&[("upload-concat", "final;")], "Upload-Concat", "0 parts", "1 to 100"),
        (&[("upload-concat", "final;/a /a")], "Upload-Concat", "part 2 is named before", "each once"),
        (
            &[("upload-concat", "final;/a")],
            "Upload-Concat",
            "part 1 is another text",
            "the Location of a part",
        ),
        (&[LENGTH, ("upload-concat", "final;/a")], "Upload-Length", "it was sent", "expected none"),
        (&[LENGTH, ("repr-digest", "sha-256=:a:")], "Repr-Digest", "\"a\" was sent", "32 bytes in base64"),
        (&[LENGTH, ("repr-digest", "sha-256=a")], "Repr-Digest", "\"sha-256=a\" was sent", "sha-256=:"),
        (&[LENGTH, ("idempotency-key", "")], "Idempotency-Key", "0 characters", "1 to 255"),
        (&[LENGTH, ("idempotency-key", &key)], "Idempotency-Key", "256 characters", "1 to 255"),
        (&[LENGTH, ("upload-checksum", "md5 YQ==")], "Upload-Checksum", "\"md5\" was sent", "sha1 or sha256"),
        (
            &[LENGTH, ("upload-checksum", "sha1")],
            "Upload-Checksum",
            "\"sha1\" was sent",
            "the digest in base64",
        ),
        (&[LENGTH, ("upload-checksum", sha1)], "Upload-Checksum", "digest has 32 bytes", "expected 20"),
    ];
    for (headers, name, sent, allowed) in cases {
        let request = headers.iter().fold(app.ann().tus(Method::POST, UPLOADS), |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = send(request).await.refused(400, "invalid_parameter");
        let said = answer["error"].as_str().unwrap();
        assert_eq!(answer["parameter"], *name, "{headers:?}: {said}");
        assert!(said.contains(sent) && said.contains(allowed), "{headers:?}: {said}");
    }
    assert_eq!(app.ann().counters().await, json!([0, 0, 0, 0]));
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refused_piece_names_the_header_what_was_sent_and_what_is_allowed(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 10).await;
    let proof = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let start = ("upload-offset", "0");
    let cases: &[Case<'_>] = &[
        (&[], "Upload-Offset", "it is missing", "how far the upload is"),
        (&[("upload-offset", "4.0")], "Upload-Offset", "\"4.0\" was sent", NUMBER),
        (&[start, ("upload-length", "ten")], "Upload-Length", "\"ten\" was sent", NUMBER),
        (
            &[start, ("upload-length", "11")],
            "Upload-Length",
            "\"11\" was sent",
            "expected 10, which was said",
        ),
        (
            &[start, ("upload-checksum", "sha256 ?")],
            "Upload-Checksum",
            "\"?\" was sent",
            "32 bytes in base64",
        ),
        (&[start, ("upload-proof", proof)], "Upload-Proof", "bytes or another offset", "expected no bytes"),
    ];
    for (headers, name, sent, allowed) in cases {
        let piece = app.ann().tus(Method::PATCH, &url).header("content-type", BYTES).body("some");
        let request = headers.iter().fold(piece, |request, (name, value)| request.header(*name, *value));
        let answer = send(request).await.refused(400, "invalid_parameter");
        let said = answer["error"].as_str().unwrap();
        assert_eq!(answer["parameter"], *name, "{headers:?}: {said}");
        assert!(said.contains(sent) && said.contains(allowed), "{headers:?}: {said}");
    }
    assert_eq!(app.ann().offset(&url).await, 0);
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}

#[sqlx::test(migrator = "jam_core::db::MIGRATOR")]
async fn a_refusal_repeats_no_secret_of_an_upload(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let url = app.ann().create("a.txt", 10).await;
    let secret = &url[url.len() - 32..];
    for concat in
        [url.clone(), format!("final {url}"), format!("final;{url} {url}"), format!("final;{url}/x")]
    {
        let request = app.ann().tus(Method::POST, UPLOADS).header("upload-concat", &concat);
        let answer = send(request).await.refused(400, "invalid_parameter");
        assert_eq!(answer["parameter"], "Upload-Concat");
        assert!(!answer.to_string().contains(&secret[..8]), "{answer}");
    }
    app.ann().cancel(&url).await.expect(204);
    app.finish().await;
}
