//! Facts of Matroska and WebM files (RFC 9559), also of those that a browser records without a length.
//! Own code, because the libraries allocate what an element's header promises.

use std::ops::Range;

use super::{Facts, HighDynamicRange, turned};
use crate::source::Source;
use crate::tracks::{AudioCodec, Tracks, VideoCodec};

const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
const DURATION: u32 = 0x4489;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const CODEC_ID: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63A2;
const VIDEO: u32 = 0xE0;
const PIXEL_WIDTH: u32 = 0xB0;
const PIXEL_HEIGHT: u32 = 0xBA;
const DISPLAY_WIDTH: u32 = 0x54B0;
const DISPLAY_HEIGHT: u32 = 0x54BA;
const DISPLAY_UNIT: u32 = 0x54B2;
const COLOUR: u32 = 0x55B0;
const TRANSFER_CHARACTERISTICS: u32 = 0x55BA;
const PROJECTION: u32 = 0x7670;
const PROJECTION_POSE_ROLL: u32 = 0x7675;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const SIMPLE_BLOCK: u32 = 0xA3;

/// How much of the end is searched for the last cluster when the length is not written down, in bytes.
const TAIL: u64 = 8 << 20;
/// In steps of so many bytes.
const STEP: u64 = 1 << 20;

struct Element {
    id: u32,
    body: Range<u64>,
    /// The size is not known, as in live recordings: the element lasts until another of its level.
    open: bool,
}

/// The elements in `range`, one after another.
struct Elements<'s, 'f> {
    source: &'s mut Source<'f>,
    range: Range<u64>,
}

impl Iterator for Elements<'_, '_> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        if self.range.start >= self.range.end {
            return None;
        }
        let head = self.source.up_to(self.range.start, 12)?;
        let (id, id_length) = vint(&head, true)?;
        let (size, size_length) = vint(head.get(id_length..)?, false)?;
        let open = size == (1 << (7 * size_length)) - 1;
        let start = self.range.start + (id_length + size_length) as u64;
        let end = if open { self.range.end } else { start.checked_add(size)?.min(self.range.end) };
        self.range.start = end;
        Some(Element { id: u32::try_from(id).ok()?, body: start..end.max(start), open })
    }
}

fn elements<'s, 'f>(source: &'s mut Source<'f>, range: &Range<u64>) -> Elements<'s, 'f> {
    Elements { source, range: range.clone() }
}

/// A number of variable length (RFC 8794) and how many bytes it takes; an id keeps its length marker.
fn vint(bytes: &[u8], keep_marker: bool) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 {
        return None;
    }
    let value = bytes.get(..length)?.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    let marker = 1u64 << (7 * length);
    Some((if keep_marker { value } else { value & (marker - 1) }, length))
}

struct Segment {
    /// Nanoseconds in a unit of time.
    scale: u64,
    /// In units of time.
    duration: Option<f64>,
    size: Option<(u32, u32)>,
    hdr: Option<HighDynamicRange>,
    codecs: Option<Tracks>,
}

/// Size, length and tracks of a video or an audio file.
pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let whole = 0..source.len();
    let body = elements(source, &whole).find(|element| element.id == SEGMENT)?.body;
    let segment = segment(source, &body);
    let (width, height) = segment.size.unwrap_or_default();
    // A live recording has neither a length nor an index to seek by.
    let is_seekable = segment.duration.is_some();
    let tracks = segment.codecs.map(|codecs| Tracks { is_seekable, ..codecs });
    let seconds = units(source, &segment, &body).map(|units| units * segment.scale as f64 / 1e9);
    let facts = Facts::of_thumbnail(width, height).lasting(seconds).made_of(tracks);
    Some(Facts { hdr: segment.hdr, ..facts })
}

/// The length in units of time: as it is written down, or else until the last block, in both cases from the first one
/// on, whose time need not be 0.
fn units(source: &mut Source<'_>, segment: &Segment, body: &Range<u64>) -> Option<f64> {
    const A_SECOND: f64 = 1e9;
    let start = first_timestamp(source, body).unwrap_or(0) as f64;
    let is_late = start * segment.scale as f64 >= A_SECOND;
    match segment.duration {
        // Some writers count from 0 on, others from the first block on: the last block decides.
        Some(written) if is_late => {
            let last = last_timestamp(source).unwrap_or(start);
            Some(if written < last { written } else { written - start })
        }
        Some(written) => Some(written),
        None => last_timestamp(source).map(|last| if is_late { last - start } else { last }),
    }
}

/// The time of the first cluster, in units of time.
fn first_timestamp(source: &mut Source<'_>, body: &Range<u64>) -> Option<u64> {
    let cluster = elements(source, body).take(64).find(|element| element.id == CLUSTER)?;
    let time = elements(source, &cluster.body).take(4).find(|element| element.id == TIMESTAMP)?;
    unsigned(source, &time.body)
}

fn segment(source: &mut Source<'_>, body: &Range<u64>) -> Segment {
    let mut segment = Segment { scale: 1_000_000, duration: None, size: None, hdr: None, codecs: None };
    let (mut has_info, mut has_tracks) = (false, false);
    let mut rest = body.clone();
    while let Some(element) = elements(source, &rest).next() {
        rest.start = element.body.end;
        match element.id {
            INFO => {
                has_info = true;
                info(source, &element.body, &mut segment);
            }
            TRACKS => {
                has_tracks = true;
                tracks(source, &element.body, &mut segment);
            }
            CLUSTER if element.open => break,
            _ => {}
        }
        if has_info && has_tracks {
            break;
        }
    }
    segment
}

fn info(source: &mut Source<'_>, body: &Range<u64>, segment: &mut Segment) {
    let parts: Vec<Element> = elements(source, body).take(64).collect();
    for part in parts {
        match part.id {
            TIMESTAMP_SCALE => segment.scale = unsigned(source, &part.body).unwrap_or(segment.scale),
            DURATION => segment.duration = float(source, &part.body).filter(|units| *units > 0.0),
            _ => {}
        }
    }
}

/// The largest video track and the first audio track.
fn tracks(source: &mut Source<'_>, body: &Range<u64>, segment: &mut Segment) {
    let entries: Vec<Element> =
        elements(source, body).filter(|part| part.id == TRACK_ENTRY).take(64).collect();
    let (mut tracks, mut videos, mut largest) = (Tracks::default(), 0, 0);
    for entry in &entries {
        let codec = codec_id(source, &entry.body).unwrap_or_default();
        match codec.get(..2) {
            Some(b"V_") => {
                let video = elements(source, &entry.body).find(|part| part.id == VIDEO);
                let size = video.as_ref().and_then(|video| displayed(source, &video.body));
                let area = size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
                if videos == 0 || area > largest {
                    largest = area;
                    tracks.video = Some(video_codec(source, &entry.body, &codec));
                    tracks.video_index = videos;
                    segment.size = size;
                    segment.hdr = video.and_then(|video| hdr(source, &video.body));
                }
                videos += 1;
            }
            Some(b"A_") => tracks.audio = tracks.audio.or_else(|| Some(audio_codec(&codec))),
            _ => {}
        }
    }
    segment.codecs = Some(tracks);
}

/// The name of a track's codec (RFC 9559, section 5.1.4.1.21; the names are those of the Matroska codec registry).
fn codec_id(source: &mut Source<'_>, entry: &Range<u64>) -> Option<Vec<u8>> {
    const LONGEST: u64 = 64;
    let id = elements(source, entry).find(|part| part.id == CODEC_ID)?;
    source.up_to(id.body.start, (id.body.end - id.body.start).min(LONGEST))
}

fn video_codec(source: &mut Source<'_>, entry: &Range<u64>, codec: &[u8]) -> VideoCodec {
    match codec {
        b"V_MPEG4/ISO/AVC" => {
            let private = elements(source, entry).find(|part| part.id == CODEC_PRIVATE);
            let profile = private.and_then(|avcc| source.bytes(avcc.body.start)).map(|[_, profile]| profile);
            profile.map_or(VideoCodec::Other, VideoCodec::h264)
        }
        b"V_VP8" => VideoCodec::Vp8,
        b"V_VP9" => VideoCodec::Vp9,
        b"V_AV1" => VideoCodec::Av1,
        _ => VideoCodec::Other,
    }
}

fn hdr(source: &mut Source<'_>, video: &Range<u64>) -> Option<HighDynamicRange> {
    let colour = elements(source, video).find(|part| part.id == COLOUR)?;
    let transfer = elements(source, &colour.body).find(|part| part.id == TRANSFER_CHARACTERISTICS)?;
    HighDynamicRange::of_transfer(unsigned(source, &transfer.body)?)
}

fn audio_codec(codec: &[u8]) -> AudioCodec {
    if codec.starts_with(b"A_AAC") { AudioCodec::Aac } else { AudioCodec::Other }
}

fn displayed(source: &mut Source<'_>, video: &Range<u64>) -> Option<(u32, u32)> {
    let (mut pixels, mut display, mut unit, mut is_turned) = ((0, 0), (0, 0), 0, false);
    let parts: Vec<Element> = elements(source, video).take(64).collect();
    for part in parts {
        let mut number =
            || unsigned(source, &part.body).and_then(|value| u32::try_from(value).ok()).unwrap_or(0);
        match part.id {
            PIXEL_WIDTH => pixels.0 = number(),
            PIXEL_HEIGHT => pixels.1 = number(),
            DISPLAY_WIDTH => display.0 = number(),
            DISPLAY_HEIGHT => display.1 = number(),
            DISPLAY_UNIT => unit = number(),
            PROJECTION => is_turned = rolls_a_quarter(source, &part.body),
            _ => {}
        }
    }
    const PIXELS: u32 = 0;
    const ASPECT_RATIO: u32 = 3;
    let size = match unit {
        _ if display.0 == 0 || display.1 == 0 => pixels,
        PIXELS => display,
        ASPECT_RATIO => {
            let width = f64::from(pixels.1) * f64::from(display.0) / f64::from(display.1);
            (width.round() as u32, pixels.1)
        }
        // Centimetres and inches say nothing about pixels.
        _ => pixels,
    };
    Some(if is_turned { turned(size) } else { size })
}

fn rolls_a_quarter(source: &mut Source<'_>, projection: &Range<u64>) -> bool {
    let roll = elements(source, projection).find(|part| part.id == PROJECTION_POSE_ROLL);
    let degrees = roll.and_then(|roll| float(source, &roll.body));
    degrees.is_some_and(|degrees| (degrees.abs() - 90.0).abs() < 1.0)
}

/// The body of the last cluster, searched from the end of the file backwards.
fn last_cluster(source: &mut Source<'_>) -> Option<Range<u64>> {
    const ID: [u8; 4] = CLUSTER.to_be_bytes();
    const CRC_32: u32 = 0xBF;
    let end = source.len();
    let mut to = end;
    while to > 0 && end - to < TAIL {
        let from = to.saturating_sub(STEP);
        // The id may cross the border of two steps.
        let piece = source.up_to(from, to - from + ID.len() as u64 - 1)?;
        for at in memchr::memmem::find_iter(&piece, &ID).collect::<Vec<_>>().into_iter().rev() {
            let cluster = elements(source, &(from + at as u64..end)).next();
            // Any bytes can look like an id: the time comes first in a cluster.
            let is_cluster = cluster.as_ref().and_then(|cluster| elements(source, &cluster.body).next());
            if is_cluster.is_some_and(|first| matches!(first.id, TIMESTAMP | CRC_32)) {
                return cluster.map(|cluster| cluster.body);
            }
        }
        to = from;
    }
    None
}

/// The time of the last block, in units of time.
fn last_timestamp(source: &mut Source<'_>) -> Option<f64> {
    let cluster = last_cluster(source)?;
    let mut start = 0;
    let mut latest = 0;
    let parts: Vec<Element> = elements(source, &cluster).collect();
    if source.is_spent() {
        return None;
    }
    for part in parts {
        match part.id {
            TIMESTAMP => start = unsigned(source, &part.body)?,
            SIMPLE_BLOCK => latest = latest.max(block_time(source, &part.body).unwrap_or(0)),
            BLOCK_GROUP => {
                let block = elements(source, &part.body).find(|inner| inner.id == BLOCK);
                latest = latest.max(block.and_then(|block| block_time(source, &block.body)).unwrap_or(0));
            }
            _ => {}
        }
    }
    Some(start as f64 + f64::from(latest))
}

/// A block's time after its cluster's, which follows the track's number.
fn block_time(source: &mut Source<'_>, block: &Range<u64>) -> Option<i16> {
    let head = source.up_to(block.start, 10)?;
    let (_, length) = vint(&head, false)?;
    Some(i16::from_be_bytes([*head.get(length)?, *head.get(length + 1)?]))
}

fn unsigned(source: &mut Source<'_>, body: &Range<u64>) -> Option<u64> {
    let bytes = source.up_to(body.start, (body.end - body.start).min(8))?;
    Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn float(source: &mut Source<'_>, body: &Range<u64>) -> Option<f64> {
    let bytes = source.up_to(body.start, (body.end - body.start).min(8))?;
    match bytes.len() {
        4 => Some(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}
