//! The needs and the conflicts of candidates, as lists of candidates.
//!
//! Debian's rules are applied here, and nowhere else: which versions do, the providers of each name,
//! `:any` means, that no package rules out itself. The rooms that choose see lists only.

use std::{cell::RefCell, rc::Rc};

use crate::{
    formats::{
        packages::{MultiArch, Package},
        relation::{self, Group, Relation},
    },
    resolve::{
        Request, ResolveError,
        universe::{Id, Universe},
    },
};

/// A group of alternatives that a package names.
#[derive(Clone, Debug)]
pub(super) struct Need<'a> {
    /// The field that it stands in.
    pub field: &'static str,
    /// As written.
    pub text: &'a str,
    /// Whether it must hold: `Pre-Depends` and `Depends`, not `Recommends`.
    pub critical: bool,
    /// Who meets it, in the order in which apt tries them; none twice.
    pub options: Vec<Id>,
}

/// A package that a package rules out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ban<'a> {
    /// The field that it stands in.
    pub field: &'static str,
    /// As written.
    pub text: &'a str,
    /// Who is ruled out.
    pub id: Id,
}

/// The facts of one candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'a> {
    /// In the order in which they are followed.
    pub needs: Vec<Need<'a>>,
    /// In the order in which they are written, `Conflicts` first.
    pub bans: Vec<Ban<'a>>,
    /// The packages that its `Recommends` and `Suggests` name, whether followed or not: apt keeps these.
    pub wishes: Vec<Need<'a>>,
}

/// The facts of all candidates, found when needed.
pub(super) struct AllFacts<'u, 'a> {
    pub universe: &'u Universe<'a>,
    recommends: bool,
    recommending: Vec<bool>,
    excluded: Vec<bool>,
    preferred: Vec<bool>,
    found: RefCell<Vec<Option<Rc<Facts<'a>>>>>,
}

impl<'u, 'a> AllFacts<'u, 'a> {
    /// Prepares for one request.
    pub fn new(universe: &'u Universe<'a>, request: &Request) -> Self {
        let flags = |names: &[String]| {
            let mut flags = vec![false; universe.len()];
            names.iter().filter_map(|name| universe.find(name)).for_each(|id| flags[id.index()] = true);
            flags
        };
        AllFacts {
            universe,
            recommends: request.recommends,
            recommending: flags(&request.recommends_of),
            excluded: flags(&request.exclude),
            preferred: flags(&request.prefer),
            found: RefCell::new(vec![None; universe.len()]),
        }
    }

    /// Returns whether the request excludes a candidate.
    pub fn is_excluded(&self, id: Id) -> bool {
        self.excluded[id.index()]
    }

    /// Returns the facts of a candidate.
    ///
    /// # Errors
    /// A relation that cannot be read.
    pub fn of(&self, id: Id) -> Result<Rc<Facts<'a>>, ResolveError> {
        if let Some(facts) = &self.found.borrow()[id.index()] {
            return Ok(facts.clone());
        }
        let facts = Rc::new(self.find(id)?);
        self.found.borrow_mut()[id.index()] = Some(facts.clone());
        Ok(facts)
    }

    fn find(&self, id: Id) -> Result<Facts<'a>, ResolveError> {
        let package = self.universe.package(id);
        let mut facts = Facts::default();
        for (field, text) in [("Pre-Depends", package.pre_depends), ("Depends", package.depends)] {
            facts.needs.extend(self.needs(id, field, text, true)?);
        }
        let recommends = self.needs(id, "Recommends", package.recommends, false)?;
        if self.recommends || self.recommending[id.index()] {
            facts.needs.extend(recommends.iter().cloned());
        }
        facts.wishes = recommends;
        facts.wishes.extend(self.needs(id, "Suggests", package.suggests, false)?);
        for (field, text) in [("Conflicts", package.conflicts), ("Breaks", package.breaks)] {
            for group in self.groups(id, field, text)? {
                for relation in &group.alternatives {
                    let banned = self.targets(relation).into_iter().filter(|other| *other != id);
                    facts.bans.extend(banned.map(|other| Ban { field, text: group.text, id: other }));
                }
            }
        }
        Ok(facts)
    }

    fn groups(&self, id: Id, field: &str, text: &'a str) -> Result<Vec<Group<'a>>, ResolveError> {
        relation::parse(text, self.universe.architecture())
            .map_err(|invalid| self.universe.unsound(id, &format!("{field}: {invalid}")))
    }

    fn needs(
        &self,
        id: Id,
        field: &'static str,
        text: &'a str,
        critical: bool,
    ) -> Result<Vec<Need<'a>>, ResolveError> {
        let need = |group: Group<'a>| {
            let mut options: Vec<Id> = Vec::new();
            for target in group.alternatives.iter().flat_map(|relation| self.targets(relation)) {
                if !self.is_excluded(target) && !options.contains(&target) {
                    options.push(target);
                }
            }
            // Stable: preferred ones go first, the others keep their order.
            options.sort_by_key(|option| !self.preferred[option.index()]);
            Need { field, text: group.text, critical, options }
        };
        Ok(self.groups(id, field, text)?.into_iter().map(need).collect())
    }

    /// Returns the candidates that meet one alternative, in the order in which apt tries them: the package of
    /// that name, then providers by Essential, Important, Priority and name.
    pub fn targets(&self, relation: &Relation<'a>) -> Vec<Id> {
        let universe = self.universe;
        let real = universe.find(relation.name);
        let serves = |id: Id| self.serves(universe.package(id), relation.qualifier);
        let mut out = Vec::new();
        out.extend(real.filter(|id| relation.admits(universe.package(*id).version) && serves(*id)));
        let mut providers: Vec<Id> = Vec::new();
        for (id, version) in universe.providers(relation.name) {
            let admits = match version {
                Some(version) => relation.admits(version),
                None => relation.versions.is_none(),
            };
            if admits && Some(id) != real && serves(id) && !providers.contains(&id) {
                providers.push(id);
            }
        }
        providers.sort_by_key(|id| {
            let package = universe.package(*id);
            (!package.essential, !package.important, package.priority, package.name)
        });
        out.extend(providers);
        out
    }

    /// Returns whether a package of our architecture serves a relation with that qualifier.
    fn serves(&self, package: &Package<'_>, qualifier: Option<&str>) -> bool {
        match qualifier {
            None | Some("native") => true,
            Some("any") => package.multi_arch == MultiArch::Allowed,
            Some(architecture) => architecture == self.universe.architecture(),
        }
    }
}
