//! The surroundings of a child process: a root of its own, and nothing of the host.
//!
//! Comes in: a [`Sandbox`], a value that can be printed and compared. Goes out: [`Running`], a program inside
//! its own user, mount, process, network, IPC and host name spaces. It starts from nothing: no network but
//! its own loopback, no host path, no inherited descriptor or variable. `configure`, `trace`, `prove` and
//! `run` all use this one.
//!
//! A *monitor* ([`child_main`]) stands between us and the program: a fresh process of this same executable,
//! so that no Rust code runs between `fork` and `exec` of a program with threads. It lives in the sandbox's
//! network and mounts but in the outer process numbers; it builds the root, starts the program as process 1,
//! and then opens connections for us. When our end of its socket closes, even by `kill -9`, it takes all of
//! the sandbox down.
//!
//! Where a host allows no name spaces, root there can still run programs in a chroot ([`Way::Chroot`]): that
//! is for maintainer scripts only, keeps less out, and has its own module.
//!
//! It is not a boundary against faults of the kernel itself, nor against a host whose root it was started by
//! and that hands it writable binds. Memory is not limited.

mod child;
mod chroot;
mod filter;
mod host_support;
mod ids;
mod listening;
mod monitor;
mod proc;
mod protocol;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod remedy;
mod remove;
mod root;
mod running;
mod start;
mod step;

use std::{
    borrow::Cow,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

pub use child::{MountedView, set_program};
pub use host_support::{Ability, HostSupport, Unavailable, best_way, fuse, host, missing_features};
pub use ids::{IdMap, Ids, Way, choose_way, chosen_way, grain_host_id, is_full_root};
pub use listening::Listening;
pub use monitor::child_main;
pub use remove::remove_for_all;
pub use running::{Execution, Running};
pub use start::Prepared;

use crate::error::Hint;
use crate::sys;

/// The hidden first argument by which `main` knows that it is to be the monitor: `main` calls [`child_main`]
/// when `argv[1]` is this, before it looks at any other argument.
pub const CHILD_ARGUMENT: &str = "__sandbox";

/// The byte that process 1 writes to the descriptor of [`Sandbox::ready`].
pub const READY: &[u8] = b"ready\n";

/// A program and all that it may see. [`Sandbox::new`] gives the emptiest one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sandbox {
    /// The file system at `/`.
    pub root: Root,
    /// Who the program is.
    pub ids: Ids,
    /// Files and directories of the host that are seen inside, in this order, after `tmpfs`.
    pub binds: Vec<Bind>,
    /// Fresh file systems in memory, in this order.
    pub tmpfs: Vec<Tmpfs>,
    /// Which devices `/dev` has.
    pub devices: Devices,
    /// Whether `/proc` is there: read-only, of the sandbox's own processes, in a grain with little of the
    /// kernel. Without it there is an empty directory.
    pub proc: bool,
    /// The program that runs as process 1: its path inside, then its arguments.
    pub command: Vec<OsString>,
    /// All of its environment.
    pub env: Vec<(OsString, OsString)>,
    /// One more variable of process 1: the number of a descriptor, a socket, to which it writes [`READY`]
    /// once it is ready ([`Running::wait_ready`]). It is for process 1 to close that before it starts other
    /// programs, and to take requests to stop: SIGINT, SIGTERM and SIGHUP are blocked when it starts.
    pub ready: Option<OsString>,
    /// Where it starts.
    #[serde(with = "protocol::path")]
    pub directory: PathBuf,
    /// The host's name inside.
    pub hostname: String,
    /// The limits of its resources.
    pub limits: Limits,
    /// Which system calls it may make.
    pub filter: Filter,
}

impl Sandbox {
    /// Returns a sandbox with nothing in it but the root: no `/proc`, no binds, no environment.
    pub fn new(root: Root, ids: Ids, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Sandbox {
            root,
            ids,
            binds: Vec::new(),
            tmpfs: Vec::new(),
            devices: Devices::None,
            proc: false,
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            ready: None,
            directory: PathBuf::from("/"),
            hostname: "sandbox".into(),
            limits: Limits::default(),
            filter: Filter::None,
        }
    }

    /// Returns the sandbox of a grain without its `/var`: read-only root, minimal `/dev`, fresh `/tmp`,
    /// `/run` and `/dev/shm`, uid 1000, the grain's filter. The grain's `/var` is a [`Bind`] to add.
    pub fn grain(root: Root, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let mut sandbox = Sandbox::new(root, Ids::Grain, command);
        // The one name that every root resolves, so that programs that look their own host up find it.
        sandbox.hostname = "localhost".into();
        sandbox.devices = Devices::Minimal;
        sandbox.tmpfs = vec![
            Tmpfs::new("/tmp", 0o1777, 256 << 20),
            Tmpfs::new("/run", 0o1777, 64 << 20),
            Tmpfs::new("/dev/shm", 0o1777, 256 << 20),
        ];
        sandbox.filter = Filter::Grain;
        sandbox.limits = Limits::GRAIN;
        sandbox
    }

    /// Adds a variable to the environment.
    pub fn set_env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// The command as a shell would read it, so that it can be run again by hand.
impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{}={} ", name.to_string_lossy(), quoted(&value.to_string_lossy()))?;
        }
        for (index, word) in self.command.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(&word.to_string_lossy()))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The file system at `/` of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Root {
    /// A directory of the host, never with setuid or device files in effect.
    Directory {
        /// The directory.
        #[serde(with = "protocol::path")]
        path: PathBuf,
        /// Whether the program may change it.
        writable: bool,
    },
    /// A FUSE file system, read-only: [`Prepared::fuse`] hands out the connection, and it must be served
    /// before [`Prepared::set_up`] or [`Prepared::start`] is called.
    View,
    /// A writable layer over a read-only directory (overlayfs).
    Overlay {
        /// The lower layer; never changed.
        #[serde(with = "protocol::path")]
        lower: PathBuf,
        /// Where changes go.
        #[serde(with = "protocol::path")]
        upper: PathBuf,
        /// An empty directory on the file system of `upper`.
        #[serde(with = "protocol::path")]
        work: PathBuf,
    },
}

/// A file or directory of the host that is seen inside, without setuid or devices in effect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bind {
    /// On the host.
    #[serde(with = "protocol::path")]
    pub source: PathBuf,
    /// Inside: an absolute path of something that is there, of the same kind; on a file system in memory it
    /// is made.
    #[serde(with = "protocol::path")]
    pub target: PathBuf,
    /// Whether the program may change it.
    pub writable: bool,
}

impl Bind {
    /// Returns a bind that can only be read.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Bind { source: source.into(), target: target.into(), writable: false }
    }

    /// Returns a bind that can be written.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Bind { source: source.into(), target: target.into(), writable: true }
    }
}

/// A fresh file system in memory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tmpfs {
    /// Where: an absolute path of a directory that is there; on another file system in memory it is made.
    #[serde(with = "protocol::path")]
    pub target: PathBuf,
    /// Mode of its top directory, which belongs to the program's user.
    pub mode: u32,
    /// The most it holds.
    pub size_bytes: u64,
}

impl Tmpfs {
    /// Returns a file system of that mode and size.
    pub fn new(target: impl Into<PathBuf>, mode: u32, size_bytes: u64) -> Self {
        Tmpfs { target: target.into(), mode, size_bytes }
    }
}

/// Which devices `/dev` has. Any but `None` puts a read-only file system in memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Devices {
    /// Nothing is mounted.
    None,
    /// `null zero full random urandom`, and in grains, and wherever `/proc` is, the links `fd stdin stdout
    /// stderr`.
    Minimal,
    /// Also `tty`, and pseudo terminals of its own.
    Terminals,
}

/// The limits of a program's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Open files: soft and hard limit (`RLIMIT_NOFILE`); `None` leaves what we have.
    pub open_files: Option<(u64, u64)>,
    /// Processes and threads (`RLIMIT_NPROC`; on kernels before 5.14 those of the same user outside count as
    /// well).
    pub processes: Option<u64>,
}

impl Limits {
    /// The limits of a grain: Sandstorm's limits of open files, and room for a Java runtime's threads.
    pub const GRAIN: Limits = Limits { open_files: Some((1024, 4096)), processes: Some(2048) };
}

/// Which system calls a program may make, besides what its ids bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Filter {
    /// All.
    None,
    /// Those that server programs use ([`filter`]); others fail with ENOSYS.
    Grain,
}

/// A place inside a grain that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Address {
    /// A port on 127.0.0.1.
    Tcp(u16),
    /// A socket in the file system, by its absolute path inside.
    Unix(#[serde(with = "protocol::path")] PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(port) => write!(f, "127.0.0.1:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Returns true for status 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// Returns the status as a shell gives it: 128 and the number for a signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// One more program for a sandbox that runs already; same ids, filter and limits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Program {
    /// Its path inside, then its arguments.
    pub command: Vec<OsString>,
    /// All of its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    #[serde(with = "protocol::path")]
    pub directory: PathBuf,
}

impl Program {
    /// Returns a program that starts at `/` with an empty environment.
    pub fn new(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Program {
            command: command.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            directory: Path::new("/").into(),
        }
    }
}

/// A sandbox that could not be made or talked to.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The monitor could not be started, or its socket not be used.
    #[error("cannot start a sandbox")]
    Spawn(#[source] sys::CallError),
    /// The program of the monitor could not be executed.
    #[error("cannot run {}", program.display())]
    Program {
        /// Our own program.
        program: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// A call of the monitor failed.
    #[error("cannot {step}: {call}")]
    SetUp {
        /// The operation ("mount /proc").
        step: String,
        /// The call that failed, as a trace line.
        call: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// The monitor ended without a word.
    #[error("the sandbox ended before its program started{}", last_words(output))]
    Ended {
        /// Its last output.
        output: String,
    },
    /// An id map could not be set.
    #[error("cannot map user ids into a sandbox ({way})")]
    Map {
        /// Which way was tried.
        way: String,
        /// The failure.
        source: std::io::Error,
        /// The remedy.
        hint: Option<String>,
    },
    /// No way to be root-like, or to be apart from the host at all.
    #[error("this host allows no sandbox: {reason}")]
    Host {
        /// The refused operation.
        reason: String,
        /// The remedy.
        hint: Option<String>,
    },
}

impl Hint for SandboxError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            SandboxError::SetUp { hint, .. }
            | SandboxError::Map { hint, .. }
            | SandboxError::Host { hint, .. } => hint.as_deref().map(Cow::Borrowed),
            SandboxError::Spawn(call) if call.errno == rustix::io::Errno::AGAIN => {
                Some(crate::threads::HINT.into())
            }
            SandboxError::Program { source, .. } if source.kind() == std::io::ErrorKind::WouldBlock => {
                Some(crate::threads::HINT.into())
            }
            _ => None,
        }
    }
}

fn last_words(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {}", output.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_prints_as_a_command_to_run_by_hand() {
        let mut sandbox = Sandbox::grain(Root::View, ["/bin/sh", "-c", "echo it's"]);
        sandbox.set_env("PATH", "/bin:/usr/bin").set_env("GREETING", "hello you");
        assert_eq!(sandbox.to_string(), r"PATH=/bin:/usr/bin GREETING='hello you' /bin/sh -c 'echo it'\''s'");
    }

    #[test]
    fn a_sandbox_survives_the_way_to_its_monitor() {
        use std::os::unix::ffi::OsStringExt;
        let mut sandbox = Sandbox::grain(Root::View, [OsString::from_vec(b"/a\xff".to_vec())]);
        sandbox.binds.push(Bind::writable(OsString::from_vec(b"/h\xfe".to_vec()), "/var"));
        let text = serde_json::to_vec(&sandbox).expect("serialises");
        assert_eq!(serde_json::from_slice::<Sandbox>(&text).expect("reads"), sandbox);
    }
}
