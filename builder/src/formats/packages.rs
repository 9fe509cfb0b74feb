//! Packages indexes: one stanza for each package that an archive offers.
//!
//! Nothing is copied: a [`Package`] borrows from the text, and relations stay text until someone
//! asks for them, so an index of 60 000 stanzas is read in some hundredths of a second.
//!
//! Source: deb822(5), Debian's repository format. Choices: `Package`, `Version` and `Architecture` must be
//! there and sound; a field that is read here must not come twice; unknown fields are passed over. A stanza
//! that cannot be used is handed on with its fault, and the next one is read: home-made indexes have good and
//! bad ones side by side.

mod left_out;
pub mod path;
mod reduce;
mod source;
pub mod table;

use std::borrow::Cow;

use crate::formats::{
    checksum::Checksum,
    deb822::{Fault, Field, Item, Reader},
    relation::{self, Group, InvalidRelation, is_name},
    version,
};

pub use left_out::LeftOut;
pub use reduce::Reducer;
#[cfg(test)]
pub use reduce::reduce;
pub use source::Source;

/// Values of `Multi-Arch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiArch {
    /// Serves packages of its own architecture.
    #[default]
    No,
    /// Can be there once for each architecture.
    Same,
    /// Serves packages of any architecture.
    Foreign,
    /// Serves as `foreign` does those that ask for `name:any`.
    Allowed,
}

/// Values of `Priority`, the most important first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Priority {
    Required,
    Important,
    Standard,
    Optional,
    Extra,
    /// None, or a word that Policy does not know.
    #[default]
    Other,
}

/// One stanza, as written. Absent fields are empty.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Package<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    /// Name, and the version in brackets where it is another.
    pub source: &'a str,
    pub section: &'a str,
    pub priority: Priority,
    pub essential: bool,
    /// `Protected: yes`, or `Important: yes` as apt once had it.
    pub important: bool,
    pub multi_arch: MultiArch,
    pub pre_depends: &'a str,
    pub depends: &'a str,
    pub recommends: &'a str,
    pub suggests: &'a str,
    pub provides: &'a str,
    pub conflicts: &'a str,
    pub breaks: &'a str,
    pub replaces: &'a str,
    /// `Filename`, unchecked.
    pub path: &'a str,
    /// `Size`, unchecked.
    pub size: &'a str,
    /// `SHA256`, unchecked.
    pub sha256: &'a str,
    /// `SHA512`, unchecked.
    pub sha512: &'a str,
    /// KiB, rounded up; 0 where it is not said.
    pub installed_size_kib: u64,
    /// Line of the index where the stanza begins, counted from 1.
    pub line: usize,
}

/// Where a package's .deb lies, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebFile<'a> {
    /// Relative to the archive's root, in its plain form; see [`path::plain`].
    pub path: Cow<'a, str>,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256; its SHA-512 where the index has no other.
    pub checksum: Checksum,
}

impl<'a> Package<'a> {
    /// Returns where the .deb lies.
    ///
    /// # Errors
    /// A field that is not there or not sound, with the line of the stanza.
    pub fn file(&self) -> Result<DebFile<'a>, Fault> {
        let fault = |reason: String| Fault::new(self.line, reason);
        if self.path.is_empty() {
            return Err(fault("it has no Filename".into()));
        }
        let path = path::plain(self.path)
            .map_err(|reason| fault(format!("its Filename `{}` {reason}", shown(self.path))))?;
        if self.size.is_empty() {
            return Err(fault("it has no Size".into()));
        }
        let size_bytes = self.size.parse().map_err(|_| fault("its Size is not a number".into()))?;
        let (field, hex) = match self.sha256 {
            "" => ("SHA512", self.sha512),
            sha256 => ("SHA256", sha256),
        };
        if hex.is_empty() {
            return Err(fault("it has neither SHA256 nor SHA512".into()));
        }
        match hex.parse::<Checksum>() {
            Ok(checksum) if checksum.algorithm().eq_ignore_ascii_case(field) => {
                Ok(DebFile { path, size_bytes, checksum })
            }
            _ => Err(fault(format!("its {field} is not such a digest"))),
        }
    }

    /// Returns the name of the source package.
    pub fn source_name(&self) -> &'a str {
        match self.source.split(['(', ' ']).next() {
            Some(source) if !source.is_empty() => source,
            _ => self.name,
        }
    }

    /// Returns the groups that must hold, `Pre-Depends` first, each with the name of its field.
    ///
    /// # Errors
    /// A relation that cannot be read.
    pub fn needs(&self, architecture: &str) -> Result<Vec<(&'static str, Group<'a>)>, InvalidRelation> {
        let mut out = Vec::new();
        for (field, text) in [("Pre-Depends", self.pre_depends), ("Depends", self.depends)] {
            out.extend(relation::parse(text, architecture)?.into_iter().map(|group| (field, group)));
        }
        Ok(out)
    }
}

/// Reads an index and calls back with each package, the fault of its stanza, if any, and the stanza, in
/// the order of the text. A stanza with a fault has the fields that could be read.
pub fn read<'a>(text: &'a str, mut each: impl FnMut(Package<'a>, Option<Fault>, &'a str)) {
    let mut reader = Reader::new(text);
    let (mut package, mut fault, mut start) = (Package::default(), None, None);
    loop {
        let before = reader.position();
        match reader.next_item() {
            Ok(None) => return,
            Ok(Some(Item::Field(field))) => {
                if start.is_none() {
                    start = Some(field.name.as_ptr().addr() - text.as_ptr().addr());
                    package.line = field.line;
                }
                if let Err(found) = set(&mut package, &field) {
                    fault.get_or_insert(found);
                }
            }
            Ok(Some(Item::End)) => {
                let stanza = &text[start.take().unwrap_or(before)..reader.position()];
                let fault = fault.take().or_else(|| check(&package).err());
                each(std::mem::take(&mut package), fault, stanza);
            }
            Err(found) => {
                if start.is_none() {
                    start = Some(before);
                    package.line = found.line;
                }
                fault.get_or_insert(Fault::new(found.line, format!("a line of it {}", found.reason)));
            }
        }
    }
}

/// The longest piece of a text that an error shows.
const MOST_SHOWN: usize = 60;

/// Returns a piece of a text from outside as it may be shown.
fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        out.push('…');
    }
    out
}

fn set<'a>(package: &mut Package<'a>, field: &Field<'a>) -> Result<(), Fault> {
    const TEXTS: [&str; 4] = ["Package", "Version", "Section", "Depends"];
    let name = field.name.as_bytes();
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    let slot = match name.len() {
        4 if is("Size") => &mut package.size,
        6 if is("SHA256") => &mut package.sha256,
        6 if is("SHA512") => &mut package.sha512,
        6 if is("Source") => &mut package.source,
        6 if is("Breaks") => &mut package.breaks,
        7 if is(TEXTS[0]) => &mut package.name,
        7 if is(TEXTS[1]) => &mut package.version,
        7 if is(TEXTS[2]) => &mut package.section,
        7 if is(TEXTS[3]) => &mut package.depends,
        8 if is("Filename") => &mut package.path,
        8 if is("Provides") => &mut package.provides,
        8 if is("Replaces") => &mut package.replaces,
        8 if is("Suggests") => &mut package.suggests,
        8 if is("Priority") => {
            package.priority = priority(field.value);
            return Ok(());
        }
        9 if is("Conflicts") => &mut package.conflicts,
        9 if is("Essential") => {
            package.essential = field.value.eq_ignore_ascii_case("yes");
            return Ok(());
        }
        9 if is("Protected") || is("Important") => {
            package.important |= field.value.eq_ignore_ascii_case("yes");
            return Ok(());
        }
        10 if is("Recommends") => &mut package.recommends,
        10 if is("Multi-Arch") => {
            package.multi_arch = multi_arch(field)?;
            return Ok(());
        }
        11 if is("Pre-Depends") => &mut package.pre_depends,
        12 if is("Architecture") => &mut package.architecture,
        14 if is("Installed-Size") => {
            package.installed_size_kib = field
                .value
                .parse()
                .map_err(|_| Fault::new(field.line, "its Installed-Size is not a number"))?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    if !slot.is_empty() {
        return Err(Fault::new(field.line, format!("its {} comes twice", field.name)));
    }
    *slot = field.value;
    Ok(())
}

fn priority(value: &str) -> Priority {
    match value {
        "required" => Priority::Required,
        "important" => Priority::Important,
        "standard" => Priority::Standard,
        "optional" => Priority::Optional,
        "extra" => Priority::Extra,
        _ => Priority::Other,
    }
}

fn multi_arch(field: &Field<'_>) -> Result<MultiArch, Fault> {
    match field.value {
        "no" | "" => Ok(MultiArch::No),
        "same" => Ok(MultiArch::Same),
        "foreign" => Ok(MultiArch::Foreign),
        "allowed" => Ok(MultiArch::Allowed),
        _ => Err(Fault::new(field.line, "its Multi-Arch is not one of no, same, foreign, allowed")),
    }
}

fn check(package: &Package<'_>) -> Result<(), Fault> {
    let fault = |reason: String| Err(Fault::new(package.line, reason));
    for (field, value) in [("Package", package.name), ("Version", package.version)] {
        if value.is_empty() {
            return fault(format!("it has no {field}"));
        }
    }
    if !is_name(package.name) {
        return fault(format!("its Package `{}` is not a name", shown(package.name)));
    }
    if let Err(reason) = version::check(package.version) {
        return fault(format!("its Version `{}` is not a version: {reason}", shown(package.version)));
    }
    match package.architecture {
        "" => fault("it has no Architecture".into()),
        other if !is_name(other) => fault(format!("its Architecture `{}` is not a name", shown(other))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "\
Package: hello
Version: 2.10-3
Installed-Size: 277
Architecture: amd64
Depends: libc6 (>= 2.34)
Pre-Depends: dpkg (>= 1.17)
Multi-Arch: foreign
Essential: yes
Tag: a,
 b
Section: devel
Priority: optional
Filename: pool/main/h/hello/hello_2.10-3_amd64.deb
Size: 53080
SHA256: 1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c4e1b0c
";

    /// Returns the packages, or the first fault.
    fn all(text: &str) -> Result<Vec<Package<'_>>, Fault> {
        let mut out = Vec::new();
        read(text, |package, fault, _| out.push(fault.map_or(Ok(package), Err)));
        out.into_iter().collect()
    }

    #[test]
    fn reads_a_stanza() {
        let text = format!("{HELLO}\n{}", HELLO.replace("hello", "other"));
        let packages = all(&text).expect("sound");
        let [hello, other] = &packages[..] else { panic!("two stanzas") };
        assert_eq!((hello.name, hello.version, hello.architecture), ("hello", "2.10-3", "amd64"));
        assert_eq!((hello.installed_size_kib, hello.essential, hello.important), (277, true, false));
        assert_eq!((hello.multi_arch, hello.priority), (MultiArch::Foreign, Priority::Optional));
        assert_eq!((other.name, other.line), ("other", 17));
        let file = other.file().expect("sound");
        assert_eq!((&*file.path, file.size_bytes), ("pool/main/h/other/other_2.10-3_amd64.deb", 53_080));
        let needs = hello.needs("amd64").expect("sound");
        let shown: Vec<_> = needs.iter().map(|(field, group)| format!("{field}: {}", group.text)).collect();
        assert_eq!(shown, ["Pre-Depends: dpkg (>= 1.17)", "Depends: libc6 (>= 2.34)"]);
    }

    #[test]
    fn says_what_is_wrong_with_a_stanza_and_reads_the_next() {
        let rows = [
            (
                "Version: 2.10-3",
                "Version: two",
                "line 1: its Version `two` is not a version: it does not begin with a digit",
            ),
            ("Version: 2.10-3\n", "", "line 1: it has no Version"),
            ("Package: hello\n", "", "line 1: it has no Package"),
            ("Package: hello", "Package: ../hello", "line 1: its Package `../hello` is not a name"),
            ("Package: hello", "Package: a\u{1b}[2J", "line 1: its Package `a\\u{1b}[2J` is not a name"),
            ("Architecture: amd64\n", "", "line 1: it has no Architecture"),
            (
                "Architecture: amd64",
                "Architecture: any all",
                "line 1: its Architecture `any all` is not a name",
            ),
            ("Installed-Size: 277", "Installed-Size: many", "line 3: its Installed-Size is not a number"),
            ("Essential: yes", "Version: 3", "line 8: its Version comes twice"),
            ("foreign", "strange", "line 7: its Multi-Arch is not one of no, same, foreign, allowed"),
            ("Tag: a", "no colon", "line 9: a line of it is not a field: it has no colon"),
        ];
        for (from, to, expected) in rows {
            let text = format!("{}\n{HELLO}", HELLO.replacen(from, to, 1));
            let mut out = Vec::new();
            read(&text, |package, fault, stanza| {
                out.push((package.name, fault.map(|f| f.to_string()), stanza))
            });
            let [(_, Some(found), _), (name, None, stanza)] = &out[..] else { panic!("{to}: {out:?}") };
            assert_eq!((found.as_str(), *name, *stanza), (expected, "hello", HELLO));
        }
    }

    #[test]
    fn line_ends_of_another_system_are_as_good() {
        let text = format!("{HELLO}\n{}", HELLO.replace("hello", "other")).replace('\n', "\r\n");
        let packages = all(&text).expect("sound");
        assert_eq!((packages.len(), packages[1].name, packages[1].version), (2, "other", "2.10-3"));
        assert_eq!(packages[0].file().expect("sound").path, "pool/main/h/hello/hello_2.10-3_amd64.deb");
    }

    #[test]
    fn refuses_unsound_files() {
        let rows = [
            (
                "pool/main/h",
                "../main/h",
                "line 1: its Filename `../main/h/hello/hello_2.10-3_amd64.deb` leaves its place",
            ),
            (
                "pool/",
                "/pool/",
                "line 1: its Filename `/pool/main/h/hello/hello_2.10-3_amd64.deb` is absolute",
            ),
            ("Filename: pool/main/h/hello/hello_2.10-3_amd64.deb\n", "", "line 1: it has no Filename"),
            ("53080", "-1", "line 1: its Size is not a number"),
            ("Size: 53080\n", "", "line 1: it has no Size"),
            ("1b0c4e", "1B0C4E", "line 1: its SHA256 is not such a digest"),
            ("SHA256", "SHA512", "line 1: its SHA512 is not such a digest"),
            ("SHA256", "MD5sum", "line 1: it has neither SHA256 nor SHA512"),
        ];
        for (from, to, expected) in rows {
            let text = HELLO.replace(from, to);
            let packages = all(&text).expect("the stanza is sound");
            assert_eq!(packages[0].file().expect_err(to).to_string(), expected);
        }
    }

    #[test]
    fn sha512_counts_where_it_is_alone() {
        let hex = "ab".repeat(64);
        let both = format!("{HELLO}SHA512: {hex}\n");
        assert_eq!(all(&both).expect("sound")[0].file().expect("sound").checksum.algorithm(), "sha256");
        let alone = HELLO.replace("SHA256: ", "MD5sum: ") + &format!("SHA512: {hex}\n");
        let file = all(&alone).expect("sound")[0].file().expect("sound");
        assert_eq!(file.checksum, Checksum::Sha512([0xab; 64]));
    }
}
