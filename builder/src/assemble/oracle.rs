//! dpkg as the oracle: its root of the same packages in the same order.

use std::{collections::HashSet, fs, os::unix::fs::symlink, path::Path, process::Command};

use super::*;
use crate::{
    render::scan,
    store::Store,
    testing::{Deb, deb},
};

/// Unpacks with dpkg into a root whose `/usr` is merged; `None`, with the reason said, where that cannot be.
fn dpkg(unpacked: &Unpacked, debs: &[Deb]) -> Option<Tree> {
    if !rustix::process::geteuid().is_root() {
        crate::testing::skip("dpkg gives files their owners, which needs root");
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("root");
    for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(root.join(name)).expect("makes");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("writes");
    for name in MERGED {
        fs::create_dir_all(root.join("usr").join(name)).expect("makes");
        symlink(Path::new("usr").join(name), root.join(name)).expect("links");
    }
    let mut command = Command::new("dpkg");
    command.arg("--root").arg(&root).args(["--force-depends", "--force-breaks", "--unpack"]);
    for index in order(&unpacked.packages) {
        let name = &unpacked.packages[index].locked.name;
        let deb = debs.iter().find(|deb| deb.get("Package") == name).expect("was unpacked");
        let path = directory.path().join(deb.file_name());
        fs::write(&path, deb.build()).expect("writes");
        command.arg(path);
    }
    let Ok(output) = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").output() else {
        crate::testing::skip("dpkg is not installed here");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let store = Store::open(&directory.path().join("store")).expect("opens");
    let mut bundle = store.begin_bundle("test", "dpkg").expect("begins");
    let tree = scan(&root, &mut bundle, &HashSet::new(), &|uid, gid| (uid, gid)).expect("scans");
    Some(tree)
}

/// Returns the properties that the rules decide: dpkg gives directories the time of the day.
fn comparable(mut tree: Tree) -> String {
    tree.remove_subtree(b"var/lib/dpkg");
    tree.retain(|path, _| {
        !matches!(path.as_bytes(), b"" | b"var" | b"var/lib" | b"usr" | b"bin" | b"sbin" | b"lib")
    });
    tree.retain(|path, _| !matches!(path.as_bytes(), b"usr/bin" | b"usr/sbin" | b"usr/lib"));
    for (_, entry) in tree.iter_mut().filter(|(_, entry)| entry.kind.is_directory()) {
        entry.mtime_s = 0;
    }
    tree.to_text()
}

#[test]
fn dpkg_leaves_the_same_tree() {
    let cases = [
        (
            "owners, modes, links below /usr",
            vec![
                deb("a").file("bin/x", 0o4755, "1").file("usr/share/y", 0o640, "2").owned_by(33, 4),
                deb("b").file("usr/bin/w", 0o755, "w").hard_link("usr/bin/z", "usr/bin/w").file(
                    "usr/bin/v",
                    0o755,
                    "",
                ),
            ],
        ),
        (
            "the first one's directory",
            vec![deb("a").directory("usr/d", 0o2750).owned_by(0, 4), deb("b").directory("usr/d", 0o700)],
        ),
        (
            "a link where a directory lies",
            vec![
                deb("lib").file("usr/d/x", 0o644, "1"),
                deb("app").field("Depends", "lib").directory("etc/d", 0o755).symlink("usr/d", "/etc/d"),
            ],
        ),
        (
            "a directory where a link to one lies",
            vec![
                deb("a").file("usr/real/y", 0o644, "1").symlink("usr/d", "real"),
                deb("b").directory("usr/d", 0o700).file("usr/d/x", 0o644, "12"),
            ],
        ),
        (
            "one link in two packages",
            vec![
                deb("a").file("usr/real/y", 0o644, "1").symlink("usr/d", "real").symlink("usr/e", "./real"),
                deb("b").symlink("usr/d", "real").symlink("usr/e", "real/../real"),
            ],
        ),
        (
            "the later one replaces",
            vec![
                deb("a").file("usr/x", 0o644, "1").hard_link("usr/y", "usr/x"),
                deb("b").field("Replaces", "a (<< 2)").file("usr/x", 0o600, "12").symlink("usr/y", "x"),
            ],
        ),
        (
            "the earlier one replaces",
            vec![
                deb("a").field("Replaces", "c, b").file("usr/x", 0o644, "1"),
                deb("b").file("usr/x", 0o644, "12").file("usr/z", 0o644, "3"),
            ],
        ),
        (
            "both replace",
            vec![
                deb("a").field("Replaces", "b").file("usr/x", 0o644, "1"),
                deb("b").field("Replaces", "a").file("usr/x", 0o644, "12"),
            ],
        ),
        (
            "a directory replaces a file and a dangling link",
            vec![
                deb("a").file("usr/x", 0o644, "1").symlink("usr/y", "nowhere"),
                deb("b").field("Replaces", "a").file("usr/x/1", 0o644, "1").file("usr/y/2", 0o644, "2"),
            ],
        ),
    ];
    for (summary, debs) in cases {
        let unpacked = super::tests::unpacked(&debs);
        let Some(expected) = dpkg(&unpacked, &debs) else { return };
        let assembled = assemble(&unpacked).unwrap_or_else(|error| panic!("{summary}: {error}"));
        assert_eq!(comparable(assembled.tree), comparable(expected), "{summary}");
    }
}
