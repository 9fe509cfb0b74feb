//! One grain of the server: started, led to, looked after, stopped.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::Served;
use crate::{
    error::chain,
    evidence::MissSink,
    grain::{
        library::{GrainsError, Kept, random_text},
        runner::{self, Instance, StartOptions},
    },
    sandbox::Running,
    store::Store,
};

/// What a grain does.
#[derive(Clone, Debug)]
pub(super) enum Status {
    /// Why, if it stopped by itself.
    Stopped(Option<String>),
    /// Its processes, once there are any.
    Starting(Option<Arc<Running>>),
    Running(Arc<Running>),
    Stopping,
}

struct Uses {
    /// Connections that lead into it now.
    open: usize,
    last: Instant,
}

pub(super) struct Live {
    pub app: Arc<Served>,
    pub host: String,
    /// In the cookie of its host.
    pub token: String,
    kept: Mutex<Kept>,
    /// Held while it is started or stopped.
    turn: Mutex<Option<Instance>>,
    status: Mutex<Status>,
    uses: Mutex<Uses>,
}

/// A connection that leads into a grain.
pub(super) struct InUse<'a>(&'a Live);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let mut uses = locked(&self.0.uses);
        uses.open -= 1;
        uses.last = Instant::now();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub fn new(app: Arc<Served>, host: String, kept: Kept) -> Result<Self, GrainsError> {
        Ok(Live {
            app,
            host,
            token: random_text().map_err(GrainsError::Random)?,
            kept: Mutex::new(kept),
            turn: Mutex::default(),
            status: Mutex::new(Status::Stopped(None)),
            uses: Mutex::new(Uses { open: 0, last: Instant::now() }),
        })
    }

    /// What is known of it on disk.
    pub fn kept(&self) -> Kept {
        locked(&self.kept).clone()
    }

    /// Replaces the cached metadata with what is on disk.
    pub fn known_as(&self, kept: Kept) {
        *locked(&self.kept) = kept;
    }

    pub fn rename(&self, title: &str) -> Result<(), GrainsError> {
        locked(&self.kept).rename(title)
    }

    pub fn status(&self) -> Status {
        locked(&self.status).clone()
    }

    pub fn is_stopped(&self) -> bool {
        matches!(self.status(), Status::Stopped(_))
    }

    /// Returns whether it runs or is about to.
    pub fn is_up(&self) -> bool {
        matches!(self.status(), Status::Starting(_)) || self.running().is_some()
    }

    /// The report of what it missed.
    pub fn misses_path(&self) -> PathBuf {
        locked(&self.kept).directory.join("misses")
    }

    /// Counts a connection for as long as the value lives.
    pub fn in_use(&self) -> InUse<'_> {
        let mut uses = locked(&self.uses);
        uses.open += 1;
        uses.last = Instant::now();
        InUse(self)
    }

    /// Returns its processes; starts it if it does not run, and waits until it is ready.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn start(&self, store: &Arc<Store>, closing: &AtomicBool) -> Result<Arc<Running>, String> {
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let mut turn = locked(&self.turn);
        if let Some(running) = self.running() {
            return Ok(running);
        }
        self.bury(&mut turn, None);
        let set = |status| *locked(&self.status) = status;
        set(Status::Starting(None));
        // Before the program is asked to stop, or told that it is.
        let on_start = |running: Arc<Running>| {
            set(Status::Starting(Some(running)));
            if closing.load(Ordering::SeqCst) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        let directory = locked(&self.kept).directory.clone();
        // A full disk must not stop the app; the page shows what is there.
        let misses = MissSink::to_report(&directory.join("misses"));
        let options = StartOptions { directory, on_line: Box::new(|_| ()), misses };
        let started = match closing.load(Ordering::SeqCst) {
            true => Err("the server is being closed".to_owned()),
            false => runner::start(&self.app.app, store, options, on_start).map_err(|error| chain(&error)),
        };
        let started = started.and_then(|instance| {
            let running = instance.grain.running().ok_or("it has ended")?;
            Ok((instance, running))
        });
        match started {
            Ok((instance, running)) => {
                *turn = Some(instance);
                locked(&self.uses).last = Instant::now();
                set(Status::Running(running.clone()));
                Ok(running)
            }
            Err(why) => {
                set(Status::Stopped(Some(why.clone())));
                Err(why)
            }
        }
    }

    /// Its processes, if it is ready and has not ended.
    fn running(&self) -> Option<Arc<Running>> {
        match self.status() {
            Status::Running(running) if running.try_wait().is_none() => Some(running),
            _ => None,
        }
    }

    /// Stops it, whatever it does; a start is cut short.
    pub fn end(&self, why: Option<String>) {
        if let Status::Starting(Some(running)) = self.status() {
            running.kill();
        }
        self.bury(&mut locked(&self.turn), why);
    }

    /// Stops what there is and says why.
    fn bury(&self, turn: &mut Option<Instance>, why: Option<String>) {
        let Some(mut instance) = turn.take() else { return };
        let ended = instance.grain.try_wait().map(|exit| format!("the app ended with {exit}"));
        *locked(&self.status) = Status::Stopping;
        let fault = instance.grain.stop().err().map(|error| chain(&error));
        drop(instance);
        *locked(&self.status) = Status::Stopped(fault.or(ended).or(why));
    }

    /// Stops it if it is idle; notes if it has ended.
    pub fn tend(&self, idle: Duration) {
        let Status::Running(running) = self.status() else { return };
        let is_idle = || {
            let uses = locked(&self.uses);
            uses.open == 0 && uses.last.elapsed() >= idle
        };
        if running.try_wait().is_none() && !is_idle() {
            return;
        }
        // The holder of its turn does it.
        if let Ok(mut turn) = self.turn.try_lock()
            && (running.try_wait().is_some() || is_idle())
        {
            self.bury(&mut turn, Some("nothing was asked of it for a while".to_owned()));
        }
    }
}
