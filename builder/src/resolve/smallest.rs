//! The set of packages that takes the least room, where apt's order of alternatives does not matter.
//!
//! Which packages there are is a number of yes or no each; a need is a sum that is at least what
//! needs it, a ban a sum of at most one. The least sum of installed sizes is found, and proven to
//! be the least, by `microlp`. The result is a list of names to exclude, so that the plain resolver then
//! gives that very set, and a person can read and change the choice.

use std::collections::{BTreeSet, HashMap};

use microlp::{ComparisonOp, OptimizationDirection, Problem, Variable};

use crate::resolve::{
    Request, Resolution, ResolveError, asked, facts::AllFacts, resolve, universe::Id, universe::Universe,
};

/// The cost of a package beside its size, in KiB: less than any size, so that of sets of one size the
/// one with the fewest packages is taken; and packages without a size do not count.
const EACH: f64 = 0.5;

/// The smallest set, and how the plain resolver comes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smallest {
    /// The packages.
    pub resolution: Resolution,
    /// The packages excluded beyond those of the request; sorted.
    pub exclude: Vec<String>,
}

/// Finds the smallest set for a request that can be met.
///
/// # Errors
/// As [`resolve`]; [`ResolveError::NotProven`] where the optimum cannot be found or proven.
pub fn smallest(universe: &Universe<'_>, request: &Request) -> Result<Smallest, ResolveError> {
    let mut resolution = resolve(universe, request)?;
    let chosen = optimum(universe, request)?;
    let mut exclude = BTreeSet::new();
    loop {
        let names = resolution.packages.iter().map(|package| package.name.as_str());
        let more: Vec<String> = names.filter(|name| !chosen.contains(name)).map(String::from).collect();
        if more.is_empty() {
            break;
        }
        exclude.extend(more);
        let exclude = request.exclude.iter().chain(&exclude).cloned().collect();
        resolution = resolve(universe, &Request { exclude, ..request.clone() })?;
    }
    // Not all that was excluded on the way need stay so.
    let wanted: Vec<String> = resolution.packages.iter().map(|package| package.name.clone()).collect();
    for name in exclude.clone() {
        let without: Vec<String> =
            request.exclude.iter().chain(exclude.iter().filter(|other| **other != name)).cloned().collect();
        let again = resolve(universe, &Request { exclude: without, ..request.clone() });
        if again.is_ok_and(|again| again.packages.iter().map(|package| &package.name).eq(&wanted)) {
            exclude.remove(&name);
        }
    }
    Ok(Smallest { resolution, exclude: exclude.into_iter().collect() })
}

/// Returns the names of the packages of the smallest set.
fn optimum<'a>(universe: &Universe<'a>, request: &Request) -> Result<BTreeSet<&'a str>, ResolveError> {
    let facts = AllFacts::new(universe, request);
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let mut variables: HashMap<Id, Variable> = HashMap::new();
    let mut queue: Vec<Id> = Vec::new();
    let mut variable = |id: Id, problem: &mut Problem, queue: &mut Vec<Id>| {
        *variables.entry(id).or_insert_with(|| {
            queue.push(id);
            problem.add_binary_var(universe.package(id).installed_size_kib as f64 + EACH)
        })
    };
    for (id, _) in asked(universe, request)? {
        let variable = variable(id, &mut problem, &mut queue);
        problem.add_constraint([(variable, 1.0)], ComparisonOp::Eq, 1.0);
    }
    let mut bans: Vec<(Id, Id)> = Vec::new();
    while let Some(id) = queue.pop() {
        let this = variable(id, &mut problem, &mut queue);
        let of = facts.of(id)?;
        for need in of.needs.iter().filter(|need| need.critical && !need.options.contains(&id)) {
            let mut sum = vec![(this, -1.0)];
            sum.extend(need.options.iter().map(|option| (variable(*option, &mut problem, &mut queue), 1.0)));
            problem.add_constraint(&sum[..], ComparisonOp::Ge, 0.0);
        }
        bans.extend(of.bans.iter().map(|ban| (id.min(ban.id), id.max(ban.id))));
    }
    bans.sort_unstable();
    bans.dedup();
    for (one, other) in bans {
        // Candidates that nothing reaches are never installed.
        if let (Some(one), Some(other)) = (variables.get(&one), variables.get(&other)) {
            problem.add_constraint([(*one, 1.0), (*other, 1.0)], ComparisonOp::Le, 1.0);
        }
    }
    let solution = problem.solve().ok().and_then(|outcome| outcome.into_solution().ok());
    let proven = solution.filter(|solution| solution.status() == microlp::SolutionStatus::Optimal);
    let solution = proven.ok_or(ResolveError::NotProven)?;
    let chosen = variables.iter().filter(|(_, variable)| solution.var_value(**variable) > 0.5);
    Ok(chosen.map(|(id, _)| universe.package(*id).name).collect())
}
