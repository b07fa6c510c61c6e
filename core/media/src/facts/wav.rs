//! Length of WAV files (RIFF, RF64, BW64): what the header promises, but never more than there is.
//! Own code, because libraries trust the size that a recorder has not filled in.

use super::Facts;
use crate::source::Source;

/// Most chunks that are looked at.
const MAX_CHUNKS: usize = 256;

struct Format {
    is_pcm: bool,
    bytes_per_second: u32,
    hertz: u32,
}

pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let (mut format, mut samples, mut long_size) = (None, None, None);
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let head: [u8; 8] = source.bytes(at)?;
        let [kind @ .., s0, s1, s2, s3] = head;
        let (body, size) = (at + 8, u32::from_le_bytes([s0, s1, s2, s3]));
        match &kind {
            b"fmt " => format = format_of(source.bytes(body)?),
            b"fact" => samples = Some(u32::from_le_bytes(source.bytes(body)?)),
            b"ds64" => {
                let sizes: [u8; 16] = source.bytes(body)?;
                long_size = Some(u64::from_le_bytes(sizes[8..].try_into().ok()?));
            }
            b"data" => {
                let size = long_size.filter(|_| size == u32::MAX).unwrap_or_else(|| u64::from(size));
                return Some(Facts::default().lasting(seconds(source.len() - body, size, &format?, samples)));
            }
            _ => {}
        }
        // Chunks start at even places.
        at = body + u64::from(size) + u64::from(size & 1);
    }
    None
}

fn format_of(body: [u8; 16]) -> Option<Format> {
    const PCM: u16 = 1;
    const FLOAT: u16 = 3;
    const A_LAW: u16 = 6;
    const MU_LAW: u16 = 7;
    const EXTENSIBLE: u16 = 0xFFFE;
    let [t0, t1, _, _, h0, h1, h2, h3, b0, b1, b2, b3, ..] = body;
    let tag = u16::from_le_bytes([t0, t1]);
    Some(Format {
        is_pcm: matches!(tag, PCM | FLOAT | A_LAW | MU_LAW | EXTENSIBLE),
        bytes_per_second: u32::from_le_bytes([b0, b1, b2, b3]),
        hertz: u32::from_le_bytes([h0, h1, h2, h3]),
    })
}

/// `size` is what the header promises for the samples, `room` what there is from them to the end of the file.
fn seconds(room: u64, size: u64, format: &Format, samples: Option<u32>) -> Option<f64> {
    // A program that writes to a pipe leaves 0 or the largest number there is.
    let is_known = size > 0 && size <= room;
    let bytes = if is_known { size } else { room };
    let by_bytes =
        || (format.bytes_per_second > 0).then(|| bytes as f64 / f64::from(format.bytes_per_second));
    match samples {
        Some(samples) if is_known && !format.is_pcm && samples > 0 && format.hertz > 0 => {
            Some(f64::from(samples) / f64::from(format.hertz))
        }
        _ => by_bytes(),
    }
}
