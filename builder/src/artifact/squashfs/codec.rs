//! Blocks of an image, compressed and decompressed.

use std::io::{self, Read};

use liblzma::{
    read::{XzDecoder, XzEncoder},
    stream::{Check, Filters, LzmaOptions, Stream},
};

use super::{BLOCK_BYTES, BLOCK_LOG};
use crate::formats::xz::Effort;

/// How the blocks of an image are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Gzip,
    Xz,
    Zstd,
}

/// The superblock's number of xz.
pub(super) const XZ: u16 = 4;

/// A decoder of blocks of 1 MiB, whose dictionary is no larger, needs little more than that.
const MEMORY_LIMIT_BYTES: u64 = 4 << 20;

impl Codec {
    /// Returns the codec of a number of the superblock; else the name of one that is not read.
    pub fn of(number: u16) -> Result<Self, &'static str> {
        match number {
            1 => Ok(Codec::Gzip),
            XZ => Ok(Codec::Xz),
            6 => Ok(Codec::Zstd),
            2 => Err("is compressed by lzma, which is not read"),
            3 => Err("is compressed by lzo, which is not read"),
            5 => Err("is compressed by lz4, which is not read"),
            _ => Err("is compressed in an unknown way"),
        }
    }

    /// Decompresses a block that has at most so many bytes.
    ///
    /// # Errors
    /// A damaged block, and a longer one.
    pub fn decompress(self, packed: &[u8], most_bytes: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(most_bytes.min(BLOCK_BYTES));
        let most = most_bytes as u64 + 1;
        match self {
            Codec::Gzip => flate2::bufread::ZlibDecoder::new(packed).take(most).read_to_end(&mut out)?,
            Codec::Xz => {
                let stream = Stream::new_stream_decoder(MEMORY_LIMIT_BYTES, 0)?;
                XzDecoder::new_stream(packed, stream).take(most).read_to_end(&mut out)?
            }
            Codec::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(packed)?;
                decoder.window_log_max(u32::from(BLOCK_LOG))?;
                decoder.take(most).read_to_end(&mut out)?
            }
        };
        match out.len() <= most_bytes {
            true => Ok(out),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a block is longer than it may be")),
        }
    }
}

/// Compresses a block; `None` if it would not become smaller. The kernel's decoder wants CRC32 and a
/// dictionary no larger than a block (`fs/squashfs/xz_wrapper.c`).
///
/// # Errors
/// No memory.
pub(super) fn compress(plain: &[u8], effort: Effort) -> io::Result<Option<Vec<u8>>> {
    let mut options = LzmaOptions::new_preset(effort.preset())?;
    options.dict_size(BLOCK_BYTES as u32);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc32)?;
    let mut out = Vec::new();
    XzEncoder::new_stream(plain, stream).read_to_end(&mut out)?;
    Ok((out.len() < plain.len()).then_some(out))
}
