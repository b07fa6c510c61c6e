//! Segments, and the data of scans: bytes in which 0xFF is followed by 0 where it is data, cut by restart markers
//! (T.81, B.1.1). Never reads a code.

use memchr::memchr;

/// The marker at `at` with its content. There are only fill bytes between segments.
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
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    /// Where each piece between restarts ends in `bytes`.
    piece_ends: Vec<usize>,
    /// Where the scan ends in the file: at the next marker or at the end.
    pub(super) end: usize,
}

/// The meaning of a byte of 0xFF.
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

impl<'a> Scan<'a> {
    /// The data that start at `at`, moved together where they are: a second copy would be as large as the file.
    pub(super) fn unstuffed(file: &'a mut [u8], mut at: usize) -> Self {
        let start = at.min(file.len());
        let mut end = start;
        let mut piece_ends = Vec::new();
        while let Some(run) = file.get(at..).and_then(|rest| memchr(0xFF, rest)) {
            file.copy_within(at..at + run, end);
            (at, end) = (at + run, end + run);
            match mark(file, at) {
                Mark::Data => {
                    file[end] = 0xFF;
                    (at, end) = (at + 2, end + 1);
                }
                Mark::Restart => {
                    piece_ends.push(end - start);
                    at += 2;
                }
                Mark::Filling => at += 1,
                Mark::Marker => break,
            }
        }
        piece_ends.push(end - start);
        Self { bytes: &file[start..end], piece_ends, end: at }
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
    pub(super) fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, mut start) = (self.bytes, 0);
        self.piece_ends.iter().map(move |end| {
            let piece = &bytes[start..*end];
            start = *end;
            piece
        })
    }
}
