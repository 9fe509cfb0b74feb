//! Packages indexes: one stanza for each package that an archive offers.
//!
//! Nothing is copied: a [`Package`] borrows from the text, and relations stay text until someone
//! asks for them, so an index of 60 000 stanzas is read in some hundredths of a second.
//!
//! Source: deb822(5), Debian's repository format. Choices: `Package`, `Version` and `Architecture` must be there
//! and sound; the fields that say where the .deb lies are looked at only where it is wanted
//! ([`Package::file`]); a field that is read here must not come twice; unknown fields are passed over.

pub mod table;

use std::io;

use crate::formats::{
    deb822::{Fault, Field, Item, Reader},
    digest::Digest,
    relation::{self, Group, InvalidRelation, is_name},
    version,
};

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
    /// KiB, rounded up; 0 where it is not said.
    pub installed_size_kib: u64,
    /// Line of the index where the stanza begins, counted from 1.
    pub line: usize,
}

/// Where a package's .deb lies, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebFile<'a> {
    /// Relative to the archive's root; see [`check_path`].
    pub path: &'a str,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub digest: Digest,
}

impl<'a> Package<'a> {
    /// Returns where the .deb lies.
    ///
    /// # Errors
    /// A field that is not there or not sound, with the line of the stanza.
    pub fn file(&self) -> Result<DebFile<'a>, Fault> {
        let fault = |reason: String| Fault::new(self.line, reason);
        check_path(self.path).map_err(|reason| fault(format!("Filename {:?} {reason}", self.path)))?;
        let size_bytes = self.size.parse().map_err(|_| fault("Size is not a number".into()))?;
        let digest = self.sha256.parse().map_err(|_| fault("SHA256 is not a SHA-256 digest".into()))?;
        Ok(DebFile { path: self.path, size_bytes, digest })
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

/// Checks that a path stays below an archive's root: relative, no `.` or `..`, no scheme, plain characters.
///
/// # Errors
/// One lower-case clause that says what is wrong.
pub fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        Err("is empty")
    } else if path.starts_with('/') {
        Err("is absolute")
    } else if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        Err("leaves its place or is not plain")
    } else if !path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._~%".contains(&b)) {
        // A colon of an epoch is written %3a; with it all schemes are turned away, too.
        Err("holds a character that no path of an archive has")
    } else {
        Ok(())
    }
}

/// The fields that [`read`] looks at.
const FIELDS: [&[u8]; 22] = [
    b"architecture",
    b"breaks",
    b"conflicts",
    b"depends",
    b"essential",
    b"filename",
    b"important",
    b"installed-size",
    b"multi-arch",
    b"package",
    b"pre-depends",
    b"priority",
    b"protected",
    b"provides",
    b"recommends",
    b"replaces",
    b"section",
    b"sha256",
    b"size",
    b"source",
    b"suggests",
    b"version",
];

/// Takes an index in pieces, and leaves out the fields that [`read`] passes over, which are two fifths of
/// Debian's. All else stays as it is, faults among it.
#[derive(Debug)]
pub struct Reducer {
    out: Vec<u8>,
    /// A line of which the end is still to come.
    begun: Vec<u8>,
    /// Whether the field is one that stays.
    kept: bool,
}

impl Default for Reducer {
    fn default() -> Self {
        Reducer { out: Vec::new(), begun: Vec::new(), kept: true }
    }
}

impl Reducer {
    /// Returns what stays.
    pub fn finish(mut self) -> Vec<u8> {
        let last = std::mem::take(&mut self.begun);
        self.line(&last);
        self.out
    }

    fn line(&mut self, line: &[u8]) {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            self.kept = match memchr::memchr(b':', line) {
                Some(colon) => {
                    let name = &line[..colon];
                    let odd = !name.iter().all(u8::is_ascii_graphic) || name.is_empty();
                    odd || FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
                }
                None => true,
            };
        }
        if self.kept {
            self.out.extend_from_slice(line);
        }
    }
}

impl io::Write for Reducer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            if self.begun.is_empty() {
                self.line(line);
            } else {
                self.begun.extend_from_slice(line);
                let whole = std::mem::take(&mut self.begun);
                self.line(&whole);
            }
            rest = after;
        }
        self.begun.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a whole index without the fields that [`read`] passes over.
#[cfg(test)]
pub fn reduce(text: &[u8]) -> Vec<u8> {
    let mut reducer = Reducer::default();
    // In pieces of odd lengths, as they may come.
    text.chunks(7).for_each(|piece| io::Write::write_all(&mut reducer, piece).expect("memory takes it"));
    reducer.finish()
}

/// Reads an index and hands on each package, with its stanza, in the order of the text.
///
/// # Errors
/// The first stanza that is not sound, with its line.
pub fn read<'a>(text: &'a str, mut each: impl FnMut(Package<'a>, &'a str)) -> Result<(), Fault> {
    let mut reader = Reader::new(text);
    let mut package = Package::default();
    let mut start = 0;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Field(field) => {
                if package.line == 0 {
                    package.line = field.line;
                    start = field.name.as_ptr().addr() - text.as_ptr().addr();
                }
                set(&mut package, &field)?;
            }
            Item::End => {
                check(&package)?;
                each(std::mem::take(&mut package), &text[start..reader.position()]);
            }
        }
    }
    Ok(())
}

fn set<'a>(package: &mut Package<'a>, field: &Field<'a>) -> Result<(), Fault> {
    const TEXTS: [&str; 4] = ["Package", "Version", "Section", "Depends"];
    let name = field.name.as_bytes();
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    let slot = match name.len() {
        4 if is("Size") => &mut package.size,
        6 if is("SHA256") => &mut package.sha256,
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
            package.installed_size_kib =
                field.value.parse().map_err(|_| Fault::new(field.line, "Installed-Size is not a number"))?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    if !slot.is_empty() {
        return Err(Fault::new(field.line, format!("{} comes twice in one stanza", field.name)));
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
        _ => Err(Fault::new(field.line, "Multi-Arch is not one of no, same, foreign, allowed")),
    }
}

fn check(package: &Package<'_>) -> Result<(), Fault> {
    let fault = |reason: String| Err(Fault::new(package.line, reason));
    if package.name.is_empty() {
        return fault("a stanza has no Package".into());
    }
    if !is_name(package.name) {
        return fault(format!("Package {:?} is not a name", package.name));
    }
    if let Err(reason) = version::check(package.version) {
        return fault(format!("Version {:?} of {} is none: {reason}", package.version, package.name));
    }
    if !is_name(package.architecture) {
        return fault(format!("{} has no sound Architecture", package.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_goes() {
        let text = "Package: a\nMaintainer: b\n c\nversion: 1\nDescription: d\n e\n .\nArchitecture: all\n\
                    Depends: x,\n y\nMD5sum: 0\nTag: t\n\nPackage: b\nVersion: 2\nArchitecture: amd64\n";
        let reduced = reduce(text.as_bytes());
        let expected = "Package: a\nversion: 1\nArchitecture: all\nDepends: x,\n y\n\n\
                        Package: b\nVersion: 2\nArchitecture: amd64\n";
        assert_eq!(std::str::from_utf8(&reduced), Ok(expected));
        let fields = |text: &str| {
            let mut out = Vec::new();
            read(text, |package, _| out.push(format!("{:?}", Package { line: 0, ..package })))
                .expect("sound");
            out
        };
        assert_eq!(fields(text), fields(expected));
        for odd in ["no colon\n", "two words: x\n", ": x\n", " first\n", "# note\n"] {
            assert_eq!(reduce(odd.as_bytes()), odd.as_bytes());
        }
    }

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

    fn all(text: &str) -> Result<Vec<Package<'_>>, Fault> {
        let mut out = Vec::new();
        read(text, |package, _| out.push(package))?;
        Ok(out)
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
        assert_eq!((file.path, file.size_bytes), ("pool/main/h/other/other_2.10-3_amd64.deb", 53_080));
        let needs = hello.needs("amd64").expect("sound");
        let shown: Vec<_> = needs.iter().map(|(field, group)| format!("{field}: {}", group.text)).collect();
        assert_eq!(shown, ["Pre-Depends: dpkg (>= 1.17)", "Depends: libc6 (>= 2.34)"]);
    }

    #[test]
    fn refuses_unsound_stanzas() {
        let rows = [
            (
                "Version: 2.10-3",
                "Version: two",
                "line 1: Version \"two\" of hello is none: it does not begin with a digit",
            ),
            ("Package: hello\n", "", "line 1: a stanza has no Package"),
            ("Package: hello", "Package: ../hello", "line 1: Package \"../hello\" is not a name"),
            ("Architecture: amd64\n", "", "line 1: hello has no sound Architecture"),
            ("Installed-Size: 277", "Installed-Size: many", "line 3: Installed-Size is not a number"),
            ("Essential: yes", "Version: 3", "line 8: Version comes twice in one stanza"),
            ("foreign", "strange", "line 7: Multi-Arch is not one of no, same, foreign, allowed"),
        ];
        for (from, to, expected) in rows {
            let text = HELLO.replace(from, to);
            assert_eq!(all(&text).expect_err(to).to_string(), expected);
        }
    }

    #[test]
    fn refuses_unsound_files() {
        let rows = [
            (
                "pool/main/h",
                "../main/h",
                "line 1: Filename \"../main/h/hello/hello_2.10-3_amd64.deb\" leaves its place or is not plain",
            ),
            ("pool/", "/pool/", "line 1: Filename \"/pool/main/h/hello/hello_2.10-3_amd64.deb\" is absolute"),
            (
                "pool/main/h",
                "http:x",
                "line 1: Filename \"http:x/hello/hello_2.10-3_amd64.deb\" holds a character that no path of an archive has",
            ),
            ("53080", "-1", "line 1: Size is not a number"),
            ("1b0c4e", "1B0C4E", "line 1: SHA256 is not a SHA-256 digest"),
        ];
        for (from, to, expected) in rows {
            let text = HELLO.replace(from, to);
            let packages = all(&text).expect("the stanza is sound");
            assert_eq!(packages[0].file().expect_err(to).to_string(), expected);
        }
    }
}
