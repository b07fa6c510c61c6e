//! Bounds of what JSON bodies may hold, which a type of Rust does not tell. The numbers are those of the code that
//! checks them; that both agree is what the tests of the contract find out (`local-dev/test-contract`).

use super::merge;
use jam_core::model::Tags;
use serde_json::{Value, json};

/// Characters of a name or a package.
pub(super) const NAME_CHARS: usize = 255;
/// Characters of a line of text about an asset.
const LINE_CHARS: usize = 4 * 1024;
/// Characters of lyrics or a script.
const TEXT_CHARS: usize = 16 * 1024;
/// The largest quota: what JSON readers hold exactly.
const QUOTA_BYTES: u64 = 1 << 53;
/// Characters of what is looked at as an id in a batch.
const ID_CHARS: usize = 256;
/// The most files of a batch.
const BATCH_FILES: usize = 500;
/// What may stand in a name, a label or a line: anything but control characters.
pub(super) const NO_CONTROL: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

pub(super) fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    schemas["UserId"]["pattern"] = json!("^[A-Za-z0-9_-]{1,64}$");
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
}

/// Each with the schema and the property that it belongs to.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let label = json!({ "type": "string", "maxLength": Tags::MAX_CHARS, "pattern": NO_CONTROL });
    // At most `Tags::MAX_COUNT` that differ and are not empty: doubles and empty ones may come along.
    let labels = json!({ "items": label });
    let chars = |most: usize| json!({ "maxLength": most });
    let mut all = vec![
        ("SetTags", "tags", labels.clone()),
        ("BatchRequest", "tags", labels.clone()),
        (
            "BatchRequest",
            "ids",
            json!({ "maxItems": BATCH_FILES, "items": { "type": "string", "maxLength": ID_CHARS } }),
        ),
        ("BatchRequest", "packageName", chars(NAME_CHARS)),
        ("FilePatch", "originalName", json!({ "minLength": 1, "maxLength": NAME_CHARS })),
        ("FilePatch", "packageName", chars(NAME_CHARS)),
        ("FilePatch", "audioDurationSeconds", json!({ "minimum": 0, "maximum": 1e9 })),
        ("FilePatch", "audioTempo", json!({ "minimum": 0, "maximum": 1e5 })),
        ("FilePatch", "audioLyrics", chars(TEXT_CHARS)),
        ("FilePatch", "voiceoverScript", chars(TEXT_CHARS)),
        ("SetQuota", "maxBytes", json!({ "maximum": QUOTA_BYTES })),
        ("UrlRequest", "expiresIn", json!({ "format": "uint64" })),
        ("Initialize", "maxBytes", json!({ "maximum": QUOTA_BYTES })),
    ];
    let lines = ["objectDescription", "sceneLocation", "audioStyle", "audioKey"];
    all.extend(lines.map(|property| ("FilePatch", property, chars(LINE_CHARS))));
    let lists = ["tags", "usageTags", "characterNames"];
    all.extend(lists.map(|property| ("FilePatch", property, labels.clone())));
    all
}
