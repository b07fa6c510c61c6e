//! LZW as GIF (GIF89a, appendix F) and TIFF (TIFF 6.0, section 13) write it.
//! Every string of the table is a part of the earlier output, so the table holds positions, and a code is one copy.
//! Never reads a container: `gif` and `tiff` do, whose own decoders take three times as long.

/// Bits of the longest code.
const MAX_WIDTH: u32 = 12;
/// Codes that stand for themselves.
const LITERALS: usize = 256;
/// Strings up to this length are copied in one move, whatever their length is.
const PIECE: usize = 16;

/// How a format writes codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The first code in the lowest bits; codes grow when they must.
    Gif,
    /// The first code in the highest bits; codes grow one code before they must.
    Tiff,
}

/// Decodes codes that stand alone.
pub(in crate::thumbnail) fn decoded(
    codes: &[u8],
    literal_width: u8,
    is_tiff: bool,
    most: usize,
) -> Option<Vec<u8>> {
    let dialect = if is_tiff { Dialect::Tiff } else { Dialect::Gif };
    Some(Lzw::new(dialect, literal_width)?.decode(codes, most).to_vec())
}

/// Codes of one image, decoded piece by piece.
pub(super) struct Lzw {
    dialect: Dialect,
    /// Bits of a literal.
    literal_width: u32,
    /// For each code where in `history` its string is, and how long it is.
    strings: Box<[(u32, u32); 1 << MAX_WIDTH]>,
    /// Each literal once, then what was decoded, then room for one piece more.
    history: Vec<u8>,
}

impl Lzw {
    /// `literal_width` is from 1 to 8; other widths are `None`.
    pub(super) fn new(dialect: Dialect, literal_width: u8) -> Option<Self> {
        if !(1..=8).contains(&literal_width) {
            return None;
        }
        let strings = Box::new(std::array::from_fn(|code| (code.min(LITERALS - 1) as u32, 1)));
        Some(Self { dialect, literal_width: literal_width.into(), strings, history: (0..=255).collect() })
    }

    /// Decodes codes from a start to their end, but at most `most` bytes. What no code can mean ends them as well.
    pub(super) fn decode(&mut self, codes: &[u8], most: usize) -> &mut [u8] {
        let end = match self.dialect {
            Dialect::Gif => self.run::<LowFirst>(codes, LITERALS + most),
            Dialect::Tiff => self.run::<HighFirst>(codes, LITERALS + most),
        };
        &mut self.history[LITERALS..end]
    }

    /// The same as bytes of their own, without a copy: strips may be as large as their image.
    pub(super) fn take(&mut self, codes: &[u8], most: usize) -> Vec<u8> {
        let length = self.decode(codes, most).len();
        let mut bytes = std::mem::replace(&mut self.history, (0..=255).collect());
        bytes.truncate(LITERALS + length);
        bytes.drain(..LITERALS);
        bytes
    }

    /// Decodes into the history up to `end`, and returns how far it came. Never part of its caller, and with as little
    /// state as there can be, so that all of it stays in registers: otherwise it takes half as long again.
    #[inline(never)]
    fn run<O: Order>(&mut self, codes: &[u8], end: usize) -> usize {
        self.history.resize(end + PIECE, 0);
        let (strings, history) = (&mut *self.strings, &mut self.history[..]);
        let mut bits = Bits { rest: codes, buffer: 0, count: 0 };
        let literal_width = self.literal_width;
        let clear = 1 << literal_width;
        let (mut free, mut width) = (clear + 2, literal_width + 1);
        // The string of the code before, which ends at `at`; 0 if there is none. With the first byte of the next one it
        // becomes the next free code's.
        let mut before = 0;
        let mut at = LITERALS;
        while at < end
            && let Some(code) = bits.next::<O>(width)
        {
            if code == clear {
                (free, width, before) = (clear + 2, literal_width + 1, 0);
                continue;
            }
            if before > 0 && free < strings.len() {
                strings[free] = ((at - before) as u32, before as u32 + 1);
                free += 1;
                if (free + usize::from(O::WIDENS_EARLY)) >> width > 0 && width < MAX_WIDTH {
                    width += 1;
                }
            }
            // The code after `clear` stands for the end.
            if code >= free || code == clear + 1 {
                break;
            }
            let (start, length) = strings[code];
            let length = (length as usize).min(end - at);
            copy(history, start as usize, at, length);
            before = length;
            at += length;
        }
        at
    }
}

/// Copies a string to where the history ends. A string may reach one byte beyond that: then it ends as it begins.
#[inline(always)]
fn copy(history: &mut [u8], from: usize, at: usize, length: usize) {
    if length <= PIECE
        && let Some(piece) = history[from..].first_chunk::<PIECE>().copied()
        && let Some(to) = history[at..].first_chunk_mut::<PIECE>()
    {
        // What is too much will be written over.
        *to = piece;
    } else {
        history.copy_within(from..(from + length).min(at), at);
    }
    if from + length > at {
        history[at + length - 1] = history[at];
    }
}

/// What is left of the codes; the next `count` bits are in `buffer`.
struct Bits<'a> {
    rest: &'a [u8],
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// The next code; `None` where the bytes end.
    #[inline(always)]
    fn next<O: Order>(&mut self, width: u32) -> Option<usize> {
        if self.count < width {
            self.fill::<O>();
        }
        self.count = self.count.checked_sub(width)?;
        Some(O::take(&mut self.buffer, width))
    }

    #[inline(always)]
    fn fill<O: Order>(&mut self) {
        if let Some(eight) = self.rest.first_chunk() {
            // More may get into the buffer than is counted: the same bits will come again.
            O::put(&mut self.buffer, self.count, *eight);
            let whole = (63 - self.count) / 8;
            self.rest = &self.rest[whole as usize..];
            self.count += 8 * whole;
        } else {
            while self.count <= 56
                && let Some((byte, rest)) = self.rest.split_first()
            {
                O::put(&mut self.buffer, self.count, O::alone(*byte));
                self.rest = rest;
                self.count += 8;
            }
        }
    }
}

/// In which order bits are in a buffer and come out of it.
trait Order {
    const WIDENS_EARLY: bool;
    /// Puts bytes behind the `count` bits that the buffer holds.
    fn put(buffer: &mut u64, count: u32, bytes: [u8; 8]);
    /// One byte, as the first of eight.
    fn alone(byte: u8) -> [u8; 8] {
        [byte, 0, 0, 0, 0, 0, 0, 0]
    }
    /// Takes the next `width` bits.
    fn take(buffer: &mut u64, width: u32) -> usize;
}

struct LowFirst;

impl Order for LowFirst {
    const WIDENS_EARLY: bool = false;

    #[inline(always)]
    fn put(buffer: &mut u64, count: u32, bytes: [u8; 8]) {
        *buffer |= u64::from_le_bytes(bytes) << count;
    }

    #[inline(always)]
    fn take(buffer: &mut u64, width: u32) -> usize {
        let code = *buffer & ((1 << width) - 1);
        *buffer >>= width;
        code as usize
    }
}

struct HighFirst;

impl Order for HighFirst {
    const WIDENS_EARLY: bool = true;

    #[inline(always)]
    fn put(buffer: &mut u64, count: u32, bytes: [u8; 8]) {
        *buffer |= u64::from_be_bytes(bytes) >> count;
    }

    #[inline(always)]
    fn take(buffer: &mut u64, width: u32) -> usize {
        let code = *buffer >> (64 - width);
        *buffer <<= width;
        code as usize
    }
}

#[cfg(test)]
mod tests {
    use weezl::BitOrder;
    use weezl::encode::Encoder;

    use super::*;

    /// The codes that the usual library writes.
    fn encoded(dialect: Dialect, literal_width: u8, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = match dialect {
            Dialect::Gif => Encoder::new(BitOrder::Lsb, literal_width),
            Dialect::Tiff => Encoder::with_tiff_size_switch(BitOrder::Msb, literal_width),
        };
        encoder.encode(bytes).unwrap()
    }

    /// Bytes below a limit without any order, always the same.
    fn noise(count: usize, below: u32) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % below) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn what_was_encoded_comes_back() {
        for dialect in [Dialect::Gif, Dialect::Tiff] {
            // The library writes TIFF's for whole bytes only.
            for width in if dialect == Dialect::Gif { 2..=8 } else { 8..=8 } {
                let colours = 1 << width;
                for bytes in [
                    vec![],
                    vec![1],
                    vec![1; 100_000],
                    [1, 0].repeat(5000),
                    noise(50_000, colours),
                    noise(50_000, 2),
                    (0..60_000u32).map(|at| (at * at / 977 % colours) as u8).collect(),
                ] {
                    let codes = encoded(dialect, width, &bytes);
                    let mut lzw = Lzw::new(dialect, width).unwrap();
                    // A second time, because a TIFF has many strips.
                    for _ in 0..2 {
                        assert!(
                            lzw.decode(&codes, bytes.len()) == bytes,
                            "{dialect:?} {width} {}",
                            bytes.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_leaves_the_rest_as_it_is() {
        let bytes = noise(5000, 256);
        let codes = encoded(Dialect::Tiff, 8, &bytes);
        let mut lzw = Lzw::new(Dialect::Tiff, 8).unwrap();
        for cut in [0, 1, 100, codes.len() / 2] {
            let decoded = lzw.decode(&codes[..cut], bytes.len());
            assert!(
                bytes.starts_with(decoded) && decoded.len() + 3 >= cut * 2 / 3,
                "{cut}: {}",
                decoded.len()
            );
        }
    }

    #[test]
    fn no_more_is_decoded_than_was_asked_for() {
        let codes = encoded(Dialect::Gif, 8, &[7; 10_000]);
        let mut lzw = Lzw::new(Dialect::Gif, 8).unwrap();
        for most in [0, 1, 2, 17, 9999] {
            assert_eq!(lzw.decode(&codes, most), vec![7; most]);
        }
    }

    #[test]
    fn codes_without_a_meaning_end_the_data() {
        // A clear, a literal, and a code that no string has yet.
        let codes = [0b0000_0000, 0b0000_0101, 0b1111_1100, 0xFF];
        let mut lzw = Lzw::new(Dialect::Gif, 8).unwrap();
        assert!(lzw.decode(&codes, 100).len() <= 2);
        assert!([0, 9, 12, 255].iter().all(|width| Lzw::new(Dialect::Gif, *width).is_none()));
    }
}
