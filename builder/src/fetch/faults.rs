//! .debs that could not be fetched, reported in a few lines.

use std::{borrow::Cow, fmt::Write as _};

use crate::{
    download::{DownloadError, Fault, LOGIN_HINT, PROXY_HINT, url_below},
    error::{Hint, chain},
    lock::LockedPackage,
    threads,
};

/// How many packages are named that share their faults.
const NAMED: usize = 6;
/// The number of kinds of faults that are reported.
const GROUPS: usize = 5;

/// .debs that could not be had; as many others as possible were fetched.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.faults, *.of, |package| package.path.clone()))]
pub struct FetchError {
    /// Each package and its fault, in the order of the lock.
    pub faults: Vec<(LockedPackage, DownloadError)>,
    /// How many packages the lock has.
    pub of: usize,
    /// Whether a service of past states was asked.
    pub has_past: bool,
}

/// Returns the text for faults: the fault itself if it is one, else a list, in which what has the same faults at the same
/// mirrors stands together. `path` is that of a file below its mirror.
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

/// Returns how the URLs of a file end: as it is asked for over HTTP, and as it is.
fn ends(path: &str) -> Vec<String> {
    let url = ["", "file:"].into_iter().filter_map(|base| url_below(base, path));
    url.filter_map(|url| url.find('/').map(|slash| url[slash..].to_owned())).collect()
}

impl FetchError {
    /// Returns the packages that no place has any more: under their names there is nothing, or something else.
    pub fn gone(&self) -> Vec<&LockedPackage> {
        self.faults.iter().filter(|(_, error)| error.is_lost()).map(|(package, _)| package).collect()
    }
}

impl Hint for FetchError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let any = |wanted: &dyn Fn(&Fault) -> bool| {
            self.faults.iter().any(|(_, error)| error.faults().iter().any(|(_, fault)| wanted(fault)))
        };
        let gone = self.gone();
        if let Some(first) = gone.first() {
            let wrong = any(&Fault::is_of_bytes);
            let why = match wrong {
                true => "the mirror has other bytes under this name than the lock",
                false => "the archive has moved on, or the mirror lacks it",
            };
            let past = match self.has_past {
                true => "name a further mirror with --mirror URL",
                false => {
                    "name a service of past states with --snapshot-service, or a further mirror with --mirror URL"
                }
            };
            let update = if gone.len() == 1 { format!(" --update {}", first.name) } else { String::new() };
            let text =
                format!("{why}: {past}, or lock what there is now with `tinyroot lock RECIPE{update}`");
            return Some(text.into());
        }
        if any(&|fault| matches!(fault.itself(), Fault::Threads(_))) {
            return Some(threads::HINT.into());
        }
        if self.faults.iter().any(|(_, error)| error.has_page()) {
            return Some(LOGIN_HINT.into());
        }
        if any(&Fault::is_of_proxy) {
            return Some(PROXY_HINT.into());
        }
        let nowhere =
            |e: &DownloadError| matches!(e, DownloadError::Places { faults, .. } if faults.is_empty());
        if self.faults.iter().any(|(_, error)| nowhere(error)) {
            return Some(
                "name a mirror with --mirror URL or the environment variable TINYROOT_MIRROR".into(),
            );
        }
        if self.faults.iter().any(|(_, error)| matches!(error, DownloadError::Offline { .. })) {
            return Some(
                "run the same once without --offline, or name a directory that `tinyroot fetch` filled with --pool DIR".into(),
            );
        }
        let fails = |error: &DownloadError| {
            let faults = error.faults();
            !faults.is_empty() && !matches!(error, DownloadError::Write { .. })
        };
        self.faults
            .iter()
            .any(|(_, error)| fails(error))
            .then(|| "try another mirror with --mirror URL, or later; what was fetched is kept".into())
    }
}
