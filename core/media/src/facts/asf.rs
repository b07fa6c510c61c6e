//! Facts of Windows Media files (Advanced Systems Format): their length, and whether they hold audio alone.
//! The worker reads their size: the file states it in several places, which do not always agree.

use super::Facts;
use crate::source::Source;
use crate::tracks::{AudioCodec, Tracks};

const FILE_PROPERTIES: [u8; 16] = *b"\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65";
const STREAM_PROPERTIES: [u8; 16] = *b"\x91\x07\xDC\xB7\xB7\xA9\xCF\x11\x8E\xE6\x00\xC0\x0C\x20\x53\x65";
const HEADER_EXTENSION: [u8; 16] = *b"\xB5\x03\xBF\x5F\x2E\xA9\xCF\x11\x8E\xE3\x00\xC0\x0C\x20\x53\x65";
const AUDIO: [u8; 16] = *b"\x40\x9E\x69\xF8\x4D\x5B\xCF\x11\xA8\xFD\x00\x80\x5F\x5C\x44\x2B";

/// Most objects of the header that are looked at.
const MAX_OBJECTS: usize = 256;
/// How much of the header's extension is searched for streams, in bytes.
const MAX_EXTENSION: u64 = 1 << 20;

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let head: [u8; 30] = source.bytes(0)?;
    let end = u64::from_le_bytes(head[16..24].try_into().ok()?).min(source.len());
    let (mut seconds, mut audio, mut others, mut at) = (None, 0, 0, 30);
    for _ in 0..MAX_OBJECTS {
        if at + 24 > end {
            break;
        }
        let head: [u8; 24] = source.bytes(at)?;
        let size = u64::from_le_bytes(head[16..].try_into().ok()?);
        let body = at + 24;
        match head.first_chunk::<16>()? {
            kind if *kind == FILE_PROPERTIES => seconds = length(source.bytes(body)?),
            kind if *kind == STREAM_PROPERTIES => match source.bytes::<16>(body)? {
                AUDIO => audio += 1,
                _ => others += 1,
            },
            kind if *kind == HEADER_EXTENSION => others += hidden_streams(source, body, size)?,
            _ => {}
        }
        at = at.checked_add(size.max(24))?;
    }
    let tracks = Tracks { audio: Some(AudioCodec::Other), ..Tracks::default() };
    let facts = Facts::default().lasting(seconds);
    Some(if audio > 0 && others == 0 { facts.made_of(Some(tracks)) } else { facts })
}

/// The time from the first to the last packet, less what a player waits before it starts; not known of a live stream.
fn length(properties: [u8; 68]) -> Option<f64> {
    const IS_LIVE: u8 = 1;
    let le64 = |at: usize| Some(u64::from_le_bytes(properties.get(at..at + 8)?.try_into().ok()?));
    let (duration, wait) = (le64(40)? as f64 / 1e7, le64(56)? as f64 / 1e3);
    (properties[64] & IS_LIVE == 0).then_some(duration - wait)
}

/// How many streams other than audio are described within the extension.
fn hidden_streams(source: &mut Source<'_>, body: u64, size: u64) -> Option<usize> {
    let content = source.up_to(body, size.min(MAX_EXTENSION))?;
    let streams = memchr::memmem::find_iter(&content, &STREAM_PROPERTIES);
    Some(streams.filter(|at| content.get(at + 24..at + 40) != Some(&AUDIO[..])).count())
}
