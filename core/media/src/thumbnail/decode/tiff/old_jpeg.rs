//! JPEG in a TIFF as it was before 1995 (TIFF 6.0, section 22): either a whole file somewhere, or tables of numbers in
//! the directory and bare scans in the strips.

use super::samples::Shape;
use crate::ifd::Directory;
use crate::source::Source;

/// What the directory says.
#[derive(Debug, Default)]
pub(super) struct OldJpeg {
    /// A whole file, or the beginning of one.
    pub(super) whole: Vec<u8>,
    /// For each channel: how brightness is stepped, and the codes of DC and AC.
    steps: Vec<Vec<u8>>,
    dc: Vec<Vec<u8>>,
    ac: Vec<Vec<u8>>,
    subsampling: (u8, u8),
}

impl OldJpeg {
    pub(super) fn read(
        source: &mut Source<'_>,
        directory: &Directory,
        subsampling: (usize, usize),
        most: u64,
    ) -> Option<Self> {
        const STEPS: u64 = 64;
        let mut old = Self { subsampling: (subsampling.0 as u8, subsampling.1 as u8), ..Self::default() };
        if let Some(start) = directory.number(source, 513) {
            let length = directory.number(source, 514).filter(|length| *length > 0);
            old.whole = source.up_to(start, length.unwrap_or(most).min(most))?;
        }
        for start in directory.numbers(source, 519, 4).unwrap_or_default() {
            old.steps.push(source.up_to(start, STEPS)?);
        }
        for (tag, is_dc) in [(520, true), (521, false)] {
            for start in directory.numbers(source, tag, 4).unwrap_or_default() {
                let counts: [u8; 16] = source.bytes(start)?;
                let codes = counts.iter().map(|count| u64::from(*count)).sum::<u64>();
                let table = source.up_to(start, 16 + codes)?;
                if is_dc { old.dc.push(table) } else { old.ac.push(table) }
            }
        }
        Some(old)
    }

    /// Whether the file has its image, or only what comes before that and is continued in the strips.
    pub(super) fn has_codes(&self) -> bool {
        const MARKER: usize = 2;
        let mut at = MARKER;
        while let Some([0xFF, marker, l1, l0]) = self.whole.get(at..).and_then(<[u8]>::first_chunk) {
            at += MARKER + usize::from(u16::from_be_bytes([*l1, *l0]));
            if *marker == 0xDA {
                return self.whole.len() > at + MARKER;
            }
        }
        false
    }

    /// A file of its own from a strip.
    pub(super) fn file(&self, strip: &[u8], shape: Shape) -> Option<Vec<u8>> {
        const START: &[u8] = b"\xFF\xD8";
        if strip.starts_with(START) {
            return Some(strip.to_vec());
        }
        if self.whole.starts_with(START) {
            return Some([&self.whole[..], strip, b"\xFF\xD9"].concat());
        }
        let channels = shape.channels as u8;
        let tables = self.steps.len().min(self.dc.len()).min(self.ac.len()) as u8;
        if tables == 0 || !matches!(channels, 1 | 3) {
            return None;
        }
        let mut file = START.to_vec();
        let mut segment = |marker: u8, content: &[u8]| {
            file.extend([0xFF, marker]);
            file.extend((content.len() as u16 + 2).to_be_bytes());
            file.extend(content);
        };
        for (index, steps) in (0u8..).zip(&self.steps) {
            segment(0xDB, &[&[index][..], steps].concat());
        }
        for (class, codes) in [(0u8, &self.dc), (0x10, &self.ac)] {
            for (index, codes) in (0u8..).zip(codes) {
                segment(0xC4, &[&[class | index][..], codes].concat());
            }
        }
        let (rows, width) = ((shape.rows as u16).to_be_bytes(), (shape.width as u16).to_be_bytes());
        let mut frame = vec![8, rows[0], rows[1], width[0], width[1], channels];
        let mut scan = vec![channels];
        for channel in 0..channels {
            let (across, down) = if channel == 0 && channels > 1 { self.subsampling } else { (1, 1) };
            let table = channel.min(tables - 1);
            frame.extend([channel + 1, across << 4 | down, table]);
            scan.extend([channel + 1, table << 4 | table]);
        }
        scan.extend([0, 63, 0]);
        segment(0xC0, &frame);
        segment(0xDA, &scan);
        file.extend(strip);
        file.extend(b"\xFF\xD9");
        Some(file)
    }
}
