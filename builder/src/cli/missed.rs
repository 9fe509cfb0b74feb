//! What a grain in use misses, as `run` and `check --watch` report it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    evidence::{Miss, MissReport, most_pruned, tells_of_missing},
    progress::Progress,
};

/// Collects misses, and writes each to a report if there is one.
pub(super) struct Missed {
    progress: Progress,
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    report: Option<MissReport>,
    /// Directories listed without their pruned names, that no message has named yet.
    listed: Vec<Miss>,
    count: usize,
}

impl Missed {
    /// Returns one that writes to `path`, if given.
    pub fn new(path: Option<&Path>, progress: &Progress) -> Arc<Self> {
        let report = path.map(|path| MissReport::new(path.to_path_buf()));
        let state = Mutex::new(State { report, ..State::default() });
        Arc::new(Missed { progress: progress.clone(), path: path.map(Path::to_path_buf), state })
    }

    /// Takes a miss of a grain, which is at no step; `show` is given its text and what to add to the recipe. A listing is
    /// no miss by itself and waits for a message of the app.
    pub fn take(&self, miss: &Miss, show: impl Fn(&Miss)) {
        let miss = Miss { step: String::new(), ..miss.clone() };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(report) = &mut state.report
            && let Err(error) = report.add(&miss, SystemTime::now())
        {
            let path = self.path.as_deref().unwrap_or(Path::new("the report of misses"));
            self.progress.warn(&format!("cannot write to {}: {error}", path.display()));
        }
        if miss.is_listing() {
            self.progress.detail(&miss.to_string());
            state.listed.push(miss);
            return;
        }
        state.count += 1;
        drop(state);
        show(&miss);
    }

    /// Takes a line of the app's output: where it says that something is missing, the listings before it may be why.
    pub fn take_line(&self, line: &[u8]) {
        if !tells_of_missing(&String::from_utf8_lossy(line)) {
            return;
        }
        let listed = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut state.listed)
        };
        let (shown, more) = most_pruned(listed.iter().collect());
        for miss in shown {
            self.progress.warn(&format!("{miss}; a message about something missing followed"));
        }
        if more > 0 {
            self.progress.detail(&format!("{more} more directories were listed without their pruned names"));
        }
    }

    /// Returns how many pruned paths were missed; listings do not count.
    pub fn count(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}
