//! A record of proofs for other programs: as JUnit's XML for what shows tests, as SARIF for what shows
//! findings beside lines of a repository.
//!
//! Pure, and the same for the same proof: neither form has a time in it.

mod junit;
mod sarif;

use std::path::Path;

use serde_json::Value;

use self::{junit::Suites, sarif::Findings};
use crate::{line::LineError, prove::Proof, recipe::Recipe};

/// Proofs of one app, told one after the other.
#[derive(Default)]
pub struct ProofRecord {
    suites: Suites,
    findings: Findings,
}

/// Where the results of a record are to be looked at.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// At the steps of a recipe.toml, by its path.
    Recipe(&'a Path),
    /// At a package, by its path.
    Package(&'a Path),
}

impl ProofRecord {
    /// Adds a proof, or why there is none. Steps beyond those of the recipe are pages that were explored.
    pub fn add(&mut self, recipe: &Recipe, outcome: Result<&Proof, &LineError>, explores: bool) {
        self.suites.add(recipe, outcome, explores);
        self.findings.add(recipe, outcome);
    }

    /// Adds that it did not come to a proof; `name` is what the app is known by, and the text says why.
    pub fn fail(&mut self, name: &str, text: &str) {
        self.suites.fail(name, text);
        self.findings.fail(text);
    }

    /// Returns an XML document as JUnit's reporters write it: a suite for each run of the pruned app, a case
    /// for each step of the exercise, one before them and one behind.
    pub fn junit(&self) -> String {
        self.suites.xml()
    }

    /// Returns a document of SARIF 2.1.0: a result for each pruned path that the app asked for.
    pub fn sarif(&self, place: Place<'_>) -> Value {
        self.findings.json(place)
    }
}

#[cfg(test)]
mod tests;
