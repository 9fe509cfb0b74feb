//! Name spaces, and the set-up of a new one.

use std::{
    mem,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use super::{Result, checked, traced};

/// Leaves all name spaces of the host for new ones; the one of users only if `user`. That of processes is for
/// the children to come: the caller stays in the outer one.
///
/// # Errors
/// The call.
pub fn leave_host(user: bool) -> Result<()> {
    use UnshareFlags as Flags;
    let mut flags =
        Flags::NEWNS | Flags::NEWPID | Flags::NEWNET | Flags::NEWIPC | Flags::NEWUTS | Flags::NEWCGROUP;
    let mut names =
        String::from("CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWNET|CLONE_NEWIPC|CLONE_NEWUTS|CLONE_NEWCGROUP");
    if user {
        flags |= Flags::NEWUSER;
        names.insert_str(0, "CLONE_NEWUSER|");
    }
    // SAFETY: the flags do not include CLONE_FILES, the one for which the function is marked unsafe.
    traced(unsafe { rustix::thread::unshare_unsafe(flags) }, || format!("unshare({names})"))
}

/// Returns the user namespace of this process, to be joined by others.
///
/// # Errors
/// The call; the host's `/proc` must be there.
pub fn users() -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let opened = rustix::fs::open("/proc/self/ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    traced(opened, || "open(\"/proc/self/ns/user\", O_RDONLY|O_CLOEXEC)".into())
}

/// Joins a user namespace that this process's user made, with all capabilities in it. Other threads must not
/// have been started.
///
/// # Errors
/// The call.
pub fn join_users(users: impl AsFd) -> Result<()> {
    let joined = move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User));
    traced(joined, || "setns(USERS, CLONE_NEWUSER)".into())
}

/// Brings the loopback interface up.
///
/// # Errors
/// The call.
pub fn raise_loopback() -> Result<()> {
    let socket: OwnedFd = traced(
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None),
        || "socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, 0)".into(),
    )?;
    // SAFETY: all-zero is a valid value of this plain C structure.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one `ifreq`, which outlives the call.
    let result =
        checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into());
    traced(result, || "ioctl(SOCKET, SIOCSIFFLAGS, {\"lo\", IFF_UP|IFF_RUNNING})".into()).map(drop)
}

/// Sets the host's name where that is allowed: podman's filter of system calls refuses it to everyone without
/// CAP_SYS_ADMIN outside, in a name space of one's own too. Programs then see the container's name.
pub fn set_host_name(name: &str) {
    // SAFETY: the name outlives the call, which gets its length.
    unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
}

/// Leaves the session's keyring for an empty one. Kernels without keyrings, and filters around us, may
/// refuse.
pub fn leave_keyring() {
    /// Of `linux/keyctl.h`.
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING with a null name touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) };
}
