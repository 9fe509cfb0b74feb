//! The keys of `[debian]` that say where packages come from and which versions go first.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{RecipeError, check::Checker};
use crate::{
    formats::{pins::Pin, suite::is_exact},
    tree::TreePath,
};

/// `[[debian.archive]]`: An archive beside Debian's, with keys of its own.
///
/// ```toml
/// [[debian.archive]]
/// name = "example"
/// mirror = "http://packages.example.org/debian"
/// suite = "stable"
/// keys = "files/example.asc"
/// ```
///
/// Malformed parts of such an archive get a warning; only packages that cannot be used are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraArchive {
    /// Its name in the lock, before a slash and the suite.
    pub name: String,
    /// `mirror`: Base URLs, tried in turn: one or a list.
    pub mirrors: Vec<String>,
    /// The suite, as sources.list(5) has it: a name, which may have slashes (`bookworm/mongodb-org/7.0`), or
    /// the exact path of a directory below the mirror, which ends with a slash (`./`, `stable/`).
    pub suite: String,
    /// Components. Default: `["main"]`; an exact path has none.
    pub components: Vec<String>,
    /// The file with the only keys that vouch for it; they vouch for no other archive.
    pub keys: PathBuf,
}

/// `recommends`, which is all or some.
#[derive(Deserialize)]
#[serde(untagged, expecting = "debian.recommends is true, false or a list of packages")]
pub(super) enum RecommendsKeys {
    All(bool),
    Of(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PinKeys {
    package: Spanned<String>,
    suite: Option<String>,
    version: Option<String>,
    priority: Spanned<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchiveKeys {
    name: Spanned<String>,
    mirror: Spanned<OneOrMany>,
    suite: Spanned<String>,
    components: Option<Spanned<Vec<String>>>,
    keys: Spanned<String>,
}

/// A text, or a list of such.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a mirror is a text, or a list of texts")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn list(self) -> Vec<String> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// Returns whether all Recommends are followed, and those of which packages otherwise.
pub(super) fn recommends(
    check: &Checker<'_>,
    keys: Option<Spanned<RecommendsKeys>>,
) -> Result<(bool, Vec<String>), RecipeError> {
    let Some(keys) = keys else { return Ok((false, Vec::new())) };
    let span = keys.span();
    match keys.into_inner() {
        RecommendsKeys::All(all) => Ok((all, Vec::new())),
        RecommendsKeys::Of(names) => {
            let names = names.iter().map(|name| check.package_name(span.clone(), name, "debian.recommends"));
            Ok((false, names.collect::<Result<_, _>>()?))
        }
    }
}

/// Checks pins.
pub(super) fn pins(check: &Checker<'_>, keys: Vec<PinKeys>) -> Result<Vec<Pin>, RecipeError> {
    let pin = |keys: PinKeys| {
        let name = keys.package.get_ref();
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.*?".contains(&b);
        if name.is_empty() || !name.bytes().all(good) {
            let rule = format!("debian.pins: `{name}` is neither a package name nor a pattern of one");
            return Err(check.rule(keys.package.span(), rule));
        }
        if *keys.priority.get_ref() == 0 {
            let rule = "debian.pins: priority is 0, which apt leaves undefined (-1 is never, 500 is usual)";
            return Err(check.rule(keys.priority.span(), rule));
        }
        Ok(Pin {
            package: keys.package.into_inner(),
            suite: keys.suite,
            version: keys.version,
            priority: keys.priority.into_inner(),
        })
    };
    keys.into_iter().map(pin).collect()
}

/// Checks archives.
pub(super) fn archives(
    check: &Checker<'_>,
    keys: Vec<ArchiveKeys>,
) -> Result<Vec<ExtraArchive>, RecipeError> {
    let mut out: Vec<ExtraArchive> = Vec::new();
    for keys in keys {
        let name = check.package(&keys.name, "debian.archive.name")?;
        if out.iter().any(|other| other.name == name) {
            let rule = format!("debian.archive.name `{name}` is there twice");
            return Err(check.rule(keys.name.span(), rule));
        }
        let span = keys.mirror.span();
        let mirrors = keys.mirror.into_inner().list();
        if mirrors.is_empty() {
            return Err(check.rule(span, "debian.archive.mirror is empty (name a base URL)"));
        }
        let file = keys.keys.get_ref();
        check.source(keys.keys.span(), "debian.archive.keys", file)?;
        let inside = TreePath::new(file.as_bytes()).map_err(|fault| {
            check.rule(keys.keys.span(), format!("debian.archive.keys `{file}`: {fault}"))
        })?;
        out.push(ExtraArchive {
            name,
            mirrors,
            suite: check.suite(&keys.suite, "debian.archive.suite")?,
            components: components(check, keys.components, &keys.suite, "debian.archive.components")?,
            keys: check.layers.find(inside.as_path()),
        });
    }
    Ok(out)
}

/// Checks the components of a suite, of which an exact path has none.
pub(super) fn components(
    check: &Checker<'_>,
    components: Option<Spanned<Vec<String>>>,
    suite: &Spanned<String>,
    key: &str,
) -> Result<Vec<String>, RecipeError> {
    match (is_exact(suite.get_ref()), components) {
        (true, Some(components)) if !components.get_ref().is_empty() => {
            let rule = format!("{key}: `{}` is an exact path, which has none", suite.get_ref());
            Err(check.rule(components.span(), rule))
        }
        (true, _) => Ok(Vec::new()),
        (false, Some(components)) => Ok(components.into_inner()),
        (false, None) => Ok(vec!["main".into()]),
    }
}

/// Checks a time as snapshot services write it.
pub(super) fn snapshot(
    check: &Checker<'_>,
    time: Option<Spanned<String>>,
) -> Result<Option<String>, RecipeError> {
    let Some(time) = time else { return Ok(None) };
    if jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", time.get_ref()).is_ok() {
        return Ok(Some(time.into_inner()));
    }
    let rule = format!("debian.snapshot `{}` is not a time such as 20261101T000000Z", time.get_ref());
    Err(check.rule(time.span(), rule))
}
