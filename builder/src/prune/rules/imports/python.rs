//! Python's modules: where an import leads.

pub(super) mod source;

use super::{Imported, Need};
use crate::{
    prune::{
        PruneError,
        rules::{Candidate, Facts, State, languages::standard_library, parent},
    },
    tree::TreePath,
};
use source::Import;

/// Largest source or extension that is looked into.
const MAX_BYTES: u64 = 8 << 20;

/// Modules for developers at a terminal. What the standard library itself imports of them, it does on their
/// behalf, and so does other code in its functions.
const FOR_DEVELOPERS: &[&str] = &[
    "bdb",
    "cmd",
    "code",
    "curses",
    "distutils",
    "doctest",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pdb",
    "pip",
    "pydoc",
    "readline",
    "rlcompleter",
    "setuptools",
    "test",
    "tkinter",
    "turtle",
    "unittest",
    "venv",
];

/// Modules that are part of the interpreter's own binary since 3.11 (`Python/frozen.c`): their files are
/// never read. Not those that import others which are not part of it.
const FROZEN: &[&str] = &[
    "_collections_abc",
    "abc",
    "genericpath",
    "importlib._bootstrap",
    "importlib._bootstrap_external",
    "io",
    "ntpath",
    "posixpath",
    "stat",
    "zipimport",
];

/// Where modules are looked for.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    /// Directories of `sys.path` beside that of the program, in Debian's order.
    directories: Vec<Vec<u8>>,
    /// The ending of an extension's name: `.cpython-311-x86_64-linux-gnu.so`, …
    endings: Vec<Vec<u8>>,
}

impl Roots {
    fn of(facts: &Facts<'_>) -> Self {
        let mut roots =
            Roots { directories: Vec::new(), endings: vec![b".abi3.so".to_vec(), b".so".to_vec()] };
        for (path, entry) in facts.tree.children(b"usr/lib") {
            let library = path.as_bytes();
            if !entry.kind.is_directory() || standard_library(&[library, b"/"].concat()) != Some(library) {
                continue;
            }
            let dynamic = [library, b"/lib-dynload"].concat();
            for (module, _) in facts.tree.children(&dynamic) {
                let name = module.file_name();
                let ending = name.iter().position(|b| *b == b'.').map(|at| name[at..].to_vec());
                roots.endings.extend(ending.filter(|ending| !roots.endings.contains(ending)));
            }
            let version = library.strip_prefix(b"usr/lib/").unwrap_or_default();
            let local = [b"usr/local/lib/", version, b"/dist-packages"].concat();
            roots.directories.extend([library.to_vec(), dynamic, local]);
        }
        roots.directories.push(b"usr/lib/python3/dist-packages".to_vec());
        roots
    }

    /// Returns the files that a dotted name loads from a directory: each package's `__init__`, then the
    /// module.
    fn below(&self, directory: &[u8], parts: &[&str], facts: &Facts<'_>) -> Vec<TreePath> {
        let file = |path: &[u8]| {
            let end = facts.tree.resolve(path, |_| {})?;
            let is_directory = facts.tree.get(end.as_bytes())?.kind.is_directory();
            (!is_directory).then(|| TreePath::new(path).ok()).flatten()
        };
        let mut out = Vec::new();
        let mut at = directory.to_vec();
        for part in parts {
            let next = [&at[..], b"/", part.as_bytes()].concat();
            if let Some(init) = file(&[&next[..], b"/__init__.py"].concat()) {
                out.push(init);
            } else if let Some(module) = file(&[&next[..], b".py"].concat()) {
                out.push(module);
                return out;
            } else if let Some(module) =
                self.endings.iter().find_map(|ending| file(&[&next[..], ending].concat()))
            {
                out.push(module);
                return out;
            } else if facts.tree.resolve(&next, |_| {}).is_none() {
                return out;
            }
            at = next;
        }
        out
    }

    /// Returns the files of a dotted name from the first directory that has any.
    fn find(&self, own: &[u8], parts: &[&str], facts: &Facts<'_>) -> Vec<TreePath> {
        let directories = std::iter::once(own).chain(self.directories.iter().map(Vec::as_slice));
        let found = directories.map(|directory| self.below(directory, parts, facts));
        found.into_iter().find(|files| !files.is_empty()).unwrap_or_default()
    }
}

/// Returns the modules that a source or an extension imports.
pub(super) fn imported(
    candidate: &Candidate<'_>,
    facts: &Facts<'_>,
    state: &mut State,
) -> Result<Vec<Imported>, PruneError> {
    let path = candidate.bytes();
    let size_bytes = candidate.entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
    let is_extension = path.ends_with(b".so");
    if size_bytes > MAX_BYTES || is_extension && (standard_library(path).is_some() || !in_python(path)) {
        return Ok(Vec::new());
    }
    let roots = state.roots.python.get_or_insert_with(|| Roots::of(facts));
    let contents = facts.contents(candidate)?;
    let own = package_root(path, facts);
    let mut out = Vec::new();
    if is_extension {
        for name in names_in(&contents) {
            let parts: Vec<&str> = name.split('.').collect();
            if !FOR_DEVELOPERS.contains(&parts[0]) {
                let files = roots.find(own, &parts, facts);
                out.extend(files.into_iter().map(|path| Imported { path, need: Need::Optional }));
            }
        }
        return Ok(out);
    }
    for import in source::imports(&contents) {
        let need = match import.need {
            source::Need::Sure => Need::Sure,
            // The imports of a library's functions have no end; code that a run has loaded may well call
            // them.
            source::Need::Late
                if candidate.used.is_none()
                    && standard_library(path)
                        .is_some_and(|library| !is_of_its_package(&import, path, library)) =>
            {
                continue;
            }
            _ if import.is_text && standard_library(path).is_some() => continue,
            source::Need::Late => Need::Late,
            source::Need::Optional => Need::Optional,
            source::Need::Never => continue,
        };
        let files = files_of(&import, path, own, roots, facts);
        out.extend(files.into_iter().map(|path| Imported { path, need }));
    }
    out.extend(hidden(path, roots, facts).into_iter().map(|path| Imported { path, need: Need::Late }));
    Ok(out)
}

/// Returns true if a module of the library imports another part of the package that it is part of:
/// `concurrent.futures` has its executors in modules that are imported on first use.
fn is_of_its_package(import: &Import, importer: &[u8], library: &[u8]) -> bool {
    let below = importer.get(library.len() + 1..).unwrap_or_default();
    let top = below.split(|byte| *byte == b'/').next().unwrap_or_default();
    let first = import.module.split('.').next().unwrap_or_default();
    import.level > 0 || (below.contains(&b'/') && first.as_bytes() == top)
}

/// Returns the imports of the library's modules by names that they make, or that the interpreter's own binary
/// imports for them.
fn hidden(path: &[u8], roots: &Roots, facts: &Facts<'_>) -> Vec<TreePath> {
    let Some(library) = standard_library(path) else { return Vec::new() };
    match path.get(library.len() + 1..).unwrap_or_default() {
        // `importlib._bootstrap_external`, which is frozen.
        b"importlib/resources/__init__.py" | b"importlib/resources.py" => {
            roots.find(library, &["importlib", "readers"], facts)
        }
        // `_sysconfigdata_ABI_PLATFORM_MULTIARCH`.
        b"sysconfig.py" => {
            let children = facts.tree.children(library).map(|(path, _)| path);
            let is_data = |path: &&TreePath| {
                path.file_name().starts_with(b"_sysconfigdata_") && path.as_bytes().ends_with(b".py")
            };
            children.filter(is_data).cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the files that a text means, if it is the whole name of a module or names something in one.
fn files_of_text(import: &Import, own: &[u8], roots: &Roots, facts: &Facts<'_>) -> Vec<TreePath> {
    let parts: Vec<&str> = import.module.split('.').collect();
    let exact = |parts: &[&str]| {
        let files = roots.find(own, parts, facts);
        let end = [b"/", parts.join("/").as_bytes()].concat();
        let is_end = |path: &TreePath| {
            let path = path.as_bytes();
            let stem = path.strip_suffix(b".py").map(|path| path.strip_suffix(b"/__init__").unwrap_or(path));
            stem.is_some_and(|stem| stem.ends_with(&end))
        };
        if files.last().is_some_and(is_end) { files } else { Vec::new() }
    };
    let whole = exact(&parts);
    if !whole.is_empty() {
        let names = import.names.iter().flat_map(|name| exact(&[&parts[..], &[name]].concat()));
        return whole.iter().cloned().chain(names).collect();
    }
    if parts.len() > 1 { exact(&parts[..parts.len() - 1]) } else { Vec::new() }
}

/// Returns the files that one import loads.
fn files_of(import: &Import, importer: &[u8], own: &[u8], roots: &Roots, facts: &Facts<'_>) -> Vec<TreePath> {
    let parts: Vec<&str> = import.module.split('.').filter(|part| !part.is_empty()).collect();
    if import.is_text {
        let is_for_developers = parts.first().is_some_and(|name| FOR_DEVELOPERS.contains(name));
        return if is_for_developers { Vec::new() } else { files_of_text(import, own, roots, facts) };
    }
    let of_library = standard_library(importer).is_some()
        || import.need != source::Need::Sure && !facts.is_apps_own(importer);
    if import.level == 0 && of_library && parts.first().is_some_and(|name| FOR_DEVELOPERS.contains(name)) {
        return Vec::new();
    }
    let files = |parts: &[&str]| match import.level {
        0 => roots.find(own, parts, facts),
        level => {
            // One dot is the package of the file, each further one that above.
            let above = (0..level).try_fold(importer, |at, _| parent(at));
            above.map(|directory| roots.below(directory, parts, facts)).unwrap_or_default()
        }
    };
    let mut out = files(&parts);
    for name in &import.names {
        out.extend(files(&[&parts[..], &[name]].concat()));
    }
    out.retain(|path| !is_frozen(path.as_bytes()));
    out.sort();
    out.dedup();
    out
}

fn is_frozen(path: &[u8]) -> bool {
    let Some(library) = standard_library(path) else { return false };
    let minor = library.strip_prefix(b"usr/lib/python3.").and_then(|minor| std::str::from_utf8(minor).ok());
    let is_new = minor.and_then(|minor| minor.parse().ok()).is_some_and(|minor: u32| minor >= 11);
    let name = path.get(library.len() + 1..).and_then(|rest| rest.strip_suffix(b".py"));
    let name = name.map(|name| String::from_utf8_lossy(name).replace('/', "."));
    is_new && name.is_some_and(|name| FROZEN.contains(&&name[..]))
}

/// Returns the nearest directory above a file that is not a package: the one in which its own absolute names
/// begin.
fn package_root<'a>(path: &'a [u8], facts: &Facts<'_>) -> &'a [u8] {
    let mut at = parent(path).unwrap_or_default();
    while facts.tree.get(&[at, b"/__init__.py"].concat()).is_some() {
        at = parent(at).unwrap_or_default();
    }
    at
}

/// Returns true below a directory that Python loads packages from.
fn in_python(path: &[u8]) -> bool {
    memchr::memmem::find(path, b"/dist-packages/").is_some()
        || memchr::memmem::find(path.rsplit(|b| *b == b'/').next().unwrap_or_default(), b".cpython-3")
            .is_some()
}

/// Returns the words of an extension that may be names of modules: compiled code imports by text that ends
/// with a NUL.
fn names_in(contents: &[u8]) -> Vec<&str> {
    let is_name = |text: &&[u8]| {
        (3..64).contains(&text.len())
            && (text[0].is_ascii_lowercase() || text[0] == b'_')
            && text.iter().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(b))
    };
    let mut names: Vec<&str> = contents
        .split(|b| *b == 0)
        .filter(is_name)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
