//! `tinyroot inspect`: a package's contents and their sizes.

mod security;

use std::{cell::RefCell, path::PathBuf};

use crate::{
    artifact::{self, Artifact, Papers},
    cli::{Context, Failure, finish_json, print, verify::with_file},
    papers::bill::Form,
    reasons::{self, Graph},
    report::{Contents, Retained},
};

/// Show a package's contents by Debian package and directory, with their sizes, compressed and as they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot inspect wiki.spk                         what packages and directories take\n  \
    tinyroot inspect wiki.spk --retained              what would go with each package, rule and step\n  \
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
    /// Print a bill of materials with every package and every file's digests, as JSON
    #[arg(long, value_name = "FORM", value_enum, conflicts_with_all = ["files", "json", "retained"])]
    sbom: Option<Sbom>,
    /// List packages with a newer version in the security updates as they are now, and how much of each is in
    /// the package; exit 3 if there are any [default: those of the package's own suite]
    #[arg(
        long,
        value_name = "SUITE",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["files", "sbom", "retained"]
    )]
    security: Option<String>,
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
    if let Some(suite) = &args.security {
        return security::run(args, suite, context);
    }
    // What comes from standard input is there only while it is opened.
    let prices = RefCell::new(None);
    let artifact = with_file(&args.artifact, context, |path, store, progress| {
        let artifact = artifact::open(path, store, progress)?;
        if args.sbom.is_none() {
            prices.replace(artifact::prices(&artifact, store)?);
        }
        Ok(artifact)
    })?;
    if let Some(form) = args.sbom {
        return print_bill(&artifact, form, context);
    }
    let store = context.reading_store()?;
    let prices = prices.take();
    let weighed = args.retained.then(|| {
        let graph = Graph::new(reasons::gather::facts(&artifact, prices.as_ref(), &store));
        (graph, Papers::read(&artifact.tree, &store))
    });
    let retained = weighed.as_ref().map(|(graph, papers)| Retained::of(graph, papers));
    let report = Contents::of(&artifact, prices, args.depth, &store);
    if context.global.json {
        let mut document = report.json(args.files);
        if let Some(retained) = retained {
            document["retained"] = retained.json();
        }
        finish_json(&document);
        return Ok(());
    }
    if let Some(retained) = retained {
        return print(&(report.head() + &retained.text()));
    }
    print(&if args.files { report.file_table() } else { report.text() })
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
