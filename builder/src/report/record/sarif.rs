//! Misses as SARIF 2.1.0 (Static Analysis Results Interchange Format, an OASIS standard).
//!
//! A result's place in a file is the step of recipe.toml at which the path was asked for, since that is what
//! a reviewer looks at; its logical location is the path itself. A path has one result for each way in which
//! it is known, however often it was asked for.

use std::{collections::BTreeMap, path::Component};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use super::Place;
use crate::{
    digest::Digest,
    error::chain,
    evidence::{Cause, Miss, step},
    line::LineError,
    prove::Proof,
    recipe::{Recipe, exercise_lines},
    shown,
};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// How much a result matters, in SARIF's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// The app does without.
    Note,
    /// A person should look.
    Warning,
    /// The proof failed, and this may be why.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// A kind of finding: its name, and what it says of a path.
struct Rule {
    id: &'static str,
    text: &'static str,
    help: &'static str,
}

const KEEP: &str = "Trace again, or add the path to prune.keep in recipe.toml.";

/// All kinds, by the names that results have.
const RULES: [Rule; 4] = [
    Rule { id: "pruned-path-requested", text: "The app requests a path that was pruned.", help: KEEP },
    Rule {
        id: "pruned-path-named",
        text: "The app's output says that a pruned path is not there.",
        help: KEEP,
    },
    Rule {
        id: "pruned-names-listed",
        text: "The app lists a directory without the names that were pruned from it.",
        help: KEEP,
    },
    Rule {
        id: "shipped-state-written",
        text: "The app writes to a file below /var that is shipped read-only.",
        help: "Add the path to app.state in recipe.toml.",
    },
];

/// Returns the index of a miss's rule.
fn rule_of(miss: &Miss) -> usize {
    match miss.cause {
        Cause::Asked | Cause::Shown => 0,
        Cause::Said(_) => 1,
        Cause::Listed(_) => 2,
        Cause::Written => 3,
    }
}

/// The results so far.
#[derive(Default)]
pub(super) struct Findings {
    /// By the pruned path and the rule.
    results: BTreeMap<(String, usize), Finding>,
    /// Why it did not come to a proof, or how it failed.
    faults: Vec<String>,
}

struct Finding {
    level: Level,
    text: String,
    line: Option<usize>,
}

impl Findings {
    pub fn add(&mut self, recipe: &Recipe, outcome: Result<&Proof, &LineError>) {
        let lines = exercise_lines(&recipe.text);
        let line_of = |miss: &Miss| {
            let index = recipe.exercise.iter().position(|step| step::mark(step) == miss.step)?;
            lines.get(index).copied()
        };
        match outcome {
            Ok(proof) => {
                for difference in &proof.differences {
                    self.faults.push(difference.to_string());
                    difference.misses.iter().for_each(|miss| self.find(miss, Level::Error, line_of(miss)));
                }
                proof.misses.iter().for_each(|miss| self.find(miss, Level::Note, line_of(miss)));
                proof.written.iter().for_each(|miss| self.find(miss, Level::Warning, line_of(miss)));
            }
            Err(error) => {
                self.faults.push(chain(error));
                error.misses().iter().for_each(|miss| self.find(miss, Level::Error, line_of(miss)));
            }
        }
    }

    pub fn fail(&mut self, text: &str) {
        self.faults.push(text.to_owned());
    }

    fn find(&mut self, miss: &Miss, level: Level, line: Option<usize>) {
        let text = if miss.is_listing() { miss.to_string() } else { miss.warning() };
        let new = || Finding { level, text, line };
        let found = self.results.entry((format!("/{}", miss.path), rule_of(miss))).or_insert_with(new);
        found.level = found.level.max(level);
    }

    pub fn json(&self, place: Place<'_>) -> Value {
        let results = self.results.iter().map(|((path, rule), finding)| {
            let mut location = json!({ "artifactLocation": { "uri": uri_of(place) } });
            if let Place::Recipe(_) = place {
                location["region"] = json!({ "startLine": finding.line.unwrap_or(1) });
            }
            let id = RULES.get(*rule).map(|rule| rule.id).unwrap_or_default();
            json!({
                "ruleId": id,
                "ruleIndex": rule,
                "level": finding.level.word(),
                "message": { "text": shown::lines(&finding.text) },
                "locations": [{
                    "physicalLocation": location,
                    "logicalLocations": [{ "fullyQualifiedName": shown::line(path), "kind": "resource" }],
                }],
                "partialFingerprints": { "path/v1": Digest::of(format!("{id} {path}").as_bytes()).to_string() },
            })
        });
        let rules = RULES.iter().map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.text },
                "help": { "text": rule.help },
            })
        });
        let notifications = self
            .faults
            .iter()
            .map(|text| json!({ "level": "error", "message": { "text": shown::lines(text) } }));
        json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "tinyroot",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules.collect::<Vec<_>>(),
                } },
                "invocations": [{
                    "executionSuccessful": self.faults.is_empty(),
                    "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
                }],
                "results": results.collect::<Vec<_>>(),
            }],
        })
    }
}

/// What stands in a segment of a URI as it is: `pchar` of RFC 3986 but the colon, which could end a scheme.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// Returns a path as a reference to a URI: a relative one is relative to the repository, as readers have it.
fn uri_of(place: Place<'_>) -> String {
    let (Place::Recipe(path) | Place::Package(path)) = place;
    let mut segments = Vec::new();
    for part in path.components().filter(|part| *part != Component::CurDir) {
        segments.push(match part {
            Component::RootDir => "file://".to_owned(),
            part => percent_encode(part.as_os_str().as_encoded_bytes(), SEGMENT).to_string(),
        });
    }
    segments.join("/")
}
