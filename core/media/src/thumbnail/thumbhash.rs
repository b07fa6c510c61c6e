//! A placeholder in about 25 bytes, painted while the image itself loads: its colours and its rough shapes.
//! The format is that of <https://evanw.github.io/thumbhash/>, by its author's own library.

use super::pixels::{Layout, Pixels};
use super::resize;
use crate::fit::Fit;
use crate::limits::MediaError;

/// Longest side of what is hashed, in pixels: more than enough for the seven waves that a hash holds across.
const LONGEST_SIDE: f64 = 48.0;

/// The hash of an image in RGB or RGBA.
pub(super) fn thumbhash(pixels: &Pixels) -> Result<Vec<u8>, MediaError> {
    let small = resize::to_fit(pixels.clone(), &small(pixels), extent(pixels))?;
    let rgba = match small.layout {
        Layout::Rgba => small.data,
        _ => small.data.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect(),
    };
    Ok(thumbhash::rgba_to_thumb_hash(small.width as usize, small.height as usize, &rgba))
}

fn small(pixels: &Pixels) -> Fit {
    let shown = extent(pixels);
    let scale = (LONGEST_SIDE / shown.0.max(shown.1)).min(1.0);
    let side = |length: f64| ((length * scale).round() as u32).max(1);
    Fit { full: (pixels.width, pixels.height), shown, output: (side(shown.0), side(shown.1)) }
}

fn extent(pixels: &Pixels) -> (f64, f64) {
    (f64::from(pixels.width), f64::from(pixels.height))
}
