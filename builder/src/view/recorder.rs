//! Notes first uses: the recorder behind a [`View`](super::View).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::callers::{Program, Programs};
use crate::{
    evidence::{Kinds, Missed, Pruned, PrunedAccess, Use, step},
    layout::{INIT, ImagePath},
};

/// Called with each [`PrunedAccess`] as it happens, from a thread that serves requests: it must be quick.
pub type OnMiss = Box<dyn Fn(&PrunedAccess) + Send + Sync>;

/// Names kept that were looked for and are not there, and the bytes of their paths. An app can look up ever
/// new ones; real apps look up some thousands.
pub(super) const ABSENT_LIMIT: usize = 200_000;
pub(super) const ABSENT_LIMIT_BYTES: usize = 32 << 20;

/// Who used a path first, in the strongest way seen so far.
struct Origin {
    strength: u16,
    program: Program,
    step: Arc<str>,
}

#[derive(Default)]
struct Ledger {
    origins: HashMap<u32, Origin>,
    absent: BTreeMap<ImagePath, (Program, Arc<str>)>,
    absent_bytes: usize,
    /// Each with whether it was a refused change: a path may be listed and then be written to.
    missed: HashSet<(ImagePath, bool)>,
    misses: Vec<PrunedAccess>,
}

/// Notes first uses. Later ones cost one atomic load.
pub(super) struct Recorder {
    record: bool,
    recording: AtomicBool,
    /// Questions so far.
    asked: AtomicU64,
    flags: Vec<AtomicU16>,
    ledger: Mutex<Ledger>,
    step: RwLock<Arc<str>>,
    pruned: Option<Arc<Pruned>>,
    on_miss: Option<OnMiss>,
    programs: Box<dyn Programs>,
}

impl Recorder {
    pub(super) fn new(
        names: usize,
        record: bool,
        pruned: Option<Arc<Pruned>>,
        on_miss: Option<OnMiss>,
        programs: Box<dyn Programs>,
    ) -> Self {
        Recorder {
            record,
            recording: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            flags: std::iter::repeat_with(AtomicU16::default).take(names).collect(),
            ledger: Mutex::default(),
            step: RwLock::new(step::START.into()),
            pruned,
            on_miss,
            programs,
        }
    }

    /// A panic while the lock is held leaves the ledger whole: each change is one insertion.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_recording(&self, on: bool) {
        self.recording.store(on, Ordering::Release);
    }

    /// Returns true unless the present request will have to come again to be noted.
    pub(super) fn caching(&self) -> bool {
        !self.record || self.recording.load(Ordering::Acquire)
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn mark(&self, step: &str) {
        *self.step.write().unwrap_or_else(PoisonError::into_inner) = step.into();
    }

    fn step(&self) -> Arc<str> {
        self.step.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the name or node `index` was used in one way.
    pub(super) fn note(&self, index: u32, kind: Kinds, thread: u32) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.note_first(index, kind, thread);
        // Last, since the caller of exec is still the old program.
        if kind == Kinds::EXECUTED {
            self.programs.executing(thread);
        }
    }

    fn note_first(&self, index: u32, kind: Kinds, thread: u32) {
        let flags = &self.flags[index as usize];
        if !self.record
            || !self.recording.load(Ordering::Acquire)
            || flags.load(Ordering::Relaxed) & kind.bits() != 0
        {
            return;
        }
        let program = self.programs.program(thread);
        if program.ours && kind.intersects(Kinds::OPENED.union(Kinds::LISTED)) {
            return;
        }
        let step = self.step();
        let mut ledger = self.ledger();
        flags.fetch_or(kind.bits(), Ordering::Relaxed);
        let strength = kind.bits();
        if ledger.origins.get(&index).is_none_or(|origin| origin.strength > strength) {
            ledger.origins.insert(index, Origin { strength, program, step });
        }
    }

    /// Notes that a path was looked for and is not there.
    pub(super) fn note_absent(&self, path: ImagePath, thread: u32) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let package = self.pruned.as_ref().and_then(|pruned| pruned.get(&path));
        let recording = self.record && self.recording.load(Ordering::Acquire);
        if package.is_none() && !recording {
            return;
        }
        let program = self.programs.program(thread);
        if program.ours {
            return;
        }
        let step = self.step();
        let mut ledger = self.ledger();
        if let Some(package) = package
            && ledger.missed.insert((path.clone(), false))
        {
            let miss = PrunedAccess {
                path: path.clone(),
                package: package.clone(),
                program: program.path.clone(),
                step: step.clone(),
                time: SystemTime::now(),
                how: Missed::Absent,
            };
            self.miss(&mut ledger, miss);
        }
        let room = ledger.absent.len() < ABSENT_LIMIT && ledger.absent_bytes < ABSENT_LIMIT_BYTES;
        if recording && room && !ledger.absent.contains_key(&path) {
            ledger.absent_bytes += path.as_bytes().len();
            ledger.absent.insert(path, (program, step));
        }
    }

    /// Notes that a change was refused.
    pub(super) fn note_refused(&self, path: ImagePath, thread: u32) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.note_miss(path, Missed::Refused, thread);
    }

    /// Notes that a directory was listed from which names were pruned: a program that does not find a name in
    /// a listing has no reason to look it up.
    pub(super) fn note_lacking(&self, path: &ImagePath, pruned_names: usize, thread: u32) {
        self.note_miss(path.clone(), Missed::Listed(pruned_names), thread);
    }

    /// Returns true if a thread is of the app's first process or of this program.
    pub(super) fn is_ours(&self, thread: u32) -> bool {
        let program = self.programs.program(thread);
        program.ours || &*program.path == INIT
    }

    fn note_miss(&self, path: ImagePath, how: Missed, thread: u32) {
        if self.is_ours(thread) {
            return;
        }
        let program = self.programs.program(thread);
        let step = self.step();
        let mut ledger = self.ledger();
        if !ledger.missed.insert((path.clone(), how == Missed::Refused)) {
            return;
        }
        let (program, time) = (program.path, SystemTime::now());
        let miss = PrunedAccess { path, package: None, program, step, time, how };
        self.miss(&mut ledger, miss);
    }

    fn miss(&self, ledger: &mut Ledger, miss: PrunedAccess) {
        if let Some(tell) = &self.on_miss {
            tell(&miss);
        }
        ledger.misses.push(miss);
    }

    pub(super) fn misses(&self, since: usize) -> Vec<PrunedAccess> {
        self.ledger().misses.get(since..).unwrap_or_default().to_vec()
    }

    /// Returns the uses of absent paths.
    pub(super) fn absent(&self) -> Vec<Use> {
        let ledger = self.ledger();
        let uses = ledger.absent.iter().map(|(path, (program, step))| Use {
            path: path.clone(),
            kinds: Kinds::ABSENT,
            program: program.path.clone(),
            service: program.service.clone(),
            step: step.clone(),
        });
        uses.collect()
    }

    /// Returns the use of the name `index` whose node is noted under `node`; `None` if it was not used.
    /// A file's use counts for each of its names that was looked up.
    pub(super) fn use_of(&self, path: &ImagePath, index: u32, node: u32, linked: bool) -> Option<Use> {
        let own = self.flags[index as usize].load(Ordering::Relaxed);
        if own == 0 || (linked && own & Kinds::STAT.bits() == 0) {
            return None;
        }
        let mut kinds = Kinds::from_bits(own | self.flags[node as usize].load(Ordering::Relaxed));
        if kinds != Kinds::STAT {
            kinds = kinds.without(Kinds::STAT);
        }
        let ledger = self.ledger();
        let origin = [index, node].iter().filter_map(|i| ledger.origins.get(i)).min_by_key(|o| o.strength);
        let (program, step) = match origin {
            Some(origin) => (origin.program.clone(), origin.step.clone()),
            None => (Program::unknown(), "".into()),
        };
        Some(Use { path: path.clone(), kinds, program: program.path, service: program.service, step })
    }
}
