//! `tinyroot log`: a recipe over the history of its folder.

use std::path::PathBuf;

use super::{Context, Failure, finish_json, output::say, print};
use crate::{history, report::HistoryReport};

/// Show a recipe over its git history: sizes, packages and what changed, by commit
///
/// Sizes are those that `tinyroot build --record` wrote to recipe.summary and that were committed with the
/// recipe, or that are attached to the commit as a git note (refs/notes/tinyroot). Nothing is built or guessed: a
/// commit without its own has none.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot build recipes/cgit --record                write recipes/cgit/recipe.summary, to be committed\n  \
    tinyroot log recipes/cgit                           for reading, the newest first\n  \
    tinyroot log recipes/cgit --format html > log.html  a chart by package, and the table\n  \
    git notes --ref tinyroot add -F recipes/cgit/recipe.summary    attach a size to a commit afterwards")]
pub struct Args {
    /// A recipe folder in a git repository
    recipe: PathBuf,
    /// How many commits are shown
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How the result is written [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For reading
    Text,
    /// One document
    Json,
    /// One page for a browser, complete in itself, with a chart
    Html,
}

/// Runs the command.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let form = context.form(args.format, [Format::Text, Format::Json])?;
    let history = history::history(&args.recipe, args.limit as usize)?;
    if history.states.is_empty() {
        let failure = Failure::new(format!("no commit has {}", args.recipe.display()));
        return Err(failure.hint("name a recipe folder that is, or was, in the repository"));
    }
    let name = args.recipe.to_string_lossy();
    let report = HistoryReport { recipe: &name, history: &history };
    match form {
        Format::Json => finish_json(&report.json()),
        Format::Html => print(&report.html())?,
        Format::Text => {
            print(&report.text())?;
            if !context.global.quiet {
                report.remarks().iter().for_each(|remark| say(remark));
            }
        }
    }
    Ok(())
}
