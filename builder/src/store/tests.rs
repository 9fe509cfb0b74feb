use std::{
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink},
};

use super::*;
use crate::{
    error::Hint as _,
    testing::skip,
    tree::{Entry, TreePath},
};

#[test]
fn a_directory_in_the_place_of_a_file_gives_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let path = directory.path().join("notes/kind/key");
    fs::create_dir_all(path.join("more")).expect("makes");
    assert_eq!(store.noted("kind", "key"), None);
    store.note("kind", "key", b"tea").expect("writes");
    assert_eq!(store.noted("kind", "key").as_deref(), Some(&b"tea"[..]));
    drop(store);
    fs::remove_dir_all(directory.path().join("notes")).expect("removes");
    fs::write(directory.path().join("notes"), "").expect("writes");
    let refused = Store::open(directory.path()).expect_err("is refused");
    assert!(matches!(refused, StoreError::Open { open: Open::Other, .. }), "{refused}");
}

#[test]
fn a_bundle_comes_back_in_another_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let mut bundle = store.begin_bundle("layer", "k").expect("begins");
    let (digest, size) = bundle.add(&b"hello"[..]).expect("adds");
    let mut tree = Tree::new();
    tree.insert(TreePath::new(b"a").expect("good"), Entry::file(digest, size, 0o644, 1));
    bundle.finish(&tree).expect("finishes");

    let other = Store::open(directory.path()).expect("opens");
    assert!(matches!(other.read(&digest), Err(StoreError::Missing(_))));
    assert_eq!(other.load_bundle("layer", "k").expect("is there").0, tree);
    assert_eq!(other.read(&digest).expect("is known"), b"hello");
    assert!(other.load_bundle("layer", "other").is_none());
    assert_eq!(fs::read_dir(other.tmp()).expect("lists").count(), 0);
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_a_live_one_has_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let live = Store::open(directory.path()).expect("opens");
    fs::write(live.tmp().join("half"), "written").expect("writes");
    let dead = directory.path().join("tmp/run-killed");
    fs::create_dir_all(dead.join("root")).expect("makes");
    fs::write(dead.join("root/half"), "written").expect("writes");
    let other = Store::open(directory.path()).expect("opens");
    assert!(!dead.exists());
    assert!(live.tmp().join("half").exists());
    let (one, two) = (live.tmp(), other.tmp());
    drop((live, other));
    assert!(!one.exists() && !two.exists());
}

#[test]
fn a_pack_can_be_patched_and_copied_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let mut bundle = store.begin_bundle("deb", "k").expect("begins");
    bundle.write_all(b"head----").expect("writes");
    let big: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let (digest, _) = bundle.add(&big[..]).expect("adds");
    bundle.patch(4, b"1234").expect("patches");
    assert!(bundle.patch(300_005, b"1234").is_err());
    bundle.write_all(b"end").expect("writes on");
    assert!(!store.knows(&digest));
    let pack = bundle.finish(&Tree::new()).expect("finishes");
    assert!(store.knows(&digest));
    pack.check().expect("is what was written, patches included");
    let pack = fs::read(pack.path()).expect("reads");
    assert_eq!((&pack[..8], &pack[300_008..]), (&b"head1234"[..], &b"end"[..]));
    let target = tempfile::tempfile().expect("a file");
    store.blob(&digest).expect("known").copy_to(&target).expect("copies");
    let mut copy = vec![0; big.len()];
    target.read_exact_at(&mut copy, 0).expect("reads");
    assert_eq!((copy, target.metadata().expect("is there").len()), (big, 300_000));
}

/// Writes a bundle of one file of so many bytes and returns its digest and pack.
fn bundle(store: &Store, key: &str, size: usize) -> (Digest, Pack) {
    let bytes: Vec<u8> = (0..size).map(|n| (n / 7) as u8).collect();
    let mut bundle = store.begin_bundle("deb", key).expect("begins");
    let (digest, size_bytes) = bundle.add(&bytes[..]).expect("adds");
    let file = Entry::file(digest, size_bytes, 0o644, 1);
    let tree = [(TreePath::new(b"a").expect("good"), file)].into_iter().collect();
    (digest, bundle.finish(&tree).expect("finishes"))
}

/// Changes one byte of a file in place.
fn change(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("reads");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("writes");
}

#[test]
fn a_byte_that_was_changed_in_a_pack_is_never_read_and_its_bundle_is_made_anew() {
    const SIZE: usize = 300_000;
    for at in [0, 70_000, SIZE as u64 - 1] {
        let directory = tempfile::tempdir().expect("a directory");
        let writer = Store::open(directory.path()).expect("opens");
        let (digest, pack) = bundle(&writer, "k", SIZE);
        let path = pack.path().to_path_buf();
        change(&path, at);
        let store = Store::open(directory.path()).expect("opens");
        store.load_bundle("deb", "k").expect("the bundle is whole");
        let blob = store.blob(&digest).expect("is known");
        // Contents in other chunks can still be read.
        let mut byte = [0];
        assert_eq!(blob.read_at(&mut byte, 140_000).expect("is whole"), 1);
        for _ in 0..2 {
            let error = blob.read_at(&mut byte, at).expect_err("is refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert!(blob.read().is_err());
        assert!(blob.copy_to(&tempfile::tempfile().expect("a file")).is_err());
        assert_eq!(store.take_damaged(), std::slice::from_ref(&path));
        assert!(store.take_refused());
        assert!(store.load_bundle("deb", "k").is_none());
        // It comes again under the same digest, and the damaged one is forgotten.
        bundle(&store, "k", SIZE);
        assert_eq!(store.read(&digest).expect("is whole").len(), SIZE);
        assert!(!store.has_refused());
    }
}

#[test]
fn a_pack_that_is_cut_off_is_refused_whenever_that_happens() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let (digest, pack) = bundle(&store, "k", 200_000);
    let blob = store.blob(&digest).expect("is known");
    blob.read().expect("is whole");
    let cut = |size| {
        let file = File::options().write(true).open(pack.path()).expect("opens");
        file.set_len(size).expect("cuts");
    };
    cut(100_000);
    assert_eq!(blob.read().expect_err("is cut off").kind(), io::ErrorKind::InvalidData);
    let (_, pack) = bundle(&store, "other", 200_000);
    File::options().write(true).open(pack.path()).expect("opens").set_len(5).expect("cuts");
    assert!(Store::open(directory.path()).expect("opens").load_bundle("deb", "other").is_none());
}

#[test]
fn what_another_seal_wrote_is_not_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let seals = ["a", "b"].map(|text| Seal::of_text(&text.repeat(40)).expect("is long"));
    let [one, other] = seals.map(|seal| Store::open_sealed(directory.path(), seal).expect("opens"));
    let (_, pack) = bundle(&one, "k", 1000);
    one.note("build", "k", b"done").expect("notes");
    assert_eq!(one.noted("build", "k"), Some(b"done".to_vec()));
    assert!(other.load_bundle("deb", "k").is_none() && other.noted("build", "k").is_none());
    assert_eq!(other.foreign(), 2);
    // An entry in the place of another is ignored, too.
    let [bundles, notes] = ["bundles/deb", "notes/build"].map(|name| directory.path().join(name));
    fs::copy(bundles.join("k"), bundles.join("l")).expect("copies");
    fs::copy(notes.join("k"), notes.join("l")).expect("copies");
    assert!(one.load_bundle("deb", "l").is_none() && one.noted("build", "l").is_none());
    // The replaced pack is removed, unless it is in use.
    let path = pack.path().to_path_buf();
    bundle(&other, "k", 1000);
    assert!(path.exists(), "a process that reads it by its path still can");
    drop((one, pack));
    let third = Store::open_sealed(directory.path(), Seal::of_text(&"c".repeat(40)).expect("is long"));
    let packs = || fs::read_dir(directory.path().join("packs")).expect("lists").count();
    drop(other);
    let before = packs();
    bundle(&third.expect("opens"), "k", 1000);
    assert_eq!(packs(), before);
}

#[test]
fn a_changed_bundle_or_note_is_none_whichever_byte_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    bundle(&store, "k", 10);
    store.note("build", "k", b"done").expect("notes");
    for (name, is_there) in [
        ("bundles/deb/k", (|store| store.load_bundle("deb", "k").is_some()) as fn(&Store) -> bool),
        ("notes/build/k", |store| store.noted("build", "k").is_some()),
    ] {
        let path = directory.path().join(name);
        let whole = fs::read(&path).expect("reads");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for damaged in [&flipped[..], &whole[..at]] {
                fs::write(&path, damaged).expect("writes");
                assert!(!is_there(&store), "{name}: byte {at}");
            }
        }
        fs::write(&path, &whole).expect("writes");
        assert!(is_there(&store));
    }
}

#[test]
fn names_of_packs_and_links_do_not_lead_out_of_the_cache() {
    for name in ["../../etc/passwd", "..", ".x", "a/b", "/etc/passwd", "", "a\0", "a\nb"] {
        let text = format!("pack {name} 1\nchunks \ntree\n");
        assert!(bundle::Text::parse(&text).is_none(), "{name}");
    }
    let place = tempfile::tempdir().expect("a directory");
    let (cache, outside) = (place.path().join("cache"), place.path().join("outside"));
    fs::create_dir(&outside).expect("makes");
    fs::write(outside.join("kept"), "kept").expect("writes");
    let store = Store::open(&cache).expect("opens");
    // As a copied cache can have them: files in the place of directories are replaced.
    for directory in ["bundles/deb", "notes/build"] {
        symlink(&outside, cache.join(directory)).expect("links");
    }
    let (_, pack) = bundle(&store, "k", 10);
    store.note("build", "k", b"done").expect("notes");
    assert_eq!(fs::read_dir(&outside).expect("lists").count(), 1);
    // A link or a FIFO is not a pack; opening it must not block.
    let path = pack.path().to_path_buf();
    for lay in [(|path| symlink("/dev/zero", path).expect("links")) as fn(&Path), |path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("makes")
    }] {
        bundle(&store, "k", 10);
        let (_, pack) = store.load_bundle("deb", "k").expect("is there");
        let path = pack.path().to_path_buf();
        fs::remove_file(&path).expect("removes");
        lay(&path);
        assert!(store.load_bundle("deb", "k").is_none());
    }
    drop(path);
    drop(store);
    fs::remove_dir(cache.join("tmp")).expect("is empty");
    symlink(&outside, cache.join("tmp")).expect("links");
    let error = Store::open(&cache).expect_err("would be swept").to_string();
    assert!(error.ends_with("cache/tmp: it is not a directory"), "{error}");
    assert!(outside.join("kept").exists());
}

#[test]
fn a_cache_is_closed_to_others_or_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let cache = place.path().join("new/cache");
    let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o7777;
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets");
    };
    drop(Store::open(&cache).expect("opens"));
    let all = [place.path().join("new"), cache.clone(), cache.join("packs"), cache.join("notes")];
    assert_eq!(all.each_ref().map(|path| mode(path)), [0o700; 4]);
    // As older versions made them.
    all.iter().for_each(|path| set(path, 0o755));
    drop(Store::open(&cache).expect("opens"));
    assert_eq!(all.each_ref().map(|path| mode(path)), [0o755, 0o700, 0o700, 0o700]);
    for (path, open) in [(&cache, 0o775), (&cache.join("packs"), 0o722)] {
        set(path, open);
        let store = Store::open(&cache).expect("is closed");
        assert_eq!((store.closed().map(|closed| closed.mode), mode(path)), (Some(open), 0o700));
    }
    for (path, mode) in [(&cache, 0o1777), (&cache.join("packs"), 0o1777)] {
        set(path, mode);
        let error = Store::open(&cache).expect_err("others can write");
        let name = path.display();
        let expected = format!("cannot use the cache {name}: other users can write to it (mode {mode:04o})");
        assert_eq!(error.to_string(), expected);
        let hint = error.hint().expect("can be mended");
        assert!(hint.contains("--cache "), "{hint}");
        set(path, 0o700);
    }
    let link = place.path().join("link");
    symlink(&cache, &link).expect("links");
    let store = Store::open(&link).expect("a link of ours is followed");
    assert_eq!(store.root(), fs::canonicalize(&cache).expect("is there"));
    assert_eq!(store.exposed(), None);
    set(place.path(), 0o777);
    assert!(Store::open(&cache).expect("opens").exposed().is_some());
    if std::os::unix::fs::chown(cache.join("packs"), Some(12345), None).is_err() {
        return skip("root, to give a directory to another user");
    }
    let error = Store::open(&cache).expect_err("is another's");
    assert!(error.to_string().ends_with("packs: it belongs to user 12345, and this is user 0"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("without sudo")));
}

#[test]
fn an_unfinished_bundle_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let mut bundle = store.begin_bundle("layer", "k").expect("begins");
    bundle.add(&b"hello"[..]).expect("adds");
    drop(bundle);
    assert!(store.load_bundle("layer", "k").is_none());
    assert_eq!(fs::read_dir(store.tmp()).expect("lists").count(), 0);
}
