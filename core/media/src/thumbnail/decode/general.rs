//! Formats that are decoded whole, by the `image` crate.

use std::io::BufReader;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{Decoded, damaged};
use crate::facts::orientation_of;
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::Pixels;

pub(super) fn decode(
    source: Source<'_>,
    format: ImageFormat,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let mut reader = ImageReader::with_format(BufReader::with_capacity(64 << 10, source), format);
    let mut bounds = Limits::no_limits();
    bounds.max_alloc = Some(limits.max_decoder_bytes);
    reader.limits(bounds);
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let full = decoder.dimensions();
    limits.check_dimensions(full.0, full.1)?;
    let orientation = orientation_of(&mut decoder).unwrap_or(Orientation::NoTransforms);
    let icc = decoder.icc_profile().ok().flatten();
    if decoder.total_bytes() > limits.max_decoder_bytes {
        return Err(MediaError::permanent("the image needs too much memory to decode"));
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    if format == ImageFormat::Hdr {
        image = as_screens_show(image);
    }
    let mut pixels = Pixels::from_dynamic(image);
    if format == ImageFormat::Bmp {
        pixels.show_if_invisible();
    }
    let extent = (f64::from(pixels.width), f64::from(pixels.height));
    Ok(Decoded { pixels, extent, fit: Fit::new(within, full, orientation), orientation, matrix: None, icc })
}

/// From the light itself, of which 1 is white, to the numbers of sRGB.
fn as_screens_show(image: DynamicImage) -> DynamicImage {
    let mut image = image.into_rgb32f();
    for light in image.iter_mut() {
        let linear = light.clamp(0.0, 1.0);
        *light = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    }
    image.into()
}

fn fault(error: ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::permanent("the image needs too much memory to decode"),
        ImageError::Unsupported(_) => {
            MediaError::permanent("the image uses an unsupported variant of its format")
        }
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            super::unreadable(error)
        }
        _ => damaged(),
    }
}
