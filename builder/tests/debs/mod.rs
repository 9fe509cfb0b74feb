//! Real packages for tests: those in the directory that `TINYROOT_TEST_DEBS` names (`apt-get download` fills one).

use std::{fs, path::Path};

use tinyroot::{
    fetch::{Fetched, FetchedDeb},
    formats::digest::Digest,
    lock::LockedPackage,
};

/// Returns them sorted by file name; `None`, with a word on stderr, where there are none.
pub fn fetched() -> Option<Fetched> {
    let Some(debs) = std::env::var_os("TINYROOT_TEST_DEBS") else {
        eprintln!("skipped: TINYROOT_TEST_DEBS names no directory of .debs");
        return None;
    };
    let mut files: Vec<_> = fs::read_dir(debs).expect("lists").map(|e| e.expect("lists").path()).collect();
    files.sort();
    let debs: Vec<FetchedDeb> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        .map(|path| FetchedDeb { package: locked(&path), path })
        .collect();
    Some(Fetched { debs, fetched_bytes: 0 })
}

fn locked(path: &Path) -> LockedPackage {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name").replace("%3a", ":");
    let words: Vec<&str> = name.trim_end_matches(".deb").split('_').collect();
    let file = fs::File::open(path).expect("opens");
    let (digest, size_bytes) = Digest::of_reader(file).expect("reads");
    LockedPackage {
        name: words[0].into(),
        version: words[1].into(),
        architecture: words[2].into(),
        suite: "bookworm".into(),
        path: format!("pool/{name}"),
        size_bytes,
        digest,
        because: String::new(),
    }
}
