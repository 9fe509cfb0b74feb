//! `.xz` read with accounting, from its first byte to its last, in memory that does not depend on its length.
//!
//! There are two ways. [`Stream`] yields contents too, and takes less than liblzma does: one stream, as our writer
//! and most others make it, CRC64, LZMA2 alone or behind the filter of x86. What it takes was checked as liblzma
//! checks it: every reserved bit, padding, size and sum. [`account`] is for prices of what liblzma has read before:
//! it takes several streams, padding, any check and any filter before LZMA2, and checks no sums of contents.

use std::{
    convert::Infallible,
    io::{self, BufRead, BufReader, Read},
};

use super::{
    STREAM_FLAGS, STREAM_HEADER_BYTES, crc32, crc64::Crc64, lzma2, read_varint, stream_header, x86::X86,
};

/// The largest dictionary that [`Stream`] takes: that of `xz -9`.
const MOST_DICTIONARY_BYTES: u64 = super::MAX_DICTIONARY_BYTES;

const X86_ID: u64 = 4;
const LZMA2_ID: u64 = 0x21;

/// A stream that is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum XzError<E> {
    /// It cannot be read, or breaks off.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It breaks a rule.
    #[error("its xz data is damaged")]
    Damaged,
    /// It is of a form that is left to liblzma.
    #[error("it is of another form of xz")]
    Form,
    /// It yields more than it may.
    #[error("it decompresses to more than it should")]
    TooLong,
    /// What it yielded was not taken.
    #[error("its contents were not taken")]
    Taker(E),
}

/// Reads a file of xz, and calls `charge` with the number of bytes that come next and what they took together.
///
/// # Errors
/// [`XzError`], also for a file that yields more than `limit_bytes`.
pub fn account(
    input: impl Read,
    limit_bytes: u64,
    mut charge: impl FnMut(u64, u64),
) -> Result<(), XzError<Infallible>> {
    let mut left = limit_bytes;
    let mut input = Input::new(input);
    loop {
        let mut stream = Stream::begin(input)?;
        while let Some(header) = stream.header()? {
            let mut take = |_: &[u8]| Ok(());
            let yielded = stream.chunks(&header, left, &mut charge, &mut take)?;
            left -= yielded;
            stream.input.skip(stream.check_bytes)?;
        }
        input = stream.input;
        if !input.has_stream()? {
            return Ok(());
        }
    }
}

/// One stream, read block by block.
#[derive(Debug)]
pub struct Stream<R> {
    input: Input<R>,
    check_bytes: u64,
    /// Of all blocks so far.
    records: Records,
}

/// The header of a block.
struct Header {
    /// Where the block begins.
    start: u64,
    packed_bytes: Option<u64>,
    plain_bytes: Option<u64>,
    /// What is before LZMA2; `None` for something else than the filter of x86.
    is_x86: Option<bool>,
    dictionary_bytes: u64,
}

impl<R: Read> Stream<R> {
    /// Reads the head of a stream.
    ///
    /// # Errors
    /// [`XzError`]
    pub fn new<E>(input: R) -> Result<Self, XzError<E>> {
        let stream = Stream::begin(Input::new(input))?;
        if stream.records.check == STREAM_FLAGS[1] { Ok(stream) } else { Err(XzError::Form) }
    }

    fn begin<E>(mut input: Input<R>) -> Result<Self, XzError<E>> {
        let header: [u8; STREAM_HEADER_BYTES] = input.array()?;
        let check = header[7];
        let mut expected = stream_header();
        expected[7] = check;
        expected.truncate(8);
        expected.extend(crc32(&[STREAM_FLAGS[0], check]).to_le_bytes());
        if header[..] != expected[..] || check > 15 {
            return Err(XzError::Damaged);
        }
        let check_bytes = if check == 0 { 0 } else { 4 << ((check - 1) / 3) };
        Ok(Stream { input, check_bytes, records: Records::new(check) })
    }

    /// Reads the next block: `charge` is called as by [`account`], and `take` gets the contents, a little later.
    /// Returns false at the end of the stream, which is the end of the file.
    ///
    /// # Errors
    /// [`XzError`]
    pub fn block<E>(
        &mut self,
        charge: &mut impl FnMut(u64, u64),
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<bool, XzError<E>> {
        let Some(header) = self.header()? else {
            return if self.input.is_at_end()? { Ok(false) } else { Err(XzError::Form) };
        };
        let is_x86 = header.is_x86.filter(|_| header.dictionary_bytes <= MOST_DICTIONARY_BYTES);
        let mut crc = Crc64::new();
        let mut pass = |bytes: &[u8]| {
            crc.update(bytes);
            take(bytes)
        };
        match is_x86 {
            None => return Err(XzError::Form),
            Some(false) => self.chunks(&header, u64::MAX, charge, &mut pass)?,
            Some(true) => {
                let mut x86 = X86::default();
                let mut undo = |bytes: &[u8]| x86.pass(bytes, &mut pass);
                let yielded = self.chunks(&header, u64::MAX, charge, &mut undo)?;
                pass(x86.finish()).map_err(XzError::Taker)?;
                yielded
            }
        };
        if u64::from_le_bytes(self.input.array()?) == crc.finish() { Ok(true) } else { Err(XzError::Damaged) }
    }

    /// Reads the header of the next block; `None` at the end of the stream, which was read then.
    fn header<E>(&mut self) -> Result<Option<Header>, XzError<E>> {
        let start = self.input.position;
        let [size] = self.input.array()?;
        if size == 0 {
            self.end()?;
            return Ok(None);
        }
        let mut bytes = vec![size; (usize::from(size) + 1) * 4];
        self.input.fill(&mut bytes[1..])?;
        let (head, sum) = bytes.split_at(bytes.len() - 4);
        let header = read_header(start, &head[1..]).filter(|_| crc32(head).to_le_bytes() == *sum);
        header.ok_or(XzError::Damaged).map(Some)
    }

    /// Reads the chunks of a block, and the padding behind them.
    fn chunks<E>(
        &mut self,
        header: &Header,
        limit_bytes: u64,
        charge: &mut impl FnMut(u64, u64),
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<u64, XzError<E>> {
        let begin = self.input.position;
        let yielded = lzma2::account(&mut self.input, header.dictionary_bytes, limit_bytes, charge, take)?;
        let packed_bytes = self.input.position - begin;
        let is_said = |said: Option<u64>, found| said.is_none_or(|said| said == found);
        if !is_said(header.packed_bytes, packed_bytes) || !is_said(header.plain_bytes, yielded) {
            return Err(XzError::Damaged);
        }
        let unpadded_bytes = self.input.position - header.start + self.check_bytes;
        self.records.add(unpadded_bytes, yielded);
        self.input.padding(packed_bytes)?;
        Ok(yielded)
    }

    /// Reads the index, whose first byte was read, and the footer.
    fn end<E>(&mut self) -> Result<(), XzError<E>> {
        let mut index = Index { bytes: 1, crc: flate2::Crc::new() };
        index.crc.update(&[0]);
        let count = index.number(&mut self.input)?;
        let mut listed = Records::new(self.records.check);
        for _ in 0..count {
            let unpadded_bytes = index.number(&mut self.input)?;
            listed.add(unpadded_bytes, index.number(&mut self.input)?);
        }
        while !index.bytes.is_multiple_of(4) {
            if index.byte(&mut self.input)? != 0 {
                return Err(XzError::Damaged);
            }
        }
        let sum = u32::from_le_bytes(self.input.array()?);
        let size = u32::try_from((index.bytes + 4) / 4 - 1).map_err(|_| XzError::Damaged)?;
        let mut back = size.to_le_bytes().to_vec();
        back.extend([0, self.records.check]);
        let footer = [&crc32(&back).to_le_bytes()[..], &back, b"YZ"].concat();
        let found: [u8; STREAM_HEADER_BYTES] = self.input.array()?;
        match sum == index.crc.sum() && listed.is(&self.records) && found[..] == footer[..] {
            true => Ok(()),
            false => Err(XzError::Damaged),
        }
    }
}

/// Reads what is between the size of a block's header and its sum.
fn read_header(start: u64, header: &[u8]) -> Option<Header> {
    let (&flags, mut rest) = header.split_first()?;
    if flags & 0x3c != 0 {
        return None;
    }
    let mut size = |flag| if flags & flag != 0 { number(&mut rest).map(Some) } else { Some(None) };
    let (packed_bytes, plain_bytes) = (size(0x40)?, size(0x80)?);
    let mut is_x86 = Some(false);
    for _ in 0..flags & 3 {
        let id = number(&mut rest)?;
        let properties = usize::try_from(number(&mut rest)?).ok()?;
        is_x86 = (id == X86_ID && properties == 0 && is_x86 == Some(false)).then_some(true);
        rest = rest.get(properties..)?;
    }
    if number(&mut rest)? != LZMA2_ID || number(&mut rest)? != 1 {
        return None;
    }
    let (&bits, rest) = rest.split_first()?;
    let dictionary_bytes = match bits {
        0..40 => (2 | u64::from(bits & 1)) << (bits / 2 + 11),
        40 => u64::from(u32::MAX),
        _ => return None,
    };
    let is_padded = rest.iter().all(|byte| *byte == 0);
    is_padded.then_some(Header { start, packed_bytes, plain_bytes, is_x86, dictionary_bytes })
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (value, used) = read_varint(rest).filter(|(_, used)| is_shortest(&rest[..*used]))?;
    *rest = &rest[used..];
    Some(value)
}

/// Returns whether a number of variable length has no byte too many.
fn is_shortest(bytes: &[u8]) -> bool {
    bytes.len() == 1 || bytes.last() != Some(&0)
}

/// The lengths of blocks, as many as there may be: a digest of them.
#[derive(Debug)]
struct Records {
    check: u8,
    digest: blake3::Hasher,
}

impl Records {
    fn new(check: u8) -> Self {
        Records { check, digest: blake3::Hasher::new() }
    }

    fn add(&mut self, unpadded_bytes: u64, plain_bytes: u64) {
        self.digest.update(&unpadded_bytes.to_le_bytes());
        self.digest.update(&plain_bytes.to_le_bytes());
    }

    fn is(&self, other: &Records) -> bool {
        self.digest.finalize() == other.digest.finalize()
    }
}

/// How much of an index was read, and its sum.
struct Index {
    bytes: u64,
    crc: flate2::Crc,
}

impl Index {
    fn byte<R: Read, E>(&mut self, input: &mut Input<R>) -> Result<u8, XzError<E>> {
        let [byte] = input.array()?;
        self.crc.update(&[byte]);
        self.bytes += 1;
        Ok(byte)
    }

    fn number<R: Read, E>(&mut self, input: &mut Input<R>) -> Result<u64, XzError<E>> {
        let mut bytes = Vec::new();
        while bytes.len() < 9 {
            bytes.push(self.byte(input)?);
            if bytes.last().is_some_and(|byte| byte & 0x80 == 0) {
                break;
            }
        }
        let number = read_varint(&bytes).filter(|_| is_shortest(&bytes));
        number.map(|(value, _)| value).ok_or(XzError::Damaged)
    }
}

/// A file, and how much of it was read.
#[derive(Debug)]
struct Input<R> {
    inner: BufReader<R>,
    position: u64,
}

impl<R: Read> Input<R> {
    fn new(inner: R) -> Self {
        Input { inner: BufReader::with_capacity(1 << 16, inner), position: 0 }
    }

    fn fill<E>(&mut self, bytes: &mut [u8]) -> Result<(), XzError<E>> {
        self.read_exact(bytes).map_err(XzError::Read)
    }

    fn array<const N: usize, E>(&mut self) -> Result<[u8; N], XzError<E>> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn skip<E>(&mut self, count: u64) -> Result<(), XzError<E>> {
        (0..count).try_for_each(|_| self.array::<1, E>().map(drop))
    }

    /// Reads the zeros that bring a length to a multiple of four.
    fn padding<E>(&mut self, length: u64) -> Result<(), XzError<E>> {
        for _ in length..length.next_multiple_of(4) {
            if self.array()? != [0] {
                return Err(XzError::Damaged);
            }
        }
        Ok(())
    }

    fn is_at_end<E>(&mut self) -> Result<bool, XzError<E>> {
        self.inner.fill_buf().map(<[u8]>::is_empty).map_err(XzError::Read)
    }

    /// Returns whether another stream follows, behind any padding.
    fn has_stream<E>(&mut self) -> Result<bool, XzError<E>> {
        loop {
            let next = self.inner.fill_buf().map_err(XzError::Read)?;
            match next.first() {
                None => return Ok(false),
                Some(0) => self.skip(4)?,
                Some(_) => return Ok(true),
            }
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.position += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests;
