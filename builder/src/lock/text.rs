//! The text form of a lock: TOML.
//!
//! ```toml
//! version = 1
//! suite = "bookworm"
//! architecture = "amd64"
//! time = "2026-11-14T09:12:33Z"
//!
//! earlier = ["2026-10-01T08:00:00Z"]
//!
//! [request]
//! packages = ["hello"]
//! essential = true
//! recommends = false
//! exclude = []
//! prefer = ["usr-is-merged"]
//!
//! [[index]]
//! suite = "bookworm"
//! component = "main"
//! architecture = "amd64"
//! sha256 = "…"
//!
//! [[package]]
//! name = "hello"
//! version = "2.10-3"
//! architecture = "amd64"
//! suite = "bookworm"
//! path = "pool/main/h/hello/hello_2.10-3_amd64.deb"
//! size_bytes = 53080
//! sha256 = "…"
//! because = "requested"
//! ```
//!
//! `time` is the newest `Date` of the suites' Release files. `earlier`, where packages were left as an older
//! lock had them (`lock --update PACKAGE`), has the times of such locks. `path` is relative to the root of
//! the archive that holds `suite`. A package has `sha512` in place of `sha256` where its archive lists no
//! other. An index at an exact path (`suite = "example/./"`) has the component `""`. Unknown keys are
//! refused, so additions of a later version need a new number.

use std::{fmt::Write as _, ops::Range};

use serde::Deserialize;
use toml::Spanned;

use crate::{
    digest::Digest,
    formats::{checksum::Checksum, packages::path, relation::is_name, suite, version},
    lock::{Lock, LockedIndex, LockedPackage},
    resolve::Request,
};

/// The version of the format.
const VERSION: i64 = 1;

const HEADER: &str = "\
# Every .deb that this recipe stands on. Written by `tinyroot lock`, not by hand; to be committed.
";

impl Lock {
    /// Returns the text of the lock; equal locks have equal texts.
    pub fn to_text(&self) -> String {
        let mut out = String::from(HEADER);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name} = {value}");
        };
        line("version", VERSION.to_string());
        line("suite", quote(&self.suite));
        line("architecture", quote(&self.architecture));
        line("time", quote(&time_text(self.time_s)));
        if !self.earlier_s.is_empty() {
            let times: Vec<String> = self.earlier_s.iter().map(|time_s| time_text(*time_s)).collect();
            line("earlier", list(&times));
        }
        let request = &self.request;
        out += "\n[request]\n";
        let _ = writeln!(out, "packages = {}", list(&request.packages));
        let _ = writeln!(out, "essential = {}", request.essential);
        let _ = writeln!(out, "recommends = {}", request.recommends);
        let _ = writeln!(out, "exclude = {}", list(&request.exclude));
        let _ = writeln!(out, "prefer = {}", list(&request.prefer));
        // Rare fields are written only where they are set, so that other locks stay as they are.
        if !request.recommends_of.is_empty() {
            let _ = writeln!(out, "recommends_of = {}", list(&request.recommends_of));
        }
        for pin in &request.pins {
            out += "\n[[request.pins]]\n";
            let _ = writeln!(out, "package = {}", quote(&pin.package));
            for (key, value) in [("suite", &pin.suite), ("version", &pin.version)] {
                if let Some(value) = value {
                    let _ = writeln!(out, "{key} = {}", quote(value));
                }
            }
            let _ = writeln!(out, "priority = {}", pin.priority);
        }
        for index in &self.indexes {
            out += "\n[[index]]\n";
            let _ = writeln!(out, "suite = {}", quote(&index.suite));
            let _ = writeln!(out, "component = {}", quote(&index.component));
            let _ = writeln!(out, "architecture = {}", quote(&index.architecture));
            let _ = writeln!(out, "sha256 = \"{}\"", index.digest);
        }
        for package in &self.packages {
            out += "\n[[package]]\n";
            let _ = writeln!(out, "name = {}", quote(&package.name));
            let _ = writeln!(out, "version = {}", quote(&package.version));
            let _ = writeln!(out, "architecture = {}", quote(&package.architecture));
            let _ = writeln!(out, "suite = {}", quote(&package.suite));
            let _ = writeln!(out, "path = {}", quote(&package.path));
            let _ = writeln!(out, "size_bytes = {}", package.size_bytes);
            let _ = writeln!(out, "{} = \"{}\"", package.checksum.algorithm(), package.checksum.hex());
            let _ = writeln!(out, "because = {}", quote(&package.because));
        }
        out
    }

    /// Reads the text of a lock.
    ///
    /// # Errors
    /// The line, counted from 1, and the fault there.
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| (line_at(bytes, error.valid_up_to()), "it is not UTF-8".into()))?;
        let fault = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span: Range<usize>| span.start);
            (line_at(bytes, at), error.message().trim().replace('\n', " "))
        };
        let Numbered { version } = toml::from_str(text).map_err(fault)?;
        if *version.get_ref() != VERSION {
            let reason =
                format!("the format has version {}; this tinyroot reads {VERSION}", version.get_ref());
            return Err((line_at(bytes, version.span().start), reason));
        }
        let raw: RawLock = toml::from_str(text).map_err(fault)?;
        raw.check().map_err(|(at, reason)| (line_at(bytes, at), reason))
    }
}

/// Returns the line of an offset, counted from 1.
fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// Returns a time as RFC 3339 has it, in UTC.
fn time_text(time_s: i64) -> String {
    jiff::Timestamp::from_second(time_s).unwrap_or_default().to_string()
}

#[derive(Deserialize)]
struct Numbered {
    version: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    #[serde(rename = "version")]
    _version: i64,
    suite: Spanned<String>,
    architecture: Spanned<String>,
    time: Spanned<String>,
    #[serde(default)]
    earlier: Vec<Spanned<String>>,
    request: Request,
    #[serde(default)]
    index: Vec<RawIndex>,
    #[serde(default)]
    package: Vec<RawPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIndex {
    suite: Spanned<String>,
    component: Spanned<String>,
    architecture: Spanned<String>,
    sha256: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: Spanned<String>,
    version: Spanned<String>,
    architecture: Spanned<String>,
    suite: Spanned<String>,
    path: Spanned<String>,
    size_bytes: u64,
    sha256: Option<Digest>,
    sha512: Option<Spanned<String>>,
    because: String,
}

/// An offset into the text, and the fault there.
type Fault = (usize, String);

/// Takes a name that may stand in a path or a URL.
fn name(text: Spanned<String>, what: &str) -> Result<String, Fault> {
    if is_name(text.get_ref()) {
        return Ok(text.into_inner());
    }
    Err((text.span().start, format!("{:?} is not a {what}", text.get_ref())))
}

/// Takes the name of a suite, behind the name of its archive where that is not Debian's.
fn suite(text: Spanned<String>) -> Result<String, Fault> {
    let whole = text.get_ref();
    let own = whole.split_once('/').filter(|(archive, _)| is_name(archive));
    let own = own.map_or(Err(""), |(_, own)| suite::check(own));
    match own.or_else(|_| suite::check(whole)) {
        Ok(()) => Ok(text.into_inner()),
        Err(reason) => Err((text.span().start, format!("the suite {whole:?} {reason}"))),
    }
}

/// Takes a time, in seconds since 1970.
fn time(text: &Spanned<String>) -> Result<i64, Fault> {
    let time: Result<jiff::Timestamp, _> = text.get_ref().parse();
    time.map(jiff::Timestamp::as_second).map_err(|_| {
        let reason = format!("{:?} is not a time such as 2026-11-14T09:12:33Z", text.get_ref());
        (text.span().start, reason)
    })
}

/// Takes the name of a component, which may have parts apart by slashes.
fn component(text: Spanned<String>) -> Result<String, Fault> {
    match suite::check_parts(text.get_ref()) {
        Ok(()) => Ok(text.into_inner()),
        Err(reason) => Err((text.span().start, format!("the component {:?} {reason}", text.get_ref()))),
    }
}

impl RawLock {
    fn check(self) -> Result<Lock, Fault> {
        let time_s = time(&self.time)?;
        let mut earlier_s = self.earlier.iter().map(time).collect::<Result<Vec<i64>, _>>()?;
        earlier_s.sort_unstable();
        earlier_s.dedup();
        let mut indexes = Vec::new();
        for index in self.index {
            indexes.push(LockedIndex {
                component: match index.component.get_ref().is_empty() && index.suite.get_ref().ends_with('/')
                {
                    true => String::new(),
                    false => component(index.component)?,
                },
                suite: suite(index.suite)?,
                architecture: name(index.architecture, "architecture")?,
                digest: index.sha256,
            });
        }
        indexes.sort();
        let architecture = name(self.architecture, "architecture")?;
        let mut packages: Vec<(usize, LockedPackage)> = Vec::new();
        for package in self.package {
            packages.push((package.name.span().start, package.check(&architecture)?));
        }
        packages.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        if let Some(pair) = packages.windows(2).find(|pair| pair[0].1.name == pair[1].1.name) {
            return Err((pair[1].0, format!("{} is locked twice", pair[1].1.name)));
        }
        Ok(Lock {
            suite: suite(self.suite)?,
            architecture,
            time_s,
            earlier_s,
            request: self.request,
            indexes,
            packages: packages.into_iter().map(|(_, package)| package).collect(),
        })
    }
}

impl RawPackage {
    fn check(self, architecture: &str) -> Result<LockedPackage, Fault> {
        let at = self.name.span().start;
        let name = name(self.name, "name of a package")?;
        if let Err(reason) = version::check(self.version.get_ref()) {
            let reason = format!("{:?} is not a version: {reason}", self.version.get_ref());
            return Err((self.version.span().start, reason));
        }
        if self.architecture.get_ref() != architecture && self.architecture.get_ref() != "all" {
            let reason = format!("{name} is for {}, not for {architecture}", self.architecture.get_ref());
            return Err((self.architecture.span().start, reason));
        }
        if let Err(reason) = path::check(self.path.get_ref()) {
            return Err((self.path.span().start, format!("the path {:?} {reason}", self.path.get_ref())));
        }
        let checksum = match (self.sha256, self.sha512) {
            (Some(digest), None) => digest.into(),
            (None, Some(hex)) => match hex.get_ref().parse() {
                Ok(checksum @ Checksum::Sha512(_)) => checksum,
                _ => return Err((hex.span().start, "not a SHA-512 digest in lower-case hex".into())),
            },
            _ => return Err((at, format!("{name} has not one digest, sha256 or sha512"))),
        };
        Ok(LockedPackage {
            name,
            version: self.version.into_inner(),
            architecture: self.architecture.into_inner(),
            suite: suite(self.suite)?,
            path: self.path.into_inner(),
            size_bytes: self.size_bytes,
            checksum,
            because: self.because,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> LockedPackage {
        LockedPackage {
            name: name.into(),
            version: "1:2.0-1+deb12u1".into(),
            architecture: "amd64".into(),
            suite: "bookworm-security".into(),
            path: format!("pool/main/{name}/{name}_2.0-1+deb12u1_amd64.deb"),
            size_bytes: 53_080,
            checksum: Digest::of(name.as_bytes()).into(),
            because: "Depends: \"odd\" (>= 1) of b".into(),
        }
    }

    fn lock() -> Lock {
        let index = |suite: &str| LockedIndex {
            suite: suite.into(),
            component: "main".into(),
            architecture: "amd64".into(),
            digest: Digest::of(suite.as_bytes()),
        };
        Lock {
            suite: "bookworm".into(),
            architecture: "amd64".into(),
            time_s: 1_794_647_553,
            earlier_s: Vec::new(),
            request: Request {
                packages: vec!["b".into(), "a".into()],
                essential: true,
                prefer: vec![Request::MERGED_USR.into()],
                ..Request::default()
            },
            indexes: vec![index("bookworm"), index("bookworm-security")],
            packages: vec![package("a"), package("b")],
        }
    }

    #[test]
    fn has_this_text() {
        let mut lock = lock();
        lock.packages.truncate(1);
        lock.indexes.truncate(1);
        let expected = format!(
            "\
# Every .deb that this recipe stands on. Written by `tinyroot lock`, not by hand; to be committed.
version = 1
suite = \"bookworm\"
architecture = \"amd64\"
time = \"2026-11-14T09:12:33Z\"

[request]
packages = [\"b\", \"a\"]
essential = true
recommends = false
exclude = []
prefer = [\"usr-is-merged\"]

[[index]]
suite = \"bookworm\"
component = \"main\"
architecture = \"amd64\"
sha256 = \"{}\"

[[package]]
name = \"a\"
version = \"1:2.0-1+deb12u1\"
architecture = \"amd64\"
suite = \"bookworm-security\"
path = \"pool/main/a/a_2.0-1+deb12u1_amd64.deb\"
size_bytes = 53080
sha256 = \"{}\"
because = 'Depends: \"odd\" (>= 1) of b'
",
            Digest::of(b"bookworm"),
            Digest::of(b"a")
        );
        assert_eq!(lock.to_text(), expected);
    }

    #[test]
    fn what_few_recipes_have_comes_back_as_well() {
        let mut lock = lock();
        lock.request.recommends_of = vec!["a".into()];
        lock.request.pins = vec![
            crate::formats::pins::Pin {
                package: "ng*".into(),
                suite: Some("bookworm-backports".into()),
                version: None,
                priority: 600,
            },
            crate::formats::pins::Pin {
                package: "a".into(),
                suite: None,
                version: Some("1*".into()),
                priority: -1,
            },
        ];
        lock.indexes[1].suite = "other/stable".into();
        lock.packages[1].suite = "other/stable".into();
        let text = lock.to_text();
        let pin = "\n[[request.pins]]\npackage = \"ng*\"\nsuite = \"bookworm-backports\"\npriority = 600\n";
        assert!(text.contains(pin), "{text}");
        assert_eq!(Lock::parse(text.as_bytes()), Ok(lock));
    }

    #[test]
    fn a_flat_archive_and_a_sha512_come_back_as_well() {
        let mut lock = lock();
        lock.indexes[1].suite = "other/./".into();
        lock.indexes[1].component = String::new();
        lock.packages[1].suite = "other/./".into();
        lock.packages[1].path = "b_1:2~3@4=5 (6).deb".into();
        lock.packages[1].checksum = Checksum::Sha512([0xab; 64]);
        let text = lock.to_text();
        let sha512 = "ab".repeat(64);
        assert!(text.contains(&format!("size_bytes = 53080\nsha512 = \"{sha512}\"\nbecause")), "{text}");
        assert_eq!(Lock::parse(text.as_bytes()), Ok(lock));
        let line = text.lines().position(|line| line.starts_with("sha512")).expect("is there") + 1;
        let name = text.lines().position(|line| line == "name = \"b\"").expect("is there") + 1;
        let sha256 = Digest::of(b"");
        for (from, to, expected) in [
            (&*sha512, &sha512[2..], (line, "not a SHA-512 digest in lower-case hex".to_owned())),
            (&*sha512, &sha512[64..], (line, "not a SHA-512 digest in lower-case hex".to_owned())),
            (
                "sha512 =",
                &*format!("sha256 = \"{sha256}\"\nsha512 ="),
                (name, "b has not one digest, sha256 or sha512".to_owned()),
            ),
        ] {
            assert_eq!(Lock::parse(text.replace(from, to).as_bytes()), Err(expected));
        }
    }

    #[test]
    fn comes_back_as_written() {
        let lock = lock();
        assert_eq!(Lock::parse(lock.to_text().as_bytes()), Ok(lock));
    }

    #[test]
    fn refuses_damaged_locks() {
        let text = lock().to_text();
        let digest = Digest::of(b"a").to_string();
        let rows: &[(&str, &str, usize, &str)] = &[
            ("version = 1\n", "version = 2\n", 2, "the format has version 2; this tinyroot reads 1"),
            ("version = 1\n", "", 1, "missing field `version`"),
            (
                "pool/main/a/",
                "/pool/main/a/",
                31,
                "the path \"/pool/main/a/a_2.0-1+deb12u1_amd64.deb\" is absolute",
            ),
            ("pool/main/a/", "../a/", 31, "the path \"../a/a_2.0-1+deb12u1_amd64.deb\" leaves its place"),
            ("pool/main/a/", "./", 31, "the path \"./a_2.0-1+deb12u1_amd64.deb\" is not in its plain form"),
            ("name = \"b\"", "name = \"a\"", 37, "a is locked twice"),
            ("name = \"a\"", "name = \"../a\"", 27, "\"../a\" is not a name of a package"),
            (
                "1:2.0-1+deb12u1\"\narch",
                "x\"\narch",
                28,
                "\"x\" is not a version: it does not begin with a digit",
            ),
            (&digest, &digest[1..], 33, "not a SHA-256 digest in lower-case hex"),
            ("53080", "-1", 32, "invalid value: integer `-1`, expected u64"),
            ("2026-11-14T09:12:33Z", "noon", 5, "\"noon\" is not a time such as 2026-11-14T09:12:33Z"),
            ("because", "why", 34, "unknown field `why`"),
            ("\"amd64\"\nsuite", "\"arm64\"\nsuite", 29, "a is for arm64, not for amd64"),
            ("[[package]]", "[[package", 26, ""),
            (
                "suite = \"bookworm\"\narch",
                "suite = \"../..\"\narch",
                3,
                "the suite \"../..\" leaves its place or is not plain",
            ),
        ];
        for (from, to, line, expected) in rows {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text, "{from}");
            let (found, reason) = Lock::parse(damaged.as_bytes()).expect_err(to);
            assert!(reason.starts_with(expected), "{to}: {reason}");
            assert_eq!(found, *line, "{to}: {reason}");
        }
        assert_eq!(Lock::parse(b"a = 1\n\xff").expect_err("not text"), (2, "it is not UTF-8".into()));
        for end in 0..text.len() {
            // Never a panic; a cut may leave a shorter lock, but then fewer packages.
            if let Ok(cut) = Lock::parse(&text.as_bytes()[..end]) {
                assert!(cut.packages.len() < 2 || cut == lock(), "cut at {end}");
            }
        }
    }
}
