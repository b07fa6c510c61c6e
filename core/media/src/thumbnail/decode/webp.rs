//! WebP by libwebp, which scales while it decodes; the first frame of an animation by the `image` crate.

use std::io::Seek;

use image::ImageFormat;
use image::metadata::Orientation;
use webpx::{ColorMode, Decoder, DecoderConfig, ImageInfo, Limits, StreamingDecoder};

use super::{Decoded, damaged, general, whole};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::pixels::{Layout, Pixels};
use crate::thumbnail::shrink::Shrinker;

/// Until this many times the result's size the filter of the decoder does the work, the rest ours, which is sharper.
const HEADROOM: f64 = 2.0;

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let head = source.up_to(0, 64).ok_or_else(damaged)?;
    let is_animated = ImageInfo::from_webp(&head).is_ok_and(|info| info.has_animation);
    source.rewind().map_err(super::unreadable)?;
    if is_animated {
        return general::decode(source, ImageFormat::WebP, within, limits);
    }
    let bytes = whole(&mut source)?;
    let decoder = Decoder::new(&bytes).map_err(|_| damaged())?;
    let info = decoder.info().clone();
    limits.check_dimensions(info.width, info.height)?;
    let orientation =
        info.orientation.and_then(|o| Orientation::from_exif(o as u8)).unwrap_or(Orientation::NoTransforms);
    let fit = Fit::new(within, (info.width, info.height), orientation);
    let icc = webpx::get_icc_profile(&bytes).ok().flatten();
    let reduction = (fit.reduction() / HEADROOM).max(1.0);
    let scaled = |side: u32| (f64::from(side) / reduction).ceil() as u32;
    let config = DecoderConfig::new()
        .limits(Limits::none().with_max_pixels(limits.max_pixels))
        .bypass_filtering(fit.hides_blocks());
    let decoder = decoder.config(config).scale(scaled(info.width), scaled(info.height));
    let (layout, decoded) = match info.has_alpha {
        true => (Layout::Rgba, decoder.decode_rgba_raw()),
        false => (Layout::Rgb, decoder.decode_rgb_raw()),
    };
    let (pixels, extent) = match decoded {
        Ok((data, width, height)) => {
            (Pixels { width, height, layout, data }, (f64::from(width), f64::from(height)))
        }
        Err(_) => beginning(&bytes, layout, (info.width, info.height), &fit, limits).ok_or_else(damaged)?,
    };
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc })
}

/// What there is of an image that was cut off, as browsers show it.
fn beginning(
    bytes: &[u8],
    layout: Layout,
    (width, height): (u32, u32),
    fit: &Fit,
    limits: &MediaLimits,
) -> Option<(Pixels, (f64, f64))> {
    let (colours, row) = match layout {
        Layout::Rgba => (ColorMode::Rgba, width as usize * 4),
        _ => (ColorMode::Rgb, width as usize * 3),
    };
    let mut decoder = StreamingDecoder::new(colours).ok()?;
    decoder = decoder.limits(Limits::none().with_max_pixels(limits.max_pixels));
    // An error behind the first rows is the end as well.
    let _ = decoder.append(bytes);
    let (rows, _, _) = decoder.get_partial().filter(|(_, decoded, _)| *decoded == width)?;
    let mut shrinker = Shrinker::new(width, layout, fit.reduction());
    rows.chunks_exact(row).take(height as usize).for_each(|row| shrinker.push(row));
    shrinker.fill(height as usize);
    Some(shrinker.finish())
}
