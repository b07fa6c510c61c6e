//! Strips and tiles of a TIFF: from their coding to bytes. Own code but for the codings themselves, because the `tiff`
//! crate lacks half of what scanners and archives write.

use flate2::{Decompress, FlushDecompress};
use webpx::ImageInfo;

use super::fax;
use super::old_jpeg::OldJpeg;
use super::samples::{Number, Samples, Shape};
use crate::jpeg_header::JpegHeader;
use crate::limits::MediaError;
use crate::thumbnail::damaged;
use crate::thumbnail::decode::jpeg;
use crate::thumbnail::decode::lzw::Lzw;

/// How strips and tiles are coded.
pub(super) enum Coding {
    Plain,
    Fax(fax::Kind),
    Lzw(Lzw),
    Deflate,
    PackBits,
    /// With the tables that all share, and whether the colours are coded as they are.
    Jpeg {
        tables: Vec<u8>,
        keeps_colours: bool,
    },
    OldJpeg(OldJpeg),
    /// Each a file of its own.
    WebP,
}

/// What was done to the samples before they were coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    Float,
}

/// Decodes a chunk to `length` bytes.
pub(super) fn decode(
    coding: &mut Coding,
    coded: Vec<u8>,
    shape: Shape,
    length: usize,
) -> Result<Vec<u8>, MediaError> {
    let mut bytes = match coding {
        Coding::Plain => coded,
        Coding::Lzw(lzw) => lzw.take(&coded, length),
        Coding::PackBits => pack_bits(&coded, length),
        Coding::Fax(kind) => fax::decode(&coded, shape.width, shape.rows, *kind).ok_or_else(damaged)?,
        Coding::Deflate => {
            let mut bytes = vec![0; length];
            let mut inflater = Decompress::new(true);
            inflater.decompress(&coded, &mut bytes, FlushDecompress::Finish).map_err(|_| damaged())?;
            bytes.truncate(usize::try_from(inflater.total_out()).unwrap_or(0));
            bytes
        }
        Coding::Jpeg { tables, keeps_colours } => of_jpeg(&joined(tables, &coded, *keeps_colours), shape)?,
        Coding::WebP => of_webp(&coded, shape).ok_or_else(damaged)?,
        Coding::OldJpeg(old) => of_jpeg(&old.file(&coded, shape).ok_or_else(damaged)?, shape)?,
    };
    if bytes.len() < length {
        return Err(damaged());
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Runs of bytes, each behind its length (TIFF 6.0, section 9).
pub(in crate::thumbnail::decode) fn pack_bits(mut coded: &[u8], most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(most);
    while bytes.len() < most
        && let [head, rest @ ..] = coded
    {
        coded = match (*head as i8, rest) {
            (-128, _) => rest,
            (count @ 0.., _) => {
                let (run, rest) = rest.split_at((usize::from(count as u8) + 1).min(rest.len()));
                bytes.extend_from_slice(run);
                rest
            }
            (count, [byte, rest @ ..]) => {
                bytes.resize(bytes.len() + 1 + usize::from(count.unsigned_abs()), *byte);
                rest
            }
            _ => rest,
        };
    }
    bytes
}

/// A JPEG of its own, from the tables that all share and a chunk; a marker states how its colours are coded.
fn joined(tables: &[u8], chunk: &[u8], keeps_colours: bool) -> Vec<u8> {
    let transform = u8::from(!keeps_colours);
    let mark = [&b"\xFF\xD8\xFF\xEE\0\x0EAdobe\0\x64\0\0\0\0"[..], &[transform]].concat();
    let tables = tables.strip_prefix(b"\xFF\xD8").and_then(|tables| tables.strip_suffix(b"\xFF\xD9"));
    [&mark[..], tables.unwrap_or_default(), chunk.strip_prefix(b"\xFF\xD8").unwrap_or(chunk)].concat()
}

/// The samples of a JPEG that covers a chunk, or a little more.
fn of_jpeg(file: &[u8], shape: Shape) -> Result<Vec<u8>, MediaError> {
    const BLOCKS: usize = 64;
    let header = JpegHeader::read(std::io::Cursor::new(file)).ok_or_else(damaged)?;
    let (width, height) = (header.size.0 as usize, header.size.1 as usize);
    if width > shape.width + BLOCKS || height > shape.rows + BLOCKS || width < shape.width {
        return Err(damaged());
    }
    let pixels = jpeg::whole_image(file).ok_or_else(damaged)?;
    if pixels.layout.channels() != shape.channels {
        return Err(damaged());
    }
    let (row, kept) = (width * shape.channels, shape.row_bytes());
    let mut bytes = Vec::with_capacity(kept * shape.rows);
    pixels.data.chunks_exact(row).take(shape.rows).for_each(|line| bytes.extend_from_slice(&line[..kept]));
    Ok(bytes)
}

/// The samples of a WebP that is as large as the chunk.
fn of_webp(file: &[u8], shape: Shape) -> Option<Vec<u8>> {
    let info = ImageInfo::from_webp(file).ok()?;
    if info.width as usize != shape.width || info.height as usize > shape.rows {
        return None;
    }
    let (bytes, _, _) = match shape.channels {
        3 => webpx::decode_rgb(file).ok()?,
        4 => webpx::decode_rgba(file).ok()?,
        _ => return None,
    };
    Some(bytes)
}

/// From differences back to samples, in each row.
pub(super) fn undo(predictor: Predictor, bytes: &mut [u8], shape: Shape) -> Result<(), MediaError> {
    let Samples { bits, number, is_big_endian } = shape.samples;
    let rows = bytes.chunks_exact_mut(shape.row_bytes().max(1));
    match (predictor, bits, number) {
        (Predictor::None, ..) => {}
        (Predictor::Horizontal, 8, _) => match shape.channels {
            1 => rows.for_each(add_up::<1>),
            3 => rows.for_each(add_up::<3>),
            4 => rows.for_each(add_up::<4>),
            channels => rows.for_each(|row| add_up_wide::<1>(row, channels, is_big_endian)),
        },
        (Predictor::Horizontal, 16, _) => {
            rows.for_each(|row| add_up_wide::<2>(row, shape.channels, is_big_endian))
        }
        (Predictor::Horizontal, 32, _) => {
            rows.for_each(|row| add_up_wide::<4>(row, shape.channels, is_big_endian))
        }
        (Predictor::Float, 16 | 32 | 64, Number::Float) => {
            let width = usize::from(bits / 8);
            rows.for_each(|row| add_up_planes(row, shape.channels, width, is_big_endian));
        }
        _ => return Err(MediaError::permanent("the image uses an unsupported variant of its format")),
    }
    Ok(())
}

/// From differences to the pixel before back to samples.
fn add_up<const CHANNELS: usize>(row: &mut [u8]) {
    let mut sum = [0u8; CHANNELS];
    for pixel in row.as_chunks_mut::<CHANNELS>().0 {
        sum = std::array::from_fn(|channel| sum[channel].wrapping_add(pixel[channel]));
        *pixel = sum;
    }
}

/// The same for samples of up to four bytes.
fn add_up_wide<const WIDTH: usize>(row: &mut [u8], channels: usize, is_big_endian: bool) {
    let samples = row.as_chunks_mut::<WIDTH>().0;
    let number = |sample: [u8; WIDTH]| {
        let join = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        if is_big_endian { sample.iter().fold(0, join) } else { sample.iter().rev().fold(0, join) }
    };
    for at in channels..samples.len() {
        let sum = number(samples[at]).wrapping_add(number(samples[at - channels]));
        let bytes = sum.to_le_bytes();
        samples[at] =
            std::array::from_fn(|index| bytes[if is_big_endian { WIDTH - 1 - index } else { index }]);
    }
}

/// Floating-point samples are written as planes of their bytes, the highest first, each a difference to the one before
/// (Adobe's technical note 3).
fn add_up_planes(row: &mut [u8], channels: usize, width: usize, is_big_endian: bool) {
    for at in channels..row.len() {
        row[at] = row[at].wrapping_add(row[at - channels]);
    }
    let planes = row.to_vec();
    let count = row.len() / width;
    for (at, sample) in row.chunks_exact_mut(width).enumerate() {
        for (index, byte) in sample.iter_mut().enumerate() {
            let plane = if is_big_endian { index } else { width - 1 - index };
            *byte = planes[plane * count + at];
        }
    }
}
