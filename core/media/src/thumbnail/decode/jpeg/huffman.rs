//! Huffman codes of JPEG (ITU T.81, annex F), with tables that take several codes in one step where their
//! values are not needed.

/// Bits of a look-up. Codes of common coefficients with their extra bits fit.
const LOOKUP_BITS: u32 = 13;
const LOOKUPS: usize = 1 << LOOKUP_BITS;

/// Bits of a scan whose stuffing is removed, most significant first. Past the end there are zeros.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to take into the window.
    at: usize,
    /// The next bits, from the top.
    window: u64,
    /// How many bits of the window count.
    held: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, window: 0, held: 0 }
    }

    /// Makes at least 56 bits available.
    #[inline]
    fn fill(&mut self) {
        if let Some(next) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            self.window |= u64::from_be_bytes(*next) >> self.held;
        } else {
            self.fill_at_end();
        }
        // As many whole bytes as fit; the bits of a byte taken in part are the same when it is taken again.
        self.at += ((63 - self.held) >> 3) as usize;
        self.held |= 56;
    }

    #[cold]
    fn fill_at_end(&mut self) {
        let mut next = [0; 8];
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        next[..rest.len()].copy_from_slice(rest);
        self.window |= u64::from_be_bytes(next) >> self.held;
    }

    #[inline]
    const fn peek(&self, count: u32) -> usize {
        (self.window >> (64 - count)) as usize
    }

    #[inline]
    const fn consume(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    /// The next `count` bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        self.fill();
        let value = self.peek(count) as u32;
        self.consume(count);
        value
    }

    /// Whether more was taken than there is.
    pub(super) const fn is_overrun(&self) -> bool {
        self.at * 8 > self.bytes.len() * 8 + self.held as usize
    }

    /// The `size` bits of a coefficient after its code (T.81, F.2.2.1).
    #[inline]
    fn extended(&mut self, size: u32) -> i32 {
        if size == 0 {
            return 0;
        }
        let value = self.peek(size) as i32;
        self.consume(size);
        extend(value, size)
    }
}

/// From a coefficient's bits to its value: the lower half of the numbers stands for the negative ones.
const fn extend(value: i32, size: u32) -> i32 {
    if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
}

/// What a look-up gives.
#[derive(Clone, Copy, Default)]
struct Symbol {
    symbol: u8,
    /// Length of its code in bits; 0 if it is longer than a look-up.
    length: u8,
}

/// A code and the coefficient after it.
#[derive(Clone, Copy, Default)]
pub(super) struct Coefficient {
    pub(super) value: i16,
    /// How many zeros come before it.
    pub(super) run: u8,
    /// Bits of both; 0 if they are longer than a look-up, or if the code stands for no coefficient.
    bits: u8,
}

/// Several codes that are passed over: how many bits they take, and by how many coefficients they lead on.
/// Packed, because the speed of the whole decoder is that of this look-up.
#[derive(Clone, Copy)]
struct Leap(u16);

impl Leap {
    /// What leads on by more than a block has: the codes include the end of the block.
    const END: u32 = 1 << 10;
    /// There is not one whole code in the look-up.
    const NONE: Self = Self::new(0, 64);

    const fn new(bits: u32, lead: u32) -> Self {
        Self((lead << 4 | bits) as u16)
    }

    #[inline]
    const fn bits(self) -> u32 {
        self.0 as u32 & 15
    }

    #[inline]
    const fn lead(self) -> u32 {
        self.0 as u32 >> 4
    }
}

/// A table as the file defines it.
pub(super) struct Table {
    symbols: Box<[Symbol; LOOKUPS]>,
    coefficients: Box<[Coefficient; LOOKUPS]>,
    leaps: Box<[Leap; LOOKUPS]>,
    /// For each length above that of a look-up: the last code, and what to add to a code for its index in `values`.
    long: [(i32, i32); 17],
    values: Vec<u8>,
}

/// What follows an AC code.
pub(super) enum Ac {
    Coefficient {
        run: u32,
        value: i32,
    },
    SixteenZeros,
    /// The rest of this block, and in progressive files of 2^n and more blocks, is zero.
    End(u32),
}

impl Table {
    /// From the counts of codes of each length and the symbols in their order. `None` if they make no code.
    pub(super) fn new(counts: &[u8; 16], values: &[u8], is_ac: bool) -> Option<Self> {
        let mut symbols = Box::new([Symbol::default(); LOOKUPS]);
        let mut long = [(-1, 0); 17];
        let (mut code, mut index) = (0usize, 0usize);
        for (length, count) in (1u32..).zip(counts) {
            long[length as usize].1 = index as i32 - code as i32;
            for _ in 0..*count {
                let symbol = *values.get(index)?;
                if length <= LOOKUP_BITS {
                    let first = code << (LOOKUP_BITS - length);
                    let same = symbols.get_mut(first..first + (1 << (LOOKUP_BITS - length)))?;
                    same.fill(Symbol { symbol, length: length as u8 });
                }
                code += 1;
                index += 1;
            }
            if *count > 0 {
                long[length as usize].0 = code as i32 - 1;
            }
            if code > 1 << length {
                return None;
            }
            code <<= 1;
        }
        let mut table = Self {
            symbols,
            coefficients: Box::new([Coefficient::default(); LOOKUPS]),
            leaps: Box::new([Leap::NONE; LOOKUPS]),
            long,
            values: values.to_vec(),
        };
        for bits in 0..LOOKUPS {
            table.coefficients[bits] = table.coefficient_of(bits, is_ac);
            table.leaps[bits] = if is_ac { table.leap_of(bits) } else { Leap::NONE };
        }
        Some(table)
    }

    fn coefficient_of(&self, bits: usize, is_ac: bool) -> Coefficient {
        let Symbol { symbol, length } = self.symbols[bits];
        let (run, size) = if is_ac { (symbol >> 4, u32::from(symbol & 15)) } else { (0, u32::from(symbol)) };
        let total = u32::from(length) + size;
        if length == 0 || size > 15 || total > LOOKUP_BITS || (is_ac && size == 0) {
            return Coefficient::default();
        }
        let value = bits >> (LOOKUP_BITS - total) & ((1 << size) - 1);
        let value = if size == 0 { 0 } else { extend(value as i32, size) };
        Coefficient { value: value as i16, run, bits: total as u8 }
    }

    fn leap_of(&self, bits: usize) -> Leap {
        let (mut taken, mut lead) = (0, 0);
        loop {
            let Symbol { symbol, length } = self.symbols[bits << taken & (LOOKUPS - 1)];
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            let total = taken + u32::from(length) + size;
            if length == 0 || total > LOOKUP_BITS || lead > 47 {
                return if taken == 0 { Leap::NONE } else { Leap::new(taken, lead) };
            }
            taken = total;
            if size == 0 && run != 15 {
                return Leap::new(taken, lead + Leap::END);
            }
            lead += run + 1;
        }
    }

    /// The difference of a DC coefficient from the one before.
    #[inline]
    pub(super) fn dc(&self, bits: &mut Bits<'_>) -> Option<i32> {
        bits.fill();
        let found = self.coefficients[bits.peek(LOOKUP_BITS)];
        if found.bits > 0 {
            bits.consume(u32::from(found.bits));
            return Some(i32::from(found.value));
        }
        let size = u32::from(self.symbol(bits)?);
        (size <= 11).then(|| bits.extended(size))
    }

    /// The next AC code with what follows it, save for the count of blocks after an end of several.
    #[inline]
    pub(super) fn ac(&self, bits: &mut Bits<'_>) -> Option<Ac> {
        bits.fill();
        let found = self.coefficients[bits.peek(LOOKUP_BITS)];
        if found.bits > 0 {
            bits.consume(u32::from(found.bits));
            return Some(Ac::Coefficient { run: u32::from(found.run), value: i32::from(found.value) });
        }
        let symbol = self.symbol(bits)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        Some(match (run, size) {
            (15, 0) => Ac::SixteenZeros,
            (run, 0) => Ac::End(run),
            (run, size) => Ac::Coefficient { run, value: bits.extended(size) },
        })
    }

    /// Passes over the AC coefficients after number `last`, without reading their values.
    #[inline]
    pub(super) fn skip_ac(&self, bits: &mut Bits<'_>, mut last: u32) -> Option<()> {
        while last < 63 {
            bits.fill();
            // As many look-ups as the window has bits for.
            for _ in 0..4 {
                let leap = self.leaps[bits.peek(LOOKUP_BITS)];
                let reached = last + leap.lead();
                if reached < 63 {
                    bits.consume(leap.bits());
                    last = reached;
                    continue;
                }
                // The end of a block is only this block's if it comes before the last coefficient.
                if reached == 63 || (Leap::END..Leap::END + 63).contains(&reached) {
                    bits.consume(leap.bits());
                    return Some(());
                }
                // A long code, or codes of which some belong to the next block: one by one.
                match self.ac(bits)? {
                    Ac::Coefficient { run, .. } => last += run + 1,
                    Ac::SixteenZeros => last += 16,
                    Ac::End(_) => return Some(()),
                }
                break;
            }
        }
        Some(())
    }

    #[inline]
    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let Symbol { symbol, length } = self.symbols[bits.peek(LOOKUP_BITS)];
        if length > 0 {
            bits.consume(u32::from(length));
            return Some(symbol);
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        for length in LOOKUP_BITS + 1..=16 {
            let code = bits.peek(length) as i32;
            let (last, offset) = self.long[length as usize];
            if code <= last {
                bits.consume(length);
                return self.values.get(usize::try_from(code + offset).ok()?).copied();
            }
        }
        None
    }
}
