//! Whether two answers are the same, and if not, why that may be.

use std::{collections::BTreeSet, fmt};

use tinyroot::{
    formats::{packages::Source, pins::Pin, relation},
    resolve::{Request, Resolution, Universe, resolve},
};

use crate::apt::{Apt, Set};

/// What is judged.
pub struct Asked<'a> {
    pub universe: &'a Universe<'a>,
    pub sources: &'a [Source<'a>],
    pub pins: &'a [Pin],
    pub apt: &'a Apt,
    pub essential: &'a [String],
    pub set: &'a [String],
}

/// What came of it.
pub enum Verdict {
    Equal(String),
    Explained(String),
    Wrong(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match self {
            Verdict::Equal(text) => ("equal", text),
            Verdict::Explained(text) => ("explained", text),
            Verdict::Wrong(text) => ("WRONG", text),
        };
        write!(f, "{word:9} {text}")
    }
}

/// Asks both sides and compares.
pub fn judge(asked: &Asked<'_>) -> Result<Verdict, String> {
    let request = Request { packages: asked.set.to_vec(), essential: true, ..Request::default() };
    let ours = resolve(asked.universe, &request);
    let words: Vec<String> = asked.essential.iter().chain(asked.set).cloned().collect();
    let theirs = asked.apt.install(&words).map_err(|error| format!("cannot run apt-get: {error}"))?;
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return Ok(Verdict::Equal("neither finds a set".into())),
        (Err(error), Ok(theirs)) => {
            return Ok(Verdict::Wrong(format!("apt finds {} packages; ours: {error}", theirs.len())));
        }
        (Ok(ours), theirs) => (ours, theirs),
    };
    let set = set_of(&ours);
    if theirs.as_ref() == Ok(&set) {
        return Ok(Verdict::Equal(format!("{} packages", set.len())));
    }
    if let Some(fault) = refusal(asked, &set)? {
        return Ok(Verdict::Wrong(format!("apt does not accept ours: {fault}")));
    }
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(_) => return Ok(Verdict::Explained(format!("apt gives up; ours has {} packages", set.len()))),
    };
    let only_ours: BTreeSet<&str> = set.difference(&theirs).map(|(name, _)| name.as_str()).collect();
    let only_theirs: BTreeSet<&str> = theirs.difference(&set).map(|(name, _)| name.as_str()).collect();
    let difference = format!("only ours: {}; only apt's: {}", list(&only_ours), list(&only_theirs));
    if only_ours.is_empty() {
        // Ours alone is a whole answer, as apt said just now: the rest is what nothing needs.
        return Ok(Verdict::Explained(format!("apt keeps a left-over: {}", list(&only_theirs))));
    }
    if let Some(equals) = equals(asked.universe, &only_ours, &only_theirs) {
        let raised: Vec<Vec<u8>> = asked.sources.iter().map(|source| raise(source.text, &equals)).collect();
        let sources: Vec<Source<'_>> = asked
            .sources
            .iter()
            .zip(&raised)
            .map(|(source, text)| Source { text, table: None, ..*source })
            .collect();
        let universe = Universe::pinned(asked.universe.architecture(), &sources, asked.pins)
            .map_err(|e| e.to_string())?;
        if resolve(&universe, &request).is_ok_and(|again| set_of(&again) == theirs) {
            return Ok(Verdict::Explained(format!(
                "apt takes {}, which rank as ours do: {difference}",
                list(&equals)
            )));
        }
    }
    if ours.beyond_apt {
        return Ok(Verdict::Explained(format!("apt repairs a contradiction by scores: {difference}")));
    }
    Ok(Verdict::Wrong(difference))
}

fn set_of(resolution: &Resolution) -> Set {
    resolution.packages.iter().map(|package| (package.name.clone(), package.version.clone())).collect()
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(" ")
}

/// Returns what apt has against a set that it is given whole, if anything.
fn refusal(asked: &Asked<'_>, set: &Set) -> Result<Option<String>, String> {
    let words: Vec<String> = set.iter().map(|(name, version)| format!("{name}={version}")).collect();
    match asked.apt.install(&words).map_err(|error| format!("cannot run apt-get: {error}"))? {
        Err(text) => Ok(Some(text)),
        Ok(found) if &found == set => Ok(None),
        Ok(found) => {
            let more: BTreeSet<&str> =
                found.symmetric_difference(set).map(|(name, _)| name.as_str()).collect();
            Ok(Some(format!("it differs in {}", list(&more))))
        }
    }
}

/// Returns apt's choices that provide a name which a choice of ours provides as well, at the same rank.
/// Between those apt goes by the number that its cache happened to give them; tinyroot by name.
fn equals<'n>(
    universe: &Universe<'_>,
    ours: &BTreeSet<&str>,
    theirs: &BTreeSet<&'n str>,
) -> Option<BTreeSet<&'n str>> {
    let rank = |name: &str| {
        let package = universe.package(universe.find(name)?);
        let provides = relation::parse(package.provides, universe.architecture()).ok()?;
        let names: BTreeSet<&str> =
            provides.iter().flat_map(|group| &group.alternatives).map(|relation| relation.name).collect();
        Some(((package.essential, package.important, package.priority), names))
    };
    let mut out = BTreeSet::new();
    for their in theirs {
        let (their_rank, their_names) = rank(their)?;
        let as_high = ours
            .iter()
            .filter_map(|our| rank(our))
            .any(|(our_rank, our_names)| our_rank == their_rank && !our_names.is_disjoint(&their_names));
        if as_high {
            out.insert(*their);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Returns an index in which some packages have the highest priority, so that they go before those
/// that rank as they do, and stay behind what is called by its name.
fn raise(text: &[u8], names: &BTreeSet<&str>) -> Vec<u8> {
    let mut inside = false;
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let word = std::str::from_utf8(line).unwrap_or_default().trim_end();
        if let Some(name) = word.strip_prefix("Package: ") {
            inside = names.contains(name);
        }
        let changed = inside && word.starts_with("Priority: ");
        out.extend_from_slice(if changed { b"Priority: required\n" } else { line });
    }
    out
}
