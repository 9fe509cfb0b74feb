//! What was used, how, and by whom first: the recorder behind a [`View`](super::View).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use super::callers::{Program, Programs};
use crate::tree::TreePath;

/// How a path was used: a set of kinds of evidence.
///
/// It prints as the kinds' names, strongest first, joined by commas. A file that was opened is
/// not also *stat*, and a directory that was listed or passed is not either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kinds(u16);

impl Kinds {
    /// A program, script or ELF interpreter that the kernel was asked to run.
    pub const EXECUTED: Kinds = Kinds(1);
    /// A file opened; reading and mapping cannot be told apart.
    pub const OPENED: Kinds = Kinds(1 << 1);
    /// A file changed, or opened to be changed.
    pub const WRITTEN: Kinds = Kinds(1 << 2);
    /// A symbolic link whose target was read.
    pub const READ_LINK: Kinds = Kinds(1 << 3);
    /// A directory whose entries were listed.
    pub const LISTED: Kinds = Kinds(1 << 4);
    /// A directory in which a name was looked up.
    pub const TRAVERSED: Kinds = Kinds(1 << 5);
    /// Found by stat, access or the like, and not used otherwise.
    pub const STAT: Kinds = Kinds(1 << 6);
    /// Looked for, and not there.
    pub const ABSENT: Kinds = Kinds(1 << 7);

    const NAMES: [(Kinds, &'static str); 8] = [
        (Kinds::EXECUTED, "executed"),
        (Kinds::OPENED, "opened"),
        (Kinds::WRITTEN, "written"),
        (Kinds::READ_LINK, "read-link"),
        (Kinds::LISTED, "listed"),
        (Kinds::TRAVERSED, "traversed"),
        (Kinds::STAT, "stat"),
        (Kinds::ABSENT, "absent"),
    ];

    /// Returns the set without kinds.
    pub fn none() -> Self {
        Kinds(0)
    }

    /// Returns true if every kind of `other` is in this set.
    pub fn contains(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns true if any kind of `other` is in this set.
    pub fn intersects(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the kinds of either set.
    pub fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Returns the kinds of this set that are not in the other.
    pub fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    /// Returns true for the set without kinds.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns each kind in it as a set of one with its name, strongest first.
    pub fn iter(self) -> impl Iterator<Item = (Kinds, &'static str)> {
        Kinds::NAMES.into_iter().filter(move |(kind, _)| self.contains(*kind))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, name)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// A word that names no kind of evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of evidence")]
pub struct UnknownKind(pub String);

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        text.split(',').try_fold(Kinds::none(), |all, word| {
            let known = Kinds::NAMES.iter().find(|(_, name)| *name == word);
            known.map(|(kind, _)| all.union(*kind)).ok_or_else(|| UnknownKind(word.to_owned()))
        })
    }
}

/// One path's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The path, as in the view's tree; for absent ones, as it was asked for.
    pub path: TreePath,
    /// How it was used; never empty.
    pub kinds: Kinds,
    /// The program that used it first in the strongest of those ways.
    pub program: Arc<str>,
    /// The program that the first process started to do that work, directly or not; empty if unknown.
    pub service: Arc<str>,
    /// The exercise step that was current then.
    pub step: Arc<str>,
}

/// A path that was asked for and is not there because it was pruned, a directory that was listed without its pruned names, or a path
/// that may not be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The path.
    pub path: TreePath,
    /// The Debian package that it came from, if known.
    pub package: Option<String>,
    /// The program that asked.
    pub program: Arc<str>,
    /// The exercise step that was current.
    pub step: Arc<str>,
    /// When.
    pub time: SystemTime,
    /// How.
    pub how: Missed,
}

/// How a path was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It was looked up and is not there.
    Absent,
    /// The directory was listed; so many names in it were pruned.
    Listed(usize),
    /// It is there, was to be changed, and may not be.
    Refused,
}

/// What was pruned: each path that the whole root has and the view's tree does not, with the
/// Debian package that owns it, if any.
pub type Pruned = BTreeMap<TreePath, Option<String>>;

/// Is told each [`Miss`] as it happens, from a thread that serves requests: it must be quick.
pub type OnMiss = Box<dyn Fn(&Miss) + Send + Sync>;

/// Names kept that were looked for and are not there, and the bytes of their paths. An app can ask for ever new ones; those of real apps
/// ask for some thousands.
pub(super) const ABSENT_LIMIT: usize = 200_000;
pub(super) const ABSENT_LIMIT_BYTES: usize = 32 << 20;

/// A grain's first process: it copies the skeleton of `/var`, whatever is in it.
const INIT: &str = "/tinyroot/init";

/// Who used a path first, in the strongest way seen so far.
struct Origin {
    strength: u16,
    program: Program,
    step: Arc<str>,
}

#[derive(Default)]
struct Ledger {
    origins: HashMap<u32, Origin>,
    absent: BTreeMap<TreePath, (Program, Arc<str>)>,
    absent_bytes: usize,
    missed: HashSet<TreePath>,
    misses: Vec<Miss>,
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
            step: RwLock::new("start".into()),
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

    /// Returns true unless what is asked now will have to be asked again to be noted.
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
        // Last, for whoever asks to run a program is still the old one.
        if kind == Kinds::EXECUTED {
            self.programs.executing(thread);
        }
    }

    fn note_first(&self, index: u32, kind: Kinds, thread: u32) {
        let flags = &self.flags[index as usize];
        if !self.record
            || !self.recording.load(Ordering::Acquire)
            || flags.load(Ordering::Relaxed) & kind.0 != 0
        {
            return;
        }
        let program = self.programs.program(thread);
        if program.ours && kind.intersects(Kinds::OPENED.union(Kinds::LISTED)) {
            return;
        }
        let step = self.step();
        let mut ledger = self.ledger();
        flags.fetch_or(kind.0, Ordering::Relaxed);
        let strength = kind.0;
        if ledger.origins.get(&index).is_none_or(|origin| origin.strength > strength) {
            ledger.origins.insert(index, Origin { strength, program, step });
        }
    }

    /// Notes that a path was looked for and is not there.
    pub(super) fn note_absent(&self, path: TreePath, thread: u32) {
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
            && ledger.missed.insert(path.clone())
        {
            let miss = Miss {
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
    pub(super) fn note_refused(&self, path: TreePath, thread: u32) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.note_miss(path, Missed::Refused, thread);
    }

    /// Notes that a directory was listed from which names were pruned: a program that does not find a name in a listing
    /// has no reason to look it up.
    pub(super) fn note_lacking(&self, path: &TreePath, pruned_names: usize, thread: u32) {
        self.note_miss(path.clone(), Missed::Listed(pruned_names), thread);
    }

    /// Returns true if a thread is of the app's first process or of this program.
    pub(super) fn is_ours(&self, thread: u32) -> bool {
        let program = self.programs.program(thread);
        program.ours || &*program.path == INIT
    }

    fn note_miss(&self, path: TreePath, how: Missed, thread: u32) {
        if self.is_ours(thread) {
            return;
        }
        let program = self.programs.program(thread);
        let step = self.step();
        let mut ledger = self.ledger();
        if !ledger.missed.insert(path.clone()) {
            return;
        }
        let (program, time) = (program.path, SystemTime::now());
        let miss = Miss { path, package: None, program, step, time, how };
        self.miss(&mut ledger, miss);
    }

    fn miss(&self, ledger: &mut Ledger, miss: Miss) {
        if let Some(tell) = &self.on_miss {
            tell(&miss);
        }
        ledger.misses.push(miss);
    }

    pub(super) fn misses(&self, since: usize) -> Vec<Miss> {
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
    pub(super) fn use_of(&self, path: &TreePath, index: u32, node: u32, linked: bool) -> Option<Use> {
        let own = self.flags[index as usize].load(Ordering::Relaxed);
        if own == 0 || (linked && own & Kinds::STAT.0 == 0) {
            return None;
        }
        let mut kinds = Kinds(own | self.flags[node as usize].load(Ordering::Relaxed));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_print_and_read() {
        let kinds = Kinds::OPENED.union(Kinds::EXECUTED);
        assert_eq!(kinds.to_string(), "executed,opened");
        assert_eq!("opened,executed".parse(), Ok(kinds));
        assert_eq!("opened,mapped".parse::<Kinds>(), Err(UnknownKind("mapped".into())));
        assert_eq!("".parse::<Kinds>(), Err(UnknownKind("".into())));
        assert_eq!(kinds.without(Kinds::OPENED), Kinds::EXECUTED);
    }
}
