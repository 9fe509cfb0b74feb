//! A path that grows and shrinks by components.

use core::ffi::CStr;

/// `PATH_MAX` of `limits.h`: the kernel takes no longer one.
const LIMIT: usize = 4096;

/// A path in a buffer, always followed by a NUL.
pub struct Path {
    bytes: [u8; LIMIT],
    length: usize,
}

impl Path {
    pub fn new(start: &[u8]) -> Self {
        let mut path = Path { bytes: [0; LIMIT], length: 0 };
        let length = start.len().min(LIMIT - 1);
        path.bytes[..length].copy_from_slice(&start[..length]);
        path.length = length;
        path
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }

    /// Appends a component and returns the length to go back to; `None` if it does not fit.
    pub fn push(&mut self, name: &[u8]) -> Option<usize> {
        let before = self.length;
        let end = before + 1 + name.len();
        if end >= LIMIT {
            return None;
        }
        self.bytes[before] = b'/';
        self.bytes[before + 1..end].copy_from_slice(name);
        self.bytes[end] = 0;
        self.length = end;
        Some(before)
    }

    /// Appends to the last component; `None` if it does not fit.
    pub fn append(&mut self, suffix: &[u8]) -> Option<()> {
        let end = self.length + suffix.len();
        if end >= LIMIT {
            return None;
        }
        self.bytes[self.length..end].copy_from_slice(suffix);
        self.bytes[end] = 0;
        self.length = end;
        Some(())
    }

    /// Goes back to an earlier length.
    pub fn cut(&mut self, length: usize) {
        self.length = length.min(self.length);
        self.bytes[self.length] = 0;
    }
}
