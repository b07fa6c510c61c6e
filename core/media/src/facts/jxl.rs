//! The header of a JPEG XL (ISO 18181-1, annex D): size and how the image is to be turned.

use std::ops::Range;

use image::metadata::Orientation;

use crate::source::Source;

/// What an image begins with, bare or in its box.
pub(crate) const CODESTREAM: [u8; 2] = [0xFF, 0x0A];

/// Size before it is turned, and how it is turned.
pub(super) fn facts(source: &mut Source<'_>) -> Option<((u32, u32), Orientation)> {
    const HEADER: u64 = 32;
    let at = Parts::of(source)?.next(source)?.start;
    let header = source.up_to(at, HEADER)?;
    let mut bits = Bits { rest: header.strip_prefix(&CODESTREAM)?, used: 0 };
    let is_small = bits.flag()?;
    let side = |bits: &mut Bits<'_>| {
        if is_small {
            return Some((bits.take(5)? + 1) * 8);
        }
        let width = [9, 13, 18, 30][bits.take(2)? as usize];
        bits.take(width)?.checked_add(1)
    };
    let height = side(&mut bits)?;
    let width = match bits.take(3)? {
        0 => side(&mut bits)?,
        ratio => {
            let (above, below) =
                [(1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)][ratio as usize - 1];
            u32::try_from(u64::from(height) * above / below).ok()?
        }
    };
    let has_defaults = bits.flag()?;
    let has_more = !has_defaults && bits.flag()?;
    let orientation = if has_more { bits.take(3)? + 1 } else { 1 };
    Some(((width, height), Orientation::from_exif(orientation as u8)?))
}

/// Where the image is in a file: all of it, or in boxes among others.
pub(crate) struct Parts {
    next_box: Option<u64>,
    boxes: u32,
    is_bare: bool,
}

impl Parts {
    pub(crate) fn of(source: &mut Source<'_>) -> Option<Self> {
        let is_bare = source.bytes(0)? == CODESTREAM;
        Some(Self { next_box: Some(0), boxes: 0, is_bare })
    }

    /// The next part, with no end where only the end of the file is its end.
    pub(crate) fn next(&mut self, source: &mut Source<'_>) -> Option<Range<u64>> {
        const MAX_BOXES: u32 = 4096;
        if self.is_bare {
            return self.next_box.take().map(|start| start..u64::MAX);
        }
        while self.boxes < MAX_BOXES {
            self.boxes += 1;
            let at = self.next_box.take()?;
            let [s3, s2, s1, s0, kind @ ..] = source.bytes::<8>(at)?;
            let (size, head) = match u32::from_be_bytes([s3, s2, s1, s0]) {
                0 => (u64::MAX - at, 8),
                1 => (source.bytes(at + 8).map(u64::from_be_bytes)?, 16),
                size => (size.into(), 8),
            };
            let end = at.checked_add(size).filter(|_| size >= head)?;
            self.next_box = Some(end).filter(|end| *end < source.len());
            match &kind {
                b"jxlc" => return Some(at + head..end),
                // A number is before each of several parts.
                b"jxlp" => return Some(at + head + 4..end),
                _ => {}
            }
        }
        None
    }
}

/// Numbers of some bits, the lowest first.
struct Bits<'a> {
    rest: &'a [u8],
    used: u32,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.rest.get((self.used / 8) as usize)?;
            value |= u32::from(byte >> (self.used % 8) & 1) << bit;
            self.used += 1;
        }
        Some(value)
    }
}
