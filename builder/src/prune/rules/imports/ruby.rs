//! Ruby's files: where a name leads, by the load path of Debian's ruby and that of gems.

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
use source::{From, Named};

/// Libraries for people who write Ruby. The standard library itself loads some on their behalf, and so does
/// other code in its functions.
const FOR_DEVELOPERS: &[&str] =
    &["bundler", "debug", "irb", "minitest", "mkmf", "rdoc", "readline", "reline", "test", "rspec"];

/// Where files are looked for.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    directories: Vec<Vec<u8>>,
}

impl Roots {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let children = |directory: &[u8]| -> Vec<Vec<u8>> {
            facts.tree.children(directory).map(|(path, _)| path.as_bytes().to_vec()).collect()
        };
        let is_version = |path: &Vec<u8>| {
            path.rsplit(|byte| *byte == b'/')
                .next()
                .is_some_and(|name| name.first().is_some_and(u8::is_ascii_digit))
        };
        let versions =
            |directory: &[u8]| children(directory).into_iter().filter(is_version).collect::<Vec<_>>();
        let triplets =
            children(b"usr/lib").into_iter().filter(|path| path.windows(4).any(|part| part == b"-gnu"));
        let triplets: Vec<Vec<u8>> = triplets.collect();
        let of_triplets = |name: &[u8]| {
            triplets.iter().flat_map(|path| versions(&[path, name].concat())).collect::<Vec<_>>()
        };
        // Compiled parts of the library: usr/lib/ruby/3.1.0/x86_64-linux-gnu.
        let library = versions(b"usr/lib/ruby");
        let compiled = library
            .iter()
            .flat_map(|path| children(path))
            .filter(|path| path.windows(6).any(|part| part == b"-linux"));
        let gems = ["usr/share/rubygems-integration", "usr/lib/ruby/gems", "var/lib/gems"]
            .iter()
            .flat_map(|root| children(root.as_bytes()))
            .flat_map(|version| children(&[&version[..], b"/gems"].concat()))
            .map(|gem| [&gem[..], b"/lib"].concat());
        let all: [Vec<Vec<u8>>; 7] = [
            versions(b"usr/local/lib/site_ruby"),
            versions(b"usr/lib/ruby/vendor_ruby"),
            of_triplets(b"/ruby/vendor_ruby"),
            vec![b"usr/lib/ruby/vendor_ruby".to_vec()],
            compiled.collect(),
            of_triplets(b"/ruby"),
            gems.collect(),
        ];
        Roots { directories: [library, all.concat()].concat() }
    }
}

/// Returns a path as it is, or with one of the endings that Ruby tries.
fn file(path: &[u8], facts: &Facts<'_>) -> Option<TreePath> {
    let endings = [&b".rb"[..], b".so", b""];
    endings.iter().find_map(|ending| end_of(&[path, ending].concat(), facts))
}

/// Returns true for Ruby's own library.
fn is_library(path: &[u8]) -> bool {
    let below_triplet = path.strip_prefix(b"usr/lib/").and_then(|rest| {
        let slash = memchr::memchr(b'/', rest)?;
        rest[slash..].strip_prefix(b"/ruby/")
    });
    let rest = path.strip_prefix(b"usr/lib/ruby/").or(below_triplet);
    rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// Returns the directories named `lib` above a source: a program of its own adds the nearest to the load
/// path.
fn own_directories(path: &[u8]) -> Vec<Vec<u8>> {
    let mut at = path;
    let mut out = Vec::new();
    while let Some(above) = parent(at).filter(|above| above.len() > 7) {
        if above.ends_with(b"/lib") {
            out.push(above.to_vec());
        } else {
            out.push([above, b"/lib"].concat());
        }
        at = above;
    }
    out.truncate(8);
    out
}

/// Returns the files that a source loads.
pub(super) fn imported(
    candidate: &Candidate<'_>,
    facts: &Facts<'_>,
    state: &mut State,
) -> Result<Vec<Imported>, PruneError> {
    if candidate.entry.kind.content().is_none_or(|(_, size_bytes)| size_bytes > MAX_BYTES) {
        return Ok(Vec::new());
    }
    let path = candidate.bytes();
    let roots = state.roots.ruby.get_or_insert_with(|| Roots::of(facts));
    if path.ends_with(b".so") {
        let contents = facts.contents(candidate)?;
        let directories = &roots.directories;
        let find = |name: &str| {
            let paths = directories.iter().map(|directory| [directory, &b"/"[..], name.as_bytes()].concat());
            paths.into_iter().find_map(|path| file(&path, facts))
        };
        let found = names_in(&contents).into_iter().filter_map(find);
        return Ok(found.map(|path| Imported { path, need: Need::Optional }).collect());
    }
    let own = own_directories(path);
    let names = source::names(&facts.contents(candidate)?);
    let found = names.into_iter().filter(|named| is_followed(named, candidate)).filter_map(
        |Named { name, from, need }| {
            let directories: Vec<&[u8]> = match from {
                From::Beside => vec![parent(path).unwrap_or_default()],
                From::Inside => vec![path],
                From::LoadPath if name.starts_with('/') => vec![b""],
                From::LoadPath => roots.directories.iter().chain(&own).map(Vec::as_slice).collect(),
            };
            let paths = directories.into_iter().filter_map(|directory| joined(directory, &name));
            Some(Imported { path: paths.into_iter().find_map(|path| file(&path, facts))?, need })
        },
    );
    Ok(found.collect())
}

/// Returns the texts of an extension that may be files below others, as `psych/syntax_error`: compiled code
/// loads by text that ends with a NUL.
fn names_in(contents: &[u8]) -> Vec<&str> {
    let is_name = |text: &&[u8]| {
        (3..64).contains(&text.len())
            && text[0].is_ascii_lowercase()
            && text.contains(&b'/')
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_/".contains(byte))
    };
    let texts = contents.split(|byte| *byte == 0).filter(is_name);
    texts.filter_map(|text| std::str::from_utf8(text).ok()).take(1000).collect()
}

/// Returns false for files that only developers load, and for loads of library functions that no run has
/// loaded: that has no end.
fn is_followed(named: &Named, candidate: &Candidate<'_>) -> bool {
    let is_library = is_library(candidate.bytes());
    let first = named.name.split('/').next().unwrap_or_default();
    let is_sure = named.need == Need::Sure && !is_library;
    !(FOR_DEVELOPERS.contains(&first) && named.from == From::LoadPath && !is_sure
        || named.need != Need::Sure && is_library && candidate.used.is_none())
}
