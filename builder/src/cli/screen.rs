//! Progress of long work: moving bars on a terminal, elsewhere a line for each task.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{output::say, surroundings};
use crate::{
    progress::{Sink, Unit},
    shown,
};

/// Tasks shorter than this stay silent where there is no terminal.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

struct Shown {
    what: String,
    began: Instant,
    bar: Option<ProgressBar>,
}

/// Progress on stderr.
pub struct Screen {
    /// Whether a task that has ended gets a line.
    lines: bool,
    verbose: bool,
    bars: Option<MultiProgress>,
    tasks: Mutex<HashMap<u64, Shown>>,
}

impl Screen {
    /// Shows progress as it is asked for; nothing but warnings if `quiet`.
    pub fn new(quiet: bool, verbose: bool, progress: surroundings::Progress) -> Self {
        let lines = !quiet && progress != surroundings::Progress::None;
        let live = lines && progress.is_live();
        let bars = live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Screen { lines, verbose, bars, tasks: Mutex::default() }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Sink for Screen {
    fn begin(&self, task: u64, what: &str, total: u64, unit: Unit) {
        let bar = self.bars.as_ref().map(|bars| {
            let counts = match (total, unit) {
                (0, _) => "{spinner} {msg}",
                (_, Unit::Bytes) => "{spinner} {prefix} {bar:24} {decimal_bytes}/{decimal_total_bytes} {msg}",
                (_, Unit::Items) => "{spinner} {prefix} {bar:24} {pos}/{len} {msg}",
            };
            let style = ProgressStyle::with_template(counts).expect("the template is well formed");
            let bar = bars.add(ProgressBar::new(total).with_style(style));
            let what = &*shown::line(what);
            bar.set_prefix(what.to_owned());
            if total == 0 {
                bar.set_message(what.to_owned());
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let shown = Shown { what: what.to_owned(), began: Instant::now(), bar };
        self.tasks.lock().expect("no panic holds the lock").insert(task, shown);
    }

    fn begin_wait(&self, task: u64, what: &str) {
        // Where there are only lines, one at its end would come too late to say why nothing happens.
        match (&self.bars, self.lines) {
            (None, true) => self.line(what),
            _ => self.begin(task, what, 0, Unit::Items),
        }
    }

    fn update(&self, task: u64, done: u64, detail: Option<&str>) {
        let tasks = self.tasks.lock().expect("no panic holds the lock");
        let Some(Shown { what, bar: Some(bar), .. }) = tasks.get(&task) else { return };
        bar.set_position(done);
        match (detail, bar.length()) {
            (Some(detail), Some(0) | None) => {
                bar.set_message(shown::line(&format!("{what}: {detail}")).into_owned())
            }
            (Some(detail), _) => bar.set_message(shown::line(detail).into_owned()),
            (None, _) => {}
        }
    }

    fn end(&self, task: u64) {
        let Some(shown) = self.tasks.lock().expect("no panic holds the lock").remove(&task) else { return };
        if let Some(bar) = shown.bar {
            bar.finish_and_clear();
        }
        let took = shown.began.elapsed();
        if self.lines && (self.verbose || took >= WORTH_A_LINE) {
            self.line(&format!("{} ({:.1} s)", shown.what, took.as_secs_f64()));
        }
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn detail(&self, text: &str) {
        if self.verbose {
            self.line(text);
        }
    }

    fn tell(&self, text: &str) {
        self.line(text);
    }
}
