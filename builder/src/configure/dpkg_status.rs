//! The status and errors that dpkg reports while it works.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
};

use super::{ConfigureError, script};
use crate::{
    progress::{Progress, Task},
    sandbox::Exit,
};

/// How many lines of output an error shows.
const LAST_LINES: usize = 20;

/// Reads the output of dpkg, which mixes that of scripts with its own status lines (`dpkg(1)`,
/// `--status-fd`).
pub(super) struct Follower<'a> {
    task: &'a Task,
    progress: &'a Progress,
    last: VecDeque<String>,
    /// Package and reason of the first error.
    fault: Option<(String, String, Vec<String>)>,
    /// Directories that scripts have to do without, and the lines that speak of them.
    watched: Vec<&'static str>,
    missed: Vec<String>,
}

/// A status line.
#[derive(Debug, PartialEq, Eq)]
enum Status<'a> {
    Unpacking(&'a str),
    Configuring(&'a str),
    Failed { package: &'a str, reason: &'a str },
    Other,
}

/// Reads a status line; `None` for any other line.
fn status(line: &str) -> Option<Status<'_>> {
    if let Some(rest) = line.strip_prefix("processing: ") {
        return Some(match rest.split_once(": ") {
            Some(("install", package)) => Status::Unpacking(package),
            Some(("configure", package)) => Status::Configuring(package),
            _ => Status::Other,
        });
    }
    let (package, state) = line.strip_prefix("status: ")?.split_once(": ")?;
    Some(match state.strip_prefix("error : ").or_else(|| state.strip_prefix("error: ")) {
        Some(reason) => Status::Failed { package: package.trim_end(), reason },
        None => Status::Other,
    })
}

impl<'a> Follower<'a> {
    pub fn new(task: &'a Task, progress: &'a Progress, watched: Vec<&'static str>) -> Self {
        Follower { task, progress, last: VecDeque::new(), fault: None, watched, missed: Vec::new() }
    }

    /// Returns the lines that name a path in a watched directory: mostly from scripts that do not find it,
    /// and yet continue.
    pub fn missed(&self, directory: &str) -> Vec<String> {
        self.missed.iter().filter(|line| speaks_of(line, directory)).cloned().collect()
    }

    /// Reads to the end; or to where a script has failed that is [`script::held`], and returns how.
    pub fn read(&mut self, output: impl Read) -> io::Result<Option<Exit>> {
        let mut reader = BufReader::new(output);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let line = String::from_utf8_lossy(&bytes);
            if let Some(status) = line.strip_prefix(script::HELD).and_then(|text| text.trim().parse().ok()) {
                return Ok(Some(Exit::Code(status)));
            }
            self.line(line.trim_end());
            bytes.clear();
        }
        Ok(None)
    }

    fn line(&mut self, line: &str) {
        match status(line) {
            Some(Status::Unpacking(package)) => {
                self.task.now(&format!("unpacking {package}"));
                self.task.add(1);
            }
            Some(Status::Configuring(package)) => {
                self.task.now(package);
                self.task.add(1);
            }
            Some(Status::Failed { package, reason }) => {
                if self.fault.is_none() {
                    let last = self.last.iter().cloned().collect();
                    self.fault = Some((package.to_owned(), reason.to_owned(), last));
                }
            }
            Some(Status::Other) => {}
            None => {
                self.progress.detail(line);
                if self.watched.iter().any(|directory| speaks_of(line, directory)) {
                    self.missed.push(line.to_owned());
                }
                if self.last.len() == LAST_LINES {
                    self.last.pop_front();
                }
                self.last.push_back(line.to_owned());
            }
        }
    }

    /// Says how it went.
    pub fn conclude(self, exit: Exit) -> Result<(), ConfigureError> {
        match self.fault {
            _ if exit.success() => Ok(()),
            Some((package, reason, output)) => Err(ConfigureError::Script { package, reason, output }),
            None => Err(ConfigureError::Dpkg { exit, output: self.last.into() }),
        }
    }
}

fn speaks_of(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| line[at + directory.len()..].starts_with('/'))
}

/// Output as an error shows it: indented below the first line.
pub(super) fn quoted(lines: &[String]) -> String {
    lines.iter().filter(|line| !line.is_empty()).map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_script_is_named_with_what_it_said() {
        let progress = Progress::silent();
        let task = progress.task("configuring packages", 2, crate::progress::Unit::Items);
        let mut follower = Follower::new(&task, &progress, Vec::new());
        let output = "processing: install: hello\nstatus: hello: half-installed\nUnpacking hello (1.0) ...\n\
                      processing: configure: hello\nSetting up hello (1.0) ...\nhello: no such user\n\
                      dpkg: error processing package hello (--configure):\n\
                      status: hello : error : installed hello package post-installation script subprocess returned \
                      error exit status 1\nErrors were encountered while processing:\n hello\n";
        follower.read(output.as_bytes()).expect("reads");
        let error = follower.conclude(Exit::Code(1)).expect_err("has failed").to_string();
        assert_eq!(
            error,
            "cannot configure hello: installed hello package post-installation script subprocess returned error exit \
             status 1\n  Unpacking hello (1.0) ...\n  Setting up hello (1.0) ...\n  hello: no such user\n  \
             dpkg: error processing package hello (--configure):"
        );
    }

    #[test]
    fn a_held_script_is_read_to_its_failure() {
        let progress = Progress::silent();
        let task = progress.task("configuring packages", 2, crate::progress::Unit::Items);
        let mut follower = Follower::new(&task, &progress, Vec::new());
        let output = "sh: bad\n\ntinyroot: ended with status 2\nwhat is written on\n";
        assert_eq!(follower.read(output.as_bytes()).expect("reads"), Some(Exit::Code(2)));
        let error = follower.conclude(Exit::Code(2)).expect_err("has failed").to_string();
        assert_eq!(error, "cannot configure the root: dpkg ended with status 2\n  sh: bad");
    }

    #[test]
    fn scripts_that_miss_a_directory_are_heard() {
        let progress = Progress::silent();
        let task = progress.task("configuring packages", 1, crate::progress::Unit::Items);
        let mut follower = Follower::new(&task, &progress, vec!["/proc", "/dev"]);
        let output = "Setting up procps (1) ...\n/proc/ is not mounted\nsh: cannot open /dev/urandom\n/process is fine\n";
        follower.read(output.as_bytes()).expect("reads");
        assert_eq!(follower.missed("/proc"), ["/proc/ is not mounted"]);
        assert_eq!(follower.missed("/dev"), ["sh: cannot open /dev/urandom"]);
        follower.conclude(Exit::Code(0)).expect("has not failed");
    }

    #[test]
    fn status_lines_are_told_from_output() {
        let rows = [
            ("processing: install: libc6", Some(Status::Unpacking("libc6"))),
            ("processing: configure: libc6", Some(Status::Configuring("libc6"))),
            ("processing: trigproc: libc-bin", Some(Status::Other)),
            ("status: libc6: installed", Some(Status::Other)),
            ("Setting up libc6 ...", None),
        ];
        for (line, expected) in rows {
            assert_eq!(status(line), expected, "{line}");
        }
    }
}
