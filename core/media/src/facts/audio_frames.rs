//! Length of MP3, MP2 and AAC in ADTS, which are frames one after another: by the table of contents in the first frame,
//! by counting all frames of a small file, or by size where samples of a large file all have one bit rate.
//! Own code, because libraries take the first frame's bit rate for that of the whole file.

use super::Facts;
use crate::mpeg_audio::{Codec, Frame, HEADER, frame, id3_length};
use crate::source::Source;

/// Files up to this size are counted whole, in bytes.
const COUNTED: u64 = 4 << 20;
/// How many places of a larger file are looked at.
const PLACES: u64 = 32;
/// How much is read at each of them, in bytes: more than two frames of any kind.
const AT_EACH: u64 = 16 << 10;
/// How far behind tags the first frame may be, in bytes.
const JUNK: u64 = 64 << 10;

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let start = behind_tags(source);
    let window = source.up_to(start, JUNK)?;
    let (skipped, first) = first_frame(&window)?;
    let frames = start + skipped as u64..source.len();
    let stated = if first.codec == Codec::Mpeg { contents(&window[skipped..], &first) } else { None };
    let seconds = match stated {
        Some(count) => {
            let ticks = f64::from(count) * f64::from(first.samples);
            Some(ticks / f64::from(first.hertz)).filter(|_| u64::from(count) <= source.len() / 8)
        }
        None if frames.end - frames.start <= COUNTED => counted(&source.up_to(frames.start, COUNTED)?),
        None => by_bit_rate(source, frames.start, &first),
    };
    Some(Facts::default().lasting(seconds))
}

/// Where the last of the ID3v2 tags ends that the file starts with.
fn behind_tags(source: &mut Source<'_>) -> u64 {
    const MAX_TAGS: usize = 8;
    let mut at = 0;
    for _ in 0..MAX_TAGS {
        match source.bytes::<10>(at).and_then(|head| id3_length(&head)) {
            Some(length) => at += length,
            None => break,
        }
    }
    at
}

/// The first frame that another of its kind follows, and the number of bytes before it.
fn first_frame(bytes: &[u8]) -> Option<(usize, Frame)> {
    let starts = memchr::memchr_iter(0xFF, bytes).filter_map(|at| Some((at, frame(&bytes[at..])?)));
    let mut found = starts.filter(|(at, first)| match bytes.get(at + first.length..) {
        Some(next) if next.len() >= HEADER => frame(next).is_some_and(|next| next.codec == first.codec),
        rest => rest.is_some_and(<[u8]>::is_empty),
    });
    found.next()
}

/// How many frames follow, if the first frame is no audio but a table of contents (Xing, Info, VBRI).
fn contents(first: &[u8], header: &Frame) -> Option<u32> {
    const VBRI_AT: usize = 36;
    const HAS_FRAMES: u8 = 1;
    let be32 = |at: usize| Some(u32::from_be_bytes(first.get(at..at + 4)?.try_into().ok()?));
    let xing = 4 + header.side_information;
    let count = match (first.get(xing..xing + 4)?, first.get(VBRI_AT..VBRI_AT + 4)?) {
        (b"Xing" | b"Info", _) if first.get(xing + 7)? & HAS_FRAMES != 0 => be32(xing + 8)?,
        (_, b"VBRI") => be32(VBRI_AT + 14)?,
        _ => return None,
    };
    (count > 0).then_some(count)
}

/// The sum of all frames, whatever is between them.
fn counted(bytes: &[u8]) -> Option<f64> {
    let (mut at, first) = first_frame(bytes)?;
    let mut ticks = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
        match frame(rest).filter(|found| found.codec == first.codec) {
            Some(found) => {
                ticks += u64::from(found.samples);
                at += found.length;
            }
            None => match first_frame(rest) {
                Some((skipped, _)) => at += skipped.max(1),
                None => break,
            },
        }
    }
    Some(ticks as f64 / f64::from(first.hertz))
}

/// By size, if frames all over the file have the bit rate of the first; the worker counts the frames of all others.
fn by_bit_rate(source: &mut Source<'_>, start: u64, first: &Frame) -> Option<f64> {
    let per_second = first.bytes_per_second?;
    let size = source.len() - start;
    for place in 0..PLACES {
        let bytes = source.up_to(start + (size - AT_EACH) / PLACES * place, AT_EACH)?;
        let (_, found) = first_frame(&bytes)?;
        if found.bytes_per_second != Some(per_second) || found.hertz != first.hertz {
            return None;
        }
    }
    Some(size as f64 / f64::from(per_second))
}
