//! The files that are an app's own.

use std::collections::{BTreeMap, BTreeSet};

use object::elf::PF_X;

use super::{Language, bytes_of_pages};
use crate::{
    evidence::{PAGE_BYTES, Pruned},
    formats::elf::Header,
    layout::ImagePath,
    prune::languages_of,
    recipe::Recipe,
    store::Store,
    tree::{Kind, Tree, TreePath},
};

/// Where files lie that are for reading about an app, or for the package system.
const DOCUMENTS: [&str; 10] = [
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/metainfo",
    "usr/share/zsh",
];

/// A program of an app that is longer is not looked into.
const MOST_CODE_BYTES: u64 = 1 << 30;

/// The files of an image that are the app's own, by their paths in the stage.
pub struct OwnFiles(BTreeMap<TreePath, Own>);

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub language: Language,
    pub locale: Option<String>,
    /// Its size; of compiled code the size of its pages of text.
    pub bytes: u64,
    /// The pages that count, if it is looked at closely.
    pub pages: Option<BTreeSet<u64>>,
    /// Byte code of it, by its paths.
    pub byte_code: Vec<TreePath>,
}

impl OwnFiles {
    /// Finds them in the tree of an image. `owner` names the package of a path of the stage, and `pruned` has what
    /// the image lacks, as far as is known: languages are recognised by what they have beside them.
    pub fn of(
        tree: &Tree,
        recipe: &Recipe,
        owner: &dyn Fn(&[u8]) -> Option<String>,
        pruned: &Pruned,
        store: &Store,
    ) -> Self {
        let packages: BTreeSet<&str> = recipe.app.packages.iter().map(String::as_str).collect();
        let laid: BTreeSet<TreePath> =
            recipe.files.iter().filter_map(|file| place(tree, &file.path)).collect();
        let is_own = |path: &TreePath| {
            laid.contains(path) || owner(path.as_bytes()).is_some_and(|package| packages.contains(&*package))
        };
        let lacking = pruned.iter().map(|(path, package)| (path.to_stage(), package));
        let lacking: Vec<TreePath> = lacking
            .filter(|(path, package)| package.is_none() || is_own(path))
            .map(|(path, _)| path)
            .collect();
        let there: Vec<(TreePath, bool)> = tree
            .iter()
            .map(|(path, entry)| (ImagePath::in_image(path.clone()).to_stage(), entry.kind.is_directory()))
            .filter(|(path, is_directory)| *is_directory || is_own(path))
            .collect();
        let directories: BTreeSet<TreePath> = lacking.iter().flat_map(TreePath::ancestors).collect();
        // prune.list names a directory of translations, and not what is below.
        let lacking = lacking.iter().map(|path| (path, !path.file_name().contains(&b'.')));
        let above = directories.iter().map(|path| (path, true));
        let there = there.iter().map(|(path, is_directory)| (path, *is_directory));
        let locales = languages_of(lacking.chain(above).chain(there));
        let has_node = ["usr/bin/node", "usr/bin/nodejs"].iter().any(|at| tree.get(at.as_bytes()).is_some());

        let mut files = BTreeMap::new();
        for (path, entry) in tree.iter() {
            let Kind::File { digest, size_bytes, .. } = &entry.kind else { continue };
            let stage = ImagePath::in_image(path.clone()).to_stage();
            if is_document(&stage) || stage.is_at_or_below(b"tinyroot") || !is_own(&stage) {
                continue;
            }
            let head = || {
                let mut head = vec![0; 128];
                let length = store.blob(digest).ok().and_then(|blob| blob.read_at(&mut head, 0).ok());
                head.truncate(length.unwrap_or_default());
                head
            };
            let mut language = Language::of(&stage, has_node, head);
            let locale = locale_of(&stage, &locales);
            if locale.is_some() {
                language = Language::Translation;
            }
            let pages = match language {
                Language::Compiled if *size_bytes <= MOST_CODE_BYTES => {
                    store.read(digest).ok().and_then(|bytes| pages_of_text(&bytes))
                }
                Language::Java if !stage.as_bytes().ends_with(b".class") => {
                    Some((0..size_bytes.div_ceil(PAGE_BYTES)).collect())
                }
                _ => None,
            };
            let bytes = pages.as_ref().map_or(*size_bytes, |pages| bytes_of_pages(pages.len()));
            files.insert(stage, Own { language, locale, bytes, pages, byte_code: Vec::new() });
        }
        count_byte_code_for_sources(tree, &mut files);
        OwnFiles(files)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TreePath, &Own)> {
        self.0.iter()
    }

    /// Returns the files of which each page that is read counts.
    pub fn tracked(&self) -> BTreeSet<ImagePath> {
        let tracked = self.0.iter().filter(|(_, own)| own.pages.is_some());
        tracked.map(|(path, _)| ImagePath::of_stage(path)).collect()
    }
}

/// Returns the bytes of those of a file's pages that were read.
pub(super) fn bytes_read(pages: &BTreeSet<u64>, read: Option<&BTreeSet<u64>>) -> u64 {
    bytes_of_pages(read.map_or(0, |read| read.intersection(pages).count()))
}

/// Returns where a file of the recipe lies, behind the links of a merged `/usr`.
fn place(tree: &Tree, path: &TreePath) -> Option<TreePath> {
    let above = tree.resolve(path.parent_bytes().unwrap_or_default(), |_| {})?;
    above.join(path.file_name()).ok()
}

fn is_document(path: &TreePath) -> bool {
    DOCUMENTS.iter().any(|top| path.is_at_or_below(top.as_bytes()))
}

/// Returns the locale of a file that belongs to a set of translations, or lies in a directory that does.
fn locale_of(path: &TreePath, locales: &BTreeMap<TreePath, String>) -> Option<String> {
    let above = std::iter::once(path.clone()).chain(path.ancestors());
    above.filter_map(|path| locales.get(&path)).next().cloned()
}

/// Returns the pages of a program or library that hold what a processor runs; `None` if it is damaged.
fn pages_of_text(bytes: &[u8]) -> Option<BTreeSet<u64>> {
    let segments = Header::read(bytes)?.segments(bytes).ok()?;
    let text = segments.iter().filter(|segment| segment.flags & PF_X != 0 && segment.size_bytes > 0);
    let inside = text.filter(|segment| {
        segment.offset.checked_add(segment.size_bytes).is_some_and(|end| end <= bytes.len() as u64)
    });
    let pages = inside.flat_map(|segment| {
        segment.offset / PAGE_BYTES..(segment.offset + segment.size_bytes).div_ceil(PAGE_BYTES)
    });
    Some(pages.collect())
}

/// Takes Python's byte code for a part of its source, where that is there: one of both is opened.
fn count_byte_code_for_sources(tree: &Tree, files: &mut BTreeMap<TreePath, Own>) {
    for (path, entry) in tree.iter().filter(|(path, _)| path.as_bytes().ends_with(b".pyc")) {
        if entry.kind.is_directory() {
            continue;
        }
        let code = ImagePath::in_image(path.clone()).to_stage();
        let Some(source) = source_of(&code) else { continue };
        if let Some(own) = files.get_mut(&source) {
            if own.bytes == 0 {
                // [reduce] bytecode empties the source.
                own.bytes = entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
            }
            own.byte_code.push(code.clone());
            files.remove(&code);
        }
    }
}

/// Returns the source of byte code: `x/__pycache__/a.cpython-311.pyc` is of `x/a.py`.
fn source_of(code: &TreePath) -> Option<TreePath> {
    let directory = code.parent()?;
    let stem = code.file_name().split(|byte| *byte == b'.').next()?;
    let above = if directory.file_name() == b"__pycache__" { directory.parent()? } else { directory };
    above.join(&[stem, b".py"].concat()).ok()
}
