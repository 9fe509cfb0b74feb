//! The pipelines of examples/ci, their scripts run line by line: each job in a fresh clone, with what earlier
//! ones kept, and with a forge on the loopback. Images are not used: what they bring, this host must have.

mod forge;
mod pipeline;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tinyroot::{
    digest::Digest,
    testing::{ARCHIVE_TIME_S, MadeArchive, deb, skip},
};

use self::{
    forge::Forge,
    pipeline::{Event, Job, github, gitlab},
};
use super::{
    noise,
    support::{Ended, assert_says, end, text},
    traced_app::{RECIPE, TracedApp},
};

/// A project at a forge: its repository, what its service keeps between jobs, and the forge's API.
struct Project {
    app: TracedApp,
    forge: Forge,
    key: String,
}

/// Runs git in a directory, by no configuration of this user's.
fn git(at: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(at).args(["-c", "user.name=x", "-c", "user.email=x@localhost"]).args(args);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let ended = end(&mut command);
    assert_eq!(ended.code, Some(0), "git {args:?}: {}", ended.stderr);
    ended.stdout.trim_end().to_owned()
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("changes");
}

fn milk(version: &str) -> tinyroot::testing::Deb {
    deb("milk").version(version).field("Essential", "yes").file(
        "usr/share/milk/jug",
        0o644,
        format!("milk {version}\n"),
    )
}

impl Project {
    /// Makes a repository with a recipe, a branch that adds a file of 100 kB to it, and a later commit beside
    /// that; `None`, said, where the host lacks a program.
    fn new() -> Option<Self> {
        for name in ["git", "curl", "jq"] {
            if end(Command::new("sh").args(["-c", &format!("command -v {name}")])).code != Some(0) {
                skip(&format!("this host has no {name}"));
                return None;
            }
        }
        let recipe = RECIPE.replace("[\"tea\"]", "[\"tea\", \"milk\"]")
            + "[[exercise]]\nget = \"/usr/share/milk/jug\"\ncontains = \"milk\"\n";
        let app = TracedApp::of(&recipe, |tea| vec![tea, milk("1.0")])?;
        let ring = app.home.path("ring");
        app.done(&["key", "generate", "--key-file", text(&ring), "--for", text(&app.recipe)]);
        let key =
            app.home.done(&["key", "export", "--text", "--key-file", text(&ring)]).stdout.trim().to_owned();

        let work = app.home.path("work");
        let folder = work.join("recipes/cgit");
        fs::create_dir_all(&folder).expect("makes");
        for name in ["recipe.toml", "recipe.lock", "used.list"] {
            fs::copy(app.recipe.join(name), folder.join(name)).expect("copies");
        }
        git(&work, &["init", "--quiet", "--initial-branch", "main"]);
        let commit = |message: &str| {
            git(&work, &["add", "--all"]);
            git(&work, &["commit", "--quiet", "--message", message]);
        };
        commit("A recipe");
        git(&work, &["checkout", "--quiet", "-b", "change"]);
        fs::create_dir(folder.join("files")).expect("makes");
        fs::write(folder.join("files/map"), noise(100_000)).expect("writes");
        let text_before = fs::read_to_string(folder.join("recipe.toml")).expect("reads");
        let file = "[[file]]\npath = \"/app/map\"\nsource = \"files/map\"\n";
        fs::write(folder.join("recipe.toml"), text_before + file).expect("writes");
        commit("A map");
        git(&work, &["checkout", "--quiet", "main"]);
        fs::write(work.join("README"), "tea\n").expect("writes");
        commit("A readme");
        git(&work, &["clone", "--quiet", "--bare", ".", text(&app.home.path("origin"))]);
        git(&app.home.path("origin"), &["config", "receive.advertisePushOptions", "true"]);

        // As it is in an image. The keys of the made archive are no part of any.
        let bin = app.home.path("bin");
        fs::create_dir(&bin).expect("makes");
        let program = env!("CARGO_BIN_EXE_tinyroot");
        script(
            &bin.join("tinyroot"),
            &format!("exec {program} \"$@\" --keyring {}", text(&app.home.path("archive/keyring.asc"))),
        );
        script(&bin.join("apt-get"), &format!("echo \"$@\" >> {}", text(&app.home.path("apt.log"))));
        fs::create_dir(app.home.path("kept")).expect("makes");
        let forge = Forge::start(fs::read(bin.join("tinyroot")).expect("reads"));
        Some(Project { app, forge, key })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.app.home.path(name)
    }

    fn kept(&self, name: &str) -> String {
        let path = self.path("kept").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs a job in a fresh clone, and keeps what it keeps.
    fn run(&self, job: &Job, branch: &str, variables: &[(&str, &str)]) -> Ended {
        let (project, kept) = (self.path("project"), self.path("kept"));
        let _ = fs::remove_dir_all(&project);
        git(&self.path("."), &["clone", "--quiet", "--branch", branch, "origin", "project"]);
        end(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&project));
        let mut command = Command::new("sh");
        command.args(["-e", "-c", &job.script]).current_dir(&project).env_clear();
        let path = format!("{}:/usr/local/bin:/usr/bin:/usr/sbin:/bin", text(&self.path("bin")));
        let (mirror, api) = (self.app.server.url(), self.forge.url());
        let service = [
            ("PATH", &*path),
            ("HOME", text(&self.path("."))),
            ("CI", "true"),
            ("TINYROOT_MIRROR", &*mirror),
            ("CI_API_V4_URL", &*api),
            ("GITHUB_API_URL", &*api),
            ("CI_PROJECT_ID", "7"),
            ("CI_MERGE_REQUEST_IID", "3"),
            ("GITHUB_REPOSITORY", "tea/pot"),
            ("GITHUB_BASE_REF", "main"),
            ("GITHUB_REF_NAME", "main"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let given = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut all: Vec<(String, String)> = service.to_vec();
        // The project's own go before the file's, as in services.
        all.extend(
            job.variables
                .iter()
                .filter(|(name, _)| variables.iter().all(|(given, _)| given != name))
                .cloned(),
        );
        all.extend(given);
        let known = all.clone();
        command.envs(all.into_iter().map(|(name, value)| (name, pipeline::expanded(&value, &known))));
        command.env("GITHUB_STEP_SUMMARY", self.path("summary.md"));
        let ended = end(&mut command);
        for path in &job.kept {
            let keep = format!(
                "for p in {path}; do test ! -e \"$p\" || cp -a --parents \"$p\" {}; done",
                text(&kept)
            );
            let ended = end(Command::new("sh").args(["-e", "-c", &keep]).current_dir(&project));
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
        ended
    }

    /// Runs jobs in order; each must end with 0, but those that are named.
    fn run_all(&self, jobs: &[Job], branch: &str, variables: &[(&str, &str)], others: &[(&str, i32)]) {
        assert!(!jobs.is_empty());
        for job in jobs {
            let ended = self.run(job, branch, variables);
            let expected = others.iter().find(|(name, _)| job.name == *name).map_or(0, |(_, code)| *code);
            assert_eq!(
                ended.code,
                Some(expected),
                "{}: {}\n{}{}",
                job.name,
                job.script,
                ended.stdout,
                ended.stderr
            );
        }
    }

    /// Returns where the branch and the target part.
    fn base(&self) -> String {
        git(&self.path("origin"), &["merge-base", "main", "change"])
    }

    fn publish_fix(&self) {
        MadeArchive::new("bookworm-security")
            .date_s(ARCHIVE_TIME_S + 86_400)
            .add(milk("1.1"))
            .write(&self.path("archive"));
    }

    /// Asserts that the branch of the update has the lock and its text.
    fn assert_proposed(&self) {
        let origin = self.path("origin");
        let message = git(&origin, &["log", "-1", "--format=%B", "tinyroot-update"]);
        assert_says(
            &message,
            &[
                "tea: Update 1 package, 1 security fix\n\n",
                "| `milk` | `1.0` | `1.1` | **security** |",
                "\n## Proof\n\n2 steps",
            ],
        );
        let files = git(&origin, &["diff", "--name-only", "main", "tinyroot-update"]);
        assert_eq!(files, "recipes/cgit/recipe.lock");
    }
}

fn names(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.name.as_str()).collect()
}

#[test]
fn gitlab_compares_releases_and_updates() {
    let Some(project) = Project::new() else { return };
    let file = "gitlab/.gitlab-ci.yml";
    let base = project.base();
    let jobs = gitlab(file, Event::Change);
    assert_eq!(names(&jobs), ["prove", "base", "compare", "comment"]);
    let token = ("COMMENT_TOKEN", "secret");
    // 100 kB are more than 1 %.
    project.run_all(&jobs, "change", &[token, ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base)], &[("compare", 3)]);
    let posted = project.forge.posted();
    let [comment] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(comment.path, "/projects/7/merge_requests/3/notes");
    assert_says(&comment.head.to_lowercase(), &["private-token:secret\r\n"]);
    assert_eq!(comment.form("body"), project.kept("diff.md"));
    assert_says(&project.kept("diff.md"), &["/app/map"]);
    assert_says(&project.kept("proof.xml"), &["tests=\"8\" failures=\"0\" errors=\"0\""]);

    let jobs = gitlab(file, Event::Release);
    assert_eq!(names(&jobs), ["build", "rebuild"]);
    project.run_all(&jobs, "main", &[("TINYROOT_KEY", &project.key)], &[]);
    let attested: Value = serde_json::from_str(&project.kept("rebuilt.json")).expect("is JSON");
    assert_eq!(attested["payloadType"], "application/vnd.in-toto+json");

    let jobs = gitlab(file, Event::Night);
    assert_eq!(names(&jobs), ["update", "propose"]);
    let origin = project.path("origin");
    let url = [("PUSH_URL", text(&origin))];
    // Nothing has moved yet.
    project.run_all(&jobs, "main", &url, &[]);
    assert_eq!(project.kept("update.md"), "");
    assert_eq!(git(&origin, &["branch", "--list", "tinyroot-update"]), "");
    project.publish_fix();
    project.run_all(&jobs, "main", &url, &[]);
    project.assert_proposed();
}

#[test]
fn github_compares_releases_and_updates() {
    let Some(project) = Project::new() else { return };
    let jobs = github("github/workflow.yml", Event::Change);
    assert_eq!(
        names(&jobs),
        ["base, step 2", "compare, step 4", "compare, step 6", "compare, step 7", "comment, step 2"]
    );
    project.run_all(&jobs, "change", &[("LIMIT", "200k")], &[]);
    assert_eq!(project.kept("base/commit").trim(), project.base());
    let posted = project.forge.posted();
    let [comment] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(comment.path, "/repos/tea/pot/issues/5/comments");
    assert_says(&comment.head.to_lowercase(), &["authorization: bearer "]);
    let body: Value = serde_json::from_str(&comment.body).expect("is JSON");
    assert_eq!(body["body"], project.kept("diff.md"));
    assert_eq!(fs::read_to_string(project.path("summary.md")).expect("reads"), project.kept("diff.md"));

    project.run_all(
        &github("github/workflow.yml", Event::Release),
        "main",
        &[("TINYROOT_KEY", &project.key)],
        &[],
    );
    assert_says(&project.kept("rebuilt.json"), &["application/vnd.in-toto+json"]);

    project.publish_fix();
    project.run_all(&github("github/workflow.yml", Event::Night), "main", &[], &[]);
    project.assert_proposed();
    let posted = project.forge.posted();
    let [request] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(request.path, "/repos/tea/pot/pulls");
    let body: Value = serde_json::from_str(&request.body).expect("is JSON");
    assert_eq!(body["title"], "tea: Update 1 package, 1 security fix");
    assert_eq!((&body["head"], &body["base"]), (&"tinyroot-update".into(), &"main".into()));
    assert_eq!(body["body"], project.kept("update.md"));
}

#[test]
fn salsa_compares_and_updates_in_debians_image() {
    let Some(project) = Project::new() else { return };
    // There it is downloaded.
    let program = fs::read(project.path("bin/tinyroot")).expect("reads");
    fs::remove_file(project.path("bin/tinyroot")).expect("removes");
    let (base, digest) = (project.base(), Digest::of(&program).to_string());
    let variables = [
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &*base),
        ("TINYROOT_SHA256", &*digest),
        ("COMMENT_TOKEN", "secret"),
    ];
    let jobs = gitlab("salsa/salsa-ci.yml", Event::Change);
    project.run_all(&jobs, "change", &variables, &[("merge-request", 3)]);
    assert_says(&fs::read_to_string(project.path("apt.log")).expect("reads"), &["ca-certificates curl git"]);
    let posted = project.forge.posted();
    let [comment] = &posted[..] else { panic!("{posted:?}") };
    assert_eq!(comment.form("body"), project.kept("diff.md"));
    project.publish_fix();
    project.run_all(&gitlab("salsa/salsa-ci.yml", Event::Night), "main", &variables, &[]);
    assert_says(&project.kept("update.md"), &["# tea: Update 1 package, 1 security fix\n"]);
    // Another program than the one that is named is not run.
    let other = [("TINYROOT_SHA256", "0000000000000000000000000000000000000000000000000000000000000000")];
    project.run_all(&gitlab("salsa/salsa-ci.yml", Event::Night), "main", &other, &[("nightly", 1)]);
}
