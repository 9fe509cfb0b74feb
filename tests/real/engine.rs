//! podman, with storage and settings of its own, so that it runs wherever root may make mounts.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;

use super::support::{Ended, end, text};

/// Runtime and limits that work without systemd, and inside of containers: rlimits may not be raised there.
const SETTINGS: &str = "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
                        [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n";

/// podman's storage, removed with all images when dropped.
pub struct Engine {
    place: tempfile::TempDir,
}

impl Engine {
    /// Returns an engine; nothing, and says why, where there is none.
    pub fn new() -> Option<Engine> {
        if !geteuid().is_root() {
            // No fault of the host, even where all tests must run; the test harness keeps what print macros write.
            let _ = writeln!(std::io::stderr(), "not tested here: podman, which root alone starts");
            return None;
        }
        for program in ["podman", "runc", "conmon"] {
            if Command::new(program).arg("--version").output().is_err() {
                tinyroot::testing::lacking(&format!("{program} (apt-get install podman runc)"));
                return None;
            }
        }
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(place.path().join("containers.conf"), SETTINGS).expect("writes");
        Some(Engine { place })
    }

    fn command(&self) -> Command {
        let path = |name: &str| -> PathBuf { self.place.path().join(name) };
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", path("containers.conf"));
        command.arg("--storage-driver=vfs").arg("--root").arg(path("root")).arg("--runroot").arg(path("run"));
        command
    }

    /// Makes an image of a directory, whatever its owner, and returns its name.
    pub fn import(&self, root: &Path, name: &str) -> String {
        let tar = self.place.path().join("image.tar");
        let packed = end(Command::new("tar").args([
            "--create",
            "--owner",
            "0",
            "--group",
            "0",
            "--file",
            text(&tar),
            "--directory",
            text(root),
            ".",
        ]));
        assert_eq!(packed.code, Some(0), "{}", packed.stderr);
        let imported = end(self.command().args(["import", "--quiet", text(&tar), name]));
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
        name.to_owned()
    }

    /// Runs a command in a new container and removes that.
    pub fn run(&self, options: &[String], image: &str, command: &[&str]) -> Ended {
        end(self.command().args(["run", "--rm"]).args(options).arg(image).args(command))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Mounts of a container that a failed test left would keep the directory.
        let _ = self.command().args(["rm", "--all", "--force", "--time", "0"]).output();
    }
}
