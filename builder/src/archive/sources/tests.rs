//! Mirrors from options and from apt's sources.

use std::fs;

use super::*;

fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Options) {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("below")).expect("makes");
        fs::write(path, text).expect("writes");
    }
    let options = Options { sources: directory.path().into(), ..Options::default() };
    (directory, options)
}

fn suites() -> Vec<String> {
    ["bookworm", "bookworm-updates", "bookworm-security"].map(str::to_owned).to_vec()
}

/// Returns the bases of the three suites of bookworm.
fn found(options: &Options) -> [Vec<String>; 3] {
    let mirrors = Mirrors::find(&suites(), options).expect("finds");
    ["bookworm", "bookworm-updates", "bookworm-security"].map(|suite| mirrors.of(suite).to_vec())
}

#[test]
fn given_mirrors_serve_every_pocket() {
    for (given, [main, updates, security]) in [
        (
            &["http://m/debian/"][..],
            [
                &["http://m/debian"][..],
                &["http://m/debian"],
                &["http://m/debian-security", "http://m/debian"],
            ],
        ),
        (&["/srv/made"], [&["file:/srv/made"], &["file:/srv/made"], &["file:/srv/made"]]),
        (
            &["https://a/x", "http://b/debian"],
            [
                &["https://a/x", "http://b/debian"],
                &["https://a/x", "http://b/debian"],
                &["https://a/x", "http://b/debian-security", "http://b/debian"],
            ],
        ),
    ] {
        let mirrors = given.iter().map(|&mirror| mirror.to_owned()).collect();
        let options = Options { mirrors, ..Options::default() };
        assert_eq!(found(&options), [main, updates, security].map(<[&str]>::to_vec), "{given:?}");
    }
}

#[test]
fn what_is_no_mirror_is_refused() {
    for given in ["ftp://m/debian", "m/debian", "", "http://m/a b", "debian"] {
        let options = Options { mirrors: vec![given.into()], ..Options::default() };
        let error = Mirrors::find(&suites(), &options).expect_err(given);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot use the mirror `{given}`: it is neither an http, https or file URL nor an absolute directory"
            )
        );
    }
}

#[test]
fn a_mirror_that_is_refused_shows_no_password() {
    for given in ["me:SECRET@m", "ftp://me:SECRET@m/", "http://me:SECRET@m/a b", "HTTP://me:SEC/RET@m"] {
        let options = Options { mirrors: vec![given.into()], ..Options::default() };
        let error = Mirrors::find(&suites(), &options).expect_err(given);
        assert!(!error.to_string().contains("SEC") && error.to_string().contains('m'), "{error}");
    }
}

#[test]
fn the_hosts_sources_are_read_in_both_forms() {
    let deb822 = "# Debian\nTypes: deb deb-src\nURIs: http://a/debian/\n  http://b/debian\n\
                  Suites: bookworm bookworm-updates\nComponents: main\n\n\
                  Types: deb\nURIs: http://a/debian-security\n# a comment\nSuites: bookworm-security\n\
                  Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
    let list = "# deb http://no/debian bookworm main\n\
                deb-src http://no/debian bookworm main\n\
                deb [arch=amd64 signed-by=/x] http://a/debian bookworm main contrib # why\n\
                deb\thttp://b/debian bookworm main\n\
                deb http://a/debian bookworm-updates main\n\
                deb http://b/debian bookworm-updates main\n\
                deb http://a/debian-security bookworm-security main\n";
    let expected = [
        &["http://a/debian", "http://b/debian"][..],
        &["http://a/debian", "http://b/debian"],
        &["http://a/debian-security"],
    ];
    for (name, text) in [
        ("sources.list.d/debian.sources", deb822),
        ("sources.list", list),
        ("sources.list.d/debian.list", list),
    ] {
        let (_directory, options) = host(&[(name, text)]);
        assert_eq!(found(&options), expected.map(<[&str]>::to_vec), "{name}");
    }
}

#[test]
fn strange_sources_are_passed_over() {
    let (_directory, options) = host(&[
        ("sources.list", "deb cdrom:[Debian 12] bookworm main\ndeb https://third/party nodistro main\n"),
        (
            "sources.list.d/off.sources",
            "Types: deb\nEnabled: no\nURIs: http://off/debian\nSuites: bookworm\n\n\
             Types: deb\nENABLED: Off\nURIs: http://off/debian\nSuites: bookworm\n\n\
             Types: deb\nEnabled: Disable \nURIs: http://off/debian\nSuites: bookworm\n\n\
             # Types: deb\n#URIs: http://off/debian\n#Suites: bookworm\n",
        ),
        ("sources.list.d/.hidden.list", "deb http://off/debian bookworm main\n"),
        ("sources.list.d/de bian.list", "deb http://off/debian bookworm main\n"),
        ("sources.list.d/debian.list~", "deb http://off/debian bookworm main\n"),
        ("sources.list.d/debian", "deb http://off/debian bookworm main\n"),
        (
            "sources.list.d/commented.list",
            "#deb http://off/debian bookworm main\n  # deb http://off/debian bookworm main\n",
        ),
        ("sources.list.d/src.sources", "Types: deb-src\nURIs: http://src/debian\nSuites: bookworm\n"),
        ("sources.list.d/old.list.disabled", "deb http://old/debian bookworm main\n"),
        ("sources.list.d/broken.sources", " a\n\n:\nURIs\n"),
        ("sources.list.d/other.list", "deb http://vendor/apt bookworm-vendor-security main"),
    ]);
    let [main, updates, _] = found(&options);
    assert_eq!((main, updates), (Vec::<String>::new(), Vec::new()));
    let (_directory, options) = host(&[]);
    assert_eq!(found(&options), [Vec::<String>::new(), Vec::new(), Vec::new()]);
}

#[test]
fn a_host_of_another_debian_release_has_the_mirrors_too() {
    let (_directory, options) = host(&[(
        "sources.list",
        "deb http://a/debian trixie main\ndeb http://a/debian-security trixie-security main\n\
         deb http://ubuntu/ubuntu noble main\n",
    )]);
    let [main, updates, security] = found(&options);
    assert_eq!((main, updates), (vec!["http://a/debian".to_owned()], vec!["http://a/debian".to_owned()]));
    assert_eq!(security, ["http://a/debian-security"]);
    let other = Mirrors::find(&["noble-updates".to_owned()], &options).expect("finds");
    assert_eq!(other.of("noble-updates"), [] as [&str; 0]);
}

#[test]
fn a_list_of_mirrors_in_a_file_is_read() {
    let lists = tempfile::tempdir().expect("a directory");
    let list = lists.path().join("mirrors.list");
    fs::write(&list, "# ours\nhttp://a/debian\tpriority:1\n\nhttps://b/debian\n").expect("writes");
    let text = format!("Types: deb\nURIs: mirror+file:{} copy:/srv/c\nSuites: bookworm\n", list.display());
    let (_directory, options) = host(&[("sources.list.d/debian.sources", &text)]);
    assert_eq!(found(&options)[0], ["http://a/debian", "https://b/debian", "file:/srv/c"]);
}

#[test]
fn a_file_of_a_suite_is_looked_for_there_first() {
    let mirrors = Options { mirrors: vec!["http://m/debian".into()], ..Options::default() };
    let mirrors = Mirrors::find(&suites(), &mirrors).expect("finds");
    assert_eq!(mirrors.beginning_with("bookworm"), ["http://m/debian", "http://m/debian-security"]);
    assert_eq!(mirrors.beginning_with("bookworm-security"), ["http://m/debian-security", "http://m/debian"]);
    assert_eq!(mirrors.beginning_with("unheard-of"), ["http://m/debian", "http://m/debian-security"]);
}
