//! The features that this host allows, found by trying, and the remedies for missing ones.

use std::borrow::Cow;

use super::{
    Ids, SandboxError, Way,
    child::Monitor,
    ids::{chosen_way, is_full_root, own_ids},
    protocol::{Report, Task},
    remedy::hint,
};
use crate::error::{Hint as _, chain};

/// Something that this host does not allow. It prints as its reason and remedy; the sentence around it says
/// what fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} ({remedy})")]
pub struct Unavailable {
    /// The missing feature: `sandboxes`, `subordinate ids`, `FUSE`, or a directory such as `/proc`.
    pub what: &'static str,
    /// The refused operation.
    pub reason: String,
    /// The remedy.
    pub remedy: String,
}

/// Whether a host allows something.
pub type Ability = Result<(), Unavailable>;

/// The features that this host allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSupport {
    /// Sandboxes at all.
    pub user_namespaces: Ability,
    /// More ids than our own, inside.
    pub subordinate_ids: Ability,
    /// Roots served by us.
    pub fuse: Ability,
    /// How we would be root-like.
    pub way: Option<Way>,
}

/// Finds what this host allows, by trying.
pub fn host() -> HostSupport {
    let user_namespaces = probe(Ids::Grain).map(drop).map_err(|error| missing(SANDBOXES, &error));
    let subordinate_ids = match Ids::RootLike(Way::Subordinate).maps() {
        Err(error) => Err(chain(&error)),
        Ok(_) => probe(Ids::RootLike(Way::Subordinate)).map(drop).map_err(|error| chain(&error)),
    };
    let subordinate_ids = subordinate_ids.map_err(|reason| Unavailable {
        what: "subordinate ids",
        reason,
        remedy: SUBORDINATE.to_owned(),
    });
    HostSupport { user_namespaces, subordinate_ids, fuse: fuse(), way: best_way().ok() }
}

/// Finds whether this host lets us serve the root of a grain, by trying.
pub fn fuse() -> Ability {
    probe(Ids::Grain).map_or_else(|error| Err(missing(SANDBOXES, &error)), |probed| probed.fuse)
}

const SANDBOXES: &str = "sandboxes";

fn missing(what: &'static str, error: &SandboxError) -> Unavailable {
    let remedy = error.hint().map_or("no remedy is known".into(), Cow::into_owned);
    Unavailable { what, reason: chain(error), remedy }
}

/// Finds the directories that programs which are root-like in this way must do without: `/proc`, or with
/// [`Way::Chroot`] also `/dev`.
///
/// # Errors
/// The way is not there at all.
pub fn missing_features(way: Way) -> Result<Vec<Unavailable>, SandboxError> {
    let Probed { proc, devices, .. } = probe(Ids::RootLike(way))?;
    Ok([proc, devices].into_iter().filter_map(Result::err).collect())
}

const SUBORDINATE: &str = "install uidmap and give the user a range: usermod --add-subuids 100000-165535 \
                           --add-subgids 100000-165535 USER";

/// The result of a probe.
pub(super) struct Probed {
    pub fuse: Ability,
    pub proc: Ability,
    pub devices: Ability,
}

/// Tries all that a sandbox with these ids takes, up to its program.
pub(super) fn probe(ids: Ids) -> Result<Probed, SandboxError> {
    let mut monitor = Monitor::spawn(&Task::Probe(ids))?;
    let result = monitor.map(ids).and_then(|()| monitor.next());
    monitor.stop();
    let Report::Probed(found) = result?.0 else {
        return Err(SandboxError::Ended { output: String::new() });
    };
    let refused = |name: &str| found.iter().find(|(n, _)| n == name).and_then(|(_, why)| why.clone());
    let ability = |name: &str, what: &'static str| match refused(name) {
        None => Ok(()),
        Some(reason) => {
            let remedy = hint(&reason, libc::EPERM).unwrap_or_default();
            Err(Unavailable { what, reason, remedy })
        }
    };
    let (fuse, proc) = (ability("fuse", "FUSE"), ability("proc", "/proc"));
    Ok(Probed { fuse, proc, devices: ability("devices", "/dev") })
}

/// Returns the most faithful way that this host offers, by trying each once.
///
/// # Errors
/// [`SandboxError`] of the last way tried; as root, of both last ones.
pub fn best_way() -> Result<Way, SandboxError> {
    if let Some(way) = chosen_way() {
        return Ok(way);
    }
    let possible = |way| probe(Ids::RootLike(way)).map(|_| way);
    if is_full_root() && possible(Way::Root).is_ok() {
        return Ok(Way::Root);
    }
    if Ids::RootLike(Way::Subordinate).maps().is_ok() && possible(Way::Subordinate).is_ok() {
        return Ok(Way::Subordinate);
    }
    let refused = match possible(Way::Single) {
        Err(refused) if own_ids().0 == 0 => refused,
        result => return result,
    };
    possible(Way::Chroot).map_err(|error| {
        // Mapping ids makes name spaces too, with fewer capabilities than a chroot takes.
        let of_chroot = error.hint().filter(|_| !matches!(refused, SandboxError::Map { .. }));
        let hints: Vec<_> = [refused.hint(), of_chroot].into_iter().flatten().collect();
        SandboxError::Host {
            reason: format!("{}; {}", chain(&refused), chain(&error)),
            hint: (!hints.is_empty()).then(|| hints.join("; or ")),
        }
    })
}
