//! The changes: fewer symbols, no sections, nothing but symbols.
//!
//! Bytes are changed where they lie, so nothing moves. The crate `object` reads and writes whole files, and
//! has nothing for that; so the fields that are changed, and those of sections and versions that only a
//! change reads, are taken by their offsets (`elf(5)`, 64 bits, little-endian).

use object::elf;

use super::{DYNAMIC_BYTES, Fault, HashTable, Image, NAMES, SYMBOL_BYTES, hash_of, text};

/// Sections that only tools read. Others without a place in memory may be read by the program that carries
/// them.
const TOOLS: [&[u8]; 8] = [
    b".comment",
    b".gnu_debugaltlink",
    b".gnu_debugdata",
    b".gnu_debuglink",
    b".shstrtab",
    b".strtab",
    b".symtab",
    b".stab",
];

/// Entries that the loader reads even if a library has no code to run.
const OF_STUBS: [u32; 13] = [
    elf::DT_NEEDED,
    elf::DT_SONAME,
    elf::DT_RPATH,
    elf::DT_RUNPATH,
    elf::DT_GNU_HASH,
    elf::DT_STRTAB,
    elf::DT_STRSZ,
    elf::DT_SYMTAB,
    elf::DT_SYMENT,
    elf::DT_VERSYM,
    elf::DT_VERDEF,
    elf::DT_VERDEFNUM,
    elf::DT_FLAGS_1,
];

impl Image {
    /// Removes the symbols that are not kept, by number, with their names: no lookup ends at them any more.
    /// `file` is what this was read from.
    ///
    /// # Errors
    /// [`Fault`], before anything was changed: parts of the file lie over each other, or names are where none
    /// can be.
    pub fn keep_symbols(&self, file: &mut [u8], keep: &[bool]) -> Result<(), Fault> {
        let kept = |index: usize| index == 0 || keep[index];
        self.check_apart(file)?;
        self.check_order(file, &kept)?;
        let mut named = vec![false; self.strings.len()];
        let mut mark = |at: usize, file: &[u8]| {
            let end = at + text(&file[at..self.strings.end]).len();
            named[at - self.strings.start..end - self.strings.start].fill(true);
        };
        for (_, symbol) in self.symbols.iter().enumerate().filter(|(index, _)| kept(*index)) {
            mark(symbol.name, file);
        }
        for offset in self.other_names(file)? {
            let at = self.strings.start.checked_add(offset).filter(|at| *at < self.strings.end);
            mark(at.ok_or(Fault::Outside("table of names"))?, file);
        }
        self.bind(file, &kept);
        self.rebuild_hash(file, &kept);
        for index in (0..self.symbols.len()).filter(|index| !kept(*index)) {
            let at = self.symbol_table + index * SYMBOL_BYTES;
            file[at..at + SYMBOL_BYTES].fill(0);
            if let Some(versions) = self.versions {
                file[versions + index * 2..versions + index * 2 + 2].fill(0);
            }
        }
        for (byte, named) in file[self.strings.clone()].iter_mut().zip(named) {
            *byte = if named { *byte } else { 0 };
        }
        Ok(())
    }

    /// Turns relocations that name removed symbols into relocations to the file's own address, where
    /// possible.
    fn bind(&self, file: &mut [u8], kept: &impl Fn(usize) -> bool) {
        let relative =
            if self.machine == elf::EM_X86_64 { elf::R_X86_64_RELATIVE } else { elf::R_AARCH64_RELATIVE };
        for relocation in self.relocations.iter().filter(|r| !kept(r.symbol) && self.can_bind(r)) {
            let value = u64_at(file, self.symbol_table + relocation.symbol * SYMBOL_BYTES + 8).unwrap_or(0);
            // On amd64 the addend counts in one kind alone.
            let counts = self.machine == elf::EM_AARCH64 || relocation.kind == elf::R_X86_64_64;
            let addend = u64_at(file, relocation.place + 16).filter(|_| counts);
            let to = value.wrapping_add(addend.unwrap_or(0));
            let bytes = [u64::from(relative), to].map(u64::to_le_bytes).concat();
            file[relocation.place + 8..relocation.place + 24].copy_from_slice(&bytes);
        }
    }

    /// Refuses files whose tables lie over each other: a change of one would be one of the other.
    fn check_apart(&self, file: &[u8]) -> Result<(), Fault> {
        let count = self.symbols.len();
        let symbols = self.symbol_table..self.symbol_table + count * SYMBOL_BYTES;
        let headers = self.segments.iter().map(|segment| segment.header..segment.header + 56);
        let mut all = vec![0..64.min(file.len()), self.dynamic.clone(), self.strings.clone(), symbols];
        all.extend(headers);
        all.extend(self.versions.map(|at| at..at + 2 * count));
        all.extend(self.hash.as_ref().map(HashTable::place));
        let relocations = self.relocations.iter().filter(|relocation| relocation.has_addend);
        all.extend(relocations.map(|relocation| relocation.place..relocation.place + 24));
        all.retain(|place| !place.is_empty());
        all.sort_by_key(|place| place.start);
        let apart = all.windows(2).all(|two| two[0].end <= two[1].start);
        if apart && all.last().is_none_or(|last| last.end <= file.len()) {
            Ok(())
        } else {
            Err(Fault::Damaged("layout"))
        }
    }

    /// Refuses hash tables whose buckets are mixed, which the loader would not find its way through either.
    fn check_order(&self, file: &[u8], kept: &impl Fn(usize) -> bool) -> Result<(), Fault> {
        let Some(hash) = &self.hash else { return Ok(()) };
        let buckets = self.hashed(file, kept).map(|(_, value)| value as usize % hash.buckets);
        if buckets.is_sorted() { Ok(()) } else { Err(Fault::Damaged("hash table")) }
    }

    /// Returns the symbols of the hash table that are kept, with the hashes of their names. One without a
    /// name, that went earlier, does not count.
    fn hashed(&self, file: &[u8], kept: &impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, u32)> {
        let range = self.hash.as_ref().map_or(0..0, |hash| hash.first..hash.end);
        let kept =
            range.filter(|index| kept(*index)).map(|index| (index, self.name(file, &self.symbols[index])));
        kept.filter(|(_, name)| !name.is_empty()).map(|(index, name)| (index, hash_of(name)))
    }

    /// Returns the offsets of names that are of no symbol: of libraries and versions.
    fn other_names(&self, file: &[u8]) -> Result<Vec<usize>, Fault> {
        let named = self.entries.iter().filter(|(tag, _)| NAMES.iter().any(|name| u64::from(*name) == *tag));
        let mut out: Vec<usize> = named.map(|(_, at)| *at as usize).collect();
        // (table, number, first name and next, first of those in it, its next)
        for (table, number, is_need) in
            [(elf::DT_VERNEED, elf::DT_VERNEEDNUM, true), (elf::DT_VERDEF, elf::DT_VERDEFNUM, false)]
        {
            const WHAT: &str = "table of versions";
            let Some(place) = self.table(table, WHAT)? else { continue };
            let mut at = place.start;
            let u32_of = |at: usize| u32_at(&file[..place.end], at).ok_or(Fault::Outside(WHAT));
            for _ in 0..self.value(number).unwrap_or(0) {
                let names = if is_need { u16_at(file, at + 2) } else { u16_at(file, at + 6) };
                let (first, next) = if is_need { (8, 12) } else { (12, 16) };
                if is_need {
                    out.push(u32_of(at + 4)? as usize);
                }
                let mut name = at + u32_of(at + first)? as usize;
                for _ in 0..names.ok_or(Fault::Outside(WHAT))? {
                    let (own, next) = if is_need { (8, 12) } else { (0, 4) };
                    out.push(u32_of(name + own)? as usize);
                    match u32_of(name + next)? as usize {
                        0 => break,
                        next => name += next,
                    }
                }
                match u32_of(at + next)? as usize {
                    0 => break,
                    next => at += next,
                }
            }
        }
        Ok(out)
    }

    /// Writes the hash table anew, in its place and of its size, over the symbols that are kept.
    fn rebuild_hash(&self, file: &mut [u8], kept: &impl Fn(usize) -> bool) {
        let Some(hash) = &self.hash else { return };
        let mut filter = vec![0_u64; hash.filter_words];
        let mut buckets = vec![0_u32; hash.buckets];
        let mut chain = vec![0_u32; hash.end - hash.first];
        let mut last_of = vec![None; hash.buckets];
        // Symbols of a bucket stand side by side, as they did.
        for (index, value) in self.hashed(file, kept) {
            filter[(value as usize / 64) & (hash.filter_words - 1)] |=
                1 << (value % 64) | 1 << ((value >> hash.shift) % 64);
            let bucket = value as usize % hash.buckets;
            if buckets[bucket] == 0 {
                buckets[bucket] = index as u32;
            }
            chain[index - hash.first] = value & !1;
            last_of[bucket] = Some(index);
        }
        for last in last_of.into_iter().flatten() {
            chain[last - hash.first] |= 1;
        }
        let bytes = filter.iter().flat_map(|word| word.to_le_bytes());
        let bytes = bytes.chain(buckets.iter().chain(&chain).flat_map(|word| word.to_le_bytes()));
        for (to, byte) in file[hash.filter()..].iter_mut().zip(bytes) {
            *to = byte;
        }
    }

    /// Removes the table of sections, and of the sections those that only tools read. What other programs
    /// have appended to the file stays. Returns how much became zeros; nothing where sections and segments
    /// are not apart.
    pub fn drop_sections(&self, file: &mut [u8]) -> usize {
        let Some(places) = tool_sections(file) else { return 0 };
        let mut loaded = self.segments.iter().map(|segment| &segment.place).filter(|place| !place.is_empty());
        if loaded.any(|l| places.iter().any(|p| p.start < l.end && l.start < p.end)) {
            return 0;
        }
        let count = places.iter().map(std::ops::Range::len).sum();
        places.into_iter().for_each(|place| file[place].fill(0));
        drop_section_table(file);
        count
    }

    /// Leaves nothing of a library but its name, its needs, and the symbols that are kept, by number; where
    /// its code was, each instruction ends the process by a signal. Nothing of it runs when it is loaded or
    /// unloaded.
    ///
    /// # Errors
    /// [`Fault`], before anything was changed.
    pub fn keep_only_symbols(&mut self, file: &mut [u8], keep: &[bool]) -> Result<(), Fault> {
        self.entries.retain(|(tag, _)| OF_STUBS.iter().any(|kept| u64::from(*kept) == *tag));
        self.keep_symbols(file, keep)?;
        for index in (0..self.symbols.len()).filter(|index| keep[*index]) {
            let kind = &mut file[self.symbol_table + index * SYMBOL_BYTES + 4];
            // The target of an indirect function is chosen by its own code.
            if *kind & 15 == elf::STT_GNU_IFUNC {
                *kind = *kind & 0xf0 | elf::STT_FUNC;
            }
        }
        let mut stays = vec![false; file.len()];
        let mut stay = |place: std::ops::Range<usize>| stays[place].fill(true);
        stay(0..64);
        for segment in &self.segments {
            stay(segment.header..segment.header + 56);
            if matches!(segment.kind, elf::PT_NOTE | elf::PT_GNU_PROPERTY | elf::PT_DYNAMIC) {
                stay(segment.place.clone());
            }
        }
        stay(self.strings.clone());
        stay(self.symbol_table..self.symbol_table + self.symbols.len() * SYMBOL_BYTES);
        self.versions.into_iter().for_each(|at| stay(at..at + 2 * self.symbols.len()));
        if let Some(hash) = &self.hash {
            stay(hash.place());
        }
        self.defined_versions(file)?.into_iter().for_each(stay);
        let code: Vec<_> =
            self.segments.iter().filter(|s| s.kind == elf::PT_LOAD && s.flags & 1 == 1).collect();
        // `int3`, and an instruction that arm64 keeps undefined for good.
        let trap = if self.machine == elf::EM_X86_64 { 0xcc } else { 0 };
        for (at, (byte, stays)) in file.iter_mut().zip(stays).enumerate() {
            if !stays {
                *byte = if code.iter().any(|segment| segment.place.contains(&at)) { trap } else { 0 };
            }
        }
        file[self.dynamic.clone()].fill(0);
        for (index, (tag, value)) in self.entries.iter().enumerate() {
            let at = self.dynamic.start + index * DYNAMIC_BYTES;
            file[at..at + 8].copy_from_slice(&tag.to_le_bytes());
            file[at + 8..at + 16].copy_from_slice(&value.to_le_bytes());
        }
        for segment in self.segments.iter().filter(|s| s.kind == elf::PT_GNU_EH_FRAME) {
            file[segment.header..segment.header + 4].copy_from_slice(&elf::PT_NULL.to_le_bytes());
        }
        file[24..32].fill(0);
        drop_section_table(file);
        Ok(())
    }

    /// Returns where the versions that a library defines are described.
    fn defined_versions(&self, file: &[u8]) -> Result<Vec<std::ops::Range<usize>>, Fault> {
        const WHAT: &str = "table of versions";
        let Some(place) = self.table(elf::DT_VERDEF, WHAT)? else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        let mut at = place.start;
        let known = |from: usize, bytes: usize| {
            let end = from.checked_add(bytes).filter(|end| *end <= place.end);
            end.map(|end| from..end).ok_or(Fault::Outside(WHAT))
        };
        for _ in 0..self.value(elf::DT_VERDEFNUM).unwrap_or(0) {
            out.push(known(at, 20)?);
            let mut name = at + u32_at(file, at + 12).unwrap_or(0) as usize;
            for _ in 0..u16_at(file, at + 6).unwrap_or(0) {
                out.push(known(name, 8)?);
                name += u32_at(file, name + 4).unwrap_or(0) as usize;
            }
            match u32_at(file, at + 16).unwrap_or(0) as usize {
                0 => break,
                next => at += next,
            }
        }
        Ok(out)
    }
}

fn drop_section_table(file: &mut [u8]) {
    file[40..48].fill(0);
    file[58..64].fill(0);
}

/// Returns where the table of sections lies and those in it that only tools read, if all of it is in order.
fn tool_sections(file: &[u8]) -> Option<Vec<std::ops::Range<usize>>> {
    let table = usize::try_from(u64_at(file, 40)?).ok()?;
    let [entry_bytes, count, names] = [58, 60, 62].map(|at| u16_at(file, at).map(usize::from));
    let (entry_bytes, count) = (entry_bytes?, count?);
    if entry_bytes != 64 || count == 0 {
        return None;
    }
    let table = table..table.checked_add(count * 64)?;
    let entries = file.get(table.clone())?;
    let place = |entry: &[u8]| {
        let start = usize::try_from(u64_at(entry, 24)?).ok()?;
        let end = start.checked_add(usize::try_from(u64_at(entry, 32)?).ok()?)?;
        (end <= file.len()).then_some(start..end)
    };
    let names = &file[place(entries.get(names? * 64..)?)?];
    let mut out = vec![table];
    for entry in entries.chunks_exact(64) {
        let name = text(names.get(u32_at(entry, 0)? as usize..)?);
        let in_memory = u64_at(entry, 8)? & u64::from(elf::SHF_ALLOC) != 0;
        let is_tool = TOOLS.contains(&name) || name.starts_with(b".debug_");
        if !in_memory && is_tool && u32_at(entry, 4)? != elf::SHT_NOBITS {
            out.push(place(entry)?);
        }
    }
    Some(out)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
