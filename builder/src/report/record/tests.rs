use std::{
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use roxmltree::{Document, Node};

use super::*;
use crate::{
    evidence::{Cause, Miss},
    exercise::{self, Authority, ExerciseError, Outcome, Record, Transcript},
    grain::GrainError,
    prove::{Difference, ProveError},
    recipe,
    sandbox::Exit,
    testing::skip,
    tree::TreePath,
};

const TEXT: &str = "\
[app]
name = \"tea\"
version = \"1\"
packages = [\"tea\"]
[debian]
suite = \"bookworm\"
[[service]]
name = \"web\"
command = [\"/usr/bin/tea\"]
[web]
port = 8000
[[exercise]]
get = \"/a<b>&'c'\"
contains = \"x\"
[[exercise]]
restart = true
[[exercise]]
get = \"/c\"
contains = \"x\"
[[exercise]]
restart = true
";

fn tea() -> Recipe {
    recipe::read_text(Path::new("recipes/tea"), TEXT.to_owned()).expect("is a recipe")
}

fn miss(path: &[u8], step: &str, cause: Cause) -> Miss {
    Miss {
        path: TreePath::new(path).expect("a good path"),
        package: Some("tea".into()),
        program: "/usr/bin/tea".into(),
        step: step.into(),
        cause,
    }
}

fn proof(recipe: &Recipe) -> Proof {
    let done = |(index, step)| Record {
        step: index + 1,
        what: crate::evidence::step::words(step),
        outcome: Outcome::Done,
    };
    let steps = recipe.exercise.iter().enumerate().map(done).collect();
    Proof {
        transcript: Transcript { steps, ..Transcript::default() },
        differences: Vec::new(),
        misses: Vec::new(),
        warnings: Vec::new(),
        written: Vec::new(),
        listed: Vec::new(),
        compared: true,
        left_out: Vec::new(),
        unseen: None,
    }
}

fn difference(step: usize, clause: &str, at: Vec<Authority>, misses: Vec<Miss>) -> Difference {
    let (what, lines) = ("GET /c".into(), vec!["- \u{1b}[31mred\u{1b}[0m ]]> <b>".into()]);
    Difference { step, what, clause: clause.into(), lines, misses, at }
}

fn record(recipe: &Recipe, outcome: Result<&Proof, &LineError>) -> ProofRecord {
    let mut record = ProofRecord::default();
    record.add(recipe, outcome, false);
    record
}

/// Asserts that the schema of Jenkins takes a document, with the xmllint of this host.
fn assert_taken_by_jenkins(xml: &str) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/foreign/junit-10.xsd");
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--noout", "--nonet", "--schema"]).arg(schema).arg("-");
    let started = xmllint.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut running = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => return skip("xmllint, of libxml2-utils"),
        started => started.expect("starts"),
    };
    running.stdin.take().expect("is piped").write_all(xml.as_bytes()).expect("writes");
    let ended = running.wait_with_output().expect("ends");
    assert!(ended.status.success(), "{}{xml}", String::from_utf8_lossy(&ended.stderr));
}

/// Asserts that a document has the form which the schemas of Jenkins and of Surefire have in common, and that
/// its numbers are those of its cases.
fn assert_form(xml: &str) {
    assert_taken_by_jenkins(xml);
    let document = Document::parse(xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
    let elements = |node: Node<'_, '_>| node.children().filter(Node::is_element).count();
    let number =
        |node: Node<'_, '_>, name: &str| node.attribute(name).map(|n| n.parse::<usize>().expect("a number"));
    for node in document.descendants().filter(Node::is_element) {
        let attributes: Vec<&str> = node.attributes().map(|attribute| attribute.name()).collect();
        let name = node.tag_name().name();
        let parent = node.parent_element().map(|parent| parent.tag_name().name().to_owned());
        let (parents, needed): (&[Option<&str>], &[&str]) = match name {
            "testsuites" => (&[None], &["name", "tests", "failures", "errors"]),
            "testsuite" => (&[Some("testsuites")], &["name", "tests", "failures", "errors", "skipped"]),
            "testcase" => (&[Some("testsuite")], &["name", "classname"]),
            "failure" | "error" => (&[Some("testcase")], &["type", "message"]),
            "skipped" => (&[Some("testcase")], &["message"]),
            "system-out" => (&[Some("testcase")], &[]),
            _ => panic!("<{name}> is no element of JUnit's"),
        };
        assert!(parents.contains(&parent.as_deref()), "<{name}> in {parent:?}");
        assert_eq!(attributes, needed, "<{name}>");
        if name.starts_with("testsuite") {
            let of = |sought: &str| node.descendants().filter(|node| node.has_tag_name(sought)).count();
            let count = |name| number(node, name).unwrap_or_default();
            let counted = (of("testcase"), of("failure"), of("error"));
            assert_eq!((count("tests"), count("failures"), count("errors")), counted, "{xml}");
            assert_eq!(number(node, "skipped").unwrap_or(of("skipped")), of("skipped"));
        }
        let verdicts = ["failure", "error", "skipped"];
        let verdicts = node.children().filter(|child| verdicts.iter().any(|name| child.has_tag_name(*name)));
        assert!(verdicts.count() <= 1);
        if name == "testsuite" {
            assert!(elements(node) > 0);
            let mut names: Vec<_> = node.children().filter_map(|case| case.attribute("name")).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "two cases of one name: {xml}");
        }
    }
}

/// Returns a line for each case: its suite, its name, its verdict and its message.
fn cases(record: &ProofRecord) -> Vec<String> {
    let xml = record.junit();
    assert_form(&xml);
    let document = Document::parse(&xml).expect("is XML");
    let case = |case: Node<'_, '_>| {
        let suite = case.parent_element().and_then(|suite| suite.attribute("name")).expect("has a name");
        let mut line = format!("{suite}: {}", case.attribute("name").expect("has a name"));
        for child in case.children().filter(Node::is_element) {
            let told = child.attribute("message").or(child.text()).unwrap_or_default().trim_end();
            line += &format!(" {} {told}", child.tag_name().name());
        }
        line
    };
    document.descendants().filter(|node| node.has_tag_name("testcase")).map(case).collect()
}

fn sarif(record: &ProofRecord, place: Place<'_>) -> Value {
    let document = record.sarif(place);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/foreign/sarif-2.1.0.json");
    let mut schemas = boon::Schemas::new();
    let schema =
        boon::Compiler::new().compile(schema.to_str().expect("text"), &mut schemas).expect("compiles");
    if let Err(error) = schemas.validate(&document, schema) {
        panic!("{error:#}\n{document:#}");
    }
    document
}

const RUN: &str = "tea at 127.0.0.1:8765";
const SERVE: &str = "tea at g-0123456789abcdef.localhost:6080";

#[test]
fn a_proof_that_passes_has_a_case_for_each_step_of_each_run() {
    let recipe = tea();
    let mut passed = proof(&recipe);
    passed.misses = vec![miss(b"usr/share/tea/x", "GET:/c", Cause::Asked)];
    let steps = ["start", "GET /a<b>&'c'", "restart", "GET /c", "restart (2)", "afterwards"];
    let mut expected: Vec<String> =
        [RUN, SERVE].iter().flat_map(|suite| steps.map(|step| format!("{suite}: {step}"))).collect();
    expected[3] += " system-out pruned: /usr/share/tea/x of tea, asked for by /usr/bin/tea at GET:/c; to have it, \
                    add keep = [\"/usr/share/tea/x\"]";
    let record = record(&recipe, Ok(&passed));
    assert_eq!(cases(&record), expected);
    let document = sarif(&record, Place::Recipe(Path::new("./recipes/tea/recipe.toml")));
    let run = &document["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"pruned-path-requested".into(), &"note".into()));
    let location = &result["locations"][0];
    assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], "recipes/tea/recipe.toml");
    // The line of the step that asks for it.
    assert_eq!(location["physicalLocation"]["region"]["startLine"], 17);
    assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "/usr/share/tea/x");
}

#[test]
fn a_difference_fails_the_case_of_its_step_where_it_shows() {
    let recipe = tea();
    let mut failed = proof(&recipe);
    let lacked = miss(b"usr/share/tea/<x>", "GET:/c", Cause::Asked);
    failed.differences = vec![
        difference(3, "status 200 is 500", vec![Authority::of_serve(&recipe)], vec![lacked.clone()]),
        difference(0, "/var/lib/tea is missing", Vec::new(), Vec::new()),
    ];
    failed.misses = vec![lacked];
    let record = record(&recipe, Ok(&failed));
    let cases = cases(&record);
    let fallen: Vec<&String> = cases.iter().filter(|case| case.contains(" failure ")).collect();
    assert_eq!(
        fallen,
        [
            &format!("{RUN}: afterwards failure /var/lib/tea is missing"),
            &format!("{SERVE}: GET /c failure status 200 is 500"),
            &format!("{SERVE}: afterwards failure /var/lib/tea is missing"),
        ]
    );
    let xml = record.junit();
    // No control reaches a terminal or an XML reader, and no markup gets through.
    assert!(xml.contains("\\u001b[31mred\\u001b[0m ]]&gt; &lt;b&gt;"), "{xml}");
    assert!(xml.contains("add keep = [&quot;/usr/share/tea/&lt;x&gt;&quot;]"), "{xml}");
    let document = sarif(&record, Place::Package(Path::new("/srv/a b/tea.spk")));
    let run = &document["runs"][0];
    assert_eq!(run["results"][0]["level"], "error");
    assert_eq!(run["results"].as_array().map(Vec::len), Some(1));
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place, &serde_json::json!({ "artifactLocation": { "uri": "file:///srv/a%20b/tea.spk" } }));
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
}

fn exercise_error(recipe: &Recipe, root: &'static str, source: ExerciseError) -> LineError {
    ProveError::Exercise {
        root,
        authority: Authority::of_run(recipe),
        source: Box::new(source),
        misses: vec![miss(b"usr/share/tea/y", "start", Cause::Said("no \u{fffe}tea\u{7}".into()))],
        tail: vec!["tea: spilt".into()],
    }
    .into()
}

#[test]
fn an_expectation_that_does_not_hold_fails_its_step_and_the_rest_is_skipped() {
    let recipe = tea();
    let transcript =
        Transcript { steps: proof(&recipe).transcript.steps[..3].to_vec(), ..Transcript::default() };
    let missed = |step| exercise::Miss {
        step,
        what: "GET /c".into(),
        problems: vec!["expected text \"x\", not found".into()],
        excerpt: vec!["<html>".into()],
        message: None,
    };
    let source = |transcript: &Transcript| ExerciseError::Missed {
        misses: vec![missed(3)],
        transcript: Box::new(transcript.clone()),
    };
    for (root, element) in [("pruned", "failure"), ("full", "error")] {
        let error = exercise_error(&recipe, root, source(&transcript));
        let record = record(&recipe, Err(&error));
        let cases = cases(&record);
        assert_eq!(cases[1..3], [format!("{RUN}: GET /a<b>&'c'"), format!("{RUN}: restart")]);
        assert_eq!(cases[3], format!("{RUN}: GET /c {element} expected text \"x\", not found"));
        assert_eq!(cases[4], format!("{RUN}: restart (2) skipped not taken"));
        assert_eq!(cases[7], format!("{SERVE}: GET /a<b>&'c' skipped the exercise failed at 127.0.0.1:8765"));
        let xml = record.junit();
        assert!(xml.contains("named in the app&#39;s output: no \\ufffetea at start"), "{xml}");
        assert!(xml.contains("\n| tea: spilt<"), "{xml}");
        let document = sarif(&record, Place::Recipe(&PathBuf::from("recipe.toml")));
        let result = &document["runs"][0]["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&"pruned-path-named".into(), &"error".into()));
        // Before the first step: no line of its own.
        assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    }
}

#[test]
fn an_app_that_does_not_start_fails_before_its_first_step() {
    let recipe = tea();
    let source = GrainError::Ended { exit: Exit::Code(1), tail: Vec::new(), proc: false, remedy: None };
    let error = ProveError::Grain { root: "pruned", source, misses: Vec::new() }.into();
    let mut record = record(&recipe, Err(&error));
    record.add(&recipe, Ok(&proof(&recipe)), false);
    let cases = cases(&record);
    assert!(
        cases[0].starts_with(&format!("{RUN}: start failure the app does not run on its pruned root: ")),
        "{}",
        cases[0]
    );
    assert_eq!(cases[1], format!("{RUN}: GET /a<b>&'c' skipped not taken"));
    assert_eq!(cases[6], format!("{SERVE}: start skipped the app was not proven"));
    assert_eq!(cases[12], format!("{RUN}, proof 2: start"));
}

#[test]
fn what_never_became_an_app_is_an_error_of_one_case() {
    let mut record = ProofRecord::default();
    record.fail("tea", "error: cannot fetch tea\nhint: wait");
    assert_eq!(cases(&record), ["tea: start error error: cannot fetch tea"]);
    let document = sarif(&record, Place::Recipe(Path::new("recipe.toml")));
    let told = &document["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(told["message"]["text"], "error: cannot fetch tea\nhint: wait");
}
