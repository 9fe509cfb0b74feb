mod bill;

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::*;
use crate::{
    digest::Digest,
    formats::{app_id::AppId, checksum::Checksum, control::Control, package_lock::LockedNpm, xz::Effort},
    lock::{Lock, LockedIndex, LockedPackage},
    prune::{Decision, Plan, Verdict},
    recipe::{self, Npm, NpmPackage, Recipe},
    reduce::{Reduction, Reductions},
    resolve::Request,
    store::Store,
    tree::{Entry, Tree, TreePath},
    unpack::{Unpacked, UnpackedPackage},
};

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: 2020 them\nLicense: GPL-2+\n\n\
                         Files: b\nCopyright: 2020 them\nLicense: Expat\n";

/// Returns the values of a component's properties of a name.
fn properties<'v>(component: &'v Value, name: &str) -> Vec<&'v str> {
    let all = component["properties"].as_array().expect("a list").iter();
    let own = all.filter(|property| property["name"] == format!("tinyroot:{name}"));
    own.filter_map(|property| property["value"].as_str()).collect()
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn package(store: &Store, control: &str, md5sums: &str) -> UnpackedPackage {
    let control = Control::parse(control.as_bytes()).expect("a good control file");
    let name = control.package().to_owned();
    UnpackedPackage {
        locked: LockedPackage {
            name: name.clone(),
            version: control.version().to_owned(),
            architecture: control.architecture().to_owned(),
            suite: "bookworm".to_owned(),
            path: format!("pool/{name}.deb"),
            size_bytes: 1,
            checksum: Digest::of(name.as_bytes()).into(),
            because: "asked for".to_owned(),
        },
        control,
        tree: Tree::new(),
        control_files: BTreeMap::from([("md5sums".to_owned(), store.put(md5sums))]),
        diverts: false,
        pack: {
            let bundle = store.begin_bundle("deb", &name).expect("begins");
            bundle.finish(&Tree::new()).expect("finishes")
        },
    }
}

struct Made {
    recipe: Recipe,
    lock: Lock,
    unpacked: Unpacked,
    stage: Tree,
    plan: Plan,
    reductions: Reductions,
    store: Store,
    _directory: tempfile::TempDir,
}

/// Makes a stage of an app, a library that shares another's documentation, and a tool of which
/// nothing is kept.
fn made() -> Made {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("cache")).expect("opens");
    let folder = directory.path().join("wiki");
    fs::create_dir_all(folder.join("files")).expect("is made");
    let text = "[app]\nname = \"wiki\"\nversion = \"deb:wiki\"\npackages = [\"wiki\"]\n\
                [debian]\nsuite = \"bookworm\"\n[[service]]\nname = \"web\"\ncommand = [\"/usr/bin/wiki\"]\n\
                ready = { http = \"/\" }\n[web]\nport = 8000\n";
    fs::write(folder.join("recipe.toml"), text).expect("is written");
    fs::write(folder.join("recipe.lock"), "lock").expect("is written");
    fs::write(folder.join("files/a.conf"), "a").expect("is written");
    let packages = vec![
        package(
            &store,
            "Package: libfoo1\nSource: foo (1.1)\nVersion: 1.1+b1\nArchitecture: amd64\nMulti-Arch: same\n\
             Description: foo\n long text\n",
            "00000000000000000000000000000000  lib/libfoo.so.1\n\
             11111111111111111111111111111111  usr/share/foo/pruned\n",
        ),
        package(&store, "Package: tool\nVersion: 3\nArchitecture: amd64\n", ""),
        package(
            &store,
            "Package: wiki\nVersion: 1:2-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n",
            "22222222222222222222222222222222  usr/bin/wiki\n",
        ),
    ];
    let mut stage = Tree::new();
    let mut plan = Plan::default();
    let mut file = |at: &str, package: &str, bytes: &str, verdict: Verdict| {
        let entry = Entry::file(store.put(bytes), bytes.len() as u64, 0o644, 900);
        stage.insert(path(at), entry);
        let decision = Decision { verdict, rule: "traced", reason: "opened".to_owned(), because: None };
        plan.decisions.insert(path(at), decision);
        plan.packages.insert(path(at), package.to_owned());
    };
    file("usr/bin/wiki", "wiki", "app", Verdict::Keep);
    file("usr/lib/libfoo.so.1", "libfoo1", "elf", Verdict::Keep);
    file("usr/share/foo/pruned", "libfoo1", "big", Verdict::Drop);
    file("usr/bin/tool", "tool", "tool", Verdict::Drop);
    file("usr/share/doc/wiki/copyright", "wiki", "See /usr/share/common-licenses/GPL.", Verdict::Drop);
    file("usr/share/doc/foo-common/copyright", "foo-common", COPYRIGHT, Verdict::Drop);
    file("etc/os-release", "base-files", "ID=debian\nVERSION_ID=\"12\"\n", Verdict::Keep);
    file("usr/share/doc/tool/copyright", "tool", "secret", Verdict::Drop);
    file("usr/share/common-licenses/GPL-3", "base-files", "the GPL", Verdict::Drop);
    file("usr/share/common-licenses/BSD", "base-files", "the BSD", Verdict::Drop);
    stage.insert(path("usr/share/common-licenses/GPL"), Entry::symlink("GPL-3", 900));
    stage.insert(path("usr/share/doc/libfoo1"), Entry::symlink("foo-common", 900));
    stage.insert(path("lib"), Entry::symlink("usr/lib", 900));
    stage.add_parents(900);
    let lock = Lock {
        suite: "bookworm".to_owned(),
        architecture: "amd64".to_owned(),
        time_s: 1000,
        earlier_s: Vec::new(),
        request: Request::default(),
        indexes: vec![LockedIndex {
            suite: "bookworm".to_owned(),
            component: "main".to_owned(),
            architecture: "amd64".to_owned(),
            digest: Digest::of(b"index"),
        }],
        packages: packages.iter().map(|package| package.locked.clone()).collect(),
    };
    let recipe = recipe::read(&folder).expect("a good recipe");
    let unpacked = Unpacked { packages };
    let reductions = Reductions::new();
    Made { recipe, lock, unpacked, stage, plan, reductions, store, _directory: directory }
}

fn papers(made: &Made) -> Tree {
    let mut tree = made.stage.clone();
    tree.retain(|path, entry| {
        made.plan.keeps(path.as_bytes()) || entry.kind.is_directory() || path == &self::path("lib")
    });
    tree.remove_subtree(b"usr/share");
    let inputs = Inputs {
        recipe: &made.recipe,
        lock: &made.lock,
        unpacked: &made.unpacked,
        stage: &made.stage,
        plan: &made.plan,
        reductions: &made.reductions,
        version: "0.1.0",
        init: Digest::of(b"init"),
        epoch_s: 800,
        effort: Effort::Best,
        store: &made.store,
    };
    add(&mut tree, &inputs).expect("adds");
    tree
}

fn read(made: &Made, tree: &Tree, at: &str) -> String {
    let (digest, _) = tree.get(at.as_bytes()).and_then(|e| e.kind.content()).expect("a file");
    String::from_utf8(made.store.read(&digest).expect("is there")).expect("is text")
}

#[test]
fn licences_of_what_is_inside_and_those_they_name_are_enclosed() {
    let made = made();
    let tree = papers(&made);
    let doc: Vec<String> = tree
        .subtree(b"usr/share")
        .filter(|(_, entry)| !entry.kind.is_directory())
        .map(|(path, entry)| format!("{path} {}", entry.mtime_s))
        .collect();
    assert_eq!(
        doc,
        [
            "usr/share/common-licenses/GPL 800",
            "usr/share/common-licenses/GPL-3 800",
            "usr/share/doc/foo-common/copyright 800",
            "usr/share/doc/libfoo1 800",
            "usr/share/doc/wiki/copyright 800",
        ]
    );
}

#[test]
fn scanners_find_packages_and_files_that_are_there() {
    let made = made();
    let tree = papers(&made);
    assert_eq!(
        read(&made, &tree, "var/lib/dpkg/status"),
        "Package: libfoo1\nStatus: install ok installed\nSource: foo (1.1)\nVersion: 1.1+b1\n\
         Architecture: amd64\nMulti-Arch: same\nDescription: foo\n\n\
         Package: wiki\nStatus: install ok installed\nVersion: 1:2-1\nArchitecture: all\n\
         Maintainer: Nobody <nobody@example.org>\n\n"
    );
    assert_eq!(
        read(&made, &tree, "var/lib/dpkg/info/libfoo1:amd64.md5sums"),
        "00000000000000000000000000000000  lib/libfoo.so.1\n"
    );
    assert_eq!(
        read(&made, &tree, "var/lib/dpkg/info/libfoo1:amd64.list"),
        "/.\n/usr\n/usr/lib\n/usr/lib/libfoo.so.1\n"
    );
    assert_eq!(tree.get(b"var/lib/dpkg/info/tool.list"), None);
}

#[test]
fn bill_and_provenance_name_packages_and_materials() {
    let made = made();
    let tree = papers(&made);
    let bill: Value = serde_json::from_str(&read(&made, &tree, "tinyroot/papers/bom.json")).expect("is JSON");
    assert_eq!(bill["specVersion"], "1.6");
    assert_eq!(bill["metadata"]["timestamp"], "1970-01-01T00:13:20Z");
    assert_eq!(bill["metadata"]["component"]["version"], "1:2-1");
    let serial = bill["serialNumber"].as_str().expect("is text");
    assert!(serial.len() == 45 && serial.as_bytes()[23] == b'8', "{serial}");
    let purls: Vec<&Value> =
        bill["components"].as_array().expect("a list").iter().filter_map(|c| c.get("purl")).collect();
    assert_eq!(
        purls,
        [
            "pkg:deb/debian/libfoo1@1.1%2Bb1?arch=amd64&distro=debian-12&upstream=foo%401.1",
            "pkg:deb/debian/wiki@1:2-1?arch=all&distro=debian-12",
        ]
    );
    assert_eq!(bill["components"][0]["type"], "operating-system");
    assert_eq!(properties(&bill["components"][1], "extent"), ["partial"]);
    assert_eq!(properties(&bill["components"][1], "files_pruned"), ["1"]);
    assert_eq!(properties(&bill["components"][2], "extent"), ["whole"]);
    assert_eq!(bill["components"][1]["licenses"][0]["expression"], "GPL-2.0-or-later AND MIT");
    assert_eq!(bill["components"][2].get("licenses"), None, "its copyright file is prose");

    let text = read(&made, &tree, "tinyroot/papers/provenance.json");
    let statement: Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    let definition = &statement["predicate"]["buildDefinition"];
    let names: Vec<&str> = definition["resolvedDependencies"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|material| material["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "files/a.conf",
            "recipe.lock",
            "recipe.toml",
            "bookworm/main/binary-amd64/Packages",
            "libfoo1_1.1+b1_amd64.deb",
            "tool_3_amd64.deb",
            "wiki_1:2-1_all.deb",
        ]
    );
    assert_eq!(definition["internalParameters"]["init"]["sha256"], Digest::of(b"init").to_string());
    assert_eq!(read(&made, &tree, "tinyroot/papers/recipe/files/a.conf"), "a");
    assert!(read(&made, &tree, "tinyroot/papers/prune.list").contains("/usr/bin/wiki wiki traced opened\n"));
}

#[test]
fn what_was_proven_is_enclosed() {
    let made = made();
    let mut tree = papers(&made);
    assert_eq!(proof(&tree, &made.store), None);
    let paper = ProofPaper {
        exercised: true,
        steps: vec!["GET /".into(), "restart".into()],
        compared: true,
        tree: digest_of(&tree),
        app_id: Some(AppId([1; 32])),
    };
    add_proof(&mut tree, &paper, 800, &made.store).expect("adds");
    assert!(read(&made, &tree, "tinyroot/papers/proof.json").contains("\"GET /\",\n    \"restart\"\n"));
    assert_eq!(proof(&tree, &made.store), Some(paper));
}

#[test]
fn a_proof_is_that_of_its_tree_and_key_alone() {
    let made = made();
    let (own, other) = (AppId([1; 32]), AppId([2; 32]));
    let mut tree = papers(&made);
    let paper = ProofPaper {
        exercised: true,
        steps: Vec::new(),
        compared: true,
        tree: digest_of(&tree),
        app_id: Some(own),
    };
    add_proof(&mut tree, &paper, 800, &made.store).expect("adds");
    tree.insert(path("sandstorm-manifest"), Entry::file(Digest::of(b"m"), 1, 0o644, 0));
    assert_eq!(standing(&paper, &tree, &own), Standing::Own);
    assert_eq!(standing(&paper, &tree, &other), Standing::OtherKey(own));
    for (name, entry) in [
        ("added", Entry::file(Digest::of(b"a"), 1, 0o644, 0)),
        ("usr/bin/wiki", Entry::file(Digest::of(b"b"), 4, 0o755, 0)),
        ("usr/bin/wiki", Entry::symlink("sh", 0)),
    ] {
        let mut changed = tree.clone();
        changed.insert(path(name), entry);
        assert_eq!(standing(&paper, &changed, &own), Standing::OtherTree, "{name}");
        assert_eq!(standing(&paper, &changed, &other), Standing::OtherTreeAndKey(own), "{name}");
    }
    let without = ProofPaper { app_id: None, ..paper };
    assert_eq!(standing(&without, &tree, &own), Standing::Unknown);
}

#[test]
fn the_same_papers_come_each_time() {
    assert_eq!(papers(&made()).to_text(), papers(&made()).to_text());
}

#[test]
fn papers_say_which_files_are_not_their_packages_any_more() {
    let mut made = made();
    let reduction =
        Reduction { text: "1 of 2 parts".to_owned(), before: Digest::of(b"elf"), after: Digest::of(b"e") };
    made.reductions.insert(path("usr/lib/libfoo.so.1"), reduction);
    let tree = papers(&made);
    assert_eq!(read(&made, &tree, "var/lib/dpkg/info/libfoo1:amd64.md5sums"), "");
    assert!(read(&made, &tree, "var/lib/dpkg/info/libfoo1:amd64.list").ends_with("/libfoo.so.1\n"));
    let json = |name: &str| -> Value {
        serde_json::from_str(&read(&made, &tree, &format!("tinyroot/papers/{name}"))).expect("is JSON")
    };
    let bill = json("bom.json");
    assert_eq!(properties(&bill["components"][1], "reduced"), ["/usr/lib/libfoo.so.1: 1 of 2 parts"]);
    let statement = json("provenance.json");
    let reduction = &statement["predicate"]["buildDefinition"]["internalParameters"]["reductions"][0];
    assert_eq!(reduction["path"], "/usr/lib/libfoo.so.1");
    assert_eq!(reduction["after"]["sha256"], Digest::of(b"e").to_string());
    let list = prune_list(&tree, &made.store).expect("reads");
    assert_eq!(list.reduced[&path("usr/lib/libfoo.so.1")], "1 of 2 parts");
}

#[test]
fn npm_packages_of_which_something_is_kept_are_named_with_their_licences() {
    let mut made = made();
    let package = |at: &str, name: &str, version: &str| NpmPackage {
        path: path(at),
        locked: LockedNpm {
            directory: at.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            checksum: Checksum::Sha512([1; 64]),
            licence: Some("MIT".to_owned()),
        },
    };
    made.recipe.npm.push(Npm {
        lock: "files/package-lock.json".to_owned(),
        to: path("opt"),
        registry: None,
        packages: vec![
            package("opt/node_modules/@s/b", "@s/b", "1.0.0+x"),
            package("opt/node_modules/@s/b/node_modules/c", "c", "2.0.0"),
            package("opt/node_modules/c", "c", "3.0.0"),
        ],
    });
    for (at, owner, verdict) in [
        ("opt/node_modules/@s/b/index.js", "npm:@s/b", Verdict::Keep),
        ("opt/node_modules/@s/b/LICENSE.md", "npm:@s/b", Verdict::Drop),
        ("opt/node_modules/@s/b/lib/license.js", "npm:@s/b", Verdict::Drop),
        ("opt/node_modules/@s/b/node_modules/c/index.js", "npm:c", Verdict::Drop),
        ("opt/node_modules/@s/b/node_modules/c/LICENSE", "npm:c", Verdict::Drop),
        ("opt/node_modules/c/index.js", "npm:c", Verdict::Keep),
    ] {
        made.stage.insert(path(at), Entry::file(made.store.put(at), 10, 0o644, 900));
        let decision = Decision { verdict, rule: "traced", reason: "opened".to_owned(), because: None };
        made.plan.decisions.insert(path(at), decision);
        made.plan.packages.insert(path(at), owner.to_owned());
    }
    made.stage.add_parents(900);
    let tree = papers(&made);
    let there: Vec<String> = tree
        .subtree(b"opt")
        .filter(|(_, entry)| !entry.kind.is_directory())
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(
        there,
        ["opt/node_modules/@s/b/LICENSE.md", "opt/node_modules/@s/b/index.js", "opt/node_modules/c/index.js"]
    );
    let bill: Value = serde_json::from_str(&read(&made, &tree, "tinyroot/papers/bom.json")).expect("is JSON");
    let npm: Vec<String> = bill["components"].as_array().expect("a list")[3..]
        .iter()
        .map(|c| {
            format!("{} {} {}", c["purl"], c["licenses"][0]["license"]["name"], c["properties"][2]["value"])
        })
        .collect();
    assert_eq!(npm, [r#""pkg:npm/%40s/b@1.0.0%2Bx" "MIT" "2""#, r#""pkg:npm/c@3.0.0" "MIT" "0""#]);
    let provenance = read(&made, &tree, "tinyroot/papers/provenance.json");
    assert!(
        provenance.contains("\"name\": \"@s/b-1.0.0+x.tgz\"") && provenance.contains("\"sha512\": \"0101")
    );
    assert!(!read(&made, &tree, "var/lib/dpkg/status").contains("npm"));
}
