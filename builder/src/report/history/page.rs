//! The history as one page, complete in itself: a chart of sizes over time, stacked by package, and the table.
//!
//! Nothing runs on it: its policy allows one style sheet, named by its SHA-256, and nothing else.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{HistoryReport, heading, notes, signed};
use crate::{
    formats::recipe_summary::{PackageSize, RecipeSummary},
    history::State,
    progress::size_text,
    report::page::{self, hash},
    shown,
    web::escaped,
};

/// The chart's own part of the style sheet.
const STYLE: &str = include_str!("chart.css");

/// Packages with a colour of their own; the others share one.
const COLOURS: usize = 8;

/// Packages, keys and files that the table names of each commit.
const SHOWN: usize = 12;

const BAR: u64 = 44;
const GAP: u64 = 14;
const LEFT: u64 = 70;
const HEIGHT: u64 = 320;
const TOP: u64 = 12;

pub(super) fn html(report: &HistoryReport<'_>) -> String {
    let style = format!("{}{STYLE}", page::STYLE);
    let title = format!("{} over time", escaped(&shown::name(report.recipe)));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(&style)
    );
    let remarks: String =
        report.remarks().iter().map(|text| format!("<p class=\"faint\">{}</p>", escaped(text))).collect();
    let newest = report.history.states.iter().enumerate();
    let newest = newest.filter_map(|(at, state)| Some((at, state, state.recorded.sizes()?))).next();
    let total = newest.map_or("no size is recorded".to_owned(), |(at, state, sizes)| {
        let size = size_text(sizes.size_bytes);
        // Later commits may have none.
        if at == 0 { size } else { format!("{size} at {}", heading(state).0) }
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><p class=\"total\">{total}</p>{remarks}</header>\n<main>\n{}\
         <h2>By commit</h2>\n<div class=\"table\">{}</div>\n</main>\n</body>\n</html>\n",
        chart(report),
        table(report)
    )
}

/// What a bar is made of: the class of its colour, its name, its bytes.
type Part<'a> = (usize, &'a str, u64);

/// Returns the chart, the oldest on the left; nothing where no size is recorded.
fn chart(report: &HistoryReport<'_>) -> String {
    let states: Vec<(&State, &RecipeSummary)> = report
        .history
        .states
        .iter()
        .rev()
        .filter_map(|state| Some((state, state.recorded.sizes()?)))
        .collect();
    let Some(largest) = states.iter().map(|(_, sizes)| sizes.size_bytes).max().filter(|size| *size > 0)
    else {
        return String::new();
    };
    let named = largest_packages(&states);
    let top = round_up(largest);
    let y = |bytes: u64| TOP + HEIGHT - (u128::from(bytes) * u128::from(HEIGHT) / u128::from(top)) as u64;
    let width = LEFT + states.len() as u64 * (BAR + GAP) + GAP;
    let mut out = String::new();
    for step in 0..=4 {
        let (bytes, at) = (top / 4 * step, y(top / 4 * step));
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{at}\" y2=\"{at}\"/>\
             <text class=\"axis\" x=\"{}\" y=\"{}\">{}</text>",
            LEFT - 6,
            at + 4,
            size_text(bytes)
        );
    }
    for (index, (state, sizes)) in states.iter().enumerate() {
        let x = LEFT + GAP + index as u64 * (BAR + GAP);
        let (id, day) = heading(state);
        let _ = write!(out, "<g><title>{id} {day}: {}</title>", size_text(sizes.size_bytes));
        let mut sum = 0;
        for (colour, name, bytes) in parts(sizes, &named) {
            let (low, high) = (y(sum), y(sum + bytes));
            sum += bytes;
            let name = escaped(&shown::name(name));
            let _ = write!(
                out,
                "<rect class=\"c{colour}\" x=\"{x}\" y=\"{high}\" width=\"{BAR}\" height=\"{}\">\
                 <title>{name}: {} ({id})</title></rect>",
                low - high,
                size_text(bytes)
            );
        }
        let middle = x + BAR / 2;
        let _ = write!(
            out,
            "<text class=\"bar-size\" x=\"{middle}\" y=\"{}\">{}</text>\
             <text class=\"day\" x=\"{middle}\" y=\"{}\">{}</text></g>",
            y(sum).saturating_sub(4),
            size_text(sizes.size_bytes),
            TOP + HEIGHT + 16,
            if day.is_empty() { "now" } else { day.get(2..).unwrap_or(&day) }
        );
    }
    let height = TOP + HEIGHT + 26;
    let legend: String = named
        .iter()
        .map(|name| escaped(&shown::name(name)))
        .chain(["all else".to_owned()])
        .enumerate()
        .map(|(colour, name)| {
            format!(
                "<li><svg class=\"swatch\" viewBox=\"0 0 1 1\" aria-hidden=\"true\">\
                 <rect class=\"c{colour}\" width=\"1\" height=\"1\"/></svg>{name}</li>"
            )
        })
        .collect();
    format!(
        "<h2>Sizes</h2>\n<div class=\"chart\" tabindex=\"0\" role=\"img\" aria-label=\"Sizes by commit, stacked by \
         package; the table below has the figures\"><svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" aria-hidden=\"true\">{out}</svg></div>\n<ul class=\"legend\">{legend}</ul>\n"
    )
}

/// Returns the packages that are the largest at any time, the largest first.
fn largest_packages<'a>(states: &[(&State, &'a RecipeSummary)]) -> Vec<&'a str> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, size) in states.iter().flat_map(|(_, sizes)| &sizes.packages) {
        let known = most.entry(name).or_default();
        *known = (*known).max(share(size));
    }
    let mut names: Vec<(&str, u64)> = most.into_iter().collect();
    names.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), *name));
    names.into_iter().take(COLOURS).map(|(name, _)| name).collect()
}

/// What a package takes of the package's bytes: of a format without prices that is not known.
fn share(size: &PackageSize) -> u64 {
    size.packed_bytes.unwrap_or_default()
}

/// Returns the parts of a bar, from the bottom; together they are the package's size.
fn parts<'a>(sizes: &RecipeSummary, named: &[&'a str]) -> Vec<Part<'a>> {
    let mut left = sizes.size_bytes;
    let mut parts: Vec<Part<'a>> = Vec::new();
    for (colour, name) in named.iter().enumerate() {
        let bytes = sizes.packages.get(*name).map_or(0, share).min(left);
        left -= bytes;
        parts.push((colour, name, bytes));
    }
    parts.push((named.len(), "all else", left));
    parts.retain(|(_, _, bytes)| *bytes > 0);
    parts
}

/// Returns a round number of bytes that is no smaller and can be quartered.
fn round_up(bytes: u64) -> u64 {
    let digit = 10_u64.saturating_pow(bytes.max(1).ilog10().saturating_sub(1)).max(4);
    let step = digit.saturating_mul(4);
    bytes.div_ceil(step).saturating_mul(step)
}

fn table(report: &HistoryReport<'_>) -> String {
    let mut out = "<table><thead><tr><th scope=\"col\">commit</th><th scope=\"col\" class=\"wide\">date</th>\
                   <th scope=\"col\" class=\"number\">size</th><th scope=\"col\" class=\"number\">change</th>\
                   <th scope=\"col\" class=\"number wide\">installed</th><th scope=\"col\">what changed</th></tr></thead><tbody>"
        .to_owned();
    for state in &report.history.states {
        let (id, day) = heading(state);
        let sizes = state.recorded.sizes();
        let size = |bytes: Option<u64>| bytes.map_or("\u{2013}".to_owned(), size_text);
        let (class, change) = match &state.growth {
            Some(growth) if growth.size_bytes.1 > growth.size_bytes.0 => ("more", signed(growth.size_bytes)),
            Some(growth) => ("less", signed(growth.size_bytes)),
            None => ("faint", "\u{2013}".to_owned()),
        };
        let subject = state.commit.as_ref().map_or("", |commit| &commit.subject);
        let lines: String = notes(state, SHOWN)
            .iter()
            .map(|line| format!("<br><span class=\"faint\">{}</span>", escaped(line)))
            .collect();
        let _ = write!(
            out,
            "<tr><th scope=\"row\" class=\"commit\">{id}</th><td class=\"number wide\">{day}</td><td class=\"number\">{}</td>\
             <td class=\"number {class}\">{change}</td><td class=\"number wide\">{}</td><td class=\"path\">{}{lines}</td></tr>",
            size(sizes.map(|sizes| sizes.size_bytes)),
            size(sizes.map(|sizes| sizes.installed_bytes)),
            escaped(&shown::line(subject))
        );
    }
    out + "</tbody></table>"
}
