//! The files of an app by directory: what was reached below each, and the largest parts that were not.

use std::collections::BTreeMap;

use super::{By, DirectoryShare, Files, Language, Own, Part, PartStep, Reached, Share};
use crate::{prove::Survey, tree::TreePath};

/// How many parts are named.
const MOST_PARTS: usize = 10;
/// How far below the app's topmost directories directories are shown.
const DEPTH: usize = 3;
/// How many directories are shown at most, the largest.
const MOST_DIRECTORIES: usize = 100;

/// A directory, with all below it.
#[derive(Default)]
struct Directory<'a> {
    path: TreePath,
    files: Vec<File<'a>>,
    directories: BTreeMap<Vec<u8>, Directory<'a>>,
    share: Share,
}

#[derive(Clone, Copy)]
struct File<'a> {
    path: &'a TreePath,
    own: &'a Own,
    reached: Reached,
}

impl<'a> Directory<'a> {
    fn of(files: impl Iterator<Item = File<'a>>) -> Self {
        let mut root = Directory::default();
        for file in files {
            let mut at = &mut root;
            at.share.add(file.own, &file.reached);
            let above: Vec<TreePath> = file.path.ancestors().filter(|above| !above.is_root()).collect();
            for above in above.into_iter().rev() {
                at = at.directories.entry(above.file_name().to_vec()).or_default();
                at.path = above;
                at.share.add(file.own, &file.reached);
            }
            at.files.push(file);
        }
        root
    }

    fn all_files(&self) -> Vec<File<'a>> {
        let below = self.directories.values().flat_map(Directory::all_files);
        self.files.iter().copied().chain(below).collect()
    }

    /// Adds a row for itself, unless all that it has is one directory, and rows for those below.
    fn rows(&self, depth: usize, rows: &mut Vec<DirectoryShare>) {
        let is_on_the_way = self.path.is_root() || self.files.is_empty() && self.directories.len() == 1;
        if !is_on_the_way {
            rows.push(DirectoryShare { path: format!("/{}", self.path.shown()), share: self.share });
        }
        let depth = depth + usize::from(!is_on_the_way);
        if depth < DEPTH {
            self.directories.values().for_each(|directory| directory.rows(depth, rows));
        }
    }

    /// Adds the parts of which nothing was reached, as large as can be.
    fn unreached(&self, parts: &mut Vec<(String, Vec<File<'a>>)>) {
        if self.share.reached_files == 0 && !self.path.is_root() {
            return parts.push((format!("/{}/", self.path.shown()), self.all_files()));
        }
        let own: Vec<File<'a>> =
            self.files.iter().filter(|file| file.reached.by != By::Exercise).copied().collect();
        match &own[..] {
            [] => {}
            [file] => parts.push((format!("/{}", file.path.shown()), own)),
            _ => parts.push((format!("/{}/*", self.path.shown()), own)),
        }
        self.directories.values().for_each(|directory| directory.unreached(parts));
    }
}

fn listed<'a>(files: &'a Files<'a>) -> impl Iterator<Item = File<'a>> {
    files.iter().map(|(path, (own, reached))| File { path, own, reached: *reached })
}

/// Returns what was reached below the upper directories, by path.
pub(super) fn directories(files: &Files<'_>) -> Vec<DirectoryShare> {
    let mut rows = Vec::new();
    Directory::of(listed(files)).rows(0, &mut rows);
    rows.sort_by(|a, b| (b.share.bytes, &a.path).cmp(&(a.share.bytes, &b.path)));
    rows.truncate(MOST_DIRECTORIES);
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    rows
}

/// Returns the largest parts that the exercise did not reach: those with the most code first, then the largest.
/// Translations are none: they are listed by language.
pub(super) fn unreached(files: &Files<'_>, survey: &Survey) -> Vec<Part> {
    let mut found = Vec::new();
    let others = listed(files).filter(|file| file.own.language != Language::Translation);
    Directory::of(others).unreached(&mut found);
    let code = |files: &[File<'_>]| -> u64 {
        files.iter().filter(|file| file.own.language.is_code()).map(|file| file.own.bytes).sum()
    };
    let bytes = |files: &[File<'_>]| -> u64 { files.iter().map(|file| file.own.bytes).sum() };
    found.sort_by(|(path, files), (other, others)| {
        let key = (code(others), bytes(others)).cmp(&(code(files), bytes(files)));
        key.then_with(|| path.cmp(other))
    });
    found.truncate(MOST_PARTS);
    found
        .into_iter()
        .map(|(path, files)| Part {
            path,
            language: main_language(&files),
            files: files.len(),
            bytes: bytes(&files),
            step: step(&files, survey),
        })
        .collect()
}

/// Returns the language of most bytes, of code if there is any.
fn main_language(files: &[File<'_>]) -> Language {
    let mut sums: BTreeMap<Language, u64> = BTreeMap::new();
    for file in files {
        *sums.entry(file.own.language).or_default() += file.own.bytes;
    }
    let first = sums
        .iter()
        .max_by_key(|(language, bytes)| (language.is_code(), **bytes, std::cmp::Reverse(**language)));
    first.map_or(Language::Data, |(language, _)| *language)
}

/// Returns the explored page that reached most bytes of some files first, as a step: one that is no error if
/// there is one, and none that is the server's.
fn step(files: &[File<'_>], survey: &Survey) -> Option<PartStep> {
    let mut pages: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    for file in files {
        let names = std::iter::once(file.path).chain(&file.own.byte_code);
        if let Some(page) = names.filter_map(|name| survey.beyond.get(name)).find_map(|page| *page) {
            let (bytes, count) = pages.entry(page).or_default();
            *bytes += file.own.bytes;
            *count += 1;
        }
    }
    let pages = pages.into_iter().filter_map(|(at, (bytes, count))| {
        let page = survey.pages.get(at).filter(|page| (100..500).contains(&page.status))?;
        Some((page.status < 400, bytes, std::cmp::Reverse(at), count, page))
    });
    let (_, _, _, count, page) = pages.max_by_key(|(is_good, bytes, at, ..)| (*is_good, *bytes, *at))?;
    let mut toml = format!("[[exercise]]\nget = {}\n", toml::Value::String(page.path.clone()));
    if page.status >= 400 {
        toml += &format!("status = {}\n", page.status);
    }
    Some(PartStep { get: page.path.clone(), status: page.status, toml, files: count })
}
