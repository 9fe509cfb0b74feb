//! The uses that a trace found, and the changes of used.list.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::{
    evidence::{Changes, Kinds, UsedList},
    trace::{Driver, Trace},
    tree::TreePath,
};

/// The changes of a used.list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListReport<'a> {
    /// The file.
    pub path: &'a Path,
    /// The differences from the list before; `None` if there was none.
    pub changes: Option<Changes>,
    /// Whether it is as it was, to the byte.
    pub is_same: bool,
}

impl ListReport<'_> {
    /// Returns the report as one line.
    pub fn text(&self) -> String {
        let path = self.path.display();
        match &self.changes {
            _ if self.is_same => format!("{path} is up to date"),
            None => format!("wrote {path}"),
            Some(Changes { added, gone, otherwise }) => {
                let counts = (added.len(), gone.len(), otherwise.len());
                format!("wrote {path}: {} added, {} gone, {} used otherwise", counts.0, counts.1, counts.2)
            }
        }
    }

    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        let none = Changes::default();
        let Changes { added, gone, otherwise } = self.changes.as_ref().unwrap_or(&none);
        let paths = |paths: &[TreePath]| paths.iter().map(|path| format!("/{path}")).collect::<Vec<_>>();
        json!({
            "used_list": self.path.display().to_string(), "is_new": self.changes.is_none(), "is_same": self.is_same,
            "added": paths(added), "gone": paths(gone), "used_otherwise": paths(otherwise),
        })
    }

    /// Returns each path that changes, with how.
    pub fn details(&self) -> Vec<String> {
        let Some(Changes { added, gone, otherwise }) = &self.changes else { return Vec::new() };
        let all = [("added", added), ("gone", gone), ("used otherwise", otherwise)];
        all.iter()
            .flat_map(|(word, paths)| paths.iter().map(move |path| format!("{word}: /{path}")))
            .collect()
    }
}

/// Packages that a summary names; the others are counted.
const PACKAGES_SHOWN: usize = 5;

/// Returns what a trace of an app found, as lines for reading; `list` is the one that is written.
pub fn trace_text(app: &str, traced: &Trace, list: &UsedList) -> String {
    let mut kinds: BTreeMap<Kinds, (usize, &str)> = BTreeMap::new();
    let mut packages: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, line) in list.iter() {
        // Each path is counted once, by its strongest use.
        if let Some((kind, name)) = line.kinds.iter().next() {
            kinds.entry(kind).or_insert((0, name)).0 += 1;
        }
        if !line.package.is_empty() && line.package != "recipe" {
            *packages.entry(&line.package).or_default() += 1;
        }
    }
    let kinds: Vec<String> = kinds.values().map(|(count, name)| format!("{count} {name}")).collect();
    let mut packages: Vec<(&str, usize)> = packages.into_iter().collect();
    packages.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let mut most: Vec<String> =
        packages.iter().take(PACKAGES_SHOWN).map(|(name, count)| format!("{name} {count}")).collect();
    if packages.len() > PACKAGES_SHOWN {
        most.push("…".into());
    }
    let (count, what) = match &traced.driver {
        Driver::Exercise(transcript) => (transcript.steps.len(), "steps"),
        Driver::Browser { requests, .. } => (*requests, "requests"),
    };
    format!(
        "traced {app}: ready after {:.1} s, {count} {what} in {:.1} s\n\
         used: {} paths ({})\n\
         from {} packages: {}\n\
         looked for in vain: {} names\n",
        traced.ready_after.as_secs_f64(),
        traced.driven_for.as_secs_f64(),
        list.len(),
        kinds.join(", "),
        packages.len(),
        most.join(", "),
        traced.absent,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exercise::Transcript;

    #[test]
    fn sums_a_trace_up() {
        let text = "/usr/bin/a executed,opened - a - start\n/usr/bin/b executed - b - start\n\
                    /usr/lib/x stat - b - -\n/app/y opened - recipe - -\n/lib read-link - - - -\n";
        let used = UsedList::parse(text, Path::new("used.list")).expect("a good list");
        let mut traced = Trace {
            used: used.clone(),
            driver: Driver::Exercise(Transcript::default()),
            absent: 7,
            ready_after: Duration::from_millis(1234),
            driven_for: Duration::from_millis(250),
        };
        assert_eq!(
            trace_text("tea", &traced, &used),
            "traced tea: ready after 1.2 s, 0 steps in 0.2 s\n\
             used: 5 paths (2 executed, 1 opened, 1 read-link, 1 stat)\n\
             from 2 packages: b 2, a 1\n\
             looked for in vain: 7 names\n"
        );
        traced.driver = Driver::Browser { requests: 12, ended: None };
        assert!(
            trace_text("tea", &traced, &used)
                .starts_with("traced tea: ready after 1.2 s, 12 requests in 0.2 s\n")
        );
        let changes = used.changes_since(&UsedList::new());
        let outcome =
            |changes, is_same| ListReport { path: Path::new("r/used.list"), changes, is_same }.text();
        assert_eq!(outcome(None, false), "wrote r/used.list");
        assert_eq!(outcome(Some(changes), false), "wrote r/used.list: 5 added, 0 gone, 0 used otherwise");
        assert_eq!(outcome(Some(Changes::default()), true), "r/used.list is up to date");
    }
}
