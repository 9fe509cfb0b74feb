//! Messages of languages, loaders and shells about something that is not there.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The thing that a message lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An absolute path.
    Path(String),
    /// A Python module by its dotted name.
    Python(String),
    /// A path with one of these ends; each begins with a slash. The first that fits anything counts.
    Endings(Vec<String>),
    /// A class of Java.
    Class(String),
}

type Meaning = fn(&Captures<'_>) -> Wanted;

/// Messages, each with what its groups mean. Sources: CPython's `import.c` and `codecs.c`, perl's
/// perldiag(1), Node.js' `internal/modules`, PHP's `main/fopen_wrappers.c` and `Zend/zend_execute_API.c`,
/// Ruby's `load.c`, ld.so(8), dash and bash.
const MESSAGES: &[(&str, Meaning)] = &[
    (r#"No module named ['"]?([\w.-]+)"#, |m| Wanted::Python(m[1].trim_end_matches('.').to_owned())),
    (r#"cannot import name ['"]?(\w+)['"]? from (?:partially initialized module )?['"]([\w.]+)"#, |m| {
        Wanted::Python(format!("{}.{}", &m[2], &m[1]))
    }),
    (r#"unknown encoding: ['"]?([\w.-]+)"#, |m| {
        Wanted::Python(format!("encodings.{}", m[1].to_lowercase().replace(['-', '.'], "_")))
    }),
    (r"(?:No time zone found with key|unknown time zone|Unknown or bad timezone) \(?([\w/+-]+)", |m| {
        Wanted::Path(format!("/usr/share/zoneinfo/{}", &m[1]))
    }),
    (r"Can't locate (\S+\.\w+) in @INC", |m| Wanted::Endings(vec![format!("/{}", &m[1])])),
    (r"Can't locate loadable object for module ([\w:]+) in @INC", |m| {
        let path = m[1].replace("::", "/");
        let name = path.rsplit('/').next().unwrap_or_default();
        Wanted::Endings(vec![format!("/auto/{path}/{name}.so")])
    }),
    (r#"Base class package "([\w:]+)" is empty"#, |m| {
        Wanted::Endings(vec![format!("/{}.pm", m[1].replace("::", "/"))])
    }),
    (r#"Cannot find (?:module|package) ['"]([^'"]+)['"]"#, |m| node(&m[1])),
    (r"cannot load such file -- ([^\s(]+)", |m| ruby(&m[1])),
    (r#"(?:Class|Trait|Interface|Enum) ["']([\w\\]+)["'] not found"#, |m| php_class(&m[1])),
    (r"(?:require|include)(?:_once)?\(([^)]+)\): [Ff]ailed to open stream", |m| file(&m[1])),
    (r#"Failed opening (?:required )?['"]([^'"]+)['"]"#, |m| file(&m[1])),
    (r"(?:NoClassDefFoundError|ClassNotFoundException): ([\w/.$]+)", |m| Wanted::Class(m[1].to_owned())),
    (r#"([\w.+/-]+\.so[\w.]*)['"]?: cannot open shared object file"#, |m| file(&m[1])),
    (r"(?:^|[ /])(?:sh|dash|bash)?: ?(?:line )?\d+: ([\w.+-]+): (?:command )?not found", |m| program(&m[1])),
    (r#"exec: "([\w.+-]+)": executable file not found"#, |m| program(&m[1])),
    (r"spawn ([\w.+-]+) ENOENT", |m| program(&m[1])),
    (r"env: ['‘]?([\w.+-]+)['’]?: No such file", |m| program(&m[1])),
];

/// Words of lines that are looked at, in lower case: each message has one.
const WORDS: &[&str] = &[
    "cannot find",
    "cannot import",
    "cannot load",
    "cannot open",
    "can't locate",
    "classnotfound",
    "could not find",
    "could not open",
    "could not load",
    "can't open",
    "does not exist",
    "enoent",
    "failed opening",
    "failed to open",
    "is empty",
    "no module named",
    "no such file",
    "no time zone",
    "noclassdeffound",
    "not found",
    "timezone",
    "time zone",
    "unable to load",
    "unable to open",
    "unknown encoding",
];

/// Returns true if a line may say that something is missing.
pub(super) fn may_tell(line: &str) -> bool {
    let line = line.to_lowercase();
    WORDS.iter().any(|word| line.contains(word))
}

/// Returns what a line says is missing: by its message, and each absolute path in it.
pub(super) fn wanted(line: &str) -> Vec<Wanted> {
    static COMPILED: LazyLock<Vec<(Regex, Meaning)>> = LazyLock::new(|| {
        let compiled = MESSAGES.iter().map(|(pattern, meaning)| Some((Regex::new(pattern).ok()?, *meaning)));
        compiled.flatten().collect()
    });
    static PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"(?:^|[\s'"`‘“(=,:\[<]|file://)(/[^\s'"`’”(),:;\]<>]+)"#).ok());
    if !may_tell(line) {
        return Vec::new();
    }
    let messages =
        COMPILED.iter().flat_map(|(regex, meaning)| regex.captures_iter(line).map(|found| meaning(&found)));
    let mut out: Vec<Wanted> = messages.collect();
    for found in PATH.iter().flat_map(|regex| regex.captures_iter(line)) {
        out.push(Wanted::Path(found[1].trim_end_matches(['.', '!', '?']).to_owned()));
    }
    out
}

/// Returns a path of an include as it may end: what `.` and `..` stand for is not known here.
fn relative(path: &str) -> String {
    let last = path.rsplit("../").next().unwrap_or_default();
    format!("/{}", last.trim_start_matches("./").trim_start_matches('/'))
}

/// A file by its path or, where that is relative, by its end.
fn file(path: &str) -> Wanted {
    let path = path.trim().trim_matches(['\'', '"']);
    if path.starts_with('/') && !path.contains("/../") {
        return Wanted::Path(path.to_owned());
    }
    Wanted::Endings(vec![relative(path)])
}

/// A program of the usual directories.
fn program(name: &str) -> Wanted {
    Wanted::Endings(["bin", "sbin"].map(|directory| format!("/usr/{directory}/{name}")).to_vec())
}

/// A script or package of Node, as `require` looks for it.
fn node(name: &str) -> Wanted {
    let name = name.strip_prefix("file://").unwrap_or(name);
    let base = if name.starts_with('/') { name.to_owned() } else { relative(name) };
    let endings = ["", ".js", ".json", ".node", ".mjs", ".cjs", "/package.json", "/index.js"];
    // A bare name is that of a package, and those lie in few directories: other files have such names, too.
    let roots: &[&str] = if name.starts_with(['.', '/']) { &[""] } else { &["/nodejs", "/node_modules"] };
    let all = roots.iter().flat_map(|root| endings.map(|ending| format!("{root}{base}{ending}")));
    Wanted::Endings(all.collect())
}

/// A file of Ruby, as `require` looks for it.
fn ruby(name: &str) -> Wanted {
    let base = if name.starts_with('/') { name.to_owned() } else { relative(name) };
    // Directories of the load path, as Debian has them; of the versions those of its releases.
    const ROOTS: &[&str] =
        &["/vendor_ruby", "/3.1.0", "/3.3.0", "/lib", "/x86_64-linux-gnu", "/aarch64-linux-gnu"];
    let roots = if name.starts_with('/') { &[""] } else { ROOTS };
    let all = roots.iter().flat_map(|root| [".rb", ".so", ""].map(|ending| format!("{root}{base}{ending}")));
    Wanted::Endings(all.collect())
}

/// A class of PHP, by the names that loaders give to its file: with all of its namespace, with ever less of
/// it.
fn php_class(class: &str) -> Wanted {
    let parts: Vec<&str> = class.split('\\').filter(|part| !part.is_empty()).collect();
    let from = |start: usize| parts[start..].join("/");
    let endings = (0..parts.len())
        .flat_map(|start| [".php", ".class.php", ".inc"].map(|ending| format!("/{}{ending}", from(start))));
    Wanted::Endings(endings.collect())
}
