use std::{fs::File, io::Write as _, os::unix::fs::FileExt as _};

use super::*;
use crate::{digest::Digest, formats::checksum::Checksum, tree::Tree};

/// Makes an entry that was last used so many hours ago; returns its file.
fn made(store: &Store, key: &str, hours: u64) -> PathBuf {
    let mut bundle = store.begin_bundle("deb", key).expect("begins");
    bundle.write_all(&[7; 100_000]).expect("writes");
    drop(bundle.finish(&Tree::new()).expect("finishes"));
    let path = store.root().join("bundles/deb").join(key);
    age(&path, hours);
    path
}

fn age(path: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::options().write(true).open(path).expect("opens").set_modified(then).expect("sets");
}

fn download(store: &Store, bytes: &[u8], hours: u64) -> PathBuf {
    let path = store.deb_path(&Checksum::Sha256(Digest::of(bytes)));
    store.write_file(&path, bytes).expect("writes");
    age(&path, hours);
    path
}

fn total(store: &Store) -> u64 {
    store.entries().iter().map(|entry| entry.size_bytes).sum()
}

#[test]
fn what_was_used_last_stays_the_longest() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let old = made(&store, "old", 50);
    let deb = download(&store, &[1; 50_000], 40);
    let used = made(&store, "used", 60);
    let new = made(&store, "new", 30);
    store.load_bundle("deb", "used").expect("is there");
    let all = total(&store);
    assert_eq!(store.trim(all, || ()).removed.len(), 0);
    let trimmed = store.trim(all - 1, || ());
    assert_eq!(trimmed.removed.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&old]);
    assert_eq!(trimmed.kept_bytes, total(&store));
    store.trim(201_000, || ());
    assert!(!deb.exists() && new.exists() && used.exists());
    store.trim(150_000, || ());
    assert!(!new.exists() && used.exists());
    store.trim(0, || ());
    assert_eq!((total(&store), fs::read_dir(store.root().join("packs")).expect("lists").count()), (0, 0));
}

#[test]
fn what_is_in_use_stays_and_what_no_entry_names_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let [store, other] = [0, 1].map(|_| Store::open(directory.path()).expect("opens"));
    made(&store, "k", 9);
    let (_, pack) = store.load_bundle("deb", "k").expect("is there");
    // As a kill between a pack and its bundle leaves it, and one between a bundle and its pack.
    let key = Digest::of(b"l");
    let remains = [0, 1].map(|number| store.root().join(format!("packs/deb-{key}-0abcd{number}")));
    remains.iter().for_each(|path| fs::write(path, "left").expect("writes"));
    let unfinished = store.begin_bundle("deb", "m").expect("begins");
    let kinds = by_kind(&other.entries());
    assert_eq!((kinds[&Kind::Remains].count, kinds[&Kind::UnpackedPackages].count), (2, 1));
    let trimmed = other.trim(u64::MAX, || ());
    assert!(remains.iter().all(|path| !path.exists()) && trimmed.removed.len() == 2);
    let trimmed = other.trim(0, || ());
    assert!(trimmed.removed.is_empty() && trimmed.in_use_bytes > 100_000);
    assert_eq!(trimmed.in_use_bytes, trimmed.kept_bytes);
    pack.check().expect("is whole");
    unfinished.finish(&Tree::new()).expect("is not disturbed");
    assert!(other.load_bundle("deb", "m").is_some() && other.load_bundle("deb", "k").is_some());
}

#[test]
fn trimming_waits_for_those_who_rely_on_downloads() {
    let directory = tempfile::tempdir().expect("a directory");
    let [store, other] = [0, 1].map(|_| Store::open(directory.path()).expect("opens"));
    let deb = download(&store, b"tea", 1);
    let relying = store.rely_on_downloads(|| ());
    let (sender, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| other.trim(0, || sender.send(()).expect("is heard")));
        waits.recv().expect("it waits");
        assert!(deb.exists());
        drop(relying);
    });
    assert!(!deb.exists());
}

#[test]
fn what_is_damaged_is_found_wherever_it_is_and_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let check = |store: &Store| store.check(|_| false, |_| ());
    let flip = |path: &Path, at| {
        let file = File::options().write(true).open(path).expect("opens");
        file.write_all_at(b"X", at).expect("writes");
    };
    let deb = download(&store, b"tea", 1);
    let bundle = made(&store, "k", 1);
    store.note("build", "k", b"done").expect("notes");
    let checked = check(&store);
    assert_eq!((checked.count, checked.damaged.len(), checked.foreign.len()), (3, 0, 0));
    flip(&deb, 1);
    let pack = fs::read_dir(store.root().join("packs")).expect("lists").next().expect("is there");
    let pack = pack.expect("lists").path();
    flip(&pack, 70_000);
    assert_eq!(check(&store).damaged, [deb.clone(), pack.clone()]);
    assert!(!deb.exists() && !pack.exists() && !bundle.exists());
    // A seal that does not hold says nothing of who is to blame.
    let note = store.root().join("notes/build/k");
    flip(&note, 90);
    let checked = check(&store);
    assert_eq!((checked.damaged, &checked.foreign[..]), (vec![], std::slice::from_ref(&note)));
    store.remove_foreign(&note).expect("removes");
    assert_eq!(check(&store).count, 0);
}

#[test]
fn what_is_not_of_tinyroot_is_told_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let others = [
        "bundles/deb/mine",
        "debs/tea_1_amd64.deb",
        "debs/sub/mine",
        "indexes/mine",
        "notes/build/todo",
        "notes/todo",
        "npm/tea-1.0.0.tgz",
        "packs/deb-tea-notes",
        "packs/tea.pack",
    ];
    let others = others.map(|name| directory.path().join(name));
    for path in &others {
        fs::create_dir_all(path.parent().expect("has one")).expect("makes");
        fs::write(path, "mine").expect("writes");
    }
    let deb = download(&store, &[1; 50_000], 40);
    made(&store, "k", 9);
    let mut found = store.check(|_| false, |_| ());
    found.others.sort_by_key(|path| others.iter().position(|other| other == path));
    assert_eq!((found.count, found.damaged.len(), found.foreign.len()), (2, 0, 0));
    assert_eq!(found.others, others);
    let trimmed = store.trim(0, || ());
    assert_eq!((trimmed.removed.len(), trimmed.kept_bytes), (2, 0));
    assert!(!deb.exists() && others.iter().all(|path| fs::read(path).is_ok_and(|bytes| bytes == b"mine")));
}

#[test]
fn an_entry_of_another_seal_goes_with_its_pack() {
    let directory = tempfile::tempdir().expect("a directory");
    let [store, other] = ["a", "b"].map(|letter| {
        let seal = crate::seal::Seal::of_text(&letter.repeat(40)).expect("is long");
        Store::open_sealed(directory.path(), seal).expect("opens")
    });
    made(&store, "k", 9);
    let found = other.check(|_| false, |_| ());
    assert_eq!(found.foreign.len(), 1);
    found.foreign.iter().for_each(|path| other.remove_foreign(path).expect("removes"));
    assert_eq!(other.entries().len(), 0);
    assert_eq!(fs::read_dir(directory.path().join("packs")).expect("lists").count(), 0);
}

#[test]
fn a_use_is_noted_once_an_hour_and_one_from_the_future_is_put_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    store.note("build", "k", b"done").expect("notes");
    let path = store.root().join("notes/build/k");
    let age = || age_s(fs::metadata(&path).expect("is there").mtime());
    self::age(&path, 5);
    store.noted("build", "k").expect("is there");
    assert!(age() < 60);
    let then = SystemTime::now() - Duration::from_secs(1800);
    let set = |then| {
        File::options().write(true).open(&path).expect("opens").set_modified(then).expect("sets");
    };
    set(then);
    store.noted("build", "k").expect("is there");
    assert!(age() >= 1800);
    set(SystemTime::now() + Duration::from_secs(1 << 20));
    store.noted("build", "k").expect("is there");
    assert!(fs::metadata(&path).expect("is there").modified().expect("is known") <= SystemTime::now());
}
