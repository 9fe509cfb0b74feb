//! Removals and corrections in a configured root, so that two runs give one tree.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    digest::Digest,
    files,
    sandbox::IdMap,
    store::{Store, StoreError},
    tree::{Entry, Kind, Tree, TreePath},
};

/// Paths that are removed, with all below them: logs and caches with times in them, locks, copies of the
/// state before, and files that were only for this run. As mmdebstrap removes them, and files that a machine
/// makes again.
const REMOVED: [&str; 28] = [
    "run/adduser",
    "usr/sbin/policy-rc.d",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/lock",
    "var/lib/apt/lists/partial",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/available",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/catalog/database",
    "var/lib/systemd/random-seed",
    "var/lib/texmf/web2c/updmap.log",
    "var/lib/urandom/random-seed",
    "var/log/alternatives.log",
    "var/log/apt",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
];

/// Places that only running machines fill; they stay, empty.
const EMPTIED: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// Removes the contents of places that are mounts on hosts where mounts can be made.
pub(super) fn empty_places(root: &Path) -> io::Result<()> {
    for place in EMPTIED.into_iter().chain(["run"]) {
        let place = root.join(place);
        // Nothing runs in the tree any more; but a script may have left a link there that points out of it.
        if !fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        make_removable(&place);
        for entry in files::list(&place)? {
            if entry.file_type()?.is_dir() {
                files::remove_dir_all(entry.path())?;
            } else {
                files::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Restores the contents of those places before the scripts ran, as under a mount.
pub(super) fn restore_places(tree: &mut Tree, before: &Tree) {
    for place in EMPTIED.into_iter().chain(["run"]) {
        tree.remove_subtree(place.as_bytes());
        for (path, entry) in before.subtree(place.as_bytes()) {
            tree.insert(path.clone(), entry.clone());
        }
    }
}

/// Removes the paths of a tree that would differ in each run. `empty` is the digest of nothing, and its
/// length. A directory that a package ships stays, empty.
pub(super) fn clean(tree: &mut Tree, assembled: &Tree, empty: (Digest, u64)) {
    for path in REMOVED {
        match assembled.get(path.as_bytes()) {
            Some(entry) if entry.kind.is_directory() => retain_below(tree, path, |_| false),
            _ => {
                tree.remove_subtree(path.as_bytes());
            }
        }
    }
    for path in EMPTIED {
        retain_below(tree, path, |_| false);
    }
    retain_below(tree, "run", |path| path == b"run/lock");
    // dpkg had an empty one to begin with; where nothing is overridden, a fresh system has none.
    let overrides = tree.get(b"var/lib/dpkg/statoverride").and_then(|entry| entry.kind.content());
    if overrides == Some(empty) {
        tree.remove(b"var/lib/dpkg/statoverride");
    }
    if let Some(machine) = tree.get_mut(b"etc/machine-id")
        && let Kind::File { digest, size_bytes, .. } = &mut machine.kind
    {
        (*digest, *size_bytes) = empty;
        // The first start of a machine writes to it.
        machine.mode = 0o644;
    }
    for (_, entry) in tree.iter_mut() {
        if let Some(value) = entry.xattrs.get_mut(&b"security.capability"[..]) {
            without_namespace(value);
        }
    }
}

fn retain_below(tree: &mut Tree, directory: &str, keep: impl Fn(&[u8]) -> bool) {
    let below: Vec<TreePath> =
        tree.subtree(directory.as_bytes()).skip(1).map(|(path, _)| path.clone()).collect();
    for path in below.iter().filter(|path| !keep(path.as_bytes())) {
        tree.remove(path.as_bytes());
    }
}

/// File capabilities that were set inside a user namespace name its root (revision 3 of `vfs_cap_data`, with
/// an id at the end); as root of the host sets them they do not (revision 2).
fn without_namespace(value: &mut Vec<u8>) {
    if value.len() == 24 && value[3] == 3 {
        value[3] = 2;
        value.truncate(20);
    }
}

/// Turns the ids in access control lists (`acl(5)`), which we read as those of the host, into those inside.
pub(super) fn map_lists(tree: &mut Tree, uids: &[IdMap], gids: &[IdMap]) {
    for (_, entry) in tree.iter_mut() {
        for name in ["system.posix_acl_access", "system.posix_acl_default"] {
            if let Some(value) = entry.xattrs.get_mut(name.as_bytes()) {
                map_list(value, uids, gids);
            }
        }
    }
}

/// `struct posix_acl_xattr_header` of `linux/posix_acl_xattr.h`: a version, then tag, permissions and id of
/// each entry.
fn map_list(value: &mut [u8], uids: &[IdMap], gids: &[IdMap]) {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    for entry in value.get_mut(4..).unwrap_or_default().chunks_exact_mut(8) {
        let maps = match u16::from_le_bytes([entry[0], entry[1]]) {
            USER => uids,
            GROUP => gids,
            _ => continue,
        };
        let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        entry[4..].copy_from_slice(&IdMap::inside(maps, id).to_le_bytes());
    }
}

/// Gives everything that this run touched the time `epoch_s`, and nothing a later one. An assembled path that
/// has its packages' time keeps it.
pub(super) fn set_times(tree: &mut Tree, assembled: &Tree, started_s: i64, epoch_s: i64) {
    for (path, entry) in tree.iter_mut() {
        let shipped = assembled.get(path.as_bytes()).map(|shipped| shipped.mtime_s);
        let touched = entry.mtime_s >= started_s && shipped != Some(entry.mtime_s);
        if touched || entry.mtime_s > epoch_s {
            entry.mtime_s = epoch_s;
        }
    }
}

/// Owner and group of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owned {
    path: Vec<u8>,
    uid: u32,
    gid: u32,
}

/// Reads "uid gid mode /path" items, each ended by NUL.
pub(super) fn parse_owned(output: &[u8]) -> Vec<Owned> {
    let items = output.split(|byte| *byte == 0);
    items
        .filter_map(|item| {
            let mut words = item.splitn(4, |byte| *byte == b' ');
            let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
            let (uid, gid) = (number()?, number()?);
            let path = words.nth(1)?.strip_prefix(b"/")?.to_vec();
            Some(Owned { path, uid, gid })
        })
        .collect()
}

pub(super) fn set_owners(tree: &mut Tree, owned: &[Owned]) {
    for Owned { path, uid, gid } in owned {
        if let Some(entry) = tree.get_mut(path) {
            (entry.uid, entry.gid) = (*uid, *gid);
        }
    }
}

/// With a single id the owners that scripts gave are lost; only those of the packages are known.
pub(super) fn guess_owners(tree: &mut Tree, assembled: &Tree) {
    for (path, entry) in tree.iter_mut() {
        (entry.uid, entry.gid) =
            assembled.get(path.as_bytes()).map_or((0, 0), |shipped| (shipped.uid, shipped.gid));
    }
}

/// A file that dpkg puts elsewhere than its package says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diversion {
    pub from: Vec<u8>,
    pub to: TreePath,
    /// The package whose own file stays; `None` for a local diversion, which holds for all.
    pub by: Option<String>,
}

/// Returns the diversions that a root has.
pub(super) fn diversions(tree: &Tree, store: &Store) -> Result<Vec<Diversion>, StoreError> {
    let content = tree.get(b"var/lib/dpkg/diversions").and_then(|entry: &Entry| entry.kind.content());
    let Some((digest, _)) = content else { return Ok(Vec::new()) };
    Ok(parse_diversions(&String::from_utf8_lossy(&store.read(&digest)?)))
}

/// Three lines each: from, to, the package, or `:` for a local one.
pub(super) fn parse_diversions(text: &str) -> Vec<Diversion> {
    let lines: Vec<&str> = text.lines().collect();
    let parse = |lines: &[&str]| {
        let [from, to, by] = lines else { return None };
        let to = TreePath::new(to.trim_start_matches('/').as_bytes()).ok()?;
        let by = (*by != ":").then(|| (*by).to_owned());
        Some(Diversion { from: from.trim_start_matches('/').into(), to, by })
    };
    lines.chunks(3).filter_map(parse).collect()
}

/// Lets the owner of a directory tree remove it, whatever modes scripts gave to directories in it. Follows no
/// link.
pub(super) fn make_removable(directory: &Path) {
    // Nothing runs in the tree any more, so no path changes under our hands.
    let Ok(found) = fs::symlink_metadata(directory) else { return };
    if !found.is_dir() {
        return;
    }
    if found.permissions().mode() & 0o700 != 0o700 {
        let _ = files::set_permissions(directory, fs::Permissions::from_mode(0o700));
    }
    let Ok(entries) = files::list(directory) else { return };
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).expect("a good path")
    }

    #[test]
    fn what_differs_between_runs_goes() {
        let mut tree = Tree::new();
        let file = Entry::file(Digest::of(b"x"), 1, 0o644, 0);
        for name in [
            "etc/machine-id",
            "etc/passwd",
            "run/lock",
            "run/x/y",
            "tmp/a",
            "var/lib/dpkg/status",
            "var/lib/dpkg/status-old",
            "var/log/apt/history.log",
        ] {
            tree.insert(path(name), file.clone());
        }
        tree.insert(path("var/lib/apt/lists/partial/x"), file.clone());
        tree.insert(path("var/cache/ldconfig/aux-cache"), file.clone());
        tree.add_parents(0);
        let empty = (Digest::of(b""), 0);
        let shipped: Tree = [(path("var/lib/apt/lists/partial"), Entry::directory(0))].into_iter().collect();
        clean(&mut tree, &shipped, empty);
        assert!(tree.get(b"var/lib/apt/lists/partial").is_some() && tree.get(b"var/log/apt").is_none());
        let left: Vec<String> =
            tree.iter().filter(|(_, e)| !e.kind.is_directory()).map(|(p, _)| p.to_string()).collect();
        assert_eq!(left, ["etc/machine-id", "etc/passwd", "run/lock", "var/lib/dpkg/status"]);
        assert_eq!(tree.get(b"etc/machine-id").and_then(|e| e.kind.content()), Some(empty));
        assert!(tree.get(b"tmp").is_some());
    }

    #[test]
    fn only_what_this_run_touched_gets_the_epoch() {
        let entry = |mtime_s| Entry::directory(mtime_s);
        let (started_s, epoch_s) = (1000, 500);
        let assembled: Tree =
            [("a", 400), ("b", 400), ("c", 600)].map(|(p, t)| (path(p), entry(t))).into_iter().collect();
        let mut tree: Tree = [("a", 400), ("b", 1001), ("c", 600), ("copied", 300), ("new", 1002)]
            .map(|(p, t)| (path(p), entry(t)))
            .into_iter()
            .collect();
        set_times(&mut tree, &assembled, started_s, epoch_s);
        let times: Vec<i64> = tree.iter().map(|(_, e)| e.mtime_s).collect();
        assert_eq!(times, [400, 500, 500, 300, 500]);
    }

    #[test]
    fn owners_and_diversions_are_read() {
        let owned = parse_owned(b"33 42 4755 /var/a b\x000 8 2775 /var/mail\x00");
        assert_eq!(
            owned,
            [
                Owned { path: b"var/a b".to_vec(), uid: 33, gid: 42 },
                Owned { path: b"var/mail".to_vec(), uid: 0, gid: 8 },
            ]
        );
        let diversions = parse_diversions("/usr/bin/x\n/usr/bin/x.real\nother\n/etc/y\n/etc/y.local\n:\n");
        assert_eq!(diversions[0].by.as_deref(), Some("other"));
        assert_eq!((&diversions[1].from[..], diversions[1].by.as_deref()), (&b"etc/y"[..], None));
    }

    #[test]
    fn lists_name_the_ids_inside() {
        let gids = [
            IdMap { inside: 0, outside: 1000, count: 1 },
            IdMap { inside: 1, outside: 200_000, count: 65535 },
        ];
        let list = |id: u32| {
            let mut value = vec![2, 0, 0, 0, 0x01, 0, 7, 0, 255, 255, 255, 255, 0x08, 0, 5, 0];
            value.extend(id.to_le_bytes());
            value
        };
        let mut value = list(200_003);
        map_list(&mut value, &[], &gids);
        assert_eq!(value, list(4));
    }

    #[test]
    fn capabilities_name_no_namespace() {
        let mut value = [1, 0, 0, 3].into_iter().chain([7; 20]).collect();
        without_namespace(&mut value);
        assert_eq!(value, [1, 0, 0, 2].into_iter().chain([7; 16]).collect::<Vec<u8>>());
    }
}
