//! A made app is traced, and the list says what it used: no more, no less, and twice the same.
//!
//! Its root is a few programs of this host with their libraries.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use tinyroot::{
    evidence::{Kinds, UsedList},
    overlay,
    progress::Progress,
    recipe,
    render::scan,
    sandbox::{Unavailable, host, set_program},
    store::Store,
    trace::{Inputs, Trace, TraceError, trace},
    tree::{Kind, Tree, TreePath},
};

const RECIPE: &str = r##"
[app]
name = "tea"
packages = ["tea"]
[debian]
suite = "bookworm"
[[file]]
path = "/app/pot"
content = '''
#!/bin/sh
read line < /usr/share/tea/leaves
[ -e /usr/share/tea/seen ]
read line < /var/lib/tea/shipped
echo more >> /var/lib/tea/log
echo > /run/ready
exec sleep 1000
'''
mode = "0755"
[setup]
command = ["/bin/sh", "-c", "echo made > /var/lib/tea/made"]
[[service]]
name = "pot"
command = ["/app/pot"]
ready = { file = "/run/ready" }
[[exercise]]
run = ["/usr/bin/cat", "/usr/share/tea/cup", "/lib/tea/linked"]
contains = "cup"
[[exercise]]
restart = true
[[exercise]]
run = ["/bin/sh", "-c", "echo /usr/share/tea/d/*; ! [ -e /usr/share/tea/none ]"]
contains = "unused"
"##;

struct Made {
    directory: tempfile::TempDir,
    store: Arc<Store>,
    tree: Tree,
}

/// Puts a root together and reads it as a tree.
fn made() -> Made {
    let directory = tempfile::tempdir().expect("a directory");
    // The recipe is read, and the store opened, by whoever runs the test.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("sets a mode");
    let root = directory.path().join("root");
    for name in ["sh", "cat", "sleep"] {
        copy_program(name, &root);
    }
    for (at, text) in [
        ("usr/share/tea/leaves", "leaves\n"),
        ("usr/share/tea/seen", ""),
        ("usr/share/tea/cup", "cup\n"),
        ("usr/share/tea/d/unused", "unused\n"),
        ("usr/lib/tea/linked", "linked\n"),
        ("var/lib/tea/shipped", "shipped\n"),
        ("var/lib/tea/log", "log\n"),
        ("var/lib/tea/idle", "idle\n"),
    ] {
        let at = root.join(at);
        fs::create_dir_all(at.parent().expect("has one")).expect("creates");
        fs::write(at, text).expect("writes");
    }
    for name in ["bin", "lib"] {
        std::os::unix::fs::symlink(Path::new("usr").join(name), root.join(name)).expect("links");
    }
    fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
    let store = Arc::new(Store::open(&directory.path().join("store")).expect("opens"));
    let mut bundle = store.begin_bundle("made", "root").expect("begins");
    let tree = scan(&root, &mut bundle, &Default::default(), &|_, _| (0, 0)).expect("reads");
    bundle.finish(&tree).expect("finishes");
    Made { directory, store, tree }
}

/// Copies a program and its libraries to where a merged `/usr` has them.
fn copy_program(name: &str, root: &Path) {
    let program = fs::canonicalize(Path::new("/bin").join(name)).expect("is there");
    let needs = Command::new("ldd").arg(&program).output().expect("runs").stdout;
    let needs = String::from_utf8(needs).expect("text");
    let mut files: Vec<(PathBuf, PathBuf)> = vec![(program, Path::new("usr/bin").join(name))];
    for word in needs.split_whitespace().filter(|word| word.starts_with('/')) {
        let at = word.trim_start_matches('/');
        let at = if at.starts_with("lib/") { format!("usr/{at}") } else { at.to_owned() };
        files.push((word.into(), at.into()));
    }
    for (from, to) in files {
        fs::create_dir_all(root.join(&to).parent().expect("has one")).expect("creates");
        fs::copy(from, root.join(to)).expect("copies");
    }
}

impl Made {
    fn trace(&self) -> Result<Trace, TraceError> {
        let recipe = recipe::read(self.directory.path()).expect("a good recipe");
        let mut tree = self.tree.clone();
        overlay::apply(&mut tree, &recipe, &self.store, 1_600_000_000).expect("lays");
        let owner = |at: &[u8]| at.starts_with(b"usr/share/tea/").then(|| "tea".to_owned());
        let inputs = Inputs { tree: &tree, owner: &owner, recipe: &recipe, epoch_s: 1_600_000_000 };
        trace(&inputs, &self.store, &Progress::silent())
    }
}

/// Lets one test at a time trace, as one of them counts what this process holds.
static TURN: Mutex<()> = Mutex::new(());

fn able() -> bool {
    set_program(env!("CARGO_BIN_EXE_tinyroot"));
    match host().fuse {
        Ok(()) => true,
        Err(Unavailable { reason, remedy, .. }) => {
            tinyroot::testing::skip(&format!("{reason} ({remedy})"));
            false
        }
    }
}

fn shown(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words[2] = words[2].replace(env!("CARGO_BIN_EXE_tinyroot"), "tinyroot");
    words[5] = words[5].split(':').take(2).collect::<Vec<_>>().join(":");
    words.join(" ")
}

/// The lines about the app itself, libraries left out: those are this host's. Of a program's words only
/// the first is shown, and the monitor, which elsewhere is the tracing program itself, by its plain name.
fn lines(list: &UsedList) -> Vec<String> {
    let ours = |line: &&str| {
        ["/app", "/bin", "/lib ", "/usr/bin", "/usr/lib/tea", "/usr/share", "/var"]
            .iter()
            .any(|top| line.starts_with(top))
    };
    list.to_text().lines().filter(ours).map(shown).collect()
}

#[test]
fn a_trace_lists_what_was_used_and_twice_the_same() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !able() {
        return;
    }
    let made = made();
    let first = made.trace().expect("traces");
    // Some shells look for a pattern as a name of its own before they read the directory.
    let shown: Vec<String> =
        lines(&first.used).iter().map(|line| line.replace(" listed,traversed ", " listed ")).collect();
    assert_eq!(
        shown,
        [
            "/app traversed /tinyroot/init - - start",
            "/app/pot executed,opened /tinyroot/init recipe - start",
            "/bin read-link /tinyroot/init - - start",
            "/lib read-link /usr/bin/sh - sh start",
            "/usr/bin traversed /tinyroot/init - - start",
            "/usr/bin/cat executed tinyroot - - run:/usr/bin/cat",
            "/usr/bin/sh executed /tinyroot/init - - start",
            "/usr/bin/sleep executed /usr/bin/sh - sh start",
            "/usr/lib/tea traversed /usr/bin/cat - - run:/usr/bin/cat",
            "/usr/lib/tea/linked opened /usr/bin/cat - - run:/usr/bin/cat",
            "/usr/share traversed /usr/bin/sh - sh start",
            "/usr/share/tea traversed /usr/bin/sh - sh start",
            "/usr/share/tea/cup opened /usr/bin/cat tea - run:/usr/bin/cat",
            "/usr/share/tea/d listed /usr/bin/sh tea - run:/bin/sh",
            "/usr/share/tea/leaves opened /usr/bin/sh tea sh start",
            "/usr/share/tea/seen stat /usr/bin/sh tea sh start",
            "/var/lib/tea/log written - - - -",
            "/var/lib/tea/shipped opened - - - -",
        ]
    );
    let second = made.trace().expect("traces");
    assert_eq!(first.used.to_text(), second.used.to_text());
    assert_eq!(UsedList::parse(&first.used.to_text(), Path::new("used.list")).expect("reads"), first.used);
    let left: Vec<_> = fs::read_dir(made.store.tmp()).expect("lists").collect();
    assert!(left.is_empty(), "{left:?}");
    // Every path is one of the stage's.
    for (path, line) in first.used.iter() {
        assert!(made.tree.get(path.as_bytes()).is_some() || path.is_at_or_below(b"app"), "{path}");
        let entry = made.tree.get(path.as_bytes());
        let directory = entry.is_some_and(|entry| matches!(entry.kind, Kind::Directory));
        assert!(!(directory && line.kinds.intersects(Kinds::OPENED)), "{path}");
    }
    assert!(!first.used.contains(TreePath::new(b"usr/share/tea/d/unused").expect("good").as_bytes()));
}

#[test]
fn a_hundred_traces_leave_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !able() {
        return;
    }
    let made = made();
    // What is made once and stays.
    made.trace().expect("traces");
    let before = Holding::now();
    for _ in 0..100 {
        made.trace().expect("traces");
    }
    let after = Holding::now();
    assert_eq!((after.files, after.threads, after.mounts), (before.files, before.threads, before.mounts));
    assert_eq!(after.children, before.children);
    // What a single trace holds is some megabytes; a hundredth of a leak would show.
    let grown_kib = after.memory_kib.saturating_sub(before.memory_kib);
    assert!(grown_kib < 16 << 10, "{grown_kib} KiB more");
    assert_eq!(fs::read_dir(made.store.tmp()).expect("lists").count(), 0);
}

/// What this process holds.
struct Holding {
    files: usize,
    threads: usize,
    children: usize,
    mounts: usize,
    memory_kib: u64,
}

impl Holding {
    fn now() -> Self {
        let count = |directory: &str| fs::read_dir(directory).expect("lists").count();
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("reads");
        let threads = fs::read_dir("/proc/self/task").expect("lists").flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let status = fs::read_to_string("/proc/self/status").expect("reads");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("is there");
        Holding {
            files: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            children: children.map(|list| list.split_whitespace().count()).sum(),
            // Others on this host may mount what they like.
            mounts: mounts.lines().filter(|line| line.contains(" - fuse")).count(),
            memory_kib: memory.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number"),
        }
    }
}

#[test]
fn a_failing_exercise_gives_no_list() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if !able() {
        return;
    }
    let made = made();
    let recipe = RECIPE.replace("contains = \"cup\"", "contains = \"saucer\"");
    fs::write(made.directory.path().join("recipe.toml"), recipe).expect("writes");
    let error = made.trace().expect_err("fails");
    assert!(matches!(error, TraceError::Exercise { .. }), "{error}");
    let source = std::error::Error::source(&error).expect("has one").to_string();
    assert!(source.contains("step 1") && source.contains("saucer"), "{source}");
}
