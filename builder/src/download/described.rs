//! The faults of several files, reported in a few lines.

use std::fmt::Write as _;

use super::{DownloadError, url_below};
use crate::error::chain;

/// How many packages are named that share their faults.
const NAMED: usize = 6;
/// The number of kinds of faults that are reported.
const GROUPS: usize = 5;

/// Returns the text for faults: the fault itself if it is one, else a list, in which what has the same faults
/// at the same mirrors stands together. `path` is that of a file below its mirror.
pub(crate) fn describe<T>(faults: &[(T, DownloadError)], of: usize, path: impl Fn(&T) -> String) -> String {
    if let [(_, error)] = faults {
        return chain(error);
    }
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (item, error) in faults {
        let text = chain(error).replace('\n', "\n  ");
        let what = error.what();
        let rest = text.strip_prefix("cannot fetch ").and_then(|rest| rest.strip_prefix(what));
        // Faults that do not concern the transfer, such as a full disk.
        let rest = rest.map_or_else(|| format!(": {}", text.replacen(what, "it", 1)), str::to_owned);
        let rest = ends(&path(item)).iter().fold(rest, |rest, end| rest.replace(end, ""));
        match groups.iter_mut().find(|(other, _)| *other == rest) {
            Some((_, names)) => names.push(what.to_owned()),
            None => groups.push((rest, vec![what.to_owned()])),
        }
    }
    let mut out = format!("cannot fetch {} of {of} packages", faults.len());
    for (rest, names) in groups.iter().take(GROUPS) {
        let more = names.len().saturating_sub(NAMED);
        let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        write!(out, "\n  {named}{more}{rest}").expect("a string takes it");
    }
    let left: usize = groups.iter().skip(GROUPS).map(|(_, names)| names.len()).sum();
    if left > 0 {
        write!(out, "\n  and {left} more").expect("a string takes it");
    }
    out
}

/// Returns how the URLs of a file end: as it is requested over HTTP, and as it is.
fn ends(path: &str) -> Vec<String> {
    let url = ["", "file:"].into_iter().filter_map(|base| url_below(base, path));
    url.filter_map(|url| url.find('/').map(|slash| url[slash..].to_owned())).collect()
}
