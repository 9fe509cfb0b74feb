//! Debian's small files in runs, each with a block of its own: where one file changes, the blocks of the other
//! runs are found kept, and on several cores runs are packed side by side.
//!
//! What is not in the same block is not seen as a repetition, so a cut costs bytes. Files of one extension
//! have most in common: by extension, WordPress's 34 MB in three blocks are 0.2 % larger than in one; in four
//! by directories, 3 %. So each extension of which there is much has a run, and all others share one. A run
//! that is long all the same is cut where directories differ most.
//!
//! Where it is cut depends on paths and lengths alone, and where many places are as good as each other, on
//! digests of the paths: so a cut stays where it is when files far from it come, go or grow.

use std::collections::BTreeMap;

use crate::{digest::Digest, formats::spk::LateContent, tree::TreePath};

/// Extensions with less than this in sum share a run.
const LEAST_RUN_BYTES: u64 = 4 << 20;

/// Runs over this are cut: so much takes about ten seconds of a processor.
const LONG_RUN_BYTES: u64 = 16 << 20;

/// Each part of a run that is cut has at least one in this many of its bytes.
const LEAST_PART: u64 = 4;

/// Returns for each of these files, which are sorted by path, the number of its run.
pub(super) fn runs(files: &[LateContent<'_>]) -> Vec<u32> {
    let mut kinds: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        kinds.entry(extension(file.path)).or_default().push(at);
    }
    let is_little = |of: &[usize]| of.iter().map(|&at| files[at].size_bytes).sum::<u64>() < LEAST_RUN_BYTES;
    let (mut others, mut large) = (Vec::new(), Vec::new());
    for (extension, of) in kinds {
        if extension.is_empty() || is_little(&of) { others.extend(of) } else { large.push(of) }
    }
    others.sort_unstable();
    let mut numbers = vec![0; files.len()];
    let mut number = 0;
    let mut todo: Vec<&[usize]> = large.iter().rev().chain([&others]).map(Vec::as_slice).collect();
    todo.retain(|run| !run.is_empty());
    while let Some(run) = todo.pop() {
        if let Some(at) = cut_at(run, files) {
            todo.extend([&run[at..], &run[..at]]);
            continue;
        }
        run.iter().for_each(|&at| numbers[at] = number);
        number += 1;
    }
    numbers
}

/// Returns what a file's name has after its last dot; nothing if that is where it begins.
fn extension(path: &TreePath) -> &[u8] {
    let name = path.file_name();
    let dot = name.iter().rposition(|&byte| byte == b'.').filter(|&at| at > 0);
    dot.map_or(&[], |at| &name[at + 1..])
}

/// Returns where a run that is long is cut: between files that have the fewest directories in common.
fn cut_at(run: &[usize], files: &[LateContent<'_>]) -> Option<usize> {
    let total: u64 = run.iter().map(|&at| files[at].size_bytes).sum();
    if total <= LONG_RUN_BYTES {
        return None;
    }
    let mut before = 0;
    let mut places = Vec::new();
    for (at, pair) in run.windows(2).enumerate() {
        before += files[pair[0]].size_bytes;
        if before >= total / LEAST_PART && total - before >= total / LEAST_PART {
            places.push((in_common(files[pair[0]].path, files[pair[1]].path), at + 1));
        }
    }
    let fewest = places.iter().map(|(in_common, _)| *in_common).min()?;
    let best = places.into_iter().filter(|(in_common, _)| *in_common == fewest).map(|(_, at)| at);
    best.min_by_key(|&at| Digest::of(files[run[at]].path.as_bytes()))
}

/// Returns how many directories two files both lie in.
fn in_common(one: &TreePath, other: &TreePath) -> usize {
    let [one, other] =
        [one, other].map(|path| path.parent_bytes().unwrap_or_default().split(|&byte| byte == b'/'));
    one.zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Returns for each run its files, by their sizes.
    fn runs_of(sizes: &[(String, u64)]) -> Vec<Vec<&str>> {
        let mut paths: Vec<_> = sizes
            .iter()
            .map(|(name, size)| (TreePath::new(name.as_bytes()).expect("a good path"), *size, &name[..]))
            .collect();
        paths.sort();
        let files: Vec<_> = paths.iter().map(|(path, size_bytes, _)| late(path, *size_bytes)).collect();
        let mut found: Vec<Vec<&str>> = Vec::new();
        for ((.., name), run) in paths.iter().zip(runs(&files)) {
            found.resize(found.len().max(run as usize + 1), Vec::new());
            found[run as usize].push(name);
        }
        found
    }

    fn late(path: &TreePath, size_bytes: u64) -> LateContent<'_> {
        LateContent { path, digest: Digest::of(b""), size_bytes }
    }

    fn sizes(files: &[(&str, u64)]) -> Vec<(String, u64)> {
        files.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()
    }

    #[test]
    fn an_extension_of_which_there_is_much_has_its_run() {
        let files = sizes(&[
            ("usr/a/1.js", 2 * MIB),
            ("usr/a/1.php", 3 * MIB),
            ("usr/a/.php", MIB),
            ("usr/b/2.js", 2 * MIB - 1),
            ("usr/b/2.php", MIB),
            ("usr/b/README", MIB),
        ]);
        let others = vec!["usr/a/.php", "usr/a/1.js", "usr/b/2.js", "usr/b/README"];
        assert_eq!(runs_of(&files), [others, vec!["usr/a/1.php", "usr/b/2.php"]]);
        assert_eq!(runs_of(&[]), [[""; 0]; 0]);
        assert_eq!(runs_of(&sizes(&[("usr/only.php", 5 * MIB)])), [["usr/only.php"]]);
    }

    fn tree(seed: u64) -> Vec<(String, u64)> {
        let size = |at: u64| 20_000 + (at * 7919 + seed) % 10_000;
        (0..2000).map(|at| (format!("usr/share/app/part{}/file{at:04}.php", at / 500), size(at))).collect()
    }

    #[test]
    fn a_long_run_is_cut_between_directories() {
        let all = tree(1);
        let found = runs_of(&all);
        assert!(found.len() > 2, "{}", found.len());
        for run in &found {
            let bytes: u64 =
                all.iter().filter(|(name, _)| run.contains(&&name[..])).map(|(_, size)| size).sum();
            assert!((3 * MIB..=LONG_RUN_BYTES).contains(&bytes), "{bytes}");
        }
        let starts: Vec<_> = found.iter().map(|run| &run[0][..19]).collect();
        let mut once = starts.clone();
        once.dedup();
        assert_eq!(starts, once, "each begins another directory");
    }

    #[test]
    fn one_file_changes_one_run() {
        let flat = |skip: Option<u64>| -> Vec<(String, u64)> {
            let names = (0..2000).filter(|at| Some(*at) != skip);
            names.map(|at| (format!("usr/share/app/file{at:04}.php"), 20_000)).collect()
        };
        let whole = flat(None);
        let before = runs_of(&whole);
        assert!(before.len() > 3);
        for skip in (0..2000).step_by(50) {
            let less = flat(Some(skip));
            let after = runs_of(&less);
            let changed = after.iter().filter(|run| !before.contains(run)).count();
            assert!(changed <= 2, "without file {skip}, {changed} runs of {} changed", after.len());
        }
    }
}
