//! The rules that judge each path by itself.

use super::{Candidate, Facts, Ruling, below};
use crate::{layout::is_left_out, tree::Kind};

/// The recipe's own globs go before all else.
pub(super) fn recipe(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    if let Some(glob) = facts.policy.drop.find(candidate.path) {
        return Ruling::Forbid(format!("prune.drop \"{glob}\""));
    }
    if let Some(glob) = facts.policy.keep.find(candidate.path) {
        return Ruling::Keep(format!("prune.keep \"{glob}\""));
    }
    match facts.policy.state.find(candidate.path) {
        Some(glob) => Ruling::Keep(format!("app.state \"{glob}\"")),
        None => Ruling::Pass,
    }
}

/// The package system's own state: an artifact has papers instead, and no dpkg to read it.
pub(super) fn database(candidate: &Candidate<'_>, _: &Facts<'_>) -> Ruling {
    const STATE: &[&str] = &[
        "var/lib/dpkg",
        "var/lib/apt",
        "var/lib/ucf",
        "var/cache/apt",
        "var/cache/debconf",
        "var/cache/ldconfig",
        "var/cache/man",
        "var/backups",
    ];
    if below(candidate.bytes(), STATE) {
        return Ruling::Forbid("state of the package system; the papers stand for it".to_owned());
    }
    let transient =
        below(candidate.bytes(), &["var/cache", "var/log"]) && !candidate.entry.kind.is_directory();
    if transient && !candidate.contents_used() {
        return Ruling::Drop("a cache or log of the build".to_owned());
    }
    Ruling::Pass
}

/// The files that the recipe lays over the root, and the programs that it starts.
pub(super) fn laid(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    if facts.overlay.contains(candidate.path) {
        return Ruling::Keep("a file of the recipe".to_owned());
    }
    if let Some(what) = facts.commands.get(candidate.path) {
        return Ruling::Keep((*what).to_owned());
    }
    if below(candidate.bytes(), &["tinyroot"]) {
        return Ruling::Keep("tinyroot's own".to_owned());
    }
    Ruling::Pass
}

/// The uses that the trace saw. A file found by stat alone is kept whole, with its time: Python takes a
/// `.pyc` only beside a source of the size and time that it notes, and others test for existence.
pub(super) fn traced(candidate: &Candidate<'_>, _: &Facts<'_>) -> Ruling {
    match candidate.used {
        Some(used) if used.any() => Ruling::Keep(used.text()),
        _ => Ruling::Pass,
    }
}

/// The few small files and directories that any program may take for granted, and what scanners
/// know the distribution by.
pub(super) fn basics(candidate: &Candidate<'_>, _: &Facts<'_>) -> Ruling {
    const FILES: &[&str] = &[
        "etc/debian_version",
        "etc/gai.conf",
        "etc/group",
        "etc/host.conf",
        "etc/hosts",
        "etc/ld.so.cache",
        "etc/ld.so.conf",
        "etc/localtime",
        "etc/nsswitch.conf",
        "etc/os-release",
        "etc/passwd",
        "etc/protocols",
        "etc/services",
        "etc/timezone",
        "usr/lib/os-release",
    ];
    const DIRECTORIES: &[&str] = &[
        "",
        "dev",
        "etc",
        "home",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/sbin",
        "usr/share",
        "var",
        "var/cache",
        "var/lib",
        "var/log",
        "var/tmp",
    ];
    let path = candidate.bytes();
    let listed = |list: &[&str]| list.iter().any(|item| item.as_bytes() == path);
    match &candidate.entry.kind {
        Kind::Directory if listed(DIRECTORIES) => Ruling::Keep("part of every root".to_owned()),
        Kind::File { .. } if listed(FILES) || parent_is(path, "etc/ld.so.conf.d") => {
            Ruling::Keep("small, and taken for granted by programs and scanners".to_owned())
        }
        // A package that is older than the merge opens paths by their old names, which must still be found.
        Kind::Symlink { .. } if is_merged_usr(path) => Ruling::Keep("a link of the merged /usr".to_owned()),
        Kind::Symlink { .. } if listed(FILES) || listed(&["var/run", "var/lock"]) => {
            Ruling::Keep("small, and taken for granted by programs and scanners".to_owned())
        }
        _ => Ruling::Pass,
    }
}

fn parent_is(path: &[u8], directory: &str) -> bool {
    super::parent(path) == Some(directory.as_bytes())
}

fn is_merged_usr(path: &[u8]) -> bool {
    [&b"bin"[..], b"lib", b"lib64", b"sbin"].contains(&path)
}

/// Scripts and styles in the form that people write, where a browser is sent the minified one beside it; the
/// recipe asks for this, as some apps send the long form in a mode for debugging.
pub(super) fn minified(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    let bytes = candidate.bytes();
    let ending = [&b".js"[..], b".css"].into_iter().find(|ending| bytes.ends_with(ending));
    let Some(ending) = ending.filter(|_| facts.policy.minified && candidate.is_file()) else {
        return Ruling::Pass;
    };
    let name = &bytes[..bytes.len() - ending.len()];
    if name.ends_with(b".min") || facts.tree.get(&[name, b".min", ending].concat()).is_none() {
        return Ruling::Pass;
    }
    Ruling::Drop("its minified form is beside it, and nothing asked for this one".to_owned())
}

/// Files for people to read, or for programs that no grain has: never needed to run. Licence
/// texts come back with the papers.
pub(super) fn documentation(candidate: &Candidate<'_>, facts: &Facts<'_>) -> Ruling {
    const PEOPLE: &[&str] = &[
        "usr/share/bug",
        "usr/share/doc",
        "usr/share/doc-base",
        "usr/share/gtk-doc",
        "usr/share/help",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/man",
        "usr/share/common-licenses",
    ];
    const HOST: &[&str] = &[
        "etc/apparmor.d",
        "etc/apt",
        "etc/bash_completion.d",
        "etc/cron.d",
        "etc/cron.daily",
        "etc/cron.hourly",
        "etc/cron.monthly",
        "etc/cron.weekly",
        "etc/dpkg",
        "etc/init",
        "etc/init.d",
        "etc/insserv.conf.d",
        "etc/kernel",
        "etc/logcheck",
        "etc/logrotate.d",
        "etc/rc0.d",
        "etc/rc1.d",
        "etc/rc2.d",
        "etc/rc3.d",
        "etc/rc4.d",
        "etc/rc5.d",
        "etc/rc6.d",
        "etc/rcS.d",
        "etc/systemd",
        "etc/ufw",
        "usr/lib/systemd/system",
        "usr/lib/systemd/user",
        "usr/lib/sysusers.d",
        "usr/lib/tmpfiles.d",
        "usr/share/apport",
        "usr/share/bash-completion",
        "usr/share/debconf",
        "usr/share/fish",
        "usr/share/zsh",
    ];
    let path = candidate.bytes();
    if below(path, PEOPLE) {
        return Ruling::Drop("documentation".to_owned());
    }
    if below(path, HOST) {
        return Ruling::Drop("for programs of a host, which no grain has".to_owned());
    }
    if let Some(locale) = locale_of(path)
        && !asked_for(locale, &facts.policy.locales)
    {
        return Ruling::Drop("a translation not asked for".to_owned());
    }
    Ruling::Pass
}

/// Returns the locale that a path of `/usr/share/locale` is for.
pub(super) fn locale_of(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"usr/share/locale/")?;
    rest.split(|b| *b == b'/').next()
}

/// Returns true if one of the wanted locales is this one or is a dialect of it: "de_AT" wants
/// "de" as well, "de" does not want "de_AT". "*" wants all.
pub(super) fn asked_for(locale: &[u8], wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| {
        let wanted = wanted.as_bytes();
        wanted == b"*"
            || wanted == locale
            || wanted.strip_prefix(locale).is_some_and(|rest| b"_@.".contains(&rest[0]))
    })
}

/// Directories below `/var` weigh nothing, and a program that finds its own missing rarely says so: they
/// exist whether or not anything else of their packages is kept (PHP keeps sessions in one of php-common's).
pub(super) fn var(candidate: &Candidate<'_>, _: &Facts<'_>) -> Ruling {
    const PLACES: &[&str] = &["var/cache", "var/lib", "var/log", "var/mail", "var/spool"];
    if !candidate.entry.kind.is_directory()
        || !below(candidate.bytes(), PLACES)
        || is_left_out(candidate.path)
    {
        return Ruling::Pass;
    }
    let who = if candidate.package.is_some() { "a package ships" } else { "packages share or scripts made" };
    Ruling::Keep(format!("a directory of /var that {who}"))
}
