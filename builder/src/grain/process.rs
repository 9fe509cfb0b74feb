//! A running grain: boot, readiness, stop, restart, and programs beside its services.

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

use super::{GrainError, GrainRoot, GrainSpec};
use crate::{
    exercise::CommandOutput,
    files,
    layout::INIT,
    sandbox::{Address, Bind, Devices, Exit, MountedView, Program, Running, Sandbox, Tmpfs, grain_host_id},
    view::fuse::{Server, serve},
};

/// Names the descriptor to which the first process writes when all services are ready.
const READY_VARIABLE: &str = "TINYROOT_READY_FD";

/// How often a wait for readiness is interrupted to list the listening sockets.
const PAUSE: Duration = Duration::from_millis(400);

/// The time that a grain has to end after its first process has stopped waiting for services.
const GRACE: Duration = Duration::from_secs(5);

/// A grain whose services were ready when it started.
pub struct Grain {
    root: Arc<GrainRoot>,
    spec: GrainSpec,
    /// `None` between stop and start.
    life: Option<Life>,
    /// The mount of its root, if that is a view: one mount for all lives.
    mounted: Option<Mounted>,
}

/// A view that is mounted and served. Fields are dropped in order: the server responds until the mount is
/// gone.
struct Mounted {
    held: Option<MountedView>,
    server: Server,
}

/// One life of a grain, from start to stop. Fields are dropped in order: the processes first.
struct Life {
    running: Arc<Running>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Grain {
    /// Starts a grain and waits until its services are ready. Trace, proof and use all come here.
    ///
    /// # Errors
    /// [`GrainError`].
    pub fn start(root: Arc<GrainRoot>, spec: GrainSpec) -> Result<Self, GrainError> {
        Grain::start_with(root, spec, |_| Ok(()))
    }

    /// Starts a grain as [`Grain::start`] does. Calls `on_start` with its processes before they are ready, so
    /// that another thread can end the start.
    ///
    /// # Errors
    /// [`GrainError`]; [`GrainError::Thread`] holds the error of `on_start`.
    pub fn start_with(
        root: Arc<GrainRoot>,
        spec: GrainSpec,
        on_start: impl FnOnce(Arc<Running>) -> io::Result<()>,
    ) -> Result<Self, GrainError> {
        make_var(&spec.var)?;
        let mut grain = Grain { root, spec, life: None, mounted: None };
        let number = grain.boot()?;
        if let Some(running) = grain.running() {
            on_start(running).map_err(GrainError::Thread)?;
        }
        grain.await_ready(number)?;
        Ok(grain)
    }

    fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::grain(self.root.for_sandbox(), [INIT]);
        sandbox.ready = Some(READY_VARIABLE.into());
        let size = self.spec.tmp_bytes;
        sandbox.tmpfs = ["/tmp", "/run", "/dev/shm"].map(|at| Tmpfs::new(at, 0o1777, size)).to_vec();
        sandbox.proc = self.spec.proc;
        if self.spec.terminals {
            sandbox.devices = Devices::Terminals;
        }
        if !self.spec.proc && Path::new("/proc/cpuinfo").exists() {
            sandbox.binds.push(Bind::read_only("/proc/cpuinfo", "/proc/cpuinfo"));
        }
        sandbox.binds.push(Bind::writable(&self.spec.var, "/var"));
        sandbox
    }

    /// Starts the first process. Returns the number of this life, for the log.
    fn boot(&mut self) -> Result<u64, GrainError> {
        let held = self.mounted.as_mut().and_then(|mounted| mounted.held.take());
        let sandbox = self.sandbox();
        let prepared = held.map_or_else(|| sandbox.prepare(), |held| sandbox.prepare_on(held));
        let mut prepared = prepared.map_err(GrainError::Sandbox)?;
        // Lookups of the sandbox itself during its set-up are not evidence.
        if let Some(view) = self.root.view() {
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
        if let Some(view) = self.root.view() {
            view.start_recording();
        }
        let running = Arc::new(prepared.start().map_err(GrainError::Sandbox)?);
        let mut life = Life { running: running.clone(), reader: None };
        let output = running.take_output();
        let number = self.spec.log.begin();
        if let Some(output) = output {
            let log = self.spec.log.clone();
            let reader = std::thread::Builder::new().name("grain-log".into());
            let reader = reader.spawn(move || log.drain(output)).map_err(GrainError::Thread)?;
            life.reader = Some(reader);
        }
        self.life = Some(life);
        Ok(number)
    }

    /// Waits until the first process reports that all services are ready, or ends. It writes to a descriptor
    /// that no service has; a line in the log would prove nothing, since any app can print it.
    fn await_ready(&mut self, number: u64) -> Result<(), GrainError> {
        let mut listening = Vec::new();
        while let Some(running) = self.running() {
            match running.wait_ready(PAUSE) {
                Some(true) => {
                    self.spec.log.catch_up(number);
                    return Ok(());
                }
                Some(false) => break,
                None => {
                    // Once the grain has ended, nothing listens any more: the last list counts.
                    let seen = running.listening();
                    if !seen.is_empty() {
                        listening = seen;
                    }
                }
            }
        }
        let exit = self.wait();
        // Waits for the end of the log.
        self.life = None;
        let tail = self.spec.log.tail();
        let remedy = self.spec.waits.remedy(&tail, &listening).map(Box::new);
        Err(GrainError::Ended { exit, tail, proc: self.spec.proc, remedy })
    }

    /// Connects to the web port.
    ///
    /// # Errors
    /// As `connect(2)`; not connected if the grain has no web port or is stopped.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let port = self.spec.port.ok_or(io::ErrorKind::NotConnected)?;
        let life = self.life.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        life.running.connect(&Address::Tcp(port)).map(TcpStream::from)
    }

    /// Returns the grain's processes, to connect to them or to signal them from another thread; `None` if it
    /// is stopped.
    pub fn running(&self) -> Option<Arc<Running>> {
        self.life.as_ref().map(|life| life.running.clone())
    }

    /// Returns its root.
    pub fn root(&self) -> &Arc<GrainRoot> {
        &self.root
    }

    /// Returns what it was started with.
    pub fn spec(&self) -> &GrainSpec {
        &self.spec
    }

    /// Runs a program beside the services to its end.
    ///
    /// # Errors
    /// As `execve(2)`; not connected if the grain is stopped.
    pub fn exec(&self, command: &[String]) -> io::Result<CommandOutput> {
        let life = self.life.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut program = Program::new(command);
        program.env = self.spec.env.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
        let (exit, output) = life.running.exec_output(&program)?;
        Ok(CommandOutput { status: exit.code(), output })
    }

    /// Returns how the grain ended by itself, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        self.life.as_ref().and_then(|life| life.running.try_wait())
    }

    /// Waits for the end of the grain.
    pub fn wait(&mut self) -> Exit {
        match &self.life {
            Some(life) => life.running.wait(),
            None => Exit::Code(0),
        }
    }

    /// Stops the grain: services are asked to end, last started first, and killed if they do not in time.
    /// A stopped grain stays stopped.
    ///
    /// # Errors
    /// [`GrainError::View`] if the view reported errors: the app may have seen a damaged root.
    pub fn stop(&mut self) -> Result<Exit, GrainError> {
        let exit = self.shut_down();
        let Some(Mounted { held, server }) = self.mounted.take() else { return Ok(exit) };
        drop(held);
        server.stop().map(|()| exit).map_err(GrainError::View)
    }

    /// Ends the processes; a view stays mounted.
    fn shut_down(&mut self) -> Exit {
        let Some(mut life) = self.life.take() else { return Exit::Code(0) };
        let _ = life.running.signal(libc::SIGTERM);
        let exit = life.running.wait_timeout(self.spec.stop_limit + GRACE);
        life.running.kill();
        let exit = exit.unwrap_or_else(|| life.running.wait());
        life.join();
        if let Some(view) = self.root.view() {
            view.stop_recording();
        }
        exit
    }

    /// Stops the grain and starts it again on the same `/var`, with new `/tmp` and `/run`.
    ///
    /// # Errors
    /// [`GrainError`], if the grain does not start again.
    pub fn restart(&mut self) -> Result<(), GrainError> {
        self.shut_down();
        let number = self.boot()?;
        self.await_ready(number)
    }
}

impl Life {
    /// Waits for the last output; all writers have ended.
    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.running.kill();
        self.join();
    }
}

/// Makes the directory of a grain's `/var`, owned by the grain's user.
fn make_var(path: &Path) -> Result<(), GrainError> {
    let fault = |source| GrainError::Var { path: path.to_path_buf(), source };
    let (uid, gid) = grain_host_id();
    if !path.exists() {
        files::create_dir_all(path).map_err(|error| fault(error.source))?;
        chown(path, Some(uid), Some(gid)).map_err(fault)?;
    }
    let metadata = fs::metadata(path).map_err(fault)?;
    if metadata.uid() == uid {
        // The app may have closed the directory to itself.
        let mode = metadata.mode() & 0o7777;
        let opened = Permissions::from_mode(mode | 0o700);
        if mode & 0o700 != 0o700 {
            files::set_permissions(path, opened).map_err(|error| fault(error.source))?;
        }
        return Ok(());
    }
    // An empty directory of another user, such as a temporary one, becomes the grain's.
    let is_empty = files::list(path).map_err(|error| fault(error.source))?.is_empty();
    if is_empty && chown(path, Some(uid), Some(gid)).is_ok() {
        return Ok(());
    }
    Err(GrainError::Owner { path: path.to_path_buf(), owner: metadata.uid(), expected: uid })
}
