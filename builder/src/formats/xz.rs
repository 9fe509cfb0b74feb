//! `.xz` files of several blocks, each with a filter chain that suits its contents.
//!
//! ```text
//! stream header   fd '7zXZ' 00 · 00 04 (CRC64) · CRC32 of those two
//! block, each     header: u8 size/4−1 · u8 flags (c0: both sizes follow, plus filters−1) · compressed size ·
//!                   plain size · filters: id · size of properties · properties · zeros to 4 bytes · CRC32
//!                 compressed data · zeros to 4 bytes · CRC64 of the plain data
//! index           00 · count · per block: size without its padding · plain size · zeros to 4 bytes · CRC32
//! stream footer   CRC32 of the next six · u32 size of the index/4−1 · 00 04 · 'YZ'
//! ```
//!
//! Sizes are variable-length integers, 7 bits a byte, least significant first (.xz file format 1.0.4, section
//! 1.2).
//!
//! Blocks are independent, so they can be made side by side and kept. liblzma has no call that makes one
//! block with a chain of its own; but it makes whole streams of one block, and the block taken out of such a
//! stream is the same. Only its header is written anew, with both sizes, so that readers can work on blocks
//! side by side too (as `xz -T` writes it).
//!
//! A block's bytes depend on its plain bytes, [`Filter`] and [`Effort`], and on nothing else: not on
//! threads, nor on time.
//!
//! Reading takes all that the `xz` program takes of `.xz`: any number of blocks and streams, padding, any
//! check. It is liblzma that reads; it checks every reserved bit, padding and checksum, and that the range
//! coder ends where it should. What is left is a chunk with hardly a literal in it (one byte repeated): there
//! the bits of `lc` may say anything. So [`artifact`](crate::artifact) makes no blocks of little.

pub mod accounted;
mod crc64;
pub mod lzma2;
mod x86;

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use liblzma::{
    bufread::XzDecoder,
    read::XzEncoder,
    stream::{CONCATENATED, Check, Filters, LzmaOptions, Stream},
};

/// How much work goes into a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// As small as it gets: liblzma's preset 9 with the slower, thorough search.
    #[default]
    Best,
    /// For development: preset 1, a tenth of the time for a third more.
    Fast,
}

impl Effort {
    /// Returns the library, version and settings that determine a block's bytes. Part of the key under which
    /// blocks are kept.
    pub fn encoder(self) -> &'static str {
        match self {
            Effort::Best => "liblzma-5.8.4-9e-1",
            Effort::Fast => "liblzma-5.8.4-1-1",
        }
    }

    /// Returns liblzma's preset.
    pub fn preset(self) -> u32 {
        match self {
            Effort::Best => 9 | 1 << 31,
            Effort::Fast => 1,
        }
    }
}

/// The largest dictionary, and so how far apart repetitions may lie. A reader needs this much memory.
pub const MAX_DICTIONARY_BYTES: u64 = 64 << 20;

/// The preset of an estimate: a third of the time, some per cent more.
const ESTIMATE_PRESET: u32 = 6;

/// The name of that, and of the library: part of the key under which estimates are noted.
pub const ESTIMATE: &str = "liblzma-5.8.4-6-1";

/// The limit of a reader's memory: four times what the highest preset needs. A few bytes can ask for 4 GiB.
const MEMORY_LIMIT_BYTES: u64 = 256 << 20;

const CHECK_BYTES: u64 = 8;
const STREAM_HEADER_BYTES: usize = 12;
const STREAM_FLAGS: [u8; 2] = [0, 4];

/// How a block is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whether jumps of x86 code are made absolute first.
    pub x86: bool,
    /// How many high bits of the byte before foretell a byte (`lc`).
    pub literal_context_bits: u32,
    /// How many low bits of the position foretell a byte (`lp`); with `lc` at most 4.
    pub literal_position_bits: u32,
    /// How many low bits of the position foretell all else (`pb`).
    pub position_bits: u32,
}

impl Filter {
    /// Text and small files.
    pub const TEXT: Filter =
        Filter { x86: false, literal_context_bits: 3, literal_position_bits: 0, position_bits: 0 };
    /// Tables of numbers. On ICU's data, 31 MB, this takes 7.38 MB, liblzma's default 7.44, and `lp` and `pb`
    /// of 2 take 7.43.
    pub const DATA: Filter =
        Filter { x86: false, literal_context_bits: 3, literal_position_bits: 1, position_bits: 1 };
    /// Programs and libraries, as they are.
    pub const PROGRAM: Filter =
        Filter { x86: false, literal_context_bits: 3, literal_position_bits: 0, position_bits: 2 };
    /// Programs and libraries of x86, with the places that they jump to made absolute.
    pub const X86: Filter = Filter { x86: true, ..Filter::PROGRAM };

    /// Returns the filter's name, part of the key under which blocks are kept.
    pub fn name(&self) -> String {
        let Filter { x86, literal_context_bits: lc, literal_position_bits: lp, position_bits: pb } = self;
        format!("{}lc{lc}lp{lp}pb{pb}", if *x86 { "x86-" } else { "" })
    }

    fn chain(&self, plain_bytes: u64, preset: u32) -> io::Result<Filters> {
        let dictionary = plain_bytes.clamp(1 << 16, MAX_DICTIONARY_BYTES).next_power_of_two();
        let mut options = LzmaOptions::new_preset(preset)?;
        options
            .dict_size(dictionary as u32)
            .literal_context_bits(self.literal_context_bits)
            .literal_position_bits(self.literal_position_bits)
            .position_bits(self.position_bits);
        let mut chain = Filters::new();
        if self.x86 {
            chain.x86();
        }
        chain.lzma2(&options);
        Ok(chain)
    }
}

/// A block, ready to stand between others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Header, compressed data, padding and check.
    pub bytes: Vec<u8>,
    /// How much it is without the padding.
    pub unpadded_bytes: u64,
    /// How much it is decompressed.
    pub plain_bytes: u64,
}

/// The index entry of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// As [`Block::unpadded_bytes`].
    pub unpadded_bytes: u64,
    /// As [`Block::plain_bytes`].
    pub plain_bytes: u64,
}

impl Block {
    /// Returns the block's line in the index.
    pub fn record(&self) -> Record {
        Record { unpadded_bytes: self.unpadded_bytes, plain_bytes: self.plain_bytes }
    }

    /// Takes a block that was kept. Its padding holds no information, so the unpadded length is read from its
    /// header.
    ///
    /// # Errors
    /// Bytes that [`encode_block`] did not make.
    pub fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a kept block is damaged");
        let header_bytes = header_bytes(&bytes).ok_or_else(damaged)?;
        let sizes = bytes.get(2..header_bytes as usize).ok_or_else(damaged)?;
        let (compressed, used) = read_varint(sizes).ok_or_else(damaged)?;
        let (plain_bytes, _) = read_varint(&sizes[used..]).ok_or_else(damaged)?;
        let unpadded_bytes = compressed.checked_add(header_bytes + CHECK_BYTES).ok_or_else(damaged)?;
        if unpadded_bytes.checked_next_multiple_of(4) != Some(bytes.len() as u64) {
            return Err(damaged());
        }
        Ok(Block { bytes, unpadded_bytes, plain_bytes })
    }
}

/// Compresses all that a reader gives into one block.
///
/// `plain_bytes` is how much it will be, at least one byte; it sizes the dictionary.
///
/// # Errors
/// The reader's error, or another length than announced.
pub fn encode_block(
    plain: impl Read,
    plain_bytes: u64,
    filter: &Filter,
    effort: Effort,
) -> io::Result<Block> {
    let stream = Stream::new_stream_encoder(&filter.chain(plain_bytes, effort.preset())?, Check::Crc64)?;
    let mut encoder = XzEncoder::new_stream(plain, stream);
    let mut stream = Vec::new();
    encoder.read_to_end(&mut stream)?;
    if encoder.total_in() != plain_bytes {
        return Err(io::Error::other("contents changed their length while they were packed"));
    }
    single_block(&stream).ok_or_else(|| io::Error::other("liblzma made a stream of another form"))
}

/// Returns about how many bytes a block of these would have.
///
/// # Errors
/// No memory.
pub fn estimate(plain: &[u8], filter: &Filter) -> io::Result<u64> {
    let chain = filter.chain(plain.len() as u64, ESTIMATE_PRESET)?;
    let mut encoder = XzEncoder::new_stream(plain, Stream::new_stream_encoder(&chain, Check::Crc64)?);
    io::copy(&mut encoder, &mut io::sink())
}

/// Takes the block out of a stream that has one, and puts the sizes into its header.
fn single_block(stream: &[u8]) -> Option<Block> {
    let footer = stream.get(stream.len().checked_sub(12)?..)?;
    let index_bytes = (u32::from_le_bytes(footer[4..8].try_into().ok()?) as usize + 1) * 4;
    let index_at = stream.len().checked_sub(12 + index_bytes)?;
    let index = &stream[index_at..];
    if index[..2] != [0, 1] {
        return None;
    }
    let (unpadded, used) = read_varint(&index[2..])?;
    let (plain_bytes, _) = read_varint(&index[2 + used..])?;
    let block = &stream[STREAM_HEADER_BYTES..index_at];
    let old_header = header_bytes(block)?;
    let filters = block.get(2..old_header as usize - 4)?;
    if block[1] & 0xfc != 0 {
        return None;
    }
    let compressed = unpadded.checked_sub(old_header + CHECK_BYTES)?;
    let mut header = vec![0, block[1] | 0xc0];
    push_varint(&mut header, compressed);
    push_varint(&mut header, plain_bytes);
    header.extend_from_slice(filters);
    header.resize(header.len().next_multiple_of(4), 0);
    header[0] = (header.len() / 4) as u8;
    header.extend(crc32(&header).to_le_bytes());
    let unpadded_bytes = header.len() as u64 + compressed + CHECK_BYTES;
    header.extend_from_slice(&block[old_header as usize..]);
    Some(Block { bytes: header, unpadded_bytes, plain_bytes })
}

fn header_bytes(block: &[u8]) -> Option<u64> {
    block.first().filter(|&&size| size > 0).map(|&size| (u64::from(size) + 1) * 4)
}

/// Returns the bytes before the first block.
pub fn stream_header() -> Vec<u8> {
    let mut out = vec![0xfd, b'7', b'z', b'X', b'Z', 0];
    out.extend(STREAM_FLAGS);
    out.extend(crc32(&STREAM_FLAGS).to_le_bytes());
    out
}

/// Returns the bytes after the last block: index and footer.
pub fn stream_end(blocks: &[Record]) -> Vec<u8> {
    let mut out = vec![0];
    push_varint(&mut out, blocks.len() as u64);
    for block in blocks {
        push_varint(&mut out, block.unpadded_bytes);
        push_varint(&mut out, block.plain_bytes);
    }
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(crc32(&out).to_le_bytes());
    let mut back = (out.len() as u32 / 4 - 1).to_le_bytes().to_vec();
    back.extend(STREAM_FLAGS);
    out.extend(crc32(&back).to_le_bytes());
    out.extend(back);
    out.extend(b"YZ");
    out
}

/// Returns a reader of the contents of `.xz` streams, one after the other, to the end of the input. Anything
/// after the last stream but padding is an error, as is any damage.
///
/// # Errors
/// No memory.
pub fn decode(compressed: impl BufRead) -> io::Result<impl Read> {
    let stream = Stream::new_stream_decoder(MEMORY_LIMIT_BYTES, CONCATENATED)?;
    Ok(XzDecoder::new_stream(compressed, stream))
}

/// Returns how many bytes the first stream of an input takes; `None` where it is damaged or cut off.
pub fn first_stream_bytes(compressed: impl BufRead) -> Option<u64> {
    let stream = Stream::new_stream_decoder(MEMORY_LIMIT_BYTES, 0).ok()?;
    let mut decoder = XzDecoder::new_stream(compressed, stream);
    io::copy(&mut decoder, &mut io::sink()).ok()?;
    Some(decoder.total_in())
}

/// Returns how long the last stream of a file is, by its own index; `None` where the file does not end with a
/// stream, as with padding. The index is verified only when the file is decoded.
///
/// # Errors
/// A file that cannot be read.
pub fn last_stream_bytes(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    const FOOTER_BYTES: u64 = 12;
    let end = file.seek(SeekFrom::End(0))?;
    let mut footer = [0; FOOTER_BYTES as usize];
    if end < 2 * FOOTER_BYTES {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(end - FOOTER_BYTES))?;
    file.read_exact(&mut footer)?;
    let index_bytes = (u64::from(u32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]])) + 1) * 4;
    let Some(at) = (end - FOOTER_BYTES).checked_sub(index_bytes).filter(|_| footer.ends_with(b"YZ")) else {
        return Ok(None);
    };
    file.seek(SeekFrom::Start(at))?;
    let mut index = Vec::new();
    file.take(index_bytes).read_to_end(&mut index)?;
    Ok(blocks_bytes(&index).map(|blocks| STREAM_HEADER_BYTES as u64 + blocks + index_bytes + FOOTER_BYTES))
}

/// Returns how long the blocks of an index are, with their padding.
fn blocks_bytes(index: &[u8]) -> Option<u64> {
    let mut rest = index.strip_prefix(&[0])?;
    let mut next = || {
        let (value, used) = read_varint(rest)?;
        rest = &rest[used..];
        Some(value)
    };
    let count = next()?;
    let mut sum = 0_u64;
    for _ in 0..count {
        let (unpadded, _plain) = (next()?, next()?);
        sum = sum.checked_add(unpadded.checked_next_multiple_of(4)?)?;
    }
    Some(sum)
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Returns the CRC32 of IEEE 802.3, bit by bit: headers are short.
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32| (0..8).fold(crc, |c, _| c >> 1 ^ (0xedb8_8320 & (c & 1).wrapping_neg()));
    !bytes.iter().fold(!0, |crc, &byte| fold(crc ^ u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 3] = [Filter::TEXT, Filter::DATA, Filter::X86];

    fn plain(seed: u32, length: usize) -> Vec<u8> {
        // Words that repeat, calls that the x86 filter changes, and bytes that do not compress.
        let mut state = seed | 1;
        let mut out = Vec::new();
        while out.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match state >> 30 {
                0 => out.extend(format!("word{} ", state >> 8 & 15).bytes()),
                1 => out.extend([0xe8, (state >> 8) as u8, (state >> 16) as u8, 0, 0]),
                2 => out.extend([0, 0, 0xff, 0xff, 0xe9]),
                _ => out.extend(state.to_le_bytes()),
            }
        }
        out.truncate(length);
        out
    }

    fn assemble(parts: &[(Vec<u8>, Filter)]) -> Vec<u8> {
        let blocks: Vec<Block> = parts
            .iter()
            .map(|(plain, filter)| {
                encode_block(&plain[..], plain.len() as u64, filter, Effort::Best).expect("encodes")
            })
            .collect();
        let mut out = stream_header();
        blocks.iter().for_each(|block| out.extend(&block.bytes));
        out.extend(stream_end(&blocks.iter().map(Block::record).collect::<Vec<_>>()));
        out
    }

    fn decoded(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decode(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn knows_its_checksum() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(stream_header()[8..], [0xe6, 0xd6, 0xb4, 0x46]);
    }

    #[test]
    fn blocks_of_all_kinds_stand_together() {
        for lengths in [vec![], vec![1], vec![5, 1, 3], vec![100_000, 7, 70_001, 300_000]] {
            let parts: Vec<(Vec<u8>, Filter)> = lengths
                .iter()
                .enumerate()
                .map(|(i, &length)| (plain(i as u32, length), FILTERS[i % 3]))
                .collect();
            let file = assemble(&parts);
            let whole: Vec<u8> = parts.into_iter().flat_map(|(plain, _)| plain).collect();
            assert!(decoded(&file).expect("decodes") == whole, "{lengths:?}");
        }
    }

    #[test]
    fn a_kept_block_is_the_same_block() {
        for length in [1, 2, 3, 4, 1000] {
            let plain = plain(9, length);
            let block = encode_block(&plain[..], length as u64, &Filter::X86, Effort::Best).expect("encodes");
            assert_eq!(Block::from_bytes(block.bytes.clone()).expect("reads"), block);
        }
        assert!(Block::from_bytes(vec![]).is_err());
        assert!(Block::from_bytes(vec![200, 1, 2]).is_err());
    }

    #[test]
    fn a_short_reader_is_noticed() {
        assert!(encode_block(&b"abc"[..], 4, &Filter::TEXT, Effort::Best).is_err());
    }

    #[test]
    fn takes_several_streams_and_padding_and_nothing_else() {
        let (one, two) =
            (assemble(&[(b"one".to_vec(), Filter::TEXT)]), assemble(&[(b"two".to_vec(), Filter::X86)]));
        assert_eq!(decoded(&[&one[..], &two].concat()).expect("streams"), b"onetwo");
        assert_eq!(decoded(&[&one[..], &[0; 8], &two, &[0; 4]].concat()).expect("padding"), b"onetwo");
        let rows: [(&str, Vec<u8>); 6] = [
            ("nothing", vec![]),
            ("cut", one[..one.len() - 1].to_vec()),
            ("odd padding", [&one[..], &[0; 3]].concat()),
            ("a tail", [&one[..], b"tail"].concat()),
            ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("a half second stream", [&one[..], &two[..20]].concat()),
        ];
        for (summary, bytes) in rows {
            assert!(decoded(&bytes).is_err(), "{summary}");
        }
    }

    #[test]
    fn a_stream_with_something_around_it_is_told_from_one_alone() {
        let one = assemble(&[(plain(1, 700), Filter::TEXT), (plain(2, 401), Filter::X86)]);
        let last = |parts: &[&[u8]]| last_stream_bytes(&mut io::Cursor::new(parts.concat())).expect("reads");
        assert_eq!(last(&[&one]), Some(one.len() as u64));
        assert_eq!(last(&[&one, &one]), Some(one.len() as u64));
        assert_eq!(last(&[&one, &[0; 4]]), None);
        let empty = assemble(&[]);
        assert_eq!(last(&[&one, &empty]), Some(empty.len() as u64));
        for length in 0..one.len() {
            assert_ne!(last(&[&one[..length]]), Some(length as u64), "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let parts =
            [(plain(1, 700), Filter::TEXT), (plain(2, 400), Filter::X86), (plain(3, 300), Filter::DATA)];
        let mut file = assemble(&parts);
        for bit in 0..file.len() * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(decoded(&file).is_err(), "bit {} of byte {} is not covered", bit % 8, bit / 8);
            file[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
