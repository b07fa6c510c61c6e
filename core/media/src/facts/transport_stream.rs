//! Whether an MPEG transport stream (ISO 13818-1) holds audio alone, by its tables of programs.
//! The worker reads everything else about one.

use super::Facts;
use crate::sniff::transport_packets;
use crate::source::Source;
use crate::tracks::{AudioCodec, Tracks};

/// How much of the start is searched for the tables, in bytes: they are repeated ten times a second.
const SEARCHED: u64 = 512 << 10;

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let bytes = source.up_to(0, SEARCHED)?;
    let (start, size) = transport_packets(&bytes)?;
    let packets = || bytes.get(start..).unwrap_or_default().chunks(size).filter_map(Packet::parse);
    let programs = packets().filter(|packet| packet.id == 0).find_map(|packet| programs(packet.section?))?;
    let mut kinds = Vec::new();
    for program in programs {
        let table = packets().filter(|packet| packet.id == program);
        kinds.extend(table.filter_map(|packet| streams(packet.section?)).next()?);
    }
    let is_audio_alone = kinds.contains(&Kind::Audio) && !kinds.contains(&Kind::Other);
    let tracks = Tracks { audio: Some(AudioCodec::Other), ..Tracks::default() };
    Some(Facts::default().made_of(is_audio_alone.then_some(tracks)))
}

struct Packet<'a> {
    id: u16,
    /// What follows a table's header, if a table starts in the packet.
    section: Option<&'a [u8]>,
}

impl<'a> Packet<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let &[0x47, p1, p0, flags, ..] = bytes else { return None };
        let id = u16::from(p1 & 0x1F) << 8 | u16::from(p0);
        let adaptation = if flags & 0x20 == 0 { 0 } else { 1 + usize::from(*bytes.get(4)?) };
        let payload = bytes.get(4 + adaptation..188).unwrap_or_default();
        let starts = p1 & 0x40 != 0;
        let pointer = payload.first().map_or(0, |pointer| usize::from(*pointer));
        Some(Self { id, section: payload.get(1 + pointer..).filter(|_| starts) })
    }
}

/// The body of a table in `section`, between its header and its checksum; only one that is within one packet.
fn body(section: &[u8], table: u8, header: usize) -> Option<&[u8]> {
    let &[found, l1, l0, ..] = section else { return None };
    let length = usize::from(l1 & 0x0F) << 8 | usize::from(l0);
    const CHECKSUM: usize = 4;
    if found == table { section.get(header..(3 + length).checked_sub(CHECKSUM)?) } else { None }
}

/// The packets' ids of the programs' tables.
fn programs(section: &[u8]) -> Option<Vec<u16>> {
    let entries = body(section, 0, 8)?.as_chunks::<4>().0.iter();
    // Program 0 is the network's.
    let programs = entries.filter(|entry| entry[..2] != [0, 0]);
    Some(programs.map(|[_, _, p1, p0]| u16::from(p1 & 0x1F) << 8 | u16::from(*p0)).collect())
}

#[derive(PartialEq, Eq)]
enum Kind {
    Audio,
    /// Neither video nor audio: subtitles, tags.
    Text,
    Other,
}

/// What the streams of a program are.
fn streams(section: &[u8]) -> Option<Vec<Kind>> {
    let body = body(section, 2, 12)?;
    let own = usize::from(section.get(10)? & 0x0F) << 8 | usize::from(*section.get(11)?);
    let mut rest = body.get(own..)?;
    let mut kinds = Vec::new();
    while let &[kind, _, _, l1, l0, ref tail @ ..] = rest {
        let length = usize::from(l1 & 0x0F) << 8 | usize::from(l0);
        kinds.push(stream(kind, tail.get(..length)?));
        rest = &tail[length..];
    }
    Some(kinds)
}

fn stream(kind: u8, descriptors: &[u8]) -> Kind {
    const PRIVATE: u8 = 6;
    match kind {
        // MPEG audio, AAC, AC-3, DTS and their variants (ISO 13818-1, table 2-34; ATSC A/53; Blu-ray).
        0x03 | 0x04 | 0x0F | 0x11 | 0x1C | 0x81..=0x87 => Kind::Audio,
        0x05 | 0x15 => Kind::Text,
        PRIVATE => private(descriptors),
        _ => Kind::Other,
    }
}

/// What a private stream is, by its descriptors (ETSI EN 300 468, 6.1).
fn private(mut descriptors: &[u8]) -> Kind {
    while let &[tag, length, ref rest @ ..] = descriptors {
        let Some(content) = rest.get(..usize::from(length)) else { break };
        match (tag, content) {
            (0x6A | 0x7A..=0x7C, _) | (0x05, b"Opus" | b"AC-3" | b"EAC3" | b"DTS1" | b"BSSD") => {
                return Kind::Audio;
            }
            (0x56 | 0x59, _) => return Kind::Text,
            _ => {}
        }
        descriptors = &rest[usize::from(length)..];
    }
    Kind::Other
}
