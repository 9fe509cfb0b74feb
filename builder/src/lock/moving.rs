//! Moves one package of a lock and leaves the rest where it is.

use std::collections::BTreeSet;

use crate::{
    formats::relation,
    lock::{Lock, LockedPackage},
    resolve::{ResolveError, Universe},
};

/// How many times of older locks are kept: each is one more request to a snapshot service for versions that
/// have left the mirrors.
const MOST_EARLIER: usize = 8;

impl Lock {
    /// Returns this new lock with every package put back to where an old lock has it, but for the named
    /// one and what must move with it: what is from the same source package, and what the moved ones
    /// need in a version that the old lock does not have, again and again. What only the old lock has
    /// stays, because the remaining packages may need it.
    ///
    /// The names are those of the new lock. What the old packages needed is not known any more, once the
    /// archive has moved on; packages of one source, which name each other by exact version, move
    /// together for that reason.
    ///
    /// # Errors
    /// A name that is not in the new lock, or a relation that cannot be read.
    pub fn moving_only(&self, name: &str, old: &Lock, universe: &Universe<'_>) -> Result<Lock, ResolveError> {
        if self.get(name).is_none() {
            return Err(ResolveError::Unknown {
                left_out: Vec::new(),
                name: name.into(),
                nearest: Vec::new(),
                providers: Vec::new(),
            });
        }
        let mut moved = BTreeSet::new();
        let mut queue: Vec<&str> = vec![name];
        // Packages that the old lock lacks are added in any case, with all that they need.
        queue.extend(
            self.packages.iter().map(|package| &*package.name).filter(|name| old.get(name).is_none()),
        );
        while let Some(name) = queue.pop() {
            if !moved.insert(name) {
                continue;
            }
            queue.extend(self.of_the_same_source(name, universe));
            queue.extend(self.needs_unmet(name, old, universe)?);
        }
        let keep = |package: &LockedPackage| match old.get(&package.name) {
            Some(before) if !moved.contains(&*package.name) => before.clone(),
            _ => package.clone(),
        };
        let mut packages: Vec<LockedPackage> = self.packages.iter().map(keep).collect();
        packages.extend(old.packages.iter().filter(|package| self.get(&package.name).is_none()).cloned());
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let is_present = |package: &LockedPackage| {
            self.get(&package.name)
                .is_some_and(|new| (&new.version, new.checksum) == (&package.version, package.checksum))
        };
        let mut earlier_s = Vec::new();
        if !packages.iter().all(is_present) {
            earlier_s
                .extend(old.earlier_s.iter().chain([&old.time_s]).filter(|time_s| **time_s != self.time_s));
            earlier_s.sort_unstable();
            earlier_s.dedup();
            earlier_s.drain(..earlier_s.len().saturating_sub(MOST_EARLIER));
        }
        Ok(Lock { packages, earlier_s, ..self.clone() })
    }

    fn of_the_same_source<'l>(&'l self, name: &str, universe: &Universe<'_>) -> Vec<&'l str> {
        let source = |name: &str| universe.find(name).map(|id| universe.package(id).source_name().to_owned());
        let wanted = source(name);
        let names = self.packages.iter().map(|package| &*package.name);
        names.filter(|other| wanted.is_some() && source(other) == wanted).collect()
    }

    /// Returns the packages that a package at its new version needs newer than the old lock has them.
    fn needs_unmet<'l>(
        &'l self,
        name: &str,
        old: &Lock,
        universe: &Universe<'_>,
    ) -> Result<Vec<&'l str>, ResolveError> {
        let Some(id) = universe.find(name) else { return Ok(Vec::new()) };
        let package = universe.package(id);
        let mut out = Vec::new();
        for text in [package.pre_depends, package.depends] {
            let groups = relation::parse(text, universe.architecture())
                .map_err(|invalid| universe.unsound(id, &invalid.to_string()))?;
            for group in groups {
                let mut named = group.alternatives.iter().map(|relation| (relation, old.get(relation.name)));
                if !named
                    .clone()
                    .any(|(relation, before)| before.is_some_and(|p| relation.admits(&p.version)))
                {
                    out.extend(named.find_map(|(relation, _)| self.get(relation.name)).map(|p| &*p.name));
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        formats::packages::Source,
        resolve::{Request, resolve},
    };

    fn index(version: &str) -> String {
        let stanza = |name: &str, source: &str, depends: &str| {
            format!(
                "Package: {name}\nSource: {source}\nVersion: {version}\nArchitecture: all\nDepends: {depends}\n\
                 Filename: pool/{name}_{version}.deb\nSize: 3\nSHA256: {}\n\n",
                "0".repeat(64)
            )
        };
        stanza("app", "app", "lib, tool, other")
            + &stanza("lib", "lib", &format!("lib-data (= {version})"))
            + &stanza("lib-data", "lib", "")
            + &stanza("tool", "tool", &format!("lib (>= {version})"))
            + &stanza("other", "other", "")
    }

    #[test]
    fn moves_a_package_and_what_must_move_with_it() {
        let lock = |universe: &Universe<'_>, time_s| {
            let request = Request { packages: vec!["app".into()], ..Request::default() };
            let resolution = resolve(universe, &request).expect("there is a solution");
            Lock::new("s", "amd64", time_s, &request, Vec::new(), &resolution)
        };
        let (before, after) = (index("1"), index("2"));
        let old = lock(&Universe::new("amd64", &[Source::new("s", before.as_bytes())]).expect("sound"), 10);
        let universe = Universe::new("amd64", &[Source::new("s", after.as_bytes())]).expect("sound");
        let new = lock(&universe, 20);
        let rows = [
            ("other", "app 1, lib 1, lib-data 1, other 2, tool 1"),
            ("lib-data", "app 1, lib 2, lib-data 2, other 1, tool 1"),
            ("tool", "app 1, lib 2, lib-data 2, other 1, tool 2"),
        ];
        for (name, expected) in rows {
            let lock = new.moving_only(name, &old, &universe).expect("is there");
            let shown: Vec<String> =
                lock.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
            assert_eq!(shown.join(", "), expected, "{name}");
        }
        assert!(new.moving_only("none", &old, &universe).is_err());

        // The rest may have to come from the time of the old lock, or of one before it.
        let moved = new.moving_only("other", &old, &universe).expect("is there");
        assert_eq!((moved.time_s, &*moved.earlier_s), (20, &[10][..]));
        let later = Lock { time_s: 30, ..new.clone() };
        let moved = later.moving_only("lib-data", &moved, &universe).expect("is there");
        assert_eq!(moved.earlier_s, [10, 20]);
        assert_eq!(Lock::parse(moved.to_text().as_bytes()).expect("reads"), moved);
        let whole = later.moving_only("app", &new, &universe).expect("is there");
        assert_eq!(whole.earlier_s, [0; 0]);
        let many = Lock { earlier_s: (0..10).collect(), ..old };
        let moved = new.moving_only("other", &many, &universe).expect("is there");
        assert_eq!(moved.earlier_s, [3, 4, 5, 6, 7, 8, 9, 10]);
    }
}
