//! The length of the fragments (ISO 14496-12, 8.8) behind `moov`.

use std::ops::Range;

use super::{Box4, Track, be32, be64, boxes, find, ratio};
use crate::source::Source;

/// How many of the last fragments are looked at: each track may have fragments of its own.
const LAST: usize = 8;

/// From the start of the first sample to the end of the last one, in seconds: by an index of the whole file, else by
/// the times of the last fragments, else by the sum of all. `None` where that is too much to read.
pub(super) fn seconds(source: &mut Source<'_>, moov: &Range<u64>, tracks: &[Track]) -> Option<f64> {
    let after = moov.end..source.len();
    let mut moofs: Vec<Range<u64>> = Vec::new();
    let mut rest = after.clone();
    while let Some(part) = boxes(source, &rest).next() {
        match &part.kind {
            b"sidx" if moofs.is_empty() => {
                if let Some(seconds) = whole_index(source, &part.body) {
                    return Some(seconds);
                }
            }
            b"moof" => moofs.push(part.body.clone()),
            _ => {}
        }
        rest.start = part.body.end.max(rest.start + 8);
    }
    // Samples in front of the fragments are played before them.
    let own = |track: &Track| ratio(track.samples, track.timescale);
    let before = tracks.iter().map(own).fold(0.0, f64::max);
    let first = moofs.first().and_then(|moof| fragment(source, moof, tracks));
    let start = first.and_then(|first| first.start).filter(|_| before == 0.0).unwrap_or(0.0);
    let mut last = Vec::new();
    for moof in moofs.iter().rev().take(LAST) {
        last.extend(fragment(source, moof, tracks));
    }
    let ends = last.iter().filter_map(|fragment| Some(fragment.start? + fragment.seconds));
    let length = match ends.reduce(f64::max) {
        Some(end) => end - start,
        None => {
            before
                + moofs
                    .iter()
                    .filter_map(|moof| fragment(source, moof, tracks))
                    .map(|f| f.seconds)
                    .sum::<f64>()
        }
    };
    (!source.is_spent()).then_some(length)
}

/// The sum of the subsegments of a `sidx`, if they reach to the end of the file: there may be one for each fragment,
/// and an index of fragments behind the last.
fn whole_index(source: &mut Source<'_>, body: &Range<u64>) -> Option<f64> {
    let content = source.up_to(body.start, (body.end - body.start).min(1 << 20))?;
    let timescale = be32(&content, 8)?;
    let is_short = content.first()? == &0;
    let first = if is_short { u64::from(be32(&content, 16)?) } else { be64(&content, 20)? };
    let entries = content.get(if is_short { 24 } else { 32 }..)?.as_chunks::<12>().0;
    const SIZE: u32 = 0x7FFF_FFFF;
    let number = |entry: &[u8; 12], at: usize| be32(entry, at).unwrap_or(0);
    let bytes: u64 = entries.iter().map(|entry| u64::from(number(entry, 0) & SIZE)).sum();
    let ticks: u64 = entries.iter().map(|entry| u64::from(number(entry, 4))).sum();
    let end = body.end.checked_add(first)?.checked_add(bytes)?;
    let is_whole = end >= source.len() || last_box(source, end) == Some(*b"mfra");
    is_whole.then(|| ratio(ticks, timescale))
}

/// The type of the box at `at`.
fn last_box(source: &mut Source<'_>, at: u64) -> Option<[u8; 4]> {
    let end = source.len();
    boxes(source, &(at..end)).next().map(|found| found.kind)
}

struct Fragment {
    /// In seconds, if it is stated.
    start: Option<f64>,
    seconds: f64,
}

/// The track that ends last in a fragment.
fn fragment(source: &mut Source<'_>, moof: &Range<u64>, tracks: &[Track]) -> Option<Fragment> {
    let parts: Vec<Box4> = boxes(source, moof).take(64).filter(|part| &part.kind == b"traf").collect();
    let runs = parts.iter().filter_map(|traf| run(source, &traf.body, tracks));
    runs.max_by(|a, b| (a.start.unwrap_or(0.0) + a.seconds).total_cmp(&(b.start.unwrap_or(0.0) + b.seconds)))
}

/// When a track's part of a fragment starts and how long it lasts.
fn run(source: &mut Source<'_>, traf: &Range<u64>, tracks: &[Track]) -> Option<Fragment> {
    const BASE_DATA_OFFSET: u32 = 1;
    const DESCRIPTION_INDEX: u32 = 2;
    const DEFAULT_DURATION: u32 = 8;
    let tfhd = find(source, traf, b"tfhd")?;
    let header = source.up_to(tfhd.start, 32)?;
    let (flags, id) = (be32(&header, 0)? & 0xFF_FFFF, be32(&header, 4)?);
    let track = tracks.iter().find(|track| track.id == id)?;
    let at = 8
        + if flags & BASE_DATA_OFFSET == 0 { 0 } else { 8 }
        + if flags & DESCRIPTION_INDEX == 0 { 0 } else { 4 };
    let default = if flags & DEFAULT_DURATION == 0 { track.default_duration } else { be32(&header, at)? };
    let runs: Vec<Box4> = boxes(source, traf).filter(|part| &part.kind == b"trun").take(64).collect();
    let ticks = runs.iter().filter_map(|run| run_duration(source, &run.body, default));
    let ticks = ticks.fold(0, u64::saturating_add);
    let start = start(source, traf).map(|start| ratio(start, track.timescale));
    Some(Fragment { start, seconds: ratio(ticks, track.timescale) })
}

/// When the first sample is decoded, in units of the track's time scale.
fn start(source: &mut Source<'_>, traf: &Range<u64>) -> Option<u64> {
    let tfdt = find(source, traf, b"tfdt")?;
    let time = source.up_to(tfdt.start, 12)?;
    if time.first()? == &0 { be32(&time, 4).map(u64::from) } else { be64(&time, 4) }
}

/// How long the samples of a `trun` last, in units of the track's time scale.
fn run_duration(source: &mut Source<'_>, trun: &Range<u64>, default: u32) -> Option<u64> {
    let content = source.up_to(trun.start, (trun.end - trun.start).min(1 << 18))?;
    let (flags, count) = (be32(&content, 0)?, be32(&content, 4)?);
    const DATA_OFFSET: u32 = 0x1;
    const FIRST_FLAGS: u32 = 0x4;
    const DURATION: u32 = 0x100;
    const PER_SAMPLE: u32 = 0xF00;
    if flags & DURATION == 0 {
        return u64::from(count).checked_mul(u64::from(default));
    }
    let first = 8 + 4 * (flags & (DATA_OFFSET | FIRST_FLAGS)).count_ones() as usize;
    let entry = 4 * (flags & PER_SAMPLE).count_ones() as usize;
    Some(content.get(first..)?.chunks_exact(entry).filter_map(|sample| be32(sample, 0)).map(u64::from).sum())
}
