//! Bounds of what JSON bodies may hold, which a type of Rust does not tell. Each number is the constant of the code that
//! checks it; a bound in bytes is one in characters here, which is right for ASCII and never too small.

use super::merge;
use jam_core::config::Limits;
use jam_core::edge::FilePatch;
use jam_core::ids::UserId;
use jam_core::model::{FileName, Tags};
use jam_organize::MAX_ID_BYTES;
use jam_quota::MAX_QUOTA_BYTES;
use serde_json::{Value, json};

/// What may stand in a name, a label or a line: anything but control characters.
pub(super) const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// A name has no separators and is more than dots and spaces.
const NAME: &str = "^[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]*[^/\\\\\\u0000-\\u001f\\u007f-\\u009f. ][^/\\\\\\u0000-\\u001f\\u007f-\\u009f]*$";

pub(super) fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    schemas["UserId"]["pattern"] = json!(format!("^[A-Za-z0-9_-]{{1,{}}}$", UserId::MAX_CHARS));
    schemas["ByteSize"]["minimum"] = json!(0);
    // A field that a patch does not name stays as it is.
    for field in
        schemas["FilePatch"]["properties"].as_object_mut().into_iter().flatten().map(|(_, field)| field)
    {
        field.as_object_mut().and_then(|fields| fields.remove("default"));
    }
    for (name, property, bounds) in bounds() {
        merge(&mut schemas[name]["properties"][property], bounds);
    }
    merge(&mut schemas["BatchRequest"], arguments_of_actions());
}

/// What each action of a batch needs beside ids.
fn arguments_of_actions() -> Value {
    let any_label = json!({ "type": "array", "contains": { "type": "string", "pattern": "[^ ]" } });
    json!({
        "if": { "properties": { "action": { "enum": ["tag", "untag"] } } },
        "then": { "required": ["tags"], "properties": { "tags": any_label } },
        "else": {
            "if": { "properties": { "action": { "const": "move" } } },
            "then": { "required": ["packageName"] },
        },
    })
}

/// Each with the schema and the property that it belongs to.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let label = json!({ "type": "string", "maxLength": Tags::MAX_CHARS, "pattern": NO_CONTROL });
    // At most `Tags::MAX_COUNT` that differ and are not empty: doubles and empty ones may come along.
    let labels = json!({ "items": label });
    let chars = |most: usize| json!({ "maxLength": most });
    let name = json!({ "minLength": 1, "maxLength": FileName::MAX_BYTES, "pattern": NAME });
    let mut all = vec![
        ("SetTags", "tags", labels.clone()),
        ("BatchRequest", "tags", labels.clone()),
        (
            "BatchRequest",
            "ids",
            json!({ "maxItems": Limits::MAX_BATCH, "items": { "type": "string", "maxLength": MAX_ID_BYTES } }),
        ),
        ("BatchRequest", "packageName", chars(FilePatch::MAX_NAME_BYTES)),
        ("FilePatch", "originalName", name.clone()),
        ("CopyFile", "originalName", name),
        ("FilePatch", "packageName", chars(FilePatch::MAX_NAME_BYTES)),
        ("FilePatch", "audioDurationSeconds", json!({ "minimum": 0, "maximum": FilePatch::MAX_SECONDS })),
        ("FilePatch", "audioTempo", json!({ "minimum": 0, "maximum": FilePatch::MAX_TEMPO })),
        ("FilePatch", "audioLyrics", chars(FilePatch::MAX_TEXT_BYTES)),
        ("FilePatch", "voiceoverScript", chars(FilePatch::MAX_TEXT_BYTES)),
        ("SetQuota", "maxBytes", json!({ "maximum": MAX_QUOTA_BYTES })),
        ("UrlRequest", "expiresIn", json!({ "format": "uint64", "maximum": u64::MAX })),
        ("Initialize", "maxBytes", json!({ "maximum": MAX_QUOTA_BYTES })),
    ];
    let lines = ["objectDescription", "sceneLocation", "audioStyle", "audioKey", "relativePath"];
    all.extend(lines.map(|property| ("FilePatch", property, chars(FilePatch::MAX_LINE_BYTES))));
    let lists = ["tags", "usageTags", "characterNames"];
    all.extend(lists.map(|property| ("FilePatch", property, labels.clone())));
    all
}
