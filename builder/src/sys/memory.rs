//! Memory for much that is read at once.

use std::io;

use memmap2::{Advice, MmapMut};

/// Returns so many bytes of zeroes, in large pages where the kernel has some: what is read whole into fresh
/// memory of 4 KiB a page takes longer for the pages than for the reading (`madvise(2)`, MADV_HUGEPAGE).
///
/// # Errors
/// No memory.
pub fn zeroes(length: usize) -> io::Result<MmapMut> {
    // A mapping is not empty.
    let memory = MmapMut::map_anon(length.max(1))?;
    // Not every kernel has large pages.
    let _ = memory.advise(Advice::HugePage);
    Ok(memory)
}
