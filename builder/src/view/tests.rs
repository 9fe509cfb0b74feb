use std::{collections::HashMap, sync::Mutex};

use super::{
    callers::{Program, Programs},
    *,
};
use crate::evidence::Missed;

/// Threads 1, 2, … run `/one`, `/two`, …; thread 9 is ours.
#[derive(Default)]
struct Named(Mutex<HashMap<u32, u32>>);

impl Programs for Named {
    fn program(&self, thread: u32) -> Program {
        let path = match thread {
            1 => "/one",
            2 => "/two",
            9 => "/tinyroot/init",
            _ => "?",
        };
        Program { path: path.into(), service: "/one".into(), ours: thread == 9 }
    }

    fn executing(&self, thread: u32) {
        *self.0.lock().expect("whole").entry(thread).or_default() += 1;
    }
}

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

fn image_path(text: &str) -> ImagePath {
    ImagePath::in_image(path(text))
}

/// A small root, and the store with its contents.
pub(super) fn small_root(directory: &std::path::Path) -> (Arc<Tree>, Arc<Store>) {
    let store = Arc::new(Store::open(directory).expect("opens"));
    let mut tree = Tree::new();
    let mut file = |at: &str, mode: u32, bytes: &[u8]| {
        let entry = Entry::file(store.put(bytes), bytes.len() as u64, mode, 1_700_000_000);
        tree.insert(path(at), entry);
    };
    file("usr/bin/tool", 0o755, b"#!/bin/sh\necho hi\n");
    file("usr/bin/other", 0o755, b"other");
    file("usr/share/a/data", 0o640, &[7; 300_000]);
    file("usr/share/a-b", 0o000, b"hidden");
    file("usr/share/empty", 0o644, b"");
    let hidden = tree.get(b"usr/bin/tool").expect("is there").clone();
    let mut linked = hidden;
    if let Kind::File { hard_link, .. } = &mut linked.kind {
        *hard_link = Some(path("usr/bin/tool"));
    }
    tree.insert(path("usr/lib/tool"), linked);
    tree.insert(path("bin"), Entry::symlink("usr/bin", 5));
    tree.insert(path("dev/null"), Entry::new(Kind::CharacterDevice { major: 1, minor: 3 }, 0o666, 0));
    tree.insert(path("usr/share/pipe"), Entry::new(Kind::Fifo, 0o600, 0));
    tree.add_parents(1_600_000_000);
    (Arc::new(tree), store)
}

fn view(directory: &std::path::Path, pruned: &[(&str, &str)]) -> View {
    view_with(directory, pruned, false)
}

fn view_with(directory: &std::path::Path, pruned: &[(&str, &str)], show_pruned: bool) -> View {
    let (tree, store) = small_root(directory);
    let pruned = pruned.iter().map(|(at, package)| (image_path(at), Some((*package).to_owned())));
    let options = Options {
        owner: (1000, 1000),
        pruned: Some(Arc::new(pruned.collect())),
        programs: Box::new(Named::default()),
        show_pruned,
        ..Options::default()
    };
    View::new(tree, store, options)
}

/// Walks as the kernel does, without following links.
fn walk(view: &View, thread: u32, at: &str) -> Option<NodeId> {
    let mut node = NodeId::ROOT;
    for name in at.split('/') {
        node = view.lookup(thread, node, name.as_bytes()).expect("a directory")?;
    }
    Some(node)
}

fn told(view: &View) -> Vec<String> {
    let uses = view.uses().into_iter();
    uses.map(|used| format!("{} {} {} {}", used.path, used.kinds, used.program, used.step)).collect()
}

#[test]
fn shows_the_tree() {
    let directory = tempfile::tempdir().expect("a directory");
    let view = view(directory.path(), &[]);
    let tool = walk(&view, 1, "usr/bin/tool").expect("is there");
    assert_eq!(walk(&view, 1, "usr/lib/tool"), Some(tool));
    let attributes = view.attributes(tool).expect("known");
    assert_eq!((attributes.links, attributes.size_bytes, attributes.mode), (2, 18, 0o755));
    let mut buffer = [0; 6];
    assert_eq!(view.read(tool, 12, &mut buffer).expect("reads"), 6);
    assert_eq!(&buffer, b"ho hi\n");
    assert_eq!(view.read(tool, 99, &mut buffer).expect("reads"), 0);
    assert_eq!(view.owner(), (1000, 1000));
    let mode = |at| view.attributes(walk(&view, 1, at).expect("is there")).expect("known").mode;
    assert_eq!((mode("usr/share/a/data"), mode("usr/share/a-b"), mode("bin")), (0o640, 0o400, 0o777));
    let usr = view.attributes(walk(&view, 1, "usr").expect("is there")).expect("known");
    assert_eq!((usr.links, usr.node_type), (5, NodeType::Directory));
}

#[test]
fn lists_by_name_from_any_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let view = view(directory.path(), &[]);
    let share = walk(&view, 1, "usr/share").expect("is there");
    let names = |skip| {
        let entries = view.list(1, share, skip).expect("a directory");
        entries.map(|(name, ..)| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
    };
    let all = [".", "..", "a", "a-b", "empty", "pipe"];
    for skip in 0..=all.len() + 1 {
        assert_eq!(names(skip), all[skip.min(all.len())..], "from {skip}");
    }
    let up = view.list(1, share, 1).expect("a directory").next().map(|(_, node, _)| node);
    assert_eq!(up, walk(&view, 1, "usr"));
    let file = walk(&view, 1, "usr/bin/tool").expect("is there");
    assert!(matches!(view.list(1, file, 0).map(|_| ()), Err(FsError::NotADirectory)));
    assert!(matches!(view.lookup(1, file, b"x"), Err(FsError::NotADirectory)));
}

#[test]
fn keeps_kinds_of_evidence_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let view = view(directory.path(), &[]);
    walk(&view, 1, "usr/share/empty");
    assert!(view.uses().is_empty(), "nothing is noted before recording starts");
    assert!(!view.caching());

    view.start_recording();
    assert!(view.caching());
    let bin = walk(&view, 1, "bin").expect("is there");
    view.read_link(1, bin).expect("a link");
    let tool = walk(&view, 1, "usr/bin/tool").expect("is there");
    view.open(1, tool, OpenMode { executing: true, writing: false }).expect("opens");
    view.mark("get:/");
    view.open(2, tool, OpenMode::default()).expect("opens");
    walk(&view, 2, "usr/share/empty");
    let share = walk(&view, 2, "usr/share").expect("is there");
    view.open_directory(2, share).expect("opens");
    assert_eq!(view.list(2, share, 0).expect("a directory").count(), 6);
    view.open_directory(2, walk(&view, 2, "dev").expect("is there")).expect("opens");
    walk(&view, 2, "usr/share/a");
    assert_eq!(walk(&view, 2, "usr/share/none"), None);
    assert_eq!(walk(&view, 2, "usr/lib/tool"), Some(tool));
    let data = walk(&view, 1, "usr/share/a/data").expect("is there");
    let refused = view.open(1, data, OpenMode { executing: false, writing: true });
    assert!(matches!(refused, Err(FsError::ReadOnly)));
    assert_eq!(
        told(&view),
        [
            "bin read-link /one start",
            "dev traversed /two get:/",
            "usr traversed /one start",
            "usr/bin traversed /one start",
            "usr/bin/tool executed,opened /one start",
            "usr/lib traversed /two get:/",
            // A hard link that was looked up is used as its file is.
            "usr/lib/tool executed,opened /one start",
            "usr/share listed,traversed /two get:/",
            "usr/share/a traversed /one get:/",
            "usr/share/a/data stat /one get:/",
            "usr/share/empty stat /two get:/",
            "usr/share/none absent /two get:/",
        ]
    );
}

#[test]
fn names_that_are_not_there_are_kept_within_bounds() {
    let directory = tempfile::tempdir().expect("a directory");
    for long in [0, 240] {
        let view = view(directory.path(), &[]);
        view.start_recording();
        let share = walk(&view, 1, "usr/share").expect("is there");
        let look = |number: usize| {
            let name = format!("{number:0>long$}");
            assert_eq!(view.lookup(1, share, name.as_bytes()).expect("a directory"), None);
            "usr/share/".len() + name.len()
        };
        let (mut names, mut bytes) = (0, 0);
        // Every name twice: what is known costs nothing.
        while names < recorder::ABSENT_LIMIT && bytes < recorder::ABSENT_LIMIT_BYTES {
            bytes += look(names);
            look(names);
            names += 1;
        }
        (names..names + 1000).for_each(|number| assert!(look(number) > 0));
        let kept = view.uses().into_iter().filter(|used| used.kinds == Kinds::ABSENT).count();
        assert_eq!(kept, names);
        // What is there is noted all the same.
        view.open(1, walk(&view, 1, "usr/bin/tool").expect("is there"), OpenMode::default()).expect("opens");
        assert!(view.uses().iter().any(|used| used.path == image_path("usr/bin/tool")));
    }
}

#[test]
fn our_own_reading_is_no_evidence() {
    let directory = tempfile::tempdir().expect("a directory");
    let view = view(directory.path(), &[("usr/share/none", "p")]);
    view.start_recording();
    let data = walk(&view, 9, "usr/share/a/data").expect("is there");
    view.open(9, data, OpenMode::default()).expect("opens");
    let share = walk(&view, 9, "usr/share").expect("is there");
    assert_eq!(view.list(9, share, 0).expect("a directory").count(), 6);
    assert_eq!(walk(&view, 9, "usr/share/none"), None);
    let tool = walk(&view, 9, "usr/bin/tool").expect("is there");
    view.open(9, tool, OpenMode { executing: true, writing: false }).expect("opens");
    // What it looked up is kept by the kernel, and no later app's lookup would be seen.
    let kinds: Vec<String> = view.uses().iter().map(|u| format!("{} {}", u.path, u.kinds)).collect();
    assert_eq!(
        kinds,
        [
            "usr traversed",
            "usr/bin traversed",
            "usr/bin/tool executed",
            "usr/share traversed",
            "usr/share/a traversed",
            "usr/share/a/data stat",
        ]
    );
    assert!(view.misses(0).is_empty());
    view.open(1, data, OpenMode::default()).expect("opens");
    assert!(view.uses().iter().any(|u| u.path == image_path("usr/share/a/data") && u.kinds == Kinds::OPENED));
}

#[test]
fn names_what_was_pruned_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (tree, store) = small_root(directory.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let pruned: Pruned =
        [(image_path("usr/share/locale"), Some("libc6".into())), (image_path("usr/x"), None)].into();
    let options = Options {
        record: false,
        pruned: Some(Arc::new(pruned)),
        on_miss: Some(Box::new({
            let heard = heard.clone();
            move |miss: &PrunedAccess| heard.lock().expect("whole").push(miss.path.to_string())
        })),
        programs: Box::new(Named::default()),
        ..Options::default()
    };
    let view = View::new(tree, store, options);
    assert!(view.caching());
    for at in ["usr/share/locale", "usr/share/never", "usr/x", "usr/share/locale"] {
        assert_eq!(walk(&view, 2, at), None);
    }
    let misses = view.misses(0);
    let shown: Vec<_> = misses.iter().map(|m| (m.path.to_string(), m.package.as_deref())).collect();
    assert_eq!(shown, [("usr/share/locale".into(), Some("libc6")), ("usr/x".into(), None)]);
    assert_eq!(*heard.lock().expect("whole"), ["usr/share/locale", "usr/x"]);
    assert_eq!(view.misses(1).len(), 1);
    assert!(view.misses(5).is_empty());
    assert!(view.uses().is_empty());
}

#[test]
fn a_tree_without_parents_is_shown_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(Store::open(directory.path()).expect("opens"));
    let mut tree = Tree::new();
    tree.insert(path("a/b/c"), Entry::file(Digest::of(b"lost"), 4, 0o644, 0));
    let view = View::new(Arc::new(tree), store.clone(), Options::default());
    let node = walk(&view, 1, "a/b/c").expect("is there");
    assert!(matches!(view.read(node, 0, &mut [0; 4]), Err(FsError::Contents(_))));
    assert!(matches!(view.attributes(NodeId(77)), Err(FsError::NoNode)));
    let empty = View::new(Arc::default(), store, Options::default());
    assert_eq!(empty.list(1, NodeId::ROOT, 0).expect("a directory").count(), 2);
}

#[test]
fn a_listing_without_its_pruned_names_is_told_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let pruned = [
        ("usr/share/a/gone.py", "p"),
        ("usr/share/a/sub/x", "p"),
        ("usr/share/a/sub", "p"),
        ("etc/x/y", "p"),
    ];
    for show in [false, true] {
        let view = view_with(&directory.path().join(show.to_string()), &pruned, show);
        let id = walk(&view, 1, "usr/share/a").expect("is there");
        let names = |skip| -> Vec<(String, NodeType)> {
            let listed = view.list(1, id, skip).expect("lists");
            listed.map(|(name, _, kind)| (String::from_utf8_lossy(name).into_owned(), kind)).collect()
        };
        let all = names(0);
        let shown: Vec<&str> = all.iter().map(|(name, _)| &name[..]).collect();
        let mut expected = vec![".", "..", "data"];
        if show {
            expected.extend(["gone.py", "sub"]);
            assert_eq!((all[3].1, all[4].1), (NodeType::File, NodeType::Directory));
        }
        assert_eq!(shown, expected);
        for skip in 0..=all.len() + 1 {
            assert_eq!(names(skip), all.get(skip..).unwrap_or_default(), "from {skip}");
        }
        // A shown name is not there, and asking for it is a miss.
        assert_eq!(view.lookup(2, id, b"gone.py").expect("a directory"), None);
        view.list(2, walk(&view, 1, "usr/bin").expect("is there"), 0).expect("lists").for_each(drop);
        let told: Vec<(String, Missed)> =
            view.misses(0).into_iter().map(|miss| (miss.path.to_string(), miss.how)).collect();
        assert_eq!(
            told,
            [
                ("usr/share/a".to_owned(), Missed::Listed(2)),
                ("usr/share/a/gone.py".to_owned(), Missed::Absent)
            ]
        );
    }
}

#[test]
fn our_own_listings_are_no_ones_question() {
    let directory = tempfile::tempdir().expect("a directory");
    let view = view_with(directory.path(), &[("usr/share/a/gone", "p")], true);
    let id = walk(&view, 9, "usr/share/a").expect("is there");
    let names = |thread| view.list(thread, id, 0).expect("lists").count();
    // The one that copies what it lists sees what is there.
    assert_eq!(names(9) + 1, names(1));
    assert_eq!(view.misses(0).len(), 1);
}
