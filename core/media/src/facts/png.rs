//! How a PNG is to be turned, which may stand before its pixels or behind them (PNG 3, 11.3.4.5).

use image::metadata::Orientation;

use crate::source::Source;

/// What EXIF says, wherever it is.
pub(crate) fn orientation(source: &mut Source<'_>) -> Option<Orientation> {
    const SIGNATURE: u64 = 8;
    /// Of length, name and checksum.
    const FRAME: u64 = 12;
    const MAX_CHUNKS: usize = 16_384;
    const MAX_EXIF: u64 = 64 << 10;
    let mut at = SIGNATURE;
    for _ in 0..MAX_CHUNKS {
        let [l3, l2, l1, l0, name @ ..] = source.bytes::<8>(at)?;
        let length = u64::from(u32::from_be_bytes([l3, l2, l1, l0]));
        match &name {
            b"eXIf" => return Orientation::from_exif_chunk(&source.up_to(at + 8, length.min(MAX_EXIF))?),
            b"IEND" => return None,
            _ => at += length + FRAME,
        }
    }
    None
}
