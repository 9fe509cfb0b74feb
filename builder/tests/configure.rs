//! Configures real packages: those in the directory that `TINYROOT_TEST_DEBS` names (`apt-get download` fills one). They
//! must include the Essential ones and all that they depend on. Without it there is nothing to run.

mod debs;

use std::{collections::BTreeMap, fs, io::Read, time::Instant};

use tinyroot::{
    assemble, configure,
    lock::Lock,
    progress::Progress,
    render::{self, RenderOptions},
    sandbox::{self, Ids, Root, Sandbox, best_way},
    store::Store,
    unpack,
};

#[test]
fn real_packages_are_configured_once() {
    let Some(fetched) = debs::fetched() else { return };
    sandbox::set_program(env!("CARGO_BIN_EXE_tinyroot"));
    let lock = Lock {
        suite: "bookworm".into(),
        architecture: "amd64".into(),
        time_s: 1_800_000_000,
        request: Default::default(),
        indexes: Vec::new(),
        packages: fetched.debs.iter().map(|d| d.package.clone()).collect(),
    };
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    let progress = Progress::silent();
    let start = Instant::now();
    let unpacked = unpack::unpack(&fetched, &store, &progress).expect("unpacks");
    eprintln!("unpacked in {:?}", start.elapsed());
    let assembled = assemble::assemble(&unpacked).expect("assembles");
    let start = Instant::now();
    let configured = configure::configure(&unpacked, &assembled, &lock, &store, &progress)
        .unwrap_or_else(|error| panic!("configures: {error} {:?}", std::error::Error::source(&error)));
    eprintln!("configured in {:?}: {} paths", start.elapsed(), configured.tree.len());
    assert!(!configured.cached);
    if let Some(path) = std::env::var_os("TINYROOT_TEST_TREE") {
        fs::write(path, configured.tree.to_text()).expect("writes");
    }
    let start = Instant::now();
    let again = configure::configure(&unpacked, &assembled, &lock, &store, &progress).expect("configures");
    eprintln!("loaded in {:?}", start.elapsed());
    assert!(again.cached);
    assert!(again.tree == configured.tree, "the layer gives the same tree");

    let kinds: BTreeMap<&str, bool> = ["usr/sbin/start-stop-daemon", "var/lib/dpkg/status", "etc/passwd"]
        .map(|path| (path, configured.tree.get(path.as_bytes()).is_some()))
        .into();
    assert!(kinds.values().all(|there| *there), "{kinds:?}");
    assert!(configured.tree.get(b"usr/sbin/policy-rc.d").is_none());
    let (status, _) =
        configured.tree.get(b"var/lib/dpkg/status").and_then(|e| e.kind.content()).expect("a file");
    let status = String::from_utf8(store.read(&status).expect("reads")).expect("is text");
    let installed = status.lines().filter(|line| *line == "Status: install ok installed").count();
    assert_eq!(installed, lock.packages.len());
    assert!(configured.tree.iter().all(|(_, entry)| entry.mtime_s <= configured.epoch_s));

    // dpkg itself finds nothing to complain of: no package half done, no file other than its package has it.
    let root = directory.path().join("root");
    render::render(&configured.tree, &store, &root, RenderOptions::default()).expect("renders");
    let way = best_way().expect("some way");
    let directory = Root::Directory { path: root, writable: true };
    let script = "dpkg --audit && dpkg --verify && ldconfig -p | head -n 1 | cut -d' ' -f2-";
    let mut sandbox = Sandbox::new(directory, Ids::RootLike(way), ["/bin/sh", "-c", script]);
    sandbox.set_env("PATH", "/usr/sbin:/usr/bin");
    let running = sandbox.start().expect("starts");
    let mut output = String::new();
    running.take_output().expect("nobody took it").read_to_string(&mut output).expect("reads");
    assert!(running.wait().success(), "{output}");
    assert!(output.starts_with("libs found in cache"), "{output}");
    assert_eq!(output.lines().count(), 1, "{output}");
}
