//! From an image's own colours to sRGB.

use moxcms::{ColorProfile, DataColorSpace, Layout as ColourLayout, TransformOptions};

use super::pixels::{Layout, Pixels};

/// Which numbers stand for none and for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// 0 to 255.
    Full,
    /// 16 to 235 for brightness, 16 to 240 for colours.
    Limited,
}

/// How channels that are brightness and two colours become RGB (ITU-T H.273, 8.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix {
    /// The part of each channel in red, green and blue, in units of 1 / 2^13.
    rows: [[i32; 3]; 3],
    /// What stands for none of each channel.
    none: [i32; 3],
}

impl Matrix {
    /// By the parts of red and blue in the brightness.
    pub(super) fn by_weights(red: f64, blue: f64, range: Range) -> Self {
        let green = 1.0 - red - blue;
        let (of_red, of_blue) = (2.0 * (1.0 - red), 2.0 * (1.0 - blue));
        let rows =
            [[1.0, 0.0, of_red], [1.0, -of_blue * blue / green, -of_red * red / green], [1.0, of_blue, 0.0]];
        Self::new(rows, range, true)
    }

    /// The channels are green, blue and red.
    pub(super) fn identity(range: Range) -> Self {
        Self::new([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], range, false)
    }

    /// Brightness and its differences from green and orange.
    pub(super) fn ycgco(range: Range) -> Self {
        Self::new([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]], range, true)
    }

    fn new(rows: [[f64; 3]; 3], range: Range, has_differences: bool) -> Self {
        let (black, brightness, difference) = match range {
            Range::Full => (0, 1.0, 1.0),
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
        };
        let (none, colour) = if has_differences { (128, difference) } else { (black, brightness) };
        let in_units = |part: f64, scale: f64| (part * scale * f64::from(1 << 13)).round() as i32;
        let rows = rows.map(|[y, u, v]| [in_units(y, brightness), in_units(u, colour), in_units(v, colour)]);
        Self { rows, none: [black, none, none] }
    }

    fn apply<const CHANNELS: usize>(&self, pixels: &mut [u8]) {
        for pixel in pixels.as_chunks_mut::<CHANNELS>().0 {
            let samples: [i32; 3] = std::array::from_fn(|index| i32::from(pixel[index]) - self.none[index]);
            for (channel, row) in self.rows.iter().enumerate() {
                let sum: i32 = row.iter().zip(samples).map(|(part, sample)| part * sample).sum();
                pixel[channel] = ((sum + (1 << 12)) >> 13).clamp(0, 255) as u8;
            }
        }
    }
}

/// RGB or RGBA in sRGB, from any layout. A profile that cannot be used is ignored, as browsers do.
pub(super) fn to_srgb(mut pixels: Pixels, matrix: Option<Matrix>, icc: Option<&[u8]>) -> Pixels {
    match (matrix, pixels.layout) {
        (Some(matrix), Layout::Rgb) => matrix.apply::<3>(&mut pixels.data),
        (Some(matrix), Layout::Rgba) => matrix.apply::<4>(&mut pixels.data),
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(matrix: Matrix, samples: [u8; 3], rgb: [u8; 3]) {
        let mut pixel = samples;
        matrix.apply::<3>(&mut pixel);
        assert!(pixel.iter().zip(rgb).all(|(actual, expected)| actual.abs_diff(expected) <= 2), "{pixel:?}");
    }

    #[test]
    fn black_white_and_red_come_out_of_every_matrix() {
        let bt601 = |range| Matrix::by_weights(0.299, 0.114, range);
        check(bt601(Range::Full), [0, 128, 128], [0; 3]);
        check(bt601(Range::Full), [255, 128, 128], [255; 3]);
        check(bt601(Range::Full), [76, 85, 255], [255, 0, 0]);
        check(bt601(Range::Limited), [16, 128, 128], [0; 3]);
        check(bt601(Range::Limited), [235, 128, 128], [255; 3]);
        check(bt601(Range::Limited), [81, 90, 240], [255, 0, 0]);
        check(Matrix::by_weights(0.2126, 0.0722, Range::Limited), [63, 102, 240], [255, 0, 0]);
        check(Matrix::identity(Range::Full), [10, 20, 200], [200, 10, 20]);
        check(Matrix::identity(Range::Limited), [16, 16, 235], [255, 0, 0]);
        check(Matrix::ycgco(Range::Full), [64, 64, 255], [255, 0, 1]);
    }
}
