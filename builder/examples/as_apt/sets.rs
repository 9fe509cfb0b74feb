//! Sets of packages: read from a file, or drawn from an archive.

use std::{fs, io, path::Path};

use tinyroot::{formats::packages::Priority, resolve::Universe};

/// Reads a file with one set a line; `#` begins a comment. A file with one name a line and nothing else
/// would be as many sets, as which it is meant.
pub fn read(path: &Path) -> io::Result<Vec<Vec<String>>> {
    let words = |line: &str| -> Vec<String> {
        line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    Ok(fs::read_to_string(path)?.lines().map(words).filter(|set| !set.is_empty()).collect())
}

/// Draws sets; the same archive and seed give the same ones.
///
/// Of ten, four are single packages, three have two to five, one has six to twelve, one is a task, and
/// one is among the packages with the longest `Depends`, which bring the largest sets.
pub fn random(universe: &Universe<'_>, count: usize, seed: u64) -> Vec<Vec<String>> {
    let packages: Vec<_> = universe.ids().map(|id| universe.package(id)).collect();
    let mut names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    names.sort_unstable();
    let mut tasks: Vec<&str> = names.iter().copied().filter(|name| name.starts_with("task-")).collect();
    if tasks.is_empty() {
        tasks.clone_from(&names);
    }
    let mut large: Vec<_> =
        packages.iter().filter(|package| package.priority >= Priority::Optional).collect();
    large.sort_by_key(|package| (std::cmp::Reverse(package.depends.len()), package.name));
    let large: Vec<&str> = large.iter().take(500).map(|package| package.name).collect();

    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    // xorshift64*: no more is asked of it than to be the same everywhere.
    let mut draw = |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    };
    let mut out = Vec::new();
    for number in 0..count {
        let set: Vec<&str> = match number % 10 {
            0..=3 => vec![names[draw(names.len())]],
            4..=6 => (0..2 + draw(4)).map(|_| names[draw(names.len())]).collect(),
            7 => (0..6 + draw(7)).map(|_| names[draw(names.len())]).collect(),
            8 => vec![tasks[draw(tasks.len())]],
            _ => vec![large[draw(large.len())]],
        };
        out.push(set.into_iter().map(str::to_owned).collect());
    }
    out
}
