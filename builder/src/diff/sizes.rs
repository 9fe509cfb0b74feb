//! Sizes before and after, and their sums.

use super::Side;
use crate::tree::{Entry, Kind};

/// From here on a change of what is the same in both is notable.
const NOTABLE_BYTES: u64 = 1000;

/// From here on it is if it is 1 % or more.
const NOISE_BYTES: u64 = 100;

/// Sizes before and after, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// Contents in the first.
    pub before_bytes: u64,
    /// Contents in the second.
    pub after_bytes: u64,
    /// The same compressed in the first; `None` where it is not known.
    pub packed_before_bytes: Option<u64>,
    /// The same compressed in the second.
    pub packed_after_bytes: Option<u64>,
}

impl Sizes {
    /// Returns no bytes, known to be so as far as the sides are priced.
    pub(super) fn none(sides: [&Side<'_>; 2]) -> Self {
        let [packed_before_bytes, packed_after_bytes] = sides.map(|side| side.packed.map(|_| 0));
        Sizes { packed_before_bytes, packed_after_bytes, ..Sizes::default() }
    }

    pub(super) fn add(&mut self, other: &Sizes) {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        self.before_bytes += other.before_bytes;
        self.after_bytes += other.after_bytes;
        self.packed_before_bytes = sum(self.packed_before_bytes, other.packed_before_bytes);
        self.packed_after_bytes = sum(self.packed_after_bytes, other.packed_after_bytes);
    }

    /// Returns the sizes of the first alone, the other being none.
    pub(super) fn only_before(&self) -> Self {
        Sizes { after_bytes: 0, packed_after_bytes: self.packed_after_bytes.map(|_| 0), ..*self }
    }

    /// Returns the sizes of the second alone.
    pub(super) fn only_after(&self) -> Self {
        Sizes { before_bytes: 0, packed_before_bytes: self.packed_before_bytes.map(|_| 0), ..*self }
    }

    /// Takes the sizes in the first from another.
    pub(super) fn take_before(&mut self, other: &Sizes) {
        (self.before_bytes, self.packed_before_bytes) = (other.before_bytes, other.packed_before_bytes);
    }

    /// Returns the packed sizes; `None` unless both are known.
    pub fn packed(&self) -> Option<(u64, u64)> {
        Some((self.packed_before_bytes?, self.packed_after_bytes?))
    }

    /// Returns the sizes that decide: the packed ones where both are known, else the installed ones.
    pub fn deciding(&self) -> (u64, u64) {
        self.packed().unwrap_or((self.before_bytes, self.after_bytes))
    }

    /// Returns by how much the contents grew; negative where they shrank.
    pub fn growth_bytes(&self) -> i64 {
        growth((self.before_bytes, self.after_bytes))
    }

    /// Returns whether what decides differs by more than a change elsewhere moves it: what is the same costs a
    /// little more or less wherever the coder's state before it is another.
    pub fn is_notable(&self) -> bool {
        let (before, after) = self.deciding();
        let change = before.abs_diff(after);
        change >= NOTABLE_BYTES || change >= NOISE_BYTES && change.saturating_mul(100) >= before.max(after)
    }

    /// Orders the largest change first, be it more or less.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let installed = growth((self.before_bytes, self.after_bytes)).unsigned_abs();
        std::cmp::Reverse((growth(self.deciding()).unsigned_abs(), installed))
    }
}

/// The parts of both trees that are the same, and are in no list: their packed sizes can differ all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Unchanged {
    /// Of headings.
    pub packages: Rest,
    /// Of directories.
    pub directories: Rest,
    /// Of paths that are no directories.
    pub paths: Rest,
}

/// A sum of what is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rest {
    /// How many.
    pub count: usize,
    /// What they hold.
    #[serde(flatten)]
    pub sizes: Sizes,
}

impl Rest {
    pub(super) fn new(sizes: Sizes) -> Self {
        Rest { count: 0, sizes }
    }

    /// Adds one.
    pub fn add(&mut self, sizes: &Sizes) {
        self.count += 1;
        self.sizes.add(sizes);
    }
}

fn growth((before_bytes, after_bytes): (u64, u64)) -> i64 {
    i64::try_from(i128::from(after_bytes) - i128::from(before_bytes)).unwrap_or(i64::MAX)
}

/// Returns the size of an entry's own contents; 0 for the further names of a hard link.
pub fn own_bytes(entry: &Entry) -> u64 {
    match entry.kind {
        Kind::File { size_bytes, hard_link: None, .. } => size_bytes,
        _ => 0,
    }
}
