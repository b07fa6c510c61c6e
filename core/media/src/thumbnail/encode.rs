//! From pixels to a file that carries nothing else.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};
use webpx::{Encoder, Unstoppable};

use super::pixels::{Layout, Pixels};
use super::{Origin, ThumbnailFormat};
use crate::limits::MediaError;

/// Of 100; what libvips takes as well.
const QUALITY: u8 = 80;
/// The quality to try when a thumbnail would take more bytes than its original. Below it, blocks show.
const LOWER_QUALITIES: [u8; 2] = [60, 40];

#[derive(Debug, Clone, Copy)]
enum Coding {
    WebP(u8),
    /// For few colours and sharp edges, which take fewer bytes than with loss.
    LosslessWebP,
    Jpeg(u8),
}

/// Whether it has so few pixels that each counts: WebP with loss, and JPEG as it is used for photographs, have one
/// colour for four.
const fn is_icon(pixels: &Pixels) -> bool {
    const MOST: u32 = 64 * 64;
    pixels.width * pixels.height <= MOST
}

/// Encodes RGB or RGBA in no more bytes than its origin has, unless even a low quality takes more.
pub(super) fn encode(
    pixels: &Pixels,
    format: ThumbnailFormat,
    origin: Origin,
) -> Result<Vec<u8>, MediaError> {
    let is_icon = is_icon(pixels);
    let (coding, lossless): (fn(u8) -> Coding, _) = match format {
        ThumbnailFormat::WebP => {
            (Coding::WebP, (origin.is_lossless || is_icon).then_some(Coding::LosslessWebP))
        }
        ThumbnailFormat::Jpeg => (Coding::Jpeg, None),
    };
    let (first, second) = match lossless {
        Some(lossless) if is_icon => (lossless, Some(coding(QUALITY))),
        lossless => (coding(QUALITY), lossless),
    };
    let others = second.into_iter().chain(LOWER_QUALITIES.map(coding));
    let mut smallest = encode_as(pixels, first)?;
    for coding in others {
        if smallest.len() as u64 <= origin.bytes {
            break;
        }
        let other = encode_as(pixels, coding)?;
        if other.len() < smallest.len() {
            smallest = other;
        }
    }
    Ok(smallest)
}

fn encode_as(pixels: &Pixels, coding: Coding) -> Result<Vec<u8>, MediaError> {
    match coding {
        Coding::WebP(quality) => {
            webp(pixels).quality(f32::from(quality)).encode(Unstoppable).map_err(not_encoded)
        }
        Coding::LosslessWebP => {
            webp(pixels).lossless(true).method(0).encode(Unstoppable).map_err(not_encoded)
        }
        Coding::Jpeg(quality) => jpeg(&on_white(pixels.clone()), quality),
    }
}

fn webp(pixels: &Pixels) -> Encoder<'_> {
    match pixels.layout {
        Layout::Rgba => Encoder::new_rgba(&pixels.data, pixels.width, pixels.height),
        _ => Encoder::new_rgb(&pixels.data, pixels.width, pixels.height),
    }
}

fn jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, MediaError> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let image = Image { pixels: &pixels.data[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    let compress = || {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(i32::from(quality))?;
        compressor.set_subsamp(if is_icon(pixels) { Subsamp::None } else { Subsamp::Sub2x2 })?;
        compressor.set_optimize(true)?;
        compressor.compress_to_vec(image)
    };
    compress().map_err(not_encoded)
}

/// JPEG has no alpha: what is transparent becomes white.
fn on_white(pixels: Pixels) -> Pixels {
    if pixels.layout != Layout::Rgba {
        return pixels;
    }
    let flatten = |[red, green, blue, alpha]: &[u8; 4]| {
        let alpha = u32::from(*alpha);
        [*red, *green, *blue].map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    };
    let data = pixels.data.as_chunks::<4>().0.iter().flat_map(flatten).collect();
    Pixels { layout: Layout::Rgb, data, ..pixels }
}

fn not_encoded(_: impl std::error::Error) -> MediaError {
    MediaError::temporary("the thumbnail could not be encoded")
}
