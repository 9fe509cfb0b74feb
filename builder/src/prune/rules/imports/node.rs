//! Node's modules: where a name leads, as Node's documentation, "Modules", has it, with Debian's directories.

pub(super) mod package;
pub(super) mod source;

use std::collections::BTreeMap;

use super::{Imported, Need, end_of, joined, tokens::MAX_BYTES};
use crate::{
    prune::{
        PruneError,
        rules::{Candidate, Facts, State, parent},
    },
    tree::TreePath,
};
use source::Named;

/// Modules that are part of Node itself (`module.builtinModules`); packages of these names are never loaded
/// by them.
const BUILT_IN: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Packages for those who write programs.
const FOR_DEVELOPERS: &[&str] =
    &["@types", "eslint", "jest", "mocha", "prettier", "ts-node", "typescript", "webpack"];

/// Endings of a module's name, in Node's order; then those that other loaders add.
const ENDINGS: &[&str] = &["", ".js", ".json", ".node", ".mjs", ".cjs", ".ts", ".mts", ".cts"];

/// How many modules of one source are looked for.
const MAX_NAMES: usize = 10_000;

/// Where packages are looked for beside `node_modules`.
#[derive(Default)]
pub(in crate::prune) struct Roots {
    directories: Vec<Vec<u8>>,
    manifests: package::Manifests,
}

impl Roots {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let triplets =
            facts.tree.children(b"usr/lib").map(|(path, _)| [path.as_bytes(), b"/nodejs"].concat());
        let mut directories: Vec<Vec<u8>> =
            triplets.filter(|path| path.windows(4).any(|part| part == b"-gnu")).collect();
        directories.extend([b"usr/share/nodejs".to_vec(), b"usr/lib/nodejs".to_vec()]);
        Roots { directories, manifests: package::Manifests::new() }
    }

    /// Returns the file of a module of a package.
    fn package(
        &mut self,
        named: &Named,
        importer: &[u8],
        facts: &Facts<'_>,
    ) -> Result<Option<TreePath>, PruneError> {
        let name = named.name.trim_end_matches('/');
        let parts = if name.starts_with('@') { 2 } else { 1 };
        let end = name.match_indices('/').nth(parts - 1).map_or(name.len(), |(at, _)| at);
        let (package, inside) = (&name[..end], name[end..].trim_start_matches('/'));
        let mut directories = Vec::new();
        let mut at = importer;
        while let Some(above) = parent(at) {
            if !above.ends_with(b"/node_modules") {
                directories.push([above, b"/node_modules"].concat());
            }
            at = above;
        }
        for directory in directories.iter().chain(&self.directories) {
            let Some(root) = joined(directory, package) else { continue };
            let found = package::entry(&root, inside, named.is_import, &mut self.manifests, facts)?;
            if found.is_some() {
                return Ok(found);
            }
            // Debian has modules of one file beside packages.
            if inside.is_empty()
                && let Some(found) = file(&root, facts)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Returns a path as it is, or with one of the endings that are tried. TypeScript names what will be
/// compiled: `x.js` for `x.ts`.
fn file(path: &[u8], facts: &Facts<'_>) -> Option<TreePath> {
    let found = ENDINGS.iter().find_map(|ending| end_of(&[path, ending.as_bytes()].concat(), facts));
    found.or_else(|| end_of(&[path.strip_suffix(b".js")?, b".ts"].concat(), facts))
}

/// Returns each module once, with its strongest need; a source has hundreds of them at most.
fn once_each(names: Vec<Named>) -> impl Iterator<Item = Named> {
    let mut needs = BTreeMap::new();
    for named in names {
        let need: &mut Need = needs.entry((named.name, named.is_import)).or_insert(named.need);
        *need = named.need.min(*need);
    }
    let names = needs.into_iter().take(MAX_NAMES);
    names.map(|((name, is_import), need)| Named { name, need, is_import })
}

/// Returns the modules that a source names.
pub(super) fn imported(
    candidate: &Candidate<'_>,
    facts: &Facts<'_>,
    state: &mut State,
) -> Result<Vec<Imported>, PruneError> {
    if candidate.entry.kind.content().is_none_or(|(_, size_bytes)| size_bytes > MAX_BYTES) {
        return Ok(Vec::new());
    }
    // Imports are relative to where a file is, not to the links that lead there.
    let path = candidate.bytes();
    let is_library = [&b"/node_modules/"[..], b"usr/share/nodejs/", b"usr/lib/nodejs/"]
        .iter()
        .any(|part| memchr::memmem::find(path, part).is_some());
    let roots = state.roots.node.get_or_insert_with(|| Roots::of(facts));
    let mut out = Vec::new();
    for named in once_each(source::names(&facts.contents(candidate)?)) {
        // The needs of a library's functions that no run has loaded have no end.
        if named.need != Need::Sure && is_library && candidate.used.is_none() {
            continue;
        }
        let first = named.name.split('/').next().unwrap_or_default();
        let is_beside = first.starts_with('.') || named.name.starts_with('/');
        let is_own =
            named.name.starts_with("node:") || BUILT_IN.contains(&first) && !named.name.ends_with('/');
        let is_for_developers = FOR_DEVELOPERS.contains(&first) && (is_library || named.need != Need::Sure);
        let found = if is_beside {
            let directory = if first.is_empty() { &b""[..] } else { parent(path).unwrap_or_default() };
            match joined(directory, &named.name) {
                Some(path) => match file(&path, facts) {
                    Some(file) => Some(file),
                    None => package::entry(&path, "", named.is_import, &mut roots.manifests, facts)?,
                },
                None => None,
            }
        } else if is_own || is_for_developers || first.starts_with('#') {
            None
        } else {
            roots.package(&named, path, facts)?
        };
        out.extend(found.map(|path| Imported { path, need: named.need }));
    }
    Ok(out)
}
