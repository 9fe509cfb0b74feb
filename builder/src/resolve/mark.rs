//! apt's way: marks packages depth first, without going back but for what apt itself goes back on.
//!
//! Source: the behaviour of apt 2.6. Important, and easy to get wrong:
//! - everything requested is marked before anything is followed;
//! - a group that anything marked satisfies is passed over;
//! - a requested package is *protected*, and so is each package that a protected one needs
//!   and that has no alternative. A protected package is never dropped again, and packages that it rules
//!   out can never be taken any more;
//! - a package that is being followed counts as protected for that while;
//! - a package that is ruled out by a newcomer and not protected is dropped on the spot;
//! - a package that turned out not to work is never tried again, and packages that it brought stay until
//!   the end, where all that nothing needs goes (`sweep`).

use crate::resolve::{
    ResolveError,
    facts::{AllFacts, Facts, Need},
    universe::Id,
};

/// How deep packages are followed; apt stops at 3000. The longest way in Debian is far shorter.
const MAX_DEPTH: usize = 800;

/// The state that apt keeps of one candidate.
#[derive(Clone, Copy, Default)]
struct State {
    marked: bool,
    protected: bool,
    /// Not to be tried any more.
    dead: bool,
}

/// Marks packages as apt would.
pub(super) struct Marker<'f, 'u, 'a> {
    facts: &'f AllFacts<'u, 'a>,
    states: Vec<State>,
    /// The first fault of a stanza met on the way.
    fault: Option<ResolveError>,
}

/// Where one walk of [`Marker::mark`] stands.
#[derive(Clone, Copy)]
struct Step {
    depth: usize,
    /// Whether the package was requested.
    asked: bool,
}

impl<'f, 'u, 'a> Marker<'f, 'u, 'a> {
    /// Marks the requested packages, in order, and all that they bring. Returns one flag for each candidate.
    ///
    /// # Errors
    /// A stanza whose relations cannot be read.
    pub fn run(facts: &'f AllFacts<'u, 'a>, asked: &[Id]) -> Result<Vec<bool>, ResolveError> {
        let mut marker = Marker { facts, states: vec![State::default(); facts.universe.len()], fault: None };
        for id in asked {
            let state = &mut marker.states[id.index()];
            state.marked = true;
            state.protected = true;
        }
        for id in asked {
            if marker.is_broken(*id) {
                marker.mark(*id, Step { depth: 0, asked: true });
            }
        }
        match marker.fault {
            Some(fault) => Err(fault),
            None => Ok(marker.states.iter().map(|state| state.marked).collect()),
        }
    }

    fn state(&mut self, id: Id) -> &mut State {
        &mut self.states[id.index()]
    }

    fn get(&self, id: Id) -> State {
        self.states[id.index()]
    }

    fn facts_of(&mut self, id: Id) -> Option<std::rc::Rc<Facts<'a>>> {
        match self.facts.of(id) {
            Ok(facts) => Some(facts),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }

    fn is_met(&self, need: &Need<'_>) -> bool {
        need.options.iter().any(|option| self.get(*option).marked)
    }

    /// Returns whether a package lacks something, be it only recommended, or is marked together with one that
    /// it rules out.
    fn is_broken(&mut self, id: Id) -> bool {
        let Some(facts) = self.facts_of(id) else { return true };
        facts.needs.iter().any(|need| !self.is_met(need))
            || facts.bans.iter().any(|ban| self.get(ban.id).marked)
    }

    /// Returns whether a package can still be taken.
    fn is_open(&self, id: Id) -> bool {
        let state = self.get(id);
        !state.dead && (state.marked || !state.protected)
    }

    /// Marks a package and follows it. Returns whether that worked.
    fn mark(&mut self, id: Id, step: Step) -> bool {
        let Some(facts) = self.facts_of(id) else { return false };
        let before = self.get(id);
        if !self.is_open(id) || step.depth > MAX_DEPTH {
            return false;
        }
        if !before.protected && before.marked && !self.is_broken(id) {
            return true;
        }
        let possible = |need: &Need<'_>| need.options.iter().any(|option| !self.get(*option).dead);
        if !facts.needs.iter().filter(|need| need.critical).all(possible) {
            if !before.protected {
                *self.state(id) = State { marked: false, dead: true, ..before };
            }
            return false;
        }
        let gives_up = !before.protected && !step.asked;
        let wanted: Vec<usize> =
            (0..facts.needs.len()).filter(|n| before.protected || !self.is_met(&facts.needs[*n])).collect();
        let mut works = self.drop_banned(&facts, before.protected);
        if !works && gives_up {
            return false;
        }
        self.state(id).marked = true;
        self.state(id).protected = true;
        for n in wanted {
            if !self.meet(&facts.needs[n], before.protected, step) {
                works = false;
                if gives_up {
                    break;
                }
            }
        }
        self.state(id).protected = before.protected;
        if !works && gives_up {
            *self.state(id) = State { marked: false, dead: true, ..before };
        }
        works
    }

    /// Drops the packages that a newcomer rules out; a protected one also bans them.
    fn drop_banned(&mut self, facts: &Facts<'_>, protected: bool) -> bool {
        let mut works = true;
        for ban in &facts.bans {
            let other = self.get(ban.id);
            if other.dead || !(protected || other.marked) {
                continue;
            }
            if other.marked && other.protected {
                works = false;
                if !protected {
                    break;
                }
                continue;
            }
            let state = self.state(ban.id);
            state.marked = false;
            if protected {
                state.dead = true;
                state.protected = true;
            }
        }
        works
    }

    /// Sees to it that a group is met. Returns whether it is, or need not be.
    fn meet(&mut self, need: &Need<'_>, protected: bool, step: Step) -> bool {
        let next = Step { depth: step.depth + 1, asked: false };
        let open: Vec<Id> = need.options.iter().copied().filter(|option| self.is_open(*option)).collect();
        if self.is_met(need) {
            // It has only one provider left: that one becomes protected, too.
            if protected && need.critical && open.len() == 1 && !self.get(open[0]).protected {
                self.state(open[0]).protected = true;
                return self.mark(open[0], next);
            }
            return true;
        }
        for option in &open {
            if self.get(*option).dead {
                continue;
            }
            if protected && need.critical && open.len() == 1 {
                let state = self.state(*option);
                state.marked = true;
                state.protected = true;
            }
            if self.mark(*option, next) {
                return true;
            }
        }
        !need.critical
    }
}

/// Unmarks what nothing needs any more: all that is not reached from the request, or from
/// Essential packages, by `Pre-Depends`, `Depends`, `Recommends` or `Suggests`.
///
/// # Errors
/// A stanza whose relations cannot be read.
pub(super) fn sweep(facts: &AllFacts<'_, '_>, asked: &[Id], marked: &mut [bool]) -> Result<(), ResolveError> {
    let mut reached = vec![false; marked.len()];
    let mut queue: Vec<Id> = asked.to_vec();
    let lasting = |id: &Id| facts.universe.package(*id).essential || facts.universe.package(*id).important;
    queue.extend(ids_of(marked).filter(lasting));
    while let Some(id) = queue.pop() {
        if !marked[id.index()] || std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        let facts = facts.of(id)?;
        queue.extend(facts.needs.iter().chain(&facts.wishes).flat_map(|need| &need.options));
    }
    marked.copy_from_slice(&reached);
    Ok(())
}

/// Returns the marked candidates, in the order of the indexes.
fn ids_of(marked: &[bool]) -> impl Iterator<Item = Id> {
    (0..).zip(marked).filter(|(_, marked)| **marked).map(|(at, _)| Id(at))
}

/// Returns whether every marked package has what it needs and meets nothing that it rules out.
///
/// # Errors
/// A stanza whose relations cannot be read.
pub(super) fn is_sound(
    facts: &AllFacts<'_, '_>,
    asked: &[Id],
    marked: &[bool],
) -> Result<bool, ResolveError> {
    if !asked.iter().all(|id| marked[id.index()]) {
        return Ok(false);
    }
    for id in ids_of(marked) {
        let facts = facts.of(id)?;
        let met = |need: &Need<'_>| need.options.iter().any(|option| marked[option.index()]);
        if !facts.needs.iter().all(|need| !need.critical || met(need))
            || facts.bans.iter().any(|ban| marked[ban.id.index()])
        {
            return Ok(false);
        }
    }
    Ok(true)
}
