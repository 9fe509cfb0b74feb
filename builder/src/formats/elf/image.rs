//! The parts of an ELF file that the dynamic loader reads, and how to remove unused symbols from it, in place.
//!
//! ```text
//! PT_DYNAMIC    i64 tag · u64 value, up to DT_NULL
//! DT_SYMTAB     u32 name · u8 kind and binding · u8 · u16 section (0: asked of others) · u64 value · u64 size
//! DT_STRTAB     names, each with a zero byte; one may lie at the end of another
//! DT_VERSYM     u16 a symbol
//! DT_GNU_HASH   u32 buckets · u32 first hashed symbol · u32 words of the filter · u32 shift
//!               u64 a word of the filter · u32 first symbol of each bucket, 0 for none
//!               u32 hash of each symbol from the first, its lowest bit set where the bucket ends
//! ```
//!
//! (`elf(5)`; the hash table as in glibc's `elf/dl-lookup.c`.) The number of symbols stands nowhere: it is as many as the hash
//! table and the relocations reach, and none beyond is ever looked at. Symbols keep their numbers, so relocations
//! stay as they are, but for those that name a removed symbol: they become relocations to the file's own address, which is
//! the result of a lookup. A removed symbol becomes a null symbol, its name and hash zeros, which a lookup passes over.
//!
//! Only little-endian files of amd64 and arm64 are read. Sections play no part in running a program.

use std::{collections::BTreeSet, ops::Range};

use object::elf;

/// A fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another class, byte order or machine.
    #[error("it is for another machine than amd64 or arm64")]
    Machine,
    /// Something lies outside of the file, or where no loader would find it.
    #[error("its {0} lies outside of the file")]
    Outside(&'static str),
    /// A part that does not hold together.
    #[error("its {0} is not as the loader wants it")]
    Damaged(&'static str),
}

/// A program header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the header itself lies.
    header: usize,
    /// `PT_*`.
    pub kind: u32,
    /// `PF_*`.
    pub flags: u32,
    /// Where its contents lie in memory.
    address: u64,
    /// Where they lie in the file.
    pub place: Range<usize>,
}

/// A relocation that names a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relocation {
    place: usize,
    symbol: usize,
    /// `R_X86_64_*` or `R_AARCH64_*`.
    kind: u32,
    has_addend: bool,
}

/// A symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Where its name begins in the file.
    name: usize,
    /// `STT_*`.
    pub kind: u8,
    /// Whether its value is an address in the file's own memory.
    is_address: bool,
    /// False if it is asked of other files.
    pub defined: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct HashTable {
    place: usize,
    buckets: usize,
    first: usize,
    filter_words: usize,
    shift: u32,
    /// The first symbol beyond, at least `first`.
    end: usize,
}

impl HashTable {
    fn place(&self) -> Range<usize> {
        self.place..self.chain(self.end)
    }

    fn filter(&self) -> usize {
        self.place + 16
    }

    fn bucket(&self, index: usize) -> usize {
        self.filter() + 8 * self.filter_words + 4 * index
    }

    fn chain(&self, symbol: usize) -> usize {
        self.bucket(self.buckets) + 4 * (symbol - self.first)
    }
}

/// The loader's view of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `EM_X86_64` or `EM_AARCH64`.
    pub machine: u16,
    /// `ET_*`.
    pub kind: u16,
    /// The program headers.
    pub segments: Vec<Segment>,
    /// Its symbols, by number.
    pub symbols: Vec<Symbol>,
    /// The relocations that name a symbol.
    relocations: Vec<Relocation>,
    dynamic: Range<usize>,
    entries: Vec<(u64, u64)>,
    symbol_table: usize,
    strings: Range<usize>,
    versions: Option<usize>,
    hash: Option<HashTable>,
}

const SYMBOL_BYTES: usize = 24;
const DYNAMIC_BYTES: usize = 16;

/// Entries of the dynamic section whose value is a name. Their numbers are those of `elf.h`.
const NAMES: [u32; 9] = [
    elf::DT_NEEDED,
    elf::DT_SONAME,
    elf::DT_RPATH,
    elf::DT_RUNPATH,
    0x6fff_fefa, // DT_CONFIG
    0x6fff_fefb, // DT_DEPAUDIT
    0x6fff_fefc, // DT_AUDIT
    0x7fff_fffd, // DT_AUXILIARY
    0x7fff_ffff, // DT_FILTER
];

impl Image {
    /// Reads a file; `None` if it is not an ELF file or has nothing for a dynamic loader.
    ///
    /// # Errors
    /// [`Fault`] for a file whose symbols cannot be read with certainty.
    pub fn read(file: &[u8]) -> Result<Option<Self>, Fault> {
        if file.get(..4) != Some(b"\x7fELF") {
            return Ok(None);
        }
        let kind = u16_at(file, 16).ok_or(Fault::Outside("header"))?;
        if !matches!(kind, elf::ET_EXEC | elf::ET_DYN) {
            return Ok(None);
        }
        let machine = u16_at(file, 18).ok_or(Fault::Outside("header"))?;
        let known = matches!(machine, elf::EM_X86_64 | elf::EM_AARCH64);
        if !known || file.get(4..6) != Some(&[elf::ELFCLASS64, elf::ELFDATA2LSB]) {
            return Err(Fault::Machine);
        }
        let segments = segments(file)?;
        let Some(dynamic) = segments.iter().find(|s| s.kind == elf::PT_DYNAMIC).map(|s| s.place.clone())
        else {
            return Ok(None);
        };
        let entries = file[dynamic.clone()]
            .chunks_exact(DYNAMIC_BYTES)
            .map_while(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)))
            .take_while(|(tag, _)| *tag != u64::from(elf::DT_NULL))
            .collect();
        let mut image = Image {
            machine,
            kind,
            segments,
            symbols: Vec::new(),
            relocations: Vec::new(),
            dynamic,
            entries,
            symbol_table: 0,
            strings: 0..0,
            versions: None,
            hash: None,
        };
        image.read_tables(file)?;
        Ok(Some(image))
    }

    /// Returns true for a file that the kernel can start: it names its loader.
    pub fn is_program(&self) -> bool {
        self.segments.iter().any(|segment| segment.kind == elf::PT_INTERP)
    }

    /// Returns the name by which others need it.
    pub fn soname<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        self.names(file, elf::DT_SONAME).next()
    }

    /// Returns the libraries that it needs.
    pub fn needed<'a>(&self, file: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.names(file, elf::DT_NEEDED)
    }

    /// Returns a symbol's name.
    pub fn name<'a>(&self, file: &'a [u8], symbol: &Symbol) -> &'a [u8] {
        text(&file[symbol.name..self.strings.end])
    }

    /// Returns where all names lie.
    pub fn strings(&self) -> Range<usize> {
        self.strings.clone()
    }

    /// Returns true if a lookup can end at a symbol: it is defined and in a hash table that we know.
    pub fn is_export(&self, index: usize) -> bool {
        self.is_hashed(index) && self.symbols[index].defined
    }

    /// Returns the numbers of the symbols that the file's own relocations name and that cannot be bound to it for good.
    pub fn bound_by_name(&self) -> BTreeSet<usize> {
        let open = self.relocations.iter().filter(|relocation| !self.can_bind(relocation));
        open.map(|relocation| relocation.symbol).collect()
    }

    /// Returns true if a relocation may be one to the file's own address, should no other file have its symbol. The loader
    /// takes those anywhere but among those that it binds at the first call.
    fn can_bind(&self, relocation: &Relocation) -> bool {
        let at_start = match (self.machine, relocation.kind) {
            (elf::EM_X86_64, elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT) => true,
            (elf::EM_AARCH64, elf::R_AARCH64_ABS64 | elf::R_AARCH64_GLOB_DAT) => true,
            (elf::EM_X86_64, elf::R_X86_64_JUMP_SLOT) => self.binds_at_start(),
            (elf::EM_AARCH64, elf::R_AARCH64_JUMP_SLOT) => self.binds_at_start(),
            _ => false,
        };
        at_start && relocation.has_addend && self.symbols[relocation.symbol].is_address
    }

    fn binds_at_start(&self) -> bool {
        let has = |tag: u32, flag: u32| self.value(tag).is_some_and(|flags| flags & u64::from(flag) != 0);
        self.value(elf::DT_BIND_NOW).is_some()
            || has(elf::DT_FLAGS, elf::DF_BIND_NOW)
            || has(elf::DT_FLAGS_1, elf::DF_1_NOW)
    }

    /// Returns true if a symbol is in the hash table.
    pub fn is_hashed(&self, index: usize) -> bool {
        self.hash.as_ref().is_some_and(|hash| (hash.first..hash.end).contains(&index))
    }

    fn names<'a>(&self, file: &'a [u8], tag: u32) -> impl Iterator<Item = &'a [u8]> {
        let wanted = self.entries.iter().filter(move |(t, _)| *t == u64::from(tag));
        let strings = &file[self.strings.clone()];
        wanted.filter_map(|(_, at)| Some(text(strings.get(usize::try_from(*at).ok()?..)?)))
    }

    fn value(&self, tag: u32) -> Option<u64> {
        self.entries.iter().find(|(t, _)| *t == u64::from(tag)).map(|(_, value)| *value)
    }

    /// Returns where an address lies in the file, and how far its segment goes on.
    fn place_of(&self, address: u64) -> Option<Range<usize>> {
        self.segments.iter().filter(|s| s.kind == elf::PT_LOAD).find_map(|segment| {
            let offset = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            (offset < segment.place.len()).then(|| segment.place.start + offset..segment.place.end)
        })
    }

    fn table(&self, tag: u32, what: &'static str) -> Result<Option<Range<usize>>, Fault> {
        let Some(address) = self.value(tag) else { return Ok(None) };
        self.place_of(address).map(Some).ok_or(Fault::Outside(what))
    }

    fn read_tables(&mut self, file: &[u8]) -> Result<(), Fault> {
        if let Some(place) = self.table(elf::DT_STRTAB, "table of names")? {
            let size = usize::try_from(self.value(elf::DT_STRSZ).unwrap_or(0)).unwrap_or(usize::MAX);
            let end = place.start.checked_add(size).filter(|end| *end <= place.end);
            self.strings = place.start..end.ok_or(Fault::Outside("table of names"))?;
        }
        self.read_relocations(file)?;
        self.hash = self.read_hash(file)?;
        let hashed = self.hash.as_ref().filter(|hash| hash.end > hash.first).map_or(0, |hash| hash.end);
        let count =
            hashed.max(self.relocations.iter().map(|relocation| relocation.symbol + 1).max().unwrap_or(0));
        let Some(table) = self.table(elf::DT_SYMTAB, "table of symbols")? else {
            return if count == 0 { Ok(()) } else { Err(Fault::Damaged("table of symbols")) };
        };
        if count.checked_mul(SYMBOL_BYTES).is_none_or(|bytes| bytes > table.len()) {
            return Err(Fault::Outside("table of symbols"));
        }
        self.symbol_table = table.start;
        let strings = self.strings.clone();
        for index in 0..count {
            let at = table.start + index * SYMBOL_BYTES;
            let name = u32_at(file, at).map(|name| strings.start.saturating_add(name as usize));
            let name = name.filter(|name| *name < strings.end).ok_or(Fault::Outside("table of names"))?;
            let section = u16_at(file, at + 6).unwrap_or(0);
            let kind = file[at + 4] & 15;
            let is_address = matches!(kind, elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC)
                && (1..elf::SHN_LORESERVE).contains(&section);
            self.symbols.push(Symbol { name, kind, is_address, defined: section != 0 });
        }
        if let Some(place) = self.table(elf::DT_VERSYM, "table of versions")? {
            if count * 2 > place.len() {
                return Err(Fault::Outside("table of versions"));
            }
            self.versions = Some(place.start);
        }
        Ok(())
    }

    fn read_relocations(&mut self, file: &[u8]) -> Result<(), Fault> {
        const WHAT: &str = "relocations";
        let by_procedure = self.value(elf::DT_PLTREL);
        let entry_bytes = |tag: u64| if tag == u64::from(elf::DT_REL) { 16 } else { 24 };
        let tables = [
            (elf::DT_RELA, elf::DT_RELASZ, 24),
            (elf::DT_REL, elf::DT_RELSZ, 16),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ, by_procedure.map_or(24, entry_bytes)),
        ];
        for (table, size, entry) in tables {
            let size = usize::try_from(self.value(size).unwrap_or(0)).map_err(|_| Fault::Outside(WHAT))?;
            let Some(place) = self.table(table, WHAT)?.filter(|_| size > 0) else { continue };
            let end = place.start.checked_add(size).filter(|end| *end <= place.end);
            let bytes = &file[place.start..end.ok_or(Fault::Outside(WHAT))?];
            let infos = bytes.chunks_exact(entry).map(|relocation| u64_at(relocation, 8).unwrap_or(0));
            let named = infos.enumerate().filter(|(_, info)| info >> 32 != 0);
            self.relocations.extend(named.map(|(index, info)| {
                let symbol = (info >> 32) as usize;
                Relocation {
                    place: place.start + index * entry,
                    symbol,
                    kind: info as u32,
                    has_addend: entry == 24,
                }
            }));
        }
        Ok(())
    }

    fn read_hash(&self, file: &[u8]) -> Result<Option<HashTable>, Fault> {
        const WHAT: &str = "hash table";
        let Some(place) = self.table(elf::DT_GNU_HASH, WHAT)? else { return Ok(None) };
        let number = |at: usize| u32_at(file, place.start + at).filter(|_| place.len() >= 16);
        let header = (|| Some((number(0)?, number(4)?, number(8)?, number(12)?)))();
        let (buckets, first, filter_words, shift) = header.ok_or(Fault::Outside(WHAT))?;
        let (buckets, first, filter_words) = (buckets as usize, first as usize, filter_words as usize);
        let bytes = buckets.saturating_mul(4).saturating_add(filter_words.saturating_mul(8));
        if bytes > place.len() - 16 {
            return Err(Fault::Outside(WHAT));
        }
        if buckets == 0 || !filter_words.is_power_of_two() || shift >= 32 {
            return Err(Fault::Damaged(WHAT));
        }
        let mut hash = HashTable { place: place.start, buckets, first, filter_words, shift, end: first };
        hash.end = hash_end(file, &hash)?;
        Ok(Some(hash))
    }
}

fn segments(file: &[u8]) -> Result<Vec<Segment>, Fault> {
    const WHAT: &str = "table of segments";
    let header = (|| Some((u64_at(file, 32)?, u16_at(file, 54)?, u16_at(file, 56)?)))();
    let (table, entry_bytes, count) = header.ok_or(Fault::Outside("header"))?;
    if count > 0 && entry_bytes != 56 {
        return Err(Fault::Damaged(WHAT));
    }
    let table = usize::try_from(table).map_err(|_| Fault::Outside(WHAT))?;
    let read = |index: usize| {
        let at = table.checked_add(index * 56)?;
        let [offset, address, size] = [8, 16, 32].map(|field| u64_at(file, at.checked_add(field)?));
        let mut start = usize::try_from(offset?).ok()?;
        let size = usize::try_from(size?).ok()?;
        if size == 0 {
            // A segment without bytes may say that it begins anywhere, as those of files with debug symbols do.
            start = start.min(file.len());
        }
        let end = start.checked_add(size)?;
        let (kind, flags) = (u32_at(file, at)?, u32_at(file, at + 4)?);
        Some(Segment { header: at, kind, flags, address: address?, place: start..end })
    };
    let all: Option<Vec<Segment>> = (0..usize::from(count)).map(read).collect();
    let all = all.ok_or(Fault::Outside(WHAT))?;
    if all.iter().all(|segment| segment.place.end <= file.len()) {
        Ok(all)
    } else {
        Err(Fault::Outside("segment"))
    }
}

/// Returns the first symbol that a hash table does not reach.
fn hash_end(file: &[u8], hash: &HashTable) -> Result<usize, Fault> {
    const WHAT: &str = "hash table";
    let buckets = (0..hash.buckets).filter_map(|index| u32_at(file, hash.bucket(index)));
    let Some(last) = buckets.filter(|first| *first > 0).max() else { return Ok(hash.first) };
    let mut symbol = last as usize;
    if symbol < hash.first {
        return Err(Fault::Damaged(WHAT));
    }
    loop {
        let link = u32_at(file, hash.chain(symbol)).ok_or(Fault::Outside(WHAT))?;
        symbol += 1;
        if link & 1 == 1 {
            return Ok(symbol);
        }
    }
}

/// Returns a name's hash (`dl_new_hash` of glibc).
fn hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

/// Returns the bytes before the first zero.
fn text(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

mod change;

#[cfg(feature = "testing")]
pub(crate) mod made;
#[cfg(test)]
mod tests;
