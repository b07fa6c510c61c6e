//! The header of a JPEG as strict decoders want it: without metadata, without stray bytes between its segments, and
//! without unknown versions. Each of those stops libjpeg's wrapper, and no browser.

use super::scan::be16;
use crate::jpeg_header::marker_in;

/// Rewrites the header before the first scan in place, and returns where the file begins then.
/// `None` if there is no scan.
pub(super) fn plain(bytes: &mut [u8]) -> Option<usize> {
    const START: [u8; 2] = [0xFF, 0xD8];
    let mut header = START.to_vec();
    let (mut at, mut components, mut transform) = (2, 0, None);
    loop {
        let start = at + marker_in(bytes.get(at..)?)?;
        let marker = bytes[start + 1];
        if marker == 0xDA {
            at = start;
            break;
        }
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            at = start + 2;
            continue;
        }
        at = start + 2 + usize::from(be16(bytes, start + 2)?);
        let content = bytes.get(start + 4..at)?;
        let content_at = header.len() + 4;
        match marker {
            0xE0 if content.starts_with(b"JFIF\0") => {
                header.extend_from_slice(&bytes[start..at]);
                if let Some(version) = header.get_mut(content_at + 5) {
                    *version = 1;
                }
            }
            0xEE if content.starts_with(b"Adobe") => {
                header.extend_from_slice(&bytes[start..at]);
                transform = Some(content_at + 11);
            }
            0xE0..=0xEF | 0xFE => {}
            _ => {
                if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
                    components = content.get(5).copied().unwrap_or(0);
                }
                header.extend_from_slice(&bytes[start..at]);
            }
        }
    }
    // What an unknown transform means is what libjpeg takes it for.
    if let Some(transform) = transform.and_then(|at| header.get_mut(at)) {
        match (components, *transform) {
            (4, 0 | 2) | (_, 0 | 1) => {}
            (4, _) => *transform = 2,
            _ => *transform = 1,
        }
    }
    // It has lost bytes and never won any, so there is room for it before the scan.
    let start = at.checked_sub(header.len())?;
    bytes[start..at].copy_from_slice(&header);
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [u8; 6] = [0xFF, 0xDB, 0, 4, 1, 2];
    const SCAN: [u8; 4] = [0xFF, 0xDA, 0, 2];

    #[test]
    fn only_what_decoding_needs_stays_before_the_first_scan() {
        let comment = [0xFF, 0xFE, 0, 3, 9];
        let mut bytes = [&[0xFF, 0xD8, 7, 7][..], &comment, &TABLE, &[0, 0xFF, 0, 3], &SCAN].concat();
        let start = plain(&mut bytes).unwrap();
        assert_eq!(bytes[start..], [&[0xFF, 0xD8][..], &TABLE, &SCAN].concat());
    }

    #[test]
    fn what_has_no_scan_or_ends_in_a_segment_is_none() {
        assert_eq!(plain(&mut [0xFF, 0xD8, 0xFF, 0xDB, 0, 9, 1]), None);
        assert_eq!(plain(&mut [0xFF, 0xD8]), None);
        assert_eq!(plain(&mut []), None);
    }
}
