//! Fax codes: ITU-T T.4 in one or two dimensions, T.6, and TIFF's own way without line ends (TIFF 6.0, section 10).
//! The `fax` crate reads the codes; its own decoders read neither T.4 in two dimensions nor lines without their ends.

use std::convert::Infallible;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

/// How lines are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs, each line from a new byte on.
    Runs,
    /// T.4, with a mark before each line.
    Group3 { is_two_dimensional: bool },
    /// T.6.
    Group4,
}

/// The places at which a line changes between white and black; it begins white.
type Line = Vec<usize>;

/// Decodes to one bit a pixel, black is 1, each row from a new byte on. What cannot be decoded stays white.
/// `None` if that is all.
pub(super) fn decode(codes: &[u8], width: usize, rows: usize, kind: Kind) -> Option<Vec<u8>> {
    // Codes are looked up by more bits than they have, so there must be some behind the last.
    let bytes = codes.iter().copied().chain([0; 8]).map(Ok::<u8, Infallible>);
    let mut reader = ByteReader::new(bytes).ok()?;
    let row_bytes = width.div_ceil(8);
    let mut data = vec![0; row_bytes * rows];
    let mut above = Line::new();
    let mut decoded = 0;
    for row in data.chunks_exact_mut(row_bytes) {
        let line = match kind {
            Kind::Runs => {
                let boundary = reader.bits_to_byte_boundary() & 7;
                let _ = reader.consume(boundary);
                one_dimension(&mut reader, width)
            }
            Kind::Group3 { is_two_dimensional } => {
                let has_mark = skip_line_mark(&mut reader);
                let is_plain = !is_two_dimensional || !has_mark || bit(&mut reader)? == 1;
                match is_plain {
                    true => one_dimension(&mut reader, width),
                    false => two_dimensions(&mut reader, &above, width),
                }
            }
            Kind::Group4 => two_dimensions(&mut reader, &above, width),
        };
        match line {
            Some(line) => {
                paint(&line, width, row);
                above = line;
                decoded += 1;
            }
            // The next mark is where T.4 can go on.
            None if matches!(kind, Kind::Group3 { .. }) => {
                if !to_line_mark(&mut reader) {
                    break;
                }
            }
            None => break,
        }
    }
    (decoded > 0).then_some(data)
}

fn bit(reader: &mut impl BitReader) -> Option<u16> {
    let bit = reader.peek(1)?;
    reader.consume(1).ok()?;
    Some(bit)
}

/// Passes over the mark of a line, eleven zeros or more and a one, if it is the next.
fn skip_line_mark(reader: &mut impl BitReader) -> bool {
    if reader.peek(11) != Some(0) {
        return false;
    }
    while let Some(next) = bit(reader) {
        if next == 1 {
            return true;
        }
    }
    false
}

/// Goes to the next mark of a line.
fn to_line_mark(reader: &mut impl BitReader) -> bool {
    while let Some(next) = reader.peek(11) {
        if next == 0 {
            return true;
        }
        if reader.consume(1).is_err() {
            break;
        }
    }
    false
}

/// The length of the next run: codes of 64 and more, and one below.
fn run(reader: &mut impl BitReader, is_black: bool) -> Option<usize> {
    const LONGEST: usize = 1 << 20;
    let mut length = 0;
    loop {
        let part = usize::from(if is_black { black::decode(reader)? } else { white::decode(reader)? });
        length += part;
        if part < 64 {
            return Some(length);
        }
        if length > LONGEST {
            return None;
        }
    }
}

fn one_dimension(reader: &mut impl BitReader, width: usize) -> Option<Line> {
    let (mut line, mut at, mut is_black) = (Line::new(), 0, false);
    while at < width {
        at = (at + run(reader, is_black)?).min(width);
        line.push(at);
        is_black = !is_black;
        // Runs of no length go back and forth.
        if line.len() > 2 * width + 2 {
            return None;
        }
    }
    Some(line)
}

/// A line as it differs from the one above (T.6, 2.2).
fn two_dimensions(reader: &mut impl BitReader, above: &[usize], width: usize) -> Option<Line> {
    let (mut line, mut is_black) = (Line::new(), false);
    // Where the line is decoded to; before its first pixel at first.
    let mut at: Option<usize> = None;
    let mut cursor = 0;
    while at.is_none_or(|at| at < width) {
        // The first change above that is to the other colour and is behind it.
        let is_behind = |change: usize| at.is_none_or(|at| change > at);
        while cursor > 0 && is_behind(above[cursor - 1]) {
            cursor -= 1;
        }
        while cursor < above.len() && (!is_behind(above[cursor]) || (cursor % 2 == 1) != is_black) {
            cursor += 1;
        }
        let change = |index: usize| above.get(index).copied().unwrap_or(width);
        match mode::decode(reader)? {
            Mode::Pass => at = Some(change(cursor + 1)),
            Mode::Vertical(difference) => {
                let next = change(cursor).checked_add_signed(isize::from(difference))?;
                if next > width || at.is_some_and(|at| next < at) {
                    return None;
                }
                line.push(next);
                at = Some(next);
                is_black = !is_black;
            }
            Mode::Horizontal => {
                let first = at.unwrap_or(0) + run(reader, is_black)?;
                let second = first + run(reader, !is_black)?;
                line.extend([first.min(width), second.min(width)]);
                at = Some(second.min(width));
            }
            Mode::Extension | Mode::EOF => return None,
        }
        if line.len() > 2 * width + 2 {
            return None;
        }
    }
    Some(line)
}

fn paint(line: &[usize], width: usize, row: &mut [u8]) {
    let mut changes = line.iter().copied();
    while let Some(start) = changes.next() {
        let end = changes.next().unwrap_or(width);
        for x in start..end.min(width) {
            row[x / 8] |= 0x80 >> (x % 8);
        }
    }
}
