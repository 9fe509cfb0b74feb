use super::*;
use crate::{
    formats::recipe_summary::PackageSize,
    resolve::{Request, Resolution, Resolved},
    testing::Repository,
};

const RECIPE: &str = "[app]\nname = \"tea\"\nversion = \"1\"\n";

fn summary(files: &[(&str, &str)], size_bytes: u64, water_bytes: u64) -> String {
    let files: Files =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let mut summary = RecipeSummary::new(folder_digest(&files), "0.1.0", "spk");
    summary.size_bytes = size_bytes;
    let size = PackageSize { packed_bytes: Some(water_bytes), ..PackageSize::default() };
    summary.packages.insert("water".into(), size);
    summary.to_text()
}

#[test]
fn sizes_count_for_the_state_that_they_were_recorded_for_alone() {
    let Some(repository) = Repository::new() else { return };
    let folder = repository.path().join("tea");
    let first = [("recipe.toml", RECIPE), ("used.list", "# head\n/a opened\n")];
    let commit = |subject: &str, files: &[(&str, &str)]| {
        let files: Vec<(String, &str)> =
            files.iter().map(|(name, text)| (format!("tea/{name}"), *text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&name[..], *text)).collect();
        repository.commit(subject, &files);
    };
    commit("one", &[&first[..], &[("recipe.summary", &summary(&first, 1000, 700))]].concat());
    // Another recipe, with the summary of the one before.
    let longer = format!("{RECIPE}[prune]\ndrop = [\"/x\"]\n");
    let second = [("recipe.toml", &longer[..]), ("used.list", "/b opened\n/c opened\n")];
    commit("two", &[&second[..], &[("files/.swp", "x"), ("files/run", "#!")]].concat());
    let third = [&second[..], &[("files/run", "#!")]].concat();
    commit("three", &[("recipe.summary", &summary(&third, 1500, 600))]);
    commit("damaged", &[("recipe.summary", "size = 1\n")]);

    let history = history(&folder, 10).expect("reads");
    assert!(!history.is_shallow && !history.is_cut);
    let subjects: Vec<&str> =
        history.states.iter().filter_map(|state| Some(&state.commit.as_ref()?.subject[..])).collect();
    assert_eq!(subjects, ["damaged", "three", "two", "one"]);
    let [damaged, three, two, one] = &history.states[..] else { panic!("{history:?}") };
    assert!(one.changed.is_first && one.growth.is_none());
    assert_eq!(one.recorded.sizes().map(|sizes| sizes.size_bytes), Some(1000));
    assert_eq!(two.recorded, Recorded::Stale);
    assert_eq!(two.changed.keys, ["prune"]);
    assert_eq!((two.changed.evidence_added, two.changed.evidence_removed), (2, 1));
    assert_eq!(two.changed.files, ["files/run", "recipe.toml", "used.list"]);
    let growth = three.growth.as_ref().expect("both have sizes");
    assert_eq!(growth.size_bytes, (1000, 1500));
    let water = Share { name: "water".into(), name_before: None, size_bytes: (700, 600) };
    assert_eq!(growth.packages, [water]);
    assert!(matches!(&damaged.recorded, Recorded::Damaged(why) if why.contains("line 1")), "{damaged:?}");

    let last = super::history(&folder, 2).expect("reads");
    assert!(last.is_cut && last.states.len() == 2);
    assert!(!last.states[1].changed.is_first, "it is compared with what was before");
    assert_eq!(
        last.states[1].growth, three.growth,
        "the commit before it has no size, the one before that has"
    );
}

#[test]
fn a_package_with_another_version_in_its_name_is_one_change() {
    let Some(repository) = Repository::new() else { return };
    let lock = |package: &str, version: &str| {
        let resolved = Resolved {
            name: package.into(),
            version: version.into(),
            architecture: "all".into(),
            suite: "s".into(),
            path: "pool/water.deb".into(),
            size_bytes: 1,
            checksum: Digest::of(b"").into(),
            installed_size_kib: 1,
            essential: false,
            because: "requested".into(),
            by: None,
        };
        let resolution = Resolution { packages: vec![resolved], ..Resolution::default() };
        Lock::new("s", "amd64", 7, &Request::default(), Vec::new(), &resolution).to_text()
    };
    let commit = |package: &str, version: &str, size_bytes: u64| {
        let lock = lock(package, version);
        let files = [("recipe.toml", RECIPE), ("recipe.lock", &lock[..])];
        let summary = summary(&files, 10 * size_bytes, size_bytes).replace("water", package);
        let names = ["tea/recipe.toml", "tea/recipe.lock", "tea/recipe.summary"];
        repository.commit(package, &[(names[0], RECIPE), (names[1], &lock), (names[2], &summary)]);
    };
    commit("libwater1", "1.0", 70);
    commit("libwater2t64", "2.0", 60);
    let states = history(&repository.path().join("tea"), 1).expect("reads").states;
    let changes = states[0].changed.packages.packages.iter().map(ToString::to_string);
    assert_eq!(changes.collect::<Vec<_>>(), ["  libwater1 → libwater2t64 1.0 → 2.0"]);
    let growth = states[0].growth.as_ref().expect("both have sizes");
    let water =
        Share { name: "libwater2t64".into(), name_before: Some("libwater1".into()), size_bytes: (70, 60) };
    assert_eq!((growth.size_bytes, &growth.packages[..]), ((700, 600), &[water][..]));
}

#[test]
fn a_note_stands_in_for_a_size_that_was_not_committed() {
    let Some(repository) = Repository::new() else { return };
    let files = [("recipe.toml", RECIPE)];
    repository.commit("one", &[("tea/recipe.toml", RECIPE)]);
    let note = summary(&files, 1234, 7);
    repository.git(&["notes", "--ref", NOTES, "add", "--message", &note, "HEAD"]);
    let states = history(&repository.path().join("tea"), 10).expect("reads").states;
    assert_eq!(states[0].recorded.sizes().map(|sizes| sizes.size_bytes), Some(1234));

    // One that is no summary is told, beside a recipe.summary of another state as well.
    let damaged = |states: &[State]| matches!(&states[0].recorded, Recorded::Damaged(why) if why.starts_with("its note: "));
    repository.git(&["notes", "--ref", NOTES, "add", "--force", "--message", "nonsense", "HEAD"]);
    assert!(damaged(&history(&repository.path().join("tea"), 10).expect("reads").states));
    let stale = summary(&[("recipe.toml", "")], 1, 1);
    repository.commit("stale", &[("tea/recipe.summary", &stale)]);
    let stale = history(&repository.path().join("tea"), 10).expect("reads").states;
    assert!(matches!(stale[0].recorded, Recorded::Stale), "{stale:?}");
    repository.git(&["notes", "--ref", NOTES, "add", "--message", "nonsense", "HEAD"]);
    assert!(damaged(&history(&repository.path().join("tea"), 10).expect("reads").states));

    repository.git(&["rm", "-r", "--quiet", "tea"]);
    repository.commit("gone", &[]);
    let states = history(&repository.path().join("tea"), 10).expect("reads").states;
    assert!(states[0].changed.is_gone && states.len() == 3);
}
