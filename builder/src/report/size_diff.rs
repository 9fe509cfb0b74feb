//! The difference of two packages, in bytes.

mod bounds;
mod causes;
mod compared;
mod markdown;
mod text;
mod words;

use std::collections::{BTreeMap, BTreeSet};

pub use compared::{Compared, Facts};
use words::{CONTAINER, METADATA, signed, size_texts, word};

use super::page::{Page, PageFile};
use crate::{
    artifact::Prices,
    diff::{Bound, Change, PackageChange, PathChange, Side, SizeDiff, Sizes, diff, own_bytes, places},
    operand::Taken,
    papers,
    progress::size_text,
    shown,
    store::Store,
    tree::{Tree, TreePath},
};

/// How deep directories are told apart.
const DEPTH: usize = 3;

/// Two packages compared: contents, files, because of what they differ, and what each says of itself.
pub struct SizeReport {
    sides: [Compared; 2],
    diff: SizeDiff,
    bounds: Vec<Bound>,
}

impl SizeReport {
    /// Compares two packages. `bounds` say how much larger the second may be. What changelogs say is read out
    /// of packages that the store has.
    pub fn of(before: Compared, after: Compared, bounds: Vec<Bound>, store: &Store) -> Self {
        let heading = |side: &Compared, path: &TreePath| side.papers.heading(path);
        let versions = [&before, &after].map(|side| {
            let version = |(name, version): (&str, &str)| (name.to_owned(), version.to_owned());
            side.papers.versions().map(version).collect::<BTreeMap<String, String>>()
        });
        let mut diff = diff(
            &Side {
                tree: &before.tree,
                heading: &|path| heading(&before, path),
                versions: &versions[0],
                packed: before.prices.as_ref().map(|prices| &prices.files),
                packing: &before.packing,
            },
            &Side {
                tree: &after.tree,
                heading: &|path| heading(&after, path),
                versions: &versions[1],
                packed: after.prices.as_ref().map(|prices| &prices.files),
                packing: &after.packing,
            },
            DEPTH,
        );
        causes::add(&mut diff, &before, &after);
        causes::add_changelogs(&mut diff, &after, store);
        SizeReport { sides: [before, after], diff, bounds }
    }

    /// Returns what limits bound, in a sentence.
    fn subject(&self) -> &'static str {
        match self.files() {
            (Some(_), Some(_)) if self.are_packages() => "the package",
            (Some(_), Some(_)) => "the file",
            _ => "the installed contents",
        }
    }

    /// Returns true if both are packages of ours.
    fn are_packages(&self) -> bool {
        self.sides.iter().all(|side| side.taken == Taken::Package)
    }

    /// Returns the lengths of both files.
    fn files(&self) -> (Option<u64>, Option<u64>) {
        (self.sides[0].size_bytes, self.sides[1].size_bytes)
    }

    /// Returns the sizes that limits bound: of the files, else what is installed.
    fn deciding_total(&self) -> (u64, u64) {
        let installed = (self.diff.sizes.before_bytes, self.diff.sizes.after_bytes);
        self.sides[0].size_bytes.zip(self.sides[1].size_bytes).unwrap_or(installed)
    }

    /// Returns the compressed bytes that are in no file, before and after: metadata, then the container.
    fn besides_files(&self) -> [Option<(u64, u64)>; 2] {
        let [before, after] = [0, 1].map(|side: usize| self.sides[side].prices.as_ref());
        let both = |part: fn(&Prices) -> u64| Some((part(before?), part(after?)));
        [both(|prices| prices.metadata_bytes), both(|prices| prices.container_bytes)]
    }

    /// Returns what files that are the same take otherwise because all is compressed in another way, and how it
    /// is; `None` where both are compressed alike, or it is not known.
    fn packed_otherwise(&self) -> Option<((u64, u64), String)> {
        let sizes = self.diff.unchanged.paths.sizes.packed().filter(|_| self.diff.is_packed_otherwise)?;
        let [was, is] = [0, 1].map(|side: usize| &self.sides[side].packing);
        Some((sizes, format!("compressed otherwise ({was} -> {is}), of what is the same")))
    }

    /// Returns what is to be said where one side alone is a file.
    fn only_file(&self) -> Option<String> {
        let of = |at: usize, other: usize| {
            let size_bytes = self.sides[at].size_bytes.filter(|_| self.sides[other].size_bytes.is_none())?;
            let names = ["A", "B"];
            let is = format!("{} is {}, not a file", names[other], self.sides[other].taken.name());
            Some(format!("file of {}: {} ({is})", names[at], size_text(size_bytes)))
        };
        of(0, 1).or_else(|| of(1, 0))
    }

    /// Returns what is to be said where the compressed sizes of a side are not known.
    fn unpriced(&self) -> Option<String> {
        let which = match [0, 1].map(|side: usize| self.sides[side].prices.is_some()) {
            [true, true] => return None,
            [false, true] => "A",
            [true, false] => "B",
            [false, false] => "either",
        };
        Some(format!("the compressed sizes of files are not known of {which}: the installed ones are shown"))
    }

    /// Returns what is to be said where nothing differs but the proof, which a recipe's preview does not have.
    fn all_but_proof(&self) -> Option<&'static str> {
        let previewed = |side: &Compared| matches!(side.taken, Taken::Recipe | Taken::Revision);
        let is_one = previewed(&self.sides[0]) != previewed(&self.sides[1]);
        let mut changed = self.diff.paths.iter().filter(|path| path.change != Change::Same);
        let is_it =
            is_one && !self.diff.is_empty() && changed.all(|path| papers::is_proof(&path.tree_path()));
        is_it.then_some(
            "the contents are the same but for the proof, which a recipe has only when it is built",
        )
    }

    /// Returns the statements that differ: what they are called, how they were and how they are.
    fn changed_facts(&self) -> Vec<(&'static str, String, String)> {
        let [before, after] = &self.sides;
        before.facts.as_ref().zip(after.facts.as_ref()).map_or_else(Vec::new, |(was, is)| was.changed(is))
    }

    /// Returns one JSON document.
    pub fn json(&self) -> serde_json::Value {
        let mut document = serde_json::json!(self.diff);
        for (side, name) in self.sides.iter().zip(["before", "after"]) {
            let prices = side.prices.as_ref();
            document[format!("artifact_{name}_bytes")] = side.size_bytes.into();
            document[format!("metadata_{name}_bytes")] = prices.map(|prices| prices.metadata_bytes).into();
            document[format!("container_{name}_bytes")] = prices.map(|prices| prices.container_bytes).into();
            document[format!("{name}_taken_for")] = side.taken.word().into();
            document[format!("{name}_name")] = side.name.as_str().into();
            document[name] = serde_json::json!(side.facts);
        }
        self.add_bounds(&mut document);
        document
    }

    /// Returns the report for reading.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// Returns the report for a comment on a change.
    pub fn markdown(&self) -> String {
        markdown::markdown(self)
    }

    /// Returns the report as a page for a browser.
    pub fn page(&self) -> Page {
        let total = self.deciding_total();
        let (from, to) = size_texts(total.0, total.1);
        let Sizes { before_bytes, after_bytes, .. } = self.diff.sizes;
        let (was, is) = size_texts(before_bytes, after_bytes);
        let installed = format!("installed: {} ({was} \u{2192} {is})", signed((before_bytes, after_bytes)));
        let versions = self.diff.packages.iter().map(|package| {
            let named = |name: &String| format!("{name} {}", package.version_before.as_deref().unwrap_or(""));
            let before = package.package_before.as_ref().map(named);
            let before = before.or_else(|| package.version_before.clone());
            (package.package.clone(), before, package.version_after.clone())
        });
        let notes = self.diff.packages.iter().filter_map(|package| {
            let notes = page_notes(package);
            (!notes.is_empty()).then(|| (package.package.clone(), notes))
        });
        let facts =
            self.changed_facts().into_iter().map(|(what, was, is)| format!("{what}: {was} \u{2192} {is}"));
        let besides = self.besides_files().into_iter().zip([METADATA, CONTAINER]);
        let besides = besides.filter_map(|(sizes, what)| {
            let (from, to) = size_texts(sizes?.0, sizes?.1);
            Some(format!("compressed, besides files: {what}: {from} \u{2192} {to}"))
        });
        let otherwise = self.packed_otherwise();
        let otherwise =
            otherwise.map(|(sizes, what)| format!("{}: {}", what.replace("->", "\u{2192}"), signed(sizes)));
        Page {
            title: format!("{} \u{2192} {}", self.sides[0].name, self.sides[1].name),
            total: format!("{} ({from} \u{2192} {to})", signed(total)),
            facts: std::iter::once(installed)
                .chain(self.bounds_told())
                .chain(facts)
                .chain(self.unpriced())
                .chain(self.all_but_proof().map(str::to_owned))
                .chain(otherwise)
                .chain(besides)
                .collect(),
            is_difference: true,
            is_packed_otherwise: self.diff.is_packed_otherwise,
            files: self.page_files(),
            versions: versions.collect(),
            notes: notes.collect(),
            why: None,
            sections: Vec::new(),
        }
    }

    /// Returns the links and files of both.
    fn page_files(&self) -> Vec<PageFile> {
        let changes: BTreeMap<&str, &PathChange> =
            self.diff.paths.iter().map(|change| (&change.path[..], change)).collect();
        let moved: BTreeSet<&str> =
            self.diff.paths.iter().filter_map(|change| change.path_before.as_deref()).collect();
        let [before, after] = [0, 1].map(|side: usize| &self.sides[side].tree);
        let bytes = |tree: &Tree, path: &TreePath| tree.get(path.as_bytes()).map(own_bytes);
        // One side alone says nothing of a difference.
        let prices = self.sides[0].prices.as_ref().zip(self.sides[1].prices.as_ref());
        let packed = |path: &TreePath| match prices {
            Some((was, is)) => {
                [was, is].map(|prices| Some(prices.files.get(path).copied().unwrap_or_default()))
            }
            None => [None, None],
        };
        let paths: BTreeSet<&TreePath> = before.iter().chain(after.iter()).map(|(path, _)| path).collect();
        let places = places(&self.diff.packages);
        let mut files = Vec::new();
        for path in paths {
            let is_there = |tree: &Tree| tree.get(path.as_bytes()).is_some_and(|e| e.kind.counts_as_file());
            let text = path.to_string();
            if !(is_there(before) || is_there(after)) || moved.contains(&text[..]) {
                continue;
            }
            let change = changes.get(&text[..]);
            let path_before = change.and_then(|change| change.path_before.clone());
            let package = match change {
                Some(change) => change.package.clone(),
                None => self.sides[1].papers.heading(path),
            };
            // One with another version in its name is one package.
            let package = places.get(&package).map_or(package, |at| self.diff.packages[*at].package.clone());
            let packed_bytes = match change {
                Some(change) if prices.is_some() => {
                    [change.sizes.packed_before_bytes, change.sizes.packed_after_bytes]
                }
                _ => packed(path),
            };
            files.push(PageFile {
                plain_bytes: [
                    bytes(before, &change.map_or_else(|| path.clone(), |change| change.tree_path_before())),
                    bytes(after, path),
                ],
                packed_bytes,
                change: match change {
                    Some(change) if change.is_touched => "time",
                    Some(change) => word(change.change),
                    None => "same",
                },
                path: text,
                package,
                path_before,
            });
        }
        files
    }
}

/// Returns the notes of the page on a package: its cause, and what its changelog says.
fn page_notes(package: &PackageChange) -> Vec<String> {
    let steps = package.cause.iter().flat_map(|cause| cause.chain.iter().map(|step| format!("\n  {step}")));
    let cause = words::cause(package).map(|cause| cause.to_owned() + &steps.collect::<String>());
    let mut notes: Vec<String> = cause.into_iter().collect();
    notes.extend(words::gained(package));
    notes.extend(
        package
            .changelog
            .iter()
            .map(|entry| format!("{}\n\n{}", words::entry_head(entry), shown::lines(&entry.text))),
    );
    notes
}

#[cfg(test)]
mod tests;
