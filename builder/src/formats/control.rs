//! The control file of a .deb, and the stanzas of dpkg's status made from it.

use std::fmt::Write as _;

use crate::formats::{
    deb822::{Fault, Item, Reader},
    packages::MultiArch,
    relation::is_name,
    version,
};

/// One stanza of fields, in the order of the text, owned.
///
/// `Package`, `Version` and `Architecture` are there and sound. Values hold their continuation
/// lines as written, without blanks at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    fields: Vec<(String, String)>,
}

impl Control {
    /// Reads the one stanza of a control file.
    ///
    /// # Errors
    /// Not UTF-8, not one stanza, a field that comes twice, or an unsound name, version or architecture.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let lines = bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            Fault::new(lines + 1, "is not UTF-8")
        })?;
        let mut stanzas = Self::stanzas(text)?;
        match (stanzas.pop(), stanzas.is_empty()) {
            (Some(control), true) => Ok(control),
            (None, _) => Err(Fault::new(1, "there is no stanza")),
            (Some(_), false) => Err(Fault::new(1, "there is more than one stanza")),
        }
    }

    /// Reads all stanzas of a text such as dpkg's status.
    ///
    /// # Errors
    /// As [`Control::parse`], but for the number of stanzas.
    pub fn stanzas(text: &str) -> Result<Vec<Self>, Fault> {
        let mut reader = Reader::new(text);
        let mut out = Vec::new();
        let mut control = Control { fields: Vec::new() };
        let mut start = 1;
        while let Some(item) = reader.next_item()? {
            match item {
                Item::Field(field) => {
                    if control.fields.is_empty() {
                        start = field.line;
                    }
                    if control.fields.iter().any(|(name, _)| field.is(name)) {
                        return Err(Fault::new(field.line, format!("{} comes twice", field.name)));
                    }
                    control.fields.push((field.name.into(), field.value.into()));
                }
                Item::End => {
                    control.check(start)?;
                    out.push(std::mem::replace(&mut control, Control { fields: Vec::new() }));
                }
            }
        }
        Ok(out)
    }

    fn check(&self, line: usize) -> Result<(), Fault> {
        if !is_name(self.package()) {
            return Err(Fault::new(line, "Package is missing or malformed"));
        }
        version::check(self.version())
            .map_err(|reason| Fault::new(line, format!("Version is not a version: {reason}")))?;
        if !is_name(self.architecture()) {
            return Err(Fault::new(line, "Architecture is missing or malformed"));
        }
        Ok(())
    }

    /// Returns a field's value; the name's case does not matter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.fields.iter().find(named).map(|(_, value)| &**value)
    }

    /// Sets a field in its place, or as the last.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.fields.iter_mut().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value.into(),
            None => self.fields.push((name.into(), value.into())),
        }
    }

    /// Takes a field away.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
    }

    /// Returns names and values in the order of the text.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Returns the name of the package.
    pub fn package(&self) -> &str {
        self.text("Package")
    }

    /// Returns the version.
    pub fn version(&self) -> &str {
        self.text("Version")
    }

    /// Returns the architecture, which may be `all`.
    pub fn architecture(&self) -> &str {
        self.text("Architecture")
    }

    /// Returns whether `Essential: yes` is there.
    pub fn essential(&self) -> bool {
        self.text("Essential").eq_ignore_ascii_case("yes")
    }

    /// Returns `Multi-Arch`; any unknown word counts as `no`.
    pub fn multi_arch(&self) -> MultiArch {
        match self.text("Multi-Arch") {
            "same" => MultiArch::Same,
            "foreign" => MultiArch::Foreign,
            "allowed" => MultiArch::Allowed,
            _ => MultiArch::No,
        }
    }

    /// Returns name and version of the source package, which are the package's own where not said.
    pub fn source(&self) -> (&str, &str) {
        let source = self.get("Source").unwrap_or(self.package());
        match source.split_once('(') {
            Some((name, version)) => (name.trim_ascii(), version.trim_end_matches(')').trim_ascii()),
            None => (source.trim_ascii(), self.version()),
        }
    }

    /// Returns the installed size as the package declares it: KiB, rounded up.
    pub fn installed_size_kib(&self) -> Option<u64> {
        self.get("Installed-Size")?.parse().ok()
    }

    /// Returns the stem of the package's files below `var/lib/dpkg/info`: with the architecture
    /// exactly where the package is `Multi-Arch: same`.
    pub fn info_stem(&self) -> String {
        match self.multi_arch() {
            MultiArch::Same => format!("{}:{}", self.package(), self.architecture()),
            _ => self.package().into(),
        }
    }

    /// Returns the stanza as text, each line ended, without a blank line after it.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for (name, value) in self.fields() {
            let blank = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
            let _ = writeln!(out, "{name}:{blank}{value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "\
Package: libfoo1
Source: foo (1.0-2)
Version: 1.0-2+b1
Architecture: amd64
Multi-Arch: same
Installed-Size: 12
Description: one
 two
 .
 three
";

    #[test]
    fn comes_back_as_written() {
        let mut control = Control::parse(LIB.as_bytes()).expect("sound");
        assert_eq!(control.to_text(), LIB);
        assert_eq!(control.source(), ("foo", "1.0-2"));
        assert_eq!(control.info_stem(), "libfoo1:amd64");
        assert_eq!((control.installed_size_kib(), control.essential()), (Some(12), false));
        assert_eq!(control.get("description"), Some("one\n two\n .\n three"));
        control.remove("multi-arch");
        control.remove("source");
        control.set("status", "install ok unpacked");
        assert_eq!(control.source(), ("libfoo1", "1.0-2+b1"));
        assert_eq!(control.info_stem(), "libfoo1");
        assert!(control.to_text().ends_with(" three\nstatus: install ok unpacked\n"));
    }

    #[test]
    fn keeps_values_that_begin_on_the_next_line() {
        let text = format!("{LIB}Conffiles:\n /etc/a 00\n /etc/b 11\n");
        let control = Control::parse(text.as_bytes()).expect("sound");
        assert_eq!(control.get("Conffiles"), Some("\n /etc/a 00\n /etc/b 11"));
        assert_eq!(control.to_text(), text);
    }

    #[test]
    fn refuses_what_is_no_control_file() {
        let rows: &[(&[u8], &str)] = &[
            (b"", "line 1: there is no stanza"),
            (
                b"Package: a\n\nPackage: b\n",
                "line 1: Version is not a version: it does not begin with a digit",
            ),
            (
                b"Package: a\nVersion: 1\nArchitecture: all\n\nPackage: b\nVersion: 1\nArchitecture: all\n",
                "line 1: there is more than one stanza",
            ),
            (b"Package: a\nVersion: 1\nArchitecture: ..\n", "line 1: Architecture is missing or malformed"),
            (b"Package: a\npackage: b\n", "line 2: package comes twice"),
            (b"Package: a\nX: \xff\n", "line 2: is not UTF-8"),
            (b"Package: a/b\nVersion: 1\n", "line 1: Package is missing or malformed"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(Control::parse(bytes).expect_err(expected).to_string(), *expected);
        }
    }
}
