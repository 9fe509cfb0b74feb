//! Two ELF files: the section that differs.

use object::{Object as _, ObjectSection as _};

use super::place::{Part, Place, place};

/// The first bytes of an ELF file.
const MAGIC: &[u8] = b"\x7fELF";

/// More sections than this are not looked at. Programs of Debian have some forty.
const MOST_SECTIONS: usize = 4096;

/// Finds the first section, in the order of the first file, that differs. `None` if these are not two ELF
/// files that can be read.
pub(super) fn difference<'a>(first: &'a [u8], second: &'a [u8]) -> Option<Part<'a>> {
    if !(first.starts_with(MAGIC) && second.starts_with(MAGIC)) {
        return None;
    }
    let (one, two) = (sections(first)?, sections(second)?);
    for (name, bytes) in &one {
        let Some((_, other)) = two.iter().find(|(other, _)| other == name) else {
            return Some(Part::Said(vec![at(name)], "only the first has it".into()));
        };
        if bytes != other {
            return Some(Part::Slices(place(format!("section `{name}`"), bytes, other), bytes, other));
        }
    }
    if let Some((name, _)) = two.iter().find(|(name, _)| one.iter().all(|(other, _)| other != name)) {
        return Some(Part::Said(vec![at(name)], "only the second has it".into()));
    }
    let header = first.len().min(second.len()).min(64);
    if first[..header] != second[..header] {
        let (one, two) = (&first[..header], &second[..header]);
        return Some(Part::Slices(place("ELF header".into(), one, two), one, two));
    }
    let around = place("program headers, section headers, or between sections".into(), first, second);
    Some(Part::Slices(around, first, second))
}

fn at(name: &str) -> Place {
    Place { place: format!("section `{name}`"), offset: None }
}

/// Returns the sections that have contents in the file, by name.
fn sections(file: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let read = object::File::parse(file).ok()?;
    let sections = read.sections().take(MOST_SECTIONS).map(|section| {
        let name = String::from_utf8_lossy(section.name_bytes().unwrap_or_default()).into_owned();
        (name, section.data().unwrap_or_default())
    });
    Some(sections.collect())
}
