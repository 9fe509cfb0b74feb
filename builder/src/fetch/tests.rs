//! .debs of a lock, from made archives.

use std::sync::Arc;

use super::*;
use crate::download::describe;
use crate::{
    archive,
    digest::Digest,
    download::{self},
    error::Hint as _,
    formats::checksum::Checksum,
    resolve::{Request, Resolution},
    testing::{self, FastClock, MadeArchive, Server, deb},
};

struct Fixture {
    served: tempfile::TempDir,
    cache: tempfile::TempDir,
    server: Server,
    lock: Lock,
}

/// An archive with three packages, one of them a security update, and the lock of them all.
fn fixture() -> Fixture {
    let served = tempfile::tempdir().expect("a directory");
    let mut packages = Vec::new();
    for (suite, name) in [("bookworm", "one"), ("bookworm", "two"), ("bookworm-security", "three")] {
        let deb = deb(name).version("1:2.0-1").file("usr/bin/x", 0o755, name);
        let made = MadeArchive::new(suite).add(deb.clone());
        made.write(served.path());
        let bytes = deb.build();
        packages.push(LockedPackage {
            name: name.into(),
            version: "1:2.0-1".into(),
            architecture: "amd64".into(),
            suite: suite.into(),
            path: made.path("main", &deb),
            size_bytes: bytes.len() as u64,
            checksum: Digest::of(&bytes).into(),
            because: String::new(),
        });
    }
    let empty = Lock::new("bookworm", "amd64", 0, &Request::default(), Vec::new(), &Resolution::default());
    let server = Server::start(served.path());
    let cache = tempfile::tempdir().expect("a directory");
    Fixture { served, cache, server, lock: Lock { packages, ..empty } }
}

impl Fixture {
    fn fetch_from(&self, mirrors: &[String], offline: bool) -> Result<Fetched, FetchError> {
        let options = archive::Options {
            mirrors: mirrors.to_vec(),
            sources: "/nonexistent".into(),
            ..archive::Options::default()
        };
        let mirrors = mirrors_of(&self.lock, &options, &[]).expect("mirrors");
        let store = Store::open(self.cache.path()).expect("opens");
        let downloader = Downloader::new(download::Options {
            clock: Arc::new(FastClock::default()),
            offline,
            ..download::Options::default()
        });
        fetch(&self.lock, &mirrors, &store, &downloader, &Progress::silent())
    }

    fn fetch(&self) -> Result<Fetched, FetchError> {
        self.fetch_from(&[self.server.url()], false)
    }

    /// Returns the error's text and hint.
    fn refusal(&self) -> (String, String) {
        let error = self.fetch().expect_err("a refusal");
        let text = error.to_string().replace(&self.server.url(), "URL");
        (text, error.hint().unwrap_or_default().into_owned())
    }
}

#[test]
fn every_package_is_fetched_once() {
    let fixture = fixture();
    let first = fixture.fetch().expect("fetches");
    let names: Vec<&str> = first.debs.iter().map(|deb| deb.package.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    let sizes: u64 = fixture.lock.packages.iter().map(|package| package.size_bytes).sum();
    assert_eq!(first.fetched_bytes, sizes);
    for deb in &first.debs {
        let digest = Digest::of(&fs::read(&deb.path).expect("is there"));
        assert_eq!((digest, Checksum::from(digest)), (deb.digest, deb.package.checksum));
    }
    assert_eq!(fixture.server.requests().len(), 3);
    assert_eq!(fixture.fetch().expect("fetches").fetched_bytes, 0);
    assert_eq!(fixture.fetch_from(&[], true).expect("needs no mirror").fetched_bytes, 0);
    assert_eq!(fixture.server.requests(), []);

    // A file that an earlier kill or full disk cut is not taken for the package.
    fs::write(&first.debs[1].path, "short").expect("writes");
    assert_eq!(fixture.fetch().expect("fetches").fetched_bytes, first.debs[1].package.size_bytes);
    assert_eq!(Digest::of(&fs::read(&first.debs[1].path).expect("reads")), first.debs[1].digest);
}

#[test]
fn a_package_that_left_the_archive_is_named_with_the_way_out() {
    let fixture = fixture();
    fs::remove_file(fixture.served.path().join(&fixture.lock.packages[1].path)).expect("removes");
    assert_eq!(
        fixture.refusal(),
        (
            "cannot fetch two 1:2.0-1: it is not there\n  at URL/pool/main/t/two/two_2.0-1_amd64.deb".into(),
            "the archive has moved on, or the mirror lacks it: name a service of past states with \
             --snapshot-service, or a further mirror with --mirror URL, or lock what there is now with \
             `tinyroot lock RECIPE --update two`"
                .into()
        )
    );
    fs::remove_file(fixture.served.path().join(&fixture.lock.packages[2].path)).expect("removes");
    fs::remove_dir_all(fixture.cache.path()).expect("removes");
    let (text, hint) = fixture.refusal();
    assert_eq!(
        text,
        "cannot fetch 2 of 3 packages\n  two 1:2.0-1, three 1:2.0-1: it is not there\n    at URL"
    );
    assert!(hint.ends_with("`tinyroot lock RECIPE`"), "{hint}");
    // The rest is not fetched twice.
    fixture.server.requests();
    fixture.refusal();
    assert_eq!(fixture.server.requests().len(), 2);
}

#[test]
fn a_package_with_other_bytes_is_refused() {
    let fixture = fixture();
    let one = fixture.lock.packages[0].clone();
    fixture.server.fault(&one.path, testing::Fault::WrongBytes);
    let mut forged = fs::read(fixture.served.path().join(&one.path)).expect("reads");
    forged[0] ^= 1;
    let (text, hint) = fixture.refusal();
    assert_eq!(
        text,
        format!(
            "cannot fetch one 1:2.0-1: its digest is not the expected one\n  expected sha256 {}\n  \
             found    sha256 {}\n  at URL/{}",
            one.checksum.hex(),
            Digest::of(&forged),
            one.path
        )
    );
    assert!(hint.starts_with("the mirror has other bytes under this name"), "{hint}");
    assert!(!Store::open(fixture.cache.path()).expect("opens").deb_path(&one.checksum).exists());
    fixture.server.heal();
    fixture.fetch().expect("fetches once the mirror is well again");
}

#[test]
fn another_mirror_helps() {
    let fixture = fixture();
    let whole = format!("file:{}", fixture.served.path().display());
    for fault in [testing::Fault::Status(404), testing::Fault::Short(9), testing::Fault::WrongBytes] {
        fixture.server.fault("*", fault);
        fixture.fetch_from(&[fixture.server.url(), whole.clone()], false).expect("fetches");
        fs::remove_dir_all(fixture.cache.path()).expect("removes");
    }
}

#[test]
fn without_mirror_or_network_it_says_so() {
    let fixture = fixture();
    let error = fixture.fetch_from(&[], false).expect_err("no mirror");
    assert_eq!(
        error.to_string().lines().nth(1),
        Some("  one 1:2.0-1, two 1:2.0-1, three 1:2.0-1: there is no place to fetch it from"),
        "{error}"
    );
    assert!(error.hint().expect("a hint").starts_with("name a mirror with --mirror URL"));
    let error = fixture.fetch_from(&[fixture.server.url()], true).expect_err("offline");
    assert_eq!(
        error.to_string(),
        "cannot fetch 3 of 3 packages\n  one 1:2.0-1, two 1:2.0-1, three 1:2.0-1 offline"
    );
    assert!(error.hint().expect("a hint").starts_with("run the same once without --offline, or"));
}

#[test]
fn a_path_of_a_lock_cannot_leave_the_mirror() {
    let mut fixture = fixture();
    fixture.lock.packages.truncate(1);
    for path in ["../../etc/passwd", "/etc/passwd", "pool/../../x.deb", "pool/./x.deb", ""] {
        fixture.lock.packages[0].path = path.into();
        let (text, _) = fixture.refusal();
        assert_eq!(text, "cannot fetch one 1:2.0-1: there is no place to fetch it from", "{path}");
    }
    assert_eq!(fixture.server.requests(), []);
}

#[test]
fn what_left_the_mirrors_comes_from_a_past_state() {
    let fixture = fixture();
    let package = &fixture.lock.packages[1];
    let gone = fixture.served.path().join(&package.path);
    // A day after the lock: the service had not seen the state of its very time yet.
    let kept = fixture.served.path().join("debian/19700102T000000Z").join(&package.path);
    fs::create_dir_all(kept.parent().expect("is below")).expect("makes");
    fs::rename(&gone, &kept).expect("moves");
    let options = archive::Options {
        mirrors: vec![fixture.server.url()],
        snapshots: Some(archive::Snapshots {
            template: format!("{}/{{archive}}/{{time}}/", fixture.server.url()),
            wanted_s: None,
        }),
        ..archive::Options::default()
    };
    let mirrors = mirrors_of(&fixture.lock, &options, &[]).expect("mirrors");
    let store = Store::open(fixture.cache.path()).expect("opens");
    let downloader = Downloader::new(download::Options::default());
    fetch(&fixture.lock, &mirrors, &store, &downloader, &Progress::silent()).expect("fetches");
    let asked: Vec<String> = fixture.server.requests().into_iter().map(|r| r.path).collect();
    let of_two: Vec<&String> = asked.iter().filter(|path| path.contains("/two_")).collect();
    let below = |prefix: &str| format!("{prefix}{}", package.path);
    assert_eq!(
        of_two.iter().map(|path| path.trim_start_matches('/').to_owned()).collect::<Vec<_>>(),
        [below(""), below("debian/19700101T000000Z/"), below("debian/19700102T000000Z/")]
    );
}

#[test]
fn no_archive_is_asked_for_files_of_another() {
    let fixture = fixture();
    let other = tempfile::tempdir().expect("a directory");
    let theirs = deb("theirs").version("1");
    let made = MadeArchive::new("stable").add(theirs.clone());
    made.write(other.path());
    let mut lock = fixture.lock.clone();
    let bytes = theirs.build();
    lock.packages.push(LockedPackage {
        name: "theirs".into(),
        suite: "other/stable".into(),
        path: made.path("main", &theirs),
        size_bytes: bytes.len() as u64,
        checksum: Digest::of(&bytes).into(),
        ..lock.packages[0].clone()
    });
    let options = archive::Options { mirrors: vec![fixture.server.url()], ..archive::Options::default() };
    let mut mirrors = mirrors_of(&lock, &options, &["other"]).expect("mirrors");
    mirrors.add("other", "stable", &[other.path().display().to_string()]).expect("a directory will do");
    let store = Store::open(fixture.cache.path()).expect("opens");
    let downloader = Downloader::new(download::Options::default());
    fetch(&lock, &mirrors, &store, &downloader, &Progress::silent()).expect("fetches");
    assert!(!fixture.server.requests().iter().any(|request| request.path.contains("theirs")));
}

#[test]
fn files_of_odd_names_are_asked_for_as_apt_asks() {
    let served = tempfile::tempdir().expect("a directory");
    let cache = tempfile::tempdir().expect("a directory");
    let server = Server::start(served.path());
    server.read_plus_as_blank();
    let names = [
        ("a_1:2.0+git~x.deb", "a_1:2.0%2bgit%7ex.deb"),
        ("pool/b@c=d (e) f%3a.deb", "pool/b@c=d%20(e)%20f%253a.deb"),
    ];
    let mut lock = Lock::new("bookworm", "amd64", 0, &Request::default(), Vec::new(), &Resolution::default());
    for (number, (path, _)) in names.iter().enumerate() {
        let bytes = format!("contents of {path}").into_bytes();
        fs::create_dir_all(served.path().join("pool")).expect("makes");
        fs::write(served.path().join(path), &bytes).expect("writes");
        // The second is known by its SHA-512 alone.
        let checksum = match number {
            0 => Digest::of(&bytes).into(),
            _ => Checksum::Sha512([0; 64]).of_same_kind(&bytes),
        };
        lock.packages.push(LockedPackage {
            name: format!("p{number}"),
            version: "1".into(),
            architecture: "all".into(),
            suite: "other/./".into(),
            path: (*path).into(),
            size_bytes: bytes.len() as u64,
            checksum,
            because: String::new(),
        });
    }
    let options = archive::Options { sources: "/nonexistent".into(), ..archive::Options::default() };
    let mut mirrors = mirrors_of(&lock, &options, &["other"]).expect("mirrors");
    mirrors.add("other", "./", &[server.url()]).expect("a URL will do");
    let store = Store::open(cache.path()).expect("opens");
    let downloader = Downloader::new(download::Options::default());
    let again = || fetch(&lock, &mirrors, &store, &downloader, &Progress::silent()).expect("fetches");
    let fetched = again();
    let mut asked: Vec<String> = server.requests().into_iter().map(|request| request.escaped).collect();
    asked.sort();
    assert_eq!(asked, names.map(|(_, escaped)| escaped));
    for (deb, (path, _)) in fetched.debs.iter().zip(names) {
        assert_eq!(deb.digest, Digest::of(format!("contents of {path}").as_bytes()));
    }
    assert_eq!(again().fetched_bytes, 0);
    // One that the disk has changed is fetched anew, known by SHA-512 or not.
    let path = &fetched.debs[1].path;
    let changed = fs::read(path).expect("reads").to_ascii_uppercase();
    fs::write(path, changed).expect("writes");
    assert_eq!(again().debs[1].digest, fetched.debs[1].digest);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_disk_that_fills_up_is_told_once_for_all_packages() {
    let fault = |what: &str| {
        let source = io::Error::from_raw_os_error(28);
        ((), DownloadError::Write { what: what.into(), path: "/pool".into(), source })
    };
    let text = describe(&[fault("findutils 4.9.0-4"), fault("dash 1")], 3, |()| "pool/x".into());
    assert_eq!(
        text,
        "cannot fetch 2 of 3 packages\n  findutils 4.9.0-4, dash 1: cannot write it below /pool: No space left on device (os error 28)"
    );
}
