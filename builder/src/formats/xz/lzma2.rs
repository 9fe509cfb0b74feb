//! LZMA2 read with accounting: how many bits of the compressed stream each decompressed byte took.
//!
//! LZMA writes every symbol as decisions, each with a probability that both sides know. A decision with
//! probability p makes the decoder's range p times what it was, and so takes −log2 p bits. A literal's bits are
//! charged to its byte, a match's to the bytes that it yields. liblzma does not show its range, so this is a
//! decoder of our own.
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

mod model;
mod window;

use std::io::Read;

use super::accounted::XzError;
use model::{Coder, Model, Properties};
use window::Window;

/// How many units of price a bit has.
const UNITS_PER_BIT: u64 = 1 << 16;

/// How many units of price a byte has.
pub const UNITS_PER_BYTE: u64 = 8 * UNITS_PER_BIT;

/// The bits of a range that its logarithm is taken of. What one symbol is charged too much the next is charged
/// too little.
const LOGARITHM_BITS: u32 = 11;

/// The logarithms of numbers from 1 to 2, in units.
static LOGARITHMS: [u16; 1 << LOGARITHM_BITS] = logarithms();

const fn logarithms() -> [u16; 1 << LOGARITHM_BITS] {
    let mut table = [0; 1 << LOGARITHM_BITS];
    let mut at = 0;
    while at < table.len() {
        table[at] = fraction_of_log2((1 << 31) + ((at as u64) << (31 - LOGARITHM_BITS)));
        at += 1;
    }
    table
}

/// Returns what is behind the point of the logarithm of a number from 2^31 to 2^32, by squaring: each square gives
/// a binary digit.
const fn fraction_of_log2(mut mantissa: u64) -> u16 {
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
    fraction
}

/// Returns the logarithm of a range, in units.
#[inline(always)]
fn log2(range: u32) -> u64 {
    let zeros = range.leading_zeros();
    let mantissa = range.unbounded_shl(zeros + 1) >> (32 - LOGARITHM_BITS);
    u64::from(31_u32.saturating_sub(zeros)) * UNITS_PER_BIT + u64::from(LOGARITHMS[mantissa as usize])
}

/// What no encoder writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Damaged;

impl<E> From<Damaged> for XzError<E> {
    fn from(_: Damaged) -> Self {
        XzError::Damaged
    }
}

/// Reads the chunks of a block to their end; returns how many bytes they yielded. `charge` is called with the
/// number of bytes that come next and what they took together; `take` gets the same bytes, some later. Filters
/// of the block are not undone. Takes twice what it yields of memory, but no more than the dictionary, and 128 KiB.
///
/// # Errors
/// [`XzError::Damaged`] for what liblzma would not take either, [`XzError::TooLong`] for more than `limit_bytes`,
/// and what `input` and `take` say.
pub fn account<E>(
    input: &mut impl Read,
    dictionary_bytes: u64,
    limit_bytes: u64,
    charge: &mut impl FnMut(u64, u64),
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<u64, XzError<E>> {
    let dictionary_bytes = usize::try_from(dictionary_bytes).map_err(|_| Damaged)?;
    let mut window = Window::new(dictionary_bytes);
    let mut model: Option<Box<Model>> = None;
    // A chunk is never longer.
    let mut buffer = vec![0; 1 << 16];
    let (mut yielded, mut is_begun) = (0_u64, false);
    loop {
        let [control] = array(input)?;
        if control == 0 {
            return Ok(yielded);
        }
        if control == 1 || control >= 0xe0 {
            window.forget();
            (model, is_begun) = (None, true);
        }
        if !is_begun || matches!(control, 3..0x80) {
            return Err(XzError::Damaged);
        }
        let low = usize::from(u16::from_be_bytes(array(input)?)) + 1;
        if control < 0x80 {
            let plain = &mut buffer[..low];
            yielded = claim(yielded, low, limit_bytes)?;
            input.read_exact(plain).map_err(XzError::Read)?;
            let mut rest = &*plain;
            while !rest.is_empty() {
                rest = window.append(rest);
                window.take(&mut *take).map_err(XzError::Taker)?;
            }
            charge(low as u64, low as u64 * UNITS_PER_BYTE);
            continue;
        }
        let size = low + (usize::from(control & 0x1f) << 16);
        yielded = claim(yielded, size, limit_bytes)?;
        let packed = &mut buffer[..=usize::from(u16::from_be_bytes(array(input)?))];
        let properties = match control >> 5 & 3 {
            0 => None,
            1 => Some(model.as_deref().ok_or(Damaged)?.properties),
            _ => Some(Properties::read(u8::from_be_bytes(array(input)?))?),
        };
        if let Some(properties) = properties {
            model = Some(Model::new(properties));
        }
        input.read_exact(packed).map_err(XzError::Read)?;
        lzma(packed, size, model.as_deref_mut().ok_or(Damaged)?, &mut window, charge, take)?;
    }
}

fn claim<E>(yielded: u64, count: usize, limit_bytes: u64) -> Result<u64, XzError<E>> {
    yielded.checked_add(count as u64).filter(|sum| *sum <= limit_bytes).ok_or(XzError::TooLong)
}

fn array<const N: usize, E>(input: &mut impl Read) -> Result<[u8; N], XzError<E>> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(XzError::Read)?;
    Ok(bytes)
}

/// Reads a chunk that yields so many bytes.
fn lzma<E>(
    packed: &[u8],
    size: usize,
    model: &mut Model,
    window: &mut Window,
    charge: &mut impl FnMut(u64, u64),
    take: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), XzError<E>> {
    let mut coder = Coder::new(packed)?;
    let (mut taken, mut log) = (coder.taken, log2(coder.range));
    let mut left = size;
    while left > 0 {
        let length = model.symbol(&mut coder, window, left)?;
        left -= length;
        let before = (taken, log);
        (taken, log) = (coder.taken, log2(coder.range));
        charge(length as u64, (taken - before.0) as u64 * UNITS_PER_BYTE + before.1 - log);
        if window.is_full() {
            window.take(&mut *take).map_err(XzError::Taker)?;
        }
    }
    window.take(&mut *take).map_err(XzError::Taker)?;
    if coder.is_at_end() { Ok(()) } else { Err(XzError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_numbers() {
        for (range, expected) in
            [(1_u32 << 24, 24.0), (1 << 31, 31.0), (3 << 20, 21.584_962_5), (u32::MAX, 32.0)]
        {
            let found = log2(range) as f64 / UNITS_PER_BIT as f64;
            assert!((found - expected).abs() < 0.001, "{range}: {found}");
        }
        // The same steps give the same prices wherever they are.
        assert_eq!(log2(0xabcd_ef00) - log2(0x00ab_cdef), UNITS_PER_BYTE);
    }

    #[test]
    fn damaged_chunks_are_refused_or_read_but_never_more_than_announced() {
        use crate::formats::xz::{Effort, Filter, encode_block};
        let plain = b"some words, some more words, and words again: ".repeat(70);
        let block =
            encode_block(&plain[..], plain.len() as u64, &Filter::TEXT, Effort::Best).expect("encodes");
        let header_bytes = (usize::from(block.bytes[0]) + 1) * 4;
        let chunks = &block.bytes[header_bytes..block.unpadded_bytes as usize - 8];
        let read = |chunks: &[u8]| {
            let (mut charged, mut taken) = (0, 0);
            let charge = &mut |count, _| charged += count;
            let take = &mut |bytes: &[u8]| {
                taken += bytes.len();
                Ok::<(), std::convert::Infallible>(())
            };
            let read = account(&mut &chunks[..], 1 << 16, 4000, charge, take);
            assert!(charged <= 4000 && taken <= 4000);
            read
        };
        assert_eq!(read(chunks).expect("reads"), plain.len() as u64);
        for at in 0..chunks.len() {
            for changed in [chunks[at] ^ 1, chunks[at] ^ 0x80, 0xff] {
                let mut chunks = chunks.to_vec();
                chunks[at] = changed;
                let _ = read(&chunks);
            }
            assert!(read(&chunks[..at]).is_err());
        }
    }
}
