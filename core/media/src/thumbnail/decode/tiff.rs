//! TIFF by strips or tiles, a row of them at a time: every usual coding, samples of any width, together or in planes.

mod chunk;
mod description;
mod fax;
mod old_jpeg;
mod samples;

use std::io::{Read as _, Seek as _, SeekFrom};

use super::{Decoded, damaged, jpeg, unreadable};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::shrink::Shrinker;
pub(super) use chunk::pack_bits;
use chunk::{Coding, Predictor};
use description::Description;
use samples::Shape;
pub(super) use samples::{Alpha, Converter, Meaning, Number, Samples};

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let mut image = Description::read(&mut source, limits)?;
    limits.check_dimensions(image.size.0, image.size.1)?;
    if let Coding::OldJpeg(old) = &image.coding
        && old.has_codes()
        && let Ok(decoded) =
            jpeg::decode(Source::of_bytes(&old.whole), Some(image.orientation), within, limits)
    {
        return Ok(decoded);
    }
    if image.band_bytes() > limits.max_decoder_bytes {
        return Err(MediaError::permanent("the image needs too much memory to decode"));
    }
    let fit = Fit::new(within, image.size, image.orientation);
    let mut shrinker = Shrinker::new(image.size.0, image.converter.layout(), fit.reduction());
    for band in 0..image.down() {
        let rows = image.chunk.1.min(image.size.1 as usize - band * image.chunk.1);
        let chunks = chunks(&mut image, &mut source, band, rows)?;
        push(&image, &chunks, rows, &mut shrinker);
    }
    if shrinker.rows() != image.size.1 as usize {
        return Err(damaged());
    }
    let (pixels, extent) = shrinker.finish();
    Ok(Decoded { pixels, extent, fit, orientation: image.orientation, matrix: None, icc: image.icc })
}

/// The strip, or the tiles side by side, of a band; of each plane, one plane after another.
fn chunks(
    image: &mut Description,
    source: &mut Source<'_>,
    band: usize,
    rows: usize,
) -> Result<Vec<Vec<u8>>, MediaError> {
    let mut chunks = Vec::new();
    for plane in 0..image.planes {
        for across in 0..image.across() {
            let index = (plane * image.down() + band) * image.across() + across;
            let (start, length) = *image.places.get(index).ok_or_else(damaged)?;
            let mut coded = Vec::new();
            source.seek(SeekFrom::Start(start)).map_err(unreadable)?;
            source.by_ref().take(length).read_to_end(&mut coded).map_err(unreadable)?;
            if image.is_reversed {
                coded.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
            // Tiles are whole even where the image ends within them.
            let rows = if image.is_tiled { image.chunk.1 } else { rows };
            chunks.push(bytes(image, coded, plane, rows)?);
        }
    }
    Ok(chunks)
}

/// A chunk, or a plane of it, with as many samples down and across as the image.
fn bytes(image: &mut Description, coded: Vec<u8>, plane: usize, rows: usize) -> Result<Vec<u8>, MediaError> {
    let shape = Shape { width: image.chunk.0, rows, channels: image.channels(), samples: image.samples };
    let (across, down) = image.subsampling;
    let length = shape.row_bytes() * rows;
    if (across, down) == (1, 1) || (image.planes > 1 && plane == 0) {
        let mut bytes = chunk::decode(&mut image.coding, coded, shape, length)?;
        chunk::undo(image.predictor, &mut bytes, shape)?;
        return Ok(bytes);
    }
    if image.samples.bits != 8 || image.predictor != Predictor::None {
        return Err(unsupported());
    }
    let (units, lines) = (shape.width.div_ceil(across), rows.div_ceil(down));
    if image.planes > 1 {
        let shape = Shape { width: units, rows: lines, ..shape };
        let plane = chunk::decode(&mut image.coding, coded, shape, units * lines)?;
        let mut bytes = Vec::with_capacity(length);
        for y in 0..rows {
            let line = &plane[y / down * units..][..units];
            bytes.extend((0..image.chunk.0).map(|x| line[x / across]));
        }
        return Ok(bytes);
    }
    // Each unit has its brightness, pixel by pixel, and then its two colours.
    let unit = across * down + 2;
    let packed = chunk::decode(&mut image.coding, coded, shape, units * lines * unit)?;
    let mut bytes = Vec::with_capacity(length);
    for y in 0..rows {
        for x in 0..shape.width {
            let start = (y / down * units + x / across) * unit;
            let brightness = packed[start + y % down * across + x % across];
            bytes.extend([brightness, packed[start + unit - 2], packed[start + unit - 1]]);
        }
    }
    Ok(bytes)
}

/// Turns the rows of a band into pixels.
fn push(image: &Description, chunks: &[Vec<u8>], rows: usize, shrinker: &mut Shrinker) {
    let width = image.size.0 as usize;
    let shape = Shape { width: image.chunk.0, rows, channels: image.channels(), samples: image.samples };
    let row_bytes = shape.row_bytes();
    let is_plain = image.planes == 1 && image.samples.is_bytes() && image.converter.is_plain();
    let is_scaled = !matches!(image.converter.meaning, Meaning::Palette(_));
    let (mut row, mut samples, mut plane_samples) = (Vec::new(), Vec::new(), Vec::new());
    for y in 0..rows {
        let line = |chunk: &Vec<u8>| y * row_bytes..((y + 1) * row_bytes).min(chunk.len());
        if let ([only], true) = (chunks, is_plain) {
            shrinker.push(&only[line(only)][..width * shape.channels]);
            continue;
        }
        row.clear();
        for across in 0..image.across() {
            let columns = image.chunk.0.min(width - across * image.chunk.0);
            samples.clear();
            if image.planes == 1 {
                let chunk = &chunks[across];
                image.samples.read(&chunk[line(chunk)], columns * image.channels(), is_scaled, &mut samples);
            } else {
                plane_samples.clear();
                for plane in 0..image.planes {
                    let chunk = &chunks[plane * image.across() + across];
                    image.samples.read(&chunk[line(chunk)], columns, is_scaled, &mut plane_samples);
                }
                for x in 0..columns {
                    samples.extend(plane_samples.iter().skip(x).step_by(columns));
                }
            }
            image.converter.convert(&samples, &mut row);
        }
        shrinker.push(&row);
    }
}

fn unsupported() -> MediaError {
    MediaError::permanent("the image uses an unsupported variant of its format")
}
