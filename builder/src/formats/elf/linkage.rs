//! The libraries that the dynamic loader looks for when it loads a file, and where it looks.
//!
//! Only the program headers, the dynamic section and the names are read, so a library of 30 MB costs no more
//! than a small one. [`Linkage::directories`] has the order of search (`ld.so(8)`).

use std::io::{Read, Seek};

use object::{
    elf,
    read::{ReadCache, ReadRef},
};

use super::{DynamicEntry, Header, Segment, value_of};

/// The needs of an ELF file, as the loader reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linkage {
    /// `e_machine`; a library of another machine is passed over, as the loader does.
    pub machine: u16,
    /// True for 64 bits.
    pub is_64: bool,
    /// `PT_INTERP`: the loader, for a program.
    pub interpreter: Option<Vec<u8>>,
    /// `DT_SONAME`.
    pub soname: Option<Vec<u8>>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Vec<u8>>,
    /// `DT_RPATH`, split at colons; empty where `DT_RUNPATH` stands, which overrides it.
    pub rpath: Vec<Vec<u8>>,
    /// `DT_RUNPATH`, split at colons.
    pub runpath: Vec<Vec<u8>>,
}

impl Linkage {
    /// Reads a file; `None` if it is not an ELF file, or a damaged one, which the loader would refuse too.
    pub fn read(file: impl Read + Seek) -> Option<Self> {
        Linkage::parse(&ReadCache::new(file))
    }

    /// As [`Linkage::read`], of bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Linkage::parse(bytes)
    }

    fn parse<'a>(file: impl ReadRef<'a>) -> Option<Self> {
        let header = Header::read(file)?;
        let segments = header.segments(file).ok()?;
        let entries = header.dynamic(file, &segments).ok()?;
        let mut out = Linkage { machine: header.machine, is_64: header.is_64, ..Linkage::default() };
        if let Some(segment) = segments.iter().find(|segment| segment.kind == elf::PT_INTERP) {
            let bytes = file.read_bytes_at(segment.offset, segment.size_bytes).ok()?;
            out.interpreter = Some(bytes[..memchr::memchr(0, bytes)?].to_vec());
        }
        let Some(address) = value_of(&entries, elf::DT_STRTAB) else { return Some(out) };
        let strings = Strings::at(address, &entries, &segments)?;
        let string = |at| strings.get(file, at);
        let list = |at| -> Option<Vec<Vec<u8>>> {
            Some(string(at)?.split(|b| *b == b':').filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect())
        };
        for (tag, at) in entries {
            match u32::try_from(tag) {
                Ok(elf::DT_NEEDED) => out.needed.push(string(at)?.to_vec()),
                Ok(elf::DT_SONAME) => out.soname = Some(string(at)?.to_vec()),
                Ok(elf::DT_RPATH) => out.rpath = list(at)?,
                Ok(elf::DT_RUNPATH) => out.runpath = list(at)?,
                _ => {}
            }
        }
        if !out.runpath.is_empty() {
            out.rpath.clear();
        }
        Some(out)
    }

    /// Returns the directories that the loader looks into for this file's needs before the
    /// system's own: `DT_RPATH` of the file and of those that loaded it (`inherited`, nearest
    /// first) unless it has `DT_RUNPATH`, else that; `$ORIGIN`, `$LIB` and `$PLATFORM` filled in.
    pub fn directories(&self, path: &[u8], inherited: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let own = if self.runpath.is_empty() { &self.rpath } else { &self.runpath };
        let mut out: Vec<Vec<u8>> = own.iter().map(|entry| self.expand(entry, path)).collect();
        if self.runpath.is_empty() {
            out.extend_from_slice(inherited);
        }
        out
    }

    /// Returns the directories where the loader looks last: those of the architecture, then the
    /// general ones, as Debian's glibc is built (`ld.so --help`).
    pub fn system_directories(&self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if let Some(triple) = self.triple() {
            out.push([b"lib/", triple].concat());
            out.push([b"usr/lib/", triple].concat());
        }
        let plain: &[&[u8]] =
            if self.is_64 { &[b"lib64", b"usr/lib64", b"lib", b"usr/lib"] } else { &[b"lib", b"usr/lib"] };
        out.extend(plain.iter().map(|d| d.to_vec()));
        out
    }

    /// Returns Debian's name for the machine in library paths (Debian wiki, Multiarch/Tuples).
    fn triple(&self) -> Option<&'static [u8]> {
        Some(match (self.machine, self.is_64) {
            (elf::EM_X86_64, true) => b"x86_64-linux-gnu",
            (elf::EM_X86_64, false) => b"x86_64-linux-gnux32",
            (elf::EM_386, _) => b"i386-linux-gnu",
            (elf::EM_AARCH64, _) => b"aarch64-linux-gnu",
            (elf::EM_ARM, _) => b"arm-linux-gnueabihf",
            (elf::EM_PPC64, _) => b"powerpc64le-linux-gnu",
            (elf::EM_S390, _) => b"s390x-linux-gnu",
            (elf::EM_RISCV, _) => b"riscv64-linux-gnu",
            (elf::EM_LOONGARCH, _) => b"loongarch64-linux-gnu",
            (elf::EM_MIPS, true) => b"mips64el-linux-gnuabi64",
            _ => return None,
        })
    }

    /// Fills in the loader's variables in an entry of `DT_RPATH` or `DT_RUNPATH`.
    fn expand(&self, entry: &[u8], path: &[u8]) -> Vec<u8> {
        let origin = path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |slash| &path[..slash]);
        let lib = self.triple().map_or_else(|| b"lib".to_vec(), |t| [b"lib/", t].concat());
        let mut out = replace(entry, b"ORIGIN", &[b"/", origin].concat());
        out = replace(&out, b"LIB", &lib);
        let platform: &[u8] = match self.machine {
            elf::EM_X86_64 => b"x86_64",
            elf::EM_AARCH64 => b"aarch64",
            _ => b"",
        };
        replace(&out, b"PLATFORM", platform)
    }
}

/// Replaces `$NAME` and `${NAME}`.
fn replace(text: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let braced = [b"${", name, b"}"].concat();
    let plain = [b"$", name].concat();
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(&braced[..]).or_else(|| rest.strip_prefix(&plain[..])) {
            out.extend_from_slice(value);
            rest = after;
        } else {
            out.push(*first);
            rest = &rest[1..];
        }
    }
    out
}

/// The table of names, by offsets in the file.
struct Strings {
    start: u64,
    end: u64,
}

impl Strings {
    fn at(address: u64, entries: &[DynamicEntry], segments: &[Segment]) -> Option<Self> {
        let start = segments.iter().filter(|segment| segment.kind == elf::PT_LOAD).find_map(|segment| {
            let inside =
                address.checked_sub(segment.address).filter(|inside| *inside < segment.size_bytes)?;
            segment.offset.checked_add(inside)
        })?;
        let end = start.checked_add(value_of(entries, elf::DT_STRSZ)?)?;
        Some(Strings { start, end })
    }

    fn get<'a>(&self, file: impl ReadRef<'a>, at: u64) -> Option<&'a [u8]> {
        let start = self.start.checked_add(at)?;
        let end = self.end.min(file.len().ok()?);
        (start < end).then(|| file.read_bytes_at_until(start..end, 0).ok()).flatten()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use super::*;

    /// Writes a small 64-bit little-endian shared object with the given strings.
    pub(crate) fn write_elf(interpreter: Option<&str>, entries: &[(u32, &str)]) -> Vec<u8> {
        let interpreter = interpreter.map(|i| [i.as_bytes(), b"\0"].concat());
        let headers: u16 = 2 + u16::from(interpreter.is_some());
        let mut strings = vec![0];
        let mut dynamic: Vec<(u64, u64)> = Vec::new();
        for (tag, text) in entries {
            dynamic.push((u64::from(*tag), strings.len() as u64));
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
        }
        let interp_at = 64 + u64::from(headers) * 56;
        let dynamic_at = (interp_at + interpreter.as_ref().map_or(0, |i| i.len() as u64)).next_multiple_of(8);
        let dynamic_size = (dynamic.len() as u64 + 3) * 16;
        let strings_at = dynamic_at + dynamic_size;
        let end = strings_at + strings.len() as u64;
        const BASE: u64 = 0x10000;
        dynamic.push((u64::from(elf::DT_STRTAB), BASE + strings_at));
        dynamic.push((u64::from(elf::DT_STRSZ), strings.len() as u64));
        dynamic.push((0, 0));

        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        for half in [elf::ET_DYN, elf::EM_X86_64] {
            out.extend(half.to_le_bytes());
        }
        out.extend(1u32.to_le_bytes());
        for word in [0u64, 64, 0] {
            out.extend(word.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        for half in [64u16, 56, headers, 0, 0, 0] {
            out.extend(half.to_le_bytes());
        }
        let mut segment = |kind: u32, at: u64, size: u64| {
            out.extend(kind.to_le_bytes());
            out.extend(4u32.to_le_bytes());
            for word in [at, BASE + at, BASE + at, size, size, 8] {
                out.extend(word.to_le_bytes());
            }
        };
        if let Some(interpreter) = &interpreter {
            segment(elf::PT_INTERP, interp_at, interpreter.len() as u64);
        }
        segment(elf::PT_LOAD, 0, end);
        segment(elf::PT_DYNAMIC, dynamic_at, dynamic_size);
        out.extend(interpreter.unwrap_or_default());
        out.resize(dynamic_at as usize, 0);
        for (tag, value) in dynamic {
            out.extend(tag.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        out.extend(strings);
        out
    }

    fn read_all(files: impl IntoIterator<Item = Vec<u8>>) -> Vec<Option<Linkage>> {
        files.into_iter().map(|bytes| Linkage::read(Cursor::new(bytes))).collect()
    }

    fn read(bytes: Vec<u8>) -> Option<Linkage> {
        read_all([bytes]).remove(0)
    }

    #[test]
    fn reads_what_the_loader_reads() {
        let bytes = write_elf(
            Some("/lib64/ld.so"),
            &[
                (elf::DT_NEEDED, "libb.so.1"),
                (elf::DT_NEEDED, "libc.so.6"),
                (elf::DT_SONAME, "liba.so.2"),
                (elf::DT_RUNPATH, "$ORIGIN/../x:/opt/${LIB}"),
            ],
        );
        let elf = read(bytes).expect("is ELF");
        assert_eq!(elf.interpreter.as_deref(), Some(&b"/lib64/ld.so"[..]));
        assert_eq!(elf.soname.as_deref(), Some(&b"liba.so.2"[..]));
        assert_eq!(elf.needed, [b"libb.so.1", b"libc.so.6"]);
        let directories = elf.directories(b"usr/lib/app/a.so", &[b"/inherited".to_vec()]);
        assert_eq!(directories, [b"/usr/lib/app/../x".to_vec(), b"/opt/lib/x86_64-linux-gnu".to_vec()]);
    }

    #[test]
    fn rpath_is_inherited_and_runpath_overrides_it() {
        let elf = Linkage { rpath: vec![b"/a".to_vec()], ..Linkage::default() };
        assert_eq!(elf.directories(b"x", &[b"/b".to_vec()]), [b"/a", b"/b"]);
        let both = write_elf(None, &[(elf::DT_RPATH, "/a"), (elf::DT_RUNPATH, "/c")]);
        let both = read(both).expect("is ELF");
        assert_eq!(both.directories(b"x", &[b"/b".to_vec()]), [b"/c"]);
    }

    #[test]
    fn damaged_files_are_no_elf_and_never_panic() {
        assert_eq!(read(b"#!/bin/sh\n".to_vec()), None);
        assert_eq!(read(b"\x7fEL".to_vec()), None);
        let whole = write_elf(Some("/l"), &[(elf::DT_NEEDED, "libb.so.1"), (elf::DT_RPATH, "/a")]);
        read_all((0..whole.len()).map(|cut| whole[..cut].to_vec()));
        let flipped = |(index, value): (usize, u8)| {
            let mut bytes = whole.clone();
            bytes[index] = value;
            bytes
        };
        let places = (0..whole.len()).flat_map(|index| [0, 0x7f, 0xff].map(|value| (index, value)));
        read_all(places.map(flipped));
    }

    #[test]
    fn reads_the_hosts_own_shell_where_there_is_one() {
        let Ok(bytes) = std::fs::read("/bin/sh") else {
            return crate::testing::skip("no readable /bin/sh on this host");
        };
        let elf = read(bytes).expect("is ELF");
        assert!(elf.interpreter.is_none() || !elf.needed.is_empty());
    }
}
