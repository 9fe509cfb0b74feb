//! Pools, filled from a made server.

use std::sync::Arc;

use super::*;
use crate::{
    digest::Digest,
    download,
    testing::{self, FastClock, Server},
};

struct Fixture {
    served: tempfile::TempDir,
    place: tempfile::TempDir,
    server: Server,
}

const PATHS: [&str; 3] =
    ["pool/main/a/a_1+b_amd64.deb", "archives/other/c_1_all.deb", "npm/@s/leaf/-/leaf-1.0.0.tgz"];

fn fixture() -> Fixture {
    let (served, place) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    for path in PATHS {
        let file = served.path().join(path);
        fs::create_dir_all(file.parent().expect("has one")).expect("makes");
        fs::write(file, path).expect("writes");
    }
    let server = Server::start(served.path());
    Fixture { served, place, server }
}

impl Fixture {
    fn pool(&self) -> PathBuf {
        self.place.path().join("new/pool")
    }

    fn item(&self, path: &str) -> Item {
        let wanted = Wanted {
            what: path.into(),
            urls: url_below(&self.server.url(), path).into_iter().collect(),
            past: Vec::new(),
            length: Length::Exactly(path.len() as u64),
            checksum: Digest::of(path.as_bytes()).into(),
            mode: 0o600,
        };
        Item { path: path.into(), wanted }
    }

    fn items(&self) -> Vec<Item> {
        PATHS.iter().map(|path| self.item(path)).collect()
    }

    fn fill(&self, items: &[Item]) -> Result<Filled, PoolError> {
        let clock = Arc::new(FastClock::default());
        let downloader = Downloader::new(download::Options { clock, ..download::Options::default() });
        fill(&self.pool(), items, &downloader, &Progress::silent())
    }
}

#[test]
fn what_is_there_and_right_is_not_fetched_again() {
    let fixture = fixture();
    let items = [fixture.items(), fixture.items()].concat();
    let filled = fixture.fill(&items).expect("fills");
    let bytes: usize = PATHS.iter().map(|path| path.len()).sum();
    assert_eq!((filled.files, filled.fetched, filled.fetched_bytes), (3, 3, bytes as u64));
    for path in PATHS {
        let file = fixture.pool().join(path);
        assert_eq!(fs::read_to_string(&file).expect("reads"), path);
        assert_eq!(fs::metadata(&file).expect("is there").permissions().mode() & 0o7777, 0o644);
        let above = file.parent().expect("has one");
        assert_eq!(fs::metadata(above).expect("is there").permissions().mode() & 0o7777, 0o755);
    }
    fixture.server.requests();
    let again = fixture.fill(&items).expect("fills");
    assert_eq!(again, Filled { files: 3, ..Filled::default() });
    assert_eq!(fixture.server.requests(), []);
    // Nothing but packages and the mark is left in it.
    let names: Vec<_> =
        fs::read_dir(fixture.pool()).expect("lists").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 4);
}

#[test]
fn what_is_damaged_is_replaced() {
    let fixture = fixture();
    fixture.fill(&fixture.items()).expect("fills");
    let (short, other) = (fixture.pool().join(PATHS[0]), fixture.pool().join(PATHS[1]));
    fs::write(&short, "short").expect("writes");
    fs::write(&other, PATHS[1].to_uppercase()).expect("writes");
    let filled = fixture.fill(&fixture.items()).expect("fills");
    assert_eq!((filled.fetched, filled.damaged), (2, vec![PATHS[1].to_owned(), PATHS[0].to_owned()]));
    assert_eq!(fs::read_to_string(&short).expect("reads"), PATHS[0]);
}

#[test]
fn what_cannot_be_had_keeps_nothing_else_out() {
    let fixture = fixture();
    fixture.server.fault(PATHS[0], testing::Fault::Status(404));
    let error = fixture.fill(&fixture.items()).expect_err("one is lacking");
    assert!(error.to_string().starts_with(&format!("cannot fetch {}: it is not there", PATHS[0])), "{error}");
    assert!(error.hint().expect("a hint").contains("--snapshot-service"));
    assert!(!fixture.pool().join(PATHS[0]).exists() && fixture.pool().join(PATHS[1]).exists());
    fixture.server.heal();
    assert_eq!(fixture.fill(&fixture.items()).expect("fills").fetched, 1);
}

#[test]
fn only_packages_that_are_not_needed_are_removed() {
    let fixture = fixture();
    fixture.fill(&fixture.items()).expect("fills");
    let pool = fixture.pool();
    for path in ["pool/main/a/README", "own.deb", "own/x.deb", "npm/x.deb"] {
        fs::create_dir_all(pool.join(path).parent().expect("has one")).expect("makes");
        fs::write(pool.join(path), "mine").expect("writes");
    }
    std::os::unix::fs::symlink(pool.join("own"), pool.join("pool/link")).expect("links");
    let removed = prune(&pool, &[fixture.item(PATHS[1])]).expect("prunes");
    assert_eq!(removed, [PATHS[2], PATHS[0]]);
    for path in ["pool/main/a/README", "own.deb", "own/x.deb", "npm/x.deb", PATHS[1], "pool/link"] {
        assert!(pool.join(path).exists(), "{path}");
    }
    assert!(!pool.join("npm/@s").exists());
    // Indexes stay unless there are others.
    let index = |digit: char| format!("dists/x/main/binary-amd64/by-hash/SHA256/{digit}");
    for path in [index('1'), index('2'), "dists/x/InRelease".into()] {
        fs::create_dir_all(pool.join(&path).parent().expect("has one")).expect("makes");
        fs::write(pool.join(&path), "text").expect("writes");
    }
    let needed = |path: &str| fixture.item(path);
    assert_eq!(prune(&pool, &[needed(PATHS[1])]).expect("prunes"), Vec::<String>::new());
    assert_eq!(prune(&pool, &[needed(PATHS[1]), needed(&index('2'))]).expect("prunes"), [index('1')]);
    assert!(pool.join("dists/x/InRelease").exists());
    assert_eq!(prune(&pool, &[]).expect("prunes"), [PATHS[1]]);
    assert_eq!(prune(&fixture.place.path().join("nothing"), &[]).expect("prunes"), Vec::<String>::new());
}

#[test]
fn paths_of_a_lock_cannot_leave_the_pool() {
    let fixture = fixture();
    for path in ["../a.deb", "/a.deb", "pool/../../a.deb", "pool/a.sh", ".bashrc", "", "a\n.deb"] {
        let error = fixture.fill(&[fixture.item(path)]).expect_err(path);
        assert!(matches!(error, PoolError::Path { .. }), "{path}: {error}");
    }
    assert_eq!(fs::read_dir(fixture.place.path()).expect("lists").count(), 0);
    let mut clash = fixture.items();
    clash.push(Item { path: PATHS[0].into(), ..fixture.item(PATHS[1]) });
    let error = fixture.fill(&clash).expect_err("a clash");
    assert!(error.to_string().contains("two recipes have other checksums for pool/main/a/a_1+b"), "{error}");
    assert!(fixture.served.path().exists());
}

#[test]
fn a_directory_that_another_tool_made_is_left_alone() {
    let fixture = fixture();
    let (pool, foreign) = (fixture.pool(), fixture.pool().join(PATHS[0]));
    fs::create_dir_all(foreign.parent().expect("has one")).expect("makes");
    fs::write(&foreign, "theirs").expect("writes");
    for error in [
        check(&pool).expect_err("not ours"),
        prune(&pool, &[]).expect_err("not ours"),
        fixture.fill(&fixture.items()).expect_err("not ours"),
    ] {
        assert!(matches!(error, PoolError::Foreign(_)), "{error}");
        assert!(error.hint().expect("a hint").contains("--output"));
    }
    assert_eq!(fs::read_to_string(&foreign).expect("reads"), "theirs");
    assert_eq!(fs::read_dir(&pool).expect("lists").count(), 1);
    assert_eq!(fixture.server.requests(), []);
    // One that is empty, or a new file system, becomes ours.
    fs::remove_dir_all(&pool).expect("removes");
    fs::create_dir_all(pool.join("lost+found")).expect("makes");
    fixture.fill(&fixture.items()).expect("fills");
    let mark = fs::metadata(pool.join("tinyroot-pool")).expect("is there");
    assert_eq!(mark.permissions().mode() & 0o7777, 0o644);
    assert_eq!(prune(&pool, &[]).expect("prunes").len(), 3);
    // A directory or a link of the mark's name does not count.
    fs::remove_file(pool.join("tinyroot-pool")).expect("removes");
    fs::create_dir(pool.join("tinyroot-pool")).expect("makes");
    assert!(matches!(check(&pool), Err(PoolError::Foreign(_))));
}

#[test]
fn what_stands_in_the_way_in_a_pool_is_named() {
    let fixture = fixture();
    let place = fixture.pool().join(PATHS[0]);
    fixture.fill(&[]).expect("fills");
    fs::create_dir_all(&place).expect("makes");
    let error = fixture.fill(&fixture.items()).expect_err("is a directory");
    let expected = format!("cannot put {} into the pool: {} is a directory", PATHS[0], place.display());
    assert_eq!((error.to_string(), error.hint().as_deref()), (expected, Some("remove this directory")));
    let file = place.parent().expect("has one");
    fs::remove_dir_all(file).expect("removes");
    fs::write(file, "text").expect("writes");
    let error = fixture.fill(&fixture.items()).expect_err("is a file");
    assert!(matches!(&error, PoolError::NotDirectory(path) if path == file), "{error}");
    fs::remove_dir_all(fixture.pool()).expect("removes");
    fs::write(fixture.pool(), "text").expect("writes");
    let error = check(&fixture.pool()).expect_err("is a file");
    assert!(error.to_string().ends_with("as a directory of a pool: it is something else"), "{error}");
}
