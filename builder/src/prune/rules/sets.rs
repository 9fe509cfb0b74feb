//! Sets: data that is only right together, kept whole when any of it is used.

use super::{Candidate, Decision, Facts, Needs, State, below, parent};
use crate::{prune::PruneError, tree::Kind};

/// Data that belongs together.
struct Set {
    name: &'static str,
    /// Does this kept path show that the set is in use?
    shown_by: fn(&Candidate<'_>, &Facts<'_>) -> bool,
    /// The paths of the set.
    holds: fn(&[u8]) -> bool,
    reason: &'static str,
}

/// A fixed table: a name, what shows it, what it holds.
const SETS: &[Set] = &[
    Set {
        name: "zoneinfo",
        shown_by: |candidate, facts| {
            let zone = candidate.used.is_some() && !candidate.entry.kind.is_directory();
            let listed = candidate.used.is_some_and(|used| used.listed);
            (zone || listed)
                && below(candidate.bytes(), &["usr/share/zoneinfo"])
                && !is_local_time(candidate, facts)
        },
        holds: |path| {
            let twice = ["usr/share/zoneinfo/posix", "usr/share/zoneinfo/right"];
            below(path, &["usr/share/zoneinfo"]) && !below(path, &twice)
        },
        reason: "time zones are kept as a set, for",
    },
    Set {
        name: "terminfo",
        shown_by: |candidate, _| candidate.contents_used() && below(candidate.bytes(), TERMINFO),
        holds: |path| below(path, &["usr/lib/terminfo", "lib/terminfo"]),
        reason: "common terminals are kept as a set, for",
    },
    Set {
        name: "certificates",
        shown_by: |candidate, _| {
            candidate.used.is_some_and(|u| u.contents() || u.listed || u.linked) && is_certificate(candidate)
        },
        holds: |path| below(path, &["etc/ssl/certs"]),
        reason: "certificates are kept as a set, for",
    },
    Set {
        name: "openssl",
        shown_by: |candidate, _| {
            candidate.is_file() && candidate.path.file_name().starts_with(b"libcrypto.so.")
        },
        holds: |path| path == b"etc/ssl/openssl.cnf" || path == b"usr/lib/ssl/openssl.cnf",
        reason: "the configuration of",
    },
    Set {
        name: "gconv",
        shown_by: |candidate, _| candidate.contents_used() && in_gconv(candidate.bytes()),
        holds: |path| in_gconv(path) && is_common_charset(path),
        reason: "common charsets are kept as a set, for",
    },
    Set {
        name: "magic",
        shown_by: |candidate, _| {
            candidate.contents_used() && candidate.path.file_name().starts_with(b"libmagic.so.")
        },
        holds: |path| {
            path == b"usr/share/misc/magic.mgc" || path == b"usr/lib/file/magic.mgc" || path == b"etc/magic"
        },
        reason: "the database of",
    },
    Set {
        name: "mime",
        shown_by: |candidate, _| candidate.contents_used() && below(candidate.bytes(), &["usr/share/mime"]),
        holds: |path| below(path, &["usr/share/mime"]) && !below(path, &["usr/share/mime/packages"]),
        reason: "media types are kept as a set, for",
    },
    Set {
        name: "fontconfig",
        shown_by: |candidate, _| {
            candidate.contents_used()
                && below(candidate.bytes(), &["usr/share/fonts", "etc/fonts", "usr/share/fontconfig"])
        },
        holds: |path| below(path, &["etc/fonts", "usr/share/fontconfig", "usr/share/xml/fontconfig"]),
        reason: "fonts need their configuration, for",
    },
    Set {
        name: "pam",
        shown_by: |candidate, _| candidate.contents_used() && below(candidate.bytes(), &["etc/pam.d"]),
        holds: |path| {
            let module = parent(path).is_some_and(|d| d.ends_with(b"/security"));
            let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
            let common: &[&[u8]] = &[b"pam_deny.so", b"pam_env.so", b"pam_permit.so", b"pam_unix.so"];
            below(path, &["etc/pam.d", "etc/security"]) || (module && common.contains(&name))
        },
        reason: "PAM reads its stacks as a set, for",
    },
    Set {
        name: "mariadb",
        shown_by: |candidate, _| {
            candidate.contents_used() && [&b"mariadbd"[..], b"mysqld"].contains(&candidate.path.file_name())
        },
        holds: |path| {
            path == b"usr/share/mysql/english/errmsg.sys" || below(path, &["usr/share/mysql/charsets"])
        },
        reason: "messages and charsets of",
    },
    Set {
        name: "postgresql",
        shown_by: |candidate, _| candidate.contents_used() && candidate.path.file_name() == b"postgres",
        holds: |path| {
            let part = |name: &[u8]| path.windows(name.len()).any(|window| window == name);
            below(path, &["usr/share/postgresql"])
                && (part(b"/timezonesets/") || part(b"/tsearch_data/") || part(b"/extension/plpgsql"))
        },
        reason: "time zone sets and dictionaries of",
    },
];

const TERMINFO: &[&str] = &["usr/share/terminfo", "usr/lib/terminfo", "lib/terminfo", "etc/terminfo"];

/// Keeps the sets that a kept path shows to be in use, and the rest of its locale.
pub(super) fn sets(
    candidate: &Candidate<'_>,
    _: &Decision,
    facts: &Facts<'_>,
    state: &mut State,
    needs: &mut Needs,
) -> Result<(), PruneError> {
    for set in SETS {
        if (set.shown_by)(candidate, facts) && state.once(set.name, b"") {
            for (path, entry) in facts.tree.iter() {
                if !entry.kind.is_directory() && (set.holds)(path.as_bytes()) {
                    needs.want(path, set.reason);
                }
            }
        }
    }
    if let Some(locale) = compiled_locale(candidate.bytes()).filter(|_| candidate.contents_used())
        && state.once("locale", locale)
    {
        for (path, entry) in facts.tree.subtree(locale) {
            if !entry.kind.is_directory() {
                needs.want(path, "a locale is kept as a set, for");
            }
        }
    }
    Ok(())
}

/// Returns `usr/lib/locale/NAME` for a file below it.
fn compiled_locale(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"usr/lib/locale/")?;
    let end = rest.iter().position(|b| *b == b'/')?;
    Some(&path[..path.len() - rest.len() + end])
}

/// Any C program that prints a time reads `/etc/localtime`; that alone needs no other zone.
fn is_local_time(candidate: &Candidate<'_>, facts: &Facts<'_>) -> bool {
    let mut on_the_way = false;
    let end = facts.tree.resolve(b"etc/localtime", |link| on_the_way |= link == candidate.path);
    on_the_way || end.as_ref() == Some(candidate.path)
}

fn is_certificate(candidate: &Candidate<'_>) -> bool {
    let file = matches!(candidate.entry.kind, Kind::File { .. } | Kind::Symlink { .. });
    let listed = candidate.used.is_some_and(|used| used.listed);
    (file || listed) && below(candidate.bytes(), &["etc/ssl/certs"])
}

fn in_gconv(path: &[u8]) -> bool {
    path.starts_with(b"usr/lib/") && path.windows(7).any(|window| window == b"/gconv/")
}

/// The index of charsets, the Unicode forms, and the 8-bit charsets of the web. The large
/// East Asian and the EBCDIC ones are kept where one was opened, or by the recipe.
fn is_common_charset(path: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"UTF-16",
        b"UTF-32",
        b"UTF-7",
        b"UNICODE",
        b"KOI8-R",
        b"KOI8-U",
        b"ISO8859-",
        b"CP125",
        b"gconv-modules",
    ];
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let modules = path.windows(15).any(|window| window == b"/gconv-modules.");
    modules || NAMES.iter().any(|prefix| name.starts_with(prefix))
}
