//! The packages that would be installed, and why.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    progress::size_text,
    resolve::{Explanation, Resolution, Resolved},
};

/// Returns the packages of a resolution as one JSON document.
pub fn resolution_json(resolution: &Resolution) -> Value {
    json!({ "packages": resolution.packages, "beyond_apt": resolution.beyond_apt })
}

/// Returns the packages as lines of columns.
pub fn resolution_table(resolution: &Resolution) -> String {
    let widest = |text: fn(&Resolved) -> usize, head: &str| {
        resolution.packages.iter().map(text).max().unwrap_or(0).max(head.len())
    };
    let name = widest(|package| package.name.len(), "NAME");
    let version = widest(|package| package.version.len(), "VERSION");
    let mut out = format!("{:name$}  {:version$}  {:5}  {:>8}  BECAUSE\n", "NAME", "VERSION", "ARCH", "SIZE");
    for package in &resolution.packages {
        let size = size_text(package.installed_size_kib.saturating_mul(1024));
        let _ = writeln!(
            out,
            "{:name$}  {:version$}  {:5}  {size:>8}  {}",
            package.name, package.version, package.architecture, package.because
        );
    }
    out
}

/// Returns how many packages there are, and how large.
pub fn resolution_totals(resolution: &Resolution) -> String {
    let debs = resolution.packages.iter().map(|package| package.size_bytes).sum();
    let installed: u64 = resolution.packages.iter().map(|package| package.installed_size_kib).sum();
    format!(
        "{} packages, {} to fetch, {} installed",
        resolution.packages.len(),
        size_text(debs),
        size_text(installed.saturating_mul(1024))
    )
}

/// Returns an explanation as an indented list.
pub fn explanation_text(explanation: &Explanation) -> String {
    let name = &explanation.name;
    let mut out = match (explanation.chosen, explanation.ways.is_empty()) {
        (true, _) => format!("{name} is installed:\n"),
        (false, true) => format!("{name} is not installed: nothing that is installed names it\n"),
        (false, false) => format!("{name} is not installed, though these name it:\n"),
    };
    for way in &explanation.ways {
        for (depth, step) in way.steps.iter().enumerate() {
            let _ = writeln!(out, "{}{step}", "  ".repeat(depth + 1));
        }
        let depth = "  ".repeat(way.steps.len() + 1);
        if !way.met_by.is_empty() {
            let _ = writeln!(out, "{depth}met by {}", way.met_by.join(", "));
        }
        if !way.instead.is_empty() {
            let _ = writeln!(out, "{depth}passed over: {}", way.instead.join(", "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        formats::packages::Source,
        resolve::{Request, Universe, explain, resolve},
    };

    #[test]
    fn explains_in_words() {
        let stanza = |name: &str, fields: &str| {
            format!(
                "Package: {name}\nVersion: 1\nArchitecture: all\nInstalled-Size: 2\nFilename: pool/{name}.deb\nSize: 3\nSHA256: {}\n{fields}\n",
                "0".repeat(64)
            )
        };
        let text = stanza("a", "Depends: b | c\n") + &stanza("b", "") + &stanza("c", "");
        let universe = Universe::new("amd64", &[Source::new("s", text.as_bytes())]).expect("sound");
        let request = Request { packages: vec!["a".into()], ..Request::default() };
        let resolution = resolve(&universe, &request).expect("there is a solution");
        assert_eq!(
            resolution_table(&resolution),
            "NAME  VERSION  ARCH       SIZE  BECAUSE\n\
             a     1        all      2.0 kB  requested\n\
             b     1        all      2.0 kB  Depends: b | c of a\n"
        );
        assert_eq!(resolution_totals(&resolution), "2 packages, 6 B to fetch, 4.1 kB installed");
        let told =
            |name| explanation_text(&explain(&universe, &request, &resolution, name).expect("is known"));
        assert_eq!(
            told("b"),
            "b is installed:\n  a 1: requested\n    b 1: Depends: b | c of a\n      passed over: c\n"
        );
        assert_eq!(
            told("c"),
            "c is not installed, though these name it:\n  a 1: requested\n    c 1: Depends: b | c of a\n      met by b\n"
        );
    }
}
