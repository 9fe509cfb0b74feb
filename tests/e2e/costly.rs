//! Packages that are made in no time, correctly signed, and dear to look at: refused or read in memory that
//! their size bounds.

mod foreign;

use std::{io::Read as _, path::PathBuf, process::Command};

use sha2::{Digest as _, Sha512};
use tinyroot::formats::{
    capnp::{Value, message_bytes},
    key_file::Key,
    manifest::Manifest,
    spk::{MAGIC, sign},
};

use super::support::{Ended, Home, end, text};

/// What a command may take of address space, twice what it takes in memory: programs and libraries count, and
/// room for threads.
const LIMIT_KB: &str = "400000";

/// An entry: 0 is a file, 1 a program, 2 a link, 3 a directory.
type Element = (Vec<u64>, Vec<Value>);

fn entry(tag: u64, name: &str, content: Value) -> Element {
    (vec![tag, 0], vec![Value::text(name), content])
}

fn file(name: &str, content: String) -> Element {
    entry(0, name, Value::Data(content.into_bytes()))
}

fn directory(name: &str, elements: Vec<Element>) -> Element {
    entry(3, name, Value::StructList { data_words: 2, pointer_words: 2, elements })
}

/// A path of directories with one file at its end.
fn at(path: &str, content: String) -> Element {
    match path.split_once('/') {
        Some((first, rest)) => directory(first, vec![at(rest, content)]),
        None => file(path, content),
    }
}

/// Names of a few letters, each another.
fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{n:x}"))
}

/// Writes a package.
fn package(home: &Home, name: &str, mut elements: Vec<Element>) -> PathBuf {
    let manifest = Manifest::for_init("Dear", "1", 1, "thing").to_bytes();
    elements.push(entry(0, "sandstorm-manifest", Value::Data(manifest)));
    let list = Value::StructList { data_words: 2, pointer_words: 2, elements };
    let archive = message_bytes(&Value::Struct { data: Vec::new(), pointers: vec![list] });
    let stream = [sign(&Key::from_seed([3; 32]), &Sha512::digest(&archive).into()), archive].concat();
    let mut bytes = MAGIC.to_vec();
    liblzma::read::XzEncoder::new(&stream[..], 0).read_to_end(&mut bytes).expect("encodes");
    let path = home.path(name);
    std::fs::write(&path, bytes).expect("writes");
    path
}

/// Runs a command in the address space that it may have.
fn limited(home: &Home, args: &[&str]) -> Ended {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "ulimit -v \"$0\"; exec \"$@\"", LIMIT_KB, env!("CARGO_BIN_EXE_tinyroot")])
        .args(args);
    command.env("HOME", home.path("")).env("TINYROOT_CACHE", home.path("cache")).env("MALLOC_ARENA_MAX", "1");
    end(&mut command)
}

#[test]
fn all_that_looks_at_a_package_takes_memory_by_its_size() {
    let home = Home::new();
    let deep = |count: usize, inner: Vec<Element>| {
        (0..count).fold(inner, |inner, _| vec![directory(&"d".repeat(250), inner)])
    };
    let long = format!("/{}", vec!["d".repeat(250); 15].join("/"));
    let list =
        |text: String| vec![at("tinyroot/papers/prune.list", format!("tinyroot prune.list 1\n{text}\n"))];
    let words = |count| names(count).collect::<Vec<_>>().join(" ");
    // Each path is kept for the one before, and each by another rule and of another package.
    let kept = |count| {
        let before = names(count).map(|name| format!("/{name} p rule for <- /")).zip(names(count).skip(1));
        before.map(|(head, name)| format!("{head}{name}\n")).collect::<String>()
    };
    let lone =
        |count| names(count).map(|name| format!("/{name} p{name} rule-{name} reason\n")).collect::<String>();
    let owned = |count| names(count).map(|name| format!("/{name}\n")).collect::<String>();
    let stem = "p".repeat(240);
    let rows: Vec<(&str, &[&str], Vec<Element>)> = vec![
        (
            "many entries",
            &["verify", "diff", "weighed", "page"],
            names(190_000).map(|name| file(&name, String::new())).collect(),
        ),
        ("too many entries", &["verify"], names(490_000).map(|name| file(&name, String::new())).collect()),
        (
            "long paths",
            &["verify", "unpack"],
            deep(16, names(3_900).map(|name| file(&name, String::new())).collect()),
        ),
        (
            "too long paths",
            &["verify"],
            deep(16, names(7_800).map(|name| file(&name, String::new())).collect()),
        ),
        (
            "a chain of reasons",
            &["weighed", "page"],
            [list(kept(60_000)), names(60_000).map(|name| file(&name, String::new())).collect()].concat(),
        ),
        (
            "many rules and packages",
            &["weighed", "page"],
            [list(lone(60_000)), names(60_000).map(|name| file(&name, String::new())).collect()].concat(),
        ),
        (
            "a long reason",
            &["inspect", "why", "sbom"],
            list(format!("dropped - rule {}\n/usr {}", "r".repeat(100_000), words(30_000))),
        ),
        (
            "many pruned names",
            &["inspect", "why", "sbom"],
            list(format!("dropped {stem} rule reason\n/usr {}", words(290_000))),
        ),
        (
            "too many pruned names",
            &["inspect"],
            list(format!("dropped {stem} rule reason\n/usr {}", words(2_000_000))),
        ),
        (
            "long pruned paths",
            &["inspect", "diff", "sbom"],
            list(format!("dropped - rule reason\n{long} {}", words(6_000))),
        ),
        (
            "too long pruned paths",
            &["inspect"],
            list(format!("dropped - rule reason\n{long} {}", words(300_000))),
        ),
        (
            "many owned paths",
            &["inspect", "diff", "sbom"],
            vec![at(&format!("var/lib/dpkg/info/{stem}.list"), owned(2_000_000))],
        ),
        (
            "many steps",
            &["verify"],
            vec![at(
                "tinyroot/papers/proof.json",
                format!(
                    "{{\"exercised\":true,\"compared\":true,\"tree\":\"{}\",\"steps\":[\"\"{}]}}",
                    "0".repeat(64),
                    ",\"\"".repeat(3_000_000)
                ),
            )],
        ),
        (
            "a large recipe",
            &["run"],
            vec![at("tinyroot/papers/recipe/recipe.toml", format!("a=[[]{}]", ",[]".repeat(1_000_000)))],
        ),
    ];
    for (what, commands, elements) in rows {
        let path = package(&home, &what.replace(' ', "-"), elements);
        let (path, out) = (text(&path), home.path(what));
        // Both are opened at once.
        let copy = format!("{path}-copy");
        std::fs::copy(path, &copy).expect("copies");
        for name in commands {
            let args: &[&str] = match *name {
                "inspect" => &["inspect", path, "--files"],
                "weighed" => &["inspect", path, "--retained", "--why-big"],
                "page" => &["inspect", path, "--format", "html"],
                "sbom" => &["inspect", path, "--sbom", "spdx"],
                "why" => &["why", path, "/usr/1"],
                "diff" => &["diff", path, &copy],
                "unpack" => &["unpack", path, text(&out)],
                _ => &[name, path],
            };
            let ended = limited(&home, args);
            assert!(
                matches!(ended.code, Some(0 | 1)),
                "{what}: {args:?}: {:?}\n{}",
                ended.code,
                ended.stderr
            );
        }
    }
}
