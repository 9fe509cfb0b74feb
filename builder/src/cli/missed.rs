//! The misses of a grain in use, as `run` and `check --watch` show them.

use std::{path::Path, sync::Arc};

use crate::{
    evidence::{Finding, Miss, MissSink},
    progress::Progress,
};

/// Returns a sink that writes to `path`, if given; `show` is called with each miss.
pub(super) fn sink(
    path: Option<&Path>,
    progress: &Progress,
    show: impl Fn(&Miss) + Send + Sync + 'static,
) -> Arc<MissSink> {
    let progress = progress.clone();
    let on_finding = move |finding: Finding<'_>| match finding {
        Finding::Missed(miss) => show(miss),
        Finding::Listed(miss) => progress.detail(&miss.to_string()),
        Finding::Suspected(miss) => {
            progress.warn(&format!("{miss}; a message about something missing followed"));
        }
        Finding::SuspectedMore(more) => {
            progress.detail(&format!("{more} more directories were listed without their pruned names"));
        }
        Finding::Unwritten { path, source } => {
            progress.warn(&format!("cannot write to {}: {source}", path.display()));
        }
    };
    MissSink::new(path, Box::new(on_finding))
}
