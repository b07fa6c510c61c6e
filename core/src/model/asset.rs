//! What users and their media app say about a file beyond its bytes: labels, categories, details.
//! Never says anything that the bytes themselves decide.

use super::wire::{self, Number, Text};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What a media app knows about an asset beyond its bytes, as rows keep it. A row may lack any field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssetDetails {
    /// What an object is.
    pub object_description: Option<String>,
    /// Where a scene plays.
    pub scene_location: Option<String>,
    /// Whether the image has transparency, as the app says.
    pub has_alpha_channel: bool,
    /// Length of the audio in seconds, as the app says.
    pub audio_duration_seconds: Option<f64>,
    /// Musical style.
    pub audio_style: Option<String>,
    /// Whether somebody sings.
    pub audio_vocals: bool,
    /// Words that are sung.
    pub audio_lyrics: Option<String>,
    /// Beats per minute.
    #[serde(with = "tempo")]
    pub audio_tempo: Option<f64>,
    /// Musical key.
    pub audio_key: Option<String>,
    /// Kind of voice-over.
    pub voiceover_type: Option<VoiceoverType>,
    /// Words that are spoken.
    pub voiceover_script: Option<String>,
    /// Its path within the folder that it was uploaded with; see [`super::FileName::relative_path`].
    pub relative_path: Option<String>,
    /// Whatever the app's models said about the file.
    pub ai_metadata: serde_json::Map<String, serde_json::Value>,
}

/// A tempo is kept as text, because releases before this one read nothing else. What others wrote, number or text, is
/// read as a number where it is one.
mod tempo {
    use super::Number;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(tempo: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        tempo.map(|tempo| tempo.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text) => Number::parse(&text).map(|Number(number)| number),
            _ => None,
        })
    }
}

/// What an asset is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the media app's own")]
pub enum AssetCategory {
    Character,
    Object,
    Scene,
    Greenscreen,
    Background,
    FullVideo,
    Clip,
    Template,
    Audio,
}

/// What audio is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the media app's own")]
pub enum AudioCategory {
    Jingle,
    CommercialSong,
    RadioSong,
    Voiceover,
    Sfx,
    BackgroundMusic,
}

/// Who speaks in a voice-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the media app's own")]
pub enum VoiceoverType {
    Male,
    Female,
    Character,
    Narration,
    Announcement,
}

/// Everything about a file that its user can say and change. As JSON it waits with an upload for its file's row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileMetadata {
    /// The package of the media app that the file belongs to.
    pub package_name: Option<String>,
    /// The user's own labels.
    #[serde(deserialize_with = "stored_tags")]
    pub tags: Tags,
    /// What the asset is used as.
    pub asset_category: Option<AssetCategory>,
    /// Labels of use.
    #[serde(deserialize_with = "stored_tags")]
    pub usage_tags: Tags,
    /// Characters that appear.
    #[serde(deserialize_with = "stored_tags")]
    pub character_names: Tags,
    /// What the audio is used as.
    pub audio_category: Option<AudioCategory>,
    /// The rest, which nothing filters by.
    pub details: AssetDetails,
}

impl AssetDetails {
    /// What the texts and the document take, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let texts = [
            &self.object_description,
            &self.scene_location,
            &self.audio_style,
            &self.audio_lyrics,
            &self.audio_key,
            &self.voiceover_script,
            &self.relative_path,
        ];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let document = &self.ai_metadata;
        let document_bytes = match document.is_empty() {
            true => 0,
            false => serde_json::to_vec(document).map_or(usize::MAX, |json| json.len()),
        };
        texts.saturating_add(document_bytes)
    }
}

/// Labels: at most 64 of at most 64 characters each and 8 KiB together, in NFC, trimmed, none twice, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(transparent)]
#[sqlx(transparent, no_pg_array)]
pub struct Tags(Vec<String>);

impl Tags {
    /// Most labels of one kind on a file.
    pub const MAX_COUNT: usize = 64;
    /// Longest label, in characters.
    pub const MAX_CHARS: usize = 64;
    /// All labels of one kind together: room for 64 of 64 characters of two bytes each.
    pub const MAX_BYTES: usize = 8192;
    /// Most entries of a list of labels as it is sent, doubles and empty ones included.
    const MAX_SENT: usize = 1024;
    /// Longest label as it is sent, in bytes.
    const MAX_SENT_BYTES: usize = 1024;

    /// Normalises, trims and drops doubles; the error says which limit does not hold.
    pub fn parse<S: AsRef<str>>(labels: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let mut kept = Self::default();
        for (index, label) in labels.into_iter().enumerate() {
            kept.add(index, label.as_ref())?;
        }
        Ok(kept)
    }

    /// Adds the label that was sent as entry `index`. Each costs a look at 64 others at most.
    fn add(&mut self, index: usize, label: &str) -> Result<(), String> {
        let too_long = || format!("entry {} has more than {} characters", index + 1, Self::MAX_CHARS);
        if index == Self::MAX_SENT {
            return Err(format!("it has more than {} entries", Self::MAX_SENT));
        }
        if label.len() > Self::MAX_SENT_BYTES {
            return Err(too_long());
        }
        let label = wire::nfc(label.trim());
        if label.is_empty() || self.0.iter().any(|kept| *kept == label) {
            return Ok(());
        }
        if label.chars().count() > Self::MAX_CHARS {
            return Err(too_long());
        }
        if label.chars().any(char::is_control) {
            return Err(format!("entry {} has a control character", index + 1));
        }
        if self.0.len() == Self::MAX_COUNT {
            return Err(format!("there are more than {} labels", Self::MAX_COUNT));
        }
        if self.0.iter().map(String::len).sum::<usize>() + label.len() > Self::MAX_BYTES {
            return Err(format!("the labels have more than {} bytes together", Self::MAX_BYTES));
        }
        self.0.push(label.into_owned());
        Ok(())
    }

    /// The labels in the order they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// These labels and the others; fails when the limit does not hold.
    pub fn with(&self, more: &Self) -> Result<Self, String> {
        Self::parse(self.0.iter().chain(&more.0))
    }

    /// These labels without the others.
    #[must_use]
    pub fn without(&self, fewer: &Self) -> Self {
        Self(self.0.iter().filter(|label| !fewer.0.contains(label)).cloned().collect())
    }
}

impl<'de> Deserialize<'de> for Tags {
    /// As clients send them. Rows are read by `stored_tags`: what is stored stays readable when a limit changes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tags, A::Error> {
                let mut kept = Tags::default();
                let mut index = 0;
                while let Some(label) = entries.next_element::<Text<{ Tags::MAX_SENT_BYTES }>>()? {
                    kept.add(index, label.as_str()).map_err(wire::beyond)?;
                    index += 1;
                }
                Ok(kept)
            }
        }

        deserializer.deserialize_seq(Reading)
    }
}

fn stored_tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    Vec::deserialize(deserializer).map(Tags)
}

#[cfg(test)]
mod tests {
    use super::{AssetDetails, FileMetadata, Tags};

    #[test]
    fn labels_are_trimmed_and_unique() {
        let tags = Tags::parse([" a ", "a", "", "b"]);
        assert_eq!(tags.map(|t| t.as_slice().to_vec()), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(Tags::parse((0..65).map(|n| n.to_string())).is_err());
        assert!(Tags::parse((0..64).map(|n| format!("{n:64}").replace(' ', "x"))).is_ok());
        assert!(Tags::parse((0..64).map(|n| format!("{n:64}").replace(' ', "\u{1F3B5}"))).is_err());
    }

    #[test]
    fn labels_that_look_the_same_are_the_same() {
        let tags = Tags::parse(["cafe\u{301}", "caf\u{e9}", " \u{1112}\u{1161}\u{11ab} "]).unwrap();
        assert_eq!(tags.as_slice(), ["caf\u{e9}", "\u{d55c}"]);
    }

    #[test]
    fn a_list_without_end_is_left_where_its_limit_is() {
        let read = |json: &str| serde_json::from_str::<Tags>(json).map_err(|fault| fault.to_string());
        // Whatever stands behind the limit is not even read.
        let labels: Vec<String> = (0..65).map(|n| format!("\"{n}\"")).collect();
        let fault = read(&format!("[{}, nothing", labels.join(","))).unwrap_err();
        assert!(fault.contains("more than 64 labels"), "{fault}");
        let fault = read(&format!("[{}", "\"\",".repeat(1025))).unwrap_err();
        assert!(fault.contains("more than 1024 entries"), "{fault}");
        assert!(read(&format!("[\"{}\"]", "x".repeat(1 << 20))).is_err());
    }

    #[test]
    fn what_is_stored_stays_readable() {
        let stored = format!("{{\"tags\": [\"cafe\u{301}\", \"{}\"]}}", "x".repeat(65));
        let metadata: FileMetadata = serde_json::from_str(&stored).unwrap();
        assert_eq!(metadata.tags.as_slice().len(), 2);
    }

    #[test]
    fn a_tempo_is_read_as_a_number_and_written_as_the_text_that_older_releases_read() {
        let read = |json: &str| serde_json::from_str::<AssetDetails>(json).unwrap().audio_tempo;
        assert_eq!(read(r#"{"audioTempo": "120"}"#), Some(120.0));
        assert_eq!(read(r#"{"audioTempo": 92.5}"#), Some(92.5));
        for none in [r#"{"audioTempo": "fast"}"#, r#"{"audioTempo": null}"#, "{}"] {
            assert_eq!(read(none), None, "{none}");
        }
        let details = AssetDetails { audio_tempo: Some(120.0), ..AssetDetails::default() };
        assert_eq!(serde_json::to_value(details).unwrap()["audioTempo"], "120");
    }
}
