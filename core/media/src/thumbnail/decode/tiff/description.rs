//! What the directory of a TIFF says about its first image.

use image::metadata::Orientation;

use super::chunk::{Coding, Predictor};
use super::fax;
use super::old_jpeg::OldJpeg;
use super::samples::{Alpha, Converter, Meaning, Number, Samples, Shape};
use super::{damaged, unsupported};
use crate::ifd::{Directories, Directory};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::decode::lzw::{Dialect, Lzw};

/// Most strips or tiles.
const MAX_CHUNKS: u64 = 1 << 20;
/// How much of an image without coding is read at once, in bytes, where its only strip is larger.
const MAX_STRIP: usize = 1 << 20;

pub(super) struct Description {
    pub(super) size: (u32, u32),
    pub(super) orientation: Orientation,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) samples: Samples,
    pub(super) converter: Converter,
    /// 1 where all samples of a pixel are together, else as many as it has.
    pub(super) planes: usize,
    /// Size of a strip or tile in pixels.
    pub(super) chunk: (usize, usize),
    pub(super) is_tiled: bool,
    /// Where each chunk is, and how many bytes it has: row by row, plane by plane.
    pub(super) places: Vec<(u64, u64)>,
    pub(super) coding: Coding,
    pub(super) predictor: Predictor,
    /// Whether the first pixel is in the lowest bit.
    pub(super) is_reversed: bool,
    /// Pixels across and down that share their colours.
    pub(super) subsampling: (usize, usize),
}

/// A directory and where its values are read from.
struct Reader<'s, 'f> {
    source: &'s mut Source<'f>,
    directory: Directory,
}

impl Reader<'_, '_> {
    fn number(&mut self, tag: u16) -> Option<usize> {
        usize::try_from(self.directory.number(self.source, tag)?).ok()
    }

    fn numbers(&mut self, tag: u16, most: u64) -> Option<Vec<u64>> {
        self.directory.numbers(self.source, tag, most)
    }
}

impl Description {
    pub(super) fn read(source: &mut Source<'_>, limits: &MediaLimits) -> Result<Self, MediaError> {
        const MAX_ICC: u64 = 4 << 20;
        let format = Directories::open(source, 0).ok_or_else(damaged)?;
        let directory = format.read(source, format.first).ok_or_else(damaged)?;
        let mut reader = Reader { source, directory };
        let side =
            |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok()).ok_or_else(damaged);
        let size = (side(reader.number(256))?, side(reader.number(257))?);
        limits.check_dimensions(size.0, size.1)?;
        let orientation = reader.number(274).and_then(|value| Orientation::from_exif(value as u8));
        let samples = samples(&mut reader, format.is_big_endian)?;
        let compression = reader.number(259).unwrap_or(1);
        let subsampling = subsampling(&mut reader)?;
        let coding = coding(&mut reader, compression, subsampling, limits)?;
        let converter = converter(&mut reader, &coding, samples.bits)?;
        let planes = if reader.number(284) == Some(2) { converter.samples } else { 1 };
        let predictor = match reader.number(317) {
            Some(2) => Predictor::Horizontal,
            Some(3) => Predictor::Float,
            _ => Predictor::None,
        };
        let icc = reader.directory.bytes(reader.source, 34_675, MAX_ICC);
        let is_jpeg = matches!(coding, Coding::Jpeg { .. } | Coding::OldJpeg(_));
        let has_samples = !is_jpeg && !matches!(coding, Coding::Fax(_));
        let mut image = Self {
            size,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            icc: icc.filter(|_| !matches!(converter.meaning, Meaning::Lab { .. })),
            samples,
            converter,
            planes,
            chunk: (size.0 as usize, size.1 as usize),
            is_tiled: false,
            places: Vec::new(),
            coding,
            predictor: if has_samples { predictor } else { Predictor::None },
            is_reversed: reader.number(266) == Some(2) && !is_jpeg,
            subsampling: if is_jpeg { (1, 1) } else { subsampling },
        };
        image.find_chunks(&mut reader)?;
        Ok(image)
    }

    /// Samples of a pixel in one chunk.
    pub(super) const fn channels(&self) -> usize {
        if self.planes > 1 { 1 } else { self.converter.samples }
    }

    pub(super) const fn across(&self) -> usize {
        (self.size.0 as usize).div_ceil(self.chunk.0)
    }

    pub(super) const fn down(&self) -> usize {
        (self.size.1 as usize).div_ceil(self.chunk.1)
    }

    /// The memory that the chunks side by side take.
    pub(super) fn band_bytes(&self) -> u64 {
        let pixels = self.chunk.0 as u64 * self.across() as u64 * self.chunk.1 as u64;
        let bits = u64::from(self.samples.bits.max(8));
        pixels.saturating_mul(self.converter.samples as u64 * bits) / 8
    }

    fn find_chunks(&mut self, reader: &mut Reader<'_, '_>) -> Result<(), MediaError> {
        self.is_tiled = reader.directory.has(322);
        let (starts, lengths) = if self.is_tiled { (324, 325) } else { (273, 279) };
        if self.is_tiled {
            self.chunk = reader.number(322).zip(reader.number(323)).ok_or_else(damaged)?;
        } else if let Some(rows) = reader.number(278).filter(|rows| *rows > 0) {
            self.chunk.1 = rows.min(self.chunk.1);
        }
        if self.chunk.0 == 0 || self.chunk.1 == 0 || self.chunk.0 > 1 << 20 || self.chunk.1 > 1 << 20 {
            return Err(damaged());
        }
        let starts = reader.numbers(starts, MAX_CHUNKS).ok_or_else(damaged)?;
        let shape = Shape {
            width: self.chunk.0,
            rows: self.chunk.1,
            channels: self.channels(),
            samples: self.samples,
        };
        let whole = (shape.row_bytes() * shape.rows) as u64;
        let is_plain = matches!(self.coding, Coding::Plain);
        let lengths = match reader.numbers(lengths, MAX_CHUNKS) {
            // Some writers state no length, or a wrong one, where none is needed.
            Some(lengths) if !is_plain || self.subsampling != (1, 1) => lengths,
            _ if is_plain => vec![whole; starts.len()],
            _ => vec![u64::MAX; starts.len()],
        };
        self.places = starts.into_iter().zip(lengths).collect();
        self.split_strips(shape, is_plain);
        Ok(())
    }

    /// What is not coded is read in small pieces, however large its only strip is.
    fn split_strips(&mut self, shape: Shape, is_plain: bool) {
        let row = shape.row_bytes();
        let rows = (MAX_STRIP / row.max(1)).max(1);
        let is_one_strip = self.chunk.1 == self.size.1 as usize && self.places.len() == self.planes;
        if !is_plain || !is_one_strip || self.is_tiled || self.subsampling != (1, 1) || rows >= self.chunk.1 {
            return;
        }
        let height = self.size.1 as usize;
        let mut places = Vec::new();
        for plane in &self.places {
            let piece = |top: usize| (plane.0.saturating_add((top * row) as u64), (rows * row) as u64);
            places.extend((0..height).step_by(rows).map(piece));
        }
        self.places = places;
        self.chunk.1 = rows;
    }
}

fn samples(reader: &mut Reader<'_, '_>, is_big_endian: bool) -> Result<Samples, MediaError> {
    let bits = reader.numbers(258, 64).unwrap_or_else(|| vec![1]);
    let number = match reader.number(339).unwrap_or(1) {
        2 => Number::Signed,
        3 => Number::Float,
        _ => Number::Unsigned,
    };
    let samples = Samples { bits: u16::try_from(bits[0]).unwrap_or(0), number, is_big_endian };
    let is_known = bits.iter().all(|other| *other == bits[0]) && samples.is_known();
    is_known.then_some(samples).ok_or_else(unsupported)
}

/// Pixels across and down that share their colours.
fn subsampling(reader: &mut Reader<'_, '_>) -> Result<(usize, usize), MediaError> {
    const YCBCR: usize = 6;
    if reader.number(262) != Some(YCBCR) {
        return Ok((1, 1));
    }
    let told = reader.numbers(530, 2);
    let (across, down) = match told.as_deref() {
        Some(&[across, down]) => (across as usize, down as usize),
        // The format's default.
        _ => (2, 2),
    };
    let is_known = matches!(across, 1 | 2 | 4) && matches!(down, 1 | 2 | 4);
    is_known.then_some((across, down)).ok_or_else(unsupported)
}

fn coding(
    reader: &mut Reader<'_, '_>,
    compression: usize,
    subsampling: (usize, usize),
    limits: &MediaLimits,
) -> Result<Coding, MediaError> {
    const MAX_TABLES: u64 = 1 << 20;
    Ok(match compression {
        1 => Coding::Plain,
        2 => Coding::Fax(fax::Kind::Runs),
        3 => {
            let is_two_dimensional = reader.number(292).unwrap_or(0) & 1 == 1;
            Coding::Fax(fax::Kind::Group3 { is_two_dimensional })
        }
        4 => Coding::Fax(fax::Kind::Group4),
        5 => Coding::Lzw(Lzw::new(Dialect::Tiff, 8).ok_or_else(unsupported)?),
        6 => {
            let old =
                OldJpeg::read(reader.source, &reader.directory, subsampling, limits.max_image_bytes / 2);
            Coding::OldJpeg(old.ok_or_else(damaged)?)
        }
        7 => {
            let tables = reader.directory.bytes(reader.source, 347, MAX_TABLES).unwrap_or_default();
            // RGB and CMYK.
            Coding::Jpeg { tables, keeps_colours: matches!(reader.number(262), Some(2 | 5)) }
        }
        8 | 32_946 => Coding::Deflate,
        32_773 => Coding::PackBits,
        50_001 => Coding::WebP,
        _ => return Err(unsupported()),
    })
}

fn converter(reader: &mut Reader<'_, '_>, coding: &Coding, bits: u16) -> Result<Converter, MediaError> {
    let is_jpeg = matches!(coding, Coding::Jpeg { .. } | Coding::OldJpeg(_));
    let is_fax = matches!(coding, Coding::Fax(_));
    let samples = reader.number(277).unwrap_or(1);
    let default = if is_fax { 0 } else { 1 };
    let meaning = match reader.number(262).unwrap_or(default) {
        0 => Meaning::Gray { is_inverted: true },
        1 | 4 => Meaning::Gray { is_inverted: false },
        2 => Meaning::Rgb,
        3 => Meaning::Palette(palette(reader, bits)?),
        5 => Meaning::Cmyk,
        // libjpeg has made RGB of it.
        6 if is_jpeg && samples > 1 => Meaning::Rgb,
        6 if is_jpeg => Meaning::Gray { is_inverted: false },
        6 => Meaning::YCbCr(range(reader)),
        8 => Meaning::Lab { is_signed: true },
        9 => Meaning::Lab { is_signed: false },
        _ => return Err(unsupported()),
    };
    let channels = meaning.channels();
    if samples < channels || samples > 64 {
        return Err(damaged());
    }
    let kinds = reader.numbers(338, 64);
    let alpha = match kinds.as_deref() {
        _ if samples == channels => None,
        Some([1, ..]) => Some(Alpha { is_premultiplied: true }),
        Some([2, ..]) => Some(Alpha { is_premultiplied: false }),
        Some(_) => None,
        // Old writers do not say what a fourth sample is.
        None => Some(Alpha { is_premultiplied: false }),
    };
    Ok(Converter { meaning, alpha, samples })
}

/// The colours of a palette: all red, all green, all blue, of sixteen bits.
fn palette(reader: &mut Reader<'_, '_>, bits: u16) -> Result<Vec<[u8; 3]>, MediaError> {
    if bits > 8 {
        return Err(unsupported());
    }
    let values = reader.numbers(320, 3 << 8).ok_or_else(damaged)?;
    // Some writers store bytes.
    let shift = if values.iter().all(|value| *value < 256) { 0 } else { 8 };
    let count = values.len() / 3;
    let colour = |index: usize| [0, 1, 2].map(|channel| (values[channel * count + index] >> shift) as u8);
    Ok((0..count).map(colour).collect())
}

/// What stands for black and white of each channel.
fn range(reader: &mut Reader<'_, '_>) -> [[f32; 2]; 3] {
    match reader.numbers(532, 6).as_deref() {
        Some(&[y0, y1, u0, u1, v0, v1]) => {
            [[y0, y1], [u0, u1], [v0, v1]].map(|pair| pair.map(|value| value as f32))
        }
        _ => [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]],
    }
}
