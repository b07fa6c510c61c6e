//! AVIF: images that are coded as frames of AV1, one row of tiles at a time.
//! `re_rav1d` is dav1d, in Rust with its assembly. Its planes are shrunk as they are: the mean of colours is the colour
//! of the mean, so that only what is left becomes RGB.

use moxcms::ColorProfile;
use re_rav1d::dav1d::pixel::{ColorPrimaries, MatrixCoefficients, TransferCharacteristic, YUVRange};
use re_rav1d::dav1d::{
    Decoder, InloopFilterType, Picture, PixelLayout, PlanarImageComponent, Plane, Settings,
};

use super::{Decoded, damaged};
use crate::fit::{Fit, FitTo};
use crate::heif::{CodedImage, Layer, Rectangle};
use crate::limits::{MediaError, MediaLimits};
use crate::thumbnail::alpha;
use crate::thumbnail::colour::{self, Matrix, Range};
use crate::thumbnail::pixels::Layout;
use crate::thumbnail::shrink::Shrinker;

pub(in crate::thumbnail) fn decode(
    coded: CodedImage,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let CodedImage { colours, alpha, shown, orientation, is_premultiplied, .. } = coded;
    let fit = Fit::new(within, shown.size, orientation);
    let is_alike = |alpha: &Layer| (alpha.tiles, alpha.size) == (colours.tiles, colours.size);
    let (beside, apart) = match alpha {
        Some(alpha) if is_alike(&alpha) && !is_premultiplied => (Some(alpha), None),
        alpha => (None, alpha),
    };
    let layout = if beside.is_some() { Layout::Rgba } else { Layout::Rgb };
    let full = colours.size;
    let planes = Planes { layout, shown, reduction: fit.reduction(), hides_blocks: fit.hides_blocks() };
    let (shrinker, seen) = planes.read(colours, beside, limits)?;
    let (pixels, extent) = shrinker.finish();
    let (matrix, icc) = seen.ok_or_else(damaged)?;
    let icc = coded.icc.or(icc);
    let Some(alpha) = apart else {
        return Ok(Decoded { pixels, extent, fit, orientation, matrix: Some(matrix), icc });
    };
    // Premultiplied colours, and alpha in other tiles, are combined as soon as both are small.
    let shown = shown.scaled(full, alpha.size);
    let reduction = fit.reduction() * f64::from(alpha.size.0) / f64::from(full.0);
    let planes = Planes { layout: Layout::Gray, shown, reduction, ..planes };
    let alpha = planes.read(alpha, None, limits)?.0.finish();
    let colours = colour::to_srgb(pixels, Some(matrix), None);
    let pixels = alpha::join(colours, alpha, shown.size, is_premultiplied)?;
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc })
}

/// How a frame's channels become RGB, and the profile that it names.
type Colours = (Matrix, Option<Vec<u8>>);

/// How the planes of an image are read.
#[derive(Clone, Copy)]
struct Planes {
    /// With `Gray`, only brightness.
    layout: Layout,
    /// The part that is shown.
    shown: Rectangle,
    /// How many times smaller it may become.
    reduction: f64,
    hides_blocks: bool,
}

impl Planes {
    /// The layer shrunken, with how its colours are coded. Alpha, if there is any beside it, has the same tiles.
    fn read(
        &self,
        layer: Layer,
        alpha: Option<Layer>,
        limits: &MediaLimits,
    ) -> Result<(Shrinker, Option<Colours>), MediaError> {
        let (width, rows) = (layer.size.0 as usize, layer.tiles.1);
        let filters = if self.hides_blocks { InloopFilterType::empty() } else { InloopFilterType::all() };
        let mut colours = Tiles::new(layer, filters, limits)?;
        let mut alpha = alpha.map(|alpha| Tiles::new(alpha, filters, limits)).transpose()?;
        let mut shrinker = Shrinker::new(self.shown.size.0, self.layout, self.reduction);
        let (left, top) = (self.shown.corner.0 as usize, self.shown.corner.1 as usize);
        let across = left..left + self.shown.size.0 as usize;
        let down = top..top + self.shown.size.1 as usize;
        let mut lines = Lines::default();
        let mut row = vec![0; width * self.layout.channels()];
        let (mut seen, mut above) = (None, 0);
        for _ in 0..rows {
            let tiles = colours.next_row()?;
            let alphas = alpha.as_mut().map(Tiles::next_row).transpose()?;
            let Some(first) = tiles.first() else { return Err(damaged()) };
            if alphas.iter().flatten().any(|alpha| alpha.height != first.height) {
                return Err(damaged());
            }
            if seen.is_none() {
                seen = Some((matrix(&first.frame)?, profile(&first.frame)));
            }
            for y in (0..first.height).filter(|y| down.contains(&(above + y))) {
                lines.read(&tiles, alphas.as_deref(), y, width);
                match self.layout {
                    Layout::Rgba => {
                        lines.interleave(&mut row);
                        shrinker.push(&row[4 * across.start..4 * across.end]);
                    }
                    Layout::Gray => shrinker.push(&lines.planes(&tiles, y, width)[0][across.clone()]),
                    _ => shrinker
                        .push_planes(lines.planes(&tiles, y, width).map(|plane| &plane[across.clone()])),
                }
            }
            above += first.height;
        }
        if shrinker.rows() != down.len() {
            return Err(damaged());
        }
        Ok((shrinker, seen))
    }
}

/// A stream whose frames are the tiles of an image.
struct Tiles {
    decoder: Decoder,
    /// Tiles across and down, and the size of the image that they make up.
    tiles: (u32, u32),
    size: (u32, u32),
    max_bytes: u64,
}

impl Tiles {
    fn new(
        Layer { stream, tiles, size }: Layer,
        filters: InloopFilterType,
        limits: &MediaLimits,
    ) -> Result<Self, MediaError> {
        /// Three samples of two bytes.
        const MAX_PIXEL_BYTES: u64 = 6;
        let max_bytes = limits.max_decoder_bytes;
        let mut settings = Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_inloop_filters(filters);
        // For an image in layers, the complete one.
        settings.set_all_layers(false);
        settings.set_frame_size_limit(u32::try_from(max_bytes / MAX_PIXEL_BYTES).unwrap_or(u32::MAX));
        let mut decoder = Decoder::with_settings(&settings).map_err(|_| no_memory())?;
        decoder.send_data(stream, None, None, None).map_err(|_| damaged())?;
        Ok(Self { decoder, tiles, size, max_bytes })
    }

    /// The next row of tiles, which are alike and cover the width of the image.
    fn next_row(&mut self) -> Result<Vec<Tile>, MediaError> {
        let mut row: Vec<Tile> = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.tiles.0 {
            let tile = Tile::new(self.decoder.get_picture().map_err(|_| damaged())?);
            if !self.is_of_its_size(&tile) || row.first().is_some_and(|first| !tile.is_like(first)) {
                return Err(damaged());
            }
            bytes += tile.planes.iter().map(|plane| plane.len() as u64).sum::<u64>();
            if bytes > self.max_bytes {
                return Err(MediaError::permanent("the image needs too much memory to decode"));
            }
            row.push(tile);
        }
        Ok(row)
    }

    /// Whether as many tiles of this size as there are make up the image, and no fewer would.
    fn is_of_its_size(&self, tile: &Tile) -> bool {
        let fits = |count: u32, length: usize, whole: u32| {
            let (count, whole) = (count as usize, whole as usize);
            length * count >= whole && length * (count - 1) < whole
        };
        fits(self.tiles.0, tile.width, self.size.0) && fits(self.tiles.1, tile.height, self.size.1)
    }
}

/// A decoded frame.
struct Tile {
    frame: Picture,
    /// Brightness, and the two colours where it has any.
    planes: Vec<Plane>,
    width: usize,
    height: usize,
    layout: PixelLayout,
    /// Bits beyond eight.
    excess: u32,
}

impl Tile {
    fn new(frame: Picture) -> Self {
        let layout = frame.pixel_layout();
        let (y, colours) = (PlanarImageComponent::Y, [PlanarImageComponent::U, PlanarImageComponent::V]);
        let colours = if layout == PixelLayout::I400 { &colours[..0] } else { &colours };
        let planes = [y].iter().chain(colours).map(|component| frame.plane(*component)).collect();
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let excess = (frame.bit_depth() as u32).saturating_sub(8);
        Self { frame, planes, width, height, layout, excess }
    }

    fn is_like(&self, other: &Self) -> bool {
        let facts = |tile: &Self| (tile.width, tile.height, tile.excess, tile.planes.len());
        facts(self) == facts(other) && self.layout == other.layout
    }

    /// How a plane is stored: the component that has its stride, whether it is half as wide, and half as high.
    fn shape(&self, index: usize) -> (PlanarImageComponent, bool, bool) {
        match (index, self.layout) {
            (0, _) => (PlanarImageComponent::Y, false, false),
            (_, PixelLayout::I420) => (PlanarImageComponent::U, true, true),
            (_, PixelLayout::I422) => (PlanarImageComponent::U, true, false),
            _ => (PlanarImageComponent::U, false, false),
        }
    }

    /// The samples of a plane from the first one in line `y` of the image on.
    fn samples(&self, index: usize, y: usize) -> &[u8] {
        let (component, _, is_low) = self.shape(index);
        let stride = self.frame.stride(component) as usize;
        &self.planes[index][stride * if is_low { y / 2 } else { y }..]
    }

    /// A line of a plane that has the image's width, in bytes, where it is contiguous in memory.
    fn whole_line(&self, index: usize, y: usize) -> Option<&[u8]> {
        let is_narrow = self.shape(index).1;
        (self.excess == 0 && !is_narrow && index < self.planes.len())
            .then(|| &self.samples(index, y)[..self.width])
    }

    /// A line of a plane as bytes of the image's width, behind those in `line`.
    fn line(&self, index: usize, y: usize, line: &mut Vec<u8>) {
        let samples = self.samples(index, y);
        let excess = self.excess;
        let wide = |sample: &[u8; 2]| (u16::from_le_bytes(*sample) >> excess) as u8;
        match (excess, self.shape(index).1) {
            (0, false) => line.extend_from_slice(&samples[..self.width]),
            (0, true) => double(samples.iter().copied(), self.width, line),
            (_, false) => line.extend(samples.as_chunks::<2>().0[..self.width].iter().map(wide)),
            (_, true) => double(samples.as_chunks::<2>().0.iter().map(wide), self.width, line),
        }
    }
}

/// Each sample twice, `width` in all.
fn double(samples: impl Iterator<Item = u8>, width: usize, line: &mut Vec<u8>) {
    let start = line.len();
    line.resize(start + width.next_multiple_of(2), 0);
    for (pair, sample) in line[start..].as_chunks_mut::<2>().0.iter_mut().zip(samples) {
        *pair = [sample; 2];
    }
    line.truncate(start + width);
}

/// The same line of every plane, across all tiles, in bytes.
#[derive(Default)]
struct Lines {
    /// Brightness and the two colours, where they are not contiguous in memory.
    planes: [Vec<u8>; 3],
    /// Empty where there is none.
    alpha: Vec<u8>,
}

impl Lines {
    fn read(&mut self, tiles: &[Tile], alphas: Option<&[Tile]>, y: usize, width: usize) {
        /// What an image without colours has for them.
        const NEUTRAL: u8 = 128;
        self.alpha.clear();
        for tile in alphas.into_iter().flatten() {
            tile.line(0, y, &mut self.alpha);
        }
        for (index, line) in self.planes.iter_mut().enumerate() {
            if self.alpha.is_empty() && whole_line(tiles, index, y).is_some() {
                continue;
            }
            line.clear();
            for tile in tiles.iter().filter(|tile| index < tile.planes.len()) {
                tile.line(index, y, line);
            }
            line.resize(width, NEUTRAL);
        }
    }

    /// What was read where there is no alpha.
    fn planes<'a>(&'a self, tiles: &'a [Tile], y: usize, width: usize) -> [&'a [u8]; 3] {
        std::array::from_fn(|index| &whole_line(tiles, index, y).unwrap_or(&self.planes[index])[..width])
    }

    /// What was read, pixel by pixel, where there is alpha.
    fn interleave(&self, row: &mut [u8]) {
        let [y, u, v] = &self.planes;
        let pixels = y.iter().zip(u).zip(v).zip(&self.alpha);
        for (pixel, (((y, u), v), alpha)) in row.as_chunks_mut::<4>().0.iter_mut().zip(pixels) {
            *pixel = [*y, *u, *v, *alpha];
        }
    }
}

/// A line that needs no copy, because it is in one tile.
fn whole_line(tiles: &[Tile], index: usize, y: usize) -> Option<&[u8]> {
    let [only] = tiles else { return None };
    only.whole_line(index, y)
}

/// How a frame's brightness and colours become RGB.
fn matrix(frame: &Picture) -> Result<Matrix, MediaError> {
    let range = match frame.color_range() {
        YUVRange::Full => Range::Full,
        YUVRange::Limited => Range::Limited,
    };
    Ok(match frame.matrix_coefficients() {
        MatrixCoefficients::Identity => Matrix::identity(range),
        MatrixCoefficients::YCgCo => Matrix::ycgco(range),
        MatrixCoefficients::BT709 => Matrix::by_weights(0.2126, 0.0722, range),
        MatrixCoefficients::BT2020NonConstantLuminance => Matrix::by_weights(0.2627, 0.0593, range),
        MatrixCoefficients::ST240M => Matrix::by_weights(0.212, 0.087, range),
        MatrixCoefficients::BT470BG | MatrixCoefficients::ST170M | MatrixCoefficients::Unspecified => {
            Matrix::by_weights(0.299, 0.114, range)
        }
        _ => {
            let reason = "the image's colour encoding is not supported";
            return Err(MediaError::permanent(reason));
        }
    })
}

/// The profile of colours that a frame names and that are not those of sRGB.
fn profile(frame: &Picture) -> Option<Vec<u8>> {
    use TransferCharacteristic::{HybridLogGamma, PerceptualQuantizer};
    if matches!(frame.transfer_characteristic(), PerceptualQuantizer | HybridLogGamma) {
        return None;
    }
    match frame.color_primaries() {
        ColorPrimaries::P3Display => ColorProfile::new_display_p3().encode().ok(),
        ColorPrimaries::BT2020 => ColorProfile::new_bt2020().encode().ok(),
        _ => None,
    }
}

fn no_memory() -> MediaError {
    MediaError::temporary("there was no memory to decode the image")
}
