//! What programs inside try on the host, and what comes of it: a table of attempts, run in a grain and in
//! every way to be root-like, with and without `/proc` (a chroot has none), as root and once more as an
//! ordinary user.
//!
//! An attempt is an expression of Perl; it has succeeded if the call it makes returns anything but -1 or
//! false. Its result is "ok" or the error's name. A kernel without a call says ENOSYS, which is as good as a
//! refusal.

use std::{
    fs,
    io::Read,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

#[path = "chroot/mod.rs"]
mod chroot;

use tinyroot::{
    error::Hint as _,
    sandbox::{Bind, Devices, Ids, Root, Sandbox, Way, best_way, grain_host_id, host, set_program},
    testing::skip,
};

/// One attempt.
struct Probe {
    what: &'static str,
    /// The expression.
    perl: &'static str,
    /// Results that are right in a grain.
    grain: &'static [&'static str],
    /// Results that are right for a maintainer script.
    script: &'static [&'static str],
    /// Why.
    why: &'static str,
}

const OK: &[&str] = &["ok"];
const GONE: &[&str] = &["ENOSYS"];
const REFUSED: &[&str] = &["EPERM", "ENOSYS"];
const NO_FAMILY: &[&str] = &["EAFNOSUPPORT"];
const NO_KIND: &[&str] = &["EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"];
const READ_ONLY: &[&str] = &["EROFS", "EPERM"];

const fn probe(
    what: &'static str,
    perl: &'static str,
    grain: &'static [&'static str],
    script: &'static [&'static str],
    why: &'static str,
) -> Probe {
    Probe { what, perl, grain, script, why }
}

const NODE: &str = "a node of the host";
const OTHER_IDS: &str = "on the host, another user could run it as the grain's";
const OUTSIDE: &str = "leads out of the name spaces";
const KERNEL: &str = "parts of the kernel that no service and no script needs";
const OF_HOST: &str = "tells of the host, and no service needs it";
/// Of `/proc`: not there, or empty.
const UNSEEN: &[&str] = &["ENOENT", "ENODATA"];
const SEEN: &[&str] = &["ok", "ENOENT", "ENODATA", "EACCES", "EPERM"];
const NAMES: &str = "new name spaces give all capabilities in them";

#[rustfmt::skip]
const PROBES: &[Probe] = &[
    // Name spaces (`unshare(2)`, `clone(2)`, `setns(2)`).
    probe("unshare user", "syscall(272, 0x10000000)", REFUSED, REFUSED, NAMES),
    probe("unshare user with high bits", "syscall(272, 0x710000000)", REFUSED, &["EPERM", "ENOSYS", "EINVAL"], NAMES),
    probe("unshare mount", "syscall(272, 0x20000)", REFUSED, REFUSED, NAMES),
    probe("unshare net", "syscall(272, 0x40000000)", REFUSED, REFUSED, NAMES),
    probe("clone user", "leave(syscall(56, 0x10000011, 0, 0, 0, 0))", REFUSED, REFUSED, NAMES),
    probe("clone3", "syscall(435, 0, 0)", GONE, GONE, "its flags lie in memory, where no filter sees them"),
    probe("setns", "syscall(308, 0, 0)", GONE, GONE, NAMES),
    // Mounts.
    probe("mount", "syscall(165, my $a = 'none', my $b = '/tmp', my $c = 'tmpfs', 0, 0)", REFUSED, REFUSED, "mounts are ours"),
    probe("open_tree", "syscall(428, -100, my $a = '/', 1)", REFUSED, REFUSED, "mounts are ours"),
    probe("fsopen", "syscall(430, my $a = 'tmpfs', 0)", REFUSED, REFUSED, "mounts are ours"),
    probe("pivot_root", "syscall(155, my $a = '.', my $b = '.')", REFUSED, REFUSED, "mounts are ours"),
    probe("open by handle", "syscall(304, -100, my $a = pack('LLQ', 8, 1, 1), 0)", REFUSED, &["EPERM", "ENOSYS", "ESTALE", "EINVAL", "EFAULT", "EOPNOTSUPP"], OUTSIDE),
    // The kernel's other doors.
    probe("io_uring", "syscall(425, 1, my $a = \"\\0\" x 200)", GONE, GONE, KERNEL),
    probe("userfaultfd", "syscall(323, 0)", GONE, GONE, KERNEL),
    probe("memfd_secret", "syscall(447, 0)", GONE, GONE, KERNEL),
    probe("bpf", "syscall(321, 0, 0, 0)", GONE, GONE, KERNEL),
    probe("perf_event_open", "syscall(298, my $a = \"\\0\" x 128, 0, -1, -1, 0)", GONE, GONE, KERNEL),
    probe("add_key", "syscall(248, my $a = 'user', my $b = 'tinyroot', my $c = 'x', 1, -3)", GONE, GONE, "keys are of the uid, which the host shares"),
    probe("keyctl", "syscall(250, 0, -4, 0)", GONE, GONE, "keys are of the uid, which the host shares"),
    probe("ptrace", "syscall(101, 0, 0, 0, 0)", GONE, GONE, "other processes"),
    probe("process_vm_readv", "syscall(310, 1, 0, 0, 0, 0, 0)", GONE, GONE, "other processes"),
    probe("pidfd_getfd", "syscall(438, 0, 0, 0)", GONE, GONE, "other processes"),
    probe("init_module", "syscall(175, 0, 0, 0)", REFUSED, REFUSED, KERNEL),
    probe("kexec_load", "syscall(246, 0, 0, 0, 0)", REFUSED, REFUSED, KERNEL),
    probe("reboot", "syscall(169, 0xfee1dead, 672274793, 0, 0)", REFUSED, REFUSED, KERNEL),
    probe("settimeofday", "syscall(164, my $a = pack('qq', 1, 1), 0)", REFUSED, REFUSED, "the host's clock"),
    probe("sethostname", "syscall(170, my $a = 'x', 1)", REFUSED, REFUSED, "the host's name"),
    probe("x32 getpid", "syscall(0x40000000 + 39)", GONE, GONE, "numbers that no filter lists"),
    probe("personality asked", "syscall(135, 0xffffffff)", OK, OK, "programs ask"),
    probe("personality without random addresses", "syscall(135, 0x40000)", REFUSED, OK, "makes a fault of the app easier to use"),
    probe("personality with code in data", "syscall(135, 0x400000)", REFUSED, OK, "makes a fault of the app easier to use"),
    // Sockets: type 1 is a stream, 2 a datagram, 3 raw, 5 a sequence of packets.
    probe("socket unix", "socket(my $s, 1, 1, 0)", OK, OK, "services talk so"),
    probe("socket inet", "socket(my $s, 2, 1, 0)", OK, &["ok", "EAFNOSUPPORT"], "own loopback; in a chroot there is none"),
    probe("socket inet6 datagram", "socket(my $s, 10, 2, 0)", OK, &["ok", "EAFNOSUPPORT"], "own loopback; in a chroot there is none"),
    probe("socket netlink", "socket(my $s, 16, 3, 0)", NO_FAMILY, NO_FAMILY, "routes, audit, netfilter"),
    probe("socket vsock", "socket(my $s, 40, 1, 0)", NO_FAMILY, NO_FAMILY, "leads to the host of a virtual machine, past every name space"),
    probe("socket packet", "socket(my $s, 17, 3, 0)", NO_FAMILY, NO_FAMILY, KERNEL),
    probe("socket alg", "socket(my $s, 38, 5, 0)", NO_FAMILY, NO_FAMILY, KERNEL),
    probe("socket tipc", "socket(my $s, 30, 1, 0)", NO_FAMILY, NO_FAMILY, "loads a module"),
    probe("socket raw", "socket(my $s, 2, 3, 1)", NO_KIND, NO_KIND, KERNEL),
    probe("socket inet packet", "socket(my $s, 2, 10, 3)", NO_KIND, NO_KIND, "becomes AF_PACKET"),
    probe("socket ping", "socket(my $s, 2, 2, 1)", NO_KIND, &["ok", "EACCES", "EPROTONOSUPPORT", "EAFNOSUPPORT"], KERNEL),
    probe("socket mptcp", "socket(my $s, 2, 1, 262)", NO_KIND, &["ok", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENOPROTOOPT", "EINVAL"], KERNEL),
    probe("socketpair unix", "socketpair(my $s, my $t, 1, 1, 0)", OK, OK, "services talk so"),
    probe("socketpair netlink", "socketpair(my $s, my $t, 16, 3, 0)", NO_FAMILY, NO_FAMILY, "makes both sockets before it refuses"),
    probe("socketpair tipc", "socketpair(my $s, my $t, 30, 1, 0)", NO_FAMILY, NO_FAMILY, "loads a module"),
    probe("socketpair vsock", "socketpair(my $s, my $t, 40, 1, 0)", NO_FAMILY, NO_FAMILY, OUTSIDE),
    probe("socketpair packets", "socketpair(my $s, my $t, 1, 5, 0)", NO_KIND, OK, "streams and datagrams are what services need"),
    // What is counted by user, on the host as well.
    probe("inotify", "my $n = 0; $n++ while $n < 100 && syscall(294, 0) >= 0; $! = 0; $n >= 8 && $n <= 64 ? 'few' : do { $! = 7; -1 }", OK, &["ok", "E2BIG"], "the user's desktop has the rest"),
    // Files that run with their owner's ids.
    probe("chmod plain", "chmod(0755, file())", OK, OK, "services do"),
    probe("chmod setuid", "chmod(04755, file())", REFUSED, OK, OTHER_IDS),
    probe("chmod setgid", "chmod(02755, file())", REFUSED, OK, OTHER_IDS),
    probe("fchmod setuid", "open(my $f, '<', file()); syscall(91, fileno($f), 04755)", REFUSED, OK, OTHER_IDS),
    probe("fchmodat setuid", "syscall(268, -100, my $a = file(), 04755)", REFUSED, OK, OTHER_IDS),
    probe("fchmodat2 setuid", "syscall(452, -100, my $a = file(), 04755, 0)", REFUSED, &["ok", "ENOSYS"], OTHER_IDS),
    probe("open setuid", "syscall(2, my $a = fresh(), 0101, 04755)", REFUSED, OK, OTHER_IDS),
    probe("openat setgid", "syscall(257, -100, my $a = fresh(), 0101, 02755)", REFUSED, OK, OTHER_IDS),
    probe("open without making", "syscall(2, my $a = file(), 0, 04755)", OK, OK, "the mode is not looked at"),
    probe("nameless setuid", "syscall(257, -100, my $a = '/tmp', 020200002, 04755)", REFUSED, &["ok", "EOPNOTSUPP"], OTHER_IDS),
    probe("creat setuid", "syscall(85, my $a = fresh(), 04755)", REFUSED, OK, OTHER_IDS),
    probe("mknod setuid", "syscall(133, my $a = fresh(), 0104755, 0)", REFUSED, OK, OTHER_IDS),
    probe("mknodat setgid", "syscall(259, -100, my $a = fresh(), 0102755, 0)", REFUSED, OK, OTHER_IDS),
    probe("openat2", "syscall(437, -100, my $a = file(), my $b = pack('QQQ', 0, 0, 0), 24)", GONE, OK, "its mode lies in memory"),
    probe("file capability", "syscall(188, my $a = file(), my $b = 'security.capability', my $c = pack('LLLLL', 0x2000001, 0x400, 0, 0, 0), 20, 0)", REFUSED, &["ok", "EPERM"], "only name spaces of ours would honour it"),
    // The host's nodes, through the devices that are bound.
    probe("write null", "my $f; open($f, '>', '/dev/null') && print($f 'x') && close($f)", OK, OK, "devices work"),
    probe("read zero", "my $f; open($f, '<', '/dev/zero') && read($f, my $b, 4)", OK, OK, "devices work"),
    probe("chmod null", "chmod(0600, '/dev/null')", READ_ONLY, READ_ONLY, NODE),
    probe("chmod full through a descriptor", "open(my $f, '<', '/dev/full'); syscall(91, fileno($f), 0640)", READ_ONLY, READ_ONLY, NODE),
    probe("chown random", "chown(12, 34, '/dev/random')", READ_ONLY, &["EROFS", "EPERM", "ok"], "a node of the host; with a single id it succeeds and does nothing"),
    probe("times of urandom", "utime(1, 1, '/dev/urandom')", READ_ONLY, READ_ONLY, NODE),
    probe("attribute of zero", "syscall(188, my $a = '/dev/zero', my $b = 'trusted.x', my $c = 'x', 1, 0)", READ_ONLY, READ_ONLY, NODE),
    probe("remove null", "unlink('/dev/null')", &["EROFS", "EPERM", "EBUSY", "EACCES"], &["EROFS", "EPERM", "EBUSY"], NODE),
    probe("chmod what is bound", "chmod(0700, '/usr/bin/env')", READ_ONLY, READ_ONLY, "a file of the host"),
    probe("remount", "syscall(442, -100, my $a = '/dev/null', 0, my $b = pack('QQQQ', 0, 1, 0, 0), 32)", REFUSED, REFUSED, NODE),
    probe("make a device", "syscall(133, my $a = fresh(), 020666, 0x103)", REFUSED, OK, "succeeds for scripts, and makes nothing"),
    // What `/proc` tells, where there is one.
    probe("the kernel's command line", "seen('/proc/cmdline')", UNSEEN, SEEN, OF_HOST),
    probe("the boot id", "seen('/proc/sys/kernel/random/boot_id')", UNSEEN, SEEN, OF_HOST),
    probe("settings of the kernel", "listed('/proc/sys')", UNSEEN, SEEN, OF_HOST),
    probe("pressure", "listed('/proc/pressure')", UNSEEN, SEEN, OF_HOST),
    probe("interrupts", "seen('/proc/interrupts')", UNSEEN, SEEN, "tells when keys are typed"),
    probe("counters", "seen('/proc/stat')", UNSEEN, SEEN, "tells when keys are typed"),
    probe("devices of the bus", "listed('/proc/bus')", UNSEEN, SEEN, OF_HOST),
    probe("interrupts by number", "listed('/proc/irq')", UNSEEN, SEEN, OF_HOST),
    probe("drivers", "listed('/proc/driver')", UNSEEN, SEEN, OF_HOST),
    probe("file systems of the kernel", "listed('/proc/fs')", UNSEEN, SEEN, OF_HOST),
    probe("keys of the uid", "seen('/proc/keys')", UNSEEN, SEEN, "of the user's other programs"),
    probe("symbols of the kernel", "seen('/proc/kallsyms')", UNSEEN, SEEN, KERNEL),
    probe("modules of the kernel", "seen('/proc/modules')", UNSEEN, SEEN, KERNEL),
    probe("memory of the kernel", "seen('/proc/kcore')", UNSEEN, SEEN, KERNEL),
    probe("partitions", "seen('/proc/partitions')", UNSEEN, SEEN, OF_HOST),
    probe("memory of process 1", "open(my $f, '+<', '/proc/1/mem')", &["ENOENT", "EROFS"], &["ENOENT", "EROFS", "EACCES"], "other processes"),
    probe("the control group", "open(my $f, '<', '/proc/self/cgroup') or return -1; full(join('', <$f>) =~ m{:/.})", UNSEEN, SEEN, OF_HOST),
    // Processes.
    probe("signal to all", "leave_alone() || kill(0, 2147483647)", &["ESRCH"], &["ESRCH", "EPERM"], "processes of the host are not there"),
    probe("type into the terminal", "ioctl(STDIN, 0x5412, my $a = 'x')", REFUSED, &["ENOTTY", "EPERM", "EIO", "EBADF"], "the terminal of who started it"),
    probe("load a filter of its own", "syscall(157, 38, 1, 0, 0, 0)", OK, OK, "more confinement is welcome"),
];

/// Attempts that come out otherwise in a chroot, where nothing is bound: the device files and programs in it
/// are its own, and where it may make no devices there are none.
const IN_A_CHROOT: [(&str, &[&str]); 7] = [
    ("read zero", &["ok", "ENOENT"]),
    ("chmod null", OK),
    ("chmod full through a descriptor", &["ok", "EPERM"]),
    ("times of urandom", &["ok", "ENOENT"]),
    ("attribute of zero", &["EPERM", "ENOENT"]),
    ("remove null", OK),
    ("chmod what is bound", OK),
];

/// Makes the program that takes all attempts, each in a process of its own.
fn program() -> String {
    let mut text = String::from(
        "use strict; use Errno; $| = 1; my $n = 0;\n\
         sub file { my $p = '/tmp/f' . $n++; open(my $f, '>', $p) or die \"$p: $!\"; $p }\n\
         sub fresh { '/tmp/n' . $n++ }\n\
         sub leave { my $r = shift; exit 0 if $r == 0; $r }\n\
         sub leave_alone { 0 }\n\
         sub full { $_[0] ? 1 : do { $! = 61; -1 } }\n\
         sub seen { open(my $f, '<', $_[0]) or return -1; full(read($f, my $b, 16)) }\n\
         sub listed { opendir(my $d, $_[0]) or return -1; full(scalar grep { !/^\\./ } readdir($d)) }\n\
         sub name { my $e = shift; for (sort keys %!) { no strict 'refs'; return $_ if &{\"Errno::$_\"}() == $e && $_ !~ /^(EWOULDBLOCK|EDEADLOCK|ENOTSUP)$/ } $e }\n\
         sub try { my ($at, $zero, $code) = @_; my $pid = fork // die; if ($pid) { waitpid($pid, 0); print \"$at died\\n\" if $?; return }\n\
         $n = 100 * ($at + 1); $! = 0; my $r = $code->(); my $e = $! + 0;\n\
         print \"$at \", (defined $r && $r ne '' && $r != -1 && !($r == 0 && $e && !$zero)) ? 'ok' : name($e), \"\\n\"; exit 0 }\n",
    );
    for (index, probe) in PROBES.iter().enumerate() {
        // A call of the kernel returns 0 if all is well, a function of Perl if nothing is done.
        let zero = u8::from(probe.perl.contains("syscall"));
        text += &format!("try({index}, {zero}, sub {{ {} }});\n", probe.perl);
    }
    text
}

/// A directory to be a root: mount points, and links into the host's `/usr`.
fn root() -> tempfile::TempDir {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let root = tempfile::tempdir().expect("a directory");
    for name in ["dev", "proc", "tmp", "run", "var", "usr", "etc"] {
        fs::create_dir(root.path().join(name)).expect("makes a directory");
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(Path::new("usr").join(name), root.path().join(name))
            .expect("makes a link");
    }
    root
}

/// Runs all attempts and returns their results.
fn results(mut sandbox: Sandbox) -> Vec<String> {
    if sandbox.ids != Ids::RootLike(Way::Chroot) {
        sandbox.binds.push(Bind::read_only("/usr", "/usr"));
    }
    sandbox.set_env("PATH", "/usr/bin:/bin");
    let name = sandbox.to_string();
    let running = sandbox.start().unwrap_or_else(|error| panic!("starts {name}: {error} {:?}", error.hint()));
    let mut output = String::new();
    running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
    let exit = running.wait();
    assert!(exit.success(), "{name}: {exit}\n{output}");
    let mut results = vec![String::from("nothing"); PROBES.len()];
    for line in output.lines() {
        let parts = line.split_once(' ').and_then(|(at, result)| Some((at.parse::<usize>().ok()?, result)));
        let (at, result) = parts.unwrap_or_else(|| panic!("{name}: {line}\n{output}"));
        results[at] = result.to_owned();
    }
    results
}

/// Lists the attempts that did not come out as the table has them.
fn wrong(results: &[String], right: impl Fn(&Probe) -> &'static [&'static str]) -> Vec<String> {
    let pairs = PROBES.iter().zip(results).filter(|(probe, result)| !right(probe).contains(&&***result));
    pairs
        .map(|(probe, result)| format!("{}: {result}, not {:?} ({})", probe.what, right(probe), probe.why))
        .collect()
}

/// What the host's devices and a program of the host are like: nothing inside may change that.
fn nodes() -> Vec<(u32, u32, u32, i64)> {
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/usr/bin/env"]
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|node| (node.mode(), node.uid(), node.gid(), node.ctime()))
        .collect()
}

fn perl() -> [String; 3] {
    ["/usr/bin/perl".into(), "-e".into(), program()]
}

#[test]
fn a_grain_gets_nowhere() {
    for proc in [false, true] {
        let root = root();
        let (var, before) = (tempfile::tempdir().expect("a directory"), nodes());
        let (uid, gid) = grain_host_id();
        std::os::unix::fs::chown(var.path(), Some(uid), Some(gid)).expect("gives it away");
        let mut sandbox =
            Sandbox::grain(Root::Directory { path: root.path().into(), writable: false }, perl());
        sandbox.proc = proc;
        sandbox.binds.push(Bind::writable(var.path(), "/var"));
        let wrong = wrong(&results(sandbox), |probe| probe.grain);
        assert!(wrong.is_empty(), "with proc {proc}:\n{}", wrong.join("\n"));
        assert_eq!(nodes(), before);
    }
}

#[test]
fn maintainer_scripts_reach_nothing_of_the_host() {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let best = best_way().expect("this host allows some way to be root-like");
    let ways = [
        (Way::Root, best == Way::Root),
        (Way::Subordinate, host().subordinate_ids.is_ok()),
        (Way::Single, true),
    ];
    for (way, can) in ways {
        if !can {
            if way == Way::Subordinate {
                skip("no subordinate ids");
            }
            continue;
        }
        for proc in [false, true] {
            let (root, before) = (root(), nodes());
            let place = Root::Directory { path: root.path().into(), writable: true };
            let mut sandbox = Sandbox::new(place, Ids::RootLike(way), perl());
            sandbox.devices = Devices::Terminals;
            sandbox.proc = proc;
            let wrong = wrong(&results(sandbox), |probe| probe.script);
            assert!(wrong.is_empty(), "{way}, with proc {proc}:\n{}", wrong.join("\n"));
            assert_eq!(nodes(), before, "{way}");
            tinyroot::deep::remove_tree(&root.keep()).expect("removes what others own");
        }
    }
}

#[test]
fn in_a_chroot_neither() {
    if !rustix::process::geteuid().is_root() {
        // As the root of a container that has one id.
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user"])
            .arg(std::env::current_exe().expect("is known"))
            .args(["--exact", "in_a_chroot_neither", "--nocapture"])
            .output()
            .expect("unshare of util-linux runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let (root, before) = (root(), nodes());
    chroot::root_for_chroot(root.path(), &["perl", "env"]);
    let listed =
        Command::new("/usr/bin/perl").args(["-MErrno", "-e", "print join qq(\\n), values %INC"]).output();
    for module in String::from_utf8(listed.expect("perl runs").stdout).expect("text").lines() {
        chroot::copy(root.path(), module);
    }
    let place = Root::Directory { path: root.path().into(), writable: true };
    let mut sandbox = Sandbox::new(place, Ids::RootLike(Way::Chroot), perl());
    sandbox.devices = Devices::Terminals;
    let wrong = wrong(&results(sandbox), |probe| {
        let own = IN_A_CHROOT.iter().find(|(what, _)| *what == probe.what);
        own.map_or(probe.script, |(_, right)| right)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(nodes(), before);
}

#[test]
fn the_table_holds_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (uid, directory) = (65532, tempfile::tempdir().expect("a directory"));
    std::os::unix::fs::chown(directory.path(), Some(uid), Some(uid)).expect("gives it away");
    let output = Command::new(std::env::current_exe().expect("is known"))
        .env_clear()
        .env("TMPDIR", directory.path())
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
