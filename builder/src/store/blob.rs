//! Contents by digest, wherever they lie.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::pack::Pack;

/// Where contents lie.
#[derive(Clone, Debug)]
pub(super) enum BlobLocation {
    Pack { pack: Pack, offset: u64, size_bytes: u64 },
    Memory(Arc<[u8]>),
}

/// Contents that can be read at any offset, without a position of their own. Those of a pack are checked when
/// they are first read.
#[derive(Clone, Debug)]
pub struct Blob(pub(super) BlobLocation);

impl Blob {
    /// Returns the length.
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            BlobLocation::Pack { size_bytes, .. } => *size_bytes,
            BlobLocation::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Reads at an offset; a short count means the end.
    ///
    /// # Errors
    /// The kernel's error; [`io::ErrorKind::InvalidData`] for contents that were changed since they were
    /// written.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.size_bytes().saturating_sub(offset);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        match &self.0 {
            BlobLocation::Pack { pack, offset: start, .. } => {
                pack.read_exact_at(buffer, start + offset).inspect_err(|error| noted(pack, error))?;
            }
            BlobLocation::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer.copy_from_slice(&bytes[start..start + wanted]);
            }
        }
        Ok(wanted)
    }

    /// Returns all of it.
    ///
    /// # Errors
    /// As [`Blob::read_at`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut out = vec![0; usize::try_from(self.size_bytes()).map_err(io::Error::other)?];
        let got = self.read_at(&mut out, 0)?;
        out.truncate(got);
        Ok(out)
    }

    /// Writes all of it to a file, from the file's start; inside the kernel where that is possible.
    ///
    /// # Errors
    /// As [`Blob::read_at`].
    pub fn copy_to(&self, target: &File) -> io::Result<()> {
        let mut done = 0;
        if let BlobLocation::Pack { pack, offset, size_bytes } = &self.0
            && *size_bytes >= IN_KERNEL_BYTES
        {
            pack.check_range(*offset, *size_bytes).inspect_err(|error| noted(pack, error))?;
            let (mut from, mut to) = (*offset, 0);
            while done < *size_bytes {
                let left = usize::try_from(size_bytes - done).unwrap_or(usize::MAX).min(1 << 30);
                // Fails across file systems and on some network ones; reading and writing always works.
                match rustix::fs::copy_file_range(pack.file(), Some(&mut from), target, Some(&mut to), left) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => done += count as u64,
                }
            }
        }
        let mut buffer =
            vec![0; usize::try_from(self.size_bytes() - done).unwrap_or(usize::MAX).min(1 << 17)];
        while done < self.size_bytes() {
            let got = self.read_at(&mut buffer, done)?;
            target.write_all_at(&buffer[..got], done)?;
            done += got as u64;
        }
        Ok(())
    }

    /// Returns a reader from the start.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), offset: 0 }
    }
}

/// From this size on copying inside the kernel beats one read and one write.
const IN_KERNEL_BYTES: u64 = 1 << 16;

fn noted(pack: &Pack, error: &io::Error) {
    if error.kind() == io::ErrorKind::InvalidData {
        pack.refuse();
    }
}

/// Reads a [`Blob`] as a file is read.
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    offset: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.blob.read_at(buffer, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.blob.size_bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
        };
        self.offset = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}
