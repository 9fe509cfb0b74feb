//! The monitor: the process between us and the sandboxed program.
//!
//! ```text
//! we ── socket ── monitor (outer processes; the sandbox's users, mounts, network)
//!                    └── process 1 ── …        (the sandbox's processes)
//! ```
//!
//! It waits for our orders and its children's ends. It reports on each order at once and never waits for the
//! program, so that nothing the program does can stop it. When our end closes it ends itself: process 1 dies
//! with its parent, with process 1 its whole process namespace, and with the last of them the mounts. Of a
//! [`Way::Chroot`] it stays outside, takes on what process 1 leaves behind, and kills that before it reports
//! the end.

mod rehearsal;

use std::{
    ffi::OsString,
    fs::File,
    io::Read,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags},
    io::{Errno, FdFlags},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, ipproto},
    process::Resource,
    thread::CapabilitySet,
};

use super::{
    Address, Devices, Exit, Ids, Limits, Program, READY, Root, Sandbox, Way,
    child::MountedView,
    chroot,
    filter::{self, Confined},
    ids::GRAIN_ID,
    proc,
    protocol::{Order, Report, Task, receive, send},
    root::{self, Parts},
    step::{SetUpFault, step},
};
use crate::files;
use crate::sys::{
    self, CallError,
    process::{Child, Forked},
};

/// The share of root's power that maintainer scripts have: over the files of their root and their own
/// processes, as containers give it. No mounts, modules, raw devices, clocks or network set-up.
const ROOT_LIKE: CapabilitySet = chroot::KEPT
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::AUDIT_WRITE);

/// Why a monitor gives up.
enum Stop {
    /// We are gone, or have had enough.
    Closed,
    /// A step failed.
    Fault(SetUpFault),
}

impl From<SetUpFault> for Stop {
    fn from(fault: SetUpFault) -> Self {
        Stop::Fault(fault)
    }
}

/// Runs as the monitor of one sandbox, and ends with it. `main` calls it for [`super::CHILD_ARGUMENT`], as
/// the very first thing: standard input is the socket, standard output the task, standard error where the
/// program writes.
pub fn child_main() -> ! {
    let status = match take_streams() {
        Ok((control, task, output)) => match serve(&control, task, &output) {
            Ok(()) | Err(Stop::Closed) => 0,
            Err(Stop::Fault(SetUpFault { step, call })) => {
                let errno = call.errno.raw_os_error();
                let _ = send(&control, &Report::Failed { step, call: call.to_string(), errno }, &[]);
                1
            }
        },
        Err(_) => 1,
    };
    sys::process::exit(status)
}

/// Moves what we were given out of the way of 0, 1 and 2, which get `/dev/null`.
fn take_streams() -> std::io::Result<(OwnedFd, OwnedFd, OwnedFd)> {
    let moved = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 10);
    let control = moved(std::io::stdin().as_fd())?;
    let task = moved(std::io::stdout().as_fd())?;
    let output = moved(std::io::stderr().as_fd())?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    sys::process::set_standard_streams([&null, &null, &null])?;
    // The program that started us may have left descriptors open; no program of the sandbox gets them.
    sys::process::close_on_exec_from(3)?;
    Ok((control, task, output))
}

fn serve(control: &OwnedFd, task: OwnedFd, output: &OwnedFd) -> Result<(), Stop> {
    let mut text = String::new();
    File::from(task).read_to_string(&mut text).map_err(|_| Stop::Closed)?;
    let task: Task = serde_json::from_str(&text).map_err(|_| Stop::Closed)?;
    // Ctrl-C is for us alone to act on; we then close the socket in good order.
    step(sys::process::begin_session(), || "leave the terminal".into())?;
    sys::process::set_umask(0);
    match task {
        Task::Run(sandbox) => {
            let chroot = if sandbox.ids.is_chroot() { Some(chroot::open(&sandbox)?) } else { None };
            Monitor { control, sandbox: &sandbox, chroot, rehearses: false }.run(output, None)
        }
        Task::RunOnView(sandbox) => {
            let (Order::Join, fds) = next_order(control)? else { return Err(Stop::Closed) };
            let [users, view] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| Stop::Closed)?;
            let held = MountedView { users, view };
            Monitor { control, sandbox: &sandbox, chroot: None, rehearses: false }.run(output, Some(held))
        }
        Task::Probe(ids) => rehearsal::probe(control, ids, output),
        Task::Remove { ids, path } => remove(control, ids, &path),
    }
}

/// Sends a report. A closed socket is noticed at the next receive.
fn tell(control: &OwnedFd, report: &Report, fds: &[&OwnedFd]) {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    let _ = send(control, report, &fds);
}

fn next_order(control: &OwnedFd) -> Result<(Order, Vec<OwnedFd>), Stop> {
    receive(control).ok().flatten().ok_or(Stop::Closed)
}

/// Leaves the host's name spaces, into `joined` of users if that is given, and waits for the ids. Returns
/// whether maintainer scripts may see the host's `/proc`.
fn leave_host(control: &OwnedFd, ids: Ids, joined: Option<&OwnedFd>) -> Result<bool, Stop> {
    let left = match joined {
        Some(users) => sys::namespace::join_users(users).and_then(|()| sys::namespace::leave_host(false)),
        None => sys::namespace::leave_host(true),
    };
    let left = match left {
        // Real root can do without a user namespace where those are switched off.
        Err(_) if ids == Ids::RootLike(Way::Root) => sys::namespace::leave_host(false).map(|()| false),
        result => result.map(|()| joined.is_none()),
    };
    let users = step(left, || "leave the host's name spaces".into())?;
    tell(control, &Report::Unshared { users }, &[]);
    let Order::Mapped = next_order(control)?.0 else { return Err(Stop::Closed) };
    if users && ids != Ids::Grain {
        // From here on new files and mounts belong to the id inside.
        step(sys::process::become_user(0, 0), || "become root inside".into())?;
    }
    step(sys::mount::make_private(), || "cut the mounts off from the host's".into())?;
    step(sys::namespace::raise_loopback(), || "bring up the loopback interface".into())?;
    sys::namespace::leave_keyring();
    if ids == Ids::Grain && joined.is_none() {
        limit_users();
    }
    Ok(users && ids != Ids::Grain)
}

/// Bounds what is counted by user across name spaces, which a grain would take from its user elsewhere
/// (`namespaces(7)`, `inotify(7)`), and, as a second wall behind the filter, leaves no user namespace to be
/// made. Where `/proc/sys` is read-only, as in containers, it stays as it is.
fn limit_users() {
    for (limit, value) in [("max_inotify_instances", "64"), ("max_user_namespaces", "0")] {
        let _ = files::write(format!("/proc/sys/user/{limit}"), value);
    }
}

/// Stays where it is, with nothing to map.
fn no_namespaces(control: &OwnedFd) -> Result<(), Stop> {
    tell(control, &Report::Unshared { users: false }, &[]);
    let Order::Mapped = next_order(control)?.0 else { return Err(Stop::Closed) };
    sys::namespace::leave_keyring();
    Ok(())
}

/// Removes a path of the host.
fn remove(control: &OwnedFd, ids: Ids, path: &Path) -> Result<(), Stop> {
    leave_host(control, ids, None)?;
    let failed = |error: std::io::Error| CallError {
        call: format!("unlink({path:?})"),
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    };
    step(super::remove::remove(path).map_err(failed), || format!("remove {}", path.display()))?;
    tell(control, &Report::Done { id: 0 }, &[]);
    Ok(())
}

struct Monitor<'a> {
    control: &'a OwnedFd,
    sandbox: &'a Sandbox,
    /// The root of a [`Way::Chroot`], which the monitor itself does not enter.
    chroot: Option<OwnedFd>,
    /// Whether this is a [`rehearsal`], which goes on where there is no `/proc`.
    rehearses: bool,
}

/// A root that is put together, with process 1 in it that waits at a gate.
struct Built {
    first: Child,
    gate: OwnedFd,
    /// A copy of a view's mount.
    view: Option<OwnedFd>,
    /// Why a rehearsal has no `/proc`.
    no_proc: Option<String>,
}

impl Monitor<'_> {
    fn run(&self, output: &OwnedFd, held: Option<MountedView>) -> Result<(), Stop> {
        let mut proc_of_host = false;
        let parts = if self.chroot.is_some() {
            no_namespaces(self.control)?;
            step(sys::process::adopt_orphans(), || "take on orphans".into())?;
            None
        } else {
            let (users, view) = held.map(|held| (held.users, held.view)).unzip();
            proc_of_host = leave_host(self.control, self.sandbox.ids, users.as_ref())?;
            sys::namespace::set_host_name(&self.sandbox.hostname);
            let mut parts = Parts::take(self.sandbox, view)?;
            if let Some(fuse) = parts.fuse.take() {
                let users = step(sys::namespace::users(), || "name the users' name space".into())?;
                tell(self.control, &Report::Fuse, &[&fuse, &users]);
                // The connection ends with the last copy of this descriptor, which must not be ours.
                drop(fuse);
            }
            Some(parts)
        };
        tell(self.control, &Report::Prepared, &[]);
        let Order::Build = next_order(self.control)?.0 else { return Err(Stop::Closed) };
        let (ready, word) = match self.sandbox.ready {
            Some(_) => step(sys::socket::pair(), || "hear that process 1 is ready".into()).map(Some)?,
            None => None,
        }
        .unzip();
        let Built { first, gate, view, .. } = self.build(parts, proc_of_host, output, word)?;
        tell(self.control, &Report::Built, &view.iter().collect::<Vec<_>>());
        // Its present holder keeps the view mounted.
        drop(view);
        let Order::Start = next_order(self.control)?.0 else { return Err(Stop::Closed) };
        let _ = send(&gate, &Gate::Go, &[]);
        let fault = step(gate_result(&gate), || format!("run {}", shown(&self.sandbox.command)));
        drop(gate);
        if let Err(fault) = fault {
            let _ = first.wait();
            return Err(fault.into());
        }
        tell(self.control, &Report::Started, &[]);
        self.watch(first, ready)
    }

    /// Builds the root, and makes process 1.
    fn build(
        &self,
        parts: Option<Parts>,
        proc_of_host: bool,
        output: &OwnedFd,
        word: Option<OwnedFd>,
    ) -> Result<Built, Stop> {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let call = || "open(\"/dev/null\", O_RDONLY|O_CLOEXEC)".to_owned();
        let null = step(null.map_err(|errno| CallError { call: call(), errno }), || "open /dev/null".into())?;
        let mut view = None;
        let placed = match &parts {
            Some(parts) => {
                let root = parts.place()?;
                if self.sandbox.root.is_view() {
                    view = Some(step(sys::mount::copy_mount(&root), || "hold the view".into())?);
                }
                parts.fill(&root, self.sandbox)?;
                Some(root)
            }
            None => {
                self.chroot.iter().try_for_each(|root| chroot::fill(root, self.sandbox))?;
                None
            }
        };
        drop(parts);
        let (gate, inner) = step(sys::socket::pair(), || "reach process 1".into())?;
        let forked = step(sys::process::fork(), || "start process 1".into())?;
        let Forked::Parent(first) = forked else {
            drop(gate);
            self.be_first(placed.as_ref(), proc_of_host, &inner, word, [&null, output, output]);
        };
        drop((inner, word));
        let no_proc = match receive::<Gate>(&gate).ok().flatten() {
            Some((Gate::Ready { no_proc }, _)) => no_proc,
            Some((Gate::Fault { step, call, errno }, _)) => {
                let call = CallError { call, errno: Errno::from_raw_os_error(errno) };
                return Err(SetUpFault { step, call }.into());
            }
            _ => return Err(Stop::Closed),
        };
        // Process 1 shares these mounts, and the kernel moves it to the new root along with us.
        placed.iter().try_for_each(root::enter)?;
        Ok(Built { first, gate, view, no_proc })
    }

    /// Goes on as process 1.
    fn be_first(
        &self,
        root: Option<&OwnedFd>,
        proc_of_host: bool,
        gate: &OwnedFd,
        word: Option<OwnedFd>,
        streams: [&OwnedFd; 3],
    ) -> ! {
        // Before anything else: a monitor that dies takes us along.
        let mut no_proc = None;
        let ready = step(sys::process::die_with_parent(), || "bind process 1 to its monitor".into())
            .and_then(|()| match root {
                Some(_) if self.rehearses => {
                    // Only a process of the new process namespace can mount it.
                    no_proc = proc::proc(proc_of_host).err().map(|call| call.to_string());
                    Ok(())
                }
                Some(root) if self.sandbox.proc && self.sandbox.ids == Ids::Grain => {
                    proc::mount_proc_of_grain(root)
                }
                Some(root) if self.sandbox.proc => proc::mount_proc(root, proc_of_host),
                Some(root) if self.sandbox.ids == Ids::Grain && self.sandbox.devices != Devices::None => {
                    proc::mount_descriptors(root)
                }
                _ => Ok(()),
            });
        let message = match ready {
            Ok(()) => Gate::Ready { no_proc },
            Err(SetUpFault { step, call }) => {
                Gate::Fault { step, errno: call.errno.raw_os_error(), call: call.call }
            }
        };
        let _ = send(gate, &message, &[]);
        let Ok(Some((Gate::Go, _))) = receive::<Gate>(gate) else { sys::process::exit(1) };
        let Sandbox { command, env, directory, ready, .. } = self.sandbox;
        let mut env = env.clone();
        if let (Some(name), Some(word)) = (ready, &word) {
            // A socket, for others of its user can open a pipe anew by `/proc/1/fd`, and a socket not
            // (ENXIO).
            env.push((name.clone(), word.as_raw_fd().to_string().into()));
            let _ = rustix::io::fcntl_setfd(word, FdFlags::empty());
        }
        self.become_program(command, &env, directory, gate, streams)
    }

    /// Takes on ids, limits and filters and becomes a program; if that fails, says so at the gate.
    fn become_program(
        &self,
        command: &[OsString],
        env: &[(OsString, OsString)],
        directory: &Path,
        gate: &OwnedFd,
        streams: [&OwnedFd; 3],
    ) -> ! {
        let Err(call) = self.confine(directory, streams).and_then(|()| sys::process::execute(command, env));
        let errno = call.errno.raw_os_error();
        let _ = send(gate, &Gate::Fault { step: String::new(), call: call.call, errno }, &[]);
        sys::process::exit(127)
    }

    fn confine(&self, directory: &Path, streams: [&OwnedFd; 3]) -> sys::Result<()> {
        let Sandbox { ids, limits, filter, ready, .. } = self.sandbox;
        let _ = sys::process::begin_session();
        sys::process::set_standard_streams(streams)?;
        // An ignored signal stays ignored in a program: SIGPIPE by our own language's will, SIGINT under
        // `nohup tinyroot … &`. The kernel drops a request to stop that process 1 of a name space neither
        // blocks nor handles (`pid_namespaces(7)`): one that comes before our first process waits for any
        // must not be lost.
        sys::signals::reset(ready.is_some());
        // A program with a terminal of the sandbox is alone on it; a terminal of the host stays its
        // session's.
        let _ = sys::terminal::take(streams[0]);
        sys::process::set_umask(0o022);
        set_limits(limits)?;
        // Which ids there are can be seen only from outside of a chroot.
        let faked = match ids {
            Ids::Grain => None,
            Ids::RootLike(way) => Some(filter::root_like(way.has_owners())),
        };
        if let Some(root) = &self.chroot {
            sys::process::change_root_to(root)?;
        }
        // Sets must be cut while the power to do so is there; changing the uid then clears what is left.
        let (id, keep) = match ids {
            Ids::Grain => (GRAIN_ID, CapabilitySet::empty()),
            Ids::RootLike(Way::Chroot) => (0, chroot::KEPT),
            Ids::RootLike(_) => (0, ROOT_LIKE),
        };
        sys::process::limit_capabilities(keep)?;
        sys::process::become_user(id, id)?;
        sys::process::set_capabilities(keep)?;
        // Only now: as the user itself, for it may have no right to the place.
        sys::process::change_directory(directory)?;
        sys::process::forbid_new_privileges()?;
        // Changing ids has cleared this (`prctl(2)`).
        sys::process::die_with_parent()?;
        let confined = faked.is_some().then(|| {
            filter::confined(if self.chroot.is_some() { Confined::Chroot } else { Confined::NameSpaces })
        });
        if self.chroot.is_some() {
            sys::process::keep_signals_inside();
        }
        let terminal =
            self.sandbox.devices == Devices::Terminals || streams.iter().any(rustix::termios::isatty);
        for program in confined.into_iter().chain(faked).chain(filter.programs(terminal)) {
            install(&program)?;
        }
        Ok(())
    }

    /// Carries out orders until process 1 ends or we close the socket.
    fn watch(&self, first: Child, mut word: Option<OwnedFd>) -> Result<(), Stop> {
        let mut others: Vec<(u32, Child)> = Vec::new();
        let mut last_id = 0;
        loop {
            let mut polled =
                vec![PollFd::new(self.control, PollFlags::IN), PollFd::new(&first, PollFlags::IN)];
            polled.extend(others.iter().map(|(_, child)| PollFd::new(child, PollFlags::IN)));
            polled.extend(word.iter().map(|word| PollFd::new(word, PollFlags::IN)));
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return Err(Stop::Closed),
            }
            let ready: Vec<bool> = polled.iter().map(|p| !p.revents().is_empty()).collect();
            if ready.last() == Some(&true) && word.take().is_some_and(|word| says_ready(&word)) {
                tell(self.control, &Report::Ready, &[]);
            }
            // Ends before orders, so that an order to signal a program that has ended fails.
            others.retain(|(id, child)| match ended(child) {
                Some(exit) => {
                    tell(self.control, &Report::Ended { id: *id, exit }, &[]);
                    false
                }
                None => true,
            });
            if let Some(exit) = ended(&first) {
                // The kernel has killed all the others by now, but not those of a chroot.
                self.end_chroot(&others);
                for (id, child) in others {
                    let exit = child.wait().ok().flatten().map_or(Exit::Signal(libc::SIGKILL), exit_of);
                    tell(self.control, &Report::Ended { id, exit }, &[]);
                }
                tell(self.control, &Report::Ended { id: 0, exit }, &[]);
                return Ok(());
            }
            if ready[0] {
                let (order, fds) = match next_order(self.control) {
                    Ok(order) => order,
                    Err(stop) => {
                        let _ = first.signal(libc::SIGKILL);
                        // Process 1 ends after all others, and these are for us to take the status of.
                        for (_, child) in &others {
                            let _ = child.wait();
                        }
                        let _ = first.wait();
                        self.end_chroot(&others);
                        return Err(stop);
                    }
                };
                self.obey(order, fds, &first, &mut others, &mut last_id);
            }
        }
    }

    /// Kills what lives on after process 1, where no process namespace ends with it.
    fn end_chroot(&self, others: &[(u32, Child)]) {
        if self.chroot.is_none() {
            return;
        }
        for (_, child) in others {
            let _ = child.signal(libc::SIGKILL);
        }
        sys::process::end_children();
    }

    fn obey(
        &self,
        order: Order,
        fds: Vec<OwnedFd>,
        first: &Child,
        others: &mut Vec<(u32, Child)>,
        last_id: &mut u32,
    ) {
        let refused = |errno: Errno| Report::Refused { errno: errno.raw_os_error() };
        match order {
            // The addresses would be those of the host.
            Order::Connect(_) if self.chroot.is_some() => tell(self.control, &refused(Errno::OPNOTSUPP), &[]),
            Order::Connect(address) => match connect(&address) {
                Ok(socket) => tell(self.control, &Report::Connected, &[&socket]),
                Err(errno) => tell(self.control, &refused(errno), &[]),
            },
            Order::Terminal => match sys::terminal::open() {
                Ok((ours, theirs)) => tell(self.control, &Report::Terminal, &[&ours, &theirs]),
                Err(error) => tell(self.control, &refused(error.errno), &[]),
            },
            Order::Signal { id, signal } => {
                let child =
                    if id == 0 { Some(first) } else { others.iter().find(|(i, _)| *i == id).map(|(_, c)| c) };
                let result = child.ok_or(Errno::SRCH).and_then(|c| c.signal(signal).map_err(|e| e.errno));
                tell(self.control, &result.map_or_else(refused, |()| Report::Done { id }), &[]);
            }
            Order::Execute(program) => match self.execute(&program, &fds) {
                Ok(child) => {
                    *last_id += 1;
                    others.push((*last_id, child));
                    tell(self.control, &Report::Done { id: *last_id }, &[]);
                }
                Err(errno) => tell(self.control, &refused(errno), &[]),
            },
            Order::Join | Order::Mapped | Order::Build | Order::Start => {
                tell(self.control, &refused(Errno::INVAL), &[])
            }
        }
    }

    /// Starts one more program beside process 1.
    fn execute(&self, program: &Program, fds: &[OwnedFd]) -> Result<Child, Errno> {
        let [input, output, errors] = fds else { return Err(Errno::INVAL) };
        let (gate, inner) = sys::socket::pair().map_err(|e| e.errno)?;
        match sys::process::fork().map_err(|e| e.errno)? {
            Forked::Child => {
                drop(gate);
                let Program { command, env, directory } = program;
                self.become_program(command, env, directory, &inner, [input, output, errors])
            }
            Forked::Parent(child) => {
                drop(inner);
                gate_result(&gate).map_err(|e| {
                    let _ = child.wait();
                    e.errno
                })?;
                Ok(child)
            }
        }
    }
}

/// Messages between process 1 and its monitor before it runs.
#[derive(serde::Serialize, serde::Deserialize)]
enum Gate {
    Ready { no_proc: Option<String> },
    Go,
    Fault { step: String, call: String, errno: i32 },
}

/// Returns whether process 1 says that it is ready, and not something else or nothing any more. Descriptors
/// that it sends along are closed by the kernel (`unix(7)`).
fn says_ready(word: &OwnedFd) -> bool {
    let mut said = [0; READY.len() + 1];
    rustix::io::read(word, &mut said).is_ok_and(|length| said.get(..length) == Some(READY))
}

/// Waits until the other side has become its program, which closes the gate, or failed to.
fn gate_result(gate: &OwnedFd) -> sys::Result<()> {
    match receive::<Gate>(gate) {
        Ok(Some((Gate::Fault { call, errno, .. }, _))) => {
            Err(CallError { call, errno: Errno::from_raw_os_error(errno) })
        }
        _ => Ok(()),
    }
}

fn install(program: &seccompiler::BpfProgram) -> sys::Result<()> {
    seccompiler::apply_filter(program).map_err(|error| {
        let errno = match error {
            seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => error.raw_os_error(),
            _ => None,
        };
        let call = format!("seccomp(SECCOMP_SET_MODE_FILTER, 0, {} instructions)", program.len());
        CallError { call, errno: Errno::from_raw_os_error(errno.unwrap_or(libc::EINVAL)) }
    })
}

fn set_limits(limits: &Limits) -> sys::Result<()> {
    sys::process::limit(Resource::Core, 0, 0)?;
    if let Some((soft, hard)) = limits.open_files {
        sys::process::limit(Resource::Nofile, soft, hard)?;
    }
    limits.processes.map_or(Ok(()), |most| sys::process::limit(Resource::Nproc, most, most))
}

/// Begins a connection, in the sandbox's network and below its root. It may be under way still when this
/// returns, for this does not wait for the accepting side.
fn connect(address: &Address) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, result) = match address {
        Address::Tcp(port) => {
            let tcp = Some(ipproto::TCP);
            let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, tcp)?;
            let to = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, *port);
            let result = rustix::net::connect(&socket, &to);
            (socket, result)
        }
        Address::Unix(path) => {
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let result = rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_path())?);
            (socket, result)
        }
    };
    match result {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

fn ended(child: &Child) -> Option<Exit> {
    child.try_wait().ok().flatten().map(exit_of)
}

fn exit_of(status: rustix::process::WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}

fn shown(command: &[OsString]) -> String {
    command.first().map_or_else(|| "a program".into(), |word| word.to_string_lossy().into_owned())
}

/// Whether a root is served by us: then nothing may look into it before we say so.
impl Root {
    /// Returns true for [`Root::View`].
    pub fn is_view(&self) -> bool {
        matches!(self, Root::View)
    }
}
