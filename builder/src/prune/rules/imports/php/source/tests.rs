use super::*;

fn path_of(location: &Location) -> String {
    let up = location.up.map(|up| format!("./{}", "../".repeat(up)));
    format!("{}{}", up.unwrap_or_default(), location.path)
}

fn mark(need: Need) -> &'static str {
    match need {
        Need::Sure => "",
        Need::Late => "~",
        Need::Optional => "?",
    }
}

fn files(source: &str) -> Vec<String> {
    let names = names(source.as_bytes());
    names.files.iter().map(|(location, need)| format!("{}{}", mark(*need), path_of(location))).collect()
}

fn classes(source: &str) -> Vec<String> {
    let names = names(source.as_bytes());
    names.classes.iter().map(|(name, need)| format!("{}{name}", mark(*need))).collect()
}

#[test]
fn files_are_found_where_their_paths_are_written_down() {
    let rows: &[(&str, &[&str])] = &[
        (
            "<?php require 'a.php'; require_once(\"b/c.php\"); include $x; include \"$x/d.php\";",
            &["a.php", "b/c.php"],
        ),
        (
            "<?php require __DIR__ . '/a.php'; require dirname(__FILE__).'/b.php'; require dirname(__DIR__) . '/c.php';",
            &[".//a.php", ".//b.php", "./..//c.php"],
        ),
        ("<?php function f() { require 'a.php'; } require 'b.php';", &["~a.php", "b.php"]),
        (
            "<p>require 'a.php'</p><? require 'b.php' ?> require 'c.php' <?= include('d.php') ?>",
            &["b.php", "d.php"],
        ),
        (
            "<?php // require 'a.php';\n# require 'b.php' ?> require 'x' <?php /* require 'c.php' */ require 'd.php';",
            &["d.php"],
        ),
        (
            "<?php $x = \"require 'a.php'\"; $y = <<<EOT\n require 'b.php';\n  EOT . 'x'; require 'c.php';",
            &["c.php"],
        ),
        (
            "<?php $x = <<<'E'\nE2 require 'a.php';\nE;\nrequire 'b.php'; $x->require('c.php'); X::include('d');",
            &["b.php"],
        ),
    ];
    for (source, expected) in rows {
        assert_eq!(files(source), *expected, "{source}");
    }
}

#[test]
fn classes_are_named_as_php_resolves_them() {
    let rows: &[(&str, &[&str])] = &[
        ("<?php new \\A\\B(); C::d(); f(E::class);", &["A\\B", "C", "E"]),
        (
            "<?php namespace N; use A\\B; use C\\{D, E as F}; class X extends B { function f(): F { return new D; } }",
            &["A\\B", "~C\\D", "~C\\E", "N\\X"],
        ),
        (
            "<?php namespace N; class X implements Y { use Z; function f() { new G\\H; namespace\\I::j(); } }",
            &["~N\\G\\H", "~N\\I", "N\\X", "N\\Y", "N\\Z"],
        ),
        ("<?php f('A\\\\B'); class_exists('C\\D'); // new E\n", &["~A\\B", "?C\\D"]),
        ("<?php $f = function () use ($x) { new A; }; use B as C; new C;", &["~A", "B"]),
    ];
    for (source, expected) in rows {
        assert_eq!(classes(source), *expected, "{source}");
    }
}

#[test]
fn maps_of_autoloaders_are_read() {
    let rows: &[(&str, &[&str])] = &[
        (
            "<?php $vendorDir = dirname(__DIR__);\nreturn array('A\\\\B' => $vendorDir . '/a/B.php', 'C' => $baseDir . '/C.php');",
            &["A\\B=./..//a/B.php", "C=./../..//C.php"],
        ),
        (
            "<?php class X { public static $prefixDirsPsr4 = array('A\\\\' => array(0 => __DIR__ . '/..' . '/a/src')); \
          public static $p = array('F' => array('F\\\\' => 2)); }",
            &["A\\=.//../a/src"],
        ),
        (
            "<?php $classes = array('a\\\\b' => '/A/B.php'); require __DIR__ . $classes[$cn];",
            &["a\\b=/A/B.php"],
        ),
        ("<?php return ['A\\\\' => [__DIR__ . '/a']];", &["A\\=.//a"]),
    ];
    for (source, expected) in rows {
        let found = map(source.as_bytes());
        let found: Vec<String> =
            found.iter().map(|(key, location)| format!("{key}={}", path_of(location))).collect();
        assert_eq!(found, *expected, "{source}");
    }
}

#[test]
fn sources_cut_anywhere_and_hostile_ones_end_soon() {
    let all = "<?php namespace A; use B\\{C, D as E}; require dirname(__DIR__) . \"/x\"; $x = <<<F\n F; class G extends H { use I; }";
    for end in 0..all.len() {
        names(&all.as_bytes()[..end]);
        map(&all.as_bytes()[end..]);
        names([b"<?php ", &all.as_bytes()[end..]].concat().as_slice());
    }
    let started = std::time::Instant::now();
    for piece in [
        "<<<A\n",
        "use A,",
        "use B;",
        "dirname(",
        "{",
        "}",
        "'",
        "?><?",
        "require 'a'.",
        "#",
        "'a'=>",
        "class X{",
        "\\",
    ] {
        let source = format!("<?php {}", piece.repeat(200_000 / piece.len()));
        names(source.as_bytes());
        map(source.as_bytes());
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}
