//! Facts of ISO base media files (ISO 14496-12): MP4, QuickTime, M4A, 3GP, whole or in fragments.
//! Own code, because the libraries read every sample table and give up at the first codec they do not know.

mod fragments;

use std::ops::Range;

use super::{Facts, HighDynamicRange, turned};
use crate::source::Source;
use crate::tracks::{AudioCodec, Tracks, VideoCodec};

/// A box: its type and the range of its content.
struct Box4 {
    kind: [u8; 4],
    body: Range<u64>,
}

/// The boxes in `range`, one after another.
struct Boxes<'s, 'f> {
    source: &'s mut Source<'f>,
    range: Range<u64>,
}

impl Iterator for Boxes<'_, '_> {
    type Item = Box4;

    fn next(&mut self) -> Option<Box4> {
        let start = self.range.start;
        let head: [u8; 8] = self.source.bytes(start)?;
        let (size, kind) = (be32(&head, 0)?, [head[4], head[5], head[6], head[7]]);
        let (header, length) = match size {
            0 => (8, self.range.end.checked_sub(start)?),
            1 => (16, u64::from_be_bytes(self.source.bytes(start + 8)?)),
            _ => (8, u64::from(size)),
        };
        let end = start.checked_add(length)?;
        // A truncated file's last box reaches beyond the end.
        let body = start + header..end.min(self.range.end);
        if length < header || body.start > body.end {
            return None;
        }
        self.range.start = end;
        Some(Box4 { kind, body })
    }
}

fn boxes<'s, 'f>(source: &'s mut Source<'f>, range: &Range<u64>) -> Boxes<'s, 'f> {
    Boxes { source, range: range.clone() }
}

/// The content of the first box of this type in `range`.
fn find(source: &mut Source<'_>, range: &Range<u64>, kind: &[u8; 4]) -> Option<Range<u64>> {
    boxes(source, range).find(|found| &found.kind == kind).map(|found| found.body)
}

/// What `moov` says, times in seconds.
#[derive(Default)]
struct Movie {
    size: Option<(u32, u32)>,
    seconds: f64,
    tracks: Vec<Track>,
    /// Most samples are in fragments, which `moov` does not describe.
    is_fragmented: bool,
}

struct Track {
    id: u32,
    timescale: u32,
    /// In units of the time scale; 0 in fragmented files.
    duration: u64,
    /// How long its samples in `moov` last, in units of the time scale.
    samples: u64,
    /// How long a sample of a fragment lasts where the fragment does not state it.
    default_duration: u32,
    /// As displayed, if it is a video track.
    size: Option<(u32, u32)>,
    codec: Option<Codec>,
    hdr: Option<HighDynamicRange>,
}

enum Codec {
    Video(VideoCodec),
    Audio(AudioCodec),
}

impl Movie {
    /// The selected tracks; `is_index_first` says whether the file's index comes first.
    fn tracks(&self, is_index_first: bool) -> Tracks {
        let is_seekable = is_index_first && !self.is_fragmented;
        let mut tracks = Tracks { is_seekable, ..Tracks::default() };
        let (mut videos, mut largest) = (0, 0);
        for track in &self.tracks {
            match track.codec {
                Some(Codec::Video(codec)) => {
                    let area = track.size.as_ref().map_or(0, area);
                    if videos == 0 || area > largest {
                        largest = area;
                        tracks.video = Some(codec);
                        tracks.video_index = videos;
                    }
                    videos += 1;
                }
                Some(Codec::Audio(codec)) => tracks.audio = tracks.audio.or(Some(codec)),
                None => {}
            }
        }
        tracks
    }

    /// The longest of its tracks, where `length` returns that of one track in units of its time scale.
    fn longest(&self, length: impl Fn(&Track) -> u64) -> f64 {
        self.tracks.iter().map(|track| ratio(length(track), track.timescale)).fold(0.0, f64::max)
    }
}

fn area((width, height): &(u32, u32)) -> u64 {
    u64::from(*width) * u64::from(*height)
}

/// Size, length and tracks of a video or an audio file.
pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let whole = 0..source.len();
    let (moov, is_index_first) = index(source, &whole)?;
    let movie = movie(source, &moov);
    let mut seconds = Some(movie.seconds);
    if seconds == Some(0.0) {
        seconds = Some(movie.longest(|track| track.duration));
    }
    if seconds == Some(0.0) {
        seconds = Some(movie.longest(|track| track.samples));
    }
    if movie.is_fragmented {
        // Without its fragments the length is that of the samples in front of them, or none.
        let by_fragments = fragments::seconds(source, &moov, &movie.tracks);
        seconds = by_fragments.map(|by_fragments| by_fragments.max(seconds.unwrap_or(0.0)));
    }
    let (width, height) = movie.size.unwrap_or_default();
    let tracks = movie.tracks(is_index_first);
    let hdr = movie.tracks.iter().find_map(|track| track.hdr);
    let facts = Facts::of_thumbnail(width, height).lasting(seconds).made_of(Some(tracks));
    Some(Facts { hdr, ..facts })
}

/// The content of `moov`, and whether it comes before the samples.
fn index(source: &mut Source<'_>, whole: &Range<u64>) -> Option<(Range<u64>, bool)> {
    let mut is_first = true;
    for found in boxes(source, whole) {
        match &found.kind {
            b"moov" => return Some((found.body, is_first)),
            b"mdat" => is_first = false,
            _ => {}
        }
    }
    None
}

fn movie(source: &mut Source<'_>, moov: &Range<u64>) -> Movie {
    let mut movie = Movie::default();
    let (mut timescale, mut defaults) = (0, Vec::new());
    let parts: Vec<Box4> = boxes(source, moov).take(256).collect();
    for part in parts {
        match &part.kind {
            b"mvhd" => {
                if let Some((scale, duration)) = time_header(source, &part.body) {
                    timescale = scale;
                    movie.seconds = ratio(duration, scale);
                }
            }
            b"mvex" => {
                movie.is_fragmented = true;
                defaults = default_durations(source, &part.body);
                if let Some(duration) = extended_duration(source, &part.body) {
                    movie.seconds = movie.seconds.max(ratio(duration, timescale));
                }
            }
            b"trak" => movie.tracks.extend(track(source, &part.body)),
            _ => {}
        }
    }
    for (id, duration) in defaults {
        if let Some(track) = movie.tracks.iter_mut().find(|track| track.id == id) {
            track.default_duration = duration;
        }
    }
    movie.size = movie.tracks.iter().filter_map(|track| track.size).max_by_key(area);
    movie
}

/// Time scale and duration of `mvhd` or `mdhd`, which start alike.
fn time_header(source: &mut Source<'_>, body: &Range<u64>) -> Option<(u32, u64)> {
    let content = source.up_to(body.start, 32)?;
    let (scale, duration) = match content.first()? {
        0 => (be32(&content, 12)?, u64::from(be32(&content, 16)?)),
        _ => (be32(&content, 20)?, be64(&content, 24)?),
    };
    // All ones mean that the duration is unknown.
    let is_known = duration < u64::from(u32::MAX);
    Some((scale, if is_known { duration } else { 0 }))
}

fn extended_duration(source: &mut Source<'_>, mvex: &Range<u64>) -> Option<u64> {
    let mehd = find(source, mvex, b"mehd")?;
    let content = source.up_to(mehd.start, 12)?;
    if content.first()? == &0 { be32(&content, 4).map(u64::from) } else { be64(&content, 4) }
}

/// Ids of tracks and how long a sample of each lasts where a fragment does not state it (`trex`).
fn default_durations(source: &mut Source<'_>, mvex: &Range<u64>) -> Vec<(u32, u32)> {
    let parts: Vec<Box4> = boxes(source, mvex).take(256).filter(|part| &part.kind == b"trex").collect();
    let default = |part: &Box4| {
        let content: [u8; 16] = source.bytes(part.body.start)?;
        Some((be32(&content, 4)?, be32(&content, 12)?))
    };
    parts.iter().filter_map(default).collect()
}

/// How long the samples in `moov` itself last, by their table of times (`stts`).
fn samples(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<u64> {
    const MOST_BYTES: u64 = 1 << 20;
    let minf = find(source, mdia, b"minf")?;
    let stbl = find(source, &minf, b"stbl")?;
    let stts = find(source, &stbl, b"stts")?;
    let content = source.up_to(stts.start, (stts.end - stts.start).min(MOST_BYTES))?;
    let entries = content.get(8..)?.as_chunks::<8>().0.iter();
    Some(
        entries
            .map(|entry| u64::from(be32(entry, 0).unwrap_or(0)) * u64::from(be32(entry, 4).unwrap_or(0)))
            .fold(0, u64::saturating_add),
    )
}

fn track(source: &mut Source<'_>, trak: &Range<u64>) -> Option<Track> {
    let tkhd = find(source, trak, b"tkhd")?;
    let mdia = find(source, trak, b"mdia")?;
    let hdlr = find(source, &mdia, b"hdlr")?;
    let mdhd = find(source, &mdia, b"mdhd")?;
    let (timescale, duration) = time_header(source, &mdhd)?;
    let handler: [u8; 12] = source.bytes(hdlr.start)?;
    let content = source.up_to(tkhd.start, 96)?;
    // Version 1 has three times of 8 bytes instead of 4 before what follows.
    let wide = if content.first()? == &0 { 0 } else { 12 };
    let id = be32(&content, if wide == 0 { 12 } else { 20 })?;
    let is_video = &handler[8..] == b"vide";
    let size = if is_video { displayed(source, &content, wide, &mdia) } else { None };
    let codec = match &handler[8..] {
        b"vide" => Some(Codec::Video(video_codec(source, &mdia))),
        b"soun" => Some(Codec::Audio(audio_codec(source, &mdia))),
        _ => None,
    };
    let hdr = if is_video { hdr(source, &mdia) } else { None };
    let samples = samples(source, &mdia).unwrap_or(0);
    Some(Track { id, timescale, duration, samples, default_duration: 0, size, codec, hdr })
}

/// What a description of a video track has before its own boxes, in bytes (ISO 14496-12, 12.1.3).
const VISUAL_SAMPLE_ENTRY_BYTES: u64 = 78;

fn video_codec(source: &mut Source<'_>, mdia: &Range<u64>) -> VideoCodec {
    let Some(Box4 { kind, body }) = description(source, mdia) else { return VideoCodec::Other };
    match &kind {
        b"avc1" | b"avc3" => {
            let profile = find(source, &(body.start + VISUAL_SAMPLE_ENTRY_BYTES..body.end), b"avcC")
                .and_then(|avcc| source.bytes(avcc.start).map(|[_version, profile]: [u8; 2]| profile));
            profile.map_or(VideoCodec::Other, VideoCodec::h264)
        }
        b"vp08" => VideoCodec::Vp8,
        b"vp09" => VideoCodec::Vp9,
        b"av01" => VideoCodec::Av1,
        _ => VideoCodec::Other,
    }
}

/// The transfer function, which the colour box states after its kind and the primaries (ISO 14496-12, 12.1.5).
fn hdr(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<HighDynamicRange> {
    let Box4 { body, .. } = description(source, mdia)?;
    let parts: Vec<Box4> =
        boxes(source, &(body.start + VISUAL_SAMPLE_ENTRY_BYTES..body.end)).take(64).collect();
    parts.iter().filter(|part| &part.kind == b"colr").find_map(|colr| {
        match source.bytes(colr.body.start)? {
            [b'n', b'c', b'l', b'x' | b'c', _, _, t1, t0] => {
                HighDynamicRange::of_transfer(u16::from_be_bytes([t1, t0]).into())
            }
            _ => None,
        }
    })
}

fn audio_codec(source: &mut Source<'_>, mdia: &Range<u64>) -> AudioCodec {
    match description(source, mdia) {
        Some(Box4 { kind: [b'm', b'p', b'4', b'a'], .. }) => AudioCodec::Aac,
        _ => AudioCodec::Other,
    }
}

/// The first description of a track's samples; its type names their codec.
fn description(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<Box4> {
    let stsd = descriptions(source, mdia)?;
    boxes(source, &(stsd.start + 8..stsd.end)).next()
}

fn descriptions(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<Range<u64>> {
    let minf = find(source, mdia, b"minf")?;
    let stbl = find(source, &minf, b"stbl")?;
    find(source, &stbl, b"stsd")
}

/// The coded size in square samples where `pasp` states their shape, or else the size in `tkhd`, or else the coded one,
/// turned as the matrix says.
fn displayed(source: &mut Source<'_>, tkhd: &[u8], wide: usize, mdia: &Range<u64>) -> Option<(u32, u32)> {
    const FIXED_POINT_BITS: u32 = 16;
    let fixed =
        |at: usize| be32(tkhd, at + wide).map(|value| value.saturating_add(1 << 15) >> FIXED_POINT_BITS);
    let size = match (stretched(source, mdia), fixed(76)?, fixed(80)?) {
        (Some(size), ..) => size,
        (None, 0, _) | (None, _, 0) => coded(source, mdia)?,
        (None, width, height) => (width, height),
    };
    // The matrix maps (x, y) to (a x + c y, b x + d y): a turn by a quarter has no a and d.
    let (a, b) = (be32(tkhd, 40 + wide)?, be32(tkhd, 44 + wide)?);
    Some(if a == 0 && b != 0 { turned(size) } else { size })
}

/// The coded size in square samples, if `pasp` says that they are not square: QuickTime files state it only there.
fn stretched(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<(u32, u32)> {
    let Box4 { body, .. } = description(source, mdia)?;
    let pasp = find(source, &(body.start + VISUAL_SAMPLE_ENTRY_BYTES..body.end), b"pasp")?;
    let content: [u8; 8] = source.bytes(pasp.start)?;
    let (across, down) = (be32(&content, 0)?, be32(&content, 4)?);
    let (width, height) = coded(source, mdia)?;
    let is_stretched = across > 0 && down > 0 && across != down;
    is_stretched.then(|| ((f64::from(width) * f64::from(across) / f64::from(down)).round() as u32, height))
}

fn coded(source: &mut Source<'_>, mdia: &Range<u64>) -> Option<(u32, u32)> {
    const SIZE_IN_DESCRIPTION: u64 = 24;
    let Box4 { body, .. } = description(source, mdia)?;
    let [w1, w0, h1, h0] = source.bytes(body.start + SIZE_IN_DESCRIPTION)?;
    Some((u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0]))))
}

fn ratio(ticks: u64, timescale: u32) -> f64 {
    if timescale == 0 { 0.0 } else { ticks as f64 / f64::from(timescale) }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
