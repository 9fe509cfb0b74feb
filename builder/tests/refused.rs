//! Hosts that refuse single calls, as the filters of container engines do: what is not essential passes, and
//! a way that would fail halfway is not taken.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, process::Command};

use rustix::process::geteuid;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use tinyroot::error::Hint as _;
use tinyroot::sandbox::{
    Bind, Ids, Root, Sandbox, SandboxError, Way, best_way, fuse, is_full_root, set_program,
};

/// Runs one of the tests below once more, on a host that refuses these calls.
fn refused(test: &str, calls: &[i64]) {
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    let output = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", test, "--nocapture"])
        .env("TINYROOT_TEST_REFUSED", calls.join(" "))
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Begins to refuse what [`refused`] says; false where nothing is to be refused.
fn refuses() -> bool {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let Ok(calls) = std::env::var("TINYROOT_TEST_REFUSED") else { return false };
    let rules: BTreeMap<i64, _> =
        calls.split(' ').map(|call| (call.parse().expect("a number"), Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).expect("fits");
    let program: BpfProgram = filter.try_into().expect("fits");
    seccompiler::apply_filter(&program).expect("is allowed");
    true
}

/// A root of the host's programs.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("sets a mode");
    for name in ["dev", "tmp", "run", "usr"] {
        fs::create_dir(root.path().join(name)).expect("makes a directory");
    }
    for name in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.path().join(name)).expect("makes a link");
    }
    root
}

#[test]
fn calls_that_are_not_essential_may_be_refused() {
    if !refuses() {
        let calls = [libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_keyctl, libc::SYS_close_range];
        return refused("calls_that_are_not_essential_may_be_refused", &calls);
    }
    let way = best_way().expect("some way");
    assert_ne!(way, Way::Chroot, "name spaces can be made");
    let root = root();
    for ids in [Ids::RootLike(way), Ids::Grain] {
        let place = Root::Directory { path: root.path().into(), writable: true };
        let mut sandbox = match ids {
            Ids::Grain => Sandbox::grain(place, ["/bin/true"]),
            ids => Sandbox::new(place, ids, ["/bin/true"]),
        };
        sandbox.binds.push(Bind::read_only("/usr", "/usr"));
        let running = sandbox.start().unwrap_or_else(|error| panic!("{ids:?}: {error}"));
        assert!(running.wait().success(), "{ids:?}");
    }
}

#[test]
fn a_way_that_would_fail_halfway_is_not_taken() {
    const LATE: [i64; 4] =
        [libc::SYS_pivot_root, libc::SYS_umount2, libc::SYS_mount_setattr, libc::SYS_move_mount];
    if !refuses() {
        for call in LATE {
            refused("a_way_that_would_fail_halfway_is_not_taken", &[call]);
        }
        return;
    }
    let name_of_call = |error: &dyn std::error::Error| {
        ["pivot_root", "umount2", "mount_setattr", "move_mount"]
            .iter()
            .any(|name| error.to_string().contains(&format!("{name}(")))
    };
    match best_way() {
        Ok(way) => assert_eq!((way, geteuid().is_root()), (Way::Chroot, true)),
        Err(error) => {
            assert!(!geteuid().is_root() && name_of_call(&error), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("--security-opt")), "{error}");
        }
    }
    // A grain has no other way, and its host is named before anything of it is made.
    assert!(fuse().is_err());
}

#[test]
fn root_without_its_usual_capabilities_is_one_user_among_others() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    if !geteuid().is_root() {
        return;
    }
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    // Of this thread alone, which is the one that starts the monitor.
    let sets = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    for capability in CapabilitySet::all() {
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    set_capabilities(None, sets).expect("gives all up");
    assert!(!is_full_root());
    let error = best_way().expect_err("has no ids to map and no chroot");
    let SandboxError::Host { reason, hint } = &error else { panic!("{error}") };
    assert!(reason.contains("uid_map") && reason.contains("without CAP_CHOWN"), "{reason}");
    let hint = hint.as_deref().unwrap_or_default();
    assert!(hint.contains("--user 1000") && hint.contains("--cap-add SETFCAP"), "{hint}");
}
