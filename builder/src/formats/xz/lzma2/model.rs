//! LZMA: the range decoder, and the probabilities that it decodes by.
//!
//! Which way a decision went is seldom foreseeable, so most are taken without a branch; on a file of programs that
//! is a quarter of the time.

use super::{Damaged, window::Window};

const PROBABILITY_BITS: u32 = 11;
const EVEN: u16 = 1 << (PROBABILITY_BITS - 1);

/// The range decoder.
pub(super) struct Coder<'a> {
    input: &'a [u8],
    /// How much was taken, and would have been behind the end.
    pub taken: usize,
    pub range: u32,
    code: u32,
}

impl<'a> Coder<'a> {
    pub fn new(input: &'a [u8]) -> Result<Self, Damaged> {
        match input {
            [0, a, b, c, d, ..] => {
                Ok(Coder { input, taken: 5, range: u32::MAX, code: u32::from_be_bytes([*a, *b, *c, *d]) })
            }
            _ => Err(Damaged),
        }
    }

    /// Returns whether all was taken, and nothing is left over.
    pub fn is_at_end(&mut self) -> bool {
        self.normalize();
        self.taken == self.input.len() && self.code == 0
    }

    /// Takes a byte once there is room.
    #[inline(always)]
    fn normalize(&mut self) {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(self.input.get(self.taken).copied().unwrap_or_default());
            self.taken += 1;
        }
    }

    /// Decodes a decision that mostly goes one way.
    #[inline(always)]
    fn is_one(&mut self, probability: &mut u16) -> bool {
        self.normalize();
        let bound = (self.range >> PROBABILITY_BITS) * u32::from(*probability);
        if self.code < bound {
            self.range = bound;
            *probability += (2048 - *probability) >> 5;
            false
        } else {
            self.range -= bound;
            self.code -= bound;
            *probability -= *probability >> 5;
            true
        }
    }

    /// Decodes a bit.
    #[inline(always)]
    fn bit(&mut self, probability: &mut u16) -> usize {
        self.normalize();
        let before = u32::from(*probability);
        let bound = (self.range >> PROBABILITY_BITS) * before;
        let (less, is_zero) = self.code.overflowing_sub(bound);
        // All ones for 0.
        let zero = u32::from(is_zero).wrapping_neg();
        self.range = (bound & zero) | ((self.range - bound) & !zero);
        self.code = less.wrapping_add(bound & zero);
        // Less p / 32, or more (2048 - p) / 32, both rounded down.
        let change = before.wrapping_sub(2017 & zero) as i32 >> 5;
        *probability = before.wrapping_sub(change as u32) as u16;
        usize::from(!is_zero)
    }

    /// Decodes a number below `N`, a power of two, the highest bit first.
    #[inline(always)]
    fn tree<const N: usize>(&mut self, probabilities: &mut [u16; N]) -> usize {
        let mut symbol = 1;
        while symbol < N {
            symbol = symbol << 1 | self.bit(&mut probabilities[symbol]);
        }
        symbol - N
    }

    /// Decodes a number of so many bits, the lowest first. `before` is where the tree's root lies, less one.
    #[inline(always)]
    fn reverse_tree(&mut self, probabilities: &mut [u16], before: usize, bits: u32) -> usize {
        let (mut symbol, mut value) = (1, 0);
        for at in 0..bits {
            let bit = self.bit(&mut probabilities[before + symbol]);
            symbol = symbol << 1 | bit;
            value |= bit << at;
        }
        value
    }

    /// Decodes a number of bits that are as likely as not.
    #[inline(always)]
    fn direct(&mut self, bits: u32) -> usize {
        (0..bits).fold(0, |value, _| {
            self.normalize();
            self.range >>= 1;
            let (less, is_zero) = self.code.overflowing_sub(self.range);
            self.code = less.wrapping_add(self.range & u32::from(is_zero).wrapping_neg());
            value << 1 | usize::from(!is_zero)
        })
    }
}

/// The probabilities of lengths.
struct Lengths {
    choice: [u16; 2],
    low: [[u16; 8]; 16],
    middle: [[u16; 8]; 16],
    high: [u16; 256],
}

impl Lengths {
    const NEW: Lengths =
        Lengths { choice: [EVEN; 2], low: [[EVEN; 8]; 16], middle: [[EVEN; 8]; 16], high: [EVEN; 256] };

    #[inline(always)]
    fn decode(&mut self, coder: &mut Coder<'_>, position: usize) -> usize {
        let [choice, other] = &mut self.choice;
        if !coder.is_one(choice) {
            2 + coder.tree(&mut self.low[position])
        } else if !coder.is_one(other) {
            10 + coder.tree(&mut self.middle[position])
        } else {
            18 + coder.tree(&mut self.high)
        }
    }
}

/// The parameters of a model.
#[derive(Clone, Copy)]
pub(super) struct Properties {
    lc: u32,
    lp: u32,
    pb: u32,
}

impl Properties {
    pub fn read(byte: u8) -> Result<Self, Damaged> {
        let byte = u32::from(byte);
        let (lc, lp, pb) = (byte % 9, byte / 9 % 5, byte / 45);
        if lc + lp > 4 || pb > 4 { Err(Damaged) } else { Ok(Properties { lc, lp, pb }) }
    }
}

/// All probabilities, the last four distances, and what kinds of symbols came last.
pub(super) struct Model {
    pub properties: Properties,
    /// Below 12.
    state: usize,
    distances: [usize; 4],
    literals: [[u16; 0x300]; 16],
    is_match: [[u16; 16]; 12],
    is_repeated: [[u16; 4]; 12],
    is_long: [[u16; 16]; 12],
    slots: [[u16; 64]; 4],
    special: [u16; 128],
    align: [u16; 16],
    new_lengths: Lengths,
    repeated_lengths: Lengths,
}

impl Model {
    pub fn new(properties: Properties) -> Box<Self> {
        Box::new(Model {
            properties,
            state: 0,
            distances: [0; 4],
            literals: [[EVEN; 0x300]; 16],
            is_match: [[EVEN; 16]; 12],
            is_repeated: [[EVEN; 4]; 12],
            is_long: [[EVEN; 16]; 12],
            slots: [[EVEN; 64]; 4],
            special: [EVEN; 128],
            align: [EVEN; 16],
            new_lengths: Lengths::NEW,
            repeated_lengths: Lengths::NEW,
        })
    }

    /// Decodes a literal or a match; returns how many bytes it yields, at most `most`.
    #[inline(always)]
    pub fn symbol(
        &mut self,
        coder: &mut Coder<'_>,
        window: &mut Window,
        most: usize,
    ) -> Result<usize, Damaged> {
        let (state, position) = (self.state, window.position & ((1 << self.properties.pb) - 1));
        if !coder.is_one(&mut self.is_match[state][position]) {
            self.literal(coder, window);
            return Ok(1);
        }
        let is_after_literal = state < 7;
        let [one, two, three, four] = self.distances;
        let [is_repeated, first, second, third] = &mut self.is_repeated[state];
        let length = if !coder.is_one(is_repeated) {
            self.state = if is_after_literal { 7 } else { 10 };
            let length = self.new_lengths.decode(coder, position);
            self.distances = [self.distance(coder, length), one, two, three];
            length
        } else {
            if !coder.is_one(first) {
                if !coder.is_one(&mut self.is_long[state][position]) {
                    self.state = if is_after_literal { 9 } else { 11 };
                    window.repeat(one, 1)?;
                    return Ok(1);
                }
            } else if !coder.is_one(second) {
                self.distances = [two, one, three, four];
            } else if !coder.is_one(third) {
                self.distances = [three, one, two, four];
            } else {
                self.distances = [four, one, two, three];
            }
            self.state = if is_after_literal { 8 } else { 11 };
            self.repeated_lengths.decode(coder, position)
        };
        if length > most {
            return Err(Damaged);
        }
        window.repeat(self.distances[0], length)?;
        Ok(length)
    }

    #[inline(always)]
    fn literal(&mut self, coder: &mut Coder<'_>, window: &mut Window) {
        let Properties { lc, lp, .. } = self.properties;
        let low = (window.position & ((1 << lp) - 1)) << lc;
        let high = usize::from(window.back(0)) >> (8 - lc);
        let table = &mut self.literals[low + high];
        let mut symbol = 1;
        if self.state < 7 {
            while symbol < 0x100 {
                symbol = symbol << 1 | coder.bit(&mut table[symbol]);
            }
        } else {
            // As long as the bits are those of the byte that a match would have given, its next bit chooses the
            // probability.
            let mut foretold = usize::from(window.back(self.distances[0]));
            let mut half = 0x100;
            while symbol < 0x100 {
                foretold <<= 1;
                let bit = coder.bit(&mut table[half + (foretold & half) + symbol]);
                symbol = symbol << 1 | bit;
                half &= foretold ^ bit.wrapping_sub(1);
            }
        }
        window.push(symbol as u8);
        self.state = match self.state {
            0..4 => 0,
            state @ 4..10 => state - 3,
            state => state - 6,
        };
    }

    #[inline(always)]
    fn distance(&mut self, coder: &mut Coder<'_>, length: usize) -> usize {
        let slot = coder.tree(&mut self.slots[(length - 2).min(3)]);
        if slot < 4 {
            return slot;
        }
        let bits = (slot >> 1) as u32 - 1;
        let base = (2 | slot & 1) << bits;
        if slot < 14 {
            return base + coder.reverse_tree(&mut self.special, base - slot, bits);
        }
        let high = coder.direct(bits - 4) << 4;
        base + high + coder.reverse_tree(&mut self.align, 0, 4)
    }
}
