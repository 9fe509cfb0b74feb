//! Why a package is chosen, or why not: every requirement of a chosen package that names it.

use crate::resolve::{Request, Resolution, ResolveError, facts::AllFacts, find, universe::Universe};

/// Why a package is chosen, or is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The package.
    pub name: String,
    /// Whether it is chosen.
    pub chosen: bool,
    /// The ways to it, the shortest first; each a list of steps from the request on, such as
    /// `hello 2.10-3: requested`, `libc6 2.36-9: Depends: libc6 (>= 2.34) of hello`.
    pub ways: Vec<Way>,
}

/// One way from the request to a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Way {
    /// The steps.
    pub steps: Vec<String>,
    /// The alternatives of the last step, in the order in which they are tried.
    pub instead: Vec<String>,
    /// The packages that satisfy the last step; empty where that is the package in question alone.
    pub met_by: Vec<String>,
}

/// Explains one package of a resolution, chosen or not.
///
/// # Errors
/// An unknown name, or a stanza whose relations cannot be read.
pub fn explain(
    universe: &Universe<'_>,
    request: &Request,
    resolution: &Resolution,
    name: &str,
) -> Result<Explanation, ResolveError> {
    let wanted = find(universe, name)?;
    let facts = AllFacts::new(universe, request);
    let name = universe.package(wanted).name;
    let mut out = Explanation { name: name.into(), ..Explanation::default() };
    if let Some(package) = resolution.get(name) {
        out.chosen = true;
        if package.by.is_none() {
            let step = format!("{name} {}: {}", package.version, package.because);
            out.ways.push(Way { steps: vec![step], ..Way::default() });
        }
    }
    for package in &resolution.packages {
        let Some(id) = universe.find(&package.name) else { continue };
        for need in facts.of(id)?.needs.iter().filter(|need| need.options.contains(&wanted)) {
            let mut steps = chain(resolution, &package.name);
            steps.push(format!(
                "{name} {}: {}: {} of {}",
                universe.package(wanted).version,
                need.field,
                need.text,
                package.name
            ));
            let others = need.options.iter().filter(|option| **option != wanted);
            let others: Vec<&str> = others.map(|option| universe.package(*option).name).collect();
            let (met_by, instead): (Vec<&str>, Vec<&str>) =
                others.into_iter().partition(|other| resolution.get(other).is_some());
            let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect();
            out.ways.push(Way { steps, instead: owned(instead), met_by: owned(met_by) });
        }
    }
    out.ways.sort_by_key(|way| way.steps.len());
    Ok(out)
}

/// Returns the steps from the request to a chosen package.
fn chain(resolution: &Resolution, name: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut next = Some(name);
    while let Some(package) = next.and_then(|name| resolution.get(name)) {
        steps.push(format!("{} {}: {}", package.name, package.version, package.because));
        next = package.by.as_deref();
    }
    steps.reverse();
    steps
}
