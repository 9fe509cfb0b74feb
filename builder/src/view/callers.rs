//! From a calling thread to the program that it runs, by the host's `/proc`.
//!
//! Reads only `exe`, `stat` and, as text, never opens what they name: following `exe` would send a request to
//! the view that waits for the reply. A caller waits while its request is served, so its entry cannot vanish.

use std::{
    collections::HashMap,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{files, layout::INIT, tree::escape};

/// The program that a thread runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its path as its own root has it, escaped as in a tree's text; `?` if it is unknown, `tinyroot`
    /// for the program that serves.
    pub path: Arc<str>,
    /// The program of its ancestor that our first process started; empty if there is none.
    pub service: Arc<str>,
    /// True for tinyroot itself and its first process, whose reads are not evidence.
    pub ours: bool,
}

impl Program {
    /// Returns the placeholder of an unknown program.
    pub fn unknown() -> Self {
        Program { path: "?".into(), service: "".into(), ours: false }
    }
}

/// Finds the program of a thread.
pub trait Programs: Send + Sync {
    /// Returns the program of a thread.
    fn program(&self, thread: u32) -> Program;

    /// Called when a thread is about to run another program.
    fn executing(&self, _thread: u32) {}
}

/// Threads kept in mind; past it, all are forgotten and looked up anew.
const REMEMBERED: usize = 8192;

/// Ancestors looked at on the way to the first process.
const GENERATIONS: usize = 64;

/// [`Programs`] by `/proc`, for threads that have a number in our process namespace.
#[derive(Debug)]
pub struct ByProc {
    proc: PathBuf,
    own: Option<PathBuf>,
    known: Mutex<HashMap<u32, Program>>,
}

impl Default for ByProc {
    fn default() -> Self {
        ByProc::new(Path::new("/proc"))
    }
}

impl ByProc {
    fn new(proc: &Path) -> Self {
        ByProc { proc: proc.into(), own: fs::read_link(proc.join("self/exe")).ok(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u32, Program>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exe(&self, thread: u32) -> Option<PathBuf> {
        fs::read_link(self.proc.join(thread.to_string()).join("exe")).ok()
    }

    /// The parent, field 4 of `proc_pid_stat(5)`; the name before it may hold anything.
    fn parent(&self, thread: u32) -> Option<u32> {
        let stat = files::read(self.proc.join(thread.to_string()).join("stat")).ok()?;
        let end = stat.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
        rest.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// The program of the ancestor (or self) whose parent is our first process.
    fn service(&self, thread: u32, exe: PathBuf) -> Option<PathBuf> {
        let (mut at, mut exe) = (thread, exe);
        for _ in 0..GENERATIONS {
            let parent = self.parent(at).filter(|parent| *parent > 1)?;
            let parents = self.exe(parent)?;
            if parents.as_os_str() == INIT {
                return Some(exe);
            }
            (at, exe) = (parent, parents);
        }
        None
    }

    fn find(&self, thread: u32) -> Program {
        let Some(exe) = self.exe(thread) else { return Program::unknown() };
        let own = self.own.as_ref() == Some(&exe);
        let ours = own || exe.as_os_str() == INIT;
        // Where tinyroot itself lies is of no interest, and differs between machines.
        let path = if own { "tinyroot".into() } else { escape(exe.as_os_str().as_bytes()).into() };
        let service = if ours { None } else { self.service(thread, exe) };
        let service = service.map_or_else(|| "".into(), |s| escape(s.as_os_str().as_bytes()).into());
        Program { path, service, ours }
    }
}

impl Programs for ByProc {
    fn program(&self, thread: u32) -> Program {
        if thread == 0 {
            return Program::unknown();
        }
        if let Some(program) = self.known().get(&thread) {
            return program.clone();
        }
        let program = self.find(thread);
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(thread, program.clone());
        program
    }

    fn executing(&self, thread: u32) {
        self.known().remove(&thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn process(proc: &Path, id: u32, parent: u32, exe: &str) {
        let directory = proc.join(id.to_string());
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("creates");
        fs::write(directory.join("stat"), format!("{id} (a) b (c) S {parent} 1 1")).expect("writes");
        symlink(exe, directory.join("exe")).expect("links");
    }

    #[test]
    fn finds_program_and_service() {
        let proc = tempfile::tempdir().expect("a directory");
        process(proc.path(), 10, 9, INIT);
        process(proc.path(), 11, 10, "/usr/sbin/lighttpd");
        process(proc.path(), 12, 11, "/usr/bin/git");
        process(proc.path(), 20, 2, "/usr/bin/cron");
        let programs = ByProc::new(proc.path());
        let git = programs.program(12);
        assert_eq!((&*git.path, &*git.service, git.ours), ("/usr/bin/git", "/usr/sbin/lighttpd", false));
        assert_eq!(&*programs.program(11).service, "/usr/sbin/lighttpd");
        assert_eq!(&*programs.program(20).service, "");
        assert!(programs.program(10).ours);
        assert_eq!(programs.program(99), Program::unknown());
    }

    #[test]
    fn looks_again_after_an_exec() {
        let proc = tempfile::tempdir().expect("a directory");
        process(proc.path(), 12, 1, "/bin/sh");
        let programs = ByProc::new(proc.path());
        assert_eq!(&*programs.program(12).path, "/bin/sh");
        process(proc.path(), 12, 1, "/bin/ls");
        assert_eq!(&*programs.program(12).path, "/bin/sh");
        programs.executing(12);
        assert_eq!(&*programs.program(12).path, "/bin/ls");
    }
}
