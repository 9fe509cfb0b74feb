//! What the dynamic loader will want for an ELF file: its interpreter and libraries.
//!
//! Comes in: a [`Blob`]. Goes out: the names that stand in its program headers and dynamic
//! section. Only those parts are read, so a library of 30 MB costs no more than a small one.
//! Where the names lead is decided elsewhere; see [`Elf::directories`] for the order of search
//! (`ld.so(8)`).

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    read::{
        ReadCache, ReadCacheOps, ReadRef,
        elf::{Dyn as _, FileHeader, ProgramHeader as _},
    },
};

use crate::store::Blob;

/// What an ELF file asks of the loader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
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

/// Reads a blob for [`ReadCache`].
struct Cursor<'a> {
    blob: &'a Blob,
    position: u64,
}

impl ReadCacheOps for Cursor<'_> {
    fn len(&mut self) -> Result<u64, ()> {
        Ok(self.blob.size_bytes())
    }

    fn seek(&mut self, position: u64) -> Result<u64, ()> {
        self.position = position;
        Ok(position)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ()> {
        let got = self.blob.read_at(buffer, self.position).map_err(drop)?;
        self.position += got as u64;
        Ok(got)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ()> {
        (self.read(buffer)? == buffer.len()).then_some(()).ok_or(())
    }
}

impl Elf {
    /// Returns what an ELF file asks for; `None` for what is no ELF file, or a damaged one, which
    /// the loader would refuse too.
    pub fn read(blob: &Blob) -> Option<Self> {
        let mut ident = [0; 5];
        if blob.read_at(&mut ident, 0).ok()? < ident.len() || &ident[..4] != b"\x7fELF" {
            return None;
        }
        let cache = ReadCache::new(Cursor { blob, position: 0 });
        Elf::of_class(ident[4], &cache)
    }

    /// As [`Elf::read`], of bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let ident = bytes.first_chunk::<5>().filter(|ident| ident.starts_with(b"\x7fELF"))?;
        Elf::of_class(ident[4], bytes)
    }

    fn of_class<'a>(class: u8, data: impl ReadRef<'a>) -> Option<Self> {
        match class {
            elf::ELFCLASS64 => parse::<FileHeader64<Endianness>, _>(data, true),
            elf::ELFCLASS32 => parse::<FileHeader32<Endianness>, _>(data, false),
            _ => None,
        }
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

/// Reads headers and dynamic section of one class.
fn parse<'a, H, R>(data: R, is_64: bool) -> Option<Elf>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'a>,
{
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let mut out = Elf { machine: header.e_machine(endian), is_64, ..Elf::default() };
    let mut entries: &[H::Dyn] = &[];
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, data).ok()? {
            out.interpreter = Some(interpreter.to_vec());
        }
        if let Some(dynamic) = segment.dynamic(endian, data).ok()? {
            entries = dynamic;
        }
    }
    let value = |tag: u32| {
        let found = entries.iter().find(|e| e.tag32(endian) == Some(tag));
        found.map(|e| -> u64 { e.d_val(endian).into() })
    };
    let Some(strings) = value(elf::DT_STRTAB) else { return Some(out) };
    let strings_offset = segments.iter().find_map(|s| {
        let (start, size) = (s.p_vaddr(endian).into(), s.p_filesz(endian).into());
        let inside = s.p_type(endian) == elf::PT_LOAD && strings.checked_sub(start).is_some_and(|d| d < size);
        inside.then(|| s.p_offset(endian).into().checked_add(strings - start)).flatten()
    })?;
    let strings_end = strings_offset.checked_add(value(elf::DT_STRSZ)?)?;
    let string = |at: u64| {
        let start = strings_offset.checked_add(at)?;
        let end = strings_end.min(data.len().ok()?);
        (start < end).then(|| data.read_bytes_at_until(start..end, 0).ok().map(<[u8]>::to_vec)).flatten()
    };
    let list = |at: u64| -> Option<Vec<Vec<u8>>> {
        Some(string(at)?.split(|b| *b == b':').filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect())
    };
    for entry in entries {
        let at: u64 = entry.d_val(endian).into();
        match entry.tag32(endian) {
            Some(elf::DT_NULL) => break,
            Some(elf::DT_NEEDED) => out.needed.push(string(at)?),
            Some(elf::DT_SONAME) => out.soname = Some(string(at)?),
            Some(elf::DT_RPATH) => out.rpath = list(at)?,
            Some(elf::DT_RUNPATH) => out.runpath = list(at)?,
            _ => {}
        }
    }
    if !out.runpath.is_empty() {
        out.rpath.clear();
    }
    Some(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::Store;

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

    fn read_all(files: impl IntoIterator<Item = Vec<u8>>) -> Vec<Option<Elf>> {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let read = |bytes| Elf::read(&store.blob(&store.put(bytes)).expect("is there"));
        files.into_iter().map(read).collect()
    }

    fn read(bytes: Vec<u8>) -> Option<Elf> {
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
        let elf = Elf { rpath: vec![b"/a".to_vec()], ..Elf::default() };
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
