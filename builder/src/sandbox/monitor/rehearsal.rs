//! Tries all that a way of running programs does, to the last step, so that no way is taken that the host
//! refuses halfway.
//!
//! A sandbox like that of maintainer scripts or of a grain is put together over an empty root, and its
//! process 1 confined, for a program that does not exist: it succeeds when `execve(2)` says just that.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::{Built, Gate, Monitor, Stop, gate_result, leave_host, no_namespaces, tell};
use crate::{
    sandbox::{
        Bind, Devices, Ids, Root, Sandbox, Tmpfs, Way, chroot,
        protocol::{Report, send},
        root::{self, Parts},
        step::{SetUpFault, step},
    },
    sys,
};

/// A program that no root has.
const PROGRAM: &str = "/tinyroot-rehearsal";

/// A feature that may be missing without ending the sandbox, by its name, and why it is missing.
type Found = Vec<(String, Option<String>)>;

/// Tries what the host allows to these ids, and reports it.
pub(super) fn probe(control: &OwnedFd, ids: Ids, output: &OwnedFd) -> Result<(), Stop> {
    let found = match ids {
        Ids::RootLike(Way::Chroot) => in_chroot(control, output)?,
        _ => in_name_spaces(control, ids, output)?,
    };
    tell(control, &Report::Probed(found), &[]);
    Ok(())
}

fn in_name_spaces(control: &OwnedFd, ids: Ids, output: &OwnedFd) -> Result<Found, Stop> {
    let proc_of_host = leave_host(control, ids, None)?;
    let fuse = root::view().err().map(|fault| fault.call.to_string());
    let doing = || "mount a file system in memory".to_owned();
    let memory = step(root::file_system_in_memory(&Tmpfs::new("/", 0o755, 1 << 20), ids), doing)?;
    let mut sandbox = sandbox(ids, Root::View);
    // A directory that is there everywhere.
    sandbox.binds = vec![Bind::read_only("/", "/host")];
    let parts = Parts::take(&sandbox, Some(memory))?;
    let monitor = Monitor { control, sandbox: &sandbox, chroot: None, rehearses: true };
    let proc = monitor.rehearse(Some(parts), proc_of_host, output)?;
    Ok(vec![("fuse".into(), fuse), ("proc".into(), proc)])
}

fn in_chroot(control: &OwnedFd, output: &OwnedFd) -> Result<Found, Stop> {
    no_namespaces(control)?;
    chroot::require_capabilities()?;
    let place = chroot::place()?;
    let path = place.path().to_path_buf();
    let sandbox = sandbox(Ids::RootLike(Way::Chroot), Root::Directory { path, writable: true });
    let root = chroot::open(&sandbox)?;
    let devices = chroot::refuses_devices(&root);
    step(sys::process::adopt_orphans(), || "take on orphans".into())?;
    let monitor = Monitor { control, sandbox: &sandbox, chroot: Some(root), rehearses: true };
    monitor.rehearse(None, false, output)?;
    Ok(vec![("proc".into(), Some(chroot::NO_MOUNTS.into())), ("devices".into(), devices)])
}

/// Returns the root that programs of these ids run in.
fn sandbox(ids: Ids, root: Root) -> Sandbox {
    if ids == Ids::Grain {
        return Sandbox::grain(root, [PROGRAM]);
    }
    let mut sandbox = Sandbox::new(root, ids, [PROGRAM]);
    sandbox.devices = Devices::Terminals;
    sandbox.tmpfs = ["/tmp", "/run", "/dev/shm"].map(|place| Tmpfs::new(place, 0o755, 1 << 20)).to_vec();
    sandbox
}

impl Monitor<'_> {
    /// Goes as far as the program. Returns why there is no `/proc`.
    fn rehearse(
        &self,
        parts: Option<Parts>,
        proc_of_host: bool,
        output: &OwnedFd,
    ) -> Result<Option<String>, Stop> {
        let Built { first, gate, no_proc, .. } = self.build(parts, proc_of_host, output, None)?;
        let _ = send(&gate, &Gate::Go, &[]);
        let result = gate_result(&gate);
        drop(gate);
        let _ = first.wait();
        match result {
            Err(call) if call.errno == Errno::NOENT && call.call.starts_with("execve(") => Ok(no_proc),
            Err(call) => Err(SetUpFault { step: "confine a program".into(), call }.into()),
            // It was killed, as some filters of system calls do.
            Ok(()) => Err(Stop::Closed),
        }
    }
}
