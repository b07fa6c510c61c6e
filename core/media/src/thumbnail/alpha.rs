//! Colours and alpha, where a file stores them separately.

use super::damaged;
use super::pixels::{Layout, Pixels};
use super::resize;
use crate::fit::Fit;
use crate::limits::MediaError;

/// RGB and a plane of alpha, which covers the same part of the image and is scaled to the same size, as RGBA.
/// `alpha` is the plane with the size that the whole takes in it, `stored` the size that it was coded in.
pub(super) fn join(
    colours: Pixels,
    (alpha, extent): (Pixels, (f64, f64)),
    stored: (u32, u32),
    is_premultiplied: bool,
) -> Result<Pixels, MediaError> {
    let output = (colours.width, colours.height);
    let shown = (f64::from(stored.0), f64::from(stored.1));
    let alpha = match (alpha.width, alpha.height) == output {
        true => alpha,
        false => resize::to_fit(alpha, &Fit { full: stored, shown, output }, extent)?,
    };
    if colours.layout != Layout::Rgb || colours.data.len() != 3 * alpha.data.len() {
        return Err(damaged());
    }
    let pixels = colours.data.as_chunks::<3>().0.iter().zip(&alpha.data);
    let data = pixels
        .flat_map(|([red, green, blue], alpha)| {
            let plain = |value: u8| if is_premultiplied { divided(value, *alpha) } else { value };
            [plain(*red), plain(*green), plain(*blue), *alpha]
        })
        .collect();
    Ok(Pixels { layout: Layout::Rgba, data, ..colours })
}

/// A colour without the alpha that it was multiplied by; where there is no alpha, no colour.
pub(super) fn divided(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    (value * 255 + alpha / 2).checked_div(alpha).unwrap_or(0).min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn premultiplied_colours_are_restored() {
        let colours = Pixels { width: 2, height: 1, layout: Layout::Rgb, data: vec![50, 100, 0, 10, 10, 10] };
        let alpha = Pixels { width: 2, height: 1, layout: Layout::Gray, data: vec![100, 0] };
        let joined = join(colours, (alpha, (2.0, 1.0)), (2, 1), true).unwrap();
        assert_eq!(joined.data, [128, 255, 0, 100, 0, 0, 0, 0]);
    }
}
