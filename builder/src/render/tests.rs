use std::{
    collections::HashSet,
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
};

use super::*;
use crate::{
    digest::Digest,
    formats::{
        budget::Budget,
        tar_in::{self, Dialect},
    },
};

struct Place {
    directory: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("store")).expect("opens");
        Place { directory, store }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// Puts the contents of a tree's files, each being its own path; returns the tree with digests.
    fn fill(&self, text: &str) -> Tree {
        let mut tree = Tree::new();
        for line in text.lines() {
            let (line, contents) = line.split_once(" = ").unwrap_or((line, ""));
            let digest = self.store.put(contents);
            let line = line.replace("FILE", &format!("{} sha256:{digest}", contents.len()));
            let (path, entry) = crate::tree::parse_line(&line).expect("a good line");
            tree.insert(path, entry);
        }
        tree
    }

    fn scan(&self) -> Result<Tree, RenderError> {
        let mut bundle = self.store.begin_bundle("layer", "test").expect("begins");
        let ids = |_, _| (0, 0);
        let tree = scan(&self.root(), &mut bundle, &HashSet::new(), &ids)?;
        bundle.finish(&tree).expect("finishes");
        Ok(tree)
    }
}

const ROOT: &str = "/ dir 0755 0:0 5
/a dir 0500 0:0 7
/a/b file 4711 0:0 11 FILE = hello
/a/c dir 3777 0:0 12
/a/c/d file 0000 0:0 13 FILE = secret
/a/e file 4711 0:0 11 FILE link:/a/b = hello
/a-f link 0777 0:0 -9 ../../etc/passwd
/g fifo 0620 0:0 14
/h file 0644 0:0 0 FILE
/i dir 0000 0:0 15
/i/j file 0644 0:0 1 FILE = below
/\\xff\\x0a file 0644 0:0 1 FILE = odd
";

#[test]
fn a_rendered_tree_scans_as_itself() {
    let place = Place::new();
    let tree = place.fill(ROOT);
    render(&tree, &place.store, &place.root(), RenderOptions::default()).expect("renders");
    let scanned = place.scan().expect("scans");
    assert_eq!(scanned.to_text(), tree.to_text());
    // Twice, because closed files and directories are opened for a moment.
    assert_eq!(place.scan().expect("scans again"), tree);
    let other = Store::open(place.store.root()).expect("opens");
    let (loaded, pack) = other.load_bundle("layer", "test").expect("is there");
    assert_eq!(loaded, tree);
    assert_eq!(fs::metadata(pack.path()).expect("is there").len(), "hellosecretbelowodd".len() as u64);
    for directory in ["a", "i"] {
        let path = place.root().join(directory);
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("can be cleaned away");
    }
}

#[test]
fn known_contents_are_not_stored_again() {
    let place = Place::new();
    let tree = place.fill("/ dir 0755 0:0 5\n/a file 0644 0:0 1 FILE = one\n/b file 0644 0:0 1 FILE = two\n");
    render(&tree, &place.store, &place.root(), RenderOptions::default()).expect("renders");
    let mut bundle = place.store.begin_bundle("layer", "test").expect("begins");
    let known = HashSet::from([Digest::of(b"one")]);
    let scanned = scan(&place.root(), &mut bundle, &known, &|_, _| (7, 8)).expect("scans");
    assert_eq!(bundle.position(), 3);
    assert!(scanned.iter().all(|(_, entry)| (entry.uid, entry.gid) == (7, 8)));
}

#[test]
fn large_files_come_out_of_a_pack_whole() {
    let place = Place::new();
    let big: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut bundle = place.store.begin_bundle("deb", "x").expect("begins");
    let (digest, size) = bundle.add(&big[..]).expect("adds");
    bundle.finish(&Tree::new()).expect("finishes");
    let path = TreePath::new(b"big").expect("good");
    let tree = Tree::from_iter([(path, Entry::file(digest, size, 0o600, 1))]);
    render(&tree, &place.store, &place.root(), RenderOptions::default()).expect("renders");
    assert!(fs::read(place.root().join("big")).expect("reads") == big);
}

#[test]
fn sockets_are_left_out() {
    let place = Place::new();
    fs::create_dir(place.root()).expect("makes");
    let _listener = UnixListener::bind(place.root().join("socket")).expect("binds");
    assert_eq!(place.scan().expect("scans").len(), 1);
}

#[test]
fn bad_trees_and_places_are_named() {
    let cases = [
        ("no parent", "/a/b fifo 0644 0:0 1\n", "/a/b does not lie in a directory of its tree"),
        (
            "below a link",
            "/a link 0777 0:0 1 /etc\n/a/b fifo 0644 0:0 1\n",
            "/a/b does not lie in a directory of its tree",
        ),
        ("there already", "/there fifo 0644 0:0 1\n", "cannot create /there of the root"),
        ("no contents", "/a file 0644 0:0 1 3 sha256:DIGEST\n", "cannot get the contents of /a"),
    ];
    for (summary, text, message) in cases {
        let place = Place::new();
        fs::create_dir_all(place.root().join("there")).expect("makes");
        let text = text.replace("DIGEST", &Digest::of(b"never put").to_string());
        let tree = Tree::from_text(&text).expect("a tree");
        let error = render(&tree, &place.store, &place.root(), RenderOptions::default()).expect_err(summary);
        assert_eq!(error.to_string(), message, "{summary}");
    }
}

#[test]
fn devices_are_what_was_asked_for() {
    let place = Place::new();
    let tree = Tree::from_text("/null char 0666 0:0 1 1:3\n").expect("a tree");
    render(&tree, &place.store, &place.root(), RenderOptions::default()).expect("renders");
    assert!(!place.root().join("null").exists());
    let options = RenderOptions { devices: Devices::Placeholder, ..RenderOptions::default() };
    render(&tree, &place.store, &place.root(), options).expect("renders");
    assert!(place.root().join("null").is_file());
}

#[test]
fn a_tar_holds_all_that_a_tree_says() {
    let place = Place::new();
    let long = "n".repeat(120);
    let mut tree = place.fill(&format!(
        "{ROOT}/x file 0644 70000:3000000 1 FILE = y\n/{long} link 0777 0:0 9 {long}\n/z char 0666 0:0 1 1:3\n"
    ));
    let odd = tree.get_mut(b"h").expect("is there");
    odd.xattrs.insert(b"security.capability".to_vec(), vec![0, 10, 255]);
    let mut bytes = Vec::new();
    write_tar(&tree, &place.store, &mut bytes, TarOptions::default()).expect("writes");
    let mut again = Vec::new();
    write_tar(&tree, &place.store, &mut again, TarOptions::default()).expect("writes");
    assert!(bytes == again);
    let read = tar_in::read_tree(&bytes[..], Dialect::Dpkg, &mut Budget::new());
    assert_eq!(read.expect("reads").to_text(), tree.to_text());
}

#[test]
fn a_tar_clamps_times() {
    let place = Place::new();
    let tree = place.fill("/a fifo 0644 0:0 100\n/b fifo 0644 0:0 9\n");
    let mut bytes = Vec::new();
    let options = TarOptions { latest_mtime_s: Some(50) };
    write_tar(&tree, &place.store, &mut bytes, options).expect("writes");
    let read = tar_in::read_tree(&bytes[..], Dialect::Dpkg, &mut Budget::new());
    assert_eq!(read.expect("reads").to_text(), "/a fifo 0644 0:0 50\n/b fifo 0644 0:0 9\n");
}
