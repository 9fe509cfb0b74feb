//! Packages made again from themselves, on hosts that differ in all that should not matter: clock, zone,
//! locale, umask, user, home, TMPDIR, cores, order of directories, the kernel's name, tools of the host.
//!
//! Packages that `TINYROOT_TEST_PACKAGES` has are taken from there. Needs root, a program that is linked dynamically
//! (else its clock is the host's; `TINYROOT_TEST_DYNAMIC` names another than that of these tests), and Debian's
//! packages disorderfs and faketime.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;
use tinyroot::testing::{is_long, skip};

use super::{
    alone, build, copy_recipe, kept, main_recipes, recipes,
    sameness::{FAKETIME, NOBODY, give_away},
    share_debs,
    support::{Home, assert_says, end, text},
};

/// Names another kernel to a command.
const UNAME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/real/rebuilt/uname.pl");

/// Tools that a builder might call on the host. Those that a variant has write garbage and fail.
const TOOLS: [&str; 12] = [
    "ar",
    "bzip2",
    "dpkg",
    "dpkg-deb",
    "gzip",
    "objcopy",
    "sha256sum",
    "strip",
    "tar",
    "xz",
    "xzcat",
    "zstd",
];

/// A host that is other than the one that built.
struct Host {
    name: &'static str,
    /// How the clock is shifted: five years, with their leap days.
    clock: &'static str,
    zone: &'static str,
    locale: &'static str,
    umask: &'static str,
    kernel: &'static str,
    /// How directories are listed.
    order: &'static str,
    /// Whether only the first core may be used.
    one_core: bool,
    as_nobody: bool,
    /// The name of its TMPDIR.
    tmp: &'static str,
}

const HOSTS: [Host; 2] = [
    Host {
        name: "five years earlier",
        clock: "-1826d",
        zone: "Pacific/Kiritimati",
        locale: "tr_TR.UTF-8",
        umask: "077",
        kernel: "3.19.0-old",
        order: "--shuffle-dirents=yes",
        one_core: true,
        as_nobody: false,
        tmp: "tmp \u{fc}ber",
    },
    Host {
        name: "five years later",
        clock: "+1826d",
        zone: "America/St_Johns",
        locale: "de_CH.UTF-8",
        umask: "002",
        kernel: "99.1.0-new",
        order: "--reverse-dirents=yes",
        one_core: false,
        as_nobody: true,
        tmp: "t",
    },
];

#[test]
fn every_package_comes_out_again_on_hosts_that_differ_in_everything() {
    if !is_able() {
        return;
    }
    let _turn = alone();
    let builder = Home::new();
    share_debs(&builder);
    let all = if is_long() { recipes() } else { main_recipes() };
    for (index, name) in all.iter().enumerate() {
        let package = kept(name).unwrap_or_else(|| {
            let folder = copy_recipe(name, &builder.path("checkout"));
            let package = builder.path(&format!("{name}.spk"));
            build(&builder, &folder, &package);
            package
        });
        // Shuffled directories take their time: one host a recipe is enough for each change.
        let hosts = if is_long() { &HOSTS[..] } else { &HOSTS[index % 2..][..1] };
        for host in hosts {
            rebuild(&package, host, &builder);
        }
    }
}

/// Returns the program that makes packages again.
fn program() -> PathBuf {
    let other = std::env::var_os("TINYROOT_TEST_DYNAMIC");
    other.map_or_else(|| env!("CARGO_BIN_EXE_tinyroot").into(), PathBuf::from)
}

/// Whether this host can be made to look as others.
fn is_able() -> bool {
    if !geteuid().is_root() {
        skip("root, which mounts shuffled directories and names another kernel");
        return false;
    }
    for (path, package) in [("/usr/bin/disorderfs", "disorderfs"), (FAKETIME, "faketime")] {
        if !Path::new(path).exists() {
            skip(&format!("{path}; Debian's package {package} has it"));
            return false;
        }
    }
    // The loader prints the libraries of a program that has any, and does not start it.
    let mut listed = Command::new(program());
    let listed = end(listed.arg("--version").env("LD_TRACE_LOADED_OBJECTS", "1"));
    if listed.stdout.starts_with("tinyroot") {
        skip("another clock, which needs a program that is linked dynamically");
        return false;
    }
    true
}

/// A directory whose entries come in another order each time.
struct Disordered(PathBuf);

impl Disordered {
    fn mount(from: &Path, to: &Path, order: &str) -> Self {
        fs::create_dir_all(to).expect("makes");
        let mut command = Command::new("/usr/bin/disorderfs");
        command.args(["--quiet", "--multi-user=yes", "--shuffle-dirents=no", "--reverse-dirents=no", order]);
        let mounted = end(command.args([from, to]));
        assert_eq!(mounted.code, Some(0), "{}{}", mounted.stdout, mounted.stderr);
        Disordered(to.to_path_buf())
    }
}

impl Drop for Disordered {
    fn drop(&mut self) {
        let _ = Command::new("/bin/umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Makes a package again on another host, and sees that it is the same.
fn rebuild(package: &Path, host: &Host, builder: &Home) {
    let place = tempfile::tempdir().expect("a directory");
    let plain = place.path().join("plain");
    for downloads in ["debs", "npm"] {
        copy_all(&builder.path("cache").join(downloads), &plain.join("cache").join(downloads));
    }
    let package_here = plain.join("renamed.spk");
    fs::copy(package, &package_here).expect("copies");
    fs::create_dir(plain.join(host.tmp)).expect("makes");
    let tools = place.path().join("tools");
    let called = place.path().join("called");
    make_tools(&tools, &called);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("opens");
    if host.as_nobody {
        give_away(&plain, NOBODY);
    }
    let home = place.path().join("home");
    let _mounted = Disordered::mount(&plain, &home, host.order);
    let mut command = Command::new("/usr/bin/perl");
    command.arg(UNAME).arg(host.kernel).args(["/bin/sh", "-c", "umask $0; exec \"$@\"", host.umask]);
    if host.one_core {
        command.args(["/usr/bin/taskset", "--cpu-list", "0"]);
    }
    if host.as_nobody {
        let id = NOBODY.to_string();
        command.args(["/usr/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    // Not for the launchers: the loader's variable is for the program alone.
    let preload = format!("LD_PRELOAD={FAKETIME}");
    command.args(["/usr/bin/env", &preload, &format!("FAKETIME={}", host.clock)]);
    command.arg(program()).args(["verify", "renamed.spk", "--rebuild", "--offline"]);
    // A grain's files are of other users, for whom disorderfs walks down from its own root, through the closed
    // cache, to no end. Builds with proofs on other hosts are in `sameness`.
    command.arg("--no-proof");
    command.current_dir(&home).env_clear();
    command.env("PATH", &tools).env("HOME", &home).env("TMPDIR", home.join(host.tmp));
    command.env("TINYROOT_CACHE", home.join("cache")).env("TZ", host.zone).env("LC_ALL", host.locale);
    let ended = end(&mut command);
    let (name, shown) = (package.display(), format!("{}{}", ended.stdout, ended.stderr));
    assert_eq!(ended.code, Some(0), "{name} is another {}:\n{shown}", host.name);
    assert_says(&ended.stdout, &["rebuild     the same bytes"]);
    assert_eq!(fs::read_to_string(&called).unwrap_or_default(), "", "tools of the host were called");
}

fn make_tools(directory: &Path, called: &Path) {
    fs::create_dir(directory).expect("makes");
    for name in TOOLS {
        let path = directory.join(name);
        let script = format!("#!/bin/sh\necho \"$0 $*\" >> {}\necho garbage\nexit 1\n", text(called));
        fs::write(&path, script).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("opens");
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

/// The launcher does what it says: else the test above would show nothing.
#[test]
fn another_kernel_is_named_to_a_command_and_its_children() {
    if !geteuid().is_root() {
        skip("root, which names another kernel");
        return;
    }
    let mut command = Command::new("/usr/bin/perl");
    let ended = end(command.args([UNAME, "99.1.0-new", "/bin/sh", "-c", "uname -r; (uname -r); exit 3"]));
    assert_eq!((ended.code, &ended.stdout[..]), (Some(3), "99.1.0-new\n99.1.0-new\n"), "{}", ended.stderr);
}
