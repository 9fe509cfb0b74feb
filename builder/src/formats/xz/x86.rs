//! Undoes the filter for programs of x86: the targets of jumps and calls, made absolute, become relative again.
//!
//! A jump is e8 or e9 and four bytes, the last of which is 00 or ff. As such bytes are also parts of other jumps,
//! the filter notes where the last ones were, and leaves some alone; this follows the `.xz` file format 1.2.1,
//! section 5.3.2, and liblzma, whose output it is compared with.

/// A jump with its target.
const JUMP_BYTES: usize = 5;

/// Undoes the filter in bytes that come in parts.
#[derive(Debug, Default)]
pub struct X86 {
    /// What is not passed on yet: its first byte may begin a jump.
    kept: Vec<u8>,
    /// Where the first of these lies.
    position: u32,
    /// Which of the bytes before looked like the start of a jump, the last one lowest; 0x10 if that had a last
    /// byte of a target.
    seen: u32,
    /// How far behind the last of them the first of `kept` lies.
    distance: u32,
}

impl X86 {
    /// Takes the next bytes; passes on all but the last four.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn pass<E>(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.kept.extend_from_slice(bytes);
        let done = self.undo();
        take(&self.kept[..done])?;
        self.kept.drain(..done);
        self.position = self.position.wrapping_add(done as u32);
        Ok(())
    }

    /// Returns the last bytes, which can be no jump.
    pub fn finish(&self) -> &[u8] {
        &self.kept
    }

    /// Returns how many bytes are as they were.
    fn undo(&mut self) -> usize {
        let bytes = &mut self.kept[..];
        let Some(starts) = bytes.len().checked_sub(JUMP_BYTES - 1) else { return 0 };
        let mut at = 0;
        while let Some(ahead) = bytes.get(at..starts).and_then(|rest| memchr::memchr2(0xe8, 0xe9, rest)) {
            at += ahead;
            self.distance = self.distance.saturating_add(ahead as u32);
            self.seen = match self.distance {
                distance @ 0..=5 => (0..distance).fold(self.seen, |seen, _| (seen & 0x77) << 1),
                _ => 0,
            };
            self.distance = 0;
            let target = [bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]];
            let is_end = matches!(target[3], 0 | 0xff);
            // Not if two of the last three bytes, or the one right before with an end of a target, began a jump.
            if is_end && matches!(self.seen >> 1, 0..=2 | 4) {
                let next = self.position.wrapping_add(at as u32).wrapping_add(JUMP_BYTES as u32);
                let relative = relative(u32::from_le_bytes(target), next, self.seen);
                bytes[at + 1..][..4].copy_from_slice(&relative.to_le_bytes());
                at += JUMP_BYTES;
                (self.seen, self.distance) = (0, JUMP_BYTES as u32);
            } else {
                at += 1;
                self.seen |= if is_end { 0x11 } else { 1 };
                self.distance = 1;
            }
        }
        let done = starts.max(at);
        self.distance = self.distance.saturating_add((done - at) as u32);
        done
    }
}

/// Returns a target relative to the next instruction. `seen` is 0, or says where the jump before began.
fn relative(absolute: u32, next: u32, seen: u32) -> u32 {
    let mut target = absolute;
    loop {
        let relative = target.wrapping_sub(next);
        // The byte that was the last one of the target of the jump before.
        let shift = match seen >> 1 {
            1 => Some(16),
            2 => Some(8),
            4 => Some(0),
            _ => None,
        };
        match shift {
            Some(shift) if matches!((relative >> shift) as u8, 0 | 0xff) => {
                target = relative ^ ((1 << (shift + 8)) - 1);
            }
            _ => return relative & 0x00ff_ffff | (relative >> 24 & 1).wrapping_neg() << 24,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::formats::xz::{Effort, Filter, encode_block, lzma2};

    /// Bytes of which most may begin or end a jump, near each other in all ways.
    fn jumps(length: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let byte = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [0xe8, 0xe9, 0, 0xff, 0, 0xff, 1, (state >> 8) as u8][state as usize >> 29]
        };
        (0..length).map(byte).collect()
    }

    #[test]
    fn undoes_what_liblzma_does_however_the_bytes_are_cut() {
        for length in [1, 4, 5, 6, 9, 300, 70_000] {
            let plain = jumps(length);
            let made = encode_block(&plain[..], length as u64, &Filter::X86, Effort::Fast).expect("encodes");
            let header_bytes = (usize::from(made.bytes[0]) + 1) * 4;
            let mut filtered = Vec::new();
            let take = &mut |bytes: &[u8]| {
                filtered.extend_from_slice(bytes);
                Ok::<(), Infallible>(())
            };
            lzma2::account(&mut &made.bytes[header_bytes..], 1 << 20, 1 << 20, &mut |_, _| (), take)
                .expect("decodes");
            assert!(length < 300 || filtered != plain, "the filter changes something");
            for part in [1, 3, 5, 8, 4096] {
                let (mut x86, mut undone) = (X86::default(), Vec::new());
                for bytes in filtered.chunks(part) {
                    let take = |bytes: &[u8]| {
                        undone.extend_from_slice(bytes);
                        Ok::<(), Infallible>(())
                    };
                    x86.pass(bytes, take).expect("takes all");
                }
                undone.extend_from_slice(x86.finish());
                assert!(undone == plain, "{length} bytes in parts of {part}");
            }
        }
    }
}
