use super::*;
use crate::{digest::Digest, tree::Entry};

fn tree(files: &[(&str, &str)]) -> Tree {
    let entry = |text: &str| Entry::file(Digest::of(text.as_bytes()), text.len() as u64, 0o644, 0);
    files.iter().map(|(path, text)| (TreePath::new(path.as_bytes()).expect("good"), entry(text))).collect()
}

fn first_component(path: &TreePath) -> String {
    path.to_string().split('/').next().unwrap_or_default().to_owned()
}

fn side<'a>(tree: &'a Tree, heading: &'a dyn Fn(&TreePath) -> String) -> Side<'a> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    Side { tree, heading, versions: &NONE, packed: None, packing: "spk" }
}

fn compared(before: &Tree, after: &Tree) -> SizeDiff {
    diff(&side(before, &first_component), &side(after, &first_component), 2)
}

#[test]
fn names_what_changed_largest_first() {
    let before = tree(&[("a/same", "same"), ("a/gone", "123456"), ("b/grows", "1"), ("b/touched", "t")]);
    let mut after =
        tree(&[("a/same", "same"), ("b/grows", "1234567890"), ("b/touched", "t"), ("c/new", "12")]);
    after.get_mut(b"b/touched").expect("is there").mtime_s = 9;
    let diff = compared(&before, &after);
    assert_eq!((diff.sizes.before_bytes, diff.sizes.after_bytes, diff.sizes.growth_bytes()), (12, 17, 5));
    let paths: Vec<_> = diff.paths.iter().map(|p| (p.path.as_str(), p.change)).collect();
    assert_eq!(
        paths,
        [
            ("b/grows", Change::Changed),
            ("a/gone", Change::Removed),
            ("c/new", Change::Added),
            ("b/touched", Change::Metadata),
        ]
    );
    let packages: Vec<_> = diff
        .packages
        .iter()
        .map(|p| (p.package.as_str(), p.sizes.before_bytes, p.sizes.after_bytes, p.paths))
        .collect();
    assert_eq!(packages, [("b", 2, 11, 2), ("a", 10, 4, 1), ("c", 0, 2, 1)]);
}

#[test]
fn nothing_changed_is_empty() {
    let one = tree(&[("a", "1")]);
    let same = compared(&one, &one);
    assert!(same.is_empty() && same.packages.is_empty());
}

#[test]
fn packed_sizes_decide_the_order_and_all_of_them_are_counted() {
    let before = tree(&[("a/same", "same"), ("a/grows", "1"), ("b/same", "same"), ("c/big", "")]);
    let after = tree(&[("a/same", "same"), ("a/grows", "123456"), ("b/same", "same"), ("c/big", "1")]);
    let prices = |sizes: [u64; 4]| -> BTreeMap<TreePath, u64> {
        before.iter().map(|(path, _)| path.clone()).zip(sizes).collect()
    };
    let (was, is) = (prices([1, 4, 20, 0]), prices([2, 5, 19, 90]));
    let mut sides = [side(&before, &first_component), side(&after, &first_component)];
    sides[0].packed = Some(&was);
    let [one, other] = &sides;
    let half = diff(one, other, 2);
    assert_eq!((half.sizes.packed_before_bytes, half.sizes.packed_after_bytes), (Some(25), None));
    assert_eq!(half.packages[0].package, "a", "installed sizes decide");
    sides[1].packed = Some(&is);
    let [one, other] = &sides;
    let diff = diff(one, other, 2);
    assert_eq!(diff.sizes.packed(), Some((25, 116)));
    let packages: Vec<_> = diff.packages.iter().map(|p| (&p.package[..], p.sizes.packed())).collect();
    assert_eq!(packages, [("c", Some((0, 90))), ("a", Some((5, 7)))]);
    assert_eq!((diff.unchanged.packages.count, diff.unchanged.packages.sizes.packed()), (1, Some((20, 19))));
    let sum = |rest: &Rest, listed: &mut dyn Iterator<Item = &Sizes>| {
        let mut all = rest.sizes;
        listed.for_each(|sizes| all.add(sizes));
        all
    };
    let Unchanged { packages, directories, paths } = &diff.unchanged;
    assert_eq!(sum(packages, &mut diff.packages.iter().map(|p| &p.sizes)), diff.sizes);
    assert_eq!(sum(directories, &mut diff.directories.iter().map(|d| &d.sizes)), diff.sizes);
    assert_eq!(sum(paths, &mut diff.paths.iter().map(|p| &p.sizes)), diff.sizes);
}

#[test]
fn what_is_compressed_in_another_way_is_one_sum() {
    let before = tree(&[("a/same", "same"), ("a/grows", "1"), ("b/same", "same")]);
    let after = tree(&[("a/same", "same"), ("a/grows", "12"), ("b/same", "same")]);
    let prices = |factor: u64| -> BTreeMap<TreePath, u64> {
        before.iter().map(|(path, _)| path.clone()).zip([factor, 2 * factor, 3 * factor]).collect()
    };
    let (was, is) = (prices(1000), prices(3000));
    let listed = |packing| {
        let mut sides = [side(&before, &first_component), side(&after, &first_component)];
        (sides[0].packed, sides[1].packed) = (Some(&was), Some(&is));
        sides[1].packing = packing;
        let [one, other] = &sides;
        let diff = diff(one, other, 2);
        let paths: Vec<String> = diff.paths.iter().map(|path| path.path.clone()).collect();
        let names: Vec<String> = diff.packages.iter().map(|package| package.package.clone()).collect();
        (paths, names, diff.directories.len(), diff.unchanged.paths.sizes.packed())
    };
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let all = (texts(&["b/same", "a/same", "a/grows"]), texts(&["a", "b"]), 2, Some((0, 0)));
    assert_eq!(listed("spk"), all);
    assert_eq!(listed("oci"), (texts(&["a/grows"]), texts(&["a"]), 1, Some((5000, 15_000))));
}

#[test]
fn files_that_changed_count_alike_for_packages_and_directories() {
    let mut before = tree(&[("a/one", "1"), ("a/two", "2"), ("a/time", "3"), ("a/gone", "4")]);
    let mut after = tree(&[("a/one", "11"), ("a/two", "2"), ("a/time", "3")]);
    let link = |target: &str| Entry::symlink(target.as_bytes().to_vec(), 0);
    let path = |text: &str| TreePath::new(text.as_bytes()).expect("good");
    before.insert(path("a/link"), link("one"));
    after.insert(path("a/link"), link("two"));
    after.insert(path("a/empty"), Entry::directory(0));
    for name in ["a/two", "a/time"] {
        after.get_mut(name.as_bytes()).expect("is there").mtime_s = 9;
    }
    let Kind::File { hard_link, .. } = &mut after.get_mut(b"a/two").expect("is there").kind else {
        panic!("is no file")
    };
    *hard_link = Some(path("a/one"));
    let diff = compared(&before, &after);
    // The directory is a path that changed, and no file; of one file the time alone did.
    let package = &diff.packages[0];
    assert_eq!((package.paths, package.touched, package.files), (6, 1, 4));
    let directory = &diff.directories[0];
    assert_eq!((directory.paths, directory.touched, directory.files), (6, 1, 4));
}

#[test]
fn a_file_that_moves_between_packages_is_told() {
    let one = tree(&[("a", "123")]);
    let moved = diff(&side(&one, &|_| "old".into()), &side(&one, &|_| "new".into()), 2);
    let packages: Vec<_> = moved
        .packages
        .iter()
        .map(|p| (p.package.as_str(), p.sizes.before_bytes, p.sizes.after_bytes))
        .collect();
    assert_eq!(packages, [("new", 0, 3), ("old", 3, 0)]);
}

#[test]
fn another_version_in_a_name_is_one_change() {
    let before = tree(&[
        ("libtea1/libtea.so.1.2", "12345"),
        ("libtea1/libcup.so.1", "1"),
        ("libtea1/libcup.so.2", "1"),
        ("pot/a", "1"),
        ("lib/pot/b", "1"),
    ]);
    let after = tree(&[
        ("libtea2/libtea.so.2.0.1", "1234567"),
        ("libtea2/libcup.so.3", "1"),
        ("pot/a", "1"),
        ("pot/b1", "1"),
        ("usr/lib/pot/b", "1"),
    ]);
    let package = |path: &TreePath| match path.as_bytes() {
        b"lib/pot/b" | b"usr/lib/pot/b" => "lid".to_owned(),
        _ => first_component(path),
    };
    let diff = diff(&side(&before, &package), &side(&after, &package), 2);
    let packages: Vec<_> = diff
        .packages
        .iter()
        .map(|p| {
            (p.package_before.as_deref(), &p.package[..], p.sizes.before_bytes, p.sizes.after_bytes, p.paths)
        })
        .collect();
    assert_eq!(
        packages,
        [(Some("libtea1"), "libtea2", 7, 8, 4), (None, "pot", 1, 2, 1), (None, "lid", 1, 1, 1)]
    );
    let paths: Vec<_> =
        diff.paths.iter().map(|p| (p.path_before.as_deref(), &p.path[..], p.change)).collect();
    assert_eq!(
        paths,
        [
            (Some("libtea1/libtea.so.1.2"), "libtea2/libtea.so.2.0.1", Change::Renamed),
            // Of two it is not known which.
            (None, "libtea1/libcup.so.1", Change::Removed),
            (None, "libtea1/libcup.so.2", Change::Removed),
            (None, "libtea2/libcup.so.3", Change::Added),
            (None, "pot/b1", Change::Added),
            (Some("lib/pot/b"), "usr/lib/pot/b", Change::Renamed),
        ]
    );
}
