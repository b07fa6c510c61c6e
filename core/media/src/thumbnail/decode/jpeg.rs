//! JPEG: at an eighth or a quarter by our own decoder, else by libjpeg-turbo, whose inverse transform decodes the image
//! at a half, a quarter or an eighth.

mod component;
mod header;
mod huffman;
mod last_bits;
mod low_frequencies;
mod scan;

use std::io::{Cursor, Seek};

use image::metadata::Orientation;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

use super::{Decoded, damaged, unreadable, whole};
use crate::fit::{Fit, FitTo};
use crate::jpeg_header::JpegHeader;
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::{Layout, Pixels};
use low_frequencies::Scale;

/// The reductions from which on the image is decoded at an eighth and at a quarter. Clearly more pixels are left than
/// the result has: what is decoded at a fraction has the mean of each square, which needs the sharper filter after it.
const FOR_AN_EIGHTH: f64 = 9.0;
const FOR_A_QUARTER: f64 = 5.0;

/// More scans than any encoder writes: each costs a pass over the whole image.
const MAX_SCANS: u32 = 100;

/// `orientation` is what a container says, if it says something.
pub(super) fn decode(
    mut source: Source<'_>,
    orientation: Option<Orientation>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let mut bytes = whole(&mut source)?;
    let header = JpegHeader::read(Cursor::new(&bytes)).ok_or_else(damaged)?;
    limits.check_jpeg(header.size.0, header.size.1)?;
    let start = header::plain(&mut bytes).ok_or_else(damaged)?;
    let orientation = orientation.unwrap_or(header.orientation);
    let fit = Fit::new(within, header.size, orientation);
    let factor = factor(&fit);
    let scale = match factor {
        ScalingFactor::ONE_EIGHTH => Some(Scale::Eighth),
        ScalingFactor::ONE_QUARTER => Some(Scale::Quarter),
        _ => None,
    };
    let by_library = |bytes: &[u8]| {
        // 2 bytes for each sample: 3 for a pixel at the sampling of cameras, 6 at full sampling, 8 in four inks.
        if header.decoder_bytes > limits.max_decoder_bytes {
            return Err(MediaError::permanent("the image is too large for its encoding"));
        }
        decompress(bytes, factor).map_err(|_| damaged())
    };
    let (mut pixels, factor) = match scale.map(|scale| low_frequencies::decode(&mut bytes[start..], scale)) {
        Some(Some(pixels)) => (pixels, factor),
        None => by_library(&bytes[start..])?,
        // Our decoder has moved the bytes.
        Some(None) => {
            drop(bytes);
            source.rewind().map_err(unreadable)?;
            let mut bytes = whole(&mut source)?;
            let start = header::plain(&mut bytes).ok_or_else(damaged)?;
            by_library(&bytes[start..])?
        }
    };
    if pixels.layout == Layout::Cmyk {
        // Inverted, as Adobe's programs store ink: browsers take files without Adobe's mark for inverted as well.
        pixels.data.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    let scale = factor.num() as f64 / factor.denom() as f64;
    let extent = (f64::from(header.size.0) * scale, f64::from(header.size.1) * scale);
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc: header.icc })
}

/// The image by our own decoder, if it supports the file and the file is within the limits.
pub(in crate::thumbnail) fn by_low_frequencies(
    bytes: &[u8],
    is_quarter: bool,
    limits: &MediaLimits,
) -> Option<Pixels> {
    let header = JpegHeader::read(Cursor::new(bytes))?;
    limits.check_jpeg(header.size.0, header.size.1).ok()?;
    let mut bytes = bytes.to_vec();
    let start = header::plain(&mut bytes)?;
    low_frequencies::decode(&mut bytes[start..], if is_quarter { Scale::Quarter } else { Scale::Eighth })
}

/// A JPEG that is a part of another file.
pub(super) fn whole_image(bytes: &[u8]) -> Option<Pixels> {
    decompress(bytes, ScalingFactor::ONE).ok().map(|(pixels, _)| pixels)
}

/// The image by the library, at `factor` or, where that is not possible, at full size.
fn decompress(bytes: &[u8], factor: ScalingFactor) -> turbojpeg::Result<(Pixels, ScalingFactor)> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scan_limit(MAX_SCANS)?;
    let header = decompressor.read_header(bytes)?;
    let factor = if header.is_lossless { ScalingFactor::ONE } else { factor };
    let end = if factor == ScalingFactor::ONE { None } else { last_bits::end_before(bytes) };
    let bytes = &bytes[..end.unwrap_or(bytes.len())];
    Ok((reduced(&mut decompressor, bytes, &header, factor)?, factor))
}

fn reduced(
    decompressor: &mut Decompressor,
    bytes: &[u8],
    header: &DecompressHeader,
    factor: ScalingFactor,
) -> turbojpeg::Result<Pixels> {
    decompressor.set_scaling_factor(factor)?;
    let (layout, format) = match header.colorspace {
        Colorspace::Gray => (Layout::Gray, PixelFormat::GRAY),
        Colorspace::CMYK | Colorspace::YCCK => (Layout::Cmyk, PixelFormat::CMYK),
        _ => (Layout::Rgb, PixelFormat::RGB),
    };
    let (width, height) = (factor.scale(header.width), factor.scale(header.height));
    let pitch = width * layout.channels();
    let mut data = vec![0; pitch * height];
    let image = Image { pixels: &mut data[..], width, pitch, height, format };
    match decompressor.decompress(bytes, image) {
        Err(turbojpeg::Error::TurboJpegError(message)) if is_warning(&message) => {}
        result => result?,
    }
    Ok(Pixels { width: width as u32, height: height as u32, layout, data })
}

fn factor(fit: &Fit) -> ScalingFactor {
    match fit.reduction() {
        reduction if reduction >= FOR_AN_EIGHTH => ScalingFactor::ONE_EIGHTH,
        reduction if reduction >= FOR_A_QUARTER => ScalingFactor::ONE_QUARTER,
        reduction if reduction >= 3.0 => ScalingFactor::ONE_HALF,
        _ => ScalingFactor::ONE,
    }
}

/// libjpeg's messages for errors after which it goes on; browsers show such images, so do we.
fn is_warning(message: &str) -> bool {
    [
        "Corrupt JPEG data",
        "Premature end of JPEG file",
        "Inconsistent progression sequence",
        "Invalid SOS parameters",
    ]
    .iter()
    .any(|warning| message.contains(warning))
}

#[cfg(test)]
mod tests;
