//! What a media app knows about an asset, as answers show it: every field is there, each of the type that the live front
//! end relies on. How rows keep them is the model's.

use crate::model::{AssetDetails, VoiceoverType};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Largest number whose whole neighbours are all exact in a double.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// What a media app knows about an asset beyond its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssetDetails)]
pub(super) struct AssetView {
    /// What an object is.
    #[schema(required)]
    object_description: Option<String>,
    /// Where a scene plays.
    #[schema(required)]
    scene_location: Option<String>,
    /// Whether the image has transparency, as the app says.
    #[schema(required)]
    has_alpha_channel: bool,
    /// Length of the audio in seconds, as the app says.
    #[serde(serialize_with = "number")]
    #[schema(required)]
    audio_duration_seconds: Option<f64>,
    /// Musical style.
    #[schema(required)]
    audio_style: Option<String>,
    /// Whether somebody sings.
    #[schema(required)]
    audio_vocals: bool,
    /// Words that are sung.
    #[schema(required)]
    audio_lyrics: Option<String>,
    /// Beats per minute.
    #[serde(serialize_with = "number")]
    #[schema(required)]
    audio_tempo: Option<f64>,
    /// Musical key.
    #[schema(required)]
    audio_key: Option<String>,
    /// Kind of voice-over.
    #[schema(required)]
    voiceover_type: Option<VoiceoverType>,
    /// Words that are spoken.
    #[schema(required)]
    voiceover_script: Option<String>,
    /// Path of the file within the folder that it was uploaded with, such as `photos/2024/a.jpg`.
    #[schema(required)]
    relative_path: Option<String>,
    /// Whatever the app's models said about the file.
    #[schema(value_type = Object, required)]
    ai_metadata: serde_json::Map<String, serde_json::Value>,
}

/// A whole number without a fraction, as it was sent.
fn number<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) if number.fract() == 0.0 && number.abs() < MAX_EXACT => {
            serializer.serialize_some(&(*number as i64))
        }
        other => other.serialize(serializer),
    }
}

impl From<AssetDetails> for AssetView {
    fn from(details: AssetDetails) -> Self {
        Self {
            object_description: details.object_description,
            scene_location: details.scene_location,
            has_alpha_channel: details.has_alpha_channel,
            audio_duration_seconds: details.audio_duration_seconds,
            audio_style: details.audio_style,
            audio_vocals: details.audio_vocals,
            audio_lyrics: details.audio_lyrics,
            audio_tempo: details.audio_tempo,
            audio_key: details.audio_key,
            voiceover_type: details.voiceover_type,
            voiceover_script: details.voiceover_script,
            relative_path: details.relative_path,
            ai_metadata: details.ai_metadata,
        }
    }
}
