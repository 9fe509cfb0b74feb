//! Reduced data of ICU under PHP: Debian's own packages, of bookworm (ICU 72) and trixie (ICU 76).

mod debs;

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use tinyroot::{
    assemble::assemble,
    progress::Progress,
    prune::{Plan, Pruned},
    recipe,
    reduce::reduce,
    render::{RenderOptions, render},
    sandbox::{self, Ids, Root, Sandbox, best_way},
    store::Store,
    tree::Tree,
    unpack::unpack,
};

/// Prints one line a subject: what each locale makes of a date, numbers, names and an order of words; then what knows
/// no language.
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

struct Php {
    directory: tempfile::TempDir,
    store: Store,
    tree: Tree,
    program: String,
}

impl Php {
    /// Lets PHP run a script on a root reduced by some keys; returns the lines by their subject.
    fn answers(&self, keys: &str, extension: &str, script: &str) -> BTreeMap<String, String> {
        let folder = self.path("recipe");
        fs::create_dir_all(&folder).expect("is made");
        let text = format!(
            "[app]\nname = \"intl\"\npackages = [\"intl\"]\n[debian]\nsuite = \"bookworm\"\n[reduce]\n{keys}\n"
        );
        fs::write(folder.join("recipe.toml"), text).expect("is written");
        let recipe = recipe::read(&folder).expect("a good recipe");
        let pruned = Pruned { tree: self.tree.clone(), plan: Plan::default() };
        let reduced = reduce(pruned, &recipe, &self.store).expect("reduces");
        for (path, reduction) in &reduced.files {
            eprintln!("/{path}: {}", reduction.text);
        }
        let root = tempfile::tempdir_in(self.directory.path()).expect("a directory").keep().join("root");
        render(&reduced.pruned.tree, &self.store, &root, RenderOptions::default()).expect("renders");
        fs::write(root.join("tmp/a.php"), script).expect("is written");
        let extension = format!("extension={extension}");
        let command = [&self.program[..], "-n", "-d", &extension, "/tmp/a.php"];
        let root = Root::Directory { path: root, writable: true };
        let running = Sandbox::new(root, Ids::RootLike(best_way().expect("some way")), command).start();
        let running = running.unwrap_or_else(|error| panic!("starts: {error} {:?}", error.hint()));
        let mut output = String::new();
        running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
        assert!(running.wait().success(), "{output}");
        let pairs = output.lines().filter_map(|line| line.split_once(": "));
        pairs.map(|(subject, answer)| (subject.to_owned(), answer.to_owned())).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
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
    sandbox::set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let directory = tempfile::tempdir().expect("a directory");
    let cache = directory.path().join("cache");
    let packages = ["cli", "intl", "xml"].map(|part| format!("php{php}-{part}"));
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let fetched = debs::fetched(suite, &packages, &cache);
    let store = Store::open(&cache).expect("opens");
    let unpacked = unpack(&fetched, &store, &Progress::silent()).expect("unpacks");
    let tree = assemble(&unpacked).expect("assembles").tree;
    let program = format!("/usr/bin/php{php}");
    let php = Php { directory, store, tree, program };

    let whole = php.answers("", "intl", SCRIPT);
    assert_eq!(whole.len(), 14, "{whole:#?}");
    let some = php.answers("icu = { languages = [\"de\", \"en\", \"nb\"] }", "intl", SCRIPT);
    for (subject, answer) in &whole {
        let is_left_out = ["fr_FR", "sv_SE"].contains(&&subject[..]);
        assert_eq!(some[subject] != *answer, is_left_out, "{subject}: {answer}\nnow {}", some[subject]);
    }
    let one = php.answers("icu = { languages = [\"de\"], converters = false }", "intl", SCRIPT);
    assert_eq!(one["de_AT"], whole["de_AT"]);
    assert_ne!(one["en_GB"], whole["en_GB"]);
    assert_ne!(one["charset"], whole["charset"]);

    let dom = php.answers("", "dom", DOM_SCRIPT);
    assert_eq!(dom["Shift_JIS"], "日");
    assert_eq!(php.answers("icu = { empty = true }", "dom", DOM_SCRIPT), dom);
}
