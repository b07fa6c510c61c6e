//! What users and their media app say about a file beyond its bytes: labels, categories, details.
//! Never says anything that the bytes themselves decide.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a media app knows about an asset beyond its bytes. A row may lack any field; an answer has them all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AssetDetails {
    /// What an object is.
    #[schema(required)]
    pub object_description: Option<String>,
    /// Where a scene plays.
    #[schema(required)]
    pub scene_location: Option<String>,
    /// Whether the picture has transparency, as the app says.
    #[schema(required)]
    pub has_alpha_channel: bool,
    /// Length of the sound in seconds, as the app says.
    #[schema(required)]
    pub audio_duration_seconds: Option<f64>,
    /// Musical style.
    #[schema(required)]
    pub audio_style: Option<String>,
    /// Whether somebody sings.
    #[schema(required)]
    pub audio_vocals: bool,
    /// Words that are sung.
    #[schema(required)]
    pub audio_lyrics: Option<String>,
    /// Tempo, in the app's words.
    #[schema(required)]
    pub audio_tempo: Option<String>,
    /// Musical key.
    #[schema(required)]
    pub audio_key: Option<String>,
    /// Kind of voice-over.
    #[schema(required)]
    pub voiceover_type: Option<VoiceoverType>,
    /// Words that are spoken.
    #[schema(required)]
    pub voiceover_script: Option<String>,
    /// Whatever the app's models said about the file.
    #[schema(value_type = Object, required)]
    pub ai_metadata: serde_json::Map<String, serde_json::Value>,
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

/// What a sound is used as.
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
    pub tags: Tags,
    /// What the asset is used as.
    pub asset_category: Option<AssetCategory>,
    /// Labels of use.
    pub usage_tags: Tags,
    /// Characters that appear.
    pub character_names: Tags,
    /// What the sound is used as.
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
            &self.audio_tempo,
            &self.audio_key,
            &self.voiceover_script,
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

/// Labels: at most 64 of at most 64 characters each and 4 KiB together, trimmed, none twice, none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(transparent)]
#[sqlx(transparent, no_pg_array)]
pub struct Tags(Vec<String>);

impl Tags {
    /// Most labels of one kind on a file.
    pub const MAX_COUNT: usize = 64;
    /// Longest label, in characters.
    pub const MAX_CHARS: usize = 64;
    /// All labels of one kind together.
    pub const MAX_BYTES: usize = 4096;

    /// Trims and drops doubles; the error says which limit does not hold.
    pub fn parse(labels: Vec<String>) -> Result<Self, String> {
        let mut kept: Vec<String> = Vec::new();
        for label in labels {
            let label = label.trim();
            if label.is_empty() || kept.iter().any(|k| k == label) {
                continue;
            }
            if label.chars().count() > Self::MAX_CHARS {
                return Err(format!("a label has more than {} characters", Self::MAX_CHARS));
            }
            if label.chars().any(char::is_control) {
                return Err("a label has a control character".to_owned());
            }
            kept.push(label.to_owned());
        }
        if kept.len() > Self::MAX_COUNT {
            return Err(format!("there are more than {} labels", Self::MAX_COUNT));
        }
        if kept.iter().map(String::len).sum::<usize>() > Self::MAX_BYTES {
            return Err(format!("the labels have more than {} bytes together", Self::MAX_BYTES));
        }
        Ok(Self(kept))
    }

    /// The labels in the order they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// These labels and the others; fails when the limit does not hold.
    pub fn with(&self, more: &Self) -> Result<Self, String> {
        Self::parse(self.0.iter().chain(&more.0).cloned().collect())
    }

    /// These labels without the others.
    #[must_use]
    pub fn without(&self, fewer: &Self) -> Self {
        Self(self.0.iter().filter(|label| !fewer.0.contains(label)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    #[test]
    fn labels_are_trimmed_and_unique() {
        let tags = Tags::parse(vec![" a ".into(), "a".into(), String::new(), "b".into()]);
        assert_eq!(tags.map(|t| t.as_slice().to_vec()), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(Tags::parse((0..65).map(|n| n.to_string()).collect()).is_err());
        assert!(Tags::parse((0..64).map(|n| format!("{n:64}").replace(' ', "x")).collect()).is_ok());
        assert!(Tags::parse((0..64).map(|n| format!("{n:64}").replace(' ', "\u{1F3B5}")).collect()).is_err());
    }
}
