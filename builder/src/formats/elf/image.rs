//! The parts of an ELF file that the dynamic loader reads, and how to remove unused symbols from it, in
//! place.
//!
//! ```text
//! PT_DYNAMIC    i64 tag · u64 value, up to DT_NULL
//! DT_SYMTAB     u32 name · u8 kind and binding · u8 · u16 section (0: imported) · u64 value · u64 size
//! DT_STRTAB     names, each with a zero byte; one may lie at the end of another
//! DT_VERSYM     u16 a symbol
//! DT_GNU_HASH   u32 buckets · u32 first hashed symbol · u32 words of the filter · u32 shift
//!               u64 a word of the filter · u32 first symbol of each bucket, 0 for none
//!               u32 hash of each symbol from the first, its lowest bit set where the bucket ends
//! ```
//!
//! (`elf(5)`; the hash table as in glibc's `elf/dl-lookup.c`.) The number of symbols stands nowhere: it is as
//! many as the hash table and the relocations reach, and none beyond is ever looked at. Symbols keep their
//! numbers, so relocations stay as they are, but for those that name a removed symbol: they become
//! relocations to the file's own address, which is the result of a lookup. A removed symbol becomes a null
//! symbol, its name and hash zeros, which a lookup passes over.
//!
//! Only little-endian files of amd64 and arm64 are read. Sections play no part in running a program.

use std::{collections::BTreeSet, ops::Range};

use object::{
    Endianness, LittleEndian, U32,
    elf::{self, GnuHashHeader, Rel64, Rela64, Sym64},
    pod::Pod,
    read::ReadRef as _,
};

use super::{DynamicEntry, Fault, Header, dynamic_segment, value_of};

/// The byte order of both machines.
const ENDIAN: LittleEndian = LittleEndian;

/// A program header whose contents are inside the file.
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

impl Segment {
    fn of(segment: &super::Segment, file: &[u8]) -> Option<Self> {
        let mut start = usize::try_from(segment.offset).ok()?;
        let size = usize::try_from(segment.size_bytes).ok()?;
        if size == 0 {
            // A segment without bytes may say that it begins anywhere, as those of files with debug symbols
            // do.
            start = start.min(file.len());
        }
        let place = start..start.checked_add(size).filter(|end| *end <= file.len())?;
        let header = usize::try_from(segment.header).ok()?;
        let super::Segment { kind, flags, address, .. } = *segment;
        Some(Segment { header, kind, flags, address, place })
    }
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
    /// False if it is imported.
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
    entries: Vec<DynamicEntry>,
    symbol_table: usize,
    strings: Range<usize>,
    versions: Option<usize>,
    hash: Option<HashTable>,
}

const SYMBOL_BYTES: usize = size_of::<Sym64<LittleEndian>>();
const DYNAMIC_BYTES: usize = size_of::<elf::Dyn64<LittleEndian>>();
const RELA_BYTES: usize = size_of::<Rela64<LittleEndian>>();
const REL_BYTES: usize = size_of::<Rel64<LittleEndian>>();

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
        let Some(header) = Header::read(file) else { return Ok(None) };
        let Header { kind, machine, is_64, endian } = header;
        // No file of the other byte order is for one of our machines.
        if !matches!(kind, elf::ET_EXEC | elf::ET_DYN) || endian == Endianness::Big {
            return Ok(None);
        }
        if !is_64 || !matches!(machine, elf::EM_X86_64 | elf::EM_AARCH64) {
            return Err(Fault::Machine);
        }
        let headers = header.segments(file)?;
        let segments: Option<Vec<_>> = headers.iter().map(|segment| Segment::of(segment, file)).collect();
        let segments = segments.ok_or(Fault::Outside("segment"))?;
        let Some(dynamic) = dynamic_segment(&headers) else { return Ok(None) };
        let dynamic = Segment::of(dynamic, file).ok_or(Fault::Outside("segment"))?.place;
        let entries = header.dynamic(file, &headers)?;
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

    /// Returns where the contents of a defined symbol lie in the file, at most up to the end of their
    /// segment.
    pub fn contents(&self, file: &[u8], index: usize) -> Option<Range<usize>> {
        let [symbol] = records::<Sym64<LittleEndian>>(file, self.symbol_table + index * SYMBOL_BYTES, 1)?
        else {
            return None;
        };
        let place = self.place_of(symbol.st_value.get(ENDIAN))?;
        let size = usize::try_from(symbol.st_size.get(ENDIAN)).unwrap_or(usize::MAX);
        Some(place.start..place.end.min(place.start.saturating_add(size)))
    }

    /// Returns where all names lie.
    pub fn strings(&self) -> Range<usize> {
        self.strings.clone()
    }

    /// Returns true if a lookup can end at a symbol: it is defined and in a hash table that we know.
    pub fn is_export(&self, index: usize) -> bool {
        self.is_hashed(index) && self.symbols[index].defined
    }

    /// Returns the numbers of the symbols that the file's own relocations name and that cannot be bound to it
    /// for good.
    pub fn bound_by_name(&self) -> BTreeSet<usize> {
        let open = self.relocations.iter().filter(|relocation| !self.can_bind(relocation));
        open.map(|relocation| relocation.symbol).collect()
    }

    /// Returns true if a relocation may be one to the file's own address, should no other file have its
    /// symbol. The loader takes those anywhere but among those that it binds at the first call.
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
        value_of(&self.entries, tag)
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
        let symbols = records::<Sym64<LittleEndian>>(file, table.start, count);
        for symbol in symbols.ok_or(Fault::Outside("table of symbols"))? {
            let name = self.strings.start.saturating_add(symbol.st_name.get(ENDIAN) as usize);
            if name >= self.strings.end {
                return Err(Fault::Outside("table of names"));
            }
            let (kind, section) = (symbol.st_type(), symbol.st_shndx.get(ENDIAN));
            let is_address = matches!(kind, elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC)
                && (1..elf::SHN_LORESERVE).contains(&section);
            self.symbols.push(Symbol { name, kind, is_address, defined: section != elf::SHN_UNDEF });
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
        let of_procedures = self.value(elf::DT_PLTREL) != Some(u64::from(elf::DT_REL));
        let tables = [
            (elf::DT_RELA, elf::DT_RELASZ, true),
            (elf::DT_REL, elf::DT_RELSZ, false),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ, of_procedures),
        ];
        for (table, size, has_addend) in tables {
            let size = usize::try_from(self.value(size).unwrap_or(0)).map_err(|_| Fault::Outside(WHAT))?;
            let Some(place) = self.table(table, WHAT)?.filter(|_| size > 0) else { continue };
            if size > place.len() {
                return Err(Fault::Outside(WHAT));
            }
            let infos: Option<Vec<u64>> = if has_addend {
                let records = records::<Rela64<LittleEndian>>(file, place.start, size / RELA_BYTES);
                records.map(|all| all.iter().map(|one| one.r_info.get(ENDIAN)).collect())
            } else {
                let records = records::<Rel64<LittleEndian>>(file, place.start, size / REL_BYTES);
                records.map(|all| all.iter().map(|one| one.r_info.get(ENDIAN)).collect())
            };
            let entry_bytes = if has_addend { RELA_BYTES } else { REL_BYTES };
            let infos = infos.ok_or(Fault::Outside(WHAT))?.into_iter().enumerate();
            // The upper half is the symbol, the lower half the kind; 0 is no symbol.
            self.relocations.extend(infos.filter(|(_, info)| info >> 32 != 0).map(|(index, info)| {
                let place = place.start + index * entry_bytes;
                Relocation { place, symbol: (info >> 32) as usize, kind: info as u32, has_addend }
            }));
        }
        Ok(())
    }

    fn read_hash(&self, file: &[u8]) -> Result<Option<HashTable>, Fault> {
        const WHAT: &str = "hash table";
        let Some(place) = self.table(elf::DT_GNU_HASH, WHAT)? else { return Ok(None) };
        if place.len() < 16 {
            return Err(Fault::Outside(WHAT));
        }
        let header = records::<GnuHashHeader<LittleEndian>>(file, place.start, 1);
        let [header] = header.ok_or(Fault::Outside(WHAT))? else { return Err(Fault::Outside(WHAT)) };
        let shift = header.bloom_shift.get(ENDIAN);
        let [buckets, first, filter_words] = [header.bucket_count, header.symbol_base, header.bloom_count]
            .map(|number| number.get(ENDIAN) as usize);
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

/// Returns `count` records that lie side by side.
fn records<T: Pod>(file: &[u8], at: usize, count: usize) -> Option<&[T]> {
    file.read_slice_at(at as u64, count).ok()
}

/// Returns the first symbol that a hash table does not reach.
fn hash_end(file: &[u8], hash: &HashTable) -> Result<usize, Fault> {
    const WHAT: &str = "hash table";
    let buckets = records::<U32<LittleEndian>>(file, hash.bucket(0), hash.buckets).unwrap_or_default();
    let firsts = buckets.iter().map(|first| first.get(ENDIAN) as usize);
    let Some(last) = firsts.filter(|first| *first > 0).max() else { return Ok(hash.first) };
    if last < hash.first {
        return Err(Fault::Damaged(WHAT));
    }
    let chain = hash.chain(last);
    let links = file.len().saturating_sub(chain) / size_of::<u32>();
    let links = records::<U32<LittleEndian>>(file, chain, links).unwrap_or_default();
    let end = links.iter().position(|link| link.get(ENDIAN) & 1 == 1).ok_or(Fault::Outside(WHAT))?;
    Ok(last + end + 1)
}

/// Returns a name's hash (`dl_new_hash` of glibc).
fn hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

/// Returns the bytes before the first zero.
fn text(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

mod change;

#[cfg(feature = "testing")]
pub(crate) mod made;
#[cfg(test)]
mod tests;
