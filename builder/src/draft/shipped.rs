//! What packages ship, as texts, with places that comments can name.

use std::{collections::BTreeMap, fmt, io::Read as _};

use flate2::read::GzDecoder;

use crate::{
    digest::Digest,
    shown,
    store::Store,
    tree::{Kind, Tree},
    unpack::UnpackedPackage,
};

/// The longest text that is looked into.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The files of an app's packages. Texts are read when they are first needed, and kept out of the store's pages
/// otherwise.
#[derive(Default)]
pub struct Shipped {
    packages: Vec<Package>,
}

struct Package {
    name: String,
    /// Depends and Pre-Depends, as names.
    depends: Vec<String>,
    /// Recommends, as names.
    recommends: Vec<String>,
    tree: Tree,
    texts: BTreeMap<String, String>,
    /// Control files.
    control: BTreeMap<String, String>,
}

/// A line of a file of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The package.
    pub package: String,
    /// The path in the root, or the name of a control file.
    pub path: String,
    /// From 1; 0 for the whole file.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name with a line break would end the comment that it stands in.
        write!(f, "{}: {}", self.package, shown::line(&self.path))?;
        if self.line > 0 { write!(f, ":{}", self.line) } else { Ok(()) }
    }
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its package.
    pub package: &'a str,
    /// Its path, from the root (`/etc/…`).
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Found<'_> {
    /// Returns the place of one of its lines.
    pub fn at(&self, line: usize) -> Place {
        Place { package: self.package.to_owned(), path: self.path.to_owned(), line }
    }
}

impl Shipped {
    /// Reads the texts that a draft looks into, out of unpacked packages.
    pub fn of<'a>(packages: impl IntoIterator<Item = &'a UnpackedPackage>, store: &Store) -> Self {
        let mut out = Shipped::default();
        for package in packages {
            let bytes = |digest: &Digest| store.read(digest).ok();
            let read = |digest: &Digest| bytes(digest).and_then(|bytes| String::from_utf8(bytes).ok());
            // Longer texts for people are compressed (Debian policy 12.3).
            let inflated = |digest: &Digest| {
                let mut text = String::new();
                let bytes = bytes(digest)?;
                GzDecoder::new(&bytes[..]).take(MAX_TEXT_BYTES).read_to_string(&mut text).ok().map(|_| text)
            };
            let mut texts = BTreeMap::new();
            for (path, entry) in package.tree.iter() {
                let Ok(shown) = std::str::from_utf8(path.as_bytes()) else { continue };
                let text = entry
                    .kind
                    .content()
                    .filter(|(_, size_bytes)| *size_bytes <= MAX_TEXT_BYTES && is_read(shown));
                let read =
                    |digest: &Digest| if shown.ends_with(".gz") { inflated(digest) } else { read(digest) };
                if let Some(text) = text.and_then(|(digest, _)| read(&digest)) {
                    texts.insert(format!("/{shown}"), text);
                }
            }
            let control = package.control_files.iter().filter(|(name, _)| CONTROL.contains(&name.as_str()));
            let control = control.filter_map(|(name, digest)| Some((name.clone(), read(digest)?))).collect();
            let list = |fields: &[&str]| -> Vec<String> {
                fields.iter().filter_map(|field| package.control.get(field)).flat_map(names).collect()
            };
            let (depends, recommends) = (list(&["Depends", "Pre-Depends"]), list(&["Recommends"]));
            let name = package.locked.name.clone();
            let tree = package.tree.clone();
            out.packages.push(Package { name, depends, recommends, tree, texts, control });
        }
        out
    }

    /// Returns the files whose paths satisfy a condition and whose texts are known, by package and path.
    pub fn texts<'a>(&'a self, is_wanted: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = Found<'a>> {
        self.packages
            .iter()
            .flat_map(move |package| {
                let found =
                    |(path, text): (&'a String, &'a String)| Found { package: &package.name, path, text };
                package.texts.iter().map(found).collect::<Vec<_>>()
            })
            .filter(move |found| is_wanted(found.path))
    }

    /// Returns a file's text.
    pub fn text(&self, path: &str) -> Option<Found<'_>> {
        self.packages.iter().find_map(|package| {
            let (path, text) = package.texts.get_key_value(path)?;
            Some(Found { package: &package.name, path, text })
        })
    }

    /// Returns the control files of a name.
    pub fn control<'a>(&'a self, name: &'static str) -> impl Iterator<Item = Found<'a>> {
        self.packages.iter().filter_map(move |package| {
            let text = package.control.get(name)?;
            Some(Found { package: &package.name, path: name, text })
        })
    }

    /// Returns whether a path is there: a file, a link or a directory.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/').as_bytes();
        self.packages
            .iter()
            .any(|package| package.tree.get(path).is_some() || package.tree.subtree(path).next().is_some())
    }

    /// Returns where a path leads by the links that the packages ship, the path itself where it is none.
    pub fn target(&self, path: &str) -> String {
        let mut at = path.to_owned();
        for _ in 0..8 {
            let name = at.trim_start_matches('/').as_bytes().to_vec();
            let Some(target) =
                self.packages.iter().find_map(|package| match &package.tree.get(&name)?.kind {
                    Kind::Symlink { target } => String::from_utf8(target.clone()).ok(),
                    _ => None,
                })
            else {
                break;
            };
            at = match target.starts_with('/') {
                true => target,
                false => join(&at, &target),
            };
        }
        at
    }

    /// Returns the paths of all files and links (not directories) with their packages, in order.
    pub fn paths(&self) -> impl Iterator<Item = (&str, String)> {
        self.packages.iter().flat_map(|package| {
            let files = package.tree.iter().filter(|(_, entry)| entry.kind.counts_as_file());
            files.filter_map(|(path, _)| {
                Some((package.name.as_str(), format!("/{}", std::str::from_utf8(path.as_bytes()).ok()?)))
            })
        })
    }

    /// Returns the directories below /var that packages ship.
    pub fn var_directories(&self) -> Vec<String> {
        let all = self.packages.iter().flat_map(|package| package.tree.iter());
        let directories = all.filter(|(_, entry)| entry.kind.is_directory());
        let mut out: Vec<String> =
            directories.filter_map(|(path, _)| String::from_utf8(path.as_bytes().to_vec()).ok()).collect();
        out.retain(|path| path.starts_with("var/"));
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Returns whether one of the packages depends on a package whose name satisfies a condition, and which.
    pub fn needs(&self, is_it: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
        self.related(|package| package.depends.iter().find(|name| is_it(name)))
    }

    /// Returns whether one of the packages depends on or recommends a package whose name satisfies a condition, and
    /// which.
    pub fn wants(&self, is_it: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
        self.related(|package| package.depends.iter().chain(&package.recommends).find(|name| is_it(name)))
    }

    fn related<'a>(&'a self, find: impl Fn(&'a Package) -> Option<&'a String>) -> Option<(&'a str, &'a str)> {
        self.packages.iter().find_map(|package| Some((package.name.as_str(), find(package)?.as_str())))
    }

    /// Returns the names of the packages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().map(|package| package.name.as_str())
    }
}

/// The control files that say how an app is set up.
const CONTROL: [&str; 4] = ["config", "conffiles", "postinst", "templates"];

/// Returns the names of a relation field, without versions.
fn names(field: &str) -> Vec<String> {
    let bare = |word: &str| word.split(['(', '[', '<', ':']).next().unwrap_or_default().trim().to_owned();
    field.split([',', '|']).map(bare).filter(|name| !name.is_empty()).collect()
}

/// Returns whether a file can say something of how an app is started or served.
fn is_read(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    path.starts_with("etc/")
        || path.starts_with("lib/systemd/")
        || path.starts_with("usr/lib/systemd/")
        || path.starts_with("usr/lib/tmpfiles.d/")
        || path.starts_with("usr/share/dbconfig-common/")
        || path.starts_with("usr/share/applications/")
        || path.starts_with("usr/share/doc/")
            && (path.contains("/examples/") || name.starts_with("README.Debian"))
        || ["service", "wsgi", "psgi", "ru", "ini"].contains(&ending)
        || [".htaccess", "wsgi.py"].contains(&name)
        || ending == "conf"
            && (name.contains("apache") || name.contains("nginx") || name.contains("lighttpd"))
        || path.starts_with("usr/lib/cgi-bin/")
}

/// Reads stanzas of fields, such as debconf's templates, which have no `Package`. Texts are those of the first line.
pub fn stanzas(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut out = vec![BTreeMap::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            out.push(BTreeMap::new());
        } else if let (Some((name, value)), false) =
            (line.split_once(':'), line.starts_with([' ', '\t', '#']))
        {
            out.last_mut().map(|stanza| stanza.insert(name.to_owned(), value.trim().to_owned()));
        }
    }
    out.retain(|stanza| !stanza.is_empty());
    out
}

/// Returns where a relative link leads.
fn join(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
impl Shipped {
    /// Makes what one package ships out of texts, for tests. A text `-> x` is a link, one that ends with `/` in its
    /// path a directory; a path without a slash is a control file.
    pub fn made(name: &str, depends: &[&str], files: &[(&str, &str)]) -> Self {
        use crate::tree::{Entry, TreePath};
        let mut tree = Tree::new();
        let (mut texts, mut control) = (BTreeMap::new(), BTreeMap::new());
        for (path, text) in files {
            let Some(inside) = path.strip_prefix('/') else {
                control.insert((*path).to_owned(), (*text).to_owned());
                continue;
            };
            let entry = match (text.strip_prefix("-> "), inside.ends_with('/')) {
                (Some(target), _) => Entry::symlink(target, 0),
                (_, true) => Entry::directory(0),
                _ => Entry::file(Digest::of(text.as_bytes()), text.len() as u64, 0o644, 0),
            };
            let inside = inside.trim_end_matches('/');
            if entry.kind.content().is_some() && is_read(inside) {
                texts.insert(format!("/{inside}"), (*text).to_owned());
            }
            tree.insert(TreePath::new(inside.as_bytes()).expect("a path"), entry);
        }
        let depends = depends.iter().map(|name| (*name).to_owned()).collect();
        let name = name.to_owned();
        Shipped { packages: vec![Package { name, depends, recommends: Vec::new(), tree, texts, control }] }
    }
}
