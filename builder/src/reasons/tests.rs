use super::*;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn step(text: &str) -> Cause {
    Cause::Step(text.to_owned())
}

fn rule(text: &str) -> Cause {
    Cause::Rule { rule: "recipe".into(), text: text.into() }
}

fn file(name: &str) -> Cause {
    Cause::File(path(name))
}

/// `(path, package, bytes, causes)`, and `(package, dependents)`.
fn graph(files: &[(&str, &str, u64, &[Cause])], dependents: &[(&str, &[&str])]) -> Graph {
    let mut facts = Facts::default();
    for (at, heading, bytes, causes) in files {
        let known = FileFacts {
            packed_bytes: *bytes,
            size_bytes: 10 * bytes,
            is_file: true,
            heading: (*heading).to_owned(),
            causes: causes.to_vec(),
            ..FileFacts::default()
        };
        facts.files.insert(path(at), known);
    }
    for (name, by) in dependents {
        match by {
            [] => drop(facts.requested.insert((*name).to_owned(), "requested".to_owned())),
            by => {
                let by = by.iter().map(|name| (*name).to_owned());
                facts.dependents.insert((*name).to_owned(), by.collect());
            }
        }
    }
    Graph::new(facts)
}

fn without(graph: &Graph, packages: &[&str], causes: &[Cause]) -> (Vec<String>, Vec<String>, u64) {
    let drop = Drop {
        packages: packages.iter().map(|name| (*name).to_owned()).collect(),
        causes: causes.iter().cloned().collect(),
    };
    let gone = graph.gone(&drop);
    let paths = gone.paths.iter().map(ToString::to_string).collect();
    (gone.packages.iter().cloned().collect(), paths, graph.sum(&gone).packed_bytes)
}

fn retained(graph: &Graph, cause: &Cause) -> u64 {
    let mut all = graph.retained().expect("is small");
    all.find(|(other, _)| *other == cause).expect("is in the graph").1.packed_bytes
}

/// php-xml loads libxml, which loads ICU, which nginx needs not; both need the C library.
fn php() -> Graph {
    graph(
        &[
            ("nginx", "nginx", 1, &[step("start")]),
            ("xml.so", "php-xml", 2, &[step("GET:/feed")]),
            ("libxml", "libxml2", 4, &[file("xml.so")]),
            ("libicu", "libicu", 8, &[file("libxml")]),
            ("libc", "libc6", 16, &[file("nginx"), file("libicu"), file("libxml")]),
        ],
        &[
            ("nginx", &[]),
            ("php-xml", &[]),
            ("libxml2", &["php-xml"]),
            ("libicu", &["libxml2"]),
            ("libc6", &["nginx", "libicu"]),
        ],
    )
}

#[test]
fn a_package_brings_what_nothing_else_needs() {
    let php = php();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let gone = without(&php, &["php-xml"], &[]);
    assert_eq!(gone.0, names(&["libicu", "libxml2", "php-xml"]));
    assert_eq!(gone.1, names(&["libicu", "libxml", "xml.so"]));
    assert_eq!(gone.2, 14);
    assert_eq!(without(&php, &["nginx", "php-xml"], &[]).2, 31);
    assert_eq!(retained(&php, &step("GET:/feed")), 14);
    assert_eq!(retained(&php, &file("libxml")), 12);
    assert_eq!(retained(&php, &file("libc")), 16);
}

#[test]
fn files_go_that_only_a_gone_package_needs_though_another_package_stays_for_it() {
    // dpkg asks for zlib too, but only php's files load it.
    let made = graph(
        &[
            ("php", "php", 1, &[step("start")]),
            ("libz", "zlib1g", 2, &[file("php")]),
            ("zpipe", "zlib1g", 4, &[rule("keep")]),
        ],
        &[("php", &[]), ("dpkg", &[]), ("zlib1g", &["php", "dpkg"])],
    );
    let drop = Drop { packages: BTreeSet::from(["php".to_owned()]), ..Drop::default() };
    let gone = made.gone(&drop);
    assert_eq!(gone.packages.len(), 1);
    let parts = made.parts(&gone);
    let parts: Vec<_> =
        parts.iter().map(|part| (&part.heading[..], part.sum.packed_bytes, part.is_whole)).collect();
    assert_eq!(parts, [("zlib1g", 2, false), ("php", 1, true)]);
}

#[test]
fn two_reasons_keep_a_file_if_one_goes() {
    let made = graph(
        &[
            ("a", "x", 1, &[rule("one"), rule("two")]),
            ("b", "x", 2, &[rule("one")]),
            ("c", "x", 4, &[file("a"), file("b")]),
        ],
        &[],
    );
    assert_eq!(retained(&made, &rule("one")), 2);
    assert_eq!(retained(&made, &rule("two")), 0);
    assert_eq!(without(&made, &[], &[rule("one"), rule("two")]).2, 7);
}

#[test]
fn circles_go_as_a_whole_and_what_nothing_leads_to_stands_for_itself() {
    let made = graph(
        &[
            ("a", "x", 1, &[rule("one"), file("b")]),
            ("b", "y", 2, &[file("a")]),
            ("c", "z", 4, &[file("d")]),
            ("d", "z", 8, &[file("c")]),
            ("e", "z", 16, &[file("never")]),
        ],
        &[("x", &["y"]), ("y", &["x"]), ("z", &["z"])],
    );
    assert_eq!(retained(&made, &rule("one")), 3);
    assert_eq!(retained(&made, &file("c")), 4);
    assert_eq!(without(&made, &["z"], &[]).2, 28);
    // Each of the two packages is asked for by the other one alone, so each stands for itself.
    assert_eq!(without(&made, &["y"], &[]), (vec!["y".to_owned()], vec!["b".to_owned()], 2));
}

#[test]
fn a_spare_reason_counts_where_no_other_leads_there() {
    let mut facts = graph(
        &[("a", "x", 1, &[file("b")]), ("b", "x", 2, &[file("a")]), ("c", "x", 4, &[rule("one")])],
        &[],
    )
    .facts;
    for name in ["a", "c"] {
        facts.files.get_mut(&path(name)).expect("is there").spare = Some(step("start"));
    }
    let made = Graph::new(facts);
    assert_eq!(retained(&made, &step("start")), 3);
    assert_eq!(retained(&made, &rule("one")), 4);
}

#[test]
fn contents_go_once_with_the_last_path_that_has_them() {
    let mut facts = graph(
        &[
            ("bin/git", "git", 100, &[rule("one")]),
            ("core/git", "git", 3, &[rule("two")]),
            ("other", "copy", 2, &[rule("two")]),
            ("linked", "git", 0, &[rule("three")]),
            ("zero", "git", 9, &[rule("one")]),
        ],
        &[],
    )
    .facts;
    for name in ["bin/git", "core/git", "other", "linked"] {
        facts.files.get_mut(&path(name)).expect("is there").contents = Some(Digest::of(b"git"));
    }
    // A further name of a file.
    let linked = facts.files.get_mut(&path("linked")).expect("is there");
    linked.size_bytes = 0;
    let made = Graph::new(facts);
    let rules = |rules: &[&str]| rules.iter().map(|name| rule(name)).collect::<Vec<_>>();
    // The dear one goes, and another of them is dear then.
    assert_eq!(without(&made, &[], &rules(&["one"])).2, 9);
    assert_eq!(without(&made, &[], &[file("bin/git")]).2, 0);
    assert_eq!(without(&made, &[], &rules(&["two"])).2, 2);
    assert_eq!(without(&made, &[], &rules(&["one", "two"])).2, 9 + 2 + 3);
    assert_eq!(without(&made, &[], &rules(&["one", "two", "three"])).2, 9 + 100 + 3 + 2);
    assert_eq!((retained(&made, &rule("one")), retained(&made, &rule("two"))), (9, 2));
    let drop = Drop { causes: rules(&["one", "two"]).into_iter().collect(), ..Drop::default() };
    let gone = made.gone(&drop);
    let parts: Vec<_> =
        made.parts(&gone).into_iter().map(|part| (part.heading, part.sum.packed_bytes)).collect();
    assert_eq!(parts, [("git".to_owned(), 14), ("copy".to_owned(), 0)]);
    let staying = made.staying(&gone);
    assert_eq!(staying.len(), 3);
    assert!(staying.iter().all(|(_, stays)| **stays == path("linked")));
}

#[test]
fn the_dominator_tree_and_the_cut_agree_on_graphs_of_all_shapes() {
    // A linear congruential generator (Numerical Recipes): the same graphs each time.
    let mut state: u32 = 7;
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    for _ in 0..60 {
        let mut facts = Facts::default();
        for at in 0..24 {
            let mut causes = Vec::new();
            for _ in 0..=next(3) {
                causes.push(match next(5) {
                    0 => step(&next(4).to_string()),
                    _ => file(&next(24).to_string()),
                });
            }
            let contents = Some(Digest::of(next(16).to_string().as_bytes()));
            let packed_bytes = u64::from(next(9));
            let known = FileFacts { packed_bytes, contents, is_file: true, causes, ..FileFacts::default() };
            facts.files.insert(path(&at.to_string()), known);
        }
        let made = Graph::new(facts);
        for (cause, sum) in made.retained().expect("is small") {
            let drop = Drop { causes: BTreeSet::from([cause.clone()]), ..Drop::default() };
            assert_eq!(made.sum(&made.gone(&drop)), sum, "{cause:?}");
        }
    }
}
