use std::{collections::BTreeMap, fs};

use super::*;
use crate::{
    formats::{
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

/// Returns an ELF file with one segment over all of it, at 0x2000, and one symbol (`elf(5)`).
fn library(symbol: &str, data: &[u8]) -> Vec<u8> {
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let names = format!("\0{symbol}\0");
    let size_bytes = (DATA_AT + data.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
    file.extend(words(&[0, 64, 0x100]));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 3, 0, 2, 0]);
    file.extend(words(&[0x4_0000_0001, 0, 0x2000, 0x2000, size_bytes, size_bytes, 0x1000]));
    file.resize(0x100 + 64, 0);
    // SHT_DYNSYM and its SHT_STRTAB
    file.extend(words(&[0xb_0000_0000, 2, 0x2200, 0x200, 48, 0x1_0000_0002, 8, 24]));
    file.extend(words(&[0x3_0000_0000, 2, 0x2300, 0x300, names.len() as u64, 0, 1, 0]));
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
        let text = format!(
            "[app]\nname = \"wiki\"\npackages = [\"wiki\"]\n[debian]\nsuite = \"bookworm\"\n[reduce]\n{keys}\n"
        );
        fs::write(self.directory.path().join("recipe.toml"), text).expect("is written");
        let recipe = recipe::read(self.directory.path()).expect("a good recipe");
        let mut tree = Tree::new();
        for (path, bytes) in files {
            let entry = Entry::file(self.store.put(bytes.clone()), bytes.len() as u64, 0o644, 1_700_000_000);
            tree.insert(TreePath::new(path.as_bytes()).expect("a good path"), entry);
        }
        reduce(Pruned { tree, plan: Plan::default() }, &recipe, &self.store)
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
        (library("other", b"data"), "it has no data of ICU: it has no symbol icudtNN_dat"),
        (library("icudt72_dat", b"data"), "its data cannot be read: its header ends too early"),
    ] {
        assert_eq!(text(library), format!("cannot reduce /{LIBRARY}: {expected}"));
    }
    let no_elf = text(b"#!/bin/sh".to_vec());
    assert!(no_elf.contains("it has no data of ICU: "), "{no_elf}");
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
        (DATA_AT + item.place().start + offset) as u64 / crate::view::PAGE_BYTES
    };
    let whole = library("icudt72_dat", &data);
    let told = |keys: &str, read: &[u64]| {
        let reduced = case.reduce(keys, &[(LIBRARY, whole.clone())]).expect("reduces");
        let path = TreePath::new(LIBRARY.as_bytes()).expect("a good path");
        let pages = BTreeMap::from([(path, read.iter().copied().collect())]);
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
    jimage::tests::made(&[
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
    let empty = jimage::tests::made(&[("java.base", &[("java/lang/Object.class", b"object")])]);
    assert_eq!(
        text("java = { modules = [] }", empty),
        format!("{cannot}: module `java.base` does not say what it requires")
    );
    let text = text("java = { modules = [] }", b"PK".to_vec());
    assert_eq!(text, format!("{cannot}: its tables cannot be read"));
    let none = case.reduce("java = { modules = [] }", &[]).expect("does nothing");
    assert_eq!(none.warnings, ["reduce.java: the pruned root has no modules of Java"]);
}
