//! Archives as they are found: flat ones, with odd names, half-good indexes, and Release files of all sorts.

use super::*;

/// An archive beside Debian's, with keys of its own.
fn other(archives: &[MadeArchive]) -> Fixture {
    let mut fixture = fixture(archives);
    fixture.options.name = Some("other".into());
    fixture
}

impl Fixture {
    /// Returns the warnings since the last call.
    fn warned(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().expect("no panic holds the lock"))
    }

    fn opened(&self, suite: &str) -> Archive {
        let selection = Selection { pockets: Vec::new(), ..Selection::new(suite, "amd64") };
        self.open_with(&selection, false).expect(suite)
    }
}

#[test]
fn a_suite_may_be_an_exact_path_or_have_slashes() {
    for (suite, release, index) in [
        ("./", "InRelease", "Packages.xz"),
        ("stable/", "stable/InRelease", "stable/Packages.xz"),
        ("deb/stable/", "deb/stable/InRelease", "deb/stable/Packages.xz"),
        (
            "bookworm/mongodb-org/7.0",
            "dists/bookworm/mongodb-org/7.0/InRelease",
            "dists/bookworm/mongodb-org/7.0/main/binary-amd64/Packages.xz",
        ),
    ] {
        let made = MadeArchive::new(suite).without_by_hash().add(deb("hello"));
        let fixture = other(std::slice::from_ref(&made));
        let archive = fixture.opened(suite);
        assert_eq!(fixture.requested(), [release, index]);
        assert_eq!(archive.indexes[0].suite, format!("other/{suite}"));
        assert_eq!(archive.indexes[0].text[..], reduced(&made.packages("main")));
        assert_eq!(archive.indexes[0].architecture, "amd64");
        assert_eq!(fixture.warned(), [] as [&str; 0], "{suite}");
        // Fetched files are found again, offline too.
        let selection = Selection { pockets: Vec::new(), ..Selection::new(suite, "amd64") };
        assert_eq!(fixture.open_with(&selection, true).expect("is kept").indexes.len(), 1);
        fixture.opened(suite);
        assert_eq!(fixture.requested(), [release]);
    }
}

#[test]
fn suites_in_one_another_are_kept_apart() {
    let suites = ["stable", "stable/", "stable/updates"];
    let made = suites.map(|suite| MadeArchive::new(suite).add(deb("hello")));
    let fixture = other(&made);
    for _ in 0..2 {
        suites.iter().for_each(|suite| drop(fixture.opened(suite)));
    }
    let requests = fixture.server.requests();
    assert_eq!(requests.iter().filter(|request| request.conditional).count(), 3);
}

#[test]
fn an_index_may_be_in_another_form_alone() {
    let whole = "dists/bookworm/main/binary-amd64";
    for (archive, path) in [
        (made().compressions(&[Compression::Bzip2]), format!("{whole}/Packages.bz2")),
        (made().compressions(&[Compression::Gzip]).without_plain_listed(), format!("{whole}/Packages.gz")),
        (made().sha512(), format!("{whole}/Packages.xz")),
        (made().sha512().without_plain_listed(), format!("{whole}/Packages.xz")),
        (made().architecture("all"), "dists/bookworm/main/binary-all/Packages.xz".to_owned()),
    ] {
        let archive = archive.without_by_hash();
        let fixture = fixture(std::slice::from_ref(&archive));
        let index = &fixture.open().expect("opens").indexes[0];
        assert_eq!(index.text[..], reduced(&archive.packages("main")));
        assert_eq!(index.digest, Digest::of(archive.packages("main").as_bytes()));
        assert_eq!(fixture.requested(), ["dists/bookworm/InRelease".to_owned(), path.clone()]);
        // Kept, with the digest of the whole.
        assert_eq!(fixture.open().expect("opens").indexes[0].digest, index.digest);
        assert_eq!(fixture.requested(), ["dists/bookworm/InRelease"]);
        // A changed one is found out, whatever it is listed by.
        fs::remove_dir_all(fixture.cache.path().join("indexes")).expect("removes");
        fixture.server.fault(&path, Fault::WrongBytes);
        assert!(fixture.error().contains("its digest is not the expected one"), "{path}");
    }
    let by_hash = fixture(&[made().sha512()]);
    by_hash.open().expect("opens");
    assert!(by_hash.requested()[1].starts_with(&format!("{whole}/by-hash/SHA512/")));
    let repeated =
        fixture(&[made().architecture("all").field("No-Support-for-Architecture-all", "Packages")]);
    assert_eq!(repeated.error(), "bookworm has no component `main` for amd64");
}

#[test]
fn stanzas_that_cannot_be_used_are_left_out_with_a_warning() {
    let stanza = |name: &str, rest: &str| {
        format!(
            "Package: {name}\n{rest}Architecture: all\nFilename: a.deb\nSize: 1\nSHA256: {}\n\n",
            "0".repeat(64)
        )
    };
    let bad = stanza("one", "Version: testing\n") + &stanza("two", "Version: 1\nVersion: 2\n");
    let more = stanza("three", "") + &stanza("four", "Version: 4\nDepends: (\n") + "<html>\n\n";
    let archive = made().stanzas(&bad).stanzas(&more);
    let fixture = other(&[archive]);
    let opened = fixture.open().expect("opens");
    assert_eq!(opened.indexes[0].text.table().expect("there is one").len(), 1);
    let expected = "5 stanzas of other/bookworm are left out\n  \
                    one testing: its Version `testing` is not a version: it does not begin with a digit\n  \
                    two 1: its Version comes twice\n  three: it has no Version\n  and 2 more";
    assert_eq!(fixture.warned(), [expected]);
    // Each time, also where the index was kept.
    fixture.open().expect("opens");
    assert_eq!(fixture.warned(), [expected]);
}

#[test]
fn indexes_of_other_systems_and_other_bytes_are_read() {
    let windows = other(&[made().in_index("\n", "\r\n")]);
    assert_eq!(windows.open().expect("opens").indexes[0].text.table().expect("one").len(), 1);
    assert_eq!(windows.warned(), [] as [&str; 0]);
    // Where nobody reads it, any byte will do.
    let field = |name: &str| made().add(deb("other").field(name, "caf?")).in_index("caf?", &b"caf\xe9"[..]);
    for (name, count, warned) in [
        ("X-Comment", 2, None),
        ("Section", 1, Some("1 stanza of other/bookworm is left out\n  other 1.0: it is not UTF-8")),
    ] {
        let fixture = other(&[field(name)]);
        assert_eq!(fixture.open().expect("opens").indexes[0].text.table().expect("one").len(), count);
        assert_eq!(fixture.warned(), warned.as_slice());
    }
}

#[test]
fn what_archives_of_others_say_oddly_is_let_pass_with_a_warning() {
    let date = "Date: Mon, 01 Jan 2024 00:00:00 UTC\n";
    let odd = |what: &str| Some(format!("the Release file of other/bookworm is odd: {what}"));
    let rows = [
        (made().instead("Suite: bookworm\n", ""), None),
        (
            made().instead("Suite: bookworm\n", "").instead("Codename: bookworm\n", ""),
            odd("it has neither Suite nor Codename"),
        ),
        (made().calling_itself("nodistro"), odd("it calls itself nodistro and nodistro and not bookworm")),
        (made().instead(date, ""), odd("it has no Date, so that of its signature counts, 2024-01-01")),
        (
            made().instead(date, "Date: soon\n"),
            odd("its Date is not a time, so that of its signature counts, 2024-01-01"),
        ),
        (
            made().instead(date, "Date: 2024-01-01T00:00:00Z\n"),
            odd("its Date is not of the form that RFC 2822 has"),
        ),
    ];
    for (archive, warning) in rows {
        let fixture = other(&[archive]);
        for _ in 0..2 {
            assert_eq!(fixture.open().expect("opens").time_s, ARCHIVE_TIME_S);
            assert_eq!(fixture.warned(), warning.as_slice());
        }
        let offline = fixture.open_with(&only("bookworm"), true).expect("is kept");
        assert_eq!(offline.time_s, ARCHIVE_TIME_S);
        // Debian's own has to be as it should be.
        if warning.is_some() {
            let debian = Fixture { options: Options { name: None, ..fixture.options.clone() }, ..fixture };
            debian.open().expect_err("strict");
        }
    }
    // A file without a time is measured by its signature, replays among it.
    let undated = |time_s| made().instead("Date: ", "X-Date: ").date_s(time_s);
    let fixture = other(&[undated(ARCHIVE_TIME_S + DAY_S)]);
    fixture.open().expect("opens");
    fixture.write(&[undated(ARCHIVE_TIME_S)]);
    assert!(fixture.error().contains("older than the one of 2024-01-02"), "{}", fixture.error());
}

#[test]
fn a_replay_is_one_of_the_same_path_of_a_mirror() {
    let newer = |suite: &str| MadeArchive::new(suite).date_s(ARCHIVE_TIME_S + DAY_S);
    let mut fixture = other(&[]);
    newer("nodistro").write(&fixture.served.path().join("node_22.x"));
    let older = MadeArchive::new("nodistro").write(&fixture.served.path().join("node_20.x"));
    fixture.options.keyring = Some(older.keyring);
    let of = |fixture: &mut Fixture, paths: &[&str]| {
        let url = fixture.server.url();
        fixture.options.mirrors = paths.iter().map(|path| format!("{url}/{path}")).collect();
        fixture.open_with(&only("nodistro"), false).map(|archive| archive.time_s)
    };
    assert_eq!(of(&mut fixture, &["node_22.x"]).expect("opens"), ARCHIVE_TIME_S + DAY_S);
    assert_eq!(of(&mut fixture, &["node_20.x"]).expect("is another"), ARCHIVE_TIME_S);
    // The same path is the same archive, on another host as well.
    MadeArchive::new("nodistro").write(&fixture.served.path().join("node_22.x"));
    let error = of(&mut fixture, &["node_22.x"]).expect_err("a replay").to_string();
    assert!(error.contains("older than the one of 2024-01-02"), "{error}");
    let moved = Server::start(fixture.served.path());
    fixture.options.mirrors = vec![format!("{}/node_22.x", moved.url())];
    let error = fixture.open_with(&only("nodistro"), false).expect_err("a replay").to_string();
    assert!(error.contains("older than the one of 2024-01-02"), "{error}");
    // Mirrors of one recipe are of one archive.
    let error = of(&mut fixture, &["node_20.x", "node_22.x"]).expect_err("a replay").to_string();
    assert!(error.contains("older than the one of 2024-01-02"), "{error}");
}
