//! A program that runs in its sandbox.

use std::{
    collections::BTreeMap,
    fmt, io,
    io::PipeReader,
    os::fd::{AsFd, OwnedFd},
    process::Child,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Address, Exit, Listening, Program, SandboxError,
    child::Monitor,
    listening,
    protocol::{Order, Report, receive, send},
};
use crate::files;

/// How long a connection may take: the program's queue of callers may be full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The monitor's reports so far.
#[derive(Default)]
struct State {
    answer: Option<(Report, Vec<OwnedFd>)>,
    exits: BTreeMap<u32, Exit>,
    ready: bool,
    closed: bool,
}

struct Shared {
    control: OwnedFd,
    state: Mutex<State>,
    changed: Condvar,
    /// One question at a time.
    asking: Mutex<()>,
}

impl Shared {
    /// Sends an order to the monitor and waits for its report.
    fn ask(&self, order: &Order, fds: &[OwnedFd]) -> io::Result<(Report, Vec<OwnedFd>)> {
        let _turn = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the sandbox has ended");
        send(&self.control, order, &fds)
            .map_err(|e| if e.errno == Errno::PIPE { gone() } else { e.into() })?;
        let answer = self.wait(None, |state| {
            let answer = state.answer.take();
            answer.map(Some).or(state.closed.then_some(None))
        });
        match answer.flatten() {
            Some((Report::Refused { errno }, _)) => Err(Errno::from_raw_os_error(errno).into()),
            Some(answer) => Ok(answer),
            None => Err(gone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the state gives a value, or the deadline passes.
    fn wait<T>(&self, deadline: Option<Instant>, mut ask: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = ask(&mut state) {
                return Some(answer);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// How a program ended; one whose sandbox is gone was killed with it.
    fn exit(&self, id: u32, deadline: Option<Instant>) -> Option<Exit> {
        self.wait(deadline, |state| {
            let killed = state.closed.then_some(Exit::Signal(libc::SIGKILL));
            state.exits.get(&id).copied().or(killed)
        })
    }

    /// Takes in reports until the monitor is gone.
    fn listen(&self) {
        while let Ok(Some((report, fds))) = receive::<Report>(&self.control) {
            let mut state = self.lock();
            match report {
                Report::Ended { id, exit } => {
                    state.exits.insert(id, exit);
                }
                Report::Ready => state.ready = true,
                report => state.answer = Some((report, fds)),
            }
            self.changed.notify_all();
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// A running sandbox. It can be used from any thread; dropped, it kills all that runs in it.
pub struct Running {
    shared: Arc<Shared>,
    output: Mutex<Option<PipeReader>>,
    process: Mutex<Child>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("exit", &self.try_wait()).finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn new(monitor: Monitor) -> Result<Self, SandboxError> {
        let Monitor { control, mut process, output } = monitor;
        let (state, changed, asking) = (Mutex::default(), Condvar::new(), Mutex::new(()));
        let shared = Arc::new(Shared { control, state, changed, asking });
        let listener = std::thread::Builder::new().name("sandbox".into()).spawn({
            let shared = shared.clone();
            move || shared.listen()
        });
        let listener = match listener {
            Ok(listener) => listener,
            Err(source) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(SandboxError::Program { program: "a thread".into(), source });
            }
        };
        Ok(Running {
            shared,
            output: Mutex::new(Some(output)),
            process: Mutex::new(process),
            listener: Mutex::new(Some(listener)),
        })
    }

    /// Opens a connection to a server inside. The descriptor is a stream socket that blocks.
    ///
    /// # Errors
    /// As `connect(2)`: refused while nothing listens, not found while a socket is not there yet; broken pipe
    /// after the end.
    pub fn connect(&self, address: &Address) -> io::Result<OwnedFd> {
        let (_, mut fds) = self.shared.ask(&Order::Connect(address.clone()), &[])?;
        let socket =
            fds.pop().ok_or_else(|| io::Error::other("internal error: a connection without a socket"))?;
        let timeout = Timespec { tv_sec: CONNECT_TIMEOUT.as_secs() as i64, tv_nsec: 0 };
        let ready =
            rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&timeout)))?;
        if ready == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        rustix::net::sockopt::socket_error(&socket)??;
        rustix::io::ioctl_fionbio(&socket, false)?;
        Ok(socket)
    }

    /// Returns the reading end of what the program writes to standard output and standard error, once. A
    /// program whose output is not read blocks when the pipe is full.
    pub fn take_output(&self) -> Option<PipeReader> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sends a signal to process 1. One that it has no handler for does nothing to it, but for SIGKILL
    /// (`pid_namespaces(7)`).
    ///
    /// # Errors
    /// Not found (ESRCH) after its end; invalid for a number that is not a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.shared.ask(&Order::Signal { id: 0, signal }, &[]).map(drop)
    }

    /// Waits for at most that long until process 1 says that it is ready ([`super::Sandbox::ready`]), which
    /// gives true, or has ended before it did, which gives false.
    pub fn wait_ready(&self, timeout: Duration) -> Option<bool> {
        self.shared.wait(Some(Instant::now() + timeout), |state| {
            let ended = state.closed || state.exits.contains_key(&0);
            state.ready.then_some(true).or(ended.then_some(false))
        })
    }

    /// Returns how process 1 ended, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        self.shared.exit(0, Some(Instant::now()))
    }

    /// Waits for the end of process 1, and so of all.
    pub fn wait(&self) -> Exit {
        self.shared.exit(0, None).unwrap_or(Exit::Signal(libc::SIGKILL))
    }

    /// Waits for the end of process 1 for at most that long.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Exit> {
        self.shared.exit(0, Some(Instant::now() + timeout))
    }

    /// Runs one more program inside. Its streams are those given; the program gets copies.
    ///
    /// # Errors
    /// As `execve(2)`; broken pipe after the end.
    pub fn exec(&self, program: &Program, streams: [OwnedFd; 3]) -> io::Result<Execution> {
        match self.shared.ask(&Order::Execute(program.clone()), &streams)? {
            (Report::Done { id }, _) => Ok(Execution { id, shared: self.shared.clone() }),
            _ => Err(io::Error::other("internal error: a program without a number")),
        }
    }

    /// Makes a terminal of the sandbox (one with [`super::Devices::Terminals`]) and returns its two ends:
    /// ours, and the one to give to a program as its streams, which then has it as its controlling terminal.
    ///
    /// # Errors
    /// As `open(2)` of `/dev/ptmx`; broken pipe after the end.
    pub fn terminal(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        let (_, mut fds) = self.shared.ask(&Order::Terminal, &[])?;
        match (fds.pop(), fds.pop()) {
            (Some(theirs), Some(ours)) => Ok((ours, theirs)),
            _ => Err(io::Error::other("internal error: a terminal without two ends")),
        }
    }

    /// Runs one more program inside, without input, and returns how it ended and what it wrote to standard
    /// output and standard error.
    ///
    /// # Errors
    /// As [`Running::exec`], and failing reads.
    pub fn exec_output(&self, program: &Program) -> io::Result<(Exit, Vec<u8>)> {
        let null = files::open("/dev/null")?;
        let (mut reader, writer) = io::pipe()?;
        let copy = writer.try_clone()?;
        let execution = self.exec(program, [null.into(), writer.into(), copy.into()])?;
        let mut output = Vec::new();
        io::Read::read_to_end(&mut reader, &mut output)?;
        Ok((execution.wait(), output))
    }

    /// Returns the listening sockets inside: TCP ports and Unix sockets, sorted; nothing where the sandbox
    /// has no network of its own.
    pub fn listening(&self) -> Vec<Listening> {
        let pid = self.process.lock().unwrap_or_else(PoisonError::into_inner).id();
        listening::of_process(pid)
    }

    /// Kills all that runs inside and waits until nothing is left.
    pub fn kill(&self) {
        // The monitor takes this for our end: it kills process 1 and waits for it.
        let _ = rustix::net::shutdown(&self.shared.control, rustix::net::Shutdown::Write);
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let closed =
            self.shared.wait(Some(Instant::now() + Duration::from_secs(10)), |s| s.closed.then_some(()));
        if closed.is_none() {
            // Only a file system that no longer responds can hold it so long.
            let _ = process.kill();
        }
        let _ = process.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if let Some(listener) = self.listener.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = listener.join();
        }
    }
}

/// One more program inside a sandbox. It goes on when this is dropped.
pub struct Execution {
    id: u32,
    shared: Arc<Shared>,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Execution {
    /// Sends it a signal.
    ///
    /// # Errors
    /// Not found (ESRCH) after its end; invalid for a number that is not a signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.shared.ask(&Order::Signal { id: self.id, signal }, &[]).map(drop)
    }

    /// Returns how it ended, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        self.shared.exit(self.id, Some(Instant::now()))
    }

    /// Waits for its end.
    pub fn wait(&self) -> Exit {
        self.shared.exit(self.id, None).unwrap_or(Exit::Signal(libc::SIGKILL))
    }

    /// Waits for its end for at most that long.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Exit> {
        self.shared.exit(self.id, Some(Instant::now() + timeout))
    }
}
