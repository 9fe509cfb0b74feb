//! What was decompressed last, for matches to reach back to.

use super::Damaged;

/// The longest match.
const LONGEST: usize = 273;

/// The size that a window begins with; it grows with what comes, so a header that asks for much costs nothing.
const START_BYTES: usize = 1 << 16;

/// A ring. Its bytes are passed on before they are written over: [`Window::take`].
pub(super) struct Window {
    /// `size` and room for the end of a match.
    bytes: Vec<u8>,
    size: usize,
    dictionary_bytes: usize,
    /// Where the next byte goes.
    at: usize,
    /// The first byte that was not taken.
    fresh: usize,
    /// How much came since it was last forgotten.
    pub position: usize,
}

impl Window {
    pub fn new(dictionary_bytes: usize) -> Self {
        let size = dictionary_bytes.min(START_BYTES);
        Window { bytes: vec![0; size + LONGEST], size, dictionary_bytes, at: 0, fresh: 0, position: 0 }
    }

    /// Forgets all that a match could reach.
    pub fn forget(&mut self) {
        self.position = 0;
    }

    /// Returns whether [`Window::take`] is due: there is no room for another match.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.at >= self.size
    }

    /// Hands out what came since the last call, and makes room.
    pub fn take<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        let taken = take(&self.bytes[self.fresh..self.at]);
        if self.is_full() && self.size < self.dictionary_bytes {
            self.size = self.dictionary_bytes.min(self.size * 2);
            self.bytes.resize(self.size + LONGEST, 0);
        } else if self.is_full() {
            self.bytes.copy_within(self.size..self.at, 0);
            self.at -= self.size;
        }
        self.fresh = self.at;
        taken
    }

    #[inline(always)]
    pub fn push(&mut self, byte: u8) {
        self.bytes[self.at] = byte;
        self.at += 1;
        self.position += 1;
    }

    /// Appends bytes as far as there is room; returns the others.
    pub fn append<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.size - self.at));
        self.bytes[self.at..][..now.len()].copy_from_slice(now);
        self.at += now.len();
        self.position += now.len();
        later
    }

    /// Returns the byte at a distance, 0 for the last one. What was never there is 0.
    #[inline(always)]
    pub fn back(&self, distance: usize) -> u8 {
        if distance >= self.position {
            return 0;
        }
        let at = if distance < self.at { self.at } else { self.at + self.size };
        self.bytes.get(at.wrapping_sub(distance + 1)).copied().unwrap_or_default()
    }

    /// Appends what was there at a distance, at most [`LONGEST`] bytes of it.
    #[inline(always)]
    pub fn repeat(&mut self, distance: usize, length: usize) -> Result<(), Damaged> {
        if distance >= self.position.min(self.size) {
            return Err(Damaged);
        }
        let at = self.at;
        self.at += length;
        self.position += length;
        if distance >= at {
            let from = at + self.size - distance - 1;
            for place in 0..length {
                let from = from + place;
                self.bytes[at + place] = self.bytes[if from < self.size { from } else { from - self.size }];
            }
        } else if distance + 1 >= length {
            let from = at - distance - 1;
            self.bytes.copy_within(from..from + length, at);
        } else {
            let from = at - distance - 1;
            (0..length).for_each(|place| self.bytes[at + place] = self.bytes[from + place]);
        }
        Ok(())
    }
}
