//! Length and cover of audio files, by the demuxers of the `symphonia` crate.
//! Never decodes a sample.

use symphonia::core::common::Limit;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::{MetadataOptions, StandardVisualKey};

use super::source::Source;

/// How long an audio file plays, in seconds.
pub(super) fn seconds(source: Source<'_>, mime: &str) -> Option<f64> {
    let reader = open(source, mime, Limit::Maximum(0))?;
    let tracks = reader.tracks().iter().filter_map(|track| {
        let base = track.time_base?;
        Some(track.duration?.get() as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
    });
    tracks.reduce(f64::max)
}

/// The cover image in an audio file: its front cover, or else its first image.
pub(super) fn cover(source: Source<'_>, mime: &str, max_bytes: usize) -> Option<Box<[u8]>> {
    let mut reader = open(source, mime, Limit::Maximum(max_bytes))?;
    let mut metadata = reader.metadata();
    let mut visuals = Vec::new();
    if let Some(latest) = metadata.skip_to_latest() {
        visuals.extend(latest.media.visuals.iter().cloned());
    }
    let front = visuals.iter().position(|visual| visual.usage == Some(StandardVisualKey::FrontCover));
    let chosen = front.unwrap_or(0);
    (chosen < visuals.len()).then(|| visuals.swap_remove(chosen).data)
}

fn open<'s>(source: Source<'s>, mime: &str, visuals: Limit) -> Option<Box<dyn FormatReader + 's>> {
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.mime_type(mime);
    let metadata =
        MetadataOptions::default().limit_tag_bytes(Limit::Maximum(64 << 10)).limit_visual_bytes(visuals);
    symphonia::default::get_probe().probe(&hint, stream, FormatOptions::default(), metadata).ok()
}
