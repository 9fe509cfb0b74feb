//! What a sandboxed program sees of the host: nothing. Run as root it runs everything once more as an
//! ordinary user.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tinyroot::{
    deep::remove_tree,
    error::Hint as _,
    image::GRAIN_ID,
    store::Store,
    testing::skip,
    tree::{Entry, Tree, TreePath},
    view::{self, View},
};

use tinyroot::sandbox::{
    Address, Bind, Devices, Exit, Ids, Program, Root, Running, Sandbox, Unavailable, Way, best_way,
    grain_host_id, host, set_program,
};

#[path = "chroot/mod.rs"]
mod chroot;

use chroot::root_for_chroot;

const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";

/// A directory to be a root: empty but for mount points, and links into the host's `/usr`, which [`sandbox`]
/// binds.
fn root() -> tempfile::TempDir {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let root = tempfile::tempdir().expect("a directory");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("sets a mode");
    for name in ["dev", "proc", "tmp", "run", "var", "usr", "etc"] {
        fs::create_dir(root.path().join(name)).expect("makes a directory");
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        let target = Path::new("usr").join(name);
        std::os::unix::fs::symlink(target, root.path().join(name)).expect("makes a link");
    }
    root
}

fn directory(root: &tempfile::TempDir, writable: bool) -> Root {
    Root::Directory { path: root.path().into(), writable }
}

/// A grain that runs a script of the host's shell.
fn grain(root: &tempfile::TempDir, script: &str) -> Sandbox {
    let mut sandbox = Sandbox::grain(directory(root, false), ["/bin/sh", "-c", script]);
    sandbox.binds.push(Bind::read_only("/usr", "/usr"));
    sandbox.set_env("PATH", PATH);
    sandbox
}

fn root_like(root: &tempfile::TempDir, way: Way, script: &str) -> Sandbox {
    let mut sandbox = Sandbox::new(directory(root, true), Ids::RootLike(way), ["/bin/sh", "-c", script]);
    sandbox.binds.push(Bind::read_only("/usr", "/usr"));
    sandbox.devices = Devices::Terminals;
    sandbox.proc = true;
    sandbox.set_env("PATH", PATH);
    sandbox
}

/// Runs to the end and returns status and output.
fn run(sandbox: &Sandbox) -> (Exit, String) {
    let running =
        sandbox.start().unwrap_or_else(|error| panic!("starts {sandbox}: {error} {:?}", error.hint()));
    let mut output = String::new();
    running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
    (running.wait(), output)
}

fn output(sandbox: &Sandbox) -> String {
    let (exit, output) = run(sandbox);
    assert!(exit.success(), "{sandbox}: {exit}\n{output}");
    output
}

#[test]
fn programs_ignore_and_block_no_signal() {
    for way in ways() {
        // This very process ignores SIGPIPE, as all of its language do.
        let text = output(&root_like(&root(), way, "grep -E '^Sig(Ign|Blk)' /proc/self/status"));
        let masks: Vec<u64> = text
            .lines()
            .filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok())
            .collect();
        // Above the plain signals two belong to the C library.
        assert_eq!(masks.iter().map(|mask| mask & 0x7fff_ffff).collect::<Vec<_>>(), [0, 0], "{way}: {text}");
    }
}

#[test]
fn a_grain_is_one_unprivileged_user_on_a_read_only_root() {
    let root = root();
    let mut sandbox = grain(
        &root,
        "id -u; id -g; umask; pwd; hostname; echo \"$PATH\"; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; \
         touch /x 2>&1; touch /usr/x 2>&1; echo t > /tmp/t && cat /tmp/t; ls /dev; cat < /dev/null; \
         grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'; ulimit -n; ulimit -c",
    );
    sandbox.proc = true;
    let output = output(&sandbox);
    let text = output.replace('\n', "|");
    assert!(text.starts_with("1000|1000|0022|/|localhost|"), "{output}");
    assert!(text.contains("|PATH PWD |") || text.contains("|PATH |"), "{output}");
    assert!(text.contains("touch: cannot touch '/x': Read-only file system|"), "{output}");
    assert!(text.contains("touch: cannot touch '/usr/x': Read-only file system|t|"), "{output}");
    assert!(text.contains("|fd|full|null|random|shm|stderr|stdin|stdout|urandom|zero|"), "{output}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(text.contains(&format!("|{set}:0000000000000000|")), "{output}");
    }
    assert!(text.contains("|NoNewPrivs:1|Seccomp:2|"), "{output}");
    assert!(text.ends_with("|1024|0|"), "{output}");
}

#[test]
fn a_grain_sees_its_root_its_own_processes_and_a_loopback_interface() {
    let root = root();
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = listener.local_addr().expect("has an address").port();
    let mut sandbox = grain(
        &root,
        &format!(
            "ls -A / | tr '\\n' ' '; echo; ls -d /proc/[0-9]* | wc -l; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; \
             cat /etc/passwd /proc/1/root/etc/passwd 2>&1 | grep -c root:; bash -c ': </dev/tcp/127.0.0.1/{port}' 2>&1 | \
             grep -o refused | head -n 1; ls /proc/self/fd | tr '\\n' ' '"
        ),
    );
    sandbox.proc = true;
    let output = output(&sandbox);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0].trim_end(), "bin dev etc lib lib64 proc run sbin tmp usr var");
    // The shell, `ls` and `wc`.
    assert!(lines[1].parse::<u32>().expect("a number") <= 4, "{output}");
    assert_eq!(lines[2..5], ["lo", "0", "refused"], "{output}");
    // Of `ls`: its streams, and the directory it lists.
    assert_eq!(lines[5].trim_end(), "0 1 2 3", "{output}");
}

#[test]
fn a_grain_makes_no_name_spaces_and_no_strange_sockets() {
    let root = root();
    let script = "unshare -U true 2>&1; perl -MSocket -e 'socket(my $s, 16, 3, 0) or print \"$!\\n\"; \
                  socket(my $t, AF_INET, SOCK_STREAM, 0) or print \"$!\\n\"'";
    assert_eq!(
        output(&grain(&root, script)),
        "unshare: unshare failed: Function not implemented\nAddress family not supported by protocol\n"
    );
}

#[test]
fn what_a_grain_writes_to_var_belongs_to_one_id_of_the_host() {
    let (root, var) = (root(), tempfile::tempdir().expect("a directory"));
    let (uid, gid) = grain_host_id();
    std::os::unix::fs::chown(var.path(), Some(uid), Some(gid)).expect("gives it away");
    let mut sandbox =
        grain(&root, "echo hello > /var/greeting; id -u > /var/id; ls -ln /var/id | cut -d' ' -f3,4");
    sandbox.binds.push(Bind::writable(var.path(), "/var"));
    assert_eq!(output(&sandbox), "1000 1000\n");
    let file = fs::metadata(var.path().join("greeting")).expect("is there");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o7777), (uid, gid, 0o644));
    assert_ne!(file.uid(), 0);
}

/// A server that greets each caller, on a port and on a socket.
const SERVER: &str = r#"use Socket;
my ($tcp, $unix);
socket($tcp, AF_INET, SOCK_STREAM, 0) && setsockopt($tcp, SOL_SOCKET, SO_REUSEADDR, 1) or die;
bind($tcp, sockaddr_in(8000, INADDR_LOOPBACK)) && listen($tcp, 5) or die "$!";
socket($unix, AF_UNIX, SOCK_STREAM, 0) && bind($unix, sockaddr_un("/run/s")) && listen($unix, 5) or die "$!";
$| = 1; print "ready\n";
if (fork == 0) { while (accept(my $c, $unix)) { syswrite $c, "hello by socket"; close $c } }
while (accept(my $c, $tcp)) { syswrite $c, "hello by port"; close $c }
"#;

fn ready(sandbox: &Sandbox) -> (Running, BufReader<std::io::PipeReader>) {
    let running = sandbox.start().expect("starts");
    let mut output = BufReader::new(running.take_output().expect("nobody took it"));
    let mut line = String::new();
    output.read_line(&mut line).expect("reads");
    assert_eq!(line, "ready\n");
    (running, output)
}

#[test]
fn connections_lead_into_the_grain_and_programs_join_it() {
    let root = root();
    let mut sandbox = grain(&root, "");
    sandbox.command = ["/usr/bin/perl", "-e", SERVER].map(Into::into).into();
    let (running, _output) = ready(&sandbox);
    for (address, greeting) in
        [(Address::Tcp(8000), "hello by port"), (Address::Unix("/run/s".into()), "hello by socket")]
    {
        let mut text = String::new();
        let mut stream = UnixStream::from(running.connect(&address).expect("connects"));
        stream.read_to_string(&mut text).expect("reads");
        assert_eq!(text, greeting);
    }
    let kind = |address| running.connect(&address).expect_err("nobody is there").kind();
    assert_eq!(kind(Address::Tcp(8001)), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(kind(Address::Unix("/run/none".into())), std::io::ErrorKind::NotFound);

    let mut program = Program::new(["/bin/sh", "-c", "id -u; ls -d /proc/*; ls /run; cat; exit 3"]);
    program.env = sandbox.env.clone();
    let (exit, output) = running.exec_output(&program).expect("runs");
    assert_eq!(
        (exit, String::from_utf8_lossy(&output).as_ref()),
        (Exit::Code(3), "1000\nls: cannot access '/proc/*': No such file or directory\ns\n")
    );
    let none = running.exec_output(&Program::new(["/no/such"])).expect_err("is not there");
    assert_eq!(none.kind(), std::io::ErrorKind::NotFound);

    assert_eq!(running.try_wait(), None);
    running.kill();
    assert_eq!(running.wait(), Exit::Signal(9));
    assert_eq!(kind(Address::Tcp(8000)), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn a_grain_with_proc_can_open_its_output_anew() {
    let root = root();
    let mut sandbox = grain(&root, "echo by name > /dev/stderr");
    sandbox.proc = true;
    assert_eq!(output(&sandbox), "by name\n");
}

#[test]
fn a_grain_with_proc_sees_itself_and_of_the_kernel_what_programs_count_on() {
    let root = root();
    let script = "cd /proc; find . -maxdepth 1 -type f -size 0 -exec sh -c 'head -c 1 \"$1\" | grep -q . && echo \"$1\"' - {} ';' | sort; \
                  find . -mindepth 2 -maxdepth 2 -not -path './[0-9]*' -not -path './net/*' | head -n 3; \
                  readlink self/exe; cat thread-self/comm 1/comm; grep -c stack self/maps; ls self/fd | wc -l; \
                  grep -c . cpuinfo > /dev/null && grep -c MemTotal meminfo; readlink mounts; \
                  grep -o ' /proc .*hidepid=invisible' self/mountinfo | grep -o 'ro,[a-z,]*'";
    let mut sandbox = grain(&root, script);
    sandbox.proc = true;
    let expected = "./cpuinfo\n./filesystems\n./loadavg\n./meminfo\n./uptime\n\
                    /usr/bin/readlink\ncat\nsh\n1\n4\n1\nself/mounts\nro,nosuid,nodev,noexec,relatime\n";
    assert_eq!(output(&sandbox), expected);
}

#[test]
fn a_grain_without_proc_has_its_descriptors_by_name_and_little_more() {
    let root = root();
    let script = "echo by name > /dev/stderr; echo read | cat /dev/stdin; bash -c 'cat <(echo piped)'; ls /proc | wc -l; \
                  ls -A /dev/.proc | grep -v '^[0-9]*$' | tr '\\n' ' '; (echo 1 > /dev/.proc/self/oom_score_adj) 2>&1 | \
                  grep -o Read-only; ls -d /dev/.proc/[0-9]* | wc -l";
    let text = output(&grain(&root, script));
    let (listed, processes) = text.trim_end().rsplit_once('\n').expect("has lines");
    assert_eq!(listed, "by name\nread\npiped\n0\nself thread-self Read-only");
    // The shell, `ls` and `wc`.
    assert!(processes.parse::<u32>().expect("a number") <= 4, "{text}");
}

#[test]
fn a_grains_own_host_name_resolves() {
    let root = root();
    fs::write(root.path().join("etc/hosts"), "127.0.0.1 localhost\n").expect("writes");
    fs::write(root.path().join("etc/nsswitch.conf"), "hosts: files\n").expect("writes");
    let script = "perl -MSys::Hostname -e 'print join(\".\", unpack(\"C4\", gethostbyname(hostname()) // \"\")), \"\\n\"'";
    assert_eq!(output(&grain(&root, script)), "127.0.0.1\n");
}

#[test]
fn a_grain_with_terminals_opens_some_of_its_own() {
    let root = root();
    let script = "script -qec 'tty; stty -a > /dev/null && echo a terminal' /dev/null | tr -d '\\r'";
    let mut sandbox = grain(&root, script);
    sandbox.devices = Devices::Terminals;
    assert_eq!(output(&sandbox), "/dev/pts/0\na terminal\n");
    let plain = output(&grain(&root, &format!("{script} 2>&1")));
    assert!(!plain.contains("/dev/pts/0"), "{plain}");
}

#[test]
fn a_signal_reaches_process_1() {
    let root = root();
    let sandbox = grain(&root, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    let (running, mut output) = ready(&sandbox);
    running.signal(15).expect("signals");
    let mut text = String::new();
    output.read_to_string(&mut text).expect("reads");
    assert_eq!((running.wait(), text.as_str()), (Exit::Code(7), "bye\n"));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let root = root();
    let mut sandbox = grain(&root, "");
    sandbox.command = vec!["/app/none".into()];
    let error = sandbox.start().expect_err("is not there").to_string();
    assert_eq!(
        error,
        "cannot run /app/none: execve(Some(\"/app/none\"), [\"/app/none\"], [1 variables]) = ENOENT (No such file or directory)"
    );
    sandbox.binds.push(Bind::read_only("/no/such", "/var"));
    let error = sandbox.start().expect_err("is not there").to_string();
    assert_eq!(error, "cannot bind /no/such: stat(\"/no/such\") = ENOENT (No such file or directory)");
}

#[test]
fn a_view_is_mounted_inside_and_served_from_outside() {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    if let Err(Unavailable { reason, remedy, .. }) = host().fuse {
        tinyroot::testing::skip(&format!("{reason}; {remedy}"));
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Store::open(directory.path()).expect("opens"));
    let mut tree = Tree::new();
    let path = |text: &str| TreePath::new(text.as_bytes()).expect("a good path");
    for name in ["dev", "etc", "run", "tmp", "usr"] {
        tree.insert(path(name), Entry::directory(1));
    }
    for name in ["bin", "lib", "lib64"] {
        tree.insert(path(name), Entry::symlink(format!("usr/{name}"), 1));
    }
    tree.insert(path("etc/greeting"), Entry::file(store.put("hello\n"), 6, 0o644, 1));
    tree.add_parents(1);
    // To an owner that has no number inside the kernel refuses changes by itself, with another error.
    let options = view::Options { owner: (GRAIN_ID, GRAIN_ID), ..view::Options::default() };
    let view = Arc::new(View::new(Arc::new(tree), store, options));

    let mut sandbox =
        Sandbox::grain(Root::View, ["/bin/sh", "-c", "cat /etc/greeting /etc/none; touch /etc/x"]);
    sandbox.binds.push(Bind::read_only("/usr", "/usr"));
    sandbox.set_env("PATH", PATH);
    let mut prepared = sandbox.prepare().expect("prepares");
    let server = view::fuse::serve(prepared.fuse().expect("has a view"), view.clone()).expect("serves");
    prepared.set_up().expect("sets up");
    view.start_recording();
    let running = prepared.start().expect("starts");
    let mut output = String::new();
    running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
    assert_eq!(
        output,
        "hello\ncat: /etc/none: No such file or directory\ntouch: cannot touch '/etc/x': Read-only file system\n"
    );
    running.wait();
    drop(running);
    server.stop().expect("nothing went wrong");
    assert!(view.uses().iter().any(|used| used.path.in_tree() == &path("etc/greeting")), "it is noted");
}

/// The ways that can be tried here.
fn ways() -> Vec<Way> {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let best = best_way().expect("this host allows some way to be root-like");
    let host_support = host();
    let rows = [
        (Way::Root, best == Way::Root),
        (Way::Subordinate, host_support.subordinate_ids.is_ok()),
        (Way::Single, true),
    ];
    rows.into_iter().filter(|(_, can)| *can).map(|(way, _)| way).collect()
}

#[test]
fn every_way_to_be_root_like_owns_and_gives_away() {
    for way in ways() {
        let root = root();
        let script = "id -u; umask; mkdir /etc/d; echo x > /etc/d/f; chmod 4755 /etc/d/f; chown 33:42 /etc/d/f && chown -h daemon /etc/d; \
                      chmod 4755 /etc/d/f; stat -c '%a %F' /etc/d/f; mknod /etc/d/null c 1 3 && echo node; \
                      mkfifo /etc/d/fifo && stat -c %F /etc/d/fifo; perl -e '$) = \"42 42\"; $> = 33; print $! ? \"no\\n\" : \"user\\n\"'; \
                      tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; (echo x > /proc/sys/kernel/hostname) 2>&1 | grep -o Read-only; \
                      mount -t tmpfs x /tmp 2>&1 | grep -c denied; tty < /dev/null; echo w > /dev/null";
        fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\ndaemon:x:1:1::/:/bin/sh\n")
            .expect("writes");
        let (exit, output) = run(&root_like(&root, way, script));
        assert!(exit.success(), "{way}: {exit}\n{output}");
        assert_eq!(
            output, "0\n0022\n4755 regular file\nnode\nfifo\nuser\nlo\nRead-only\n1\nnot a tty\n",
            "{way}"
        );
        assert!(!root.path().join("etc/d/null").exists(), "{way}");
        let owner = fs::metadata(root.path().join("etc/d/f")).expect("is there").uid();
        assert_eq!(owner == rustix::process::geteuid().as_raw(), way == Way::Single, "{way}");
    }
}

#[test]
fn a_terminal_of_the_sandbox_is_its_programs_own() {
    for way in ways() {
        let root = root();
        let running = root_like(&root, way, "sleep 60").start().expect("starts");
        let (ours, theirs) = running.terminal().expect("makes a terminal");
        let streams = [&theirs, &theirs, &theirs].map(|end| end.try_clone().expect("copies"));
        // What is typed shows when the terminal has been read to its end.
        let script =
            "trap 'echo caught; exit 3' INT; tty; echo mine > /dev/tty; while :; do sleep 0.05; done";
        let mut program = Program::new(["/bin/sh", "-c", script]);
        program.env.push(("PATH".into(), PATH.into()));
        let execution = running.exec(&program, streams).expect("starts");
        drop(theirs);
        let mut terminal = fs::File::from(ours);
        let mut said = String::new();
        let mut buffer = [0; 256];
        // Its end is an error, EIO.
        while let Ok(count) = terminal.read(&mut buffer) {
            said += &String::from_utf8_lossy(&buffer[..count]);
            if said.ends_with("mine\r\n") {
                std::io::Write::write_all(&mut terminal, b"\x03").expect("types Ctrl-C");
            }
        }
        // The kernel shows what is typed after it has sent the signal, so that may come last.
        assert!(said.contains("^C"), "{way}: {said}");
        assert_eq!(said.replace("^C", ""), "/dev/pts/0\r\nmine\r\ncaught\r\n", "{way}");
        assert_eq!(execution.wait(), Exit::Code(3), "{way}");
    }
}

/// Runs a test of this file again as a user of this host who has subordinate ids.
fn again_with_subordinate_ids(test: &str) {
    let users = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let passwd = fs::read_to_string("/etc/passwd").expect("reads");
    let user = users.lines().find_map(|line| {
        let (name, range) = line.split_once(':')?;
        let enough = range.split_once(':')?.1.trim().parse::<u32>().ok()? >= 65535;
        let known = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let id = |field| known.split(':').nth(field)?.parse::<u32>().ok();
        (enough && name != "root").then_some((id(2)?, id(3)?))
    });
    let Some((uid, gid)) = user else {
        return skip("no ordinary user has subordinate ids; useradd gives them where uidmap is installed");
    };
    let directory = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::chown(directory.path(), Some(uid), Some(gid)).expect("gives it away");
    let mut command = Command::new(std::env::current_exe().expect("is known"));
    command.args(["--exact", test]).env("TMPDIR", directory.path()).current_dir("/").uid(uid).gid(gid);
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn what_subordinate_ids_left_is_removed() {
    if rustix::process::geteuid().is_root() {
        return again_with_subordinate_ids("what_subordinate_ids_left_is_removed");
    }
    if !ways().contains(&Way::Subordinate) {
        return skip("this user has no subordinate ids");
    }
    let cache = tempfile::tempdir().expect("a directory");
    // Which marks it as a cache.
    drop(Store::open(cache.path()).expect("opens"));
    let dead = cache.path().join("tmp/run-killed");
    fs::create_dir_all(&dead).expect("makes");
    let keep = |root: tempfile::TempDir| {
        let script = "mkdir -p /etc/d/e; echo x > /etc/d/e/f; chown -R 33:42 /etc/d; chmod 0 /etc/d/e; mkdir -m 0 /etc/shut";
        output(&root_like(&root, Way::Subordinate, script));
        root.keep()
    };
    fs::rename(keep(root()), dead.join("root")).expect("moves");
    let refused = fs::remove_dir_all(&dead).expect_err("is not ours");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    let store = Store::open(cache.path()).expect("opens");
    assert!(!dead.exists(), "a run that was killed is removed by the next");
    let stopped = store.tmp().join("root");
    fs::rename(keep(root()), &stopped).expect("moves");
    remove_tree(&stopped).expect("removes");
    assert!(!stopped.exists());
}

#[test]
fn what_cannot_be_entered_is_removed() {
    let directory = tempfile::tempdir().expect("a directory");
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let shut = directory.path().join("a/shut");
    fs::create_dir_all(shut.join("b")).expect("makes");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).expect("sets a mode");
    std::os::unix::fs::symlink("/etc", directory.path().join("a/link")).expect("links");
    remove_tree(&directory.path().join("a")).expect("removes");
    assert_eq!(fs::read_dir(directory.path()).expect("lists").count(), 0);
    assert!(Path::new("/etc/passwd").exists());
    let error = remove_tree(&directory.path().join("a")).expect_err("is not there");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn where_proc_is_masked_only_maintainer_scripts_see_the_hosts() {
    if std::env::var_os("TINYROOT_TEST_MASKED").is_none() {
        // As in a container: its engine has covered a part of /proc. One that is whole anywhere would do for
        // the kernel.
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(
                "while read -r _ place kind _; do [ $kind != proc ] || mount --bind /dev/null $place/cpuinfo || exit; \
                 done < /proc/mounts; exec \"$0\" \"$@\"",
            )
            .arg(std::env::current_exe().expect("is known"))
            .args(["--exact", "where_proc_is_masked_only_maintainer_scripts_see_the_hosts", "--nocapture"])
            .env("TINYROOT_TEST_MASKED", "1")
            .output()
            .expect("unshare of util-linux runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let root = root();
    assert_eq!(tinyroot::sandbox::missing_features(Way::Single).expect("is possible"), []);
    let host = std::process::id();
    let script = format!(
        "readlink /proc/self/exe; (echo x > /proc/sys/kernel/hostname) 2>&1 | grep -o Read-only; \
         tr '\\0' '\\n' < /proc/{host}/cmdline | grep -c -- --exact; ls /proc/{host}/root 2>&1 | grep -o denied; \
         kill -0 {host} 2> /dev/null || echo apart"
    );
    let output = output(&root_like(&root, Way::Single, &script));
    assert_eq!(output, "/usr/bin/readlink\nRead-only\n1\ndenied\napart\n");
    let mut sandbox = grain(&root, "");
    sandbox.proc = true;
    let error = sandbox.start().expect_err("may not see it");
    assert!(error.to_string().starts_with("cannot mount /proc: fsmount(proc"), "{error}");
    assert!(error.hint().expect("has one").contains("--security-opt systempaths=unconfined"), "{error}");
}

#[test]
fn a_root_on_a_file_system_without_programs_is_told_so() {
    if std::env::var_os("TINYROOT_TEST_NOEXEC").is_none() {
        let place = tempfile::tempdir().expect("a directory");
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg("mount -t tmpfs -o noexec none \"$TMPDIR\" && exec \"$0\" \"$@\"")
            .arg(std::env::current_exe().expect("is known"))
            .args(["--exact", "a_root_on_a_file_system_without_programs_is_told_so", "--nocapture"])
            .env("TINYROOT_TEST_NOEXEC", "1")
            .env("TMPDIR", place.path())
            .output()
            .expect("unshare of util-linux runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let root = root();
    root_for_chroot(root.path(), &["sh"]);
    for (ids, command) in [(Ids::RootLike(Way::Single), "/usr/bin/sh"), (Ids::Grain, "/usr/bin/sh")] {
        let error =
            Sandbox::new(directory(&root, false), ids, [command]).start().expect_err("does not start");
        assert!(error.hint().is_some_and(|hint| hint.contains("mounted noexec")), "{error}");
    }
}

#[test]
fn root_in_a_chroot_owns_its_files_reaches_nothing_else_and_leaves_nothing_running() {
    if !rustix::process::geteuid().is_root() {
        // As the root of a container that has one id.
        let name = "root_in_a_chroot_owns_its_files_reaches_nothing_else_and_leaves_nothing_running";
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user"])
            .arg(std::env::current_exe().expect("is known"))
            .args(["--exact", name, "--nocapture"])
            .output()
            .expect("unshare of util-linux runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let root = root();
    root_for_chroot(
        root.path(),
        &["sh", "perl", "id", "chown", "chmod", "mkdir", "mknod", "sleep", "setsid", "ls"],
    );
    let mark = format!("8{}.5", std::process::id());
    let script = format!(
        "id -u; umask; mkdir /etc/d; echo x > /etc/d/f; chown 33:42 /etc/d/f && chmod 4755 /etc/d/f; \
         mknod /etc/d/null c 1 3 && echo node; ls -A /proc; echo w > /dev/null; \
         perl -e 'socket(S, 2, 1, 0) or print \"$!\\n\"; socket(S, 1, 1, 0) and print \"unix\\n\"; \
         chroot(\"/etc\") or print \"$!\\n\"; kill(0, -1) or print \"$!\\n\"; \
         syscall(272, 0x10000000) == 0 or print \"$!\\n\"; \
         print kill(0, {}) && syscall(444, 0, 0, 1) >= 6 ? \"reached\\n\" : \"apart\\n\"'; \
         (setsid sh -c 'setsid sleep {mark} & sleep {mark}' &) ; setsid sleep {mark} & sleep 0.3; echo end",
        std::process::id()
    );
    let mut sandbox =
        Sandbox::new(directory(&root, true), Ids::RootLike(Way::Chroot), ["/bin/sh", "-c", &script]);
    sandbox.devices = Devices::Terminals;
    sandbox.set_env("PATH", PATH);
    let output = output(&sandbox);
    let refused = "Operation not permitted\n";
    assert_eq!(
        output,
        format!(
            "0\n0022\nnode\nAddress family not supported by protocol\nunix\n{refused}{refused}{refused}apart\nend\n"
        )
    );
    assert_eq!(processes_with("cmdline", &format!("sleep\0{mark}")), Vec::<String>::new());
    assert!(!root.path().join("etc/d/null").exists());
    let owner = fs::metadata(root.path().join("etc/d/f")).expect("is there").uid();
    assert_eq!(owner == 33, Way::Chroot.has_owners());

    sandbox.binds.push(Bind::read_only("/etc", "/etc"));
    let error = sandbox.start().expect_err("has a bind").to_string();
    assert!(error.starts_with("cannot make a root without mounts: "), "{error}");
}

/// Not a test: what [`a_killed_parent_leaves_nothing`] kills.
#[test]
fn parent_that_is_killed() {
    let Some(mark) = std::env::var_os("TINYROOT_TEST_MARK") else { return };
    let root = root();
    let mark = mark.into_string().expect("is text");
    let sandbox = grain(&root, &format!("(sleep {mark}; :) & sleep {mark}; :"));
    let _running = sandbox.start().expect("starts");
    fs::write("/dev/fd/1", format!("\nready {}\n", root.path().display())).expect("writes");
    std::thread::sleep(Duration::from_secs(60));
}

/// Not a test: what [`a_stopped_run_in_a_chroot_leaves_nothing`] runs.
#[test]
fn run_in_a_chroot_that_is_stopped() {
    let Some(mark) = std::env::var_os("TINYROOT_TEST_STOPPED") else { return };
    let root = root();
    root_for_chroot(root.path(), &["sh", "sleep", "setsid"]);
    let mark = mark.into_string().expect("is text");
    let script = format!("(setsid sh -c 'setsid sleep {mark} & sleep {mark}' &); echo on; sleep {mark}");
    let command = ["/bin/sh", "-c", &script];
    let mut sandbox = Sandbox::new(directory(&root, true), Ids::RootLike(Way::Chroot), command);
    // The shell gives programs in the background `/dev/null` to read.
    sandbox.devices = Devices::Terminals;
    sandbox.set_env("PATH", PATH);
    let running = sandbox.start().expect("starts");
    let asleep = || processes_with("cmdline", &format!("sleep\0{mark}")).len();
    let end = Instant::now() + Duration::from_secs(20);
    while asleep() < 3 {
        assert!(running.try_wait().is_none() && Instant::now() < end, "three programs sleep inside");
        std::thread::sleep(Duration::from_millis(5));
    }
    tinyroot::shutdown::tidy_up();
    assert_eq!(asleep(), 0);
}

#[test]
fn a_stopped_run_in_a_chroot_leaves_nothing() {
    let own = std::env::current_exe().expect("is known");
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(own)
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]).arg(own);
        unshare
    };
    let mark = format!("7{}.5", std::process::id());
    let output = command
        .args(["--exact", "run_in_a_chroot_that_is_stopped", "--nocapture"])
        .env("TINYROOT_TEST_STOPPED", &mark)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns the processes of this host whose file of that name has the text in it.
fn processes_with(file: &str, text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("lists").flatten();
    let has = |path: &Path| fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text));
    processes.filter(|p| has(&p.path().join(file))).map(|p| p.path().display().to_string()).collect()
}

#[test]
fn a_killed_parent_leaves_nothing() {
    let mark = format!("9{}.5", std::process::id());
    let mut parent = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "parent_that_is_killed", "--nocapture"])
        .env("TINYROOT_TEST_MARK", &mark)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(parent.stdout.take().expect("is a pipe")).lines();
    let line = lines.map_while(Result::ok).find(|l| l.starts_with("ready ")).expect("gets ready");
    let root = line.strip_prefix("ready ").expect("begins so").to_owned();
    let asleep = |mark: &str| processes_with("cmdline", &format!("sleep\0{mark}")).len();
    let until = |done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !done() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        done()
    };
    assert!(until(&|| asleep(&mark) == 2), "two programs sleep inside");
    parent.kill().expect("kills");
    parent.wait().expect("waits");
    assert!(until(&|| asleep(&mark) == 0), "all inside are dead");
    assert!(until(&|| processes_with("mountinfo", &root).is_empty()), "nothing of it is mounted");
    let _ = fs::remove_dir_all(root);
}

#[test]
fn everything_holds_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // An id of no account; a container may have no more than these.
    let (uid, directory) = (65532, tempfile::tempdir().expect("a directory"));
    std::os::unix::fs::chown(directory.path(), Some(uid), Some(uid)).expect("gives it away");
    let output = Command::new(std::env::current_exe().expect("is known"))
        .args(["--test-threads", "2"])
        .env_clear()
        .env("PATH", PATH)
        .env("TMPDIR", directory.path())
        .current_dir("/")
        .uid(uid)
        .gid(uid)
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
