//! Facts of AVI files: the main header and the header of the picture stream stand at the start.

use super::Facts;
use crate::media::source::Source;

/// Size and length of a film.
pub(super) fn facts(source: &mut Source<'_>) -> Option<Facts> {
    let head = source.up_to(0, 4096)?;
    let main = after(&head, b"avih", 8)?;
    let (width, height) = (le32(main, 32)?, le32(main, 36)?);
    let by_frames = || Some(f64::from(le32(main, 0)?) * f64::from(le32(main, 16)?) / 1e6);
    let seconds = stream_seconds(&head).or_else(by_frames);
    Some(Facts::of_picture(width, height).lasting(seconds))
}

/// The picture stream's own length, which also counts what lies beyond the first 2 GiB.
fn stream_seconds(head: &[u8]) -> Option<f64> {
    let stream = after(head, b"vids", 0)?;
    // "vids" is the first field of the stream's header.
    let (scale, rate, length) = (le32(stream, 20)?, le32(stream, 24)?, le32(stream, 32)?);
    (rate > 0).then(|| f64::from(length) * f64::from(scale) / f64::from(rate))
}

/// What stands `skip` bytes after the start of `mark`.
fn after<'a>(head: &'a [u8], mark: &[u8; 4], skip: usize) -> Option<&'a [u8]> {
    let at = head.windows(4).position(|window| window == mark)?;
    head.get(at + skip..)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
