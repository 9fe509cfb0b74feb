//! Files that a language's own machinery needs beside those that a run opened.

use super::{Candidate, Decision, Facts, Needs, State, below, parent};
use crate::{
    prune::PruneError,
    tree::{Kind, TreePath},
};

/// Python: sources beside byte code and byte code beside sources (a `.pyc` counts only beside a
/// source of the size and time noted in it), the landmarks by which the interpreter finds its
/// library, what an unforeseen exception imports, and the metadata of packages in use.
pub(super) fn python(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if !candidate.is_file() {
        return Ok(());
    }
    let path = candidate.bytes();
    let directory = parent(path).unwrap_or_default();
    let name = candidate.path.file_name();
    if let Some(stem) = name.strip_suffix(b".py") {
        let cached = [directory, b"/__pycache__/", stem, b"."].concat();
        for (other, _) in facts.tree.children(&[directory, b"/__pycache__"].concat()) {
            let rest = other.as_bytes().strip_prefix(&cached[..]);
            let plain =
                |rest: &[u8]| rest.ends_with(b".pyc") && rest.iter().filter(|b| **b == b'.').count() == 1;
            if rest.is_some_and(plain) {
                needs.want(other, "the byte code of");
            }
        }
    } else if name.ends_with(b".pyc") {
        if let Some(above) = directory.strip_suffix(b"/__pycache__") {
            let stem = name.split(|b| *b == b'.').next().unwrap_or_default();
            needs.follow(&[above, b"/", stem, b".py"].concat(), "the source of", facts);
        }
    } else {
        return Ok(());
    }
    if let Some(library) = standard_library(path)
        && state.once("python", library)
    {
        for name in PYTHON_ALWAYS {
            needs.follow(&[library, b"/", name.as_bytes()].concat(), "Python's own foundation, for", facts);
        }
    }
    let package = candidate.package.filter(|package| state.once("python metadata", package.as_bytes()));
    for other in package.and_then(|p| facts.by_package.get(p)).into_iter().flatten() {
        let is_metadata = other
            .as_bytes()
            .split(|b| *b == b'/')
            .rev()
            .skip(1)
            .any(|part| part.ends_with(b".dist-info") || part.ends_with(b".egg-info"));
        if is_metadata || other.as_bytes().ends_with(b".egg-info") {
            needs.want(other, "the metadata of the package of");
        }
    }
    Ok(())
}

/// Returns `usr/lib/python3.N` for a path below it.
pub(super) fn standard_library(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"usr/lib/python3.")?;
    let end = rest.iter().position(|b| *b == b'/')?;
    rest[..end].iter().all(u8::is_ascii_digit).then(|| &path[..path.len() - rest.len() + end])
}

/// `os.py` and `lib-dynload` are how the interpreter knows its prefix (`getpath.py` of CPython);
/// the rest is what printing an exception, decoding text and ending threads import at that moment.
const PYTHON_ALWAYS: &[&str] = &[
    "os.py",
    "lib-dynload",
    "site.py",
    "sitecustomize.py",
    "_sitebuiltins.py",
    "traceback.py",
    "linecache.py",
    "tokenize.py",
    "token.py",
    "textwrap.py",
    "codecs.py",
    "contextlib.py",
    "warnings.py",
    "threading.py",
    "encodings/__init__.py",
    "encodings/aliases.py",
    "encodings/ascii.py",
    "encodings/idna.py",
    "encodings/latin_1.py",
    "encodings/raw_unicode_escape.py",
    "encodings/unicode_escape.py",
    "encodings/utf_16.py",
    "encodings/utf_8.py",
    "encodings/utf_8_sig.py",
    "stringprep.py",
];

/// Perl: compiled and split parts below `auto/` beside a kept `.pm`, the `.pm` beside a kept part,
/// and what perl itself loads when it must warn, die or fold case.
pub(super) fn perl(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    if !candidate.is_file() {
        return Ok(());
    }
    let path = candidate.bytes();
    if let Some(module) = path.strip_suffix(b".pm") {
        for part in compiled_parts(module, facts) {
            needs.want(part, "a compiled part of");
        }
        if let Some(library) = perl_library(path)
            && state.once("perl", library)
        {
            for (other, entry) in facts.tree.subtree(library) {
                let rest = &other.as_bytes()[library.len()..];
                let always = PERL_ALWAYS.iter().any(|name| rest == name.as_bytes());
                if !entry.kind.is_directory() && (always || rest.starts_with(b"/unicore/")) {
                    needs.want(other, "Perl's own foundation, for");
                }
            }
        }
    } else if path.ends_with(b".so")
        && let Some(at) = path.windows(6).rposition(|window| window == b"/auto/")
    {
        let module = parent(&path[at + 5..]).unwrap_or_default();
        needs.follow(&[&path[..at], module, b".pm"].concat(), "the module of", facts);
    }
    Ok(())
}

/// Returns the compiled and split parts of a Perl module, given without its ending.
pub(super) fn compiled_parts<'a>(module: &[u8], facts: &Facts<'a>) -> Vec<&'a TreePath> {
    // The directory that perl searched is one of those above; which one, only perl knows.
    let slashes = module.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    let directories = slashes.map(|slash| [&module[..slash], b"/auto", &module[slash..]].concat());
    let parts = directories.flat_map(|directory| facts.tree.children(&directory).collect::<Vec<_>>());
    parts.filter(|(_, entry)| !entry.kind.is_directory()).map(|(path, _)| path).collect()
}

/// Returns the directory of perl-base, `usr/lib/TRIPLE/perl-base`, for a path below it.
fn perl_library(path: &[u8]) -> Option<&[u8]> {
    let at = path.windows(11).position(|window| window == b"/perl-base/")?;
    path.starts_with(b"usr/lib/").then(|| &path[..at + 10])
}

const PERL_ALWAYS: &[&str] = &[
    "/Carp.pm",
    "/Carp/Heavy.pm",
    "/Exporter/Heavy.pm",
    "/overloading.pm",
    "/utf8.pm",
    "/warnings/register.pm",
];

/// PHP: the extension that a kept `.ini` of a scan directory loads (`extension=dom.so`).
pub(super) fn php(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    _: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let path = candidate.bytes();
    if !candidate.is_file() || !path.ends_with(b".ini") || !below(path, &["etc/php"]) {
        return Ok(());
    }
    let text = facts.head(candidate, 1 << 16)?;
    for line in text.split(|b| *b == b'\n') {
        let Some((key, value)) = line.iter().position(|b| *b == b'=').map(|at| line.split_at(at)) else {
            continue;
        };
        if ![&b"extension"[..], b"zend_extension"].contains(&key.trim_ascii()) {
            continue;
        }
        let name = value[1..].trim_ascii();
        let name = name.strip_suffix(b".so").unwrap_or(name);
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            continue;
        }
        for (directory, entry) in facts.tree.children(b"usr/lib/php") {
            if entry.kind.is_directory() {
                let module = [directory.as_bytes(), b"/", name, b".so"].concat();
                needs.follow(&module, "the extension that is loaded by", facts);
            }
        }
    }
    Ok(())
}

/// Ruby: RubyGems knows a gem only by its specification, and looks at all of them.
pub(super) fn ruby(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let is_ruby = candidate.is_file() && candidate.contents_used() && candidate.bytes().ends_with(b".rb");
    if !is_ruby || !state.once("ruby", b"") {
        return Ok(());
    }
    for root in ["usr/share/rubygems-integration", "usr/lib/ruby/gems", "var/lib/gems"] {
        for (other, _) in facts.tree.subtree(root.as_bytes()) {
            if other.as_bytes().ends_with(b".gemspec") || other.as_bytes().ends_with(b"/gem.build_complete") {
                needs.want(other, "the specification of a gem, for");
            }
        }
    }
    Ok(())
}

/// Node: the `package.json` of each directory above a kept script says what its imports mean
/// (Node.js documentation, "Modules: Packages").
pub(super) fn node(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    const ENDINGS: &[&[u8]] = &[b".js", b".mjs", b".cjs", b".node"];
    if !candidate.is_file() || !ENDINGS.iter().any(|ending| candidate.bytes().ends_with(ending)) {
        return Ok(());
    }
    for above in candidate.path.ancestors() {
        if above.is_root() || !state.once("node", above.as_bytes()) {
            break;
        }
        let Some(manifest) = above.join(b"package.json").ok().and_then(|p| facts.lookup(p.as_bytes())) else {
            continue;
        };
        if matches!(manifest.entry.kind, Kind::File { .. } | Kind::Symlink { .. }) {
            needs.want(manifest.path, "the package.json of");
        }
    }
    Ok(())
}
