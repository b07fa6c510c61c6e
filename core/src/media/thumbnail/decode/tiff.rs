//! TIFF strip by strip, where its samples are bytes; the rest is decoded whole.

use std::io::{BufReader, Read, Seek, SeekFrom};

use flate2::{Decompress, FlushDecompress};
use image::ImageFormat;
use image::metadata::Orientation;
use tiff::decoder::{ChunkType, Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::lzw::{Dialect, Lzw};
use super::{Decoded, damaged, general, unreadable};
use crate::media::limits::{MediaError, MediaLimits};
use crate::media::source::Source;
use crate::media::thumbnail::fit::Fit;
use crate::media::thumbnail::pixels::Layout;
use crate::media::thumbnail::shrink::Shrinker;
use crate::model::PictureKind;

type TiffDecoder<'a, 'f> = Decoder<BufReader<&'a mut Source<'f>>>;

pub(super) fn decode(
    mut source: Source<'_>,
    kind: PictureKind,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let bytes = usize::try_from(limits.max_decoder_bytes).unwrap_or(usize::MAX);
    let mut bounds = tiff::decoder::Limits::default();
    bounds.decoding_buffer_size = bytes;
    bounds.intermediate_buffer_size = bytes;
    let reader = BufReader::with_capacity(64 << 10, &mut source);
    let mut decoder = Decoder::new(reader).map_err(fault)?.with_limits(bounds);
    let full = decoder.dimensions().map_err(fault)?;
    limits.check_dimensions(full.0, full.1)?;
    let Some(layout) = streamed_layout(&mut decoder, full) else {
        drop(decoder);
        source.rewind().map_err(unreadable)?;
        return general::decode(source, ImageFormat::Tiff, kind, limits);
    };
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    let icc = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
    let fit = Fit::new(kind, full, orientation);
    let (pixels, extent) = strips(&mut decoder, layout, &fit)?.finish();
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc })
}

/// The layout of a picture whose strips hold whole pixels of bytes, each strip a small part of it.
fn streamed_layout(decoder: &mut TiffDecoder<'_, '_>, full: (u32, u32)) -> Option<Layout> {
    const CHUNKY: u16 = 1;
    let layout = match decoder.colortype().ok()? {
        ColorType::Gray(8) => Layout::Gray,
        ColorType::RGB(8) => Layout::Rgb,
        ColorType::RGBA(8) => Layout::Rgba,
        _ => return None,
    };
    let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok()?.unwrap_or(CHUNKY);
    let (strip_width, _) = decoder.chunk_dimensions();
    let is_stripped = decoder.get_chunk_type() == ChunkType::Strip && strip_width == full.0;
    (is_stripped && planes == CHUNKY).then_some(layout)
}

fn strips(decoder: &mut TiffDecoder<'_, '_>, layout: Layout, fit: &Fit) -> Result<Shrinker, MediaError> {
    let mut shrinker = Shrinker::new(fit.full.0, layout, fit.reduction());
    let row = fit.full.0 as usize * layout.channels();
    let mut strips = Strips::of(decoder, layout);
    for index in 0..decoder.strip_count().map_err(fault)? {
        let mut rows = |strip: &[u8]| strip.chunks_exact(row).for_each(|row| shrinker.push(row));
        if let Some(strips) = &mut strips {
            let (_, height) = decoder.chunk_data_dimensions(index);
            rows(strips.read(decoder.inner(), index, row, height as usize)?);
        } else if let DecodingResult::U8(strip) = decoder.read_chunk(index).map_err(fault)? {
            rows(&strip);
        }
    }
    if shrinker.rows() != fit.full.1 as usize {
        return Err(damaged());
    }
    Ok(shrinker)
}

/// The strips of a file in one of the two usual codings, which the library decodes in two to three times the time.
struct Strips {
    coding: Coding,
    /// Where each strip starts, and its length.
    places: Vec<(u64, u64)>,
    has_differences: bool,
    channels: usize,
    coded: Vec<u8>,
}

enum Coding {
    Lzw(Lzw),
    Deflate(Vec<u8>),
}

impl Strips {
    /// `None` for other codings, and for what is left to the library.
    fn of(decoder: &mut TiffDecoder<'_, '_>, layout: Layout) -> Option<Self> {
        const LZW: u16 = 5;
        const DEFLATE: [u16; 2] = [8, 32_946];
        const WHITE_IS_ZERO: u16 = 0;
        const NO_PREDICTOR: u16 = 1;
        const HORIZONTAL: u16 = 2;
        let mut number = |tag| decoder.find_tag_unsigned::<u16>(tag).ok().flatten();
        if number(Tag::PhotometricInterpretation) == Some(WHITE_IS_ZERO) {
            return None;
        }
        let coding = match number(Tag::Compression)? {
            LZW => Coding::Lzw(Lzw::new(Dialect::Tiff, 8)?),
            coding if DEFLATE.contains(&coding) => Coding::Deflate(Vec::new()),
            _ => return None,
        };
        let has_differences = match number(Tag::Predictor).unwrap_or(NO_PREDICTOR) {
            NO_PREDICTOR => false,
            HORIZONTAL => true,
            _ => return None,
        };
        let starts = decoder.get_tag_u64_vec(Tag::StripOffsets).ok()?;
        let lengths = decoder.get_tag_u64_vec(Tag::StripByteCounts).ok()?;
        let places = starts.into_iter().zip(lengths).collect();
        Some(Self { coding, places, has_differences, channels: layout.channels(), coded: Vec::new() })
    }

    /// The rows of a strip, or fewer where it is cut off.
    fn read(
        &mut self,
        file: &mut (impl Read + Seek),
        index: u32,
        row: usize,
        rows: usize,
    ) -> Result<&[u8], MediaError> {
        let (start, length) = *self.places.get(index as usize).ok_or_else(damaged)?;
        self.coded.clear();
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        file.take(length).read_to_end(&mut self.coded).map_err(unreadable)?;
        let strip = match &mut self.coding {
            Coding::Lzw(lzw) => lzw.decode(&self.coded, row * rows),
            Coding::Deflate(strip) => {
                strip.resize(row * rows, 0);
                let mut inflater = Decompress::new(true);
                inflater.decompress(&self.coded, strip, FlushDecompress::Finish).map_err(|_| damaged())?;
                let length = usize::try_from(inflater.total_out()).unwrap_or(0);
                &mut strip[..length]
            }
        };
        if self.has_differences {
            let add_up = match self.channels {
                1 => add_up::<1>,
                3 => add_up::<3>,
                _ => add_up::<4>,
            };
            strip.chunks_exact_mut(row).for_each(add_up);
        }
        Ok(strip)
    }
}

/// From differences to the pixel before back to samples.
fn add_up<const CHANNELS: usize>(row: &mut [u8]) {
    let mut sum = [0u8; CHANNELS];
    for pixel in row.as_chunks_mut::<CHANNELS>().0 {
        sum = std::array::from_fn(|channel| sum[channel].wrapping_add(pixel[channel]));
        *pixel = sum;
    }
}

fn fault(error: TiffError) -> MediaError {
    match error {
        TiffError::LimitsExceeded => MediaError::permanent("the picture needs too much memory to decode"),
        TiffError::UnsupportedError(_) => {
            MediaError::permanent("the picture uses a variant of its format that is not decoded")
        }
        TiffError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => unreadable(error),
        _ => damaged(),
    }
}
