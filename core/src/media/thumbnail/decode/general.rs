//! Formats that are decoded whole, by the `image` crate.

use std::io::BufReader;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{Decoded, damaged};
use crate::media::limits::{MediaError, MediaLimits};
use crate::media::source::Source;
use crate::media::thumbnail::fit::Fit;
use crate::media::thumbnail::pixels::Pixels;
use crate::model::PictureKind;

pub(super) fn decode(
    source: Source<'_>,
    format: ImageFormat,
    kind: PictureKind,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let mut reader = ImageReader::with_format(BufReader::with_capacity(64 << 10, source), format);
    let mut bounds = Limits::no_limits();
    bounds.max_alloc = Some(limits.max_decoder_bytes);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let full = decoder.dimensions();
    limits.check_dimensions(full.0, full.1)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let icc = decoder.icc_profile().ok().flatten();
    let pixels = Pixels::from_dynamic(DynamicImage::from_decoder(decoder).map_err(fault)?);
    let extent = (f64::from(pixels.width), f64::from(pixels.height));
    Ok(Decoded { pixels, extent, fit: Fit::new(kind, full, orientation), orientation, matrix: None, icc })
}

fn fault(error: ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::permanent("the picture needs too much memory to decode"),
        ImageError::Unsupported(_) => {
            MediaError::permanent("the picture uses a variant of its format that is not decoded")
        }
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            super::unreadable(error)
        }
        _ => damaged(),
    }
}
