//! `tinyroot resolve`: what would be installed, and why.

use std::fmt::Write as _;

use crate::{
    archive::Selection,
    cli::{Context, Failure, finish_json, output::say, print, size_text},
    line::{choose, universe},
    resolve::{Explanation, Request, Resolution, explain},
};

/// Show the packages that would be installed, and why
///
/// The answer is that of `apt-get -s --no-install-recommends install ESSENTIAL... PACKAGE...` on an
/// empty system. Where alternatives are written in an order that does not fit, --prefer names what goes
/// first; locks prefer `usr-is-merged` to `usrmerge`, this command does not unless it is said so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Debian packages, in the order in which apt would get them
    #[arg(required_unless_present = "essential_only")]
    packages: Vec<String>,
    /// The suite, by codename; its updates and security pockets are read as well
    #[arg(long, value_name = "SUITE", default_value = "bookworm")]
    suite: String,
    /// The Debian architecture
    #[arg(long, value_name = "ARCH", default_value = "amd64")]
    architecture: String,
    /// Leave out packages that only the Essential packages bring
    #[arg(long)]
    without_essential: bool,
    /// Show the Essential packages and those that they bring
    #[arg(long, conflicts_with_all = ["packages", "without_essential"])]
    essential_only: bool,
    /// Follow Recommends
    #[arg(long)]
    recommends: bool,
    /// A package that must not be installed
    #[arg(long, value_name = "PACKAGE")]
    exclude: Vec<String>,
    /// A package that goes before other alternatives
    #[arg(long, value_name = "PACKAGE")]
    prefer: Vec<String>,
    /// Show every way to a package, the shortest first, or why it is not installed
    #[arg(long, value_name = "PACKAGE")]
    explain: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let request = Request {
        packages: args.packages.clone(),
        essential: !args.without_essential,
        recommends: args.recommends,
        exclude: args.exclude.clone(),
        prefer: args.prefer.clone(),
        ..Request::default()
    };
    let archive = context.session()?.open(&Selection::new(&args.suite, &args.architecture))?;
    let universe = universe(&archive, &[])?;
    let resolution = choose(&universe, &request)?;
    if resolution.beyond_apt {
        context
            .progress
            .warn("apt's own way leads into a contradiction here; apt may answer otherwise, or not at all");
    }
    if let Some(name) = &args.explain {
        let explanation = explain(&universe, &request, &resolution, name)?;
        if context.global.json {
            finish_json(&explanation);
            return Ok(());
        }
        return print(&explanation_text(&explanation));
    }
    if context.global.json {
        let document = serde_json::json!({
            "packages": resolution.packages,
            "beyond_apt": resolution.beyond_apt,
        });
        finish_json(&document);
        return Ok(());
    }
    print(&table(&resolution))?;
    if !context.global.quiet {
        say(&totals(&resolution));
    }
    Ok(())
}

/// Returns the packages as lines of columns.
fn table(resolution: &Resolution) -> String {
    let widest = |text: fn(&crate::resolve::Resolved) -> usize, head: &str| {
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

fn totals(resolution: &Resolution) -> String {
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
fn explanation_text(explanation: &Explanation) -> String {
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
        resolve::{Universe, resolve},
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
            table(&resolution),
            "NAME  VERSION  ARCH       SIZE  BECAUSE\n\
             a     1        all      2.0 kB  requested\n\
             b     1        all      2.0 kB  Depends: b | c of a\n"
        );
        assert_eq!(totals(&resolution), "2 packages, 6 B to fetch, 4.1 kB installed");
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
