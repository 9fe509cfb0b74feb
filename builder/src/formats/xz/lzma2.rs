//! LZMA2 read with accounting: how many bits of the compressed stream each decompressed byte took.
//!
//! LZMA writes every symbol as decisions, each with a probability p that both sides know; a decision takes
//! −log2 p bits. A literal's bits are charged to its byte, a match's to the bytes that it yields. liblzma does
//! not show its probabilities, so this is a decoder of our own. It is for sizes alone: contents come from
//! liblzma, which has checked the file before.
//!
//! Prices are in [`UNITS_PER_BYTE`]ths of a byte, from a table of whole numbers, so they are the same on every
//! machine.
//!
//! ```text
//! chunk   00                                     end of the block
//!         01|02 · u16 size−1 · bytes             as they are; 01 forgets what was before
//!         1rrsssss · u16 · u16 · [properties] · bytes
//!                 size−1 (21 bits) · compressed size−1 · r: 1 new state, 2 and properties, 3 and forget
//! ```

/// How many units of price a bit has.
const UNITS_PER_BIT: u64 = 1 << 16;

/// How many units of price a byte has.
pub const UNITS_PER_BYTE: u64 = 8 * UNITS_PER_BIT;

const PROBABILITY_BITS: u32 = 11;
const EVEN: u16 = 1 << (PROBABILITY_BITS - 1);

/// The price of a decision by its probability in 2048ths.
static PRICES: [u32; 1 << PROBABILITY_BITS] = prices();

const fn prices() -> [u32; 1 << PROBABILITY_BITS] {
    let mut table = [0; 1 << PROBABILITY_BITS];
    let mut p = 1;
    while p < table.len() {
        table[p] = PROBABILITY_BITS * UNITS_PER_BIT as u32 - log2(p as u32);
        p += 1;
    }
    table
}

/// Returns the logarithm in units, by squaring: each square gives a binary digit.
const fn log2(value: u32) -> u32 {
    let whole = 31 - value.leading_zeros();
    let mut mantissa = (value as u64) << (31 - whole);
    let (mut fraction, mut digit) = (0, 0);
    while digit < 16 {
        mantissa = (mantissa * mantissa) >> 31;
        fraction <<= 1;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            fraction |= 1;
        }
        digit += 1;
    }
    whole << 16 | fraction
}

/// LZMA2 that liblzma would not take either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its LZMA2 data is damaged")]
pub struct Damaged;

/// Reads the chunks of a block to their end, and calls `charge` with the bytes that come next and what they took
/// together. Filters of the block are not undone. Keeps at most two dictionaries and 4 MiB in memory.
///
/// # Errors
/// [`Damaged`], also if there is anything after the last chunk or more than `plain_bytes`.
pub fn account(
    input: &[u8],
    dictionary_bytes: u64,
    plain_bytes: u64,
    charge: impl FnMut(&[u8], u64),
) -> Result<(), Damaged> {
    let dictionary_bytes = usize::try_from(dictionary_bytes).map_err(|_| Damaged)?;
    let window = Window { bytes: Vec::new(), position: 0, dictionary_bytes };
    let mut decoder = Decoder { window, charge, model: None };
    let left = decoder.chunks(input, plain_bytes)?;
    if left.is_empty() { Ok(()) } else { Err(Damaged) }
}

/// What was decompressed last.
struct Window {
    bytes: Vec<u8>,
    /// How much since it was last forgotten.
    position: usize,
    dictionary_bytes: usize,
}

impl Window {
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.position += 1;
    }

    /// Returns the byte at a distance, 0 for the last one.
    fn back(&self, distance: usize) -> u8 {
        let at = self.bytes.len().checked_sub(distance + 1);
        at.and_then(|at| self.bytes.get(at)).copied().unwrap_or_default()
    }

    fn repeat(&mut self, distance: usize, length: usize) -> Result<(), Damaged> {
        let reach = distance.checked_add(1).ok_or(Damaged)?;
        let from = self.bytes.len().checked_sub(reach).filter(|_| distance < self.dictionary_bytes);
        let from = from.ok_or(Damaged)?;
        self.position += length;
        if reach >= length {
            self.bytes.extend_from_within(from..from + length);
        } else {
            (from..from + length).for_each(|at| self.bytes.push(self.bytes[at]));
        }
        Ok(())
    }

    /// Forgets what no match can reach any more, now and then.
    fn trim(&mut self) {
        if self.bytes.len() > self.dictionary_bytes.saturating_mul(2).saturating_add(2 << 20) {
            self.bytes.drain(..self.bytes.len() - self.dictionary_bytes);
        }
    }
}

struct Decoder<F> {
    window: Window,
    charge: F,
    model: Option<Box<Model>>,
}

impl<F: FnMut(&[u8], u64)> Decoder<F> {
    fn chunks<'a>(&mut self, mut input: &'a [u8], mut plain_bytes: u64) -> Result<&'a [u8], Damaged> {
        loop {
            let (&control, rest) = input.split_first().ok_or(Damaged)?;
            input = rest;
            if control == 0 {
                return if plain_bytes == 0 { Ok(input) } else { Err(Damaged) };
            }
            if control == 1 || control >= 0xe0 {
                self.window.bytes.clear();
                self.window.position = 0;
            }
            self.window.trim();
            let low = usize::from(number(&mut input)?) + 1;
            let size = if control < 0x80 { low } else { low + (usize::from(control & 0x1f) << 16) };
            plain_bytes = plain_bytes.checked_sub(size as u64).ok_or(Damaged)?;
            match control {
                1 | 2 => {
                    let plain = take(&mut input, size)?;
                    self.window.bytes.extend_from_slice(plain);
                    self.window.position += size;
                    (self.charge)(plain, size as u64 * UNITS_PER_BYTE);
                }
                0x80.. => {
                    let compressed = usize::from(number(&mut input)?) + 1;
                    self.reset(control, &mut input)?;
                    self.lzma(take(&mut input, compressed)?, size)?;
                }
                _ => return Err(Damaged),
            }
        }
    }

    fn reset(&mut self, control: u8, input: &mut &[u8]) -> Result<(), Damaged> {
        match control >> 5 & 3 {
            0 => {}
            1 => {
                let known = self.model.as_deref().ok_or(Damaged)?;
                self.model = Some(Model::new(known.lc, known.lp, known.pb));
            }
            _ => {
                let properties = u32::from(take(input, 1)?[0]);
                let (lc, lp, pb) = (properties % 9, properties / 9 % 5, properties / 45);
                if lc + lp > 4 || pb > 4 {
                    return Err(Damaged);
                }
                self.model = Some(Model::new(lc, lp, pb));
            }
        }
        Ok(())
    }

    fn lzma(&mut self, input: &[u8], size: usize) -> Result<(), Damaged> {
        let model = self.model.as_deref_mut().ok_or(Damaged)?;
        let mut coder = Coder::new(input)?;
        let mut left = size;
        while left > 0 {
            coder.price = 0;
            let length = model.symbol(&mut coder, &mut self.window, left)?;
            left -= length;
            (self.charge)(&self.window.bytes[self.window.bytes.len() - length..], coder.price);
        }
        Ok(())
    }
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], Damaged> {
    let (taken, rest) = input.split_at_checked(count).ok_or(Damaged)?;
    *input = rest;
    Ok(taken)
}

fn number(input: &mut &[u8]) -> Result<u16, Damaged> {
    let bytes = take(input, 2)?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The range decoder, which sums up what it decodes.
struct Coder<'a> {
    rest: std::slice::Iter<'a, u8>,
    range: u32,
    code: u32,
    price: u64,
}

impl<'a> Coder<'a> {
    fn new(input: &'a [u8]) -> Result<Self, Damaged> {
        let mut input = input;
        let start = take(&mut input, 5)?;
        let code = u32::from_be_bytes([start[1], start[2], start[3], start[4]]);
        Ok(Coder { rest: input.iter(), range: u32::MAX, code, price: 0 })
    }

    /// Takes a byte once there is room. liblzma has seen to it that the input lasts.
    fn normalize(&mut self) {
        if self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(self.rest.next().copied().unwrap_or_default());
        }
    }

    fn bit(&mut self, probability: &mut u16) -> usize {
        self.normalize();
        let bound = (self.range >> PROBABILITY_BITS) * u32::from(*probability);
        if self.code < bound {
            self.price += u64::from(PRICES[usize::from(*probability) & 0x7ff]);
            self.range = bound;
            *probability += (2048 - *probability) >> 5;
            0
        } else {
            self.price += u64::from(PRICES[usize::from(2048 - *probability) & 0x7ff]);
            self.range -= bound;
            self.code -= bound;
            *probability -= *probability >> 5;
            1
        }
    }

    /// Decodes a number of so many bits, the highest first.
    fn tree(&mut self, probabilities: &mut [u16], bits: u32) -> usize {
        let symbol = (0..bits).fold(1, |symbol, _| symbol << 1 | self.bit(&mut probabilities[symbol]));
        symbol - (1 << bits)
    }

    /// Decodes a number of so many bits, the lowest first. `before` is where the tree's root lies, less one.
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
    fn direct(&mut self, bits: u32) -> usize {
        self.price += u64::from(bits) * UNITS_PER_BIT;
        let mut value = 0;
        for _ in 0..bits {
            self.normalize();
            self.range >>= 1;
            let bit = self.code >= self.range;
            if bit {
                self.code -= self.range;
            }
            value = value << 1 | usize::from(bit);
        }
        value
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

    fn decode(&mut self, coder: &mut Coder<'_>, position: usize) -> usize {
        if coder.bit(&mut self.choice[0]) == 0 {
            2 + coder.tree(&mut self.low[position], 3)
        } else if coder.bit(&mut self.choice[1]) == 0 {
            10 + coder.tree(&mut self.middle[position], 3)
        } else {
            18 + coder.tree(&mut self.high, 8)
        }
    }
}

/// All probabilities, the last four distances, and what kinds of symbols came last.
struct Model {
    lc: u32,
    lp: u32,
    pb: u32,
    state: usize,
    distances: [usize; 4],
    literals: Vec<[u16; 0x300]>,
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
    fn new(lc: u32, lp: u32, pb: u32) -> Box<Self> {
        Box::new(Model {
            lc,
            lp,
            pb,
            state: 0,
            distances: [0; 4],
            literals: vec![[EVEN; 0x300]; 1 << (lc + lp)],
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

    /// Decodes a literal or a match; returns how many bytes it yields.
    fn symbol(&mut self, coder: &mut Coder<'_>, window: &mut Window, left: usize) -> Result<usize, Damaged> {
        let (state, position) = (self.state, window.position & ((1 << self.pb) - 1));
        if coder.bit(&mut self.is_match[state][position]) == 0 {
            self.literal(coder, window);
            return Ok(1);
        }
        let after_literal = state < 7;
        let length = if coder.bit(&mut self.is_repeated[state][0]) == 0 {
            let length = self.new_lengths.decode(coder, position);
            self.state = if after_literal { 7 } else { 10 };
            let distance = self.distance(coder, length);
            self.distances.rotate_right(1);
            self.distances[0] = distance;
            length
        } else {
            match self.which_repeated(coder, position) {
                None => {
                    self.state = if after_literal { 9 } else { 11 };
                    1
                }
                Some(which) => {
                    self.distances[..=which].rotate_right(1);
                    self.state = if after_literal { 8 } else { 11 };
                    self.repeated_lengths.decode(coder, position)
                }
            }
        };
        if length > left {
            return Err(Damaged);
        }
        window.repeat(self.distances[0], length)?;
        Ok(length)
    }

    /// Decodes which of the last distances is meant; `None` is the last one, for a single byte.
    fn which_repeated(&mut self, coder: &mut Coder<'_>, position: usize) -> Option<usize> {
        let state = self.state;
        let [_, first, second, third] = &mut self.is_repeated[state];
        if coder.bit(first) == 0 {
            return (coder.bit(&mut self.is_long[state][position]) == 1).then_some(0);
        }
        Some(if coder.bit(second) == 0 { 1 } else { 2 + coder.bit(third) })
    }

    fn literal(&mut self, coder: &mut Coder<'_>, window: &mut Window) {
        let low = (window.position & ((1 << self.lp) - 1)) << self.lc;
        let high = usize::from(window.back(0)) >> (8 - self.lc);
        let table = &mut self.literals[low + high];
        let mut symbol = 1;
        if self.state >= 7 {
            let mut expected = usize::from(window.back(self.distances[0]));
            while symbol < 0x100 {
                let foretold = expected >> 7 & 1;
                expected <<= 1;
                let bit = coder.bit(&mut table[(1 + foretold) << 8 | symbol]);
                symbol = symbol << 1 | bit;
                if bit != foretold {
                    break;
                }
            }
        }
        while symbol < 0x100 {
            symbol = symbol << 1 | coder.bit(&mut table[symbol]);
        }
        window.push(symbol as u8);
        self.state = match self.state {
            0..4 => 0,
            state @ 4..10 => state - 3,
            state => state - 6,
        };
    }

    fn distance(&mut self, coder: &mut Coder<'_>, length: usize) -> usize {
        let slot = coder.tree(&mut self.slots[(length - 2).min(3)], 6);
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::formats::xz::{
        Effort, Filter, blocks::blocks, decode, encode_block, stream_end, stream_header,
    };

    /// Words that repeat near and far, and bytes that do not compress.
    fn plain(length: usize) -> Vec<u8> {
        let (mut state, mut out) = (1_u32, Vec::new());
        while out.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 29 {
                0..3 => out.extend(format!("word{} ", state >> 8 & 15).bytes()),
                3 => out.extend(vec![b'.'; (state >> 8 & 511) as usize]),
                4 => {
                    let from = (state >> 8) as usize % (out.len() + 1);
                    out.extend_from_within(from..out.len().min(from + 600));
                }
                _ => out.extend((state & 0x7f7f_7f7f).to_le_bytes()),
            }
        }
        out.truncate(length);
        out
    }

    /// A file with a block of each filter.
    fn file(plain: &[u8]) -> Vec<u8> {
        let filters = [Filter::TEXT, Filter::DATA, Filter::PROGRAM];
        let block = |filter| encode_block(plain, plain.len() as u64, filter, Effort::Best).expect("encodes");
        let blocks = filters.iter().map(block).collect::<Vec<_>>();
        let records: Vec<_> = blocks.iter().map(|block| block.record()).collect();
        let bytes = blocks.into_iter().flat_map(|block| block.bytes).collect::<Vec<_>>();
        [stream_header(), bytes, stream_end(&records)].concat()
    }

    #[test]
    fn yields_what_liblzma_yields_and_prices_near_the_length_of_the_chunks() {
        // Of a byte, of some, of chunks as they are, of several chunks.
        let mut noise = vec![0; 70_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for plain in [vec![7], plain(1000), noise, plain(5 << 20)] {
            let file = file(&plain);
            let mut expected = Vec::new();
            decode(&file[..]).and_then(|mut reader| reader.read_to_end(&mut expected)).expect("decodes");
            let mut yielded = Vec::new();
            for place in blocks(&file).expect("is .xz") {
                let (chunks, mut price) = (&file[place.chunks], 0);
                let charge = |bytes: &[u8], units| {
                    yielded.extend_from_slice(bytes);
                    price += units;
                };
                account(chunks, place.dictionary_bytes, plain.len() as u64, charge).expect("decodes");
                let (length, price) = (chunks.len() as u64, price / UNITS_PER_BYTE);
                assert!(price <= length && length - price <= 20 + length / 500, "{price} of {length}");
            }
            assert!(yielded == expected, "{} bytes", plain.len());
        }
    }

    #[test]
    fn a_bit_that_is_as_likely_as_not_costs_one_bit() {
        assert_eq!(u64::from(PRICES[1024]), UNITS_PER_BIT);
        assert_eq!(u64::from(PRICES[512]), 2 * UNITS_PER_BIT);
        // 65536 times −log2(2017/2048) is 1442.06, and prices are rounded up.
        assert_eq!(PRICES[2017], 1443);
    }

    #[test]
    fn damaged_chunks_are_refused_or_read_but_never_more_than_announced() {
        let file = file(&plain(3000));
        for place in blocks(&file).expect("is .xz") {
            let chunks = &file[place.chunks];
            for at in 0..chunks.len() {
                for changed in [chunks[at] ^ 1, chunks[at] ^ 0x80, 0xff] {
                    let mut chunks = chunks.to_vec();
                    chunks[at] = changed;
                    let mut yielded = 0;
                    let _ = account(&chunks, place.dictionary_bytes, 3000, |bytes, _| yielded += bytes.len());
                    assert!(yielded <= 3000);
                }
                assert_eq!(account(&chunks[..at], 1 << 16, 3000, |_, _| {}), Err(Damaged));
            }
        }
    }
}
