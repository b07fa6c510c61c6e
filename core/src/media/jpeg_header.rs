//! What stands before the first scan of a JPEG (ITU T.81): size, orientation, colour profile.
//! Own code, because the decoders either hold the whole file or do not tell the metadata.

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
}

/// Largest colour profile that is kept, in bytes; CMYK profiles have about half a megabyte.
const MAX_ICC: usize = 4 << 20;

impl JpegHeader {
    /// Reads up to the first scan. `None` if there is no frame header before it.
    pub(super) fn read(mut from: impl Read + Seek) -> Option<Self> {
        let mut header =
            Self { size: (0, 0), orientation: Orientation::NoTransforms, icc: None, is_adobe: false };
        let mut icc = Vec::new();
        let mut at = 2;
        loop {
            from.seek(SeekFrom::Start(at)).ok()?;
            let [mark, marker, high, low] = exactly(&mut from)?;
            if mark == 0xFF && marker == 0xFF {
                at += 1;
                continue;
            }
            let length = u64::from(u16::from_be_bytes([high, low]));
            if mark != 0xFF || length < 2 {
                return None;
            }
            at += 2 + length;
            match marker {
                // Start of frame in any coding, but not the tables and the extension that share its range.
                0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                    let [_, h1, h0, w1, w0] = exactly(&mut from)?;
                    header.size = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
                }
                0xDA | 0xD9 => break,
                0xE1 | 0xE2 | 0xEE => header.metadata(&content(&mut from, length - 2)?, marker, &mut icc),
                _ => {}
            }
        }
        header.icc = (!icc.is_empty()).then_some(icc);
        (header.size.0 > 0).then_some(header)
    }

    fn metadata(&mut self, content: &[u8], marker: u8, icc: &mut Vec<u8>) {
        const EXIF: &[u8] = b"Exif\0\0";
        const ICC: &[u8] = b"ICC_PROFILE\0";
        match marker {
            0xE1 => {
                let exif = content.strip_prefix(EXIF).and_then(Orientation::from_exif_chunk);
                self.orientation = exif.unwrap_or(self.orientation);
            }
            0xE2 => {
                // After the mark stand the part's number and how many there are; writers keep them in order.
                let part = content.strip_prefix(ICC).and_then(|rest| rest.get(2..)).unwrap_or_default();
                if icc.len() + part.len() <= MAX_ICC {
                    icc.extend_from_slice(part);
                }
            }
            _ => self.is_adobe = content.starts_with(b"Adobe"),
        }
    }
}

fn exactly<const N: usize>(from: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn content(from: &mut impl Read, length: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
