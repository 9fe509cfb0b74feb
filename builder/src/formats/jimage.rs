//! The file of Java's own classes, `lib/modules` ("jimage", since Java 9; JEP 220).
//!
//! ```text
//! u32 cafedada · u16 minor version 0 · u16 major version 1 · u32 flags · u32 count of resources
//! u32 length of the tables · u32 bytes of locations · u32 bytes of strings
//! redirects  i32 each: by the hash of a name: an index of the offsets, or a seed for a second hash
//! offsets    u32 each: where among the locations a resource's is; 0 for none
//! locations  attributes each: u8 kind << 3 | length - 1 · big-endian number of that length; a kind of 0 ends them
//!            1 module · 2 parent · 3 base · 4 extension (offsets of strings: "/module/parent/base.extension")
//!            5 offset of the content, after the strings · 6 its packed length, 0 for plain · 7 its length
//! strings    each ends with a zero byte
//! contents
//! ```
//!
//! Besides the modules' resources there are directories, which list their entries by offsets of locations
//! (u32 each): those of "module" `modules` (`/modules/java.base/java`), `/modules`, `/packages`. And for each
//! package (`/packages/java.awt`) the modules that have it: u32, 0 where it has classes there · u32 offset of
//! the module's name.
//!
//! (OpenJDK's `imageFile.hpp`, `BasicImageReader.java`, `ImageResourcesTree.java`.) A reader goes from a name
//! by two tables to a location, and compares the name there; offset 0 stands for a name that is not there. So
//! modules are taken out in place: their offsets become 0, they leave the directories, and their bytes are
//! zeroed. Nothing moves and the length stays.
//!
//! Only little-endian files are read, as Debian's are for amd64 and arm64.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// A fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another format, or another version of it.
    #[error("it is not an image of Java's modules, version 1.0, in little-endian")]
    Header,
    /// The end comes too early.
    #[error("its {0} end too early")]
    Short(&'static str),
    /// A location that no reader could follow.
    #[error("entry {entry} of its table {what}")]
    Entry {
        /// The number of the entry, from 0.
        entry: usize,
        /// The fault.
        what: &'static str,
    },
}

const HEADER_BYTES: usize = 28;

/// Attributes of a location, by their kinds.
const MODULE: usize = 1;
const PARENT: usize = 2;
const BASE: usize = 3;
const EXTENSION: usize = 4;
const OFFSET: usize = 5;
const PACKED: usize = 6;
const LENGTH: usize = 7;
const KINDS: usize = 8;

/// An item that has a location.
#[derive(Clone, Debug)]
struct Entry {
    /// Its place in the table of offsets.
    index: usize,
    /// Where its location lies in the file.
    location: Range<usize>,
    /// Where in the file the number of attribute [`LENGTH`] lies.
    length_place: Range<usize>,
    /// Offsets of its strings, by kind.
    strings: [u32; EXTENSION + 1],
    /// Where its content lies in the file.
    content: Range<usize>,
    is_packed: bool,
}

/// An image, checked: locations, strings and contents lie within it, and none over another.
#[derive(Clone, Debug)]
pub struct Image {
    /// By the offset of their location.
    entries: BTreeMap<u32, Entry>,
    offsets: Range<usize>,
    strings: Range<usize>,
}

/// A module that has a package: its name, and the pair of numbers that says so.
type Listed<'a> = (&'a [u8], [u32; 2]);

/// The rest of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// How many resources.
    pub resources: usize,
    /// Their bytes.
    pub size_bytes: u64,
}

impl Image {
    /// Reads and checks the tables of an image.
    ///
    /// # Errors
    /// [`Fault`]; no memory is reserved beyond the file's length.
    pub fn read(file: &[u8]) -> Result<Self, Fault> {
        let words: Option<Vec<u32>> = (0..7).map(|word| number(file, word * 4)).collect();
        let words = words.ok_or(Fault::Short("first bytes"))?;
        if (words[0], words[1]) != (0xcafe_dada, 0x0001_0000) {
            return Err(Fault::Header);
        }
        let [tables, locations, strings] = [words[4], words[5], words[6]].map(|word| word as usize);
        let part = |start: usize, length: Option<usize>, what| {
            let end = length.and_then(|length| start.checked_add(length)).filter(|end| *end <= file.len());
            end.map(|end| start..end).ok_or(Fault::Short(what))
        };
        let redirects = part(HEADER_BYTES, tables.checked_mul(4), "redirects")?;
        let offsets = part(redirects.end, tables.checked_mul(4), "offsets")?;
        let locations = part(offsets.end, Some(locations), "locations")?;
        let strings = part(locations.end, Some(strings), "strings")?;
        let mut image = Image { entries: BTreeMap::new(), offsets, strings };
        for index in 0..tables {
            let fault = |what| Fault::Entry { entry: index, what };
            let offset = number(file, image.offsets.start + index * 4).ok_or(Fault::Short("offsets"))?;
            if offset == 0 {
                continue;
            }
            let entry = read_entry(file, index, offset, &locations, &image.strings).map_err(fault)?;
            if image.entries.insert(offset, entry).is_some() {
                return Err(fault("has the location of another"));
            }
        }
        image.check_apart()?;
        Ok(image)
    }

    /// Checks that no two locations and no two contents overlap.
    fn check_apart(&self) -> Result<(), Fault> {
        let locations = self.entries.values().map(|entry| (entry.location.clone(), entry.index));
        let contents = self.entries.values().map(|entry| (entry.content.clone(), entry.index));
        for mut places in [locations.collect::<Vec<_>>(), contents.collect()] {
            places.retain(|(place, _)| !place.is_empty());
            places.sort_by_key(|(place, _)| place.start);
            for pair in places.windows(2) {
                if pair[1].0.start < pair[0].0.end {
                    return Err(Fault::Entry { entry: pair[1].1, what: "lies over another" });
                }
            }
        }
        Ok(())
    }

    /// Returns the names of the modules.
    pub fn modules<'a>(&self, file: &'a [u8]) -> BTreeSet<&'a [u8]> {
        let names = self.entries.values().map(|entry| self.name(file, entry, MODULE));
        names.filter(|name| !is_tree(name)).collect()
    }

    /// Returns the content of a resource directly below a module, such as `module-info` and `class`; none
    /// that is packed.
    pub fn resource<'a>(
        &self,
        file: &'a [u8],
        module: &[u8],
        base: &[u8],
        ending: &[u8],
    ) -> Option<&'a [u8]> {
        let asked = [module, b"", base, ending];
        let mut entries = self.entries.values().filter(|entry| !entry.is_packed);
        let found = entries.find(|entry| {
            (MODULE..=EXTENSION).all(|kind| self.name(file, entry, kind) == asked[kind - MODULE])
        });
        found.map(|entry| &file[entry.content.clone()])
    }

    /// Takes all modules out of the file that this was read from, but those that are to stay.
    ///
    /// # Errors
    /// [`Fault`] for a directory that is not a list; the file is then half done.
    pub fn keep_modules(&self, file: &mut [u8], keep: impl Fn(&[u8]) -> bool) -> Result<Left, Fault> {
        let mut gone: BTreeSet<u32> = BTreeSet::new();
        for (offset, entry) in &self.entries {
            let module = self.name(file, entry, MODULE);
            let stays = match module {
                b"modules" => keep(first_part(&self.path(file, entry))),
                b"packages" => self.has_kept_module(file, entry, &keep)?,
                b"" => true,
                module => keep(module),
            };
            if !stays {
                gone.insert(*offset);
            }
        }
        self.zero_strings(file, &gone)?;
        self.shorten_lists(file, &gone, &keep)?;
        let mut left = Left { resources: 0, size_bytes: 0 };
        for (offset, entry) in &self.entries {
            if gone.contains(offset) {
                let at = self.offsets.start + entry.index * 4;
                file[at..at + 4].fill(0);
                file[entry.location.clone()].fill(0);
                file[entry.content.clone()].fill(0);
            } else if !is_tree(self.name(file, entry, MODULE)) {
                left.resources += 1;
                left.size_bytes += entry.content.len() as u64;
            }
        }
        Ok(left)
    }

    /// Removes the dropped items from the directories and the lists of packages that stay.
    fn shorten_lists(
        &self,
        file: &mut [u8],
        gone: &BTreeSet<u32>,
        keep: &impl Fn(&[u8]) -> bool,
    ) -> Result<(), Fault> {
        for (_, entry) in self.entries.iter().filter(|(offset, _)| !gone.contains(offset)) {
            let list: Vec<u32> = match self.name(file, entry, MODULE) {
                b"packages" => {
                    let modules = self.modules_of_package(file, entry)?.into_iter();
                    modules.filter(|(name, _)| keep(name)).flat_map(|(_, pair)| pair).collect()
                }
                b"modules" | b"" => {
                    words(file, entry)?.into_iter().filter(|child| !gone.contains(child)).collect()
                }
                _ => continue,
            };
            let new: Vec<u8> = list.iter().flat_map(|word| word.to_le_bytes()).collect();
            let content = &mut file[entry.content.clone()];
            content[..new.len()].copy_from_slice(&new);
            content[new.len()..].fill(0);
            // The number had room for more.
            let length = (new.len() as u64).to_be_bytes();
            let place = &mut file[entry.length_place.clone()];
            place.copy_from_slice(&length[length.len() - place.len()..]);
        }
        Ok(())
    }

    /// Zeroes the strings that only dropped items use.
    fn zero_strings(&self, file: &mut [u8], gone: &BTreeSet<u32>) -> Result<(), Fault> {
        let place = |offset: u32| offset as usize..offset as usize + self.string(file, offset).len();
        let mut used = vec![false; self.strings.len()];
        let mut unused = Vec::new();
        for (offset, entry) in &self.entries {
            for kind in MODULE..=EXTENSION {
                // Names of modules stay all: lists and other tables have them too.
                let place = place(entry.strings[kind]);
                if kind == MODULE || !gone.contains(offset) {
                    used[place].fill(true);
                } else {
                    unused.push(place);
                }
            }
            if !gone.contains(offset) && self.name(file, entry, MODULE) == b"packages" {
                for (_, pair) in self.modules_of_package(file, entry)? {
                    used[place(pair[1])].fill(true);
                }
            }
        }
        for at in unused.into_iter().flatten().filter(|at| !used[*at]) {
            file[self.strings.start + at] = 0;
        }
        Ok(())
    }

    fn has_kept_module(
        &self,
        file: &[u8],
        package: &Entry,
        keep: &impl Fn(&[u8]) -> bool,
    ) -> Result<bool, Fault> {
        Ok(self.modules_of_package(file, package)?.iter().any(|(name, _)| keep(name)))
    }

    /// Returns the modules that have a package.
    fn modules_of_package<'a>(&self, file: &'a [u8], package: &Entry) -> Result<Vec<Listed<'a>>, Fault> {
        let list = words(file, package)?;
        let pairs = list.chunks(2).map(|pair| match *pair {
            [absent, name] if (name as usize) < self.strings.len() => {
                Ok((self.string(file, name), [absent, name]))
            }
            _ => Err(no_list(package)),
        });
        pairs.collect()
    }

    /// Returns parent, base and extension of an entry as they are read.
    fn path(&self, file: &[u8], entry: &Entry) -> Vec<u8> {
        let [parent, base, extension] = [PARENT, BASE, EXTENSION].map(|kind| self.name(file, entry, kind));
        let mut path = parent.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(base);
        if !extension.is_empty() {
            path.push(b'.');
            path.extend_from_slice(extension);
        }
        path
    }

    fn name<'a>(&self, file: &'a [u8], entry: &Entry, kind: usize) -> &'a [u8] {
        self.string(file, entry.strings[kind])
    }

    /// Returns a string by its offset, which lies within them.
    fn string<'a>(&self, file: &'a [u8], offset: u32) -> &'a [u8] {
        let rest = &file[self.strings.start + offset as usize..self.strings.end];
        &rest[..memchr::memchr(0, rest).unwrap_or(rest.len())]
    }
}

/// Returns true for the names that stand for no module: those of directories and packages.
fn is_tree(module: &[u8]) -> bool {
    matches!(module, b"" | b"modules" | b"packages")
}

fn first_part(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').next().unwrap_or_default()
}

fn no_list(entry: &Entry) -> Fault {
    Fault::Entry { entry: entry.index, what: "is a directory that is not a list" }
}

/// Reads the numbers of a directory.
fn words(file: &[u8], directory: &Entry) -> Result<Vec<u32>, Fault> {
    let content = &file[directory.content.clone()];
    if directory.is_packed || !content.len().is_multiple_of(4) {
        return Err(no_list(directory));
    }
    Ok((0..content.len() / 4).filter_map(|word| number(content, word * 4)).collect())
}

/// Reads the location at an offset.
fn read_entry(
    file: &[u8],
    index: usize,
    offset: u32,
    locations: &Range<usize>,
    strings: &Range<usize>,
) -> Result<Entry, &'static str> {
    const SHORT: &str = "has a location without an end";
    let area =
        file.get(locations.clone()).and_then(|area| area.get(offset as usize..)).ok_or("lies outside")?;
    let start = locations.start + offset as usize;
    let (mut values, mut places) = ([0_u64; KINDS], [const { 0..0 }; KINDS]);
    let mut at = 0;
    loop {
        let byte = *area.get(at).ok_or(SHORT)?;
        at += 1;
        let (kind, length) = (usize::from(byte >> 3), usize::from(byte & 7) + 1);
        if kind == 0 {
            break;
        }
        if kind >= KINDS {
            return Err("has an attribute of an unknown kind");
        }
        let bytes = area.get(at..at + length).ok_or(SHORT)?;
        if !places[kind].is_empty() {
            return Err("has an attribute twice");
        }
        values[kind] = bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        places[kind] = start + at..start + at + length;
        at += length;
    }
    let mut names = [0; EXTENSION + 1];
    for kind in MODULE..=EXTENSION {
        let inside = u32::try_from(values[kind]).ok().filter(|offset| (*offset as usize) < strings.len());
        names[kind] = inside.ok_or("has a name outside")?;
    }
    let is_packed = values[PACKED] != 0;
    let length = if is_packed { values[PACKED] } else { values[LENGTH] };
    let content = (strings.end as u64).checked_add(values[OFFSET]).and_then(|start| {
        let end = start.checked_add(length).filter(|end| *end <= file.len() as u64)?;
        Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    });
    Ok(Entry {
        index,
        location: start..start + at,
        length_place: places[LENGTH].clone(),
        strings: names,
        content: content.ok_or("has its content outside")?,
        is_packed,
    })
}

/// Reads a little-endian number.
fn number(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(feature = "testing")]
pub(crate) mod made;
#[cfg(test)]
mod tests;
