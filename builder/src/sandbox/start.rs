//! From a [`Sandbox`] to [`Running`]: starts the monitor and leads it through the set-up.

use std::os::fd::OwnedFd;

use super::{
    Running, Sandbox, SandboxError,
    child::{Monitor, MountedView},
    protocol::{Order, Report, Task},
};

/// A sandbox on its way: name spaces and mounts are there, the program is not.
#[derive(Debug)]
pub struct Prepared {
    /// `None` once it is running.
    monitor: Option<Monitor>,
    fuse: Option<OwnedFd>,
    users: Option<OwnedFd>,
    held: Option<MountedView>,
    built: bool,
}

impl Sandbox {
    /// Starts the sandbox up to the point where a view, if it has one, must be served.
    ///
    /// # Errors
    /// [`SandboxError`]; [`SandboxError::hint`] says what the host would have to allow.
    pub fn prepare(&self) -> Result<Prepared, SandboxError> {
        // Its programs may leave files of other ids.
        super::remove_for_all();
        let monitor = Monitor::spawn(&Task::Run(Box::new(self.clone())))?;
        self.prepare_by(monitor, None)
    }

    /// Starts the sandbox up to the same point, on a view that is mounted and served already.
    ///
    /// # Errors
    /// As [`Sandbox::prepare`].
    pub fn prepare_on(&self, held: MountedView) -> Result<Prepared, SandboxError> {
        let mut monitor = Monitor::spawn(&Task::RunOnView(Box::new(self.clone())))?;
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

    /// Starts the program, for a root that is not a view.
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

    /// Builds the rest of the root. A view that records what is used can begin when this is done: all lookups
    /// so far were our own. [`Prepared::start`] does it where it was not called.
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
        self.held = fds.pop().zip(self.users.take()).map(|(view, users)| MountedView { users, view });
        self.built = true;
        Ok(())
    }

    /// Returns the descriptor that keeps the view mounted beyond this sandbox, once; after
    /// [`Prepared::set_up`].
    pub fn hold(&mut self) -> Option<MountedView> {
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
