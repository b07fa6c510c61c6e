//! Shrinks rows while they are decoded, so that an image is never whole in memory.

use super::pixels::{Layout, Pixels};

/// How much larger than the result the shrunken image stays, for the sharper filter that follows.
const HEADROOM: f64 = 2.0;

/// Averages squares of `factor` by `factor` pixels.
pub(super) struct Shrinker {
    layout: Layout,
    /// Pixels in a row as it comes.
    width: usize,
    factor: usize,
    /// For each channel of a row the sum over the rows so far; colours times alpha where there is alpha.
    sums: Vec<u32>,
    /// Whether the sums of each channel are stored together, as rows come in planes.
    is_planar: bool,
    rows_in_sums: usize,
    rows: usize,
    data: Vec<u8>,
}

impl Shrinker {
    /// For an image of `width` that may be decoded `reduction` times smaller.
    pub(super) fn new(width: u32, layout: Layout, reduction: f64) -> Self {
        // More than 64 would need wider sums, and nothing that large is decoded.
        let factor = (reduction / HEADROOM).clamp(1.0, 64.0) as usize;
        let width = width as usize;
        let sums = vec![0; width * layout.channels()];
        Self { layout, width, factor, sums, is_planar: false, rows_in_sums: 0, rows: 0, data: Vec::new() }
    }

    /// How many rows it took.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the next row.
    pub(super) fn push(&mut self, row: &[u8]) {
        self.rows += 1;
        if self.factor == 1 {
            self.data.extend_from_slice(row);
            return;
        }
        if self.layout == Layout::Rgba {
            for (sum, pixel) in self.sums.as_chunks_mut::<4>().0.iter_mut().zip(row.as_chunks::<4>().0) {
                let [red, green, blue, alpha] = pixel.map(u32::from);
                sum[0] += red * alpha;
                sum[1] += green * alpha;
                sum[2] += blue * alpha;
                sum[3] += alpha;
            }
        } else {
            self.sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += u32::from(*value));
        }
        self.row_is_in();
    }

    /// Fills the image up to `height` rows where a file ends before: with nothing where it has alpha, else with gray.
    pub(super) fn fill(&mut self, height: usize) {
        const GRAY: u8 = 128;
        let value = if self.layout == Layout::Rgba { 0 } else { GRAY };
        let row = vec![value; self.width * self.layout.channels()];
        while self.rows < height {
            self.push(&row);
        }
    }

    /// Takes the next row of an image in RGB as a plane of each channel. After that, every row must come this way.
    pub(super) fn push_planes(&mut self, planes: [&[u8]; 3]) {
        self.rows += 1;
        self.is_planar = true;
        if self.factor == 1 {
            let [red, green, blue] = planes;
            let pixels = red.iter().zip(green).zip(blue);
            self.data.extend(pixels.flat_map(|((red, green), blue)| [*red, *green, *blue]));
            return;
        }
        for (sums, plane) in self.sums.chunks_exact_mut(self.width).zip(planes) {
            sums.iter_mut().zip(plane).for_each(|(sum, value)| *sum += u32::from(*value));
        }
        self.row_is_in();
    }

    fn row_is_in(&mut self) {
        self.rows_in_sums += 1;
        if self.rows_in_sums == self.factor {
            self.flush();
        }
    }

    /// Turns the sums of some rows into one row.
    fn flush(&mut self) {
        match self.layout {
            Layout::Rgb if self.is_planar => self.flush_planes(),
            Layout::Gray => self.flush_opaque::<1>(),
            Layout::Rgb => self.flush_opaque::<3>(),
            Layout::Cmyk => self.flush_opaque::<4>(),
            Layout::Rgba => self.flush_alpha(),
        }
        self.sums.fill(0);
        self.rows_in_sums = 0;
    }

    fn flush_opaque<const CHANNELS: usize>(&mut self) {
        for square in self.sums.chunks(self.factor * CHANNELS) {
            let columns = square.as_chunks::<CHANNELS>().0;
            let count = (columns.len() * self.rows_in_sums) as u32;
            for channel in 0..CHANNELS {
                let sum: u32 = columns.iter().map(|column| column[channel]).sum();
                self.data.push(((sum + count / 2) / count) as u8);
            }
        }
    }

    fn flush_planes(&mut self) {
        for start in (0..self.width).step_by(self.factor) {
            let columns = self.factor.min(self.width - start);
            let count = (columns * self.rows_in_sums) as u32;
            for plane in self.sums.chunks_exact(self.width) {
                let sum: u32 = plane[start..start + columns].iter().sum();
                self.data.push(((sum + count / 2) / count) as u8);
            }
        }
    }

    fn flush_alpha(&mut self) {
        for square in self.sums.chunks(self.factor * 4) {
            let columns = square.as_chunks::<4>().0;
            let count = (columns.len() * self.rows_in_sums) as u32;
            let sum = |channel: usize| columns.iter().map(|column| column[channel]).sum::<u32>();
            let alpha = sum(3);
            for channel in 0..3 {
                // Without alpha there is no colour.
                self.data.push((sum(channel) + alpha / 2).checked_div(alpha).unwrap_or(0) as u8);
            }
            self.data.push(((alpha + count / 2) / count) as u8);
        }
    }

    /// The shrunken image, and the size that the whole image takes in it.
    pub(super) fn finish(mut self) -> (Pixels, (f64, f64)) {
        if self.rows_in_sums > 0 {
            self.flush();
        }
        let width = self.width.div_ceil(self.factor) as u32;
        let height = self.rows.div_ceil(self.factor) as u32;
        let extent = (self.width as f64 / self.factor as f64, self.rows as f64 / self.factor as f64);
        (Pixels { width, height, layout: self.layout, data: self.data }, extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_become_their_mean() {
        let mut shrinker = Shrinker::new(5, Layout::Gray, 4.0);
        for row in [[0, 100, 8, 8, 40], [100, 200, 8, 8, 60], [1, 1, 2, 2, 3]] {
            shrinker.push(&row);
        }
        let (pixels, extent) = shrinker.finish();
        assert_eq!((pixels.width, pixels.height, extent), (3, 2, (2.5, 1.5)));
        assert_eq!(pixels.data, [100, 8, 50, 1, 2, 3]);
    }

    #[test]
    fn planes_become_what_pixels_become() {
        let rows: Vec<Vec<u8>> =
            (0..7).map(|y| (0..3 * 11).map(|at| (y * 37 + at * 11) as u8).collect()).collect();
        for reduction in [1.0, 4.0, 6.0, 64.0] {
            let mut by_pixels = Shrinker::new(11, Layout::Rgb, reduction);
            let mut by_planes = Shrinker::new(11, Layout::Rgb, reduction);
            for row in &rows {
                by_pixels.push(row);
                let planes =
                    [0, 1, 2].map(|channel| row[channel..].iter().step_by(3).copied().collect::<Vec<_>>());
                by_planes.push_planes([&planes[0], &planes[1], &planes[2]]);
            }
            assert_eq!(by_pixels.finish().0.data, by_planes.finish().0.data);
        }
    }

    #[test]
    fn transparent_pixels_give_no_colour() {
        let mut shrinker = Shrinker::new(2, Layout::Rgba, 4.0);
        shrinker.push(&[255, 0, 0, 255, 0, 255, 0, 0]);
        shrinker.push(&[255, 0, 0, 255, 0, 255, 0, 0]);
        assert_eq!(shrinker.finish().0.data, [255, 0, 0, 128]);
    }

    #[test]
    fn what_is_not_to_shrink_passes() {
        let mut shrinker = Shrinker::new(2, Layout::Rgb, 3.9);
        shrinker.push(&[1, 2, 3, 4, 5, 6]);
        let (pixels, extent) = shrinker.finish();
        assert_eq!((pixels.data, extent), (vec![1, 2, 3, 4, 5, 6], (2.0, 1.0)));
    }
}
