//! The known uses of paths: by a trace, by a grain in use, by the app's own words.
//!
//! Comes in: the uses and accesses that a [`view`](crate::view) recorded, times of the copies in a grain's
//! `/var`, and lines that an app printed. Goes out: the list of a trace ([`UsedList`], `used.list`), each
//! [`Miss`] of a pruned app with the line of the recipe that would keep its path, the report that a grain in use
//! leaves ([`MissSink`]), and the two merged ([`merge_misses`]). Stages and the server read and write evidence here alone. Nothing here decides what is
//! pruned ([`prune`](crate::prune) does), starts a process, or mounts anything.

mod copies;
mod for_pruning;
mod kinds;
mod merge;
mod miss;
mod misses;
mod named;
#[cfg(feature = "testing")]
pub(crate) mod readers;
mod services;
mod sink;
pub mod step;
mod used_list;

pub use copies::{shows_reads, used_copies};
pub use for_pruning::{Evidence, Used, evidence_of};
pub use kinds::{Kinds, Missed, PAGE_BYTES, Pruned, PrunedAccess, UnknownKind, Use};
pub use merge::merge_misses;
pub use miss::{Cause, Miss, most_pruned, unseen};
pub use misses::{MissReport, ReportError, Reported, read_report};
pub use named::{Reader, named, tells_of_missing};
pub use services::Services;
pub use sink::{Finding, MissSink, OnFinding};
pub use used_list::{Changes, UsedLine, UsedList, UsedListError};
