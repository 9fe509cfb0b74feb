//! Packages that are kept whole: what of them is surplus, in which pieces they stay, and what stays for their
//! sake.

use super::*;

const KEPT: &str = "keep app: part of wiki, the app, which is kept whole";
const MANUAL: &str = "- inside: documentation that nothing asked for";
const SAMPLE: &str = "- inside: tests or examples that nothing asked for and no code names";
const MAP: &str = "- inside: a source map, which only tools of developers read";
const LANGUAGE: &str = "- inside: a translation not asked for";

/// Makes files of the app of rows, and compares what becomes of them.
fn expect(root: &mut Root, rows: &[(&str, &str)]) {
    for (at, _) in rows {
        root.file("wiki", at, at.as_bytes());
    }
    root.expect(rows);
}

#[test]
fn documentation_goes_wherever_it_lies() {
    expect(
        &mut Root::new(),
        &[
            ("usr/share/wiki/doc/index.html", MANUAL),
            ("usr/share/wiki/doc/fonts/a.woff", MANUAL),
            ("usr/share/wiki/doc/_static/search.js", MANUAL),
            ("usr/share/wiki/doc/examples/try.php", MANUAL),
            ("usr/share/wiki/lib/feed/Documentation/a.md", MANUAL),
            ("usr/lib/python3/dist-packages/wiki/docs/conf.py", MANUAL),
            ("usr/lib/python3/dist-packages/wiki/docs/a.rst.gz", MANUAL),
            ("opt/wiki/manual/a.pdf", MANUAL),
            ("usr/share/wiki/README.md", MANUAL),
            ("usr/share/wiki/lib/feed/CHANGELOG", MANUAL),
            ("usr/share/wiki/lib/feed/changelog.txt", MANUAL),
            ("usr/share/wiki/js/wiki.min.js.map", MAP),
            ("usr/share/wiki/js/jquery.min.map", MAP),
            ("usr/share/wiki/js/jquery.min.js", KEPT),
            ("usr/share/wiki/LICENSE", KEPT),
        ],
    );
}

#[test]
fn what_only_looks_like_documentation_stays() {
    expect(
        &mut Root::new(),
        &[
            // A program, a plug-in, a template, a text in a language, a directory of the app called so.
            ("usr/share/wiki/help/help.php", KEPT),
            ("usr/share/wiki/help/index.html", KEPT),
            ("usr/share/wiki/plugins/help/index.html", KEPT),
            ("usr/share/wiki/templates/help/index.html", KEPT),
            ("usr/share/wiki/lang/en/help/index.html", KEPT),
            ("usr/share/wiki/js/help/help.js", KEPT),
            ("usr/share/docs/index.html", KEPT),
            ("usr/share/wiki/doc/tables.bin", KEPT),
            ("usr/share/wiki/news.html", KEPT),
            ("usr/share/wiki/readme.php", KEPT),
            ("usr/share/wiki/charsets/koi8-r.map", KEPT),
            ("usr/share/nodejs/wiki/package.json", KEPT),
            ("usr/share/nodejs/wiki/lib/doc/index.js", KEPT),
            ("usr/share/nodejs/wiki/lib/doc/about.md", KEPT),
        ],
    );
}

#[test]
fn used_documentation_stays_with_all_that_belongs_to_it() {
    let mut root = Root::new();
    root.used("usr/share/wiki/doc/index.html", "opened")
        .used("usr/share/wiki/help", "listed")
        .used("usr/share/wiki/tests/one.php", "executed");
    root.policy.keep = Globs::new(["/usr/share/wiki/manual"]).expect("a glob");
    root.policy.overlay = BTreeSet::from([path("usr/share/wiki/docs/ours.html")]);
    let (traced, recipe) =
        ("keep traced: opened by php of web at get:/", "keep recipe: prune.keep \"/usr/share/wiki/manual\"");
    expect(
        &mut root,
        &[
            ("usr/share/wiki/doc/index.html", traced),
            ("usr/share/wiki/doc/other.html", KEPT),
            ("usr/share/wiki/help/a.html", KEPT),
            ("usr/share/wiki/tests/two.php", KEPT),
            ("usr/share/wiki/manual/a.html", recipe),
            ("usr/share/wiki/docs/theirs.html", KEPT),
        ],
    );
}

#[test]
fn tests_and_examples_go_unless_code_names_them() {
    let rows =
        |ruling| [("usr/share/wiki/tests/all.php", ruling), ("usr/share/wiki/lib/tests/a.bin", ruling)];
    let names: [(&str, &str, bool); 14] = [
        ("usr/share/wiki/load.php", "require __DIR__ . '/tests/all.php';", true),
        ("usr/share/wiki/load.php", "use Wiki\\Tests\\All;", true),
        ("usr/share/wiki/load.py", "from wiki import tests", true),
        ("usr/share/wiki/load.py", "path = os.path.join(HERE, \"tests\")", true),
        ("usr/share/wiki/load.rb", "Wiki::Tests.run", true),
        ("usr/share/wiki/load.json", "{\"main\": \"./tests/all.php\"}", true),
        ("usr/bin/wiki", "#!/bin/sh\nexec php /usr/share/wiki/tests/all.php\n", true),
        ("usr/bin/wiki", "\x7fELF\0/usr/share/wiki/tests\0", true),
        ("usr/share/wiki/load.php", "// see tests/all.php", false),
        ("usr/share/wiki/load.php", "$link = \"https://wiki.example/tests/all\";", false),
        ("usr/share/wiki/load.php", "latest/all contests", false),
        ("usr/share/wiki/load.php", "$kind = 'tests';", false),
        ("usr/share/wiki/README", "run tests/all.php", false),
        ("usr/share/wiki/tests/own.php", "require 'tests/all.php';", false),
    ];
    for (at, text, is_named) in names {
        let mut root = Root::new();
        root.file("wiki", at, text.as_bytes());
        let one = if is_named && text.contains("ELF") {
            // A compiled program names one of them.
            [("usr/share/wiki/tests/all.php", KEPT), ("usr/share/wiki/lib/tests/a.bin", SAMPLE)]
        } else {
            rows(if is_named { KEPT } else { SAMPLE })
        };
        for (at, _) in one {
            root.file("wiki", at, b"a");
        }
        let plan = root.plan();
        for (tests, expected) in one {
            let decision = &plan.decisions[&path(tests)];
            assert_eq!(decision.verdict == Verdict::Keep, expected == KEPT, "/{tests} by {text:?} of /{at}");
        }
    }
    let mut root = Root::new();
    root.file("-", "etc/web.conf", b"alias /usr/share/wiki/examples;");
    root.policy.overlay = BTreeSet::from([path("etc/web.conf")]);
    let rows = [("usr/share/wiki/examples/a", KEPT), ("usr/share/wiki/example/a", SAMPLE)];
    expect(&mut root, &rows);
}

#[test]
fn only_packages_that_are_kept_whole_are_looked_through() {
    let mut root = Root::new();
    root.policy.keep_packages = BTreeSet::from(["themes".to_owned()]);
    root.file("themes", "usr/share/themes-of-wiki/doc/a.html", b"a")
        .file("lib", "usr/share/lib/doc/a.html", b"a")
        .used("usr/share/lib/doc/a.html", "opened")
        .file("lib", "usr/share/shared/doc/theirs.html", b"a");
    root.file("wiki", "usr/share/shared/doc/ours.html", b"a");
    root.expect(&[
        ("usr/share/themes-of-wiki/doc/a.html", MANUAL),
        ("usr/share/lib/doc/a.html", "keep traced: opened by php of web at get:/"),
        ("usr/share/shared/doc/ours.html", KEPT),
    ]);
    let list = write_list(&root.plan(), std::iter::empty());
    assert!(list.contains("dropped themes inside documentation that nothing asked for\n"), "{list}");
}

/// Makes the same file for each language, and returns the paths.
fn languages(root: &mut Root, names: &[&str]) {
    for name in names {
        root.file("wiki", &format!("usr/share/wiki/{name}"), b"text");
    }
}

#[test]
fn languages_inside_an_app_follow_the_locales_of_the_recipe() {
    // `xx` stands for a code, `Xx` for one with a capital, `XX` for one in capitals.
    let shapes = [
        "i18n/xx.json",
        "locale/xx/LC_MESSAGES/wiki.mo",
        "locales/xx.yml",
        "localization/xx/labels.inc",
        "messages/MessagesXx.php",
        "js/lang/xx.js",
        "inc/lang/xx/lang.php",
        "translations/wiki.xx.po",
        "js/datepicker/locale-xx.min.js",
        "Lang/XX.xml",
    ];
    for shape in shapes {
        let named = |code: &str| {
            let capital = code[..1].to_uppercase() + &code[1..];
            shape.replace("xx", code).replace("Xx", &capital).replace("XX", &code.to_uppercase())
        };
        let mut root = Root::new();
        root.policy.locales = vec!["de_AT".to_owned()];
        let codes = ["en", "en_GB", "de", "de_at", "fr", "pt_br", "zh_hans", "nl", "ja"];
        let names: Vec<String> = codes.iter().map(|code| named(code)).collect();
        languages(&mut root, &names.iter().map(|name| &name[..]).collect::<Vec<_>>());
        let plan = root.plan();
        let kept: Vec<&str> = codes
            .into_iter()
            .zip(&names)
            .filter(|(_, name)| plan.keeps(format!("usr/share/wiki/{name}").as_bytes()))
            .map(|(code, _)| code)
            .collect();
        assert_eq!(kept, ["en", "en_GB", "de", "de_at"], "{shape}");
    }
}

#[test]
fn a_used_language_stays_whole_and_a_star_keeps_all() {
    let names = ["de/a.php", "de/b.php", "fr/a.php", "es/a.php", "it/a.php", "en/a.php", "index.php"];
    let names: Vec<String> = names.iter().map(|name| format!("lang/{name}")).collect();
    let names: Vec<&str> = names.iter().map(|name| &name[..]).collect();
    let mut root = Root::new();
    languages(&mut root, &names);
    root.used("usr/share/wiki/lang/de/a.php", "opened").used("usr/share/wiki/lang", "listed");
    root.expect(&[
        ("usr/share/wiki/lang/de/b.php", KEPT),
        ("usr/share/wiki/lang/fr/a.php", LANGUAGE),
        ("usr/share/wiki/lang/en/a.php", KEPT),
        ("usr/share/wiki/lang/index.php", KEPT),
    ]);
    root.policy.locales = vec!["*".to_owned()];
    root.expect(&[("usr/share/wiki/lang/fr/a.php", KEPT)]);
}

#[test]
fn what_only_looks_like_languages_stays() {
    let sets: [(&str, &[&str]); 6] = [
        ("four languages", &["lang/de.php", "lang/en.php", "lang/fr.php", "lang/it.php"]),
        (
            "words of a program",
            &["lib/is-array.js", "lib/is-map.js", "lib/to-it.js", "lib/in.js", "lib/as.js", "lib/or.js"],
        ),
        (
            "flags",
            &["lang/de.png", "lang/fr.png", "lang/it.png", "lang/es.png", "lang/nl.png", "lang/pl.png"],
        ),
        (
            "countries",
            &[
                "tax/at.php",
                "tax/de.php",
                "tax/fr.php",
                "tax/it.php",
                "tax/nl.php",
                "tax/es.php",
                "tax/pl.php",
                "tax/se.php",
                "tax/fi.php",
            ],
        ),
        (
            "hashes",
            &[
                "cache/aa", "cache/ab", "cache/ac", "cache/ad", "cache/ae", "cache/af", "cache/ba",
                "cache/be", "cache/1e",
            ],
        ),
        (
            "some among others",
            &[
                "lang/as.js",
                "lang/is.js",
                "lang/to.js",
                "lang/or.js",
                "lang/no.js",
                "lang/parse.js",
                "lang/print.js",
                "lang/read.js",
                "lang/scan.js",
                "lang/text.js",
                "lang/word.js",
            ],
        ),
    ];
    for (summary, names) in sets {
        let mut root = Root::new();
        languages(&mut root, names);
        let plan = root.plan();
        for name in names {
            assert!(plan.keeps(format!("usr/share/wiki/{name}").as_bytes()), "{summary}: {name}");
        }
    }
}

#[test]
fn folders_of_the_app_stay_once_anything_of_them_is_used() {
    let unused = |folder: &str| {
        format!(
            "- folder: nothing of its folder was used, /usr/share/wiki/{folder} (app.prune = \"folders\")"
        )
    };
    let kept = "keep app: part of wiki, the app, of which used folders are kept";
    let mut root = Root::new();
    root.policy.folders = true;
    root.file("lib", "usr/share/lib/x", b"x")
        .used("usr/share/wiki/index.php", "opened")
        .used("usr/share/wiki/extensions/Gallery/deep/one.php", "opened")
        .used("usr/share/wiki/includes/Api.php", "stat")
        .used("usr/share/wiki/skins", "listed");
    root.policy.keep = Globs::new(["/usr/share/wiki/extensions/Kept"]).expect("a glob");
    let traced = "keep traced: opened by php of web at get:/";
    expect(
        &mut root,
        &[
            ("usr/share/wiki/index.php", traced),
            ("usr/share/wiki/api.php", kept),
            ("usr/share/wiki/extensions/Gallery/deep/one.php", traced),
            ("usr/share/wiki/extensions/Gallery/deep/two.php", kept),
            ("usr/share/wiki/extensions/Gallery/other/three.php", kept),
            ("usr/share/wiki/extensions/Cite/one.php", &unused("extensions/Cite")),
            ("usr/share/wiki/extensions/README.php", &unused("extensions/*")),
            (
                "usr/share/wiki/extensions/Kept/one.php",
                "keep recipe: prune.keep \"/usr/share/wiki/extensions/Kept\"",
            ),
            ("usr/share/wiki/includes/Api.php", "keep traced: found by stat by php of web at get:/"),
            ("usr/share/wiki/includes/Other.php", &unused("includes/*")),
            ("usr/share/wiki/skins/blue/a/b.css", &unused("skins/blue")),
            ("usr/bin/wiki-admin", kept),
            ("etc/wiki/conf.d/local.php", kept),
        ],
    );
    root.policy.folders = false;
    root.expect(&[("usr/share/wiki/extensions/Cite/one.php", KEPT)]);
}

/// The app depends on `php-feed`, that on the empty `php-all`, and that on `php-far`.
fn with_companions() -> Root {
    let mut root = Root::new();
    root.used("usr/share/wiki/index.php", "opened");
    root.policy.companion_bytes = 10_000_000;
    let depends: [(&str, &[&str]); 5] = [
        ("wiki", &["php-feed", "php-huge", "debconf", "libc6"]),
        ("php-feed", &["php-all", "wiki"]),
        ("php-all", &["php-far"]),
        ("php-huge", &["php-of-huge"]),
        ("libc6", &["php-of-libc6"]),
    ];
    for (package, names) in depends {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        root.policy.depends.insert(package.to_owned(), names);
    }
    root.file("php-feed", "usr/share/php/feed.php", b"<?php")
        .file("php-feed", "usr/share/php/feed.png", b"png")
        .file("php-all", "usr/share/doc/php-all/copyright", b"c")
        .file("php-far", "usr/share/php/far.php", b"<?php far")
        .file("php-huge", "usr/share/php/huge.php", &vec![b' '; 1_500_001])
        .file("php-of-huge", "usr/share/php/of-huge.php", b"<?php")
        .file("libc6", "usr/lib/libc.so.6", b"elf")
        .file("php-of-libc6", "usr/share/php/of-libc6.php", b"<?php")
        .file("debconf", "usr/share/perl5/Debconf.pm", b"1;");
    root
}

#[test]
fn libraries_in_the_apps_language_stay_as_deep_as_depends_go() {
    let mut root = with_companions();
    root.expect(&[
        ("usr/share/php/feed.php", "keep companion: code of php-feed, a library that the app depends on"),
        ("usr/share/php/far.php", "keep companion: code of php-far, a library that the app depends on"),
        ("usr/share/php/feed.png", "- unused: nothing asked for it"),
        ("usr/share/php/huge.php", "- unused: nothing asked for it"),
        ("usr/share/php/of-huge.php", "- unused: nothing asked for it"),
        ("usr/share/php/of-libc6.php", "- unused: nothing asked for it"),
        ("usr/share/perl5/Debconf.pm", "- unused: nothing asked for it"),
    ]);
    assert_eq!(root.plan().companions, (2, 14));
}

#[test]
fn libraries_over_the_budget_are_named() {
    let mut root = with_companions();
    root.policy.companion_bytes = 13;
    root.expect(&[
        ("usr/share/php/feed.php", "keep companion: code of php-feed, a library that the app depends on"),
        ("usr/share/php/far.php", "- unused: nothing asked for it"),
    ]);
    let plan = root.plan();
    assert_eq!(plan.companions, (1, 5));
    assert_eq!(
        plan.warnings,
        [
            "php-far is a library in the app's language and is over the budget of prune.companions with its 9 bytes; to \
          have it whole: [prune] keep_package = [\"php-far\"]"
        ]
    );
}
