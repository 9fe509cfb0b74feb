//! zstd and bzip2 read with accounting: what each block of the compressed stream yields.
//!
//! The bytes that a block yields are charged evenly with what it takes; a block of zstd yields at most 128 KiB, one
//! of bzip2 is of at most 900 kB before runs are drawn out. What yields nothing is charged to none: headers of
//! frames and of zstd's blocks, checksums, skippable frames. Prices are in [`UNITS_PER_BYTE`]ths of a byte, as
//! those of [`deflate`](super::deflate).
//!
//! The decoders are those that read contents, fed with a block at a time, so both take the same streams. The layout
//! of zstd is read here; bzip2's, whose blocks begin at any bit, is not: its decoder has a block as a whole before
//! it yields a byte of it, and reads nothing behind it until all is yielded.
//!
//! ```text
//! frame      fd2fb528 · descriptor · [window] [dictionary] [size] · blocks · [checksum]
//! block      u24: 1 bit last · 2 bits kind (0 raw, 1 repeated, 2 compressed) · 21 bits size · contents
//! skippable  184d2a50 to 184d2a5f · u32 size · anything
//! ```
//!
//! Numbers are little-endian. Source: RFC 8878, 3.1; for bzip2, `decompress.c` and `bzlib.c` of libbz2 1.0.8.

use std::io::{self, BufRead, BufReader, Read};

use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::{compression::ZSTD_WINDOW_LOG, xz::lzma2::UNITS_PER_BYTE};

const FRAME_MAGIC: u32 = 0xfd2f_b528;
/// The lowest four bits are any.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// What a block of zstd takes, and yields, at most.
const MOST_BLOCK_BYTES: usize = 128 << 10;
/// The magic of a stream of bzip2.
const BZIP2_HEADER_BYTES: u64 = 4;

/// A stream that the decoder of its contents would not take either.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// It cannot be read, or breaks off.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It breaks a rule.
    #[error("its {0} data is damaged")]
    Damaged(&'static str),
    /// It yields more than it may.
    #[error("it decompresses to more than it should")]
    TooLong,
}

/// Reads a file of zstd frames, and calls `charge` with the number of bytes that come next and what they took
/// together. Keeps two blocks in memory, and a window as long as the stream says, up to 128 MiB.
///
/// # Errors
/// [`BlockError`], also for a stream that yields more than `limit_bytes`.
pub fn account_zstd(
    mut input: impl Read,
    limit_bytes: u64,
    mut charge: impl FnMut(u64, u64),
) -> Result<(), BlockError> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
    // A byte more than a block yields: where there is room left, all of it was yielded.
    let plain = vec![0; MOST_BLOCK_BYTES + 1].into();
    let mut frames = Frames { input: &mut input, decoder, piece: Vec::new(), plain };
    let mut left = limit_bytes;
    while frames.input.take(4).read_to_end(&mut frames.piece)? > 0 {
        let magic = <[u8; 4]>::try_from(&frames.piece[..]).map_err(|_| broken_off())?;
        match u32::from_le_bytes(magic) {
            FRAME_MAGIC => frames.frame(&mut left, &mut charge)?,
            magic if magic & !0xf == SKIPPABLE_MAGIC => frames.skip()?,
            _ => return Err(BlockError::Damaged("zstd")),
        }
        frames.piece.clear();
    }
    Ok(())
}

fn broken_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Frames one behind the other.
struct Frames<R> {
    input: R,
    decoder: Decoder<'static>,
    /// What was read, and not decoded yet.
    piece: Vec<u8>,
    plain: Box<[u8]>,
}

impl<R: Read> Frames<R> {
    /// Reads so many bytes more of a piece.
    fn more(&mut self, count: usize) -> io::Result<()> {
        let start = self.piece.len();
        self.piece.resize(start + count, 0);
        self.input.read_exact(&mut self.piece[start..])
    }

    /// Decodes a piece, and returns how many bytes it yields.
    fn decode(&mut self) -> Result<u64, BlockError> {
        let (mut taken, mut yielded) = (0, 0);
        while taken < self.piece.len() {
            let status = self.decoder.run_on_buffers(&self.piece[taken..], &mut self.plain)?;
            if (status.bytes_read, status.bytes_written) == (0, 0) {
                return Err(BlockError::Damaged("zstd"));
            }
            taken += status.bytes_read;
            yielded += status.bytes_written as u64;
        }
        self.piece.clear();
        Ok(yielded)
    }

    /// Passes over a skippable frame, whose magic was read.
    fn skip(&mut self) -> io::Result<()> {
        let mut size_bytes = [0; 4];
        self.input.read_exact(&mut size_bytes)?;
        let size_bytes = u64::from(u32::from_le_bytes(size_bytes));
        let skipped = io::copy(&mut self.input.by_ref().take(size_bytes), &mut io::sink())?;
        if skipped < size_bytes { Err(broken_off()) } else { Ok(()) }
    }

    /// Reads a frame, whose magic is the piece.
    fn frame(&mut self, left: &mut u64, charge: &mut impl FnMut(u64, u64)) -> Result<(), BlockError> {
        self.decoder.reinit()?;
        self.more(1)?;
        let descriptor = self.piece[4];
        let has_window = descriptor & 0x20 == 0;
        let has_checksum = descriptor & 4 != 0;
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let size_bytes = [usize::from(!has_window), 2, 4, 8][usize::from(descriptor >> 6)];
        self.more(usize::from(has_window) + dictionary_bytes + size_bytes)?;
        self.decode()?;
        loop {
            self.more(3)?;
            let header = u32::from_le_bytes([self.piece[0], self.piece[1], self.piece[2], 0]);
            let (is_last, is_repeated) = (header & 1 == 1, header >> 1 & 3 == 1);
            let packed_bytes = if is_repeated { 1 } else { (header >> 3) as usize };
            if packed_bytes > MOST_BLOCK_BYTES {
                return Err(BlockError::Damaged("zstd"));
            }
            self.more(packed_bytes)?;
            let yielded = self.decode()?;
            *left = left.checked_sub(yielded).ok_or(BlockError::TooLong)?;
            charge(yielded, packed_bytes as u64 * UNITS_PER_BYTE);
            if is_last {
                break;
            }
        }
        if has_checksum {
            self.more(4)?;
            self.decode()?;
        }
        Ok(())
    }
}

/// Reads a file of bzip2 streams as [`account_zstd`] reads zstd. Keeps what the decoder does, 4 MB.
///
/// # Errors
/// As [`account_zstd`].
pub fn account_bzip2(
    input: impl Read,
    limit_bytes: u64,
    mut charge: impl FnMut(u64, u64),
) -> Result<(), BlockError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut left = limit_bytes;
    while !input.fill_buf()?.is_empty() {
        bzip2_stream(&mut input, &mut left, &mut charge)?;
    }
    Ok(())
}

fn bzip2_stream(
    input: &mut impl BufRead,
    left: &mut u64,
    charge: &mut impl FnMut(u64, u64),
) -> Result<(), BlockError> {
    let damaged = |_| BlockError::Damaged("bzip2");
    let mut decoder = bzip2::Decompress::new(false);
    let mut plain = vec![0; 1 << 16];
    let mut charged = BZIP2_HEADER_BYTES;
    loop {
        // Without room for what it yields, it reads up to the end of a block.
        let is_at_end = loop {
            let packed = input.fill_buf()?;
            let before = decoder.total_in();
            let status = decoder.decompress(packed, &mut []).map_err(damaged)?;
            let taken = (decoder.total_in() - before) as usize;
            let is_at_end = packed.is_empty();
            input.consume(taken);
            if status == bzip2::Status::StreamEnd {
                return Ok(());
            }
            if taken == 0 {
                break is_at_end;
            }
        };
        // Without more to read, it yields the block and no other.
        let before = decoder.total_out();
        loop {
            let start = decoder.total_out();
            decoder.decompress(&[], &mut plain).map_err(damaged)?;
            let yielded = decoder.total_out() - start;
            *left = left.checked_sub(yielded).ok_or(BlockError::TooLong)?;
            if yielded < plain.len() as u64 {
                break;
            }
        }
        match (decoder.total_out() - before, is_at_end) {
            (0, true) => return Err(broken_off().into()),
            (0, false) => return Err(BlockError::Damaged("bzip2")),
            (yielded, _) => charge(yielded, (decoder.total_in() - charged) * UNITS_PER_BYTE),
        }
        charged = decoder.total_in();
    }
}

#[cfg(test)]
mod tests;
