//! The directories of a TIFF (TIFF 6.0, section 2), of BigTIFF, and of the raw formats that are made like one.
//! Invariant: a directory, a list of numbers and a run of bytes are only read within a bound.
//! Never reads pixels.

use super::source::Source;

/// Most entries of a directory that are read; real ones have fewer than 200.
const MAX_ENTRIES: u64 = 1000;

/// How the numbers of a file are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directories {
    /// Where offsets count from.
    base: u64,
    pub(super) is_big_endian: bool,
    /// Offsets of eight bytes: BigTIFF.
    is_wide: bool,
    /// Where the first directory is, from `base`.
    pub(super) first: u64,
}

/// A directory, and where the next one is; 0 if there is none.
#[derive(Debug)]
pub(super) struct Directory {
    format: Directories,
    entries: Vec<Entry>,
    pub(super) next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where its values are in the file.
    place: u64,
}

impl Entry {
    const fn width(&self) -> u64 {
        match self.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 0,
        }
    }
}

impl Directories {
    /// Of the header at `base`. Its version is not looked at, but for BigTIFF's: raw formats have their own.
    pub(super) fn open(source: &mut Source<'_>, base: u64) -> Option<Self> {
        const WIDE: u64 = 43;
        let [o1, o2, version @ ..] = source.bytes::<8>(base)?;
        let is_big_endian = match &[o1, o2] {
            b"II" => false,
            b"MM" => true,
            _ => return None,
        };
        let format = Self { base, is_big_endian, is_wide: false, first: 0 };
        let is_wide = format.number(&version[..2]) == WIDE;
        let first =
            if is_wide { format.number(&source.bytes::<8>(base + 8)?) } else { format.number(&version[2..]) };
        Some(Self { is_wide, first, ..format })
    }

    /// A directory whose offsets count from `base`, as makers' notes have it.
    pub(super) const fn based_at(self, base: u64) -> Self {
        Self { base, ..self }
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    /// The directory at an offset.
    pub(super) fn read(self, source: &mut Source<'_>, at: u64) -> Option<Directory> {
        let (count_width, entry_width, word) = if self.is_wide { (8, 20, 8) } else { (2, 12, 4) };
        let at = self.base.checked_add(at)?;
        let count = self.number(&source.up_to(at, count_width)?);
        let start = at.checked_add(count_width)?;
        let kept = count.min(MAX_ENTRIES);
        let wanted = kept * entry_width + word;
        let bytes = source.up_to(start, wanted)?;
        let mut entries = Vec::new();
        for (index, entry) in (0..kept).zip(bytes.chunks_exact(entry_width as usize)) {
            let field = start + index * entry_width + entry_width - word;
            let (head, value) = entry.split_at((entry_width - word) as usize);
            let mut entry = Entry {
                tag: self.number(&head[..2]) as u16,
                kind: self.number(&head[2..4]) as u16,
                count: self.number(&head[4..]),
                place: field,
            };
            if entry.width().checked_mul(entry.count)? > word {
                entry.place = self.base.checked_add(self.number(value))?;
            }
            entries.push(entry);
        }
        let next = bytes.get((kept * entry_width) as usize..).unwrap_or_default();
        let next = if kept == count && next.len() as u64 == word { self.number(next) } else { 0 };
        Some(Directory { format: self, entries, next })
    }
}

impl Directory {
    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Whether it has an entry.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// Where the values of an entry are in the file, and how many bytes they take.
    pub(super) fn place(&self, tag: u16) -> Option<(u64, u64)> {
        let entry = self.entry(tag)?;
        Some((entry.place, entry.width().checked_mul(entry.count)?))
    }

    /// The values of an entry as whole numbers, at most `most`; fractions are rounded. `None` if there are more.
    pub(super) fn numbers(&self, source: &mut Source<'_>, tag: u16, most: u64) -> Option<Vec<u64>> {
        let entry = self.entry(tag).filter(|entry| entry.count <= most && entry.width() > 0)?;
        let width = entry.width() as usize;
        let bytes = source.up_to(entry.place, entry.width() * entry.count)?;
        let number = |value: &[u8]| match entry.kind {
            5 | 10 => {
                let (above, below) = value.split_at(4);
                let (above, below) = (self.format.number(above), self.format.number(below));
                (above + below / 2).checked_div(below).unwrap_or(0)
            }
            _ => self.format.number(value),
        };
        let values: Vec<u64> = bytes.chunks_exact(width).map(number).collect();
        (values.len() as u64 == entry.count && !values.is_empty()).then_some(values)
    }

    /// The first value of an entry.
    pub(super) fn number(&self, source: &mut Source<'_>, tag: u16) -> Option<u64> {
        let entry = self.entry(tag)?;
        let first = Entry { count: entry.count.min(1), ..*entry };
        let only = Self { format: self.format, entries: vec![first], next: 0 };
        only.numbers(source, tag, 1)?.first().copied()
    }

    /// The bytes of an entry, at most `most`. `None` if there are more.
    pub(super) fn bytes(&self, source: &mut Source<'_>, tag: u16, most: u64) -> Option<Vec<u8>> {
        let (place, length) = self.place(tag)?;
        if length > most {
            return None;
        }
        source.up_to(place, length)
    }
}
