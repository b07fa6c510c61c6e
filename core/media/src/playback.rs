//! Whether every browser can stream a video, and what has to be re-encoded if not.
//! Invariant: decided by the headers alone; what they do not state counts as not playable.
//! Never converts anything (see `video::convert`).

use super::demuxer::demuxer;
use super::facts::Facts;
use super::tracks::AudioCodec;

/// Which streams of a video are re-encoded; the others are copied into another container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// Whether the video stream is copied.
    pub copies_video: bool,
    /// Whether the audio stream is copied.
    pub copies_audio: bool,
}

impl Conversion {
    /// Re-encodes every stream.
    pub const ALL: Self = Self { copies_video: false, copies_audio: false };
}

/// The conversion after which every browser can stream content of this type with these facts; `None` where none is
/// needed or none is possible.
#[must_use]
pub fn conversion(mime: &str, facts: &Facts) -> Option<Conversion> {
    if !mime.starts_with("video/") || demuxer(mime).is_none() {
        return None;
    }
    let Some(tracks) = facts.tracks else { return Some(Conversion::ALL) };
    let video = tracks.video?;
    let has_plain_audio = tracks.audio.is_none_or(|audio| audio == AudioCodec::Aac);
    let is_playable = match mime {
        "video/mp4" => video.plays_in_mp4() && has_plain_audio,
        // Whatever its audio is, the format allows only what its players know.
        "video/webm" => video.plays_in_webm(),
        _ => false,
    };
    let conversion = Conversion { copies_video: video.plays_in_mp4(), copies_audio: has_plain_audio };
    (!is_playable || !tracks.is_seekable || tracks.video_index > 0).then_some(conversion)
}

#[cfg(test)]
mod tests;
