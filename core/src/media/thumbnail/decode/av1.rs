//! Pictures that are coded as frames of AV1, which is AVIF, one row of tiles at a time.
//! `re_rav1d` is dav1d, in Rust with its assembly; its planes become RGB here (ITU-T H.273, 8.3).

use moxcms::ColorProfile;
use re_rav1d::dav1d::pixel::{ColorPrimaries, MatrixCoefficients, TransferCharacteristic, YUVRange};
use re_rav1d::dav1d::{Decoder, InloopFilterType, Picture, PixelLayout, PlanarImageComponent, Plane, Settings};

use super::{Decoded, damaged};
use crate::media::heif::CodedPicture;
use crate::media::limits::{MediaError, MediaLimits};
use crate::media::thumbnail::fit::Fit;
use crate::media::thumbnail::pixels::Layout;
use crate::media::thumbnail::shrink::Shrinker;
use crate::model::PictureKind;

pub(in crate::media::thumbnail) fn decode(
    coded: CodedPicture,
    kind: PictureKind,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let fit = Fit::new(kind, coded.size, coded.orientation);
    let (width, height) = (coded.size.0 as usize, coded.size.1 as usize);
    let (across, down) = coded.tiles;
    let filters = if fit.hides_blocks() { InloopFilterType::empty() } else { InloopFilterType::all() };
    let mut colours = Tiles::new(coded.stream, across, filters, limits)?;
    let mut alpha =
        coded.alpha.map(|stream| Tiles::new(stream, across, filters, limits)).transpose()?;
    let layout = if alpha.is_some() { Layout::Rgba } else { Layout::Rgb };
    let mut shrinker = Shrinker::new(coded.size.0, layout, fit.reduction());
    let mut icc = coded.icc;
    let mut lines = Lines::default();
    let mut row = vec![0; width * layout.channels()];
    let mut matrix = None;
    for _ in 0..down {
        let tiles = colours.next_row(width)?;
        let alphas = alpha.as_mut().map(|alpha| alpha.next_row(width)).transpose()?;
        let Some(first) = tiles.first() else { return Err(damaged()) };
        if alphas.iter().flatten().any(|alpha| alpha.height != first.height) {
            return Err(damaged());
        }
        if matrix.is_none() {
            matrix = Some(Matrix::of(&first.picture)?);
            icc = icc.or_else(|| profile(&first.picture));
        }
        for y in 0..first.height.min(height - shrinker.rows()) {
            lines.read(&tiles, alphas.as_deref(), y, width);
            lines.interleave(&mut row);
            shrinker.push(&row);
        }
    }
    let Some(matrix) = matrix.filter(|_| shrinker.rows() == height) else { return Err(damaged()) };
    // The mean of colours is the colour of the mean, so that only what is left needs to become RGB.
    let (mut pixels, extent) = shrinker.finish();
    match layout {
        Layout::Rgba => matrix.apply::<4>(&mut pixels.data),
        _ => matrix.apply::<3>(&mut pixels.data),
    }
    Ok(Decoded { pixels, extent, fit, orientation: coded.orientation, icc })
}

/// A stream whose frames are the tiles of a picture.
struct Tiles {
    decoder: Decoder,
    across: u32,
}

impl Tiles {
    fn new(
        stream: Vec<u8>,
        across: u32,
        filters: InloopFilterType,
        limits: &MediaLimits,
    ) -> Result<Self, MediaError> {
        let mut settings = Settings::new();
        settings.set_n_threads(1);
        settings.set_max_frame_delay(1);
        settings.set_inloop_filters(filters);
        // Of a picture in layers, the whole.
        settings.set_all_layers(false);
        settings.set_frame_size_limit(u32::try_from(limits.max_pixels).unwrap_or(u32::MAX));
        let mut decoder = Decoder::with_settings(&settings).map_err(|_| no_memory())?;
        decoder.send_data(stream, None, None, None).map_err(|_| damaged())?;
        Ok(Self { decoder, across })
    }

    /// The next row of tiles, which are alike and make up `width` pixels at least.
    fn next_row(&mut self, width: usize) -> Result<Vec<Tile>, MediaError> {
        let mut tiles: Vec<Tile> = Vec::new();
        for _ in 0..self.across {
            let tile = Tile::new(self.decoder.get_picture().map_err(|_| damaged())?);
            if tiles.first().is_some_and(|first| !tile.is_like(first)) {
                return Err(damaged());
            }
            tiles.push(tile);
        }
        let covers = tiles.iter().map(|tile| tile.width).sum::<usize>() >= width;
        if covers { Ok(tiles) } else { Err(damaged()) }
    }
}

/// A decoded frame.
struct Tile {
    picture: Picture,
    /// Brightness, and the two colours where it has any.
    planes: Vec<Plane>,
    width: usize,
    height: usize,
    layout: PixelLayout,
    /// Bits beyond eight.
    excess: u32,
}

impl Tile {
    fn new(picture: Picture) -> Self {
        let layout = picture.pixel_layout();
        let (y, colours) = (PlanarImageComponent::Y, [PlanarImageComponent::U, PlanarImageComponent::V]);
        let colours = if layout == PixelLayout::I400 { &colours[..0] } else { &colours };
        let planes = [y].iter().chain(colours).map(|component| picture.plane(*component)).collect();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let excess = (picture.bit_depth() as u32).saturating_sub(8);
        Self { picture, planes, width, height, layout, excess }
    }

    fn is_like(&self, other: &Self) -> bool {
        let facts = |tile: &Self| (tile.width, tile.height, tile.excess, tile.planes.len());
        facts(self) == facts(other) && self.layout == other.layout
    }

    /// A line of a plane as bytes, behind those in `line`.
    fn line(&self, index: usize, y: usize, line: &mut Vec<u8>) {
        let (component, narrow, low) = match (index, self.layout) {
            (0, _) => (PlanarImageComponent::Y, false, false),
            (_, PixelLayout::I420) => (PlanarImageComponent::U, true, true),
            (_, PixelLayout::I422) => (PlanarImageComponent::U, true, false),
            _ => (PlanarImageComponent::U, false, false),
        };
        let stride = self.picture.stride(component) as usize;
        let width = if narrow { self.width.div_ceil(2) } else { self.width };
        let samples = &self.planes[index][stride * if low { y / 2 } else { y }..];
        match (self.excess, narrow) {
            (0, false) => line.extend_from_slice(&samples[..width]),
            (0, true) => double(samples[..width].iter().copied(), self.width, line),
            (excess, _) => {
                let wide = samples.as_chunks::<2>().0[..width].iter();
                let bytes = wide.map(|sample| (u16::from_le_bytes(*sample) >> excess) as u8);
                if narrow { double(bytes, self.width, line) } else { line.extend(bytes) }
            }
        }
    }
}

/// Each sample twice, `width` in all.
fn double(samples: impl Iterator<Item = u8>, width: usize, line: &mut Vec<u8>) {
    let end = line.len() + width;
    line.extend(samples.flat_map(|sample| [sample; 2]));
    line.truncate(end);
}

/// The same line of every plane, across all tiles, in bytes.
#[derive(Default)]
struct Lines {
    /// Brightness and the two colours.
    planes: [Vec<u8>; 3],
    /// Empty where there is none.
    alpha: Vec<u8>,
}

impl Lines {
    fn read(&mut self, tiles: &[Tile], alphas: Option<&[Tile]>, y: usize, width: usize) {
        /// What a picture without colours has for them.
        const NEUTRAL: u8 = 128;
        for (index, line) in self.planes.iter_mut().enumerate() {
            line.clear();
            for tile in tiles.iter().filter(|tile| index < tile.planes.len()) {
                tile.line(index, y, line);
            }
            line.resize(width, NEUTRAL);
        }
        self.alpha.clear();
        for tile in alphas.into_iter().flatten() {
            tile.line(0, y, &mut self.alpha);
        }
    }

    /// Pixel by pixel.
    fn interleave(&self, row: &mut [u8]) {
        let [y, u, v] = &self.planes;
        let colours = y.iter().zip(u).zip(v);
        if self.alpha.is_empty() {
            for (pixel, ((y, u), v)) in row.as_chunks_mut::<3>().0.iter_mut().zip(colours) {
                *pixel = [*y, *u, *v];
            }
        } else {
            let pixels = colours.zip(&self.alpha);
            for (pixel, (((y, u), v), alpha)) in row.as_chunks_mut::<4>().0.iter_mut().zip(pixels) {
                *pixel = [*y, *u, *v, *alpha];
            }
        }
    }
}

/// How brightness and colours become RGB: the parts of each in units of 1 / 2^13, after what stands for none of it.
struct Matrix {
    rows: [[i32; 3]; 3],
    none: [i32; 3],
}

impl Matrix {
    fn of(picture: &Picture) -> Result<Self, MediaError> {
        let is_full = picture.color_range() == YUVRange::Full;
        let (black, brightness, colour) =
            if is_full { (0, 1.0, 1.0) } else { (16, 255.0 / 219.0, 255.0 / 224.0) };
        let by_weights = |red: f32, blue: f32| {
            let green = 1.0 - red - blue;
            let (of_red, of_blue) = (2.0 * (1.0 - red) * colour, 2.0 * (1.0 - blue) * colour);
            let rows = [
                [brightness, 0.0, of_red],
                [brightness, -of_blue * blue / green, -of_red * red / green],
                [brightness, of_blue, 0.0],
            ];
            (rows, [black, 128, 128])
        };
        let (rows, none) = match picture.matrix_coefficients() {
            MatrixCoefficients::Identity => {
                let rows = [[0.0, 0.0, brightness], [brightness, 0.0, 0.0], [0.0, brightness, 0.0]];
                (rows, [black; 3])
            }
            MatrixCoefficients::BT709 => by_weights(0.2126, 0.0722),
            MatrixCoefficients::BT2020NonConstantLuminance => by_weights(0.2627, 0.0593),
            MatrixCoefficients::ST240M => by_weights(0.212, 0.087),
            MatrixCoefficients::BT470BG | MatrixCoefficients::ST170M | MatrixCoefficients::Unspecified => {
                by_weights(0.299, 0.114)
            }
            MatrixCoefficients::YCgCo => {
                let rows = [
                    [brightness, -colour, colour],
                    [brightness, colour, 0.0],
                    [brightness, -colour, -colour],
                ];
                (rows, [black, 128, 128])
            }
            _ => return Err(MediaError::permanent("the picture's colours are coded in a way that is not supported")),
        };
        let rows = rows.map(|row| row.map(|part: f32| (part * f32::from(1u16 << 13)).round() as i32));
        Ok(Self { rows, none })
    }

    /// To RGB in place, of pixels whose first three channels are brightness and colours.
    fn apply<const CHANNELS: usize>(&self, pixels: &mut [u8]) {
        for pixel in pixels.as_chunks_mut::<CHANNELS>().0 {
            let samples: [i32; 3] =
                std::array::from_fn(|index| i32::from(pixel[index]) - self.none[index]);
            for (channel, row) in self.rows.iter().enumerate() {
                let sum: i32 = row.iter().zip(samples).map(|(part, sample)| part * sample).sum();
                pixel[channel] = ((sum + (1 << 12)) >> 13).clamp(0, 255) as u8;
            }
        }
    }
}

/// The profile of colours that a frame names and that are not those of sRGB.
fn profile(picture: &Picture) -> Option<Vec<u8>> {
    use TransferCharacteristic::{HybridLogGamma, PerceptualQuantizer};
    if matches!(picture.transfer_characteristic(), PerceptualQuantizer | HybridLogGamma) {
        return None;
    }
    match picture.color_primaries() {
        ColorPrimaries::P3Display => ColorProfile::new_display_p3().encode().ok(),
        ColorPrimaries::BT2020 => ColorProfile::new_bt2020().encode().ok(),
        _ => None,
    }
}

fn no_memory() -> MediaError {
    MediaError::temporary("there was no memory to decode the picture")
}
