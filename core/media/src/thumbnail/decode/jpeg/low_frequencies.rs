//! A JPEG at an eighth of its size, which is what its DC coefficients are: the mean of each block of 8x8; or at a
//! quarter, for which each block's three lowest frequencies are needed as well.
//! Reads those, passes over the rest, and stops in a progressive file as soon as it has them. Own code, because no
//! library skips the other coefficients: it takes half the time of a decoder that reads them, a tenth in
//! progressive files.
//! Never guesses: what is rare or damaged gives `None`, and the caller decodes it in full.

use super::component::{Component, KEPT};
use super::huffman::{Ac, Bits, Table};
use super::scan::{Scan, be16, segment};
use crate::thumbnail::pixels::{Layout, Pixels};

/// The scale of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scale {
    #[default]
    Eighth,
    Quarter,
}

impl Scale {
    /// Samples across, and down, of a block that is not subsampled.
    const fn samples(self) -> usize {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
        }
    }
}

/// Most scans that are read: each costs a walk over all blocks, however few bytes it has.
const MAX_SCANS: usize = 32;

#[derive(Default)]
struct Decoder {
    scale: Scale,
    size: (usize, usize),
    is_progressive: bool,
    components: Vec<Component>,
    /// Interleaved units across and down.
    units: (usize, usize),
    dc_tables: [Option<Table>; 4],
    ac_tables: [Option<Table>; 4],
    steps: [[i32; 4]; 4],
    /// Units between restarts; 0: none.
    restart_interval: usize,
}

/// Decodes to a scale, rounded up: gray, or RGB in the file's own colour space. The bytes are no file any more then.
pub(super) fn decode(bytes: &mut [u8], scale: Scale) -> Option<Pixels> {
    let mut decoder = Decoder { scale, ..Decoder::default() };
    let mut at = 2;
    let mut scans = 0;
    while scans < MAX_SCANS {
        let (marker, content) = segment(bytes, at)?;
        at += 4 + content.len();
        match marker {
            0xC0..=0xC2 => decoder.frame(content, marker == 0xC2)?,
            0xC3..=0xCF if marker != 0xC4 => return None,
            0xC4 => decoder.huffman_tables(content)?,
            0xDB => decoder.quantization_tables(content)?,
            0xDD => decoder.restart_interval = usize::from(be16(content, 0)?),
            // Adobe's mark with another transform than to YCbCr.
            0xEE if content.starts_with(b"Adobe") && content.get(11)? != &1 => return None,
            0xDA => {
                scans += 1;
                let header = content.to_vec();
                at = decoder.scan(&header, bytes, at)?;
                if decoder.components.iter().all(Component::is_complete) {
                    return decoder.pixels();
                }
            }
            _ => {}
        }
    }
    None
}

impl Decoder {
    fn frame(&mut self, content: &[u8], is_progressive: bool) -> Option<()> {
        const BITS: u8 = 8;
        let count = usize::from(*content.get(5)?);
        if content[0] != BITS || !matches!(count, 1 | 3) || !self.components.is_empty() {
            return None;
        }
        self.size = (usize::from(be16(content, 3)?), usize::from(be16(content, 1)?));
        self.is_progressive = is_progressive;
        for part in content.get(6..6 + 3 * count)?.as_chunks::<3>().0 {
            let [id, samples, step_table] = *part;
            let samples = (usize::from(samples >> 4), usize::from(samples & 15));
            let component =
                Component { id, samples, step_table: usize::from(step_table), ..Component::default() };
            self.components.push(component);
        }
        if self.components.iter().map(|component| component.id).eq(*b"RGB") {
            return None;
        }
        self.lay_out()
    }

    /// Sizes of the planes. Only the ratios that cameras write: whole, or half in either direction.
    fn lay_out(&mut self) -> Option<()> {
        if let [only] = &mut self.components[..] {
            only.samples = (1, 1);
        }
        let most = self.components.first()?.samples;
        if !(1..=2).contains(&most.0) || !(1..=2).contains(&most.1) || self.size.0 == 0 || self.size.1 == 0 {
            return None;
        }
        self.units = (self.size.0.div_ceil(8 * most.0), self.size.1.div_ceil(8 * most.1));
        for component in &mut self.components {
            let (across, down) = component.samples;
            if across == 0 || down == 0 || most.0 % across != 0 || most.1 % down != 0 {
                return None;
            }
            component.ratio = (most.0 / across, most.1 / down);
            let samples = self.scale.samples();
            component.covers = (samples * component.ratio.0, samples * component.ratio.1);
            component.blocks =
                (self.size.0.div_ceil(8 * component.ratio.0), self.size.1.div_ceil(8 * component.ratio.1));
            component.stride = self.units.0 * across;
            component.kept = vec![[0; 4]; component.stride * self.units.1 * down];
        }
        Some(())
    }

    fn quantization_tables(&mut self, mut content: &[u8]) -> Option<()> {
        while let Some((head, rest)) = content.split_first() {
            let (width, index) = (1 + usize::from(head >> 4 & 1), usize::from(head & 3));
            let table = rest.get(..64 * width)?;
            self.steps[index] = KEPT.map(|at| match width {
                1 => i32::from(table[at]),
                _ => i32::from(table[2 * at]) << 8 | i32::from(table[2 * at + 1]),
            });
            content = &rest[64 * width..];
        }
        Some(())
    }

    fn huffman_tables(&mut self, mut content: &[u8]) -> Option<()> {
        while let Some((head, rest)) = content.split_first() {
            let counts: &[u8; 16] = rest.first_chunk()?;
            let length: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let values = rest.get(16..16 + length)?;
            let is_ac = head >> 4 == 1;
            let table = Table::new(counts, values, is_ac)?;
            let tables = if is_ac { &mut self.ac_tables } else { &mut self.dc_tables };
            tables[usize::from(head & 3)] = Some(table);
            content = &rest[16 + length..];
        }
        Some(())
    }

    /// Reads or passes over the scan whose data start at `at`; returns where they end.
    fn scan(&mut self, header: &[u8], bytes: &mut [u8], at: usize) -> Option<usize> {
        let parts = self.parts(header)?;
        let after = header.get(1 + 2 * parts.len()..)?;
        let (first, last, approximation) = (*after.first()?, *after.get(1)?, *after.get(2)?);
        let (is_refining, missing_bits) = (approximation >> 4 > 0, approximation & 15);
        if !self.is_progressive {
            let scan = Scan::unstuffed(bytes, at);
            self.sequential(&parts, &scan)?;
            return Some(scan.end);
        }
        if first == 0 {
            let scan = Scan::unstuffed(bytes, at);
            self.progressive_dc(&parts, &scan, is_refining, missing_bits)?;
            return Some(scan.end);
        }
        let &[part] = &parts[..] else { return None };
        let is_needed =
            self.components[part.component].has_detail() && first <= KEPT[3] as u8 && !is_refining;
        if !is_needed {
            return Some(Scan::end(bytes, at));
        }
        let scan = Scan::unstuffed(bytes, at);
        self.progressive_ac(part, &scan, (u32::from(first), u32::from(last)), missing_bits)?;
        Some(scan.end)
    }

    /// The components of a scan with their tables.
    fn parts(&mut self, header: &[u8]) -> Option<Vec<Part>> {
        let count = usize::from(*header.first()?);
        let mut parts = Vec::new();
        for named in header.get(1..1 + 2 * count)?.as_chunks::<2>().0 {
            let [id, tables] = *named;
            let component = self.components.iter().position(|component| component.id == id)?;
            self.components[component].steps = *self.steps.get(self.components[component].step_table)?;
            parts.push(Part { component, dc: usize::from(tables >> 4 & 3), ac: usize::from(tables & 3) });
        }
        Some(parts)
    }

    fn sequential(&mut self, parts: &[Part], scan: &Scan<'_>) -> Option<()> {
        let mut predictions = [0i32; 4];
        let Self { components, dc_tables, ac_tables, .. } = self;
        let mut tables = Vec::new();
        for part in parts {
            tables.push((dc_tables[part.dc].as_ref()?, ac_tables[part.ac].as_ref()?));
        }
        let has_detail: Vec<bool> = components.iter().map(Component::has_detail).collect();
        let order = Order::new(components, parts, self.units, self.restart_interval);
        order.walk(scan, components, |bits, index, kept, starts_over| {
            if starts_over {
                predictions = [0; 4];
            }
            let (dc, ac) = tables[index];
            predictions[index] = predictions[index].wrapping_add(dc.dc(bits)?);
            kept[0] = predictions[index] as i16;
            let last = if has_detail[parts[index].component] { low_frequencies(ac, bits, kept)? } else { 0 };
            ac.skip_ac(bits, last)
        })?;
        for part in parts {
            components[part.component].missing_bits = [Some(0); 4];
        }
        Some(())
    }

    fn progressive_dc(
        &mut self,
        parts: &[Part],
        scan: &Scan<'_>,
        is_refining: bool,
        missing: u8,
    ) -> Option<()> {
        let mut predictions = [0i32; 4];
        let Self { components, dc_tables, .. } = self;
        let order = Order::new(components, parts, self.units, self.restart_interval);
        order.walk(scan, components, |bits, index, kept, starts_over| {
            if is_refining {
                kept[0] |= (bits.take(1) << missing) as i16;
                return Some(());
            }
            if starts_over {
                predictions = [0; 4];
            }
            predictions[index] =
                predictions[index].wrapping_add(dc_tables[parts[index].dc].as_ref()?.dc(bits)?);
            kept[0] = (predictions[index] << missing) as i16;
            Some(())
        })?;
        for part in parts {
            components[part.component].missing_bits[0] = Some(missing);
        }
        Some(())
    }

    /// The first scan of some AC coefficients of one component (T.81, G.1.2.2).
    fn progressive_ac(
        &mut self,
        part: Part,
        scan: &Scan<'_>,
        (first, last): (u32, u32),
        missing: u8,
    ) -> Option<()> {
        let Self { components, ac_tables, .. } = self;
        let table = ac_tables[part.ac].as_ref()?;
        let order = Order::new(components, &[part], self.units, self.restart_interval);
        let mut blocks_that_end = 0u32;
        order.walk(scan, components, |bits, _, kept, starts_over| {
            if starts_over {
                blocks_that_end = 0;
            }
            if blocks_that_end > 0 {
                blocks_that_end -= 1;
                return Some(());
            }
            let mut at = first;
            while at <= last {
                match table.ac(bits)? {
                    Ac::SixteenZeros => at += 16,
                    Ac::End(exponent) => {
                        blocks_that_end = (1 << exponent) - 1 + bits.take(exponent);
                        return Some(());
                    }
                    Ac::Coefficient { run, value } => {
                        at += run;
                        // In the middle of what it may become.
                        let unknown = ((1 << missing) - 1) / 2;
                        keep(kept, at, (value << missing) + unknown * value.signum());
                        at += 1;
                    }
                }
            }
            Some(())
        })?;
        let component = &mut components[part.component];
        for (precision, index) in component.missing_bits.iter_mut().zip(KEPT).skip(1) {
            if (first as usize..=last as usize).contains(&index) {
                *precision = Some(missing);
            }
        }
        Some(())
    }

    /// The planes put together.
    fn pixels(&self) -> Option<Pixels> {
        let reduction = 8 / self.scale.samples();
        let (width, height) = (self.size.0.div_ceil(reduction), self.size.1.div_ceil(reduction));
        let mut rows: Vec<Vec<u8>> = self.components.iter().map(|_| vec![0; width]).collect();
        let layout = if rows.len() == 1 { Layout::Gray } else { Layout::Rgb };
        let mut data = Vec::with_capacity(width * height * layout.channels());
        for y in 0..height {
            for (component, row) in self.components.iter().zip(&mut rows) {
                component.row(y, row)?;
            }
            match &rows[..] {
                [light, blue, red] => {
                    let pixels = light.iter().zip(blue).zip(red);
                    data.extend(pixels.flat_map(|((light, blue), red)| rgb(*light, *blue, *red)));
                }
                planes => data.extend_from_slice(planes.first()?),
            }
        }
        Some(Pixels { width: u32::try_from(width).ok()?, height: u32::try_from(height).ok()?, layout, data })
    }
}

/// A component of a scan and the tables that it uses.
#[derive(Clone, Copy)]
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// The order in which a scan has its blocks: in units of all components, or of one component alone row by row.
struct Order {
    /// For each block of a unit: index into the parts, component, place in the unit, and blocks in the unit.
    blocks: Vec<UnitBlock>,
    units: (usize, usize),
    restart_interval: usize,
}

struct UnitBlock {
    part: usize,
    component: usize,
    place: (usize, usize),
    step: (usize, usize),
    stride: usize,
}

impl Order {
    fn new(components: &[Component], parts: &[Part], units: (usize, usize), restart_interval: usize) -> Self {
        let mut blocks = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let component = &components[part.component];
            let step = if parts.len() == 1 { (1, 1) } else { component.samples };
            for down in 0..step.1 {
                for across in 0..step.0 {
                    let (place, stride) = ((across, down), component.stride);
                    blocks.push(UnitBlock { part: index, component: part.component, place, step, stride });
                }
            }
        }
        let units = if let [only] = parts { components[only.component].blocks } else { units };
        Self { blocks, units, restart_interval }
    }

    /// Calls `read` for each block with its part's index and whether a restart comes before it.
    #[inline]
    fn walk(
        &self,
        scan: &Scan<'_>,
        components: &mut [Component],
        mut read: impl FnMut(&mut Bits<'_>, usize, &mut [i16; 4], bool) -> Option<()>,
    ) -> Option<()> {
        let mut pieces = scan.pieces();
        let mut bits = Bits::new(pieces.next()?);
        let mut units_left = self.restart_interval;
        for y in 0..self.units.1 {
            for x in 0..self.units.0 {
                let mut starts_over = false;
                if self.restart_interval > 0 {
                    if units_left == 0 {
                        bits = Bits::new(pieces.next()?);
                        units_left = self.restart_interval;
                        starts_over = true;
                    }
                    units_left -= 1;
                }
                for block in &self.blocks {
                    let row = y * block.step.1 + block.place.1;
                    let column = x * block.step.0 + block.place.0;
                    let kept = components[block.component].kept.get_mut(row * block.stride + column)?;
                    read(&mut bits, block.part, kept, starts_over)?;
                    starts_over = false;
                }
            }
            if bits.is_overrun() {
                return None;
            }
        }
        Some(())
    }
}

/// Reads AC coefficients until the last that is kept; returns the number of the last one read.
#[inline]
fn low_frequencies(table: &Table, bits: &mut Bits<'_>, kept: &mut [i16; 4]) -> Option<u32> {
    let mut at = 0;
    while at < KEPT[3] as u32 {
        match table.ac(bits)? {
            Ac::Coefficient { run, value } => {
                at += run + 1;
                keep(kept, at, value);
            }
            Ac::SixteenZeros => at += 16,
            Ac::End(_) => return Some(63),
        }
    }
    Some(at)
}

#[inline]
fn keep(kept: &mut [i16; 4], at: u32, value: i32) {
    match at {
        1 => kept[1] = value as i16,
        2 => kept[2] = value as i16,
        4 => kept[3] = value as i16,
        _ => {}
    }
}

/// JFIF's YCbCr to RGB, in fixed point of 16 bits.
fn rgb(light: u8, blue: u8, red: u8) -> [u8; 3] {
    let (light, blue, red) = (i32::from(light) << 16 | 1 << 15, i32::from(blue) - 128, i32::from(red) - 128);
    let channels = [light + 91_881 * red, light - 22_554 * blue - 46_802 * red, light + 116_130 * blue];
    channels.map(|channel| (channel >> 16).clamp(0, 255) as u8)
}
