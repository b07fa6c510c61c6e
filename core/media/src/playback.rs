//! Whether every browser can stream a video, and what has to be re-encoded if not.
//! Invariant: decided by the headers alone; what they do not state counts as not playable.
//! Never converts anything (see `video::convert`).

use super::facts::Facts;
use super::video;

/// The codec of a video stream, as far as browsers differ in their support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VideoCodec {
    /// H.264 of eight bits in 4:2:0.
    H264,
    Vp8,
    Vp9,
    Av1,
    Other,
}

impl VideoCodec {
    /// H.264 by its profile (ISO 14496-10, annex A): those for studios have more bits or colours than browsers decode.
    pub(super) const fn h264(profile: u8) -> Self {
        match profile {
            66 | 77 | 88 | 100 => Self::H264,
            _ => Self::Other,
        }
    }

    const fn plays_in_mp4(self) -> bool {
        matches!(self, Self::H264 | Self::Vp9 | Self::Av1)
    }

    const fn plays_in_webm(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9 | Self::Av1)
    }
}

/// The codec of an audio stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AudioCodec {
    Aac,
    Other,
}

/// What a video's container says about the selected tracks: the largest video track and the first audio track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tracks {
    /// `None`: no video track.
    pub(super) video: Option<VideoCodec>,
    /// How many other video tracks come before it: players take the first.
    pub(super) video_index: usize,
    /// `None`: no audio track.
    pub(super) audio: Option<AudioCodec>,
    /// Whether a player can start and seek before it has the whole file.
    pub(super) is_seekable: bool,
}

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
    if !mime.starts_with("video/") || !video::can_read(mime) {
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
