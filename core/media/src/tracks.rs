//! What a container says about its tracks, as far as browsers differ in their support.
//! Never reads a container.

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

    pub(super) const fn plays_in_mp4(self) -> bool {
        matches!(self, Self::H264 | Self::Vp9 | Self::Av1)
    }

    pub(super) const fn plays_in_webm(self) -> bool {
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
