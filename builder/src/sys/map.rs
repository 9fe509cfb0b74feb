//! Files seen as memory.

use std::{fs::File, io};

/// A whole file, read as it is touched.
pub struct Mapped(memmap2::Mmap);

/// Maps a file for reading.
///
/// Only for files that no program ever changes in place, such as those of the store, which are written under
/// another name and then renamed: where one is cut short all the same, the process ends by SIGBUS (`mmap(2)`).
///
/// # Errors
/// What the kernel says; an empty file cannot be mapped.
pub fn map(file: &File) -> io::Result<Mapped> {
    // SAFETY: the bytes may be read as long as the file is not changed, which is the caller's to see to.
    unsafe { memmap2::Mmap::map(file) }.map(Mapped)
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
