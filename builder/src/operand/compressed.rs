//! Compressed tars and images, decompressed into a file without a name.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Write as _},
};

use super::OperandFault;
use crate::{
    digest::{Digest, Hashed},
    formats::compression::Compression,
    store,
};

/// Decompresses a file, up to so many bytes; returns also the digest and the length of the file itself.
pub(super) fn decompress(
    file: &File,
    compression: Compression,
    limit_bytes: u64,
) -> Result<(File, Digest, u64), OperandFault> {
    let mut packed = Hashed::new(file);
    let buffered = BufReader::with_capacity(1 << 16, &mut packed);
    let mut reader = compression.reader(buffered).map_err(OperandFault::Compressed)?;
    let mut out = store::unnamed().map_err(OperandFault::Kept)?;
    let (mut buffer, mut size_bytes) = (vec![0; 1 << 18], 0);
    loop {
        let count = reader.read(&mut buffer).map_err(OperandFault::Compressed)?;
        if count == 0 {
            break;
        }
        size_bytes += count as u64;
        if size_bytes > limit_bytes {
            return Err(OperandFault::TooLong { limit_bytes });
        }
        out.write_all(&buffer[..count]).map_err(OperandFault::Kept)?;
    }
    drop(reader);
    io::copy(&mut packed, &mut io::sink()).map_err(OperandFault::Compressed)?;
    let (digest, packed_bytes) = packed.finish();
    Ok((out, digest, packed_bytes))
}
