//! The handle of one grain of the server: starts it, counts its connections, stops it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::ServedApp;
use crate::{
    error::chain,
    evidence::MissSink,
    grain::{
        library::{LibraryError, StoredGrain, random_text},
        runner::{self, Instance, StartOptions},
    },
    sandbox::Running,
    store::Store,
};

/// The state of a grain.
#[derive(Clone, Debug)]
pub(super) enum Status {
    /// With a reason, if it stopped by itself.
    Stopped(Option<String>),
    /// With its processes, once they exist.
    Starting(Option<Arc<Running>>),
    Running(Arc<Running>),
    Stopping,
}

struct Uses {
    /// Connections that are open now.
    open: usize,
    last: Instant,
}

pub(super) struct GrainHandle {
    pub app: Arc<ServedApp>,
    pub host: String,
    /// The secret in the cookie of its host.
    pub token: String,
    stored: Mutex<StoredGrain>,
    /// Held during a start or a stop.
    transition: Mutex<Option<Instance>>,
    status: Mutex<Status>,
    uses: Mutex<Uses>,
}

/// A connection to a grain, counted as long as the value lives.
pub(super) struct InUse<'a>(&'a GrainHandle);

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

impl GrainHandle {
    pub fn new(app: Arc<ServedApp>, host: String, stored: StoredGrain) -> Result<Self, LibraryError> {
        Ok(GrainHandle {
            app,
            host,
            token: random_text().map_err(LibraryError::Random)?,
            stored: Mutex::new(stored),
            transition: Mutex::default(),
            status: Mutex::new(Status::Stopped(None)),
            uses: Mutex::new(Uses { open: 0, last: Instant::now() }),
        })
    }

    /// Its metadata as last read from disk.
    pub fn stored(&self) -> StoredGrain {
        locked(&self.stored).clone()
    }

    /// Replaces the cached metadata with that on disk.
    pub fn set_stored(&self, stored: StoredGrain) {
        *locked(&self.stored) = stored;
    }

    pub fn rename(&self, title: &str) -> Result<(), LibraryError> {
        locked(&self.stored).rename(title)
    }

    pub fn status(&self) -> Status {
        locked(&self.status).clone()
    }

    pub fn is_stopped(&self) -> bool {
        matches!(self.status(), Status::Stopped(_))
    }

    /// Returns whether it runs or is starting.
    pub fn is_up(&self) -> bool {
        matches!(self.status(), Status::Starting(_)) || self.running().is_some()
    }

    /// The report of its misses.
    pub fn misses_path(&self) -> PathBuf {
        locked(&self.stored).directory.join("misses")
    }

    /// Returns how many connections to it are open.
    pub fn connections(&self) -> usize {
        locked(&self.uses).open
    }

    /// Counts a connection for as long as the value lives.
    pub fn in_use(&self) -> InUse<'_> {
        let mut uses = locked(&self.uses);
        uses.open += 1;
        uses.last = Instant::now();
        InUse(self)
    }

    /// Returns its processes. Starts it first if it does not run, and waits until it is ready.
    ///
    /// # Errors
    /// The reason, as text.
    pub fn start(&self, store: &Arc<Store>, closing: &AtomicBool) -> Result<Arc<Running>, String> {
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let mut transition = locked(&self.transition);
        if let Some(running) = self.running() {
            return Ok(running);
        }
        self.finish(&mut transition, None);
        let set = |status| *locked(&self.status) = status;
        set(Status::Starting(None));
        // Either this finds the server closing, or the closing server finds these processes.
        let on_start = |running: Arc<Running>| {
            set(Status::Starting(Some(running)));
            if closing.load(Ordering::SeqCst) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        let directory = locked(&self.stored).directory.clone();
        // A full disk must not stop the app; the page shows the misses that were written.
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
                *transition = Some(instance);
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

    /// Returns its processes, if it is ready and has not ended.
    fn running(&self) -> Option<Arc<Running>> {
        match self.status() {
            Status::Running(running) if running.try_wait().is_none() => Some(running),
            _ => None,
        }
    }

    /// Stops it in every state; kills it during a start.
    pub fn stop(&self, why: Option<String>) {
        if let Status::Starting(Some(running)) = self.status() {
            running.kill();
        }
        self.finish(&mut locked(&self.transition), why);
    }

    /// Stops the instance, if there is one, and records the reason.
    fn finish(&self, transition: &mut Option<Instance>, why: Option<String>) {
        let Some(mut instance) = transition.take() else { return };
        let ended = instance.grain.try_wait().map(|exit| format!("the app ended with {exit}"));
        *locked(&self.status) = Status::Stopping;
        let fault = instance.grain.stop().err().map(|error| chain(&error));
        drop(instance);
        *locked(&self.status) = Status::Stopped(fault.or(ended).or(why));
    }

    /// Stops it if it is idle; cleans up if it has ended by itself.
    pub fn reap_idle(&self, idle: Duration) {
        let Status::Running(running) = self.status() else { return };
        let is_idle = || {
            let uses = locked(&self.uses);
            uses.open == 0 && uses.last.elapsed() >= idle
        };
        if running.try_wait().is_none() && !is_idle() {
            return;
        }
        // Otherwise a start or stop is going on, which does the same.
        if let Ok(mut transition) = self.transition.try_lock()
            && (running.try_wait().is_some() || is_idle())
        {
            self.finish(&mut transition, Some("nothing was asked of it for a while".to_owned()));
        }
    }
}
