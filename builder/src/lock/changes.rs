//! The differences of two locks, for a person to read.

use std::{cmp::Ordering, fmt};

use crate::{formats::version, lock::Lock};

/// One package that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its name before, where that had another version in it ([`Changes::pair`]).
    pub name_before: Option<String>,
    /// Its version before, if it was there.
    pub old: Option<String>,
    /// Its version now, if it is there.
    pub new: Option<String>,
    /// Whether the new version is from a security suite.
    pub security: bool,
}

/// All that differs between two locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Packages, sorted by name.
    pub packages: Vec<Change>,
    /// Whether no version differs, but the request, or where a .deb lies.
    pub other: bool,
}

impl Changes {
    /// Compares two locks. Another time or other indexes are not a
    /// difference where the same .debs came out of it: a lock is not rewritten for that.
    pub fn between(old: &Lock, new: &Lock) -> Self {
        let mut packages = Vec::new();
        for package in &old.packages {
            if new.get(&package.name).is_none() {
                let old = Some(package.version.clone());
                packages.push(Change {
                    name: package.name.clone(),
                    name_before: None,
                    old,
                    new: None,
                    security: false,
                });
            }
        }
        for package in &new.packages {
            let before = old.get(&package.name);
            if before.is_none_or(|before| before.version != package.version) {
                packages.push(Change {
                    name: package.name.clone(),
                    name_before: None,
                    old: before.map(|before| before.version.clone()),
                    new: Some(package.version.clone()),
                    security: package.suite.ends_with("-security"),
                });
            }
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let matches = old.matches(&new.suite, &new.architecture, &new.request);
        Changes { other: packages.is_empty() && !(matches && old.packages == new.packages), packages }
    }

    /// Makes one change of each pair of a removed and an added package, as they are named.
    pub fn pair(&mut self, renamed: &[(String, String)]) {
        for (before, after) in renamed {
            let gone = self.packages.iter().find(|change| change.name == *before && change.new.is_none());
            let Some(version) = gone.and_then(|change| change.old.clone()) else { continue };
            let mut new = self.packages.iter_mut();
            let Some(new) = new.find(|change| change.name == *after && change.old.is_none()) else {
                continue;
            };
            (new.name_before, new.old) = (Some(before.clone()), Some(version));
            self.packages.retain(|change| change.name != *before);
        }
    }

    /// Returns whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && !self.other
    }

    /// Returns the counts in words, such as `2 added, 1 upgraded`.
    pub fn summary(&self) -> String {
        let count = |kind: &str| self.packages.iter().filter(|change| change.kind() == kind).count();
        let kinds = ["added", "upgraded", "downgraded", "rebuilt", "removed"].map(|kind| (count(kind), kind));
        let words: Vec<String> =
            kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
        match (words.is_empty(), self.other) {
            (false, _) => words.join(", "),
            (true, true) => "the same packages".into(),
            (true, false) => "nothing changed".into(),
        }
    }
}

impl Change {
    /// Returns the kind of change, in one word.
    pub fn kind(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) => match version::compare(old, new) {
                Ordering::Less => "upgraded",
                Ordering::Greater => "downgraded",
                // Written differently, yet equal in order.
                Ordering::Equal => "rebuilt",
            },
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let security = if self.security { " (security)" } else { "" };
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(f, "+ {} {new}{security}", self.name),
            (Some(old), None) => write!(f, "- {} {old}", self.name),
            (Some(old), Some(new)) => {
                let before = self.name_before.iter().map(|name| format!("{name} → ")).collect::<String>();
                write!(f, "  {before}{} {old} → {new}{security}", self.name)
            }
            (None, None) => write!(f, "  {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::made as lock;

    #[test]
    fn tells_what_moved() {
        let old = lock(&[("a", "1", "s"), ("b", "1~rc1", "s"), ("c", "2", "s"), ("d", "1", "s")]);
        let new = lock(&[("b", "1", "s-security"), ("c", "1", "s"), ("d", "1", "s"), ("e", "3", "s")]);
        let changes = Changes::between(&old, &new);
        let shown: Vec<String> = changes.packages.iter().map(Change::to_string).collect();
        assert_eq!(shown, ["- a 1", "  b 1~rc1 → 1 (security)", "  c 2 → 1", "+ e 3"]);
        assert_eq!(changes.summary(), "1 added, 1 upgraded, 1 downgraded, 1 removed");
        let mut paired = changes;
        paired.pair(&[("a".into(), "e".into()), ("b".into(), "e".into())]);
        let shown: Vec<String> = paired.packages.iter().map(Change::to_string).collect();
        assert_eq!(shown, ["  b 1~rc1 → 1 (security)", "  c 2 → 1", "  a → e 1 → 3"]);
        assert!(Changes::between(&old, &old).is_empty());
        assert!(Changes::between(&old, &Lock { time_s: 9, ..old.clone() }).is_empty());
        let mut moved = old.clone();
        moved.packages[0].path = "pool/elsewhere/a_1_all.deb".into();
        assert_eq!(Changes::between(&old, &moved).summary(), "the same packages");
    }
}
