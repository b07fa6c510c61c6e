//! From the samples of a TIFF, of any width and meaning, to pixels of bytes.

use crate::thumbnail::alpha::divided;
use crate::thumbnail::pixels::Layout;

/// How a sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::thumbnail::decode) struct Samples {
    pub(in crate::thumbnail::decode) bits: u16,
    pub(in crate::thumbnail::decode) number: Number,
    pub(in crate::thumbnail::decode) is_big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::thumbnail::decode) enum Number {
    Unsigned,
    Signed,
    /// From 0 to 1.
    Float,
}

/// Measures of a strip, a tile, or one plane of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// In pixels.
    pub(super) width: usize,
    pub(super) rows: usize,
    /// Samples of a pixel that are together here.
    pub(super) channels: usize,
    pub(super) samples: Samples,
}

impl Shape {
    pub(super) const fn row_bytes(&self) -> usize {
        (self.width * self.channels * self.samples.bits as usize).div_ceil(8)
    }
}

impl Samples {
    /// Whether samples of this kind can be read.
    pub(in crate::thumbnail::decode) const fn is_known(&self) -> bool {
        match self.number {
            Number::Float => matches!(self.bits, 16 | 32 | 64),
            Number::Signed => matches!(self.bits, 8 | 16 | 32),
            Number::Unsigned => matches!(self.bits, 1..=16 | 24 | 32),
        }
    }

    /// Whether samples are bytes as they are.
    pub(in crate::thumbnail::decode) fn is_bytes(&self) -> bool {
        self.bits == 8 && self.number == Number::Unsigned
    }

    /// The first `count` samples of a row as bytes; small ones are scaled to the whole range if `is_scaled`.
    pub(in crate::thumbnail::decode) fn read(
        &self,
        row: &[u8],
        count: usize,
        is_scaled: bool,
        bytes: &mut Vec<u8>,
    ) {
        let sign = if self.number == Number::Signed { 0x80 } else { 0 };
        match (self.bits, self.number) {
            (16, Number::Float) => bytes.extend(self.each::<2>(row, count).map(|b| of_float(half(b)))),
            (32, Number::Float) => {
                bytes.extend(self.each(row, count).map(|b| of_float(f32::from_be_bytes(b))))
            }
            (64, Number::Float) => {
                bytes.extend(self.each(row, count).map(|b| of_float(f64::from_be_bytes(b) as f32)))
            }
            (8, _) => bytes.extend(row.iter().take(count).map(|byte| byte ^ sign)),
            (16, _) => bytes.extend(self.each::<2>(row, count).map(|[high, ..]| high ^ sign)),
            (24, _) => bytes.extend(self.each::<3>(row, count).map(|[high, ..]| high ^ sign)),
            (32, _) => bytes.extend(self.each::<4>(row, count).map(|[high, ..]| high ^ sign)),
            _ => self.small(row, count, is_scaled, bytes),
        }
    }

    /// Samples of whole bytes, the highest first.
    fn each<'a, const N: usize>(
        &self,
        row: &'a [u8],
        count: usize,
    ) -> impl Iterator<Item = [u8; N]> + use<'a, N> {
        let is_big_endian = self.is_big_endian;
        row.as_chunks::<N>().0.iter().take(count).map(move |sample| {
            let mut sample = *sample;
            if !is_big_endian {
                sample.reverse();
            }
            sample
        })
    }

    /// Samples that are not whole bytes, packed from the highest bit down.
    fn small(&self, row: &[u8], count: usize, is_scaled: bool, bytes: &mut Vec<u8>) {
        let width = u32::from(self.bits);
        let most = (1u32 << width) - 1;
        let (mut buffer, mut held) = (0u32, 0);
        let mut rest = row.iter();
        for _ in 0..count {
            while held < width
                && let Some(byte) = rest.next()
            {
                buffer = buffer << 8 | u32::from(*byte);
                held += 8;
            }
            let Some(left) = held.checked_sub(width) else { return };
            held = left;
            let value = buffer >> held & most;
            buffer &= (1 << held) - 1;
            bytes.push(if is_scaled { ((value * 255 + most / 2) / most) as u8 } else { value as u8 });
        }
    }
}

fn of_float(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// A number of sixteen bits (IEEE 754, binary16).
fn half([high, low]: [u8; 2]) -> f32 {
    let fraction = f32::from(u16::from(high & 3) << 8 | u16::from(low)) / 1024.0;
    let size = match i32::from(high >> 2 & 31) {
        0 => fraction * 2f32.powi(-14),
        31 => f32::INFINITY,
        exponent => (1.0 + fraction) * 2f32.powi(exponent - 15),
    };
    if high >> 7 == 1 { -size } else { size }
}

/// What the samples of a pixel mean.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::thumbnail::decode) enum Meaning {
    Gray {
        is_inverted: bool,
    },
    Rgb,
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// With what stands for black and white of each channel.
    YCbCr([[f32; 2]; 3]),
    /// CIE 1976 L*a*b*; the two colours are above and below 128.
    Lab {
        is_signed: bool,
    },
}

impl Meaning {
    pub(in crate::thumbnail::decode) const fn channels(&self) -> usize {
        match self {
            Self::Gray { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) | Self::Lab { .. } => 3,
            Self::Cmyk => 4,
        }
    }
}

/// The sample with the alpha of the pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::thumbnail::decode) struct Alpha {
    pub(in crate::thumbnail::decode) is_premultiplied: bool,
}

/// From samples to pixels.
#[derive(Debug)]
pub(in crate::thumbnail::decode) struct Converter {
    pub(in crate::thumbnail::decode) meaning: Meaning,
    /// Of the sample behind those of the meaning.
    pub(in crate::thumbnail::decode) alpha: Option<Alpha>,
    /// Samples in a pixel.
    pub(in crate::thumbnail::decode) samples: usize,
}

impl Converter {
    pub(in crate::thumbnail::decode) const fn layout(&self) -> Layout {
        match (&self.meaning, self.alpha) {
            (Meaning::Cmyk, _) => Layout::Cmyk,
            (_, Some(_)) => Layout::Rgba,
            (Meaning::Gray { .. }, None) => Layout::Gray,
            _ => Layout::Rgb,
        }
    }

    /// Whether samples of bytes are pixels as they are.
    pub(in crate::thumbnail::decode) fn is_plain(&self) -> bool {
        let is_whole = self.samples == self.layout().channels();
        let is_premultiplied = self.alpha.is_some_and(|alpha| alpha.is_premultiplied);
        is_whole
            && !is_premultiplied
            && matches!(self.meaning, Meaning::Gray { is_inverted: false } | Meaning::Rgb | Meaning::Cmyk)
    }

    /// Adds a row of pixels.
    pub(in crate::thumbnail::decode) fn convert(&self, samples: &[u8], row: &mut Vec<u8>) {
        let channels = self.meaning.channels();
        for pixel in samples.chunks_exact(self.samples) {
            let rgb = match (&self.meaning, pixel) {
                (Meaning::Cmyk, pixel) => {
                    row.extend_from_slice(&pixel[..4]);
                    continue;
                }
                (Meaning::Gray { is_inverted }, [light, ..]) => {
                    let light = if *is_inverted { 255 - light } else { *light };
                    if self.alpha.is_none() {
                        row.push(light);
                        continue;
                    }
                    [light; 3]
                }
                (Meaning::Palette(colours), [index, ..]) => {
                    colours.get(usize::from(*index)).copied().unwrap_or_default()
                }
                (Meaning::Rgb, [red, green, blue, ..]) => [*red, *green, *blue],
                (Meaning::YCbCr(range), [y, cb, cr, ..]) => of_ycbcr([*y, *cb, *cr], range),
                (Meaning::Lab { is_signed }, [light, a, b, ..]) => {
                    let sign = if *is_signed { 0x80 } else { 0 };
                    of_lab(*light, a ^ sign, b ^ sign)
                }
                _ => continue,
            };
            match self.alpha {
                None => row.extend(rgb),
                Some(Alpha { is_premultiplied }) => {
                    let alpha = pixel[channels];
                    row.extend(rgb.map(|value| if is_premultiplied { divided(value, alpha) } else { value }));
                    row.push(alpha);
                }
            }
        }
    }
}

/// ITU-R BT.601, the default of TIFF.
fn of_ycbcr(samples: [u8; 3], range: &[[f32; 2]; 3]) -> [u8; 3] {
    const WHOLE: [f32; 3] = [255.0, 127.0, 127.0];
    let [y, cb, cr] = std::array::from_fn(|channel| {
        let [black, white] = range[channel];
        (f32::from(samples[channel]) - black) * WHOLE[channel] / (white - black).max(1.0)
    });
    let red = y + 1.402 * cr;
    let blue = y + 1.772 * cb;
    let green = (y - 0.299 * red - 0.114 * blue) / 0.587;
    [red, green, blue].map(|value| value.round().clamp(0.0, 255.0) as u8)
}

/// To sRGB, via XYZ under D50.
fn of_lab(light: u8, a: u8, b: u8) -> [u8; 3] {
    const WHITE: [f32; 3] = [0.9642, 1.0, 0.8251];
    const TO_RGB: [[f32; 3]; 3] = [
        [3.133_856, -1.616_867, -0.490_615],
        [-0.978_768, 1.916_142, 0.033_454],
        [0.071_945, -0.228_991, 1.405_243],
    ];
    let y = (f32::from(light) / 2.55 + 16.0) / 116.0;
    let steps = [y + (f32::from(a) - 128.0) / 500.0, y, y - (f32::from(b) - 128.0) / 200.0];
    let xyz: [f32; 3] = std::array::from_fn(|at| {
        let step: f32 = steps[at];
        let part = if step > 6.0 / 29.0 { step.powi(3) } else { (step - 4.0 / 29.0) * 108.0 / 841.0 };
        part * WHITE[at]
    });
    TO_RGB.map(|row| {
        let light: f32 = row.iter().zip(xyz).map(|(part, value)| part * value).sum();
        let light = light.clamp(0.0, 1.0);
        let coded = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        (coded * 255.0).round() as u8
    })
}
