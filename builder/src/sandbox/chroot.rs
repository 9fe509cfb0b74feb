//! Root inside a chroot: for maintainer scripts where no name space can be made and nothing be mounted, as in
//! containers.
//!
//! Why the program cannot leave: it has none of the capabilities that lead out of a chroot or make devices,
//! no new privileges, and a filter ([`super::filter::confined`]) without any socket but those of its own
//! files. What it could do all the same: see the host's name, its System V queues and memory, and, before
//! Linux 6.12 or without Landlock, signal other processes of the same user by number and reach their abstract
//! sockets. It has no `/proc`, and `/dev` has device files only where they can be made. What it leaves
//! running is killed at its end.
//!
//! There are no binds and no file systems in memory: `/tmp`, `/run` and `/dev` are the root's own
//! directories, and the program that reads the root afterwards sees what is left in them.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{io::Errno, thread::CapabilitySet};

use super::{
    Devices, Root, Sandbox,
    step::{SetUpFault, mount_point, step},
};
use crate::sys::{
    self, CallError,
    path::{make_device, make_file, open_in_root, open_root},
};

/// The share of root's power that a program keeps: over the files of its root. Neither `SYS_CHROOT`, which
/// leads out of a chroot, nor `MKNOD`, by which a disk can be read, nor what reaches beyond files.
pub(super) const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETFCAP);

/// Why there is no `/proc`.
pub(super) const NO_MOUNTS: &str = "a chroot has no mounts";

/// The usual devices, by `Documentation/admin-guide/devices.txt` of Linux.
const DEVICES: [(&str, (u32, u32)); 6] = [
    ("null", (1, 3)),
    ("zero", (1, 5)),
    ("full", (1, 7)),
    ("random", (1, 8)),
    ("urandom", (1, 9)),
    ("tty", (5, 0)),
];

/// Checks that this process has what a root by chroot takes.
pub(super) fn require_capabilities() -> Result<(), SetUpFault> {
    let doing = || "be root by chroot".to_owned();
    step(sys::process::require_capabilities(KEPT | CapabilitySet::SYS_CHROOT), doing)
}

/// Makes a directory in which a root can be tried.
pub(super) fn place() -> Result<tempfile::TempDir, SetUpFault> {
    // With a read-only root, containers may have the second place only.
    tempfile::tempdir().or_else(|_| tempfile::tempdir_in("/dev/shm")).map_err(|error| {
        let errno = Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
        SetUpFault {
            step: "be root by chroot".into(),
            call: CallError { call: "mkdir(TEMPORARY)".into(), errno },
        }
    })
}

/// Returns why no device files can be made in a root.
pub(super) fn refuses_devices(root: &OwnedFd) -> Option<String> {
    make_device(root, "null", DEVICES[0].1).err().map(|call| call.to_string())
}

/// Opens the root of a sandbox that can be one by chroot.
pub(super) fn open(sandbox: &Sandbox) -> Result<OwnedFd, SetUpFault> {
    let doing = || "make a root without mounts".to_owned();
    match &sandbox.root {
        Root::Directory { path, writable: true } if sandbox.binds.is_empty() => step(open_root(path), doing),
        _ => {
            let call = "chroot() to what is not a writable directory".to_owned();
            Err(SetUpFault { step: doing(), call: CallError { call, errno: Errno::OPNOTSUPP } })
        }
    }
}

/// Makes what mounts are elsewhere: directories for those in memory, and what can be had of `/dev`.
pub(super) fn fill(root: &OwnedFd, sandbox: &Sandbox) -> Result<(), SetUpFault> {
    if sandbox.devices != Devices::None {
        let dev = step(mount_point(root, Path::new("/dev"), true), || "make /dev".into())?;
        for (name, numbers) in DEVICES {
            // Without a device the output of scripts must still go somewhere; an empty `random` would be
            // worse than none.
            if make_device(&dev, name, numbers).is_err() && name == "null" {
                step(make_file(&dev, name), || "make /dev/null".into())?;
                let null = step(open_in_root(&dev, Path::new(name)), || "open /dev/null".into())?;
                step(sys::path::set_mode(&null, 0o666), || "open /dev/null to everyone".into())?;
            }
        }
    }
    for tmpfs in &sandbox.tmpfs {
        let doing = || format!("make {}", tmpfs.target.display());
        let directory = step(mount_point(root, &tmpfs.target, true), doing)?;
        step(sys::path::set_mode(&directory, tmpfs.mode), doing)?;
    }
    Ok(())
}
