//! What a client says about a file, read once for all endpoints: the merge patch of `PATCH` (RFC 7396) and the text
//! fields of an upload. A missing field stays, null clears, a value replaces.

use crate::error::{Error, Result};
use crate::media;
use crate::model::{
    AssetCategory, AudioCategory, File, FileMetadata, FileName, FileType, Tags, VoiceoverType,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Longest name of a package.
const MAX_NAME_BYTES: usize = 255;
/// Longest line of text about an asset.
const MAX_LINE_BYTES: usize = 4 * 1024;
/// Longest lyrics or script; also all texts about a file and its `aiMetadata` as JSON together.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Longest sound, in seconds, that anybody can mean.
const MAX_SECONDS: f64 = 1e9;

/// Fields of an upload whose text is JSON.
const JSON_FIELDS: [&str; 4] = ["tags", "usageTags", "characterNames", "aiMetadata"];
/// Fields of an upload whose text is `true` or `false`.
const FLAG_FIELDS: [&str; 2] = ["hasAlphaChannel", "audioVocals"];
/// Fields of an upload whose text is a number.
const NUMBER_FIELDS: [&str; 1] = ["audioDurationSeconds"];

/// A change of a file's metadata.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FilePatch {
    /// A new name, 1 to 255 bytes.
    original_name: Option<String>,
    /// A new type; the content must allow it.
    file_type: Option<FileType>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    package_name: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<AssetCategory>)]
    asset_category: Option<Option<AssetCategory>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    usage_tags: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    character_names: Option<Option<Vec<String>>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    object_description: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    scene_location: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    has_alpha_channel: Option<Option<bool>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<AudioCategory>)]
    audio_category: Option<Option<AudioCategory>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<f64>)]
    audio_duration_seconds: Option<Option<f64>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    audio_style: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    audio_vocals: Option<Option<bool>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    audio_lyrics: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    audio_tempo: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    audio_key: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<VoiceoverType>)]
    voiceover_type: Option<Option<VoiceoverType>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    voiceover_script: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    ai_metadata: Option<Option<Map<String, Value>>>,
}

/// Tells null apart from a field that is missing.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl FilePatch {
    /// Reads the text fields of an upload; unknown ones are ignored, because forms carry more than we read.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a field whose text is not what it should be.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut object = Map::new();
        for (name, text) in fields {
            let Some(name) = FIELDS.iter().find(|known| **known == name) else { continue };
            if text.trim().is_empty() {
                continue;
            }
            object.insert((*name).to_owned(), field_value(name, text)?);
        }
        // Each value was checked by itself, so that the error can name its field.
        serde_json::from_value(Value::Object(object)).map_err(|cause| Error::invalid_body(cause.to_string()))
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a value over its bound, [`Error::TypeMismatch`] for a type that the content is
    /// not.
    pub fn apply(self, file: &mut File) -> Result<()> {
        if let Some(name) = &self.original_name {
            file.original_name = FileName::parse(name).ok_or_else(|| {
                Error::invalid_parameter(
                    "originalName",
                    "expected 1 to 255 bytes without separators or control characters",
                )
            })?;
        }
        if let Some(declared) = self.file_type {
            if !media::mime_accepts(&file.mime_type, declared) {
                return Err(Error::TypeMismatch { declared, found: file.mime_type.clone() });
            }
            file.file_type = declared;
        }
        self.apply_metadata(&mut file.metadata)
    }

    /// Makes the change to everything but name and type.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a value over its bound, [`Error::InvalidBody`] when the texts are too long together.
    pub fn apply_metadata(self, metadata: &mut FileMetadata) -> Result<()> {
        let before_bytes = metadata.details.text_bytes();
        self.change_metadata(metadata)?;
        let text_bytes = metadata.details.text_bytes();
        // What was said before there was this bound can still be shortened bit by bit.
        if text_bytes > MAX_TEXT_BYTES.max(before_bytes) {
            return Err(Error::invalid_body(format!(
                "the texts about the file and its aiMetadata have {text_bytes} bytes together, and at most \
                 {MAX_TEXT_BYTES} are kept"
            )));
        }
        Ok(())
    }

    fn change_metadata(self, metadata: &mut FileMetadata) -> Result<()> {
        let details = &mut metadata.details;
        set(&mut metadata.package_name, bounded("packageName", self.package_name, MAX_NAME_BYTES)?);
        set_tags(&mut metadata.tags, "tags", self.tags)?;
        set_tags(&mut metadata.usage_tags, "usageTags", self.usage_tags)?;
        set_tags(&mut metadata.character_names, "characterNames", self.character_names)?;
        set(&mut metadata.asset_category, self.asset_category);
        set(&mut metadata.audio_category, self.audio_category);
        set(
            &mut details.object_description,
            bounded("objectDescription", self.object_description, MAX_LINE_BYTES)?,
        );
        set(&mut details.scene_location, bounded("sceneLocation", self.scene_location, MAX_LINE_BYTES)?);
        set(&mut details.audio_style, bounded("audioStyle", self.audio_style, MAX_LINE_BYTES)?);
        set(&mut details.audio_tempo, bounded("audioTempo", self.audio_tempo, MAX_LINE_BYTES)?);
        set(&mut details.audio_key, bounded("audioKey", self.audio_key, MAX_LINE_BYTES)?);
        set(&mut details.audio_lyrics, bounded("audioLyrics", self.audio_lyrics, MAX_TEXT_BYTES)?);
        set(
            &mut details.voiceover_script,
            bounded("voiceoverScript", self.voiceover_script, MAX_TEXT_BYTES)?,
        );
        set(&mut details.voiceover_type, self.voiceover_type);
        details.has_alpha_channel =
            self.has_alpha_channel.map_or(details.has_alpha_channel, Option::unwrap_or_default);
        details.audio_vocals = self.audio_vocals.map_or(details.audio_vocals, Option::unwrap_or_default);
        if let Some(Some(seconds)) = self.audio_duration_seconds
            && !(0.0..=MAX_SECONDS).contains(&seconds)
        {
            return Err(Error::invalid_parameter("audioDurationSeconds", "expected seconds from 0 on"));
        }
        set(&mut details.audio_duration_seconds, self.audio_duration_seconds);
        if let Some(document) = self.ai_metadata {
            details.ai_metadata = document.unwrap_or_default();
        }
        Ok(())
    }
}

/// Every field an upload may carry about its files; `fileType` is read by the upload itself.
const FIELDS: [&str; 18] = [
    "packageName",
    "tags",
    "assetCategory",
    "usageTags",
    "characterNames",
    "objectDescription",
    "sceneLocation",
    "hasAlphaChannel",
    "audioCategory",
    "audioDurationSeconds",
    "audioStyle",
    "audioVocals",
    "audioLyrics",
    "audioTempo",
    "audioKey",
    "voiceoverType",
    "voiceoverScript",
    "aiMetadata",
];

fn set<T>(field: &mut Option<T>, change: Option<Option<T>>) {
    if let Some(value) = change {
        *field = value;
    }
}

fn set_tags(field: &mut Tags, name: &'static str, change: Option<Option<Vec<String>>>) -> Result<()> {
    if let Some(labels) = change {
        *field = Tags::parse(labels.unwrap_or_default())
            .map_err(|reason| Error::invalid_parameter(name, reason))?;
    }
    Ok(())
}

fn bounded(
    name: &'static str,
    change: Option<Option<String>>,
    max_bytes: usize,
) -> Result<Option<Option<String>>> {
    if let Some(Some(text)) = &change
        && text.len() > max_bytes
    {
        return Err(Error::invalid_parameter(name, format!("expected at most {max_bytes} bytes")));
    }
    Ok(change.map(|value| value.filter(|text| !text.is_empty())))
}

fn field_value(name: &'static str, text: &str) -> Result<Value> {
    let wrong = |reason: &str| Error::invalid_parameter(name, reason);
    let value = if JSON_FIELDS.contains(&name) {
        if text.contains("\\u0000") {
            // Postgres cannot store it in text.
            return Err(wrong("it holds a NUL character"));
        }
        serde_json::from_str(text).map_err(|_| wrong("expected JSON"))?
    } else if FLAG_FIELDS.contains(&name) {
        match text {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Err(wrong("expected true or false")),
        }
    } else if NUMBER_FIELDS.contains(&name) {
        let number: f64 = text.trim().parse().map_err(|_| wrong("expected a number"))?;
        serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| wrong("expected a number"))?
    } else {
        Value::String(text.to_owned())
    };
    let alone = Value::Object(Map::from_iter([(name.to_owned(), value.clone())]));
    serde_json::from_value::<FilePatch>(alone).map_err(|_| wrong("its value is not one of those allowed"))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::FilePatch;
    use crate::model::{AudioCategory, FileMetadata};

    #[test]
    fn the_fields_of_a_form_become_metadata() {
        let patch = FilePatch::from_fields([
            ("tags", r#"["a", "b", "a"]"#),
            ("audioCategory", "radio_song"),
            ("audioVocals", "true"),
            ("audioDurationSeconds", "12.5"),
            ("aiMetadata", r#"{"model": "x"}"#),
            ("packageName", ""),
            ("somethingElse", "kept out"),
        ]);
        let mut metadata = FileMetadata::default();
        patch.unwrap().apply_metadata(&mut metadata).unwrap();
        assert_eq!(metadata.tags.as_slice(), ["a", "b"]);
        assert_eq!(metadata.audio_category, Some(AudioCategory::RadioSong));
        assert_eq!(metadata.package_name, None);
        assert!(metadata.details.audio_vocals);
        assert_eq!(metadata.details.audio_duration_seconds, Some(12.5));
        assert_eq!(metadata.details.ai_metadata["model"], "x");
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        for (name, text) in [
            ("tags", "a,b"),
            ("tags", "{}"),
            ("audioVocals", "maybe"),
            ("audioDurationSeconds", "NaN"),
            ("assetCategory", "car"),
            ("aiMetadata", "[]"),
            ("aiMetadata", r#"{"a": "\u0000"}"#),
        ] {
            let error = FilePatch::from_fields([(name, text)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={text}: {error}");
        }
    }

    #[test]
    fn null_clears_and_a_missing_field_stays() {
        let mut metadata = FileMetadata { package_name: Some("p".into()), ..FileMetadata::default() };
        let patch: FilePatch = serde_json::from_str("{}").unwrap();
        patch.apply_metadata(&mut metadata).unwrap();
        assert_eq!(metadata.package_name.as_deref(), Some("p"));
        let patch: FilePatch = serde_json::from_str(r#"{"packageName": null}"#).unwrap();
        patch.apply_metadata(&mut metadata).unwrap();
        assert_eq!(metadata.package_name, None);
    }
}
