//! How much of an app its exercise reached, and so what a proof does not say.
//!
//! Comes in: the image of an app, whose files are its own ([`OwnFiles::of`]), and what a run of the app used
//! ([`Survey`]). Goes out: a [`Coverage`] by language, directory, service and locale, with the largest parts
//! that were not reached, each with a step that would reach something of it where a page's link is known to.
//! Nothing here runs the app or decides what is kept.
//!
//! The app's own are the files that its package has of `[app] packages`, and those that the recipe lays down.
//! Documentation is left out, and so are the papers. Byte code of Python counts for its source. A file is
//! reached if its contents were: it was opened or executed. Of compiled code and of Java's archives the parts
//! count that were read, by pages of 4 KiB.

mod language;
mod own;
mod parts;

pub use language::Language;
pub use own::OwnFiles;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    digest::Digest,
    evidence::PAGE_BYTES,
    prove::{Form, ServiceUse, Survey, Web},
    recipe::Recipe,
    tree::TreePath,
};
use own::Own;

/// The longest list of links that nothing requests.
const MOST_LINKS: usize = 200;

/// How much of an app was reached. All lists are sorted as each says, and the same for the same run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The name of the app.
    pub app: String,
    /// The digest of the tree ([`digest_of`](crate::papers::digest_of)).
    pub tree: Digest,
    /// All of the app's own files.
    pub total: Share,
    /// By language, as [`Language`] lists them.
    pub languages: Vec<LanguageShare>,
    /// By directory, by path; only the upper ones.
    pub directories: Vec<DirectoryShare>,
    /// By service, in the recipe's order.
    pub services: Vec<ServiceShare>,
    /// By language of people, by code.
    pub locales: Vec<LocaleShare>,
    /// Links on the pages of the exercise and on those that were explored.
    pub links: Links,
    /// Forms on these pages, by path, method and fields.
    pub forms: Vec<Form>,
    /// Pages that were asked for beyond the exercise.
    pub explored: usize,
    /// Pages that were found, and not asked for.
    pub not_explored: usize,
    /// Files of which each grain has copies, and this host does not show who reads these: they count nowhere.
    pub unseen_files: usize,
    /// The largest parts that the exercise did not reach, code first.
    pub unreached: Vec<Part>,
}

/// What was reached of some files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// All of them.
    pub files: usize,
    /// Those that the exercise reached.
    pub reached_files: usize,
    /// Those that only explored pages reached.
    pub explored_files: usize,
    /// The bytes of all; of compiled code those of its text.
    pub bytes: u64,
    /// Those that the exercise reached.
    pub reached_bytes: u64,
    /// Those that only explored pages reached.
    pub explored_bytes: u64,
}

/// What was reached of a language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageShare {
    /// Which.
    pub language: Language,
    /// How much.
    #[serde(flatten)]
    pub share: Share,
}

/// What was reached below a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryShare {
    /// The directory, with a slash at its beginning.
    pub path: String,
    /// How much.
    #[serde(flatten)]
    pub share: Share,
}

/// What was reached of the translations into a language of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocaleShare {
    /// Its code, in small letters: `de`, `pt_br`.
    pub locale: String,
    /// How much.
    #[serde(flatten)]
    pub share: Share,
}

/// What a service did: the files, of any package, whose contents it was the first to use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceShare {
    /// Its name.
    pub service: String,
    /// When the app started.
    pub files_at_start: usize,
    /// In steps of the exercise.
    pub files_in_steps: usize,
}

/// The links of an app's pages. Those of one kind differ by names of files and values of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// Different ones.
    pub found: usize,
    /// Those that the exercise requests.
    pub requested: usize,
    /// Their kinds.
    pub kinds: usize,
    /// Kinds of which the exercise requests one.
    pub kinds_requested: usize,
    /// One of each other kind, sorted; at most 200.
    pub not_requested: Vec<String>,
}

/// A part of an app that the exercise did not reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// A file; a directory with all below it, with a slash at its end; or with `/*` at its end those of its own
    /// files that were not reached.
    pub path: String,
    /// The language of most of its bytes.
    pub language: Language,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// A step that would reach something of it.
    pub step: Option<PartStep>,
}

/// A step that would reach something of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartStep {
    /// Path and query, with names for values that the exercise captures.
    pub get: String,
    /// The status of the response.
    pub status: u16,
    /// The lines for the recipe.
    pub toml: String,
    /// The files of the part that it reaches first.
    pub files: usize,
}

impl Share {
    fn add(&mut self, own: &Own, reached: &Reached) {
        let Reached { by, reached_bytes, explored_bytes } = *reached;
        self.files += 1;
        self.bytes += own.bytes;
        self.reached_files += usize::from(by == By::Exercise);
        self.explored_files += usize::from(by == By::Explored);
        self.reached_bytes += reached_bytes;
        self.explored_bytes += explored_bytes;
    }
}

/// The files that count, by path.
type Files<'a> = BTreeMap<&'a TreePath, (&'a Own, Reached)>;

/// What reached a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Exercise,
    Explored,
    Nothing,
}

/// How far a file was reached.
#[derive(Clone, Copy, Debug)]
struct Reached {
    by: By,
    reached_bytes: u64,
    /// Only by explored pages.
    explored_bytes: u64,
}

impl Coverage {
    /// Sums up what a run reached of an app's own files. `tree` is the digest of the image.
    pub fn of(own: &OwnFiles, survey: &Survey, recipe: &Recipe, tree: Digest) -> Self {
        let files: Files<'_> = own
            .iter()
            .filter(|(path, _)| !survey.unseen.contains(*path))
            .map(|(path, own)| (path, (own, reached(path, own, survey))))
            .collect();
        let mut total = Share::default();
        let mut languages: BTreeMap<Language, Share> = BTreeMap::new();
        let mut locales: BTreeMap<&str, Share> = BTreeMap::new();
        for (own, reached) in files.values() {
            total.add(own, reached);
            languages.entry(own.language).or_default().add(own, reached);
            if let Some(locale) = &own.locale {
                locales.entry(locale).or_default().add(own, reached);
            }
        }
        let service = |name: &String| {
            let ServiceUse { at_start, in_steps } = survey.services.get(name).copied().unwrap_or_default();
            ServiceShare { service: name.clone(), files_at_start: at_start, files_in_steps: in_steps }
        };
        let Web { links, links_requested, kinds, kinds_requested, not_requested, forms } = &survey.web;
        let locale = |(locale, share): (&str, Share)| LocaleShare { locale: locale.to_owned(), share };
        Coverage {
            app: recipe.app.name.clone(),
            tree,
            total,
            languages: languages
                .into_iter()
                .map(|(language, share)| LanguageShare { language, share })
                .collect(),
            directories: parts::directories(&files),
            services: recipe.services.iter().map(|known| service(&known.name)).collect(),
            locales: locales.into_iter().map(locale).collect(),
            links: Links {
                found: *links,
                requested: *links_requested,
                kinds: *kinds,
                kinds_requested: *kinds_requested,
                not_requested: not_requested.iter().take(MOST_LINKS).cloned().collect(),
            },
            forms: forms.clone(),
            explored: survey.pages.len(),
            not_explored: survey.left,
            unseen_files: own.iter().count() - files.len(),
            unreached: parts::unreached(&files, survey),
        }
    }
}

/// Returns how far a file was reached, or its byte code was.
fn reached(path: &TreePath, own: &Own, survey: &Survey) -> Reached {
    let mut names = std::iter::once(path).chain(&own.byte_code);
    let by = if names.clone().any(|name| survey.reached.contains(name)) {
        By::Exercise
    } else if names.any(|name| survey.beyond.contains_key(name)) {
        By::Explored
    } else {
        By::Nothing
    };
    let whole = |is: By| if by == is { own.bytes } else { 0 };
    let (reached_bytes, explored_bytes) = match &own.pages {
        None => (whole(By::Exercise), whole(By::Explored)),
        Some(pages) => {
            let read = |read: &BTreeMap<TreePath, _>| own::bytes_read(pages, read.get(path));
            let (exercise, all) = (read(&survey.read), read(&survey.read_beyond));
            (exercise, all.saturating_sub(exercise))
        }
    };
    Reached { by, reached_bytes, explored_bytes }
}

/// The bytes of so many pages.
fn bytes_of_pages(count: usize) -> u64 {
    count as u64 * PAGE_BYTES
}

#[cfg(test)]
mod tests;
