use std::fs;

/// The first process's own, which cannot be tested there.
#[path = "../../init/src/sha256.rs"]
mod sha256;

/// As `build.rs` does it.
#[path = "../../init/compile.rs"]
mod compile;

use super::*;
use crate::{digest::Digest, recipe};

const RECIPE: &str = r#"
[app]
name = "tea"
version = "1"
packages = ["tea"]
[debian]
suite = "bookworm"
[[file]]
path = "/lib/tea/tea.conf"
source = "files/tea.conf"
[[file]]
path = "/var/lib/tea/pot"
content = "brown"
[[file]]
path = "/run/tea"
directory = true
[setup]
command = ["/bin/sh", "-c", "echo a\\b"]
[[service]]
name = "tea"
command = ["/usr/bin/tea", "", "two words"]
ready = { http = "/" }
[web]
port = 8000
"#;

fn recipe() -> Recipe {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("files")).expect("makes");
    fs::write(directory.path().join("files/tea.conf"), "milk = no\n").expect("writes");
    fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
    recipe::read(directory.path()).expect("a good recipe")
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path()).expect("opens");
    (directory, store)
}

/// A tree from words: `path` is a file, `path/` a directory, `path -> target` a link.
fn tree(lines: &[&str], store: &Store) -> Tree {
    let mut tree = Tree::new();
    for line in lines {
        let (name, entry) = match (line.split_once(" -> "), line.strip_suffix('/')) {
            (Some((name, target)), _) => (name, Entry::symlink(target, 9)),
            (None, Some(name)) => (name, Entry::new(Kind::Directory, 0o2770, 9)),
            (None, None) => {
                let digest = store.put(line.as_bytes());
                (*line, Entry::file(digest, line.len() as u64, 0o4640, 9))
            }
        };
        tree.insert(path(name), entry);
    }
    tree.add_parents(0);
    tree
}

fn paths_below(tree: &Tree, top: &str) -> Vec<String> {
    tree.subtree(top.as_bytes()).map(|(path, _)| path.to_string()).collect()
}

fn text_of(tree: &Tree, store: &Store, at: &str) -> String {
    let (digest, _) = tree.get(at.as_bytes()).and_then(|e| e.kind.content()).expect("a file");
    String::from_utf8(store.read(&digest).expect("is known")).expect("text")
}

#[test]
fn the_stages_var_becomes_a_skeleton() {
    let (_cache, store) = store();
    let stage = tree(
        &[
            "usr/bin/tea",
            "var/lib/tea/code.php",
            "var/lib/tea/made by script",
            "var/lib/tea/changed.db",
            "var/lib/tea/lib -> /usr/share/tea",
            "var/lib/dpkg/status",
            "var/cache/tea/",
            "var/cache/tea/x",
            "var/log/tea/",
            "var/log/dpkg.log",
            "var/run -> /run",
            "var/tmp/",
        ],
        &store,
    );
    let fate = |path: &TreePath| match path.as_bytes() {
        path if path.ends_with(b"script") => Fate::Made,
        path if path.ends_with(b".db") => Fate::State,
        _ => Fate::Link,
    };
    let root = build(stage.clone(), &recipe(), &VarPolicy::ByFate(&fate), &store, 5);
    assert_eq!(
        paths_below(&root, "tinyroot/var"),
        [
            "tinyroot/var",
            "tinyroot/var/cache",
            "tinyroot/var/cache/tea",
            "tinyroot/var/lib",
            "tinyroot/var/lib/tea",
            "tinyroot/var/lib/tea/changed.db",
            "tinyroot/var/lib/tea/code.php",
            "tinyroot/var/lib/tea/lib",
            "tinyroot/var/lib/tea/made\\x20by\\x20script",
            "tinyroot/var/log",
            "tinyroot/var/log/tea",
        ]
    );
    assert_eq!(paths_below(&root, "var"), ["var"]);
    let copied = text_of(&root, &store, "tinyroot/copied");
    let (head, list) = copied.split_once('\n').expect("lines");
    let digest_of =
        |head: &str| head.strip_prefix("tinyroot-copied 2 ").and_then(|d| d.parse::<Digest>().ok());
    assert!(digest_of(head).is_some(), "{head}");
    let digest = Digest::of(b"var/lib/tea/changed.db");
    assert_eq!(list, format!("lib/tea/changed.db {digest}\nlib/tea/made\\x20by\\x20script -\n"));

    // Another fate of the same files is another version.
    let all = build(stage, &recipe(), &VarPolicy::CopyAll, &store, 5);
    let copied = text_of(&all, &store, "tinyroot/copied");
    let (other, list) = copied.split_once('\n').expect("lines");
    assert!(digest_of(other).is_some() && other != head, "{other}");
    assert_eq!(list, "*\n");
}

#[test]
fn an_image_holds_what_artifacts_can() {
    let (_cache, store) = store();
    let stage = tree(
        &[
            "usr/bin/tea",
            "dev/null",
            "boot/vmlinuz",
            "home/alice/.profile",
            "run/lock/",
            "etc/passwd",
            "root/.bashrc",
        ],
        &store,
    );
    let root = build(stage, &recipe(), &VarPolicy::CopyAll, &store, 5);
    for top in ["boot", "dev", "home", "root", "run", "tmp", "var"] {
        assert_eq!(paths_below(&root, top).len(), usize::from(root.get(top.as_bytes()).is_some()), "{top}");
    }
    assert_eq!(paths_below(&root, "proc"), ["proc", "proc/cpuinfo"]);
    for (path, entry) in root.iter() {
        assert_eq!((entry.uid, entry.gid), (0, 0), "{path}");
        assert!(entry.mtime_s <= 5, "{path}");
        assert!(matches!(entry.mode, 0o755 | 0o644 | 0o777), "{path}");
    }
    assert_eq!(root.get(b"tinyroot/init").map(|e| e.mode), Some(0o755));
    assert_eq!(text_of(&root, &store, "etc/passwd"), "etc/passwd\napp:x:1000:1000:app:/var:/bin/sh\n");
    assert_eq!(text_of(&root, &store, "etc/group"), "root:x:0:\napp:x:1000:\n");
}

#[test]
fn a_user_of_the_grains_id_stays() {
    let (_cache, store) = store();
    let mut stage = Tree::new();
    let text = "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n";
    stage.insert(path("etc/passwd"), Entry::file(store.put(text), text.len() as u64, 0o644, 0));
    let root = build(stage, &recipe(), &VarPolicy::CopyAll, &store, 5);
    assert_eq!(text_of(&root, &store, "etc/passwd"), text);
}

#[test]
fn services_are_written_escaped() {
    assert_eq!(
        services::encode(&recipe()),
        r"tinyroot-services 1
port 8000
env HOME=/var
env LANG=C.UTF-8
env LOGNAME=app
env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
env PORT=8000
env USER=app
directory /run/tea
setup
command /bin/sh -c echo\x20a\x5cb
timeout 120
service tea
command /usr/bin/tea \e two\x20words
ready http /
timeout 60
"
    );
}

#[test]
fn the_first_process_is_a_small_static_program() {
    assert!(INIT.starts_with(b"\x7fELF"));
    assert!(INIT.len() < 64 << 10, "{} bytes", INIT.len());
    for word in ["/home", "rustc/", ".cargo"] {
        assert!(!INIT.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
}

fn init_sources() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("init/src")
}

#[test]
fn the_first_process_has_the_bytes_that_every_compiler_gives() {
    let digests = include_str!("../../init/built/digests");
    let sources = Digest::of(&compile::hashed(&init_sources()).expect("reads"));
    let start = format!("{} {sources} {} ", std::env::consts::ARCH, Digest::of(INIT));
    assert!(
        digests.lines().any(|line| line.starts_with(&start)),
        "init/built is not of init/src: run `cargo run --example pin_init`"
    );
}

#[test]
fn the_kept_first_process_is_what_its_sources_give() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let release = compile::release(&rustc).expect("runs");
    let digests = include_str!("../../init/built/digests");
    if !digests
        .lines()
        .any(|line| line.starts_with(std::env::consts::ARCH) && line.ends_with(&format!(" {release}")))
    {
        return crate::testing::skip(&format!("init/built was made by another rustc than {release}"));
    }
    let folder = tempfile::tempdir().expect("is made");
    let out = folder.path().join("init");
    compile::compile(&rustc, &init_sources(), &out, std::env::consts::ARCH).expect("compiles");
    assert!(fs::read(out).expect("reads") == INIT, "init/src gives other bytes than init/built has");
}

#[test]
fn the_first_process_computes_sha_256() {
    for length in [0, 1, 55, 56, 63, 64, 65, 1000] {
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
        let mut digest = sha256::Sha256::new();
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        digest.add(first);
        digest.add(rest);
        assert_eq!(String::from_utf8_lossy(&digest.finish()), Digest::of(&bytes).to_string(), "{length}");
    }
}

#[test]
fn the_grains_own_host_name_is_in_every_list_of_hosts() {
    let (_cache, store) = store();
    for (text, expected) in [
        (None, "127.0.0.1 localhost\n::1 localhost\n"),
        (Some("10.0.0.1 db # not localhost"), "10.0.0.1 db # not localhost\n127.0.0.1 localhost\n"),
        (Some("::1\tip6 localhost\n"), "::1\tip6 localhost\n"),
    ] {
        let mut stage = tree(&["usr/bin/tea"], &store);
        if let Some(text) = text {
            let entry = Entry::file(store.put(text), text.len() as u64, 0o644, 0);
            stage.insert(path("etc/hosts"), entry);
        }
        let root = build(stage, &recipe(), &VarPolicy::CopyAll, &store, 5);
        assert_eq!(text_of(&root, &store, "etc/hosts"), expected);
    }
}

#[test]
fn files_that_keep_others_out_are_listed_and_do_so_in_a_grain() {
    let (_cache, store) = store();
    let mut stage = tree(&["usr/bin/tea", "etc/tea/a b", "var/lib/tea/db", "var/cache/tea/x"], &store);
    stage.get_mut(b"usr/bin/tea").expect("is there").mode = 0o755;
    for (at, mode) in [("etc/tea/a b", 0o640), ("var/lib/tea/db", 0o600), ("var/cache/tea/x", 0o600)] {
        stage.get_mut(at.as_bytes()).expect("is there").mode = mode;
    }
    for (at, mode) in
        [("etc/tea", 0o710), ("etc/pot", 0o711), ("var/lib/tea", 0o750), ("var/cache/tea", 0o2700)]
    {
        let directory = Entry { mode, ..Entry::directory(0) };
        stage.insert(path(at), directory);
    }
    let mut root = build(stage, &recipe(), &VarPolicy::CopyAll, &store, 5);
    let expected = "tinyroot-modes 1\netc/tea 0710\netc/tea/a\\x20b 0640\ntinyroot/var/cache/tea 0700\ntinyroot/var/lib/tea \
                    0750\ntinyroot/var/lib/tea/db 0600\n";
    assert_eq!(text_of(&root, &store, "tinyroot/modes"), expected);
    let mode = |root: &Tree, at: &str| root.get(at.as_bytes()).expect("is there").mode;
    assert_eq!(mode(&root, "etc/tea/a b"), 0o644);
    assert_eq!(mode(&root, "etc/tea"), 0o755);
    assert_eq!(apply_modes(&mut root, &store).len(), 5);
    assert_eq!((mode(&root, "etc/tea"), mode(&root, "tinyroot/var/lib/tea")), (0o710, 0o750));
    assert_eq!((mode(&root, "etc/tea/a b"), mode(&root, "tinyroot/var/lib/tea/db")), (0o640, 0o600));
    assert_eq!(mode(&root, "usr/bin/tea"), 0o755);
    let mut plain = tree(&["usr/bin/tea"], &store);
    plain.get_mut(b"usr/bin/tea").expect("is there").mode = 0o755;
    let plain = build(plain, &recipe(), &VarPolicy::CopyAll, &store, 5);
    assert!(plain.get(b"tinyroot/modes").is_none());
}
