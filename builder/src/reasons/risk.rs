//! What the artifact says against taking something away.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Gone, Graph, Sum};
use crate::tree::TreePath;

/// What would suffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// Programs and libraries that stay and do not start without a path that goes, each with that one.
    pub broken: BTreeSet<(TreePath, TreePath)>,
    /// Other paths that stay, for which a path that goes was kept, each with that one.
    pub bereft: BTreeSet<(TreePath, TreePath)>,
    /// The recipe's own files, and the programs that it starts, with what they are.
    pub laid: BTreeMap<TreePath, String>,
    /// Packages that stay and depend on one that goes, each with that one.
    pub dependents: BTreeSet<(String, String)>,
    /// The steps that are known to use what goes, each with the number of files.
    pub steps: BTreeMap<String, u64>,
}

impl Risk {
    /// Returns whether the app would surely not run.
    pub fn is_fatal(&self) -> bool {
        !self.broken.is_empty() || !self.laid.is_empty()
    }
}

impl Graph {
    /// Returns the risk of what goes.
    pub fn risk(&self, gone: &Gone) -> Risk {
        let mut risk = Risk::default();
        for path in &gone.paths {
            let Some(file) = self.facts.files.get(path) else { continue };
            for cause in &file.causes {
                match cause {
                    Cause::File(by) if gone.paths.contains(by) || !self.facts.files.contains_key(by) => {}
                    Cause::File(by) if file.needed_by.contains(by) => {
                        risk.broken.insert((by.clone(), path.clone()));
                    }
                    Cause::File(by) => drop(risk.bereft.insert((by.clone(), path.clone()))),
                    Cause::Rule { rule, text } if **rule == *"laid" => {
                        risk.laid.insert(path.clone(), text.to_string());
                    }
                    _ => {}
                }
            }
            for step in file.steps.iter().filter(|_| file.is_file) {
                *risk.steps.entry(step.clone()).or_default() += 1;
            }
        }
        for package in &gone.packages {
            let dependents = self.facts.dependents.get(package).into_iter().flatten();
            // One of which nothing is kept does not run.
            let there = dependents.filter(|name| {
                !gone.packages.contains(*name)
                    && self.by_heading.get(*name).is_some_and(|(sum, _)| sum.files > 0)
            });
            risk.dependents.extend(there.map(|name| (name.clone(), package.clone())));
        }
        risk
    }

    /// Returns what keeps that which goes, but for what goes itself: the largest first.
    pub fn kept_by(&self, gone: &Gone) -> Vec<(Cause, Sum)> {
        let mut sums: BTreeMap<&Cause, Sum> = BTreeMap::new();
        for (_, file, saved) in self.saved(gone) {
            for cause in &file.causes {
                if !matches!(cause, Cause::File(by) if gone.paths.contains(by)) {
                    sums.entry(cause).or_default().add_sum(&saved);
                }
            }
        }
        let mut out: Vec<(Cause, Sum)> = sums
            .into_iter()
            .filter(|(_, sum)| sum.files > 0)
            .map(|(cause, sum)| (cause.clone(), sum))
            .collect();
        out.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::{Drop, Facts, FileFacts};

    #[test]
    fn what_stays_and_needs_what_goes_is_named() {
        let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
        let file = |heading: &str, causes: &[Cause]| FileFacts {
            packed_bytes: 1,
            is_file: true,
            heading: heading.to_owned(),
            causes: causes.to_vec(),
            steps: BTreeSet::from(["start".to_owned()]),
            ..FileFacts::default()
        };
        let laid = Cause::Rule { rule: "laid".into(), text: "the program of service \"web\"".into() };
        let web = Cause::File(path("web"));
        let mut library = file("libtea", std::slice::from_ref(&web));
        library.needed_by.insert(path("web"));
        let mut facts = Facts::default();
        facts.files.insert(path("web"), file("web", &[laid]));
        facts.files.insert(path("libtea"), library);
        facts.files.insert(path("leaf"), file("libtea", &[web]));
        facts.dependents.insert("libtea".to_owned(), BTreeSet::from(["web".to_owned(), "absent".to_owned()]));
        let graph = Graph::new(facts);
        let packages = |name: &str| Drop { packages: BTreeSet::from([name.to_owned()]), ..Drop::default() };
        let risk = graph.risk(&graph.gone(&packages("libtea")));
        assert_eq!(risk.broken, BTreeSet::from([(path("web"), path("libtea"))]));
        assert_eq!(risk.bereft, BTreeSet::from([(path("web"), path("leaf"))]));
        assert_eq!(risk.dependents, BTreeSet::from([("web".to_owned(), "libtea".to_owned())]));
        assert_eq!(risk.steps, BTreeMap::from([("start".to_owned(), 2)]));
        assert!(risk.laid.is_empty() && risk.is_fatal());
        let all = graph.gone(&packages("web"));
        assert_eq!(all.paths.len(), 3);
        let risk = graph.risk(&all);
        assert_eq!((risk.broken.len(), risk.laid.len(), risk.is_fatal()), (0, 1, true));
        assert_eq!(graph.kept_by(&all).len(), 1);
    }
}
