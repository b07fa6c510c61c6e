//! What helps a reader and a generated client: where the service is, how operations follow each other, examples.

use super::{each_operation, merge};
use serde_json::{Value, json};

/// A file in the examples.
const FILE: &str = "0198f3a2-7c1e-7d3b-9a4f-2b6c8d0e1f23";

pub(super) fn complete(document: &mut Value) {
    document["servers"] = json!([{ "url": "/", "description": "The service that serves this document" }]);
    for (name, example) in examples() {
        document["components"]["schemas"][name]["examples"] = json!([example]);
    }
    each_operation(document, |operation| {
        let links = links(operation.id());
        if let Some(response) = operation.fields.get_mut("responses").and_then(|all| all.get_mut("200"))
            && links != json!({})
        {
            response["links"] = links;
        }
    });
    for (path, method) in [("/api/files", "get"), ("/api/admin/files/{userId}", "get")] {
        for parameter in document["paths"][path][method]["parameters"].as_array_mut().into_iter().flatten() {
            let example = match parameter["name"].as_str() {
                Some("tags") => json!({ "example": ["holiday", "sea"] }),
                Some("q") => json!({ "example": "sunset" }),
                _ => continue,
            };
            merge(parameter, example);
        }
    }
}

/// Examples of what is sent, and of a failure, by the name of the schema.
fn examples() -> Vec<(&'static str, Value)> {
    vec![
        ("BatchRequest", json!({ "action": "tag", "ids": [FILE], "tags": ["holiday"] })),
        ("FilePatch", json!({ "originalName": "Sunset.mp4", "assetCategory": "clip", "packageName": null })),
        ("CopyFile", json!({ "originalName": "Sunset (copy).mp4" })),
        ("SetTags", json!({ "tags": ["holiday", "sea"] })),
        ("SetFavorite", json!({ "favorite": true })),
        ("UrlRequest", json!({ "purpose": "stream", "expiresIn": 3600 })),
        ("Initialize", json!({})),
        ("SetQuota", json!({ "userId": "user_2abc", "maxBytes": 10_737_418_240_u64 })),
        (
            "Problem",
            json!({
                "success": false, "error": "Not found.", "code": "not_found",
                "requestId": "0198f3a2-7c1e-7d3b-9a4f-2b6c8d0e1f24",
            }),
        ),
    ]
}

/// What can be done with an operation's answer.
fn links(id: &str) -> Value {
    let of_file = |pointer: &str| {
        let follow = |operation: &str| json!({ "operationId": operation, "parameters": { "id": format!("$response.body#{pointer}") } });
        json!({
            "file": follow("get_file"), "download": follow("download"), "change": follow("patch_file"),
            "signUrl": follow("make_url"), "delete": follow("delete_file"),
        })
    };
    match id {
        "upload" => of_file("/files/0/id"),
        "get_file" | "copy_file" => of_file("/file/id"),
        "delete_file" => json!({
            "restore": { "operationId": "restore_file", "parameters": { "id": "$response.body#/deletedFile/id" } },
        }),
        "list_files" => json!({
            "nextPage": { "operationId": "list_files", "parameters": { "cursor": "$response.body#/nextCursor" } },
        }),
        _ => json!({}),
    }
}
