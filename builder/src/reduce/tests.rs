use std::{collections::BTreeMap, fs};

use super::*;
use crate::{
    evidence::{UsedLine, UsedList},
    formats::{
        elf::image::made::{Made, lookup},
        icu_data::{CommonData, made},
        jimage, module_info,
    },
    prune::Plan,
    recipe,
    tree::{Entry, Tree},
};

const LIBRARY: &str = "usr/lib/x86_64-linux-gnu/libicudata.so.72.1";

const ITEMS: [(&str, &[u8]); 9] = [
    ("cnvalias.icu", b"aliases"),
    ("coll/de.res", b"phone book"),
    ("de.res", b"german"),
    ("en.res", b"english"),
    ("ibm-37_P100-1995.cnv", b"charset"),
    ("nb.res", b"norwegian"),
    ("no.res", b"its parent"),
    ("root.res", b"root"),
    ("zoneinfo64.res", b"zones"),
];

/// Where the data lie in a made library, and where its symbol says they are.
const DATA_AT: usize = 0x400;
const DATA_ADDRESS: u64 = 0x2400;

/// Returns a library with one segment over all of it, at 0x2000, and one symbol (`elf(5)`).
fn library(symbol: &str, data: &[u8]) -> Vec<u8> {
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let names = format!("\0{symbol}\0");
    let size_bytes = (DATA_AT + data.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    file.extend(words(&[0, 64, 0]));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    file.extend(words(&[0x4_0000_0001, 0, 0x2000, 0x2000, size_bytes, size_bytes, 0x1000]));
    file.extend(words(&[0x4_0000_0002, 0x100, 0x2100, 0x2100, 80, 80, 8]));
    file.resize(0x100, 0);
    // DT_GNU_HASH, DT_SYMTAB, DT_STRTAB, DT_STRSZ
    let dynamic = [0x6fff_fef5, 0x2180, 6, 0x2200, 5, 0x2300, 10, names.len() as u64, 0, 0];
    file.extend(words(&dynamic));
    file.resize(0x180, 0);
    // One bucket with symbol 1, the end of its chain; one word of the filter, which lets all pass.
    file.extend(words(&[0x1_0000_0001, 1, u64::MAX, 0x1_0000_0001]));
    file.resize(0x200 + 24, 0);
    // A global object in section 1.
    file.extend([1, 0, 0, 0, 0x11, 0, 1, 0]);
    file.extend(words(&[DATA_ADDRESS, data.len() as u64]));
    file.resize(0x300, 0);
    file.extend_from_slice(names.as_bytes());
    file.resize(DATA_AT, 0);
    file.extend_from_slice(data);
    file
}

struct Case {
    store: Store,
    directory: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Case { store: Store::open(&directory.path().join("cache")).expect("opens"), directory }
    }

    fn reduce(&self, keys: &str, files: &[(&str, Vec<u8>)]) -> Result<Reduced, ReduceError> {
        self.reduce_used(keys, files, &UsedList::new())
    }

    fn reduce_used(
        &self,
        keys: &str,
        files: &[(&str, Vec<u8>)],
        used: &UsedList,
    ) -> Result<Reduced, ReduceError> {
        let text = format!(
            "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n[reduce]\n{keys}\n"
        );
        fs::write(self.directory.path().join("recipe.toml"), text).expect("is written");
        let recipe = recipe::read(self.directory.path()).expect("a good recipe");
        let mut tree = Tree::new();
        for (path, bytes) in files {
            let is_program = path.contains("bin/") || path.ends_with("/cc1");
            let mode = if is_program { 0o755 } else { 0o644 };
            let entry = Entry::file(self.store.put(bytes.clone()), bytes.len() as u64, mode, 1_700_000_000);
            tree.insert(TreePath::new(path.as_bytes()).expect("a good path"), entry);
        }
        reduce(Pruned { tree, plan: Plan::default() }, &recipe, used, &self.store)
    }

    fn bytes(&self, reduced: &Reduced, path: &str) -> Vec<u8> {
        let content = reduced.pruned.tree.get(path.as_bytes()).and_then(|entry| entry.kind.content());
        self.store.read(&content.expect("a file").0).expect("is there")
    }

    /// Returns the items that are left, with their data.
    fn left(&self, reduced: &Reduced) -> BTreeMap<String, Vec<u8>> {
        let (digest, _) =
            reduced.pruned.tree.get(LIBRARY.as_bytes()).and_then(|e| e.kind.content()).expect("a file");
        let bytes = self.store.read(&digest).expect("is there");
        let data = CommonData::read(&bytes[DATA_AT..]).expect("is good");
        let known = |name: &str| ITEMS.iter().find(|(item, _)| *item == name).expect("is one of ours").1;
        data.items
            .iter()
            .map(|item| {
                let own = known(&item.name);
                let found = bytes.windows(own.len()).any(|window| window == own);
                assert!(found, "{} has its data", item.name);
                (item.name.clone(), own.to_vec())
            })
            .collect()
    }
}

fn good() -> Vec<u8> {
    library("icudt72_dat", &made("icudt72l", &ITEMS))
}

#[test]
fn the_recipe_says_what_is_left_of_icu() {
    let case = Case::new();
    for (keys, names, text) in [
        (
            "icu = { languages = [\"de\"] }",
            "cnvalias.icu coll/de.res de.res ibm-37_P100-1995.cnv root.res zoneinfo64.res",
            "6 of 9 items of ICU's data, 85 of 421 bytes: \
             character data, converters, what all languages share, de",
        ),
        (
            "icu = { languages = [\"nb\"], converters = false }",
            "cnvalias.icu nb.res no.res root.res zoneinfo64.res",
            "5 of 9 items of ICU's data, 69 of 421 bytes: character data, what all languages share, nb",
        ),
        (
            "icu = { languages = [] }",
            "cnvalias.icu ibm-37_P100-1995.cnv",
            "2 of 9 items of ICU's data, 32 of 421 bytes: character data, converters",
        ),
        (
            "icu = { languages = [\"root\"], converters = false }",
            "cnvalias.icu root.res zoneinfo64.res",
            "3 of 9 items of ICU's data, 37 of 421 bytes: character data, what all languages share",
        ),
        ("icu = { empty = true }", "", "0 of 9 items of ICU's data, 0 of 421 bytes: an empty table"),
    ] {
        let reduced = case.reduce(keys, &[(LIBRARY, good())]).expect("reduces");
        let left: Vec<String> = case.left(&reduced).into_keys().collect();
        assert_eq!(left.join(" "), names, "{keys}");
        let texts: Vec<&str> = reduced.files.values().map(|file| &file.text[..]).collect();
        assert_eq!(texts, [text]);
        assert!(reduced.warnings.is_empty());
        let again = case.reduce(keys, &[(LIBRARY, good())]).expect("reduces");
        assert_eq!(reduced.files, again.files, "the same comes out each time");
    }
}

#[test]
fn nothing_but_contents_changes() {
    let case = Case::new();
    let files = [(LIBRARY, good()), ("usr/bin/php", b"php".to_vec())];
    let before = case.reduce("", &files).expect("has nothing to do");
    assert!(before.files.is_empty());
    let after = case.reduce("icu = { empty = true }", &files).expect("reduces");
    let reduction = &after.files.values().next().expect("one file");
    let text =
        before.pruned.tree.to_text().replace(&reduction.before.to_string(), &reduction.after.to_string());
    assert_eq!(after.pruned.tree.to_text(), text);
}

#[test]
fn what_is_not_as_expected_is_refused() {
    let case = Case::new();
    let keys = "icu = { languages = [\"fr\"] }";
    let text = |library: Vec<u8>| {
        let error = case.reduce(keys, &[(LIBRARY, library)]).expect_err("is refused");
        let cause = std::error::Error::source(&error).map(|cause| (cause.to_string(), cause.source()));
        let (cause, below) = cause.expect("says why");
        format!("{error}: {cause}{}", below.map_or(String::new(), |below| format!(": {below}")))
    };
    for (library, expected) in [
        (good(), "reduce.icu.languages: this version of ICU has nothing for `fr`"),
        (b"#!/bin/sh".to_vec(), "it is not a library"),
        (library("other", b"data"), "it has no symbol icudtNN_dat"),
        (library("icudt72_dat", b"data"), "its data cannot be read: its header ends too early"),
    ] {
        assert_eq!(text(library), format!("cannot reduce /{LIBRARY}: {expected}"));
    }
    let none = case.reduce(keys, &[("usr/bin/php", Vec::new())]).expect("does nothing");
    assert_eq!(none.warnings, ["reduce.icu: the pruned root has no libicudata"]);
}

#[test]
fn pages_that_were_read_tell_the_items_that_are_left_out() {
    let case = Case::new();
    let large = [7; 9000];
    let items: [(&str, &[u8]); 7] = [
        ("coll/sv.res", &large),
        ("de.res", &large),
        ("fr.res", &large),
        ("ibm-37_P100-1995.cnv", &large),
        ("sv.res", b"small"),
        ("sv_AX.res", b"small"),
        ("vi.res", &large),
    ];
    let data = made("icudt72l", &items);
    let places = CommonData::read(&data).expect("is good").items;
    let page = |name: &str, offset: usize| {
        let item = places.iter().find(|item| item.name == name).expect("is one of ours");
        (DATA_AT + item.place().start + offset) as u64 / crate::evidence::PAGE_BYTES
    };
    let whole = library("icudt72_dat", &data);
    let told = |keys: &str, read: &[u64]| {
        let reduced = case.reduce(keys, &[(LIBRARY, whole.clone())]).expect("reduces");
        let path = TreePath::new(LIBRARY.as_bytes()).expect("a good path");
        let pages = BTreeMap::from([(ImagePath::in_image(path), read.iter().copied().collect())]);
        let recipe = recipe::read(case.directory.path()).expect("a good recipe");
        let told = left_out(&reduced.files, &pages, &recipe, &case.store).expect("tells");
        told.into_iter().map(|lost| format!("{}: {}", lost.parts.join(", "), lost.remedy)).collect::<Vec<_>>()
    };
    let german = "icu = { languages = [\"de\"], converters = false }";
    let french = [page("fr.res", 0), page("fr.res", 5000)];
    assert_eq!(told(german, &french), ["fr.res: add `fr` to `languages`"]);
    assert_eq!(told(german, &french[1..]), [""; 0], "what is read without its beginning was read ahead");
    assert_eq!(told(german, &[page("de.res", 0), page("de.res", 5000)]), [""; 0]);
    assert_eq!(told(german, &[0]), [""; 0], "the table is in the first page");
    // These two begin in one page, and behind them the next item.
    let shared = told(german, &[page("sv.res", 0)]);
    assert_eq!(shared, ["sv.res or sv_AX.res or vi.res: add `sv` to `languages` or add `vi` to `languages`"]);
    let with_more = told(german, &[page("sv.res", 0), page("coll/sv.res", 0), page("coll/sv.res", 5000)]);
    assert_eq!(with_more, ["coll/sv.res, sv.res or sv_AX.res or vi.res: add `sv` to `languages`"]);
    let converters = [page("ibm-37_P100-1995.cnv", 0), page("ibm-37_P100-1995.cnv", 5000)];
    assert_eq!(told(german, &converters), ["ibm-37_P100-1995.cnv: set `converters = true`"]);
    assert_eq!(told("icu = { languages = [\"de\"] }", &converters), [""; 0]);
}

#[test]
fn of_many_parts_that_are_left_out_a_few_are_named() {
    let parts = |count: usize| (0..count).map(|number| format!("coll/{number}.res")).collect();
    let path = TreePath::new(LIBRARY.as_bytes()).expect("a good path");
    let told = |count| LeftOut { path: path.clone(), parts: parts(count), remedy: "x".into() }.to_string();
    assert!(
        told(5)
            .ends_with(" reads: coll/0.res, coll/1.res, coll/2.res, coll/3.res, coll/4.res; to have it, x")
    );
    assert!(told(7).ends_with(" coll/3.res, coll/4.res and 2 more; to have it, x"), "{}", told(7));
}

/// Each byte before the data is set to some values, and the file is cut there: no library makes us fall over.
#[test]
fn damaged_libraries_are_refused_or_reduced() {
    let whole = good();
    let keys = crate::recipe::Icu::Kept { languages: vec!["de".to_owned()], converters: false };
    for at in 0..DATA_AT {
        let _ = icu::reduce(&mut whole[..at].to_vec(), &keys);
        for value in [0, 1, 0x7f, 0xff, whole[at].wrapping_add(8)] {
            let mut library = whole.clone();
            library[at] = value;
            if icu::reduce(&mut library, &keys).is_ok() {
                assert_eq!(library.len(), whole.len());
            }
        }
    }
}

const MODULES: &str = "usr/lib/jvm/java-17-openjdk-amd64/lib/modules";

/// Returns Java's file of four modules: java.sql requires java.xml.
fn java() -> Vec<u8> {
    let infos =
        [("java.base", &[][..]), ("java.desktop", &["java.xml"]), ("java.sql", &["java.base", "java.xml"])];
    let infos = infos.map(|(name, required)| module_info::made(name, required));
    jimage::made::made(&[
        ("java.base", &[("module-info.class", &infos[0]), ("java/lang/Object.class", b"object")]),
        ("java.desktop", &[("module-info.class", &infos[1]), ("java/awt/Window.class", b"window")]),
        ("java.sql", &[("module-info.class", &infos[2])]),
        ("java.xml", &[("module-info.class", &module_info::made("java.xml", &["java.desktop?"]))]),
    ])
}

#[test]
fn modules_stay_with_those_that_they_require() {
    let case = Case::new();
    for (keys, left) in [
        ("java = { modules = [\"java.sql\"] }", "java.base java.sql java.xml"),
        ("java = { modules = [] }", "java.base"),
        ("java = { modules = [\"java.sql\", \"java.desktop\"] }", "java.base java.desktop java.sql java.xml"),
    ] {
        let files = [(MODULES, java()), ("usr/lib/modules", b"of something else".to_vec())];
        let reduced = case.reduce(keys, &files).expect("reduces");
        let file = &reduced.files[MODULES.as_bytes()];
        let bytes = case.store.read(&file.after).expect("is there");
        let image = jimage::Image::read(&bytes).expect("is good");
        let names: Vec<_> = image.modules(&bytes).into_iter().map(String::from_utf8_lossy).collect();
        assert_eq!(names.join(" "), left);
        let count = format!("{} of 4 modules of Java, ", names.len());
        assert!(
            file.text.starts_with(&count) && file.text.ends_with(&left.replace(' ', ", ")),
            "{}",
            file.text
        );
        assert_eq!((reduced.files.len(), bytes.len()), (1, java().len()));
        assert_eq!(reduced.files, case.reduce(keys, &files).expect("reduces").files);
    }
}

#[test]
fn modules_that_are_not_there_are_told() {
    let case = Case::new();
    let text = |keys: &str, file: Vec<u8>| {
        let error = case.reduce(keys, &[(MODULES, file)]).expect_err("is refused");
        format!("{error}: {}", std::error::Error::source(&error).expect("says why"))
    };
    let cannot = format!("cannot reduce /{MODULES}");
    assert_eq!(
        text("java = { modules = [\"java.sqk\"] }", java()),
        format!(
            "{cannot}: reduce.java.modules: this Java has no module `java.sqk`; did you mean `java.sql`?"
        )
    );
    let empty = jimage::made::made(&[("java.base", &[("java/lang/Object.class", b"object")])]);
    assert_eq!(
        text("java = { modules = [] }", empty),
        format!("{cannot}: module `java.base` does not say what it requires")
    );
    let text = text("java = { modules = [] }", b"PK".to_vec());
    assert_eq!(text, format!("{cannot}: its tables cannot be read"));
    let none = case.reduce("java = { modules = [] }", &[]).expect("does nothing");
    assert_eq!(none.warnings, ["reduce.java: the pruned root has no modules of Java"]);
}

const FUNCTION: u8 = object::elf::STT_FUNC;

/// A library with many symbols, of which a program asks for one.
fn many(names: &[String]) -> Vec<u8> {
    let exports: Vec<(&str, u8)> = names.iter().map(|name| (&name[..], FUNCTION)).collect();
    let relocated = ["function_7_that_nobody_asks_for"];
    let made = Made {
        soname: "libmany.so.1",
        exports: &exports,
        relocated: &relocated,
        words: "said_at_home",
        ..Made::default()
    };
    made.bytes()
}

fn names() -> Vec<String> {
    let special = ["asked", "said_at_home", "said_by_script", "PyInit_many", "mod_x_plugin_init"];
    let many = (0..200).map(|number| format!("function_{number}_that_nobody_asks_for"));
    special.iter().map(|name| (*name).to_owned()).chain(many).collect()
}

#[test]
fn symbols_stay_that_somebody_may_ask_for() {
    let case = Case::new();
    let program = Made {
        program: true,
        soname: "app",
        needed: &["libmany.so.1"],
        imports: &["asked", "dlsym"],
        relocated: &["asked", "dlsym"],
        words: "a piece: %s_plugin_init.",
        ..Made::default()
    };
    let many = many(&names());
    let plugin = Made { soname: "plug.so", exports: &[("plug", FUNCTION)], ..Made::default() };
    let files = [
        ("usr/bin/app", program.bytes()),
        ("usr/lib/libmany.so.1", many.clone()),
        ("usr/lib/copy/libmany.so.1", many.clone()),
        ("usr/lib/plug.so", plugin.bytes()),
        ("usr/share/app.py", b"library['said_by_script']()".to_vec()),
    ];
    let before = case.reduce("symbols = false", &files).expect("has nothing to do");
    assert!(before.files.is_empty());
    let reduced = case.reduce("", &files).expect("reduces");
    let texts: Vec<(String, &str)> =
        reduced.files.iter().map(|(path, reduction)| (path.to_string(), &reduction.text[..])).collect();
    let text = "5 of 205 symbols, no sections";
    let both = ["usr/lib/copy/libmany.so.1", "usr/lib/libmany.so.1"].map(|path| (path.to_owned(), text));
    assert_eq!(texts, both, "what has little to lose, and what is loaded by its path, stays as it is");
    let left = case.bytes(&reduced, "usr/lib/libmany.so.1");
    assert_eq!(left.len(), many.len());
    for name in names() {
        let expected = if name.starts_with("function_") { None } else { lookup(&many, &name) };
        assert_eq!(lookup(&left, &name), expected, "{name}");
    }
    let again = case.reduce("symbols = true", &files).expect("reduces");
    assert_eq!(reduced.files, again.files, "the same comes out each time");
}

#[test]
fn files_whose_names_cannot_be_told_stop_the_build() {
    let case = Case::new();
    let mut other = Made { soname: "liba.so.1", ..Made::default() }.bytes();
    other[18] = 3;
    let error = case.reduce("symbols = true", &[("usr/lib/liba.so.1", other)]).expect_err("is refused");
    let expected =
        "cannot tell the symbols of /usr/lib/liba.so.1, which reduce.symbols and reduce.stubs need";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn symbols_stay_unasked_where_code_may_come_or_cannot_be_told() {
    let case = Case::new();
    let program = Made { program: true, soname: "app", needed: &["libmany.so.1"], ..Made::default() };
    let mut files = vec![
        ("usr/bin/app", program.bytes()),
        ("usr/lib/libmany.so.1", many(&names())),
        ("usr/bin/gcc", vec![]),
    ];
    let compiler =
        ["usr/bin/x86_64-linux-gnu-gcc-12", "usr/lib/gcc/x86_64-linux-gnu/12/cc1", "usr/bin/ld.bfd"];
    for path in compiler {
        files[2].0 = path;
        assert!(case.reduce("", &files).expect("does nothing").files.is_empty(), "{path}");
        assert_eq!(case.reduce("symbols = true", &files).expect("reduces").files.len(), 1, "{path}");
    }
    files[2].0 = "usr/bin/gcc-is-none";
    assert_eq!(case.reduce("", &files).expect("reduces").files.len(), 1);
    let mut other = Made { soname: "liba.so.1", ..Made::default() }.bytes();
    other[18] = 3;
    files[2] = ("usr/lib/liba.so.1", other);
    let left = case.reduce("", &files).expect("leaves all");
    assert!(left.files.is_empty());
    assert_eq!(
        left.warnings,
        [
            "all symbols stay: cannot tell the symbols of /usr/lib/liba.so.1, which reduce.symbols and reduce.stubs need: \
          it is for another machine than amd64 or arm64"
        ]
    );
}

#[test]
fn stubs_keep_what_others_are_linked_to() {
    let case = Case::new();
    let journal = Made {
        soname: "libjournal.so.0",
        imports: &["unpack", "table"],
        exports: &[("notify", FUNCTION)],
        relocated: &["unpack"],
        ..Made::default()
    };
    let exports = [("unpack", FUNCTION), ("pack", FUNCTION), ("table", object::elf::STT_OBJECT)];
    let squeeze = Made { soname: "libsqueeze.so.1", exports: &exports[..2], ..Made::default() };
    let files = |library: &Made<'_>| {
        [("usr/lib/libjournal.so.0", journal.bytes()), ("usr/lib/libsqueeze.so.1.2", library.bytes())]
    };
    let keys = "stubs = [\"libsqueeze.so.1\", \"libother.so.2\"]";
    let reduced = case.reduce(keys, &files(&squeeze)).expect("reduces");
    assert_eq!(reduced.warnings, ["reduce.stubs: the pruned root has no library libother.so.2"]);
    let texts: Vec<&str> = reduced.files.values().map(|file| &file.text[..]).collect();
    assert_eq!(texts, ["nothing but 1 of 2 symbols, which end the process that calls them"]);
    let left = case.bytes(&reduced, "usr/lib/libsqueeze.so.1.2");
    assert_eq!(lookup(&left, "unpack"), lookup(&squeeze.bytes(), "unpack"));
    assert_eq!(lookup(&left, "pack"), None);
    let with_data = Made { exports: &exports, ..squeeze.clone() };
    let program = Made { program: true, ..squeeze.clone() };
    for (library, expected) in [(with_data, "others use its data, `table`"), (program, "it is a program")] {
        let error = case.reduce(keys, &files(&library)).expect_err("is refused");
        assert_eq!(error.to_string(), "reduce.stubs: cannot make a stub of /usr/lib/libsqueeze.so.1.2");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some(expected));
    }
}

/// Byte code with a header of some flags, over a source of the time and size that files have here.
fn byte_code(flags: u8, time_s: u32, size_bytes: u32) -> Vec<u8> {
    let mut out = b"\xa7\r\r\n".to_vec();
    out.extend([flags, 0, 0, 0]);
    out.extend([time_s, size_bytes].into_iter().flat_map(u32::to_le_bytes));
    out.extend(b"code");
    out
}

#[test]
fn sources_become_lines_where_byte_code_stands_for_them() {
    let case = Case::new();
    let source = b"print('text')\n".to_vec();
    let size = source.len() as u32;
    let script = b"#!/usr/bin/python3\n".to_vec();
    // Name, source, byte code, whether the source goes.
    type Row<'a> = (&'a str, &'a [u8], Option<Vec<u8>>, bool);
    let rows: [Row<'_>; 9] = [
        ("timed", &source, Some(byte_code(0, 1_700_000_000, size)), true),
        ("older", &source, Some(byte_code(0, 1_600_000_000, size)), false),
        ("longer", &source, Some(byte_code(0, 1_700_000_000, size + 1)), false),
        ("unchecked", &source, Some(byte_code(1, 7, 7)), true),
        ("checked", &source, Some(byte_code(3, 7, 7)), true),
        ("cut", &source, Some(b"\xa7\r".to_vec()), false),
        ("alone", &source, None, false),
        ("script", &script, Some(byte_code(1, 7, 7)), false),
        ("read", &source, Some(byte_code(1, 7, 7)), false),
    ];
    let paths: Vec<(String, String)> = rows
        .iter()
        .map(|(name, ..)| (format!("lib/{name}.py"), format!("lib/__pycache__/{name}.cpython-311.pyc")))
        .collect();
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    for ((_, source, code, _), (path, code_path)) in rows.iter().zip(&paths) {
        files.push((path, source.to_vec()));
        files.extend(code.clone().map(|code| (&code_path[..], code)));
    }
    let mut used = UsedList::new();
    let line = |kinds: &str| UsedLine {
        kinds: kinds.parse().expect("is known"),
        program: "/usr/bin/python3.11".to_owned(),
        package: String::new(),
        service: String::new(),
        step: String::new(),
    };
    let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
    for read in ["lib/read.py", "lib/checked.py", "lib/__pycache__/checked.cpython-311.pyc"] {
        used.insert(path(read), line("opened"));
    }
    let reduced = case.reduce_used("bytecode = true", &files, &used).expect("reduces");
    for ((name, source, code, goes), (path, code_path)) in rows.iter().zip(&paths) {
        let expected = if *goes { vec![b'\n'; source.len()] } else { source.to_vec() };
        assert_eq!(case.bytes(&reduced, path), expected, "{name}");
        let Some(mut code) = code.clone() else { continue };
        if *name == "checked" {
            code[4] = 1;
        }
        assert_eq!(case.bytes(&reduced, code_path), code, "{name}");
    }
    assert_eq!(reduced.files.len(), 4);
}

fn proposals(case: &Case, keys: &str, files: &[(&str, Vec<u8>)]) -> Vec<(String, String)> {
    let reduced = case.reduce(keys, files).expect("reduces");
    let recipe = recipe::read(case.directory.path()).expect("a good recipe");
    let proposals = propose(&reduced.pruned, &recipe, &UsedList::new(), &case.store);
    let told = |proposal: Proposal| {
        assert!(
            proposal.saves_bytes <= proposal.takes_bytes && proposal.saves_bytes >= 50_000,
            "{proposal:?}"
        );
        (proposal.change.line(&recipe), format!("{}: {}", proposal.files, proposal.why))
    };
    proposals.into_iter().map(told).collect()
}

/// Bytes that no compression makes small.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn reductions_are_proposed_where_they_apply_and_save_enough() {
    let case = Case::new();
    let data = noise(100_000);
    let items: Vec<(&str, &[u8])> =
        ITEMS.iter().map(|(name, own)| (*name, if *name == "de.res" { &data[..] } else { own })).collect();
    let icu = library("icudt72_dat", &made("icudt72l", &items));
    let uses = |soname| Made { soname, needed: &["libicuuc.so.72"], ..Made::default() }.bytes();
    let mut files = vec![(LIBRARY, icu), ("usr/lib/libxml2.so.2", uses("libxml2.so.2"))];
    let empty =
        ("icu = { empty = true }".to_owned(), "libicudata.so.72.1: only libxml2.so.2 uses it".to_owned());
    assert_eq!(proposals(&case, "", &files), [empty]);
    files.push(("usr/lib/php/intl.so", uses("intl.so")));
    let english = (
        "icu = { languages = [\"en\"] }".to_owned(),
        "libicudata.so.72.1: intl.so, libxml2.so.2 would speak en".to_owned(),
    );
    assert_eq!(proposals(&case, "", &files), [english]);
    assert_eq!(proposals(&case, "icu = { languages = [\"en\"] }", &files), []);
    files[0].1 = library("icudt72_dat", &made("icudt72l", &ITEMS));
    assert_eq!(proposals(&case, "", &files), [], "too little to gain");
}

#[test]
fn libraries_that_nothing_calls_are_proposed_as_stubs() {
    let case = Case::new();
    let words = noise(150_000).iter().map(|byte| char::from(b'A' + byte % 50)).collect::<String>();
    let large = |soname, exports| Made { soname, exports, words: &words, ..Made::default() };
    let (lzma, unused) = ([("lzma_decode", FUNCTION)], [("solve", FUNCTION)]);
    let (lzma, unused) = (large("liblzma.so.5", &lzma), large("libunused.so.1", &unused));
    let systemd = Made {
        soname: "libsystemd.so.0",
        needed: &["liblzma.so.5"],
        imports: &["lzma_decode"],
        exports: &[("sd_notify", FUNCTION), ("sd_journal_print", FUNCTION)],
        ..Made::default()
    };
    let server = |imports: &'static [&'static str]| {
        let needed = &["libsystemd.so.0", "libunused.so.1"];
        Made { program: true, soname: "server", needed, imports, relocated: imports, ..Made::default() }
            .bytes()
    };
    let mut files = vec![
        ("usr/sbin/server", server(&["sd_notify"])),
        ("usr/lib/liblzma.so.5", lzma.bytes()),
        ("usr/lib/libunused.so.1", unused.bytes()),
        ("usr/lib/libsystemd.so.0", systemd.bytes()),
    ];
    let none = ("stubs = [\"libunused.so.1\"]", "libunused.so.1: no file asks for any of their symbols");
    let journal = (
        "stubs = [\"liblzma.so.5\"]",
        "liblzma.so.5: only libsystemd needs them, to read journals, and it is only told that a service is ready",
    );
    let lines = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
        rows.iter().map(|(line, why)| ((*line).to_owned(), (*why).to_owned())).collect()
    };
    let mut found = proposals(&case, "", &files);
    found.sort();
    assert_eq!(found, lines(&[journal, none]));
    let both = ("stubs = [\"liblzma.so.5\", \"libunused.so.1\"]", none.1);
    assert_eq!(proposals(&case, journal.0, &files), lines(&[both]), "with what the recipe has already");
    files[0].1 = server(&["sd_notify", "sd_journal_print"]);
    assert_eq!(proposals(&case, "", &files), lines(&[none]), "it writes to a journal");
    files.push((
        "usr/lib/other.so",
        Made { soname: "other.so", imports: &["solve"], relocated: &["solve"], ..Made::default() }.bytes(),
    ));
    assert_eq!(proposals(&case, "", &files), []);
}
