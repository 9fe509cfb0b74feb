//! The veto: apt's order, but nothing is taken after which no solution is left.
//!
//! Asked only where apt's own way ended in a contradiction. Every question to the SAT solver is
//! whether the candidates chosen so far and one more are installable together; the last solution
//! satisfies most of them, because its packages are installable.

use std::{
    cell::{Cell, RefCell},
    fmt::Display,
};

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Problem, Requirement, SolvableId, Solver,
    SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId, conflict::ConflictGraph,
};

use crate::resolve::{
    ResolveError,
    facts::AllFacts,
    universe::{Id, Universe},
};

/// Who states a requirement, and which of its needs it is.
pub(super) type Stated = (Option<Id>, usize);

/// The clash where there is no solution, and the requirements that its numbers stand for.
pub(super) type Clash = (ConflictGraph, Vec<Stated>);

/// Chooses packages in apt's order under the solver's veto. Returns one flag for each candidate,
/// or why there is no solution.
///
/// # Errors
/// A stanza whose relations cannot be read.
pub(super) fn choose(
    facts: &AllFacts<'_, '_>,
    asked: &[Id],
) -> Result<Result<Vec<bool>, Clash>, ResolveError> {
    let mut veto = Veto::new(facts);
    let mut model = match veto.solve(asked)? {
        Ok(model) => model,
        Err(conflict) => return Ok(Err(conflict)),
    };
    let mut marked = vec![false; facts.universe.len()];
    let mut chosen: Vec<Id> = Vec::new();
    let take = |id: Id, marked: &mut Vec<bool>, chosen: &mut Vec<Id>| {
        if !std::mem::replace(&mut marked[id.index()], true) {
            chosen.push(id);
        }
    };
    asked.iter().for_each(|id| take(*id, &mut marked, &mut chosen));
    // Packages being followed, with the need that is next; the last is followed first.
    let mut stack: Vec<(Id, usize)> = asked.iter().rev().map(|id| (*id, 0)).collect();
    while let Some((id, next)) = stack.pop() {
        let facts_of = facts.of(id)?;
        let Some(need) = facts_of.needs.get(next) else { continue };
        stack.push((id, next + 1));
        if need.options.iter().any(|option| marked[option.index()]) {
            continue;
        }
        for option in &need.options {
            if !model[option.index()] {
                chosen.push(*option);
                let solved = veto.solve(&chosen)?;
                chosen.pop();
                match solved {
                    Ok(other) => model = other,
                    Err(_) => continue,
                }
            }
            take(*option, &mut marked, &mut chosen);
            stack.push((*option, 0));
            break;
        }
    }
    Ok(Ok(marked))
}

/// The SAT solver, and its clauses.
struct Veto<'f, 'u, 'a> {
    solver: Solver<Clauses<'f, 'u, 'a>>,
}

impl<'f, 'u, 'a> Veto<'f, 'u, 'a> {
    fn new(facts: &'f AllFacts<'u, 'a>) -> Self {
        let clauses =
            Clauses { facts, unions: RefCell::default(), stated: RefCell::default(), fault: Cell::new(None) };
        Veto { solver: Solver::new(clauses) }
    }

    /// Looks for a solution that has some packages.
    fn solve(&mut self, wanted: &[Id]) -> Result<Result<Vec<bool>, Clash>, ResolveError> {
        let clauses = self.solver.provider();
        let requirements = (0..).zip(wanted).map(|(n, id)| clauses.requirement((None, n), &[*id])).collect();
        let solved = self.solver.solve(Problem::new().requirements(requirements));
        if let Some(fault) = self.solver.provider().fault.take() {
            return Err(fault);
        }
        match solved {
            Ok(ids) => {
                let mut model = vec![false; self.solver.provider().facts.universe.len()];
                ids.into_iter().for_each(|id| model[id.into_raw() as usize] = true);
                Ok(Ok(model))
            }
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                let graph = conflict.graph(&self.solver);
                Ok(Err((graph, self.solver.provider().stated.borrow().clone())))
            }
            Err(UnsolvableOrCancelled::Cancelled(_)) => unreachable!("nothing cancels"),
        }
    }
}

/// The universe as the solver sees it: candidate `n` is the only solvable of name `n`; version set
/// `2n` is that candidate, `2n + 1` is a missing candidate of that name; union `u` is one need of one
/// package.
struct Clauses<'f, 'u, 'a> {
    facts: &'f AllFacts<'u, 'a>,
    unions: RefCell<Vec<Vec<VersionSetId>>>,
    stated: RefCell<Vec<Stated>>,
    fault: Cell<Option<ResolveError>>,
}

impl<'a> Clauses<'_, '_, 'a> {
    fn requirement(&self, stated: Stated, options: &[Id]) -> ConditionalRequirement {
        let mut unions = self.unions.borrow_mut();
        let union = VersionSetUnionId(u32::try_from(unions.len()).expect("fewer needs than bytes of text"));
        unions.push(options.iter().map(|id| VersionSetId(id.0 * 2)).collect());
        self.stated.borrow_mut().push(stated);
        Requirement::Union(union).into()
    }

    fn name_of(&self, raw: u32) -> &'a str {
        let universe: &Universe<'a> = self.facts.universe;
        universe.package(Id(raw)).name
    }
}

impl Interner for Clauses<'_, '_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.name_of(solvable.into_raw())
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.name_of(name.into_raw())
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        if version_set.0.is_multiple_of(2) { "*" } else { "none" }
    }

    fn display_string(&self, _: StringId) -> impl Display + '_ {
        "a need that nothing meets"
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        NameId::from_raw(version_set.0 / 2)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(solvable.into_raw())
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.unions.borrow()[union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

impl DependencyProvider for Clauses<'_, '_, '_> {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let all = version_set.0.is_multiple_of(2) != inverse;
        if all { candidates.to_vec() } else { Vec::new() }
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        Some(Candidates {
            candidates: vec![SolvableId::from_raw(name.into_raw())],
            hint_dependencies_available: HintDependenciesAvailable::None,
            ..Candidates::default()
        })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, _: &mut [SolvableId]) {}

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let id = Id(solvable.into_raw());
        let facts = match self.facts.of(id) {
            Ok(facts) => facts,
            Err(fault) => {
                self.fault.set(Some(fault));
                return Dependencies::Unknown(StringId(0));
            }
        };
        let critical = || facts.needs.iter().enumerate().filter(|(_, need)| need.critical);
        if critical().any(|(_, need)| need.options.is_empty()) {
            return Dependencies::Unknown(StringId(0));
        }
        let requirements =
            critical().map(|(n, need)| self.requirement((Some(id), n), &need.options)).collect();
        let constrains = facts.bans.iter().map(|ban| VersionSetId(ban.id.0 * 2 + 1)).collect();
        Dependencies::Known(KnownDependencies { requirements, constrains })
    }
}
