//! How much a reader takes of what others made: entries, contents, and what a tree keeps in memory.
//!
//! A few bytes can stand for much: a name of four letters for a path of 4095 bytes, a compressed megabyte for a
//! thousand, a layer that is named twice for two. So each is charged when it comes, however often it comes and
//! whether or not anything of it is kept.

/// The limits of a root, or of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries. In memory each takes some hundred bytes.
    pub entries: u64,
    /// Contents of all files together, and all else that is read and not kept, in bytes.
    pub content_bytes: u64,
    /// Paths, link targets and extended attributes together, in bytes.
    pub held_bytes: u64,
}

/// What may still come.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    left: Limits,
}

/// More than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has more {what} than allowed: {limit}")]
pub struct TooMuch {
    /// Of what.
    pub what: &'static str,
    /// How many there may be.
    pub limit: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    /// Most entries of an image. Real ones have some ten thousand, large ones 300 000.
    pub const ENTRIES: u64 = 500_000;
    /// Most bytes of all contents together.
    pub const BYTES: u64 = 4 << 30;
    /// How many directories an entry may lie below; of an `.spk` 62. A path has room for two thousand, and much that
    /// is done with an entry is done with each of them.
    pub const DIRECTORIES: usize = 256;
    /// Most bytes of all paths, link targets and attributes: for each entry as many as an `.spk` may have.
    pub const HELD_BYTES: u64 = 40 << 20;

    /// Returns the budget of one image, with all its layers.
    pub fn new() -> Self {
        Budget::of(Limits {
            entries: Self::ENTRIES,
            content_bytes: Self::BYTES,
            held_bytes: Self::HELD_BYTES,
        })
    }

    /// Returns a budget of which nothing is spent.
    pub fn of(limits: Limits) -> Self {
        Budget { limits, left: limits }
    }

    /// Takes an entry.
    ///
    /// # Errors
    /// There were as many as allowed.
    pub fn entry(&mut self) -> Result<(), TooMuch> {
        take(&mut self.left.entries, 1, "entries", self.limits.entries)
    }

    /// Takes contents.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn bytes(&mut self, count: u64) -> Result<(), TooMuch> {
        take(&mut self.left.content_bytes, count, "bytes of contents", self.limits.content_bytes)
    }

    /// Takes bytes of a path, a link target, or an attribute.
    ///
    /// # Errors
    /// They are more than allowed.
    pub fn held(&mut self, count: usize) -> Result<(), TooMuch> {
        let what = "bytes of paths, link targets and attributes";
        take(&mut self.left.held_bytes, count as u64, what, self.limits.held_bytes)
    }

    /// Returns how many bytes of contents may still come.
    pub fn bytes_left(&self) -> u64 {
        self.left.content_bytes
    }
}

fn take(left: &mut u64, count: u64, what: &'static str, limit: u64) -> Result<(), TooMuch> {
    *left = left.checked_sub(count).ok_or(TooMuch { what, limit })?;
    Ok(())
}
