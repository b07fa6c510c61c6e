//! From decoded pixels to the variant's size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::damaged;
use super::pixels::{Layout, Pixels};
use crate::fit::Fit;
use crate::limits::MediaError;

/// Crops to the part that `fit` shows and scales it to the output size.
/// `extent` is the size that the whole image takes in `pixels`, which a reduced decode may pad to whole blocks.
pub(super) fn to_fit(pixels: Pixels, fit: &Fit, extent: (f64, f64)) -> Result<Pixels, MediaError> {
    let (width, height) = fit.output;
    let scale = (extent.0 / f64::from(fit.full.0), extent.1 / f64::from(fit.full.1));
    let crop = (fit.shown.0 * scale.0, fit.shown.1 * scale.1);
    let corner = ((extent.0 - crop.0).max(0.0) / 2.0, (extent.1 - crop.1).max(0.0) / 2.0);
    let kind = match pixels.layout {
        Layout::Gray => PixelType::U8,
        Layout::Rgb => PixelType::U8x3,
        Layout::Rgba | Layout::Cmyk => PixelType::U8x4,
    };
    let from = ImageRef::new(pixels.width, pixels.height, &pixels.data, kind).map_err(|_| damaged())?;
    let mut to = Image::new(width, height, kind);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(pixels.layout == Layout::Rgba)
        .crop(corner.0, corner.1, crop.0.min(f64::from(pixels.width)), crop.1.min(f64::from(pixels.height)));
    Resizer::new().resize(&from, &mut to, &options).map_err(|_| damaged())?;
    Ok(Pixels { width, height, layout: pixels.layout, data: to.into_vec() })
}
