mod imports;
mod secrets;
mod surplus;
mod surroundings;

use std::collections::BTreeMap;

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH};

use super::*;
use crate::{
    evidence::Used,
    formats::{elf::linkage::tests::write_elf, prune_list::parse_list},
    tree::{Entry, Kind},
};

/// A made root: tree, owners, evidence, policy.
struct Root {
    tree: Tree,
    owners: BTreeMap<Vec<u8>, String>,
    evidence: Evidence,
    policy: Policy,
    store: Store,
    /// What packages ship where a script changed it.
    shipped: BTreeMap<TreePath, Digest>,
    _directory: tempfile::TempDir,
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

impl Root {
    /// Starts with an app package `wiki`.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("opens");
        let policy = Policy { app_packages: BTreeSet::from(["wiki".to_owned()]), ..Policy::default() };
        let mut root = Root {
            tree: Tree::new(),
            owners: BTreeMap::new(),
            evidence: Evidence::new(),
            policy,
            store,
            shipped: BTreeMap::new(),
            _directory: directory,
        };
        root.file("wiki", "usr/share/wiki/index.php", b"<?php");
        root
    }

    fn own(&mut self, package: &str, at: &str, entry: Entry) -> &mut Self {
        if package != "-" {
            self.owners.insert(at.as_bytes().to_vec(), package.to_owned());
        }
        self.tree.insert(path(at), entry);
        self
    }

    fn file(&mut self, package: &str, at: &str, bytes: &[u8]) -> &mut Self {
        let (digest, size) = (self.store.put(bytes), bytes.len() as u64);
        let mode = if at.contains("bin/") { 0o755 } else { 0o644 };
        self.own(package, at, Entry::file(digest, size, mode, 1))
    }

    fn elf(
        &mut self,
        package: &str,
        at: &str,
        interpreter: Option<&str>,
        entries: &[(u32, &str)],
    ) -> &mut Self {
        self.file(package, at, &write_elf(interpreter, entries))
    }

    fn link(&mut self, package: &str, at: &str, target: &str) -> &mut Self {
        self.own(package, at, Entry::symlink(target, 1))
    }

    /// Notes a use by its word in used.list.
    fn used(&mut self, at: &str, kind: &str) -> &mut Self {
        let mut used = Used { by: "php of web at get:/".to_owned(), ..Used::default() };
        let flag = match kind {
            "executed" => &mut used.executed,
            "opened" => &mut used.opened,
            "listed" => &mut used.listed,
            "read-link" => &mut used.linked,
            "traversed" => &mut used.traversed,
            _ => &mut used.found,
        };
        *flag = true;
        self.evidence.insert(path(at), used);
        self
    }

    fn plan(&mut self) -> Plan {
        self.tree.add_parents(0);
        let owner = |path: &[u8]| self.owners.get(path).map(|package| &package[..]);
        let changed_from = |path: &TreePath, _: &Digest| self.shipped.get(path).copied();
        let inputs = Inputs {
            tree: &self.tree,
            owner: &owner,
            changed_from: &changed_from,
            evidence: &self.evidence,
            policy: &self.policy,
            store: &self.store,
        };
        plan(&inputs).expect("plans")
    }

    /// Plans, and compares the verdicts for some paths with `WORD RULE: REASON` or `-`.
    fn expect(&mut self, rows: &[(&str, &str)]) {
        let plan = self.plan();
        for (at, expected) in rows {
            let decision = &plan.decisions[&path(at)];
            let found = match decision.verdict {
                Verdict::Drop => format!("- {}: {}", decision.rule, decision.text()),
                Verdict::Keep => format!("keep {}: {}", decision.rule, decision.text()),
                Verdict::KeepEmpty => format!("empty {}: {}", decision.rule, decision.text()),
            };
            assert_eq!(&found, expected, "/{at}");
        }
    }
}

#[test]
fn the_app_is_kept_whole_but_for_documentation_and_translations() {
    let mut root = Root::new();
    root.policy.locales = vec!["de_AT".to_owned()];
    root.file("wiki", "usr/share/doc/wiki/README", b"r")
        .file("wiki", "usr/share/locale/de/LC_MESSAGES/wiki.mo", b"de")
        .file("wiki", "usr/share/locale/fr/LC_MESSAGES/wiki.mo", b"fr")
        .file("wiki", "etc/cron.d/wiki", b"c")
        .file("wiki", "var/lib/wiki/code.php", b"<?php")
        .file("-", "var/lib/wiki/made", b"m")
        .file("lib", "usr/share/lib/x", b"x");
    root.expect(&[
        ("usr/share/wiki/index.php", "keep app: part of wiki, the app, which is kept whole"),
        ("usr/share/doc/wiki/README", "- surplus: documentation"),
        ("usr/share/locale/de/LC_MESSAGES/wiki.mo", "keep app: part of wiki, the app, which is kept whole"),
        ("usr/share/locale/fr/LC_MESSAGES/wiki.mo", "- surplus: a translation not asked for"),
        ("etc/cron.d/wiki", "- surplus: for programs of a host, which no grain has"),
        ("var/lib/wiki/code.php", "keep app: part of wiki, the app, which is kept whole"),
        ("var/lib/wiki/made", "keep app: made for wiki, the app, which is kept whole"),
        ("usr/share/lib/x", "- unused: nothing asked for it"),
        ("usr/share/lib", "- unused: nothing asked for it"),
    ]);
}

#[test]
fn what_the_trace_saw_is_kept_as_it_was_used() {
    let mut root = Root::new();
    root.file("lib", "usr/share/lib/opened", b"1")
        .file("lib", "usr/share/lib/found", b"2")
        .file("lib", "usr/share/doc/lib/served", b"3")
        .own("lib", "usr/share/lib/plugins", Entry::directory(0))
        .file("lib", "var/lib/dpkg/status", b"s")
        .used("usr/share/lib/opened", "opened")
        .used("usr/share/lib/found", "stat")
        .used("usr/share/doc/lib/served", "opened")
        .used("usr/share/lib/plugins", "listed")
        .used("var/lib/dpkg/status", "opened");
    root.expect(&[
        ("usr/share/lib/opened", "keep traced: opened by php of web at get:/"),
        ("usr/share/lib/found", "keep traced: found by stat by php of web at get:/"),
        ("usr/share/doc/lib/served", "keep traced: opened by php of web at get:/"),
        ("usr/share/lib/plugins", "empty traced: listed by php of web at get:/"),
        ("var/lib/dpkg/status", "- database: state of the package system; the papers stand for it"),
        ("usr/share/lib", "keep parent: holds /usr/share/lib/found"),
    ]);
}

#[test]
fn what_is_beside_its_minified_form_goes_if_the_recipe_says_so() {
    const AT: &str = "usr/share/wiki";
    let mut root = Root::new();
    for name in ["one.js", "one.min.js", "used.css", "used.min.css", "alone.js", "alone.min.css"] {
        root.file("wiki", &format!("{AT}/{name}"), b"x");
    }
    root.used(&format!("{AT}/used.css"), "opened");
    let kept = "keep app: part of wiki, the app, which is kept whole";
    root.expect(&[(&format!("{AT}/one.js"), kept)]);
    root.policy.minified = true;
    root.expect(&[
        (
            &format!("{AT}/one.js"),
            "- minified: its minified form is beside it, and nothing asked for this one",
        ),
        (&format!("{AT}/one.min.js"), kept),
        (&format!("{AT}/used.css"), "keep traced: opened by php of web at get:/"),
        (&format!("{AT}/used.min.css"), kept),
        (&format!("{AT}/alone.js"), kept),
        (&format!("{AT}/alone.min.css"), kept),
    ]);
}

#[test]
fn libraries_are_found_as_the_loader_finds_them() {
    const LIB: &str = "usr/lib/x86_64-linux-gnu";
    let mut root = Root::new();
    root.link("-", "lib", "usr/lib").link("-", "lib64", "usr/lib64");
    root.elf("php", "usr/lib/php/dom.so", None, &[(DT_NEEDED, "libxml2.so.2"), (DT_NEEDED, "libown.so")])
        .link("libxml2", &format!("{LIB}/libxml2.so.2"), "libxml2.so.2.9.14")
        .elf("libxml2", &format!("{LIB}/libxml2.so.2.9.14"), None, &[(DT_NEEDED, "libicuuc.so.72")])
        .link("libicu72", &format!("{LIB}/libicuuc.so.72"), "libicuuc.so.72.1")
        .elf("libicu72", &format!("{LIB}/libicuuc.so.72.1"), None, &[(DT_NEEDED, "libxml2.so.2")])
        .elf("none", &format!("{LIB}/libother.so"), None, &[])
        .elf("php", "usr/lib/private/libown.so", None, &[])
        .elf(
            "wiki",
            "usr/bin/wiki",
            Some("/lib64/ld.so"),
            &[(DT_NEEDED, "liba.so"), (DT_RPATH, "$ORIGIN/../a")],
        )
        .elf("a", "usr/a/liba.so", None, &[(DT_NEEDED, "libb.so")])
        .elf("a", "usr/a/libb.so", None, &[(DT_NEEDED, "libc.so"), (DT_RUNPATH, "/usr/c")])
        .elf("c", "usr/c/libc.so", None, &[])
        .file("c", "usr/a/libc.so", b"no library: the RUNPATH of libb.so ends the search below usr/a")
        .elf("libc6", "usr/lib64/ld.so", None, &[])
        .file("-", "etc/ld.so.conf.d/private.conf", b"# comment\n/usr/lib/private\n")
        .used("usr/lib/php/dom.so", "opened");
    root.expect(&[
        (&format!("{LIB}/libxml2.so.2"), "keep loader: libxml2.so.2 NEEDED by /usr/lib/php/dom.so"),
        (&format!("{LIB}/libxml2.so.2.9.14"), "keep loader: libxml2.so.2 NEEDED by /usr/lib/php/dom.so"),
        (
            &format!("{LIB}/libicuuc.so.72.1"),
            "keep loader: libicuuc.so.72 NEEDED by /usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14",
        ),
        (&format!("{LIB}/libother.so"), "- unused: nothing asked for it"),
        ("usr/lib/private/libown.so", "keep loader: libown.so NEEDED by /usr/lib/php/dom.so"),
        ("usr/lib64/ld.so", "keep loader: the loader of /usr/bin/wiki"),
        ("usr/a/liba.so", "keep loader: liba.so NEEDED by /usr/bin/wiki"),
        ("usr/a/libb.so", "keep loader: libb.so NEEDED by /usr/a/liba.so"),
        ("usr/c/libc.so", "keep loader: libc.so NEEDED by /usr/a/libb.so"),
        ("usr/a/libc.so", "- unused: nothing asked for it"),
    ]);
    let plan = root.plan();
    let chain: Vec<String> = plan
        .chain(&path(&format!("{LIB}/libicuuc.so.72.1")))
        .iter()
        .map(|(path, decision)| format!("{}: {}", path.as_path().display(), decision.text()))
        .collect();
    assert_eq!(
        chain,
        [
            "usr/lib/x86_64-linux-gnu/libicuuc.so.72.1: libicuuc.so.72 NEEDED by \
             /usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14",
            "usr/lib/x86_64-linux-gnu/libxml2.so.2.9.14: libxml2.so.2 NEEDED by /usr/lib/php/dom.so",
            "usr/lib/php/dom.so: opened by php of web at get:/",
        ]
    );
}

#[test]
fn the_c_library_brings_what_it_loads_by_itself() {
    const LIB: &str = "usr/lib/x86_64-linux-gnu";
    let mut root = Root::new();
    root.elf("libc6", &format!("{LIB}/libc.so.6"), None, &[])
        .elf("libgcc-s1", &format!("{LIB}/libgcc_s.so.1"), None, &[])
        .elf("libnss-x", &format!("{LIB}/libnss_x.so.2"), None, &[])
        .elf("libnss-y", &format!("{LIB}/libnss_y.so.2"), None, &[])
        .file("-", "etc/nsswitch.conf", b"passwd: files x [NOTFOUND=return] # y\n")
        .used(&format!("{LIB}/libc.so.6"), "opened");
    root.expect(&[
        (
            &format!("{LIB}/libgcc_s.so.1"),
            "keep threads: loaded when a thread ends by /usr/lib/x86_64-linux-gnu/libc.so.6",
        ),
        (
            &format!("{LIB}/libnss_x.so.2"),
            "keep nss: named in nsswitch.conf and loaded by /usr/lib/x86_64-linux-gnu/libc.so.6",
        ),
        (&format!("{LIB}/libnss_y.so.2"), "- unused: nothing asked for it"),
    ]);
}

#[test]
fn interpreters_stay_for_scripts_that_ran_or_that_the_recipe_wants() {
    let mut root = Root::new();
    root.link("-", "bin", "usr/bin");
    root.link("dash", "usr/bin/sh", "dash").file("dash", "usr/bin/dash", b"elf");
    root.file("awk", "usr/bin/awk", b"elf").file("perl", "usr/bin/perl", b"elf");
    root.file("tool", "usr/bin/ran", b"#!/bin/sh -e\n").used("usr/bin/ran", "executed");
    root.file("wiki", "usr/bin/never", b"#!/usr/bin/perl\n");
    root.file("-", "usr/bin/kept", b"#!/usr/bin/env -S awk -f\n");
    root.policy.keep = Globs::new(["/usr/bin/kept"]).expect("a glob");
    root.expect(&[
        ("usr/bin/dash", "keep interpreter: the interpreter of /usr/bin/ran"),
        ("usr/bin/sh", "keep interpreter: the interpreter of /usr/bin/ran"),
        ("usr/bin/awk", "keep interpreter: the interpreter of /usr/bin/kept"),
        ("usr/bin/perl", "- unused: nothing asked for it"),
    ]);
}

#[test]
fn links_keep_what_they_lead_to_and_programs_their_other_names() {
    let mut root = Root::new();
    root.link("-", "etc/alternatives/x", "/usr/bin/x.real")
        .link("-", "usr/bin/x", "../../etc/alternatives/x")
        .file("x", "usr/bin/x.real", b"elf")
        .used("usr/bin/x", "read-link")
        .file("git", "usr/lib/git-core/bin/git", b"elf")
        .link("git", "usr/lib/git-core/bin/git-add", "git")
        .link("git", "usr/lib/git-core/bin/git-shell", "../git-shell")
        .link("other", "usr/lib/git-core/bin/git-mine", "git")
        .used("usr/lib/git-core/bin/git", "executed");
    root.expect(&[
        ("etc/alternatives/x", "keep link: on the way of the link /usr/bin/x"),
        ("usr/bin/x.real", "keep link: on the way of the link /usr/bin/x"),
        ("usr/lib/git-core/bin/git-add", "keep names: another name of /usr/lib/git-core/bin/git"),
        ("usr/lib/git-core/bin/git-shell", "- unused: nothing asked for it"),
        ("usr/lib/git-core/bin/git-mine", "- unused: nothing asked for it"),
    ]);
}

#[test]
fn the_recipe_has_the_last_word_and_is_warned() {
    let mut root = Root::new();
    root.elf("wiki", "usr/bin/wiki", None, &[(DT_NEEDED, "liba.so")])
        .elf("a", "usr/lib/liba.so", None, &[])
        .file("big", "usr/share/big/x", b"x")
        .file("whole", "usr/share/whole/x", b"w")
        .file("b", "usr/share/b/one/x", b"1");
    root.policy.keep = Globs::new(["/usr/share/b", "/usr/share/none/*"]).expect("globs");
    root.policy.drop = Globs::new(["/usr/lib/lib*.so", "/nothing/**"]).expect("globs");
    root.policy.keep_packages = ["whole", "gone"].map(str::to_owned).into();
    root.expect(&[
        ("usr/lib/liba.so", "- recipe: prune.drop \"/usr/lib/lib*.so\""),
        ("usr/share/b/one/x", "keep recipe: prune.keep \"/usr/share/b\""),
        ("usr/share/whole/x", "keep app: prune.keep_package \"whole\""),
        ("usr/share/big/x", "- unused: nothing asked for it"),
    ]);
    assert_eq!(
        root.plan().warnings,
        [
            "package gone is to be kept whole but owns nothing here",
            "prune.drop takes away /usr/lib/liba.so: liba.so NEEDED by /usr/bin/wiki",
            "prune.drop: `/nothing/**` matches nothing",
            "prune.keep: `/usr/share/none/*` matches nothing",
        ]
    );
    assert!(Globs::new(["/usr/[x"]).is_err());
}

#[test]
fn what_stays_is_a_tree_with_sound_hard_links() {
    let mut root = Root::new();
    let digest = root.store.put(&b"same"[..]);
    let linked = |to: Option<&str>| {
        Entry::new(Kind::File { digest, size_bytes: 4, hard_link: to.map(path) }, 0o644, 0)
    };
    root.own("x", "usr/a", linked(None))
        .own("x", "usr/b", linked(Some("usr/a")))
        .own("x", "usr/c", linked(Some("usr/a")))
        .used("usr/b", "opened")
        .used("usr/c", "opened");
    let plan = root.plan();
    let pruned = apply(&root.tree, plan);
    assert_eq!(pruned.tree.get(b"usr/a"), None);
    assert_eq!(pruned.tree.get(b"usr/b"), Some(&linked(None)));
    assert_eq!(pruned.tree.get(b"usr/c"), Some(&linked(Some("usr/b"))));
    assert_eq!(pruned.plan.packages_kept(&root.tree), ["wiki", "x"].map(str::to_owned).into());
}

#[test]
fn the_list_says_the_same_as_the_plan() {
    let mut root = Root::new();
    root.elf("wiki", "usr/bin/wiki", None, &[(DT_NEEDED, "liba.so")])
        .elf("a", "usr/lib/liba.so", None, &[])
        .file("odd", "usr/share/odd/a b\\", b"o")
        .file("odd", "usr/share/doc/odd/copyright", b"c")
        .file("wiki", "usr/share/doc/wiki/changelog", b"c");
    let plan = root.plan();
    let libxml2 = TreePath::new(b"usr/lib/libxml2.so").expect("a good path");
    let text = write_list(&plan, [(&libxml2, "half of it")].into_iter());
    let list = parse_list(&text).expect("reads");
    for (path, decision) in &plan.decisions {
        let (_, listed) = list.find(path).expect("is there");
        assert_eq!(listed.kept, decision.verdict != Verdict::Drop, "{path}");
        assert_eq!(listed.text(), decision.text(), "{path}");
    }
    assert!(text.contains("/usr/lib/liba.so a loader liba.so NEEDED by <- /usr/bin/wiki\n"), "{text}");
    assert!(
        text.contains(
            "dropped odd unused nothing asked for it\n/usr/share odd\n/usr/share/odd a\\x20b\\x5c\n"
        ),
        "{text}"
    );
    assert!(text.contains("dropped - surplus documentation\n/usr/share doc/\n"), "{text}");
    assert_eq!(list.chain(&path("usr/lib/liba.so")).len(), 2);
    assert_eq!(parse_list("something else"), None);
    assert_eq!(parse_list("tinyroot prune.list 1\n/half\n"), None);
}

#[test]
fn the_order_of_what_comes_in_does_not_show() {
    let build = |reverse: bool| {
        let mut root = Root::new();
        let mut names: Vec<String> = (0..40).map(|n| format!("usr/lib/lib{n}.so")).collect();
        if reverse {
            names.reverse();
        }
        for name in &names {
            root.elf("x", name, None, &[(DT_NEEDED, "lib7.so"), (DT_NEEDED, "lib11.so")]);
            if name.contains('3') {
                root.used(name, "opened");
            }
        }
        write_list(&root.plan(), std::iter::empty())
    };
    assert_eq!(build(false), build(true));
}
