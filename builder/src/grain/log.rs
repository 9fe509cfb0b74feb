//! The log of a grain: a file with a bounded size, and the last lines in memory.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::files;

/// Size at which a log file is renamed to `.1`: Sandstorm's.
const ROTATION_BYTES: u64 = 512 << 10;

/// Lines kept in memory.
const TAIL_LINES: usize = 20;

/// Lines kept for [`Log::heard`] between two calls.
const HEARD_LINES: usize = 2000;

/// Longest line; a longer one is broken.
const LINE_BYTES: u64 = 16 << 10;

/// How long the log may lag behind the report of readiness.
const PATIENCE: Duration = Duration::from_millis(200);

/// The line of the first process when all services are ready. Any app can print it, so only the order of
/// lines depends on it.
const READY: &[u8] = b"tinyroot-init: ready";

/// Called with each line, without its newline, in the thread that reads the output.
pub type OnLine = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Records the output of one grain, over restarts.
pub struct Log {
    on_line: Option<OnLine>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    file: Option<LogFile>,
    tail: VecDeque<Vec<u8>>,
    /// Lines since the last call of [`Log::heard`]; `None` before the first.
    heard: Option<VecDeque<Vec<u8>>>,
    /// Lives begun, lives that printed [`READY`], lives whose output has ended.
    begun: u64,
    ready: u64,
    ended: u64,
}

struct LogFile {
    path: PathBuf,
    file: File,
    size_bytes: u64,
}

impl Log {
    /// Returns a log that keeps its last lines only.
    pub fn in_memory() -> Self {
        Log { on_line: None, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Returns a log that appends to a file.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let log = Log::in_memory();
        log.lock().file = Some(LogFile::open(path)?);
        Ok(log)
    }

    /// Calls a function with each line.
    #[must_use]
    pub fn with_on_line(mut self, on_line: OnLine) -> Self {
        self.on_line = Some(on_line);
        self
    }

    /// Returns the last lines, oldest first, as text.
    pub fn tail(&self) -> Vec<String> {
        self.lock().tail.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// Returns the lines since the last call, oldest first; of very many only the last. The first call
    /// returns none.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.lock().heard.replace(VecDeque::new()).unwrap_or_default();
        heard.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a life and returns its number.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.tail.clear();
        state.begun += 1;
        state.begun
    }

    /// Waits a moment for the lines that a ready life has printed so far, so that they come before all later
    /// ones.
    pub(super) fn catch_up(&self, life: u64) {
        let waits = |state: &mut State| state.ready < life && state.ended < life;
        drop(self.changed.wait_timeout_while(self.lock(), PATIENCE, waits));
    }

    /// Records all output of the present life.
    pub(super) fn drain(&self, output: impl Read) {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(1..) => self.line(line.strip_suffix(b"\n").unwrap_or(&line)),
                Ok(0) | Err(_) => break,
            }
        }
        let mut state = self.lock();
        state.ended = state.begun;
        self.changed.notify_all();
    }

    fn line(&self, line: &[u8]) {
        let mut state = self.lock();
        if let Some(file) = &mut state.file
            && file.write(line).is_err()
        {
            // A full disk must not stop the app: its output goes on to the terminal only.
            state.file = None;
        }
        if state.tail.len() == TAIL_LINES {
            state.tail.pop_front();
        }
        state.tail.push_back(line.to_vec());
        if let Some(heard) = &mut state.heard {
            if heard.len() == HEARD_LINES {
                heard.pop_front();
            }
            heard.push_back(line.to_vec());
        }
        // At the end of the line: a service may have left its own line open.
        if line.ends_with(READY) {
            state.ready = state.begun;
            self.changed.notify_all();
        }
        drop(state);
        if let Some(on_line) = &self.on_line {
            on_line(line);
        }
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let size_bytes = file.metadata()?.len();
        Ok(LogFile { path: path.to_path_buf(), file, size_bytes })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size_bytes >= ROTATION_BYTES {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            files::rename(&self.path, &aside)?;
            *self = LogFile::open(&self.path)?;
        }
        let whole = [line, b"\n"].concat();
        self.file.write_all(&whole)?;
        self.size_bytes += whole.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;

    #[test]
    fn lines_until_readiness_are_waited_for_by_life() {
        let log = Log::in_memory();
        for sent in ["starting\nprogress: 50 %tinyroot-init: ready\n", "tinyroot-init: service web ended\n"] {
            let life = log.begin();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(PATIENCE / 10);
                    log.drain(sent.as_bytes());
                });
                log.catch_up(life);
                assert!(sent.ends_with(&format!("{}\n", log.tail().last().expect("a line"))), "{sent}");
            });
        }
    }

    #[test]
    fn who_listens_hears_each_line_once() {
        let log = Log::in_memory();
        log.begin();
        log.drain(&b"before\n"[..]);
        assert!(log.heard().is_empty());
        log.drain(&b"one\ntwo\n"[..]);
        assert_eq!(log.heard(), ["one", "two"]);
        assert!(log.heard().is_empty());
    }

    #[test]
    fn a_log_file_is_set_aside_when_it_is_long() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let count = Arc::new(Mutex::new(0));
        let seen = count.clone();
        let log = Log::to_file(&path)
            .expect("opens")
            .with_on_line(Box::new(move |_| *seen.lock().expect("no panic") += 1));
        log.begin();
        let line = [b'x'; 1023];
        let lines: Vec<u8> = std::iter::repeat_n([&line[..], b"\n"].concat(), 1100).flatten().collect();
        log.drain(&lines[..]);
        assert_eq!(fs::metadata(directory.path().join("log.1")).expect("is there").len(), ROTATION_BYTES);
        assert_eq!(fs::metadata(&path).expect("is there").len(), (1100 - 1024) * 1024);
        assert_eq!(*count.lock().expect("no panic"), 1100);
    }
}
