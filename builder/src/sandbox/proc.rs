//! The `/proc` of a sandbox: nothing of other processes, and in a grain nothing of the kernel but the files
//! that programs need.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags},
    io::Errno,
};

use super::step::{SetUpFault, mount_point, step};
use crate::sys::{
    self, CallError,
    mount::{Restrictions, attach, copy_mount, copy_tree, new_file_system, restrict},
    path::{make_directory, make_file, open_in_root},
};

/// Where, below `/dev`, `/dev/fd` leads in a grain without `/proc`.
pub(super) const DESCRIPTORS: &str = ".proc";
pub(super) const DESCRIPTORS_OF_SELF: &str = ".proc/self/fd";

/// The kernel's files that a grain with `/proc` sees: facts that sysinfo(2) and the CPU itself give anyway,
/// by the names that programs know.
const OF_THE_KERNEL: [&str; 5] = ["cpuinfo", "filesystems", "loadavg", "meminfo", "uptime"];

/// Covers for the rest: an empty file or an empty directory of a file system that holds just these.
const NO_FILE: &str = "file";
const NO_DIRECTORY: &str = "directory";

/// Mounts `/proc` for maintainer scripts: for a process in the sandbox's own process namespace, while the
/// host's is still to be seen, without which the kernel refuses. `of_host` says whether the host's may stand
/// in.
pub(super) fn mount_proc(root: &OwnedFd, of_host: bool) -> Result<(), SetUpFault> {
    let mount = step(proc(of_host), doing)?;
    attach_proc(root, &mount).map(drop)
}

/// Mounts `/proc` for a grain: its own processes, and [`OF_THE_KERNEL`]. All else is covered: the command
/// line, the boot id, keys, pressure, interrupts, devices, settings.
///
/// `subset=pid` (proc(5)) would leave all of that out, `cpuinfo` and `meminfo` too, and then nothing could be
/// mounted there. What the kernel adds at the top while a grain runs, as a module may, is seen. In
/// `mountinfo` a process can read where on the host its `/var` lies: the kernel shows the path of what is
/// mounted, whatever the mount is made from.
pub(super) fn mount_proc_of_grain(root: &OwnedFd) -> Result<(), SetUpFault> {
    // Processes that a program may not trace, as one that gave up its right to be dumped, are not shown to it
    // either.
    let hidden = [("source", Some("proc")), ("hidepid", Some("invisible"))];
    let mount = match new_file_system("proc", &hidden, Restrictions::READ_ONLY_DATA) {
        // Before Linux 5.8 it is a number, and holds for the whole process namespace.
        Err(error) if error.errno == Errno::INVAL => step(proc(false), doing)?,
        result => step(result, doing)?,
    };
    let proc = attach_proc(root, &mount)?;
    let covered = step(to_be_covered(&proc), doing)?;
    let cover = step(Cover::new(&proc, &covered), doing)?;
    covered.iter().try_for_each(|(name, is_directory)| step(cover.put(&proc, name, *is_directory), doing))
}

fn doing() -> String {
    "mount /proc".into()
}

fn attach_proc(root: &OwnedFd, mount: &OwnedFd) -> Result<OwnedFd, SetUpFault> {
    let path = Path::new("/proc");
    let target = step(mount_point(root, path, true), doing)?;
    step(attach(mount, &target, path), doing)?;
    step(open_in_root(root, path), doing)
}

/// Lists what is at the top of a `/proc` and not for a grain to see, and whether it is a directory.
fn to_be_covered(proc: &OwnedFd) -> sys::Result<Vec<(String, bool)>> {
    let call = |errno| CallError { call: "getdents64(/proc)".into(), errno };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(proc, ".", flags, Mode::empty()).and_then(Dir::new).map_err(call)?;
    let mut covered = Vec::new();
    for entry in listed {
        let entry = entry.map_err(call)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_process = name.bytes().all(|byte| byte.is_ascii_digit());
        // Links lead to the process that follows them: `self`, `mounts`, `net`.
        let is_link = entry.file_type() == FileType::Symlink;
        if !is_process && !is_link && !matches!(&*name, "." | "..") && !OF_THE_KERNEL.contains(&&*name) {
            covered.push((name, entry.file_type() == FileType::Directory));
        }
    }
    Ok(covered)
}

/// An empty file and an empty directory that can be put in many places.
struct Cover {
    file: OwnedFd,
    directory: OwnedFd,
}

impl Cover {
    /// Makes them on a directory that will be covered itself: a mount can be copied only where it lies
    /// somewhere.
    fn new(proc: &OwnedFd, covered: &[(String, bool)]) -> sys::Result<Self> {
        let options = [
            ("source", Some("none")),
            ("mode", Some("0555")),
            ("size", Some("4k")),
            ("nr_inodes", Some("4")),
        ];
        let memory = new_file_system("tmpfs", &options, Restrictions::DATA)?;
        make_file(&memory, NO_FILE)?;
        make_directory(&memory, NO_DIRECTORY, 0o555)?;
        restrict(&memory, Restrictions::READ_ONLY_DATA, false)?;
        let missing = || CallError { call: "getdents64(/proc)".into(), errno: Errno::NOENT };
        let (place, _) = covered.iter().find(|(_, is_directory)| *is_directory).ok_or_else(missing)?;
        let target = open_in_root(proc, Path::new(place))?;
        attach(&memory, &target, &Path::new("/proc").join(place))?;
        let inside = |name: &str| open_in_root(proc, &PathBuf::from(place).join(name));
        Ok(Cover { file: inside(NO_FILE)?, directory: inside(NO_DIRECTORY)? })
    }

    fn put(&self, proc: &OwnedFd, name: &str, is_directory: bool) -> sys::Result<()> {
        let target = match open_in_root(proc, Path::new(name)) {
            // A module has gone.
            Err(error) if error.errno == Errno::NOENT => return Ok(()),
            target => target?,
        };
        let cover = copy_mount(if is_directory { &self.directory } else { &self.file })?;
        attach(&cover, &target, &Path::new("/proc").join(name))
    }
}

/// Mounts what `/dev/fd` needs in a grain without `/proc`: the kernel has no other way to open one's own
/// descriptors by name.
///
/// Of a whole `/proc` it is the part about the grain's own processes (`subset=pid`, proc(5)), read-only:
/// nothing of the kernel (`sys`, `kcore`, `cmdline`, `interrupts`, `keys`), nothing of other processes of the
/// host. In `mountinfo` it does show a process where on the host its `/var` lies. It is not at `/proc`, so
/// that programs take the ways that they take without one. Where the kernel refuses it (before 5.8, and in
/// containers whose own `/proc` is partly covered), the links lead nowhere.
pub(super) fn mount_descriptors(root: &OwnedFd) -> Result<(), SetUpFault> {
    let options = [("source", Some("proc")), ("subset", Some("pid"))];
    let Ok(mount) = new_file_system("proc", &options, Restrictions::READ_ONLY_DATA) else { return Ok(()) };
    let doing = || "mount the descriptors below /dev".to_owned();
    let path = Path::new("/dev").join(DESCRIPTORS);
    let target = step(open_in_root(root, &path), doing)?;
    step(attach(&mount, &target, &path), doing)
}

/// Returns a `/proc`, mounted nowhere yet. The kernel gives no new one where the host's is partly covered, as
/// in containers. Then, with `of_host`, it is that one: programs find themselves in it, see the numbers and
/// command lines of the host's processes, and from a user namespace of their own can look no further into
/// those (`ptrace(2)`).
pub(super) fn proc(of_host: bool) -> sys::Result<OwnedFd> {
    // Read-only: with all ids mapped, root inside is root to `/proc/sys` and `/proc/sysrq-trigger`, which go
    // by uid.
    match new_file_system("proc", &[("source", Some("proc"))], Restrictions::READ_ONLY_DATA) {
        Err(error) if of_host && error.errno == Errno::PERM => {
            let mount = copy_tree(Path::new("/proc")).map_err(|_| error.clone())?;
            restrict(&mount, Restrictions::READ_ONLY_DATA, true).map_err(|_| error)?;
            Ok(mount)
        }
        result => result,
    }
}
