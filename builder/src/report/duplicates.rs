//! Files of a package that may be one too many: equal contents, and names that differ in a version alone.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde_json::{Value, json};

use super::page::{Section, file_link};
use crate::{
    artifact::Prices,
    digest::Digest,
    progress::size_text,
    tree::{Kind, Tree, TreePath},
};

/// How many groups the text has, and how many paths of one; JSON has all.
const SHOWN_GROUPS: usize = 10;
const SHOWN_PATHS: usize = 4;

/// How many groups the page has.
const SHOWN_ROWS: usize = 50;

/// Groups that take less are summed up in the text.
const SHOWN_BYTES: u64 = 1000;

/// Files of one name in two places are often only of one kind (`index.php`); above this size they may be two
/// versions.
const MIN_SAME_BYTES: u64 = 32 << 10;

/// Files below this size are not compared by name: a version more of a licence is no finding.
const MIN_NAMED_BYTES: u64 = 8 << 10;

/// Most files of one name pattern: more are a series (fonts, charsets, languages), not versions of one.
const MAX_VERSIONS: usize = 4;

/// Groups of files.
pub(super) struct Duplicates {
    /// Of equal contents; hard links are one file.
    equal: Vec<Group>,
    /// Of one directory or not, whose names differ in a version or in `.min` alone.
    alike: Vec<Group>,
}

/// Files that may be one.
struct Group {
    paths: Vec<TreePath>,
    /// What all but the most expensive take.
    extra_bytes: u64,
    /// The same compressed.
    extra_packed_bytes: Option<u64>,
}

impl Duplicates {
    /// Finds them.
    pub fn of(tree: &Tree, prices: Option<&Prices>) -> Self {
        let mut by_digest: BTreeMap<Digest, Vec<(&TreePath, u64)>> = BTreeMap::new();
        let mut by_name: BTreeMap<String, Vec<(&TreePath, u64, Digest)>> = BTreeMap::new();
        for (path, entry) in tree.iter() {
            let Kind::File { size_bytes, hard_link: None, .. } = entry.kind else { continue };
            let Some((digest, _)) = entry.kind.content().filter(|_| size_bytes > 0) else { continue };
            by_digest.entry(digest).or_default().push((path, size_bytes));
            if size_bytes >= MIN_NAMED_BYTES {
                by_name.entry(pattern(path.file_name())).or_default().push((path, size_bytes, digest));
            }
        }
        let equal = by_digest.into_values().filter(|files| files.len() > 1);
        let alike = by_name.into_values().filter_map(|mut files| {
            // Equal ones are of the other kind.
            let mut seen = BTreeSet::new();
            files.retain(|(_, _, digest)| seen.insert(*digest));
            let same = files.iter().all(|(path, ..)| path.file_name() == files[0].0.file_name());
            let large = files.iter().all(|(_, size_bytes, _)| *size_bytes >= MIN_SAME_BYTES);
            let is_group = (2..=MAX_VERSIONS).contains(&files.len()) && (!same || large);
            is_group.then(|| files.into_iter().map(|(path, size_bytes, _)| (path, size_bytes)).collect())
        });
        let groups = |groups: &mut dyn Iterator<Item = Vec<(&TreePath, u64)>>| {
            let mut groups: Vec<Group> = groups.map(|files| Group::of(&files, prices)).collect();
            groups.sort_by(|a, b| {
                let key = |group: &Group| Reverse((group.extra_packed_bytes, group.extra_bytes));
                key(a).cmp(&key(b)).then_with(|| a.paths.cmp(&b.paths))
            });
            groups
        };
        Duplicates { equal: groups(&mut { equal }), alike: groups(&mut { alike }) }
    }

    /// Returns them for reading; empty if there are none.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (title, groups) in [
            ("equal files, with what all but one of them take", &self.equal),
            ("names that differ in a number alone, with what all but one of them take", &self.alike),
        ] {
            if groups.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n{title}");
            let is_large =
                |group: &&Group| group.extra_packed_bytes.unwrap_or(group.extra_bytes) >= SHOWN_BYTES;
            let shown = groups.iter().filter(is_large).take(SHOWN_GROUPS).count();
            for group in &groups[..shown] {
                let paths: Vec<String> =
                    group.paths.iter().take(SHOWN_PATHS).map(|path| format!("/{path}")).collect();
                let more = match group.paths.len().saturating_sub(SHOWN_PATHS) {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                let _ = writeln!(out, "{}  {}{more}", sizes([group].into_iter()), paths.join(", "));
            }
            if let [_, ..] = &groups[shown..] {
                let others = if shown > 0 { " more" } else { "" };
                let (count, sizes) = (groups.len() - shown, sizes(groups[shown..].iter()));
                let what = if count == 1 { "group" } else { "groups" };
                let _ = writeln!(out, "{sizes}  {count}{others} {what} (--json has all)");
            }
        }
        out
    }

    /// Returns them as tables of a page.
    pub fn sections(&self) -> Vec<Section> {
        let row = |group: &Group| {
            let paths: Vec<String> = group.paths.iter().map(|path| format!("/{path}")).collect();
            let packed = group.extra_packed_bytes.map(size_text).unwrap_or_default();
            let link = group.paths.first().map(file_link);
            (link, vec![paths.join(", "), packed, size_text(group.extra_bytes)])
        };
        let section = |title: &str, groups: &[Group]| Section {
            title: format!("{title} ({})", groups.len()),
            columns: vec![("Files", false), ("All but one, compressed", true), ("Unpacked", true)],
            rows: groups.iter().take(SHOWN_ROWS).map(row).collect(),
        };
        vec![
            section("Equal files", &self.equal),
            section("Files whose names differ in a number alone", &self.alike),
        ]
    }

    /// Returns them as JSON.
    pub fn json(&self) -> Value {
        let group = |group: &Group| {
            json!({
                "paths": group.paths.iter().map(|path| format!("/{path}")).collect::<Vec<_>>(),
                "extra_bytes": group.extra_bytes,
                "extra_packed_bytes": group.extra_packed_bytes,
            })
        };
        let groups = |groups: &[Group]| groups.iter().map(group).collect::<Vec<_>>();
        json!({ "equal": groups(&self.equal), "alike": groups(&self.alike) })
    }
}

impl Group {
    fn of(files: &[(&TreePath, u64)], prices: Option<&Prices>) -> Self {
        let extra =
            |sizes: &[u64]| sizes.iter().sum::<u64>() - sizes.iter().max().copied().unwrap_or_default();
        let plain: Vec<u64> = files.iter().map(|(_, size_bytes)| *size_bytes).collect();
        let packed = prices.map(|prices| {
            files
                .iter()
                .map(|(path, _)| prices.files.get(*path).copied().unwrap_or_default())
                .collect::<Vec<_>>()
        });
        Group {
            paths: files.iter().map(|(path, _)| (*path).clone()).collect(),
            extra_bytes: extra(&plain),
            extra_packed_bytes: packed.map(|packed| extra(&packed)),
        }
    }
}

/// Returns the columns of sizes of groups together.
fn sizes<'g>(groups: impl Iterator<Item = &'g Group>) -> String {
    let (mut plain, mut packed) = (0, None);
    for group in groups {
        plain += group.extra_bytes;
        packed = group.extra_packed_bytes.map(|bytes| bytes + packed.unwrap_or_default());
    }
    let packed = packed.map(|bytes| format!("{:>10}", size_text(bytes))).unwrap_or_default();
    format!("{packed}{:>10}", size_text(plain))
}

/// Returns a name with `#` for each version and without `.min` and `.gz`.
fn pattern(name: &[u8]) -> String {
    let mut out = String::new();
    let mut is_version = false;
    for letter in name.escape_ascii().map(char::from) {
        let goes_on = letter.is_ascii_digit() || (is_version && letter == '.');
        match (goes_on, is_version) {
            (true, false) => out.push('#'),
            (true, true) => {}
            (false, true) if out.ends_with('#') && letter.is_ascii_alphabetic() => {
                out.push('.');
                out.push(letter);
            }
            (false, _) => out.push(letter),
        }
        is_version = goes_on;
    }
    out.replace(".min.", ".").trim_end_matches(".gz").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn copies_cost_what_they_take_and_versions_of_one_are_found_by_name() {
        let mut tree = Tree::new();
        let mut prices = Prices { files: BTreeMap::new(), metadata_bytes: 0, container_bytes: 0 };
        for (path, text, kilobytes, packed_bytes) in [
            ("a/index.php", "12", 20, 500),
            ("b/index.php", "13", 20, 500),
            ("a/jquery.js", "one", 20, 500),
            ("b/jquery.js", "one", 20, 7),
            ("c/jquery.min.js", "two", 10, 300),
            ("lib/libtea.so.1.2", "three", 30, 900),
            ("lib/libtea.so.2", "four", 40, 100),
            ("small/x1", "five", 1, 1),
            ("small/x2", "six", 1, 1),
            ("fonts/f1", "7", 20, 1),
            ("fonts/f2", "8", 20, 1),
            ("fonts/f3", "9", 20, 1),
            ("fonts/f4", "10", 20, 1),
            ("fonts/f5", "11", 20, 1),
        ] {
            let path = TreePath::new(path.as_bytes()).expect("a good path");
            tree.insert(path.clone(), Entry::file(Digest::of(text.as_bytes()), kilobytes << 10, 0o644, 0));
            prices.files.insert(path, packed_bytes);
        }
        let found = Duplicates::of(&tree, Some(&prices));
        let shown = |groups: &[Group]| -> Vec<(String, u64, Option<u64>)> {
            let paths =
                |group: &Group| group.paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            groups.iter().map(|g| (paths(g), g.extra_bytes >> 10, g.extra_packed_bytes)).collect()
        };
        assert_eq!(shown(&found.equal), [("a/jquery.js b/jquery.js".to_owned(), 20, Some(7))]);
        let expected =
            [("a/jquery.js c/jquery.min.js", 10, 300), ("lib/libtea.so.1.2 lib/libtea.so.2", 30, 100)];
        let expected = expected.map(|(paths, plain, packed)| (paths.to_owned(), plain, Some(packed)));
        assert_eq!(shown(&found.alike), expected);
        assert_eq!(pattern(b"jquery-3.6.1.min.js"), "jquery-#.js");
    }
}
