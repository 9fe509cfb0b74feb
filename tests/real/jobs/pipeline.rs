//! docs/ci.md → the jobs in it.

use std::{fs, path::Path};

use saphyr::{LoadableYamlNode as _, Yaml};

/// The key, which all jobs of the test have.
const SECRET: &str = "${{ secrets.TINYROOT_KEY }}";

/// A job, free of the service whose words it is written in.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    /// Name and value.
    pub variables: Vec<(String, String)>,
    /// Lines of a shell script, in order.
    pub script: Vec<String>,
    /// Exit statuses besides 0 that are no failure.
    pub allowed: Vec<i32>,
    /// What caches and artifacts keep: paths in the project.
    pub kept: Vec<String>,
    /// Options of the container.
    pub options: Vec<String>,
}

/// Returns the block of docs/ci.md that begins with a line.
fn block(kind: &str, first_line: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci.md");
    let text = fs::read_to_string(path).expect("reads");
    let start = format!("```{kind}\n{first_line}");
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("docs/ci.md has no block {first_line}"));
    let (block, _) = rest.split_once("\n```").expect("ends");
    format!("{first_line}{block}\n")
}

fn texts(list: &Yaml) -> Vec<String> {
    list.as_vec().into_iter().flatten().map(|item| item.as_str().expect("is text").to_owned()).collect()
}

fn pairs(table: Option<&Yaml>) -> Vec<(String, String)> {
    let table = table.and_then(Yaml::as_mapping);
    let pair = |(name, value): (&Yaml, &Yaml)| {
        (name.as_str().expect("is text").to_owned(), value.as_str().expect("is text").to_owned())
    };
    table.into_iter().flatten().map(pair).collect()
}

fn key<'a>(yaml: &'a Yaml<'a>, name: &str) -> Option<&'a Yaml<'a>> {
    yaml.as_mapping_get(name)
}

/// Returns the jobs of the pipeline for GitLab, in the order of their stages.
///
/// Each gets the options of the runner that the text shows, and variables as GitLab expands them.
pub fn gitlab() -> Vec<Job> {
    let text = block("yaml", "# .gitlab-ci.yml");
    let pipeline = Yaml::load_from_str(&text).expect("is YAML").remove(0);
    let options = runner();
    let stages = texts(&pipeline["stages"]);
    let variables = pairs(key(&pipeline, "variables"));
    let mut jobs = Vec::new();
    for (name, job) in pipeline.as_mapping().expect("is a table") {
        let Some(script) = key(job, "script") else { continue };
        let mut kept = key(job, "cache").map(|cache| texts(&cache["paths"])).unwrap_or_default();
        kept.extend(key(job, "artifacts").map(|artifacts| texts(&artifacts["paths"])).unwrap_or_default());
        let allowed = key(job, "allow_failure").and_then(|allowed| key(allowed, "exit_codes"));
        let stage = job["stage"].as_str().expect("has a stage");
        let at = stages.iter().position(|other| other == stage).expect("is one of the stages");
        jobs.push((
            at,
            Job {
                name: name.as_str().expect("is text").to_owned(),
                variables: variables.clone(),
                script: texts(script),
                allowed: allowed.and_then(Yaml::as_integer).into_iter().map(|code| code as i32).collect(),
                kept,
                options: options.clone(),
            },
        ));
    }
    jobs.sort_by_key(|(at, _)| *at);
    jobs.into_iter().map(|(_, job)| job).collect()
}

/// Returns the options that the runner's config.toml gives each container.
fn runner() -> Vec<String> {
    let text = block("toml", "[runners.docker]");
    let config: toml::Table = text.parse().expect("is TOML");
    let docker = config["runners"]["docker"].as_table().expect("is a table");
    let list = |name: &str| {
        let list = docker[name].as_array().expect("is a list");
        list.iter().map(|item| item.as_str().expect("is text").to_owned()).collect::<Vec<_>>()
    };
    let mut options = Vec::new();
    for (option, name) in [("--security-opt", "security_opt"), ("--device", "devices")] {
        options.extend(list(name).into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    options
}

/// Returns the steps of the workflow for GitHub, each as a job, since each has a shell of its own.
pub fn github() -> Vec<Job> {
    let text = block("yaml", "# .github/workflows/package.yml");
    let workflow = Yaml::load_from_str(&text).expect("is YAML").remove(0);
    let mut jobs = Vec::new();
    for (name, job) in workflow["jobs"].as_mapping().expect("is a table") {
        let options = job["container"]["options"].as_str().expect("is text");
        let mut kept = Vec::new();
        let steps = job["steps"].as_vec().expect("is a list");
        for step in steps {
            let path = key(step, "with").and_then(|with| key(with, "path"));
            kept.extend(path.map(|path| path.as_str().expect("is text").to_owned()));
        }
        for (at, step) in steps.iter().enumerate() {
            let Some(script) = key(step, "run") else { continue };
            let variables = pairs(key(job, "env")).into_iter().chain(pairs(key(step, "env")));
            jobs.push(Job {
                name: format!("{}, step {}", name.as_str().expect("is text"), at + 1),
                variables: variables.filter(|(_, value)| value != SECRET).collect(),
                script: vec![script.as_str().expect("is text").to_owned()],
                allowed: Vec::new(),
                kept: kept.clone(),
                options: options.split_whitespace().map(str::to_owned).collect(),
            });
        }
    }
    jobs
}
