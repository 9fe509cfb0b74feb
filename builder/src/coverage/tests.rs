use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    evidence::Pruned,
    layout::ImagePath,
    prove::ExploredPage,
    store::Store,
    tree::{Entry, Tree},
};

const RECIPE: &str = r#"
[app]
name = "wiki"
packages = ["wiki"]
[debian]
suite = "bookworm"
[[file]]
path = "/app/start.sh"
content = "exec wiki\n"
[[service]]
name = "web"
command = ["/usr/bin/wiki"]
[[service]]
name = "idle"
command = ["/usr/bin/idle"]
"#;

fn path(text: &str) -> TreePath {
    TreePath::new(text.as_bytes()).expect("a good path")
}

/// A program of five pages, of which those from the second to the fourth are text.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 5 * PAGE_BYTES as usize];
    bytes[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(20, &1_u32.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    for (at, value) in [(52, 64_u16), (54, 56), (56, 2), (58, 64)] {
        put(at, &value.to_le_bytes());
    }
    for (header, flags, offset, size) in [(64, 4_u32, 0_u64, 4096_u64), (120, 5, 4096, 2 * 4096 + 1)] {
        put(header, &1_u32.to_le_bytes());
        put(header + 4, &flags.to_le_bytes());
        put(header + 8, &offset.to_le_bytes());
        put(header + 32, &size.to_le_bytes());
    }
    bytes
}

/// A wiki with 100 bytes in each of its files, if nothing else is said.
struct Wiki {
    store: Store,
    tree: Tree,
    recipe: Recipe,
    _directory: tempfile::TempDir,
}

impl Wiki {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("recipe.toml"), RECIPE).expect("writes");
        let recipe = crate::recipe::read(directory.path()).expect("a good recipe");
        let store = Store::open(&directory.path().join("cache")).expect("opens");
        let mut wiki = Wiki { store, tree: Tree::new(), recipe, _directory: directory };
        for at in [
            "index.php",
            "inc/a.php",
            "inc/b.php",
            "inc/c.php",
            "admin/x.php",
            "admin/more/y.php",
            "logo.png",
        ] {
            wiki.add(&format!("usr/share/wiki/{at}"), &[b'x'; 100]);
        }
        for at in
            ["main.py", "__pycache__/main.cpython-311.pyc", "other.py", "__pycache__/other.cpython-311.pyc"]
        {
            wiki.add(&format!("usr/lib/python3/dist-packages/wiki/{at}"), &[b'x'; 100]);
        }
        for at in ["usr/share/wiki/lang/de/main.php", "usr/share/wiki/lang/en/main.php"] {
            wiki.add(at, &[b'x'; 100]);
        }
        wiki.add("usr/bin/wiki", &program());
        wiki.add("app/start.sh", b"exec wiki\n");
        // Not the app's own, or not what it does.
        for at in ["usr/bin/idle", "usr/share/other/a.php", "usr/share/doc/wiki/README", "tinyroot/papers/x"]
        {
            wiki.add(at, b"x");
        }
        wiki.add("tinyroot/var/lib/wiki/page.txt", &[b'x'; 100]);
        wiki.tree.add_parents(0);
        wiki
    }

    fn add(&mut self, at: &str, bytes: &[u8]) {
        self.tree.insert(path(at), Entry::file(self.store.put(bytes), bytes.len() as u64, 0o644, 0));
    }

    fn coverage(&self, survey: &Survey) -> Coverage {
        let owner = |at: &[u8]| {
            let text = String::from_utf8_lossy(at);
            (text.contains("wiki") && !text.contains(".pyc")).then(|| "wiki".to_owned())
        };
        // The other languages are not in the image, and yet they show that `lang` has languages.
        let lacking = ["es", "fr", "it"].map(|code| path(&format!("usr/share/wiki/lang/{code}")));
        let pruned: Pruned = lacking.iter().map(|path| (ImagePath::of_stage(path), None)).collect();
        let own = OwnFiles::of(&self.tree, &self.recipe, &owner, &pruned, &self.store);
        assert_eq!(own.tracked(), BTreeSet::from([ImagePath::of_stage(&path("usr/bin/wiki"))]));
        Coverage::of(&own, survey, &self.recipe, Digest::of(b"tree"))
    }
}

fn shown(share: &Share) -> String {
    let Share { files, reached_files, explored_files, bytes, reached_bytes, explored_bytes } = share;
    format!("{reached_files}+{explored_files} of {files}, {reached_bytes}+{explored_bytes} of {bytes}")
}

fn survey() -> Survey {
    let page = |path: &str, status| ExploredPage { path: path.to_owned(), status };
    Survey {
        reached: [
            "usr/share/wiki/index.php",
            "usr/share/wiki/inc/a.php",
            "usr/lib/python3/dist-packages/wiki/__pycache__/main.cpython-311.pyc",
            "usr/bin/wiki",
            "app/start.sh",
            "usr/share/other/a.php",
            "usr/share/wiki/lang/de/main.php",
            "var/lib/wiki/page.txt",
        ]
        .map(path)
        .into(),
        beyond: [
            ("usr/share/wiki/inc/b.php", Some(0)),
            ("usr/share/wiki/inc/c.php", Some(2)),
            ("usr/share/wiki/admin/x.php", Some(1)),
        ]
        .map(|(at, page)| (path(at), page))
        .into(),
        read: BTreeMap::from([(path("usr/bin/wiki"), BTreeSet::from([0, 1]))]),
        read_beyond: BTreeMap::from([(path("usr/bin/wiki"), BTreeSet::from([0, 1, 3, 4]))]),
        services: BTreeMap::from([("web".to_owned(), ServiceUse { at_start: 2, in_steps: 3 })]),
        pages: vec![page("/b", 500), page("/admin?a=\"1\"", 403), page("/c", 200)],
        left: 7,
        ..Survey::default()
    }
}

#[test]
fn what_was_reached_is_told_by_language_directory_service_and_locale() {
    let coverage = Wiki::new().coverage(&survey());
    let rows = |rows: Vec<(String, &Share)>| -> Vec<String> {
        rows.into_iter().map(|(name, share)| format!("{name} {}", shown(share))).collect()
    };
    let languages = coverage.languages.iter().map(|row| (format!("{:?}", row.language), &row.share));
    assert_eq!(
        rows(languages.collect()),
        [
            "Php 2+3 of 6, 200+300 of 600",
            "Python 1+0 of 2, 100+0 of 200",
            "Shell 1+0 of 1, 10+0 of 10",
            "Compiled 1+0 of 1, 4096+4096 of 12288",
            "Asset 0+0 of 1, 0+0 of 100",
            "Translation 1+0 of 2, 100+0 of 200",
            "Data 1+0 of 1, 100+0 of 100",
        ]
    );
    assert_eq!(shown(&coverage.total), "7+3 of 14, 4606+4396 of 13498");
    let directories = coverage.directories.iter().map(|row| (row.path.clone(), &row.share));
    assert_eq!(
        rows(directories.collect()),
        [
            "/app 1+0 of 1, 10+0 of 10",
            "/usr 5+3 of 12, 4496+4396 of 13388",
            "/usr/bin 1+0 of 1, 4096+4096 of 12288",
            "/usr/lib/python3/dist-packages/wiki 1+0 of 2, 100+0 of 200",
            "/usr/share/wiki 3+3 of 9, 300+300 of 900",
            "/usr/share/wiki/admin 0+1 of 2, 0+100 of 200",
            "/usr/share/wiki/inc 1+2 of 3, 100+200 of 300",
            "/usr/share/wiki/lang 1+0 of 2, 100+0 of 200",
            "/var/lib/wiki 1+0 of 1, 100+0 of 100",
        ]
    );
    let locales = coverage.locales.iter().map(|row| (row.locale.clone(), &row.share));
    assert_eq!(rows(locales.collect()), ["de 1+0 of 1, 100+0 of 100", "en 0+0 of 1, 0+0 of 100"]);
    let services: Vec<(&str, usize, usize)> = coverage
        .services
        .iter()
        .map(|row| (&row.service[..], row.files_at_start, row.files_in_steps))
        .collect();
    assert_eq!(services, [("web", 2, 3), ("idle", 0, 0)]);
    assert_eq!((coverage.explored, coverage.not_explored, coverage.unseen_files), (3, 7, 0));
}

#[test]
fn the_largest_parts_that_were_not_reached_come_with_a_step() {
    let coverage = Wiki::new().coverage(&survey());
    let parts: Vec<String> = coverage
        .unreached
        .iter()
        .map(|part| {
            let Part { path, language, files, bytes, step } = part;
            let step =
                step.as_ref().map(|step| format!("{} by {}", step.files, step.toml.replace('\n', " ")));
            format!("{path} {language:?} {files} {bytes}: {}", step.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        parts,
        [
            "/usr/share/wiki/admin/ Php 2 200: 1 by [[exercise]] get = '/admin?a=\"1\"' status = 403 ",
            // A page that fails is no step.
            "/usr/share/wiki/inc/* Php 2 200: 1 by [[exercise]] get = \"/c\" ",
            "/usr/lib/python3/dist-packages/wiki/other.py Python 1 100: ",
            "/usr/share/wiki/logo.png Asset 1 100: ",
        ]
    );
}

#[test]
fn copies_whose_readers_are_not_seen_do_not_count() {
    let survey = Survey { unseen: BTreeSet::from([path("var/lib/wiki/page.txt")]), ..survey() };
    let coverage = Wiki::new().coverage(&survey);
    assert_eq!((coverage.unseen_files, coverage.total.files), (1, 13));
    assert!(coverage.languages.iter().all(|row| row.language != Language::Data));
}

#[test]
fn a_document_reads_back() {
    let coverage = Wiki::new().coverage(&survey());
    let text = serde_json::to_string(&coverage).expect("writes");
    assert_eq!(serde_json::from_str::<Coverage>(&text).expect("reads"), coverage);
}
