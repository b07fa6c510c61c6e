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
    /// Bytes that a decoder for every kind needs for the whole image: for its coefficients where they come in several
    /// scans, for its pixels where it has none.
    pub(super) decoder_bytes: u64,
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
            decoder_bytes: 0,
            is_lossless: false,
        };
        let mut icc = Profile::default();
        let mut frame = Frame::default();
        let mut at = 2;
        loop {
            let marker = next_marker(&mut from, &mut at)?;
            if matches!(marker, 0x01 | 0xD0..=0xD8) {
                continue;
            }
            if marker == 0xD9 {
                break;
            }
            let length = u64::from(u16::from_be_bytes(exactly(&mut from)?));
            at += length;
            match marker {
                _ if length < 2 => return None,
                0xDA => {
                    let components = exactly(&mut from).map_or(0, |[components]: [u8; 1]| components);
                    header.decoder_bytes = frame.decoder_bytes(components);
                    break;
                }
                // Start of frame in any coding, but not the tables and the extension that share its range.
                0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                    frame = Frame::read(marker, &content(&mut from, length - 2)?)?;
                    header.size = frame.size;
                    header.is_lossless = frame.is_lossless();
                }
                0xE1 | 0xE2 => header.metadata(&content(&mut from, length - 2)?, marker, &mut icc),
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
            _ => {
                if let Some([number, count, part @ ..]) = content.strip_prefix(ICC) {
                    icc.add(*number, *count, part);
                }
            }
        }
    }
}

/// The header of a frame.
#[derive(Default)]
struct Frame {
    marker: u8,
    size: (u32, u32),
    /// How many blocks of each component are in a unit, across and down.
    components: Vec<(u8, u8)>,
}

impl Frame {
    fn read(marker: u8, content: &[u8]) -> Option<Self> {
        let [_, h1, h0, w1, w0, rest @ ..] = content else { return None };
        let size = (u16::from_be_bytes([*w1, *w0]).into(), u16::from_be_bytes([*h1, *h0]).into());
        let components = rest.get(1..).unwrap_or_default().as_chunks::<3>().0.iter();
        let components = components.map(|[_, blocks, _]| (blocks >> 4, blocks & 15)).collect();
        Some(Self { marker, size, components })
    }

    const fn is_lossless(&self) -> bool {
        self.marker & 3 == 3
    }

    const fn is_progressive(&self) -> bool {
        self.marker & 3 == 2
    }

    /// Coefficients of two bytes, all of them unless the only scan has all components; or the pixels of a lossless one.
    fn decoder_bytes(&self, components_in_scan: u8) -> u64 {
        const BLOCK: u64 = 64 * 2;
        const PIXEL: u64 = 4;
        let (width, height) = (u64::from(self.size.0), u64::from(self.size.1));
        if self.is_lossless() {
            return width * height * PIXEL;
        }
        if !self.is_progressive() && usize::from(components_in_scan) == self.components.len() {
            return 0;
        }
        let most =
            |part: fn(&(u8, u8)) -> u8| u64::from(self.components.iter().map(part).max().unwrap_or(1).max(1));
        let units =
            width.div_ceil(8 * most(|blocks| blocks.0)) * height.div_ceil(8 * most(|blocks| blocks.1));
        let blocks: u64 =
            self.components.iter().map(|(across, down)| u64::from(*across) * u64::from(*down)).sum();
        units * blocks * BLOCK
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
