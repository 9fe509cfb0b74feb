//! Processes: their birth, their rights, their end.

use std::{
    convert::Infallible,
    ffi::{CString, OsStr, OsString},
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitIdOptions, WaitIdStatus},
    thread::{CapabilitySet, CapabilitySets, Gid, Uid},
};

use super::{Result, checked, last_errno, traced};

/// Who one is after [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The one who called, with a descriptor of the other.
    Parent(Child),
    /// The new process.
    Child,
}

/// A child process, by its number and a descriptor that never means another process.
#[derive(Debug)]
pub struct Child {
    /// Its number, in the caller's own numbering.
    pub pid: i32,
    fd: OwnedFd,
}

impl AsFd for Child {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Child {
    /// Sends a signal.
    ///
    /// # Errors
    /// The call; EINVAL for a number without a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let named = Signal::from_named_raw(signal).ok_or(Errno::INVAL);
        let result = named.and_then(|signal| rustix::process::pidfd_send_signal(&self.fd, signal));
        traced(result, || format!("pidfd_send_signal({}, {signal})", self.pid))
    }

    /// Takes the status of a child that has ended; `None` if it has not.
    ///
    /// # Errors
    /// The call.
    pub fn try_wait(&self) -> Result<Option<WaitIdStatus>> {
        let id = rustix::process::WaitId::PidFd(self.fd.as_fd());
        let result = rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        traced(result, || format!("waitid(P_PIDFD, {}, WEXITED|WNOHANG)", self.pid))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The call.
    pub fn wait(&self) -> Result<Option<WaitIdStatus>> {
        let id = rustix::process::WaitId::PidFd(self.fd.as_fd());
        let result = rustix::io::retry_on_intr(|| rustix::process::waitid(id.clone(), WaitIdOptions::EXITED));
        traced(result, || format!("waitid(P_PIDFD, {}, WEXITED)", self.pid))
    }
}

/// Makes a new process, a copy of this one.
///
/// # Errors
/// The call; EBUSY if this process has more than one thread: the copy would have only this one, and any lock
/// that another holds would never be released in it.
pub fn fork() -> Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return traced(Err(Errno::BUSY), || format!("fork() with {threads} threads"));
    }
    // SAFETY: with a single thread the child may do all that the parent may.
    let pid = traced(checked(unsafe { libc::fork() }.into()), || "fork()".into())? as i32;
    let Some(named) = Pid::from_raw(pid) else { return Ok(Forked::Child) };
    let fd =
        traced(rustix::process::pidfd_open(named, PidfdFlags::empty()), || format!("pidfd_open({pid})"))?;
    Ok(Forked::Parent(Child { pid, fd }))
}

/// Ends this process at once, without destructors: for a child after [`fork`].
pub fn exit(status: i32) -> ! {
    // SAFETY: `_exit` touches no memory.
    unsafe { libc::_exit(status) }
}

/// Becomes another program.
///
/// # Errors
/// The call; on success it does not return.
pub fn execute(command: &[OsString], env: &[(OsString, OsString)]) -> Result<Infallible> {
    let call = || format!("execve({:?}, {command:?}, [{} variables])", command.first(), env.len());
    let words: Option<Vec<CString>> = command.iter().map(|w| CString::new(w.as_bytes()).ok()).collect();
    let pairs: Option<Vec<CString>> = env.iter().map(|(name, value)| variable(name, value)).collect();
    let (Some(words), Some(pairs)) = (words, pairs) else { return traced(Err(Errno::INVAL), call) };
    let Some(program) = words.first() else { return traced(Err(Errno::NOENT), call) };
    let ended =
        |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, envp) = (ended(&words), ended(&pairs));
    // SAFETY: both lists end with a null pointer, and their targets outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    traced(Err(last_errno()), call)
}

fn variable(name: &OsStr, value: &OsStr) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

/// Begins a session: signals of the terminal no longer come here.
///
/// # Errors
/// The call.
pub fn begin_session() -> Result<()> {
    traced(rustix::process::setsid(), || "setsid()".into()).map(drop)
}

/// Makes the orphans among this process's descendants its own children from here on.
///
/// # Errors
/// The call.
pub fn adopt_orphans() -> Result<()> {
    let own = rustix::process::getpid();
    traced(rustix::process::set_child_subreaper(Some(own)), || "prctl(PR_SET_CHILD_SUBREAPER, 1)".into())
}

/// Kills every child of this process and takes its status, until none is left: where orphans are adopted,
/// that ends all descendants. One that does not die, such as one that waits for a hanging file system, is
/// left after ten seconds.
pub fn end_children() {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let children = children();
        if children.is_empty() || Instant::now() > end {
            return;
        }
        for child in children {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        // Children of those that have died come to us; the next round sees them.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        while matches!(rustix::process::waitid(rustix::process::WaitId::All, ended), Ok(Some(_))) {}
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the numbers of this process's children (`proc_pid_stat(5)`).
fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().to_string();
    let is_ours = |stat: &str| {
        // The name in brackets may hold brackets and spaces.
        let mut words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
        words.nth(1) == Some(&own)
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let child = |entry: std::fs::DirEntry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let stat = std::fs::read(entry.path().join("stat")).ok()?;
        is_ours(&String::from_utf8_lossy(&stat)).then_some(pid)
    };
    processes.filter_map(child).collect()
}

/// Changes the working directory.
///
/// # Errors
/// The call.
pub fn change_directory(path: &Path) -> Result<()> {
    traced(rustix::process::chdir(path), || format!("chdir({path:?})"))
}

/// Changes the working directory to one that is held open.
///
/// # Errors
/// The call.
pub fn change_directory_to(directory: impl AsFd) -> Result<()> {
    traced(rustix::process::fchdir(directory), || "fchdir(DIR)".into())
}

/// Makes a directory that is held open this process's `/` and working directory.
///
/// # Errors
/// The call.
pub fn change_root_to(directory: impl AsFd) -> Result<()> {
    change_directory_to(directory)?;
    traced(rustix::process::chroot("."), || "chroot(\".\")".into())
}

/// Sets the mask of modes.
pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
}

/// Requests SIGKILL when the parent dies, which must be the process that it was at the fork.
///
/// # Errors
/// The call.
pub fn die_with_parent() -> Result<()> {
    let result = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    traced(result, || "prctl(PR_SET_PDEATHSIG, SIGKILL)".into())
}

/// Makes this process's user and group ids those, in every respect. Supplementary groups are given up where
/// allowed.
///
/// # Errors
/// The call.
pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    // Where `setgroups` is denied (a map of our own id alone) the groups stay those of the caller; EPERM says
    // so.
    match rustix::thread::set_thread_groups(&[]) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => return traced(Err(errno), || "setgroups(0, [])".into()),
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    traced(rustix::thread::set_thread_res_gid(group, group, group), || {
        format!("setresgid({gid}, {gid}, {gid})")
    })?;
    traced(rustix::thread::set_thread_res_uid(user, user, user), || format!("setresuid({uid}, {uid}, {uid})"))
}

/// Gives up every capability but those, for this process and all that it will become.
///
/// # Errors
/// The call.
pub fn limit_capabilities(keep: CapabilitySet) -> Result<()> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Past the last capability that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(errno) => return traced(Err(errno), || format!("prctl(PR_CAPBSET_DROP, {number})")),
        }
    }
    match rustix::thread::clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return traced(Err(errno), || "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)".into()),
    }
    Ok(())
}

/// Sets effective and permitted capabilities to those of `keep` that are permitted, and makes none
/// inheritable.
///
/// # Errors
/// The call.
pub fn set_capabilities(keep: CapabilitySet) -> Result<()> {
    let now = traced(rustix::thread::capabilities(None), || "capget()".into())?;
    let kept = now.permitted & keep;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    traced(rustix::thread::set_capabilities(None, sets), || format!("capset({:#x})", kept.bits()))
}

/// Returns the capabilities of a set that are not in effect.
///
/// # Errors
/// The names of those, as a call that was refused.
pub fn require_capabilities(set: CapabilitySet) -> Result<()> {
    let now = traced(rustix::thread::capabilities(None), || "capget()".into())?;
    let lacking = set - now.effective;
    let names: Vec<String> = lacking.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    if names.is_empty() {
        Ok(())
    } else {
        traced(Err(Errno::PERM), || format!("capget() without {}", names.join(", ")))
    }
}

/// Forbids this process and all that it becomes to signal processes outside its offspring and to reach
/// sockets in the abstract name space that those made. Kernels before 6.12 and those without Landlock cannot;
/// they forbid nothing.
pub fn keep_signals_inside() {
    /// `struct landlock_ruleset_attr` of `linux/landlock.h`.
    #[repr(C)]
    struct Ruleset {
        file_system: u64,
        network: u64,
        scoped: u64,
    }
    /// LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and LANDLOCK_SCOPE_SIGNAL.
    const SCOPES: u64 = 0b11;
    let rules = Ruleset { file_system: 0, network: 0, scoped: SCOPES };
    // SAFETY: the structure outlives the call, which gets its size.
    let made = checked(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size_of::<Ruleset>(), 0)
    });
    if let Ok(fd) = made {
        // SAFETY: the call has just made this descriptor, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        // SAFETY: it takes two numbers.
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd.as_raw_fd(), 0) };
    }
}

/// Forbids that programs run from here on gain privileges.
///
/// # Errors
/// The call.
pub fn forbid_new_privileges() -> Result<()> {
    traced(rustix::thread::set_no_new_privs(true), || "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())
}

/// Sets a limit, both the soft and the hard one, no higher than the hard one that there is.
///
/// # Errors
/// The call.
pub fn limit(resource: Resource, soft: u64, hard: u64) -> Result<()> {
    let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let hard = hard.min(most);
    let new = Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) };
    traced(rustix::process::setrlimit(resource, new), || format!("setrlimit({resource:?}, {soft}, {hard})"))
}

/// Takes environment variables whose names begin with a prefix and that are empty out of the environment:
/// they count as unset.
///
/// To be called before any thread is started.
pub fn forget_empty_variables(prefix: &str) {
    let is_empty = |(name, value): &(OsString, OsString)| {
        value.is_empty() && name.as_encoded_bytes().starts_with(prefix.as_bytes())
    };
    let names: Vec<OsString> = std::env::vars_os().filter(is_empty).map(|(name, _)| name).collect();
    for name in names {
        // SAFETY: no other thread exists yet that could read or write the environment.
        unsafe { std::env::remove_var(name) };
    }
}

/// Allows this process as many open files as its hard limit does: the store holds one for each
/// package in use, and roots of more packages than the usual soft limit (1024) are not rare. Where
/// it cannot be raised, large roots will say so when they need it.
pub fn raise_open_files() {
    let limits = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits });
}

/// Makes descriptors 0, 1 and 2 copies of three others; the former ones are closed.
///
/// # Errors
/// The call.
pub fn set_standard_streams(streams: [&OwnedFd; 3]) -> Result<()> {
    for (number, stream) in (0..).zip(streams) {
        // SAFETY: no one holds 0, 1 and 2 as owned descriptors; `std` takes them as what they are at each
        // use.
        let result = checked(unsafe { libc::dup2(stream.as_raw_fd(), number) }.into());
        traced(result, || format!("dup2({}, {number})", stream.as_raw_fd()))?;
    }
    Ok(())
}

/// Marks every descriptor from `first` on to be closed when another program is executed.
///
/// # Errors
/// The call, where a container's filter refuses it and descriptors cannot be listed either.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    // SAFETY: CLOSE_RANGE_CLOEXEC closes nothing that anyone here holds; it only sets a flag on each.
    let result = checked(unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    });
    if result.is_ok() {
        return Ok(());
    }
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        return traced(result, || format!("close_range({first}, ~0, CLOSE_RANGE_CLOEXEC)")).map(drop);
    };
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    for number in numbers.filter(|number| *number >= first) {
        // SAFETY: it only sets a flag on a descriptor, and one that is not there is an error that changes
        // nothing.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
