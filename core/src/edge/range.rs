//! Byte ranges of RFC 9110 section 14, as a pure function of header and size.
//! Never reads a file.

use std::ops::Range;

/// More ranges than this in one request are answered with the whole file: they are a mistake or an attack.
const MAX_RANGES: usize = 16;

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// Everything: no header, another unit, or one that does not parse (RFC 9110 says to ignore it).
    Whole,
    /// These parts, at least one, in the order asked.
    Parts(Vec<Range<u64>>),
    /// Nothing that exists: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` header for a representation of `size_bytes`.
#[must_use]
pub(super) fn parse(header: Option<&str>, size_bytes: u64) -> Ranges {
    let Some(specs) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Ranges::Whole;
    };
    let mut parts = Vec::new();
    let mut count = 0;
    for spec in specs.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        count += 1;
        match parse_spec(spec, size_bytes) {
            Some(Some(range)) => parts.push(range),
            Some(None) => {}
            None => return Ranges::Whole,
        }
    }
    if count == 0 || count > MAX_RANGES || overlap(&parts) {
        return Ranges::Whole;
    }
    if parts.is_empty() { Ranges::Unsatisfiable } else { Ranges::Parts(parts) }
}

/// `None`: malformed. `Some(None)`: well formed and outside the file.
fn parse_spec(spec: &str, size_bytes: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix_bytes = number(last)?.min(size_bytes);
        return Some((suffix_bytes > 0).then(|| size_bytes - suffix_bytes..size_bytes));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    let end = last.saturating_add(1).min(size_bytes);
    Some((first < end).then_some(first..end))
}

fn number(text: &str) -> Option<u64> {
    // A number too large for the type is larger than any file.
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Overlapping ranges multiply the bytes sent: they get the whole file once.
fn overlap(parts: &[Range<u64>]) -> bool {
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_by_key(|part| part.start);
    sorted.windows(2).any(|pair| matches!(pair, [before, after] if after.start < before.end))
}

#[cfg(test)]
mod tests {
    use super::{Ranges, parse};

    fn check(header: &str, expected: &[std::ops::Range<u64>]) {
        assert_eq!(parse(Some(header), 1000), Ranges::Parts(expected.to_vec()), "{header}");
    }

    #[test]
    fn ranges_of_rfc_9110_are_understood() {
        check("bytes=0-499", std::slice::from_ref(&(0..500)));
        check("bytes=500-", std::slice::from_ref(&(500..1000)));
        check("bytes=-1", std::slice::from_ref(&(999..1000)));
        check("bytes=-5000", std::slice::from_ref(&(0..1000)));
        check("bytes=990-99999999999999999999999", std::slice::from_ref(&(990..1000)));
        check("bytes=0-0, 2-3 ,-1", &[0..1, 2..4, 999..1000]);
        check("bytes=0-0,5000-", std::slice::from_ref(&(0..1)));
    }

    #[test]
    fn a_header_that_makes_no_sense_is_ignored() {
        for header in
            ["bytes=", "bytes=a-b", "bytes=5-2", "items=0-1", "bytes=1", "bytes=--1", "bytes=0-9,5-7"]
        {
            assert_eq!(parse(Some(header), 1000), Ranges::Whole, "{header}");
        }
        let many = format!("bytes={}", vec!["1-1"; 17].join(","));
        assert_eq!(parse(Some(&many), 1000), Ranges::Whole);
    }

    #[test]
    fn a_range_outside_the_file_is_unsatisfiable() {
        for header in ["bytes=1000-", "bytes=-0", "bytes=5000-6000"] {
            assert_eq!(parse(Some(header), 1000), Ranges::Unsatisfiable, "{header}");
        }
        assert_eq!(parse(Some("bytes=0-"), 0), Ranges::Unsatisfiable);
    }
}
