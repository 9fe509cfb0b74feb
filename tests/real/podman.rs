//! tinyroot in containers of podman, with its own filter of system calls and with Docker's, and with the
//! options of docs/hosts.md.
//!
//! As root the engine runs as root; as an ordinary user, without ("rootless"). No Docker runs here: its
//! filter is Debian's own file, given to podman. What AppArmor adds in a Docker of Debian or Ubuntu is not
//! tried.

pub mod engine;
mod package;

use std::{fs, path::PathBuf, process::Command};

use tinyroot::testing::skip;

use super::{
    alone, build, copy_recipe, recipes, share_debs,
    support::{Ended, Home, assert_says, end, text},
    write_key,
};
use engine::Engine;

/// The options of docs/hosts.md, which the hints name.
const OPTIONS: &str = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt \
                       systempaths=unconfined --device /dev/fuse";

/// What podman lacks for a trace.
const FUSE: &str = "--device /dev/fuse";

/// Who one is in a container.
const ROOT: &str = "0:0";
const USER: &str = "1000:1000";

/// Debian's package with Docker's filter, and where that lies in it.
const DOCKERS: &str = "golang-github-docker-docker-dev";
const DOCKERS_FILTER: &str = "./usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json";

/// An engine with a recipe that containers see, and what the host makes of it.
struct World {
    engine: Engine,
    /// The host's cache is another: containers are to make everything themselves.
    host: Home,
    recipe: PathBuf,
    /// The bytes of the staged root, of the package without a proof, and of that with one.
    stage: Vec<u8>,
    unproven: Vec<u8>,
    proven: Vec<u8>,
}

impl World {
    /// Returns `None` where the host has no podman or the recipe is not asked for.
    fn new() -> Option<Self> {
        if !recipes().iter().any(|name| name == "cgit") {
            return None;
        }
        let engine = Engine::new()?;
        let host = Home::new();
        share_debs(&host);
        let seen = engine.seen();
        let recipe = copy_recipe("cgit", &seen.join("recipes"));
        let [stage, unproven, proven] =
            ["stage.tar", "unproven.spk", "proven.spk"].map(|name| host.path(name));
        let keys = write_key(&host);
        fs::copy(&keys, seen.join("keys")).expect("copies");
        fs::copy(host.path("keys.apps"), seen.join("keys.apps")).expect("copies");
        host.done(&["stage", text(&recipe), "--output", text(&stage)]);
        let key = text(&keys);
        host.done(&["build", text(&recipe), "--no-proof", "--output", text(&unproven), "--key-file", key]);
        build(&host, &recipe, &proven);
        super::copy_directory(&host.path("cache/debs"), &seen.join("cache/debs"));
        let bytes = |path: &PathBuf| fs::read(path).expect("was written");
        let (stage, unproven) = (bytes(&stage), bytes(&unproven));
        fs::copy(&proven, seen.join("given.spk")).expect("copies");
        Some(World { engine, host, recipe, stage, unproven, proven: bytes(&proven) })
    }

    fn path(&self, name: &str) -> String {
        text(&self.engine.seen().join(name)).to_owned()
    }

    /// Makes containers configure the root anew.
    fn forget_layers(&self) {
        let ended = self.engine.script("", ROOT, "rm -rf \"$TINYROOT_CACHE/bundles/layer\"");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }

    /// Returns the words of a command by its name.
    fn words(&self, command: &str) -> Vec<String> {
        let recipe = text(&self.recipe).to_owned();
        let build = |output: &str| {
            let paths = [
                recipe.clone(),
                "--output".into(),
                self.path(output),
                "--key-file".into(),
                self.path("keys"),
            ];
            [vec!["build".to_owned()], paths.to_vec()].concat()
        };
        match command {
            "stage" => vec!["stage".into(), recipe, "--output".into(), self.path("stage.tar")],
            "build --no-proof" => [build("unproven.spk"), vec!["--no-proof".into()]].concat(),
            "build" => build("proven.spk"),
            "trace" => vec!["trace".into(), recipe],
            "check" | "run" => vec![command.into(), self.path("given.spk")],
            other => panic!("{other} is none of these"),
        }
    }

    fn tinyroot(&self, options: &str, user: &str, command: &str) -> Ended {
        let words = self.words(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.engine.tinyroot(options, user, &words)
    }

    /// Sees that these commands do there what they do on the host.
    fn works(&self, options: &str, user: &str, commands: &[&str]) {
        for command in commands {
            let ended = match *command {
                "run" => self.serves(options, user),
                command => self.tinyroot(options, user, command),
            };
            let said = format!("{command} with {options:?} as {user}:\n{}{}", ended.stdout, ended.stderr);
            assert_eq!(ended.code, Some(0), "{said}");
            // A container's root may read what its users wrote.
            let expected = match *command {
                // Another user than root guesses a few owners.
                "stage" if user == ROOT => Some(("stage.tar", &self.stage)),
                "build --no-proof" => Some(("unproven.spk", &self.unproven)),
                "build" => Some(("proven.spk", &self.proven)),
                "trace" => {
                    assert!(said.contains("used.list is up to date"), "{said}");
                    None
                }
                _ => None,
            };
            if let Some((file, expected)) = expected {
                let digest = tinyroot::digest::Digest::of(expected);
                let made = self.engine.script("", ROOT, &format!("sha256sum {0} && rm {0}", self.path(file)));
                assert!(made.stdout.starts_with(&digest.to_string()), "another {file}: {said}");
            }
        }
    }

    /// Runs a grain, gets a page of it, and removes it, as the next user is another.
    fn serves(&self, options: &str, user: &str) -> Ended {
        let script = format!(
            "cd; $tinyroot run {} > url & for i in $(seq 600); do [ -s url ] && break; sleep 0.1; done; \
             perl -MIO::Socket::INET -e '$ARGV[0] or die \"no URL\"; $s = IO::Socket::INET->new($ARGV[0] =~ m{{//(.+)/}}) or die $!; \
             print $s \"GET /cgit/ HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n\"; print scalar <$s>' $(cat url); \
             kill -INT $!; wait $! && rm -rf .local",
            self.path("given.spk")
        );
        let ended = self.engine.script(options, user, &script);
        assert!(ended.stdout.contains(" 200 OK"), "{options:?} as {user}: {}{}", ended.stdout, ended.stderr);
        ended
    }

    /// Sees that these commands name what the host refuses and what gives it, and returns what the last one
    /// said.
    fn refuses(&self, options: &str, user: &str, commands: &[&str], says: &[&str]) -> String {
        let mut said = String::new();
        for command in commands {
            let ended = self.tinyroot(options, user, command);
            assert_eq!(
                ended.code,
                Some(1),
                "{command} with {options:?} as {user}: {}{}",
                ended.stdout,
                ended.stderr
            );
            assert_says(&ended.stderr, says);
            assert!(!ended.stderr.contains("the app does not"), "it blames the app: {}", ended.stderr);
            said = ended.stderr;
        }
        said
    }

    /// Returns the option that gives a container Docker's filter.
    fn dockers_filter(&self) -> Option<String> {
        let place = self.engine.home.path("docker");
        fs::create_dir(&place).expect("makes");
        // One line, so that both programs see the same directory.
        let script = format!(
            "apt-get -qq download {DOCKERS} && dpkg-deb --fsys-tarfile *.deb | tar -xO {DOCKERS_FILTER}"
        );
        let ended = end(Command::new("/bin/sh").args(["-c", &script]).current_dir(&place));
        if ended.code != Some(0) || ended.stdout.is_empty() {
            skip(&format!(
                "Docker's filter of system calls, by apt-get download {DOCKERS}: {}",
                ended.stderr
            ));
            return None;
        }
        let file = place.join("seccomp.json");
        fs::write(&file, ended.stdout).expect("writes");
        Some(format!("--security-opt seccomp={}", file.display()))
    }
}

const ALL: [&str; 5] = ["stage", "build --no-proof", "build", "check", "run"];

#[test]
fn containers_give_what_readme_says_and_the_same_bytes() {
    let _turn = alone();
    // All of it over one cache, since compressing is what takes the time.
    let Some(world) = World::new() else { return };
    with_podmans_filter(&world);
    with_dockers_filter(&world);
    package::as_container(&world);
}

fn with_podmans_filter(world: &World) {
    world.works("", ROOT, &ALL);
    world.refuses("", ROOT, &["trace"], &["/dev/fuse", "hint: ", FUSE]);
    world.works(FUSE, ROOT, &["trace", "check"]);
    world.forget_layers();
    world.works(FUSE, USER, &["build", "trace", "run"]);
    world.works(OPTIONS, ROOT, &["trace", "build", "check"]);

    // Root without capabilities maps no ids; any other user does.
    let none = "--cap-drop ALL --security-opt no-new-privileges";
    let said = world.refuses(none, ROOT, &["build", "check", "run"], &["uid_map", "hint: ", "--user 1000"]);
    let given = options_of(&said, "--cap-add");
    world.works(&format!("--cap-drop ALL {given}"), ROOT, &["check"]);
    world.works(none, USER, &["check"]);
}

fn with_dockers_filter(world: &World) {
    let Some(docker) = world.dockers_filter() else { return };
    let remedy = ["unshare(", "EPERM", "hint: ", OPTIONS];
    world.forget_layers();
    world.works(&docker, ROOT, &["stage", "build --no-proof"]);
    world.refuses(&docker, ROOT, &["build", "check", "run", "trace"], &remedy);
    world.refuses(&docker, USER, &["check"], &remedy);

    let none = format!("{docker} --cap-drop ALL");
    world.refuses(&none, ROOT, &["check", "run"], &remedy);
    world.forget_layers();
    world.refuses(&docker, USER, &["stage"], &remedy);
    let said = world.refuses(&none, ROOT, &["stage", "build --no-proof"], &["without CAP_CHOWN", "hint: "]);
    world.works(&format!("{none} {}", options_of(&said, "--cap-add")), ROOT, &["build --no-proof"]);
    world.works(&format!("--cap-drop ALL {OPTIONS}"), USER, &["check"]);
}

#[test]
fn documentation_and_hints_have_the_options_that_were_tried() {
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hosts.md")).expect("reads");
    let docs = docs.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = [OPTIONS, FUSE, "--cap-drop ALL", "--user 1000"].map(str::to_owned);
    for options in options.into_iter().chain(package::words()) {
        assert!(docs.contains(&options), "docs/hosts.md does not have {options}");
    }
}

/// Returns the options of a kind that a hint names.
fn options_of(said: &str, option: &str) -> String {
    let hint = said.rsplit("hint: ").next().unwrap_or_default();
    let words: Vec<&str> = hint.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == option);
    let given: Vec<String> =
        pairs.map(|pair| format!("{option} {}", pair[1].trim_end_matches([';', ',']))).collect();
    assert!(!given.is_empty(), "no {option} in {said}");
    given.join(" ")
}
