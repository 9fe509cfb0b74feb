//! Compressed tars and images, decompressed into a file without a name.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
};

use super::OperandFault;
use crate::store;

/// How a file is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

/// A stream of the highest preset needs 65 MiB.
const XZ_MEMORY_BYTES: u64 = 256 << 20;
/// A window of more than this is of `--ultra --long` alone.
const ZSTD_WINDOW_LOG: u32 = 27;

impl Compression {
    /// Finds it by a file's first bytes.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Compression::Bzip2),
            _ => None,
        }
    }

    fn reader<'r>(self, file: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
        let file = BufReader::with_capacity(1 << 16, file);
        Ok(match self {
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
            }
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(file)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        })
    }

    /// Decompresses a file, up to so many bytes.
    pub(super) fn decompress(self, file: &File, limit_bytes: u64) -> Result<File, OperandFault> {
        let mut reader = self.reader(file).map_err(OperandFault::Compressed)?;
        let mut out = store::unnamed().map_err(OperandFault::Kept)?;
        let (mut buffer, mut size_bytes) = (vec![0; 1 << 18], 0);
        loop {
            let count = reader.read(&mut buffer).map_err(OperandFault::Compressed)?;
            if count == 0 {
                return Ok(out);
            }
            size_bytes += count as u64;
            if size_bytes > limit_bytes {
                return Err(OperandFault::TooLong { limit_bytes });
            }
            out.write_all(&buffer[..count]).map_err(OperandFault::Kept)?;
        }
    }
}
