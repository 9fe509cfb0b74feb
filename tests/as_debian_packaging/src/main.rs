//! A second opinion on how tinyroot reads Debian's control files: that of the crate `debian-packaging`.
//!
//! `as-debian-packaging FILE...` reads each FILE, such as `/var/lib/dpkg/status`, a Packages index or the
//! text of a Release file, with both, and compares stanza by stanza: the fields and their values, and the
//! relations between packages. It prints one line a file, and each difference; it fails if there is one.
//!
//! It is a program of its own since `debian-packaging` brings a second OpenPGP, async-std and 110 packages in
//! all, which tinyroot would compile for five fields of a Release file.

use std::{fs, process::ExitCode};

use debian_packaging::{
    control::{ControlParagraph, ControlParagraphReader},
    dependency::DependencyList,
};
use tinyroot::formats::{
    deb822::{Item, Reader},
    relation,
};

/// Fields that hold relations (Debian Policy 7).
const RELATIONS: [&str; 8] =
    ["Pre-Depends", "Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Replaces", "Provides"];

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: as-debian-packaging FILE...");
        return ExitCode::from(2);
    }
    let mut is_same = true;
    for file in files {
        match compare(&file) {
            Ok((stanzas, relations)) => {
                println!("{file}: {stanzas} stanzas, {relations} fields of relations: same")
            }
            Err(differences) => {
                is_same = false;
                for difference in differences {
                    eprintln!("{file}: {difference}");
                }
            }
        }
    }
    ExitCode::from(u8::from(!is_same))
}

/// Compares both readings of a file; returns how many stanzas and fields of relations it has.
///
/// # Errors
/// The differences, a line each; what kept one from reading the file at all.
fn compare(file: &str) -> Result<(usize, usize), Vec<String>> {
    let text = fs::read_to_string(file).map_err(|e| vec![format!("cannot read it: {e}")])?;
    let ours = stanzas(&text).map_err(|e| vec![format!("tinyroot cannot read it: {e}")])?;
    let theirs: Vec<_> = ControlParagraphReader::new(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| vec![format!("debian-packaging cannot read it: {e}")])?;
    let mut differences = Vec::new();
    if ours.is_empty() || ours.len() != theirs.len() {
        differences.push(format!(
            "{} stanzas for tinyroot, {} for debian-packaging",
            ours.len(),
            theirs.len()
        ));
    }
    let mut relations = 0;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        differences.extend(of_fields(ours, theirs));
        for (name, value) in ours.iter().filter(|(name, _)| RELATIONS.contains(name)) {
            relations += 1;
            differences.extend(of_relations(name, value));
        }
    }
    if differences.is_empty() { Ok((ours.len(), relations)) } else { Err(differences) }
}

/// Returns names and values of the fields of each stanza, as tinyroot reads them.
fn stanzas(text: &str) -> Result<Vec<Vec<(&str, &str)>>, tinyroot::formats::deb822::Fault> {
    let (mut reader, mut stanzas, mut fields) = (Reader::new(text), Vec::new(), Vec::new());
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Field(field) => fields.push((field.name, field.value)),
            Item::End => stanzas.push(std::mem::take(&mut fields)),
        }
    }
    if !fields.is_empty() {
        stanzas.push(fields);
    }
    Ok(stanzas)
}

/// Compares the fields of one stanza. Blanks at the ends of lines count for neither.
fn of_fields(ours: &[(&str, &str)], theirs: &ControlParagraph<'_>) -> Vec<String> {
    let lines = |value: &str| value.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let expected: Vec<_> = theirs
        .iter_fields()
        .map(|field| (field.name().to_owned(), lines(field.value_str().trim())))
        .collect();
    let found: Vec<_> = ours.iter().map(|(name, value)| ((*name).to_owned(), lines(value.trim()))).collect();
    if expected == found {
        return Vec::new();
    }
    let package = ours.iter().find(|(name, _)| *name == "Package").map_or("", |(_, value)| value);
    vec![format!("stanza {package:?}: {found:?} for tinyroot, {expected:?} for debian-packaging")]
}

/// Compares the relations of one field, each as its name and its versions.
fn of_relations(name: &str, value: &str) -> Option<String> {
    let ours = relation::parse(value, "amd64").ok().map(|groups| {
        let of = |group: &relation::Group<'_>| {
            let alternatives = group.alternatives.iter();
            alternatives
                .map(|a| (a.name.to_owned(), a.versions.map(|(o, v)| format!("{} {v}", o.as_str()))))
                .collect()
        };
        groups.iter().map(of).collect::<Vec<Vec<_>>>()
    });
    // The crate takes a qualifier for a part of the name.
    let bare = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let theirs = DependencyList::parse(value).ok().map(|list| {
        let of = |group: &debian_packaging::dependency::DependencyVariants| {
            let alternatives = group.iter();
            let versions = |c: &debian_packaging::dependency::DependencyVersionConstraint| {
                format!("{} {}", c.relationship, c.version)
            };
            alternatives.map(|a| (bare(&a.package), a.version_constraint.as_ref().map(versions))).collect()
        };
        list.requirements().map(of).collect::<Vec<Vec<_>>>()
    });
    (ours.is_none() || ours != theirs)
        .then(|| format!("{name}: {value}: {ours:?} for tinyroot, {theirs:?} for debian-packaging"))
}
