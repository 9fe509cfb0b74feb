//! ELF files, as the kernel and the dynamic loader read them: by segments, never by sections, which may be
//! missing (`elf(5)`, `ld.so(8)`).
//!
//! All readers share [`Header`], for any class and byte order, and take the records from the crate `object`,
//! which checks every range against the file. [`linkage`] finds the libraries that a file needs; [`image`]
//! reads its symbols. By hand are:
//!
//! - the offsets of records in the file: `object` returns slices, and a change in place needs to know where
//!   they lie;
//! - the walk through the hash table: `object::read::elf::GnuHashTable` keeps the place of its parts private;
//! - every change ([`image`], `keep_symbols` and the like): `object` writes new files, in which addresses
//!   move.

use object::{
    Endianness,
    elf::{self, FileHeader32, FileHeader64},
    read::{
        self, ReadRef,
        elf::{Dyn as _, FileHeader, ProgramHeader as _},
    },
};

pub mod image;
pub mod linkage;

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

/// The fields of a file's header that decide how the rest is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `ET_*`.
    pub kind: u16,
    /// `EM_*`.
    pub machine: u16,
    /// True for 64 bits.
    pub is_64: bool,
    /// The byte order.
    pub endian: Endianness,
}

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the header itself lies in the file.
    pub header: u64,
    /// `PT_*`.
    pub kind: u32,
    /// `PF_*`.
    pub flags: u32,
    /// Where its contents lie in memory.
    pub address: u64,
    /// Where its contents lie in the file. Not checked.
    pub offset: u64,
    /// The length of its contents in the file. Not checked.
    pub size_bytes: u64,
}

/// An entry of the dynamic section: `DT_*` and its value.
pub type DynamicEntry = (u64, u64);

impl Header {
    /// Reads the header; `None` for a file that the kernel and the loader refuse by its header alone.
    pub fn read<'a>(file: impl ReadRef<'a>) -> Option<Self> {
        if file.read_bytes_at(0, 4) != Ok(&elf::ELFMAG[..]) {
            return None;
        }
        Header::of(FileHeader64::<Endianness>::parse(file))
            .or_else(|| Header::of(FileHeader32::<Endianness>::parse(file)))
    }

    fn of<H: FileHeader<Endian = Endianness>>(header: read::Result<&H>) -> Option<Self> {
        let header = header.ok()?;
        let endian = header.endian().ok()?;
        let (kind, machine) = (header.e_type(endian), header.e_machine(endian));
        Some(Header { kind, machine, is_64: header.is_type_64(), endian })
    }

    /// Returns the program headers, in order.
    ///
    /// # Errors
    /// [`Fault::Damaged`] if they are not inside the file or have another length than the class says.
    pub fn segments<'a>(&self, file: impl ReadRef<'a>) -> Result<Vec<Segment>, Fault> {
        let segments = if self.is_64 {
            segments::<FileHeader64<Endianness>>(file)
        } else {
            segments::<FileHeader32<Endianness>>(file)
        };
        segments.ok_or(Fault::Damaged("table of segments"))
    }

    /// Returns the entries of the dynamic section before `DT_NULL`; none if there is no such section.
    ///
    /// # Errors
    /// [`Fault::Outside`] if the section is not inside the file.
    pub fn dynamic<'a>(
        &self,
        file: impl ReadRef<'a>,
        segments: &[Segment],
    ) -> Result<Vec<DynamicEntry>, Fault> {
        let Some(segment) = dynamic_segment(segments) else { return Ok(Vec::new()) };
        let entries = if self.is_64 {
            entries::<FileHeader64<Endianness>>(file, self.endian, segment)
        } else {
            entries::<FileHeader32<Endianness>>(file, self.endian, segment)
        };
        entries.ok_or(Fault::Outside("dynamic section"))
    }
}

/// Returns the segment of the dynamic section: the last one, as glibc's loader takes it.
fn dynamic_segment(segments: &[Segment]) -> Option<&Segment> {
    segments.iter().rfind(|segment| segment.kind == elf::PT_DYNAMIC)
}

fn segments<'a, H: FileHeader<Endian = Endianness>>(file: impl ReadRef<'a>) -> Option<Vec<Segment>> {
    let header = H::parse(file).ok()?;
    let endian = header.endian().ok()?;
    // Here `object` would take the number from the first section, which neither kernel nor loader does.
    if header.e_phnum(endian) == elf::PN_XNUM {
        return None;
    }
    let table: u64 = header.e_phoff(endian).into();
    let entries = header.program_headers(endian, file).ok()?.iter().enumerate();
    let segments = entries.map(|(index, entry)| Segment {
        header: table + (index * size_of::<H::ProgramHeader>()) as u64,
        kind: entry.p_type(endian),
        flags: entry.p_flags(endian),
        address: entry.p_vaddr(endian).into(),
        offset: entry.p_offset(endian).into(),
        size_bytes: entry.p_filesz(endian).into(),
    });
    Some(segments.collect())
}

fn entries<'a, H: FileHeader<Endian = Endianness>>(
    file: impl ReadRef<'a>,
    endian: Endianness,
    segment: &Segment,
) -> Option<Vec<DynamicEntry>> {
    let count = usize::try_from(segment.size_bytes / size_of::<H::Dyn>() as u64).ok()?;
    let entries = file.read_slice_at::<H::Dyn>(segment.offset, count).ok()?;
    let values = entries.iter().map(|entry| (entry.d_tag(endian).into(), entry.d_val(endian).into()));
    Some(values.take_while(|(tag, _)| *tag != u64::from(elf::DT_NULL)).collect())
}

/// Returns the first value of a tag.
fn value_of(entries: &[DynamicEntry], tag: u32) -> Option<u64> {
    entries.iter().find(|(found, _)| *found == u64::from(tag)).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a header and one program header, of any class and byte order.
    fn file(is_64: bool, endian: Endianness) -> Vec<u8> {
        let number = |value: u64, bytes: usize| match endian {
            Endianness::Little => value.to_le_bytes()[..bytes].to_vec(),
            Endianness::Big => value.to_be_bytes()[8 - bytes..].to_vec(),
        };
        let word = if is_64 { 8 } else { 4 };
        let (header, entry) = if is_64 { (64, 56) } else { (52, 32) };
        let data = if endian == Endianness::Big { elf::ELFDATA2MSB } else { elf::ELFDATA2LSB };
        let mut out = [&elf::ELFMAG[..], &[1 + u8::from(is_64), data, elf::EV_CURRENT], &[0; 9]].concat();
        let mut add = |fields: &[(u64, usize)]| {
            out.extend(fields.iter().flat_map(|(value, bytes)| number(*value, *bytes)));
        };
        add(&[(elf::ET_DYN.into(), 2), (elf::EM_PPC64.into(), 2), (1, 4), (0, word), (header, word)]);
        add(&[(0, word), (0, 4), (header, 2), (entry, 2), (1, 2), (0, 2), (0, 2), (0, 2)]);
        let place = [(0x10, word), (0x2010, word), (0x2010, word), (0x20, word), (0x20, word)];
        let (kind, flags) = ((elf::PT_LOAD.into(), 4), (5, 4));
        if is_64 {
            add(&[kind, flags]);
            add(&place);
        } else {
            add(&[kind]);
            add(&place);
            add(&[flags]);
        }
        add(&[(8, word)]);
        out
    }

    #[test]
    fn headers_of_both_classes_and_byte_orders_are_read() {
        for (is_64, endian) in [
            (true, Endianness::Little),
            (true, Endianness::Big),
            (false, Endianness::Little),
            (false, Endianness::Big),
        ] {
            let bytes = file(is_64, endian);
            let header = Header::read(&bytes[..]).expect("is ELF");
            assert_eq!(header, Header { kind: elf::ET_DYN, machine: elf::EM_PPC64, is_64, endian });
            let at = if is_64 { 64 } else { 52 };
            let segment = Segment {
                header: at,
                kind: elf::PT_LOAD,
                flags: 5,
                address: 0x2010,
                offset: 0x10,
                size_bytes: 0x20,
            };
            assert_eq!(header.segments(&bytes[..]), Ok(vec![segment]));
            assert_eq!(header.dynamic(&bytes[..], &[segment]), Ok(Vec::new()));
            let beyond = Segment { kind: elf::PT_DYNAMIC, size_bytes: u64::MAX, ..segment };
            assert_eq!(header.dynamic(&bytes[..], &[beyond]), Err(Fault::Outside("dynamic section")));
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(header.segments(cut), Err(Fault::Damaged("table of segments")));
            assert_eq!(Header::read(&bytes[..at as usize - 1]), None);
        }
    }

    #[test]
    fn the_number_of_segments_is_never_taken_from_a_section() {
        let mut bytes = file(true, Endianness::Little);
        bytes[56..58].copy_from_slice(&elf::PN_XNUM.to_le_bytes());
        let header = Header::read(&bytes[..]).expect("is ELF");
        assert_eq!(header.segments(&bytes[..]), Err(Fault::Damaged("table of segments")));
    }
}
