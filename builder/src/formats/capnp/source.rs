//! Bytes at an offset: from memory or from a file.

use std::{cell::RefCell, fs::File, io, os::unix::fs::FileExt};

/// Bytes that can be read at any offset.
pub trait Source {
    /// Returns the length.
    fn size_bytes(&self) -> u64;

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] past the end, and what the kernel says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for &[u8] {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A page is the common size of one struct list with its names; larger ones read more contents in vain.
const PAGE_BYTES: u64 = 1 << 14;

/// A file, or a substitute for one.
pub trait ReadAt {
    /// Returns the length.
    ///
    /// # Errors
    /// The kernel's error.
    fn length(&self) -> io::Result<u64>;

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] past the end, and what the kernel says.
    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn fill_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

/// A file, read a page at a time, because a message is mostly read a word at a time.
pub struct FileSource<'a> {
    file: &'a dyn ReadAt,
    size_bytes: u64,
    page: RefCell<(u64, Vec<u8>)>,
}

impl<'a> FileSource<'a> {
    /// Reads a file that does not change meanwhile.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn new(file: &'a dyn ReadAt) -> io::Result<Self> {
        Ok(FileSource { file, size_bytes: file.length()?, page: RefCell::default() })
    }
}

impl Source for FileSource<'_> {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if buffer.len() as u64 > PAGE_BYTES {
            return self.file.fill_at(buffer, offset);
        }
        let mut page = self.page.borrow_mut();
        let held = page.0..page.0 + page.1.len() as u64;
        if !(held.contains(&offset) && end <= held.end) {
            let mut bytes = vec![0; PAGE_BYTES.min(self.size_bytes - offset) as usize];
            self.file.fill_at(&mut bytes, offset)?;
            *page = (offset, bytes);
        }
        let start = (offset - page.0) as usize;
        buffer.copy_from_slice(&page.1[start..start + buffer.len()]);
        Ok(())
    }
}
