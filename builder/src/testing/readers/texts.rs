//! Texts of recipe folders, of packages and of the host, and what is shown of all of these.

use std::path::Path;

use super::assert_inside;
use crate::{
    evidence::UsedList,
    formats::{app_id::AppId, apt_conf, copyright, prune_list},
    lock::Lock,
    papers::{self, ProofPaper},
    recipe, shown,
    tree::Tree,
};

/// A recipe, and what is written into one.
pub(super) fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let nowhere = Path::new("/nonexistent");
    let read = |text: String| recipe::read_text(nowhere, text);
    let Ok(before) = read(text.to_owned()) else {
        let names = ["a".to_owned()];
        let _ = (recipe::exclude(text, &names, &[]), recipe::without_reduction(text, &names, "x", &names));
        return;
    };
    let names = ["libfoo1".to_owned(), "libbar2".to_owned()];
    if let Some(text) = recipe::exclude(text, &names, &[]) {
        let _ = (read(text.clone()), before.requested());
        assert_eq!(recipe::exclude(&text, &names, &[]).as_deref(), Some(&text[..]), "added twice");
        assert!(toml::from_str::<toml::Table>(&text).is_ok(), "no recipe any more:\n{text}");
    }
    for changed in [
        recipe::without_reduction(text, &names, "a reason\nof two lines", &[]),
        recipe::with_reduction(text, "icu = { empty = true }"),
    ] {
        let changed = changed.map(|text| (toml::from_str::<toml::Table>(&text).is_ok(), text));
        assert!(changed.as_ref().is_none_or(|(is_one, _)| *is_one), "no recipe any more: {changed:?}");
    }
}

/// A recipe.lock.
pub(super) fn lock(bytes: &[u8]) {
    let Ok(lock) = Lock::parse(bytes) else { return };
    let text = lock.to_text();
    let again = Lock::parse(text.as_bytes()).expect("what was written can be read");
    assert_eq!(again, lock);
    assert_eq!(again.to_text(), text);
    for package in &lock.packages {
        assert_inside(package.name.as_bytes());
        let leaves = package.path.starts_with('/') || package.path.split('/').any(|part| part == "..");
        assert!(!leaves, "{}", package.path);
    }
}

/// A used.list.
pub(super) fn used(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(list) = UsedList::parse(text, Path::new("used.list")) else { return };
    for (path, _) in list.iter() {
        assert_inside(path.as_bytes());
    }
    let written = list.to_text();
    let again = UsedList::parse(&written, Path::new("used.list")).expect("what was written can be read");
    assert_eq!(again.to_text(), written);
    assert_eq!(again, list);
}

/// A prune.list.
pub(super) fn prune_list(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(list) = prune_list::parse_list(text) else { return };
    for path in list.paths.keys() {
        assert_inside(path.as_bytes());
    }
    for (path, listed) in list.paths.iter().take(20) {
        let chain = list.chain(path);
        assert!(!chain.is_empty() && chain.len() <= list.paths.len());
        let _ = listed.text();
    }
}

/// A copyright file: what comes of it is an expression of SPDX.
pub(super) fn copyright(bytes: &[u8]) {
    let Some(found) = copyright::licences(bytes) else { return };
    let parsed = spdx::Expression::parse(&found.expression);
    assert!(parsed.is_ok(), "no expression: {}", found.expression);
    for id in found.extracted.keys() {
        assert!(found.expression.contains(id.as_str()), "{id} is not in {}", found.expression);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)), "{id}");
    }
}

/// What a package says was done to prove it.
pub(super) fn papers(bytes: &[u8]) {
    let Ok(paper) = serde_json::from_slice::<ProofPaper>(bytes) else { return };
    let standing = papers::standing(&paper, &Tree::new(), &AppId([1; 32]));
    let _ = (standing.is_of_tree(), standing.text(), standing.word());
    let text = serde_json::to_vec(&paper).expect("has only names for keys");
    assert!(serde_json::from_slice::<ProofPaper>(&text).is_ok(), "what was written can be read");
}

/// A tree's text.
pub(super) fn tree(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(mut tree) = Tree::from_text(text) else { return };
    let again = Tree::from_text(&tree.to_text()).expect("what was written can be read");
    assert_eq!(again, tree);
    for (path, _) in tree.iter() {
        assert_inside(path.as_bytes());
        let _ = tree.resolve(path.as_bytes(), |_| {});
    }
    tree.add_parents(0);
    let _ = tree.size_bytes();
}

/// Lines that others wrote, as a terminal shows them.
pub(super) fn lines(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (one, many) = (shown::line(&text), shown::lines(&text));
    assert!(!one.contains('\n'), "{one:?}");
    for shown in [&one, &many] {
        assert!(!shown.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')), "{shown:?}");
    }
    assert_eq!(shown::line(&one), one);
    assert_eq!(shown::lines(&many), many);
    crate::evidence::readers::lines(&text);
    crate::prove::readers::lines(&text);
    crate::exercise::readers::lines(&text);
}

/// The host's settings of apt.
pub(super) fn apt_conf(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let settings = apt_conf::parse(&text);
    assert!(settings.len() <= text.len());
}
