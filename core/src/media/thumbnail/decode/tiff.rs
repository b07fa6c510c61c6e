//! TIFF strip by strip, where its samples are bytes; the rest is decoded whole.

use std::io::{BufReader, Read, Seek, SeekFrom};

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
    Ok(Decoded { pixels, extent, fit, orientation, icc })
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
    let mut by_lzw = LzwStrips::of(decoder, layout);
    for index in 0..decoder.strip_count().map_err(fault)? {
        let mut rows = |strip: &[u8]| strip.chunks_exact(row).for_each(|row| shrinker.push(row));
        if let Some(strips) = &mut by_lzw {
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

/// The strips of a file that is coded by LZW, which is the most common coding and the library's slowest.
struct LzwStrips {
    lzw: Lzw,
    places: Vec<(u64, u64)>,
    /// Bytes from a sample to the one that it is the difference to; 0 if samples are themselves.
    predicted_from: usize,
    codes: Vec<u8>,
}

impl LzwStrips {
    /// `None` for other codings, and for what is left to the library.
    fn of(decoder: &mut TiffDecoder<'_, '_>, layout: Layout) -> Option<Self> {
        const LZW: u16 = 5;
        const WHITE_IS_ZERO: u16 = 0;
        const NO_PREDICTOR: u16 = 1;
        const HORIZONTAL: u16 = 2;
        let number =
            |decoder: &mut TiffDecoder<'_, '_>, tag| decoder.find_tag_unsigned::<u16>(tag).ok().flatten();
        if number(decoder, Tag::Compression) != Some(LZW)
            || number(decoder, Tag::PhotometricInterpretation) == Some(WHITE_IS_ZERO)
        {
            return None;
        }
        let predicted_from = match number(decoder, Tag::Predictor).unwrap_or(NO_PREDICTOR) {
            NO_PREDICTOR => 0,
            HORIZONTAL => layout.channels(),
            _ => return None,
        };
        let starts = decoder.get_tag_u64_vec(Tag::StripOffsets).ok()?;
        let lengths = decoder.get_tag_u64_vec(Tag::StripByteCounts).ok()?;
        let places = starts.into_iter().zip(lengths).collect();
        let lzw = Lzw::new(Dialect::Tiff, 8)?;
        Some(Self { lzw, places, predicted_from, codes: Vec::new() })
    }

    /// The rows of a strip.
    fn read(
        &mut self,
        file: &mut (impl Read + Seek),
        index: u32,
        row: usize,
        rows: usize,
    ) -> Result<&[u8], MediaError> {
        let (start, length) = *self.places.get(index as usize).ok_or_else(damaged)?;
        self.codes.clear();
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        file.take(length).read_to_end(&mut self.codes).map_err(unreadable)?;
        let strip = self.lzw.decode(&self.codes, row * rows);
        if self.predicted_from > 0 {
            strip.chunks_exact_mut(row).for_each(|row| add_up(row, self.predicted_from));
        }
        Ok(strip)
    }
}

/// From differences to the pixel before back to samples.
fn add_up(row: &mut [u8], channels: usize) {
    for at in channels..row.len() {
        row[at] = row[at].wrapping_add(row[at - channels]);
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
