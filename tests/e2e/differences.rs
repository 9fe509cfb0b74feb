//! What `diff` says to who reviews a change of a package.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use tinyroot::{
    digest::Digest,
    formats::{key_file::Key, manifest::Manifest},
    store::Store,
    testing::{deb, pack},
    tree::{Entry, Tree, TreePath},
};

use super::{
    support::{Home, assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// Writes a package of files, signed with a key.
fn package(home: &Home, name: &str, version: (&str, u32), key: u8, files: &[(&str, &str)]) -> PathBuf {
    let store = Store::open(&home.path("cache")).expect("opens");
    let file = |(path, contents): &(&str, &str)| {
        let entry = Entry::file(store.put(*contents), contents.len() as u64, 0o644, 0);
        (TreePath::new(path.as_bytes()).expect("a path"), entry)
    };
    let mut tree: Tree = files.iter().map(file).collect();
    tree.add_parents(0);
    let manifest = Manifest::for_init("Tea", version.0, version.1, "cup");
    let out = home.path(name);
    pack(&tree, &store, &manifest, &Key::from_seed([key; 32]), &out);
    out
}

/// An older and a newer package.
fn two(home: &Home) -> [PathBuf; 2] {
    let old = package(
        home,
        "old.spk",
        ("1.0", 1),
        1,
        &[
            ("usr/lib/libtea.so.1.2", "libtea, old"),
            ("usr/bin/pot", "pot"),
            ("var/lib/dpkg/info/libtea1.list", "/usr/lib/libtea.so.1.2\n"),
            ("var/lib/dpkg/info/pot.list", "/usr/bin/pot\n"),
            (
                "var/lib/dpkg/status",
                "Package: libtea1\nVersion: 1.2-1\n\nPackage: pot\nVersion: 4\n\nPackage: cup\nVersion: 7\n",
            ),
            ("tinyroot/papers/recipe/recipe.toml", "[budget]\nartifact = \"4 kB\"\n"),
        ],
    );
    let new = package(
        home,
        "new.spk",
        ("1.1", 2),
        2,
        &[
            ("usr/lib/libtea.so.1.3", "libtea, newer"),
            ("usr/bin/pot", "a larger pot"),
            ("var/lib/dpkg/info/libtea1.list", "/usr/lib/libtea.so.1.3\n"),
            ("var/lib/dpkg/info/pot.list", "/usr/bin/pot\n"),
            (
                "var/lib/dpkg/status",
                "Package: libtea1\nVersion: 1.3-1\n\nPackage: pot\nVersion: 4\n\nPackage: cup\nVersion: 8\n",
            ),
            ("tinyroot/papers/recipe/recipe.toml", "[budget]\nartifact = \"2 MB\"\n"),
            (
                "tinyroot/papers/proof.json",
                "{\"exercised\": false, \"steps\": [], \"compared\": false, \
                 \"tree\": \"0000000000000000000000000000000000000000000000000000000000000000\"}",
            ),
        ],
    );
    [old, new]
}

#[test]
fn a_reviewer_sees_versions_renamed_libraries_key_proof_budget_and_limit() {
    let home = Home::new();
    let [old, new] = two(&home);
    let said = home.done(&["diff", text(&old), text(&new), "--fail-over", "200k"]).stdout;
    for line in [
        "   version  1.0 (1) -> 1.1 (2)",
        "     proof  unknown -> none",
        "    budget  4.0 kB -> 2.0 MB",
        "by package, compressed",
        "+2 B  libtea1 1.2-1 -> 1.3-1 (1 changed)",
        "+9 B  pot 4 (1 changed)",
        "+0 B  cup 7 -> 8 (0 changed)",
        "  renamed   /usr/lib/libtea.so.1.2 -> libtea.so.1.3 libtea1",
    ] {
        assert!(said.lines().any(|shown| shown.ends_with(line)), "{line}\n{said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
    assert_says(&said, &["limit of growth 200.0 kB: kept", "budget 2.0 MB: 2.0 MB left", "app id  "]);

    let ended = home.run(&["diff", text(&old), text(&new), "--fail-over", "1 %", "--format", "markdown"]);
    assert_eq!(ended.code, Some(3));
    assert_says(
        &ended.stdout,
        &[
            "- limit of growth 1 % (",
            "- version: `1.0 (1)` -> `1.1 (2)`\n",
            "| `libtea1 1.2-1 -> 1.3-1` |",
            "| renamed `/usr/lib/libtea.so.1.2 -> libtea.so.1.3` |",
        ],
    );
    assert_says(
        &ended.stderr,
        &["limit exceeded: the package grew by ", "over the limit of 1 % (", "): most of it (no package) (+"],
    );

    let document = home.done(&["diff", text(&old), text(&new), "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("is JSON");
    let packages = document["packages"].as_array().expect("a list");
    let package = packages.iter().find(|package| package["package"] == "libtea1").expect("is there");
    assert_eq!(
        [&package["package"], &package["version_before"], &package["version_after"]],
        ["libtea1", "1.2-1", "1.3-1"]
    );
    let path = document["paths"].as_array().expect("a list").iter().find(|path| path["change"] == "renamed");
    assert_eq!(path.expect("is renamed")["path_before"], "usr/lib/libtea.so.1.2");
    for (side, file) in [("before", &old), ("after", &new)] {
        let size_bytes = fs::metadata(file).expect("is there").len();
        assert_eq!(document[format!("artifact_{side}_bytes")], size_bytes);
        let packed = format!("packed_{side}_bytes");
        let number = |value: &serde_json::Value| value.as_u64().expect("is known");
        let besides = number(&document[format!("metadata_{side}_bytes")])
            + number(&document[format!("container_{side}_bytes")]);
        for list in ["packages", "directories", "paths"] {
            let listed = document[list].as_array().expect("a list").iter().map(|item| number(&item[&packed]));
            let all = listed.sum::<u64>() + number(&document["unchanged"][list][&packed]);
            assert_eq!(all + besides, size_bytes, "{list} {side}");
        }
    }
    assert_eq!(document["before"]["budget_bytes"], 4000);
    assert_eq!(document["after"]["proof"], "none");
    assert_ne!(document["before"]["app_id"], document["after"]["app_id"]);
}

#[test]
fn a_package_pays_for_what_it_shared_when_the_other_one_goes() {
    let home = Home::new();
    // Two files of the same 8 kB that do not compress: the stream has them once, and the first one pays.
    let leaves: String = (0..125_u8).map(|at| Digest::of(&[at]).to_string()).collect();
    let files = ["alpha", "beta"].map(|name| (format!("usr/bin/{name}"), format!("{name} {leaves}")));
    let of = |out: &str, names: &[usize]| {
        let mut all = vec![
            ("var/lib/dpkg/status", "Package: alpha\nVersion: 1\n\nPackage: beta\nVersion: 1\n"),
            ("var/lib/dpkg/info/alpha.list", "/usr/bin/alpha\n"),
            ("var/lib/dpkg/info/beta.list", "/usr/bin/beta\n"),
        ];
        all.extend(names.iter().map(|at| (&files[*at].0[..], &files[*at].1[..])));
        package(&home, out, ("1.0", 1), 1, &all)
    };
    let (both, one, other) = (of("both.spk", &[0, 1]), of("one.spk", &[0]), of("other.spk", &[1]));
    let mut codes = [(&one, "alpha"), (&other, "beta")].map(|(left, name)| {
        let ended = home.run(&["diff", text(&both), text(left), "--fail-over", &format!("{name}=1%")]);
        if ended.code == Some(3) {
            assert_says(
                &ended.stdout,
                &["no file changed: it shares fewer bytes with others", "  same      /usr/bin/"],
            );
            assert_says(
                &ended.stderr,
                &[&format!("limit exceeded: {name} grew by "), "over the limit of 1 %"],
            );
        }
        ended.code
    });
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3)]);
}

#[test]
fn one_of_two_packages_may_come_from_standard_input() {
    let home = Home::new();
    let [old, new] = two(&home);
    let mut command = home.command();
    command.args(["diff", "-", text(&new)]).stdin(File::open(&old).expect("opens"));
    let ended = end(&mut command);
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""));
    assert_eq!(ended.stdout, home.done(&["diff", text(&old), text(&new)]).stdout);
    assert!(!fs::exists(home.path("-")).expect("is known"));
    let both = home.run(&["diff", "-", "-"]);
    assert_eq!(both.code, Some(2));
    assert_says(&both.stderr, &["error: A and B cannot both come from standard input\nhint: "]);
}

#[test]
fn the_same_package_differs_in_nothing() {
    let home = Home::new();
    let [old, _] = two(&home);
    let said = home.done(&["diff", text(&old), text(&old)]).stdout;
    assert_eq!(said.lines().filter(|line| line.contains(" -> ")).count(), 2, "{said}");
    assert_says(&said, &["the contents are the same"]);
}

#[test]
fn a_package_may_have_a_limit_of_its_own() {
    let home = Home::new();
    let [old, new] = two(&home);
    let (old, new) = (text(&old), text(&new));
    let ended = home.run(&["diff", old, new, "--fail-over", "1 MB", "--fail-over", "pot=10%", "--json"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!(document["limits"][1]["package"], "pot");
    assert_ne!(document["limits"][1]["over_limit_bytes"], 0);
    assert_eq!(document["over_limit_bytes"], 0);
    let ended = home.run(&["diff", old, new, "--fail-over", "pot=10%"]);
    assert_says(&ended.stderr, &["limit exceeded: pot grew by ", "over the limit of 10 % ("]);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let ended = home.run(&["diff", old, new, "--fail-over", "milk=0"]);
    assert_eq!(ended.code, Some(0));
    assert_says(&ended.stderr, &["warning: neither A nor B has the package milk, which has a limit"]);
    for (limits, code, said) in [
        (&["--fail-over", "pot=1", "--fail-over", "pot=2"][..], 1, "--fail-over gives two limits for pot"),
        (&["--fail-over", "pot=much"], 2, "not a number of bytes"),
        (&["--fail-over", "=1"], 2, "there is no name of a package before `=`"),
    ] {
        let ended = home.run(&[&["diff", old, new], limits].concat());
        assert_eq!(ended.code, Some(code), "{limits:?}");
        assert_says(&ended.stderr, &[said]);
    }
}

#[test]
fn a_package_that_grew_says_which_step_uses_what_was_pruned_before() {
    // What is the app's own is kept whole; what is not essential, only a real dpkg unpacks.
    let leaf = deb("leaf").field("Essential", "yes").file("usr/share/leaf/green", 0o644, "a green leaf\n");
    let Some(traced) = TracedApp::of(RECIPE, |tea| vec![tea, leaf]) else { return };
    let (old, new) = (traced.home.path("old.spk"), traced.home.path("new.spk"));
    let recipe = text(&traced.recipe);
    traced.done(&["build", recipe, "--output", text(&old)]);
    let more = RECIPE.to_owned() + "[[exercise]]\nget = \"/usr/share/leaf/green\"\ncontains = \"leaf\"\n";
    fs::write(traced.recipe.join("recipe.toml"), more).expect("writes");
    traced.done(&["trace", recipe]);
    traced.done(&["build", recipe, "--output", text(&new)]);

    let said = traced.home.done(&["diff", text(&old), text(&new)]).stdout;
    let kept = "kept now: traced: opened by perl of web at GET:/usr/share/leaf/green";
    assert_says(&said, &["leaf", "1 file gained)", kept]);
    let document = traced.home.done(&["diff", text(&old), text(&new), "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("is JSON");
    let paths = document["paths"].as_array().expect("a list");
    let green = paths.iter().find(|path| path["path"] == "usr/share/leaf/green").expect("changed");
    assert_eq!(green["cause"]["kind"], "exercise", "{green:#}");
    assert_says(&traced.home.done(&["diff", text(&old), text(&new), "--format", "html"]).stdout, &[kept]);
    // The other way nothing asks for it any more.
    let said = traced.home.done(&["diff", text(&new), text(&old)]).stdout;
    let pruned = "pruned now; before, traced: opened by perl of web at GET:/usr/share/leaf/green";
    assert_says(&said, &["1 file lost", pruned]);
}
