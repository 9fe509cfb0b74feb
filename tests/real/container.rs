//! In a container as container engines make them: root of it, but without name spaces, mounts and what leads
//! to them.

use std::{collections::BTreeMap, fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use rustix::{
    process::geteuid,
    thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::{
    alone, copy_recipe, recipes, share_debs,
    support::{Ended, Home, assert_says, end, text},
    write_key,
};

/// Podman's default; Docker's has three more, of which device nodes (`MKNOD`) matter here.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

/// Not a test: becomes tinyroot in a container.
#[test]
fn container() {
    let Some(arguments) = std::env::var_os("TINYROOT_TEST_CONTAINER") else { return };
    let arguments = arguments.into_string().expect("is text");
    let keep = match std::env::var("TINYROOT_TEST_WITHOUT") {
        Ok(_) => CAPABILITIES - CapabilitySet::SYS_CHROOT,
        Err(_) => CAPABILITIES,
    };
    for capability in CapabilitySet::all() - keep {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).expect("gives up the rest");
    // As the filter of Docker, which the same calls are taken out of.
    let refused = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_mount_setattr,
        libc::SYS_keyctl,
        // Podman's filter refuses these two where it allows all the others; refused.rs of the library's tests
        // has them alone.
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
    ];
    let mut rules: BTreeMap<_, _> = refused.into_iter().map(|call| (call, Vec::new())).collect();
    let user = libc::CLONE_NEWUSER as u64;
    let is_user = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(user), user)
        .expect("is one");
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_user]).expect("is one")]);
    apply(rules, libc::EPERM);
    apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS);
    let error = Command::new(env!("CARGO_BIN_EXE_tinyroot")).args(arguments.split('\n')).exec();
    panic!("{error}");
}

fn apply(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) {
    let refuse = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).expect("fits");
    let program: BpfProgram = filter.try_into().expect("fits");
    seccompiler::apply_filter(&program).expect("is allowed");
}

/// Runs tinyroot in a container, as its root. For an ordinary user that is a container with this one id.
fn contained(home: &Home, arguments: &[&str], without: Option<&str>) -> Ended {
    let own = std::env::current_exe().expect("is known");
    let mut command = if geteuid().is_root() {
        Command::new(own)
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]).arg(own);
        unshare
    };
    command.args(["--exact", "container::container", "--nocapture", "--quiet"]);
    for (name, value) in home.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env_remove("TINYROOT_WAY").env("TINYROOT_TEST_CONTAINER", arguments.join("\n"));
    if let Some(without) = without {
        command.env("TINYROOT_TEST_WITHOUT", without);
    }
    end(&mut command)
}

fn forget_layers(home: &Home) {
    fs::remove_dir_all(home.path("cache/bundles/layer")).expect("a layer was kept");
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).expect("reads")
}

#[test]
fn a_container_without_mounts_stages_and_builds_the_same_bytes() {
    let _turn = alone();
    if !recipes().iter().any(|name| name == "cgit") {
        return;
    }
    let home = Home::new();
    share_debs(&home);
    let folder = copy_recipe("cgit", &home.path("recipes"));
    let [usual, here, usual_package, package] =
        ["usual.tar", "here.tar", "usual.spk", "here.spk"].map(|name| home.path(name));
    let keys = write_key(&home);

    let stage = |output: &Path| ["stage", text(&folder), "--output", text(output)].map(str::to_owned);
    let build = |output: &Path| {
        ["build", text(&folder), "--no-proof", "--output", text(output), "--key-file", text(&keys)]
            .map(str::to_owned)
    };
    // Without other ids owners are those of the packages.
    let way = if geteuid().is_root() { "root" } else { "single" };
    for words in [stage(&usual).to_vec(), build(&usual_package).to_vec()] {
        let ended = end(home.command().env("TINYROOT_WAY", way).args(&words));
        assert_eq!(ended.code, Some(0), "{words:?}: {}", ended.stderr);
    }
    forget_layers(&home);
    for words in [stage(&here).to_vec(), build(&package).to_vec()] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = contained(&home, &words, None);
        assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.stdout, ended.stderr);
    }
    assert!(home.path("cache/bundles/layer").exists(), "it was configured here");
    assert!(bytes(&usual) == bytes(&here), "the root is another");
    assert!(bytes(&usual_package) == bytes(&package), "the package is another");
    assert_eq!(super::support::names(&home.path("cache/tmp")), Vec::<String>::new());

    let root = home.path("root");
    let ended = contained(&home, &["stage", text(&folder), "--output", text(&root)], None);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(root.join("var/lib/dpkg/status").is_file());

    // What runs the app says what it lacks.
    let remedies = [
        "name spaces: unshare(",
        "EPERM",
        "hint: ",
        "--security-opt seccomp=unconfined",
        "systempaths=unconfined",
    ];
    for words in [["trace", text(&folder)], ["check", text(&package)], ["run", text(&package)]] {
        let ended = contained(&home, &words, None);
        assert_eq!(ended.code, Some(1), "{words:?}: {}{}", ended.stdout, ended.stderr);
        assert_says(&ended.stderr, &remedies);
        assert!(!ended.stderr.contains("the app does not"), "{words:?} blames the app: {}", ended.stderr);
    }
    let proven = ["build", text(&folder), "--output", text(&package), "--key-file", text(&keys)];
    let ended = contained(&home, &proven, None);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert_says(&ended.stderr, &remedies);
    assert_says(&ended.stderr, &["--no-proof"]);

    // A container that cannot configure takes what is in the store, and without that says what it lacks.
    let none = home.path("none.tar");
    let words = ["stage", text(&folder), "--output", text(&none)];
    forget_layers(&home);
    let ended = contained(&home, &words, Some("chroot"));
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let skip = ["name spaces: unshare(", "without CAP_SYS_CHROOT", "hint: ", "--cap-add SYS_CHROOT"];
    assert_says(&ended.stderr, &skip);
    let ended = end(home.command().env("TINYROOT_WAY", way).args(stage(&usual)));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = contained(&home, &words, Some("chroot"));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(bytes(&usual) == bytes(&none), "the root in the store is another");
}
