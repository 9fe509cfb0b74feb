//! A git repository with made commits.

use std::{
    cell::Cell,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The time of the first commit; each further one is a day later.
const FIRST_S: i64 = 1_700_000_000;

/// A git repository in a directory of its own. Its commits have the same names on every machine.
pub struct Repository {
    directory: TempDir,
    commits: Cell<i64>,
}

impl Repository {
    /// Makes an empty one; `None`, and a message, where the host has no git.
    pub fn new() -> Option<Self> {
        if Command::new("git").arg("--version").output().is_err() {
            super::skip("no git on this host");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let repository = Repository { directory, commits: Cell::new(0) };
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        Some(repository)
    }

    /// Returns its top.
    pub fn path(&self) -> PathBuf {
        self.directory.path().to_path_buf()
    }

    /// Writes files and commits all that is there.
    pub fn commit(&self, subject: &str, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("creates");
            fs::write(path, text).expect("writes");
        }
        self.git(&["add", "--all", "--force"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
        self.commits.set(self.commits.get() + 1);
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) {
        self.made(args, b"");
    }

    /// Runs git in it with an input; returns what it prints, without the last newline.
    pub fn made(&self, args: &[&str], input: &[u8]) -> String {
        let time = format!("{} +0000", FIRST_S + 86_400 * self.commits.get());
        let mut command = Command::new("git");
        command.arg("-C").arg(self.directory.path()).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", &time)
            .env("GIT_COMMITTER_DATE", &time);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "tinyroot");
            command.env(format!("GIT_{role}_EMAIL"), "tinyroot@localhost");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("git starts");
        child.stdin.take().expect("is piped").write_all(input).expect("git reads");
        let output = child.wait_with_output().expect("git ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("is text").trim_end().to_owned()
    }
}
