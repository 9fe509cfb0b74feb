//! Files of examples/ci → the jobs of an event.

use std::{fs, path::Path};

use saphyr::{LoadableYamlNode as _, Yaml};

/// Why a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A merge request or pull request.
    Change,
    /// Something came onto the default branch.
    Release,
    Night,
}

/// A job, free of the service whose words it is written in.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    /// Name and value, as they are written.
    pub variables: Vec<(String, String)>,
    pub script: String,
    /// What caches and artifacts keep: paths in the project, with patterns.
    pub kept: Vec<String>,
}

fn read(file: &str) -> Yaml<'static> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/ci").join(file);
    let text: &'static str = fs::read_to_string(path).expect("reads").leak();
    Yaml::load_from_str(text).expect("is YAML").remove(0)
}

fn key<'a>(yaml: &'a Yaml<'a>, name: &str) -> Option<&'a Yaml<'a>> {
    yaml.as_mapping_get(name)
}

fn texts(list: Option<&Yaml>) -> Vec<String> {
    let list = list.and_then(Yaml::as_vec);
    list.into_iter().flatten().map(|item| item.as_str().expect("is text").to_owned()).collect()
}

fn pairs(table: Option<&Yaml>) -> Vec<(String, String)> {
    let pair = |(name, value): (&Yaml, &Yaml)| {
        (name.as_str().expect("is text").to_owned(), value.as_str().expect("is text").to_owned())
    };
    table.and_then(Yaml::as_mapping).into_iter().flatten().map(pair).collect()
}

/// Replaces `${NAME}` by the value of a variable, as services do in the values of others.
pub fn expanded(value: &str, known: &[(String, String)]) -> String {
    let mut value = value.to_owned();
    for (name, other) in known {
        value = value.replace(&format!("${{{name}}}"), other);
    }
    value
}

/// Whether GitLab's condition holds for an event.
fn holds(condition: &str, event: Event) -> bool {
    condition.split(" && ").all(|part| match part {
        r#"$CI_PIPELINE_SOURCE == "merge_request_event""# => event == Event::Change,
        r#"$CI_PIPELINE_SOURCE == "schedule""# => event == Event::Night,
        r#"$CI_PIPELINE_SOURCE != "schedule""# => event != Event::Night,
        "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" => event != Event::Change,
        other => panic!("{other} is no condition that this test knows"),
    })
}

/// Returns the jobs of a pipeline for GitLab that an event has, in the order of their stages.
pub fn gitlab(file: &str, event: Event) -> Vec<Job> {
    let pipeline = read(file);
    let stages = texts(key(&pipeline, "stages"));
    let default = key(&pipeline, "default");
    let mut jobs = Vec::new();
    for (name, job) in pipeline.as_mapping().expect("is a table") {
        let Some(script) = key(job, "script") else { continue };
        let rules = key(job, "rules").and_then(Yaml::as_vec).expect("has rules");
        let condition = |rule: &Yaml| holds(rule["if"].as_str().expect("is text"), event);
        if !rules.iter().any(condition) {
            continue;
        }
        let of_default = |name: &str| key(job, name).or_else(|| key(default?, name));
        let cache = of_default("cache").map(|cache| texts(key(cache, "paths")));
        let artifacts = key(job, "artifacts").map(|artifacts| texts(key(artifacts, "paths")));
        let before = texts(of_default("before_script"));
        let lines: Vec<String> = before.into_iter().chain(texts(Some(script))).collect();
        let mut variables = pairs(key(&pipeline, "variables"));
        variables.extend(pairs(key(job, "variables")));
        let stage = job["stage"].as_str().expect("has a stage");
        let at = stages.iter().position(|other| other == stage).expect("is one of the stages");
        let name = name.as_str().expect("is text").to_owned();
        let kept = cache.into_iter().chain(artifacts).flatten().collect();
        jobs.push((at, Job { name, variables, script: lines.join("\n"), kept }));
    }
    jobs.sort_by_key(|(at, _)| *at);
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// Returns the steps with a script of a workflow for GitHub that an event has, each as a job, since each has a
/// shell of its own.
pub fn github(file: &str, event: Event) -> Vec<Job> {
    let workflow = read(file);
    let event = match event {
        Event::Change => "pull_request",
        Event::Release => "push",
        Event::Night => "schedule",
    };
    let mut jobs = Vec::new();
    for (name, job) in workflow["jobs"].as_mapping().expect("is a table") {
        let condition = job["if"].as_str().expect("has a condition");
        if !condition.contains(&format!("github.event_name == '{event}'")) {
            continue;
        }
        let steps = job["steps"].as_vec().expect("is a list");
        let paths = steps.iter().filter_map(|step| key(step, "with").and_then(|with| key(with, "path")));
        let paths = paths.map(|path| path.as_str().expect("is text").lines().collect::<Vec<_>>());
        // Scripts of later steps of a job need what those before have made; here each has a clone of its own.
        let beside = ["day.key", "after.spk", "proof.xml", "misses.sarif"];
        let kept: Vec<String> = paths.flatten().chain(beside).map(str::to_owned).collect();
        for (at, step) in steps.iter().enumerate() {
            let Some(script) = key(step, "run") else { continue };
            let own = pairs(key(step, "env")).into_iter().map(|(name, value)| match &*value {
                "${{ github.token }}" => (name, "token".to_owned()),
                "${{ github.event.number }}" => (name, "5".to_owned()),
                // Given by the test.
                "${{ secrets.TINYROOT_KEY }}" => (name, String::new()),
                other if other.contains("${{") => panic!("{other} is no expression that this test knows"),
                _ => (name, value),
            });
            jobs.push(Job {
                name: format!("{}, step {}", name.as_str().expect("is text"), at + 1),
                variables: pairs(key(&workflow, "env")).into_iter().chain(own).collect(),
                script: script.as_str().expect("is text").to_owned(),
                kept: kept.clone(),
            });
        }
    }
    jobs
}
