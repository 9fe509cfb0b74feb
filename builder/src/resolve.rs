//! Archive indexes and a request in, the packages that will be installed out, each with the reason.
//!
//! Pure: no clock, no environment, no files; the same texts and request give the same resolution.
//! Never looks at a .deb and never chooses between mirrors.
//!
//! The resolution is that of `apt-get -s --no-install-recommends install ESSENTIAL… PACKAGE…` on an
//! empty status: the requested packages are marked first, then each is followed depth first, groups in
//! the order they are written, and a group that anything marked so far satisfies brings nothing
//! new (`choose`). Where that way ends in a contradiction, apt repairs by scores and may give up;
//! here the same order is walked again with a SAT solver that vetoes each choice after which no
//! solution is left (`solver`), so a solution is found wherever there is one, and where there is none
//! the clash is shown (`conflict`).
//!
//! One difference is deliberate: among providers that apt holds to be equal it takes the one that
//! its cache happened to number last; here the name decides.

mod because;
mod conflict;
mod explain;
mod facts;
mod mark;
mod remedy;
mod smallest;
mod solver;
mod suggest;
#[cfg(test)]
mod tests;
pub mod universe;

use crate::error::Hint;
use crate::formats::{checksum::Checksum, deb822::Fault, pins::Pin};
use because::Origin;
pub use explain::{Explanation, explain};
use facts::AllFacts;
pub use remedy::remedies;
pub use smallest::{Smallest, smallest};
pub use universe::{Id, Universe};

/// The request.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Names of real packages, or of virtual ones that exactly one package provides. The order is
    /// that in which they are followed, and can matter where packages have alternatives.
    pub packages: Vec<String>,
    /// Whether the packages marked `Essential: yes` are requested as well, before all others.
    pub essential: bool,
    /// Whether `Recommends` bring packages, where they can be had.
    pub recommends: bool,
    /// Packages whose `Recommends` bring packages in any case.
    #[serde(default)]
    pub recommends_of: Vec<String>,
    /// Packages that must not be there.
    pub exclude: Vec<String>,
    /// Packages that go before other alternatives of a group, whatever the order it is written in.
    ///
    /// apt has no such thing, so a request that is compared with apt's has none. For a root whose
    /// `/bin` and kin are links from the start, [`Request::MERGED_USR`] is the right one: bookworm's
    /// `init-system-helpers` depends on `usrmerge | usr-is-merged`, and the first converts a running system.
    pub prefer: Vec<String>,
    /// How versions rank. They decide which ones there are to choose from, so a [`Universe`] is made
    /// with them; here they identify the request that a lock was made for.
    #[serde(default)]
    pub pins: Vec<Pin>,
}

impl Request {
    /// The preferred package of a root with merged `/usr`.
    pub const MERGED_USR: &'static str = "usr-is-merged";
}

/// The packages that will be installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Sorted by name.
    pub packages: Vec<Resolved>,
    /// Whether apt's own way ended in a contradiction, so that this is a solution that apt may not find.
    pub beyond_apt: bool,
}

impl Resolution {
    /// Returns a package by name.
    pub fn get(&self, name: &str) -> Option<&Resolved> {
        let at = self.packages.binary_search_by(|package| package.name.as_str().cmp(name)).ok()?;
        Some(&self.packages[at])
    }
}

/// One package of a [`Resolution`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Resolved {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, which may be `all`.
    pub architecture: String,
    /// The suite whose index names it, such as `bookworm-security`.
    pub suite: String,
    /// Where its .deb lies, relative to the root of that suite's archive.
    pub path: String,
    /// Length of the .deb.
    pub size_bytes: u64,
    /// SHA-256 of the .deb; its SHA-512 where the index has no other.
    #[serde(flatten)]
    pub checksum: Checksum,
    /// KiB, as the package declares it.
    pub installed_size_kib: u64,
    /// Whether it is marked `Essential: yes`.
    pub essential: bool,
    /// The first requirement that brought it: `requested`, `Essential`, or such as `Depends: libfoo (>= 1) of
    /// bar`.
    pub because: String,
    /// The package that needs it; `None`: it was requested, or is Essential.
    pub by: Option<String>,
}

/// Why there is no resolution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// An index that cannot be read.
    #[error("cannot read the index of {index}")]
    Stanza {
        /// Which one.
        index: String,
        /// Line and reason.
        source: Fault,
    },
    /// A name that no package has.
    #[error("there is no package `{name}`{}", nearest_text(nearest, providers, left_out))]
    Unknown {
        /// As requested.
        name: String,
        /// Names that differ little, the nearest first.
        nearest: Vec<String>,
        /// Packages that provide it.
        providers: Vec<String>,
        /// Why stanzas about it cannot be used, a clause each.
        left_out: Vec<String>,
    },
    /// Sets exist, but the smallest one could not be found.
    #[error("cannot prove which set of packages is the smallest")]
    NotProven,
    /// Requirements that cannot be met together.
    #[error("no set of packages meets the request\n{tree}")]
    Unsatisfiable {
        /// The way from the request to the clash, a line a step, indented.
        tree: String,
    },
}

impl Hint for ResolveError {}

fn nearest_text(nearest: &[String], providers: &[String], left_out: &[String]) -> String {
    if !left_out.is_empty() {
        return format!(" that can be used\n  {}", left_out.join("\n  "));
    }
    match (providers.is_empty(), nearest.is_empty()) {
        (false, _) => format!(": it is virtual, provided by {}", providers.join(", ")),
        (true, false) => match nearest {
            [one] => format!(": the nearest name is `{one}`"),
            _ => format!(": the nearest names are `{}`", nearest.join("`, `")),
        },
        (true, true) => String::new(),
    }
}

/// Chooses the packages.
///
/// # Errors
/// An unknown name, a request that nothing meets, or a chosen stanza without a sound file.
pub fn resolve(universe: &Universe<'_>, request: &Request) -> Result<Resolution, ResolveError> {
    let facts = AllFacts::new(universe, request);
    let asked = asked(universe, request)?;
    let ids: Vec<Id> = asked.iter().map(|(id, _)| *id).collect();
    if let Some((id, _)) = asked.iter().find(|(id, _)| facts.is_excluded(*id)) {
        let name = universe.package(*id).name;
        return Err(ResolveError::Unsatisfiable { tree: format!("  {name} is requested and excluded") });
    }
    let mut chosen = mark::Marker::run(&facts, &ids)?;
    mark::sweep(&facts, &ids, &mut chosen)?;
    let beyond_apt = !mark::is_sound(&facts, &ids, &chosen)?;
    if beyond_apt {
        chosen = match solver::choose(&facts, &ids)? {
            Ok(chosen) => chosen,
            Err((graph, stated)) => {
                let tree = conflict::show(&facts, &asked, &graph, &stated)?;
                return Err(ResolveError::Unsatisfiable { tree });
            }
        };
        mark::sweep(&facts, &ids, &mut chosen)?;
    }
    let origins = because::origins(&facts, &asked, &chosen)?;
    let mut packages = Vec::new();
    for (at, origin) in (0..).zip(origins) {
        if let Some(origin) = origin {
            packages.push(resolved(universe, Id(at), origin)?);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Resolution { packages, beyond_apt })
}

/// Returns the requested packages, Essential first, without duplicates, each with the reason.
fn asked(universe: &Universe<'_>, request: &Request) -> Result<Vec<(Id, &'static str)>, ResolveError> {
    let mut out: Vec<(Id, &'static str)> = Vec::new();
    if request.essential {
        out.extend(universe.essential().into_iter().map(|id| (id, "Essential")));
        out.sort_by_key(|(id, _)| universe.name(*id));
    }
    for name in &request.packages {
        let id = find(universe, name)?;
        match out.iter_mut().find(|(other, _)| *other == id) {
            Some((_, reason)) => *reason = "requested",
            None => out.push((id, "requested")),
        }
    }
    Ok(out)
}

fn find(universe: &Universe<'_>, name: &str) -> Result<Id, ResolveError> {
    if let Some(id) = universe.find(name) {
        return Ok(id);
    }
    let mut providers: Vec<Id> = universe.providers(name).iter().map(|(id, _)| *id).collect();
    providers.sort_by_key(|id| universe.package(*id).name);
    providers.dedup();
    if let [only] = providers[..] {
        return Ok(only);
    }
    let left_out = universe.left_out(name);
    let nearest = match providers.is_empty() && left_out.is_empty() {
        true => suggest::nearest(name, universe.ids().map(|id| universe.name(id))),
        false => Vec::new(),
    };
    let providers = providers.into_iter().map(|id| universe.package(id).name.into()).collect();
    Err(ResolveError::Unknown { name: name.into(), nearest, providers, left_out })
}

fn resolved(universe: &Universe<'_>, id: Id, origin: Origin) -> Result<Resolved, ResolveError> {
    let package = universe.package(id);
    let file = package.file().map_err(|fault| universe.fault_of(id, fault))?;
    Ok(Resolved {
        name: package.name.into(),
        version: package.version.into(),
        architecture: package.architecture.into(),
        suite: universe.suite(id).into(),
        path: file.path.into_owned(),
        size_bytes: file.size_bytes,
        checksum: file.checksum,
        installed_size_kib: package.installed_size_kib,
        essential: package.essential,
        because: origin.text,
        by: origin.by.map(|by| universe.package(by).name.into()),
    })
}
