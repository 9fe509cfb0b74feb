//! How much of an app its exercise reached.

use std::fmt::Write as _;

use super::page::Section;
use crate::{
    coverage::{Coverage, LanguageShare, Part, ServiceShare, Share},
    progress::size_text,
    prove::Form,
    shown,
};

/// How many forms and links that nothing requests are named in a text.
const MOST_NAMED: usize = 5;

/// How many languages of people are named in a text.
const MOST_LOCALES: usize = 12;

/// A coverage, for reading.
pub struct CoverageReport<'a>(pub &'a Coverage);

impl CoverageReport<'_> {
    /// Returns the report for reading.
    pub fn text(&self) -> String {
        let coverage = self.0;
        let mut out = format!(
            "\ncoverage of {}: what the exercise reached, and what {} pages that it links to would add\n",
            shown::name(&coverage.app),
            coverage.explored,
        );
        let rows = coverage.languages.iter().map(|row| (row.language.name(), &row.share));
        for (name, share) in rows.chain([("all", &coverage.total)]) {
            let line = format!(
                "  {name:<24} {:>5} of {:>5} files {:>4} % of {:>9} {:>8}",
                share.reached_files,
                share.files,
                percent(share.reached_bytes, share.bytes),
                size_text(share.bytes),
                added(share),
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if coverage.unseen_files > 0 {
            let _ = writeln!(
                out,
                "  {} files of /var do not count: this file system does not show who reads them",
                coverage.unseen_files
            );
        }
        for service in &coverage.services {
            let (name, start, steps) =
                (shown::name(&service.service), service.files_at_start, service.files_in_steps);
            let _ =
                writeln!(out, "  service {name}: first to use {start} files at its start, {steps} in steps");
        }
        self.web(&mut out);
        if !coverage.locales.is_empty() {
            let read = |is_read: bool| -> Vec<&str> {
                let locales = coverage.locales.iter().filter(|row| (row.share.reached_files > 0) == is_read);
                locales.map(|row| &row.locale[..]).collect()
            };
            let list = |list: Vec<&str>| match list.len().saturating_sub(MOST_LOCALES) {
                _ if list.is_empty() => "none".to_owned(),
                0 => list.join(" "),
                more => format!("{} and {more} more", list[..MOST_LOCALES].join(" ")),
            };
            let (read, others) = (list(read(true)), list(read(false)));
            let _ =
                writeln!(out, "  languages: read {}; not read {}", shown::line(&read), shown::line(&others));
        }
        if !coverage.unreached.is_empty() {
            out += "largest parts that the exercise did not reach\n";
        }
        for part in &coverage.unreached {
            let Part { path, language, files, bytes, step } = part;
            let (path, files) = (shown::line(path), files_text(*files));
            let _ = write!(out, "  {:>9} {files}, {}  {path}", size_text(*bytes), language.name());
            if let Some(step) = step {
                let _ = write!(out, "; {} by the step", step.files);
                for line in step.toml.lines() {
                    let _ = write!(out, "\n            {}", shown::line(line));
                }
            }
            out.push('\n');
        }
        out
    }

    fn web(&self, out: &mut String) {
        let Coverage { links, forms, not_explored, .. } = self.0;
        if links.found + forms.len() == 0 {
            return;
        }
        let (found, kinds) = (links.found, links.kinds);
        let _ = writeln!(
            out,
            "  links: {} of {found} requested, {} of {kinds} kinds; {not_explored} pages not explored",
            links.requested, links.kinds_requested,
        );
        named(out, &links.not_requested);
        let sent = forms.iter().filter(|form| form.is_sent).count();
        let others: Vec<String> = forms.iter().filter(|form| !form.is_sent).map(form_text).collect();
        let _ = writeln!(out, "  forms: {sent} of {} sent", forms.len());
        named(out, &others);
    }

    /// Returns the figure that counts, for a page.
    pub fn fact(&self) -> String {
        let Share { files, reached_files, bytes, reached_bytes, .. } = self.0.total;
        let percent = percent(reached_bytes, bytes);
        format!(
            "coverage: the exercise reached {reached_files} of {files} files of the app, {percent} % of their bytes"
        )
    }

    /// Returns the tables of a page.
    pub fn sections(&self) -> Vec<Section> {
        let coverage = self.0;
        let shares = |title: &str, column: &'static str, rows: Vec<(String, &Share)>| Section {
            title: format!("Coverage: {title}"),
            columns: vec![
                (column, false),
                ("files reached", true),
                ("of", true),
                ("bytes reached", true),
                ("of", true),
                ("%", true),
                ("added by links", true),
            ],
            rows: rows
                .into_iter()
                .map(|(name, share)| {
                    let cells = vec![
                        name,
                        share.reached_files.to_string(),
                        share.files.to_string(),
                        size_text(share.reached_bytes),
                        size_text(share.bytes),
                        percent(share.reached_bytes, share.bytes).to_string(),
                        added(share),
                    ];
                    (None, cells)
                })
                .collect(),
        };
        let table = |title: &str, columns: &[(&'static str, bool)], rows: Vec<Vec<String>>| Section {
            title: format!("Coverage: {title}"),
            columns: columns.to_vec(),
            rows: rows.into_iter().map(|cells| (None, cells)).collect(),
        };
        let part = |part: &Part| {
            let Part { path, language, files, bytes, step } = part;
            let step = step.as_ref().map(|step| step.toml.trim_end().to_owned()).unwrap_or_default();
            vec![path.clone(), language.name().to_owned(), files.to_string(), size_text(*bytes), step]
        };
        let service = |row: &ServiceShare| {
            vec![row.service.clone(), row.files_at_start.to_string(), row.files_in_steps.to_string()]
        };
        let forms = coverage.forms.iter().map(|form| {
            let is_sent = if form.is_sent { "yes" } else { "no" };
            vec![form_text(form), is_sent.to_owned()]
        });
        let language = |row: &LanguageShare| row.language.name().to_owned();
        vec![
            table(
                "largest parts that the exercise did not reach",
                &[
                    ("part", false),
                    ("language", false),
                    ("files", true),
                    ("bytes", true),
                    ("a step that would", false),
                ],
                coverage.unreached.iter().map(part).collect(),
            ),
            shares(
                "by language",
                "language",
                coverage.languages.iter().map(|row| (language(row), &row.share)).collect(),
            ),
            shares(
                "by directory",
                "directory",
                coverage.directories.iter().map(|row| (row.path.clone(), &row.share)).collect(),
            ),
            shares(
                "by language of people",
                "locale",
                coverage.locales.iter().map(|row| (row.locale.clone(), &row.share)).collect(),
            ),
            table(
                "services, by the files that each was the first to use",
                &[("service", false), ("at its start", true), ("in steps", true)],
                coverage.services.iter().map(service).collect(),
            ),
            table(
                &format!(
                    "links, {} of {} kinds requested; one of each other kind",
                    coverage.links.kinds_requested, coverage.links.kinds
                ),
                &[("link", false)],
                coverage.links.not_requested.iter().map(|link| vec![link.clone()]).collect(),
            ),
            table("forms", &[("form", false), ("sent", false)], forms.collect()),
        ]
    }
}

/// Names the first of what nothing requests.
fn named(out: &mut String, names: &[String]) {
    for name in names.iter().take(MOST_NAMED) {
        let _ = writeln!(out, "    not {}", shown::line(name));
    }
    if names.len() > MOST_NAMED {
        let _ = writeln!(out, "    and {} more", names.len() - MOST_NAMED);
    }
}

fn form_text(form: &Form) -> String {
    let Form { path, method, fields, page, .. } = form;
    format!("{method} {path} ({}) of {page}", fields.join(", "))
}

fn files_text(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// Returns what explored pages would add, in percent of the bytes.
fn added(share: &Share) -> String {
    if share.explored_bytes == 0 {
        String::new()
    } else {
        format!("+{} %", percent(share.explored_bytes, share.bytes))
    }
}

/// Returns a part in percent, rounded down: all is all.
fn percent(part: u64, all: u64) -> u64 {
    (u128::from(part) * 100).checked_div(u128::from(all)).map_or(100, |percent| percent as u64)
}
