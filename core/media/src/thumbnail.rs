//! Thumbnails of images.
//! Invariant: an image's size is checked by its header before memory is spent on its pixels; the thumbnail is sRGB,
//! upright, of the first frame, and carries no metadata.
//! Never starts a process (see `still`, `video`), never caches.

mod alpha;
mod colour;
mod decode;
mod encode;
mod pixels;
mod resize;
mod shrink;
mod thumbhash;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;

use super::ffmpeg::Frame;
use super::fit::{Fit, FitTo};
use super::heif::CodedImage;
use super::limits::{MediaError, MediaLimits};
use super::raw;
use super::source::Source;
use decode::Decoded;
use pixels::{Layout, Pixels};

/// How a thumbnail is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThumbnailFormat {
    /// Lossy WebP with alpha, for browsers.
    WebP,
    /// Baseline JPEG on white: for clients that name neither WebP nor AVIF.
    Jpeg,
}

impl ThumbnailFormat {
    /// The format's media type.
    #[must_use]
    pub const fn mime(self) -> &'static str {
        match self {
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// Reads a media type as [`ThumbnailFormat::mime`] gives it.
    #[must_use]
    pub fn from_mime(mime: &str) -> Option<Self> {
        [Self::WebP, Self::Jpeg].into_iter().find(|format| format.mime() == mime)
    }
}

/// An encoded thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub mime: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// A placeholder for it in about 25 bytes (ThumbHash).
    pub thumbhash: Vec<u8>,
}

/// What a thumbnail is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Its size in bytes, which the thumbnail is not to exceed.
    bytes: u64,
    /// Whether it is coded without loss, as drawings and screenshots are.
    is_lossless: bool,
}

impl Origin {
    /// A video or an audio file, which is larger than any thumbnail.
    pub(super) const VIDEO: Self = Self { bytes: u64::MAX, is_lossless: false };

    pub(super) fn image(mime: &str, bytes: u64) -> Self {
        // An SVG may take fewer bytes than any raster image of it.
        let bytes = if mime == "image/svg+xml" { u64::MAX } else { bytes };
        let lossless = ["image/svg+xml", "image/png", "image/gif", "image/bmp", "image/vnd.microsoft.icon"];
        Self { bytes, is_lossless: lossless.contains(&mime) }
    }
}

/// Makes the thumbnail of an image that this process decodes. Blocking: a large image takes up to a few hundred
/// milliseconds of one core. `mime` is what `sniff` said. The file's cursor stays where it is.
///
/// # Errors
/// When the image is too large, damaged, or of a type that this process does not decode.
pub fn decoded_thumbnail(
    file: &File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let source = Source::new(file, limits.max_image_bytes).map_err(unreadable)?;
    // Only the preview in a raw image is read.
    if source.len() > limits.max_image_bytes && !raw::MIMES.contains(&mime) {
        return Err(MediaError::permanent(TOO_LARGE));
    }
    let origin = Origin::image(mime, source.len());
    guarded(|| finish(decode::decode(source, mime, within, limits)?, format, origin))
}

/// The same for the frames of an AVIF file.
pub(super) fn av1_thumbnail(
    coded: CodedImage,
    within: FitTo,
    (format, origin): (ThumbnailFormat, Origin),
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    guarded(|| finish(decode::av1(coded, within, limits)?, format, origin))
}

/// The first step from a large JPEG to a thumbnail: the image at a quarter or an eighth, as width, height, and samples
/// in gray or RGB, or `None` where libjpeg-turbo has to decode it. Public only for benchmarks and fuzzing.
#[must_use]
pub fn jpeg_by_low_frequencies(
    bytes: &[u8],
    is_quarter: bool,
    limits: &MediaLimits,
) -> Option<(u32, u32, Vec<u8>)> {
    let pixels = decode::jpeg_by_low_frequencies(bytes, is_quarter, limits)?;
    Some((pixels.width, pixels.height, pixels.data))
}

/// Decodes the LZW codes of a TIFF strip or a GIF frame to at most `most` bytes, or `None` where literals have a width
/// that no image has. Public only for fuzzing.
#[must_use]
pub fn lzw_decoded(codes: &[u8], literal_width: u8, is_tiff: bool, most: usize) -> Option<Vec<u8>> {
    decode::lzw_decoded(codes, literal_width, is_tiff, most)
}

/// The same as [`decoded_thumbnail`] for an image in memory, such as a cover.
pub(super) fn bytes_thumbnail(
    bytes: &[u8],
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    guarded(|| finish(decode::decode(Source::of_bytes(bytes), mime, within, limits)?, format, Origin::VIDEO))
}

/// The same for a frame that ffmpeg decoded, which shows the whole image that `fit` describes.
pub(super) fn frame_thumbnail(
    frame: Frame,
    fit: Fit,
    orientation: Orientation,
    icc: Option<Vec<u8>>,
    (format, origin): (ThumbnailFormat, Origin),
) -> Result<Thumbnail, MediaError> {
    let pixels = of_frame(frame);
    let extent = (f64::from(pixels.width), f64::from(pixels.height));
    finish(Decoded { pixels, extent, fit, orientation, matrix: None, icc }, format, origin)
}

/// The same for a frame of an image's colours and one of its alpha, whose stored pixels have the size `stored`.
pub(super) fn layers_thumbnail(
    colours: Frame,
    (alpha, stored): (Frame, (u32, u32)),
    fit: Fit,
    coded: CodedImage,
    (format, origin): (ThumbnailFormat, Origin),
) -> Result<Thumbnail, MediaError> {
    let pixels = alpha::join(of_frame(colours), brightness(alpha), stored, coded.is_premultiplied)?;
    let extent = (f64::from(pixels.width), f64::from(pixels.height));
    let CodedImage { orientation, icc, .. } = coded;
    finish(Decoded { pixels, extent, fit, orientation, matrix: None, icc }, format, origin)
}

fn of_frame(Frame { width, height, data }: Frame) -> Pixels {
    Pixels { width, height, layout: Layout::Rgb, data }
}

/// A frame without colours, and its size.
fn brightness(Frame { width, height, data }: Frame) -> (Pixels, (f64, f64)) {
    let data = data.as_chunks::<3>().0.iter().map(|[_, green, _]| *green).collect();
    (Pixels { width, height, layout: Layout::Gray, data }, (f64::from(width), f64::from(height)))
}

/// Turns a panic in a decoder, which only hostile bytes can cause, into a failure.
fn guarded(work: impl FnOnce() -> Result<Thumbnail, MediaError>) -> Result<Thumbnail, MediaError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged()))
}

/// Resizes decoded pixels, converts them to sRGB, turns them upright and encodes them.
fn finish(decoded: Decoded, format: ThumbnailFormat, origin: Origin) -> Result<Thumbnail, MediaError> {
    let small = resize::to_fit(decoded.pixels, &decoded.fit, decoded.extent)?;
    let pixels = colour::to_srgb(small, decoded.matrix, decoded.icc.as_deref());
    let upright = pixels.upright(decoded.orientation);
    let thumbhash = thumbhash::thumbhash(&upright)?;
    let bytes = encode::encode(&upright, format, origin)?;
    Ok(Thumbnail { bytes, mime: format.mime(), width: upright.width, height: upright.height, thumbhash })
}

pub(super) const TOO_LARGE: &str = "the image file is too large to decode";

pub(super) fn damaged() -> MediaError {
    MediaError::permanent("the image's data is damaged")
}

/// The failure for an error of reading. Only an error of the system may go away later, and only those have a number:
/// the read errors of decoders and of our own limits are caused by the content.
pub(super) fn unreadable(error: std::io::Error) -> MediaError {
    if error.raw_os_error().is_none() && error.kind() != std::io::ErrorKind::OutOfMemory {
        return damaged();
    }
    MediaError::temporary(format!("the file could not be read: {}", error.kind()))
}

#[cfg(test)]
mod tests;
