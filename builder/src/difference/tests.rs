use std::io::Write as _;

use super::*;
use crate::tree::Entry;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

struct Made {
    tree: Tree,
    store: Store,
    _directory: tempfile::TempDir,
}

impl Made {
    fn new(files: &[(&str, u32, &[u8])]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let mut tree = Tree::new();
        for (name, mode, bytes) in files {
            let entry = Entry::file(store.put(bytes.to_vec()), bytes.len() as u64, *mode, 1);
            tree.insert(path(name), entry);
        }
        Made { tree, store, _directory: directory }
    }

    fn side(&self) -> Side<'_> {
        Side { tree: &self.tree, store: &self.store }
    }
}

fn tar(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = tar::Builder::new(Vec::new());
    for (name, mode, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        out.append_data(&mut header, name, *bytes).expect("memory takes it");
    }
    out.into_inner().expect("memory takes it")
}

fn gzip(bytes: &[u8], time: u32) -> Vec<u8> {
    let mut out = flate2::GzBuilder::new().mtime(time).write(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).expect("memory takes it");
    out.finish().expect("memory takes it")
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, zip::write::SimpleFileOptions::default()).expect("memory takes it");
        out.write_all(bytes).expect("memory takes it");
    }
    out.finish().expect("memory takes it").into_inner()
}

/// A 64-bit ELF file of the sections `.text` and `.data`.
fn elf(text: &[u8; 8], data: &[u8; 8], entry: u64) -> Vec<u8> {
    let names = b"\0.text\0.data\0.shstrtab\0";
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    out.extend(entry.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    let sections = (64 + 16 + names.len()) as u64;
    out.extend(sections.to_le_bytes());
    out.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0, 4, 0, 3, 0]);
    out.extend(text);
    out.extend(data);
    out.extend(names);
    let mut section = |name: u32, kind: u32, offset: u64, size: u64| {
        out.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
        out.extend([0, 0, offset, size].iter().flat_map(|word: &u64| word.to_le_bytes()));
        out.extend([0; 24]);
    };
    section(0, 0, 0, 0);
    section(1, 1, 64, 8);
    section(7, 1, 72, 8);
    section(13, 3, 80, names.len() as u64);
    out
}

/// Returns what is said of two contents, the places first.
fn said(first: &[u8], second: &[u8]) -> Vec<String> {
    let found = of_bytes(first, second).expect("they differ");
    let mut out: Vec<String> = found.places.iter().map(|place| place.place.clone()).collect();
    out.push(match found.shown {
        Shown::Lines { line, first, second } => format!("line {line} {first:?} {second:?}"),
        Shown::Bytes { first, second } => format!("{first} | {second}"),
        Shown::Said(text) => text,
    });
    out
}

#[test]
fn trees_that_are_the_same_have_no_difference() {
    let (one, two) = (Made::new(&[("a", 0o644, b"tea")]), Made::new(&[("a", 0o644, b"tea")]));
    assert_eq!(between(one.side(), two.side()).expect("reads"), []);
}

#[test]
fn each_path_says_how_it_differs() {
    let mut one = Made::new(&[("a", 0o644, b"x\n"), ("b", 0o644, b"same"), ("c", 0o644, b"")]);
    let mut two = Made::new(&[("a", 0o644, b"y\n"), ("b", 0o755, b"same"), ("d", 0o644, b"")]);
    one.tree.insert(path("e"), Entry::symlink("x", 1));
    two.tree.insert(path("e"), Entry::symlink("y", 1));
    one.tree.insert(path("f"), Entry::directory(1));
    two.tree.insert(path("f"), Entry::directory(86_401));
    one.tree.insert(path("g"), Entry::directory(1));
    two.tree.insert(path("g"), Entry::symlink("x", 1));
    let found = between(one.side(), two.side()).expect("reads");
    let property = |path: &str, name, first: &str, second: &str| Difference {
        path: self::path(path),
        what: What::Property { name, first: first.into(), second: second.into() },
    };
    assert!(matches!(&found[0].what, What::Contents { inside: Some(inside), .. } if inside.offset == 0));
    let rest = [
        property("b", "mode", "0644", "0755"),
        Difference { path: path("c"), what: What::OnlyFirst },
        Difference { path: path("d"), what: What::OnlySecond },
        property("e", "target", "x", "y"),
        property("f", "time", "1970-01-01T00:00:01Z", "1970-01-02T00:00:01Z"),
        property("g", "kind", "directory", "symbolic link"),
    ];
    assert_eq!(found[1..], rest);
}

#[test]
fn a_text_shows_its_lines_and_anything_else_its_bytes() {
    let rows: [(&[u8], &[u8], &str); 5] = [
        (b"one\ntwo\nthree\n", b"one\n2\nthree\n", r#"line 2 ["two"] ["2"]"#),
        (b"one\ntwo\nthree\nfour\n", b"1\n2\nthree\n4\n", r#"line 1 ["one", "two"] ["1", "2"]"#),
        (b"one\n", b"one", r#"line 1 ["one"] ["one (without an end of line)"]"#),
        (b"one\nthree\n", b"one\ntwo\nthree\n", r#"line 2 [] ["two"]"#),
        (b"\0\x01\x02", b"\0\x01", "02 | (end)"),
    ];
    for (first, second, expected) in rows {
        assert_eq!(said(first, second), [expected]);
    }
}

#[test]
fn an_elf_file_shows_the_section() {
    let whole = elf(b"code   1", b"data   1", 0);
    let found = of_bytes(&whole, &elf(b"code   1", b"data \x01 2", 0)).expect("they differ");
    assert_eq!(found.offset, 77);
    assert_eq!(found.places, [Place { place: "section `.data`".into(), offset: Some(5) }]);
    let header = said(&whole, &elf(b"code   1", b"data   1", 4));
    assert_eq!(header[0], "ELF header");
}

#[test]
fn archives_show_the_member_down_to_the_innermost() {
    let inner = |word: &str| zip(&[("same", b"x"), ("b/c.txt", format!("tea\n{word}\n").as_bytes())]);
    let outer = |word| gzip(&tar(&[("first", 0o644, b"1"), ("lib.jar", 0o644, &inner(word))]), 0);
    let expected = [
        "gzip: its contents",
        "tar: member `lib.jar`",
        "zip: member `b/c.txt`",
        r#"line 2 ["milk"] ["oat"]"#,
    ];
    assert_eq!(said(&outer("milk"), &outer("oat")), expected);
    let rows: [(Vec<u8>, Vec<u8>, &[&str]); 5] = [
        (
            gzip(b"x", 1),
            gzip(b"x", 2),
            &[
                "gzip: its contents",
                "the same contents; time 1 name `` system 255 in the first, time 2 name `` system 255 in the second",
            ],
        ),
        (
            tar(&[("a", 0o644, b"")]),
            tar(&[("b", 0o644, b"")]),
            &["tar", "a member is `a` in the first and `b` in the second"],
        ),
        (
            zip(&[("a", b"")]),
            zip(&[("a", b""), ("b\x1b", b"")]),
            &["zip", r"only the second has a member `b\x1b`"],
        ),
        (
            [gzip(b"x", 1), gzip(b"", 1)].concat(),
            gzip(b"x", 1),
            &["gzip: around its members, which are the same", "packed otherwise"],
        ),
        // What only seems to be an archive.
        (b"PK\x03\x04x".to_vec(), b"PK\x03\x04\0".to_vec(), &["78 | 00"]),
    ];
    for (first, second, expected) in rows {
        assert_eq!(said(&first, &second), expected);
    }
}

#[test]
fn a_bomb_is_compared_as_it_lies() {
    let zeros = vec![0; 1 << 20];
    let bomb = |last: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        (0..129).for_each(|_| out.write_all(&zeros).expect("memory takes it"));
        out.write_all(last).expect("memory takes it");
        out.finish().expect("memory takes it")
    };
    let found = of_bytes(&bomb(b"a"), &bomb(b"b")).expect("they differ");
    assert!(found.places.is_empty() && matches!(found.shown, Shown::Bytes { .. }));
}
