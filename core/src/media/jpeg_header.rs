//! The header before the first scan of a JPEG (ITU T.81): size, orientation, colour profile.
//! Own code, because the decoders either hold the whole file or do not return the metadata.

use std::io::{Read, Seek, SeekFrom};

use image::metadata::Orientation;

/// What a JPEG says before its pixels.
pub(super) struct JpegHeader {
    /// Width and height in pixels as stored.
    pub(super) size: (u32, u32),
    /// How the pixels are to be turned.
    pub(super) orientation: Orientation,
    /// The ICC profile, if there is one.
    pub(super) icc: Option<Vec<u8>>,
    /// Written by Adobe's programs, which store CMYK inverted.
    pub(super) is_adobe: bool,
    /// Coded in scans that each refine the whole image.
    pub(super) is_progressive: bool,
    /// Coded without loss, as raw data of sensors are.
    pub(super) is_lossless: bool,
}

/// Largest colour profile that is kept, in bytes; CMYK profiles have about half a megabyte.
const MAX_ICC: usize = 4 << 20;
/// Most bytes between segments that are passed over, as browsers do.
const MAX_STRAY: u64 = 1 << 20;

impl JpegHeader {
    /// Reads up to the first scan. `None` if there is no frame header before it.
    pub(super) fn read(mut from: impl Read + Seek) -> Option<Self> {
        let mut header = Self {
            size: (0, 0),
            orientation: Orientation::NoTransforms,
            icc: None,
            is_adobe: false,
            is_progressive: false,
            is_lossless: false,
        };
        let mut icc = Profile::default();
        let mut at = 2;
        loop {
            let marker = next_marker(&mut from, &mut at)?;
            if matches!(marker, 0x01 | 0xD0..=0xD8) {
                continue;
            }
            if matches!(marker, 0xDA | 0xD9) {
                break;
            }
            let length = u64::from(u16::from_be_bytes(exactly(&mut from)?));
            at += length;
            match marker {
                _ if length < 2 => return None,
                // Start of frame in any coding, but not the tables and the extension that share its range.
                0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                    let [_, h1, h0, w1, w0] = exactly(&mut from)?;
                    header.size = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
                    header.is_progressive = marker & 3 == 2;
                    header.is_lossless = marker & 3 == 3;
                }
                0xE1 | 0xE2 | 0xEE => header.metadata(&content(&mut from, length - 2)?, marker, &mut icc),
                _ => {}
            }
        }
        header.icc = icc.whole();
        (header.size.0 > 0).then_some(header)
    }

    fn metadata(&mut self, content: &[u8], marker: u8, icc: &mut Profile) {
        const EXIF: &[u8] = b"Exif\0\0";
        const ICC: &[u8] = b"ICC_PROFILE\0";
        match marker {
            0xE1 => {
                let exif = content.strip_prefix(EXIF).and_then(Orientation::from_exif_chunk);
                self.orientation = exif.unwrap_or(self.orientation);
            }
            0xE2 => {
                if let Some([number, count, part @ ..]) = content.strip_prefix(ICC) {
                    icc.add(*number, *count, part);
                }
            }
            _ => self.is_adobe = content.starts_with(b"Adobe"),
        }
    }
}

/// A colour profile as it comes: in parts that say their number, from 1, and how many there are (ICC.1, B.4).
#[derive(Default)]
struct Profile {
    parts: Vec<(u8, Vec<u8>)>,
    length: usize,
    is_wrong: bool,
}

impl Profile {
    fn add(&mut self, number: u8, count: u8, part: &[u8]) {
        self.length += part.len();
        let is_known = self.parts.iter().any(|(known, _)| *known == number);
        self.is_wrong |= is_known || !(1..=count).contains(&number) || self.length > MAX_ICC;
        if !self.is_wrong {
            self.parts.push((number, part.to_vec()));
        }
    }

    /// `None` where there is none, and where its parts do not fit together: it is ignored then, as browsers do.
    fn whole(mut self) -> Option<Vec<u8>> {
        self.parts.sort_unstable();
        let is_whole = self.parts.last().is_some_and(|(last, _)| usize::from(*last) == self.parts.len());
        (is_whole && !self.is_wrong && self.length > 0)
            .then(|| self.parts.into_iter().flat_map(|(_, part)| part).collect())
    }
}

/// The marker at `at` or behind it, with `at` and the reader set behind the marker. Other bytes are passed over.
fn next_marker(from: &mut (impl Read + Seek), at: &mut u64) -> Option<u8> {
    from.seek(SeekFrom::Start(*at)).ok()?;
    let [mark, marker] = exactly(from)?;
    if mark == 0xFF && !matches!(marker, 0 | 0xFF) {
        *at += 2;
        return Some(marker);
    }
    from.seek(SeekFrom::Start(*at)).ok()?;
    let stray = content(from, MAX_STRAY)?;
    let found = marker_in(&stray)?;
    *at += found as u64 + 2;
    from.seek(SeekFrom::Start(*at)).ok()?;
    Some(stray[found + 1])
}

/// Where the next marker is.
pub(super) fn marker_in(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF))
}

fn exactly<const N: usize>(from: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn content(from: &mut (impl Read + ?Sized), length: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
