//! `tinyroot man`: manual pages, made from the help texts and from the reference of recipe keys.

use clap::{CommandFactory as _, ValueHint, error::ErrorKind};

use super::{Cli, Context, Failure, NO_JSON, docs::RECIPE, print};

/// Print a manual page: tinyroot(1), recipe(5), or that of a command
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// recipe, or the name of a command [default: tinyroot itself]
    #[arg(value_hint = ValueHint::Other)]
    page: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.refuse_json("man", NO_JSON)?;
    let mut program = Cli::command();
    // Names the commands as their pages are called: tinyroot-build.
    program.build();
    let page = match args.page.as_deref() {
        None | Some("tinyroot") => rendered(program)? + SEE_ALSO,
        Some("recipe") => recipe(),
        Some(name) => match program.find_subcommand(name) {
            Some(command) => rendered(command.clone().version(env!("CARGO_PKG_VERSION")))?,
            None => {
                let text = format!("there is no manual page for `{name}`: name a command, or `recipe`");
                return Err(Failure::usage(Cli::command().error(ErrorKind::InvalidValue, text)));
            }
        },
    };
    print(&page)
}

const SEE_ALSO: &str = ".SH \"SEE ALSO\"\n.BR recipe (5)\n";

fn rendered(command: clap::Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).expect("memory takes it");
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns recipe(5).
fn recipe() -> String {
    let head = format!(
        ".TH recipe 5 \"\" \"tinyroot {}\"\n.SH NAME\nrecipe.toml \\- recipe of a tinyroot package\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    head + &body(RECIPE) + ".SH \"SEE ALSO\"\n.BR tinyroot (1)\n"
}

/// Turns the Markdown of the reference into man(7): `##` headings, paragraphs, fences, and lists of up to
/// three levels.
fn body(markdown: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let mut in_comment = false;
    let mut in_fence = false;
    for line in markdown.lines() {
        if in_comment || line.starts_with("<!--") {
            in_comment = !line.ends_with("-->");
            continue;
        }
        if line.starts_with("```") {
            in_fence = !in_fence;
            out += if in_fence { ".PP\n.RS 4\n.nf\n" } else { ".fi\n.RE\n" };
            continue;
        }
        let text = line.trim_start();
        let item = text.strip_prefix("- ").filter(|_| !in_fence);
        // The level of a list: items are indented by two columns each.
        let level = item.map(|_| (line.len() - text.len()) / 2 + 1);
        let level =
            level.or_else(|| (text.is_empty() || line.starts_with('#')).then_some(0)).unwrap_or(depth);
        while depth > level.max(1) {
            out += ".RE\n";
            depth -= 1;
        }
        while depth < level {
            if depth > 0 {
                out += ".RS\n";
            }
            depth += 1;
        }
        depth = level;
        match item {
            _ if in_fence => out += &format!("{}\n", plain(line)),
            Some(item) if level == 1 => {
                // **`key`** (required): text
                let (term, text) = item.split_once(": ").unwrap_or((item, ""));
                out += &format!(".TP\n{}\n{}\n", inline(term), inline(text));
            }
            Some(item) => out += &format!(".IP \\(bu 2\n{}\n", inline(item)),
            None if text.is_empty() => out += ".PP\n",
            None => match (line.strip_prefix("## "), line.starts_with("# ")) {
                (Some(title), _) => out += &format!(".SH \"{}\"\n", plain(&title.replace('`', ""))),
                (None, true) => {}
                (None, false) => out += &format!("{}\n", inline(text)),
            },
        }
    }
    out
}

/// Sets code in bold.
fn inline(text: &str) -> String {
    let text = plain(&text.replace("**", "").replace('*', "\u{1}"));
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        match index % 2 {
            0 => out += part,
            _ => out += &format!("\\fB{part}\\fR"),
        }
    }
    out.replace('\u{1}', "*")
}

/// Escapes what roff would read as its own.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipe_5_has_every_table_and_key_of_the_reference() {
        let page = recipe();
        for line in RECIPE.lines() {
            if let Some(table) = line.strip_prefix("## ") {
                let heading = format!(".SH \"{}\"\n", table.replace('`', ""));
                assert!(page.contains(&heading), "{heading}");
            }
            if let Some((keys, _)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("**")) {
                let keys = keys.replace('`', "");
                for key in keys.split(", ") {
                    assert!(page.contains(&format!("\\fB{key}\\fR")), "{key}");
                }
            }
        }
        assert_eq!(page.matches(".RS").count(), page.matches(".RE").count(), "{page}");
        assert!(!page.contains('`') && !page.contains("<!--"), "{page}");
    }

    #[test]
    fn markdown_becomes_man_macros() {
        let markdown = "# x\n\n<!-- a\nb -->\n\nText `a-b` \\.\n\n## `[t]`\n\n- **`k`** (required): One of:\n  - `1`: one\n    more\n- **`l`**: L\n";
        let expected = ".PP\n.PP\nText \\fBa\\-b\\fR \\e.\n.PP\n.SH \"[t]\"\n.PP\n.TP\n\\fBk\\fR (required)\nOne of:\n\
                        .RS\n.IP \\(bu 2\n\\fB1\\fR: one\nmore\n.RE\n.TP\n\\fBl\\fR\nL\n";
        assert_eq!(body(markdown), expected);
    }
}
