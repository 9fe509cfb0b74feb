//! Unused symbols, in programs and the libraries that are linked to them.
//!
//! A program that takes plug-ins exports all that they might use, a library all that it can do: names, hashes
//! and addresses by the thousand, which pack badly. The symbols that [`Names`] finds in use stay. A file's
//! own relocations name its symbols too, since another file's symbol might stand before its own; where none
//! has the name they are bound for good, and else the symbol stays. A file that loses little stays as its
//! package has it.
//!
//! Code outside of the root cannot be examined. Code that comes to it later might use more symbols: code that
//! a compiler in it makes, or that people put into `/var`. So a root with a compiler or linker is not changed
//! unless the recipe says so, and recipes of apps that load programs from `/var` say `symbols = false`.

use super::{ReduceError, Reductions, note, symbol_uses::Names};
use crate::{
    prune::Pruned,
    store::Store,
    tree::{Kind, Tree, TreePath},
};

/// With less than this to gain, a file is not changed.
const LEAST_BYTES: usize = 4096;

/// A symbol itself, in the tables of symbols, versions and hashes.
const SYMBOL_BYTES: usize = 24 + 2 + 4;

/// Programs that make code that is linked to the root's libraries.
const LINKERS: [&[u8]; 12] = [
    b"as", b"c++", b"cc", b"cc1", b"clang", b"gcc", b"gold", b"ld", b"ld.bfd", b"ld.gold", b"ld.lld", b"tcc",
];

/// Returns true if a root holds a compiler or linker.
pub(super) fn may_be_linked_to(tree: &Tree) -> bool {
    tree.iter().any(|(path, entry)| {
        let name = path.file_name();
        // `x86_64-linux-gnu-gcc-12` is one, too.
        let versioned = name.rsplit(|byte| *byte == b'-').find(|part| !part.iter().all(u8::is_ascii_digit));
        let is_one = LINKERS.contains(&name) || versioned.is_some_and(|part| LINKERS.contains(&part));
        is_one && entry.mode & 0o111 != 0 && matches!(entry.kind, Kind::File { .. })
    })
}

pub(super) fn reduce(pruned: &mut Pruned, store: &Store, files: &mut Reductions) -> Result<(), ReduceError> {
    let names = Names::of(&pruned.tree, store)?;
    let paths: Vec<TreePath> = pruned.tree.iter().map(|(path, _)| path.clone()).collect();
    for path in paths {
        let Some(entry) = pruned.tree.get_mut(path.as_bytes()) else { continue };
        let Kind::File { digest, .. } = &mut entry.kind else { continue };
        let Some(image) = names.images.get(digest) else { continue };
        let bytes = store.read(digest);
        let mut bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
        // The loader relocates itself, and knows fewer kinds of relocations while it does.
        let is_loader = image.soname(&bytes).is_some_and(|name| name.starts_with(b"ld-linux"));
        if is_loader || !names.is_linked(digest, &bytes) {
            continue;
        }
        let bound = image.bound_by_name();
        let own = |index: usize, _: &_| !image.is_export(index) || bound.contains(&index);
        let keep = names.asked(digest, &bytes, own);
        let exports = (0..keep.len()).filter(|index| image.is_export(*index)).count();
        let gone: Vec<usize> = (1..keep.len()).filter(|index| !keep[*index]).collect();
        let name_bytes = |index: &usize| image.name(&bytes, &image.symbols[*index]).len() + 1;
        let symbol_bytes: usize = gone.iter().map(|index| name_bytes(index) + SYMBOL_BYTES).sum();
        let fault = |source| ReduceError::Symbols { path: path.clone(), source };
        image.keep_symbols(&mut bytes, &keep).map_err(fault)?;
        let section_bytes = image.drop_sections(&mut bytes);
        if symbol_bytes + section_bytes < LEAST_BYTES {
            continue;
        }
        let text = format!("{} of {exports} symbols, no sections", exports - gone.len());
        let (before, after) = (*digest, store.put(bytes));
        *digest = after;
        note(files, &path, text, before, after);
    }
    Ok(())
}
