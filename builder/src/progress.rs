//! The progress that stages report; `cli` decides how it looks.
//!
//! Stages never print. They open a [`Task`] for work that may take longer than a second and
//! count it forward from any thread.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The unit that a task counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Packages, files, steps: things that are counted.
    Items,
}

/// Shows progress; `cli` has the one for terminals.
pub trait Sink: Send + Sync {
    /// A task begins; `total` is 0 where it is not known.
    fn begin(&self, task: u64, what: &str, total: u64, unit: Unit);
    /// A wait begins, which is a task that does nothing; it is worth a word at once.
    fn begin_wait(&self, task: u64, what: &str) {
        self.begin(task, what, 0, Unit::Items);
    }
    /// A task stands at `done` of its total; `detail` names the present item, if any.
    fn update(&self, task: u64, done: u64, detail: Option<&str>);
    /// A task has ended, well or not.
    fn end(&self, task: u64);
    /// Something that the user should know and that is no error.
    fn warn(&self, text: &str);
    /// A line that only `--verbose` shows.
    fn detail(&self, _text: &str) {}
    /// The end of one part of the work, while others go on: lines that are shown as they are.
    fn tell(&self, _text: &str) {}
}

struct Silent;

impl Sink for Silent {
    fn begin(&self, _: u64, _: &str, _: u64, _: Unit) {}
    fn update(&self, _: u64, _: u64, _: Option<&str>) {}
    fn end(&self, _: u64) {}
    fn warn(&self, _: &str) {}
}

/// A sink whose lines begin with the name of one of several pieces of work.
struct Named {
    name: String,
    sink: Arc<dyn Sink>,
}

impl Named {
    fn line(&self, text: &str) -> String {
        format!("{}: {text}", self.name)
    }
}

impl Sink for Named {
    fn begin(&self, task: u64, what: &str, total: u64, unit: Unit) {
        self.sink.begin(task, &self.line(what), total, unit);
    }

    fn begin_wait(&self, task: u64, what: &str) {
        self.sink.begin_wait(task, &self.line(what));
    }

    fn update(&self, task: u64, done: u64, detail: Option<&str>) {
        self.sink.update(task, done, detail);
    }

    fn end(&self, task: u64) {
        self.sink.end(task);
    }

    fn warn(&self, text: &str) {
        self.sink.warn(&self.line(text));
    }

    fn detail(&self, text: &str) {
        self.sink.detail(&self.line(text));
    }

    fn tell(&self, text: &str) {
        self.sink.tell(text);
    }
}

/// A handle on the sink, passed down to stages.
#[derive(Clone)]
pub struct Progress {
    sink: Arc<dyn Sink>,
    next: Arc<AtomicU64>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl Progress {
    /// Reports to a sink.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Progress { sink, next: Arc::default() }
    }

    /// Reports nothing.
    pub fn silent() -> Self {
        Progress::new(Arc::new(Silent))
    }

    /// Returns a handle whose lines begin with a name, for one of several pieces of work side by side.
    pub fn named(&self, name: &str) -> Self {
        let named = Named { name: name.to_owned(), sink: self.sink.clone() };
        Progress { sink: Arc::new(named), next: self.next.clone() }
    }

    /// Begins to wait for another tinyroot that does something ("unpacks the same packages"), which is
    /// reported at once.
    pub fn wait_for_another(&self, that: &str) -> Task {
        self.wait(&format!("waiting for another tinyroot that {that}"))
    }

    /// Begins a task, `what` being a participle and its object ("unpacking packages").
    pub fn task(&self, what: &str, total: u64, unit: Unit) -> Task {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sink.begin(id, what, total, unit);
        Task { id, sink: self.sink.clone(), done: AtomicU64::new(0) }
    }

    /// Begins a wait, `what` being for whom, why and how long.
    pub fn wait(&self, what: &str) -> Task {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.sink.begin_wait(id, what);
        Task { id, sink: self.sink.clone(), done: AtomicU64::new(0) }
    }

    /// Warns: one lower-case clause.
    pub fn warn(&self, text: &str) {
        self.sink.warn(text);
    }

    /// Reports a detail that only `--verbose` shows.
    pub fn detail(&self, text: &str) {
        self.sink.detail(text);
    }

    /// Shows how one part of the work ended, while others go on.
    pub fn tell(&self, text: &str) {
        self.sink.tell(text);
    }
}

/// Work under way; ends when dropped.
pub struct Task {
    id: u64,
    sink: Arc<dyn Sink>,
    done: AtomicU64,
}

impl Task {
    /// Counts forward.
    pub fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::Relaxed) + count;
        self.sink.update(self.id, done, None);
    }

    /// Names the present item.
    pub fn now(&self, detail: &str) {
        self.sink.update(self.id, self.done.load(Ordering::Relaxed), Some(detail));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.sink.end(self.id);
    }
}

/// Returns a size in decimal units, as the budget is written ("17.2 MB").
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
