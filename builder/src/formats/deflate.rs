//! DEFLATE read with accounting: how many bits of the compressed stream each decompressed byte took.
//!
//! A literal's bits are charged to its byte, a match's (length, distance and their extra bits) to the bytes that
//! it yields, a stored byte's eight to it. What yields nothing is charged to none: the headers of blocks, their
//! ends, and the wrapping of gzip or zlib. Prices are in [`UNITS_PER_BYTE`]ths of a byte, as those of
//! [`lzma2`](super::xz::lzma2).
//!
//! zlib does not tell how many bits it read for a byte, so this is a decoder of our own. It is for sizes alone:
//! contents come from zlib. The checksum behind the stream shows that both read the same.
//!
//! ```text
//! gzip    1f 8b 08 · flags · time · level · system · [extra] [name] [comment] [CRC16] · DEFLATE · CRC32 · size
//! zlib    u16 header · DEFLATE · Adler32
//! block   1 bit: the last one · 2 bits: 0 stored, 1 fixed codes, 2 codes of its own
//! ```
//!
//! Source: RFC 1950, 1951 and 1952.

use std::io::{self, Read};

use super::xz::lzma2::UNITS_PER_BYTE;

/// How many units of price a bit has.
const UNITS_PER_BIT: u64 = UNITS_PER_BYTE / 8;

/// How far back a match reaches.
const WINDOW_BYTES: usize = 32 << 10;

/// The longest code of literals, lengths and distances.
const MAX_CODE_BITS: usize = 15;

/// The length of codes that one look into a table decodes; longer ones are walked.
const QUICK_BITS: usize = 10;

/// A stream that zlib would not take either.
#[derive(Debug, thiserror::Error)]
pub enum DeflateError {
    /// It cannot be read, or breaks off.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It breaks a rule.
    #[error("its DEFLATE data is damaged")]
    Damaged,
    /// It yields more than it may.
    #[error("it decompresses to more than it should")]
    TooLong,
}

/// Reads a gzip file of any number of members, and calls `charge` with the number of bytes that come next and
/// what they took together. Keeps 64 KiB and a buffer in memory, whatever the stream says.
///
/// # Errors
/// [`DeflateError`], also for a stream that yields more than `limit_bytes`, and one with a wrong checksum.
pub fn account_gzip(
    input: impl Read,
    limit_bytes: u64,
    mut charge: impl FnMut(u64, u64),
) -> Result<(), DeflateError> {
    let mut bits = Bits::new(input);
    let mut left = limit_bytes;
    let mut is_first = true;
    // zlib takes zeros behind the last member, as tapes leave them.
    while is_first || bits.has_member()? {
        is_first = false;
        gzip_header(&mut bits)?;
        let mut output = Output::new(left, &mut charge);
        inflate(&mut bits, &mut output)?;
        let (crc, count) = output.finish();
        bits.align();
        if bits.number(32)? != crc || bits.number(32)? != count as u32 {
            return Err(DeflateError::Damaged);
        }
        left -= count;
    }
    Ok(())
}

/// Reads a zlib stream as [`account_gzip`] reads gzip.
///
/// # Errors
/// As [`account_gzip`]. The checksum is not looked at: it is another one.
pub fn account_zlib(
    input: impl Read,
    limit_bytes: u64,
    mut charge: impl FnMut(u64, u64),
) -> Result<(), DeflateError> {
    let mut bits = Bits::new(input);
    let header = bits.number(16)?.swap_bytes() >> 16;
    if header >> 8 & 15 != 8 || header % 31 != 0 || header & 0x20 != 0 {
        return Err(DeflateError::Damaged);
    }
    inflate(&mut bits, &mut Output::new(limit_bytes, &mut charge))
}

fn gzip_header<R: Read>(bits: &mut Bits<R>) -> Result<(), DeflateError> {
    const CRC: u32 = 2;
    const EXTRA: u32 = 4;
    const TEXTS: [u32; 2] = [8, 16];
    if bits.number(24)? != 0x08_8b1f {
        return Err(DeflateError::Damaged);
    }
    let flags = bits.number(8)?;
    if flags & 0xe0 != 0 {
        return Err(DeflateError::Damaged);
    }
    // Time, level and system.
    bits.number(32)?;
    bits.number(16)?;
    if flags & EXTRA != 0 {
        for _ in 0..bits.number(16)? {
            bits.number(8)?;
        }
    }
    for text in TEXTS {
        while flags & text != 0 && bits.number(8)? != 0 {}
    }
    if flags & CRC != 0 {
        bits.number(16)?;
    }
    Ok(())
}

/// The bits of a stream, the lowest of each byte first.
struct Bits<R> {
    inner: R,
    buffer: Box<[u8]>,
    /// What of the buffer is not taken yet.
    rest: std::ops::Range<usize>,
    word: u64,
    count: u32,
    /// How many bits of the word are behind the end of the stream: zeros.
    behind: u32,
}

impl<R: Read> Bits<R> {
    fn new(inner: R) -> Self {
        Bits { inner, buffer: vec![0; 1 << 16].into(), rest: 0..0, word: 0, count: 0, behind: 0 }
    }

    /// Takes bytes until there are at least so many bits, at most 48.
    fn fill(&mut self, wanted: u32) -> io::Result<()> {
        while self.count < wanted {
            if self.rest.is_empty() && self.behind == 0 {
                self.rest = 0..read_some(&mut self.inner, &mut self.buffer)?;
            }
            let byte = match self.rest.next() {
                Some(at) => self.buffer[at],
                None => {
                    self.behind += 8;
                    0
                }
            };
            self.word |= u64::from(byte) << self.count;
            self.count += 8;
        }
        Ok(())
    }

    /// Takes bits that were looked at.
    fn skip(&mut self, count: u32) -> Result<(), DeflateError> {
        self.word >>= count;
        self.count -= count;
        match self.count < self.behind {
            true => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            false => Ok(()),
        }
    }

    /// Takes a number of at most 32 bits.
    fn number(&mut self, count: u32) -> Result<u32, DeflateError> {
        self.fill(count)?;
        let number = self.word & ((1 << count) - 1);
        self.skip(count)?;
        Ok(number as u32)
    }

    /// Passes over the bits up to the next byte.
    fn align(&mut self) {
        let count = self.count % 8;
        self.word >>= count;
        self.count -= count;
    }

    /// Returns whether another member of gzip follows. Zeros up to the end are none.
    fn has_member(&mut self) -> io::Result<bool> {
        loop {
            self.fill(8)?;
            if self.count == self.behind {
                return Ok(false);
            }
            if self.word & 0xff != 0 {
                return Ok(true);
            }
            self.word >>= 8;
            self.count -= 8;
        }
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What was decompressed, of which the last 32 KiB can be repeated.
struct Output<'c> {
    window: Box<[u8]>,
    at: usize,
    count: u64,
    limit_bytes: u64,
    crc: flate2::Crc,
    charge: &'c mut dyn FnMut(u64, u64),
}

impl<'c> Output<'c> {
    fn new(limit_bytes: u64, charge: &'c mut dyn FnMut(u64, u64)) -> Self {
        let window = vec![0; WINDOW_BYTES].into();
        Output { window, at: 0, count: 0, limit_bytes, crc: flate2::Crc::new(), charge }
    }

    fn claim(&mut self, count: u64, bits: u64) -> Result<(), DeflateError> {
        self.count += count;
        if self.count > self.limit_bytes {
            return Err(DeflateError::TooLong);
        }
        (self.charge)(count, bits * UNITS_PER_BIT);
        Ok(())
    }

    fn push(&mut self, byte: u8) {
        self.window[self.at] = byte;
        self.at += 1;
        if self.at == WINDOW_BYTES {
            self.crc.update(&self.window);
            self.at = 0;
        }
    }

    fn repeat(&mut self, distance: usize, length: usize) -> Result<(), DeflateError> {
        // The match was claimed, so what was before is less.
        if distance as u64 > self.count - length as u64 {
            return Err(DeflateError::Damaged);
        }
        for _ in 0..length {
            let from = (self.at + WINDOW_BYTES - distance) % WINDOW_BYTES;
            self.push(self.window[from]);
        }
        Ok(())
    }

    /// Returns the checksum and the number of all bytes.
    fn finish(mut self) -> (u32, u64) {
        self.crc.update(&self.window[..self.at]);
        (self.crc.sum(), self.count)
    }
}

/// Reads blocks up to the last one.
fn inflate<R: Read>(bits: &mut Bits<R>, output: &mut Output<'_>) -> Result<(), DeflateError> {
    loop {
        let is_last = bits.number(1)? == 1;
        match bits.number(2)? {
            0 => stored(bits, output)?,
            1 => coded(bits, output, &Codes::fixed())?,
            2 => {
                let codes = Codes::read(bits)?;
                coded(bits, output, &codes)?;
            }
            _ => return Err(DeflateError::Damaged),
        }
        if is_last {
            return Ok(());
        }
    }
}

fn stored<R: Read>(bits: &mut Bits<R>, output: &mut Output<'_>) -> Result<(), DeflateError> {
    bits.align();
    let count = bits.number(16)?;
    if bits.number(16)? != count ^ 0xffff {
        return Err(DeflateError::Damaged);
    }
    for _ in 0..count {
        let byte = bits.number(8)? as u8;
        output.claim(1, 8)?;
        output.push(byte);
    }
    Ok(())
}

/// Of each code of a length its shortest length, and how many bits say how much longer (RFC 1951, 3.2.5).
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The same of distances.
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

const END: u16 = 256;

fn coded<R: Read>(bits: &mut Bits<R>, output: &mut Output<'_>, codes: &Codes) -> Result<(), DeflateError> {
    loop {
        let (symbol, mut taken) = codes.literals.next(bits)?;
        if symbol < END {
            output.claim(1, u64::from(taken))?;
            output.push(symbol as u8);
            continue;
        }
        if symbol == END {
            return Ok(());
        }
        let mut number = |bits: &mut Bits<R>, table: &[(u16, u8)], symbol: u16| {
            let &(least, extra) = table.get(usize::from(symbol)).ok_or(DeflateError::Damaged)?;
            taken += u32::from(extra);
            Ok::<_, DeflateError>(usize::from(least) + bits.number(u32::from(extra))? as usize)
        };
        let length = number(bits, &LENGTHS, symbol - END - 1)?;
        let (symbol, of_distance) = codes.distances.next(bits)?;
        let distance = number(bits, &DISTANCES, symbol)?;
        output.claim(length as u64, u64::from(taken + of_distance))?;
        output.repeat(distance, length)?;
    }
}

/// The codes of a block.
struct Codes {
    literals: Code,
    distances: Code,
}

impl Codes {
    fn fixed() -> Self {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        let code = |lengths: &[u8]| Code::new(lengths).expect("the fixed codes are codes");
        Codes { literals: code(&lengths), distances: code(&[5; 30]) }
    }

    /// Reads the codes of a block, which are lengths, coded themselves.
    fn read<R: Read>(bits: &mut Bits<R>) -> Result<Self, DeflateError> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = bits.number(5)? as usize + 257;
        let distances = bits.number(5)? as usize + 1;
        let count = bits.number(4)? as usize + 4;
        if literals > 286 || distances > 30 {
            return Err(DeflateError::Damaged);
        }
        let mut lengths = [0; 19];
        for at in &ORDER[..count] {
            lengths[*at] = bits.number(3)? as u8;
        }
        let code = Code::new(&lengths).ok_or(DeflateError::Damaged)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (symbol, _) = code.next(bits)?;
            let (length, times) = match symbol {
                0..16 => (symbol as u8, 1),
                16 => (*lengths.last().ok_or(DeflateError::Damaged)?, 3 + bits.number(2)? as usize),
                17 => (0, 3 + bits.number(3)? as usize),
                _ => (0, 11 + bits.number(7)? as usize),
            };
            lengths.resize(lengths.len() + times, length);
        }
        if lengths.len() > literals + distances || lengths[usize::from(END)] == 0 {
            return Err(DeflateError::Damaged);
        }
        let (of_literals, of_distances) = lengths.split_at(literals);
        let code = |lengths: &[u8]| Code::new(lengths).ok_or(DeflateError::Damaged);
        Ok(Codes { literals: code(of_literals)?, distances: code(of_distances)? })
    }
}

/// A canonical prefix code.
struct Code {
    /// By the next bits: symbol and length; length 0 where the code is longer, or there is none.
    quick: Box<[(u16, u8)]>,
    /// How many codes of each length there are.
    counts: [u16; MAX_CODE_BITS + 1],
    /// Symbols by length, then value.
    symbols: Vec<u16>,
}

impl Code {
    /// Makes a code of the lengths of its symbols; `None` if there are too many of a length.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u16; MAX_CODE_BITS + 1];
        for length in lengths {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut left = 1_i32;
        for count in &counts[1..] {
            left = left * 2 - i32::from(*count);
            if left < 0 {
                return None;
            }
        }
        let mut symbols: Vec<u16> = (0..lengths.len() as u16).collect();
        symbols.retain(|symbol| lengths[usize::from(*symbol)] > 0);
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        let mut quick = vec![(0, 0); 1 << QUICK_BITS];
        let (mut code, mut last) = (0_u32, 0);
        for symbol in &symbols {
            let length = lengths[usize::from(*symbol)];
            code <<= length - last;
            last = length;
            if usize::from(length) <= QUICK_BITS {
                // The first bit of a code is the highest of its number, and the lowest in the stream.
                let reversed = (code.reverse_bits() >> (32 - u32::from(length))) as usize;
                for entry in quick[reversed..].iter_mut().step_by(1 << length) {
                    *entry = (*symbol, length);
                }
            }
            code += 1;
        }
        Some(Code { quick: quick.into(), counts, symbols })
    }

    /// Reads a symbol, and returns how many bits it took.
    fn next<R: Read>(&self, bits: &mut Bits<R>) -> Result<(u16, u32), DeflateError> {
        bits.fill(MAX_CODE_BITS as u32)?;
        let (symbol, length) = self.quick[bits.word as usize & ((1 << QUICK_BITS) - 1)];
        if length > 0 {
            bits.skip(u32::from(length))?;
            return Ok((symbol, u32::from(length)));
        }
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for length in 1..=MAX_CODE_BITS {
            code |= (bits.word >> (length - 1)) as u32 & 1;
            let count = u32::from(self.counts[length]);
            if code < first + count {
                bits.skip(length as u32)?;
                return Ok((self.symbols[(index + code - first) as usize], length as u32));
            }
            (index, first) = (index + count, (first + count) << 1);
            code <<= 1;
        }
        Err(DeflateError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(plain).expect("writes");
        encoder.finish().expect("ends")
    }

    /// Text that repeats near and far, and bytes that do not.
    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        let mut state = 1_u32;
        for round in 0..4000_u32 {
            out.extend(format!("line {} of tea {}\n", round % 97, round / 7).bytes());
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            out.extend(state.to_le_bytes());
        }
        out.extend([0; 70_000]);
        out
    }

    /// Returns how many bytes were charged, and for how many bits.
    fn account(packed: &[u8], limit_bytes: u64) -> Result<(u64, u64), DeflateError> {
        let mut sums = (0, 0);
        account_gzip(packed, limit_bytes, |count, price| {
            sums = (sums.0 + count, sums.1 + price);
        })?;
        Ok((sums.0, sums.1 / UNITS_PER_BIT))
    }

    #[test]
    fn all_kinds_of_blocks_yield_what_zlib_reads_and_take_no_more_than_there_is() {
        let plain = sample();
        for level in [0, 1, 6, 9] {
            let packed = gzip(&plain, level);
            let (count, bits) = account(&packed, u64::MAX).expect("holds");
            assert_eq!(count, plain.len() as u64);
            let all = packed.len() as u64 * 8;
            // What is left are the headers of gzip and of some blocks.
            assert!(bits < all && bits > all * 9 / 10, "{level}: {bits} of {all}");
        }
        // A text this short has fixed codes: 10 bytes and 8 around 3 bits, five literals of 8 and the end of 7.
        let packed = gzip(b"hello", 9);
        assert_eq!(account(&packed, 5).expect("holds"), (5, 40));
        assert_eq!(packed.len(), 10 + (3 + 40_usize + 7).div_ceil(8) + 8);
    }

    #[test]
    fn members_one_behind_the_other_and_zeros_are_read_as_zlib_reads_them() {
        let packed = [gzip(b"green ", 9), gzip(b"tea", 1), vec![0; 600]].concat();
        assert_eq!(account(&packed, 9).expect("holds").0, 9);
        assert!(matches!(account(&packed, 8), Err(DeflateError::TooLong)));
    }

    #[test]
    fn a_changed_bit_or_a_cut_end_is_an_error_unless_zlib_takes_it() {
        let packed = gzip(&sample()[..400], 9);
        for at in 0..packed.len() {
            assert!(account(&packed[..at], u64::MAX).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut changed = packed.clone();
                changed[at] ^= 1 << bit;
                // Another distance can lead to the same bytes, and headers say things that do not matter.
                let mut zlib = flate2::read::MultiGzDecoder::new(&changed[..]);
                let is_good = io::copy(&mut zlib, &mut io::sink()).is_ok();
                assert!(is_good || account(&changed, u64::MAX).is_err(), "bit {bit} of {at}");
            }
        }
    }
}
