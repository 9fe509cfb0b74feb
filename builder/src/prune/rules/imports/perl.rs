//! Perl's modules: where a name leads, by the `@INC` of Debian's perl.

mod lexer;
pub(super) mod source;

use super::{Imported, Need, end_of, joined, tokens::MAX_BYTES};
use crate::{
    prune::{
        PruneError,
        rules::{Candidate, Facts, State, parent},
    },
    tree::TreePath,
};
use source::Named;

/// Modules for those who write Perl. What the standard library itself loads of them, it does on their behalf,
/// and so does other code in its functions, unless it is the app's.
const FOR_DEVELOPERS: &[&str] = &[
    "App",
    "B",
    "CPAN",
    "DB",
    "Devel",
    "Dumpvalue",
    "ExtUtils",
    "Module",
    "Perl",
    "Pod",
    "TAP",
    "Test",
    "Test2",
];

/// Parts of names that stand for systems other than Debian.
const ELSEWHERE: &[&str] = &["AmigaOS", "Cygwin", "Epoc", "MacOS", "OS2", "VMS", "VOS", "Win32", "MSWin32"];

/// Where modules are looked for.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    /// The directories of `@INC`, in Debian's order.
    directories: Vec<Vec<u8>>,
    /// The directories that kept programs add to it.
    added: Vec<Vec<u8>>,
}

impl Roots {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let children = |directory: &[u8]| -> Vec<Vec<u8>> {
            facts.tree.children(directory).map(|(path, _)| path.as_bytes().to_vec()).collect()
        };
        let triplets: Vec<Vec<u8>> = children(b"usr/lib")
            .into_iter()
            .filter(|path| path.ends_with(b"-gnu") || path.windows(5).any(|part| part == b"-gnue"))
            .collect();
        let below_triplets =
            |name: &[u8]| triplets.iter().flat_map(|path| children(&[path, name].concat())).collect();
        let local: Vec<Vec<u8>> = children(b"usr/local/lib")
            .into_iter()
            .flat_map(|path| children(&[&path[..], b"/perl"].concat()))
            .chain(children(b"usr/local/share/perl"))
            .collect();
        let bases = triplets.iter().map(|path| [path, &b"/perl-base"[..]].concat()).collect();
        let all: [Vec<Vec<u8>>; 8] = [
            vec![b"etc/perl".to_vec()],
            local,
            below_triplets(b"/perl5"),
            vec![b"usr/share/perl5".to_vec()],
            bases,
            below_triplets(b"/perl"),
            children(b"usr/share/perl"),
            vec![b"usr/local/lib/site_perl".to_vec()],
        ];
        Roots { directories: all.concat(), added: Vec::new() }
    }

    /// Returns the file of a relative name from the first directory that has it.
    fn find(&self, own: &[Vec<u8>], name: &str, facts: &Facts<'_>) -> Option<TreePath> {
        // Its own directory is as a rule one of the others, and then in their order.
        let directories = self.added.iter().chain(&self.directories).chain(own);
        let mut paths = directories.map(|directory| [directory, &b"/"[..], name.as_bytes()].concat());
        paths.find_map(|path| end_of(&path, facts))
    }
}

/// Returns true for perl's own library.
fn is_library(path: &[u8]) -> bool {
    let below_triplet = path.strip_prefix(b"usr/lib/").and_then(|rest| {
        let slash = memchr::memchr(b'/', rest)?;
        Some(&rest[slash..])
    });
    path.starts_with(b"usr/share/perl/")
        || below_triplet.is_some_and(|rest| rest.starts_with(b"/perl/") || rest.starts_with(b"/perl-base/"))
}

/// Returns the modules that a source loads.
pub(super) fn imported(
    candidate: &Candidate<'_>,
    facts: &Facts<'_>,
    state: &mut State,
) -> Result<Vec<Imported>, PruneError> {
    let path = candidate.bytes();
    // Tables of characters, which are kept as a set.
    let is_table = memchr::memmem::find(path, b"/unicore/").is_some();
    if candidate.entry.kind.content().is_none_or(|(_, size_bytes)| size_bytes > MAX_BYTES) || is_table {
        return Ok(Vec::new());
    }
    let roots = state.roots.perl.get_or_insert_with(|| Roots::of(facts));
    let names = source::names(&facts.contents(candidate)?);
    let mut own = Vec::new();
    for name in &names {
        match name {
            Named::Directory(text) => {
                let directory = added_directory(text, path);
                roots
                    .added
                    .extend(directory.filter(|path| roots.added.len() < 64 && !roots.added.contains(path)));
            }
            // A module at A/B.pm was found from the directory above A.
            Named::Package(name) => {
                let root =
                    path.strip_suffix(file_of(name).as_bytes()).and_then(|root| root.strip_suffix(b"/"));
                own.extend(root.map(<[u8]>::to_vec).filter(|_| own.is_empty()));
            }
            _ => {}
        }
    }
    let found = names.into_iter().filter_map(|name| {
        let (path, need) = match name {
            Named::Module(name, need) if is_followed(&name, need, candidate, facts) => {
                (roots.find(&own, &file_of(&name), facts)?, need)
            }
            Named::File(name, need) if need != Need::Late || is_followed("", need, candidate, facts) => {
                (file_named(&name, path, &own, roots, facts)?, need)
            }
            _ => return None,
        };
        Some(Imported { path, need })
    });
    Ok(found.collect())
}

/// Returns false for modules that only developers or other systems load, and for loads of library functions
/// that no run has loaded: that has no end.
fn is_followed(name: &str, need: Need, candidate: &Candidate<'_>, facts: &Facts<'_>) -> bool {
    let is_library = is_library(candidate.bytes());
    let first = name.split("::").next().unwrap_or_default();
    let is_sure = !is_library && (need == Need::Sure || facts.is_apps_own(candidate.bytes()));
    !(name.split("::").any(|part| ELSEWHERE.contains(&part))
        || FOR_DEVELOPERS.contains(&first) && !is_sure
        || need != Need::Sure && is_library && candidate.used.is_none())
}

/// Returns `A/B.pm` for `A::B`.
fn file_of(module: &str) -> String {
    format!("{}.pm", module.replace("::", "/"))
}

/// Returns the file that `require "x.pl"` and `do "x.pl"` in a program load.
fn file_named(
    name: &str,
    program: &[u8],
    own: &[Vec<u8>],
    roots: &Roots,
    facts: &Facts<'_>,
) -> Option<TreePath> {
    if let Some(path) = name.strip_prefix('/') {
        return end_of(path.as_bytes(), facts);
    }
    let name = name.strip_prefix("./").unwrap_or(name);
    let beside = [parent(program).unwrap_or_default(), b"/", name.as_bytes()].concat();
    end_of(&beside, facts).or_else(|| roots.find(own, name, facts))
}

/// Returns the directory that a text in `use lib` means, as a path of the tree.
fn added_directory(text: &str, program: &[u8]) -> Option<Vec<u8>> {
    const OWN: &[&str] = &["$FindBin::RealBin", "$FindBin::Bin", "$RealBin", "$Bin", "${FindBin::Bin}"];
    if let Some(path) = text.strip_prefix('/') {
        return (!text.contains('$')).then(|| path.trim_end_matches('/').as_bytes().to_vec());
    }
    let rest = OWN.iter().find_map(|own| text.strip_prefix(own))?;
    joined(parent(program)?, rest)
}
