//! Surroundings: small directories that a program listed, and configuration and state directories
//! of packages in use.

use super::{
    Candidate, Decision, Facts, Needs, State, below,
    direct::{asked_for, locale_of},
};
use crate::{prune::PruneError, tree::Kind};

/// The most bytes of a listed directory, links' targets included, that is kept as it lists. Plugin and
/// drop-in directories are far below it; directories of programs and libraries far above.
const LISTED_BYTES: u64 = 32 << 10;
/// The same below `/etc`, where what lies in a listed directory is read as a rule.
const LISTED_ETC_BYTES: u64 = 256 << 10;

/// A small directory that was listed keeps its files, so that it lists as before: what was found
/// by listing today is opened tomorrow.
pub(super) fn listed(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    _: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let listed = candidate.used.is_some_and(|used| used.listed);
    let is_deep = candidate.bytes().contains(&b'/');
    if !listed || !is_deep || below(candidate.bytes(), &["usr/bin", "usr/sbin", "usr/share/doc", "var"]) {
        return Ok(());
    }
    let limit = if below(candidate.bytes(), &["etc"]) { LISTED_ETC_BYTES } else { LISTED_BYTES };
    let mut total = 0;
    let mut files = Vec::new();
    for (path, entry) in facts.tree.children(candidate.bytes()) {
        let end = match &entry.kind {
            Kind::Directory => continue,
            Kind::Symlink { .. } => facts.tree.resolve(path.as_bytes(), |_| {}),
            _ => Some(path.clone()),
        };
        let Some(end) = end.and_then(|end| facts.lookup(end.as_bytes())) else { continue };
        if facts.elf(&end)?.is_some() {
            return Ok(());
        }
        total += end.entry.kind.content().map_or(0, |(_, size_bytes)| size_bytes);
        files.push(path);
    }
    if total <= limit {
        for path in files {
            needs.want(path, "kept as it lists, with");
        }
    }
    Ok(())
}

/// A package of which something was opened or run keeps its own configuration below `/etc`, its
/// directories below `/var`, and the translations that the recipe names.
pub(super) fn configuration(
    candidate: &Candidate<'_>,
    decision: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    let in_use = candidate.is_file()
        && (candidate.contents_used() || decision.rule == "loader" || decision.rule == "app");
    let Some(package) = candidate.package.filter(|_| in_use && !below(candidate.bytes(), &["etc"])) else {
        return Ok(());
    };
    if !state.once("configuration", package.as_bytes()) {
        return Ok(());
    }
    for path in facts.by_package.get(package).into_iter().flatten() {
        let bytes = path.as_bytes();
        let Some(entry) = facts.tree.get(bytes) else { continue };
        let directory = entry.kind.is_directory();
        if below(bytes, &["etc"]) && !directory && !unneeded_configuration(bytes) {
            needs.want(path, "configuration of the package of");
        } else if below(bytes, &["var"]) && directory {
            needs.want(path, "a directory of the package of");
        } else if !directory && locale_of(bytes).is_some_and(|l| asked_for(l, &facts.policy.locales)) {
            needs.want(path, "a translation asked for, of the package of");
        }
    }
    Ok(())
}

/// Returns true for configuration that only a host's own programs read.
fn unneeded_configuration(path: &[u8]) -> bool {
    const HOST: &[&str] = &[
        "etc/alternatives",
        "etc/apparmor.d",
        "etc/apt",
        "etc/bash_completion.d",
        "etc/ca-certificates",
        "etc/cron.d",
        "etc/cron.daily",
        "etc/cron.hourly",
        "etc/cron.monthly",
        "etc/cron.weekly",
        "etc/default",
        "etc/dpkg",
        "etc/init",
        "etc/init.d",
        "etc/issue",
        "etc/issue.net",
        "etc/kernel",
        "etc/logcheck",
        "etc/logrotate.d",
        "etc/motd",
        "etc/pam.d",
        "etc/security",
        "etc/selinux",
        "etc/skel",
        "etc/ssl/certs",
        "etc/sudoers.d",
        "etc/sysctl.d",
        "etc/systemd",
        "etc/ufw",
        "etc/update-motd.d",
    ];
    below(path, HOST)
}
