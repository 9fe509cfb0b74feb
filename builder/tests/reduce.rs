//! Reduced files under the programs that use them, from Debian's own packages. Here ICU's data under PHP, of
//! bookworm (ICU 72) and trixie (ICU 76).

#![allow(clippy::print_stderr)]

mod debs;
#[path = "reduce/java.rs"]
mod java;

use std::{collections::BTreeMap, fs, io::Read, sync::Arc};

use tinyroot::{
    assemble::assemble,
    error::Hint as _,
    evidence::UsedList,
    layout::ImagePath,
    progress::Progress,
    prune::{Plan, Pruned},
    recipe::{self, Recipe},
    reduce::{LeftOut, left_out, reduce},
    render::{RenderOptions, render},
    sandbox::{self, Ids, Root, Sandbox, best_way},
    store::Store,
    tree::{Entry, Tree, TreePath},
    unpack::unpack,
    view::{self, View},
};

/// Prints one line a subject: what each locale makes of a date, numbers, names and an order of words; then
/// what knows no language.
const SCRIPT: &str = r#"<?php
foreach (["en_US", "en_GB", "de_DE", "de_AT", "nb_NO", "fr_FR", "sv_SE"] as $locale) {
    $date = new IntlDateFormatter($locale, IntlDateFormatter::FULL, IntlDateFormatter::FULL, "Europe/Berlin");
    $money = new NumberFormatter($locale, NumberFormatter::CURRENCY);
    $words = new NumberFormatter($locale, NumberFormatter::SPELLOUT);
    $order = ["z", "ö", "Ä", "a", "ß", "ss", "Zebra", "å"];
    (new Collator($locale))->sort($order);
    $plural = MessageFormatter::formatMessage($locale, "{0, plural, one{# a} other{# b}}", [1]);
    echo "$locale: ", $date->format(1700000000), " | ", $money->formatCurrency(1234567.891, "EUR"), " | ",
        $words->format(4711), " | ", Locale::getDisplayRegion("und_JP", $locale), " | ",
        Locale::getDisplayLanguage("nl", $locale), " | ", implode(" ", $order), " | ", $plural, "\n";
}
$breaks = IntlBreakIterator::createWordInstance("en_US");
$breaks->setText("Two words, then 3.14 more.");
echo "breaks: ", implode(",", iterator_to_array($breaks)), "\n";
echo "normal: ", bin2hex(Normalizer::normalize("A\u{30a}ﬁ", Normalizer::FORM_KC)), "\n";
echo "latin: ", transliterator_transliterate("Any-Latin; Latin-ASCII", "Ελλάδα Москва 東京"), "\n";
echo "charset: ", bin2hex(UConverter::transcode("日本", "ibm-943_P15A-2003", "UTF-8")), "\n";
echo "name: ", IntlChar::charName("é"), "\n";
echo "host: ", idn_to_ascii("bücher.example"), "\n";
echo "zone: ", IntlTimeZone::createTimeZone("America/New_York")->getRawOffset(), "\n";
"#;

/// Prints what libxml2 reads of documents in other charsets.
const DOM_SCRIPT: &str = r#"<?php
foreach (["windows-1251" => "\xcc\xee", "Shift_JIS" => "\x93\xfa", "ISO-8859-15" => "\xa4"] as $charset => $bytes) {
    $document = new DOMDocument();
    $document->loadXML("<?xml version=\"1.0\" encoding=\"$charset\"?><a>$bytes</a>");
    echo "$charset: ", $document->documentElement->textContent, "\n";
}
"#;

/// A root of Debian's packages as they are.
struct Subject {
    directory: tempfile::TempDir,
    store: Arc<Store>,
    tree: Tree,
}

impl Subject {
    fn new(suite: &str, packages: &[&str]) -> Self {
        sandbox::set_program(env!("CARGO_BIN_EXE_tinyroot"));
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("cache");
        let fetched = debs::fetched(suite, packages, &cache);
        let store = Arc::new(Store::open(&cache).expect("opens"));
        let unpacked = unpack(&fetched, &store, &Progress::silent()).expect("unpacks");
        let tree = assemble(&unpacked).expect("assembles").tree;
        Subject { directory, store, tree }
    }

    /// Runs a command on a root that is reduced by some keys and has one more file; returns the lines by
    /// their subject.
    fn answers(&self, keys: &str, file: (&str, &str), command: &[&str]) -> BTreeMap<String, String> {
        let recipe = self.recipe(keys);
        let pruned = Pruned { tree: self.tree.clone(), plan: Plan::default() };
        let reduced = reduce(pruned, &recipe, &UsedList::new(), &self.store).expect("reduces");
        for (path, reduction) in &reduced.files {
            eprintln!("/{path}: {}", reduction.text);
        }
        let root = tempfile::tempdir_in(self.directory.path()).expect("a directory").keep().join("root");
        render(&reduced.pruned.tree, &self.store, &root, RenderOptions::default()).expect("renders");
        fs::write(root.join(file.0), file.1).expect("is written");
        let root = Root::Directory { path: root, writable: true };
        let mut sandbox = Sandbox::new(root, Ids::RootLike(best_way().expect("some way")), command);
        sandbox.proc = true;
        let running = sandbox.start();
        let running = running.unwrap_or_else(|error| panic!("starts: {error} {:?}", error.hint()));
        let mut output = String::new();
        running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
        assert!(running.wait().success(), "{output}");
        let pairs = output.lines().filter_map(|line| line.split_once(": "));
        pairs.map(|(subject, answer)| (subject.to_owned(), answer.to_owned())).collect()
    }

    /// Lets PHP run a script on the whole root, served as a view that looks at the library closely; returns
    /// which of the items that some keys leave out it read there, and what would keep them.
    fn read_of_what_is_left_out(&self, keys: &str, file: (&str, &str), command: &[&str]) -> Vec<LeftOut> {
        let recipe = self.recipe(keys);
        let pruned = Pruned { tree: self.tree.clone(), plan: Plan::default() };
        let reduced = reduce(pruned, &recipe, &UsedList::new(), &self.store).expect("reduces");
        let mut tree = self.tree.clone();
        let (at, text) = file;
        let entry = Entry::file(self.store.put(text), text.len() as u64, 0o644, 0);
        tree.insert(TreePath::new(at.as_bytes()).expect("a good path"), entry);
        let closely = reduced.files.keys().map(ImagePath::of_stage).collect();
        let options = view::Options { owner: (1000, 1000), closely, ..view::Options::default() };
        let view = Arc::new(View::new(Arc::new(tree), self.store.clone(), options));
        let mut prepared = Sandbox::grain(Root::View, command.iter().copied()).prepare().expect("prepares");
        let server = view::fuse::serve(prepared.fuse().expect("has a view"), view.clone()).expect("serves");
        let running = prepared.start().expect("starts");
        let mut output = String::new();
        running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
        assert!(running.wait().success(), "{output}");
        drop(running);
        server.stop().expect("served well");
        left_out(&reduced.files, &view.pages(), &recipe, &self.store).expect("tells")
    }

    fn recipe(&self, keys: &str) -> Recipe {
        let folder = self.directory.path().join("recipe");
        fs::create_dir_all(&folder).expect("is made");
        let text = format!(
            "[app]\nname = \"reduced\"\npackages = [\"reduced\"]\n[debian]\nsuite = \"bookworm\"\n[reduce]\n{keys}\n"
        );
        fs::write(folder.join("recipe.toml"), text).expect("is written");
        recipe::read(&folder).expect("a good recipe")
    }
}

#[test]
fn kept_languages_of_icu_72_answer_as_before() {
    kept_languages_answer_as_before("bookworm", "8.2");
}

#[test]
fn kept_languages_of_icu_76_answer_as_before() {
    kept_languages_answer_as_before("trixie", "8.4");
}

fn kept_languages_answer_as_before(suite: &str, php: &str) {
    let packages = ["cli", "intl", "xml"].map(|part| format!("php{php}-{part}"));
    let subject = Subject::new(suite, &packages.each_ref().map(|name| &name[..]));
    let program = format!("/usr/bin/php{php}");
    let answers = |keys: &str, extension: &str, script: &str| {
        let extension = format!("extension={extension}");
        subject.answers(keys, ("tmp/a.php", script), &[&program, "-n", "-d", &extension, "/tmp/a.php"])
    };

    let read = |keys: &str, extension: &str, script: &str| {
        let extension = format!("extension={extension}");
        let file = ("tinyroot.php", script);
        subject.read_of_what_is_left_out(keys, file, &[&program, "-n", "-d", &extension, "/tinyroot.php"])
    };

    let whole = answers("", "intl", SCRIPT);
    assert_eq!(whole.len(), 14, "{whole:#?}");
    let some = answers("icu = { languages = [\"de\", \"en\", \"nb\"] }", "intl", SCRIPT);
    for (subject, answer) in &whole {
        let is_left_out = ["fr_FR", "sv_SE"].contains(&&subject[..]);
        assert_eq!(some[subject] != *answer, is_left_out, "{subject}: {answer}\nnow {}", some[subject]);
    }
    let found = read("icu = { languages = [\"de\", \"en\", \"nb\"] }", "intl", SCRIPT);
    let [LeftOut { parts, remedy, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(remedy, "add `fr` to `languages` or add `sv` to `languages`", "{parts:?}");
    for item in ["fr.res", "coll/sv.res"] {
        assert!(parts.iter().any(|part| part == item), "{item} is not in {parts:?}");
    }

    let one = answers("icu = { languages = [\"de\"], converters = false }", "intl", SCRIPT);
    assert_eq!(one["de_AT"], whole["de_AT"]);
    assert_ne!(one["en_GB"], whole["en_GB"]);
    assert_ne!(one["charset"], whole["charset"]);

    let dom = answers("", "dom", DOM_SCRIPT);
    assert_eq!(dom["Shift_JIS"], "日");
    let empty = "icu = { empty = true }";
    assert_eq!(answers(empty, "dom", DOM_SCRIPT), dom);
    let found = read(empty, "dom", DOM_SCRIPT);
    assert!(found.is_empty(), "{found:?}");
}
