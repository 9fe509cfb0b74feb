//! A package as a container: its root as an image, its `/var` as a volume.

use std::time::{Duration, Instant};

use super::{Engine, USER, World};
use crate::support::{assert_says, text};

/// A container as closed as engines make one, as docs/hosts.md has it.
const CLOSED: &str = "--read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp --tmpfs /run";

/// What makes an image of a package that needs no more words.
const CHANGES: [&str; 3] = ["CMD [\"/tinyroot/init\", \"new\"]", "USER 1000:1000", "VOLUME /var"];

/// Options for images and containers, as in docs/hosts.md.
pub fn words() -> Vec<String> {
    let changes = CHANGES.iter().map(|change| format!("--change '{change}'"));
    changes.chain([CLOSED.to_owned()]).collect()
}

impl Engine {
    /// Starts a container and returns what its first process says until it is ready or has ended.
    fn starts(&self, name: &str, volume: &str, image: &[&str]) -> String {
        let volume = format!("{name}-volume:/var{volume}");
        let options = CLOSED.split_whitespace().chain(["--name", name, "--volume", &volume]);
        self.done(
            &["run", "--detach", "--network", "none"]
                .into_iter()
                .chain(options)
                .chain(image.iter().copied())
                .collect::<Vec<_>>(),
        );
        self.said(name)
    }

    fn said(&self, name: &str) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let running = self.done(&["inspect", "--format", "{{.State.Running}}", name]);
            let logs = self.run(&["logs", name]);
            let said = logs.stdout + &logs.stderr;
            if said.contains("tinyroot-init: ready") || running.trim() == "false" {
                return said;
            }
            assert!(Instant::now() < end, "{name} is not ready: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stops a container, which ends well and at once, and removes it.
    fn stops(&self, name: &str) {
        let began = Instant::now();
        self.done(&["stop", "--time", "20", name]);
        assert!(began.elapsed() < Duration::from_secs(15), "{name} was killed");
        assert_eq!(self.done(&["inspect", "--format", "{{.State.ExitCode}}", name]).trim(), "0");
        self.done(&["rm", name]);
    }
}

/// Runs the package of a world, on volumes that nobody has used.
pub fn as_container(world: &World) {
    let World { engine, host, .. } = world;
    let root = host.path("root");
    host.done(&["unpack", text(&host.path("proven.spk")), text(&root)]);

    // All of it belongs to the user, and so does the volume that the engine makes of its /var.
    engine.import(&root, 1000, &CHANGES, "app");
    let said = engine.starts("one", "", &["app"]);
    assert!(said.contains("tinyroot-init: ready") && !said.contains("/var"), "{said}");
    assert!(engine.get("one", 8000, "/cgit/").contains(" 200 OK"));
    engine.stops("one");
    let said = engine.starts("one", "", &["app"]);
    assert!(said.contains("tinyroot-init: ready") && !said.contains("/var"), "{said}");
    engine.stops("one");

    // A volume of root's says what to do, and that helps.
    engine.import(&root, 0, &[], "of-root");
    let words = ["--user", USER, "of-root", "/tinyroot/init", "new"];
    let said = engine.starts("two", "", &words);
    let remedy = "/var belongs to user 0, and this is user 1000: give the volume to it (chown -R 1000; podman: -v VOLUME:/var:U;";
    assert_says(&said, &["cannot write /var/.tinyroot: permission denied", remedy]);
    engine.done(&["rm", "two"]);
    let said = engine.starts("two", ":U", &words);
    assert!(said.contains("tinyroot-init: ready"), "{said}");
    engine.stops("two");
}
