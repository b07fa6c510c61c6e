//! What requests may carry: parameters with their forms and bounds, conditional headers, keys of signed URLs, HEAD beside
//! GET, forms with every field, bodies that may be left out.

use super::bounds::NO_CONTROL;
use super::{Operation, each_operation, merge, schema};
use jam_core::auth::Variant;
use jam_core::config::Limits;
use jam_core::model::DerivativeKind;
use serde_json::{Map, Value, json};

/// 20 bytes in base64.
const SHA1: &str = "[A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=";
/// 32 bytes in base64.
const SHA256: &str = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
/// A digest by another algorithm.
const OTHER_DIGEST: &str = "(?!sha-256=)[!-+.-<>-~-]+=[!-+.-~-]*";
/// The URL of a part of an upload, or its end.
const PART: &str = "([!-~]*/)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-[0-9a-f]{32})?";
/// A name and a value in base64.
const PAIR: &str =
    "[!-+.-~-]+( +([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?)?";

pub(super) fn complete(document: &mut Value) {
    let optional_bodies = schemas_that_require_nothing(document);
    each_operation(document, |operation| {
        if operation.path == "/api/uploads/{upload}" && operation.needs_token() {
            // The secret in the upload's URL will do.
            operation.fields.insert("security".to_owned(), json!([{ "session": [] }, {}]));
        }
        declare_parameters(&operation_parameters(&operation), operation.fields);
        for parameter in
            operation.fields.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
        {
            complete_parameter(parameter);
        }
        complete_body(operation, &optional_bodies);
    });
    complete_forms(document);
    declare_head(document);
}

/// Parameters of an operation that its annotation does not name, each with where it is and what it says.
fn operation_parameters(operation: &Operation<'_>) -> Vec<[&'static str; 3]> {
    let mut more = Vec::new();
    let sends_file = operation.path == "/api/uploads/{upload}" && operation.method == "get";
    if operation.path.starts_with("/f/") {
        more.extend([
            ["e", "query", "When it ends, in seconds since 1970. Take the URL as it was given: nothing in it can be changed."],
            ["k", "query", "The key that it is signed with."],
            ["s", "query", "The signature."],
            ["u", "query", "Whose file it is."],
            ["v", "query", "The versions that end with a revocation."],
        ]);
    }
    if operation.sends_bytes() || sends_file {
        more.extend([
            ["Range", "header", "Only these bytes, such as `bytes=0-1023`."],
            [
                "If-Range",
                "header",
                "The range only if the `ETag` or date is still this one; otherwise everything.",
            ],
            ["If-Modified-Since", "header", "304 if it has not changed since."],
            ["If-Unmodified-Since", "header", "412 if it has changed since."],
        ]);
    }
    if operation.sends_bytes() || sends_file || operation.id() == "get_file" {
        more.push(["If-None-Match", "header", "304 if the `ETag` is one of these."]);
    }
    if operation.sends_bytes()
        || matches!(operation.id(), "patch_file" | "delete_file" | "set_favorite" | "set_tags")
    {
        more.push(["If-Match", "header", "412 unless the `ETag` is one of these."]);
    }
    more
}

fn declare_parameters(more: &[[&str; 3]], operation: &mut Map<String, Value>) {
    if more.is_empty() {
        return;
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else { return };
    parameters.extend(more.iter().map(|[name, place, description]| {
        json!({
            "name": name, "in": place, "description": description, "required": *place == "query",
            "schema": { "type": "string" },
        })
    }));
}

/// A parameter that is missing is missing, not null; and its type follows from its name.
fn complete_parameter(parameter: &mut Value) {
    if let Some(alternatives) = parameter["schema"]["type"].as_array() {
        let named = alternatives.iter().find(|name| *name != "null").cloned();
        parameter["schema"]["type"] = named.unwrap_or(json!("string"));
    }
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    match name.as_str() {
        "userId" => parameter["schema"] = schema("UserId"),
        "size" => parameter["schema"] = schema("ThumbnailSize"),
        _ => merge(&mut parameter["schema"], bounds(&name)),
    }
}

fn bounds(name: &str) -> Value {
    match name {
        "derivative" => json!({ "enum": [DerivativeKind::Playback.as_str()] }),
        "variant" => {
            let thumbnails =
                Variant::ALL.into_iter().filter(|variant| matches!(variant, Variant::Thumbnail(_)));
            json!({ "enum": thumbnails.map(Variant::as_str).collect::<Vec<_>>() })
        }
        "Tus-Resumable" => json!({ "enum": [jam_upload::TUS_VERSION] }),
        "Upload-Defer-Length" => json!({ "enum": [1] }),
        "Upload-Length" | "Upload-Offset" => json!({ "minimum": 0 }),
        "Idempotency-Key" => json!({ "minLength": 1, "maxLength": jam_upload::MAX_KEY_CHARS }),
        "Upload-Checksum" => json!({ "pattern": format!("^(sha1 +{SHA1}|sha256 +{SHA256})$") }),
        "Upload-Concat" => json!({ "pattern": format!("^(partial|final; *{PART}( +{PART})*)$") }),
        "Upload-Metadata" => json!({
            "maxLength": Limits::MAX_UPLOAD_METADATA_BYTES,
            "pattern": format!("^({PAIR})?(, *({PAIR})?)*$"),
        }),
        // Other algorithms are not looked at.
        "Repr-Digest" | "Upload-Proof" => {
            json!({ "pattern": format!("^({OTHER_DIGEST}, *)*({OTHER_DIGEST}|sha-256=:{SHA256}:(,[ -~]*)?)$") })
        }
        "X-HTTP-Method-Override" => json!({ "enum": ["PATCH", "DELETE", "HEAD"] }),
        _ => json!({}),
    }
}

/// No body counts as `{}`.
fn schemas_that_require_nothing(document: &Value) -> Vec<Value> {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let open = schemas.filter(|(_, schema)| schema["type"] == "object" && schema.get("required").is_none());
    open.map(|(name, _)| schema(name)).collect()
}

fn complete_body(operation: Operation<'_>, optional: &[Value]) {
    if matches!(operation.id(), "create_upload" | "override_upload_method") {
        operation.fields.insert(
            "requestBody".to_owned(),
            json!({
                "description": "The first bytes, if they come along.",
                "content": { "application/offset+octet-stream": { "schema": { "type": "string", "format": "binary" } } },
            }),
        );
        return;
    }
    if operation.id() == "append_upload" {
        operation.fields.insert(
            "requestBody".to_owned(),
            json!({
                "description": "The next bytes.", "required": true,
                "content": { "application/offset+octet-stream": { "schema": { "type": "string", "format": "binary" } } },
            }),
        );
        return;
    }
    let is_patch = operation.id() == "patch_file";
    let Some(body) = operation.fields.get_mut("requestBody") else { return };
    if optional.contains(&body["content"]["application/json"]["schema"]) {
        body["required"] = json!(false);
    }
    if is_patch {
        body["content"]["application/merge-patch+json"] = body["content"]["application/json"].clone();
    }
}

/// The forms of uploads carry everything that `PATCH` changes, as text, and the administrators' one names a user.
fn complete_forms(document: &mut Value) {
    let patch = document["components"]["schemas"]["FilePatch"]["properties"].clone();
    let form = &mut document["components"]["schemas"]["UploadForm"];
    for (name, field) in patch.as_object().into_iter().flatten() {
        if name != "originalName" {
            let described = form["properties"][name]["description"].clone();
            form["properties"][name] = form_field(field);
            if described.is_string() {
                form["properties"][name]["description"] = described;
            }
        }
    }
    form["properties"]["files"]["minItems"] = json!(1);
    form["propertyNames"] = json!({ "pattern": NO_CONTROL });
    let mut named = form.clone();
    named["description"] = json!("A form with files for another user, and what is said about them.");
    named["required"] = json!(["files", "targetUserId"]);
    let target = json!({ "targetUserId": schema("UserId") });
    merge(&mut named["properties"], target);
    document["components"]["schemas"]["UploadFormForUser"] = named;
    let body = &mut document["paths"]["/api/files/admin/upload"]["post"]["requestBody"];
    body["content"]["multipart/form-data"]["schema"] = schema("UploadFormForUser");
}

/// A field of a form is text: lists and documents are JSON in it.
fn form_field(field: &Value) -> Value {
    if let Some(reference) = field["oneOf"].as_array().and_then(|kinds| kinds.first()) {
        return json!({ "allOf": [{ "$ref": reference["$ref"] }] });
    }
    let mut plain = field.clone();
    let kinds = field["type"].as_array();
    let kind = kinds.and_then(|kinds| kinds.iter().find(|kind| *kind != "null")).cloned();
    plain["type"] = kind.unwrap_or(json!("string"));
    if plain["type"] == "boolean" {
        return json!({ "type": "string", "enum": ["true", "false", "1", "0"] });
    }
    if plain["type"] == "array" || plain["type"] == "object" {
        return json!({
            "type": "string", "contentMediaType": "application/json", "contentSchema": plain,
            "description": "JSON text.",
        });
    }
    plain
}

/// Bytes can be asked about without being sent.
fn declare_head(document: &mut Value) {
    for (_, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        let Some(methods) = methods.as_object_mut() else { continue };
        let Some(get) = methods.get_mut("get").and_then(Value::as_object_mut) else { continue };
        let sends_bytes = Operation { path: "", method: "get", fields: get }.sends_bytes();
        if !sends_bytes {
            continue;
        }
        let mut head = Value::Object(get.clone());
        // It has no ranges (RFC 9110 section 14.2).
        for status in ["206", "416"] {
            head["responses"].as_object_mut().and_then(|responses| responses.remove(status));
        }
        if let Some(parameters) = head["parameters"].as_array_mut() {
            parameters.retain(|parameter| parameter["name"] != "Range" && parameter["name"] != "If-Range");
        }
        head["operationId"] = json!(format!("head_{}", get["operationId"].as_str().unwrap_or_default()));
        head["summary"] = json!("What GET answers, without the bytes.");
        if let Some(fields) = head.as_object_mut() {
            fields.remove("description");
        }
        methods.insert("head".to_owned(), head);
    }
}
