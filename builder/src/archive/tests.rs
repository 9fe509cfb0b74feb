//! Made archives, opened.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    download,
    error::Hint as _,
    progress::Sink,
    testing::{ARCHIVE_TIME_S, Compression, FastClock, Fault, Key, MadeArchive, Server, deb},
};

const DAY_S: i64 = 86_400;

/// An archive that is served, and a store.
struct Fixture {
    served: tempfile::TempDir,
    cache: tempfile::TempDir,
    server: Server,
    options: Options,
    warnings: Arc<Mutex<Vec<String>>>,
}

struct Warnings(Arc<Mutex<Vec<String>>>);

impl Sink for Warnings {
    fn begin(&self, _: u64, _: &str, _: u64, _: Unit) {}
    fn update(&self, _: u64, _: u64, _: Option<&str>) {}
    fn end(&self, _: u64) {}
    fn warn(&self, text: &str) {
        self.0.lock().expect("no panic holds the lock").push(text.into());
    }
}

fn fixture(archives: &[MadeArchive]) -> Fixture {
    let served = tempfile::tempdir().expect("a directory");
    let cache = tempfile::tempdir().expect("a directory");
    let server = Server::start(served.path());
    let options = Options {
        mirrors: vec![server.url()],
        keyring: Some(served.path().join("keyring.asc")),
        now_s: ARCHIVE_TIME_S + 10 * DAY_S,
        sources: "/nonexistent".into(),
        ..Options::default()
    };
    let fixture = Fixture { served, cache, server, options, warnings: Arc::default() };
    fixture.write(archives);
    fixture
}

impl Fixture {
    fn write(&self, archives: &[MadeArchive]) {
        for archive in archives {
            archive.write(self.served.path());
        }
    }

    fn open_with(&self, selection: &Selection, offline: bool) -> Result<Archive, ArchiveError> {
        let store = Store::open(self.cache.path()).expect("opens");
        let downloader = Downloader::new(download::Options {
            offline,
            clock: Arc::new(FastClock::default()),
            ..download::Options::default()
        });
        let progress = Progress::new(Arc::new(Warnings(self.warnings.clone())));
        open(selection, &self.options, &store, &downloader, &progress)
    }

    /// Opens `main` of a suite without pockets.
    fn open(&self) -> Result<Archive, ArchiveError> {
        self.open_with(&only("bookworm"), false)
    }

    /// Returns the text of an error, with the server's URL replaced.
    fn error(&self) -> String {
        self.open().expect_err("a refusal").to_string().replace(&self.server.url(), "URL")
    }

    fn hint(&self) -> String {
        self.open().expect_err("a refusal").hint().unwrap_or_default().into_owned()
    }

    fn requested(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.server.requests().into_iter().map(|r| r.path).collect();
        paths.sort();
        paths
    }
}

fn only(suite: &str) -> Selection {
    Selection { pockets: Vec::new(), ..Selection::new(suite, "amd64") }
}

/// Returns stanzas as an opened archive has them.
fn reduced(stanzas: &str) -> Vec<u8> {
    crate::formats::packages::reduce(stanzas.as_bytes())
}

fn made() -> MadeArchive {
    MadeArchive::new("bookworm").add(deb("hello").file("usr/bin/hello", 0o755, "hi\n"))
}

#[test]
fn the_indexes_of_all_pockets_come_in_order() {
    let archives = [
        made(),
        MadeArchive::new("bookworm-updates").date_s(ARCHIVE_TIME_S + 5).add(deb("hello").version("1.1")),
        MadeArchive::new("bookworm-security").date_s(ARCHIVE_TIME_S + 3).field("NotAutomatic", "yes"),
    ];
    let fixture = fixture(&archives);
    let selection = Selection::new("bookworm", "amd64");
    let archive = fixture.open_with(&selection, false).expect("opens");
    assert_eq!(archive.time_s, ARCHIVE_TIME_S + 5);
    let suites: Vec<&str> = archive.indexes.iter().map(|index| index.suite.as_str()).collect();
    assert_eq!(suites, ["bookworm", "bookworm-updates", "bookworm-security"]);
    for (index, made) in archive.indexes.iter().zip(&archives) {
        let text = made.packages("main");
        assert_eq!(index.text[..], reduced(&text));
        assert_eq!(index.digest, Digest::of(text.as_bytes()));
        assert_eq!(index.signed_by, [Key::new(1).fingerprint()]);
        assert_eq!((&*index.component, &*index.architecture), ("main", "amd64"));
    }
    assert_eq!(archive.indexes[1].time_s, ARCHIVE_TIME_S + 5);
    let automatic: Vec<bool> = archive.indexes.iter().map(|index| !index.not_automatic).collect();
    assert_eq!(automatic, [true, true, false]);
}

#[test]
fn an_unchanged_archive_costs_one_request_a_suite() {
    let fixture = fixture(&[made()]);
    let first = fixture.open().expect("opens");
    let digest = first.indexes[0].digest;
    fixture.server.requests();
    let second = fixture.open().expect("opens");
    assert_eq!(second.indexes[0].text, first.indexes[0].text);
    let requests = fixture.server.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].conditional && requests[0].path == "dists/bookworm/InRelease");

    // A damaged copy of an index is not used but fetched again, and an earlier text of it stays as it was.
    let kept = fixture.cache.path().join(format!("indexes/texts/{digest}-amd64"));
    let whole = fs::read(&kept).expect("reads");
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("is not empty") ^= 1;
    for damaged in [vec![b'x'; whole.len()], flipped, whole[..whole.len() - 1].to_vec(), Vec::new()] {
        fs::write(&kept, damaged).expect("writes");
        assert_eq!(fixture.open().expect("opens").indexes[0].text, first.indexes[0].text);
        assert_eq!(fixture.server.requests().len(), 2);
        assert_eq!(fs::read(&kept).expect("reads"), whole);
    }
}

#[test]
fn a_changed_archive_is_fetched_anew() {
    let fixture = fixture(&[made()]);
    fixture.open().expect("opens");
    let newer = made().date_s(ARCHIVE_TIME_S + DAY_S).add(deb("more"));
    fixture.write(std::slice::from_ref(&newer));
    let archive = fixture.open().expect("opens");
    assert_eq!(archive.indexes[0].text[..], reduced(&newer.packages("main")));
    assert_eq!(archive.time_s, ARCHIVE_TIME_S + DAY_S);
}

#[test]
fn offline_uses_what_was_fetched_before() {
    let mut fixture = fixture(&[made().valid_until_s(ARCHIVE_TIME_S + 20 * DAY_S)]);
    let selection = only("bookworm");
    let error = fixture.open_with(&selection, true).expect_err("never fetched");
    assert_eq!(error.to_string(), "cannot open bookworm offline: it was never fetched");
    assert_eq!(error.hint().as_deref(), Some("run the same once without --offline"));
    let online = fixture.open().expect("opens");
    fixture.server.requests();
    // Neither its age nor the loss of the mirror matters then.
    fixture.options.now_s += 1000 * DAY_S;
    fixture.options.mirrors.clear();
    let offline = fixture.open_with(&selection, true).expect("opens");
    assert_eq!(offline.indexes[0].text, online.indexes[0].text);
    assert_eq!(fixture.server.requests(), []);
    let error = fixture.open().expect_err("no mirror");
    assert_eq!(
        error.to_string(),
        "cannot find a mirror for bookworm: none was given, and the apt sources in /nonexistent name none"
    );
}

#[test]
fn an_archive_in_a_directory_needs_no_network() {
    let mut fixture = fixture(&[made()]);
    fixture.options.mirrors = vec![fixture.served.path().display().to_string()];
    let archive = fixture.open_with(&only("bookworm"), true).expect("opens");
    assert_eq!(archive.indexes[0].text[..], reduced(&made().packages("main")));
}

#[test]
fn what_is_not_to_be_trusted_is_refused() {
    let now = ARCHIVE_TIME_S + 10 * DAY_S;
    let stranger = Key::new(2);
    let unknown = format!(
        "no trusted key vouches for it\n  signature by {}: the key is not in the keyring",
        stranger.fingerprint()
    );
    for (archive, reason, hint) in [
        (made().key(stranger), unknown.as_str(), "for an archive with keys of its own"),
        (
            made().valid_until_s(now - DAY_S),
            "it was valid until 2024-01-10 only, and the clock of this host says 2024-01-11",
            "if this host's clock is right, the mirror is out of date",
        ),
        (made().calling_itself("trixie"), "it is the suite `trixie` and not `bookworm`", ""),
        (
            made().instead("Date:", "Tade:"),
            "its Release file breaks a rule of the format: it has no Date",
            "",
        ),
        (
            made().field("Suite", "bookworm"),
            "its Release file breaks a rule of the format: line 9: Suite stands there twice",
            "",
        ),
        (
            made().instead(" main/binary-amd64/Packages.xz", " ../main/binary-amd64/Packages.xz"),
            "its Release file breaks a rule of the format: line 12: the path ../main/binary-amd64/Packages.xz does not stay \
             below its suite",
            "",
        ),
        (
            // The signature's time and the text's are two things.
            made().instead("01 Jan 2024", "01 Jan 2025"),
            "it was made on 2025-01-01, but the clock of this host says 2024-01-11",
            "set this host's clock",
        ),
    ] {
        let fixture = fixture(&[made()]);
        let keyring = fs::read(fixture.served.path().join("keyring.asc")).expect("reads");
        fixture.write(&[archive]);
        fs::write(fixture.served.path().join("keyring.asc"), keyring).expect("writes");
        assert_eq!(
            fixture.error(),
            format!("cannot fetch dists/bookworm/InRelease: {reason}\n  at URL/dists/bookworm/InRelease")
        );
        let found = fixture.hint();
        assert!(found.starts_with(hint) && found.is_empty() == hint.is_empty(), "{found}");
        let kept = fs::read_dir(fixture.cache.path().join("indexes")).expect("lists").count();
        assert_eq!(kept, 0, "nothing of it is kept: {reason}");
    }
}

#[test]
fn a_changed_release_file_is_refused() {
    let fixture = fixture(&[made()]);
    let path = fixture.served.path().join("dists/bookworm/InRelease");
    let text = fs::read_to_string(&path).expect("reads");
    let wrong = "the signature is wrong: the text or the signature was changed";
    let damaged = "it is not one clear-signed text: it is damaged, or something follows its signature";
    for (changed, reason) in [
        (text.replace("Label: Made", "Label: Mode"), wrong),
        (format!("Label: Made\n{text}"), "it is not one clear-signed text: it does not begin as one"),
        (format!("{text}\nLabel: Made\n"), damaged),
        (text[..text.len() / 2].to_owned(), damaged),
        (String::new(), "it is not one clear-signed text: it does not begin as one"),
    ] {
        fs::write(&path, &changed).expect("writes");
        let error = fixture.error();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert!(fixture.hint().starts_with("this is no mirror of a Debian archive"), "{}", fixture.hint());
}

#[test]
fn an_older_release_file_is_refused_as_a_replay() {
    let fixture = fixture(&[made()]);
    let old = fs::read(fixture.served.path().join("dists/bookworm/InRelease")).expect("reads");
    fixture.write(&[made().date_s(ARCHIVE_TIME_S + DAY_S).add(deb("fixed"))]);
    let newest = fixture.open().expect("opens");
    fs::write(fixture.served.path().join("dists/bookworm/InRelease"), old).expect("writes");
    assert_eq!(
        fixture.error(),
        "cannot fetch dists/bookworm/InRelease: it is of 2024-01-01 00:00 UTC, older than the one of \
         2024-01-02 00:00 UTC that was fetched before\n  at URL/dists/bookworm/InRelease"
    );
    assert!(fixture.hint().starts_with("the mirror is behind"), "{}", fixture.hint());
    let offline = fixture.open_with(&only("bookworm"), true).expect("opens");
    assert_eq!(offline.indexes[0].digest, newest.indexes[0].digest);
}

#[test]
fn a_mirror_out_of_date_is_passed_over_for_another() {
    let mut fixture = fixture(&[made().valid_until_s(ARCHIVE_TIME_S + DAY_S)]);
    let other = tempfile::tempdir().expect("a directory");
    let newer = made().date_s(ARCHIVE_TIME_S + 9 * DAY_S).valid_until_s(ARCHIVE_TIME_S + 20 * DAY_S);
    newer.write(other.path());
    fixture.options.mirrors.push(other.path().display().to_string());
    assert_eq!(fixture.open().expect("opens").time_s, ARCHIVE_TIME_S + 9 * DAY_S);
}

#[test]
fn an_index_that_is_not_the_listed_one_is_refused() {
    for (fault, reason) in [
        (Fault::WrongBytes, "its digest is not the expected one"),
        (Fault::Short(3), "it is 3 bytes long and not "),
        (Fault::Endless, "it is longer than "),
        (Fault::Status(404), "it is not there"),
        (Fault::CutOff(3), "the connection broke off after "),
    ] {
        let fixture = fixture(&[made()]);
        let release = format!("{}/dists/bookworm/InRelease", fixture.server.url());
        // Everything but the Release file, which comes from a healthy server.
        let healthy = Server::start(fixture.served.path());
        let to = Fault::Redirect(release.replace(&fixture.server.url(), &healthy.url()));
        fixture.server.fault("*", fault.clone());
        fixture.server.fault("dists/bookworm/InRelease", to);
        let error = fixture.error();
        let start = "cannot fetch dists/bookworm/main/binary-amd64/Packages.xz: none of 2 places has it";
        assert!(error.starts_with(start) && error.contains(reason), "{fault:?}: {error}");
        assert!(!fixture.cache.path().join("indexes/packages").exists(), "{fault:?}");
        fixture.server.heal();
        fixture.open().expect("opens once the mirror is well again");
    }
}

#[test]
fn an_index_is_decompressed_within_the_listed_size_only() {
    let text = made().packages("main");
    let line = format!("{} {} main/binary-amd64/Packages\n", Digest::of(text.as_bytes()), text.len());
    for (what, listed) in [
        ("smaller", format!("{} {} main/binary-amd64/Packages\n", Digest::of(text.as_bytes()), 10)),
        (
            "larger",
            format!("{} {} main/binary-amd64/Packages\n", Digest::of(text.as_bytes()), text.len() + 1),
        ),
        ("another", format!("{} {} main/binary-amd64/Packages\n", Digest::of(b"x"), text.len())),
    ] {
        let fixture = fixture(&[made().instead(&line, &listed)]);
        let error = fixture.error();
        let start =
            "cannot use dists/bookworm/main/binary-amd64/Packages.xz: its text is not the listed one\n";
        assert!(error.starts_with(start), "{what}: {error}");
        assert!(!fixture.cache.path().join("indexes/packages").exists(), "{what}");
    }
}

#[test]
fn an_archive_may_have_other_forms_of_its_indexes() {
    let whole = "dists/bookworm/main/binary-amd64";
    for (archive, path) in [
        (made().without_by_hash(), format!("{whole}/Packages.xz")),
        (made().without_by_hash().compressions(&[Compression::Gzip]), format!("{whole}/Packages.gz")),
        (made().without_by_hash().compressions(&[Compression::None]), format!("{whole}/Packages")),
        (made().without_by_hash().compressions(&[Compression::Zstd]), format!("{whole}/Packages.zst")),
        (
            made().without_by_hash().compressions(&[Compression::None, Compression::Gzip, Compression::Xz]),
            format!("{whole}/Packages.xz"),
        ),
    ] {
        let text = reduced(&archive.packages("main"));
        let fixture = fixture(&[archive]);
        assert_eq!(fixture.open().expect("opens").indexes[0].text[..], text);
        assert_eq!(fixture.requested(), ["dists/bookworm/InRelease".to_owned(), path]);
    }
    let fixture = fixture(&[made()]);
    fixture.open().expect("opens");
    let requested = fixture.requested();
    assert!(requested[1].starts_with(&format!("{whole}/by-hash/SHA256/")), "{requested:?}");
}

#[test]
fn an_index_for_all_architectures_counts_where_it_is_apart() {
    let all = MadeArchive::new("bookworm").architecture("all").add(deb("data").architecture("all"));
    let packages = all.packages("main");
    let listed = {
        let directory = tempfile::tempdir().expect("a directory");
        all.write(directory.path());
        let text = fs::read_to_string(directory.path().join("dists/bookworm/InRelease")).expect("reads");
        text.lines()
            .filter(|line| line.contains("/binary-all/"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    for (fields, expected) in [
        (vec![("Architectures", "amd64 all")], 2),
        (vec![("Architectures", "amd64 all"), ("No-Support-for-Architecture-all", "Packages")], 1),
        (vec![("Architectures", "amd64")], 1),
    ] {
        let mut native =
            made().instead("Architectures: amd64\n", "").instead("SHA256:\n", &format!("SHA256:\n{listed}"));
        for (name, value) in fields.clone() {
            native = native.field(name, value);
        }
        let fixture = fixture(&[all.clone(), native.clone()]);
        let archive = fixture.open().expect("opens");
        assert_eq!(archive.indexes.len(), expected, "{fields:?}");
        let apart = archive.indexes.iter().find(|index| index.architecture == "all");
        assert_eq!(apart.map(|index| index.text[..] == reduced(&packages)), (expected == 2).then_some(true));
    }
}

#[test]
fn a_component_must_be_in_the_suite_but_not_in_its_pockets() {
    let fixture = fixture(&[made().add_to("contrib", deb("extra")), MadeArchive::new("bookworm-updates")]);
    let components = vec!["main".to_owned(), "contrib".to_owned()];
    let pockets = vec!["updates".to_owned()];
    let selection = Selection { pockets, components, ..only("bookworm") };
    let archive = fixture.open_with(&selection, false).expect("opens");
    let found: Vec<(&str, &str)> =
        archive.indexes.iter().map(|index| (index.suite.as_str(), index.component.as_str())).collect();
    assert_eq!(found, [("bookworm", "main"), ("bookworm", "contrib"), ("bookworm-updates", "main")]);
    let warnings = fixture.warnings.lock().expect("no panic holds the lock").clone();
    assert_eq!(warnings, ["bookworm-updates has no component contrib for amd64"]);

    let error = |selection: Selection| fixture.open_with(&selection, false).expect_err("missing").to_string();
    let components = vec!["non-free".to_owned()];
    assert_eq!(
        error(Selection { components, ..only("bookworm") }),
        "bookworm has no component `non-free` for amd64"
    );
    let arm = Selection { architecture: "arm64".into(), ..only("bookworm") };
    assert_eq!(error(arm), "bookworm has no component `main` for arm64");
    for name in ["..", "main/../x", "/etc/", ""] {
        let expected = format!("`{name}` cannot be the name of a suite, component or architecture");
        assert_eq!(error(only(name)), expected);
        if name != "/etc/" {
            assert_eq!(error(Selection { components: vec![name.into()], ..only("bookworm") }), expected);
        }
    }
    let missing = fixture.open_with(&only("sid"), false).expect_err("missing");
    assert_eq!(missing.to_string().lines().next(), Some("cannot fetch dists/sid/InRelease: it is not there"));
    assert!(missing.hint().expect("a hint").starts_with("check the name of the suite"));
}

#[test]
fn security_updates_are_looked_for_beside_debian_first() {
    let mut fixture = fixture(&[]);
    made().write(&fixture.served.path().join("debian"));
    let updates = MadeArchive::new("bookworm-security").add(deb("fixed"));
    let written = updates.write(&fixture.served.path().join("debian-security"));
    fixture.options.keyring = Some(written.keyring);
    fixture.options.mirrors = vec![format!("{}/debian/", fixture.server.url())];
    let selection = Selection { pockets: vec!["security".into()], ..only("bookworm") };
    let archive = fixture.open_with(&selection, false).expect("opens");
    assert_eq!(archive.indexes[1].text[..], reduced(&updates.packages("main")));
}

#[test]
fn a_pocket_without_a_mirror_is_told_with_the_way_to_leave_it_out() {
    let mut fixture = fixture(&[made()]);
    let sources = tempfile::tempdir().expect("a directory");
    let line = format!("deb {}/ bookworm main\n", fixture.server.url());
    fs::write(sources.path().join("sources.list"), line).expect("writes");
    fixture.options.sources = sources.path().into();
    fixture.options.mirrors.clear();
    fixture.open().expect("opens the suite alone");
    let selection = Selection { pockets: vec!["security".into()], ..only("bookworm") };
    let error = fixture.open_with(&selection, false).expect_err("a refusal");
    assert!(error.to_string().starts_with("cannot find a mirror for bookworm-security: "), "{error}");
    let hint = error.hint().expect("has one");
    assert!(hint.contains("leave bookworm-security out") && hint.contains("`pockets = []`"), "{hint}");
}

#[test]
fn suites_without_releases_have_no_pockets() {
    for (suite, suites) in
        [("bookworm", &["bookworm", "bookworm-updates", "bookworm-security"][..]), ("sid", &["sid"])]
    {
        assert_eq!(Selection::new(suite, "amd64").suites(), suites);
    }
}

#[test]
fn what_other_keys_vouch_for_is_another_archive() {
    let mut fixture = fixture(&[made().date_s(ARCHIVE_TIME_S + DAY_S)]);
    fixture.open().expect("opens");
    let other = tempfile::tempdir().expect("a directory");
    let older = made().key(Key::new(7)).add(deb("other"));
    fixture.options.keyring = Some(older.write(other.path()).keyring);
    fixture.options.mirrors = vec![other.path().display().to_string()];
    let archive = fixture.open().expect("no replay, since it is not the same archive");
    assert_eq!(archive.indexes[0].text[..], reduced(&older.packages("main")));
}

#[test]
fn a_kept_release_file_that_was_damaged_is_fetched_anew() {
    let fixture = fixture(&[made()]);
    fixture.open().expect("opens");
    let names = fs::read_dir(fixture.cache.path().join("indexes")).expect("lists").flatten();
    let kept: PathBuf =
        names.map(|entry| entry.path().join("bookworm")).find(|path| path.exists()).expect("kept");
    for damaged in [&b""[..], b"url x\n\n", b"\xff\xff\n\n", b"url a\netag b\nmodified c\n\nSuite: evil\n"] {
        fs::write(&kept, damaged).expect("writes");
        fixture.open().expect("opens");
        assert!(fs::metadata(&kept).expect("is there").len() > 100);
    }
    assert!(Path::new(&kept).exists());
}

#[test]
fn a_signature_may_stand_apart() {
    let fixture = fixture(&[made().signed_apart()]);
    let opened = fixture.open().expect("opens");
    assert_eq!(opened.indexes[0].signed_by, [Key::new(1).fingerprint()]);
    fixture.requested();
    assert_eq!(fixture.open().expect("opens").indexes[0].text, opened.indexes[0].text);
    let release = fixture.served.path().join("dists/bookworm/Release");
    let text = fs::read_to_string(&release).expect("reads");
    fs::write(&release, text.replace("Origin: Made", "Origin: Fake")).expect("writes");
    fs::remove_dir_all(fixture.cache.path().join("indexes")).expect("removes");
    assert!(fixture.error().contains("the signature is wrong"), "{}", fixture.error());
    fs::write(&release, &text).expect("writes");
    fs::write(release.with_extension("gpg"), "nothing").expect("writes");
    assert!(fixture.error().contains("the signature beside it cannot be read"), "{}", fixture.error());
    fs::remove_file(release.with_extension("gpg")).expect("removes");
    assert!(fixture.error().contains("Release.gpg: it is not there"), "{}", fixture.error());
    fixture.write(&[made().signed_apart().key(Key::new(2))]);
    fs::write(fixture.served.path().join("keyring.asc"), Key::new(1).armored()).expect("writes");
    assert!(fixture.error().contains("the key is not in the keyring"), "{}", fixture.error());
}

#[test]
fn an_archive_beside_debians_has_keys_of_its_own() {
    let debian = fixture(&[made()]);
    let mut other = fixture(&[MadeArchive::new("bookworm").key(Key::new(2)).add(deb("theirs"))]);
    other.options.name = Some("other".into());
    let mut joined = debian.open().expect("opens");
    joined.join(other.open().expect("opens"));
    let suites: Vec<&str> = joined.indexes.iter().map(|index| index.suite.as_str()).collect();
    assert_eq!(suites, ["bookworm", "other/bookworm"]);

    // Neither's keys vouch for the other.
    for (one, another) in [(&debian, &other), (&other, &debian)] {
        let keyring = another.served.path().join("keyring.asc");
        let options = Options { keyring: Some(keyring), ..one.options.clone() };
        let store = Store::open(one.cache.path()).expect("opens");
        let downloader = Downloader::new(download::Options::default());
        let error = open(&only("bookworm"), &options, &store, &downloader, &Progress::silent());
        let error = error.expect_err("a refusal").to_string();
        assert!(error.contains("the key is not in the keyring"), "{error}");
    }
    // The host's own sources are Debian's; an archive without a mirror has none.
    other.options.mirrors.clear();
    assert!(matches!(other.open(), Err(ArchiveError::NoMirror { .. })));
}

#[test]
fn a_past_state_is_read_as_of_its_own_time() {
    let fixture = fixture(&[]);
    let time = "20240102T000000Z";
    let past = fixture.served.path().join("debian").join(time);
    made().valid_until_s(ARCHIVE_TIME_S + 7 * DAY_S).write(&past);
    let keyring = Some(past.join("keyring.asc"));
    let at = |wanted_s| Options {
        keyring: keyring.clone(),
        now_s: ARCHIVE_TIME_S + 900 * DAY_S,
        snapshots: Some(Snapshots {
            template: format!("{}/{{archive}}/{{time}}", fixture.server.url()),
            wanted_s: Some(wanted_s),
        }),
        ..fixture.options.clone()
    };
    let open = |options: &Options| {
        let store = Store::open(fixture.cache.path()).expect("opens");
        let downloader = Downloader::new(download::Options::default());
        open(&only("bookworm"), options, &store, &downloader, &Progress::silent())
    };
    let opened = open(&at(ARCHIVE_TIME_S + DAY_S)).expect("was valid then");
    assert_eq!((opened.time_s, opened.indexes[0].suite.as_str()), (ARCHIVE_TIME_S, "bookworm"));
    let error = open(&at(ARCHIVE_TIME_S + 2 * DAY_S)).expect_err("there is none").to_string();
    assert!(error.contains("/debian/20240103T000000Z/dists/bookworm/InRelease"), "{error}");
}

mod kinds;
