//! podman, with a store and settings of its own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::geteuid;
use tinyroot::testing::skip;

use crate::support::{Ended, Home, end, text};

/// Runs everywhere: limits no higher than those of the host, a runtime that also knows mixed control groups,
/// no systemd.
const SETTINGS: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"#;

/// An image with nothing of its own but places: `/usr` is the host's.
const IMAGE: &str = "places";

/// The engine, and a home that its containers see at the same path.
pub struct Engine {
    pub home: Home,
}

impl Engine {
    /// Returns `None`, and says why, where the host has no podman.
    pub fn new() -> Option<Self> {
        for (program, package) in [("podman", "podman"), ("runc", "runc"), ("conmon", "conmon")] {
            if Command::new(program).arg("--version").output().is_err() {
                skip(&format!("containers; Debian's package {package} has {program}"));
                return None;
            }
        }
        let engine = Engine { home: Home::new() };
        fs::set_permissions(engine.home.path(""), fs::Permissions::from_mode(0o755)).expect("opens it");
        fs::create_dir(engine.place("")).expect("makes");
        fs::create_dir(engine.place("run")).expect("makes");
        fs::write(engine.place("containers.conf"), SETTINGS).expect("writes");
        let places = engine.place("image");
        for name in ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var", "work"] {
            fs::create_dir_all(places.join(name)).expect("makes");
        }
        for name in ["bin", "lib", "lib64", "sbin"] {
            symlink(format!("usr/{name}"), places.join(name)).expect("makes");
        }
        fs::write(places.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/:/bin/sh\n")
            .expect("writes");
        fs::create_dir(engine.seen()).expect("makes");
        engine.import(&places, 0, &[], IMAGE);
        Some(engine)
    }

    /// Returns a path beside the home of the containers, which they do not see.
    fn place(&self, name: &str) -> PathBuf {
        self.home.path("engine").join(name)
    }

    /// Returns the directory that containers see.
    pub fn seen(&self) -> PathBuf {
        self.home.path("home")
    }

    fn podman(&self) -> Command {
        let mut command = Command::new("podman");
        command.args(["--storage-driver=vfs", "--root", text(&self.place("store"))]);
        command.args(["--runroot", text(&self.place("state"))]);
        command.current_dir("/").stdin(Stdio::null());
        command.env("CONTAINERS_CONF", self.place("containers.conf"));
        command.env("HOME", self.place("")).env("XDG_RUNTIME_DIR", self.place("run"));
        command
    }

    /// Runs podman.
    pub fn run(&self, args: &[&str]) -> Ended {
        end(self.podman().args(args))
    }

    /// Runs podman, which must succeed, and returns what it prints.
    pub fn done(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "podman {args:?}\n{}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Makes an image of a directory whose files then belong to one user.
    pub fn import(&self, directory: &Path, owner: u32, changes: &[&str], name: &str) {
        let owner = owner.to_string();
        let mut tar = Command::new("tar")
            .args(["--directory", text(directory), "--owner", &owner, "--group", &owner, "--create", "."])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let mut import = self.podman();
        import.args(["import", "--quiet"]).args(changes.iter().flat_map(|change| ["--change", change]));
        let ended = end(import.args(["-", name]).stdin(tar.stdout.take().expect("is piped")));
        assert!(tar.wait().expect("ends").success() && ended.code == Some(0), "{}", ended.stderr);
    }

    /// Runs a script of the shell in a container without a network, as a user; `$tinyroot` is the program.
    pub fn script(&self, options: &str, user: &str, script: &str) -> Ended {
        let seen = self.seen();
        let cache = seen.join("cache");
        let volumes = [
            "/usr:/usr:ro".to_owned(),
            format!("{}:/work/tinyroot:ro", env!("CARGO_BIN_EXE_tinyroot")),
            // Given to the user in the container.
            format!("{0}:{0}:U", seen.display()),
        ];
        let variables = [
            format!("HOME={}", seen.display()),
            format!("TINYROOT_CACHE={}", cache.display()),
            "tinyroot=/work/tinyroot".to_owned(),
        ];
        let mut command = self.podman();
        command.args(["run", "--rm", "--network", "none", "--user", user]);
        command.args(volumes.iter().flat_map(|volume| ["--volume", volume]));
        command.args(variables.iter().flat_map(|variable| ["--env", variable]));
        command.args(options.split_whitespace()).args([IMAGE, "/bin/sh", "-c", script]);
        end(&mut command)
    }

    /// Runs tinyroot in a container.
    pub fn tinyroot(&self, options: &str, user: &str, args: &[&str]) -> Ended {
        self.script(options, user, &format!("exec $tinyroot {}", args.join(" ")))
    }

    /// Returns the first line of a response to a GET in the network of a container that runs.
    pub fn get(&self, container: &str, port: u16, path: &str) -> String {
        let request = format!(
            "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"127.0.0.1:{port}\") or die $!; \
             print $s \"GET {path} HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n\"; print scalar <$s>'"
        );
        let network = format!("container:{container}");
        let words =
            ["run", "--rm", "--network", &network, "--volume", "/usr:/usr:ro", IMAGE, "/bin/sh", "-c"];
        self.done(&[&words[..], &[&request]].concat())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "--all", "--force", "--time", "0"]);
        // In the containers' ids, for what is in the store and in the home may belong to any of them.
        let remove = ["rm", "-rf", text(&self.place("store")), text(&self.seen())].map(str::to_owned);
        match geteuid().is_root() {
            true => drop(Command::new(&remove[0]).args(&remove[1..]).status()),
            false => {
                let _ = end(self.podman().arg("unshare").args(&remove));
                // Ends the process that keeps those ids.
                let _ = self.run(&["system", "migrate"]);
            }
        }
    }
}
