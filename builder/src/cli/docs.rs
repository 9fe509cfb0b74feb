//! `tinyroot docs`: the documentation that the program has in it.

use clap::ValueEnum;

use super::{Context, Failure, NO_JSON, print};

/// The reference of recipe keys, which is generated from their doc comments.
pub(super) const RECIPE: &str = include_str!("../../../docs/recipe.md");

/// The same for editors, generated from the keys that the parser accepts.
const RECIPE_SCHEMA: &str = include_str!("../../../docs/schemas/recipe.schema.json");

/// Print the reference of recipe.toml, or its JSON Schema for editors
///
/// With the schema an editor completes and checks keys as they are typed: language servers of TOML, such as
/// taplo, take it from a first line `#:schema PATH` of recipe.toml. The same text is the manual page recipe(5):
/// `tinyroot man recipe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    tinyroot docs recipe | less\n  \
    tinyroot docs recipe --format schema > recipe.schema.json")]
pub(super) struct Args {
    /// What is documented
    #[arg(value_enum)]
    subject: Subject,
    /// The form of the text
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Form::Markdown)]
    format: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The keys of recipe.toml
    Recipe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Markdown
    Markdown,
    /// A JSON Schema (draft 7)
    Schema,
}

/// Runs the command.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.refuse_json("docs", NO_JSON)?;
    match (args.subject, args.format) {
        (Subject::Recipe, Form::Markdown) => print(&without_comment(RECIPE)),
        (Subject::Recipe, Form::Schema) => print(RECIPE_SCHEMA),
    }
}

/// Leaves out what is said to those who edit the reference.
fn without_comment(markdown: &str) -> String {
    match (markdown.split_once("<!--"), markdown.split_once("-->\n\n")) {
        (Some((head, _)), Some((_, rest))) => format!("{head}{rest}"),
        _ => markdown.to_owned(),
    }
}
