use std::{fs, os::unix::fs::FileExt};

use super::*;
use crate::testing::{self, Compression, deb};

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

    fn fetched(&self, name: &str, bytes: &[u8]) -> FetchedDeb {
        let path = self.directory.path().join(format!("{name}.deb"));
        fs::write(&path, bytes).expect("writes");
        FetchedDeb { package: locked(name, bytes), path, digest: Digest::of(bytes) }
    }

    fn unpack(&self, debs: &[(&str, Vec<u8>)]) -> Result<Unpacked, String> {
        let debs = debs.iter().map(|(name, bytes)| self.fetched(name, bytes)).collect();
        unpack(&Fetched { debs, ..Fetched::default() }, &self.store, &Progress::silent())
            .map_err(|error| chain(&error))
    }

    fn leftovers(&self) -> usize {
        let count = |name| fs::read_dir(self.store.root().join(name)).expect("lists").count();
        let unfinished = fs::read_dir(self.store.tmp()).expect("lists").count();
        unfinished + count("packs") + count("bundles")
    }
}

fn locked(name: &str, bytes: &[u8]) -> LockedPackage {
    LockedPackage {
        name: name.into(),
        version: "1.0".into(),
        architecture: "amd64".into(),
        suite: "bookworm".into(),
        path: format!("pool/{name}.deb"),
        size_bytes: bytes.len() as u64,
        checksum: Digest::of(bytes).into(),
        because: "asked for".into(),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        text += &format!(": {source}");
        at = source.source();
    }
    text
}

fn hello() -> testing::Deb {
    deb("hello")
        .file("usr/bin/hello", 0o755, "hi\n")
        .hard_link("usr/bin/aloha", "usr/bin/hello")
        .file("var/lib/hello", 0o4640, vec![b'x'; 100_001])
        .owned_by(33, 4)
        .symlink("usr/bin/hi", "hello")
        .conffile("etc/hello", "a\n")
        .script("postinst", "#!/bin/sh\ndpkg-divert --add /x\n")
}

#[test]
fn a_package_is_a_tree_and_an_uncompressed_deb() {
    for compression in [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let place = Place::new();
        let unpacked = place.unpack(&[("hello", hello().compression(compression).build())]).expect("unpacks");
        let package = unpacked.get("hello").expect("is there");
        let digest = |bytes: &[u8]| Digest::of(bytes).to_string();
        let expected = format!(
            "/ dir 0755 0:0 1600000000
/etc dir 0755 0:0 1600000000
/etc/hello file 0644 0:0 1600000000 2 sha256:{a}
/usr dir 0755 0:0 1600000000
/usr/bin dir 0755 0:0 1600000000
/usr/bin/aloha file 0755 0:0 1600000000 3 sha256:{hi}
/usr/bin/hello file 0755 0:0 1600000000 3 sha256:{hi} link:/usr/bin/aloha
/usr/bin/hi link 0777 0:0 1600000000 hello
/var dir 0755 0:0 1600000000
/var/lib dir 0755 0:0 1600000000
/var/lib/hello file 4640 33:4 1600000000 100001 sha256:{x}
",
            a = digest(b"a\n"),
            hi = digest(b"hi\n"),
            x = digest(&[b'x'; 100_001]),
        );
        assert_eq!(package.tree.to_text(), expected);
        let names: Vec<&str> = package.control_files.keys().map(String::as_str).collect();
        assert_eq!(names, ["conffiles", "control", "postinst"]);
        assert_eq!(package.control.package(), "hello");
        assert!(package.diverts);
        assert_eq!(place.store.read(&package.control_files["conffiles"]).expect("known"), b"/etc/hello\n");
        assert_eq!(place.store.read(&Digest::of(b"hi\n")).expect("known"), b"hi\n");
        let plain = hello().compression(Compression::None).build();
        // The times in the headers of the archive differ; nothing reads them.
        let parts = |bytes: &[u8]| {
            let mut deb = Deb::open(io::Cursor::new(bytes.to_vec())).expect("a .deb");
            [Part::Control, Part::Data].map(|part| {
                let mut bytes = Vec::new();
                deb.part(part).expect("is there").read_to_end(&mut bytes).expect("reads");
                bytes
            })
        };
        assert!(parts(&fs::read(package.pack.path()).expect("reads")) == parts(&plain));
    }
}

#[test]
fn a_second_time_nothing_is_decompressed() {
    let place = Place::new();
    let first = place.unpack(&[("hello", hello().build())]).expect("unpacks");
    let path = place.directory.path().join("hello.deb");
    // Would be noticed if it were read.
    fs::write(&path, "gone").expect("writes");
    let store = Store::open(place.store.root()).expect("opens");
    let debs = vec![FetchedDeb {
        digest: Digest::of(&hello().build()),
        package: first.packages[0].locked.clone(),
        path,
    }];
    let second =
        unpack(&Fetched { debs, ..Fetched::default() }, &store, &Progress::silent()).expect("unpacks");
    assert_eq!(second.packages[0].tree, first.packages[0].tree);
    assert_eq!(second.packages[0].control_files, first.packages[0].control_files);
    assert_eq!(second.packages[0].pack.path(), first.packages[0].pack.path());
    assert_eq!(store.read(&Digest::of(b"hi\n")).expect("known"), b"hi\n");
    assert!(second.contents().iter().all(|digest| store.knows(digest)));
}

#[test]
fn packages_come_in_the_order_of_the_lock() {
    let place = Place::new();
    let debs: Vec<(String, Vec<u8>)> = (0..20)
        .map(|n| {
            let name = format!("p{n:02}");
            let bytes = deb(&name).file(&format!("usr/{name}"), 0o644, vec![b'x'; n * n * 10]).build();
            (name, bytes)
        })
        .collect();
    let debs: Vec<(&str, Vec<u8>)> = debs.iter().map(|(name, bytes)| (&**name, bytes.clone())).collect();
    let unpacked = place.unpack(&debs).expect("unpacks");
    let names: Vec<&str> = unpacked.packages.iter().map(|p| &*p.locked.name).collect();
    let expected: Vec<&str> = debs.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected);
}

#[test]
fn what_is_wrong_is_named_and_leaves_nothing() {
    let bomb = || deb("hello").file("zero", 0o644, vec![0; 66 << 20]).compression(Compression::Zstd);
    let cases = [
        (
            "path outside",
            deb("hello").file("../etc/passwd", 0o644, "x").build(),
            "its data.tar is refused: the tar stream has an impossible entry: \
             path `../etc/passwd` has a `..` component",
        ),
        (
            "a link and a directory",
            deb("hello").symlink("usr/lib", "/etc").file("usr/lib/passwd", 0o644, "x").build(),
            "its data.tar is refused: tar entry /usr/lib is there twice",
        ),
        (
            "control files among the files",
            deb("hello").file("DEBIAN/postinst", 0o755, "x").build(),
            "it ships /DEBIAN, which is the place of control files",
        ),
        (
            "another version",
            deb("hello").version("2.0").build(),
            "its control file says Version `2.0`, the lock `1.0`",
        ),
        ("another name", deb("hullo").build(), "its control file says Package `hullo`, the lock `hello`"),
        (
            "another architecture",
            deb("hello").architecture("all").build(),
            "its control file says Architecture `all`, the lock `amd64`",
        ),
        (
            "bomb",
            bomb().field("Installed-Size", "1").build(),
            "its data.tar is refused: it has more bytes of contents than allowed: 67112960",
        ),
        (
            "cut",
            hello().build()[..500].to_vec(),
            "its control.tar is refused: cannot read the tar stream: unexpected end of file",
        ),
    ];
    for (summary, bytes, expected) in cases {
        let place = Place::new();
        let error = place.unpack(&[("hello", bytes)]).expect_err(summary);
        assert_eq!(error, format!("cannot unpack hello 1.0: {expected}"), "{summary}");
        assert_eq!(place.leftovers(), 0, "{summary}");
    }
    let place = Place::new();
    assert!(place.unpack(&[("hello", bomb().build())]).is_ok(), "an honest size is believed");
}

#[test]
fn a_stream_that_never_ends_is_cut_off() {
    // 100 MB of zeros behind the end of the tar: no entry, yet bytes in the pack.
    let mut tar = vec![0; 1024];
    tar.resize(100 << 20, 0);
    let control = "Package: hello\nVersion: 1.0\nArchitecture: amd64\nInstalled-Size: 1\n";
    let mut header = ::tar::Header::new_gnu();
    header.set_path("control").expect("short");
    header.set_size(control.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut control_tar = header.as_bytes().to_vec();
    control_tar.extend_from_slice(control.as_bytes());
    control_tar.resize(4096, 0);
    let mut bytes = deb::MAGIC.to_vec();
    let data = zstd::encode_all(&tar[..], 1).expect("compresses");
    for (name, contents) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control_tar), ("data.tar.zst", &data)]
    {
        bytes.extend_from_slice(&deb::header(name, contents.len() as u64));
        bytes.extend_from_slice(contents);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    let place = Place::new();
    let error = place.unpack(&[("hello", bytes)]).expect_err("is cut off");
    assert!(
        error.ends_with("it unpacks to more than 67112960 bytes, which its size does not explain"),
        "{error}"
    );
    assert_eq!(place.leftovers(), 0);
}

#[test]
fn bytes_that_are_not_the_locked_ones_are_named_first() {
    let place = Place::new();
    let good = hello().build();
    for at in [3, good.len() / 2, good.len() - 1] {
        let deb = place.fetched("hello", &good);
        let file = fs::OpenOptions::new().write(true).open(&deb.path).expect("opens");
        file.write_all_at(&[good[at] ^ 1], at as u64).expect("writes");
        let fetched = Fetched { debs: vec![deb], ..Fetched::default() };
        let error = unpack(&fetched, &place.store, &Progress::silent()).expect_err("is refused");
        assert!(matches!(error.source, UnpackFault::Digest { .. }), "{}", chain(&error));
        assert_eq!(place.leftovers(), 0);
    }
}

#[test]
fn what_the_disk_has_changed_is_fetched_again() {
    let place = Place::new();
    let bytes = hello().build();
    let package = locked("hello", &bytes);
    let path = place.store.deb_path(&package.checksum);
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("writes");
    let debs = vec![FetchedDeb { package, path: path.clone(), digest: Digest::of(&bytes) }];
    let fetched = Fetched { debs, ..Fetched::default() };
    let error = unpack(&fetched, &place.store, &Progress::silent()).expect_err("is refused");
    let expected = format!(
        "cannot unpack hello 1.0: {} does not have the locked digest; it was removed, so that the next run \
         fetches it again\n  expected sha256:{}\n  found    sha256:{}",
        path.display(),
        Digest::of(&bytes),
        Digest::of(&bytes[..bytes.len() - 1]),
    );
    assert_eq!(chain(&error), expected);
    assert!(!path.exists());
}

#[test]
fn the_changelog_of_an_unpacked_package_is_its_own_or_that_of_the_package_in_whose_directory_it_lies() {
    let gzipped = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("writes");
        encoder.finish().expect("ends")
    };
    let place = Place::new();
    let debs = [
        (
            "tea",
            deb("tea").file(
                "usr/share/doc/tea/changelog.Debian.gz",
                0o644,
                gzipped("tea (1) x; urgency=low\n"),
            ),
        ),
        ("libtea1", deb("libtea1").symlink("usr/share/doc/libtea1", "tea")),
        ("native", deb("native").file("usr/share/doc/native/changelog.gz", 0o644, gzipped("native\n"))),
        ("none", deb("none").file("usr/bin/none", 0o755, "none\n")),
        ("damaged", deb("damaged").file("usr/share/doc/damaged/changelog.gz", 0o644, "no gzip")),
    ];
    let debs: Vec<(&str, Vec<u8>)> = debs.into_iter().map(|(name, deb)| (name, deb.build())).collect();
    place.unpack(&debs).expect("unpacks");
    let packages: Vec<LockedPackage> = debs.iter().map(|(name, bytes)| locked(name, bytes)).collect();
    let find = |name: &str| packages.iter().find(|package| package.name == name);
    let found = |name: &str| changelog(find(name).expect("is there"), find, &place.store);
    assert_eq!(found("tea").as_deref(), Some("tea (1) x; urgency=low\n"));
    assert_eq!(found("libtea1"), found("tea"));
    assert_eq!(found("native").as_deref(), Some("native\n"));
    assert_eq!((found("none"), found("damaged")), (None, None));
    // One that was never unpacked.
    assert_eq!(changelog(&locked("other", b"other"), find, &place.store), None);
}
