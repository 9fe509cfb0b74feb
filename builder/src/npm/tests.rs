//! Made tarballs, from a made registry and from the cache.

use std::fs;
use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    download,
    formats::package_lock::LockedNpm,
    testing::{self, Deb, FastClock, Server, deb},
    tree::{Entry, Kind},
};

struct Fixture {
    served: tempfile::TempDir,
    cache: tempfile::TempDir,
    server: Server,
    store: Store,
}

fn fixture() -> Fixture {
    let served = tempfile::tempdir().expect("a directory");
    let cache = tempfile::tempdir().expect("a directory");
    let server = Server::start(served.path());
    let store = Store::open(cache.path()).expect("opens");
    Fixture { served, cache, server, store }
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

impl Fixture {
    /// Publishes a package and returns it as a lock pins it.
    fn publish(&self, name: &str, at: &str, tarball: &[u8]) -> NpmPackage {
        let file = self.served.path().join(tarball_path(name, "1.0.0"));
        fs::create_dir_all(file.parent().expect("has one")).expect("makes");
        fs::write(file, tarball).expect("writes");
        let checksum = Checksum::Sha512([0; 64]).of_same_kind(tarball);
        let directory = format!("node_modules/{name}");
        let (name, version) = (name.to_owned(), "1.0.0".to_owned());
        NpmPackage { path: path(at), locked: LockedNpm { directory, name, version, checksum, licence: None } }
    }

    fn unpack(&self, packages: &[NpmPackage]) -> Result<Tree, NpmError> {
        self.unpack_from(Some(&self.server.url()), false, packages)
    }

    fn unpack_from(
        &self,
        registry: Option<&str>,
        offline: bool,
        packages: &[NpmPackage],
    ) -> Result<Tree, NpmError> {
        let options = download::Options {
            clock: Arc::new(FastClock::default()),
            offline,
            ..download::Options::default()
        };
        let registry = Registry { url: registry, pool: None };
        unpack(&set(packages), registry, &self.store, &Downloader::new(options), &Progress::silent())
    }

    /// Unpacks a package that must be refused, and returns the whole error.
    fn refused(&self, tarball: &[u8]) -> String {
        let package = self.publish("a", "opt/node_modules/a", tarball);
        let error = self.unpack(&[package]).expect_err("is refused");
        assert_eq!(bundles(self.cache.path()), 0, "{error}");
        chain(&error)
    }
}

fn set(packages: &[NpmPackage]) -> Npm {
    let lock = "files/package-lock.json".to_owned();
    Npm { lock, to: path("opt"), registry: None, packages: packages.to_vec() }
}

fn bundles(cache: &Path) -> usize {
    fs::read_dir(cache.join("bundles/npm")).map_or(0, Iterator::count)
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or(error.to_string(), |source| format!("{error}: {}", chain(source)))
}

fn package() -> Deb {
    deb("a")
        .file("package/package.json", 0o600, "{}")
        .file("package/bin/a.js", 0o775, "#!/usr/bin/node\n")
        .file("package/lib/index.js", 0o4664, "1\n")
        .owned_by(501, 20)
        .symlink("package/lib/inside.js", "../bin/a.js")
        .hard_link("package/lib/same.js", "package/lib/index.js")
}

#[test]
fn packages_are_laid_in_their_directories_with_plain_modes_and_one_time() {
    let fixture = fixture();
    let packages = [
        fixture.publish("a", "opt/node_modules/a", &package().tarball()),
        fixture.publish(
            "@s/b",
            "opt/node_modules/@s/b",
            &deb("b").file("b-1/index.js", 0o644, "2\n").tarball(),
        ),
    ];
    let tree = fixture.unpack(&packages).expect("unpacks");
    let mut root = Tree::from_iter([(path("opt"), Entry::directory(1))]);
    let mut owners = Owners::default();
    lay(&set(&packages), tree, &mut root, &mut owners, 1234).expect("lays");
    let listed = |root: &Tree| -> Vec<String> {
        root.iter()
            .filter(|(_, e)| !e.kind.is_directory())
            .map(|(p, e)| format!("{p} {:o}", e.mode))
            .collect()
    };
    let files = [
        "opt/node_modules/@s/b/index.js 644",
        "opt/node_modules/a/bin/a.js 755",
        "opt/node_modules/a/lib/index.js 644",
        "opt/node_modules/a/package.json 644",
    ];
    assert_eq!(listed(&root), files);
    let index = root.get(b"opt/node_modules/a/lib/index.js").expect("is there");
    assert_eq!((index.uid, index.gid, index.mtime_s), (0, 0, 1234));
    let (digest, _) = index.kind.content().expect("a file");
    assert_eq!(fixture.store.read(&digest).expect("is kept"), b"1\n");
    assert_eq!(owners.owner(b"opt/node_modules/a/lib/index.js"), Some("npm:a"));
    assert_eq!(owners.owner(b"opt/node_modules/@s/b/index.js"), Some("npm:@s/b"));
    assert_eq!(owners.owner(b"opt/node_modules"), None);
    assert_eq!(root.get(b"opt").map(|e| e.mtime_s), Some(1));
}

#[test]
fn what_is_cached_needs_no_registry() {
    let fixture = fixture();
    let packages = [fixture.publish("a", "opt/node_modules/a", &package().tarball())];
    let first = fixture.unpack(&packages).expect("unpacks");
    assert_eq!(fixture.server.requests().len(), 1);
    assert_eq!(fixture.unpack_from(None, true, &packages).expect("is there"), first);
    // Another set of the same package is unpacked from the tarball that is kept.
    let elsewhere = [NpmPackage { path: path("srv/a"), ..packages[0].clone() }];
    let moved = fixture.unpack_from(None, true, &elsewhere).expect("unpacks");
    assert!(moved.get(b"srv/a/package.json").is_some());
    assert_eq!(fixture.server.requests(), []);

    // A file that the disk has changed since, even one of the same length, is not unpacked but fetched again.
    let kept = fixture.store.tarball_path(&packages[0].locked.checksum);
    let mut bytes = fs::read(&kept).expect("reads");
    bytes[100] ^= 1;
    fs::write(&kept, bytes).expect("writes");
    let third = [NpmPackage { path: path("srv/b"), ..packages[0].clone() }];
    assert!(fixture.unpack_from(None, true, &third).is_err());
    assert!(fixture.unpack(&third).is_ok());
    assert!(fixture.store.take_damaged().contains(&kept));
}

#[test]
fn what_cannot_be_had_is_told_with_its_remedy() {
    let fixture = fixture();
    let packages = [
        fixture.publish("a", "opt/node_modules/a", &package().tarball()),
        fixture.publish("b", "opt/node_modules/b", &deb("b").file("b/b.js", 0o644, "").tarball()),
    ];
    let tell = |registry, offline| {
        let error = fixture.unpack_from(registry, offline, &packages).expect_err("cannot be had");
        let text = error.to_string().replace(&fixture.server.url(), "REGISTRY");
        (text, error.hint().unwrap_or_default().into_owned())
    };
    let (text, hint) = tell(None, false);
    let lacking = "2 of 2 packages of `files/package-lock.json` are not in the cache, and no npm registry is configured";
    assert_eq!(text, lacking);
    assert!(hint.contains("--npm-registry URL"), "{hint}");
    let (text, hint) = tell(Some("http://registry.example"), true);
    assert!(text.starts_with("cannot fetch 2 of 2 packages\n  npm:a 1.0.0, npm:b 1.0.0 offline"), "{text}");
    assert_eq!(hint, "run the same once without --offline");

    fixture.server.fault("a/-/a-1.0.0.tgz", testing::Fault::WrongBytes);
    let (text, hint) = tell(Some(&fixture.server.url()), false);
    let expected = "cannot fetch npm:a 1.0.0: its digest is not the expected one\n  expected sha512 ";
    assert!(text.starts_with(expected) && text.ends_with("\n  at REGISTRY/a/-/a-1.0.0.tgz"), "{text}");
    assert!(hint.contains("the lock pins exactly these"), "{hint}");
    assert!(!fixture.store.tarball_path(&packages[0].locked.checksum).exists());
    assert!(fixture.store.tarball_path(&packages[1].locked.checksum).exists());
    fixture.server.heal();
    fixture.server.fault_times("a/-/a-1.0.0.tgz", testing::Fault::CutOff(20), 1);
    assert!(fixture.unpack(&packages).is_ok());
}

#[test]
fn hostile_tarballs_leave_nothing() {
    let file = |at: &str| deb("a").file(at, 0o644, "x").tarball();
    let rows = [
        (file("../package/index.js"), "has a `..` component"),
        (file("package/../../../etc/passwd"), "has a `..` component"),
        (
            deb("a").symlink("package/up", "../../x").tarball(),
            "/package/up is a link that leads out of the package",
        ),
        (
            deb("a").symlink("package/etc", "/etc").tarball(),
            "/package/etc is a link that leads out of the package",
        ),
        (deb("a").symlink("package/d", "lib").file("package/d/x", 0o644, "x").tarball(), "is there twice"),
        (deb("a").file("package/x", 0o644, "x").file("other/x", 0o644, "y").tarball(), "is there twice"),
        (b"no tarball".to_vec(), "cannot read the tar stream"),
        (file("package/index.js")[..40].to_vec(), "cannot read the tar stream"),
        (
            deb("a").file("package/zeros", 0o644, vec![0; 48 << 20]).tarball(),
            "it has more bytes of contents than allowed",
        ),
    ];
    for (tarball, expected) in rows {
        let text = fixture().refused(&tarball);
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(text.starts_with("cannot unpack npm:a 1.0.0: "), "{text}");
    }
    // Headers count as well.
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    let record = format!("1000000 comment={}\n", "x".repeat(1_000_000 - 17));
    for _ in 0..24 {
        let mut header = tar::Header::new_ustar();
        header.set_path("pax_global_header").expect("short");
        header.set_entry_type(tar::EntryType::XGlobalHeader);
        header.set_size(record.len() as u64);
        header.set_cksum();
        tar.append(&header, record.as_bytes()).expect("memory takes it");
    }
    let headers = tar.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory takes it");
    let text = fixture().refused(&headers);
    assert!(text.contains("it has more bytes of contents than allowed"), "{text}");
    let device = tarball_of(tar::EntryType::Char, "package/null", |header| {
        header
            .set_device_major(1)
            .and_then(|()| header.set_device_minor(3))
            .expect("is of a kind that has them");
    });
    assert!(fixture().refused(&device).contains("is neither file nor directory"));
}

/// A tarball of one empty entry.
fn tarball_of(kind: tar::EntryType, at: &str, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(at).expect("short");
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mtime(0);
    header.set_mode(0o644);
    change(&mut header);
    header.set_cksum();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    tar.append(&header, &b""[..]).expect("memory takes it");
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).expect("memory takes it")
}

#[test]
fn of_a_file_that_is_there_twice_the_later_one_counts() {
    let fixture = fixture();
    let twice = deb("a").file("package/a.js", 0o755, "old").file("package/a.js", 0o644, "new").tarball();
    let tree = fixture.unpack(&[fixture.publish("a", "opt/node_modules/a", &twice)]).expect("unpacks");
    let entry = tree.get(b"opt/node_modules/a/a.js").expect("is there");
    let (digest, size_bytes) = entry.kind.content().expect("a file");
    assert_eq!((entry.mode, size_bytes), (0o644, 3));
    assert_eq!(fixture.store.read(&digest).expect("is kept"), b"new");
}

#[test]
fn owners_may_be_left_empty_as_npm_does() {
    let fixture = fixture();
    let tarball = tarball_of(tar::EntryType::Regular, "package/a.js", |header| {
        let fields = header.as_old_mut();
        (fields.uid, fields.gid) = ([0; 8], [0; 8]);
    });
    let tree = fixture.unpack(&[fixture.publish("a", "opt/node_modules/a", &tarball)]).expect("unpacks");
    assert!(tree.get(b"opt/node_modules/a/a.js").is_some());
}

#[test]
fn absolute_names_stay_in_the_package() {
    let fixture = fixture();
    let tarball = deb("a").file("/etc/passwd", 0o644, "x").tarball();
    let tree = fixture.unpack(&[fixture.publish("a", "opt/node_modules/a", &tarball)]).expect("unpacks");
    let paths: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(paths, ["opt/node_modules/a/passwd"]);
}

#[test]
fn a_package_takes_the_place_of_what_another_ships_there() {
    let fixture = fixture();
    let ships = deb("a").file("package/node_modules/b/old.js", 0o644, "old").file("package/a.js", 0o644, "");
    let packages = [
        fixture.publish("a", "opt/node_modules/a", &ships.tarball()),
        fixture.publish(
            "b",
            "opt/node_modules/a/node_modules/b",
            &deb("b").file("b/new.js", 0o644, "").tarball(),
        ),
    ];
    let tree = fixture.unpack(&packages).expect("unpacks");
    assert!(tree.get(b"opt/node_modules/a/node_modules/b/new.js").is_some());
    assert!(tree.get(b"opt/node_modules/a/node_modules/b/old.js").is_none());
    let (mut root, mut owners) = (Tree::new(), Owners::default());
    lay(&set(&packages), tree, &mut root, &mut owners, 0).expect("lays");
    assert_eq!(owners.owner(b"opt/node_modules/a/node_modules/b/new.js"), Some("npm:b"));
    assert_eq!(owners.owner(b"opt/node_modules/a/a.js"), Some("npm:a"));

    let ships = deb("a").file("package/node_modules", 0o644, "a file");
    let packages = [fixture.publish("a", "opt/node_modules/a", &ships.tarball()), packages[1].clone()];
    let error = fixture.unpack(&packages).expect_err("is refused").to_string();
    assert!(
        error.ends_with("over the root: a package ships a file at /opt/node_modules/a/node_modules"),
        "{error}"
    );
}

#[test]
fn what_the_root_has_is_not_replaced() {
    let fixture = fixture();
    let packages = [fixture.publish("a", "opt/node_modules/a", &package().tarball())];
    let tree = fixture.unpack(&packages).expect("unpacks");
    for (there, entry, expected) in [
        ("opt", Entry::symlink("/srv", 0), "the root has a file or link at /opt"),
        (
            "opt/node_modules/a/package.json",
            Entry::directory(0),
            "the root has something at /opt/node_modules/a/package.json",
        ),
    ] {
        let mut root = Tree::from_iter([(path(there), entry)]);
        let error = lay(&set(&packages), tree.clone(), &mut root, &mut Owners::default(), 0);
        let text = error.expect_err("is refused").to_string();
        assert!(text.ends_with(expected), "{text}");
        assert!(!root.iter().any(|(_, entry)| matches!(entry.kind, Kind::File { .. })));
    }
}
