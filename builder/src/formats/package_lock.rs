//! npm's `package-lock.json`: which packages lie where in a tree of `node_modules`.
//!
//! Versions 2 and 3 are read, of them the object `packages` alone: its keys are directories,
//! `node_modules/NAME` or deeper, and its values have `version`, `integrity` and marks. Left out, as `npm ci`
//! leaves them out, are the root itself, packages in another package's tarball (`inBundle`), packages without
//! a user (`extraneous`), packages that only development needs and, unless `optional` is set, packages that
//! only an optional dependency needs. All others must come from a registry and have a digest: links,
//! workspaces, git repositories and archives elsewhere are refused.

use serde_json::{Map, Value};

use super::checksum::{Checksum, InvalidIntegrity};

/// A lock has some hundred packages, seldom some thousand.
const PACKAGES_MAX: usize = 100_000;

/// A package, as the lock pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedNpm {
    /// Where it lies: `node_modules/NAME` or deeper, never with anything but such parts.
    pub directory: String,
    /// Its name in the registry: `NAME` or `@SCOPE/NAME`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The checksum of its tarball.
    pub checksum: Checksum,
    /// The licence that it says it is under, if it does.
    pub licence: Option<String>,
}

/// A lock that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageLockError {
    /// It is not JSON.
    #[error("it is not JSON")]
    Json(#[from] serde_json::Error),
    /// Its version is another, or it has none.
    #[error("its lockfileVersion is not 2 or 3 (npm 7 and newer write these)")]
    Version,
    /// It lists nothing, or more than any app has.
    #[error("it has {0} packages")]
    Packages(&'static str),
    /// A package that is not from a registry, or not pinned.
    #[error("{directory} {reason}")]
    Package {
        /// Where it should lie.
        directory: String,
        /// The fault.
        reason: String,
    },
}

/// Reads a lock: its packages by directory, in the order of their bytes; with `optional`, also those that
/// only optional dependencies want.
///
/// # Errors
/// [`PackageLockError`].
pub fn parse(bytes: &[u8], optional: bool) -> Result<Vec<LockedNpm>, PackageLockError> {
    let lock: Value = serde_json::from_slice(bytes)?;
    if !matches!(lock["lockfileVersion"].as_u64(), Some(2 | 3)) {
        return Err(PackageLockError::Version);
    }
    let packages = lock["packages"].as_object().ok_or(PackageLockError::Packages("no"))?;
    if packages.len() > PACKAGES_MAX {
        return Err(PackageLockError::Packages("too many"));
    }
    let mut out = Vec::new();
    for (directory, value) in packages.iter().filter(|(directory, _)| !directory.is_empty()) {
        let fault = |reason: String| PackageLockError::Package { directory: directory.clone(), reason };
        let value = value.as_object().ok_or_else(|| fault("is not an object".into()))?;
        if is_wanted(value, optional) {
            out.push(package(directory, value).map_err(fault)?);
        }
    }
    out.sort_by(|a, b| a.directory.cmp(&b.directory));
    Ok(out)
}

fn is_wanted(value: &Map<String, Value>, optional: bool) -> bool {
    let is = |mark: &str| value.get(mark).and_then(Value::as_bool).unwrap_or(false);
    let unneeded = is("dev") || (is("optional") || is("devOptional")) && !optional;
    !is("inBundle") && !is("extraneous") && !unneeded
}

fn package(directory: &str, value: &Map<String, Value>) -> Result<LockedNpm, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    if value.get("link").and_then(Value::as_bool).unwrap_or(false) {
        return Err("is a link to a directory, not a package of a registry".into());
    }
    let own = own_name(directory).ok_or("is not a place of a package (node_modules/NAME)")?;
    // An alias (`npm:NAME@VERSION`) lies under another name than its own.
    let name = text("name").unwrap_or(own);
    if !is_name(name) {
        return Err(format!("has the impossible name {name:?}"));
    }
    let version = text("version").filter(|version| is_version(version)).ok_or("has no version")?;
    if let Some(source) = text("resolved").filter(|source| !is_of_registry(source, name, version)) {
        return Err(format!("is from {source}, which is not a registry"));
    }
    let integrity = text("integrity").ok_or("has no integrity, so that nothing says which bytes it has")?;
    let checksum = Checksum::from_integrity(integrity)
        .map_err(|fault: InvalidIntegrity| format!("has an integrity that {fault}"))?;
    Ok(LockedNpm {
        directory: directory.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        checksum,
        licence: text("license").map(str::to_owned),
    })
}

/// Returns the name of the innermost package of a directory; `None` if it consists of anything but
/// `node_modules/NAME`, once or more often.
fn own_name(directory: &str) -> Option<&str> {
    let names: Vec<&str> = directory.strip_prefix("node_modules/")?.split("/node_modules/").collect();
    names.last().copied().filter(|_| names.iter().all(|name| is_name(name)))
}

/// Returns whether a name can be one of npm's: letters, digits, `-._~`, after a scope or without. Upper case
/// was allowed once.
pub fn is_name(name: &str) -> bool {
    let good = |part: &str| {
        let start = part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        start
            && part != "node_modules"
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| good(scope) && good(name)),
        None => good(name),
    }
}

/// Semantic versions: they become part of a URL.
fn is_version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
}

/// Returns the path of a package's tarball below a registry.
pub fn tarball_path(name: &str, version: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    format!("{name}/-/{last}-{version}.tgz")
}

/// Returns whether a URL is that of a package's tarball in some registry; which one does not matter, as its
/// digest says what it is.
fn is_of_registry(url: &str, name: &str, version: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    let path = tarball_path(name, version);
    web && url.replace("%2f", "/").replace("%2F", "/").ends_with(&format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    fn lock(packages: &str) -> String {
        format!("{{\"lockfileVersion\": 3, \"packages\": {{{packages}}}}}")
    }

    fn places(packages: &str, optional: bool) -> Vec<String> {
        let read = parse(lock(packages).as_bytes(), optional).expect("is good");
        read.iter().map(|p| format!("{} {} {}", p.directory, p.name, p.version)).collect()
    }

    #[test]
    fn takes_what_an_app_needs_to_run() {
        let packages = [
            ("", r#""version": "0.0.0""#.to_owned()),
            ("node_modules/b", format!(r#""version": "2.0.0", "integrity": "{SHA256}", "license": "MIT""#)),
            ("node_modules/@s/a", format!(r#""version": "1.0.0-rc.1", "integrity": "{SHA256}""#)),
            (
                "node_modules/b/node_modules/c",
                format!(
                    r#""version": "3.1.0", "integrity": "{SHA256}", "resolved": "https://r.example/c/-/c-3.1.0.tgz""#
                ),
            ),
            (
                "node_modules/alias",
                format!(
                    r#""name": "@s/real", "version": "1.0.0", "integrity": "{SHA256}",
                       "resolved": "https://r.example/@s%2freal/-/real-1.0.0.tgz""#
                ),
            ),
            ("node_modules/o", format!(r#""version": "1.0.0", "integrity": "{SHA256}", "optional": true"#)),
            ("node_modules/d", format!(r#""version": "1.0.0", "integrity": "{SHA256}", "dev": true"#)),
            (
                "node_modules/e",
                format!(r#""version": "1.0.0", "integrity": "{SHA256}", "devOptional": true"#),
            ),
            ("node_modules/b/node_modules/in", r#""version": "1.0.0", "inBundle": true"#.to_owned()),
            ("node_modules/x", r#""version": "1.0.0", "extraneous": true"#.to_owned()),
        ];
        let text = packages.map(|(directory, value)| format!("\"{directory}\": {{{value}}}")).join(",");
        let needed = [
            "node_modules/@s/a @s/a 1.0.0-rc.1",
            "node_modules/alias @s/real 1.0.0",
            "node_modules/b b 2.0.0",
            "node_modules/b/node_modules/c c 3.1.0",
        ];
        assert_eq!(places(&text, false), needed);
        let all = places(&text, true);
        assert_eq!(all.len(), needed.len() + 2);
        let read = parse(lock(&text).as_bytes(), false).expect("is good");
        assert_eq!(read[2].licence.as_deref(), Some("MIT"));
        assert_eq!(tarball_path("@s/real", "1.0.0"), "@s/real/-/real-1.0.0.tgz");
    }

    #[test]
    fn refuses_what_is_from_elsewhere_or_not_pinned() {
        let good = format!(r#""version": "1.0.0", "integrity": "{SHA256}""#);
        let from = |url: &str| format!(r#"{good}, "resolved": "{url}""#);
        let rows = [
            ("node_modules/a", r#""link": true, "resolved": "../a""#.to_owned(), "is a link to a directory"),
            ("packages/a", good.clone(), "is not a place of a package"),
            ("node_modules/../a", good.clone(), "is not a place of a package"),
            ("node_modules/a/node_modules/..", good.clone(), "is not a place of a package"),
            ("node_modules/a/lib", good.clone(), "is not a place of a package"),
            ("/node_modules/a", good.clone(), "is not a place of a package"),
            ("node_modules/a", format!(r#"{good}, "name": "../b""#), "has the impossible name \"../b\""),
            ("node_modules/a", format!(r#""version": "1/../2", "integrity": "{SHA256}""#), "has no version"),
            ("node_modules/a", r#""version": "1.0.0""#.to_owned(), "has no integrity"),
            (
                "node_modules/a",
                r#""version": "1.0.0", "integrity": "sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=""#.to_owned(),
                "has an integrity that has neither sha512 nor sha256 (sha1 proves nothing)",
            ),
            ("node_modules/a", from("git+ssh://git@h.example/a.git#1234"), "is from git+ssh://"),
            ("node_modules/a", from("file:a-1.0.0.tgz"), "is from file:a-1.0.0.tgz, which is not a registry"),
            ("node_modules/a", from("https://h.example/a/archive/1.0.0.tar.gz"), "is from https://"),
        ];
        for (directory, value, expected) in rows {
            let error = parse(lock(&format!("\"{directory}\": {{{value}}}")).as_bytes(), false);
            let text = error.expect_err("is refused").to_string();
            assert!(text.starts_with(&format!("{directory} {expected}")), "{text}");
        }
        for (text, expected) in [
            ("{", "it is not JSON"),
            (r#"{"lockfileVersion": 1, "packages": {}}"#, "its lockfileVersion is not 2 or 3"),
            (r#"{"lockfileVersion": 2}"#, "it has no packages"),
        ] {
            let error = parse(text.as_bytes(), false).expect_err("is refused").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
