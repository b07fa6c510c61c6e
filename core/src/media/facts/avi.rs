//! Facts of AVI files: the main header and those of the streams stand at the start.

use super::Facts;
use crate::media::source::Source;

/// How much of the start is searched for headers, in bytes: some writers leave room for an index in each of them.
const HEADERS: u64 = 64 << 10;

/// Size and length of a film.
pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let head = source.up_to(0, HEADERS)?;
    let end = find(&head, b"movi").unwrap_or(head.len());
    let headers = head.get(..end)?;
    let main = headers.get(find(headers, b"avih")? + CHUNK_HEADER..)?;
    let (width, height) = displayed(headers, (le32(main, 32)?, le32(main, 36)?));
    let by_frames = || Some(f64::from(le32(main, 0)?) * f64::from(le32(main, 16)?) / 1e6);
    let seconds = longest_stream(headers).or_else(by_frames);
    Some(Facts::of_picture(width, height).lasting(seconds))
}

/// In square samples, by the shape of the whole picture that the video properties header tells, if there is one.
fn displayed(headers: &[u8], (width, height): (u32, u32)) -> (u32, u32) {
    let shape = || {
        let properties = headers.get(find(headers, b"vprp")? + CHUNK_HEADER..)?;
        let shape = le32(properties, 20)?;
        Some((shape >> 16, shape & 0xFFFF)).filter(|(across, down)| *across > 0 && *down > 0)
    };
    let Some((across, down)) = shape() else { return (width, height) };
    ((f64::from(height) * f64::from(across) / f64::from(down)).round() as u32, height)
}

/// The length of the longest stream in seconds, which also counts what lies beyond the first 2 GiB.
fn longest_stream(headers: &[u8]) -> Option<f64> {
    let mut longest: Option<f64> = None;
    let mut rest = headers;
    while let Some(at) = find(rest, b"strh") {
        rest = rest.get(at + CHUNK_HEADER..)?;
        let (scale, rate, length) = (le32(rest, 20)?, le32(rest, 24)?, le32(rest, 32)?);
        if matches!(rest.get(..4)?, b"vids" | b"auds") && rate > 0 {
            let seconds = f64::from(length) * f64::from(scale) / f64::from(rate);
            longest = Some(longest.map_or(seconds, |so_far| so_far.max(seconds)));
        }
    }
    longest
}

/// A chunk's mark and its size.
const CHUNK_HEADER: usize = 8;

/// Where `mark` stands.
fn find(bytes: &[u8], mark: &[u8; 4]) -> Option<usize> {
    memchr::memmem::find(bytes, mark)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
