//! `tinyroot resolve`: what would be installed, and why.

use crate::{
    archive::Selection,
    cli::{Context, Failure, finish_json, output::say, print},
    line::{choose, universe},
    report,
    resolve::{Request, explain},
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
        return print(&report::explanation_text(&explanation));
    }
    if context.global.json {
        finish_json(&report::resolution_json(&resolution));
        return Ok(());
    }
    print(&report::resolution_table(&resolution))?;
    if !context.global.quiet {
        say(&report::resolution_totals(&resolution));
    }
    Ok(())
}
