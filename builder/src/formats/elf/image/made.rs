//! Libraries and programs of a few symbols, made in memory, and the lookup that the loader does in them.

use object::elf;

use super::hash_of;
#[cfg(test)]
use super::{
    Image,
    change::{u16_at, u32_at, u64_at},
    text,
};

/// The contents of a file.
#[derive(Clone, Default)]
pub(crate) struct Made<'a> {
    /// `PT_INTERP` is there.
    pub program: bool,
    pub soname: &'a str,
    pub needed: &'a [&'a str],
    pub imports: &'a [&'a str],
    /// Names and `STT_*`.
    pub exports: &'a [(&'a str, u8)],
    /// Of imports and exports, those that a relocation names.
    pub relocated: &'a [&'a str],
    /// Words among its data.
    pub words: &'a str,
}

pub(crate) const CODE: &[u8] = b"\x55\x48\x89\xe5\xc3 code of a made library";
const BASE: u64 = 0x1_0000;
const BUCKETS: u32 = 3;

impl Made<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let mut exports = self.exports.to_vec();
        exports.sort_by_key(|(name, _)| hash_of(name.as_bytes()) % BUCKETS);
        let mut strings = vec![0];
        let mut string = |text: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let mut dynamic: Vec<(u32, u64)> = Vec::new();
        dynamic.extend(self.needed.iter().map(|name| (elf::DT_NEEDED, u64::from(string(name)))));
        dynamic.push((elf::DT_SONAME, u64::from(string(self.soname))));
        let version = u64::from(string("MADE_1"));
        let names: Vec<&str> = self.imports.iter().copied().chain(exports.iter().map(|(n, _)| *n)).collect();
        let mut symbols = vec![0; 24];
        let mut versions = vec![0, 0];
        for (index, name) in names.iter().enumerate() {
            let export = index.checked_sub(self.imports.len()).map(|index| exports[index]);
            symbols.extend(string(name).to_le_bytes());
            symbols.extend([0x10 | export.map_or(elf::STT_NOTYPE, |(_, kind)| kind), 0]);
            symbols.extend(u16::from(export.is_some()).to_le_bytes());
            symbols.extend((if export.is_some() { BASE + 0x1000 + index as u64 } else { 0 }).to_le_bytes());
            symbols.extend(8_u64.to_le_bytes());
            versions.extend((1 + u16::from(export.is_some())).to_le_bytes());
        }
        let relocations: Vec<u8> = (self.relocated.iter())
            .map(|name| names.iter().position(|other| other == name).expect("is one of its own") + 1)
            .flat_map(|number| [0x8000, (number as u64) << 32 | 6, 0])
            .flat_map(u64::to_le_bytes)
            .collect();
        let verdef = [1_u32 | 1 << 16, 2 | 1 << 16, hash_of(b"MADE_1"), 20, 0, version as u32, 0];
        let verdef: Vec<u8> = verdef.into_iter().flat_map(u32::to_le_bytes).collect();
        let hash = self.hash(&exports);
        let parts: [(&[u32], Vec<u8>); 7] = [
            (&[elf::DT_GNU_HASH], hash),
            (&[elf::DT_SYMTAB], symbols),
            (&[elf::DT_VERSYM], versions),
            (&[elf::DT_VERDEF], verdef),
            (&[elf::DT_RELA], relocations.clone()),
            (&[elf::DT_STRTAB], strings),
            (&[elf::DT_INIT], self.words.as_bytes().to_vec()),
        ];
        let sizes = [(elf::DT_STRSZ, parts[5].1.len() as u64), (elf::DT_RELASZ, relocations.len() as u64)];
        dynamic.extend(sizes.into_iter().chain([(elf::DT_VERDEFNUM, 1)]));
        let mut at = 64 + 5 * 56 + (dynamic.len() + parts.len() + 1) * 16;
        let mut tables = Vec::new();
        for (tags, bytes) in parts {
            dynamic.extend(tags.iter().map(|tag| (*tag, BASE + at as u64)));
            tables.extend_from_slice(&bytes);
            tables.resize(tables.len().next_multiple_of(8), 0);
            at += bytes.len().next_multiple_of(8);
        }
        dynamic.push((elf::DT_NULL, 0));
        self.file(&dynamic, &tables)
    }

    fn hash(&self, exports: &[(&str, u8)]) -> Vec<u8> {
        let first = 1 + self.imports.len() as u32;
        let (mut filter, mut buckets, mut chain) = (0_u64, vec![0_u32; BUCKETS as usize], Vec::new());
        for (index, (name, _)) in exports.iter().enumerate() {
            let value = hash_of(name.as_bytes());
            filter |= 1 << (value % 64) | 1 << ((value >> 6) % 64);
            let bucket = value % BUCKETS;
            if buckets[bucket as usize] == 0 {
                buckets[bucket as usize] = first + index as u32;
            }
            let next = exports.get(index + 1).map(|(next, _)| hash_of(next.as_bytes()) % BUCKETS);
            chain.push(value & !1 | u32::from(next != Some(bucket)));
        }
        let mut out: Vec<u8> = [BUCKETS, first, 1, 6].into_iter().flat_map(u32::to_le_bytes).collect();
        out.extend(filter.to_le_bytes());
        out.extend(buckets.into_iter().chain(chain).flat_map(u32::to_le_bytes));
        out
    }

    /// Puts a file together: headers, dynamic section, tables, code, and sections that only tools read.
    fn file(&self, dynamic: &[(u32, u64)], tables: &[u8]) -> Vec<u8> {
        let dynamic_at = 64 + 5 * 56_u64;
        let code_at = dynamic_at + dynamic.len() as u64 * 16 + tables.len() as u64;
        let comment_at = code_at + CODE.len() as u64;
        let comment = b"made by hand\0\0.comment\0.payload\0";
        let sections_at = (comment_at + comment.len() as u64).next_multiple_of(8);
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        for word in [BASE + 0x1000, 64, sections_at] {
            out.extend(word.to_le_bytes());
        }
        out.extend([0, 0, 0, 0, 64, 0, 56, 0, 5, 0, 64, 0, 3, 0, 2, 0]);
        let interpreter = if self.program { elf::PT_INTERP } else { elf::PT_NULL };
        let dynamic_bytes = dynamic.len() as u64 * 16;
        for (kind, flags, at, address, size) in [
            (elf::PT_LOAD, 4, 0, BASE, code_at),
            (elf::PT_LOAD, 5, code_at, BASE + 0x1000, CODE.len() as u64),
            (elf::PT_DYNAMIC, 4, dynamic_at, BASE + dynamic_at, dynamic_bytes),
            (interpreter, 4, 0, BASE, 1),
            (elf::PT_GNU_EH_FRAME, 4, code_at, BASE + 0x1000, 4),
        ] {
            out.extend(kind.to_le_bytes());
            out.extend(u32::to_le_bytes(flags));
            for word in [at, address, address, size, size, 8] {
                out.extend(word.to_le_bytes());
            }
        }
        for (tag, value) in dynamic {
            out.extend(u64::from(*tag).to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out.extend_from_slice(tables);
        out.extend_from_slice(CODE);
        out.extend_from_slice(comment);
        out.resize(sections_at as usize, 0);
        // Nothing; `.comment` of 13 bytes, and the names as `.payload`, which no tool knows.
        out.resize(out.len() + 64, 0);
        for (name, at, size) in [(1_u32, comment_at, 13_u64), (10, comment_at + 13, 19)] {
            out.extend(name.to_le_bytes());
            out.extend(elf::SHT_PROGBITS.to_le_bytes());
            for word in [0, 0, at, size, 0, 1, 0] {
                out.extend(word.to_le_bytes());
            }
        }
        out
    }
}

/// Looks a name up as the loader does; returns the symbol's value.
#[cfg(test)]
pub(crate) fn lookup(file: &[u8], name: &str) -> Option<u64> {
    let image = Image::read(file).expect("reads").expect("has tables");
    let hash = image.hash.as_ref().expect("has a hash table");
    let value = hash_of(name.as_bytes());
    let word = u64_at(file, hash.filter() + 8 * (value as usize / 64 % hash.filter_words))?;
    if word >> (value % 64) & word >> ((value >> hash.shift) % 64) & 1 == 0 {
        return None;
    }
    let mut symbol = u32_at(file, hash.bucket(value as usize % hash.buckets))? as usize;
    if symbol == 0 {
        return None;
    }
    loop {
        let link = u32_at(file, hash.chain(symbol))?;
        let at = image.symbol_table + symbol * 24;
        let own = text(&file[image.strings.start + u32_at(file, at)? as usize..]);
        if (link ^ value) >> 1 == 0 && own == name.as_bytes() && u16_at(file, at + 6)? != 0 {
            return u64_at(file, at + 8);
        }
        if link & 1 == 1 {
            return None;
        }
        symbol += 1;
    }
}
