//! The sandbox's root, seen from the monitor: taken from the host, put together, made `/`.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{
    Bind, Devices, Ids, Root, Sandbox, Tmpfs, Way,
    ids::GRAIN_ID,
    proc::{DESCRIPTORS, DESCRIPTORS_OF_SELF},
    step::{SetUpFault, mount_point, step},
};
use crate::sys::{
    self, CallError,
    mount::{Restrictions, attach, copy_tree, new_file_system, restrict},
    path::{make_directory, make_file, make_link, open_in_root, open_root},
};

/// All that comes from the host, held by descriptors, so that the root can then cover the host's paths.
pub(super) struct Parts {
    root: OwnedFd,
    binds: Vec<(Bind, OwnedFd, bool)>,
    devices: Vec<(&'static str, OwnedFd)>,
    /// The connection of a view.
    pub fuse: Option<OwnedFd>,
}

impl Parts {
    /// Takes from the host what the sandbox is to see. Looks at nothing in a view. One that is `mounted`
    /// already is taken as it is.
    pub fn take(sandbox: &Sandbox, mounted: Option<OwnedFd>) -> Result<Self, SetUpFault> {
        let (root, fuse) = match (&sandbox.root, mounted) {
            (Root::View, Some(view)) => (view, None),
            (Root::View, None) => view().map(|(root, fuse)| (root, Some(fuse)))?,
            (Root::Directory { path, writable }, _) => (directory(path, *writable)?, None),
            (Root::Overlay { lower, upper, work }, _) => (overlay(lower, upper, work)?, None),
        };
        let mut binds = Vec::new();
        for bind in &sandbox.binds {
            let is_directory =
                step(sys::path::is_directory(&bind.source), || format!("bind {}", shown(&bind.source)))?;
            binds.push((bind.clone(), directory(&bind.source, bind.writable)?, is_directory));
        }
        let names: &[&str] = match sandbox.devices {
            Devices::None => &[],
            Devices::Minimal => &["null", "zero", "full", "random", "urandom"],
            Devices::Terminals => &["null", "zero", "full", "random", "urandom", "tty"],
        };
        let mut devices = Vec::new();
        for name in names {
            // Device nodes of one's own cannot be made in a user namespace (`mknod(2)`), so those of the host
            // are seen. That a maintainer script may not change them: where root is root, a `chmod` of
            // `/dev/null` would be the host's.
            let path = Path::new("/dev").join(name);
            let doing = || format!("bind {}", shown(&path));
            let node = step(copy_tree(&path), doing)?;
            step(restrict(&node, Restrictions::NODE, false), doing)?;
            devices.push((*name, node));
        }
        Ok(Parts { root, binds, devices, fuse })
    }

    /// Puts the root somewhere in this mount namespace and returns it as the place that paths start from.
    pub fn place(&self) -> Result<OwnedFd, SetUpFault> {
        // Any directory will do: everything that is needed of the host is held already, and all of it goes
        // away soon.
        let places = ["/tmp", "/var/tmp", "/run", "/mnt", "/var"].map(Path::new);
        let place = places
            .into_iter()
            .find(|p| sys::path::is_directory(p).unwrap_or(false))
            .unwrap_or(Path::new("/"));
        let doing = || "put the root into place".to_owned();
        let under = step(open_root(place), doing)?;
        step(attach(&self.root, &under, place), doing)?;
        step(open_root(place), doing)
    }

    /// Mounts all but `/proc` below the root.
    pub fn fill(&self, root: &OwnedFd, sandbox: &Sandbox) -> Result<(), SetUpFault> {
        let devices = match sandbox.devices {
            Devices::None => None,
            kind => Some(self.mount_devices(root, kind, sandbox)?),
        };
        for tmpfs in &sandbox.tmpfs {
            let doing = || format!("mount a file system in memory at {}", shown(&tmpfs.target));
            let mount = step(file_system_in_memory(tmpfs, sandbox.ids), doing)?;
            let target = step(mount_point(root, &tmpfs.target, true), doing)?;
            step(attach(&mount, &target, &tmpfs.target), doing)?;
        }
        for (bind, mount, is_directory) in &self.binds {
            let doing = || format!("bind {} at {}", shown(&bind.source), shown(&bind.target));
            let target = step(mount_point(root, &bind.target, *is_directory), doing)?;
            step(attach(mount, &target, &bind.target), doing)?;
        }
        if let Some(devices) = devices {
            // Last, for `/dev/shm` and the like were made in it.
            let read_only = Restrictions::READ_ONLY_DATA;
            step(restrict(devices, read_only, false), || "make /dev read-only".into())?;
        }
        Ok(())
    }

    /// Mounts `/dev` and returns the mount.
    fn mount_devices(&self, root: &OwnedFd, kind: Devices, sandbox: &Sandbox) -> Result<OwnedFd, SetUpFault> {
        let doing = || "mount /dev".to_owned();
        // Mode 0755, not the usual 1777 of a tmpfs: with that one, `> /dev/null` is refused where the
        // device's owner has no id inside (`fs.protected_regular`).
        let options = [("mode", Some("0755")), ("size", Some("64k")), ("source", Some("dev"))];
        let dev = step(new_file_system("tmpfs", &options, Restrictions::DATA), doing)?;
        let path = Path::new("/dev");
        let target = step(mount_point(root, path, true), doing)?;
        step(attach(&dev, &target, path), doing)?;
        for (name, node) in &self.devices {
            let doing = || format!("bind /dev/{name}");
            step(make_file(&dev, name), doing)?;
            let target = step(open_in_root(&dev, Path::new(name)), doing)?;
            step(attach(node, &target, &path.join(name)), doing)?;
        }
        let descriptors = match sandbox.ids {
            _ if sandbox.proc => Some("/proc/self/fd"),
            Ids::Grain => {
                step(make_directory(&dev, DESCRIPTORS, 0o555), doing)?;
                Some(DESCRIPTORS_OF_SELF)
            }
            Ids::RootLike(_) => None,
        };
        if let Some(place) = descriptors {
            for (name, place) in [("fd", place), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
                step(make_link(&dev, name, place), doing)?;
            }
        }
        if kind == Devices::Terminals {
            let doing = || "mount /dev/pts".to_owned();
            let mut options = vec![("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("0620"))];
            if !matches!(sandbox.ids, Ids::RootLike(Way::Single) | Ids::Grain) {
                // The group `tty` of Debian.
                options.push(("gid", Some("5")));
            }
            let terminals = step(new_file_system("devpts", &options, Restrictions::TERMINALS), doing)?;
            step(make_directory(&dev, "pts", 0o755), doing)?;
            let target = step(open_in_root(&dev, Path::new("pts")), doing)?;
            step(attach(&terminals, &target, Path::new("/dev/pts")), doing)?;
            step(make_link(&dev, "ptmx", "pts/ptmx"), doing)?;
        }
        Ok(dev)
    }
}

/// Makes the placed root `/`.
pub(super) fn enter(root: &OwnedFd) -> Result<(), SetUpFault> {
    let doing = || "make the new root /".to_owned();
    step(sys::process::change_directory_to(root), doing)?;
    step(sys::mount::pivot_here(), doing)
}

fn directory(path: &Path, writable: bool) -> Result<OwnedFd, SetUpFault> {
    let doing = || format!("bind {}", shown(path));
    let mount = step(copy_tree(path), doing)?;
    let forbid = if writable { Restrictions::NO_DEVICES } else { Restrictions::READ_ONLY };
    step(restrict(&mount, forbid, true), doing)?;
    Ok(mount)
}

/// Mounts FUSE. The device must be opened here: kernel and mount must agree on the user namespace.
pub(super) fn view() -> Result<(OwnedFd, OwnedFd), SetUpFault> {
    let doing = || "mount a view (FUSE)".to_owned();
    let opened = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, rustix::fs::Mode::empty());
    let call = || "open(\"/dev/fuse\", O_RDWR|O_CLOEXEC)".to_owned();
    let fuse = step(opened.map_err(|errno| CallError { call: call(), errno }), doing)?;
    let fd = fuse.as_raw_fd().to_string();
    let (uid, gid) = super::ids::own_ids();
    let (uid, gid) = (uid.to_string(), gid.to_string());
    let options = [
        ("source", Some("tinyroot")),
        ("fd", Some(&*fd)),
        ("rootmode", Some("40000")),
        ("user_id", Some(&*uid)),
        ("group_id", Some(&*gid)),
        // The program has another uid than the monitor.
        ("allow_other", None),
    ];
    // Neither file system nor mount is read-only for the kernel, which would then refuse each change by
    // itself: the view refuses them, with the same error, and learns of them. For the same reason the kernel
    // is not to check modes (`default_permissions`): it would take what the owner may write for writable, and
    // reply so to access(2).
    let mount = step(new_file_system("fuse", &options, Restrictions::NO_DEVICES), doing)?;
    Ok((mount, fuse))
}

fn overlay(lower: &Path, upper: &Path, work: &Path) -> Result<OwnedFd, SetUpFault> {
    let text = |path: &Path| path.to_string_lossy().replace('\\', "\\\\").replace(':', "\\:");
    let (lower, upper, work) = (text(lower), upper.to_string_lossy(), work.to_string_lossy());
    let options = [
        ("source", Some("overlay")),
        ("lowerdir", Some(&*lower)),
        ("upperdir", Some(&*upper)),
        ("workdir", Some(&*work)),
        // The attributes of overlayfs that a user namespace may set.
        ("userxattr", None),
    ];
    step(new_file_system("overlay", &options, Restrictions::NO_DEVICES), || {
        "mount a layer over a root".into()
    })
}

/// Returns a fresh file system in memory that belongs to the program's user.
pub(super) fn file_system_in_memory(tmpfs: &Tmpfs, ids: Ids) -> sys::Result<OwnedFd> {
    let owner = if ids == Ids::Grain { GRAIN_ID } else { 0 }.to_string();
    let (mode, size) = (format!("{:o}", tmpfs.mode), tmpfs.size_bytes.to_string());
    // A file of one page takes about 1 KiB more for its inode; without a limit inodes are another way to fill
    // memory.
    let inodes = (tmpfs.size_bytes / 4096).max(64).to_string();
    let options = [
        ("source", Some("tmpfs")),
        ("mode", Some(&*mode)),
        ("uid", Some(&*owner)),
        ("gid", Some(&*owner)),
        ("size", Some(&*size)),
        ("nr_inodes", Some(&*inodes)),
    ];
    new_file_system("tmpfs", &options, Restrictions::NO_DEVICES)
}

fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
