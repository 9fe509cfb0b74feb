//! The scripts that run inside, and the state that they start from.

use std::{ffi::OsString, fmt::Write};

use crate::{
    store::Store,
    tree::{Entry, Kind, Tree, TreePath},
};

/// dpkg's own files that must be there before it runs, empty; and those that must not.
const DATABASE_DIRECTORIES: [&str; 5] = [
    "var/lib/dpkg/alternatives",
    "var/lib/dpkg/info",
    "var/lib/dpkg/parts",
    "var/lib/dpkg/triggers",
    "var/lib/dpkg/updates",
];

/// Adds dpkg's empty database to a tree (`dpkg(1)`, FILES).
pub(super) fn add_database(tree: &mut Tree, store: &Store, architecture: &str, mtime_s: i64) {
    for directory in DATABASE_DIRECTORIES {
        let path = TreePath::new(directory.as_bytes()).expect("a plain path");
        if tree.get(directory.as_bytes()).is_none() {
            tree.insert(path, Entry::directory(mtime_s));
        }
    }
    let architecture = format!("{architecture}\n");
    for (path, text) in [
        ("var/lib/dpkg/arch", &*architecture),
        ("var/lib/dpkg/available", ""),
        ("var/lib/dpkg/diversions", ""),
        ("var/lib/dpkg/info/format", "1\n"),
        ("var/lib/dpkg/statoverride", ""),
        ("var/lib/dpkg/status", ""),
    ] {
        let digest = store.put(text);
        let path = TreePath::new(path.as_bytes()).expect("a plain path");
        tree.insert(path, Entry::file(digest, text.len() as u64, 0o644, mtime_s));
    }
    tree.add_parents(mtime_s);
}

/// Packages that are unpacked in one call, by path and by name, and those that are configured then, by name.
pub(super) struct Step {
    pub unpack: Vec<String>,
    pub unpacked: Vec<String>,
    pub configure: Vec<String>,
}

/// Returns the script that installs everything: the Essential packages in one call, then, with services
/// forbidden, the rest (Debian Policy 7.2 lets a script rely on Essential packages being configured).
/// `answers` holds lines for debconf-set-selections(1), given once debconf is configured.
pub(super) fn configure(essential: &[String], steps: &[Step], base: &Tree, answers: &[String]) -> String {
    let mut text = String::from("set -e\numask 022\n");
    // Rendered files belong to the user who rendered them. A new owner clears setuid and setgid, so modes
    // come after.
    for (path, entry) in base.iter() {
        if (entry.uid, entry.gid) == (0, 0) {
            continue;
        }
        let path = quoted(path);
        let _ = writeln!(text, "chown -h {}:{} {path}", entry.uid, entry.gid);
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            let _ = writeln!(text, "chmod {:o} {path}", entry.mode);
        }
    }
    text += START;
    // Where an Essential package depends on debconf, it is laid down already and works, and what asks may be
    // of them, too.
    let in_base = base.resolve(SET_SELECTIONS.as_bytes(), |_| {}).is_some();
    if in_base && !answers.is_empty() {
        let _ = writeln!(text, "{}", give_answers(answers));
    }
    let _ = writeln!(text, "run --force-depends --install {}", essential.join(" "));
    text += FORBID_SERVICES;
    text += NAME_LOCALHOST;
    // Those that are configured by themselves, ahead of the packages that they would otherwise be configured
    // with.
    let mut ahead = vec![("netbase", FORGET_LOCALHOST.to_owned(), String::new())];
    if !in_base && !answers.is_empty() {
        ahead.push(("debconf", String::new(), give_answers(answers)));
    }
    ahead.retain(|(name, ..)| steps.iter().flat_map(|step| &step.unpacked).any(|package| package == name));
    for (index, Step { unpack, configure, .. }) in steps.iter().enumerate() {
        if !unpack.is_empty() {
            let _ = writeln!(text, "run --force-depends --unpack {}", unpack.join(" "));
        }
        let is_last = index + 1 == steps.len();
        let mut configure: Vec<&String> = configure.iter().collect();
        ahead.retain(|(name, before, after)| {
            let now = is_last || configure.iter().any(|package| *package == name);
            if now {
                configure.retain(|package| *package != name);
                let _ =
                    writeln!(text, "{before}run --force-depends --no-triggers --configure {name}\n{after}");
            }
            !now
        });
        if !configure.is_empty() {
            // Triggers can wait for the end, when all that they look at is there.
            text += "run --force-depends --no-triggers --configure";
            configure.iter().for_each(|name| text += &format!(" {name}"));
            text.push('\n');
        }
    }
    text += FINISH;
    text
}

/// A shell for people: bash where it is.
pub(super) const SHELL: [&str; 3] = ["/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash; exec /bin/sh"];

/// With this a line begins that [`held`] ends the output of a failed script with; its status follows.
pub(super) const HELD: &str = "tinyroot: ended with status ";

/// Returns a command that runs a script and, if that fails, stays: a sandbox ends with its first process, and
/// the files in its memory with it.
pub(super) fn held(script: &str) -> Vec<OsString> {
    let text = format!(
        r#"/bin/sh "$0" && exit
printf '\n{HELD}%s\n' $?
exec sleep infinity"#
    );
    ["/bin/sh", "-c", &text, script].map(OsString::from).to_vec()
}

/// A path as one word of the shell.
fn quoted(path: &TreePath) -> String {
    let text = String::from_utf8_lossy(path.as_bytes()).into_owned();
    format!("'/{}'", text.replace('\'', r"'\''"))
}

/// dpkg closes the descriptor of its status to the scripts that it runs, so that must not be the one they
/// write to: `passwd.postinst` fails where it cannot. `force-unsafe-io`: this root need not survive a power
/// cut. `force-conf…`: dpkg cannot prompt.
const START: &str = "run() {
    dpkg --status-fd 3 --force-unsafe-io --force-confdef --force-confold \"$@\" 3>&1
}
";

/// The two places that everything goes through that starts a service (`invoke-rc.d(8)`; old scripts call the
/// other). Only now: dpkg has just unpacked its own `start-stop-daemon`.
const FORBID_SERVICES: &str = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
mv /usr/sbin/start-stop-daemon /usr/sbin/start-stop-daemon.REAL
printf '#!/bin/sh\\nexit 0\\n' > /usr/sbin/start-stop-daemon
chmod 755 /usr/sbin/start-stop-daemon
";

/// The script that sets debconf's values.
const SET_SELECTIONS: &str = "usr/bin/debconf-set-selections";

/// `localhost` has an address while scripts run, as on every machine. Where nothing else makes the file it
/// goes again, so that the root is as without it.
const NAME_LOCALHOST: &str = "hosts='127.0.0.1 localhost
::1 localhost
'
if [ -e /etc/hosts ] || [ ! -d /etc ]; then hosts=; else printf %s \"$hosts\" > /etc/hosts; fi
";

/// netbase makes the file itself unless it is there.
const FORGET_LOCALHOST: &str = "if [ \"$hosts\" ]; then rm -f /etc/hosts; hosts=; fi
";

/// Returns the lines of the shell that set debconf's values.
fn give_answers(answers: &[String]) -> String {
    let words: Vec<String> =
        answers.iter().map(|line| format!("'{}'", line.replace('\'', r"'\''"))).collect();
    format!("printf '%s\\n' {} | debconf-set-selections", words.join(" "))
}

/// Ends the work.
const FINISH: &str = "run --configure -a
if [ \"$hosts\" ] && [ -f /etc/hosts ]; then
    text=$(cat /etc/hosts; echo .)
    case ${text#\"$hosts\"} in
    .) rm /etc/hosts ;;
    \"$text\") ;;
    *) text=${text#\"$hosts\"}; printf %s \"${text%.}\" > /etc/hosts ;;
    esac
fi
mv /usr/sbin/start-stop-daemon.REAL /usr/sbin/start-stop-daemon
rm /usr/sbin/policy-rc.d
";

/// Prints owner, group, mode and path of all that is not 0:0, each ended by NUL, and makes it 0:0.
pub(super) const TAKE_BACK_OWNERS: &str = r#"set -e
find / -xdev ! \( -uid 0 -gid 0 \) -printf '%U %G %m %p\0'
find / -xdev ! \( -uid 0 -gid 0 \) ! -type l -printf 'chmod %m %p\0' > /tmp/modes
find / -xdev ! \( -uid 0 -gid 0 \) -exec chown -h 0:0 '{}' +
xargs -0 -r -n 1 sh -c 'line="$0"; line="${line#chmod }"; chmod "${line%% *}" "${line#* }"' < /tmp/modes
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_gives_owners_back_before_dpkg_runs() {
        let mut base = Tree::new();
        let mut mail = Entry::new(Kind::Directory, 0o2775, 0);
        mail.gid = 8;
        base.insert(TreePath::new(b"var/it's").expect("good"), mail);
        base.insert(TreePath::new(b"var/x").expect("good"), Entry::directory(0));
        let text = configure(&["/tmp/packs/a".into()], &[], &base, &[]);
        let begin = "set -e\numask 022\nchown -h 0:8 '/var/it'\\''s'\nchmod 2775 '/var/it'\\''s'\nrun() {\n";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains("run --force-depends --install /tmp/packs/a\n"), "{text}");
        assert!(!text.contains("--unpack"), "{text}");
        assert!(text.contains("dpkg --status-fd 3 ") && text.contains(" 3>&1\n"), "{text}");
        assert!(text.ends_with("rm /usr/sbin/policy-rc.d\n"), "{text}");
    }

    #[test]
    fn answers_are_given_when_debconf_is_configured() {
        let step = |unpacked: &[&str], configure: &[&str]| Step {
            unpack: unpacked.iter().map(|name| format!("/tmp/packs/{name}")).collect(),
            unpacked: unpacked.iter().map(|name| (*name).to_owned()).collect(),
            configure: configure.iter().map(|name| (*name).to_owned()).collect(),
        };
        let steps = [step(&["debconf", "netbase"], &["debconf"]), step(&["tea"], &[])];
        let text = configure(&[], &steps, &Tree::new(), &["tea tea/cup string it's".into()]);
        let expected = "run --force-depends --unpack /tmp/packs/debconf /tmp/packs/netbase\n\
                        run --force-depends --no-triggers --configure debconf\n\
                        printf '%s\\n' 'tea tea/cup string it'\\''s' | debconf-set-selections\n\
                        run --force-depends --unpack /tmp/packs/tea\n\
                        if [ \"$hosts\" ]; then rm -f /etc/hosts; hosts=; fi\n\
                        run --force-depends --no-triggers --configure netbase\n\nrun --configure -a\n";
        assert!(text.contains(expected), "{text}");
        let mut base = Tree::new();
        base.insert(TreePath::new(SET_SELECTIONS.as_bytes()).expect("good"), Entry::directory(0));
        base.add_parents(0);
        let text = configure(&["/tmp/packs/a".into()], &[], &base, &["tea tea/cup string x".into()]);
        let expected = "printf '%s\\n' 'tea tea/cup string x' | debconf-set-selections\n\
                        run --force-depends --install /tmp/packs/a\n";
        assert!(text.contains(expected), "{text}");
    }
}
