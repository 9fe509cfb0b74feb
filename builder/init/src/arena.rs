//! Memory that is handed out and never given back.

use crate::sys;

/// Hands out pieces of anonymous memory that live as long as the process.
pub struct Arena {
    free: &'static mut [u8],
}

impl Arena {
    pub fn new() -> Self {
        Arena { free: &mut [] }
    }

    /// Returns zeroed bytes that begin at a multiple of 8.
    pub fn bytes(&mut self, length: usize) -> &'static mut [u8] {
        let rounded = length.next_multiple_of(8);
        if rounded > self.free.len() {
            let chunk = rounded.max(1 << 16);
            match sys::memory(chunk) {
                Some(memory) => self.free = memory,
                None => {
                    crate::log::line(&[b"out of memory"]);
                    sys::exit(crate::FAULT);
                }
            }
        }
        let (piece, rest) = core::mem::take(&mut self.free).split_at_mut(rounded);
        self.free = rest;
        &mut piece[..length]
    }

    /// Returns a list of null pointers.
    pub fn pointers(&mut self, length: usize) -> &'static mut [*const u8] {
        let bytes = self.bytes(length * size_of::<*const u8>());
        // SAFETY: ours alone, aligned to 8 by `bytes`, of the right length, and zero is a null pointer.
        unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), length) }
    }

    /// Returns a copy with a NUL after it.
    pub fn string(&mut self, parts: &[&[u8]]) -> *const u8 {
        let out = self.bytes(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        out.as_ptr()
    }
}
