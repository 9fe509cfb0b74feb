//! `tinyroot inspect`: a package's contents and their sizes.

mod coverage;
mod security;

use std::{cell::RefCell, path::PathBuf};

use crate::{
    artifact::{self, Artifact},
    cli::{Context, Failure, finish_json, print, print_page, verify::with_file},
    papers::bill::Form,
    reasons::{self, Change, Graph},
    report::{Contents, Retained, WhatIfReport, WhyBig, sharing_note},
};

/// Show a package's contents by Debian package and directory, with their sizes, compressed and as they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot inspect wiki.spk                         what packages and directories take\n  \
    tinyroot inspect wiki.spk --retained              what would go with each package, rule and step\n  \
    tinyroot inspect wiki.spk --why-big               the largest things that could go\n  \
    tinyroot inspect wiki.spk --what-if \"drop package libicu72\" --what-if \"drop /usr/share/fonts/**\"\n  \
    tinyroot inspect wiki.spk --format html > wiki.html\n  \
    tinyroot check wiki.spk --coverage --json > reached.json\n  \
    tinyroot inspect wiki.spk --format html --coverage reached.json > wiki.html\n  \
    tinyroot inspect wiki.spk --sbom spdx             a bill of materials\n  \
    tinyroot inspect wiki.spk --security              packages with a newer version in the security updates")]
pub struct Args {
    /// The package; - reads it from standard input, docker://HOST/NAME:TAG from a registry
    #[arg(value_name = "ARTIFACT")]
    artifact: PathBuf,
    /// List every path with its size and Debian package
    #[arg(long)]
    files: bool,
    /// How deep directories are shown
    #[arg(long, value_name = "N", default_value_t = 2)]
    depth: usize,
    /// Show what would go with each package, rule and step of the exercise: what nothing else needs
    #[arg(long, conflicts_with = "files")]
    retained: bool,
    /// Say what a change would save, without a build, and what speaks against it: "drop PATTERN", as prune.drop
    /// has it, or "drop package NAME"; can be given several times
    #[arg(long, value_name = "CHANGE", conflicts_with = "files")]
    what_if: Vec<Change>,
    /// Show the ten largest things that could go: what that would save, who keeps them, and the risk
    #[arg(long, conflicts_with = "files")]
    why_big: bool,
    /// How the result is written [default: text]
    #[arg(long, value_enum, conflicts_with_all = ["sbom", "security"])]
    format: Option<Format>,
    /// Show on the page of --format html how much of the app its exercise reaches, from this file of
    /// `tinyroot check ARTIFACT --coverage --json`
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// Print a bill of materials with every package and every file's digests, as JSON
    #[arg(long, value_name = "FORM", value_enum, conflicts_with_all = ["files", "json", "retained", "what_if", "why_big"])]
    sbom: Option<Sbom>,
    /// List packages with a newer version in the security updates as they are now, and how much of each is in
    /// the package; exit 3 if there are any [default: those of the package's own suite]
    #[arg(
        long,
        value_name = "SUITE",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["files", "sbom", "retained", "what_if", "why_big"]
    )]
    security: Option<String>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// One document
    Json,
    /// One page for a browser, complete in itself: a treemap, tables, why each file is there, what could go
    Html,
}

/// A form of bills of materials.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Sbom {
    /// SPDX 2.3
    Spdx,
    /// CycloneDX 1.6
    Cyclonedx,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let form = context.form(args.format, [Format::Text, Format::Json])?;
    let (is_json, is_page) = (form == Format::Json, form == Format::Html);
    if is_page && (args.files || args.retained || args.why_big || !args.what_if.is_empty()) {
        let text = "--format html is one page with all of it: it cannot be used with --files, --retained, --why-big or --what-if";
        return Err(Failure::conflict(text));
    }
    if args.coverage.is_some() && !is_page {
        return Err(Failure::conflict("--coverage is shown on the page of --format html alone"));
    }
    if let Some(suite) = &args.security {
        return security::run(args, suite, context);
    }
    // What comes from standard input is there only while it is opened.
    let prices = RefCell::new(None);
    let artifact = with_file(&args.artifact, context, |path, store, progress| {
        if args.sbom.is_some() {
            return artifact::open(path, store, progress);
        }
        let (artifact, found) = artifact::open_priced(path, store, progress)?;
        prices.replace(Some(found));
        Ok(artifact)
    })?;
    if let Some(form) = args.sbom {
        return print_bill(&artifact, form, context);
    }
    let store = context.reading_store()?;
    let prices = prices.take();
    let is_weighed = is_page || args.retained || args.why_big || !args.what_if.is_empty();
    let graph = is_weighed.then(|| Graph::new(reasons::gather::facts(&artifact, prices.as_ref(), &store)));
    let report = Contents::of(&artifact, prices, args.depth, &store);
    if let Some(graph) = graph {
        if is_page {
            let coverage =
                args.coverage.as_deref().map(|file| coverage::read(file, &artifact)).transpose()?;
            let page = report.page(&graph, coverage.as_ref());
            drop((graph, report));
            return print_page(&page);
        }
        return print_weighed(args, &artifact, &graph, &report, is_json);
    }
    if is_json {
        finish_json(&report.json(args.files));
        return Ok(());
    }
    print(&if args.files { report.file_table() } else { report.text() })
}

/// Prints what would go with this or that.
fn print_weighed(
    args: &Args,
    artifact: &Artifact,
    graph: &Graph,
    report: &Contents<'_>,
    is_json: bool,
) -> Result<(), Failure> {
    let what_if = match &args.what_if[..] {
        [] => None,
        changes => Some(graph.what_if(changes)?),
    };
    let retained = args.retained.then(|| Retained::of(graph, report.papers()));
    let what_if = what_if.as_ref().map(|what_if| WhatIfReport::of(graph, &args.what_if, what_if, artifact));
    let why_big = args.why_big.then(|| WhyBig::of(graph));
    if is_json {
        let mut document = report.json(false);
        let parts = [
            ("retained", retained.map(|retained| retained.json())),
            ("what_if", what_if.map(|what_if| what_if.json())),
            ("why_big", why_big.map(|why_big| why_big.json())),
        ];
        for (name, part) in parts {
            part.into_iter().for_each(|part| document[name] = part);
        }
        finish_json(&document);
        return Ok(());
    }
    let texts = [
        retained.map(|retained| retained.text()),
        what_if.map(|what_if| what_if.text()),
        why_big.map(|why_big| why_big.text()),
    ];
    print(&(report.head() + sharing_note(graph) + &texts.into_iter().flatten().collect::<String>()))
}

/// Prints a bill of materials.
fn print_bill(artifact: &Artifact, form: Sbom, context: &Context) -> Result<(), Failure> {
    let form = match form {
        Sbom::Spdx => Form::Spdx,
        Sbom::Cyclonedx => Form::CycloneDx,
    };
    let text = artifact::bill(artifact, form, &*context.reading_store()?)?;
    print(&String::from_utf8_lossy(&text))
}
