//! Segments, and the data of scans: bytes in which 0xFF is followed by 0 where it is data, cut by restart markers
//! (T.81, B.1.1). Never reads a code.

use memchr::memchr;

/// The marker at `at` with its content. Nothing but filling stands between segments.
pub(super) fn segment(bytes: &[u8], mut at: usize) -> Option<(u8, &[u8])> {
    while bytes.get(at..at + 2)? == [0xFF, 0xFF] {
        at += 1;
    }
    let (0xFF, marker) = (*bytes.get(at)?, *bytes.get(at + 1)?) else { return None };
    let length = usize::from(be16(bytes, at + 2)?);
    Some((marker, bytes.get(at + 4..at + 2 + length)?))
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A scan's data without stuffing.
pub(super) struct Scan {
    bytes: Vec<u8>,
    /// Where each piece between restarts ends in `bytes`.
    piece_ends: Vec<usize>,
    /// Where the scan ends in the file: at the next marker or at the end.
    pub(super) end: usize,
}

/// What stands at a byte of 0xFF.
enum Mark {
    Data,
    Restart,
    Filling,
    Marker,
}

fn mark(file: &[u8], at: usize) -> Mark {
    match file.get(at + 1) {
        Some(0) => Mark::Data,
        Some(0xD0..=0xD7) => Mark::Restart,
        Some(0xFF) => Mark::Filling,
        _ => Mark::Marker,
    }
}

impl Scan {
    /// The data that start at `at`.
    pub(super) fn unstuffed(file: &[u8], mut at: usize) -> Self {
        let mut bytes = Vec::with_capacity(file.len().saturating_sub(at));
        let mut piece_ends = Vec::new();
        while let Some(run) = file.get(at..).and_then(|rest| memchr(0xFF, rest)) {
            bytes.extend_from_slice(&file[at..at + run]);
            at += run;
            match mark(file, at) {
                Mark::Data => bytes.push(0xFF),
                Mark::Restart => piece_ends.push(bytes.len()),
                Mark::Filling => at -= 1,
                Mark::Marker => break,
            }
            at += 2;
        }
        piece_ends.push(bytes.len());
        Self { bytes, piece_ends, end: at }
    }

    /// Where the data that start at `at` end.
    pub(super) fn end(file: &[u8], mut at: usize) -> usize {
        while let Some(run) = file.get(at..).and_then(|rest| memchr(0xFF, rest)) {
            at += run;
            match mark(file, at) {
                Mark::Data | Mark::Restart => at += 2,
                Mark::Filling => at += 1,
                Mark::Marker => break,
            }
        }
        at
    }

    /// The pieces between restarts.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.piece_ends.iter().map(move |end| {
            let piece = &self.bytes[start..*end];
            start = *end;
            piece
        })
    }
}
