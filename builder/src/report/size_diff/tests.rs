use super::*;
use crate::{
    artifact::Papers,
    diff::CauseKind,
    digest::Digest,
    formats::prune_list::parse_list,
    lock::Lock,
    tree::{Entry, Tree},
};

/// A store of which these tests need nothing.
fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("cache")).expect("opens");
    (directory, store)
}

/// Files of made contents, each with its size and what it takes compressed; `list` and `lock` are papers.
fn side(files: &[(&str, u64, u64)], list: &str, lock: &str, store: &Store) -> Compared {
    let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
    let mut tree: Tree = files
        .iter()
        .map(|(name, size_bytes, _)| {
            let digest = Digest::of(format!("{size_bytes}").as_bytes());
            (path(name), Entry::file(digest, *size_bytes, 0o644, 0))
        })
        .collect();
    let listed = format!("tinyroot prune.list 1\n{list}");
    let digest = store.put(listed.clone());
    tree.insert(path("tinyroot/papers/prune.list"), Entry::file(digest, listed.len() as u64, 0o644, 0));
    let priced: BTreeMap<TreePath, u64> =
        files.iter().map(|(name, _, packed)| (path(name), *packed)).collect();
    let size_bytes = priced.values().sum::<u64>() + 30;
    Compared {
        taken: Taken::Package,
        name: "Tea".to_owned(),
        size_bytes: Some(size_bytes),
        papers: Papers::read(&tree, store),
        tree,
        prices: Some(Prices { files: priced, metadata_bytes: 20, container_bytes: 10 }),
        packing: "spk".to_owned(),
        facts: None,
        list: parse_list(&listed),
        lock: (!lock.is_empty()).then(|| Lock::parse(lock.as_bytes()).expect("a lock")),
    }
}

fn bounds(texts: &[&str]) -> Vec<Bound> {
    texts.iter().map(|text| text.parse().expect("is a limit")).collect()
}

#[test]
fn limits_that_are_exceeded_are_one_line_that_names_what_grew_most() {
    let (_directory, store) = store();
    let list = "/usr/a cup traced opened\n/usr/b pot traced opened\n";
    let excess = |limits: &[&str]| {
        let before = side(&[("usr/a", 5, 1000), ("usr/b", 5, 1000)], list, "", &store);
        let after = side(&[("usr/a", 6, 2000), ("usr/b", 9, 1_400_000)], list, "", &store);
        SizeReport::of(before, after, bounds(limits), &store).excess()
    };
    let all = "the package grew by 1.4 MB, from 2.0 kB to 1.4 MB, 1.4 MB over the limit of 1.0 kB: \
               most of it pot (+1.4 MB)";
    let cup = "cup grew by 1.0 kB (100.00 %), from 1.0 kB to 2.0 kB, 900 B over the limit of 10 % (100 B)";
    assert_eq!(excess(&["1 kB"]).as_deref(), Some(all));
    assert_eq!(excess(&["2 MB", "cup=10%"]).as_deref(), Some(cup));
    assert_eq!(excess(&["1kB", "cup=10%", "pot=2MB"]), Some(format!("{all}; {cup}")));
    assert_eq!(excess(&["2 MB", "cup=100%", "milk=0"]), None);
    let before = side(&[("usr/a", 5, 1_300_000)], list, "", &store);
    let after = side(&[("usr/a", 5, 1_300_007)], list, "", &store);
    let text = "the package grew by 7 B, from 1.30003 MB to 1.30004 MB, 7 B over the limit of 0 B";
    // So little is no growth of a package.
    assert_eq!(SizeReport::of(before, after, bounds(&["0"]), &store).excess().as_deref(), Some(text));
}

#[test]
fn bytes_that_only_moved_to_a_package_are_its_growth() {
    let (_directory, store) = store();
    let list = "/usr/a cup traced opened\n/usr/b pot traced opened\n/usr/c lid traced opened\n";
    let of = |cup: u64, pot: (u64, u64), lid: u64| {
        side(&[("usr/a", 5, cup), ("usr/b", pot.0, pot.1), ("usr/c", 5, lid)], list, "", &store)
    };
    let report = |limits: &[&str]| {
        let (before, after) = (of(379_100, (5, 1_500_000), 50_000), of(971_300, (4, 1_400_000), 50_400));
        SizeReport::of(before, after, bounds(limits), &store)
    };
    let cup =
        "cup grew by 592.2 kB (156.21 %), from 379.1 kB to 971.3 kB, 588.4 kB over the limit of 1 % (3.8 kB)";
    assert_eq!(report(&["cup=1%"]).excess().as_deref(), Some(cup));
    let all = report(&["1%"]).excess().expect("is over its limit");
    assert!(all.ends_with(": most of it cup (+592.2 kB)"), "{all}");
    // What has no row of its own has a limit all the same.
    assert!(report(&["lid=100"]).excess().is_some_and(|text| text.starts_with("lid grew by 400 B, ")));

    let report = report(&[]);
    let (json, text, markdown) = (report.json(), report.text(), report.markdown());
    assert_eq!(
        [&json["packages"][0]["package"], &json["packages"][0]["cause"]["kind"], &json["paths"][0]["change"]],
        ["cup", "sharing", "same"]
    );
    assert_eq!(json["unchanged"]["packages"]["count"], 2);
    let row = "\n +592.2 kB  379.1 kB  971.3 kB       +0 B  cup\n              \
               no file changed: it shares fewer bytes with others, or is compressed otherwise\n";
    let path = "\n +592.2 kB  379.1 kB  971.3 kB  same      /usr/a cup\n";
    for part in [row, path, "2 other packages (the same in both)"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(markdown.contains("| `cup`<br>`no file changed: "), "{markdown}");
    let mut html = String::new();
    report.page().write_html(&mut html).expect("writes");
    assert!(html.contains("no file changed: it shares fewer bytes"));
}

#[test]
fn what_is_compressed_otherwise_is_one_line_and_no_rows() {
    let (_directory, store) = store();
    let list = "/usr/a cup traced opened\n/usr/b pot traced opened\n";
    let of = |factor: u64, b: u64, packing: &str| {
        let files = [("usr/a", 50_000, 10_000 * factor), ("usr/b", b, 5000 * factor)];
        Compared { packing: packing.to_owned(), ..side(&files, list, "", &store) }
    };
    let report = |is: Compared| SizeReport::of(of(1, 9000, "spk"), is, Vec::new(), &store);
    let changed = report(of(3, 9001, "oci"));
    let (text, markdown, mut html) = (changed.text(), changed.markdown(), String::new());
    changed.page().write_html(&mut html).expect("writes");
    let what = "compressed otherwise (spk -> oci), of what is the same";
    assert!(text.contains(&format!("  +20.0 kB  {what}: 10.0 kB -> 30.0 kB\n")), "{text}");
    assert!(markdown.contains(&format!("| {what} | 10.0 kB | 30.0 kB | +20.0 kB |\n")), "{markdown}");
    assert!(
        html.contains("compressed otherwise (spk \u{2192} oci), of what is the same: +20.0 kB"),
        "{html}"
    );
    assert!(html.contains("\"otherwise\":true"));
    for shown in [&text, &markdown] {
        assert!(!shown.contains("/usr/a") && !shown.contains("cup") && shown.contains("/usr/b"), "{shown}");
    }
    let same = report(of(3, 9000, "oci")).text();
    assert!(same.ends_with("the contents are the same\n") && same.contains(what), "{same}");
    assert!(!report(of(3, 9000, "spk")).text().contains(what));
}

#[test]
fn times_alone_are_one_line_and_no_cause() {
    let (_directory, store) = store();
    let list = "/usr/a cup traced opened\n/usr/b cup traced opened\n/etc/tea - laid a file of the recipe\n";
    let files = [("usr/a", 5, 1000), ("usr/b", 5, 1000), ("etc/tea", 5, 9)];
    let mut after = side(&files, list, "", &store);
    let paths: Vec<TreePath> = after.tree.iter().map(|(path, _)| path.clone()).collect();
    for path in &paths {
        after.tree.get_mut(path.as_bytes()).expect("is there").mtime_s = 9;
    }
    after.tree.get_mut(b"usr/b").expect("is there").mode = 0o4755;
    let report = SizeReport::of(side(&files, list, "", &store), after, Vec::new(), &store);
    let (text, markdown, json) = (report.text(), report.markdown(), report.json());
    assert_eq!(json["paths"].as_array().map(Vec::len), Some(paths.len()));
    assert!(report.diff.packages.iter().all(|package| package.cause.is_none()), "{text}");
    // Another mode is no matter of time.
    for part in ["  cup (1 changed)\n", "  metadata  /usr/b cup\n", "  3 paths (times alone differ)\n"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(markdown.contains("| 3 paths, times alone differ | "), "{markdown}");
    for path in ["/usr/a", "/etc/tea"] {
        assert!(!text.contains(path) && !markdown.contains(path), "{path}\n{text}\n{markdown}");
    }
}

#[test]
fn sizes_are_told_apart_in_one_unit() {
    for (before, after, expected) in [
        (1, 2, ("1 B", "2 B")),
        (2047, 2048, ("2.047 kB", "2.048 kB")),
        (3_715_332, 3_718_020, ("3.715 MB", "3.718 MB")),
        (999_999_999, 1_000_000_000, ("1000.0 MB", "1.00 GB")),
        (5_000_000_000, 5_000_000_001, ("5.000000000 GB", "5.000000001 GB")),
        (5000, 5000, ("5.0 kB", "5.0 kB")),
    ] {
        assert_eq!(size_texts(before, after), (expected.0.to_owned(), expected.1.to_owned()));
    }
}

fn lock(packages: &[(&str, &str, &str, &str)]) -> String {
    let mut text = "version = 1\nsuite = \"bookworm\"\narchitecture = \"amd64\"\ntime = \"2026-01-01T00:00:00Z\"\n\n\
                    [request]\npackages = [\"cup\"]\nessential = true\nrecommends = false\nexclude = []\nprefer = []\n"
        .to_owned();
    for (name, version, suite, because) in packages {
        text += &format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\narchitecture = \"amd64\"\nsuite = \"{suite}\"\n\
             path = \"pool/{name}.deb\"\nsize_bytes = 1\nsha256 = \"{}\"\nbecause = \"{because}\"\n",
            "0".repeat(64)
        );
    }
    text
}

#[test]
fn causes_are_read_out_of_the_papers_of_both() {
    let (_directory, store) = store();
    let before = side(
        &[("usr/cup", 5, 5), ("usr/lid", 5, 5), ("etc/tea", 5, 5), ("usr/spoon", 4, 4)],
        "reduced /usr/spoon 3 of 9 symbols\n/etc/tea - laid a file of the recipe\n/usr/cup cup traced opened by sh at start\n\
         /usr/lid cup traced opened by sh at GET:/\n/usr/spoon spoon loader libspoon.so NEEDED by <- /usr/cup\n\
         dropped cup unused nothing asked for it\n/usr mat\n",
        &lock(&[("cup", "1", "bookworm", "requested"), ("spoon", "1", "bookworm", "Depends: spoon of cup")]),
        &store,
    );
    let after = side(
        &[
            ("usr/cup", 5, 5),
            ("usr/leaf", 50, 50),
            ("usr/mat", 7, 7),
            ("etc/tea", 6, 6),
            ("usr/spoon", 5, 5),
            ("usr/sieve", 5, 5),
        ],
        "reduced /usr/spoon 4 of 9 symbols\n/etc/tea - laid a file of the recipe\n/usr/cup cup traced opened by sh at start\n\
         /usr/leaf leaves loader libleaf.so NEEDED by <- /usr/cup\n/usr/mat cup traced opened by sh at POST:/\n\
         /usr/sieve sieve traced opened by sh at start\n\
         /usr/spoon spoon loader libspoon.so NEEDED by <- /usr/cup\ndropped cup unused nothing asked for it\n/usr lid\n",
        &lock(&[
            ("cup", "1", "bookworm", "requested"),
            ("leaves", "2", "bookworm", "Depends: leaves (>= 2) of sieve"),
            ("sieve", "2", "bookworm", "Depends: sieve of cup"),
            ("spoon", "1", "bookworm", "Depends: spoon of cup"),
        ]),
        &store,
    );
    let report = SizeReport::of(before, after, Vec::new(), &store);
    let path = |path: &str| {
        let change = report.diff.paths.iter().find(|change| change.path == path).expect("changed");
        change.cause.clone().map(|cause| (cause.kind, cause.text))
    };
    let cause = |kind, text: &str| Some((kind, text.to_owned()));
    assert_eq!(path("usr/mat"), cause(CauseKind::Exercise, "kept now: traced: opened by sh at POST:/"));
    let lid = "pruned now; before, traced: opened by sh at GET:/";
    assert_eq!(path("usr/lid"), cause(CauseKind::Exercise, lid));
    assert_eq!(path("etc/tea"), cause(CauseKind::Recipe, "the recipe's file changed"));
    let spoon = "what is left of it: 4 of 9 symbols; before, 3 of 9 symbols";
    assert_eq!(path("usr/spoon"), cause(CauseKind::Reduction, spoon));
    let package = |name: &str| {
        report.diff.packages.iter().find(|package| package.package == name).expect("changed").clone()
    };
    let leaves = package("leaves").cause.expect("is known");
    assert_eq!((leaves.kind, &leaves.text[..]), (CauseKind::Dependency, "new: sieve asks for it, for cup"));
    assert_eq!(leaves.chain, ["leaves: Depends: leaves (>= 2) of sieve", "sieve: Depends: sieve of cup"]);
    let cup = package("cup");
    assert_eq!((cup.files_gained, cup.files_lost), (Some(1), Some(1)));
    let text = report.text();
    for line in ["new: sieve asks for it, for cup", "cup (2 changed, 1 file gained, 1 lost)"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn a_comment_of_thousands_of_hostile_paths_is_a_comment_still() {
    let (_directory, store) = store();
    let evil = |at: usize, side: usize| match at % 4 {
        0 => format!("usr/`|</details>{at}<img src=x>`"),
        1 => format!("usr/@team{at}|#1\\|{side}|x"),
        2 => format!("usr/{}{at}", "[x](http://x)".repeat(15)),
        _ => format!("usr/\n# {at}\n\n| a | b |\u{202e}"),
    };
    let files = |side: usize| (0..6000).map(|at| (evil(at, side), (at + side) as u64)).collect::<Vec<_>>();
    let of = |files: &[(String, u64)]| {
        let files: Vec<(&str, u64, u64)> =
            files.iter().map(|(name, size)| (&name[..], *size, *size)).collect();
        side(&files, "", "", &store)
    };
    let report = SizeReport::of(of(&files(0)), of(&files(1)), Vec::new(), &store);
    let comment = report.markdown();
    assert!((50_000..=65_000).contains(&comment.len()), "{}", comment.len());
    assert!(comment.contains("more paths | | | |\n"));
    assert_eq!(comment.matches("<details>").count(), comment.matches("\n</details>\n").count());
    for line in comment.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.matches('|').count(), 5, "{line}");
    }
    for line in comment.lines() {
        let outside: String = line.split('`').step_by(2).collect();
        for markup in ["<img", "[x]", "@team"] {
            assert!(!outside.contains(markup), "{markup} in {line}");
        }
        assert!(
            line.is_empty()
                || ["|", "<details>", "</details>", "- "].iter().any(|start| line.starts_with(start))
        );
    }
}
