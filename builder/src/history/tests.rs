use super::*;
use crate::{formats::recipe_summary::PackageSize, testing::Repository};

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
    assert_eq!(growth.packages, [("water".to_owned(), (700, 600))]);
    assert!(matches!(&damaged.recorded, Recorded::Damaged(why) if why.contains("line 1")), "{damaged:?}");

    let last = super::history(&folder, 2).expect("reads");
    assert!(last.is_cut && last.states.len() == 2);
    assert!(!last.states[1].changed.is_first, "it is compared with what was before");
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
