//! Which programs hold mostly the same code, as those of one package that are linked with the same archive
//! (git's), or one program under two names.
//!
//! The filter that makes jumps absolute makes most programs smaller; but the same function at another place
//! then differs in every call, and what programs have in common is lost. So they are found beforehand, by
//! windows of bytes: of all windows of a program, those are taken whose hash is in a chosen part of its range,
//! so that the same bytes yield the same samples wherever they stand.

use std::{
    collections::HashSet,
    io::{self, Read},
};

/// Programs below this are not looked at: little can be saved.
const LEAST_BYTES: u64 = 256 << 10;

/// The largest programs are compared, at most this many.
const MAX_PROGRAMS: usize = 32;

/// And at most this much of them, so that an image that was made to cost much costs little.
const MAX_BYTES: u64 = 256 << 20;

/// Length of a window: some instructions.
const WINDOW_BYTES: usize = 16;

/// One window in this many is a sample.
const ONE_IN: u64 = 64;

/// Programs are alike if at least this part of the smaller one is also in the other. Git's programs share
/// 42 % and more; others at most 18 %, which is what all compilers make.
const LEAST_SHARE_PERCENT: u64 = 30;

/// Leaves the programs that are worth a comparison, the largest first.
pub(super) fn choose<T: Ord>(programs: &mut Vec<(u64, T)>) {
    programs.retain(|(size_bytes, _)| *size_bytes >= LEAST_BYTES);
    programs.sort_unstable_by(|one, other| other.cmp(one));
    programs.truncate(MAX_PROGRAMS);
    let mut sum = 0_u64;
    programs.retain(|(size_bytes, _)| {
        let fits = sum.saturating_add(*size_bytes) <= MAX_BYTES;
        sum += if fits { *size_bytes } else { 0 };
        fits
    });
}

/// What is compared of a program.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    hashes: HashSet<u64>,
    size_bytes: u64,
}

impl Samples {
    /// Takes the samples of a program. Windows of two equal halves, zeros mostly, are none.
    ///
    /// # Errors
    /// The reader's.
    pub fn of(mut program: impl Read) -> io::Result<Self> {
        let (mut hashes, mut size_bytes) = (HashSet::new(), 0);
        let mut buffer = vec![0; 1 << 16];
        let mut kept = 0;
        loop {
            let got = program.read(&mut buffer[kept..])?;
            if got == 0 {
                return Ok(Samples { hashes, size_bytes });
            }
            size_bytes += got as u64;
            let end = kept + got;
            hashes.extend(buffer[..end].windows(WINDOW_BYTES).filter_map(sample));
            let from = end.saturating_sub(WINDOW_BYTES - 1);
            buffer.copy_within(from..end, 0);
            kept = end - from;
        }
    }

    fn is_alike(&self, other: &Self) -> bool {
        let common = self.hashes.intersection(&other.hashes).count() as u64;
        common * ONE_IN * 100 >= self.size_bytes.min(other.size_bytes) * LEAST_SHARE_PERCENT
    }
}

fn sample(window: &[u8]) -> Option<u64> {
    let half = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    let (one, two) = (half(&window[..8]), half(&window[8..]));
    let mixed = one.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (two.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) >> 1);
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (one != two && (hash >> 32).is_multiple_of(ONE_IN)).then_some(hash)
}

/// Returns for each program whether another one of the list is alike.
pub(super) fn alike(programs: &[Samples]) -> Vec<bool> {
    let mut alike = vec![false; programs.len()];
    for (at, one) in programs.iter().enumerate() {
        for (other_at, other) in programs.iter().enumerate().skip(at + 1) {
            if one.is_alike(other) {
                alike[at] = true;
                alike[other_at] = true;
            }
        }
    }
    alike
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(mut state: u64, length: usize) -> Vec<u8> {
        let mut step = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        (0..length).map(|_| step()).collect()
    }

    #[test]
    fn programs_with_the_same_functions_at_other_places_are_alike() {
        let common = code(1, 150_000);
        let one = [&code(2, 100_001)[..], &common, &code(3, 50_000)].concat();
        let two = [&code(4, 77)[..], &common, &code(5, 130_000)].concat();
        let little = [&common[..30_000], &code(6, 270_000)].concat();
        let zeros = vec![0; 300_000];
        let of = |programs: &[&[u8]]| {
            let samples: Vec<_> = programs.iter().map(|p| Samples::of(*p).expect("reads")).collect();
            alike(&samples)
        };
        assert_eq!(of(&[&one, &little, &two, &zeros, &zeros]), [true, false, true, false, false]);
        assert_eq!(of(&[&one, &one]), [true, true]);
        assert_eq!(of(&[&one]), [false]);
    }

    #[test]
    fn the_largest_programs_are_compared_and_not_too_many() {
        let mib = 1 << 20;
        let mut programs = vec![(300 * mib, 0), (mib / 8, 1), (200 * mib, 2), (100 * mib, 3), (56 * mib, 4)];
        choose(&mut programs);
        assert_eq!(programs, [(200 * mib, 2), (56 * mib, 4)]);
        let mut many: Vec<_> = (0..100).map(|index| (mib, index)).collect();
        choose(&mut many);
        assert_eq!((many.len(), many[0]), (32, (mib, 99)));
    }

    #[test]
    fn samples_do_not_depend_on_how_much_a_reader_gives() {
        struct Drop<'a>(&'a [u8]);
        impl Read for Drop<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let most = buffer.len().min(7);
                self.0.read(&mut buffer[..most])
            }
        }
        let program = code(9, 200_000);
        let (whole, drops) = (Samples::of(&program[..]), Samples::of(Drop(&program)));
        assert_eq!(whole.expect("reads").hashes, drops.expect("reads").hashes);
    }
}
