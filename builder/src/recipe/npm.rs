//! The keys of `[[npm]]`: packages of an npm registry, pinned by npm's own lock.

use std::{collections::BTreeSet, ops::Range};

use serde::Deserialize;
use toml::Spanned;

use super::{RecipeError, check::Checker};
use crate::{
    formats::package_lock::{self, LockedNpm},
    tree::TreePath,
};

/// The prefix of an npm package's name where it is named beside Debian's.
pub const PREFIX: &str = "npm:";

/// `[[npm]]`: Packages of an npm registry, pinned by npm's own lock.
///
/// ```toml
/// [[npm]]
/// lock = "files/package-lock.json"
/// to = "/opt/etherpad/src"
/// top = "ep_etherpad-lite"
/// ```
///
/// npm is not needed, and no script of a package is run. `app.packages` and `keep_package` name packages as
/// `npm:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Npm {
    /// A `package-lock.json` (version 2 or 3), by its path in the recipe folder; always below `files/`.
    pub lock: String,
    /// The directory in the root that gets `node_modules`.
    pub to: TreePath,
    /// The registry's base URL, without a slash at its end. Default: `--npm-registry`,
    /// `TINYROOT_NPM_REGISTRY`, or the one that npm is configured with.
    pub registry: Option<String>,
    /// `top`: The package whose files lie at `to` itself, with its dependencies in `node_modules` there.
    /// Default: none.
    ///
    /// `optional`: Whether packages that only an optional dependency needs are installed, too. Packages that
    /// only development needs never are. Default: `false`.
    pub packages: Vec<NpmPackage>,
}

/// A package and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpmPackage {
    /// Its directory in the root: below `to` as in the lock; that of `top` is `to` itself.
    pub path: TreePath,
    /// Its entry in the lock.
    pub locked: LockedNpm,
}

impl NpmPackage {
    /// Returns its name beside Debian's packages: `npm:NAME`.
    pub fn owner(&self) -> String {
        format!("{PREFIX}{}", self.locked.name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NpmKeys {
    lock: Spanned<String>,
    to: Spanned<String>,
    top: Option<Spanned<String>>,
    registry: Option<Spanned<String>>,
    #[serde(default)]
    optional: bool,
}

/// Where a grain has mounts or data of its own, or nothing at all.
const RESERVED: [&str; 12] =
    ["boot", "dev", "home", "media", "mnt", "proc", "root", "run", "sys", "tinyroot", "tmp", "var"];

/// Checks the sets of a recipe, and reads their locks.
pub(super) fn sets(check: &Checker, list: Vec<NpmKeys>) -> Result<Vec<Npm>, RecipeError> {
    let mut taken = BTreeSet::new();
    let mut out = Vec::new();
    for keys in list {
        let span = keys.lock.span();
        let set = set(check, keys)?;
        for package in &set.packages {
            if !taken.insert(package.path.clone()) {
                let rule = format!("npm.lock `{}`: two packages would lie at /{}", set.lock, package.path);
                return Err(check.rule(span, rule));
            }
        }
        out.push(set);
    }
    Ok(out)
}

fn set(check: &Checker, keys: NpmKeys) -> Result<Npm, RecipeError> {
    let (span, lock) = (keys.lock.span(), keys.lock.into_inner());
    let to = check.root_path(&keys.to, "npm.to")?;
    if let Some(top) = RESERVED.iter().find(|top| to.is_at_or_below(top.as_bytes())) {
        let rule =
            format!("npm.to `/{to}`: packages lie in the read-only root, and /{top} is not part of it");
        return Err(check.rule(keys.to.span(), rule));
    }
    if !lock.starts_with("files/") {
        let rule = format!("npm.lock `{lock}` must lie below files/, which is part of what is built");
        return Err(check.rule(span, rule));
    }
    let bytes = check.source(span.clone(), "npm.lock", &lock)?;
    let locked = package_lock::parse(&bytes, keys.optional)
        .map_err(|fault| check.rule(span.clone(), format!("npm.lock `{lock}`: {fault}")))?;
    let top = keys.top.as_ref().map(|top| format!("node_modules/{}", top.get_ref()));
    if let (Some(keys), Some(directory)) = (&keys.top, &top)
        && !locked.iter().any(|package| package.directory == *directory)
    {
        return Err(check.rule(keys.span(), format!("npm.top `{}` is not in the lock", keys.get_ref())));
    }
    let registry = keys.registry.map(|registry| {
        let good =
            ["https://", "http://", "file:"].iter().any(|scheme| registry.get_ref().starts_with(scheme));
        match good {
            true => Ok(registry.get_ref().trim_end_matches('/').to_owned()),
            false => Err(check.rule(registry.span(), "npm.registry must be a URL")),
        }
    });
    let mut packages = Vec::new();
    for locked in locked {
        let place = place(&to, &locked.directory, top.as_deref());
        let path = TreePath::new(&place)
            .map_err(|fault| check.rule(span.clone(), format!("npm.lock `{lock}`: {fault}")))?;
        packages.push(NpmPackage { path, locked });
    }
    packages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Npm { lock, to, registry: registry.transpose()?, packages })
}

impl Checker<'_> {
    /// A Debian package, or one of `[[npm]]` by `npm:NAME`.
    pub(super) fn any_package(
        &self,
        span: Range<usize>,
        name: &str,
        key: &str,
        npm: &[Npm],
    ) -> Result<String, RecipeError> {
        let Some(own) = name.strip_prefix(PREFIX) else { return self.package_name(span, name, key) };
        match npm.iter().flat_map(|set| &set.packages).any(|package| package.locked.name == own) {
            true => Ok(name.to_owned()),
            false => Err(self.rule(span, format!("{key} `{name}` is in no lock of [[npm]]"))),
        }
    }
}

/// Returns where a directory of the lock lies in the root.
fn place(to: &TreePath, directory: &str, top: Option<&str>) -> Vec<u8> {
    let rest = top.and_then(|top| directory.strip_prefix(top));
    let below = match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => rest.trim_start_matches('/'),
        None => directory,
    };
    [to.as_bytes(), b"/", below.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recipe::{self, Recipe, Version};

    const SHA256: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    fn read(npm: &str, packages: &[&str]) -> Result<Recipe, RecipeError> {
        let directory = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[app]\nname = \"pad\"\npackages = [\"npm:pad\"]\n[debian]\nsuite = \"bookworm\"\npackages = [\"nodejs\"]\n\
             [[npm]]\nlock = \"files/package-lock.json\"\n{npm}"
        );
        fs::write(directory.path().join("recipe.toml"), text).expect("writes");
        fs::create_dir(directory.path().join("files")).expect("makes");
        let entry = |at: &&str| format!("\"{at}\": {{\"version\": \"1.2.3\", \"integrity\": \"{SHA256}\"}}");
        let packages: Vec<String> = packages.iter().map(entry).collect();
        let lock = format!("{{\"lockfileVersion\": 3, \"packages\": {{{}}}}}", packages.join(","));
        fs::write(directory.path().join("files/package-lock.json"), lock).expect("writes");
        recipe::read(directory.path())
    }

    const PACKAGES: &[&str] =
        &["node_modules/pad", "node_modules/pad/node_modules/a", "node_modules/pad-b", "node_modules/a-b"];

    #[test]
    fn packages_lie_below_their_directory_and_one_may_be_its_top() {
        let paths = |npm: &str| -> Vec<String> {
            let recipe = read(npm, PACKAGES).expect("is good");
            recipe.npm[0].packages.iter().map(|package| package.path.to_string()).collect()
        };
        assert_eq!(
            paths("to = \"/opt/pad\"\n"),
            [
                "opt/pad/node_modules/a-b",
                "opt/pad/node_modules/pad",
                "opt/pad/node_modules/pad-b",
                "opt/pad/node_modules/pad/node_modules/a"
            ]
        );
        assert_eq!(
            paths("to = \"/opt/pad\"\ntop = \"pad\"\n"),
            ["opt/pad", "opt/pad/node_modules/a", "opt/pad/node_modules/a-b", "opt/pad/node_modules/pad-b"]
        );
        let recipe =
            read("to = \"/opt/pad\"\nregistry = \"http://r.example/\"\n", PACKAGES).expect("is good");
        assert_eq!(recipe.npm[0].registry.as_deref(), Some("http://r.example"));
        assert_eq!(recipe.app.version, Version::Npm("pad".into()));
        assert_eq!(recipe.version_of_npm("pad"), Some("1.2.3"));
        assert_eq!(recipe.requested(), ["nodejs"]);
    }

    #[test]
    fn wrong_keys_are_refused_with_their_place() {
        let both = &["node_modules/pad", "node_modules/pad/node_modules/a", "node_modules/a"];
        for (npm, packages, expected) in [
            ("to = \"/var/pad\"\n", PACKAGES, "9:6: npm.to `/var/pad`: packages lie in the read-only root"),
            ("to = \"opt\"\n", PACKAGES, "9:6: npm.to `opt` must begin with /"),
            ("to = \"/opt/pad\"\ntop = \"x\"\n", PACKAGES, "10:7: npm.top `x` is not in the lock"),
            ("to = \"/opt/pad\"\nregistry = \"r\"\n", PACKAGES, "10:12: npm.registry must be a URL"),
            ("to = \"/opt/pad\"\ntop = \"pad\"\n", both, "two packages would lie at /opt/pad/node_modules/a"),
            (
                "to = \"/opt\"\n",
                &["a"],
                "8:8: npm.lock `files/package-lock.json`: a is not a place of a package",
            ),
            ("to = \"/opt\"\n", &["node_modules/b"], "3:12: app.packages `npm:pad` is in no lock of [[npm]]"),
            ("to = \"/opt\"\ndev = true\n", PACKAGES, "key `dev` is unknown"),
        ] {
            let error = read(npm, packages).expect_err("is refused").to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
