//! Libraries that others are linked to and never call.
//!
//! libsystemd needs four libraries to read journals; a server that notifies systemd that it is ready needs
//! libsystemd for that alone, and the loader wants all five. Of a library that the recipe names, only the
//! symbols stay that others use. Each points to an instruction that ends the process: a call that the recipe
//! ruled out is never executed wrongly. Data cannot end a process, so a library whose data others use is
//! refused.

use std::collections::BTreeSet;

use object::elf;

use super::{ReduceError, Reductions, StubFault, note, symbol_uses::Names};
use crate::{
    digest::Digest,
    formats::elf::image::Image,
    prune::Pruned,
    store::Store,
    tree::{Kind, Tree, TreePath},
};

/// Functions of libsystemd that have nothing to do with journals, for which it needs its libraries.
const NOTIFYING: [&str; 15] = [
    "sd_booted",
    "sd_is_fifo",
    "sd_is_mq",
    "sd_is_socket",
    "sd_is_socket_inet",
    "sd_is_socket_sockaddr",
    "sd_is_socket_unix",
    "sd_is_special",
    "sd_listen_fds",
    "sd_listen_fds_with_names",
    "sd_notify",
    "sd_notifyf",
    "sd_pid_notify",
    "sd_pid_notify_with_fds",
    "sd_watchdog_enabled",
];

/// Parts of the C library and libraries that it loads by itself.
const FOUNDATION: [&str; 8] = [
    "ld-linux",
    "libc.so",
    "libdl.so",
    "libgcc_s.so",
    "libpthread.so",
    "libresolv.so",
    "librt.so",
    "libnss_",
];

/// A library, as the loader sees it.
struct Library<'n> {
    image: &'n Image,
    bytes: Vec<u8>,
    /// Its `DT_SONAME`, or nothing for a program.
    soname: String,
    needed: Vec<String>,
}

/// Returns libraries that are linked and, as far as symbols show, never called, with the reason for each
/// group: those of which nothing expects a symbol, and those that only libsystemd needs where a service only
/// notifies it that it is ready.
pub(super) fn never_called(names: &Names, tree: &Tree, store: &Store) -> Vec<(Vec<String>, String)> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut libraries: Vec<Library<'_>> = Vec::new();
    let digests: BTreeSet<Digest> =
        tree.iter().filter_map(|(_, entry)| Some(entry.kind.content()?.0)).collect();
    for (digest, image) in names.images.iter().filter(|(digest, _)| digests.contains(digest)) {
        let Ok(bytes) = store.read(digest) else { continue };
        let soname = text(image.soname(&bytes).unwrap_or_default());
        let needed = image.needed(&bytes).map(text).collect();
        libraries.push(Library { image, bytes, soname, needed });
    }
    let is_foundation = |name: &str| FOUNDATION.iter().any(|part| name.starts_with(part));
    let linked = libraries.iter().filter(|library| {
        let needs = |other: &Library<'_>| other.needed.contains(&library.soname);
        !library.soname.is_empty()
            && !library.image.is_program()
            && !is_foundation(&library.soname)
            && libraries.iter().any(needs)
    });
    let linked: Vec<&Library<'_>> = linked.collect();
    let mut groups = Vec::new();
    let unasked: BTreeSet<String> = linked
        .iter()
        .filter(|library| {
            library.exports().all(|name| !names.is_imported(name) && !names.may_be_looked_up(name))
        })
        .map(|library| library.soname.clone())
        .collect();
    if !unasked.is_empty() {
        groups.push((unasked.into_iter().collect(), "no file asks for any of their symbols".to_owned()));
    }
    let journal = needed_for_journals(&libraries, &linked);
    if !journal.is_empty() {
        let why = "only libsystemd needs them, to read journals, and it is only told that a service is ready";
        groups.push((journal, why.to_owned()));
    }
    groups
}

impl Library<'_> {
    fn exports(&self) -> impl Iterator<Item = &[u8]> {
        let symbols = self.image.symbols.iter().enumerate().filter(|(index, _)| self.image.is_export(*index));
        symbols.map(|(_, symbol)| self.image.name(&self.bytes, symbol))
    }

    fn asks_for(&self, name: &[u8]) -> bool {
        self.image
            .symbols
            .iter()
            .any(|symbol| !symbol.defined && self.image.name(&self.bytes, symbol) == name)
    }
}

/// Returns libraries that only libsystemd needs, if no file uses more of it than [`NOTIFYING`].
fn needed_for_journals(libraries: &[Library<'_>], linked: &[&Library<'_>]) -> Vec<String> {
    const SYSTEMD: &str = "libsystemd.so.0";
    let Some(systemd) = libraries.iter().find(|library| library.soname == SYSTEMD) else { return Vec::new() };
    let users = libraries.iter().filter(|library| library.needed.iter().any(|name| name == SYSTEMD));
    let more: Vec<&[u8]> =
        systemd.exports().filter(|name| !NOTIFYING.iter().any(|known| known.as_bytes() == *name)).collect();
    for user in users {
        if more.iter().any(|name| user.asks_for(name)) {
            return Vec::new();
        }
    }
    // Libraries that only these need are needed for journals as well.
    let mut found: BTreeSet<&str> = BTreeSet::from([SYSTEMD]);
    loop {
        let only_for_these = |library: &&&Library<'_>| {
            let mut users = libraries.iter().filter(|user| user.needed.contains(&library.soname));
            users.all(|user| found.contains(&user.soname[..]))
        };
        let new: Vec<&str> = linked
            .iter()
            .filter(|library| !found.contains(&library.soname[..]) && library.soname != "libcap.so.2")
            .filter(only_for_these)
            .map(|library| &library.soname[..])
            .collect();
        if new.is_empty() {
            break;
        }
        found.extend(new);
    }
    found.into_iter().filter(|name| *name != SYSTEMD).map(str::to_owned).collect()
}

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
