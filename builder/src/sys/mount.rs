//! Mounts, held by descriptors until they are put somewhere (Linux 5.2; `mount_setattr(2)` is of 5.12).

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags as Flags, MoveMountFlags, OpenTreeFlags};

use super::{Result, checked, traced};

/// Restrictions of a mount. Bits as in `mount_setattr(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restrictions(u32);

/// `struct mount_attr` of `linux/mount.h`, which `libc` lacks.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

impl Restrictions {
    /// No devices can be opened, nor setuid take effect.
    pub const NO_DEVICES: Restrictions =
        Restrictions(Flags::MOUNT_ATTR_NOSUID.bits() | Flags::MOUNT_ATTR_NODEV.bits());
    /// Nothing but data: no devices, no setuid, nothing to execute.
    pub const DATA: Restrictions = Restrictions(Self::NO_DEVICES.0 | Flags::MOUNT_ATTR_NOEXEC.bits());
    /// Devices, but no setuid and nothing to execute.
    pub const TERMINALS: Restrictions =
        Restrictions(Flags::MOUNT_ATTR_NOSUID.bits() | Flags::MOUNT_ATTR_NOEXEC.bits());
    /// For the node of a device: it can be read and written, but neither its owner, mode, times nor
    /// attributes be changed.
    pub const NODE: Restrictions = Restrictions(Self::TERMINALS.0 | Flags::MOUNT_ATTR_RDONLY.bits());
    /// As [`Restrictions::NO_DEVICES`], and nothing can be changed.
    pub const READ_ONLY: Restrictions = Restrictions(Self::NO_DEVICES.0 | Flags::MOUNT_ATTR_RDONLY.bits());
    /// As [`Restrictions::DATA`], and nothing can be changed.
    pub const READ_ONLY_DATA: Restrictions = Restrictions(Self::DATA.0 | Flags::MOUNT_ATTR_RDONLY.bits());
}

/// Cuts this mount namespace off: mounts made here are seen nowhere else, and none from elsewhere here.
///
/// # Errors
/// The call.
pub fn make_private() -> Result<()> {
    use rustix::mount::MountPropagationFlags;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    traced(rustix::mount::mount_change("/", flags), || {
        "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)".into()
    })
}

/// Returns a copy of the mounts at a path and below it: a bind mount that is not attached yet.
///
/// # Errors
/// The call.
pub fn copy_tree(path: &Path) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    traced(rustix::mount::open_tree(rustix::fs::CWD, path, flags), || {
        format!("open_tree(AT_FDCWD, {path:?}, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)")
    })
}

/// Returns a copy of one mount of this name space, without the mounts below it; it is not attached yet.
///
/// # Errors
/// The call.
pub fn copy_mount(mount: impl AsFd) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    traced(rustix::mount::open_tree(mount, "", flags), || {
        "open_tree(MOUNT, \"\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH)".into()
    })
}

/// Returns a new file system of a kind, mounted nowhere yet. An option without a value is a flag.
///
/// # Errors
/// The call.
pub fn new_file_system(
    kind: &str,
    options: &[(&str, Option<&str>)],
    forbid: Restrictions,
) -> Result<OwnedFd> {
    let context = traced(rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC), || {
        format!("fsopen({kind:?}, FSOPEN_CLOEXEC)")
    })?;
    for (name, value) in options {
        match value {
            Some(value) => {
                traced(rustix::mount::fsconfig_set_string(&context, *name, *value), || {
                    format!("fsconfig({kind}, FSCONFIG_SET_STRING, {name:?}, {value:?})")
                })?;
            }
            None => {
                traced(rustix::mount::fsconfig_set_flag(&context, *name), || {
                    format!("fsconfig({kind}, FSCONFIG_SET_FLAG, {name:?})")
                })?;
            }
        }
    }
    traced(rustix::mount::fsconfig_create(&context), || format!("fsconfig({kind}, FSCONFIG_CMD_CREATE)"))?;
    let attributes = Flags::from_bits_retain(forbid.0);
    traced(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes), || {
        format!("fsmount({kind}, FSMOUNT_CLOEXEC, {:#x})", forbid.0)
    })
}

/// Attaches a mount to the target of a descriptor; `what` and `place` are for the error.
///
/// # Errors
/// The call.
pub fn attach(mount: impl AsFd, target: impl AsFd, place: &Path) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    traced(rustix::mount::move_mount(mount, "", target, "", flags), || {
        format!("move_mount(MOUNT, \"\", {place:?}, \"\", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)")
    })
}

/// Forbids more on a mount, and on all below it if `recursive`; nothing that was forbidden is allowed again.
///
/// # Errors
/// The call.
pub fn restrict(mount: impl AsFd, forbid: Restrictions, recursive: bool) -> Result<()> {
    let attributes = MountAttributes { set: forbid.0.into(), ..MountAttributes::default() };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal C string and the structure outlives the call, which gets its size.
    let result = checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    });
    traced(result, || format!("mount_setattr(MOUNT, \"\", {flags:#x}, {{attr_set={:#x}}})", forbid.0))
        .map(drop)
}

/// Makes the mount at the working directory this namespace's root and takes the old one away.
///
/// # Errors
/// The call.
pub fn pivot_here() -> Result<()> {
    // With both places the same the old root comes to lie on top of the new one (`pivot_root(2)`), so no
    // directory for it is needed in a root that cannot be written.
    traced(rustix::process::pivot_root(".", "."), || "pivot_root(\".\", \".\")".into())?;
    traced(rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH), || {
        "umount2(\".\", MNT_DETACH)".into()
    })?;
    super::process::change_directory(Path::new("/"))
}
