//! The first frame of a GIF, kept as indices into its palette until a row is needed.

use std::io::{BufReader, Read, repeat};

use gif::{DecodeOptions, DecodingError, Frame, MemoryLimit};
use image::metadata::Orientation;

use super::lzw::{Dialect, Lzw};
use super::{Decoded, damaged};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::Layout;
use crate::thumbnail::shrink::Shrinker;

/// A block of data has at most so many bytes, and its length.
const LONGEST_BLOCK: u64 = 256;

/// The first row of each pass over an interlaced frame, and from one row to the next (GIF89a, appendix E).
const INTERLACED: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

pub(super) fn decode(source: Source<'_>, within: FitTo, limits: &MediaLimits) -> Result<Decoded, MediaError> {
    let mut options = DecodeOptions::new();
    options.skip_frame_decoding(true);
    options.set_memory_limit(
        limits.max_decoder_bytes.try_into().map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes),
    );
    // What a truncated file lacks is the first colour, as browsers show it: zeros end the data and are codes for it.
    let file = BufReader::with_capacity(64 << 10, source).chain(repeat(0).take(LONGEST_BLOCK));
    let mut decoder = options.read_info(file).map_err(fault)?;
    let full = (u32::from(decoder.width()), u32::from(decoder.height()));
    limits.check_dimensions(full.0, full.1)?;
    decoder.read_next_frame().map_err(fault)?;
    let frame = decoder.current_frame_info().ok_or_else(damaged)?;
    limits.check_dimensions(frame.width.into(), frame.height.into())?;
    let palette = Palette::new(decoder.palette().map_err(fault)?, frame.transparent);
    let fit = Fit::new(within, full, Orientation::NoTransforms);
    let (pixels, extent) = canvas(frame, &indices(frame)?, &palette, &fit).finish();
    Ok(Decoded { pixels, extent, fit, orientation: Orientation::NoTransforms, matrix: None, icc: None })
}

/// The indices of a frame whose buffer has them as codes behind the width of a literal.
fn indices(frame: &Frame<'_>) -> Result<Vec<u8>, MediaError> {
    let (literal_width, codes) = frame.buffer.split_first().ok_or_else(damaged)?;
    let mut lzw = Lzw::new(Dialect::Gif, *literal_width).ok_or_else(damaged)?;
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let decoded = lzw.decode(codes, width * height);
    let mut indices = vec![0; width * height];
    if frame.interlaced {
        let order = INTERLACED.iter().flat_map(|(first, step)| (*first..height).step_by(*step));
        for (line, row) in decoded.chunks(width).zip(order) {
            indices[row * width..][..line.len()].copy_from_slice(line);
        }
    } else {
        indices[..decoded.len()].copy_from_slice(decoded);
    }
    Ok(indices)
}

/// Colour and alpha of each index.
struct Palette([[u8; 4]; 256]);

impl Palette {
    fn new(rgb: &[u8], transparent: Option<u8>) -> Self {
        let mut colours = [[0, 0, 0, 255]; 256];
        for (colour, [red, green, blue]) in colours.iter_mut().zip(rgb.as_chunks::<3>().0) {
            *colour = [*red, *green, *blue, 255];
        }
        if let Some(index) = transparent {
            colours[usize::from(index)] = [0; 4];
        }
        Self(colours)
    }

    /// Colours a line of indices: the first `CHANNELS` of each colour.
    fn colour<const CHANNELS: usize>(&self, indices: &[u8], row: &mut [u8]) {
        let colours: [[u8; CHANNELS]; 256] =
            std::array::from_fn(|index| std::array::from_fn(|channel| self.0[index][channel]));
        for (pixel, index) in row.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(indices) {
            *pixel = colours[usize::from(*index)];
        }
    }
}

/// The canvas with the frame where it belongs; around it the canvas is transparent.
fn canvas(frame: &Frame<'_>, indices: &[u8], palette: &Palette, fit: &Fit) -> Shrinker {
    let (width, height) = (fit.full.0 as usize, fit.full.1 as usize);
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let covers = left == 0 && top == 0 && frame_width >= width && frame_height >= height;
    let layout = if covers && frame.transparent.is_none() { Layout::Rgb } else { Layout::Rgba };
    let mut shrinker = Shrinker::new(fit.full.0, layout, fit.reduction());
    let mut row = vec![0; width * layout.channels()];
    for y in 0..height {
        let line = y.checked_sub(top).filter(|line| *line < frame_height);
        let line = line.and_then(|line| indices.get(line * frame_width..(line + 1) * frame_width));
        match (line, layout) {
            (Some(line), Layout::Rgb) => palette.colour::<3>(line, &mut row),
            (Some(line), _) => palette.colour::<4>(line, row.get_mut(4 * left..).unwrap_or_default()),
            (None, _) => row.fill(0),
        }
        shrinker.push(&row);
    }
    shrinker
}

fn fault(error: DecodingError) -> MediaError {
    match error {
        DecodingError::OutOfMemory => MediaError::permanent("the image needs too much memory to decode"),
        DecodingError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            super::unreadable(error)
        }
        _ => damaged(),
    }
}
