//! Languages inside an app: `i18n/xx.json`, `locale/xx/`, `MessagesXx.php` and kin.
//!
//! A set of languages is recognised by its members: many names in one directory that are the same but for the
//! code of a language. One `is.js` says nothing; nor do flags, which are named for countries, and so are
//! never taken for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Surplus, Whole,
    codes::{Codes, Found},
    is_of_languages, parts,
};
use crate::{
    prune::rules::parent,
    tree::{Entry, TreePath},
};

const REASON: &str = "a translation not asked for";

/// So many languages make a set.
const LEAST_LANGUAGES: usize = 5;
/// And so many, one of them with a region, where no name near says what they are.
const LEAST_UNNAMED: usize = 8;

/// Paths that are never translations: `flags/de.png`.
const NO_TEXT: [&[u8]; 14] = [
    b".bmp", b".eot", b".gif", b".ico", b".jpeg", b".jpg", b".mp3", b".ogg", b".otf", b".png", b".svg",
    b".ttf", b".woff", b".woff2",
];

/// Files or directories of one directory whose names have the same before and after the code.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shape<'n> {
    is_directory: bool,
    before: &'n [u8],
    after: &'n [u8],
}

/// One of a directory's names, and whether it is a directory.
type Child<'a> = (&'a TreePath, bool);

/// Finds the translations that the recipe does not name, and that nothing used.
pub(super) fn find(whole: &Whole<'_, '_>, surplus: &mut Surplus) {
    if whole.facts.policy.locales.iter().any(|locale| locale == "*") {
        return;
    }
    let codes = Codes::new();
    let mut directories: HashMap<&[u8], Vec<Child<'_>>> = HashMap::new();
    for (path, Entry { kind, .. }) in &whole.paths {
        directories
            .entry(parent(path.as_bytes()).unwrap_or_default())
            .or_default()
            .push((path, kind.is_directory()));
    }
    for (directory, children) in directories {
        if children.len() < LEAST_LANGUAGES {
            continue;
        }
        for path in unwanted(directory, &children, &codes, &whole.facts.policy.locales) {
            if !whole.is_used(path) {
                surplus.add(path.as_bytes(), REASON);
            }
        }
    }
}

/// Returns the paths of a language that the recipe does not name, in the sets of one directory.
fn unwanted<'a>(
    directory: &[u8],
    children: &[Child<'a>],
    codes: &Codes,
    locales: &[String],
) -> BTreeSet<&'a TreePath> {
    let (mut wanted, mut unwanted) = (HashSet::new(), BTreeSet::new());
    for (path, found) in members(directory, children, codes) {
        if found.is_english() || asked_for(&found.locale, locales) {
            wanted.insert(path);
        } else {
            unwanted.insert(path);
        }
    }
    unwanted.retain(|path| !wanted.contains(path));
    unwanted
}

/// Returns the members of the sets of one directory, each with its language.
fn members<'a>(directory: &[u8], children: &[Child<'a>], codes: &Codes) -> Vec<(&'a TreePath, Found)> {
    let mut shapes: BTreeMap<Shape<'_>, Vec<(&TreePath, Found)>> = BTreeMap::new();
    for (path, is_directory) in children {
        let name = path.file_name();
        if !is_directory && NO_TEXT.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        for found in codes.in_name(name) {
            let (before, after) = (&name[..found.start], &name[found.end..]);
            shapes
                .entry(Shape { is_directory: *is_directory, before, after })
                .or_default()
                .push((path, found));
        }
    }
    let sets = shapes.into_iter().filter(|(shape, members)| is_set(directory, shape, members, children));
    sets.flat_map(|(_, members)| members).collect()
}

/// Returns the members of sets of translations among some paths, each with its locale in small letters (`pt_br`), and
/// catalogues of gettext and directories of these. A path comes with whether it is a directory; each counts once.
pub fn languages_of<'a>(paths: impl Iterator<Item = (&'a TreePath, bool)>) -> BTreeMap<TreePath, String> {
    let codes = Codes::new();
    let mut directories: BTreeMap<&[u8], BTreeMap<&TreePath, bool>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (path, is_directory) in paths {
        let children = directories.entry(parent(path.as_bytes()).unwrap_or_default()).or_default();
        *children.entry(path).or_default() |= is_directory;
        if path.file_name() == b"LC_MESSAGES"
            && let Some(above) = path.parent()
            && let [code] = &codes.in_name(above.file_name())[..]
        {
            found.insert(above, code.locale.clone());
        }
    }
    for (directory, children) in directories {
        let children: Vec<Child<'_>> = children.into_iter().collect();
        for (path, code) in members(directory, &children, &codes) {
            found.entry(path.clone()).or_insert(code.locale);
        }
    }
    found
}

fn is_set(
    directory: &[u8],
    shape: &Shape<'_>,
    members: &[(&TreePath, Found)],
    children: &[Child<'_>],
) -> bool {
    let languages: HashSet<&str> = members.iter().map(|(_, found)| &found.language[..]).collect();
    if languages.len() < LEAST_LANGUAGES {
        return false;
    }
    let alike = |(path, is_directory): &&Child<'_>| {
        let name = path.file_name();
        *is_directory == shape.is_directory
            && name.len() > shape.before.len() + shape.after.len()
            && name.starts_with(shape.before)
            && name.ends_with(shape.after)
    };
    let alike = children.iter().filter(alike).count();
    let near = parts(directory).rev().take(2).chain([shape.before]);
    if near.into_iter().any(is_of_languages) {
        return members.len() * 2 >= alike;
    }
    let has_region = members.iter().any(|(_, found)| found.has_region());
    has_region && languages.len() >= LEAST_UNNAMED && members.len() * 5 >= alike * 4
}

/// Returns true if one of the wanted locales is this one or is a dialect of it, as for `/usr/share/locale`.
fn asked_for(locale: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| {
        let wanted = wanted.to_ascii_lowercase().replace(['-', '@'], "_");
        let wanted = wanted.split('.').next().unwrap_or_default();
        wanted == locale || wanted.strip_prefix(locale).is_some_and(|rest| rest.starts_with('_'))
    })
}
