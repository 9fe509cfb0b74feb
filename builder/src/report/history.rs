//! A recipe over its history: what changed by commit, and the sizes that were recorded.

mod page;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    history::{Changed, Growth, History, Recorded, Share, State},
    progress::size_text,
    shown,
};

/// Packages, keys and files that the text form names of each commit; JSON has all.
const SHOWN: usize = 3;

/// A recipe's history.
pub struct HistoryReport<'a> {
    /// The recipe, as the reader named it.
    pub recipe: &'a str,
    /// Its history.
    pub history: &'a History,
}

impl HistoryReport<'_> {
    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        json!({
            "recipe": self.recipe,
            "is_shallow": self.history.is_shallow,
            "is_cut": self.history.is_cut,
            "states": self.history.states.iter().map(state_json).collect::<Vec<_>>(),
        })
    }

    /// Returns the history for reading, the newest first.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{:<12}  {:<10}  {:>9}  {:>9}  {:>9}  {}\n",
            "commit", "date", "size", "change", "installed", "subject"
        );
        for state in &self.history.states {
            let (id, day) = heading(state);
            let sizes = state.recorded.sizes();
            let size = |bytes: Option<u64>| bytes.map_or("-".to_owned(), size_text);
            let change = state.growth.as_ref().map_or("-".to_owned(), |growth| signed(growth.size_bytes));
            let (packed, installed) =
                (size(sizes.map(|sizes| sizes.size_bytes)), size(sizes.map(|sizes| sizes.installed_bytes)));
            let subject = state.commit.as_ref().map(|commit| shown::line(&commit.subject).into_owned());
            let subject = subject.map(|text| format!("  {text}")).unwrap_or_default();
            let _ = writeln!(out, "{id:<12}  {day:<10}  {packed:>9}  {change:>9}  {installed:>9}{subject}");
            for line in notes(state, SHOWN) {
                let _ = writeln!(out, "{:<26}{line}", "");
            }
        }
        out
    }

    /// Returns the history as a page for a browser.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// Returns what a reader should know beside the table.
    pub fn remarks(&self) -> Vec<String> {
        let History { states, is_shallow, is_cut } = self.history;
        let mut out = Vec::new();
        let unknown = states.iter().filter(|state| state.recorded.sizes().is_none()).count();
        if unknown > 0 {
            let are = if unknown == 1 { "commit has" } else { "commits have" };
            out.push(format!(
                "{unknown} {are} no size: `tinyroot build {} --record` writes recipe.summary, to be committed beside the lock",
                self.recipe
            ));
        }
        if *is_shallow {
            out.push("older commits are missing in this clone: `git fetch --unshallow`".to_owned());
        } else if *is_cut {
            out.push("older commits are left out: --limit shows more".to_owned());
        }
        out
    }
}

/// Returns the short name of a state, and its day.
fn heading(state: &State) -> (String, String) {
    match &state.commit {
        Some(commit) => {
            let day = commit.time_s.map_or_else(|| "unknown".to_owned(), day);
            (commit.id.get(..12).unwrap_or(&commit.id).to_owned(), day)
        }
        None => ("uncommitted".to_owned(), String::new()),
    }
}

/// Returns the day of a time in UTC.
fn day(time_s: i64) -> String {
    let time = jiff::Timestamp::from_second(time_s);
    time.map_or_else(|_| "unknown".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}

fn signed((before, now): (u64, u64)) -> String {
    let sign = match now.cmp(&before) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => return "0".to_owned(),
        std::cmp::Ordering::Greater => "+",
    };
    format!("{sign}{}", size_text(now.abs_diff(before)))
}

/// Returns what there is to say of a state, a line each.
fn notes(state: &State, most: usize) -> Vec<String> {
    let Changed { is_first, is_gone, packages, keys, evidence_added, evidence_removed, files, fault } =
        &state.changed;
    let mut out: Vec<String> = fault.iter().map(|fault| shown::line(fault).into_owned()).collect();
    match (fault, is_gone, is_first) {
        (None, true, _) => out.push("the recipe is removed".to_owned()),
        (None, _, true) => out.push("the recipe is added".to_owned()),
        _ => {}
    }
    if !packages.packages.is_empty() {
        let named =
            packages.packages.iter().map(|change| shown::line(change.to_string().trim()).into_owned());
        out.push(format!("packages: {}", list(named, most)));
    }
    if !keys.is_empty() {
        out.push(format!("recipe: {}", list(keys.iter().map(|key| shown::name(key)), most)));
    }
    if evidence_added + evidence_removed > 0 {
        out.push(format!("evidence: +{evidence_added} -{evidence_removed} paths"));
    }
    let own = files.iter().filter(|name| name.starts_with("files/")).map(|name| shown::name(name));
    let own = list(own, most);
    if !own.is_empty() {
        out.push(format!("files: {own}"));
    }
    if let Some(Growth { packages, .. }) = &state.growth
        && !packages.is_empty()
    {
        let most = packages.iter().take(most);
        let name = |share: &Share| match &share.name_before {
            Some(before) => format!("{} → {}", shown::name(before), shown::name(&share.name)),
            None => shown::name(&share.name),
        };
        let shares = most.map(|share| format!("{} {}", name(share), signed(share.size_bytes)));
        out.push(format!("most of it: {}", shares.collect::<Vec<_>>().join(", ")));
    }
    match &state.recorded {
        Recorded::Stale => out.push("recipe.summary is of another state of the recipe".to_owned()),
        Recorded::Damaged(why) => out.push(format!("the recorded size cannot be read: {why}")),
        Recorded::Nothing | Recorded::Sizes(_) => {}
    }
    out
}

/// Joins the first of some words and counts the others.
fn list(words: impl Iterator<Item = String>, most: usize) -> String {
    let words: Vec<String> = words.collect();
    let more = words.len().saturating_sub(most);
    let first = words[..words.len() - more].join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

fn state_json(state: &State) -> Value {
    let Changed { is_first, is_gone, packages, keys, evidence_added, evidence_removed, files, fault } =
        &state.changed;
    let package = |change: &crate::lock::Change| {
        json!({
            "name": change.name,
            "name_before": change.name_before,
            "version_before": change.old,
            "version": change.new,
            "is_security": change.security,
        })
    };
    let growth = state.growth.as_ref().map(|growth| {
        let package = |share: &Share| {
            json!({
                "name": share.name,
                "name_before": share.name_before,
                "before_bytes": share.size_bytes.0,
                "after_bytes": share.size_bytes.1,
            })
        };
        json!({
            "before_bytes": growth.size_bytes.0,
            "after_bytes": growth.size_bytes.1,
            "packages": growth.packages.iter().map(package).collect::<Vec<_>>(),
        })
    });
    let standing = match &state.recorded {
        Recorded::Sizes(_) => "own",
        Recorded::Stale => "stale",
        Recorded::Nothing => "none",
        Recorded::Damaged(_) => "damaged",
    };
    json!({
        "commit": state.commit.as_ref().map(|commit| &commit.id),
        "time_s": state.commit.as_ref().and_then(|commit| commit.time_s),
        "subject": state.commit.as_ref().map(|commit| &commit.subject),
        "recorded": standing,
        "sizes": state.recorded.sizes(),
        "packages_locked": state.packages_locked,
        "growth": growth,
        "is_first": is_first,
        "is_gone": is_gone,
        "packages": packages.packages.iter().map(package).collect::<Vec<_>>(),
        "keys": keys,
        "evidence_added": evidence_added,
        "evidence_removed": evidence_removed,
        "files": files,
        "fault": fault,
    })
}
