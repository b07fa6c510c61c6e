//! Thumbnails of images.
//! Invariant: an image's size is checked by its header before memory is spent on its pixels; the thumbnail is sRGB,
//! upright, of the first frame, and carries no metadata.
//! Never reads a video (see `video`), never caches.

mod alpha;
mod colour;
mod decode;
mod encode;
mod fit;
mod pixels;
mod resize;
mod shrink;
mod thumbhash;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;

use super::demuxer::HEVC_DEMUXER;
use super::facts::image_facts;
use super::heif::{self, Codec, CodedImage, Layer, Rectangle};
use super::limits::{MediaError, MediaLimits};
use super::raw;
use super::source::Source;
use super::video::{Frame, still};
use decode::Decoded;
pub(super) use fit::Fit;
pub use fit::FitTo;
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

/// Makes the thumbnail of an image `within` this frame. Blocking: a large image takes up to a few hundred milliseconds of one core.
/// `mime` is what `sniff` said. The file's cursor stays where it is.
///
/// # Errors
/// When the image is too large, damaged, or of an unsupported type.
pub fn image_thumbnail(
    file: &File,
    mime: &str,
    within: FitTo,
    format: ThumbnailFormat,
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let mut source = Source::new(file, limits.max_image_bytes).map_err(unreadable)?;
    let origin = Origin::image(mime, source.len());
    if let "image/avif" | "image/heic" | "image/heif" = mime {
        let reduction = |size, orientation| Fit::new(within, size, orientation).reduction();
        let coded = heif::coded_image(&mut source, reduction, limits)?;
        return match coded.codec {
            Codec::Hevc => by_ffmpeg(coded, within, (format, origin), limits),
            Codec::Av1 => guarded(|| finish(decode::av1(coded, within, limits)?, format, origin)),
        };
    }
    if let Some(demuxer) = ffmpeg_demuxer(mime) {
        return studio(source, demuxer, mime, within, (format, origin), limits);
    }
    // Only the preview in a raw image is read.
    if source.len() > limits.max_image_bytes && !raw::MIMES.contains(&mime) {
        return Err(MediaError::permanent("the image file is too large to decode"));
    }
    guarded(|| finish(decode::decode(source, mime, within, limits)?, format, origin))
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

/// The same as [`image_thumbnail`] for an image in memory, such as a cover.
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

/// ffmpeg decodes images in HEVC, outside of this process.
fn by_ffmpeg(
    coded: CodedImage,
    within: FitTo,
    (format, origin): (ThumbnailFormat, Origin),
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    let fit = Fit::new(within, coded.shown.size, coded.orientation);
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unreadable)?;
        let frame = |layer, shown| runtime.block_on(still(layer, HEVC_DEMUXER, shown, &fit, within, limits));
        let colours = frame(&coded.colours, coded.shown)?;
        let Some(alpha) = &coded.alpha else { return Ok((colours, None)) };
        let shown = coded.shown.scaled(coded.colours.size, alpha.size);
        Ok((colours, Some((frame(alpha, shown)?, shown.size))))
    };
    // A thread of its own, because the caller's may belong to a runtime.
    let (colours, alpha) =
        std::thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|_| Err(damaged()))?;
    let Some((alpha, stored)) = alpha else {
        return frame_thumbnail(colours, fit, coded.orientation, coded.icc, (format, origin));
    };
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

/// ffmpeg's names for the formats that it decodes for us, because no small library does.
fn ffmpeg_demuxer(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "image/jp2" => "j2k_pipe",
        "image/x-exr" => "exr_pipe",
        "image/vnd-ms.dds" => "dds_pipe",
        "image/qoi" => "qoi_pipe",
        _ => return None,
    })
}

/// An image of a studio or an archive, by ffmpeg.
fn studio(
    mut source: Source<'_>,
    demuxer: &str,
    mime: &str,
    within: FitTo,
    (format, origin): (ThumbnailFormat, Origin),
    limits: &MediaLimits,
) -> Result<Thumbnail, MediaError> {
    if source.len() > limits.max_image_bytes {
        return Err(MediaError::permanent("the image file is too large to decode"));
    }
    let stream = source.up_to(0, limits.max_image_bytes).ok_or_else(damaged)?;
    let facts = image_facts(Source::of_bytes(&stream), mime).ok_or_else(damaged)?;
    let size = facts.width.zip(facts.height).ok_or_else(damaged)?;
    limits.check_dimensions(size.0, size.1)?;
    let upright = Orientation::NoTransforms;
    let fit = Fit::new(within, size, upright);
    let layer = Layer { stream, tiles: (1, 1), size };
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unreadable)?;
        runtime.block_on(still(&layer, demuxer, Rectangle::whole(size), &fit, within, limits))
    };
    let frame = std::thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|_| Err(damaged()))?;
    frame_thumbnail(frame, fit, upright, None, (format, origin))
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

fn damaged() -> MediaError {
    MediaError::permanent("the image's data is damaged")
}

/// The failure for an error of reading. Only an error of the system may go away later, and only those have a number:
/// the read errors of decoders and of our own limits are caused by the content.
fn unreadable(error: std::io::Error) -> MediaError {
    if error.raw_os_error().is_none() && error.kind() != std::io::ErrorKind::OutOfMemory {
        return damaged();
    }
    MediaError::temporary(format!("the file could not be read: {}", error.kind()))
}

#[cfg(test)]
mod tests;
