//! From a coded item to the stream that a video decoder reads.

use super::number;

/// Units with lengths before them become units with start codes (ISO 14496-15 to ITU H.265, annex B).
pub(super) fn hevc_frame(configuration: &[u8], content: &[u8], stream: &mut Vec<u8>) -> Option<()> {
    const LENGTH_SIZE: usize = 21;
    let length_size = usize::from(configuration.get(LENGTH_SIZE)? & 3) + 1;
    let mut unit = |bytes: &[u8]| {
        stream.extend([0, 0, 0, 1]);
        stream.extend(bytes);
    };
    let mut rest = configuration.get(LENGTH_SIZE + 1..)?;
    for _ in 0..number(&mut rest, 1)? {
        let _kind = number(&mut rest, 1)?;
        for _ in 0..number(&mut rest, 2)? {
            let length = number(&mut rest, 2)? as usize;
            unit(rest.split_off(..length)?);
        }
    }
    let mut rest = content;
    while !rest.is_empty() {
        let length = number(&mut rest, length_size)?;
        unit(rest.split_off(..usize::try_from(length).ok()?)?);
    }
    Some(())
}

/// A frame in a file lacks the mark that starts a frame in a stream (AV1 in ISO base media, 2.4). `None` where there
/// are more frames than the layers of an image: they would not be seen, only decoded.
pub(super) fn av1_frame(content: &[u8], stream: &mut Vec<u8>) -> Option<()> {
    const TEMPORAL_DELIMITER: [u8; 2] = [0x12, 0];
    const MAX_LAYERS: usize = 8;
    stream.extend(TEMPORAL_DELIMITER);
    stream.extend(content);
    (av1_frames(content)? <= MAX_LAYERS).then_some(())
}

/// How many frames the units of a stream (OBUs, AV1, 5.3) begin.
pub(super) fn av1_frames(mut units: &[u8]) -> Option<usize> {
    const FRAME_HEADER: u8 = 3;
    const FRAME: u8 = 6;
    let mut frames = 0;
    while let Some((head, rest)) = units.split_first() {
        let has_extension = usize::from(head >> 2 & 1);
        let has_size = head >> 1 & 1 == 1;
        units = rest.get(has_extension..)?;
        let size = if has_size { leb128(&mut units)? } else { units.len() };
        units = units.get(size..)?;
        frames += usize::from(matches!(head >> 3 & 15, FRAME_HEADER | FRAME));
    }
    Some(frames)
}

/// The next number in the encoding of AV1 (4.10.5): seven bits in a byte, the lowest first.
fn leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for at in 0..8 {
        let byte = rest.split_off_first()?;
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte >> 7 == 0 {
            return Some(value);
        }
    }
    None
}
