//! debian/copyright in its machine-readable form, and the SPDX licence expression that it comes to.
//!
//! ```text
//! Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
//!
//! Files: *
//! Copyright: …
//! License: GPL-2+ or Artistic
//!
//! License: GPL-2+
//!  the text
//! ```
//!
//! Source: copyright-format 1.0 (once DEP-5). Choices: a file is machine-readable if its first stanza names
//! that format; of any other file, and of one with a fault anywhere, nothing is returned, since half of the
//! licences would be worse than none. The expression joins the licences of all `Files` stanzas, as one
//! package holds files of many.

mod names;
mod synopsis;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    digest::Digest,
    formats::deb822::{Item, Reader},
};

/// Most distinct licences of one file that are joined; perl's has some 40.
const MAX_CLAUSES: usize = 500;

/// The licences of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licences {
    /// An SPDX licence expression.
    pub expression: String,
    /// The licences in it that are not in SPDX's list, by their `LicenseRef-…`.
    pub extracted: BTreeMap<String, Extracted>,
}

/// A licence that SPDX's list does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// Its short name in the file.
    pub name: String,
    /// Its text as the file has it; empty where the file has none.
    pub text: String,
}

/// A `License` field.
struct Stated<'a> {
    /// The first line.
    synopsis: &'a str,
    /// The lines after it.
    text: String,
}

/// Returns the licences that a copyright file states; `None` where it is not machine-readable, or states a
/// licence in a way that its format does not know.
pub fn licences(bytes: &[u8]) -> Option<Licences> {
    let (of_files, alone) = stanzas(std::str::from_utf8(bytes).ok()?)?;
    let texts: BTreeMap<String, &str> =
        alone.iter().map(|stated| (stated.synopsis.to_ascii_lowercase(), &*stated.text)).collect();
    let mut out = Licences::default();
    let mut clauses: BTreeSet<String> = BTreeSet::new();
    for stated in &of_files {
        let parsed = synopsis::parse(stated.synopsis)?;
        clauses.extend(parsed.clauses(&mut |name| {
            let own = texts.get(&name.to_ascii_lowercase()).copied().filter(|text| !text.is_empty());
            term(name, own.unwrap_or(&stated.text), &mut out.extracted)
        }));
        if clauses.len() > MAX_CLAUSES {
            return None;
        }
    }
    out.expression = clauses.into_iter().collect::<Vec<_>>().join(" AND ");
    (!out.expression.is_empty()).then_some(out)
}

/// Returns the SPDX term of a licence, and notes what has none in SPDX's list.
fn term(name: &str, text: &str, extracted: &mut BTreeMap<String, Extracted>) -> String {
    if let Some(known) = names::spdx(name, text) {
        return known;
    }
    // Two packages may mean different texts by one name.
    let digest = Digest::of(format!("{name}\n{text}").as_bytes()).to_string();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let safe: String = name.chars().take(60).map(plain).collect();
    let id = format!("LicenseRef-{}-{}", safe.trim_matches('-'), &digest[..8]);
    extracted.insert(id.clone(), Extracted { name: name.to_owned(), text: text.to_owned() });
    id
}

/// Returns the licences of `Files` stanzas and of the header, and those that stand alone.
fn stanzas(text: &str) -> Option<(Vec<Stated<'_>>, Vec<Stated<'_>>)> {
    let mut reader = Reader::new(text);
    let (mut of_files, mut alone) = (Vec::new(), Vec::new());
    let (mut is_first, mut is_of_files, mut licence) = (true, false, None);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(item) = reader.next_item().ok()? {
        match item {
            Item::Field(field) => {
                if !seen.insert(field.name.to_ascii_lowercase()) {
                    return None;
                }
                if is_first && field.is("Format") && !names_the_format(field.value) {
                    return None;
                }
                is_of_files |= field.is("Files");
                if field.is("License") {
                    licence = Some(stated(field.value));
                }
            }
            Item::End => {
                if is_first && !seen.contains("format") {
                    return None;
                }
                match (licence.take(), is_of_files || is_first) {
                    (Some(stated), true) => of_files.push(stated),
                    (Some(stated), false) => alone.push(stated),
                    // Every Files stanza has a licence.
                    (None, true) if !is_first => return None,
                    (None, _) => {}
                }
                (is_first, is_of_files) = (false, false);
                seen.clear();
            }
        }
    }
    Some((of_files, alone))
}

/// Returns whether a `Format` field names copyright-format, or DEP-5 as it was called before.
fn names_the_format(value: &str) -> bool {
    ["copyright-format", "dep5", "DEP-5"].iter().any(|name| value.contains(name))
}

/// Parts the value of a `License` field. A line of the text has one blank before it, and a full stop stands
/// for an empty line.
fn stated(value: &str) -> Stated<'_> {
    let (synopsis, rest) = value.split_once('\n').unwrap_or((value, ""));
    let line = |line: &str| match line.strip_prefix([' ', '\t']).unwrap_or(line).trim_end() {
        "." => String::new(),
        line => line.to_owned(),
    };
    let text = rest.lines().map(line).collect::<Vec<_>>().join("\n");
    Stated { synopsis: synopsis.trim(), text: text.trim_matches('\n').to_owned() }
}

#[cfg(test)]
mod tests;
