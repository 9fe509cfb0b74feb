//! A grain's `/var` under another version of its package.

use std::sync::Arc;

use tinyroot::{
    grain::{Grain, GrainRoot, GrainSpec, RootOptions},
    image::{self, Fate, VarPolicy},
    recipe::Recipe,
    tree::TreePath,
};

use super::Fixture;

const SERVICE: &str = "[[service]]\nname = \"idle\"\ncommand = [\"/bin/sleep\", \"1000\"]\n";

/// A file below `/var/lib/tea` in one version: what it holds, and what a grain gets of it.
type Shipped = Option<(&'static str, Fate)>;

const fn state(text: &'static str) -> Shipped {
    Some((text, Fate::State))
}

const fn code(text: &'static str) -> Shipped {
    Some((text, Fate::Link))
}

const fn made(text: &'static str) -> Shipped {
    Some((text, Fate::Made))
}

struct Row {
    name: &'static str,
    old: Shipped,
    /// What the grain does to it, as perl; `$_` is its path.
    does: &'static str,
    new: Shipped,
    /// What the grain has then: `-` for nothing.
    expected: &'static str,
    /// What lies beside as the package's.
    beside: bool,
}

const WRITES: &str = "open(F, '>', $_); print F 'own'; close F";
const REMOVES: &str = "unlink";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "unchanged", old: state("1"), does: "", new: state("1"), expected: "1", beside: false },
    Row { name: "changed_by_package", old: state("1"), does: "", new: state("2"), expected: "2", beside: false },
    Row { name: "changed_by_grain", old: state("1"), does: WRITES, new: state("1"), expected: "own", beside: false },
    Row { name: "changed_by_both", old: state("1"), does: WRITES, new: state("2"), expected: "own", beside: true },
    Row { name: "changed_alike", old: state("1"), does: WRITES, new: state("own"), expected: "own", beside: false },
    Row { name: "removed_by_grain", old: state("1"), does: REMOVES, new: state("2"), expected: "-", beside: false },
    Row { name: "replaced_by_directory", old: state("1"), does: "unlink; mkdir $_", new: state("2"), expected: "directory", beside: true },
    Row { name: "dropped", old: state("1"), does: "", new: None, expected: "-", beside: false },
    Row { name: "dropped_and_changed", old: state("1"), does: WRITES, new: None, expected: "own", beside: false },
    Row { name: "new", old: None, does: "", new: state("2"), expected: "2", beside: false },
    Row { name: "new_where_the_grain_has_one", old: None, does: WRITES, new: state("2"), expected: "own", beside: true },
    Row { name: "with space", old: state("1"), does: "", new: state("2"), expected: "2", beside: false },
    Row { name: "made", old: made("1"), does: "", new: made("2"), expected: "1", beside: false },
    Row { name: "made_and_changed", old: made("1"), does: WRITES, new: made("2"), expected: "own", beside: false },
    Row { name: "made_and_dropped", old: made("1"), does: "", new: None, expected: "1", beside: false },
    Row { name: "code", old: code("1"), does: "", new: code("2"), expected: "link to 2", beside: false },
    Row { name: "code_dropped", old: code("1"), does: "", new: None, expected: "-", beside: false },
    Row { name: "code_to_state", old: code("1"), does: "", new: state("2"), expected: "2", beside: false },
    Row { name: "state_to_code", old: state("1"), does: "", new: code("2"), expected: "link to 2", beside: false },
    Row { name: "changed_state_to_code", old: state("1"), does: WRITES, new: code("2"), expected: "own", beside: false },
];

impl Fixture {
    /// A root with these files below `/var/lib/tea`.
    fn version(&self, recipe: &Recipe, files: &[(&str, Shipped)]) -> Arc<GrainRoot> {
        let mut tree = self.programs();
        for (name, shipped) in files {
            if let Some((text, _)) = shipped {
                self.add(&mut tree, &format!("var/lib/tea/{name}"), text.as_bytes(), 0o644);
            }
        }
        tree.add_parents(0);
        let fate = |path: &TreePath| {
            let found = files.iter().find(|(name, _)| name.as_bytes() == path.file_name());
            found.and_then(|(_, shipped)| *shipped).map_or(Fate::Link, |(_, fate)| fate)
        };
        let tree = image::build(tree, recipe, &VarPolicy::ByFate(&fate), &self.store, 1_700_000_000);
        Arc::new(GrainRoot::new(Arc::new(tree), &self.store, RootOptions::default()).expect("a base"))
    }
}

fn perl(grain: &Grain, script: &str) -> String {
    let ran = grain.exec(&["/usr/bin/perl".into(), "-e".into(), script.into()]).expect("runs");
    assert_eq!(ran.status, 0, "{}", String::from_utf8_lossy(&ran.output));
    String::from_utf8(ran.output).expect("text")
}

/// Returns what is at each name, as the rows have it.
fn contents(grain: &Grain, names: &[String]) -> Vec<String> {
    let list: Vec<String> = names.iter().map(|name| format!("'/var/lib/tea/{name}'")).collect();
    let script = format!(
        "for ({}) {{ my $link = -l $_ ? 'link to ' : ''; print !-e $_ ? (-l $_ ? 'stale' : '-') : -d $_ ? 'directory' : \
         do {{ open(F, '<', $_); local $/; $link . <F> }}, \"\\n\" }}",
        list.join(", ")
    );
    perl(grain, &script).lines().map(str::to_owned).collect()
}

#[test]
fn an_upgrade_merges_shipped_state_as_dpkg_does_conffiles() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICE);
    let old: Vec<_> = ROWS.iter().map(|row| (row.name, row.old)).collect();
    let new: Vec<_> = ROWS.iter().map(|row| (row.name, row.new)).collect();
    let options = || GrainSpec::of(&recipe, &fixture.var("var"));
    let mut grain = Grain::start(fixture.version(&recipe, &old), options()).expect("starts");
    for row in ROWS.iter().filter(|row| !row.does.is_empty()) {
        perl(&grain, &format!("for ('/var/lib/tea/{}') {{ {} }}", row.name, row.does));
    }
    grain.stop().expect("stops");

    let names: Vec<String> = ROWS.iter().map(|row| row.name.to_owned()).collect();
    let beside: Vec<String> = names.iter().map(|name| format!("{name}.dpkg-dist")).collect();
    let mut told = Vec::new();
    // The second start of the new version finds nothing to do.
    for life in 0..2 {
        let mut grain = Grain::start(fixture.version(&recipe, &new), options()).expect("starts");
        let (found, laid) = (contents(&grain, &names), contents(&grain, &beside));
        for (at, row) in ROWS.iter().enumerate() {
            assert_eq!(found[at], row.expected, "{} in life {life}", row.name);
            assert_eq!(laid[at], if row.beside { "2" } else { "-" }, "beside {} in life {life}", row.name);
        }
        grain.stop().expect("stops");
        told.push(grain.spec().log.tail());
    }
    for row in ROWS {
        let path = format!("/var/lib/tea/{}", row.name);
        let line = format!(
            "tinyroot-init: {path} was changed here and in the package: kept; the package's is {path}.dpkg-dist"
        );
        assert_eq!(told[0].contains(&line), row.beside, "{}: {:?}", row.name, told[0]);
    }
    assert_eq!(told[1], ["tinyroot-init: ready"]);
}

#[test]
fn a_grain_of_an_older_tinyroot_keeps_what_it_has_and_gets_copies_for_links() {
    let Some(fixture) = Fixture::new() else { return };
    let recipe = fixture.recipe(SERVICE);
    let old = [("count", code("1")), ("conf", state("1")), ("gone", code("1")), ("php", code("1"))];
    let new = [
        ("count", state("2")),
        ("conf", state("2")),
        ("gone", state("2")),
        ("php", code("2")),
        ("new", state("2")),
    ];
    let options = || GrainSpec::of(&recipe, &fixture.var("var"));
    let mut grain = Grain::start(fixture.version(&recipe, &old), options()).expect("starts");
    perl(&grain, "unlink '/var/.tinyroot.copied', '/var/lib/tea/gone'");
    grain.stop().expect("stops");
    let mut grain = Grain::start(fixture.version(&recipe, &new), options()).expect("starts");
    let names = ["count", "conf", "gone", "php", "new", "conf.dpkg-dist"].map(str::to_owned);
    assert_eq!(contents(&grain, &names), ["2", "1", "2", "link to 2", "2", "-"]);
    perl(&grain, "open(F, '>', '/var/lib/tea/count') or die; print F '3'; close F");
    grain.stop().expect("stops");
    let next = [("count", state("2")), ("conf", state("3"))];
    let grain = Grain::start(fixture.version(&recipe, &next), options()).expect("starts");
    // From the first upgrade on it is known what the grain was given.
    assert_eq!(contents(&grain, &names), ["3", "1", "-", "-", "-", "3"]);
}
