use std::path::PathBuf;

use super::*;
use crate::{
    artifact,
    formats::{key_file::Key, manifest::Manifest, spk::SpkError, xz},
    progress::Progress,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn key() -> Key {
    Key::from_seed([7; 32])
}

fn manifest() -> Manifest {
    Manifest::for_init("Wiki", "1.0", 1, "wiki")
}

/// Bytes that are the same on every run and compress a little.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 58) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn write(tree: &Tree, store: &Store, manifest: &Manifest, out: &Path) -> Result<Packed, PackError> {
    let writer = SpkWriter { manifest, signer: Signer::Key(&key()) };
    writer.write(Packable(tree.clone()), out, store, &Progress::silent())
}

struct Fixture {
    directory: tempfile::TempDir,
    store: Store,
    tree: Tree,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        Fixture { directory, store, tree: Tree::new() }
    }

    fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        let entry = Entry::file(self.store.put(bytes), bytes.len() as u64, mode, 1_700_000_000);
        self.tree.insert(path(name), entry);
    }

    fn entry(&mut self, name: &str, entry: Entry) {
        self.tree.insert(path(name), entry);
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("app.spk")
    }

    fn pack(&mut self) -> Result<Packed, PackError> {
        self.tree.add_parents(0);
        write(&self.tree, &self.store, &manifest(), &self.out())
    }
}

/// A tree with something of each kind and enough of it that each kind has its block.
fn rich() -> Fixture {
    let mut fixture = Fixture::new();
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(18, 0);
    program.extend([62, 0]);
    program.resize(64, 0);
    program.extend(noise(1, 300_000));
    fixture.file("usr/bin/program", 0o755, &program);
    fixture.file("usr/share/table", 0o644, &noise(2, 1 << 20));
    fixture.file("usr/share/a text", 0o600, b"words\n");
    fixture.file("usr/share/empty", 0o644, b"");
    fixture.entry("usr/share/link", Entry::symlink("../bin/program", 5));
    fixture.entry("empty", Entry::directory(6));
    fixture
}

#[test]
fn what_is_packed_can_be_opened() {
    let mut fixture = rich();
    let packed = fixture.pack().expect("packs");
    let kinds: Vec<_> = packed.blocks.iter().map(|b| (b.kind, b.kept)).collect();
    assert_eq!(kinds, [("metadata and small files", false), ("data", false), ("x86 programs", false)]);
    let other = Store::open(&fixture.directory.path().join("other")).expect("opens");
    for _cold_and_warm in 0..2 {
        let opened = artifact::open(&packed.path, &other, &Progress::silent()).expect("opens");
        let artifact::Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
        assert_eq!((opened.digest, spk.package_id), (packed.digest, packed.package_id));
        assert_eq!((spk.app_id, &spk.manifest), (key().app_id(), &manifest()));
        let names: Vec<String> = opened.tree.iter().map(|(path, _)| path.to_string()).collect();
        let expected = [
            "",
            "dev",
            "empty",
            "proc",
            "proc/cpuinfo",
            "sandstorm-manifest",
            "tmp",
            "usr",
            "usr/bin",
            "usr/bin/program",
            "usr/share",
            "usr/share/a\\x20text",
            "usr/share/empty",
            "usr/share/link",
            "usr/share/table",
            "var",
        ];
        assert_eq!(names[1..], expected[1..]);
        for (path, entry) in fixture.tree.iter().filter(|(path, _)| !path.is_root()) {
            let found = opened.tree.get(path.as_bytes()).expect("is there");
            assert_eq!(found.kind, entry.kind, "{path}");
            assert_eq!(found.mtime_s, entry.mtime_s, "{path}");
            if let Some((digest, _)) = found.kind.content() {
                assert_eq!(other.read(&digest).expect("reads"), fixture.store.read(&digest).expect("reads"));
            }
        }
        assert_eq!(opened.tree.get(b"usr/share/a text").expect("is there").mode, 0o644);
        assert_eq!(opened.tree.get(b"usr/bin/program").expect("is there").mode, 0o755);
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let (mut one, mut two) = (rich(), rich());
    let first = one.pack().expect("packs");
    assert_eq!(two.pack().expect("packs").digest, first.digest);
    let again = one.pack().expect("packs");
    assert_eq!(again.digest, first.digest);
    assert_eq!(again.blocks.iter().map(|b| b.kept).collect::<Vec<_>>(), [false, true, true]);
    // A change in a small file leaves the large blocks as they were.
    one.file("usr/share/a text", 0o644, b"other words\n");
    let changed = one.pack().expect("packs");
    assert_ne!(changed.digest, first.digest);
    assert_eq!(changed.blocks.iter().map(|b| b.kept).collect::<Vec<_>>(), [false, true, true]);
    // The digest itself, so that a change of bytes that no one meant is seen.
    assert_eq!(first.digest.to_string(), "f157a29e3a2eb0b618821954904deb4cf08d835abcd2de85d5ecabd995ff0d0b");
}

/// A tree with two runs of Debian's small files.
fn with_runs() -> Fixture {
    let mut fixture = rich();
    for at in 0..10 {
        fixture.file(&format!("usr/share/app/{at}.php"), 0o644, &noise(10 + at, 900_000));
        fixture.file(&format!("usr/share/app/{at}.css"), 0o644, &noise(30 + at, 100_000));
    }
    fixture.tree.add_parents(0);
    fixture
}

/// Packs each block by itself, on so many threads, and returns the blocks with whether they were kept.
fn blocks_on(workers: usize, fixture: &Fixture) -> Vec<Encoded> {
    let (key, store, silent) = (key(), &fixture.store, Progress::silent());
    let signed = sign(&fixture.tree, &manifest(), &Signer::Key(&key), store, &silent).expect("signs");
    let planned = cut(&signed.archive.message);
    let contents = Contents { store, archive: &signed.archive };
    let task = silent.task("packing", 0, Unit::Bytes);
    encode(&contents, &planned, xz::Effort::Fast, workers, &task).expect("packs")
}

#[test]
fn blocks_are_the_same_on_any_number_of_cores() {
    let one = blocks_on(1, &with_runs());
    assert_eq!(one.len(), 5, "metadata, two runs, data and programs");
    for workers in [2, 3, 16] {
        assert!(blocks_on(workers, &with_runs()) == one, "{workers} threads");
    }
}

#[test]
fn a_changed_file_leaves_the_blocks_of_other_runs_as_they_were() {
    let mut fixture = with_runs();
    let kinds = |packed: &Packed| packed.blocks.iter().map(|b| (b.kind, b.kept)).collect::<Vec<_>>();
    fixture.pack().expect("packs");
    fixture.file("usr/share/app/3.css", 0o644, b"p { color: red }");
    let (small, data, programs) = ("metadata and small files", ("data", true), ("x86 programs", true));
    let debian = |kept| ("small files of Debian", kept);
    let packed = fixture.pack().expect("packs");
    assert_eq!(kinds(&packed), [(small, false), debian(false), debian(true), data, programs]);
    fixture.tree.remove(b"usr/share/app/3.php");
    let packed = fixture.pack().expect("packs");
    assert_eq!(kinds(&packed), [(small, false), debian(true), debian(false), data, programs]);
}

#[test]
fn a_carried_signature_writes_the_same_package_without_the_key_and_no_other() {
    let mut fixture = rich();
    let packed = fixture.pack().expect("packs");
    let opened = artifact::open(&packed.path, &fixture.store, &Progress::silent()).expect("opens");
    let artifact::Details::Spk(spk) = &opened.details else { panic!("is an .spk") };
    let (manifest, signer) = (manifest(), Signer::Carried(&spk.signature));
    let writer = SpkWriter { manifest: &manifest, signer };
    assert_eq!(writer.app_id(), Some(key().app_id()));
    let out = fixture.directory.path().join("again.spk");
    let store = Store::open(&fixture.directory.path().join("clean")).expect("opens");
    let same = rich();
    let mut tree = same.tree.clone();
    for (_, entry) in same.tree.iter() {
        entry.kind.content().map(|(digest, _)| store.put(same.store.read(&digest).expect("reads")));
    }
    let again = writer.write(Packable(tree.clone()), &out, &store, &Progress::silent()).expect("packs");
    assert_eq!((again.digest, again.app_id), (packed.digest, packed.app_id));
    tree.insert(path("more"), Entry::directory(6));
    let other = fixture.directory.path().join("other.spk");
    let error = writer.write(Packable(tree), &other, &store, &Progress::silent()).expect_err("is another");
    assert_eq!(error.to_string(), "the signature that it should carry is of another archive");
    assert!(!other.exists());
}

/// Two programs that are the same but for their end. Relative, their jumps are the same too; absolute, they
/// are not.
#[test]
fn programs_that_are_alike_are_left_as_they_are() {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(18, 0);
    program.extend([62, 0]);
    program.resize(64, 0);
    for place in noise(3, 180_000).chunks(3) {
        program.extend([0xe8, place[0], place[1], place[2], 0]);
    }
    let other = [&program[..], b"other"].concat();
    let both = [&program[..], &other].concat();
    let size = |filter| {
        let block =
            xz::encode_block(&both[..], both.len() as u64, filter, xz::Effort::Best).expect("encodes");
        block.bytes.len() as u64
    };
    let (with, without) = (size(&xz::Filter::X86), size(&xz::Filter::PROGRAM));
    assert!(without + 10_000 < with, "{without} and {with}");
    let mut fixture = Fixture::new();
    fixture.file("bin/one", 0o755, &program);
    fixture.file("bin/two", 0o755, &other);
    let packed = fixture.pack().expect("packs");
    let block = packed.blocks.last().expect("has one");
    assert_eq!(block.kind, "alike x86 programs");
    assert!(block.packed_bytes.abs_diff(without) < 100, "{} is not {without}", block.packed_bytes);
    let again = fixture.pack().expect("packs");
    assert_eq!((again.digest, again.blocks.last().map(|b| b.kept)), (packed.digest, Some(true)));
}

#[test]
fn what_the_format_cannot_hold_is_left_out_or_refused() {
    let mut fixture = Fixture::new();
    fixture.entry("run/pipe", Entry::new(Kind::Fifo, 0o644, 0));
    fixture.entry("dev/null", Entry::new(Kind::CharacterDevice { major: 1, minor: 3 }, 0o666, 0));
    fixture.file("suid", 0o4755, b"x");
    fixture.entry("old", Entry::symlink("suid", -5));
    let packed = fixture.pack().expect("packs");
    let opened = artifact::open(&packed.path, &fixture.store, &Progress::silent()).expect("opens");
    assert!(opened.tree.get(b"run/pipe").is_none());
    assert!(opened.tree.get(b"dev/null").is_none());
    assert_eq!(opened.tree.get(b"suid").expect("is there").mode, 0o755);
    assert_eq!(opened.tree.get(b"old").expect("is there").mtime_s, 0);

    let deep = vec!["d"; 63].join("/");
    let refused: [(&str, &str, Entry, &str); 4] = [
        ("too deep", &format!("{deep}/file"), Entry::directory(0), "lies below more than 62 directories"),
        ("too late", "late", Entry::directory(1 << 40), "has a modification time after the year 2262"),
        ("in a link", "link/x", Entry::directory(0), "lies below something that is not a directory"),
        ("no target", "nowhere", Entry::symlink("", 0), "is a symbolic link without a target"),
    ];
    for (summary, name, entry, rule) in refused {
        let mut fixture = Fixture::new();
        fixture.entry("link", Entry::symlink("x", 0));
        fixture.entry(name, entry);
        let error = fixture.pack().expect_err(summary);
        let PackError::Tree(source) = &error else { panic!("{summary}: {error}") };
        assert!(source.to_string().ends_with(rule), "{summary}: {source}");
        assert!(!fixture.out().exists(), "{summary}");
    }
}

#[test]
fn limits_are_met_before_anything_is_signed() {
    let mut fixture = Fixture::new();
    let digest = fixture.store.put(b"x".to_vec());
    fixture.entry("lying", Entry::file(digest, 2, 0o644, 0));
    assert!(matches!(fixture.pack(), Err(PackError::Contents { .. })));
    let mut tree = Tree::new();
    tree.insert(path("large"), Entry::file(digest, crate::formats::spk::MAX_FILE_BYTES + 1, 0o644, 0));
    let error = crate::formats::spk::write_archive(&tree, |_| 0).expect_err("too large");
    assert_eq!(error.to_string(), "`large` is larger than 536870911 bytes");
    for name in ["one", "two", "three"] {
        tree.insert(path(name), Entry::file(digest, 400 << 20, 0o644, 0));
    }
    tree.remove(b"large");
    let error = crate::formats::spk::write_archive(&tree, |_| 0).expect_err("too large");
    assert!(matches!(error, SpkError::TooLarge { .. }), "{error}");
}

#[test]
fn a_failed_packing_leaves_nothing() {
    let mut fixture = Fixture::new();
    fixture.file("x", 0o644, b"x");
    let mut missing = fixture.tree.clone();
    missing.insert(path("gone"), Entry::file(crate::digest::Digest::of(b"gone"), 4, 0o644, 0));
    let out = fixture.directory.path().join("none/app.spk");
    let error = write(&fixture.tree, &fixture.store, &manifest(), &out);
    assert!(matches!(error, Err(PackError::Io(_))));
    let error = write(&missing, &fixture.store, &manifest(), &fixture.out());
    assert!(matches!(error, Err(PackError::Contents { .. })));
    let mut untitled = manifest();
    untitled.title.clear();
    let error = write(&fixture.tree, &fixture.store, &untitled, &fixture.out());
    assert!(matches!(error, Err(PackError::Manifest("title"))));
    let left: Vec<_> = std::fs::read_dir(fixture.directory.path()).expect("lists").collect();
    assert_eq!(left.len(), 1, "only the cache");
}

#[test]
fn prices_of_the_files_and_of_the_rest_are_the_size_of_the_package() {
    let mut fixture = rich();
    let mut incompressible = vec![0; 50_000];
    blake3::Hasher::new().finalize_xof().fill(&mut incompressible);
    fixture.file("usr/share/noise", 0o644, &incompressible);
    fixture.file("usr/share/noise-again", 0o644, &incompressible);
    fixture.file("usr/share/zeros", 0o644, &vec![0; 50_000]);
    let packed = fixture.pack().expect("packs");
    let opened = artifact::open(&packed.path, &fixture.store, &Progress::silent()).expect("opens");
    let prices = artifact::prices(&opened, &fixture.store).expect("reads");
    let files: u64 = prices.files.values().sum();
    assert_eq!(files + prices.metadata_bytes + prices.container_bytes, packed.size_bytes);
    let of = |name: &str| prices.files[&path(name)];
    let (one, two) = (of("usr/share/noise"), of("usr/share/noise-again"));
    assert!((50_000..51_000).contains(&one.max(two)), "{one} and {two}");
    assert!(one.min(two) < 200, "the other copy is nearly free: {one} and {two}");
    assert!(of("usr/share/zeros") < 100);

    std::fs::remove_file(&packed.path).expect("removes");
    let again = artifact::prices(&opened, &fixture.store).expect("was noted");
    assert_eq!(again, prices);
}

#[test]
fn a_package_that_changed_since_it_was_opened_has_no_prices() {
    let mut fixture = rich();
    let packed = fixture.pack().expect("packs");
    let opened = artifact::open(&packed.path, &fixture.store, &Progress::silent()).expect("opens");
    std::fs::write(&packed.path, "another").expect("writes");
    let error = artifact::prices(&opened, &fixture.store).expect_err("another file");
    assert!(matches!(error, artifact::ArtifactError::Io(_)), "{error}");
}
