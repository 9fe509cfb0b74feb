//! What bytes took, summed up by where they lie in a decompressed stream.

use std::ops::Range;

use crate::formats::xz::lzma2::UNITS_PER_BYTE;

/// Sums up prices by the spans of a stream that they fall into.
pub(super) struct Meter<'a> {
    /// In order, none over another.
    spans: &'a [Range<u64>],
    current: usize,
    position: u64,
    /// The first span that has a part in it.
    pub first: usize,
    /// The units of that and of those behind it, as far as something came.
    pub units: Vec<u64>,
    /// The units of what is in none.
    pub besides: u64,
}

impl<'a> Meter<'a> {
    /// Begins at a place of the stream.
    pub fn new(spans: &'a [Range<u64>], position: u64) -> Self {
        let first = spans.partition_point(|span| span.end <= position);
        Meter { spans, current: first, position, first, units: Vec::new(), besides: 0 }
    }

    /// Charges the bytes that come next with what they took together, evenly.
    pub fn charge(&mut self, mut count: u64, mut price: u64) {
        while count > 0 {
            while self.spans.get(self.current).is_some_and(|span| span.end <= self.position) {
                self.current += 1;
            }
            let (end, is_file) = match self.spans.get(self.current) {
                Some(span) if span.start <= self.position => (span.end, true),
                Some(span) => (span.start, false),
                None => (u64::MAX, false),
            };
            let here = count.min(end - self.position);
            let part = match here == count {
                true => price,
                false => (u128::from(price) * u128::from(here) / u128::from(count)) as u64,
            };
            if is_file {
                self.units.resize(self.current - self.first + 1, 0);
                self.units[self.current - self.first] += part;
            } else {
                self.besides += part;
            }
            (count, price, self.position) = (count - here, price - part, self.position + here);
        }
    }

    /// Charges bytes that stand as they are.
    pub fn stored(&mut self, count: u64) {
        self.charge(count, count * UNITS_PER_BYTE);
    }
}
