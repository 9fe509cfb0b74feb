//! A first start of an app whose recipe was begun: is it ready, and does it respond?
//!
//! Comes in: a recipe and its full root. Goes out: an [`Attempt`]: how it ended, what the services printed, which
//! ports answered, and the [`Cause`]s that can be told of a failure, each with a [`Mend`] of the recipe folder where
//! there is one. The grain is the one that trace, proof and `run` start. Nothing here chooses a version or writes the
//! recipe: `mend` gives texts.

mod causes;
mod mend;

pub use causes::{Cause, Mend, causes, uncalled};
pub use mend::{Folder, apply, with_title};

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use regex::Regex;

use crate::{
    exercise::{self, Authority, ExerciseError, Outcome, Transcript, Visit},
    grain::{Grain, GrainError, GrainRoot, GrainSpec, GrainTarget, RootOptions},
    image::{self, VarPolicy},
    progress::{Progress, Unit},
    recipe::Recipe,
    render::{RenderOptions, render},
    sandbox::{Address, Listening, Running, grain_host_id, is_full_root},
    store::{Scratch, Store},
    tree::Tree,
};

/// How long services may take at an attempt, in seconds; what is slower for good has its own limit in the recipe.
const LIMIT_S: u32 = 45;

/// How often the ports inside are looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// How long another port than the recipe's must answer before the attempt is over.
const SURE: Duration = Duration::from_secs(3);

/// How an attempt ended.
#[derive(Debug)]
pub enum End {
    /// All steps were answered. The title of the first page, if it has one.
    Answered {
        /// The text of the page's `<title>`.
        title: Option<String>,
    },
    /// It did not become ready.
    NotReady(GrainError),
    /// It became ready, and did not respond as the exercise expects.
    Missed(ExerciseError),
}

/// An attempt.
#[derive(Debug)]
pub struct Attempt {
    /// How it ended.
    pub end: End,
    /// The lines that its services printed, oldest first; of very many the last.
    pub said: Vec<String>,
    /// TCP ports on which something listened, and whether it spoke HTTP.
    pub ports: BTreeMap<u16, bool>,
    /// From its start until it was ready.
    pub took: Duration,
}

/// Returns whether the title of a page is that of a fault, whatever the page's status.
pub fn tells_of_a_fault(title: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\b(error|fail(ed|ure)|fault|exception|not found|forbidden|unavailable)\b")
            .expect("compiles")
    });
    WORDS.is_match(title)
}

/// Starts an app on its full root and takes the steps of its exercise.
///
/// # Errors
/// A host that lets no app run.
pub fn attempt(
    recipe: &Recipe,
    tree: &Tree,
    epoch_s: i64,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Attempt, GrainError> {
    let mut recipe = recipe.clone();
    for service in &mut recipe.services {
        service.timeout_s = service.timeout_s.min(LIMIT_S);
    }
    let recipe = &recipe;
    let (_scratch, root, spec) = fresh(recipe, tree, epoch_s, store)?;
    let log = spec.log.clone();
    // The first call begins what is heard.
    log.heard();
    let ports = Arc::new(Ports::default());
    let wanted = recipe.web.as_ref().map(|web| web.port);
    let task = progress.task("starting the app", 0, Unit::Items);
    let began = Instant::now();
    let watch = ports.clone();
    let started = Grain::start_with(root, spec, move |running| {
        thread::Builder::new().name("ports".into()).spawn(move || watch.watch(&running, wanted)).map(drop)
    });
    ports.over.store(true, Ordering::Relaxed);
    let took = began.elapsed();
    drop(task);
    let end = match started {
        Err(error) if error.is_of_host() => return Err(error),
        Err(error) => End::NotReady(error),
        Ok(mut grain) => {
            let task = progress.task("asking for its first page", recipe.exercise.len() as u64, Unit::Items);
            let authority = Authority::of_run(recipe);
            let visit = Visit::of(recipe, &authority);
            let answered = exercise::run(&visit, &mut GrainTarget::new(&mut grain, Some(&task)));
            let _ = grain.stop();
            match answered {
                Ok(transcript) => {
                    // Of the page itself or of the end of its redirects, not of what is loaded with it.
                    let records = transcript.steps.iter().chain(&transcript.beside);
                    let mut titles = records.filter_map(|record| match &record.outcome {
                        Outcome::Responded(response) if response.status == 200 => title(&response.body),
                        _ => None,
                    });
                    End::Answered { title: titles.next() }
                }
                Err(error) => End::Missed(error),
            }
        }
    };
    let ports = std::mem::take(&mut *ports.seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Attempt { end, said: log.heard(), ports, took })
}

/// Returns what a grain on the full root starts with: the place of its first `/var`, its root and its needs.
fn fresh(
    recipe: &Recipe,
    tree: &Tree,
    epoch_s: i64,
    store: &Arc<Store>,
) -> Result<(Scratch, Arc<GrainRoot>, GrainSpec), GrainError> {
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| GrainError::Render(error);
    let scratch = store.scratch("attempt-").map_err(|error| fault(error.into()))?;
    let var = scratch.path().join("var");
    let mut image = image::build(tree.clone(), recipe, &VarPolicy::CopyAll, store, epoch_s);
    image::apply_modes(&mut image, store);
    let filled = image::filled_var(&image, store, grain_host_id());
    let owned = RenderOptions { owners: is_full_root(), ..RenderOptions::default() };
    render(&filled, store, &var, owned).map_err(|error| fault(error.into()))?;
    let root = Arc::new(GrainRoot::new(Arc::new(image), store, RootOptions::default())?);
    let spec = GrainSpec::of(recipe, &var);
    Ok((scratch, root, spec))
}

/// Takes the exercise of a recipe on a new grain of its full root, as a user of that authority.
///
/// # Errors
/// A grain that does not start; what the exercise found is inside.
pub fn replay(
    recipe: &Recipe,
    (tree, epoch_s): (&Tree, i64),
    authority: &Authority,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Result<Transcript, ExerciseError>, GrainError> {
    let (_scratch, root, spec) = fresh(recipe, tree, epoch_s, store)?;
    let mut grain = Grain::start(root, spec)?;
    let task = progress.task("replaying the exercise", recipe.exercise.len() as u64, Unit::Items);
    let visit = Visit::of(recipe, authority);
    let answered = exercise::run(&visit, &mut GrainTarget::new(&mut grain, Some(&task)));
    grain.stop()?;
    Ok(answered)
}

/// The ports of a grain while it starts.
#[derive(Default)]
struct Ports {
    seen: Mutex<BTreeMap<u16, bool>>,
    over: AtomicBool,
}

impl Ports {
    /// Looks at what listens until the start is over. An app that answers on another port than the recipe's, and not on
    /// that, will not become ready: it is ended then.
    fn watch(&self, running: &Running, wanted: Option<u16>) {
        let mut elsewhere: Option<Instant> = None;
        while !self.over.load(Ordering::Relaxed) && running.try_wait().is_none() {
            let listening = running.listening();
            let ports: Vec<u16> = listening
                .iter()
                .filter_map(|place| match place {
                    Listening::Port(port) => Some(*port),
                    Listening::Socket(_) => None,
                })
                .collect();
            for port in &ports {
                let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(port).copied();
                if known != Some(true) {
                    let speaks = speaks_http(running, *port);
                    self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(*port, speaks);
                }
            }
            let there = wanted.is_some_and(|port| ports.contains(&port));
            let other =
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).values().any(|speaks| *speaks);
            match elsewhere {
                _ if there || !other => elsewhere = None,
                None => elsewhere = Some(Instant::now()),
                Some(since) if since.elapsed() > SURE => {
                    running.kill();
                    return;
                }
                Some(_) => {}
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Returns whether something that speaks HTTP answers on a port.
fn speaks_http(running: &Running, port: u16) -> bool {
    let Ok(socket) = running.connect(&Address::Tcp(port)) else { return false };
    let mut stream = TcpStream::from(socket);
    let limit = Some(Duration::from_secs(2));
    if stream.set_read_timeout(limit).is_err() || stream.set_write_timeout(limit).is_err() {
        return false;
    }
    let mut start = [0; 5];
    let asked = stream.write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    asked.is_ok() && stream.read_exact(&mut start).is_ok() && start == *b"HTTP/"
}

/// Returns the title of a page, on one line, where it has one.
pub(crate) fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title>")?;
    let title = text[start..end].split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty() && title.len() < 200).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_of_a_page() {
        assert_eq!(
            title(b"<html><TITLE lang=en>\n Tea &amp;\n more </TITLE>").as_deref(),
            Some("Tea &amp; more")
        );
        assert_eq!(title(b"<title></title>"), None);
        assert_eq!(title(b"no page"), None);
    }
}
