//! Why a path or package is in an artifact, or why it was pruned.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    error::Hint,
    formats::prune_list::{Listed, PruneList},
    lock::Lock,
    papers,
    store::Store,
    tree::{Tree, TreePath},
};

/// How many paths of a package are shown if not all are.
const SHOWN: usize = 20;

/// A tree with the reasons for what is in it and what is not.
pub struct Reasons {
    /// Its contents.
    pub tree: Tree,
    /// Why.
    pub list: PruneList,
    /// The evidence that it was made from, if known.
    pub lock: Option<Lock>,
}

/// A subject that nothing is known of.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// A path that breaks a rule.
    #[error("cannot look up `{subject}`: {rule}")]
    Path {
        /// As it was given.
        subject: String,
        /// The rule.
        rule: &'static str,
    },
    /// A path that is neither in the tree nor was pruned.
    #[error("/{0} was never in the root")]
    Never(TreePath),
}

impl Hint for WhyError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            WhyError::Path { .. } => None,
            WhyError::Never(_) => Some("a package is named without a slash, a path with one".into()),
        }
    }
}

/// The reason for a path, or those for the paths of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Of a path.
    Path(PathReason),
    /// Of a package.
    Package(PackageReasons),
}

/// Why a path was kept or pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathReason {
    path: TreePath,
    package: Option<String>,
    kept: bool,
    /// The rule that decided and its reason, then those of the path that this one was kept for, and so on.
    chain: Vec<ReasonStep>,
    /// The part that is left of a reduced file; nothing for a path that pruning did not decide about.
    reduced: Option<Option<String>>,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReasonStep {
    path: TreePath,
    rule: String,
    reason: String,
}

/// The kept files of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageReasons {
    name: String,
    version: Option<String>,
    /// Why it is in the stage root.
    because: Option<String>,
    /// A line for each path that is kept.
    kept: Vec<String>,
    pruned_paths: usize,
}

impl Reasons {
    /// Reads the reasons in an artifact's papers; `None` if it has none.
    pub fn read(tree: Tree, store: &Store) -> Option<Self> {
        let list = papers::prune_list(&tree, store)?;
        let lock = papers::lock(&tree, store);
        Some(Reasons { tree, list, lock })
    }

    /// Returns the reasons for a package that is in or was, or for a path.
    ///
    /// # Errors
    /// A path that never was in the root.
    pub fn about(&self, subject: &str) -> Result<Why, WhyError> {
        match self.packages().any(|package| package == subject) {
            true => Ok(Why::Package(self.about_package(subject))),
            false => Ok(Why::Path(self.about_path(subject)?)),
        }
    }

    /// Returns the packages that the list or the lock knows.
    fn packages(&self) -> impl Iterator<Item = &str> {
        let listed = self.list.paths.values().filter_map(|listed| listed.package.as_deref());
        let locked = self.lock.iter().flat_map(|lock| lock.packages.iter().map(|package| &package.name[..]));
        locked.chain(listed)
    }

    fn about_path(&self, subject: &str) -> Result<PathReason, WhyError> {
        let path = TreePath::new(subject.as_bytes())
            .map_err(|fault| WhyError::Path { subject: subject.to_owned(), rule: fault.reason })?;
        let end = self.tree.resolve(path.as_bytes(), |_| {}).unwrap_or_else(|| path.clone());
        let reduced = self.list.reduced.get(&end).cloned();
        // A link is a path of its own; a path below a link to a directory is not.
        let path = if self.list.find(&path).is_some() { path } else { end };
        let chain = self.list.chain(&path);
        let is_there = self.tree.get(path.as_bytes()).is_some();
        let Some((_, first)) = chain.first() else {
            return match is_there {
                true => Ok(PathReason::by_itself(path, "tinyroot", "written by tinyroot itself")),
                false => Err(WhyError::Never(path)),
            };
        };
        if !first.kept && is_there {
            return Ok(PathReason::by_itself(path, "papers", "one of the artifact's papers"));
        }
        let step = |(path, listed): &(&TreePath, &Listed)| ReasonStep {
            path: (*path).clone(),
            rule: listed.rule.to_string(),
            reason: listed.text(),
        };
        let package = first.package.as_deref().map(str::to_owned);
        let chain_of = chain.iter().map(step).collect();
        Ok(PathReason { package, kept: first.kept, chain: chain_of, reduced: Some(reduced), path })
    }

    fn about_package(&self, name: &str) -> PackageReasons {
        let paths = |kept: bool| {
            let own = self.list.paths.iter().filter(|(_, listed)| listed.package.as_deref() == Some(name));
            own.filter(move |(_, listed)| listed.kept == kept)
        };
        let line =
            |(path, listed): (&TreePath, &Listed)| format!("/{path}  {}: {}", listed.rule, listed.text());
        let locked = self.lock.as_ref().and_then(|lock| lock.get(name));
        PackageReasons {
            name: name.to_owned(),
            version: locked.map(|package| package.version.clone()),
            because: locked.map(|package| package.because.clone()),
            kept: paths(true).map(line).collect(),
            pruned_paths: paths(false).count(),
        }
    }
}

impl Why {
    /// Returns the reasons for reading: of a package's paths all, or the first.
    pub fn text(&self, all: bool) -> String {
        match self {
            Why::Path(reason) => reason.text(),
            Why::Package(reasons) => reasons.text(all),
        }
    }

    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        match self {
            Why::Path(reason) => reason.json(),
            Why::Package(reasons) => reasons.json(),
        }
    }
}

impl PathReason {
    /// Returns the reason of what is in without a decision of pruning.
    fn by_itself(path: TreePath, rule: &str, reason: &str) -> Self {
        let step = ReasonStep { path: path.clone(), rule: rule.to_owned(), reason: reason.to_owned() };
        PathReason { path, package: None, kept: true, chain: vec![step], reduced: None }
    }

    fn text(&self) -> String {
        let PathReason { path, package, kept, chain, reduced } = self;
        let of = package.as_ref().map_or(String::new(), |package| format!(" of {package}"));
        let mut out = format!("/{path}{of} {}\n", if *kept { "is kept" } else { "was pruned" });
        for ReasonStep { rule, reason, .. } in chain {
            out += &format!("  {rule}: {reason}\n");
        }
        if let Some(Some(left)) = reduced {
            out += &format!("  reduced: {left}\n");
        }
        if !kept {
            out += &format!("to keep it: [prune] keep = [\"/{path}\"]\n");
        }
        out
    }

    fn json(&self) -> Value {
        let step = |step: &ReasonStep| json!({ "path": format!("/{}", step.path), "rule": step.rule, "reason": step.reason });
        let mut document = json!({
            "path": format!("/{}", self.path), "package": self.package, "kept": self.kept,
            "chain": self.chain.iter().map(step).collect::<Vec<_>>(),
        });
        if let Some(reduced) = &self.reduced {
            document["reduced"] = json!(reduced);
        }
        document
    }
}

impl PackageReasons {
    fn text(&self, all: bool) -> String {
        let PackageReasons { name, version, because, kept, pruned_paths } = self;
        let version = version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        let mut out = format!("{name}{version}: {} paths kept, {pruned_paths} pruned\n", kept.len());
        if let Some(because) = because {
            out += &format!("in the stage root: {because}\n");
        }
        let shown = if all { kept.len() } else { SHOWN.min(kept.len()) };
        for line in &kept[..shown] {
            out += &format!("  {line}\n");
        }
        if shown < kept.len() {
            out += &format!("  and {} more (--verbose shows all)\n", kept.len() - shown);
        }
        out
    }

    fn json(&self) -> Value {
        json!({
            "package": self.name, "version": self.version, "because": self.because,
            "kept_paths": self.kept.len(), "pruned_paths": self.pruned_paths, "kept": self.kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, formats::prune_list::parse_list, tree::Entry};

    fn inside() -> Reasons {
        let list = "tinyroot prune.list 1\n\
            reduced /usr/lib/libxml2.so.2 half of it\n\
            /usr/lib/dom.so php-xml traced opened by php at get:/\n\
            /usr/lib/libxml2.so.2 libxml2 loader libxml2.so.2 NEEDED by <- /usr/lib/dom.so\n\
            dropped - surplus documentation\n/usr/share doc/\n\
            dropped perl-base unused nothing asked for it\n/usr/bin perl\n";
        let mut tree = Tree::new();
        for path in ["usr/lib/dom.so", "usr/share/doc/php-xml/copyright", "tinyroot/init"] {
            let path = TreePath::new(path.as_bytes()).expect("a good path");
            tree.insert(path, Entry::file(Digest::of(b""), 0, 0o644, 0));
        }
        tree.insert(TreePath::new(b"lib").expect("a good path"), Entry::symlink("usr/lib", 0));
        tree.add_parents(0);
        Reasons { tree, list: parse_list(list).expect("reads"), lock: None }
    }

    #[test]
    fn tells_the_rule_the_evidence_and_the_chain() {
        let rows = [
            (
                "/usr/lib/libxml2.so.2",
                "/usr/lib/libxml2.so.2 of libxml2 is kept\n  \
                 loader: libxml2.so.2 NEEDED by /usr/lib/dom.so\n  traced: opened by php at get:/\n  \
                 reduced: half of it\n",
            ),
            ("/lib/dom.so", "/usr/lib/dom.so of php-xml is kept\n  traced: opened by php at get:/\n"),
            (
                "/usr/bin/perl",
                "/usr/bin/perl of perl-base was pruned\n  unused: nothing asked for it\n\
                 to keep it: [prune] keep = [\"/usr/bin/perl\"]\n",
            ),
            (
                "/usr/share/doc/php-xml/copyright",
                "/usr/share/doc/php-xml/copyright is kept\n  papers: one of the artifact's papers\n",
            ),
            ("/tinyroot/init", "/tinyroot/init is kept\n  tinyroot: written by tinyroot itself\n"),
        ];
        for (subject, expected) in rows {
            let why = inside().about(subject).map(|why| why.text(false));
            assert_eq!(why.map_err(|error| error.to_string()), Ok(expected.to_owned()), "{subject}");
        }
        let never = inside().about("/usr/bin/never").expect_err("was never there");
        assert_eq!(never.to_string(), "/usr/bin/never was never in the root");
    }

    #[test]
    fn counts_a_packages_paths() {
        assert_eq!(inside().packages().count(), 3);
        assert_eq!(inside().about_package("perl-base").text(false), "perl-base: 0 paths kept, 1 pruned\n");
        assert_eq!(
            inside().about_package("libxml2").text(false),
            "libxml2: 1 paths kept, 0 pruned\n  \
             /usr/lib/libxml2.so.2  loader: libxml2.so.2 NEEDED by /usr/lib/dom.so\n"
        );
    }
}
