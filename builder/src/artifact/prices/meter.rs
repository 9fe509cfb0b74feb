//! What bytes took, summed up by where they lie in a decompressed stream.

use std::{
    io::{self, Read},
    ops::Range,
};

use crate::formats::{
    blocks, deflate,
    xz::{self, lzma2::UNITS_PER_BYTE},
};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::artifact) enum Packing {
    /// Not at all.
    Stored,
    Gzip,
    Zlib,
    Xz,
    Zstd,
    Bzip2,
}

/// Sums up prices by the spans of a stream that they fall into.
pub(in crate::artifact) struct Meter {
    /// In order, none over another.
    spans: Vec<Range<u64>>,
    current: usize,
    position: u64,
    /// The units of each span.
    pub units: Vec<u64>,
    /// The units of what is in none.
    pub besides: u64,
}

impl Meter {
    /// Begins at the start of the stream.
    pub fn new(spans: Vec<Range<u64>>) -> Self {
        let units = vec![0; spans.len()];
        Meter { spans, current: 0, position: 0, units, besides: 0 }
    }

    /// Returns how many bytes were charged.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns whether it sums up by these spans.
    pub fn is_of(&self, spans: &[Range<u64>]) -> bool {
        self.spans == spans
    }

    /// Reads a stream with accounting, up to so many bytes of what it yields.
    ///
    /// # Errors
    /// A stream that cannot be read, or is damaged.
    pub fn read(&mut self, packing: Packing, input: impl Read, limit_bytes: u64) -> io::Result<()> {
        let charge = |count, price| self.charge(count, price);
        match packing {
            Packing::Gzip => deflate::account_gzip(input, limit_bytes, charge).map_err(io::Error::other)?,
            Packing::Zlib => deflate::account_zlib(input, limit_bytes, charge).map_err(io::Error::other)?,
            Packing::Xz => {
                xz::accounted::account(input, limit_bytes, charge).map_err(io::Error::other)?;
            }
            Packing::Stored => {
                let count = io::copy(&mut input.take(limit_bytes), &mut io::sink())?;
                self.charge(count, count * UNITS_PER_BYTE);
            }
            Packing::Zstd => blocks::account_zstd(input, limit_bytes, charge).map_err(io::Error::other)?,
            Packing::Bzip2 => blocks::account_bzip2(input, limit_bytes, charge).map_err(io::Error::other)?,
        }
        Ok(())
    }

    /// Charges the bytes that come next with what they took together, evenly.
    #[inline]
    pub fn charge(&mut self, mut count: u64, mut price: u64) {
        while count > 0 {
            while self.spans.get(self.current).is_some_and(|span| span.end <= self.position) {
                self.current += 1;
            }
            let (end, sum) = match self.spans.get(self.current) {
                Some(span) if span.start <= self.position => (span.end, &mut self.units[self.current]),
                Some(span) => (span.start, &mut self.besides),
                None => (u64::MAX, &mut self.besides),
            };
            let here = count.min(end - self.position);
            let part = match here == count {
                true => price,
                false => (u128::from(price) * u128::from(here) / u128::from(count)) as u64,
            };
            *sum += part;
            (count, price, self.position) = (count - here, price - part, self.position + here);
        }
    }
}
