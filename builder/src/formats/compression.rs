//! Compressed streams as they come: of tars as a whole, and of the layers of images.

use std::io::{self, BufRead, BufReader, Read};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    Gzip,
    /// xz, of which .debs are made.
    Xz,
    /// zstd, as engines push layers.
    Zstd,
    /// bzip2.
    Bzip2,
}

/// How many bytes [`Compression::of`] looks at.
const MAGIC_BYTES: u64 = 6;

/// A stream of the highest preset needs 65 MiB.
const XZ_MEMORY_BYTES: u64 = 256 << 20;
/// A window of more than this, 128 MiB, is of `--ultra --long` alone. Engines have 8 MiB at most.
pub(super) const ZSTD_WINDOW_LOG: u32 = 27;

impl Compression {
    /// Finds it by a stream's first bytes: names and media types are not always right. `None` for what is not
    /// compressed.
    pub fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Compression::Bzip2),
            _ => None,
        }
    }

    /// Finds it, and returns the whole stream.
    ///
    /// # Errors
    /// The stream's own.
    pub fn found<'r>(mut stream: impl Read + 'r) -> io::Result<(Option<Self>, Box<dyn BufRead + 'r>)> {
        let mut start = Vec::new();
        (&mut stream).take(MAGIC_BYTES).read_to_end(&mut start)?;
        let kind = Self::of(&start);
        Ok((kind, Box::new(io::Cursor::new(start).chain(BufReader::with_capacity(1 << 16, stream)))))
    }

    /// Returns a reader of what a stream decompresses to: all of its members, frames or streams.
    ///
    /// # Errors
    /// A decoder that cannot be made.
    pub fn reader<'r>(self, stream: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
            Compression::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, flags)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(stream, decoder))
            }
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(stream)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stream)),
        })
    }
}

/// Returns a reader of what a stream decompresses to, however it is compressed, if at all.
///
/// # Errors
/// The stream's own, and a decoder that cannot be made.
pub fn decompressed<'r>(stream: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    match Compression::found(stream)? {
        (Some(compression), whole) => compression.reader(whole),
        (None, whole) => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn plain(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompressed(packed)?.read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn every_kind_is_found_and_read_to_its_end() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"tea").expect("memory takes it");
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(&b"tea"[..], 0).read_to_end(&mut xz).expect("encodes");
        let mut bzip2 = Vec::new();
        bzip2::read::BzEncoder::new(&b"tea"[..], bzip2::Compression::fast())
            .read_to_end(&mut bzip2)
            .expect("encodes");
        let zstd = zstd::encode_all(&b"tea"[..], 1).expect("encodes");
        for packed in [gzip.finish().expect("encodes"), xz, bzip2, zstd.clone(), b"tea".to_vec()] {
            assert_eq!(plain(&packed).expect("is read"), b"tea");
            assert_eq!(plain(&packed.repeat(2)).expect("is read"), b"teatea");
        }
        // Engines put a table behind the frames, in one that is passed over (zstd:chunked).
        let table = [&zstd[..], &[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0], b"xyz"].concat();
        assert_eq!(plain(&table).expect("is read"), b"tea");
        assert!(plain(&[]).expect("is read").is_empty());
    }

    #[test]
    fn a_window_of_more_than_128_mib_is_refused() {
        // A frame without a checksum whose window is of 2^WINDOW bytes (RFC 8878, 3.1.1), and one raw block.
        let frame =
            |window: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3, 0x19, 0, 0], &b"tea"[..]].concat();
        assert_eq!(plain(&frame(20)).expect("is read"), b"tea");
        assert_eq!(plain(&frame(27)).expect("is read"), b"tea");
        plain(&frame(28)).expect_err("needs too much memory");
    }
}
