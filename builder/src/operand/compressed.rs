//! Compressed tars and images, decompressed into a file without a name.

use std::{
    fs::File,
    io::{BufReader, Read as _, Write as _},
};

use super::OperandFault;
use crate::{formats::compression::Compression, store};

/// Decompresses a file, up to so many bytes.
pub(super) fn decompress(
    file: &File,
    compression: Compression,
    limit_bytes: u64,
) -> Result<File, OperandFault> {
    let file = BufReader::with_capacity(1 << 16, file);
    let mut reader = compression.reader(file).map_err(OperandFault::Compressed)?;
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
