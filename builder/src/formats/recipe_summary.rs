//! `recipe.summary`: the sizes that a build had, written beside the lock so that a history of them needs no
//! builds.
//!
//! ```toml
//! version = 1
//! folder = "5d41…"            # SHA-256 over recipe, lock, evidence and files that the package was made of
//! tinyroot = "0.1.0"
//! format = "spk"
//! size_bytes = 3715332
//! installed_bytes = 15400000
//! metadata_bytes = 9000       # of size_bytes; missing where that was not known
//! container_bytes = 400
//! steps = 31                  # of the proof; missing in an unproven package
//!
//! [packages]
//! "libc6" = { version = "2.36-9", packed_bytes = 812345, installed_bytes = 1922136, files = 3 }
//! ```
//!
//! Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The name of the file in a recipe folder.
pub const NAME: &str = "recipe.summary";

/// The longest file that is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The sizes that a build had.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSummary {
    version: u32,
    /// Over the recipe's folder, as the package encloses it.
    #[serde(deserialize_with = "digest")]
    pub folder: Digest,
    /// The version of tinyroot.
    pub tinyroot: String,
    /// The package's format.
    pub format: String,
    /// The package's size.
    pub size_bytes: u64,
    /// All contents, unpacked.
    pub installed_bytes: u64,
    /// Of the size, what describes files; `None` where that is not known.
    pub metadata_bytes: Option<u64>,
    /// Of the size, headers and checks.
    pub container_bytes: Option<u64>,
    /// The steps of the proof; `None` for an unproven package.
    pub steps: Option<u64>,
    /// Debian packages and other headings.
    #[serde(default)]
    pub packages: BTreeMap<String, PackageSize>,
}

/// The sizes of a heading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSize {
    /// The package's version; `None` for what is no package.
    pub version: Option<String>,
    /// What it takes compressed; `None` where that is not known.
    pub packed_bytes: Option<u64>,
    /// Its contents.
    pub installed_bytes: u64,
    /// Its files.
    pub files: u64,
}

impl PackageSize {
    /// Returns its compressed size, or else its contents'.
    pub fn bytes(&self) -> u64 {
        self.packed_bytes.unwrap_or(self.installed_bytes)
    }
}

/// Text that is no `recipe.summary`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct InvalidSummary {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl RecipeSummary {
    /// Returns one without packages.
    pub fn new(folder: Digest, tinyroot: &str, format: &str) -> Self {
        RecipeSummary {
            version: 1,
            folder,
            tinyroot: tinyroot.to_owned(),
            format: format.to_owned(),
            size_bytes: 0,
            installed_bytes: 0,
            metadata_bytes: None,
            container_bytes: None,
            steps: None,
            packages: BTreeMap::new(),
        }
    }

    /// Returns the text.
    pub fn to_text(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut out =
            "# What `tinyroot build --record` measured. `tinyroot log` shows it over time.\n".to_owned();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name} = {value}");
        };
        line("version", self.version.to_string());
        line("folder", quoted(&self.folder.to_string()));
        line("tinyroot", quoted(&self.tinyroot));
        line("format", quoted(&self.format));
        line("size_bytes", self.size_bytes.to_string());
        line("installed_bytes", self.installed_bytes.to_string());
        let known = [
            ("metadata_bytes", self.metadata_bytes),
            ("container_bytes", self.container_bytes),
            ("steps", self.steps),
        ];
        for (name, value) in known {
            value.into_iter().for_each(|value| line(name, value.to_string()));
        }
        out += "\n[packages]\n";
        for (name, size) in &self.packages {
            let version = size.version.as_ref().map(|version| format!("version = {}, ", quoted(version)));
            let packed = size.packed_bytes.map(|bytes| format!("packed_bytes = {bytes}, "));
            let (version, packed) = (version.unwrap_or_default(), packed.unwrap_or_default());
            let PackageSize { installed_bytes, files, .. } = size;
            let name = toml_key(name);
            let _ = writeln!(
                out,
                "{name} = {{ {version}{packed}installed_bytes = {installed_bytes}, files = {files} }}"
            );
        }
        out
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`InvalidSummary`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidSummary> {
        let invalid = |line: usize, reason: String| InvalidSummary { line, reason };
        if bytes.len() > MAX_BYTES {
            return Err(invalid(1, format!("it is longer than {MAX_BYTES} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            invalid(line, "it is not UTF-8 text".into())
        })?;
        let summary: RecipeSummary = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let reason = error.message().lines().next().unwrap_or_default().to_owned();
            invalid(before.matches('\n').count() + 1, reason)
        })?;
        match summary.version {
            1 => Ok(summary),
            version => Err(invalid(1, format!("its form has version {version}, and this tinyroot knows 1"))),
        }
    }
}

/// Returns a key of TOML, in quotes, since names of packages have dots.
fn toml_key(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

fn digest<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| serde::de::Error::custom("`folder` is no SHA-256 in hex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> RecipeSummary {
        let mut summary = RecipeSummary::new(Digest::of(b"folder"), "0.1.0", "spk");
        (summary.size_bytes, summary.installed_bytes) = (3_715_332, 15_400_000);
        (summary.metadata_bytes, summary.container_bytes, summary.steps) = (Some(9000), Some(400), Some(31));
        let size = PackageSize {
            version: Some("2.36-9+\"deb\"".into()),
            packed_bytes: Some(812_345),
            installed_bytes: 1_922_136,
            files: 3,
        };
        summary.packages.insert("libc6.1".into(), size);
        summary.packages.insert("(\"no\" package)".into(), PackageSize::default());
        summary
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = summary().to_text();
        assert_eq!(RecipeSummary::parse(text.as_bytes()), Ok(summary()), "{text}");
        assert!(text.contains("\nsize_bytes = 3715332\n"), "{text}");
    }

    #[test]
    fn faults_have_their_line() {
        let text = summary().to_text();
        for (from, to, line, reason) in [
            ("size_bytes = 3715332", "size_bytes = -1", 6, "invalid value"),
            ("format", "colour = 1\nformat", 5, "unknown field `colour`"),
            ("version = 1\n", "version = 2\n", 1, "version 2"),
            ("folder = \"", "folder = \"x", 3, "no SHA-256"),
            ("[packages]", "[packages", 0, ""),
        ] {
            let error = RecipeSummary::parse(text.replacen(from, to, 1).as_bytes()).expect_err(to);
            assert!(error.reason.contains(reason), "{to}: {error}");
            assert!(line == 0 || error.line == line, "{to}: {error}");
        }
        assert!(RecipeSummary::parse(b"\xff").is_err());
        assert!(RecipeSummary::parse(&vec![b'#'; MAX_BYTES + 1]).is_err());
    }
}
