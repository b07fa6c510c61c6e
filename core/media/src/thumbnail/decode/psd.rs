//! Photoshop files (PSD and PSB): the image of all layers together that programs save with them, row by row. Its planes
//! come one after another, so a row is read at as many places as it has channels.

use image::metadata::Orientation;

use super::tiff::{Alpha, Converter, Meaning, Number, Samples, pack_bits};
use super::{Decoded, damaged};
use crate::fit::{Fit, FitTo};
use crate::limits::{MediaError, MediaLimits};
use crate::source::Source;
use crate::thumbnail::shrink::Shrinker;

/// The header before the image.
struct Head {
    size: (u32, u32),
    channels: usize,
    samples: Samples,
    converter: Converter,
    icc: Option<Vec<u8>>,
    /// Bytes of a length in the sections that PSB has larger.
    word: u64,
    /// Where the image begins.
    start: u64,
}

pub(super) fn decode(
    mut source: Source<'_>,
    within: FitTo,
    limits: &MediaLimits,
) -> Result<Decoded, MediaError> {
    let head = Head::read(&mut source, limits)?;
    let (width, height) = (head.size.0 as usize, head.size.1 as usize);
    let row_bytes = (width * usize::from(head.samples.bits)).div_ceil(8);
    let rows = rows(&mut source, &head, row_bytes).ok_or_else(damaged)?;
    let fit = Fit::new(within, head.size, Orientation::NoTransforms);
    let mut shrinker = Shrinker::new(head.size.0, head.converter.layout(), fit.reduction());
    let is_scaled = !matches!(head.converter.meaning, Meaning::Palette(_));
    let used = head.converter.samples;
    let (mut planes, mut samples, mut row) = (Vec::new(), Vec::new(), Vec::new());
    for y in 0..height {
        planes.clear();
        for channel in 0..used {
            let (place, length, is_packed) = rows.get(channel * height + y, row_bytes).ok_or_else(damaged)?;
            let mut line = source.up_to(place, length).ok_or_else(damaged)?;
            if is_packed {
                line = pack_bits(&line, row_bytes);
            }
            // What is cut off is black.
            line.resize(row_bytes, 0);
            head.samples.read(&line, width, is_scaled, &mut planes);
        }
        samples.clear();
        samples.extend((0..width).flat_map(|x| planes.iter().skip(x).step_by(width)));
        row.clear();
        head.converter.convert(&samples, &mut row);
        if matches!(head.converter.meaning, Meaning::Cmyk) {
            // Of ink, 0 is full here.
            row.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
        shrinker.push(&row);
    }
    let (pixels, extent) = shrinker.finish();
    let orientation = Orientation::NoTransforms;
    Ok(Decoded { pixels, extent, fit, orientation, matrix: None, icc: head.icc })
}

/// Where the rows of all channels are.
enum Rows {
    Plain {
        start: u64,
    },
    /// Each with its place and its length.
    Packed(Vec<(u64, u64)>),
}

impl Rows {
    fn get(&self, index: usize, row_bytes: usize) -> Option<(u64, u64, bool)> {
        match self {
            Self::Plain { start } => Some((start + (index * row_bytes) as u64, row_bytes as u64, false)),
            Self::Packed(places) => places.get(index).map(|(place, length)| (*place, *length, true)),
        }
    }
}

fn rows(source: &mut Source<'_>, head: &Head, row_bytes: usize) -> Option<Rows> {
    let start = head.start + 2;
    match u16::from_be_bytes(source.bytes(head.start)?) {
        0 => Some(Rows::Plain { start }),
        1 => {
            // Lengths of two bytes, or of four in PSB.
            let width = head.word / 2;
            let count = head.channels as u64 * u64::from(head.size.1);
            let lengths = source.up_to(start, count * width)?;
            let mut place = start + count * width;
            let mut places = Vec::new();
            for length in lengths.chunks_exact(width as usize) {
                let length = length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
                places.push((place, length.min(2 * row_bytes as u64 + 16)));
                place = place.checked_add(length)?;
            }
            Some(Rows::Packed(places))
        }
        _ => None,
    }
}

impl Head {
    fn read(source: &mut Source<'_>, limits: &MediaLimits) -> Result<Self, MediaError> {
        const HEAD: u64 = 26;
        let [
            _,
            _,
            _,
            _,
            _,
            version,
            _,
            _,
            _,
            _,
            _,
            _,
            c1,
            c0,
            h3,
            h2,
            h1,
            h0,
            w3,
            w2,
            w1,
            w0,
            _,
            bits,
            _,
            mode,
        ] = source.bytes::<26>(0).ok_or_else(damaged)?;
        let channels = usize::from(u16::from_be_bytes([c1, c0]));
        let size = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
        limits.check_dimensions(size.0, size.1)?;
        let word = if version == 2 { 8 } else { 4 };
        let mut section = |at: u64, word: u64| {
            let length = source.up_to(at, word)?;
            let length = length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            at.checked_add(word)?.checked_add(length).map(|end| (at + word, length, end))
        };
        let colours = section(HEAD, 4).ok_or_else(damaged)?;
        let resources = section(colours.2, 4).ok_or_else(damaged)?;
        let layers = section(resources.2, word).ok_or_else(damaged)?;
        let number = if bits == 32 { Number::Float } else { Number::Unsigned };
        let samples = Samples { bits: bits.into(), number, is_big_endian: true };
        let meaning = match mode {
            0 => Meaning::Gray { is_inverted: true },
            1 | 8 => Meaning::Gray { is_inverted: false },
            2 => Meaning::Palette(palette(source, colours.0).ok_or_else(damaged)?),
            3 => Meaning::Rgb,
            4 => Meaning::Cmyk,
            9 => Meaning::Lab { is_signed: false },
            _ => return Err(unsupported()),
        };
        // A negative count of layers says that the first channel too many is alpha.
        let count = source.up_to(layers.0 + word, 2).unwrap_or_default();
        let is_transparent = layers.1 > word && count.first().is_some_and(|high| high >> 7 == 1);
        let alpha = (is_transparent && channels > meaning.channels() && meaning != Meaning::Cmyk)
            .then_some(Alpha { is_premultiplied: false });
        let used = meaning.channels() + usize::from(alpha.is_some());
        if !samples.is_known() || channels < used || channels > 56 {
            return Err(unsupported());
        }
        let icc = icc(source, resources.0, resources.2);
        let converter = Converter { meaning, alpha, samples: used };
        Ok(Self { size, channels, samples, converter, icc, word, start: layers.2 })
    }
}

/// All red, all green, all blue.
fn palette(source: &mut Source<'_>, start: u64) -> Option<Vec<[u8; 3]>> {
    let colours: [u8; 768] = source.bytes(start)?;
    Some((0..256).map(|index| [colours[index], colours[256 + index], colours[512 + index]]).collect())
}

/// The colour profile among the resources.
fn icc(source: &mut Source<'_>, mut at: u64, end: u64) -> Option<Vec<u8>> {
    const PROFILE: u16 = 1039;
    const MAX_RESOURCES: usize = 500;
    const MAX_ICC: u64 = 4 << 20;
    for _ in 0..MAX_RESOURCES {
        if at >= end {
            break;
        }
        let [m0, m1, m2, m3, i1, i0, name_length] = source.bytes::<7>(at)?;
        if [m0, m1, m2, m3] != *b"8BIM" {
            break;
        }
        // A name with its length, then a content with its: each takes an even number of bytes.
        let length_at = at + 6 + (u64::from(name_length) + 1).next_multiple_of(2);
        let length = u64::from(u32::from_be_bytes(source.bytes(length_at)?));
        if u16::from_be_bytes([i1, i0]) == PROFILE {
            return (length <= MAX_ICC).then(|| source.up_to(length_at + 4, length)).flatten();
        }
        at = length_at + 4 + length.next_multiple_of(2);
    }
    None
}

fn unsupported() -> MediaError {
    MediaError::permanent("the image uses an unsupported variant of its format")
}
