//! The app's own packages, and others that the recipe keeps whole.

use super::{Candidate, Facts, Ruling};

/// Documentation, tests and languages inside a package that is kept whole are no part of what it does.
pub(super) fn surplus(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    match facts.surplus.reason(candidate.bytes()).filter(|_| facts.is_whole(candidate.bytes())) {
        Some(reason) => Ruling::Drop(reason.to_owned()),
        None => Ruling::Pass,
    }
}

/// With `app.prune = "folders"`, folders of the app go of which nothing was used.
pub(super) fn folder(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    let is_app = |package| facts.policy.app_packages.contains(package);
    if !facts.policy.folders || !facts.package_or_maker(candidate.bytes()).is_some_and(is_app) {
        return Ruling::Pass;
    }
    match facts.folders.unused(candidate.bytes(), candidate.entry.kind.is_directory()) {
        Some(folder) => {
            let folder = String::from_utf8_lossy(&folder);
            Ruling::Drop(format!("nothing of its folder was used, /{folder} (app.prune = \"folders\")"))
        }
        None => Ruling::Pass,
    }
}

/// The app's own packages stay whole: what one exercise does not show is still the app. So does
/// what their maintainer scripts made in directories of their own.
pub(super) fn app(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    let Some(package) = facts.package_or_maker(candidate.bytes()) else { return Ruling::Pass };
    if facts.policy.app_packages.contains(package) {
        let own = if candidate.package.is_some() { "part of" } else { "made for" };
        let how = if facts.policy.folders { "of which used folders are kept" } else { "which is kept whole" };
        return Ruling::Keep(format!("{own} {package}, the app, {how}"));
    }
    if facts.policy.keep_packages.contains(package) {
        return Ruling::Keep(format!("prune.keep_package \"{package}\""));
    }
    Ruling::Pass
}
