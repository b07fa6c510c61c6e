//! A file's size on the screen and length in time, read from its headers.
//! Invariant: costs milliseconds and a bounded number of bytes, however large or hostile the file is.
//! Never decodes a video, never starts a program; a fact that is not cheap to read is `None`.

mod asf;
mod audio_frames;
mod avi;
mod image;
mod iso_base_media;
mod jxl;
mod matroska;
mod png;
mod svg;
mod transport_stream;
mod wav;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) use image::{exchanges_sides, facts as image_facts, orientation_of};
pub(super) use jxl::{CODESTREAM as JXL_CODESTREAM, Parts as JxlParts};
pub(super) use png::orientation as png_orientation;

use super::audio;
use super::limits::MediaLimits;
use super::mpeg_audio::id3_length;
use super::sniff::{self, Class, Sniffed, sniff};
use super::source::{Content, Source};
use super::tracks::{AudioCodec, Tracks};

/// What the headers say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// Width in pixels as displayed: after orientation, rotation and sample aspect ratio.
    pub width: Option<u32>,
    /// Height in pixels as displayed.
    pub height: Option<u32>,
    /// Playing time in seconds; positive and finite.
    pub duration_seconds: Option<f64>,
    /// How its light is coded, if that is more than plain screens show.
    pub hdr: Option<HighDynamicRange>,
    /// What a video consists of, where its container is one that is read here.
    pub(super) tracks: Option<Tracks>,
}

/// How the light of a video is coded that is brighter than plain screens show (ITU-R BT.2100).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HighDynamicRange {
    /// Perceptual quantization (SMPTE ST 2084).
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

impl HighDynamicRange {
    /// By the code of the transfer characteristics (ITU-T H.273), which all containers share.
    const fn of_transfer(code: u64) -> Option<Self> {
        match code {
            16 => Some(Self::Pq),
            18 => Some(Self::Hlg),
            _ => None,
        }
    }
}

impl Facts {
    pub(super) fn of_thumbnail(width: u32, height: u32) -> Self {
        let is_valid = width > 0 && height > 0;
        Self { width: is_valid.then_some(width), height: is_valid.then_some(height), ..Self::default() }
    }

    pub(super) fn lasting(self, seconds: Option<f64>) -> Self {
        Self { duration_seconds: seconds.filter(|s| s.is_finite() && *s > 0.0), ..self }
    }

    /// Without a length that no file of so many bytes can have; the worker measures it then.
    pub(super) fn believed(self, bytes: u64) -> Self {
        Self { duration_seconds: self.duration_seconds.filter(|seconds| *seconds <= bytes as f64), ..self }
    }

    /// Whether a container that can hold video holds audio and nothing to see.
    #[must_use]
    pub fn is_audio_alone(&self) -> bool {
        self.tracks.is_some_and(|tracks| tracks.video.is_none() && tracks.audio.is_some())
    }

    fn made_of(self, tracks: Option<Tracks>) -> Self {
        Self { tracks, ..self }
    }
}

/// Reads the facts of a file that was sniffed. Blocking. The file's cursor stays where it is.
#[must_use]
pub fn facts(file: &File, sniffed: &Sniffed, limits: &MediaLimits) -> Facts {
    facts_of(Content::File(file), sniffed, limits)
}

fn facts_of(content: Content<'_>, sniffed: &Sniffed, limits: &MediaLimits) -> Facts {
    let Ok(source) = Source::of(content, limits.max_header_bytes) else { return Facts::default() };
    // Third-party parsers read hostile bytes here: after a panic in one the facts are unknown.
    catch_unwind(AssertUnwindSafe(|| read(source, sniffed))).ok().flatten().unwrap_or_default()
}

/// Reads the facts of a file whose beginning was sniffed, and its final type: a container may hold audio alone, and
/// many kinds of audio start with a tag that makes them look like MP3. Blocking. The file's cursor stays where it is.
#[must_use]
pub fn settle(file: &File, sniffed: Sniffed, limits: &MediaLimits) -> (Sniffed, Facts) {
    settle_content(Content::File(file), sniffed, limits)
}

/// The same of a file whose every byte is in memory.
#[must_use]
pub fn settle_bytes(bytes: &[u8], sniffed: Sniffed, limits: &MediaLimits) -> (Sniffed, Facts) {
    settle_content(Content::Bytes(bytes), sniffed, limits)
}

fn settle_content(content: Content<'_>, sniffed: Sniffed, limits: &MediaLimits) -> (Sniffed, Facts) {
    let sniffed = behind_tag(content, sniffed);
    let facts = facts_of(content, &sniffed, limits);
    let audio = sniff::audio_alone(&sniffed).filter(|_| facts.is_audio_alone());
    (audio.unwrap_or(sniffed), facts)
}

/// The type of the content behind an ID3v2 tag that is longer than the sniffed head.
fn behind_tag(content: Content<'_>, sniffed: Sniffed) -> Sniffed {
    let mut head = [0; 4096];
    let is_tagged = sniffed.mime == "audio/mpeg" && content.read_at(&mut head[..10], 0).is_ok();
    let Some(tag) = id3_length(&head[..10]).filter(|_| is_tagged) else { return sniffed };
    let length = content.read_at(&mut head, tag).unwrap_or(0);
    let behind = sniff(&head[..length], "");
    if behind.class == Class::Audio { behind } else { sniffed }
}

/// What a stored file is, and its facts. Blocking. The file's cursor stays where it is.
///
/// # Errors
/// When the file cannot be read.
pub fn examine(file: &File, limits: &MediaLimits) -> std::io::Result<(Sniffed, Facts)> {
    let mut head = [0; 4096];
    let length = file.read_at(&mut head, 0)?;
    // The name only decides between formats of text.
    Ok(settle(file, sniff(&head[..length], ""), limits))
}

fn read(mut source: Source<'_>, sniffed: &Sniffed) -> Option<Facts> {
    let length = source.len();
    let facts = match (sniffed.class, sniffed.mime) {
        (Class::Image, mime) => return image::facts(source, mime),
        (_, "video/mp4" | "video/quicktime" | "video/x-m4v" | "video/3gpp" | "audio/mp4" | "audio/3gpp") => {
            iso_base_media::facts(&mut source)
        }
        (_, "video/x-matroska" | "video/webm" | "audio/x-matroska" | "audio/webm") => {
            matroska::facts(&mut source)
        }
        (_, "video/x-msvideo" | "audio/x-msvideo") => avi::facts(&mut source),
        (_, "video/x-ms-wmv" | "audio/x-ms-wma") => asf::facts(&mut source),
        (_, "video/mp2t" | "audio/mp2t") => transport_stream::facts(&mut source),
        (_, "video/x-flv" | "audio/x-flv") => flash(&mut source),
        (_, "audio/wav") => wav::facts(&mut source),
        (_, "audio/mpeg" | "audio/aac") => audio_frames::facts(&mut source),
        (Class::Audio, mime) => Some(Facts::default().lasting(audio::seconds(source, mime))),
        (Class::Video | Class::Other | Class::Refused, _) => None,
    };
    facts.map(|facts| facts.believed(length))
}

/// Whether a Flash video holds audio alone, by the flags in its header.
fn flash(source: &mut Source<'_>) -> Option<Facts> {
    const AUDIO_ALONE: u8 = 4;
    let [.., flags]: [u8; 5] = source.bytes(0)?;
    let tracks = Tracks { audio: Some(AudioCodec::Other), ..Tracks::default() };
    Some(Facts::default().made_of((flags & 5 == AUDIO_ALONE).then_some(tracks)))
}

/// Turns a size by a quarter.
const fn turned((width, height): (u32, u32)) -> (u32, u32) {
    (height, width)
}

#[cfg(test)]
mod tests;
