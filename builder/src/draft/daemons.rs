//! The programs that an app's packages start: units of systemd (also those among the examples), and init scripts.

use std::collections::BTreeMap;

use super::shipped::{Found, Place, Shipped};
use crate::formats::{
    shell_assignments::Assignments,
    systemd_unit::{self, Unit},
};

/// A program that a package starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// The name of its unit or init script.
    pub name: String,
    /// Its command line. Variables are filled in.
    pub command: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub directory: Option<String>,
    /// Directories that systemd would make for it.
    pub directories: Vec<String>,
    /// The signal that stops it, where that is another than SIGTERM.
    pub stop_signal: Option<String>,
    /// Commands that run before it.
    pub before: Vec<Vec<String>>,
    /// Whether it leaves the foreground: `Type=forking`, or an init script without `--background`.
    pub forks: bool,
    /// Where its command line stands.
    pub place: Place,
    /// What about it wants to be looked at.
    pub doubts: Vec<String>,
}

impl Daemon {
    /// Returns whether it is an example only.
    pub fn is_example(&self) -> bool {
        self.place.path.starts_with("/usr/share/doc/")
    }
}

/// Returns the programs that serve, those that must be there first.
pub fn daemons(shipped: &Shipped, app: &str) -> Vec<Daemon> {
    let mut units: Vec<(Unit, Found<'_>)> = shipped
        .texts(|path| path.ends_with(".service") && !path.starts_with("/etc/avahi/"))
        .map(|found| (Unit::parse(found.text), found))
        .filter(|(unit, found)| is_service(unit, found.path))
        .collect();
    // System units count before those of users, these before examples; of templates the plain unit of the same name.
    let rank = |path: &str| match path {
        _ if path.contains("/systemd/system/") && !path.contains('@') => 0,
        _ if path.contains("/systemd/system/") => 1,
        _ if path.contains("/systemd/user/") => 2,
        _ => 3,
    };
    let best = units.iter().map(|(_, found)| rank(found.path)).min();
    units.retain(|(_, found)| Some(rank(found.path)) == best);
    let mut out: Vec<Daemon> =
        units.iter().filter_map(|(unit, found)| of_unit(unit, found, shipped)).collect();
    // Units that belong to another's start (`foo-resume`, `foo-api`) are seldom wanted beside it.
    if out.iter().any(|daemon| daemon.name == app) {
        out.retain(|daemon| !daemon.name.strip_prefix(app).is_some_and(|rest| rest.starts_with('-')));
    }
    if out.is_empty() {
        let scripts = shipped.texts(|path| path.starts_with("/etc/init.d/"));
        out.extend(scripts.filter_map(|found| of_script(&found, shipped)));
    }
    order(&mut out, &units);
    out
}

/// Returns whether a unit starts a program that stays.
fn is_service(unit: &Unit, path: &str) -> bool {
    let get = |key| unit.get("Service", key);
    let name = unit_name(path);
    get("ExecStart").is_some()
        && get("Type") != Some("oneshot")
        && !["resume", "clean", "cleanup", "reload"].iter().any(|word| name.ends_with(word))
}

fn unit_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".service").unwrap_or(name);
    name.strip_suffix('@').unwrap_or(name)
}

/// Sorts by `After=` among them.
fn order(daemons: &mut [Daemon], units: &[(Unit, Found<'_>)]) {
    let after = |name: &str| -> Vec<String> {
        let unit = units.iter().find(|(_, found)| unit_name(found.path) == name);
        let all = unit.map(|(unit, _)| unit.all("Unit", "After")).unwrap_or_default();
        all.iter()
            .flat_map(|(value, _)| value.split_whitespace().map(|name| unit_name(name).to_owned()))
            .collect()
    };
    for _ in 0..daemons.len() {
        for at in 1..daemons.len() {
            if after(&daemons[at - 1].name).contains(&daemons[at].name) {
                daemons.swap(at - 1, at);
            }
        }
    }
}

fn of_unit(unit: &Unit, found: &Found<'_>, shipped: &Shipped) -> Option<Daemon> {
    let get = |key| unit.get("Service", key);
    let (value, line) = *unit.all("Service", "ExecStart").last()?;
    let mut known = Assignments::default();
    let mut doubts = Vec::new();
    for (value, _) in unit.all("Service", "Environment") {
        known.read(&assignments(value), true);
    }
    let mut env: BTreeMap<String, String> =
        known.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (file, _) in unit.all("Service", "EnvironmentFile") {
        let file = file.trim_start_matches('-');
        if let Some(found) = shipped.text(file) {
            let mut own = Assignments::default();
            own.read(found.text, true);
            env.extend(own.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
            known.read(found.text, true);
        } else if file.starts_with('/') {
            doubts.push(format!("{file} sets its environment, and no package ships it"));
        }
    }
    let name = unit_name(found.path).to_owned();
    let fill = |value: &str| -> Vec<String> {
        let words = systemd_unit::command(value);
        words.iter().flat_map(|word| known.fill(word)).map(|word| specifiers(&word, &name)).collect()
    };
    let mut command = fill(value);
    // Examples name the place of a program that was installed by hand.
    if let Some(name) = command.first().and_then(|program| program.strip_prefix("/usr/local/")) {
        let ours = format!("/usr/{name}");
        if shipped.has(&ours) {
            command[0] = ours;
        }
    }
    let user = get("User").unwrap_or(&name);
    drop_user(&mut command, &[user, get("Group").unwrap_or(user), &name]);
    if let Some(program) = command.first().filter(|program| program.ends_with("/cupsd")) {
        // By `-l` it waits for sockets that systemd opened, and ends without them.
        command = vec![program.clone(), "-f".into()];
    } else if shipped.has(&format!("{}.socket", found.path.trim_end_matches(".service"))) {
        doubts.push(format!("systemd would open its sockets ({name}.socket): have it open them itself"));
    }
    if command.iter().any(|word| word.contains("%i") || word.contains("%I")) || get("User") == Some("%i") {
        doubts.push("its unit is a template: the instance `%i` is yours to choose".into());
    }
    let before = unit.all("Service", "ExecStartPre");
    let mut directories = Vec::new();
    for (key, base) in [
        ("RuntimeDirectory", "/run"),
        ("StateDirectory", "/var/lib"),
        ("CacheDirectory", "/var/cache"),
        ("LogsDirectory", "/var/log"),
    ] {
        for (value, _) in unit.all("Service", key) {
            directories.extend(value.split_whitespace().map(|name| format!("{base}/{name}")));
        }
    }
    Some(Daemon {
        command,
        env: env.into_iter().filter(|(key, _)| !uses_only_in_command(value, key)).collect(),
        // A home is for a user that a grain does not have.
        directory: get("WorkingDirectory")
            .filter(|path| path.starts_with("/var/") || shipped.has(path))
            .map(str::to_owned),
        directories,
        stop_signal: get("KillSignal").filter(|signal| *signal != "SIGTERM").map(str::to_owned),
        before: before.iter().map(|(value, _)| fill(value)).collect(),
        forks: get("Type") == Some("forking"),
        place: found.at(line),
        doubts,
        name,
    })
}

/// Removes the options by which a program would become another user: a grain has one.
fn drop_user(command: &mut Vec<String>, names: &[&str]) {
    const OPTIONS: [&str; 8] = ["-u", "-g", "--user", "--group", "--uid", "--gid", "--chuid", "--setuid"];
    let mut at = 1;
    while at < command.len() {
        let (option, joined) = match command[at].split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (command[at].as_str(), None),
        };
        let value = joined.or(command.get(at + 1).map(String::as_str));
        if OPTIONS.contains(&option)
            && value.is_some_and(|value| names.contains(&value) || value == "www-data")
        {
            command.drain(at..at + if joined.is_some() { 1 } else { 2 });
        } else {
            at += 1;
        }
    }
}

/// Returns whether a variable is there for the command line, where it was filled in.
fn uses_only_in_command(command: &str, name: &str) -> bool {
    let whole = format!("${name}");
    command.split_whitespace().any(|word| word == whole) || command.contains(&format!("${{{name}}}"))
}

/// Turns `"A=b c" D=e` into lines of a shell.
fn assignments(value: &str) -> String {
    let quoted = |word: String| match word.split_once('=') {
        Some((name, value)) => format!("{name}='{}'\n", value.replace('\'', "")),
        None => String::new(),
    };
    systemd_unit::words(value).into_iter().map(quoted).collect()
}

/// Fills in the specifiers that are the same on every machine (systemd.unit(5)).
fn specifiers(word: &str, unit: &str) -> String {
    word.replace("%n", &format!("{unit}.service"))
        .replace("%N", unit)
        .replace("%p", unit)
        .replace("%t", "/run")
        .replace("%S", "/var/lib")
        .replace("%C", "/var/cache")
        .replace("%L", "/var/log")
        .replace("%h", "/var")
        .replace("%%", "%")
}

/// Reads an init script that starts a program by start-stop-daemon, or names it as `DAEMON`.
fn of_script(found: &Found<'_>, shipped: &Shipped) -> Option<Daemon> {
    let name = found.path.rsplit('/').next()?.to_owned();
    let mut known = Assignments::default();
    known.read(&format!("NAME={name}\n"), true);
    // Its settings come first and last: scripts set defaults, read the file, and use what it says.
    let settings = shipped.text(&format!("/etc/default/{name}"));
    let settings = settings.as_ref().map(|found| found.text).unwrap_or_default();
    known.read(settings, true);
    known.read(found.text, false);
    let mut own = Assignments::default();
    own.read(found.text, true);
    own.read(settings, true);
    let program =
        known.get("DAEMON").or(known.get("EXEC")).filter(|program| program.starts_with('/'))?.to_owned();
    // The arguments of `start-stop-daemon --start … -- ARGUMENTS`.
    let joined = found.text.replace("\\\n", " ");
    let start = joined.lines().find(|line| line.contains("start-stop-daemon") && line.contains("--start"));
    let arguments = start.and_then(|line| line.split_once(" -- ")).map_or("", |(_, arguments)| arguments);
    let mut command = vec![program];
    let ends = |word: &&str| {
        ![">", ">>", "||", "&&", ";", "|", "2>&1", "then", "1>/dev/null"].contains(word)
            && !word.starts_with('>')
    };
    let mut doubts = Vec::new();
    for word in arguments.split_whitespace().take_while(ends) {
        if word.contains("$(") || word.contains('`') {
            doubts.push(format!("what the script runs for arguments from `{word}` on was left out"));
            break;
        }
        if word.starts_with("--background") || word.starts_with("--daemon") {
            continue;
        }
        let word = word.trim_matches(['"', '\'']).trim_end_matches(';');
        let plain =
            word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(|name| format!("${name}"));
        command.extend(known.fill(plain.as_deref().unwrap_or(word)));
    }
    drop_user(&mut command, &[&name]);
    let line = known.line("DAEMON").unwrap_or(0);
    let in_background = start.is_some_and(|line| line.contains("--background") || line.contains(" -b "));
    Some(Daemon {
        command,
        env: BTreeMap::new(),
        directory: None,
        directories: Vec::new(),
        stop_signal: None,
        before: Vec::new(),
        forks: !in_background && !arguments.contains("--background") && !arguments.contains("--daemon"),
        place: found.at(line),
        doubts,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(files: &[(&str, &str)]) -> Daemon {
        let found = daemons(&Shipped::made("tea", &[], files), "tea");
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().expect("is there")
    }

    #[test]
    fn a_unit_has_its_command_line_with_variables_filled_in() {
        let unit = "[Service]\nType=notify\nUser=tea\nEnvironment=CUP=red\nEnvironmentFile=-/etc/default/tea\n\
                    ExecStart=/usr/bin/teapot $ARGS --cup=${CUP} --id %p\nRuntimeDirectory=tea\nKillSignal=SIGINT\n";
        let daemon = one(&[
            ("/lib/systemd/system/tea.service", unit),
            ("/lib/systemd/system/tea-resume.service", unit),
            ("/lib/systemd/system/steep.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n"),
            ("/usr/lib/systemd/user/tea.service", unit),
            ("/etc/default/tea", "ARGS=\"--port 81 --hot\"\nHOT=1\n"),
        ]);
        assert_eq!(daemon.command, ["/usr/bin/teapot", "--port", "81", "--hot", "--cup=red", "--id", "tea"]);
        assert_eq!(daemon.env, BTreeMap::from([("HOT".to_owned(), "1".to_owned())]));
        assert_eq!(daemon.directories, ["/run/tea"]);
        assert_eq!(daemon.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(daemon.place.to_string(), "tea: /lib/systemd/system/tea.service:6");
    }

    #[test]
    fn units_start_after_those_that_they_name() {
        let unit = |name: &str, after: &str| {
            format!("[Unit]\nAfter={after}\n[Service]\nExecStart=/usr/bin/{name}\n")
        };
        let files = [
            ("/lib/systemd/system/a.service", unit("a", "network.target b.service")),
            ("/lib/systemd/system/b.service", unit("b", "")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let found = daemons(&Shipped::made("tea", &[], &files), "tea");
        assert_eq!(found.iter().map(|daemon| daemon.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn a_script_has_its_program_and_what_its_settings_say() {
        let script = "#!/bin/sh\nNAME=tea\nDAEMON=/usr/sbin/teapot\nOPTS=\n. /etc/default/tea\nstart() {\n  \
                      start-stop-daemon --start --quiet \\\n    --exec $DAEMON -- -c $CONFIG $OPTS || return 2\n}\n";
        let daemon =
            one(&[("/etc/init.d/tea", script), ("/etc/default/tea", "OPTS='-x -y'\nCONFIG=/etc/tea.conf\n")]);
        assert_eq!(daemon.command, ["/usr/sbin/teapot", "-c", "/etc/tea.conf", "-x", "-y"]);
        let mut command: Vec<String> =
            "/x -u tea -p 1 --group=tea -u other".split(' ').map(str::to_owned).collect();
        drop_user(&mut command, &["tea"]);
        assert_eq!(command, ["/x", "-p", "1", "-u", "other"]);
        assert!(daemon.forks);
    }
}
