//! Resolutions of small archives.

use super::*;
use crate::formats::packages::Source;

/// Makes an index of lines such as `php 2:8 | Depends: php8 | Provides: php-any`.
fn index(lines: &str) -> String {
    let mut out = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.split(" ; ");
        let (name, version) = parts.next().and_then(|head| head.split_once(' ')).unwrap_or((line, "1"));
        out += &format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: pool/{name}.deb\nSize: 1\n"
        );
        out += &format!("SHA256: {}\n", "0".repeat(64));
        parts.for_each(|field| out += &format!("{field}\n"));
        out += "\n";
    }
    out
}

fn answer(lines: &str, request: &Request) -> Result<Resolution, ResolveError> {
    let text = index(lines);
    resolve(&Universe::new("amd64", &[Source::new("bookworm", text.as_bytes())])?, request)
}

fn asked_for(words: &str) -> Request {
    Request { packages: words.split(' ').map(String::from).collect(), ..Request::default() }
}

fn names(resolution: &Resolution) -> String {
    resolution.packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn chosen(lines: &str, words: &str) -> String {
    answer(lines, &asked_for(words)).map_or_else(|error| error.to_string(), |found| names(&found))
}

const WEB: &str = "
    wiki 1 ; Depends: apache2 | httpd, php
    wordpress 6 ; Depends: apache2 | httpd, libapache2-mod-php | php
    php 8 ; Depends: php8.2
    php8.2 8.2 ; Depends: libapache2-mod-php8.2 | php8.2-fpm | php8.2-cgi
    php-fpm 8 ; Depends: php8.2-fpm
    php8.2-fpm 8.2 ; Provides: php-fpm-any
    php8.2-cgi 8.2
    libapache2-mod-php8.2 8.2 ; Provides: libapache2-mod-php ; Depends: apache2
    apache2 2 ; Provides: httpd ; Depends: apache2-bin
    apache2-bin 2
    nginx 1 ; Provides: httpd
    nginx-light 1
";

#[test]
fn takes_the_first_alternative_and_what_is_there_already() {
    let rows = [
        ("wiki", "apache2 apache2-bin libapache2-mod-php8.2 php php8.2 wiki"),
        // nginx provides httpd, nginx-light does not.
        ("wiki nginx php8.2-fpm", "nginx php php8.2 php8.2-fpm wiki"),
        ("wiki nginx-light php8.2-fpm", "apache2 apache2-bin nginx-light php php8.2 php8.2-fpm wiki"),
        // Only marked packages count, not those that php-fpm would bring later.
        (
            "wiki nginx php-fpm",
            "apache2 apache2-bin libapache2-mod-php8.2 nginx php php-fpm php8.2 php8.2-fpm wiki",
        ),
        ("php-fpm wiki nginx", "nginx php php-fpm php8.2 php8.2-fpm wiki"),
        ("wordpress nginx php php8.2-cgi", "nginx php php8.2 php8.2-cgi wordpress"),
        // A virtual name that one package provides stands for it.
        ("php-fpm-any", "php8.2-fpm"),
    ];
    for (words, expected) in rows {
        assert_eq!(chosen(WEB, words), expected, "{words}");
    }
}

#[test]
fn orders_providers_by_priority_and_name() {
    let lines = "
        a 1 ; Depends: mta
        zmail 1 ; Provides: mta ; Priority: important
        bmail 1 ; Provides: mta ; Priority: optional
        amail 1 ; Provides: mta ; Priority: optional
        essmail 1 ; Provides: other ; Essential: yes ; Priority: optional
        b 1 ; Depends: other
        reqmail 1 ; Provides: other ; Priority: required
        c 1 ; Depends: third
        third2 1 ; Provides: third
        third1 1 ; Provides: third
    ";
    assert_eq!(chosen(lines, "a"), "a zmail");
    assert_eq!(chosen(lines, "b"), "b essmail");
    assert_eq!(chosen(lines, "c"), "c third1");
}

#[test]
fn knows_which_versions_and_provides_do() {
    let lines = "
        old 1 ; Depends: lib (<< 2) | other
        new 1 ; Depends: lib (>= 3~)
        lib 3-1+b1
        other 1
        plain 1 ; Depends: virtual
        versioned 1 ; Depends: virtual (>= 2)
        gives 1 ; Provides: virtual
        gives2 1 ; Provides: virtual (= 1:0)
        script 1 ; Depends: python3:any
        native 1 ; Depends: lib:amd64, other:native
        foreign 1 ; Depends: lib:i386
        strict 1 ; Depends: lib:any
        python3 3 ; Multi-Arch: allowed
    ";
    let rows = [
        ("old", "old other"),
        ("new", "lib new"),
        ("plain", "gives plain"),
        ("versioned", "gives2 versioned"),
        ("script", "python3 script"),
        ("native", "lib native other"),
        (
            "foreign",
            "no set of packages meets the request\n  foreign 1 (requested)\n    Depends: lib:i386\n      \
             there is only lib 3-1+b1",
        ),
        (
            "strict",
            "no set of packages meets the request\n  strict 1 (requested)\n    Depends: lib:any\n      \
             there is only lib 3-1+b1",
        ),
    ];
    for (words, expected) in rows {
        assert_eq!(chosen(lines, words), expected, "{words}");
    }
}

#[test]
fn goes_round_what_does_not_work() {
    let lines = "
        a 1 ; Depends: broken | conflicting | fine
        broken 1 ; Depends: not-there
        conflicting 1 ; Conflicts: a
        fine 1
        self 1 ; Conflicts: thing ; Provides: thing
        with 1 ; Depends: self, fine
        round 1 ; Pre-Depends: trip
        trip 1 ; Depends: round
    ";
    let rows = [
        ("a", "a fine"),
        ("with", "fine self with"),
        ("trip", "round trip"),
        ("conflicting fine", "conflicting fine"),
    ];
    for (words, expected) in rows {
        let found = answer(lines, &asked_for(words)).expect(words);
        assert_eq!((names(&found).as_str(), found.beyond_apt), (expected, false), "{words}");
    }
}

#[test]
fn finds_a_solution_where_the_first_way_ends_in_a_contradiction() {
    // Following `a` takes x, which rules out y, which only b, three steps further on, needs.
    let lines = "
        a 1 ; Depends: x | z, b
        b 1 ; Depends: c
        c 1 ; Depends: y
        x 1 ; Breaks: y
        y 1 ; Breaks: x
        z 1
    ";
    let found = answer(lines, &asked_for("a")).expect("there is one");
    assert_eq!(names(&found), "a b c y z");
}

#[test]
fn says_what_clashes() {
    let lines = "
        a 1 ; Depends: libx (>= 2)
        libx 2.1 ; Conflicts: server
        b 1 ; Depends: server | daemon
        server 1
        daemon 1 ; Breaks: libx (<< 3)
    ";
    let expected = "\
no set of packages meets the request
  a 1 (requested)
    Depends: libx (>= 2)
      libx 2.1
        Conflicts: server, so not beside server 1
  b 1 (requested)
    Depends: server | daemon
      server 1
      daemon 1
        Breaks: libx (<< 3), so not beside libx 2.1";
    assert_eq!(chosen(lines, "a b"), expected);
    assert_eq!(
        chosen("a 1 ; Depends: b (>= 2), c\nb 1\n", "a"),
        "no set of packages meets the request\n  a 1 (requested)\n    Depends: b (>= 2)\n      there is only b 1\n    \
         Depends: c\n      there is no such package"
    );
}

#[test]
fn names_the_nearest_and_who_provides() {
    assert_eq!(chosen(WEB, "ngnix"), "there is no package `ngnix`: the nearest name is `nginx`");
    assert_eq!(
        chosen(WEB, "httpd"),
        "there is no package `httpd`: it is virtual, provided by apache2, nginx"
    );
    assert_eq!(chosen(WEB, "entirely-other"), "there is no package `entirely-other`");
}

#[test]
fn essential_packages_come_first_and_preferences_hold() {
    let lines = "
        base 1 ; Essential: yes ; Depends: init
        init 1 ; Depends: usrmerge | usr-is-merged
        usrmerge 1 ; Conflicts: usr-is-merged
        usr-is-merged 1 ; Conflicts: usrmerge
        app 1
    ";
    let mut request = Request { essential: true, ..asked_for("app") };
    let as_apt = answer(lines, &request).expect("there is one");
    assert_eq!(names(&as_apt), "app base init usrmerge");
    request.prefer = vec![Request::MERGED_USR.into()];
    let merged = answer(lines, &request).expect("there is one");
    let shown: Vec<String> = merged.packages.iter().map(|p| format!("{}: {}", p.name, p.because)).collect();
    let expected = [
        "app: requested",
        "base: Essential",
        "init: Depends: init of base",
        "usr-is-merged: Depends: usrmerge | usr-is-merged of init",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn recommends_and_exclude_are_as_asked() {
    let lines = "
        a 1 ; Recommends: b | c, not-there ; Suggests: d
        b 1
        c 1
        d 1
    ";
    assert_eq!(chosen(lines, "a"), "a");
    let mut request = Request { recommends: true, ..asked_for("a") };
    assert_eq!(names(&answer(lines, &request).expect("there is one")), "a b");
    request.exclude = vec!["b".into()];
    assert_eq!(names(&answer(lines, &request).expect("there is one")), "a c");
    request.exclude = vec!["a".into()];
    let error = answer(lines, &request).expect_err("contradicts itself").to_string();
    assert_eq!(error, "no set of packages meets the request\n  a is requested and excluded");
    request = Request { exclude: vec!["y".into()], ..asked_for("x") };
    let error = answer("x 1 ; Depends: y\ny 1", &request).expect_err("nothing is left").to_string();
    assert_eq!(
        error,
        "no set of packages meets the request\n  x 1 (requested)\n    Depends: y\n      there is only y 1, which is excluded"
    );
}

#[test]
fn the_candidate_is_the_highest_version_of_the_highest_priority() {
    let (main, security, backports) =
        (index("a 1:1-1\nb 1"), index("a 1:1-1+deb12u1\nb 0"), index("a 2:0\nc 1"));
    let source =
        |suite, text: &'static str, priority| Source { priority, ..Source::new(suite, text.as_bytes()) };
    let sources = [
        source("bookworm", main.leak(), Source::PRIORITY),
        source("bookworm-security", security.leak(), Source::PRIORITY),
        source("bookworm-backports", backports.leak(), Source::BUT_AUTOMATIC_UPGRADES),
    ];
    let universe = Universe::new("amd64", &sources).expect("sound");
    let found = resolve(&universe, &asked_for("a b c")).expect("there is one");
    let shown: Vec<String> =
        found.packages.iter().map(|p| format!("{} {} {}", p.name, p.version, p.suite)).collect();
    assert_eq!(shown, ["a 1:1-1+deb12u1 bookworm-security", "b 1 bookworm", "c 1 bookworm-backports"]);
}

#[test]
fn pins_rank_suites_versions_and_packages() {
    let (main, backports) = (index("a 1\nb 1\nc 1\nd 1"), index("a 2\nb 2\nc 2\nd 2\ne 1"));
    let sources = [
        Source::new("bookworm", main.as_bytes()),
        Source {
            priority: Source::BUT_AUTOMATIC_UPGRADES,
            ..Source::new("bookworm-backports", backports.as_bytes())
        },
    ];
    let pin = |package: &str, suite: Option<&str>, version: Option<&str>, priority| Pin {
        package: package.into(),
        suite: suite.map(String::from),
        version: version.map(String::from),
        priority,
    };
    let pins = [
        pin("a", Some("bookworm-backports"), None, 500),
        pin("b", None, Some("1*"), -1),
        pin("d", Some("bookworm"), None, 50),
        pin("*", Some("bookworm-backports"), None, 60),
    ];
    let universe = Universe::pinned("amd64", &sources, &pins).expect("sound");
    let found = resolve(&universe, &asked_for("a b c d e")).expect("there is one");
    let shown: Vec<String> = found.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    assert_eq!(shown, ["a 2", "b 2", "c 1", "d 2", "e 1"]);
    let never = [pin("e", None, None, -1)];
    let universe = Universe::pinned("amd64", &sources, &never).expect("sound");
    assert!(matches!(resolve(&universe, &asked_for("e")), Err(ResolveError::Unknown { .. })));
}

#[test]
fn recommends_may_be_those_of_some_packages() {
    let lines = "a 1 ; Recommends: x\nb 1 ; Recommends: y\nx 1\ny 1";
    let request = Request { recommends_of: vec!["b".into()], ..asked_for("a b") };
    assert_eq!(names(&answer(lines, &request).expect("there is one")), "a b y");
}

#[test]
fn a_stanza_that_is_left_out_is_explained_where_it_is_asked_for() {
    let good = index("b 1\na 1 ; Depends: b\nc 1");
    let answered = |text: &str, words: &str| {
        let universe =
            Universe::new("amd64", &[Source::new("other/stable", text.as_bytes())]).expect("reads");
        resolve(&universe, &asked_for(words)).map_or_else(|error| error.to_string(), |found| names(&found))
    };
    let no_a = "there is no package `a` that can be used\n  a 1 of other/stable is left out: ";
    let no_b = "no set of packages meets the request\n  a 1 (requested)\n    Depends: b\n      ";
    let rows = [
        (
            "Version: 1\nArch",
            "Version: testing\nArch",
            format!(
                "{no_b}b testing of other/stable is left out: its Version `testing` is not a version: it does not \
                 begin with a digit"
            ),
        ),
        (
            "Depends: b",
            "Depends: b b",
            format!("{no_a}`b b` in its Depends is not a relation between packages"),
        ),
        ("Depends: b", "b", format!("{no_a}a line of it is not a field: it has no colon")),
        ("pool/a.deb", "../a.deb", format!("{no_a}its Filename `../a.deb` leaves its place")),
        (
            "SHA256",
            "MD5sum",
            format!("{no_b}b 1 of other/stable is left out: it has neither SHA256 nor SHA512"),
        ),
    ];
    for (from, to, expected) in rows {
        let text = good.replacen(from, to, 1);
        assert_eq!(answered(&text, "a"), expected);
        // A request without it can be met.
        assert_eq!(answered(&text, "c"), "c");
    }
    // Another version that is good will do.
    let text = format!("{}{good}", index("a 2 ; Depends: ${x}"));
    assert_eq!(answered(&text, "a"), "a b");
}

#[test]
fn a_chain_deeper_than_apt_follows_ends_well() {
    let mut lines: String = (0..1_200).map(|n| format!("p{n} 1 ; Depends: p{}\n", n + 1)).collect();
    lines += "p1200 1\n";
    let found = answer(&lines, &asked_for("p0")).expect("there is one");
    assert_eq!((found.packages.len(), found.beyond_apt), (1_201, true));
}

#[test]
fn the_smallest_set_is_found_and_excludes_lead_to_it() {
    let lines = "
        app 1 ; Depends: server | httpd, lib
        server 1 ; Depends: modules ; Provides: httpd ; Installed-Size: 900
        modules 1 ; Installed-Size: 500
        tiny 1 ; Provides: httpd ; Depends: lib ; Installed-Size: 90
        tinier 1 ; Provides: httpd ; Conflicts: lib ; Installed-Size: 9
        lib 1 ; Installed-Size: 30
    ";
    let text = index(lines);
    let universe = Universe::new("amd64", &[Source::new("s", text.as_bytes())]).expect("sound");
    let found = smallest(&universe, &asked_for("app")).expect("there is one");
    assert_eq!((names(&found.resolution), found.exclude.join(" ")), ("app lib tiny".into(), "server".into()));
    let request = Request { exclude: found.exclude, ..asked_for("app") };
    assert_eq!(resolve(&universe, &request).expect("there is one"), found.resolution);
    let found = smallest(&universe, &asked_for("app server")).expect("there is one");
    assert_eq!((names(&found.resolution), found.exclude.len()), ("app lib modules server".into(), 0));
}

#[test]
fn names_the_one_change_that_would_help() {
    let lines = "
        a 1 ; Conflicts: b
        b 1
        c 1 ; Depends: d
        d 1
    ";
    let text = index(lines);
    let universe = Universe::new("amd64", &[Source::new("s", text.as_bytes())]).expect("sound");
    let request = Request { exclude: vec!["d".into()], ..asked_for("c") };
    assert_eq!(remedies(&universe, &request), ["do not exclude d"]);
    assert_eq!(remedies(&universe, &asked_for("a b d")), ["leave out a", "leave out b"]);
    let request = Request { exclude: vec!["d".into()], ..asked_for("a b c") };
    assert!(remedies(&universe, &request).is_empty());
}
