//! Uses of an app beyond its `used.list`, numbered in the order in which they were seen.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::evidence::{UsedLine, UsedList};
use crate::tree::TreePath;

/// Uses seen so far that the known list lacks.
pub(super) struct News {
    known: UsedList,
    all: UsedList,
    used: usize,
    found: Vec<Found>,
}

/// A path used for the first time, or for the first time in that way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    number: usize,
    /// Absolute and escaped, as `used.list` has it.
    path: String,
    kinds: Vec<&'static str>,
    program: Option<String>,
    service: Option<String>,
    package: Option<String>,
    step: Option<String>,
    /// Whether `used.list` does not have it at all; else it has it as used in other ways.
    new: bool,
}

/// The result of [`News::since`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    /// The number for the next request.
    pub next: usize,
    /// Paths used so far in this run.
    pub used: usize,
    /// Those that `used.list` does not have.
    pub new: usize,
    /// Those that it has as used in other ways.
    pub otherwise: usize,
    /// Requests to the app so far.
    pub requests: usize,
    /// In order of their numbers. A path comes again when it is used in one more way.
    pub found: Vec<Found>,
}

impl News {
    /// Begins with the known list.
    pub fn new(known: UsedList) -> Self {
        News { all: known.clone(), known, used: 0, found: Vec::new() }
    }

    /// Adds all uses so far.
    pub fn ingest(&mut self, used: &UsedList) {
        self.used = used.len();
        for (path, line) in used.iter() {
            let before = self.all.kinds(path.as_bytes());
            self.all.insert(path.clone(), line.clone());
            let kinds = self.all.kinds(path.as_bytes());
            if kinds != before {
                let line = UsedLine { kinds, ..line.clone() };
                self.found.push(Found::new(self.found.len(), path, line, &self.known));
            }
        }
    }

    /// Returns the new uses from that number on.
    pub fn since(&self, since: usize, requests: usize) -> Told {
        let paths =
            |new| self.found.iter().filter(|f| f.new == new).map(|f| &f.path).collect::<BTreeSet<_>>();
        Told {
            next: self.found.len(),
            used: self.used,
            new: paths(true).len(),
            otherwise: paths(false).len(),
            requests,
            found: self.found.get(since..).unwrap_or_default().to_vec(),
        }
    }
}

impl Found {
    fn new(number: usize, path: &TreePath, line: UsedLine, known: &UsedList) -> Self {
        let UsedLine { kinds, program, package, service, step } = line;
        let [program, package, service, step] =
            [program, package, service, step].map(|text| (!text.is_empty()).then_some(text));
        let new = !known.contains(path.as_bytes());
        let (path, kinds) = (format!("/{path}"), kinds.iter().map(|(_, name)| name).collect());
        Found { number, path, kinds, program, service, package, step, new }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn list(text: &str) -> UsedList {
        UsedList::parse(text, Path::new("used.list")).expect("a good list")
    }

    fn shown(told: &Told) -> Vec<String> {
        let line = |f: &Found| format!("{} {} {} {}", f.number, f.path, f.kinds.join(","), f.new);
        told.found.iter().map(line).collect()
    }

    #[test]
    fn each_new_use_is_told_once_and_in_order() {
        let mut news = News::new(list("/a opened - - - start\n/b stat - - - start\n"));
        news.ingest(&list("/a stat - - - start\n/b opened - - - GET:/\n/c stat - - - start\n"));
        let told = news.since(0, 1);
        assert_eq!(shown(&told), ["0 /b opened false", "1 /c stat true"]);
        assert_eq!((told.next, told.used, told.new, told.otherwise, told.requests), (2, 3, 1, 1, 1));
        news.ingest(&list("/a stat - - - start\n/b opened - - - GET:/\n/c opened - - - GET:/x\n"));
        let told = news.since(2, 2);
        assert_eq!(shown(&told), ["2 /c opened true"]);
        assert_eq!((told.next, told.new, told.otherwise), (3, 1, 1));
        assert_eq!(told.found[0].step.as_deref(), Some("GET:/x"));
        assert_eq!(told.found[0].program, None);
        assert_eq!(shown(&news.since(3, 2)), Vec::<String>::new());
        assert_eq!(shown(&news.since(9, 2)), Vec::<String>::new());
    }
}
