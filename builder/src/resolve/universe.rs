//! The packages that can be chosen from: one candidate a name, and the providers of each name.

use std::{borrow::Cow, cell::OnceCell};

use crate::{
    formats::{
        deb822::Fault,
        packages::{LeftOut, Package, Source, table::Table},
        pins::{self, Pin},
        version,
    },
    resolve::ResolveError,
};

/// How many stanzas about one package are explained at most.
const MOST_LEFT_OUT: usize = 5;

/// A stanza, by its place in the universe. Stanzas are numbered in the order of the indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u32);

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All candidates of an archive for one architecture.
///
/// The candidate for a name is its highest version in the sources of the highest priority that
/// have it; of equal ones the first. No other stanza is ever chosen, and a stanza is read when it is first
/// needed.
#[derive(Clone, Debug)]
pub struct Universe<'a> {
    architecture: String,
    pins: Vec<Pin>,
    parts: Vec<Part<'a>>,
    packages: Vec<OnceCell<Box<Package<'a>>>>,
}

/// One source, and where its stanzas begin among all.
#[derive(Clone, Debug)]
struct Part<'a> {
    source: Source<'a>,
    table: Cow<'a, Table>,
    first: u32,
}

impl<'a> Universe<'a> {
    /// Reads indexes for an architecture. Packages for others but `all` are passed over, and stanzas that
    /// cannot be used are left out.
    ///
    /// # Errors
    /// [`ResolveError::Stanza`] for an index that is too long.
    pub fn new(architecture: &str, sources: &[Source<'a>]) -> Result<Self, ResolveError> {
        Universe::pinned(architecture, sources, &[])
    }

    /// As [`Universe::new`], where pins decide how versions rank; see [`Pin`].
    ///
    /// # Errors
    /// As [`Universe::new`].
    pub fn pinned(architecture: &str, sources: &[Source<'a>], pins: &[Pin]) -> Result<Self, ResolveError> {
        let mut parts: Vec<Part<'a>> = Vec::new();
        let mut first: u32 = 0;
        for source in sources {
            let table =
                match source.table {
                    Some(table) => Cow::Borrowed(table),
                    None => Cow::Owned(Table::make(source.text, architecture).map_err(|fault| {
                        ResolveError::Stanza { index: source.suite.into(), source: fault }
                    })?),
                };
            let next = u32::try_from(table.len()).ok().and_then(|len| first.checked_add(len));
            parts.push(Part { source: *source, table, first });
            first = next.expect("texts that fit in memory have fewer stanzas");
        }
        let packages = vec![OnceCell::new(); first as usize];
        Ok(Universe { architecture: architecture.into(), pins: pins.to_vec(), parts, packages })
    }

    /// Makes the error for a package whose stanza is not sound.
    pub(crate) fn unsound(&self, id: Id, reason: &str) -> ResolveError {
        let package = self.package(id);
        let fault = Fault::new(package.line, format!("{}: {reason}", package.name));
        self.fault_of(id, fault)
    }

    /// Makes the error for a fault of a package's stanza.
    pub(crate) fn fault_of(&self, id: Id, source: Fault) -> ResolveError {
        ResolveError::Stanza { index: self.suite(id).into(), source }
    }

    /// Returns the architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns how many stanzas there are; above all their places.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Returns whether there is no stanza.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Returns the candidate for a name.
    pub fn find(&self, name: &str) -> Option<Id> {
        let mut best: Option<(i32, Id)> = None;
        for part in &self.parts {
            for stanza in part.table.about(name, part.source.text) {
                let id = Id(part.first + stanza);
                let rank = self.rank(id, name);
                let later =
                    |at: Id| version::compare(self.package(id).version, self.package(at).version).is_gt();
                let above = best.is_none_or(|(highest, at)| rank > highest || rank == highest && later(at));
                if rank >= 0 && above {
                    best = Some((rank, id));
                }
            }
        }
        best.map(|(_, id)| id)
    }

    /// Returns why stanzas about a package cannot be used, a clause each, in the order of the indexes, a few
    /// at most.
    pub(crate) fn left_out(&self, name: &str) -> Vec<String> {
        let all = self.parts.iter().flat_map(|part| {
            let left_out = part.table.left_out(part.source.text, &self.architecture);
            left_out.map(move |left| (part.source.suite, left))
        });
        let about = all.filter(|(_, left)| left.name == name);
        let clause = |(suite, left): (&str, LeftOut)| {
            format!("{} of {suite} is left out: {}", left.package(), left.reason)
        };
        about.take(MOST_LEFT_OUT).map(clause).collect()
    }

    /// Returns how a stanza about a package ranks.
    fn rank(&self, id: Id, name: &str) -> i32 {
        let source = &self.part(id).source;
        let pinned = match self.pins.is_empty() {
            true => None,
            false => pins::rank(&self.pins, name, self.package(id).version, source.suite),
        };
        pinned.unwrap_or(source.priority)
    }

    fn part(&self, id: Id) -> &Part<'a> {
        &self.parts[self.parts.partition_point(|part| part.first <= id.0) - 1]
    }

    /// Returns a package.
    pub fn package(&self, id: Id) -> &Package<'a> {
        self.packages[id.index()].get_or_init(|| {
            let part = self.part(id);
            Box::new(part.table.package(id.0 - part.first, part.source.text))
        })
    }

    /// Returns the name of a package.
    pub fn name(&self, id: Id) -> &'a str {
        let part = self.part(id);
        part.table.name(id.0 - part.first, part.source.text)
    }

    /// Returns the suite whose index a package is from.
    pub fn suite(&self, id: Id) -> &'a str {
        self.part(id).source.suite
    }

    /// Returns the candidates that provide a name, and in which version, in the order of the indexes.
    pub fn providers(&self, name: &str) -> Vec<(Id, Option<&'a str>)> {
        let mut out = Vec::new();
        for part in &self.parts {
            let here = part.table.providing(name, part.source.text);
            out.extend(here.map(|(stanza, version)| (Id(part.first + stanza), version)));
        }
        out.retain(|(id, _)| self.is_candidate(*id));
        out
    }

    /// Returns the candidates marked `Essential: yes`, in the order of the indexes.
    pub fn essential(&self) -> Vec<Id> {
        let ids =
            self.parts.iter().flat_map(|part| part.table.essential().iter().map(|n| Id(part.first + n)));
        ids.filter(|id| self.is_candidate(*id)).collect()
    }

    fn is_candidate(&self, id: Id) -> bool {
        self.find(self.name(id)) == Some(id)
    }

    /// Returns all candidates in the order of the indexes.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<'_, 'a> {
        let all = (0..u32::try_from(self.packages.len()).expect("counted when made")).map(Id);
        all.filter(|id| self.is_candidate(*id))
    }
}
