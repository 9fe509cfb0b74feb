//! The packages that can be chosen from: one candidate a name, and who provides what.

use std::collections::HashMap;

use crate::{
    formats::{
        deb822::Fault,
        packages::{self, Package},
        relation, version,
    },
    resolve::{
        ResolveError,
        pins::{self, Pin},
    },
};

/// The text of one index.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The suite that it belongs to, such as `bookworm-security`.
    pub suite: &'a str,
    /// How it ranks, as apt's pins do: 500 for most; below 0, nothing of it is a candidate.
    pub priority: i32,
    /// Its stanzas.
    pub text: &'a [u8],
}

impl<'a> Source<'a> {
    /// Makes a source of the usual rank.
    pub fn new(suite: &'a str, text: &'a [u8]) -> Self {
        Source { suite, priority: Self::PRIORITY, text }
    }

    /// The rank of a suite that says nothing else; source: apt_preferences(5).
    pub const PRIORITY: i32 = 500;
    /// The rank of a suite that is `NotAutomatic` and no more, such as experimental.
    pub const NOT_AUTOMATIC: i32 = 1;
    /// The rank of a suite that is `ButAutomaticUpgrades` as well, such as backports.
    pub const BUT_AUTOMATIC_UPGRADES: i32 = 100;

    /// Returns the rank of a suite by the two fields of its Release file.
    pub fn rank(not_automatic: bool, but_automatic_upgrades: bool) -> i32 {
        match (not_automatic, but_automatic_upgrades) {
            (false, _) => Self::PRIORITY,
            (true, false) => Self::NOT_AUTOMATIC,
            (true, true) => Self::BUT_AUTOMATIC_UPGRADES,
        }
    }
}

/// A candidate, by its place in the universe.
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
/// have it; of equal ones the first.
/// Nothing else is ever looked at.
#[derive(Clone, Debug)]
pub struct Universe<'a> {
    architecture: String,
    sources: Vec<Source<'a>>,
    packages: Vec<Package<'a>>,
    /// For each package, its source.
    origins: Vec<u16>,
    /// For each package, how it ranks.
    ranks: Vec<i32>,
    names: HashMap<&'a str, Id>,
    /// Virtual names, with who provides them in which version, in the order of the indexes.
    provided: HashMap<&'a str, Vec<(Id, Option<&'a str>)>>,
}

impl<'a> Universe<'a> {
    /// Reads indexes for an architecture. Packages for others but `all` are passed over.
    ///
    /// # Errors
    /// [`ResolveError::Stanza`] for the first stanza that is not sound.
    pub fn new(architecture: &str, sources: &[Source<'a>]) -> Result<Self, ResolveError> {
        Universe::pinned(architecture, sources, &[])
    }

    /// As [`Universe::new`], where pins decide how versions rank; see [`Pin`].
    ///
    /// # Errors
    /// As [`Universe::new`].
    pub fn pinned(architecture: &str, sources: &[Source<'a>], pins: &[Pin]) -> Result<Self, ResolveError> {
        let mut universe = Universe {
            architecture: architecture.into(),
            sources: sources.to_vec(),
            packages: Vec::new(),
            origins: Vec::new(),
            ranks: Vec::new(),
            names: HashMap::new(),
            provided: HashMap::new(),
        };
        for (origin, source) in (0..).zip(sources) {
            let mut lines_before = 0;
            let pieces = read_pieces(source.text);
            // Growing step by step would copy it all several times.
            let count = pieces.iter().map(|piece| piece.packages.len()).sum();
            universe.packages.reserve(count);
            universe.names.reserve(count);
            for piece in pieces {
                for mut package in piece.packages {
                    package.line += lines_before;
                    universe.add(package, origin, pins);
                }
                if let Some(fault) = piece.fault {
                    let fault = Fault { line: fault.line + lines_before, ..fault };
                    return Err(universe.fault(origin, fault));
                }
                lines_before += piece.lines;
            }
        }
        universe.index_provides()?;
        Ok(universe)
    }

    fn fault(&self, origin: u16, source: Fault) -> ResolveError {
        ResolveError::Stanza { index: self.sources[usize::from(origin)].suite.into(), source }
    }

    fn add(&mut self, package: Package<'a>, origin: u16, pins: &[Pin]) {
        if package.architecture != self.architecture && package.architecture != "all" {
            return;
        }
        let source = &self.sources[usize::from(origin)];
        let pinned = pins::rank(pins, package.name, package.version, source.suite);
        let rank = pinned.unwrap_or(source.priority);
        if rank < 0 {
            return;
        }
        let next = Id(u32::try_from(self.packages.len()).expect("a text has fewer stanzas than bytes"));
        match self.names.entry(package.name) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(next);
                self.packages.push(package);
                self.origins.push(origin);
                self.ranks.push(rank);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                let at = entry.get().index();
                let later = || version::compare(package.version, self.packages[at].version).is_gt();
                if rank > self.ranks[at] || rank == self.ranks[at] && later() {
                    self.packages[at] = package;
                    self.origins[at] = origin;
                    self.ranks[at] = rank;
                }
            }
        }
    }

    fn index_provides(&mut self) -> Result<(), ResolveError> {
        for (index, package) in (0..).zip(&self.packages) {
            if package.provides.is_empty() {
                continue;
            }
            let groups = relation::parse(package.provides, &self.architecture)
                .map_err(|invalid| self.unsound(Id(index), &format!("Provides: {invalid}")))?;
            for relation in groups.iter().flat_map(|group| &group.alternatives) {
                let version = match relation.versions {
                    Some((version::Operator::Equal, version)) => Some(version),
                    _ => None,
                };
                self.provided.entry(relation.name).or_default().push((Id(index), version));
            }
        }
        Ok(())
    }

    /// Makes the error for a package whose stanza is not sound.
    pub(crate) fn unsound(&self, id: Id, reason: &str) -> ResolveError {
        let package = &self.packages[id.index()];
        let fault = Fault::new(package.line, format!("{}: {reason}", package.name));
        self.fault(self.origins[id.index()], fault)
    }

    /// Makes the error for a fault of a package's stanza.
    pub(crate) fn fault_of(&self, id: Id, fault: Fault) -> ResolveError {
        self.fault(self.origins[id.index()], fault)
    }

    /// Returns the architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns how many candidates there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Tells whether there is no candidate.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Returns the candidate for a name.
    pub fn find(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    /// Returns a candidate.
    pub fn package(&self, id: Id) -> &Package<'a> {
        &self.packages[id.index()]
    }

    /// Returns the suite whose index a candidate is from.
    pub fn suite(&self, id: Id) -> &'a str {
        self.sources[usize::from(self.origins[id.index()])].suite
    }

    /// Returns who provides a name, and in which version.
    pub fn providers(&self, name: &str) -> &[(Id, Option<&'a str>)] {
        self.provided.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns all candidates in the order of the indexes.
    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..u32::try_from(self.packages.len()).expect("counted when added")).map(Id)
    }
}

/// In how many pieces a long text is read, side by side; it never shows in the result.
const PIECES: usize = 4;
/// Shorter ones are read by one thread.
const WORTH_A_THREAD_BYTES: usize = 1 << 20;

/// What a piece of a text holds.
struct Piece<'a> {
    packages: Vec<Package<'a>>,
    /// What is wrong with the stanza that follows these.
    fault: Option<Fault>,
    /// How many lines the piece has.
    lines: usize,
}

/// Reads a text in pieces that begin where stanzas do.
fn read_pieces(text: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut rest = text;
    for left in (2..=PIECES).rev().filter(|_| text.len() > WORTH_A_THREAD_BYTES) {
        let from = rest.len() / left;
        let Some(blank) = memchr::memmem::find(&rest[from..], b"\n\n") else { break };
        let (piece, after) = rest.split_at(from + blank + 2);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    if let [only] = pieces[..] {
        return vec![read_piece(only)];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = pieces.iter().map(|piece| scope.spawn(|| read_piece(piece))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic in a thread")).collect()
    })
}

fn read_piece(text: &[u8]) -> Piece<'_> {
    let mut packages = Vec::with_capacity(text.len() / 400);
    let (sound, not_text) = match std::str::from_utf8(text) {
        Ok(text) => (text, None),
        Err(error) => {
            let (good, _) = text.split_at(error.valid_up_to());
            let line = memchr::memchr_iter(b'\n', good).count() + 1;
            ("", Some(Fault::new(line, "is not UTF-8")))
        }
    };
    let read = packages::read(sound, |package| packages.push(package));
    let lines = memchr::memchr_iter(b'\n', text).count();
    Piece { packages, fault: not_text.or(read.err()), lines }
}
