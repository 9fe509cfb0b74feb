//! Evidence for a grain's first `/var`, which lies on an ordinary file system and not in the view.
//!
//! The first process copies the skeleton there and gives each copy its original's time as modification and
//! access time. A read then sets the access time (even under `relatime`), a write the modification
//! time, so that what happened since shows afterwards. What was only found by stat does not.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, fstat, futimens, open, openat2},
    io::Result,
};

use super::Kinds;
use crate::{
    layout::ImagePath,
    tree::{Entry, Kind, TreePath},
};

/// Returns how files of the skeleton, of which a grain has copies, were used, by their stage paths, after it ran on
/// `var`.
///
/// Where the file system does not show reads, every file that is unchanged counts as opened.
///
/// # Errors
/// A `/var` that cannot be opened.
pub fn used_copies<'a>(
    copied: impl Iterator<Item = (&'a TreePath, &'a Entry)>,
    var: &Path,
    shows_reads: bool,
) -> Result<Vec<(TreePath, Kinds)>> {
    let root = open(var, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut out = Vec::new();
    for (path, entry) in copied {
        let Kind::File { size_bytes, .. } = &entry.kind else { continue };
        let below = path.as_bytes().strip_prefix(b"tinyroot/var/").unwrap_or_default();
        let stage = ImagePath::in_image(path.clone()).to_stage();
        let kinds = match stat_below(&root, below) {
            Ok(found) => used(&found, *size_bytes, entry.mtime_s, shows_reads),
            Err(_) => Kinds::WRITTEN,
        };
        if !kinds.is_empty() {
            out.push((stage, kinds));
        }
    }
    Ok(out)
}

/// Stats a path below a directory. No link is followed: the app may have put one anywhere.
fn stat_below(root: &impl std::os::fd::AsFd, below: &[u8]) -> Result<Stat> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    fstat(openat2(root, below, flags, Mode::empty(), resolve)?)
}

fn used(found: &Stat, size_bytes: u64, mtime_s: i64, shows_reads: bool) -> Kinds {
    let same = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && u64::try_from(found.st_size) == Ok(size_bytes)
        && (found.st_mtime, found.st_mtime_nsec) == (mtime_s, 0);
    let read = !shows_reads || (found.st_atime, found.st_atime_nsec) != (mtime_s, 0);
    match (same, read) {
        (true, false) => Kinds::none(),
        (true, true) => Kinds::OPENED,
        // Setting a file's time back is a change as well, so files that were also read cannot be recognised
        // here.
        (false, _) => Kinds::WRITTEN,
    }
}

/// Returns whether reading a file changes its access time there: not on a mount with `noatime`.
pub fn shows_reads(directory: &Path) -> bool {
    let probe = || -> std::io::Result<bool> {
        let mut file = tempfile::tempfile_in(directory)?;
        file.write_all(b"probe")?;
        let past = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
        futimens(&file, &Timestamps { last_access: past, last_modification: past })?;
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut [0])?;
        Ok(fstat(&file)?.st_atime != past.tv_sec)
    };
    probe().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{digest::Digest, layout::SKELETON, tree::Tree};

    #[test]
    fn tells_reads_from_writes() {
        let directory = tempfile::tempdir().expect("a directory");
        let mtime = Timespec { tv_sec: 1_600_000_000, tv_nsec: 0 };
        let mut tree = Tree::new();
        for name in ["lib/cut", "lib/idle", "lib/read", "lib/same-size", "lib/gone", "lib/link", "out/x"] {
            let path = TreePath::new(format!("tinyroot/var/{name}").as_bytes()).expect("good");
            tree.insert(path, Entry::file(Digest::of(b"12345"), 5, 0o644, mtime.tv_sec));
            let at = directory.path().join(name);
            fs::create_dir_all(at.parent().expect("has one")).expect("creates");
            fs::write(&at, "12345").expect("writes");
            let file = fs::File::open(&at).expect("opens");
            futimens(&file, &Timestamps { last_access: mtime, last_modification: mtime }).expect("sets");
        }
        tree.add_parents(0);
        let at = |name: &str| directory.path().join("lib").join(name);
        fs::read(at("read")).expect("reads");
        fs::write(at("cut"), "1").expect("writes");
        fs::write(at("same-size"), "54321").expect("writes");
        fs::remove_file(at("gone")).expect("removes");
        fs::remove_file(at("link")).expect("removes");
        symlink("idle", at("link")).expect("links");
        fs::remove_dir_all(directory.path().join("out")).expect("removes");
        symlink("/etc", directory.path().join("out")).expect("links");
        let shows_reads = shows_reads(directory.path());
        let found = used_copies(tree.subtree(SKELETON), directory.path(), shows_reads).expect("opens");
        let shown: Vec<String> = found.iter().map(|(path, kinds)| format!("{path} {kinds}")).collect();
        let mut expected = vec![
            "var/lib/cut written",
            "var/lib/gone written",
            "var/lib/link written",
            "var/lib/read opened",
            "var/lib/same-size written",
            "var/out/x written",
        ];
        if !shows_reads {
            expected.insert(2, "var/lib/idle opened");
        }
        assert_eq!(shown, expected);
    }
}
