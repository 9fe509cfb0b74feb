//! A recipe over the history of its folder.
//!
//! Comes in: a recipe folder in a git repository. Goes out: [`History`]: for each commit that changed the
//! folder what changed, and the sizes that were recorded for it. Nothing is built and no size is guessed: one
//! that was recorded for another state of the folder does not count. No recipe is read by today's rules, since
//! an older one may break them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    diff::renamed_packages,
    digest::Digest,
    formats::recipe_summary::{self, PackageSize, RecipeSummary},
    git::{Commit, Folder, GitError},
    lock::{Change, Changes, Lock},
    recipe, shown,
};

/// The reference of git notes that hold summaries, below `refs/notes`.
pub const NOTES: &str = "tinyroot";

/// How many commits before the oldest that was asked for are searched for one with a size.
const MOST_BEFORE: usize = 20;

/// A recipe's history.
#[derive(Clone, Debug)]
pub struct History {
    /// The newest first.
    pub states: Vec<State>,
    /// Whether older commits are missing in this clone.
    pub is_shallow: bool,
    /// Whether older commits were not asked for.
    pub is_cut: bool,
}

/// A state of the folder.
#[derive(Clone, Debug)]
pub struct State {
    /// The commit; `None` for the folder as it is on disk, where that is another one.
    pub commit: Option<Commit>,
    /// What was recorded of it.
    pub recorded: Recorded,
    /// How many packages its lock has; `None` without one that can be read.
    pub packages_locked: Option<usize>,
    /// What changed since the state before.
    pub changed: Changed,
    /// By how much the package is larger than the last one before that has a size, and by what.
    pub growth: Option<Growth>,
}

/// The sizes that were recorded for a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Of this very state.
    Sizes(RecipeSummary),
    /// Of another state of the folder: not counted.
    Stale,
    /// None.
    Nothing,
    /// Something that cannot be read, and why.
    Damaged(String),
}

impl Recorded {
    /// Returns the sizes of this very state.
    pub fn sizes(&self) -> Option<&RecipeSummary> {
        match self {
            Recorded::Sizes(summary) => Some(summary),
            _ => None,
        }
    }
}

/// What changed in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Whether it is the first state that is known, or the folder came (again).
    pub is_first: bool,
    /// Whether the folder is gone.
    pub is_gone: bool,
    /// Packages of the lock.
    pub packages: Changes,
    /// Keys of recipe.toml whose values differ, such as `prune.drop`.
    pub keys: Vec<String>,
    /// Paths of the evidence that came.
    pub evidence_added: usize,
    /// Paths of the evidence that went.
    pub evidence_removed: usize,
    /// Names of files that came, went or changed.
    pub files: Vec<String>,
    /// Why the folder cannot be read, if so.
    pub fault: Option<String>,
}

/// The growth of a package between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The size before and now.
    pub size_bytes: (u64, u64),
    /// By Debian package, the largest change first.
    pub packages: Vec<Share>,
}

/// The growth of a Debian package between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// Its name before, where that had another version in it.
    pub name_before: Option<String>,
    /// Its size before and now, compressed where that is known.
    pub size_bytes: (u64, u64),
}

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

/// Reads the history of a recipe folder: at most so many commits, and the folder on disk if it differs.
///
/// # Errors
/// [`GitError`]. What a single commit has that cannot be read is said at its state.
pub fn history(folder: &Path, most: usize) -> Result<History, GitError> {
    let repository = Folder::open(folder)?;
    let mut commits = repository.commits(most.saturating_add(MOST_BEFORE))?;
    // What was not asked for is there to be compared with alone.
    let only_compared = commits.split_off(commits.len().min(most));
    let is_cut = !only_compared.is_empty();
    let noted = |commit: &Commit| repository.note(NOTES, &commit.id).transpose();
    let mut states = Vec::new();
    let mut before: Option<Files> = None;
    let mut sized_before = None;
    for (at, commit) in only_compared.iter().enumerate() {
        let files = files_at(&repository, commit).ok().flatten();
        sized_before = recorded(files.as_ref(), || noted(commit)).sizes().cloned();
        if at == 0 {
            before = files;
        }
        if sized_before.is_some() {
            break;
        }
    }
    for commit in commits.into_iter().rev() {
        let (files, fault) = match files_at(&repository, &commit) {
            Ok(files) => (files, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let recorded = recorded(files.as_ref(), || noted(&commit));
        let changed = Changed { fault, ..changed(before.as_ref(), files.as_ref()) };
        states.push(state(Some(commit), files.as_ref(), recorded, changed));
        before = files;
    }
    if let Some(now) = on_disk(folder)
        && before.as_ref() != Some(&now)
    {
        let recorded = recorded(Some(&now), || None);
        let changed = changed(before.as_ref(), Some(&now));
        states.push(state(None, Some(&now), recorded, changed));
    }
    add_growth(&mut states, sized_before);
    states.reverse();
    Ok(History { states, is_shallow: repository.is_shallow()?, is_cut })
}

/// Returns the folder's files at a commit; `None` if it is not there.
fn files_at(repository: &Folder, commit: &Commit) -> Result<Option<Files>, GitError> {
    match repository.files(&commit.id) {
        Ok(files) => {
            Ok(Some(files.into_iter().map(|(name, file)| (name, file.bytes)).filter(is_read).collect()))
        }
        Err(GitError::NoFolder { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_read((name, _): &(String, Vec<u8>)) -> bool {
    recipe::is_enclosed(name) || name == recipe_summary::NAME
}

/// Returns the files of the folder on disk; `None` if it holds no recipe that can be read.
fn on_disk(folder: &Path) -> Option<Files> {
    let mut files = recipe::read(folder).ok()?.own_folder().ok()?;
    if let Ok(bytes) = crate::files::read(folder.join(recipe_summary::NAME)) {
        files.insert(recipe_summary::NAME.to_owned(), bytes);
    }
    Some(files)
}

fn state(commit: Option<Commit>, files: Option<&Files>, recorded: Recorded, changed: Changed) -> State {
    let lock = files.and_then(lock_of);
    let packages_locked = lock.map(|lock| lock.packages.len());
    State { commit, recorded, packages_locked, changed, growth: None }
}

fn lock_of(files: &Files) -> Option<Lock> {
    Lock::parse(files.get("recipe.lock")?).ok()
}

/// Returns what was recorded: in the folder, or else in a note of the commit.
fn recorded(files: Option<&Files>, noted: impl FnOnce() -> Option<Result<Vec<u8>, GitError>>) -> Recorded {
    let Some(files) = files else { return Recorded::Nothing };
    let digest = folder_digest(files);
    let read = |bytes: &[u8], place: &str| match RecipeSummary::parse(bytes) {
        Ok(summary) if summary.folder == digest => Recorded::Sizes(summary),
        Ok(_) => Recorded::Stale,
        Err(error) => Recorded::Damaged(shown::line(&format!("{place}: {error}")).into_owned()),
    };
    let own = files.get(recipe_summary::NAME).map(|bytes| read(bytes, recipe_summary::NAME));
    match own {
        Some(Recorded::Sizes(summary)) => Recorded::Sizes(summary),
        own => {
            let noted = noted().map(|bytes| match bytes {
                Ok(bytes) => read(&bytes, "its note"),
                Err(error) => Recorded::Damaged(error.to_string()),
            });
            match (own, noted) {
                (_, Some(Recorded::Sizes(noted))) => Recorded::Sizes(noted),
                (None | Some(Recorded::Stale), Some(noted @ Recorded::Damaged(_))) | (None, Some(noted)) => {
                    noted
                }
                (own, _) => own.unwrap_or(Recorded::Nothing),
            }
        }
    }
}

fn folder_digest(files: &Files) -> Digest {
    recipe::digest_of_folder(files.iter().filter(|(name, _)| *name != recipe_summary::NAME))
}

/// Returns what changed between two states of the folder.
fn changed(before: Option<&Files>, after: Option<&Files>) -> Changed {
    let (before, after) = match (before, after) {
        (_, None) => return Changed { is_gone: true, ..Changed::default() },
        (None, Some(_)) => return Changed { is_first: true, ..Changed::default() },
        (Some(before), Some(after)) => (before, after),
    };
    let mut changed = Changed::default();
    if let (Some(old), Some(new)) = (lock_of(before), lock_of(after)) {
        changed.packages = Changes::between(&old, &new);
        let of = |is_kind: fn(&Change) -> bool| {
            let changes = changed.packages.packages.iter();
            changes.filter(move |change| is_kind(change)).map(|change| &change.name[..])
        };
        let renamed = renamed_packages(of(|change| change.new.is_none()), of(|change| change.old.is_none()));
        let renamed: Vec<_> = renamed.into_iter().map(|(was, is)| (was.to_owned(), is.to_owned())).collect();
        changed.packages.pair(&renamed);
    }
    let table = |files: &Files| files.get("recipe.toml").and_then(|bytes| table_of(bytes));
    if let (Some(old), Some(new)) = (table(before), table(after)) {
        changed.keys = differing_keys(&old, &new);
    }
    let (old, new) = (evidence(before), evidence(after));
    changed.evidence_added = new.difference(&old).count();
    changed.evidence_removed = old.difference(&new).count();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    changed.files = differing.filter(|name| *name != recipe_summary::NAME).cloned().collect();
    changed
}

fn table_of(bytes: &[u8]) -> Option<toml::Table> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Returns the lines of the evidence, one for each path.
fn evidence(files: &Files) -> BTreeSet<&[u8]> {
    let text = files.get("used.list").map_or(&[][..], |bytes| bytes);
    text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"/")).collect()
}

/// Returns the keys whose values differ, those of a table by their own names.
fn differing_keys(old: &toml::Table, new: &toml::Table) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut keys = Vec::new();
    for name in names {
        match (old.get(name), new.get(name)) {
            (old, new) if old == new => {}
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                let below = differing_keys(old, new).into_iter();
                keys.extend(below.map(|key| format!("{name}.{key}")));
            }
            _ => keys.push(name.clone()),
        }
    }
    keys
}

/// Adds to each state by how much it is larger than the one before that has a size; the oldest is first, and
/// `last` is of those before it.
fn add_growth(states: &mut [State], mut last: Option<RecipeSummary>) {
    for state in states {
        let Some(now) = state.recorded.sizes().cloned() else { continue };
        if let Some(before) = last.filter(|before| before.format == now.format) {
            state.growth = Some(Growth::between(&before, &now));
        }
        last = Some(now);
    }
}

impl Growth {
    fn between(before: &RecipeSummary, now: &RecipeSummary) -> Self {
        let only_in = |one: &'_ RecipeSummary, other: &'_ RecipeSummary| -> Vec<String> {
            one.packages.keys().filter(|name| !other.packages.contains_key(*name)).cloned().collect()
        };
        let (gone, new) = (only_in(before, now), only_in(now, before));
        let renamed: BTreeMap<&str, &str> =
            renamed_packages(gone.iter().map(|name| &name[..]), new.iter().map(|name| &name[..]))
                .into_iter()
                .map(|(was, is)| (is, was))
                .collect();
        let merged: BTreeSet<&str> = renamed.values().copied().collect();
        let names: BTreeSet<&str> =
            before.packages.keys().chain(now.packages.keys()).map(|name| &name[..]).collect();
        let size =
            |summary: &RecipeSummary, name: &str| summary.packages.get(name).map_or(0, PackageSize::bytes);
        let share = |name: &str| {
            let name_before = renamed.get(name).copied();
            let size_bytes = (size(before, name_before.unwrap_or(name)), size(now, name));
            Share { name: name.to_owned(), name_before: name_before.map(str::to_owned), size_bytes }
        };
        let shares = names.into_iter().filter(|name| !merged.contains(name)).map(share);
        let mut packages: Vec<Share> =
            shares.filter(|Share { size_bytes: (before, now), .. }| before != now).collect();
        packages
            .sort_by_key(|Share { size_bytes: (before, now), .. }| std::cmp::Reverse(before.abs_diff(*now)));
        Growth { size_bytes: (before.size_bytes, now.size_bytes), packages }
    }
}

#[cfg(test)]
mod tests;
