//! From pixels to a file that carries nothing else.

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};
use webpx::{Encoder, Unstoppable};

use super::pixels::{Layout, Pixels};
use super::{Picture, PictureFormat};
use crate::media::limits::MediaError;

const QUALITY: u8 = 80;

/// Encodes RGB or RGBA.
pub(super) fn encode(
    pixels: Pixels,
    format: PictureFormat,
    thumbhash: Vec<u8>,
) -> Result<Picture, MediaError> {
    let (bytes, mime) = match format {
        PictureFormat::WebP => (webp(&pixels)?, "image/webp"),
        PictureFormat::Jpeg => (jpeg(&on_white(pixels.clone()))?, "image/jpeg"),
    };
    Ok(Picture { bytes, mime, width: pixels.width, height: pixels.height, thumbhash })
}

fn webp(pixels: &Pixels) -> Result<Vec<u8>, MediaError> {
    let encoder = match pixels.layout {
        Layout::Rgba => Encoder::new_rgba(&pixels.data, pixels.width, pixels.height),
        _ => Encoder::new_rgb(&pixels.data, pixels.width, pixels.height),
    };
    encoder.quality(f32::from(QUALITY)).encode(Unstoppable).map_err(not_encoded)
}

fn jpeg(pixels: &Pixels) -> Result<Vec<u8>, MediaError> {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let image = Image { pixels: &pixels.data[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
    let compress = || {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(i32::from(QUALITY))?;
        compressor.set_subsamp(Subsamp::Sub2x2)?;
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
