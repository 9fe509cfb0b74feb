//! Documentation, tests, examples and source maps inside packages that are kept whole.

use std::collections::BTreeSet;

use super::{Surplus, Whole, is_of_languages, named::Named, parts};
use crate::{
    prune::{PruneError, rules::below},
    tree::{Entry, Kind, TreePath},
};

const MANUAL: &str = "documentation that nothing asked for";
const SAMPLE: &str = "tests or examples that nothing asked for and no code names";
const SOURCE_MAP: &str = "a source map, which only tools of developers read";

/// Directories of manuals, in any case.
const MANUALS: [&str; 7] = ["apidoc", "doc", "docs", "documentation", "help", "manual", "manuals"];
/// Directories of tests and examples.
const SAMPLES: [&str; 8] = ["__tests__", "example", "examples", "sample", "samples", "spec", "test", "tests"];

/// Directories whose own directories are parts of a program, whatever they are called: a plug-in may be
/// called `help`.
const OF_PARTS: [&str; 32] = [
    "actions",
    "addons",
    "api",
    "app",
    "apps",
    "commands",
    "components",
    "controllers",
    "dist-packages",
    "extensions",
    "gems",
    "handlers",
    "helpers",
    "models",
    "module",
    "modules",
    "node_modules",
    "nodejs",
    "packages",
    "pages",
    "perl5",
    "php",
    "plugin",
    "plugins",
    "routes",
    "services",
    "site-packages",
    "skins",
    "themes",
    "vendor_ruby",
    "widgets",
    "x-pack",
];
/// Directories below which all is a part of the program, though it looks like a document.
const TEMPLATES: [&str; 7] = ["layouts", "partials", "template", "templates", "tpl", "view", "views"];

const DOCUMENTS: [&str; 18] = [
    "1", "3", "5", "7", "8", "adoc", "chm", "epub", "htm", "html", "md", "markdown", "pdf", "pod", "rst",
    "tex", "txt", "xhtml",
];
const CODE: [&str; 19] = [
    "cgi", "class", "erb", "fcgi", "haml", "inc", "jar", "lua", "php", "phtml", "pl", "pm", "py", "pyc",
    "rb", "sh", "so", "tcl", "tt",
];
const SCRIPTS: [&str; 5] = ["cjs", "js", "jsx", "mjs", "ts"];

/// Files for people, whose names are written so or in capitals.
const FOR_PEOPLE: [&str; 17] = [
    "AUTHORS",
    "BUGS",
    "CHANGELOG",
    "CHANGES",
    "CODE_OF_CONDUCT",
    "CONTRIBUTING",
    "CONTRIBUTORS",
    "CREDITS",
    "HACKING",
    "HISTORY",
    "INSTALL",
    "MAINTAINERS",
    "NEWS",
    "README",
    "THANKS",
    "TODO",
    "UPGRADING",
];
/// Those of them that are no words of an app in small letters either.
const IN_ANY_CASE: [&str; 2] = ["CHANGELOG", "README"];
const ENDINGS_FOR_PEOPLE: [&str; 11] =
    ["", "adoc", "gz", "htm", "html", "markdown", "md", "org", "rst", "textile", "txt"];

/// Finds what is for reading, and what nothing but its authors run.
pub(super) fn find(whole: &Whole<'_, '_>, surplus: &mut Surplus) -> Result<(), PruneError> {
    let mut samples = Vec::new();
    for (path, entry) in &whole.paths {
        if !is_inside_a_package(path) || is_of_the_program(path) || whole.is_used(path) {
            continue;
        }
        if !entry.kind.is_directory() {
            if is_for_people(path.file_name()) && matches!(entry.kind, Kind::File { .. }) {
                surplus.add(path.as_bytes(), MANUAL);
            } else if is_source_map(whole, path) {
                surplus.add(path.as_bytes(), SOURCE_MAP);
            }
            continue;
        }
        if is_one_of(path.file_name(), &SAMPLES, false) && is_untouched(whole, path) {
            samples.push(*path);
        } else if is_one_of(path.file_name(), &MANUALS, true)
            && is_untouched(whole, path)
            && is_manual(whole, path)
        {
            surplus.add(path.as_bytes(), MANUAL);
        }
    }
    samples.retain(|path| surplus.reason(path.as_bytes()).is_none());
    let names: BTreeSet<&[u8]> = samples.iter().map(|path| path.file_name()).collect();
    let named = Named::find(whole, &names, &samples, surplus)?;
    for path in samples.into_iter().filter(|path| !named.has(path)) {
        surplus.add(path.as_bytes(), SAMPLE);
    }
    Ok(())
}

/// Returns true for paths below a directory of an app, not for such a directory itself: `usr/share/wiki/doc`.
fn is_inside_a_package(path: &TreePath) -> bool {
    let least = if below(path.as_bytes(), &["opt"]) { 3 } else { 4 };
    parts(path.as_bytes()).count() >= least && !below(path.as_bytes(), &["usr/share/doc", "usr/share/man"])
}

/// Returns true for paths that are part of the program by their place.
fn is_of_the_program(path: &TreePath) -> bool {
    let above: Vec<&[u8]> = parts(path.as_bytes()).rev().skip(1).collect();
    let is_part = above.first().is_some_and(|directory| is_one_of(directory, &OF_PARTS, true));
    let is_directory_name =
        is_one_of(path.file_name(), &MANUALS, true) || is_one_of(path.file_name(), &SAMPLES, false);
    is_part && is_directory_name
        || above.iter().any(|name| is_one_of(name, &TEMPLATES, true) || is_of_languages(name))
}

/// Returns true if nothing below a directory was used or listed, and all of it is of packages that are kept
/// whole.
fn is_untouched(whole: &Whole<'_, '_>, directory: &TreePath) -> bool {
    let facts = whole.facts;
    let foreign =
        |(path, entry): (&TreePath, &Entry)| !entry.kind.is_directory() && !facts.is_whole(path.as_bytes());
    !whole.listed.contains(directory.as_bytes()) && !facts.tree.subtree(directory.as_bytes()).any(foreign)
}

/// Returns true if a directory holds documents and, but for examples, no code.
fn is_manual(whole: &Whole<'_, '_>, directory: &TreePath) -> bool {
    let mut has = (false, false, false);
    for (path, entry) in whole.facts.tree.subtree(directory.as_bytes()) {
        if entry.kind.is_directory() {
            continue;
        }
        let name = path.file_name();
        let within = &path.as_bytes()[directory.as_bytes().len()..];
        let is_sample = parts(within).any(|part| is_one_of(part, &SAMPLES, false)) || name == b"conf.py";
        let is_program = entry.mode & 0o111 != 0 && matches!(entry.kind, Kind::File { .. });
        let (mut documents, mut code, mut scripts) = has;
        documents |= is_for_people(name) || DOCUMENTS.contains(&&ending(plain(name))[..]);
        code |= !is_sample && (is_program || CODE.contains(&&ending(name)[..]));
        scripts |= !is_sample && SCRIPTS.contains(&&ending(name)[..]);
        has = (documents, code, scripts);
    }
    let (documents, code, scripts) = has;
    // In a manual for browsers scripts go with pages; in a package of Node they are the program.
    documents && !code && !(scripts && is_of_node(whole, directory))
}

fn is_of_node(whole: &Whole<'_, '_>, path: &TreePath) -> bool {
    below(path.as_bytes(), &["usr/share/nodejs", "usr/lib/nodejs"])
        || path.ancestors().any(|above| {
            let manifest = above.join(b"package.json");
            manifest.is_ok_and(|manifest| whole.facts.tree.get(manifest.as_bytes()).is_some())
        })
}

/// Returns true for README, CHANGELOG and kin.
fn is_for_people(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(plain(name)) else { return false };
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let is_named = FOR_PEOPLE.contains(&stem) || IN_ANY_CASE.contains(&&stem.to_ascii_uppercase()[..]);
    let last = ending.rsplit('.').next().unwrap_or_default();
    is_named && (ENDINGS_FOR_PEOPLE.contains(&&last.to_ascii_lowercase()[..]) || ending == "Debian")
}

/// Returns true for `x.js.map`, and for `x.map` beside `x.js`.
fn is_source_map(whole: &Whole<'_, '_>, path: &TreePath) -> bool {
    let Some(stem) = path.as_bytes().strip_suffix(b".map") else { return false };
    let code = [&b".js"[..], b".mjs", b".cjs", b".css", b".ts"];
    let beside = |ending: &&[u8]| whole.facts.tree.get(&[stem, ending].concat()).is_some();
    code.iter().any(|ending| stem.ends_with(ending)) || code[..2].iter().any(beside) || beside(&code[3])
}

fn is_one_of(name: &[u8], list: &[&str], any_case: bool) -> bool {
    let is = |word: &&str| {
        if any_case { name.eq_ignore_ascii_case(word.as_bytes()) } else { name == word.as_bytes() }
    };
    list.iter().any(is)
}

/// Returns a name without `.gz`.
fn plain(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".gz").unwrap_or(name)
}

fn ending(name: &[u8]) -> String {
    let at = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    at.map_or(String::new(), |at| String::from_utf8_lossy(&name[at + 1..]).to_ascii_lowercase())
}
