//! A user's home, and tinyroot in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[path = "schemas.rs"]
pub mod schemas;

/// A place where tinyroot finds nothing of this user's: cache, keys and grains are its own.
pub struct Home {
    directory: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        Home { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// tinyroot, still without arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinyroot"));
        for name in [
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "TINYROOT_CACHE_KEY",
            "TINYROOT_KEYRING",
            "TINYROOT_KEY",
            "TINYROOT_REMOTE_CACHE",
            "TINYROOT_REMOTE_CACHE_KEYS",
            "TINYROOT_REMOTE_CACHE_SIGN",
            "TINYROOT_REMOTE_CACHE_TOKEN",
            // Else a build makes no key.
            "CI",
            "SOURCE_DATE_EPOCH",
        ] {
            command.env_remove(name);
        }
        for name in ["TINYROOT_NPM_REGISTRY", "NPM_CONFIG_REGISTRY", "npm_config_registry"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.directory.path())
            .env("TINYROOT_CACHE", self.path("cache"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        end(self.command().args(args))
    }

    /// Runs a command that must succeed.
    pub fn done(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "tinyroot {args:?}\n{}{}", ended.stdout, ended.stderr);
        ended
    }

    /// Runs a command that must fail, and returns what it says.
    pub fn fails(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(1), "tinyroot {args:?}\n{}{}", ended.stdout, ended.stderr);
        ended.stderr
    }
}

/// Runs a command to its end. What it prints with `--json` must be as its schema says.
pub fn end(command: &mut Command) -> Ended {
    let output = command.output().expect("starts");
    let ended = Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let args: Vec<String> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if args.iter().any(|arg| arg == "--json") {
        schemas::hold(&args, &ended.stdout);
    }
    ended
}

/// Returns a path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Returns the names in a directory, sorted; none where it is not there.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("lists").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Asserts that each part stands in a text.
pub fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
