//! The side effects that an app leaves when it has been stopped: the files in its `/var`, those shipped there
//! that it changed, and what it said about failures.
//!
//! Both are compared as answers are, so names and lines are given as they are; what changes by itself is
//! folded there.

use std::{io, ops::ControlFlow, path::Path};

use rustix::fs::FileType;

use crate::{
    deep::{self, Found},
    digest::Digest,
    exercise::{CommandOutput, Outcome, Record},
    tree::Entry,
};

/// Words of lines that report failures, in lower case.
const FAILURES: [&str; 10] =
    ["cannot", "can't", "couldn't", "denied", "error", "fail", "fatal", "no such", "not found", "unable"];

/// The name of the record of files.
const FILES: &str = "files left in /var";

/// Most names that are compared; an app that leaves more is compared by that alone.
const NAMES_LIMIT: usize = 100_000;

/// The entry of a root at a path of the stage.
pub(super) enum Shipped<'a> {
    /// Nothing: the app made what is there.
    No,
    /// Something that the root itself lacks, since it was pruned.
    Pruned,
    /// This.
    Yes(&'a Entry),
}

/// Returns true if a line reports a failure.
pub(super) fn tells_failure(line: &str) -> bool {
    let line = line.to_lowercase();
    FAILURES.iter().any(|word| line.contains(word))
}

/// Returns the records of what was left: the files and links below `var`, each by its path in the stage root,
/// without those that were shipped and are as they were, and the lines of `printed` that report failures.
/// Very many names, and that something lies too deep or in a closed directory, are reported as such.
///
/// # Errors
/// A `var` that cannot be opened; a changed file that cannot be read.
pub(super) fn records<'a>(
    var: &Path,
    shipped: &dyn Fn(&str) -> Shipped<'a>,
    printed: &[Vec<u8>],
) -> io::Result<Vec<Record>> {
    let names = list(var, shipped)?;
    let lines: Vec<String> = printed
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|line| tells_failure(line))
        .collect();
    let record = |what: &str, lines: Vec<String>| Record {
        step: 0,
        what: what.to_owned(),
        outcome: Outcome::Ran(CommandOutput { status: 0, output: lines.join("\n").into_bytes() }),
    };
    Ok(vec![record(FILES, names), record("failures told in the log", lines)])
}

/// Leaves out of the records of a full root the shipped files that the app changed and that are pruned: what
/// is there on the pruned root, the app made alone, such as the files of a database that setup makes anew.
pub(super) fn leave_out_pruned(left: &mut [Record], is_pruned: &dyn Fn(&str) -> bool) {
    for record in left.iter_mut().filter(|record| record.what == FILES) {
        let Outcome::Ran(ran) = &mut record.outcome else { continue };
        let text = String::from_utf8_lossy(&ran.output).into_owned();
        let is_kept = |line: &&str| !line.strip_prefix("changed file /").is_some_and(is_pruned);
        ran.output = text.lines().filter(is_kept).collect::<Vec<_>>().join("\n").into_bytes();
    }
}

/// Lists what is below a directory, sorted; no link is followed. Directories themselves are left out:
/// packages ship many that nothing is in, and they may be there or not.
fn list<'a>(var: &Path, shipped: &dyn Fn(&str) -> Shipped<'a>) -> io::Result<Vec<String>> {
    let (mut names, mut failed) = (Vec::new(), None);
    let is_whole = deep::walk(var, &mut |found| {
        match line_of(found, shipped) {
            Ok(line) => names.extend(line),
            Err(error) => failed = Some(error),
        }
        let goes_on = failed.is_none() && names.len() <= NAMES_LIMIT;
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    match failed {
        Some(error) => return Err(error),
        // Which came first is by chance.
        None if names.len() > NAMES_LIMIT => names = vec![format!("more than {NAMES_LIMIT} files and links")],
        None if !is_whole => names.push("directories that are too deep or closed".into()),
        None => {}
    }
    names.sort();
    Ok(names)
}

fn line_of<'a>(found: &Found<'_>, shipped: &dyn Fn(&str) -> Shipped<'a>) -> io::Result<Option<String>> {
    if found.is_directory() {
        return Ok(None);
    }
    let name = format!("var/{}", String::from_utf8_lossy(found.path));
    Ok(match (shipped(&name), found.kind() == FileType::Symlink) {
        (Shipped::No, true) => Some(format!("link /{name}")),
        (Shipped::No, false) => Some(format!("file /{name}")),
        (Shipped::Yes(shipped), false) if is_changed(found, shipped)? => {
            Some(format!("changed file /{name}"))
        }
        _ => None,
    })
}

/// Returns whether a file is another one than was shipped. A copy that was not touched has its time; others
/// are read.
fn is_changed(found: &Found<'_>, shipped: &Entry) -> io::Result<bool> {
    let Some((digest, size_bytes)) = shipped.kind.content() else { return Ok(false) };
    let stat = found.stat;
    if found.kind() != FileType::RegularFile || u64::try_from(stat.st_size) != Ok(size_bytes) {
        return Ok(true);
    }
    let untouched = (stat.st_mtime, stat.st_mtime_nsec) == (shipped.mtime_s, 0);
    Ok(!untouched && Digest::of(&found.read(size_bytes)?) != digest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_an_app_leaves_without_end_is_told_as_such() {
        let directory = tempfile::tempdir().expect("a directory");
        let shipped = |_: &str| Shipped::No;
        // Deeper than is gone down.
        let mut at = directory.path().join("deep").join("d/".repeat(80));
        fs::create_dir_all(&at).expect("makes");
        fs::write(directory.path().join("near"), "").expect("writes");
        at.push("far");
        fs::write(at, "").expect("writes");
        let deep = list(directory.path(), &shipped).expect("lists");
        assert_eq!(deep, ["directories that are too deep or closed", "file /var/near"]);
        for index in 0..=NAMES_LIMIT {
            std::os::unix::fs::symlink("x", directory.path().join(index.to_string())).expect("links");
        }
        let many = list(directory.path(), &shipped).expect("lists");
        assert_eq!(many, ["more than 100000 files and links"]);
        deep::remove(directory.path()).expect("removes");
    }

    #[test]
    fn names_and_failures_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let var = directory.path();
        fs::create_dir_all(var.join("lib/tea")).expect("creates");
        fs::write(var.join("lib/tea/leaf"), "").expect("writes");
        std::os::unix::fs::symlink("/", var.join("away")).expect("links");
        let printed =
            [&b"ready"[..], b"[ERROR] no tea", b"it couldn't be poured", b"bye"].map(<[u8]>::to_vec);
        for (name, text) in [("shipped", "1"), ("touched", "1"), ("changed", "2"), ("longer", "11")] {
            fs::write(var.join("lib/tea").join(name), text).expect("writes");
        }
        std::os::unix::fs::symlink("/tinyroot/var/lib/tea/code", var.join("lib/tea/code")).expect("links");
        let entry = Entry::file(Digest::of(b"1"), 1, 0o644, 0);
        let shipped = |name: &str| match name {
            "var/lib/tea/leaf" | "var/away" => Shipped::No,
            "var/lib/tea/shipped" => Shipped::Pruned,
            _ => Shipped::Yes(&entry),
        };
        let told: Vec<(String, String)> = records(var, &shipped, &printed)
            .expect("lists")
            .into_iter()
            .map(|record| {
                let Outcome::Ran(ran) = record.outcome else { panic!("all are alike") };
                (record.what, String::from_utf8(ran.output).expect("text"))
            })
            .collect();
        let files = "changed file /var/lib/tea/changed\nchanged file /var/lib/tea/longer\n\
                     file /var/lib/tea/leaf\nlink /var/away";
        let failures = "[ERROR] no tea\nit couldn't be poured";
        assert_eq!(
            told,
            [
                ("files left in /var".to_owned(), files.to_owned()),
                ("failures told in the log".to_owned(), failures.to_owned())
            ]
        );
    }

    #[test]
    fn what_was_pruned_and_is_made_anew_is_no_difference() {
        let ran =
            |output: &str| Outcome::Ran(CommandOutput { status: 0, output: output.as_bytes().to_vec() });
        let record =
            |output: &str| Record { step: 0, what: "files left in /var".to_owned(), outcome: ran(output) };
        let mut left = [record("changed file /var/db/a\nchanged file /var/b\nfile /var/db/c")];
        leave_out_pruned(&mut left, &|name| name.starts_with("var/db/"));
        assert_eq!(left[0].outcome, ran("changed file /var/b\nfile /var/db/c"));
    }
}
