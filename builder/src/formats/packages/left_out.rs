//! Stanzas that cannot be used: which package they are about, and why.

use std::fmt;

use super::{Package, read, shown};
use crate::formats::{
    deb822::{Fault, is_blank},
    relation, version,
};

/// A stanza that is left out of the choice of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its Package, as it may be shown; empty where it has none.
    pub name: String,
    /// Its Version, as it may be shown; empty where it has none.
    pub version: String,
    /// Why, as a clause: ``its Version `testing` is not a version``.
    pub reason: String,
}

impl LeftOut {
    /// Says of a stanza of the table for an architecture why it is left out.
    pub(super) fn of(stanza: &[u8], architecture: &str) -> Self {
        let text = String::from_utf8_lossy(stanza);
        let mut out =
            LeftOut { name: String::new(), version: String::new(), reason: "it is not UTF-8".into() };
        read(&text, |package, fault, _| {
            out.name = shown(package.name);
            out.version = shown(package.version);
            let fault = fault.or_else(|| usable(&package, architecture).err());
            if let (Some(fault), true) = (fault, std::str::from_utf8(stanza).is_ok()) {
                out.reason = fault.reason;
            }
        });
        out
    }

    /// Returns package and version.
    pub fn package(&self) -> String {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => "a stanza without a name".into(),
            (name, "") => name.into(),
            (name, version) => format!("{name} {version}"),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is left out: {}", self.package(), self.reason)
    }
}

/// The names that a package provides, each with its version.
pub(super) type Provided<'a> = Vec<(&'a str, Option<&'a str>)>;

/// Checks all of a stanza that resolving and fetching need of it, and returns the names that the package
/// provides.
pub(super) fn usable<'a>(package: &Package<'a>, architecture: &str) -> Result<Provided<'a>, Fault> {
    package.file()?;
    let fault = |field: &str, invalid: relation::InvalidRelation| {
        let shown = shown(&invalid.0);
        Fault::new(package.line, format!("`{shown}` in its {field} is not a relation between packages"))
    };
    let fields = [
        ("Pre-Depends", package.pre_depends),
        ("Depends", package.depends),
        ("Recommends", package.recommends),
        ("Suggests", package.suggests),
        ("Conflicts", package.conflicts),
        ("Breaks", package.breaks),
    ];
    for (field, text) in fields {
        relation::check(text, architecture).map_err(|invalid| fault(field, invalid))?;
    }
    if package.provides.is_empty() {
        return Ok(Vec::new());
    }
    let groups =
        relation::parse(package.provides, architecture).map_err(|invalid| fault("Provides", invalid))?;
    let relations = groups.iter().flat_map(|group| &group.alternatives);
    let version = |relation: &relation::Relation<'a>| match relation.versions {
        Some((version::Operator::Equal, version)) => Some(version),
        _ => None,
    };
    Ok(relations.map(|relation| (relation.name, version(relation))).collect())
}

/// Parts a text of any bytes into its stanzas, each with the number of lines before it.
pub(super) fn stanzas(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut at, mut lines) = (0, 0);
    std::iter::from_fn(move || {
        let (start, first) = (at, lines);
        while at < text.len() {
            let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
            let line = &text[at..end];
            (at, lines) = (end, lines + 1);
            if is_blank(line.strip_suffix(b"\n").unwrap_or(line)) {
                break;
            }
        }
        (at > start).then(|| (first, &text[start..at]))
    })
}
