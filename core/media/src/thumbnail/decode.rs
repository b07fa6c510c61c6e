//! From a file to pixels, no larger than the variant needs where the format allows it.

mod av1;
mod general;
mod gif;
mod ico;
mod jpeg;
mod jxl;
mod lzw;
mod png;
mod psd;
mod raw;
mod svg;
mod tiff;
mod webp;

pub(super) use av1::decode as av1;
pub(super) use jpeg::by_low_frequencies as jpeg_by_low_frequencies;
pub(super) use lzw::decoded as lzw_decoded;

use image::ImageFormat;
use image::metadata::Orientation;

use super::colour::Matrix;
use super::pixels::Pixels;
use super::{damaged, unreadable};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::raw::MIMES as RAW;
use crate::source::Source;

/// Decoded pixels with the steps that are left to do.
pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    /// The size that the whole image takes in `pixels`.
    pub(super) extent: (f64, f64),
    pub(super) fit: Fit,
    pub(super) orientation: Orientation,
    /// How its channels become RGB where they are brightness and colours.
    pub(super) matrix: Option<Matrix>,
    pub(super) icc: Option<Vec<u8>>,
}

/// Decodes an image for a variant.
pub(super) fn decode(
    source: Source<'_>,
    mime: &str,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    match mime {
        "image/jpeg" => jpeg::decode(source, None, within, limits),
        "image/webp" => webp::decode(source, within, limits),
        "image/png" => png::decode(source, within, limits),
        "image/gif" => gif::decode(source, within, limits),
        "image/tiff" => tiff::decode(source, within, limits),
        "image/bmp" => general::decode(source, ImageFormat::Bmp, within, limits),
        "image/vnd.adobe.photoshop" => psd::decode(source, within, limits),
        "image/svg+xml" => svg::decode(source, within, limits),
        "image/jxl" => jxl::decode(source, within, limits),
        "image/x-tga" => general::decode(source, ImageFormat::Tga, within, limits),
        "image/vnd.radiance" => general::decode(source, ImageFormat::Hdr, within, limits),
        "image/x-portable-anymap" => general::decode(source, ImageFormat::Pnm, within, limits),
        "image/vnd.microsoft.icon" => ico::decode(source, within, limits),
        _ if RAW.contains(&mime) => raw::decode(source, mime, within, limits),
        _ => Err(MediaError::permanent("images of this type cannot be decoded")),
    }
}

/// The whole file, which the C decoders want in one piece.
fn whole(source: &mut Source<'_>) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::with_capacity(usize::try_from(source.len()).unwrap_or(0));
    std::io::Read::read_to_end(source, &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}
