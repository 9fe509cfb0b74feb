//! Sparse files: a map of the parts that are stored, and zeros between them (GNU tar's manual, "Storing Sparse
//! Files").
//!
//! GNU tar writes the map into the header and blocks behind it (`S`); with PAX headers in one of three ways, of
//! which 1.0, at the start of the contents, is also bsdtar's.

use std::io::{self, Read};

use tar::Header;

use super::{
    TarError,
    extension::number,
    members::{BLOCK_BYTES, Members},
};
use crate::formats::budget::Budget;

/// What a part takes of memory.
const PART_BYTES: usize = size_of::<(u64, u64)>();

const DAMAGED: TarError = TarError::Extension("has a damaged map of a sparse file");

/// The parts of a file that are stored.
pub(super) struct Map {
    /// Where each begins, and how long it is; in order.
    parts: Vec<(u64, u64)>,
    /// The length of the file.
    pub size_bytes: u64,
}

impl Map {
    /// Returns a map whose parts follow each other within the file.
    fn new(mut parts: Vec<(u64, u64)>, size_bytes: u64) -> Result<Self, TarError> {
        let mut end = 0;
        for (offset, length) in &parts {
            if *offset < end {
                return Err(DAMAGED);
            }
            end = offset.checked_add(*length).filter(|end| *end <= size_bytes).ok_or(DAMAGED)?;
        }
        parts.retain(|(_, length)| *length > 0);
        Ok(Map { parts, size_bytes })
    }

    /// Returns how much is stored.
    pub fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }

    /// Returns a reader of the whole file.
    pub fn reader<R: Read>(self, inner: R) -> Whole<R> {
        Whole { inner, map: self, part: 0, position: 0 }
    }
}

/// Reads a whole file: zeros where nothing is stored.
pub(super) struct Whole<R> {
    inner: R,
    map: Map,
    part: usize,
    position: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.map.parts.get(self.part).is_some_and(|(offset, length)| offset + length <= self.position) {
            self.part += 1;
        }
        let (end, is_stored) = match self.map.parts.get(self.part) {
            Some((offset, length)) if *offset <= self.position => (offset + length, true),
            Some((offset, _)) => (*offset, false),
            None => (self.map.size_bytes, false),
        };
        let wanted = buffer.len().min(usize::try_from(end - self.position).unwrap_or(usize::MAX));
        let got = match is_stored {
            true => self.inner.read(&mut buffer[..wanted])?,
            false => {
                buffer[..wanted].fill(0);
                wanted
            }
        };
        self.position += got as u64;
        Ok(got)
    }
}

/// Reads the map of a member of the kind `S`: four parts in its header, 21 in each block that follows.
pub(super) fn of_header<R: Read>(
    header: &Header,
    members: &mut Members<R>,
    budget: &mut Budget,
) -> Result<Map, TarError> {
    let gnu = header.as_gnu().ok_or(DAMAGED)?;
    let size_bytes = gnu.real_size()?;
    let mut parts = Vec::new();
    let mut add = |sparse: &[tar::GnuSparseHeader]| -> Result<(), TarError> {
        for part in sparse.iter().filter(|part| !part.is_empty()) {
            parts.push((part.offset()?, part.length()?));
        }
        Ok(())
    };
    add(&gnu.sparse)?;
    let mut is_extended = gnu.is_extended();
    while is_extended {
        budget.bytes(BLOCK_BYTES as u64)?;
        budget.held(21 * PART_BYTES)?;
        let mut block = tar::GnuExtSparseHeader::new();
        *block.as_mut_bytes() = members.extra_block()?;
        add(block.sparse())?;
        is_extended = block.is_extended();
    }
    Map::new(parts, size_bytes)
}

/// What PAX records say of a sparse file.
#[derive(Default)]
pub(super) struct Pax {
    major: u64,
    /// Of versions 0.0 and 0.1.
    parts: Vec<(u64, u64)>,
    size_bytes: Option<u64>,
}

impl Pax {
    /// Takes a record.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        match key {
            b"GNU.sparse.major" => self.major = number(value)?,
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.size_bytes = Some(number(value)?),
            b"GNU.sparse.offset" => self.parts.push((number(value)?, 0)),
            b"GNU.sparse.numbytes" => self.parts.last_mut().ok_or(DAMAGED)?.1 = number(value)?,
            b"GNU.sparse.map" => {
                let numbers = value.split(|byte| *byte == b',').map(number);
                let numbers: Vec<u64> = numbers.collect::<Result<_, _>>()?;
                let (pairs, rest) = numbers.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(DAMAGED);
                }
                self.parts = pairs.iter().map(|[offset, length]| (*offset, *length)).collect();
            }
            // The minor version, and the number of parts.
            _ => {}
        }
        Ok(())
    }

    /// Returns the map; in version 1.0 it is read from the start of the contents: numbers, a line each, up to the
    /// end of a block.
    pub fn map<R: Read>(&self, members: &mut Members<R>, budget: &mut Budget) -> Result<Map, TarError> {
        let size_bytes = self.size_bytes.ok_or(DAMAGED)?;
        let parts = match self.major {
            0 => self.parts.clone(),
            1 => {
                let mut lines = Lines { members, block: [0; BLOCK_BYTES], at: BLOCK_BYTES };
                let count = lines.next(budget)?;
                let mut parts = Vec::new();
                for _ in 0..count {
                    budget.held(PART_BYTES)?;
                    parts.push((lines.next(budget)?, lines.next(budget)?));
                }
                parts
            }
            _ => return Err(TarError::Extension("describes a sparse file in an unknown version")),
        };
        Map::new(parts, size_bytes)
    }
}

/// Numbers, a line each, in blocks.
struct Lines<'m, R> {
    members: &'m mut Members<R>,
    block: [u8; BLOCK_BYTES],
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self, budget: &mut Budget) -> Result<u64, TarError> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK_BYTES {
                budget.bytes(BLOCK_BYTES as u64)?;
                self.members.body().read_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return number(&digits),
                // The largest number has 20.
                _ if digits.len() == 20 => return Err(DAMAGED),
                byte => digits.push(byte),
            }
        }
    }
}
