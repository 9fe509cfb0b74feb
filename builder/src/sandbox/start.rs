//! From a [`Sandbox`] to [`Running`]: starts the monitor and leads it through the set-up.

use std::{
    io::{PipeReader, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use super::{
    CHILD_ARGUMENT, Ids, Running, Sandbox, SandboxError,
    abilities::{hint, hint_of_map},
    protocol::{Order, Report, Task, receive, send},
};
use crate::sys;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Says which program is the monitor, once for this process: one whose `main` calls [`super::child_main`] for
/// [`CHILD_ARGUMENT`]. Without it that is our own executable; a test, which is another program, needs this.
pub fn set_program(program: impl Into<PathBuf>) {
    let _ = PROGRAM.set(program.into());
}

/// A monitor that has been told its task, and our end of its socket.
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
        if matches!(task, Task::Run(sandbox) | Task::Again(sandbox) if sandbox.ids == Ids::Grain) {
            // Programs open their output anew by `/dev/stderr`, and a pipe lets only its owner (PHP-FPM, lighttpd).
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
    fn join(&mut self, held: &Held) {
        let fds = [held.users.as_fd(), held.view.as_fd()];
        // As for any order.
        let _ = send(&self.control, &Order::Join, &fds);
    }

    pub fn order(&mut self, order: &Order) -> Result<(), SandboxError> {
        // That nobody is there any more shows better in what it said last.
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

    /// The error for a monitor that does not say what it should: with what it wrote, which only a fault of its own makes
    /// it do at this time.
    fn silent(&mut self) -> SandboxError {
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

/// A sandbox on its way: name spaces and mounts are there, the program is not.
#[derive(Debug)]
pub struct Prepared {
    /// `None` once it is running.
    monitor: Option<Monitor>,
    fuse: Option<OwnedFd>,
    users: Option<OwnedFd>,
    held: Option<Held>,
    built: bool,
}

/// A view that stays mounted after its sandbox, with all that the kernel knows of it, for the next sandbox of the same ids;
/// the last to let go of it unmounts it.
#[derive(Debug)]
pub struct Held {
    /// The user namespace that it is mounted in.
    pub(super) users: OwnedFd,
    /// A mount of it that lies nowhere.
    pub(super) view: OwnedFd,
}

impl Sandbox {
    /// Starts the sandbox up to the point where a view, if it has one, must be served.
    ///
    /// # Errors
    /// [`SandboxError`]; [`SandboxError::hint`] says what the host would have to allow.
    pub fn prepare(&self) -> Result<Prepared, SandboxError> {
        let monitor = Monitor::spawn(&Task::Run(Box::new(self.clone())))?;
        self.prepare_by(monitor, None)
    }

    /// Starts the sandbox up to the same point, on a view that is mounted and served already.
    ///
    /// # Errors
    /// As [`Sandbox::prepare`].
    pub fn prepare_on(&self, held: Held) -> Result<Prepared, SandboxError> {
        let mut monitor = Monitor::spawn(&Task::Again(Box::new(self.clone())))?;
        monitor.join(&held);
        self.prepare_by(monitor, Some(held.users))
    }

    fn prepare_by(&self, monitor: Monitor, users: Option<OwnedFd>) -> Result<Prepared, SandboxError> {
        let mut prepared = Prepared { monitor: Some(monitor), fuse: None, users, held: None, built: false };
        let monitor = prepared.monitor();
        monitor.map(self.ids)?;
        loop {
            let (report, mut fds) = prepared.monitor().next()?;
            match report {
                Report::Fuse => (prepared.users, prepared.fuse) = (fds.pop(), fds.pop()),
                Report::Prepared => return Ok(prepared),
                _ => return Err(prepared.monitor().silent()),
            }
        }
    }

    /// Starts the program: for a root that is no view.
    ///
    /// # Errors
    /// As [`Sandbox::prepare`] and [`Prepared::start`].
    pub fn start(&self) -> Result<Running, SandboxError> {
        self.prepare()?.start()
    }
}

impl Prepared {
    fn monitor(&mut self) -> &mut Monitor {
        self.monitor.as_mut().expect("it is taken away only by value")
    }

    /// Returns the FUSE connection of a view, once. Serve it before going on; nothing has looked into it yet.
    pub fn fuse(&mut self) -> Option<OwnedFd> {
        self.fuse.take()
    }

    /// Builds the rest of the root. A view that records what is used can begin when this is done: all lookups so far
    /// were our own. [`Prepared::start`] does it where it was not called.
    ///
    /// # Errors
    /// [`SandboxError::SetUp`] names the step.
    pub fn set_up(&mut self) -> Result<(), SandboxError> {
        if self.built {
            return Ok(());
        }
        let monitor = self.monitor();
        monitor.order(&Order::Build)?;
        let (Report::Built, mut fds) = monitor.next()? else { return Err(monitor.silent()) };
        self.held = fds.pop().zip(self.users.take()).map(|(view, users)| Held { users, view });
        self.built = true;
        Ok(())
    }

    /// Returns what keeps the view mounted beyond this sandbox, once; after [`Prepared::set_up`].
    pub fn hold(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Lets the program run.
    ///
    /// # Errors
    /// [`SandboxError::SetUp`] names the step; a program that is not there is one ("cannot run /bin/x").
    pub fn start(mut self) -> Result<Running, SandboxError> {
        self.set_up()?;
        let monitor = self.monitor();
        monitor.order(&Order::Start)?;
        let Report::Started = monitor.next()?.0 else { return Err(monitor.silent()) };
        let monitor = self.monitor.take().expect("it is taken away only here");
        Running::new(monitor)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(monitor) = &mut self.monitor {
            monitor.stop();
        }
    }
}
