//! The monitor as a child process: started, led into its name spaces, ordered and heard.

use std::{
    io::{PipeReader, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use super::{
    CHILD_ARGUMENT, Ids, SandboxError,
    protocol::{Order, Report, Task, receive, send},
    remedy::{hint, hint_of_map},
};
use crate::sys;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says which program is the monitor, once for this process: one whose `main` calls [`super::child_main`] for
/// [`CHILD_ARGUMENT`]. Without it that is our own executable; a test, which is another program, needs this.
pub fn set_program(program: impl Into<PathBuf>) {
    let _ = PROGRAM.set(program.into());
}

/// A monitor that has its task, and our end of its socket.
#[derive(Debug)]
pub(super) struct Monitor {
    pub control: OwnedFd,
    pub process: Child,
    pub output: PipeReader,
}

impl Monitor {
    /// Starts one. It inherits three descriptors and nothing else: socket, task, output.
    pub fn spawn(task: &Task) -> Result<Self, SandboxError> {
        let program = PROGRAM.get().map_or(Path::new("/proc/self/exe"), PathBuf::as_path);
        let failed = |source| SandboxError::Program { program: program.into(), source };
        let (control, theirs) = sys::socket::pair().map_err(SandboxError::Spawn)?;
        let text = serde_json::to_vec(task).expect("a task has only string keys");
        let file = rustix::fs::memfd_create("sandbox", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|e| failed(e.into()))?;
        let mut file = std::fs::File::from(file);
        file.write_all(&text).map_err(failed)?;
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).map_err(|e| failed(e.into()))?;
        let (output, writer) = std::io::pipe().map_err(failed)?;
        if matches!(task, Task::Run(sandbox) | Task::RunOnView(sandbox) if sandbox.ids == Ids::Grain) {
            // Programs open their output anew by `/dev/stderr`, and a pipe lets only its owner (PHP-FPM,
            // lighttpd).
            let (uid, gid) = super::grain_host_id();
            let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
            rustix::fs::fchown(&writer, Some(uid), Some(gid)).map_err(|e| failed(e.into()))?;
        }
        let process = Command::new(program)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(writer))
            .spawn()
            .map_err(failed)?;
        Ok(Monitor { control, process, output })
    }

    /// Leads the monitor into its name spaces.
    pub fn map(&mut self, ids: Ids) -> Result<(), SandboxError> {
        let Report::Unshared { users } = self.next()?.0 else { return Err(self.silent()) };
        if users {
            let way = match ids {
                Ids::Grain => "one user".to_owned(),
                Ids::RootLike(way) => way.to_string(),
            };
            let maps = ids.maps().and_then(|maps| maps.write(self.process.id()));
            maps.map_err(|source| SandboxError::Map { way, source, hint: hint_of_map() })?;
        }
        self.order(&Order::Mapped)
    }

    /// Hands a view over that is mounted already.
    pub fn join(&mut self, held: &MountedView) {
        let fds = [held.users.as_fd(), held.view.as_fd()];
        // As for any order.
        let _ = send(&self.control, &Order::Join, &fds);
    }

    pub fn order(&mut self, order: &Order) -> Result<(), SandboxError> {
        // If the monitor is gone, its last output explains more than EPIPE.
        let _ = send(&self.control, order, &[]);
        Ok(())
    }

    /// Returns the next report; a failure is an error.
    pub fn next(&mut self) -> Result<(Report, Vec<OwnedFd>), SandboxError> {
        match receive(&self.control) {
            Ok(Some((Report::Failed { step, call, errno }, _))) => {
                let hint = hint(&call, errno);
                Err(SandboxError::SetUp { step, call, hint })
            }
            Ok(Some(report)) => Ok(report),
            Ok(None) | Err(_) => Err(self.silent()),
        }
    }

    /// The error for a monitor that does not say what it should: with what it wrote, which only a fault of
    /// its own makes it do at this time.
    pub fn silent(&mut self) -> SandboxError {
        self.stop();
        let mut output = String::new();
        let _ = std::io::Read::read_to_string(&mut self.output, &mut output);
        SandboxError::Ended { output }
    }

    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A view that stays mounted after its sandbox, with all that the kernel knows of it, for the next sandbox of
/// the same ids; the last to let go of it unmounts it.
#[derive(Debug)]
pub struct MountedView {
    /// The user namespace that it is mounted in.
    pub(super) users: OwnedFd,
    /// A mount of it that lies nowhere.
    pub(super) view: OwnedFd,
}
