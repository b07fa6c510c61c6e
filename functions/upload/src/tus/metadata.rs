//! `Upload-Metadata`: names and values in base64, one pair a comma, read as the fields of a form are.
//! Never trusts a media type that a client names: the content decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jam_core::edge::{FilePatch, shown};
use jam_core::model::{FileMetadata, FileName, FileType};
use jam_core::ops::upload::session::Description;
use jam_core::{Error, Result};
use std::collections::BTreeMap;

const NAME: &str = "Upload-Metadata";

/// What clients call the name of a file: tus-js-client's examples and tuspy say `filename`, Uppy says `name` as well.
const NAMES: [&str; 2] = ["filename", "name"];

/// Reads what is said about a file.
///
/// # Errors
/// [`Error::InvalidParameter`] of the header for pairs that are none, a name twice, or a field whose value does not fit.
pub(super) fn describe(sent: Option<&str>) -> Result<Description> {
    let pairs = parse(sent.unwrap_or_default())?;
    let name = NAMES.iter().find_map(|name| pairs.get(*name)).map_or("", |bytes| text_or_empty(bytes));
    let mut fields = Vec::new();
    for (name, bytes) in &pairs {
        // Clients add fields of their own, with any bytes; those that are read must be text.
        if let Ok(text) = std::str::from_utf8(bytes)
            && !text.contains('\0')
        {
            fields.push((*name, text));
        }
    }
    let declared = pairs.get("fileType").map(|bytes| text_or_empty(bytes)).filter(|text| !text.is_empty());
    let declared = declared.map(|text| {
        FileType::parse(text).ok_or_else(|| {
            let expected = "expected video, image, scene, project or audio";
            wrong(format!("its fileType is \"{}\", {expected}", shown(text)))
        })
    });
    let mut metadata = FileMetadata::default();
    FilePatch::from_fields(fields)
        .and_then(|patch| patch.apply_metadata(&mut metadata))
        .map_err(of_the_header)?;
    if metadata.details.relative_path.is_none() {
        metadata.details.relative_path = FileName::relative_path(name);
    }
    Ok(Description {
        name: FileName::sanitize(name),
        declared: declared.transpose()?,
        metadata,
        sent: sent.map(str::to_owned),
    })
}

fn parse(sent: &str) -> Result<BTreeMap<&str, Vec<u8>>> {
    let mut pairs = BTreeMap::new();
    for pair in sent.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(encoded.trim()).map_err(|_| {
            let form = "pairs of a name, a space and the value in base64, with a comma between them";
            wrong(format!("the value of {} is not base64, expected {form}", shown(name)))
        })?;
        if pairs.insert(name, value).is_some() {
            return Err(wrong(format!("{} is given more than once, expected each name once", shown(name))));
        }
    }
    Ok(pairs)
}

fn wrong(reason: String) -> Error {
    Error::invalid_parameter(NAME, reason)
}

/// What is wrong with a field is wrong with the header that it came in.
fn of_the_header(error: Error) -> Error {
    match error {
        Error::InvalidParameter { parameter, reason } => wrong(format!("its {parameter}: {reason}")),
        Error::InvalidBody { reason, .. } => wrong(reason),
        other => other,
    }
}

fn text_or_empty(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::describe;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use jam_core::model::FileType;

    fn sent(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
        pairs.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn the_fields_of_a_form_are_read_from_metadata() {
        let sent = sent(&[
            ("filename", "写真.jpg"),
            ("filetype", "image/jpeg"),
            ("fileType", "scene"),
            ("tags", r#"["a"]"#),
            ("packageName", "Spring"),
        ]);
        let described = describe(Some(&format!("{sent},is_confidential"))).unwrap();
        assert_eq!((described.name.as_str(), described.declared), ("写真.jpg", Some(FileType::Scene)));
        assert_eq!(described.metadata.tags.as_slice(), ["a"]);
        assert_eq!(described.metadata.package_name.as_deref(), Some("Spring"));
    }

    #[test]
    fn a_hostile_name_loses_its_teeth() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("a\r\nSet-Cookie: b.png", "aSet-Cookie: b.png"),
            ("", "untitled"),
        ] {
            assert_eq!(describe(Some(&sent(&[("filename", given)]))).unwrap().name.as_str(), kept);
        }
        assert_eq!(describe(None).unwrap().name.as_str(), "untitled");
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for wrong in ["filename !!!", "a YQ==,a YQ==", "a YQ== YQ=="] {
            assert!(describe(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(describe(Some(&sent(&[("fileType", "car")]))).is_err());
        assert!(describe(Some(&sent(&[("tags", "a,b")]))).is_err());
    }
}
