//! What limits of growth and the budget say.

use serde_json::{Value, json};

use super::{
    Facts, SizeReport,
    words::{CONTAINER, METADATA, signed, size_texts},
};
use crate::{
    diff::{Bound, Limit, Sizes},
    progress::size_text,
    shown,
};

/// Limits that are exceeded and named in one line.
const NAMED: usize = 4;

/// Returns a limit, a percentage with the bytes that it is of what was there before.
fn limit_text(bound: &Bound, before_bytes: u64) -> String {
    match bound.limit {
        Limit::Bytes(bytes) => size_text(bytes),
        Limit::Percent(_) => format!("{} ({})", bound.limit, size_text(bound.limit.bytes_of(before_bytes))),
    }
}

impl SizeReport {
    /// Returns by how much the second is over its limits and what grew most, as one line; `None` if it is
    /// over none.
    pub fn excess(&self) -> Option<String> {
        let over: Vec<&Bound> = self.bounds.iter().filter(|bound| self.over(bound) > 0).collect();
        let mut clauses: Vec<String> = over.iter().take(NAMED).map(|bound| self.excess_of(bound)).collect();
        if over.len() > NAMED {
            clauses.push(format!("and {} more limits", over.len() - NAMED));
        }
        (!clauses.is_empty()).then(|| clauses.join("; "))
    }

    /// Returns the packages of limits that neither side has.
    pub fn unknown_packages(&self) -> impl Iterator<Item = &str> {
        let known = |name: &str| {
            self.sides.iter().any(|side| {
                side.papers.version(name).is_some()
                    || side.tree.iter().any(|(path, _)| side.papers.heading(path) == name)
            })
        };
        self.bounds.iter().filter_map(|bound| bound.package.as_deref()).filter(move |name| !known(name))
    }

    /// Returns the sizes that a limit bounds: compressed ones where both are known.
    fn bounded(&self, bound: &Bound) -> (u64, u64) {
        let Some(name) = &bound.package else { return self.deciding_total() };
        let mut packages = self.diff.packages.iter();
        let found = packages.find(|p| p.package == *name || p.package_before.as_ref() == Some(name));
        let listed = found.map(|package| &package.sizes);
        listed.or_else(|| self.diff.unlisted.get(name)).map_or((0, 0), Sizes::deciding)
    }

    fn over(&self, bound: &Bound) -> u64 {
        let (before, after) = self.bounded(bound);
        bound.limit.exceeded_by(before, after)
    }

    /// Returns by how much a limit is exceeded, as a clause.
    fn excess_of(&self, bound: &Bound) -> String {
        let (before, after) = self.bounded(bound);
        let (from, to) = size_texts(before, after);
        let (grown, over) = (after.saturating_sub(before), self.over(bound));
        let what = bound.package.as_ref().map_or_else(|| self.subject().to_owned(), |name| shown::name(name));
        let most = match bound.package {
            None => self.most(grown).map_or_else(String::new, |most| format!(": {most}")),
            Some(_) => String::new(),
        };
        let grown = match bound.limit {
            Limit::Percent(_) if before > 0 => {
                format!("{} ({:.2} %)", size_text(grown), grown as f64 * 100.0 / before as f64)
            }
            _ => size_text(grown),
        };
        let (over, limit) = (size_text(over), limit_text(bound, before));
        format!("{what} grew by {grown}, from {from} to {to}, {over} over the limit of {limit}{most}")
    }

    /// Returns what grew most.
    fn most(&self, grown: u64) -> Option<String> {
        let packages = self.diff.packages.iter().map(|p| (&p.package[..], p.sizes.deciding()));
        let besides = self.besides_files().into_iter().zip([METADATA, CONTAINER]);
        let besides = besides.filter_map(|(sizes, what)| Some((what, sizes?)));
        let growth = |(_, (before, after)): &(&str, (u64, u64))| after.saturating_sub(*before);
        let (name, sizes) = packages.chain(besides).max_by_key(growth).filter(|most| growth(most) > 0)?;
        let most = growth(&(name, sizes));
        let share = if most * 2 > grown { "most of it" } else { "above all" };
        Some(format!("{share} {} ({})", shown::name(name), signed(sizes)))
    }

    /// Returns what is to be said of the limits that were asked for and of the budget that B has.
    pub(super) fn bounds_told(&self) -> Vec<String> {
        let over = |over: u64| {
            if over == 0 { "kept".to_owned() } else { format!("exceeded by {}", size_text(over)) }
        };
        let limits = self.bounds.iter().map(|bound| {
            let shown = limit_text(bound, self.bounded(bound).0);
            let of =
                bound.package.as_ref().map_or_else(String::new, |name| format!(" of {}", shown::name(name)));
            format!("limit of growth{of} {shown}: {}", over(self.over(bound)))
        });
        let budget = self.sides[1].facts.as_ref().and_then(Facts::budget_bytes);
        let budget = budget.zip(self.sides[1].size_bytes).filter(|_| self.are_packages());
        let budget = budget.map(|(budget, size)| match budget.checked_sub(size) {
            Some(left) => format!("budget {}: {} left", size_text(budget), size_text(left)),
            None => format!("budget {}: {}", size_text(budget), over(size - budget)),
        });
        limits.chain(budget).collect()
    }

    /// Adds the limits to a document.
    pub(super) fn add_bounds(&self, document: &mut Value) {
        if self.bounds.is_empty() {
            return;
        }
        if let Some(bound) = self.bounds.iter().find(|bound| bound.package.is_none()) {
            document["limit_bytes"] = bound.limit.bytes_of(self.bounded(bound).0).into();
            document["over_limit_bytes"] = self.over(bound).into();
        }
        let limit = |bound: &Bound| {
            let (before, after) = self.bounded(bound);
            json!({
                "package": bound.package,
                "before_bytes": before,
                "after_bytes": after,
                "limit_bytes": bound.limit.bytes_of(before),
                "over_limit_bytes": self.over(bound),
            })
        };
        document["limits"] = self.bounds.iter().map(limit).collect();
    }
}
