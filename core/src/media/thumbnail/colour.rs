//! From a picture's own colours to sRGB.

use moxcms::{ColorProfile, DataColorSpace, Layout as ColourLayout, TransformOptions};

use super::pixels::{Layout, Pixels};

/// RGB or RGBA in sRGB, from any layout. A profile that cannot be used is ignored, as browsers do.
pub(super) fn to_srgb(pixels: Pixels, icc: Option<&[u8]>) -> Pixels {
    match icc.and_then(|icc| by_profile(&pixels, icc)) {
        Some(converted) => converted,
        None => by_formula(pixels),
    }
}

fn by_profile(pixels: &Pixels, icc: &[u8]) -> Option<Pixels> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let (from, space) = match pixels.layout {
        Layout::Gray => (ColourLayout::Gray, DataColorSpace::Gray),
        Layout::Rgb => (ColourLayout::Rgb, DataColorSpace::Rgb),
        Layout::Rgba => (ColourLayout::Rgba, DataColorSpace::Rgb),
        Layout::Cmyk => (ColourLayout::Rgba, DataColorSpace::Cmyk),
    };
    if profile.color_space != space {
        return None;
    }
    let (to, layout) = match pixels.layout {
        Layout::Rgba => (ColourLayout::Rgba, Layout::Rgba),
        _ => (ColourLayout::Rgb, Layout::Rgb),
    };
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).ok()?;
    let count = pixels.data.len() / pixels.layout.channels();
    let mut data = vec![0; count * layout.channels()];
    transform.transform(&pixels.data, &mut data).ok()?;
    Some(Pixels { layout, data, ..*pixels })
}

fn by_formula(pixels: Pixels) -> Pixels {
    let data = match pixels.layout {
        Layout::Rgb | Layout::Rgba => return pixels,
        Layout::Gray => pixels.data.iter().flat_map(|light| [*light; 3]).collect(),
        Layout::Cmyk => pixels.data.as_chunks::<4>().0.iter().flat_map(|ink| without_profile(*ink)).collect(),
    };
    Pixels { layout: Layout::Rgb, data, ..pixels }
}

/// Ink on white paper, each absorbing its complement.
fn without_profile([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u16::from(255 - black);
    [cyan, magenta, yellow].map(|ink| (u16::from(255 - ink) * light / 255) as u8)
}
