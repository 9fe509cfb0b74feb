//! The view through a kernel: mounted by the test itself, in a mount namespace of its thread.

use std::{
    ffi::CString,
    fs::{self, File},
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    process::Command,
};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

use super::*;
use crate::{
    evidence::{Kinds, Missed, Pruned},
    layout::ImagePath,
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
    view::{Options, tests::small_root},
};

struct Mounted {
    at: PathBuf,
    view: Arc<View>,
    server: Option<Server>,
    _directory: tempfile::TempDir,
}

/// Mounts and serves; `None`, having said so, where this host does not let us.
fn mounted(make: impl FnOnce(&Path) -> (Arc<Tree>, Arc<Store>), options: Options) -> Option<Mounted> {
    let fuse = match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(fuse) if rustix::process::geteuid().is_root() => OwnedFd::from(fuse),
        Ok(_) => return skip("root is needed to mount"),
        Err(error) => {
            return skip(&format!("/dev/fuse cannot be opened ({error}): be root, or chmod 0666 it"));
        }
    };
    #[expect(deprecated, reason = "sound for a mount namespace: no memory or descriptor is unshared")]
    if let Err(error) = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS) {
        return skip(&format!("no mount namespace: {error}"));
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).expect("propagation changes in an own namespace");
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("root");
    fs::create_dir(&at).expect("creates");
    let (tree, store) = make(&directory.path().join("store"));
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", fuse.as_raw_fd());
    let data = CString::new(data).expect("no NUL");
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tinyroot", &at, "fuse.tinyroot", flags, data.as_c_str()).expect("root may mount");
    let view = Arc::new(View::new(tree, store, options));
    let server = Some(serve(fuse, view.clone()).expect("serves"));
    Some(Mounted { at, view, server, _directory: directory })
}

fn skip<T>(why: &str) -> Option<T> {
    crate::testing::skip(why);
    None
}

impl Mounted {
    fn uses(&self) -> Vec<String> {
        let uses = self.view.uses().into_iter();
        uses.map(|used| format!("{} {}", used.path, used.kinds)).collect()
    }

    fn end(mut self) -> Result<(), ViewError> {
        self.server.take().expect("runs").stop()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}

/// What stat, read and readlink tell of a path and all below it.
fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
    let meta = fs::symlink_metadata(root.join(at)).expect("stats");
    let kind = meta.file_type();
    let mut line = format!("{} {:o} {}", at.display(), meta.mode(), meta.mtime());
    if kind.is_symlink() {
        line += &format!(" {}", fs::read_link(root.join(at)).expect("a link").display());
    } else if kind.is_file() {
        let bytes = fs::read(root.join(at)).expect("reads");
        line += &format!(" {} {} {}", meta.len(), meta.nlink(), crate::digest::Digest::of(&bytes));
    } else if kind.is_char_device() {
        line += &format!(" {}", meta.rdev());
    }
    out.push(line);
    if kind.is_dir() {
        let entries = fs::read_dir(root.join(at)).expect("lists");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("lists").file_name()).collect();
        names.sort();
        for name in names {
            walk(root, &at.join(name), out);
        }
    }
}

/// The same lines out of the tree.
fn model(tree: &Tree, store: &Store) -> Vec<String> {
    let mut out = Vec::new();
    for (path, entry) in tree.iter() {
        let (bits, rest) = match &entry.kind {
            Kind::Directory => (0o40000, String::new()),
            Kind::Symlink { target } => (0o120_000, format!(" {}", String::from_utf8_lossy(target))),
            Kind::File { digest, size_bytes, .. } => {
                assert!(store.blob(digest).is_ok());
                let links = 1 + usize::from(path.as_bytes().ends_with(b"/tool"));
                (0o100_000, format!(" {size_bytes} {links} {digest}"))
            }
            Kind::Fifo => (0o10000, String::new()),
            Kind::CharacterDevice { .. } => (0o20000, " 259".into()),
            Kind::BlockDevice { .. } => (0o60000, String::new()),
        };
        let mode = bits | entry.mode | if bits == 0o100_000 { 0o400 } else { 0 };
        out.push((path.clone(), format!("{path} {mode:o} {}{rest}", entry.mtime_s)));
    }
    // As a walk orders them: by component.
    out.sort_by(|(a, _), (b, _)| a.as_path().cmp(b.as_path()));
    out.into_iter().map(|(_, line)| line).collect()
}

#[test]
fn a_mounted_view_shows_what_the_tree_says() {
    let Some(mounted) = mounted(small_root, Options { owner: (7, 8), ..Options::default() }) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (tree, store) = small_root(directory.path());
    for round in 0..3 {
        if round == 1 {
            mounted.view.start_recording();
        }
        let mut shown = Vec::new();
        walk(&mounted.at, Path::new(""), &mut shown);
        assert_eq!(shown, model(&tree, &store), "round {round}");
    }
    let meta = fs::metadata(mounted.at.join("usr/bin/tool")).expect("stats");
    assert_eq!((meta.uid(), meta.gid(), meta.blocks()), (7, 8, 1));
    let written = fs::write(mounted.at.join("usr/new"), "").expect_err("is read-only");
    assert_eq!(written.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
    mounted.end().expect("no fault");
}

#[test]
fn each_change_is_refused_as_on_a_read_only_file_system_and_told() {
    let reported: crate::view::Reported =
        Box::new(|path| path.in_tree().is_at_or_below(b"usr/share").then(|| path.clone()));
    let Some(mounted) = mounted(small_root, Options { reported, record: false, ..Options::default() }) else {
        return;
    };
    let script = r#"
        use Fcntl; use POSIX ();
        my ($root) = @ARGV; my $a = "$root/usr/share/a"; my $file = "$a/data"; my $n = 0;
        for my $change (
            sub { open(F, '>', $file) }, sub { open(F, '>>', $file) }, sub { sysopen(F, $file, O_RDWR) },
            sub { open(F, '>', "$a/new") }, sub { unlink $file }, sub { rename $file, "$a/other" },
            sub { mkdir "$a/new" }, sub { rmdir $a }, sub { symlink 'x', "$a/new" }, sub { link $file, "$a/new" },
            sub { chmod 0600, $file }, sub { utime 1, 1, $file }, sub { truncate $file, 0 },
            sub { POSIX::mkfifo("$a/new", 0600) }, sub { POSIX::access($file, POSIX::W_OK()) },
            sub { open(F, '>', "$root/usr/bin/tool") },
        ) { $! = 0; print $n++, ' ', ($change->() ? 'done' : $! + 0), "\n" }
        print POSIX::access($file, POSIX::R_OK()) ? 'readable' : 'no', ' ';
        print POSIX::access($file, POSIX::X_OK()) ? 'executable' : 'no', ' ';
        print POSIX::access("$root/usr/bin/tool", POSIX::X_OK()) ? 'executable' : 'no', ' ';
        print chdir($a) ? 'entered' : 'no';
    "#;
    let perl = Command::new("/usr/bin/perl").args(["-e", script]).arg(&mounted.at).output();
    let Ok(perl) = perl else { return skip("this host has no /usr/bin/perl").unwrap_or_default() };
    let told = String::from_utf8_lossy(&perl.stdout).into_owned();
    let refused: String =
        (0..16).map(|change| format!("{change} {}\n", Errno::ROFS.raw_os_error())).collect();
    assert_eq!(told, format!("{refused}readable no executable entered"), "{:?}", perl.stderr);
    let misses = mounted.view.misses(0);
    let shown: Vec<_> = misses.iter().map(|miss| (miss.path.to_string(), miss.how)).collect();
    let refused = |path: &str| (path.to_owned(), Missed::Refused);
    assert_eq!(shown, [refused("usr/share/a/data"), refused("usr/share/a")]);
    mounted.end().expect("no fault");
}

#[test]
fn a_mounted_view_notes_exactly_what_was_touched() {
    let locale = ImagePath::in_image(TreePath::new(b"usr/share/locale").expect("good"));
    let pruned: Pruned = [(locale, Some("p".into()))].into();
    let options = Options { pruned: Some(Arc::new(pruned)), ..Options::default() };
    // The kernel runs the script, and its interpreter is our `/bin/sh`, outside the view.
    let Some(mounted) = mounted(small_root, options) else { return };
    let at = |path: &str| mounted.at.join(path);
    // Setting up does not count, and hides nothing that comes later.
    assert!(at("usr/share/a/data").exists());
    assert!(!at("usr/share/none").exists());
    mounted.view.start_recording();
    let tool = Command::new(at("bin/tool")).output().expect("runs");
    assert_eq!(tool.stdout, b"hi\n");
    mounted.view.mark("second");
    assert!(at("usr/share/a/data").exists());
    assert!(!at("usr/share/none").exists());
    let missed = Command::new("/bin/cat").arg(at("usr/share/locale")).output().expect("runs");
    assert!(!missed.status.success());
    Command::new("/bin/cat").arg(at("usr/share/empty")).status().expect("runs");
    Command::new("/bin/ls").arg(at("usr/share/a")).output().expect("runs");
    let uses = mounted.uses();
    // This process is tinyroot, so what it opens, lists or misses itself is no evidence.
    assert_eq!(
        uses,
        [
            "bin read-link",
            "usr traversed",
            "usr/bin traversed",
            "usr/bin/tool executed,opened",
            "usr/share traversed",
            "usr/share/a listed,traversed",
            "usr/share/a/data stat",
            "usr/share/empty opened",
            "usr/share/locale absent",
        ]
    );
    let by = |path: &str| {
        let uses = mounted.view.uses();
        let used = uses.iter().find(|used| used.path.to_string() == path).expect("was used").clone();
        (used.program.to_string(), used.step.to_string())
    };
    let cat = fs::canonicalize("/bin/cat").expect("is there").display().to_string();
    assert_eq!(by("usr/share/empty"), (cat, "second".into()));
    assert_eq!(by("usr/bin/tool").1, "start");
    let misses = mounted.view.misses(0);
    assert_eq!((misses.len(), misses[0].package.as_deref(), &*misses[0].step), (1, Some("p"), "second"));
    mounted.end().expect("no fault");
}

#[test]
fn stopping_ends_the_mount_and_names_the_fault() {
    let lost = |directory: &Path| {
        let store = Arc::new(Store::open(directory).expect("opens"));
        let mut tree = Tree::new();
        let digest = crate::digest::Digest::of(b"lost");
        tree.insert(TreePath::new(b"lost").expect("good"), Entry::file(digest, 4, 0o644, 0));
        (Arc::new(tree), store)
    };
    let Some(mut mounted) = mounted(lost, Options::default()) else { return };
    let error = fs::read(mounted.at.join("lost")).expect_err("contents are missing");
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    let fault = mounted.server.take().expect("runs").stop().expect_err("has a fault").to_string();
    assert!(fault.contains("cannot open contents"), "{fault}");
    let error = fs::metadata(mounted.at.join("new")).expect_err("nobody serves");
    assert_eq!(error.raw_os_error(), Some(Errno::NOTCONN.raw_os_error()));
}

#[test]
fn a_panic_answers_with_an_error_and_is_a_fault() {
    struct Panics;
    impl crate::view::callers::Programs for Panics {
        fn program(&self, _: u32) -> crate::view::callers::Program {
            panic!("on purpose")
        }
    }
    let Some(mut mounted) = mounted(small_root, Options { programs: Box::new(Panics), ..Options::default() })
    else {
        return;
    };
    mounted.view.start_recording();
    let error = fs::metadata(mounted.at.join("usr/bin")).expect_err("the lookup panics");
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    mounted.view.stop_recording();
    assert!(mounted.at.join("usr/bin").exists(), "it goes on");
    let fault = mounted.server.take().expect("runs").stop().expect_err("has a fault").to_string();
    assert!(fault.contains("internal error: a panic"), "{fault}");
}

#[test]
fn a_gone_mount_ends_the_server() {
    let Some(mut mounted) = mounted(small_root, Options::default()) else { return };
    assert!(mounted.at.join("usr").exists());
    unmount(&mounted.at, UnmountFlags::DETACH).expect("unmounts");
    let mut server = mounted.server.take().expect("runs");
    for thread in server.threads.drain(..) {
        thread.join().expect("ends by itself");
    }
    server.stop().expect("no fault");
    assert!(mounted.view.uses().is_empty() && Kinds::none().is_empty());
}
