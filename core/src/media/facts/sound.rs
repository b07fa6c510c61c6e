//! Facts of sounds, by the demuxers of the `symphonia` crate.

use symphonia::core::common::Limit;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::Facts;
use crate::media::source::Source;

/// Length of a sound.
pub(super) fn facts(source: Source<'_>, mime: &str) -> Option<Facts> {
    let reader = open(source, mime)?;
    let seconds = reader.tracks().iter().filter_map(|track| {
        let base = track.time_base?;
        let ticks = track.duration?;
        Some(ticks.get() as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get()))
    });
    Some(Facts::default().lasting(seconds.reduce(f64::max)))
}

fn open<'s>(source: Source<'s>, mime: &str) -> Option<Box<dyn FormatReader + 's>> {
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.mime_type(mime);
    let metadata = MetadataOptions::default()
        .limit_tag_bytes(Limit::Maximum(64 << 10))
        .limit_visual_bytes(Limit::Maximum(0));
    symphonia::default::get_probe().probe(&hint, stream, FormatOptions::default(), metadata).ok()
}
