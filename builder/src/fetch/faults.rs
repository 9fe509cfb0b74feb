//! .debs that could not be fetched, reported in a few lines.

use std::borrow::Cow;

use crate::{
    download::{DownloadError, LOGIN_HINT, MirrorFault, PROXY_HINT, describe},
    error::Hint,
    lock::LockedPackage,
    threads,
};

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

impl FetchError {
    /// Returns the packages that no place has any more: under their names there is nothing, or something
    /// else.
    pub fn gone(&self) -> Vec<&LockedPackage> {
        self.faults.iter().filter(|(_, error)| error.is_lost()).map(|(package, _)| package).collect()
    }
}

impl Hint for FetchError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let any = |wanted: &dyn Fn(&MirrorFault) -> bool| {
            self.faults.iter().any(|(_, error)| error.faults().iter().any(|(_, fault)| wanted(fault)))
        };
        let gone = self.gone();
        if let Some(first) = gone.first() {
            let wrong = any(&MirrorFault::is_of_bytes);
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
        if any(&|fault| matches!(fault.itself(), MirrorFault::Threads(_))) {
            return Some(threads::HINT.into());
        }
        if self.faults.iter().any(|(_, error)| error.has_page()) {
            return Some(LOGIN_HINT.into());
        }
        if any(&MirrorFault::is_of_proxy) {
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
