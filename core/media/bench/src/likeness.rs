//! How similar a thumbnail is to its original: SSIM (Wang et al. 2004) of the brightness, over squares of eight pixels,
//! against the whole original, scaled to the thumbnail's size by Lanczos in one step.

use std::path::Path;

use anyhow::Result;
use image::GrayImage;
use image::imageops::{FilterType, resize};

const SIDE: u32 = 8;

/// 1 where nothing differs. `None` for a thumbnail that is cropped, because rounding its middle by half a pixel would
/// count as a difference. Transparent pixels count as black.
pub(crate) fn to_whole(thumbnail: &Path, original: &Path) -> Result<Option<f64>> {
    let (thumbnail, original) = (brightness(thumbnail)?, brightness(original)?);
    let (width, height) = thumbnail.dimensions();
    let across = f64::from(original.width()) / f64::from(width);
    let down = f64::from(original.height()) / f64::from(height);
    if (across / down - 1.0).abs() > 0.01 {
        return Ok(None);
    }
    Ok(Some(ssim(&thumbnail, &resize(&original, width, height, FilterType::Lanczos3))))
}

fn ssim(one: &GrayImage, other: &GrayImage) -> f64 {
    let (width, height) = one.dimensions();
    let mut sum = 0.0;
    let mut count = 0;
    for top in (0..=height.saturating_sub(SIDE)).step_by(4) {
        for left in (0..=width.saturating_sub(SIDE)).step_by(4) {
            sum += window(one, other, left, top);
            count += 1;
        }
    }
    sum / f64::from(count)
}

fn brightness(path: &Path) -> Result<GrayImage> {
    let mut pixels = image::ImageReader::open(path)?.with_guessed_format()?.decode()?.into_rgba8();
    for pixel in pixels.pixels_mut() {
        let alpha = u16::from(pixel.0[3]);
        pixel.0 = [pixel.0[0], pixel.0[1], pixel.0[2], 255].map(|c| (u16::from(c) * alpha / 255) as u8);
    }
    Ok(image::DynamicImage::from(pixels).into_luma8())
}

fn window(one: &GrayImage, other: &GrayImage, left: u32, top: u32) -> f64 {
    let (width, height) = one.dimensions();
    let (mut a, mut b, mut aa, mut bb, mut ab, mut n) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for y in top..(top + SIDE).min(height) {
        for x in left..(left + SIDE).min(width) {
            let (p, q) = (f64::from(one.get_pixel(x, y).0[0]), f64::from(other.get_pixel(x, y).0[0]));
            a += p;
            b += q;
            aa += p * p;
            bb += q * q;
            ab += p * q;
            n += 1.0;
        }
    }
    let (a, b) = (a / n, b / n);
    let (va, vb, vab) = (aa / n - a * a, bb / n - b * b, ab / n - a * b);
    const C1: f64 = 6.5025;
    const C2: f64 = 58.5225;
    ((2.0 * a * b + C1) * (2.0 * vab + C2)) / ((a * a + b * b + C1) * (va + vb + C2))
}
