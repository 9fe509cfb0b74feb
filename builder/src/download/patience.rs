//! When a request is retried, when a location is given up, and the state that transfers share.
//!
//! A passing fault (a busy server, a connection that breaks off) is retried with pauses that double, for
//! [`Patience::longest`] in all for each file. A server that names a pause (Retry-After) gets it, from all
//! transfers. A host that did nothing but fail for so long is given up: no other file waits for it. Contents
//! that are not as they should be may be damaged on the way, or kept damaged by a proxy: they are fetched
//! again, a few times, past caches. All else (not there, forbidden, another certificate) is final.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Downloader, MirrorFault, error::Kind, without_password};

/// Where time comes from; tests have one that takes none.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the time since some moment of the past.
    fn now(&self) -> Duration;
    /// Waits for so long.
    fn wait(&self, time: Duration);
    /// Returns a number around 1 that pauses are multiplied with, so that clients which failed at once do not
    /// come back at once.
    fn spread(&self) -> f64;
}

/// The clock of this machine.
#[derive(Debug)]
pub struct RealClock(Instant);

impl RealClock {
    /// Begins at 0.
    pub fn start() -> Self {
        RealClock(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn spread(&self) -> f64 {
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        0.75 + f64::from(random) / f64::from(u32::MAX) / 2.0
    }
}

/// How long and how often a place is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a file is retried in all. None: there is one try.
    pub longest: Duration,
    /// The same at services of past states, which are slow and strict.
    pub longest_past: Duration,
    /// The first pause; it doubles up to [`LONGEST_PAUSE`].
    pub first_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            longest: Duration::from_secs(60),
            longest_past: Duration::from_secs(300),
            first_pause: Duration::from_millis(500),
        }
    }
}

impl Patience {
    /// One try, and no second one.
    pub const NONE: Patience = Patience {
        longest: Duration::ZERO,
        longest_past: Duration::ZERO,
        first_pause: Duration::from_millis(500),
    };

    /// So many seconds for a mirror, and five times as many for a service of past states.
    pub fn of_seconds(seconds: u64) -> Self {
        let longest = Duration::from_secs(seconds.min(86_400));
        Patience { longest, longest_past: longest * 5, ..Patience::default() }
    }
}

/// The longest pause without a request of the server.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How often contents of one place may be wrong. Of a mirror that damages every fifth response one file in 15
/// 000 is lost.
const MOST_DOUBTS: u32 = 6;
/// The same once a host insisted on wrong contents.
const MOST_DOUBTS_OF_A_LIAR: u32 = 2;

/// Of how many files a host may send web pages, with nothing else between, before it is given up.
const MOST_PAGES: u32 = 3;

/// A transfer that brought so much before it broke off has not failed.
const PROGRESS_BYTES: u64 = 1 << 20;

/// The distance between transfers that come back to a host which requested a pause of all of them.
const APART: Duration = Duration::from_millis(200);

/// A wait that is worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

/// One URL of a file.
pub(super) struct FileUrl<'a> {
    pub(super) url: &'a str,
    /// Whether it is of a service of past states.
    pub(super) past: bool,
    pub(super) fault: Option<MirrorFault>,
    ready: Duration,
    since: Option<Duration>,
    tries: u32,
    doubts: u32,
    over: bool,
}

/// The state of the requests to a location.
#[derive(Debug, Default)]
pub(super) struct Manner {
    /// Not from a cache on the way.
    pub(super) fresh: bool,
    /// With more time for each response.
    pub(super) slowly: bool,
    /// How many bytes more than ever before it brought, if it failed.
    pub(super) brought: u64,
}

impl<'a> FileUrl<'a> {
    pub(super) fn new(url: &'a str, past: bool) -> Self {
        let (ready, since, fault) = (Duration::ZERO, None, None);
        FileUrl { url, past, fault, ready, since, tries: 0, doubts: 0, over: false }
    }

    pub(super) fn manner(&self) -> Manner {
        Manner { fresh: self.doubts > 0, slowly: self.past, brought: 0 }
    }
}

/// The state of a host.
#[derive(Debug, Default)]
struct Host {
    /// Since when it has done nothing but fail.
    failing_since: Option<Duration>,
    /// Until when it wants no request.
    closed_until: Duration,
    /// How many transfers wait until then.
    waiting: u32,
    /// The fault for which it was given up.
    given_up: Option<String>,
    lies: bool,
    /// Of how many files it has sent web pages since anything came as it should.
    pages: u32,
}

/// The state that all transfers of a [`Downloader`] share.
#[derive(Debug, Default)]
pub(super) struct Known {
    hosts: Mutex<BTreeMap<String, Host>>,
    /// The hosts whose wait is shown already.
    shown: Mutex<BTreeSet<String>>,
    /// Services of past states get one request at a time: they refuse more.
    past: Mutex<()>,
}

impl Known {
    fn with<T>(&self, url: &str, act: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        act(hosts.entry(host(url).to_owned()).or_default())
    }

    /// Takes the turn at the services of past states, where the place is of one.
    pub(super) fn turn(&self, past: bool) -> Option<MutexGuard<'_, ()>> {
        past.then(|| self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Downloader {
    /// Returns the place to try next: the mirrors' first, those of past states once no mirror is left; of
    /// these the one that may be tried first, hosts that fail at present behind the others. `None`: all are
    /// over.
    pub(super) fn next_place(&self, places: &mut [FileUrl<'_>]) -> Option<usize> {
        let now = self.options.clock.now();
        for place in places.iter_mut().filter(|place| !place.over) {
            if let Some(fault) = self.known.with(place.url, |host| host.given_up.clone()) {
                place.over = true;
                place.fault.get_or_insert(MirrorFault::GivenUp(fault));
            }
        }
        let mirrors_left = places.iter().any(|place| !place.over && !place.past);
        let open = places.iter().enumerate().filter(|(_, place)| !place.over && place.past != mirrors_left);
        let order = |place: &FileUrl<'_>| {
            self.known.with(place.url, |host| {
                let ready = place.ready.max(host.closed_until);
                (if ready <= now { Duration::ZERO } else { ready }, host.failing_since.is_some())
            })
        };
        open.min_by_key(|(_, place)| order(place)).map(|(index, _)| index)
    }

    /// Waits until a location may get a request, and shows the reason.
    pub(super) fn wait_for(&self, place: &FileUrl<'_>) {
        let clock = &self.options.clock;
        let now = clock.now();
        let wait = self.known.with(place.url, |host| {
            let is_closed = host.closed_until > now;
            let open = if is_closed { host.closed_until + APART * host.waiting } else { Duration::ZERO };
            host.waiting += 1;
            place.ready.max(open).saturating_sub(now)
        });
        if !wait.is_zero() {
            self.wait(place, wait);
        }
        self.known.with(place.url, |host| host.waiting -= 1);
    }

    fn wait(&self, place: &FileUrl<'_>, wait: Duration) {
        let host = without_password(host(place.url)).trim_end_matches('/').to_owned();
        let shown = || self.known.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = wait >= WORTH_A_WORD && shown().insert(host.clone());
        let task = is_new.then(|| {
            let why = match &place.fault {
                Some(fault) => fault.to_string().lines().next().unwrap_or_default().to_owned(),
                None => "busy".into(),
            };
            let text = format!("waiting for {host}: {why}; again in {:.0} s", wait.as_secs_f64().ceil());
            self.options.progress.wait(&text)
        });
        self.options.clock.wait(wait);
        if task.is_some() {
            shown().remove(&host);
        }
    }

    /// Notes that something came from a host as it should.
    pub(super) fn note_whole(&self, url: &str) {
        self.known.with(url, |host| (host.failing_since, host.given_up, host.pages) = (None, None, 0));
    }

    /// Notes that a host works.
    fn note_success(&self, url: &str) {
        self.known.with(url, |host| (host.failing_since, host.given_up) = (None, None));
    }

    /// Notes that a place sent a web page: the second time it is over, and after some of them its host.
    fn note_page(&self, place: &mut FileUrl<'_>, fault: &MirrorFault, now: Duration) {
        place.doubts += 1;
        place.ready = now + self.pause(place.doubts);
        place.over = place.doubts >= MOST_DOUBTS_OF_A_LIAR || self.options.patience.longest.is_zero();
        if place.over {
            self.known.with(place.url, |host| {
                host.pages += 1;
                if host.pages >= MOST_PAGES {
                    host.given_up = Some(fault.to_string());
                }
            });
        }
    }

    /// Notes the fault of a location, and the time of the next request to it, if any. `began` is the time of
    /// the failed request.
    pub(super) fn note_fault(
        &self,
        place: &mut FileUrl<'_>,
        fault: MirrorFault,
        began: Duration,
        brought: u64,
    ) {
        let now = self.options.clock.now();
        match fault.kind() {
            // A file of this machine stays as it is.
            _ if place.url.starts_with("file:") => place.over = true,
            Kind::Final => {
                self.note_success(place.url);
                place.over = true;
            }
            Kind::Doubtful if matches!(fault.itself(), MirrorFault::WebPage) => {
                self.note_page(place, &fault, now)
            }
            Kind::Doubtful => self.note_doubt(place, now),
            Kind::Passing => self.note_passing(place, &fault, began, brought),
        }
        place.fault = Some(fault);
    }

    fn note_doubt(&self, place: &mut FileUrl<'_>, now: Duration) {
        self.note_success(place.url);
        place.doubts += 1;
        place.tries += 1;
        let lies = self.known.with(place.url, |host| host.lies);
        let most = if lies { MOST_DOUBTS_OF_A_LIAR } else { MOST_DOUBTS };
        place.ready = now + self.pause(place.doubts);
        place.over = place.doubts >= most || self.options.patience.longest.is_zero();
        if place.over {
            self.known.with(place.url, |host| host.lies = true);
        }
    }

    fn note_passing(&self, place: &mut FileUrl<'_>, fault: &MirrorFault, began: Duration, brought: u64) {
        let now = self.options.clock.now();
        self.known.with(place.url, |host| {
            host.failing_since = Some(host.failing_since.map_or(began, |since| since.min(began)));
        });
        if brought >= PROGRESS_BYTES {
            (place.since, place.tries) = (None, 0);
        }
        let since = *place.since.get_or_insert(began);
        place.tries += 1;
        let longest = self.longest(place, fault);
        let last = since + longest;
        match fault.rest() {
            // More than that would be no pause but a refusal.
            Some(rest) if rest > longest * 2 => place.over = true,
            Some(rest) if now < last => {
                place.ready = now + rest;
                self.known.with(place.url, |host| host.closed_until = host.closed_until.max(now + rest));
            }
            None if now < last => place.ready = (now + self.pause(place.tries)).min(last),
            _ => place.over = true,
        }
        if place.over {
            self.known.with(place.url, |host| {
                if host.failing_since.is_some_and(|failing| failing <= since) {
                    host.given_up = Some(fault.to_string());
                }
            });
        }
    }

    /// Returns how long a fault is waited out. Where nothing listens at all, that is sooner known.
    fn longest(&self, place: &FileUrl<'_>, fault: &MirrorFault) -> Duration {
        match (place.past, fault.is_refusal()) {
            (true, _) => self.options.patience.longest_past,
            (false, true) => self.options.patience.longest / 4,
            (false, false) => self.options.patience.longest,
        }
    }

    fn pause(&self, tries: u32) -> Duration {
        let doubled = self.options.patience.first_pause * (1 << tries.saturating_sub(1).min(8));
        doubled.min(LONGEST_PAUSE).mul_f64(self.options.clock.spread())
    }
}

/// Returns the scheme and host of a URL; of a `file:` URL all.
fn host(url: &str) -> &str {
    url.match_indices('/').nth(2).filter(|_| !url.starts_with("file:")).map_or(url, |(end, _)| &url[..end])
}
