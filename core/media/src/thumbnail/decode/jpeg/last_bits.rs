//! The last scans of a progressive JPEG, which add nothing but the lowest bit of each coefficient: a third of the file
//! and half of the work, for less than an image at a half or a quarter shows.
//! Never looks at the data of a scan.

use super::scan::{Scan, segment};

/// The largest step of a low frequency with which its lowest bit is about a shade of grey.
const MAX_STEP: u8 = 10;

/// How much of the file comes before those scans. `None` where there are none, or where they would be missed.
pub(super) fn end_before(bytes: &[u8]) -> Option<usize> {
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let (mut at, mut end) = (2, None);
    while let Some((marker, content)) = segment(bytes, at) {
        let start = at;
        at += 4 + content.len();
        match marker {
            0xDB if !has_small_steps(content) => return None,
            0xDA => {
                end = if adds_last_bits_only(content)? { end.or(Some(start)) } else { None };
                at = Scan::end(bytes, at);
            }
            _ => {}
        }
    }
    end.filter(|_| bytes.get(at..).is_some_and(|rest| rest.starts_with(&END_OF_IMAGE)))
}

/// Whether a scan refines AC coefficients to the last bit (T.81, G.1.1.1.2): they begin after 0, one bit was missing,
/// and none is missing then.
fn adds_last_bits_only(header: &[u8]) -> Option<bool> {
    let components = usize::from(*header.first()?);
    let &[first, _last, bits] = header.get(1 + 2 * components..)? else { return None };
    Some(first > 0 && bits == 0x10)
}

/// Of the first table, which is that of the brightness: the others matter less. Tables of 16 bits are rare.
fn has_small_steps(tables: &[u8]) -> bool {
    const LOW: std::ops::Range<usize> = 1..6;
    let Some((head, steps)) = tables.split_first() else { return false };
    *head != 0 || steps.get(LOW).is_some_and(|low| low.iter().all(|step| *step <= MAX_STEP))
}
