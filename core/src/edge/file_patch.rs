//! What a client says about a file, read once for all endpoints: the merge patch of `PATCH` (RFC 7396) and the text
//! fields of an upload. A missing field stays, null clears, a value replaces.

use super::json::Fault;
use crate::error::{Error, Result};
use crate::media;
use crate::model::{
    AssetCategory, AudioCategory, Document, File, FileMetadata, FileName, FileType, Number, OUR_WORDS, Patch,
    Tags, Text, VoiceoverType,
};
use serde::de::value::MapDeserializer;
use serde::de::{self, IgnoredAny, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Longest name of a file as it is sent.
const MAX_SENT_NAME_BYTES: usize = 1024;

type Name = Text<{ FilePatch::MAX_NAME_BYTES }>;
type Line = Text<{ FilePatch::MAX_LINE_BYTES }>;
type LongText = Text<{ FilePatch::MAX_TEXT_BYTES }>;

/// A name for a file, as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewName(Text<MAX_SENT_NAME_BYTES>);

impl NewName {
    /// The name, if it is one.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`].
    pub fn parse(&self) -> Result<FileName> {
        FileName::parse(self.0.as_str()).ok_or_else(|| {
            Error::invalid_parameter(
                "originalName",
                "expected 1 to 255 bytes without separators or control characters",
            )
        })
    }
}

/// A change of a file's metadata.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FilePatch {
    /// A new name, 1 to 255 bytes.
    #[schema(value_type = Option<String>)]
    original_name: Option<NewName>,
    /// A new type; the content must allow it.
    file_type: Option<FileType>,
    #[schema(value_type = Option<String>)]
    package_name: Patch<Name>,
    #[schema(value_type = Option<Vec<String>>)]
    tags: Patch<Tags>,
    #[schema(value_type = Option<AssetCategory>)]
    asset_category: Patch<AssetCategory>,
    #[schema(value_type = Option<Vec<String>>)]
    usage_tags: Patch<Tags>,
    #[schema(value_type = Option<Vec<String>>)]
    character_names: Patch<Tags>,
    #[schema(value_type = Option<String>)]
    object_description: Patch<Line>,
    #[schema(value_type = Option<String>)]
    scene_location: Patch<Line>,
    #[schema(value_type = Option<bool>)]
    has_alpha_channel: Patch<bool>,
    #[schema(value_type = Option<AudioCategory>)]
    audio_category: Patch<AudioCategory>,
    #[schema(value_type = Option<f64>)]
    audio_duration_seconds: Patch<Number>,
    #[schema(value_type = Option<String>)]
    audio_style: Patch<Line>,
    #[schema(value_type = Option<bool>)]
    audio_vocals: Patch<bool>,
    #[schema(value_type = Option<String>)]
    audio_lyrics: Patch<LongText>,
    /// Beats per minute.
    #[schema(value_type = Option<f64>)]
    audio_tempo: Patch<Number>,
    #[schema(value_type = Option<String>)]
    audio_key: Patch<Line>,
    #[schema(value_type = Option<VoiceoverType>)]
    voiceover_type: Patch<VoiceoverType>,
    #[schema(value_type = Option<String>)]
    voiceover_script: Patch<LongText>,
    /// Path of the file within the folder that it was uploaded with; of one without a folder nothing is kept.
    #[schema(value_type = Option<String>)]
    relative_path: Patch<Line>,
    #[schema(value_type = Option<Object>)]
    ai_metadata: Patch<Document<{ FilePatch::MAX_TEXT_BYTES }>>,
}

impl FilePatch {
    /// Longest name of a package.
    pub const MAX_NAME_BYTES: usize = 255;
    /// Longest line of text about an asset.
    pub const MAX_LINE_BYTES: usize = 4 * 1024;
    /// Longest lyrics or script; also all texts about a file and its `aiMetadata` as JSON together.
    pub const MAX_TEXT_BYTES: usize = 16 * 1024;
    /// Longest audio, in seconds, that anybody can mean.
    pub const MAX_SECONDS: f64 = 1e9;
    /// Fastest tempo, in beats per minute, that anybody can mean.
    pub const MAX_TEMPO: f64 = 1e5;

    /// Reads the text fields of an upload; unknown ones are ignored, because forms carry more than we read.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a field whose text is not what it should be.
    pub fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let read = fields.into_iter().filter_map(|(name, text)| {
            let (name, kind) = FIELDS.iter().find(|(known, _)| *known == name)?;
            (!text.trim().is_empty()).then_some((*name, FieldText { kind: *kind, text }))
        });
        serde_path_to_error::deserialize(MapDeserializer::new(read)).map_err(|fault| {
            let Fault { field, reason, .. } = Fault::of(&fault);
            Error::invalid_parameter(field.unwrap_or_default(), reason)
        })
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a value over its bound, [`Error::TypeMismatch`] for a type that the content is
    /// not.
    pub fn apply(mut self, file: &mut File) -> Result<()> {
        if let Some(name) = &self.original_name {
            file.original_name = name.parse()?;
        }
        if let Some(declared) = self.file_type {
            if !media::mime_accepts(&file.mime_type, declared) {
                return Err(Error::TypeMismatch { declared, found: file.mime_type.clone() });
            }
            file.file_type = declared;
        }
        if let Patch::Set(Document(patch)) = &mut self.ai_metadata {
            let mut merged = file.metadata.details.ai_metadata.clone();
            merge(&mut merged, std::mem::take(patch));
            *patch = merged;
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
        if text_bytes > Self::MAX_TEXT_BYTES.max(before_bytes) {
            return Err(Error::invalid_body(format!(
                "the texts about the file and its aiMetadata have {text_bytes} bytes together, and at most \
                 {} are kept",
                Self::MAX_TEXT_BYTES
            )));
        }
        Ok(())
    }

    fn change_metadata(self, metadata: &mut FileMetadata) -> Result<()> {
        let details = &mut metadata.details;
        set_text(&mut metadata.package_name, self.package_name);
        self.tags.apply_or_default(&mut metadata.tags);
        self.usage_tags.apply_or_default(&mut metadata.usage_tags);
        self.character_names.apply_or_default(&mut metadata.character_names);
        self.asset_category.apply(&mut metadata.asset_category);
        self.audio_category.apply(&mut metadata.audio_category);
        set_text(&mut details.object_description, self.object_description);
        set_text(&mut details.scene_location, self.scene_location);
        set_text(&mut details.audio_style, self.audio_style);
        set_number(&mut details.audio_tempo, "audioTempo", self.audio_tempo, Self::MAX_TEMPO)?;
        set_text(&mut details.audio_key, self.audio_key);
        set_text(&mut details.audio_lyrics, self.audio_lyrics);
        set_text(&mut details.voiceover_script, self.voiceover_script);
        self.voiceover_type.apply(&mut details.voiceover_type);
        let path = |path: Line| FileName::relative_path(path.as_str());
        self.relative_path.and_then(path).apply(&mut details.relative_path);
        self.has_alpha_channel.apply_or_default(&mut details.has_alpha_channel);
        self.audio_vocals.apply_or_default(&mut details.audio_vocals);
        let seconds = &mut details.audio_duration_seconds;
        set_number(seconds, "audioDurationSeconds", self.audio_duration_seconds, Self::MAX_SECONDS)?;
        self.ai_metadata.and_then(|document| Some(document.0)).apply_or_default(&mut details.ai_metadata);
        Ok(())
    }
}

/// Merges as RFC 7396 says: a field replaces, an object merges, null removes. As deep as a document may be.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(&name)),
            Value::Object(fields) => {
                let held = target.entry(name).or_insert(Value::Null);
                let mut merged = match held.take() {
                    Value::Object(held) => held,
                    _ => Map::new(),
                };
                merge(&mut merged, fields);
                *held = Value::Object(merged);
            }
            other => drop(target.insert(name, other)),
        }
    }
}

/// How the text of an upload's field is read.
#[derive(Debug, Clone, Copy)]
enum FieldKind {
    Text,
    Json,
    Flag,
}

/// Every field an upload may carry about its files; `fileType` is read by the upload itself.
const FIELDS: [(&str, FieldKind); 19] = [
    ("packageName", FieldKind::Text),
    ("tags", FieldKind::Json),
    ("assetCategory", FieldKind::Text),
    ("usageTags", FieldKind::Json),
    ("characterNames", FieldKind::Json),
    ("objectDescription", FieldKind::Text),
    ("sceneLocation", FieldKind::Text),
    ("hasAlphaChannel", FieldKind::Flag),
    ("audioCategory", FieldKind::Text),
    ("audioDurationSeconds", FieldKind::Text),
    ("audioStyle", FieldKind::Text),
    ("audioVocals", FieldKind::Flag),
    ("audioLyrics", FieldKind::Text),
    ("audioTempo", FieldKind::Text),
    ("audioKey", FieldKind::Text),
    ("voiceoverType", FieldKind::Text),
    ("voiceoverScript", FieldKind::Text),
    ("relativePath", FieldKind::Text),
    ("aiMetadata", FieldKind::Json),
];

/// The text of a field, as the value that the field's type reads.
#[derive(Clone, Copy)]
struct FieldText<'a> {
    kind: FieldKind,
    text: &'a str,
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for FieldText<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for FieldText<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        let refused = |reason: &str| de::Error::custom(format_args!("{OUR_WORDS}{reason}"));
        match (self.kind, self.text.trim()) {
            (FieldKind::Text, _) => visitor.visit_borrowed_str(self.text),
            (FieldKind::Flag, "true" | "1") => visitor.visit_bool(true),
            (FieldKind::Flag, "false" | "0") => visitor.visit_bool(false),
            (FieldKind::Flag, _) => Err(refused("expected true or false")),
            (FieldKind::Json, text) => {
                if serde_json::from_str::<IgnoredAny>(text).is_err() {
                    return Err(refused("its text is not JSON"));
                }
                serde_json::Deserializer::from_str(text).deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, serde_json::Error> {
        self.text.trim().into_deserializer().deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn set_text<const MAX: usize>(field: &mut Option<String>, change: Patch<Text<MAX>>) {
    change.and_then(Text::into_non_empty).apply(field);
}

fn set_number(field: &mut Option<f64>, name: &'static str, change: Patch<Number>, max: f64) -> Result<()> {
    if let Patch::Set(Number(number)) = change
        && !(0.0..=max).contains(&number)
    {
        return Err(Error::invalid_parameter(name, format!("expected a number from 0 to {max}")));
    }
    change.and_then(|Number(number)| Some(number)).apply(field);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FilePatch, merge};
    use crate::model::{AudioCategory, FileMetadata};
    use serde_json::{Value, json};

    #[test]
    fn the_fields_of_a_form_become_metadata() {
        let patch = FilePatch::from_fields([
            ("tags", r#"["a", "b", "a"]"#),
            ("audioCategory", "radio_song"),
            ("audioVocals", "true"),
            ("audioDurationSeconds", "12.5"),
            ("audioTempo", "120"),
            ("packageName", "cafe\u{301}"),
            ("aiMetadata", r#"{"model": "x"}"#),
            ("audioKey", ""),
            ("somethingElse", "kept out"),
        ]);
        let mut metadata = FileMetadata::default();
        patch.unwrap().apply_metadata(&mut metadata).unwrap();
        assert_eq!(metadata.tags.as_slice(), ["a", "b"]);
        assert_eq!(metadata.audio_category, Some(AudioCategory::RadioSong));
        assert_eq!(metadata.package_name.as_deref(), Some("caf\u{e9}"));
        assert_eq!((metadata.details.audio_key, metadata.details.audio_tempo), (None, Some(120.0)));
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
            ("audioTempo", "fast"),
            ("packageName", &"x".repeat(256)),
            ("tags", r#"["a", 5]"#),
            ("aiMetadata", "[]"),
            ("aiMetadata", r#"{"a": "\u0000"}"#),
        ] {
            let error = FilePatch::from_fields([(name, text)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={text}: {error}");
        }
    }

    #[test]
    fn a_document_is_merged_as_rfc_7396_has_it() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({"a": [1, 2]}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
        ] {
            let (Value::Object(mut merged), Value::Object(patch)) = (target.clone(), patch) else { panic!() };
            merge(&mut merged, patch);
            assert_eq!(Value::Object(merged), result, "{target}");
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
