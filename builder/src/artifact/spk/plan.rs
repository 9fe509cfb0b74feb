//! Which contents are compressed together.
//!
//! Like compresses well beside like, and a chain of filters suits one kind. So the archive's contents are
//! ranked: metadata and small files in their natural order; then those of Debian, if they are many; then large
//! data; then programs, those that are alike apart from the others ([`alike`](super::alike)). A block ends
//! where the kind does, and before it outgrows the dictionary; very large data have blocks of their own,
//! because the same file (ICU's data, a dictionary) is in many apps and its block is then made once for all.
//! Debian's small files have several ([`runs`](super::runs)). None of this looks at the machine.

use std::{collections::HashMap, io};

use object::{Endianness, elf};

use super::runs::runs;
use crate::{
    formats::{
        capnp::{Piece, Written},
        elf::Header,
        spk::LateContent,
        xz::{Filter, MAX_DICTIONARY_BYTES},
    },
    store::Blob,
    tree::TreePath,
};

/// Data of at least this much leave the natural order.
const LARGE_DATA_BYTES: u64 = 1 << 20;

/// Data of at least this much have a block of their own.
const OWN_BLOCK_BYTES: u64 = 4 << 20;

/// Kinds with less than this in sum stay in the natural order: a block costs some bytes, and one of little is
/// no gain.
const LEAST_KIND_BYTES: u64 = 256 << 10;

/// Files of Debian with at least this much in sum have blocks of their own. What a recipe brings and the
/// papers change with every build, and Debian's files seldom, so that their blocks are found kept.
const LEAST_DEBIAN_BYTES: u64 = 4 << 20;

/// Where Debian's files lie.
const DEBIAN: &[u8] = b"usr/";

/// The contents of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Metadata, scripts, texts, small files.
    Small,
    /// The same of Debian.
    Debian,
    /// Large files that are no programs, and libraries that are mostly tables.
    Data,
    /// Programs and libraries of x86.
    X86,
    /// Programs of x86 that hold mostly the same code.
    Alike,
    /// Programs and libraries of other machines.
    Program,
}

/// The low bits of a rank: a run within the class. An archive has at most 2^30 bytes, and a run some 2^20.
const RUN_BITS: u32 = 16;

const CLASSES: [Class; 6] =
    [Class::Small, Class::Debian, Class::Data, Class::X86, Class::Alike, Class::Program];

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::Small => "metadata and small files",
            Class::Debian => "small files of Debian",
            Class::Data => "data",
            Class::X86 => "x86 programs",
            Class::Alike => "alike x86 programs",
            Class::Program => "programs",
        }
    }

    /// Returns the filter of its blocks. Absolute jumps make programs of x86 smaller, but spoil what programs
    /// that are alike have in common: git's are 4 % larger with them.
    pub fn filter(self) -> Filter {
        match self {
            Class::Small | Class::Debian => Filter::TEXT,
            Class::Data => Filter::DATA,
            Class::X86 => Filter::X86,
            Class::Alike | Class::Program => Filter::PROGRAM,
        }
    }

    /// Returns the rank of contents of this class that are in a run.
    fn rank(self, run: u32) -> u32 {
        (self as u32) << RUN_BITS | run
    }

    fn of_rank(rank: u32) -> Self {
        CLASSES[(rank >> RUN_BITS) as usize]
    }
}

/// Returns the class of contents by their size, start and place; whether they are alike to others is not known
/// from them alone.
///
/// # Errors
/// Contents that cannot be read.
pub fn class_of(content: &LateContent<'_>, blob: &Blob) -> io::Result<Class> {
    let mut start = [0; 4096];
    let got = blob.read_at(&mut start, 0)?;
    Ok(match elf_class(&start[..got], content.size_bytes) {
        Some(class) => class,
        None if content.size_bytes >= LARGE_DATA_BYTES => Class::Data,
        None if content.path.as_bytes().starts_with(DEBIAN) => Class::Debian,
        None => Class::Small,
    })
}

/// Returns the class of a little-endian ELF file by its header and program headers; `None` for all else.
fn elf_class(start: &[u8], size_bytes: u64) -> Option<Class> {
    let header = Header::read(start).filter(|header| header.endian == Endianness::Little)?;
    let is_x86 = matches!(header.machine, elf::EM_386 | elf::EM_X86_64);
    let class = if is_x86 { Class::X86 } else { Class::Program };
    // Program headers that lie beyond the start say nothing about the class.
    let Ok(segments) = header.segments(start) else { return Some(class) };
    let code = segments.iter().filter(|s| s.kind == elf::PT_LOAD && s.flags & elf::PF_X != 0);
    let code_bytes: u64 = code.map(|segment| segment.size_bytes.min(size_bytes)).sum();
    let mostly_tables = size_bytes >= LARGE_DATA_BYTES && code_bytes < size_bytes / 10;
    Some(if mostly_tables { Class::Data } else { class })
}

/// Returns the rank of each of the contents, which are sorted by path; kinds with little in them are small
/// files after all.
pub fn ranks<'a>(contents: &[(Class, LateContent<'a>)]) -> HashMap<&'a TreePath, u32> {
    let sum = |class| contents.iter().filter(|(c, _)| *c == class).map(|(_, of)| of.size_bytes).sum::<u64>();
    let least = |class| if class == Class::Debian { LEAST_DEBIAN_BYTES } else { LEAST_KIND_BYTES };
    let little = CLASSES.map(|class| sum(class) < least(class));
    let class = |class: Class| if little[class as usize] { Class::Small } else { class };
    let rank = |(of, content): &(Class, LateContent<'a>)| (content.path, class(*of).rank(0));
    let mut ranks: HashMap<_, _> = contents.iter().map(rank).collect();
    let debian = contents.iter().filter(|(of, _)| class(*of) == Class::Debian);
    let debian: Vec<LateContent<'_>> = debian.map(|(_, content)| *content).collect();
    ranks.extend(
        debian.iter().zip(runs(&debian)).map(|(content, run)| (content.path, Class::Debian.rank(run))),
    );
    ranks
}

/// A block's share of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBlock {
    pub class: Class,
    /// Indexes of pieces.
    pub pieces: std::ops::Range<usize>,
    pub plain_bytes: u64,
}

/// Cuts a message into blocks.
pub fn cut(message: &Written) -> Vec<PlannedBlock> {
    let mut blocks: Vec<PlannedBlock> = Vec::new();
    let mut closed = false;
    let mut last_rank = 0;
    for (index, piece) in message.pieces.iter().enumerate() {
        let (size_bytes, wanted) = match piece {
            // Words between contents belong to what they follow.
            Piece::Bytes(bytes) => (bytes.len() as u64, None),
            Piece::Content { size_bytes, rank, .. } => (*size_bytes, Some(*rank)),
        };
        let class = wanted.map_or(Class::Small, Class::of_rank);
        let own = class == Class::Data && size_bytes >= OWN_BLOCK_BYTES;
        let begins = match (blocks.last(), wanted) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(last), Some(rank)) => {
                rank != last_rank
                    || class != Class::Small
                        && (own || closed || last.plain_bytes + size_bytes > MAX_DICTIONARY_BYTES)
            }
        };
        if begins {
            blocks.push(PlannedBlock { class, pieces: index..index, plain_bytes: 0 });
        }
        if let Some(rank) = wanted {
            (closed, last_rank) = (own, rank);
        }
        let block = blocks.last_mut().expect("the first piece begins one");
        block.pieces.end = index + 1;
        block.plain_bytes += size_bytes;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    fn late(path: &TreePath, size_bytes: u64) -> LateContent<'_> {
        LateContent { path, digest: crate::digest::Digest::of(b""), size_bytes }
    }

    fn content(size_bytes: u64, class: Class) -> Piece {
        Piece::Content { id: 0, size_bytes, rank: class.rank(0) }
    }

    #[test]
    fn blocks_end_where_the_kind_does() {
        let mib = 1 << 20;
        let pieces = vec![
            Piece::Bytes(vec![0; 100]),
            content(5, Class::Small),
            Piece::Bytes(vec![0; 3]),
            content(2 * mib, Class::Data),
            content(31 * mib + 1, Class::Data),
            Piece::Bytes(vec![0; 7]),
            content(2 * mib, Class::Data),
            content(3 * mib, Class::Data),
            content(40 * mib, Class::X86),
            content(30 * mib, Class::X86),
            content(30 * mib, Class::X86),
            content(300 * mib, Class::X86),
        ];
        let blocks = cut(&Written { pieces, size_bytes: 0 });
        let found: Vec<_> = blocks.iter().map(|b| (b.class, b.pieces.clone(), b.plain_bytes)).collect();
        assert_eq!(
            found,
            [
                (Class::Small, 0..3, 108),
                (Class::Data, 3..4, 2 * mib),
                (Class::Data, 4..6, 31 * mib + 8),
                (Class::Data, 6..8, 5 * mib),
                (Class::X86, 8..9, 40 * mib),
                (Class::X86, 9..11, 60 * mib),
                (Class::X86, 11..12, 300 * mib),
            ]
        );
    }

    #[test]
    fn files_of_debian_leave_the_small_ones_if_they_are_many() {
        let [own, debian] = ["app/setup.sh", "usr/share/wiki"].map(path);
        let of = |size_bytes| {
            let contents = [(Class::Small, late(&own, 1 << 20)), (Class::Debian, late(&debian, size_bytes))];
            [&own, &debian].map(|path| Class::of_rank(ranks(&contents)[path]))
        };
        assert_eq!(of((4 << 20) - 1), [Class::Small, Class::Small]);
        assert_eq!(of(4 << 20), [Class::Small, Class::Debian]);
    }

    #[test]
    fn runs_of_debian_have_blocks_of_their_own() {
        let paths = ["usr/share/a.js", "usr/share/a.php", "usr/share/b.js", "usr/share/b.php"].map(path);
        let contents = paths.each_ref().map(|path| (Class::Debian, late(path, 3 << 20)));
        let ranks = ranks(&contents);
        assert_eq!([0, 1, 0, 1].map(|run| Class::Debian.rank(run)), paths.each_ref().map(|path| ranks[path]));
        let sorted = [0, 2, 1, 3].map(|at: usize| (at, ranks[&paths[at]]));
        let pieces = sorted.map(|(id, rank)| Piece::Content { id, size_bytes: 3 << 20, rank });
        let blocks = cut(&Written { pieces: pieces.into(), size_bytes: 0 });
        let found: Vec<_> = blocks.into_iter().map(|block| (block.class, block.pieces)).collect();
        assert_eq!(found, [(Class::Debian, 0..2), (Class::Debian, 2..4)]);
    }

    #[test]
    fn libraries_that_are_mostly_tables_are_data() {
        let mut file = vec![0; 64 + 56];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[18] = 62;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = 1;
        file[68] = 5;
        file[96..104].copy_from_slice(&(1_u64 << 19).to_le_bytes());
        assert_eq!(elf_class(&file, 1 << 20), Some(Class::X86));
        assert_eq!(elf_class(&file, 30 << 20), Some(Class::Data));
        file[18] = 183;
        assert_eq!(elf_class(&file, 1 << 20), Some(Class::Program));
        file.truncate(64);
        assert_eq!(elf_class(&file, 1 << 20), Some(Class::Program), "its headers lie elsewhere");
        assert_eq!(elf_class(b"\x7fELF\x02\x01", 6), None);
        assert_eq!(elf_class(b"#!/bin/sh\n", 10), None);
    }
}
