//! The jobs of docs/ci.md, run line by line as a CI service runs them, in containers of the image that
//! recipes/tinyroot makes.

mod pipeline;

use std::{fs, io::Write as _, path::Path, process::Command};

use rustix::process::geteuid;

use super::{
    alone, copy_recipe, give_debs,
    podman::engine::Engine,
    share_debs,
    support::{Ended, Home, end, text},
    write_key,
};
use pipeline::{Job, github, gitlab};

/// Where services keep a project while its job runs.
const PROJECT: &str = "/builds/project";

const IMAGE: &str = "tinyroot";

/// Whether a program needs a loader, whose path then stands behind its first headers.
fn names_a_loader(program: &[u8]) -> bool {
    program.iter().take(4096).copied().collect::<Vec<_>>().windows(10).any(|part| part == b"/ld-linux-")
}

/// Copies what is in a directory into another.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    let copied = end(Command::new("cp").arg("-a").arg(from.join(".")).arg(to));
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);
}

/// A service that runs jobs: what is kept between them, and what they are run in.
struct Service {
    engine: Engine,
    home: Home,
    key: String,
}

impl Service {
    /// Makes the image, or says what is lacking.
    fn new() -> Option<Service> {
        if !geteuid().is_root() {
            // No fault of the host, even where all tests must run; the test harness keeps what print macros
            // write.
            let _ = writeln!(
                std::io::stderr(),
                "not tested here: jobs, whose containers root starts, as services do"
            );
            return None;
        }
        let engine = Engine::new()?;
        // As tests in a browser are told of it.
        let program = std::env::var_os("TINYROOT_TEST_PROGRAM");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_tinyroot").into());
        let program = fs::read(program).expect("reads");
        if names_a_loader(&program) {
            tinyroot::testing::skip("a static tinyroot: test with the flags and the target of .ci/static");
            return None;
        }
        let home = Home::new();
        share_debs(&home);
        let recipe = copy_recipe("tinyroot", &home.path("recipes"));
        fs::create_dir_all(recipe.join("files")).expect("makes");
        fs::write(recipe.join("files/tinyroot"), program).expect("writes");
        let (package, root) = (home.path("tinyroot.spk"), home.path("root"));
        let keys = write_key(&home);
        home.done(&["build", text(&recipe), "--output", text(&package), "--key-file", text(&keys)]);
        give_debs(&home);
        home.done(&["unpack", text(&package), text(&root)]);
        engine.import(&root, 0, &[], IMAGE);
        let key = home.done(&["key", "export", "--text", "--key-file", text(&keys)]).stdout.trim().to_owned();
        // What an earlier pipeline has kept.
        copy(&home.path("cache/debs"), &home.path("kept/.cache/tinyroot/debs"));
        Some(Service { engine, home, key })
    }

    /// Runs a job in a fresh checkout, with the caches and artifacts of those before it, and keeps its own.
    fn run(&self, job: &Job) -> Ended {
        let project = self.home.path("project");
        let _ = fs::remove_dir_all(&project);
        copy_recipe("cgit", &project.join("recipes"));
        let kept = self.home.path("kept");
        copy(&kept, &project);
        // As GitLab's helper restores what is kept.
        for path in job.kept.iter().filter_map(|path| path.split('/').next()) {
            if project.join(path).exists() {
                let opened = end(Command::new("chmod").args(["-R", "0777"]).arg(project.join(path)));
                assert_eq!(opened.code, Some(0), "{}", opened.stderr);
            }
        }
        let script = project.join(".script");
        fs::write(&script, job.script.join("\n")).expect("writes");

        let mut words = ["run", "--rm", "--volume"].map(str::to_owned).to_vec();
        words.push(format!("{}:{PROJECT}", text(&project)));
        words.extend(["--workdir".to_owned(), PROJECT.to_owned()]);
        words.extend(job.options.clone());
        // The mirror as this host has it.
        words.extend(["--network", "host", "--volume", "/etc/apt:/etc/apt:ro"].map(str::to_owned));
        if let Ok(mirror) = std::env::var("TINYROOT_MIRROR") {
            words.extend(["--env".to_owned(), format!("TINYROOT_MIRROR={mirror}")]);
        }
        let service = [("CI", "true"), ("CI_PROJECT_DIR", PROJECT), ("TINYROOT_KEY", &self.key)];
        let service = service.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in service.iter().chain(&job.variables) {
            words.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        words.extend([IMAGE, "/bin/sh", "-e", ".script"].map(str::to_owned));
        let ended = self.engine.run(&words.iter().map(String::as_str).collect::<Vec<_>>());

        for path in &job.kept {
            if project.join(path).exists() {
                copy(&project.join(path), &kept.join(path));
            }
        }
        ended
    }

    fn kept(&self, path: &str) -> Vec<u8> {
        fs::read(self.home.path("kept").join(path)).expect("is kept")
    }

    fn run_all(&self, jobs: &[Job]) {
        for job in jobs {
            let ended = self.run(job);
            let code = ended.code.unwrap_or(-1);
            assert!(
                code == 0 || job.allowed.contains(&code),
                "{} ended with {code}: {}{}",
                job.name,
                ended.stdout,
                ended.stderr
            );
        }
    }
}

#[test]
fn the_jobs_that_are_written_down_for_gitlab_and_github_do_their_work() {
    let _turn = alone();
    let Some(service) = Service::new() else { return };
    let gitlab = gitlab();
    let names: Vec<&str> = gitlab.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["build", "pool", "outdated", "again", "keep", "review"]);
    service.run_all(&gitlab);
    let [package, kept] = ["packages/cgit.spk", "kept/cgit.spk"].map(|path| service.kept(path));
    assert_eq!(package, kept);

    let github = github();
    assert_eq!(github.len(), 3);
    service.run_all(&github);
    assert_eq!(service.kept("packages/cgit.spk"), package, "another service, the same bytes");
}
