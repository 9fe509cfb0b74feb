use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    artifact::{self, AnyWriter, Format, Packable, Packed, Writer as _, spk::Signer},
    formats::{key_file::Key, manifest::Manifest},
    progress::Progress,
    store::Store,
    tree::{Entry, Tree, TreePath},
};

const IMAGES: [Format; 5] = [Format::Tar, Format::Oci, Format::OciDirectory, Format::Squashfs, Format::Erofs];

const RECIPE: &str = "[app]\nname = \"tea\"\nversion = \"1.0\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n\
                      [[service]]\nname = \"tea\"\ncommand = [\"/bin/tea\"]\n[web]\nport = 8000\n";

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn key() -> Key {
    Key::from_seed([7; 32])
}

/// Bytes that are the same on every run and hardly compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

struct Fixture {
    directory: tempfile::TempDir,
    store: Store,
    tree: Tree,
}

impl Fixture {
    /// A tree with something of each kind, and with what formats have borders at.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        let mut fixture = Fixture { directory, store, tree: Tree::new() };
        fixture.file("tinyroot/init", 0o755, b"init");
        fixture.file("tinyroot/papers/recipe/recipe.toml", 0o644, RECIPE.as_bytes());
        for (index, length) in
            [0, 1, 4031, 4032, 4033, 4096, 8191, 1 << 20, (1 << 20) + 1].into_iter().enumerate()
        {
            fixture.file(&format!("border/{length}"), 0o644, &noise(index as u64, length));
        }
        fixture.file("border/zeros", 0o644, &vec![0; (2 << 20) + 5]);
        fixture.file("twice/one", 0o755, &noise(70, 70_000));
        fixture.file("twice/two", 0o755, &noise(70, 70_000));
        for index in 0..700 {
            fixture.file(&format!("many/{index}-{}", "n".repeat(index % 180)), 0o644, b"small");
        }
        fixture.file("-/before a dot", 0o644, b"dash");
        fixture.file("\u{e4}/\nline", 0o644, b"names");
        fixture.tree.insert(path("links/long"), Entry::symlink("t/".repeat(1000), 5));
        fixture.tree.insert(path("links/short"), Entry::symlink("../twice/one", 6));
        fixture.tree.insert(path("empty"), Entry::directory(7));
        fixture.tree.add_parents(3);
        fixture
    }

    fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        let entry = Entry::file(self.store.put(bytes), bytes.len() as u64, mode, 1_700_000_000);
        self.tree.insert(path(name), entry);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn pack(&self, format: Format, name: &str) -> Packed {
        let manifest = Manifest::for_init("Tea", "1.0", 1, "pot");
        let writer = AnyWriter { format, manifest: &manifest, signer: Signer::Key(&key()) };
        let image = Packable(self.tree.clone());
        writer.write(image, &self.path(name), &self.store, &Progress::silent()).expect("packs")
    }

    fn fresh_store(&self, name: &str) -> Store {
        Store::open(&self.path(name)).expect("opens")
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    match path.is_dir() {
        true => fs::read(path.join("index.json")).expect("is there"),
        false => fs::read(path).expect("is there"),
    }
}

/// Returns the length of a file, or of all files in a directory.
fn length(path: &Path) -> u64 {
    let found = fs::metadata(path).expect("is there");
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).expect("lists").map(|entry| length(&entry.expect("is there").path())).sum()
}

#[test]
fn a_package_goes_through_every_format_and_back_and_stays_the_same() {
    let fixture = Fixture::new();
    let spk = fixture.pack(Format::Spk, "tea.spk");
    let silent = Progress::silent();
    for format in IMAGES {
        let store = fixture.fresh_store(&format!("store-{format}"));
        let opened = artifact::open(&spk.path, &store, &silent).expect("opens");
        let [there, built, back] =
            ["there", "built", "back.spk"].map(|name| fixture.path(&format!("{format}-{name}")));
        let converted = artifact::convert(&opened, format, &there, &store, &silent).expect("converts");
        let same = fixture.pack(format, &format!("{format}-built"));
        assert_eq!(bytes_of(&there), bytes_of(&built), "{format}");
        assert_eq!(converted.digest, same.digest, "{format}");
        assert_eq!(converted.size_bytes, length(&there), "{format}");
        assert!(
            artifact::is_at(&there, format, &converted.digest)
                && !artifact::is_at(&there, format, &spk.digest)
        );
        let other = fixture.fresh_store(&format!("other-{format}"));
        for _cold_and_warm in 0..2 {
            let read =
                artifact::open(&there, &other, &silent).unwrap_or_else(|error| panic!("{format}: {error:?}"));
            assert_eq!(
                (read.format(), read.app_id(), read.digest),
                (format, key().app_id(), converted.digest)
            );
            assert_eq!(read.tree, opened.tree, "{format}");
            assert_eq!(read.size_bytes, length(&there), "{format}");
            let again = artifact::convert(&read, Format::Spk, &back, &other, &silent).expect("converts back");
            assert_eq!(again.digest, spk.digest, "{format}");
        }
        artifact::verify(&there, &other, &silent).expect("holds");
    }
}

#[test]
fn a_layout_is_replaced_by_another_one_and_nothing_else_is() {
    let fixture = Fixture::new();
    fixture.pack(Format::OciDirectory, "tea.oci");
    fixture.pack(Format::OciDirectory, "tea.oci");
    fs::create_dir(fixture.path("mine")).expect("a directory");
    let manifest = Manifest::for_init("Tea", "1.0", 1, "pot");
    let writer = AnyWriter { format: Format::OciDirectory, manifest: &manifest, signer: Signer::Key(&key()) };
    let image = Packable(fixture.tree.clone());
    let error = writer.write(image, &fixture.path("mine"), &fixture.store, &Progress::silent());
    assert!(error.expect_err("is not replaced").to_string().starts_with("cannot create"));
    let left: Vec<_> = fs::read_dir(fixture.directory.path()).expect("reads").collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn contents_that_the_key_did_not_sign_are_refused() {
    let mut fixture = Fixture::new();
    let signed = fixture.pack(Format::Spk, "tea.spk");
    let opened = artifact::open(&signed.path, &fixture.store, &Progress::silent()).expect("opens");
    // The signature of one tree, in a file with another.
    fixture.file("many/0-", 0o644, b"other");
    let signed = super::write::tree_of(&fixture.tree, opened.signature(), &fixture.store);
    let file = fixture.path("other.tar");
    let out = fs::File::create(&file).expect("a file");
    crate::render::write_tar(&signed, &fixture.store, out, crate::render::TarOptions::default())
        .expect("writes");
    let error =
        artifact::open(&file, &fixture.fresh_store("fresh"), &Progress::silent()).expect_err("is refused");
    let shown = format!("{error:?}");
    assert!(shown.contains("Contents") || shown.contains("NoManifest"), "{shown}");
    let mut unsigned = signed.clone();
    unsigned.remove(super::SIGNATURE);
    let out = fs::File::create(&file).expect("a file");
    crate::render::write_tar(&unsigned, &fixture.store, out, crate::render::TarOptions::default())
        .expect("writes");
    let error =
        artifact::open(&file, &fixture.fresh_store("fresh"), &Progress::silent()).expect_err("is refused");
    assert!(format!("{error:?}").contains("Unsigned"), "{error:?}");
}

#[test]
fn a_damaged_or_cut_file_is_refused_or_is_the_same_package() {
    let mut fixture = Fixture::new();
    fixture.tree.retain(|path, _| !path.is_at_or_below(b"border") && !path.is_at_or_below(b"many"));
    for format in [Format::Tar, Format::Oci, Format::Squashfs, Format::Erofs] {
        let packed = fixture.pack(format, "whole");
        let whole = fs::read(&packed.path).expect("is there");
        let expected = artifact::open(&packed.path, &fixture.store, &Progress::silent()).expect("opens").tree;
        let damaged = fixture.path("damaged");
        let mut refused = 0;
        for round in 0..60 {
            let mut bytes = whole.clone();
            let at = usize::from_le_bytes(noise(round, 8).try_into().expect("eight")) % bytes.len();
            match round % 3 {
                0 => bytes.truncate(at),
                _ => bytes[at] ^= 1 << (round % 8),
            }
            fs::write(&damaged, &bytes).expect("writes");
            let store = fixture.fresh_store("scratch");
            match artifact::open(&damaged, &store, &Progress::silent()) {
                Ok(read) => assert_eq!(read.tree, expected, "{format}: changed unseen at {at}"),
                Err(_) => refused += 1,
            }
            fs::remove_dir_all(fixture.path("scratch")).expect("removes");
        }
        assert!(refused > 20, "{format}: {refused} of 60 were refused");
    }
}

#[test]
fn what_everything_takes_is_the_size_of_the_file_in_every_format() {
    let fixture = Fixture::new();
    for format in IMAGES {
        let packed = fixture.pack(format, &format!("priced-{format}"));
        let store = fixture.fresh_store(&format!("priced-store-{format}"));
        let opened = artifact::open(&packed.path, &store, &Progress::silent()).expect("opens");
        let prices = artifact::prices(&opened, &store).expect("reads");
        let sum = prices.files.values().sum::<u64>() + prices.metadata_bytes + prices.container_bytes;
        assert_eq!(sum, opened.size_bytes, "{format}");
        let of = |name: &str| prices.files[&path(name)];
        let whole = 1 << 20;
        // Noise does not compress, zeros do, and what stands twice is charged once where it is stored once.
        assert!(
            (whole..whole + 20_000).contains(&of("border/1048576")),
            "{format}: {}",
            of("border/1048576")
        );
        assert!(matches!(format, Format::Tar | Format::Erofs) || of("border/zeros") < 10_000, "{format}");
        let twice = of("twice/one") + of("twice/two");
        let once = matches!(format, Format::Squashfs | Format::Erofs);
        assert!(!once || twice < 80_000, "{format}: {twice}");
        if matches!(format, Format::Tar | Format::Erofs) {
            assert_eq!((of("border/4033"), of("border/zeros")), (4033, (2 << 20) + 5), "{format}");
        }
        let again = artifact::prices(&opened, &store).expect("was noted");
        assert_eq!(again, prices, "{format}");
    }
}
