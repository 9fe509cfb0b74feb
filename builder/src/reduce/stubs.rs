//! Libraries that others are linked to and never call.
//!
//! libsystemd needs four libraries to read journals; a server that tells systemd that it is ready needs libsystemd
//! for that alone, and the loader wants all five. Of a library that the recipe names, only the symbols stay that others
//! ask for. Each leads to where an instruction ends the process: a call that the recipe ruled out is
//! never answered wrongly. Data cannot end a process, so a library whose data others use is refused.

use object::elf;

use super::{ReduceError, Reductions, StubFault, names::Names, note};
use crate::{
    prune::Pruned,
    store::Store,
    tree::{Kind, TreePath},
};

/// Reduces the libraries of some names (`DT_SONAME`); returns the names that none has.
pub(super) fn reduce(
    pruned: &mut Pruned,
    sonames: &[String],
    store: &Store,
    files: &mut Reductions,
) -> Result<Vec<String>, ReduceError> {
    let names = Names::of(&pruned.tree, store)?;
    let mut missing = sonames.to_vec();
    let paths: Vec<TreePath> = pruned.tree.iter().map(|(path, _)| path.clone()).collect();
    for path in paths {
        let Some(entry) = pruned.tree.get_mut(path.as_bytes()) else { continue };
        let Kind::File { digest, .. } = &mut entry.kind else { continue };
        let Some(image) = names.images.get(digest) else { continue };
        let bytes = store.read(digest);
        let mut bytes = bytes.map_err(|source| ReduceError::Contents { path: path.clone(), source })?;
        let soname = image.soname(&bytes).unwrap_or_default().to_vec();
        if !sonames.iter().any(|name| name.as_bytes() == soname) {
            continue;
        }
        missing.retain(|name| name.as_bytes() != soname);
        let fault = |source| ReduceError::Stub { path: path.clone(), source };
        if image.kind != elf::ET_DYN || image.is_program() {
            return Err(fault(StubFault::Program));
        }
        let mut keep = names.asked(digest, &bytes, |_, _| false);
        for (index, symbol) in image.symbols.iter().enumerate() {
            let is_code = matches!(symbol.kind, elf::STT_NOTYPE | elf::STT_FUNC | elf::STT_GNU_IFUNC);
            let name = image.name(&bytes, symbol);
            if keep[index] && image.is_export(index) && !is_code && names.is_imported(name) {
                return Err(fault(StubFault::Data(String::from_utf8_lossy(name).into_owned())));
            }
            keep[index] &= image.is_export(index) && is_code;
        }
        let kept = keep.iter().filter(|kept| **kept).count();
        let exports = (0..keep.len()).filter(|index| image.is_export(*index)).count();
        let changed = image.clone().keep_only_symbols(&mut bytes, &keep);
        changed.map_err(|source| fault(StubFault::Image(source)))?;
        let text = format!("nothing but {kept} of {exports} symbols, which end the process that calls them");
        let (before, after) = (*digest, store.put(bytes));
        *digest = after;
        note(files, &path, text, before, after);
    }
    Ok(missing)
}
