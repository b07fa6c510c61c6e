//! What answers carry: a description each, `Problem` in every failure, the content of bytes, headers.

use super::{Operation, each_operation, schema};
use serde_json::{Map, Value, json};

/// Headers of answers: a name, the type of its value, what it says.
const HEADERS: [[&str; 3]; 25] = [
    ["Accept-Ranges", "string", "`bytes`."],
    ["Cache-Control", "string", "Who may keep it for how long."],
    ["Content-Disposition", "string", "The file's name, and whether it is shown or saved."],
    ["Content-Range", "string", "Which bytes of how many these are."],
    ["ETag", "string", "The version, for `If-None-Match`, `If-Match` and `If-Range`."],
    ["Last-Modified", "string", "When it changed last."],
    ["Location", "string", "The upload's URL, a secret: whoever has it can go on with the upload."],
    ["Retry-After", "integer", "Seconds after which it is worth trying again."],
    ["Tus-Checksum-Algorithm", "string", "What `Upload-Checksum` may name."],
    ["Tus-Extension", "string", "Extensions of the protocol that are spoken."],
    ["Tus-Max-Size", "integer", "Bytes of the largest upload."],
    ["Tus-Resumable", "string", "The version of the protocol."],
    ["Tus-Version", "string", "Versions of the protocol that are spoken."],
    ["Upload-Concat", "string", "What a part or a joined upload is."],
    ["Upload-Defer-Length", "integer", "`1` while the length is not known."],
    ["Upload-Expires", "string", "When it is given up if nothing more comes."],
    ["Upload-File-Id", "string", "The file that it has become."],
    ["Upload-Known", "string", "Of content that the user has stored: what a proof is made of."],
    ["Upload-Length", "integer", "Bytes in all."],
    ["Upload-Limit", "string", "How large a piece may be, and how many seconds an upload lives."],
    ["Upload-Metadata", "string", "What was said at the creation."],
    ["Upload-Offset", "integer", "Bytes that are on disk."],
    ["WWW-Authenticate", "string", "`Bearer`."],
    ["X-File-Size", "integer", "Bytes of the whole."],
    ["X-Request-Id", "string", "Names the request in the service's log; in a failure's body too."],
];

pub(super) fn complete(document: &mut Value) {
    complete_problem(&mut document["components"]["schemas"]["Problem"]);
    let headers = HEADERS.map(|[name, kind, description]| {
        (name.to_owned(), json!({ "description": description, "schema": { "type": kind } }))
    });
    document["components"]["headers"] = Value::Object(headers.into_iter().collect());
    each_operation(document, |mut operation| {
        declare_failures(&mut operation);
        let summary = operation.fields.get("summary").and_then(Value::as_str).unwrap_or("Done").to_owned();
        let Some(mut responses) = operation.fields.remove("responses") else { return };
        for (status, response) in responses.as_object_mut().into_iter().flatten() {
            complete_response(&operation, status, response, &summary);
        }
        operation.fields.insert("responses".to_owned(), responses);
    });
}

/// What explains a failure comes beside its fixed fields.
fn complete_problem(problem: &mut Value) {
    for (name, example) in jam_core::edge::explanations() {
        let kind = if example.is_number() { "integer" } else { "string" };
        if problem["properties"].get(&name).is_none() {
            problem["properties"][name] = json!({ "type": kind });
        }
    }
    problem["properties"]["success"] = json!({ "type": "boolean", "const": false });
    problem["properties"]["retryAfter"]["type"] = json!("integer");
}

/// What any request may meet.
fn declare_failures(operation: &mut Operation<'_>) {
    let needs_token = operation.needs_token();
    let (is_file, sends_bytes) = (operation.id() == "get_file", operation.sends_bytes());
    let Some(responses) = operation.fields.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let mut declare = |status: &str, description: &str| {
        responses.entry(status).or_insert_with(|| json!({ "description": description }));
    };
    declare("default", "A failure");
    declare("429", "Too many requests");
    if needs_token {
        declare("401", "No valid token");
    }
    if sends_bytes {
        declare("412", "It has changed (`If-Match`, `If-Unmodified-Since`)");
        declare("206", "The ranges asked for");
        declare("416", "No such range");
    }
    if is_file || sends_bytes {
        declare("304", "Unchanged");
    }
}

fn complete_response(operation: &Operation<'_>, status: &str, response: &mut Value, summary: &str) {
    if response["description"].as_str().is_none_or(str::is_empty) {
        response["description"] = json!(summary);
    }
    let is_failure = status == "default" || status.starts_with(['4', '5']);
    if operation.method == "head" {
        if let Some(fields) = response.as_object_mut() {
            fields.remove("content");
        }
    } else if is_failure {
        response["content"] = json!({ "application/json": { "schema": schema("Problem") } });
    } else if let Some(content) = content(operation, status) {
        response["content"] = content;
    }
    let mut names = vec!["X-Request-Id"];
    names.extend(header_names(operation, status));
    let headers: Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
        .collect();
    response["headers"] = Value::Object(headers);
}

/// The content of an answer that is not JSON.
fn content(operation: &Operation<'_>, status: &str) -> Option<Value> {
    let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
    let of_upload = operation.id() == "upload_state" && status == "206";
    if !matches!(status, "200" | "206") || !(operation.sends_bytes() || of_upload) {
        return None;
    }
    let is_thumbnail = operation.path.ends_with("/thumbnail") || operation.path.ends_with("/{variant}");
    Some(match (is_thumbnail, operation.path.ends_with("/playback"), status) {
        (true, _, "200") => json!({ "image/webp": bytes, "image/jpeg": bytes }),
        (_, true, "200") => json!({ "video/mp4": bytes }),
        _ => json!({ "*/*": bytes }),
    })
}

/// The headers that an answer has for what it is.
fn header_names(operation: &Operation<'_>, status: &str) -> Vec<&'static str> {
    let mut names = match status {
        "401" => vec!["WWW-Authenticate"],
        "423" | "429" | "503" | "507" => vec!["Retry-After"],
        _ => Vec::new(),
    };
    let sends_bytes = operation.sends_bytes()
        || operation.id() == "upload_state" && matches!(status, "206" | "304" | "416");
    if sends_bytes {
        names.extend(match status {
            "200" | "206" => &[
                "Accept-Ranges",
                "Cache-Control",
                "Content-Disposition",
                "ETag",
                "Last-Modified",
                "X-File-Size",
            ][..],
            "304" => &["Cache-Control", "ETag", "Last-Modified"],
            "416" => &["Accept-Ranges", "Content-Range"],
            _ => &[],
        });
        if status == "206" {
            names.push("Content-Range");
        }
    }
    if matches!(operation.id(), "get_file" | "patch_file" | "set_favorite" | "set_tags")
        && matches!(status, "200" | "304")
    {
        names.push("ETag");
    }
    if operation.speaks_tus() {
        names.push("Tus-Resumable");
        names.extend(tus_header_names(operation, status));
    }
    names
}

fn tus_header_names(operation: &Operation<'_>, status: &str) -> &'static [&'static str] {
    match (operation.method, status) {
        ("post", "201") => {
            &["Location", "Upload-Expires", "Upload-File-Id", "Upload-Known", "Upload-Limit", "Upload-Offset"]
        }
        ("options", "204") => {
            &["Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Version", "Upload-Limit"]
        }
        ("head", "200") | ("post", "200") => &[
            "Upload-Concat",
            "Upload-Defer-Length",
            "Upload-Expires",
            "Upload-File-Id",
            "Upload-Length",
            "Upload-Metadata",
            "Upload-Offset",
        ],
        ("patch" | "post", "204") => &["Upload-Expires", "Upload-File-Id", "Upload-Offset"],
        (_, "409") => &["Upload-Offset"],
        (_, "412") => &["Tus-Version"],
        _ => &[],
    }
}
