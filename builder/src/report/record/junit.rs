//! Proofs as JUnit's XML, in the form that Maven's Surefire writes and Jenkins, GitLab and others read.
//!
//! ```text
//! <testsuites tests= failures= errors=>
//!   <testsuite name="cgit at 127.0.0.1:8765" tests= failures= errors= skipped=>
//!     <testcase name="start" classname="cgit.run"/>
//!     <testcase name="GET /repo/" classname="cgit.run">
//!       <failure type="difference" message="…">…</failure>
//!     </testcase>
//! ```
//!
//! No schema is binding. What is written here is what Jenkins' `junit-10.xsd` (`tests/foreign`) and Surefire's
//! `surefire-test-report.xsd` have in common; times, which the latter wants, are left out.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    error::chain,
    evidence::{Miss, step},
    exercise::{Authority, ExerciseError},
    line::{Fault, LineError},
    prove::{Difference, Proof, ProveError},
    recipe::Recipe,
    shown,
    web::escaped,
};

/// The suites so far.
#[derive(Default)]
pub(super) struct Suites {
    suites: Vec<Suite>,
    proofs: usize,
}

struct Suite {
    name: String,
    /// Names the cases' class: the app and where it was shown.
    class: String,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    verdict: Verdict,
    /// What should be known though it does not fail.
    said: String,
}

enum Verdict {
    Passed,
    /// The pruned app is at fault.
    Failed(Fall),
    /// Something else is: the host, the full root, the recipe.
    Broken(Fall),
    Skipped(String),
}

/// How a case fell.
#[derive(Clone)]
struct Fall {
    kind: &'static str,
    message: String,
    text: String,
}

/// The case of all that is before the first step: [`step::START`] is its mark in misses.
const START: &str = step::START;

/// The case of what the app leaves behind.
const AFTERWARDS: &str = "afterwards";

impl Suites {
    pub fn add(&mut self, recipe: &Recipe, outcome: Result<&Proof, &LineError>, explores: bool) {
        self.proofs += 1;
        let run = Authority::of_run(recipe);
        let authorities = if explores { vec![run.clone()] } else { Authority::all(recipe) };
        let words: Vec<String> = recipe.exercise.iter().map(step::words).collect();
        for (index, authority) in authorities.iter().enumerate() {
            let verdicts = match outcome {
                Ok(proof) => proven(&words, proof, authority, index == 0),
                Err(error) => unproven(&words, error, authority, index == 0),
            };
            let again = if self.proofs > 1 { format!(", proof {}", self.proofs) } else { String::new() };
            self.suites.push(Suite {
                name: format!("{} at {authority}{again}", recipe.app.name),
                class: format!("{}.{}", recipe.app.name, if *authority == run { "run" } else { "serve" }),
                cases: named(verdicts),
            });
        }
    }

    pub fn fail(&mut self, name: &str, text: &str) {
        let message = text.lines().next().unwrap_or_default().to_owned();
        let verdict = Verdict::Broken(Fall { kind: "error", message, text: text.to_owned() });
        let cases = vec![Case { name: START.to_owned(), verdict, said: String::new() }];
        self.suites.push(Suite { name: name.to_owned(), class: format!("{name}.run"), cases });
    }

    pub fn xml(&self) -> String {
        let cases = || self.suites.iter().flat_map(|suite| &suite.cases);
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tinyroot check\" {}>\n",
            counts(cases())
        );
        for suite in &self.suites {
            let skipped =
                suite.cases.iter().filter(|case| matches!(case.verdict, Verdict::Skipped(_))).count();
            let name = attribute(&suite.name);
            let counts = counts(suite.cases.iter());
            let _ = writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\">");
            suite.cases.iter().for_each(|case| case.write(&suite.class, &mut out));
            out += "  </testsuite>\n";
        }
        out + "</testsuites>\n"
    }
}

/// Returns the attributes with the numbers of cases.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for case in cases {
        tests += 1;
        failures += usize::from(matches!(case.verdict, Verdict::Failed(_)));
        errors += usize::from(matches!(case.verdict, Verdict::Broken(_)));
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

impl Case {
    fn write(&self, class: &str, out: &mut String) {
        let head =
            format!("    <testcase name=\"{}\" classname=\"{}\"", attribute(&self.name), attribute(class));
        let mut inner = String::new();
        let mut fall = |element: &str, fall: &Fall| {
            let (message, text) = (attribute(&fall.message), content(&fall.text));
            let kind = fall.kind;
            let _ =
                writeln!(inner, "      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>");
        };
        match &self.verdict {
            Verdict::Passed => {}
            Verdict::Failed(told) => fall("failure", told),
            Verdict::Broken(told) => fall("error", told),
            Verdict::Skipped(why) => {
                let _ = writeln!(inner, "      <skipped message=\"{}\"/>", attribute(why));
            }
        }
        if !self.said.is_empty() {
            let _ = writeln!(inner, "      <system-out>{}</system-out>", content(&self.said));
        }
        *out += &head;
        *out += &if inner.is_empty() { "/>\n".to_owned() } else { format!(">\n{inner}    </testcase>\n") };
    }
}

/// Gives each case a name of its own, for readers know them by that: of several with the same words the later
/// ones are numbered.
fn named(cases: Vec<Case>) -> Vec<Case> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let name = |mut case: Case| {
        let count = known.entry(case.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            case.name += &format!(" ({count})");
        }
        case
    };
    cases.into_iter().map(name).collect()
}

/// Returns the cases of a proof under an authority. Which run a pruned path was missed in is not known, so
/// the first one has it.
fn proven(words: &[String], proof: &Proof, authority: &Authority, is_first: bool) -> Vec<Case> {
    let explored = proof.transcript.steps.iter().skip(words.len()).map(|record| &record.what);
    let words: Vec<&String> = words.iter().chain(explored).collect();
    let verdict = |number: usize| {
        let here = |difference: &&Difference| {
            difference.step == number && (difference.at.is_empty() || difference.at.contains(authority))
        };
        let found: Vec<&Difference> = proof.differences.iter().filter(here).collect();
        let Some(first) = found.first() else { return Verdict::Passed };
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        let message = first.clause.clone();
        Verdict::Failed(Fall { kind: "difference", message, text: text.join("\n") })
    };
    let mut told =
        Told::new(if is_first { proof.misses.iter().chain(&proof.written).collect() } else { Vec::new() });
    let mut cases = vec![Case { name: START.into(), verdict: Verdict::Passed, said: told.at(START) }];
    for (index, words) in words.iter().enumerate() {
        let said = told.at(&step::mark_of(words));
        cases.push(Case { name: (*words).clone(), verdict: verdict(index + 1), said });
    }
    cases.push(Case { name: AFTERWARDS.into(), verdict: verdict(0), said: told.rest() });
    cases
}

/// Misses, each told once: at the first case that has its mark.
struct Told<'a>(Vec<&'a Miss>);

impl<'a> Told<'a> {
    fn new(misses: Vec<&'a Miss>) -> Self {
        Told(misses)
    }

    fn at(&mut self, mark: &str) -> String {
        let (here, left) = std::mem::take(&mut self.0).into_iter().partition(|miss| miss.step == mark);
        self.0 = left;
        lines(&here)
    }

    fn rest(&mut self) -> String {
        lines(&std::mem::take(&mut self.0))
    }
}

fn lines(misses: &[&Miss]) -> String {
    misses.iter().map(|miss| format!("{}\n", miss.warning())).collect()
}

/// Returns the cases of an app that could not be proven, under an authority.
fn unproven(words: &[String], error: &LineError, authority: &Authority, is_first: bool) -> Vec<Case> {
    let case = |name: &str, verdict| Case { name: name.to_owned(), verdict, said: String::new() };
    let skipped = |why: &str| Verdict::Skipped(why.to_owned());
    let (root, falls, taken) = match error.fault() {
        Fault::Prove(ProveError::Exercise { root, authority: at, source, misses, tail })
            if at == authority =>
        {
            let misses: Vec<&Miss> = misses.iter().collect();
            let falls = falls(source, &misses, tail);
            let taken = match &**source {
                ExerciseError::Missed { transcript, .. } => transcript.steps.len(),
                _ => falls.keys().next().copied().unwrap_or(0),
            };
            (*root, falls, taken)
        }
        Fault::Prove(ProveError::Exercise { authority: at, .. }) => {
            let why = format!("the exercise failed at {at}");
            let names = std::iter::once(START).chain(words.iter().map(String::as_str)).chain([AFTERWARDS]);
            return names.map(|name| case(name, skipped(&why))).collect();
        }
        fault => {
            let root = match fault {
                Fault::Prove(ProveError::Grain { root, .. }) => *root,
                _ => "",
            };
            let mut text = chain(error);
            error.misses().iter().for_each(|miss| text += &format!("\n{}", miss.warning()));
            let message = text.lines().next().unwrap_or_default().to_owned();
            (root, BTreeMap::from([(0, Fall { kind: "start", message, text })]), 0)
        }
    };
    if falls.contains_key(&0) && !is_first {
        let names = std::iter::once(START).chain(words.iter().map(String::as_str)).chain([AFTERWARDS]);
        return names.map(|name| case(name, skipped("the app was not proven"))).collect();
    }
    let verdict = |number: usize| match falls.get(&number) {
        Some(fall) if root == "pruned" => Verdict::Failed(fall.clone()),
        Some(fall) => Verdict::Broken(fall.clone()),
        None if number > taken => skipped("not taken"),
        None => Verdict::Passed,
    };
    let mut cases = vec![case(START, verdict(0))];
    cases.extend(words.iter().enumerate().map(|(index, words)| case(words, verdict(index + 1))));
    cases.push(case(AFTERWARDS, skipped("not taken")));
    cases
}

/// Returns the steps at which an exercise failed, and how; the first says what the app lacked.
fn falls(error: &ExerciseError, misses: &[&Miss], tail: &[String]) -> BTreeMap<usize, Fall> {
    let mut falls = BTreeMap::new();
    match error {
        ExerciseError::Missed { misses, .. } => {
            for miss in misses {
                let message = miss.problems.first().cloned().unwrap_or_default();
                falls.insert(miss.step, Fall { kind: "expectation", message, text: miss.to_string() });
            }
        }
        ExerciseError::Connect { step, .. }
        | ExerciseError::Response { step, .. }
        | ExerciseError::Act { step, .. }
        | ExerciseError::Pattern { step, .. } => {
            let text = chain(error);
            falls.insert(*step, Fall { kind: "exercise", message: text.clone(), text });
        }
    }
    if let Some(first) = falls.values_mut().next() {
        for miss in misses {
            let told = if miss.is_listing() { miss.to_string() } else { miss.warning() };
            first.text += &format!("\n{told}");
        }
        for line in tail {
            first.text += &format!("\n| {line}");
        }
    }
    falls
}

/// Returns a text as XML has it between tags. What no XML may hold, and what would not be seen, is written as
/// an escape (`\u001b`).
fn content(text: &str) -> String {
    // XML 1.0, 2.2: of the characters that are not controls it lacks these two alone.
    escaped(&shown::lines(text).replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
}

/// Returns a text as XML has it in an attribute: readers make blanks of ends of lines that stand there bare.
fn attribute(text: &str) -> String {
    content(text).replace('\n', "&#10;").replace('\t', "&#9;")
}
