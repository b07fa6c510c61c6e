//! PNG row by row. An interlaced one, whose rows come in no order, is decoded whole.

use std::io::{BufReader, Seek};

use image::ImageFormat;
use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Limits, Reader, Transformations};

use super::{Decoded, damaged, general, unreadable};
use crate::facts::png_orientation;
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::Layout;
use crate::thumbnail::shrink::Shrinker;

type PngReader<'a, 'f> = Reader<BufReader<&'a mut Source<'f>>>;

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let bytes = usize::try_from(limits.max_decoder_bytes).unwrap_or(usize::MAX);
    let orientation = png_orientation(&mut source).unwrap_or(Orientation::NoTransforms);
    source.rewind().map_err(unreadable)?;
    let reader = BufReader::with_capacity(64 << 10, &mut source);
    let mut decoder = Decoder::new_with_limits(reader, Limits { bytes });
    // Palettes and small depths become bytes, 16 bits become 8.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(fault)?;
    let full = (reader.info().width, reader.info().height);
    limits.check_dimensions(full.0, full.1)?;
    if reader.info().interlaced {
        drop(reader);
        source.rewind().map_err(unreadable)?;
        let decoded = general::decode(source, ImageFormat::Png, within, limits)?;
        return Ok(Decoded { fit: Fit::new(within, full, orientation), orientation, ..decoded });
    }
    let icc = reader.info().icc_profile.as_deref().map(<[u8]>::to_vec);
    let fit = Fit::new(within, full, orientation);
    let shrinker = rows(&mut reader, full.0, &fit)?;
    let (pixels, extent) = shrinker.finish();
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc })
}

fn rows(reader: &mut PngReader<'_, '_>, width: u32, fit: &Fit) -> Result<Shrinker, MediaError> {
    let (colours, _) = reader.output_color_type();
    let layout = match colours {
        ColorType::Grayscale => Layout::Gray,
        ColorType::Rgb => Layout::Rgb,
        _ => Layout::Rgba,
    };
    let mut shrinker = Shrinker::new(width, layout, fit.reduction());
    let mut coloured = Vec::new();
    let height = reader.info().height as usize;
    // What comes after the last row is not needed, and in a file that was cut off may be missing.
    while shrinker.rows() < height {
        let row = match reader.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // As browsers do, what there is of a file that was cut off or is damaged is shown.
            Err(DecodingError::IoError(error)) if error.raw_os_error().is_some() => {
                return Err(unreadable(error));
            }
            Err(_) if shrinker.rows() > 0 => {
                shrinker.fill(height);
                break;
            }
            Err(error) => return Err(fault(error)),
        };
        if colours == ColorType::GrayscaleAlpha {
            coloured.clear();
            coloured.extend(
                row.data()
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .flat_map(|[light, alpha]| [*light, *light, *light, *alpha]),
            );
            shrinker.push(&coloured);
        } else {
            shrinker.push(row.data());
        }
    }
    Ok(shrinker)
}

fn fault(error: DecodingError) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => MediaError::permanent("the image needs too much memory to decode"),
        DecodingError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            unreadable(error)
        }
        _ => damaged(),
    }
}
