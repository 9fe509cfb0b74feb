//! Where the misses of a grain in use go: to a report beside the grain, and to the caller as they happen.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{Miss, MissReport, most_pruned, tells_of_missing};

/// One thing that a sink reports as it happens.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A pruned path was missed.
    Missed(&'a Miss),
    /// A directory was listed without its pruned names: no miss by itself.
    Listed(&'a Miss),
    /// A line of the app's output said that something is missing, after this directory was listed.
    Suspected(&'a Miss),
    /// As many more directories were listed before that line.
    SuspectedMore(usize),
    /// The report cannot be written.
    Unwritten {
        /// The report.
        path: &'a Path,
        /// The kernel's error.
        source: io::Error,
    },
}

/// Called with each [`Finding`], from a thread that serves the grain: it must be quick.
pub type OnFinding = Box<dyn Fn(Finding<'_>) + Send + Sync>;

/// Takes the misses of one grain in use and lines of its output. A grain in use is at no step, so a miss
/// loses its step here.
pub struct MissSink {
    on_finding: OnFinding,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    report: Option<(PathBuf, MissReport)>,
    /// Directories listed without their pruned names, that no message has named yet.
    listed: Vec<Miss>,
    count: usize,
}

impl fmt::Debug for MissSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissSink").field("report", &self.state().report).finish_non_exhaustive()
    }
}

impl MissSink {
    /// Returns a sink that writes each miss to the report at `path`, if given, and passes each finding to
    /// `on_finding`.
    pub fn new(path: Option<&Path>, on_finding: OnFinding) -> Arc<Self> {
        let report = path.map(|path| (path.to_path_buf(), MissReport::new(path.to_path_buf())));
        Arc::new(MissSink { on_finding, state: Mutex::new(State { report, ..State::default() }) })
    }

    /// Returns a sink that writes a report and nothing else. A report that cannot be written must not stop
    /// the app.
    pub fn to_report(path: &Path) -> Arc<Self> {
        MissSink::new(Some(path), Box::new(|_| ()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a miss. A listing is no miss by itself and waits for a message of the app.
    pub fn add(&self, miss: &Miss) {
        let miss = Miss { step: String::new(), ..miss.clone() };
        let mut state = self.state();
        if let Some((path, report)) = &mut state.report
            && let Err(source) = report.add(&miss, SystemTime::now())
        {
            (self.on_finding)(Finding::Unwritten { path, source });
        }
        if miss.is_listing() {
            (self.on_finding)(Finding::Listed(&miss));
            state.listed.push(miss);
            return;
        }
        state.count += 1;
        drop(state);
        (self.on_finding)(Finding::Missed(&miss));
    }

    /// Reads a line of the app's output: where it says that something is missing, the listings before it may
    /// be why.
    pub fn read_line(&self, line: &[u8]) {
        if !tells_of_missing(&String::from_utf8_lossy(line)) {
            return;
        }
        let listed = std::mem::take(&mut self.state().listed);
        let (shown, more) = most_pruned(listed.iter().collect());
        shown.into_iter().for_each(|miss| (self.on_finding)(Finding::Suspected(miss)));
        if more > 0 {
            (self.on_finding)(Finding::SuspectedMore(more));
        }
    }

    /// Returns how many pruned paths were missed; listings do not count.
    pub fn count(&self) -> usize {
        self.state().count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{Cause, read_report},
        layout::ImagePath,
        tree::TreePath,
    };

    #[test]
    fn a_miss_is_reported_without_its_step_and_listings_wait_for_a_message() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("misses");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = seen.clone();
        let on_finding: OnFinding = Box::new(move |finding| {
            let text = match finding {
                Finding::Missed(miss) => format!("missed {miss}"),
                Finding::Listed(miss) => format!("listed {}", miss.path),
                Finding::Suspected(miss) => format!("suspected {}", miss.path),
                Finding::SuspectedMore(more) => format!("and {more} more"),
                Finding::Unwritten { source, .. } => source.to_string(),
            };
            heard.lock().expect("whole").push(text);
        });
        let sink = MissSink::new(Some(&path), on_finding);
        let miss = |at: &str, cause| Miss {
            path: TreePath::new(at.as_bytes()).expect("a good path"),
            package: None,
            program: "/usr/bin/x".to_owned(),
            step: "GET:/".to_owned(),
            cause,
        };
        for directory in ["usr/a", "usr/b", "usr/c", "usr/d"] {
            sink.add(&miss(directory, Cause::Listed(3)));
        }
        sink.read_line(b"all is well");
        sink.read_line(b"No module named 'decimal'");
        sink.read_line(b"No module named 'decimal'");
        sink.add(&miss("usr/x", Cause::Asked));
        let seen = seen.lock().expect("whole");
        assert_eq!(
            seen[4..],
            [
                "suspected usr/a",
                "suspected usr/b",
                "suspected usr/c",
                "and 1 more",
                "missed /usr/x, asked for by /usr/bin/x"
            ]
        );
        assert_eq!(sink.count(), 1);
        assert_eq!(read_report(&path).expect("reads").len(), 5);
    }

    #[test]
    fn a_report_that_cannot_be_written_is_a_finding() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("missing/misses");
        let count = Arc::new(Mutex::new(0));
        let counted = count.clone();
        let sink = MissSink::new(
            Some(&path),
            Box::new(move |finding| {
                if let Finding::Unwritten { path, .. } = finding {
                    assert!(path.ends_with("missing/misses"));
                    *counted.lock().expect("whole") += 1;
                }
            }),
        );
        sink.add(&Miss::at(&ImagePath::in_image(TreePath::new(b"usr/x").expect("a good path")), None));
        assert_eq!((*count.lock().expect("whole"), sink.count()), (1, 1));
    }
}
