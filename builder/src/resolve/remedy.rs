//! Single changes that make an unsolvable request solvable.

use crate::resolve::{Request, universe::Universe};

/// How many changes are tried at most: each costs an attempt to resolve.
const MOST: usize = 24;

/// Returns the single changes after which there is a solution, in the order of the request: an
/// exclusion given up first, then a package not requested. Empty where no one change will do.
pub fn remedies(universe: &Universe<'_>, request: &Request) -> Vec<String> {
    let without = |names: &[String], at: usize| -> Vec<String> {
        names.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, name)| name.clone()).collect()
    };
    let excluded = request.exclude.iter().enumerate().map(|(at, name)| {
        let exclude = without(&request.exclude, at);
        (format!("do not exclude {name}"), Request { exclude, ..request.clone() })
    });
    // A request for nothing can always be met.
    let several = request.packages.len() > 1;
    let asked = request.packages.iter().enumerate().filter(|_| several).map(|(at, name)| {
        let packages = without(&request.packages, at);
        (format!("leave out {name}"), Request { packages, ..request.clone() })
    });
    let works = |(_, request): &(String, Request)| super::resolve(universe, request).is_ok();
    excluded.chain(asked).take(MOST).filter(works).map(|(text, _)| text).collect()
}
