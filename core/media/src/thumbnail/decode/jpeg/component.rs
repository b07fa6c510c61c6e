//! One colour of a JPEG as its blocks' means and lowest frequencies, and the samples that they make.
//! Never reads a code.

/// The coefficients that are kept of a block, in zigzag order: DC, the first across, the first down, and their product.
pub(super) const KEPT: [usize; 4] = [0, 1, 2, 4];

/// One colour's plane of blocks.
#[derive(Default)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Samples across and down in a unit of the interleaved scan.
    pub(super) samples: (usize, usize),
    /// Steps of the kept coefficients.
    pub(super) steps: [i32; 4],
    pub(super) step_table: usize,
    /// How many times fewer samples it has than the image: 1 or 2 across and down.
    pub(super) ratio: (usize, usize),
    /// Samples of the result that a block covers, across and down.
    pub(super) covers: (usize, usize),
    /// Blocks that cover the image.
    pub(super) blocks: (usize, usize),
    /// Blocks in a row as stored: whole units.
    pub(super) stride: usize,
    /// The kept coefficients, not yet times their steps.
    pub(super) kept: Vec<[i16; 4]>,
    /// Precision so far of each kept coefficient: how many low bits are missing. `None` before its scan.
    pub(super) missing_bits: [Option<u8>; 4],
}

impl Component {
    /// Whether more than the mean of a block is needed.
    pub(super) const fn has_detail(&self) -> bool {
        self.covers.0 > 1 || self.covers.1 > 1
    }

    /// Whether all that is needed was read, to less than what shows: a mean to one bit, a frequency to a shade of grey.
    pub(super) fn is_complete(&self) -> bool {
        const SHADE: i32 = 16;
        let [mean, detail @ ..] = self.missing_bits;
        let is_fine = |(missing, step): (&Option<u8>, &i32)| {
            missing.is_some_and(|bits| bits <= 1 || (bits < 8 && step << bits <= SHADE))
        };
        mean.is_some_and(|bits| bits <= 1)
            && (!self.has_detail() || detail.iter().zip(&self.steps[1..]).all(is_fine))
    }

    /// Row `y` of the plane as it becomes.
    pub(super) fn row(&self, y: usize, row: &mut [u8]) -> Option<()> {
        // The mean of a basis function over half a block, times the square root of 2 that the DC's lacks, of 256.
        const HALF: i32 = 232;
        const QUARTER: i32 = 210;
        let blocks = self.kept.get(y / self.covers.1 * self.stride..)?;
        let down = match self.covers.1 {
            1 => 0,
            covers if y % covers < covers / 2 => 1,
            _ => -1,
        };
        let sample = |value: i32| (((value + 1024) >> 11) + 128).clamp(0, 255) as u8;
        for (samples, kept) in row.chunks_mut(self.covers.0).zip(blocks) {
            // Sixteen bits are more than a sample can make; damaged files have any number.
            let times = |index: usize| {
                i32::from(kept[index]).saturating_mul(self.steps[index]).clamp(-(1 << 16), 1 << 16)
            };
            let mean = times(0) * 256 + HALF * down * times(2);
            if self.covers.0 == 1 {
                samples.fill(sample(mean));
                continue;
            }
            let across = HALF * times(1) + QUARTER * down * times(3);
            let (left, right) = samples.split_at_mut((self.covers.0 / 2).min(samples.len()));
            left.fill(sample(mean + across));
            right.fill(sample(mean - across));
        }
        Some(())
    }
}
