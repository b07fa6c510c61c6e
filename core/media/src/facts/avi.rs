//! Facts of AVI files: the main header and those of the streams are at the start.

use super::Facts;
use crate::source::Source;
use crate::tracks::{AudioCodec, Tracks};

/// How much of the start is searched for headers, in bytes: some writers leave room for an index in each of them.
const HEADERS: u64 = 64 << 10;

/// Size and length of a video.
pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let head = source.up_to(0, HEADERS)?;
    let end = find(&head, b"movi").unwrap_or(head.len());
    let headers = head.get(..end)?;
    let main = headers.get(find(headers, b"avih")? + CHUNK_HEADER..)?;
    let (width, height) = displayed(headers, (le32(main, 32)?, le32(main, 36)?));
    // Each frame has a header of its own, so a file cannot have more of them than it has room for.
    let most = source.len() / CHUNK_HEADER as u64;
    let by_frames = || {
        let frames = le32(main, 16).filter(|frames| u64::from(*frames) <= most)?;
        Some(f64::from(le32(main, 0)?) * f64::from(frames) / 1e6)
    };
    let seconds = longest_stream(headers, most).or_else(by_frames);
    let is_audio_alone = has_stream(headers, b"auds") && !has_stream(headers, b"vids");
    let tracks = Tracks { audio: Some(AudioCodec::Other), ..Tracks::default() };
    Some(Facts::of_thumbnail(width, height).lasting(seconds).made_of(is_audio_alone.then_some(tracks)))
}

/// In square samples, by the aspect ratio of the whole frame in the video properties header, if there is one.
fn displayed(headers: &[u8], (width, height): (u32, u32)) -> (u32, u32) {
    let shape = || {
        let properties = headers.get(find(headers, b"vprp")? + CHUNK_HEADER..)?;
        let shape = le32(properties, 20)?;
        Some((shape >> 16, shape & 0xFFFF)).filter(|(across, down)| *across > 0 && *down > 0)
    };
    let Some((across, down)) = shape() else { return (width, height) };
    ((f64::from(height) * f64::from(across) / f64::from(down)).round() as u32, height)
}

/// The length of the longest stream in seconds, which also counts the part beyond the first 2 GiB.
/// `None` where one of them is not written down: what was written to a pipe has a number that no file can have.
fn longest_stream(headers: &[u8], most: u64) -> Option<f64> {
    let mut longest: Option<f64> = None;
    let mut rest = headers;
    while let Some(at) = find(rest, b"strh") {
        rest = rest.get(at + CHUNK_HEADER..)?;
        let (scale, rate, length) = (le32(rest, 20)?, le32(rest, 24)?, le32(rest, 32)?);
        if matches!(rest.get(..4)?, b"vids" | b"auds") && rate > 0 {
            let (unit, length_in_units) = (le32(rest, 44)?, u64::from(length));
            // A stream of frames has no unit, one of samples has that of a sample.
            let is_known = match unit {
                0 => length_in_units <= most,
                bytes => length_in_units <= most * CHUNK_HEADER as u64 / u64::from(bytes),
            };
            if length == 0 || !is_known {
                return None;
            }
            let seconds = f64::from(length) * f64::from(scale) / f64::from(rate);
            longest = Some(longest.map_or(seconds, |so_far| so_far.max(seconds)));
        }
    }
    longest
}

/// Whether there is a stream of this kind.
fn has_stream(headers: &[u8], kind: &[u8; 4]) -> bool {
    memchr::memmem::find_iter(headers, b"strh")
        .any(|at| headers.get(at + CHUNK_HEADER..at + CHUNK_HEADER + 4) == Some(kind))
}

/// A chunk's mark and its size.
const CHUNK_HEADER: usize = 8;

/// The position of `mark`.
fn find(bytes: &[u8], mark: &[u8; 4]) -> Option<usize> {
    memchr::memmem::find(bytes, mark)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
