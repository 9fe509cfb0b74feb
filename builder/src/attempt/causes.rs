//! Why an attempt failed, told from what services printed and from what listened, and how the recipe would be mended.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use regex::Regex;

use crate::{recipe::Recipe, tree::Tree};

/// A cause of a failed start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What happened, as one clause.
    pub fact: String,
    /// The mend, where one is known.
    pub mend: Option<Mend>,
}

/// A change of a recipe folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// `web.port` is another.
    Port(u16),
    /// A directory of `/var` that setup makes.
    Directory(String),
    /// An empty file of `/var` that setup makes.
    File(String),
    /// A directory of `/run`, which is empty at each start.
    RunDirectory(String),
    /// A path of the root that the app writes to: moved below `/var`, with a link in its place.
    Writable(String),
    /// A package that is needed besides, of which the first that the archive has.
    Package(Vec<String>),
    /// A command line that keeps a service in the foreground.
    Foreground {
        /// The service.
        service: String,
        /// The program's options for that.
        options: Vec<String>,
    },
    /// A variable of the environment that names a directory: one of /var, which setup makes.
    Variable(String),
    /// `[sandbox] proc = true`.
    Proc,
    /// `[web] host = "localhost"`.
    Host,
    /// A service beside those that serve is left out.
    Without(String),
    /// Hosts that its pages have links to, in `web.links_to`.
    Links(Vec<String>),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mend::Port(port) => write!(f, "web.port = {port}"),
            Mend::Directory(path) => write!(f, "setup.sh makes {path}"),
            Mend::File(path) => write!(f, "setup.sh makes {path}, empty"),
            Mend::RunDirectory(path) => write!(f, "a [[file]] makes {path} at each start"),
            Mend::Writable(path) => write!(f, "a [[file]] moves {path} below /var"),
            Mend::Package(names) => write!(f, "the package {} besides", names.join(" or ")),
            Mend::Foreground { service, options } if options.is_empty() => {
                write!(f, "the service {service} gets no option any more that sends it to the background")
            }
            Mend::Foreground { service, options } => {
                write!(f, "the service {service} gets {}", options.join(" "))
            }
            Mend::Variable(name) => write!(f, "env.{name} names a directory of /var, which setup.sh makes"),
            Mend::Proc => f.write_str("sandbox.proc = true"),
            Mend::Host => f.write_str("web.host = \"localhost\""),
            Mend::Without(service) => {
                write!(f, "the service {service} is left out, with a TODO in its place")
            }
            Mend::Links(hosts) => write!(f, "web.links_to has {}", hosts.join(", ")),
        }
    }
}

/// Programs that go to the background by themselves, and the options that keep them in the foreground.
const FOREGROUND: [(&str, &[&str]); 16] = [
    ("apt-cacher-ng", &["ForeGround=1"]),
    ("backuppc", &[]),
    ("cron", &["-f"]),
    ("cupsd", &["-f"]),
    ("dnsmasq", &["--keep-in-foreground"]),
    ("lighttpd", &["-D"]),
    ("mini_httpd", &["-D"]),
    ("monit", &["-I"]),
    ("minidlnad", &["-S"]),
    ("ngircd", &["-n"]),
    ("php-fpm", &["-F"]),
    ("redis-server", &["--daemonize", "no"]),
    ("smbd", &["--foreground"]),
    ("smokeping", &["--nodaemon"]),
    ("transmission-daemon", &["-f"]),
    ("znc", &["-f"]),
];

/// Options that put programs into the background, for one that went there.
pub(super) const BACKGROUND: [&str; 6] = ["--daemon", "--daemonize", "--background", "-D", "-b", "-d"];

static PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"/(?:var|run|etc|usr|opt|srv|home|root)(?:/[\w.@+~-]+)+").expect("compiles")
});

/// A link that a step of an exercise did not let pass, and the host that it would take.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"<a href>: .* \(if that is meant: \[web\] links_to = \["([^"]+)"\]\)"#).expect("compiles")
});

/// What leads to another host than the app's, and that host.
static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(<[^>]+>): https?://([\w.-]+)\S* leads to another authority").expect("compiles")
});

/// What Python says of a variable that is not set, and whose name says that it is a directory's.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\W*KeyError: '([A-Z][A-Z0-9_]*(?:PATH|DIR|DIRECTORY|ROOT|HOME|STORAGE))'$")
        .expect("compiles")
});

/// The first process's word of a service that ended.
static ENDED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"tinyroot-init: service ([\w@.-]+) ended with status (\d+)$").expect("compiles")
});

/// Kinds of messages, by words of which one stands in a line.
const MISSING: [&str; 11] = [
    "no such file or directory",
    "does not exist",
    "doesn't exist",
    "not found",
    "enoent",
    "cannot open",
    "can't open",
    "failed to open",
    "unable to open",
    "not a directory",
    "is missing",
];
const REFUSED: [&str; 8] = [
    "read-only file system",
    "permission denied",
    "not writable",
    "not writeable",
    "isn't writable",
    "erofs",
    "eacces",
    "cannot write",
];

/// Returns the causes that can be told, the most likely first.
///
/// `tree` is its root, `said` what the services printed, `ports` what listened and whether it spoke HTTP, `answered` what
/// was wrong with its responses; `look_up` returns the places in the root's configuration where a word stands.
pub fn causes(
    recipe: &Recipe,
    tree: &Tree,
    said: &[String],
    ports: &BTreeMap<u16, bool>,
    answered: &str,
    look_up: &dyn Fn(&str) -> Vec<String>,
) -> Vec<Cause> {
    let mut out: Vec<Cause> = Vec::new();
    let mut add = |fact: String, mend: Option<Mend>| {
        let known = |cause: &Cause| mend.is_some() && cause.mend == mend || cause.fact == fact;
        if !out.iter().any(known) {
            out.push(Cause { fact, mend });
        }
    };
    let wanted = recipe.web.as_ref().map_or(0, |web| web.port);
    let others: Vec<u16> = ports.iter().filter(|(_, speaks)| **speaks).map(|(port, _)| *port).collect();
    if !ports.contains_key(&wanted)
        && let Some(port) = others.first()
    {
        add(format!("it answers on port {port}, not on {wanted}"), Some(Mend::Port(*port)));
        // What else it said may all be well.
        return out;
    }
    let hosts: Vec<String> = LINK.captures_iter(answered).map(|found| found[1].to_owned()).collect();
    if let Some(host) = hosts.first() {
        let more = hosts.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        add(format!("its pages have links to {host}{more}"), Some(Mend::Links(hosts.clone())));
    }
    for line in said {
        if let Some((service, _)) = line
            .split_once("tinyroot-init: service ")
            .map(|(_, rest)| rest)
            .and_then(|rest| rest.split_once(" ended with status 0"))
        {
            add(
                format!("service {service} ended without a fault: it probably went to the background"),
                foreground(recipe, service),
            );
        }
    }
    for found in ELSEWHERE.captures_iter(answered) {
        let host = &found[2];
        // The app's own, on which a configuration may say nothing.
        if ["127.0.0.1", "localhost"].contains(&host) {
            add(
                format!(
                    "{} leads to {host} with another port: the app makes URLs of an address of its own",
                    &found[1]
                ),
                None,
            );
            continue;
        }
        let places = look_up(host);
        if !places.is_empty() && !hosts.iter().any(|known| known == host) {
            add(format!("{} leads to {host}, which stands in {}", &found[1], places.join(", ")), None);
        }
    }
    let serving = recipe.services.last().map(|service| service.name.as_str());
    for line in said {
        let Some(found) = ENDED.captures(line) else { continue };
        let service = &found[1];
        let is_beside = Some(service) != serving && !["database", "php", "web"].contains(&service);
        if is_beside && &found[2] != "0" {
            add(
                format!("service {service} ended with status {}", &found[2]),
                Some(Mend::Without(service.to_owned())),
            );
        }
    }
    for line in said.iter().map(String::as_str).chain(answered.lines()) {
        let lower = line.to_ascii_lowercase();
        if [" info", "[info", "debug", "level=info", "notice:"].iter().any(|word| lower.contains(word)) {
            continue;
        }
        if let Some(names) = packages(line) {
            add(shorten(line), Some(Mend::Package(names)));
        }
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let paths = PATH.find_iter(line).map(|found| found.as_str().trim_end_matches(['.', ':', ',']));
        for path in paths {
            // /var/run is a link to /run.
            let path = path.strip_prefix("/var").filter(|rest| rest.starts_with("/run/")).unwrap_or(path);
            let mend = match path {
                _ if says(&REFUSED) && is_of_root(path) => Some(Mend::Writable(writable(path, tree))),
                _ if !says(&MISSING) => None,
                _ if path.starts_with("/var/") && is_file(path) && directory(path) == path => {
                    Some(Mend::File(path.to_owned()))
                }
                _ if path.starts_with("/var/") => Some(Mend::Directory(directory(path).to_owned())),
                // What is missing right in /run is a service's socket or its like, not a directory.
                _ if path.starts_with("/run/") && !is_file(directory(path)) => {
                    Some(Mend::RunDirectory(directory(path).to_owned()))
                }
                _ => None,
            };
            if mend.is_some() {
                add(shorten(line), mend);
            }
        }
        if let Some(found) = VARIABLE.captures(line) {
            add(shorten(line), Some(Mend::Variable(found[1].to_owned())));
        }
        let of_proc = lower.contains("/proc/") || lower.contains("read_proc_file");
        if lower.contains("error while loading shared libraries") || of_proc && says(&MISSING) {
            add(shorten(line), (!recipe.sandbox.proc).then_some(Mend::Proc));
        }
        let refuses_host =
            ["disallowedhost", "invalid http_host", "invalid host header", "blocked host", "host header"];
        if refuses_host.iter().any(|word| lower.contains(word)) {
            add(shorten(line), Some(Mend::Host));
        }
    }
    // To leave a service out is for when nothing else is known.
    out.sort_by_key(|cause| match &cause.mend {
        Some(Mend::Without(_)) => 1,
        Some(_) => 0,
        None => 2,
    });
    out
}

/// Programs that maintainer scripts call without a dependency, as they are on every host, and their packages.
const ON_EVERY_HOST: [(&str, &str); 12] = [
    ("addgroup", "adduser"),
    ("adduser", "adduser"),
    ("curl", "curl"),
    ("groupadd", "passwd"),
    ("groupmod", "passwd"),
    ("mkpasswd", "whois"),
    ("openssl", "openssl"),
    ("ps", "procps"),
    ("ucf", "ucf"),
    ("useradd", "passwd"),
    ("usermod", "passwd"),
    ("xxd", "xxd"),
];

/// A shell's word of a maintainer script that calls what is not there.
static UNCALLED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"/info/(\S+\.(?:pre|post)(?:inst|rm)): (?:line )?\d+: ([\w.-]+): (?:command )?not found")
        .expect("compiles")
});

/// Returns what a maintainer script called and did not find, with the package that has it, if that is known.
pub fn uncalled(error: &str) -> Option<Cause> {
    let found = UNCALLED.captures(error)?;
    let (script, program) = (&found[1], &found[2]);
    let package = ON_EVERY_HOST.iter().find(|(known, _)| *known == program);
    Some(Cause {
        fact: format!("{script} calls {program}, which no package that it depends on has"),
        mend: package.map(|(_, package)| Mend::Package(vec![(*package).to_owned()])),
    })
}

/// Returns whether a path lies in the root, which is read-only.
fn is_of_root(path: &str) -> bool {
    !["/var/", "/run/", "/home/", "/root/"].iter().any(|top| path.starts_with(top))
}

/// Returns whether a path looks like a file's: `/var/lib/tea` and `/var/lib/tea.d` are directories more often.
fn is_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains('.') && !name.ends_with(".d") || ["pid", "lock", "sock", "socket"].contains(&name)
}

/// Returns the directory of a path that looks like a file's, unless that is /var itself; else the path.
fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((above, _)) if is_file(path) && above.matches('/').count() > 1 => above,
        _ => path,
    }
}

/// Returns what is to move below /var for a path that the app could not write: a directory, since files are written beside
/// others and renamed; the path itself where only the whole of /etc or the like is above it.
fn writable(path: &str, tree: &Tree) -> String {
    let inside = |path: &str| path.trim_start_matches('/').as_bytes().to_vec();
    let is_directory = tree.get(&inside(path)).is_some_and(|entry| entry.kind.is_directory());
    match path.rsplit_once('/') {
        Some((above, _)) if !is_directory && above.matches('/').count() > 1 => above.to_owned(),
        _ => path.to_owned(),
    }
}

fn foreground(recipe: &Recipe, name: &str) -> Option<Mend> {
    let service = recipe.services.iter().find(|service| service.name == name)?;
    let program = service.command.first()?.rsplit('/').next()?;
    let known = FOREGROUND.iter().find(|(known, _)| program.starts_with(known));
    if let Some((_, options)) = known.filter(|(_, options)| !options.is_empty()) {
        let options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
        return (!service.command.ends_with(&options))
            .then(|| Mend::Foreground { service: name.to_owned(), options });
    }
    // Without the option that sends it there, it stays.
    let sends = service.command.iter().any(|word| BACKGROUND.contains(&word.as_str()));
    sends.then(|| Mend::Foreground { service: name.to_owned(), options: Vec::new() })
}

/// Returns the packages that a message wants, by how Debian names those of a language, the likeliest first.
fn packages(line: &str) -> Option<Vec<String>> {
    /// A message, and the names of packages for the word that it names.
    type Pattern = (Regex, fn(&str) -> Vec<String>);
    static PATTERNS: LazyLock<[Pattern; 6]> = LazyLock::new(|| {
        let regex = |pattern: &str| Regex::new(pattern).expect("compiles");
        [
            (regex(r"No module named '?([\w.]+)'?"), |name| {
                let top = name.split('.').next().unwrap_or(name).to_ascii_lowercase().replace('_', "-");
                vec![format!("python3-{top}")]
            }),
            (regex(r"Can't locate ([\w/]+)\.pm"), |name| {
                vec![format!("lib{}-perl", name.replace('/', "-").to_ascii_lowercase())]
            }),
            (regex(r"cannot load such file -- ([\w/-]+)"), |name| {
                let whole = name.replace(['/', '_'], "-");
                let top = name.split('/').next().unwrap_or(name).replace('_', "-");
                vec![format!("ruby-{whole}"), format!("ruby-{top}")]
            }),
            (regex(r"Call to undefined function (\w+)\("), |name| {
                let extension = match name {
                    _ if name.starts_with("mb_") => "mbstring",
                    _ if name.starts_with("simplexml_")
                        || name.starts_with("xml_")
                        || name.starts_with("utf8_") =>
                    {
                        "xml"
                    }
                    _ if name.starts_with("curl_") => "curl",
                    _ if name.starts_with("image") => "gd",
                    _ if name.starts_with("gmp_") => "gmp",
                    _ if name.starts_with("ldap_") => "ldap",
                    _ if name.starts_with("mysqli_") => "mysql",
                    _ if name.starts_with("pg_") => "pgsql",
                    _ if name.starts_with("bc") => "bcmath",
                    _ => return Vec::new(),
                };
                vec![format!("php-{extension}")]
            }),
            (
                regex(
                    r#"Class "?\\?(DOMDocument|IntlDateFormatter|Collator|NumberFormatter|ZipArchive|SQLite3|SimpleXMLElement|XMLWriter|XMLReader|PDO)"? not found"#,
                ),
                |name| {
                    let extension = match name {
                        "ZipArchive" => "zip",
                        "SQLite3" | "PDO" => "sqlite3",
                        "IntlDateFormatter" | "Collator" | "NumberFormatter" => "intl",
                        _ => "xml",
                    };
                    vec![format!("php-{extension}")]
                },
            ),
            (
                regex(r"(?:^|[ :])(?:sh|bash|env)?:? ?(?:\d+: )?'?([a-z][\w.+-]*)'?: (?:command )?not found"),
                |name| vec![name.to_owned()],
            ),
        ]
    });
    PATTERNS.iter().find_map(|(pattern, names)| {
        let name = pattern.captures(line)?.get(1)?.as_str();
        Some(names(name)).filter(|names| !names.is_empty())
    })
}

/// Returns a line of an app, short enough to show, without what could move a terminal's cursor.
fn shorten(line: &str) -> String {
    let plain: String = line.trim().chars().filter(|letter| !letter.is_control()).take(240).collect();
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(services: &str) -> Recipe {
        let folder = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[app]\nname = \"tea\"\npackages = [\"tea\"]\n[debian]\nsuite = \"bookworm\"\n{services}\n[web]\nport = 8000\n"
        );
        std::fs::write(folder.path().join("recipe.toml"), text).expect("writes");
        crate::recipe::read(folder.path()).expect("is a recipe")
    }

    fn mends(lines: &[&str]) -> Vec<Mend> {
        let recipe = recipe("[[service]]\nname = \"tea\"\ncommand = [\"/usr/sbin/transmission-daemon\"]\n");
        let said: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        causes(&recipe, &Tree::new(), &said, &BTreeMap::new(), "", &|_| Vec::new())
            .into_iter()
            .filter_map(|cause| cause.mend)
            .collect()
    }

    #[test]
    fn a_script_that_calls_what_is_not_there_tells_the_package() {
        let said =
            "cannot configure tea: it failed\n  /var/lib/dpkg/info/tea.postinst: 7: groupadd: not found\n";
        let cause = uncalled(said).expect("is told");
        assert_eq!(cause.fact, "tea.postinst calls groupadd, which no package that it depends on has");
        assert_eq!(cause.mend, Some(Mend::Package(vec!["passwd".into()])));
        let other = uncalled("/var/lib/dpkg/info/tea.postinst: line 3: brew: command not found");
        assert_eq!(other.expect("is told").mend, None);
        assert_eq!(uncalled("dpkg: error processing package tea"), None);
    }

    #[test]
    fn words_of_services_tell_what_is_to_be_mended() {
        let cases: [(&str, Mend); 12] = [
            ("The journal file \"/var/.tea.journal\" was not found.", Mend::File("/var/.tea.journal".into())),
            ("open /var/lib/tea/cups.db: no such file or directory", Mend::Directory("/var/lib/tea".into())),
            (
                "The data directory /var/lib/tea/pots does not exist.",
                Mend::Directory("/var/lib/tea/pots".into()),
            ),
            ("bind /run/tea/pot.sock: No such file or directory", Mend::RunDirectory("/run/tea".into())),
            ("bind /var/run/tea/pot.sock: No such file or directory", Mend::RunDirectory("/run/tea".into())),
            ("KeyError: 'TEAPATH'", Mend::Variable("TEAPATH".into())),
            ("/etc/tea/secret.key: Read-only file system", Mend::Writable("/etc/tea".into())),
            (
                "ModuleNotFoundError: No module named 'xdg.BaseDirectory'",
                Mend::Package(vec!["python3-xdg".into()]),
            ),
            ("Can't locate Net/LDAP.pm in @INC", Mend::Package(vec!["libnet-ldap-perl".into()])),
            (
                "PHP Fatal error: Uncaught Error: Call to undefined function mb_strlen() in x",
                Mend::Package(vec!["php-mbstring".into()]),
            ),
            (
                "tinyroot-init: service tea ended with status 0",
                Mend::Foreground { service: "tea".into(), options: vec!["-f".into()] },
            ),
            ("java: error while loading shared libraries: libjli.so", Mend::Proc),
        ];
        for (line, mend) in cases {
            assert_eq!(mends(&[line]), [mend], "{line}");
        }
        assert_eq!(mends(&["tea is ready, see /var/log/tea.log"]), []);
        assert_eq!(mends(&["/usr/share/tea/none.html does not exist"]), []);
        assert_eq!(mends(&["connect() to unix:/run/php.sock failed (2: No such file or directory)"]), []);
    }

    #[test]
    fn a_host_of_a_configuration_is_looked_up() {
        let answered = "  step 1, GET /\n    line 23, <form action>: http://some.url/x.cgi leads to another authority than 127.0.0.1:8765";
        let place = |host: &str| vec![format!("/etc/tea/conf:3 ({host})")];
        let found = causes(&recipe(""), &Tree::new(), &[], &BTreeMap::new(), answered, &place);
        assert_eq!(
            found,
            [Cause {
                fact: "<form action> leads to some.url, which stands in /etc/tea/conf:3 (some.url)".into(),
                mend: None
            }]
        );
    }

    #[test]
    fn a_port_that_answers_is_the_apps() {
        let recipe = recipe("");
        let found =
            causes(&recipe, &Tree::new(), &[], &BTreeMap::from([(22000, false), (8384, true)]), "", &|_| {
                Vec::new()
            });
        assert_eq!(found[0].mend, Some(Mend::Port(8384)));
        assert_eq!(
            causes(&recipe, &Tree::new(), &[], &BTreeMap::from([(8000, true), (8384, true)]), "", &|_| {
                Vec::new()
            }),
            []
        );
    }
}
