use super::*;

/// What was pruned, each from a package of its own name's end.
const PRUNED: &[&str] = &[
    "app/vendor/Acme/Mail/Sender.php",
    "tinyroot/var/lib/tea/leaf",
    "usr/bin/convert",
    "usr/lib/python3.11/decimal.py",
    "usr/lib/python3.11/encodings/koi8_r.py",
    "usr/lib/python3.11/lib-dynload/_decimal.cpython-311-x86_64-linux-gnu.so",
    "usr/lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py",
    "usr/lib/python3.11/xml/sax/handler.py",
    "usr/lib/python3/dist-packages/app/plugins/decimal.py",
    "usr/lib/python3/dist-packages/dateutil/__init__.py",
    "usr/lib/python3/dist-packages/dateutil/rrule.py",
    "usr/lib/ruby/gems/3.1.0/gems/rbs-2.1.0/stdlib/rack/utils",
    "usr/lib/ruby/vendor_ruby/rack/utils.rb",
    "usr/share/doc/node-x/examples/lodash",
    "usr/share/nodejs/@types/lodash",
    "usr/lib/x86_64-linux-gnu/libpq.so.5",
    "usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/Socket/Socket.so",
    "usr/share/app/inc/page.php",
    "usr/share/java/commons-logging-1.2.jar",
    "usr/share/nodejs/lodash/package.json",
    "usr/share/nodejs/app/lib/late.js",
    "usr/share/perl/5.36.0/Text/Wrap.pm",
    "usr/share/php/Mail.php",
    "usr/share/postgresql/15/extension/hstore.control",
    "usr/share/x/a.tpl",
    "usr/share/x/b.tpl",
    "usr/share/zoneinfo/Europe/Berlin",
];

fn tree() -> Tree {
    let mut tree = Tree::new();
    for at in [
        "usr/lib/python3/dist-packages/app/__init__.py",
        "usr/lib/python3/dist-packages/app/plugins/__init__.py",
        "usr/lib/python3.11/xml/__init__.py",
    ] {
        let path = TreePath::new(at.as_bytes()).expect("a good path");
        tree.insert(path, crate::tree::Entry::directory(0));
    }
    tree
}

fn pruned() -> Pruned {
    let path = |at: &&str| {
        let path = TreePath::new(at.as_bytes()).expect("a good path");
        (ImagePath::in_image(path), Some("p".to_owned()))
    };
    PRUNED.iter().map(path).collect()
}

fn found(text: &str) -> Vec<String> {
    named(text, &pruned(), &tree()).iter().map(|miss| format!("/{}", miss.path)).collect()
}

#[test]
fn a_message_names_what_was_pruned() {
    const STDLIB: &str = "/usr/lib/python3.11";
    let rows: &[(&str, &[&str])] = &[
        ("ModuleNotFoundError: No module named 'decimal'", &["/usr/lib/python3.11/decimal.py"]),
        ("ImportError: No module named decimal", &["/usr/lib/python3.11/decimal.py"]),
        (
            "ModuleNotFoundError: No module named '_decimal'",
            &["/usr/lib/python3.11/lib-dynload/_decimal.cpython-311-x86_64-linux-gnu.so"],
        ),
        (
            "No module named 'xml.sax.handler'; 'xml.sax' is not a package",
            &["/usr/lib/python3.11/xml/sax/handler.py"],
        ),
        ("No module named 'dateutil'", &["/usr/lib/python3/dist-packages/dateutil/__init__.py"]),
        (
            "ImportError: cannot import name 'rrule' from 'dateutil' (/usr/lib/python3/dist-packages/dateutil/__init__.py)",
            &[
                "/usr/lib/python3/dist-packages/dateutil/rrule.py",
                "/usr/lib/python3/dist-packages/dateutil/__init__.py",
            ],
        ),
        ("LookupError: unknown encoding: KOI8-R", &["/usr/lib/python3.11/encodings/koi8_r.py"]),
        (
            "ZoneInfoNotFoundError: 'No time zone found with key Europe/Berlin'",
            &["/usr/share/zoneinfo/Europe/Berlin"],
        ),
        ("panic: unknown time zone Europe/Berlin", &["/usr/share/zoneinfo/Europe/Berlin"]),
        (
            "Can't locate Text/Wrap.pm in @INC (you may need to install the Text::Wrap module) (@INC contains: /etc/perl) at x line 3.",
            &["/usr/share/perl/5.36.0/Text/Wrap.pm"],
        ),
        (
            "Can't locate loadable object for module Socket in @INC (@INC contains: /etc/perl)",
            &["/usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/Socket/Socket.so"],
        ),
        ("Base class package \"Text::Wrap\" is empty.", &["/usr/share/perl/5.36.0/Text/Wrap.pm"]),
        (
            "ModuleNotFoundError: No module named '_sysconfigdata__x86_64-linux-gnu'",
            &["/usr/lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py"],
        ),
        ("Error: Cannot find module 'lodash'", &["/usr/share/nodejs/lodash/package.json"]),
        ("Error: Cannot find module './lib/late'", &["/usr/share/nodejs/app/lib/late.js"]),
        (
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/usr/share/nodejs/app/lib/late.js' imported from /x.js",
            &["/usr/share/nodejs/app/lib/late.js"],
        ),
        (
            "<internal>: cannot load such file -- rack/utils (LoadError)",
            &["/usr/lib/ruby/vendor_ruby/rack/utils.rb"],
        ),
        (
            "PHP Fatal error:  Uncaught Error: Class \"Acme\\Mail\\Sender\" not found in /x.php:3",
            &["/app/vendor/Acme/Mail/Sender.php"],
        ),
        (
            "PHP Warning:  require_once(../inc/page.php): Failed to open stream: No such file or directory in /x.php on line 3",
            &["/usr/share/app/inc/page.php"],
        ),
        (
            "PHP Fatal error:  Uncaught Error: Failed opening required 'Mail.php' (include_path='.:/usr/share/php') in /x.php:3",
            &["/usr/share/php/Mail.php"],
        ),
        (
            "java.lang.NoClassDefFoundError: org/apache/commons/logging/LogFactory",
            &["/usr/share/java/commons-logging-1.2.jar"],
        ),
        (
            "x: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory",
            &["/usr/lib/x86_64-linux-gnu/libpq.so.5"],
        ),
        ("sh: 1: convert: not found", &["/usr/bin/convert"]),
        ("/bin/bash: line 1: convert: command not found", &["/usr/bin/convert"]),
        ("Error: spawn convert ENOENT", &["/usr/bin/convert"]),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/usr/share/x/a.tpl'",
            &["/usr/share/x/a.tpl"],
        ),
        ("ENOENT: no such file or directory, open '/usr/share/x/a.tpl'", &["/usr/share/x/a.tpl"]),
        ("open /usr/share/x/b.tpl: no such file or directory", &["/usr/share/x/b.tpl"]),
        (
            "ERROR:  could not open extension control file \"/usr/share/postgresql/15/extension/hstore.control\": No such file or directory",
            &["/usr/share/postgresql/15/extension/hstore.control"],
        ),
        ("cat: /var/lib/tea/leaf: No such file or directory", &["/var/lib/tea/leaf"]),
    ];
    for (text, expected) in rows {
        let mut found = found(text);
        // The path of the importer stands in the message, and need not be meant.
        found.sort_by_key(|path| !expected[0].contains(&path[..]));
        assert_eq!(found, *expected, "{text}");
    }
    assert!(found(&format!("{STDLIB}/decimal.py was imported")).is_empty(), "no word of absence");
}

#[test]
fn a_message_is_found_in_a_page_and_in_json() {
    let expected = ["/usr/lib/python3.11/decimal.py"];
    assert_eq!(found("<pre>ModuleNotFoundError: No module named &#x27;decimal&#x27;</pre>"), expected);
    assert_eq!(
        found(r#"{"error": "Traceback:\n  File \"x\"\nNo module named \u0027decimal\u0027"}"#),
        expected
    );
    assert_eq!(found(r#"{"error": "cannot open \/usr\/share\/x\/a.tpl"}"#), ["/usr/share/x/a.tpl"]);
}

#[test]
fn what_is_there_or_fits_too_much_is_not_named() {
    for text in [
        "No module named 'plugins.decimal'",
        "No module named 'nothing'",
        "Cannot find module '\"+name+\"'",
        "Can't locate Text/Nowrap.pm in @INC",
        "page not found: /usr/share/x",
    ] {
        assert!(found(text).is_empty(), "{text}: {:?}", found(text));
    }
    let many: Pruned = (0..9)
        .map(|index| {
            let path = TreePath::new(format!("usr/share/{index}/config.php").as_bytes()).expect("good");
            (ImagePath::in_image(path), None)
        })
        .collect();
    assert!(named("include(config.php): failed to open stream", &many, &Tree::new()).is_empty());
}

#[test]
fn output_in_lines_names_each_path_once() {
    let mut reader = Reader::new(Arc::new(pruned()), Arc::new(tree()));
    let mut read = |line: &str| reader.read(line.as_bytes()).len();
    assert_eq!(read("Traceback (most recent call last):"), 0);
    assert_eq!(read("ModuleNotFoundError: No module named 'decimal'"), 1);
    assert_eq!(read("at 12:00 ModuleNotFoundError: No module named 'decimal'"), 0);
    assert_eq!(read("sh: 1: convert: not found"), 1);
    assert!(tells_of_missing("No module named 'unheard'") && !tells_of_missing("all is well"));
}
