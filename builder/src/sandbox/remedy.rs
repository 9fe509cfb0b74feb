//! Common reasons why the kernel refuses a call, and the remedies.

use std::path::Path;

use super::{chroot::NO_MOUNTS, ids::root_lacks};
use crate::files;

/// Returns the remedy for the common reasons why the kernel refuses a call.
pub(super) fn hint(call: &str, errno: i32) -> Option<String> {
    if call.starts_with("open(\"/dev/fuse\"") {
        return Some(match errno_of_device(call) {
            Some("EACCES") => "chmod 0666 /dev/fuse, as Debian has it".into(),
            // The device is there, and a container's control group forbids it.
            Some("EPERM") => "run the container with --device /dev/fuse".into(),
            _ => "modprobe fuse, or run the container with --device /dev/fuse".into(),
        });
    }
    if call.starts_with("fsmount(proc") || call.starts_with("fsconfig(proc") {
        return Some(
            "the kernel gives no new /proc where the present one is partly covered, as in containers: run the container \
             with --security-opt systempaths=unconfined"
                .into(),
        );
    }
    if let Some(lacking) = call.strip_prefix("capget() without ") {
        let names = lacking.split(" = ").next().unwrap_or_default();
        return Some(format!("run the container with {}", as_options(names)));
    }
    if call == NO_MOUNTS || call.starts_with("mknodat(") {
        return Some(format!("name spaces give it: {}", container_options()));
    }
    if call.starts_with("execve(") && errno == libc::EACCES {
        return Some(
            "either the program is not executable, or the cache lies on a file system that is mounted noexec: name a directory \
             elsewhere with --cache DIR or TINYROOT_CACHE"
                .into(),
        );
    }
    if [libc::EAGAIN, libc::ENOMEM].contains(&errno) {
        return Some(crate::threads::HINT.into());
    }
    let of_name_spaces = NAME_SPACES.iter().any(|name| call.starts_with(name));
    if errno == libc::ENOSYS && of_name_spaces {
        return Some(format!("use Linux 5.12 or newer; {}", container_options()));
    }
    let setting = |name: &str| files::read_to_string(Path::new("/proc/sys").join(name)).ok();
    let is = |name: &str, value: &str| setting(name).is_some_and(|text| text.trim() == value);
    let denied = [libc::EPERM, libc::EACCES, libc::ENOSPC, libc::EUSERS].contains(&errno);
    if !denied {
        return None;
    }
    if is("user/max_user_namespaces", "0") {
        return Some("allow user namespaces: sysctl user.max_user_namespaces=15000".into());
    }
    if is("kernel/unprivileged_userns_clone", "0") {
        return Some("allow user namespaces: sysctl kernel.unprivileged_userns_clone=1".into());
    }
    if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Some(
            "allow user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for \
             this program that has `userns,`"
                .into(),
        );
    }
    of_name_spaces.then(|| {
        format!(
            "{}; as root of a container with the usual capabilities, `stage` and `build --no-proof` work without",
            container_options()
        )
    })
}

/// Calls that make name spaces, and mounts in them.
const NAME_SPACES: [&str; 10] = [
    "unshare(",
    "setns(",
    "mount(",
    "open_tree(",
    "move_mount(",
    "fsopen(",
    "fsconfig(",
    "fsmount(",
    "mount_setattr(",
    "pivot_root(",
];

/// The options that let a container make name spaces and mounts: Docker's filter of system calls forbids the
/// one, its AppArmor profile the other; podman's own profile allows both, and takes the same options. Both
/// cover parts of `/proc`.
fn container_options() -> String {
    let options = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt \
                   systempaths=unconfined --device /dev/fuse";
    match root_lacks() {
        Some(_) => format!("in a container, docker and podman give it by {options} --user 1000"),
        None => format!("in a container, docker and podman give it by {options}"),
    }
}

/// Returns the error at the end of a call as a trace line has it.
fn errno_of_device(call: &str) -> Option<&str> {
    call.rsplit_once(" = ")?.1.split(' ').next()
}

/// Returns the remedy that lets root of a container map ids, if that is missing.
pub(super) fn hint_of_map() -> Option<String> {
    let options = as_options(&root_lacks()?);
    Some(format!("run the container as another user than root (--user 1000), or with {options}"))
}

/// Writes the names of capabilities as options of a container engine.
fn as_options(names: &str) -> String {
    let options = names.split(", ").map(|name| format!("--cap-add {}", name.trim_start_matches("CAP_")));
    options.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_cannot_be_opened_has_a_remedy() {
        let rows = [
            ("EACCES (Permission denied)", libc::EACCES, "chmod 0666 /dev/fuse"),
            ("EPERM (Operation not permitted)", libc::EPERM, "run the container with --device /dev/fuse"),
            ("ENOENT (No such file or directory)", libc::ENOENT, "modprobe fuse"),
        ];
        for (errno, number, expected) in rows {
            let hint = hint(&format!("open(\"/dev/fuse\", O_RDWR|O_CLOEXEC) = {errno}"), number);
            assert!(hint.expect("has one").starts_with(expected), "{errno}");
        }
    }

    #[test]
    fn whatever_of_name_spaces_and_mounts_is_refused_the_options_of_engines_give_it() {
        for call in [
            "unshare(CLONE_NEWUSER)",
            "move_mount(MOUNT, \"\")",
            "pivot_root(\".\", \".\")",
            "fsopen(\"tmpfs\")",
        ] {
            for (errno, number) in
                [("EPERM", libc::EPERM), ("EACCES", libc::EACCES), ("ENOSYS", libc::ENOSYS)]
            {
                let hint = hint(&format!("{call} = {errno}"), number).expect("has one");
                // A host that forbids user namespaces altogether says so instead.
                assert!(
                    hint.contains("--security-opt seccomp=unconfined") || hint.contains("sysctl"),
                    "{hint}"
                );
                assert_eq!(hint.contains("Linux 5.12"), errno == "ENOSYS", "{hint}");
            }
        }
    }

    #[test]
    fn a_cache_that_nothing_may_be_executed_on_and_a_full_process_table_have_a_remedy() {
        let call = "execve(\"/usr/bin/dpkg\", …) = EACCES (Permission denied)";
        assert!(
            hint(call, libc::EACCES).is_some_and(|hint| hint.contains("noexec") && hint.contains("--cache"))
        );
        let call = "clone3(CLONE_PIDFD) = EAGAIN (Resource temporarily unavailable)";
        assert!(hint(call, libc::EAGAIN).is_some_and(|hint| hint.contains("ulimit -u")));
    }

    #[test]
    fn a_capability_that_a_container_lacks_is_named_as_its_option() {
        let hint = hint("capget() without CAP_CHOWN, CAP_SYS_CHROOT", libc::EPERM);
        assert_eq!(hint.expect("has one"), "run the container with --cap-add CHOWN --cap-add SYS_CHROOT");
    }
}
