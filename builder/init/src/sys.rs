//! The system calls that a first process needs, without a libc.
//!
//! Each returns the kernel's answer: a number, or `Err` with the positive errno. Calls are those
//! that both architectures have. Paths are NUL-terminated bytes ([`CStr`]).

use core::{arch::asm, ffi::CStr};

/// The kernel's errno.
pub type Errno = i32;

pub const EPERM: Errno = 1;
pub const ENOENT: Errno = 2;
pub const ESRCH: Errno = 3;
pub const EINTR: Errno = 4;
pub const EAGAIN: Errno = 11;
pub const EACCES: Errno = 13;
pub const EEXIST: Errno = 17;
pub const EISDIR: Errno = 21;
pub const EROFS: Errno = 30;
pub const ENAMETOOLONG: Errno = 36;
pub const EINPROGRESS: Errno = 115;

pub const SIGHUP: i32 = 1;
pub const SIGINT: i32 = 2;
pub const SIGKILL: i32 = 9;
pub const SIGPIPE: i32 = 13;
pub const SIGTERM: i32 = 15;
pub const SIGCHLD: i32 = 17;
pub const SIGCONT: i32 = 18;

pub const O_RDONLY: usize = 0;
pub const O_WRONLY: usize = 1;
pub const O_CREAT: usize = 0o100;
pub const O_EXCL: usize = 0o200;
pub const O_TRUNC: usize = 0o1000;
pub const O_NONBLOCK: usize = 0o4000;
pub const O_CLOEXEC: usize = 0o2_000_000;
pub const O_PATH: usize = 0o10_000_000;
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: usize = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: usize = 0o40_000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: usize = 0o100_000;

const AT_FDCWD: usize = -100_isize as usize;
const AT_REMOVEDIR: usize = 0x200;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const FSTAT: usize = 5;
    pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const GETPID: usize = 39;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const FCNTL: usize = 72;
    pub const FSYNC: usize = 74;
    pub const UMASK: usize = 95;
    pub const GETUID: usize = 102;
    pub const SETSID: usize = 112;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const GETDENTS64: usize = 217;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const UNLINKAT: usize = 263;
    pub const RENAMEAT: usize = 264;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const FCHMODAT: usize = 268;
    pub const FACCESSAT: usize = 269;
    pub const PPOLL: usize = 271;
    pub const UTIMENSAT: usize = 280;
    pub const DUP3: usize = 292;
    pub const CLOSE_RANGE: usize = 436;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const CLOSE: usize = 57;
    pub const FSTAT: usize = 80;
    pub const MMAP: usize = 222;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const GETPID: usize = 172;
    pub const SOCKET: usize = 198;
    pub const CONNECT: usize = 203;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
    pub const KILL: usize = 129;
    pub const FCNTL: usize = 25;
    pub const FSYNC: usize = 82;
    pub const UMASK: usize = 166;
    pub const GETUID: usize = 174;
    pub const SETSID: usize = 157;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const GETDENTS64: usize = 61;
    pub const CLOCK_GETTIME: usize = 113;
    pub const EXIT_GROUP: usize = 94;
    pub const OPENAT: usize = 56;
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const RENAMEAT: usize = 38;
    pub const SYMLINKAT: usize = 36;
    pub const READLINKAT: usize = 78;
    pub const FCHMODAT: usize = 53;
    pub const FACCESSAT: usize = 48;
    pub const PPOLL: usize = 73;
    pub const UTIMENSAT: usize = 88;
    pub const DUP3: usize = 24;
    pub const CLOSE_RANGE: usize = 436;
}

/// Makes a system call.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    let answer: isize;
    // SAFETY: the kernel's calling convention; rcx and r11 are its to spoil. The rest is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if (-4095..0).contains(&answer) { Err(-answer as Errno) } else { Ok(answer as usize) }
}

/// Makes a system call.
///
/// # Safety
/// What the call does with its arguments must be sound.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    let answer: isize;
    // SAFETY: the kernel's calling convention. The rest is the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] as isize => answer,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack));
    }
    if (-4095..0).contains(&answer) { Err(-answer as Errno) } else { Ok(answer as usize) }
}

macro_rules! call {
    ($number:ident $(, $arg:expr)*) => {{
        let given = [$($arg as usize),*];
        let mut args = [0_usize; 6];
        args[..given.len()].copy_from_slice(&given);
        // SAFETY: each pointer given comes from a reference that outlives the call, with its
        // true length beside it; the wrappers below take references only.
        unsafe { call(number::$number, args) }
    }};
}

/// A file descriptor; closed by hand.
pub type Fd = i32;

/// A descriptor that closes itself.
pub struct Owned(pub Fd);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = call!(CLOSE, self.0);
    }
}

pub fn exit(status: i32) -> ! {
    let _ = call!(EXIT_GROUP, status);
    // No filter forbids the call above; should one, there is nothing else to do.
    loop {
        core::hint::spin_loop();
    }
}

pub fn open(path: &CStr, flags: usize, mode: u32) -> Result<Owned, Errno> {
    call!(OPENAT, AT_FDCWD, path.as_ptr(), flags | O_CLOEXEC, mode).map(|fd| Owned(fd as Fd))
}

pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    call!(READ, fd, buffer.as_mut_ptr(), buffer.len())
}

pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize, Errno> {
    call!(WRITE, fd, bytes.as_ptr(), bytes.len())
}

pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

pub fn fsync(fd: Fd) -> Result<(), Errno> {
    call!(FSYNC, fd).map(drop)
}

pub fn mkdir(path: &CStr, mode: u32) -> Result<(), Errno> {
    call!(MKDIRAT, AT_FDCWD, path.as_ptr(), mode).map(drop)
}

pub fn remove(path: &CStr, directory: bool) -> Result<(), Errno> {
    call!(UNLINKAT, AT_FDCWD, path.as_ptr(), if directory { AT_REMOVEDIR } else { 0 }).map(drop)
}

pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    call!(RENAMEAT, AT_FDCWD, from.as_ptr(), AT_FDCWD, to.as_ptr()).map(drop)
}

pub fn symlink(target: &CStr, path: &CStr) -> Result<(), Errno> {
    call!(SYMLINKAT, target.as_ptr(), AT_FDCWD, path.as_ptr()).map(drop)
}

pub fn chmod(path: &CStr, mode: u32) -> Result<(), Errno> {
    call!(FCHMODAT, AT_FDCWD, path.as_ptr(), mode).map(drop)
}

pub fn exists(path: &CStr) -> bool {
    call!(FACCESSAT, AT_FDCWD, path.as_ptr(), 0).is_ok()
}

/// Reads a link; `None` if it is none or does not fit.
pub fn read_link<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = call!(READLINKAT, AT_FDCWD, path.as_ptr(), buffer.as_mut_ptr(), buffer.len()).ok()?;
    if length == buffer.len() { None } else { buffer.get(..length) }
}

/// Reads directory entries as `getdents64(2)` lays them.
pub fn entries(fd: Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
    call!(GETDENTS64, fd, buffer.as_mut_ptr(), buffer.len())
}

/// Returns the permission bits and the modification time of an open file.
pub fn mode_and_mtime(fd: Fd) -> Result<(u32, i64), Errno> {
    let stat = stat(fd)?;
    let mode = if cfg!(target_arch = "x86_64") { stat[3] as u32 } else { stat[2] as u32 };
    Ok((mode & 0o7777, stat[11] as i64))
}

/// Returns the user who owns an open file.
pub fn owner(fd: Fd) -> Result<u32, Errno> {
    let stat = stat(fd)?;
    Ok(if cfg!(target_arch = "x86_64") { (stat[3] >> 32) as u32 } else { stat[3] as u32 })
}

/// Returns `struct stat`, 144 bytes at most; its fields lie apart on the two architectures.
fn stat(fd: Fd) -> Result<[u64; 18], Errno> {
    let mut stat = [0_u64; 18];
    call!(FSTAT, fd, stat.as_mut_ptr())?;
    Ok(stat)
}

/// Sets access and modification time in seconds; a link itself, not what it names.
pub fn set_times(path: &CStr, seconds: i64) -> Result<(), Errno> {
    let times = [[seconds, 0], [seconds, 0]];
    call!(UTIMENSAT, AT_FDCWD, path.as_ptr(), times.as_ptr(), AT_SYMLINK_NOFOLLOW).map(drop)
}

/// Returns milliseconds of the monotonic clock.
pub fn now_ms() -> i64 {
    let mut time = [0_i64; 2];
    let _ = call!(CLOCK_GETTIME, 1, time.as_mut_ptr());
    time[0] * 1000 + time[1] / 1_000_000
}

/// Returns zeroed memory that is never given back; `None` when there is none.
pub fn memory(length: usize) -> Option<&'static mut [u8]> {
    let address = call!(MMAP, 0, length, 3, 0x22, -1_isize, 0).ok()?;
    // SAFETY: a private anonymous read-write mapping of that length, ours alone, for ever.
    Some(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, length) })
}

pub fn pid() -> i32 {
    call!(GETPID).unwrap_or(0) as i32
}

pub fn uid() -> u32 {
    call!(GETUID).unwrap_or(0) as u32
}

pub fn umask(mode: u32) {
    let _ = call!(UMASK, mode);
}

/// Forks; 0 in the child. Sound as there is but one thread.
pub fn fork() -> Result<i32, Errno> {
    call!(CLONE, SIGCHLD, 0, 0, 0, 0).map(|pid| pid as i32)
}

pub fn setsid() {
    let _ = call!(SETSID);
}

/// Replaces the program. `argv` and `env` are null-terminated lists of NUL-terminated strings.
pub fn exec(path: &CStr, argv: &[*const u8], env: &[*const u8]) -> Errno {
    call!(EXECVE, path.as_ptr(), argv.as_ptr(), env.as_ptr()).err().unwrap_or(0)
}

/// Collects one ended child: its pid and raw status; `None` when none has ended.
pub fn reap() -> Option<(i32, i32)> {
    const WNOHANG: usize = 1;
    let mut status = 0_i32;
    match call!(WAIT4, -1_isize, &raw mut status, WNOHANG, 0) {
        Ok(pid) if pid > 0 => Some((pid as i32, status)),
        _ => None,
    }
}

pub fn kill(pid: i32, signal: i32) {
    let _ = call!(KILL, pid as isize, signal);
}

/// Returns whether `kill(2)` with this number would reach a process; one that has ended and is not reaped counts.
pub fn reaches(pid: i32) -> bool {
    call!(KILL, pid as isize, 0) != Err(ESRCH)
}

/// Blocks a set of signals, so that [`wait_signal`] gets them; an empty set blocks none.
pub fn block(signals: &[i32]) {
    let set: u64 = signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
    let _ = call!(RT_SIGPROCMASK, 2, &raw const set, 0, 8);
}

/// Sets a signal's disposition to the default, or to be ignored.
pub fn disposition(signal: i32, ignored: bool) {
    // struct kernel_sigaction: handler, flags, restorer (x86-64 alone), mask.
    let action: [usize; 4] = [usize::from(ignored), 0, 0, 0];
    let _ = call!(RT_SIGACTION, signal, action.as_ptr(), 0, 8);
}

/// Waits for one of the signals at most so long; `None` when time is up.
pub fn wait_signal(signals: &[i32], limit_ms: i64) -> Option<i32> {
    let set: u64 = signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
    let limit_ms = limit_ms.max(0);
    let time = [limit_ms / 1000, limit_ms % 1000 * 1_000_000];
    call!(RT_SIGTIMEDWAIT, &raw const set, 0, time.as_ptr(), 8).ok().map(|signal| signal as i32)
}

/// Makes `to` a copy of `from` that programs started later have.
pub fn dup(from: Fd, to: Fd) {
    if from == to {
        let _ = call!(FCNTL, from, 2, 0);
    } else {
        let _ = call!(DUP3, from, to, 0);
    }
}

/// Keeps all descriptors from this one on from programs started later.
pub fn close_on_exec_from(first: Fd) {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // What a filter or a kernel before 5.11 lacks is done one by one, as far as a grain's hard limit goes.
    if call!(CLOSE_RANGE, first, u32::MAX, CLOSE_RANGE_CLOEXEC).is_err() {
        for fd in first..4096 {
            let _ = call!(FCNTL, fd, 2, 1);
        }
    }
}

/// Opens a stream socket that does not block, of `AF_UNIX` (1) or `AF_INET` (2).
pub fn socket(family: u16) -> Result<Owned, Errno> {
    const STREAM_NONBLOCK_CLOEXEC: usize = 1 | 0o4000 | O_CLOEXEC;
    call!(SOCKET, family, STREAM_NONBLOCK_CLOEXEC, 0).map(|fd| Owned(fd as Fd))
}

/// Connects to an address as the kernel lays it.
pub fn connect(fd: Fd, address: &[u8]) -> Result<(), Errno> {
    call!(CONNECT, fd, address.as_ptr(), address.len()).map(drop)
}

/// Waits until a descriptor can be read (`POLLIN`, 1) or written (`POLLOUT`, 4), at most so long.
pub fn poll(fd: Fd, events: i16, limit_ms: i64) -> bool {
    #[repr(C)]
    struct PollFd {
        fd: Fd,
        events: i16,
        revents: i16,
    }
    let mut entry = PollFd { fd, events, revents: 0 };
    let limit_ms = limit_ms.max(0);
    let time = [limit_ms / 1000, limit_ms % 1000 * 1_000_000];
    call!(PPOLL, &raw mut entry, 1, time.as_ptr(), 0, 8).is_ok_and(|ready| ready > 0)
}
