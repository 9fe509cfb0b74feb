//! A running grain: start, readiness, stop, restart, and programs beside its services.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    net::TcpStream,
    os::unix::fs::{MetadataExt, PermissionsExt as _, chown},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{Base, GrainError, GrainOptions};
use crate::{
    exercise::CommandOutput,
    layout::INIT,
    sandbox::{Address, Bind, Devices, Exit, MountedView, Program, Running, Sandbox, Tmpfs, grain_host_id},
    view::fuse::{Server, serve},
};

/// The variable by which the first process knows where to say that all services are ready.
const READY_VARIABLE: &str = "TINYROOT_READY_FD";

/// How often a wait is interrupted to look around.
const PAUSE: Duration = Duration::from_millis(400);

/// How much longer than its first process takes to give up on services a grain may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// A grain whose services were ready when it started.
pub struct Grain {
    base: Arc<Base>,
    options: GrainOptions,
    /// `None` between stop and start.
    live: Option<Live>,
    /// Its root, if that is a view: mounted once for all of its lives.
    mounted: Option<Mounted>,
}

/// A view that is mounted and served. Fields are dropped in order: requests are answered to the end.
struct Mounted {
    held: Option<MountedView>,
    server: Server,
}

/// One life of a grain, from start to stop. Fields are dropped in order: the processes first.
struct Live {
    running: Arc<Running>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Grain {
    /// Starts a grain and waits until its services are ready.
    ///
    /// # Errors
    /// [`GrainError`]; [`GrainError::hint`] says what would help.
    pub fn start(base: Arc<Base>, options: GrainOptions) -> Result<Self, GrainError> {
        Grain::start_with(base, options, |_| Ok(()))
    }

    /// Starts a grain as [`Grain::start`] does; `on_start` is given its processes before they are ready, so that
    /// a start can be ended.
    ///
    /// # Errors
    /// As [`Grain::start`].
    pub fn start_with(
        base: Arc<Base>,
        options: GrainOptions,
        on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
    ) -> Result<Self, GrainError> {
        make_var(&options.var)?;
        let mut grain = Grain { base, options, live: None, mounted: None };
        let life = grain.go()?;
        if let Some(running) = grain.running() {
            on_start(running).map_err(GrainError::Thread)?;
        }
        grain.await_ready(life)?;
        Ok(grain)
    }

    fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::grain(self.base.root(), [INIT]);
        sandbox.ready = Some(READY_VARIABLE.into());
        let size = self.options.tmp_bytes;
        sandbox.tmpfs = ["/tmp", "/run", "/dev/shm"].map(|at| Tmpfs::new(at, 0o1777, size)).to_vec();
        sandbox.proc = self.options.proc;
        if self.options.terminals {
            sandbox.devices = Devices::Terminals;
        }
        if !self.options.proc && Path::new("/proc/cpuinfo").exists() {
            sandbox.binds.push(Bind::read_only("/proc/cpuinfo", "/proc/cpuinfo"));
        }
        sandbox.binds.push(Bind::writable(&self.options.var, "/var"));
        sandbox
    }

    /// Starts the first process; returns the number of this life in the log.
    fn go(&mut self) -> Result<u64, GrainError> {
        let held = self.mounted.as_mut().and_then(|mounted| mounted.held.take());
        let sandbox = self.sandbox();
        let prepared = held.map_or_else(|| sandbox.prepare(), |held| sandbox.prepare_on(held));
        let mut prepared = prepared.map_err(GrainError::Sandbox)?;
        // Lookups of the sandbox itself during its set-up are not evidence.
        if let Some(view) = self.base.view() {
            view.stop_recording();
            if let Some(fuse) = prepared.fuse() {
                let server = serve(fuse, view.clone()).map_err(GrainError::View)?;
                self.mounted = Some(Mounted { held: None, server });
            }
        }
        prepared.set_up().map_err(GrainError::Sandbox)?;
        if let Some(mounted) = &mut self.mounted {
            mounted.held = prepared.hold();
        }
        if let Some(view) = self.base.view() {
            view.start_recording();
        }
        let running = Arc::new(prepared.start().map_err(GrainError::Sandbox)?);
        let mut live = Live { running: running.clone(), reader: None };
        let output = running.take_output();
        let started = self.options.log.begin();
        if let Some(output) = output {
            let log = self.options.log.clone();
            let reader = std::thread::Builder::new().name("grain-log".into());
            let reader = reader.spawn(move || log.drain(output)).map_err(GrainError::Thread)?;
            live.reader = Some(reader);
        }
        self.live = Some(live);
        Ok(started)
    }

    /// Waits until the first process says that all is ready, or has ended. It says so by a descriptor that it alone has: any app can
    /// print a line.
    fn await_ready(&mut self, life: u64) -> Result<(), GrainError> {
        let mut listening = Vec::new();
        while let Some(running) = self.running() {
            match running.wait_ready(PAUSE) {
                Some(true) => {
                    self.options.log.catch_up(life);
                    return Ok(());
                }
                Some(false) => break,
                None => {
                    // At the end there is nothing left to look at: what was seen last counts.
                    let seen = running.listening();
                    if !seen.is_empty() {
                        listening = seen;
                    }
                }
            }
        }
        let exit = self.wait();
        // Joins the log.
        self.live = None;
        let tail = self.options.log.tail();
        let remedy = self.options.waits.remedy(&tail, &listening).map(Box::new);
        Err(GrainError::Ended { exit, tail, proc: self.options.proc, remedy })
    }

    /// Connects to the web port.
    ///
    /// # Errors
    /// As `connect(2)`; not connected if the grain has no web port or is stopped.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let port = self.options.port.ok_or(io::ErrorKind::NotConnected)?;
        let live = self.live.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        live.running.connect(&Address::Tcp(port)).map(TcpStream::from)
    }

    /// Returns the grain's processes, to connect to them or to signal them from another thread; `None` if it is stopped.
    pub fn running(&self) -> Option<Arc<Running>> {
        self.live.as_ref().map(|live| live.running.clone())
    }

    /// Returns what the grain stands on.
    pub fn base(&self) -> &Arc<Base> {
        &self.base
    }

    /// Returns its options.
    pub fn options(&self) -> &GrainOptions {
        &self.options
    }

    /// Runs a program beside the services to its end.
    ///
    /// # Errors
    /// As `execve(2)`; not connected if the grain is stopped.
    pub fn run(&self, command: &[String]) -> io::Result<CommandOutput> {
        let live = self.live.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut program = Program::new(command);
        program.env = self.options.env.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
        let (exit, output) = live.running.exec_output(&program)?;
        Ok(CommandOutput { status: exit.code(), output })
    }

    /// Returns how the grain ended by itself, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        self.live.as_ref().and_then(|live| live.running.try_wait())
    }

    /// Waits for the end of the grain.
    pub fn wait(&mut self) -> Exit {
        match &self.live {
            Some(live) => live.running.wait(),
            None => Exit::Code(0),
        }
    }

    /// Stops the grain: services are asked to end, last started first, and killed if they do not in time.
    /// A stopped grain stays stopped.
    ///
    /// # Errors
    /// [`GrainError::View`] if the root was not served well, so that what the app saw is in doubt.
    pub fn stop(&mut self) -> Result<Exit, GrainError> {
        let exit = self.end_life();
        let Some(Mounted { held, server }) = self.mounted.take() else { return Ok(exit) };
        drop(held);
        server.stop().map(|()| exit).map_err(GrainError::View)
    }

    /// Ends the processes; a view stays mounted.
    fn end_life(&mut self) -> Exit {
        let Some(mut live) = self.live.take() else { return Exit::Code(0) };
        let _ = live.running.signal(libc::SIGTERM);
        let exit = live.running.wait_timeout(self.options.stop_limit + GRACE);
        live.running.kill();
        let exit = exit.unwrap_or_else(|| live.running.wait());
        live.join();
        if let Some(view) = self.base.view() {
            view.stop_recording();
        }
        exit
    }

    /// Stops the grain and starts it again on the same `/var`, with new `/tmp` and `/run`.
    ///
    /// # Errors
    /// As [`Grain::start`] and [`Grain::stop`].
    pub fn restart(&mut self) -> Result<(), GrainError> {
        self.end_life();
        let life = self.go()?;
        self.await_ready(life)
    }
}

impl Live {
    /// Waits for the last output; all writers have ended.
    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.running.kill();
        self.join();
    }
}

/// Makes the directory that is a grain's `/var`, for the user that the grain will be.
fn make_var(path: &Path) -> Result<(), GrainError> {
    let fault = |source| GrainError::Var { path: path.to_path_buf(), source };
    let (uid, gid) = grain_host_id();
    if !path.exists() {
        fs::create_dir_all(path).map_err(fault)?;
        chown(path, Some(uid), Some(gid)).map_err(fault)?;
    }
    let metadata = fs::metadata(path).map_err(fault)?;
    if metadata.uid() == uid {
        // The app may have closed it to itself.
        let mode = metadata.mode() & 0o7777;
        let opened = Permissions::from_mode(mode | 0o700);
        return if mode & 0o700 == 0o700 { Ok(()) } else { fs::set_permissions(path, opened).map_err(fault) };
    }
    // A directory made by someone else for us, such as a temporary one, is taken over while it is empty.
    if fs::read_dir(path).map_err(fault)?.next().is_none() && chown(path, Some(uid), Some(gid)).is_ok() {
        return Ok(());
    }
    Err(GrainError::Owner { path: path.to_path_buf(), owner: metadata.uid(), expected: uid })
}
