//! A recipe's update, as the text of a merge request.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Value, json};

use super::{SizeReport, Summary};
use crate::{
    line::{Moved, News},
    lock::Change,
    progress::size_text,
};

/// Packages that the text lists; JSON has all. A forge's texts are bounded, and the sizes follow.
const SHOWN: usize = 150;

/// What a move of a recipe's lock brings.
pub struct UpdateReport<'a> {
    /// The name of the app.
    pub name: &'a str,
    /// What moves.
    pub moved: &'a Moved,
    /// What the changelogs of the moved packages say, by package.
    pub news: BTreeMap<String, News>,
    /// The package that was made, and where it lies; `None` where nothing was built.
    pub built: Option<(&'a Summary, &'a Path)>,
    /// Its sizes beside those of the package before; `None` where there is none.
    pub sizes: Option<SizeReport>,
    /// The packages that have files in the package; `None` where it is not known.
    pub shipped: Option<BTreeSet<String>>,
}

impl UpdateReport<'_> {
    /// Returns the text of a merge request. Its first line, behind `# `, does for the title.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n", self.title());
        let moved = self.sorted();
        if !moved.is_empty() {
            out += "\n| package | from | to | |\n|---|---|---|---|\n";
        }
        for change in moved.iter().take(SHOWN) {
            let version =
                |version: &Option<String>| version.as_ref().map_or(String::new(), |text| code(text));
            let (old, new) = (version(&change.old), version(&change.new));
            out += &format!("| {} | {old} | {new} | {} |\n", code(&change.name), self.remark(change));
        }
        if moved.len() > SHOWN {
            out += &format!("\nand {} more packages\n", moved.len() - SHOWN);
        }
        let Some((built, _)) = self.built else { return out };
        out += "\n## Size\n\n";
        match &self.sizes {
            Some(sizes) => out += &sizes.markdown(),
            None => out += "Not compared: the package of the lock before is not at hand.\n",
        }
        let size = size_text(built.size_bytes);
        out + &format!(
            "\n## Proof\n\n{}\n\nPackage: {size}, SHA-256 `{}`\n",
            built.proof_text(),
            built.sha256
        )
    }

    /// Returns one JSON document; `written` says whether the lock is in its place.
    pub fn json(&self, written: bool) -> Value {
        let change = |change: &Change| {
            let news = self.news.get(&change.name).cloned().unwrap_or_default();
            json!({
                "name": change.name, "kind": change.kind(), "old": change.old, "new": change.new,
                "security": self.is_security(change), "shipped": self.is_shipped(change), "urgency": news.urgency,
                "vulnerabilities": news.vulnerabilities,
            })
        };
        json!({
            "up_to_date": self.moved.changes.is_empty(),
            "written": written,
            "packages": self.moved.new.packages.len(),
            "changes": self.moved.changes.packages.iter().map(change).collect::<Vec<_>>(),
            "built": self.built.map(|(built, path)| json!({
                "path": path, "sha256": built.sha256, "size_bytes": built.size_bytes, "proof": built.proof_text(),
            })),
            "sizes": self.sizes.as_ref().map(SizeReport::json),
        })
    }

    /// Returns what moves, as a line.
    fn title(&self) -> String {
        let moved = self.moved.changes.packages.len();
        // Each source once: one fix moves all packages that are built of it.
        let mut fixes: BTreeMap<&str, bool> = BTreeMap::new();
        for change in self.moved.changes.packages.iter().filter(|change| self.is_security(change)) {
            *fixes.entry(self.source(change)).or_default() |= self.is_shipped(change) == Some(true);
        }
        let there = self.shipped.as_ref().map(|_| fixes.values().filter(|is_shipped| **is_shipped).count());
        let what = match moved {
            // The request, or where a .deb lies.
            0 => "Renew the lock".to_owned(),
            1 => "Update 1 package".to_owned(),
            count => format!("Update {count} packages"),
        };
        let there = there.filter(|there| *there < fixes.len()).map_or_else(String::new, |there| {
            match (there, fixes.len()) {
                (0, 1) => " (not in the package)".to_owned(),
                (0, _) => " (none of them with files in the package)".to_owned(),
                _ => format!(" ({there} of them with files in the package)"),
            }
        });
        let fixes = match fixes.len() {
            0 => String::new(),
            1 => format!(", 1 security fix{there}"),
            count => format!(", {count} security fixes{there}"),
        };
        format!("{}: {what}{fixes}", self.name)
    }

    /// Returns the source package of a change, by which advisories go: the directory in the pool of an archive.
    fn source<'a>(&'a self, change: &'a Change) -> &'a str {
        let locked = self.moved.new.get(&change.name).or_else(|| self.moved.old.get(&change.name));
        let path = locked.map_or("", |package| &package.path);
        match path.split('/').collect::<Vec<_>>()[..] {
            ["pool", .., _, source, _] => source,
            _ => &change.name,
        }
    }

    /// Returns whether the package has files of it.
    fn is_shipped(&self, change: &Change) -> Option<bool> {
        self.shipped.as_ref().map(|shipped| shipped.contains(&change.name))
    }

    /// Returns what moves, fixes first.
    fn sorted(&self) -> Vec<&Change> {
        let mut moved: Vec<&Change> = self.moved.changes.packages.iter().collect();
        moved.sort_by_key(|change| !self.is_security(change));
        moved
    }

    /// Returns whether a change brings a fix: the version is one of the security updates, or its changelog
    /// names a vulnerability.
    fn is_security(&self, change: &Change) -> bool {
        let named = self.news.get(&change.name).is_some_and(|news| !news.vulnerabilities.is_empty());
        change.security || named
    }

    fn remark(&self, change: &Change) -> String {
        let mut parts = Vec::new();
        if change.kind() != "upgraded" {
            parts.push(change.kind().to_owned());
        }
        if self.is_security(change) {
            parts.push("**security**".to_owned());
        }
        if let Some(news) = self.news.get(&change.name) {
            parts.extend(
                news.urgency
                    .filter(|word| *word != "low" && *word != "medium")
                    .map(|word| format!("urgency {word}")),
            );
            parts.extend((!news.vulnerabilities.is_empty()).then(|| news.vulnerabilities.join(" ")));
        }
        parts.join(", ")
    }
}

/// Returns a name or a version as code in a table: `~` and `_` mean something to Markdown. Neither has a
/// backtick or a bar in it, but a lock is a file as any other.
fn code(text: &str) -> String {
    let harmless: String = text
        .chars()
        .map(|letter| if letter.is_ascii_graphic() && !"`|<>".contains(letter) { letter } else { '?' })
        .collect();
    format!("`{harmless}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{Changes, made as lock};

    fn moved(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Moved {
        let (old, new) = (lock(old), lock(new));
        let changes = Changes::between(&old, &new);
        Moved { old, new, changes, beyond_apt: false }
    }

    fn report<'a>(moved: &'a Moved, news: &[(&str, Option<&'static str>, &[&str])]) -> UpdateReport<'a> {
        let news = news.iter().map(|(name, urgency, found)| {
            let vulnerabilities = found.iter().map(|name| (*name).to_owned()).collect();
            ((*name).to_owned(), News { urgency: *urgency, vulnerabilities })
        });
        UpdateReport { name: "tea", moved, news: news.collect(), built: None, sizes: None, shipped: None }
    }

    #[test]
    fn fixes_come_first_and_are_marked() {
        let moved = moved(
            &[("a", "1", "s"), ("b", "1~rc1", "s"), ("c", "2", "s"), ("d", "1", "s")],
            &[("b", "1", "s"), ("c", "1", "s"), ("d", "2", "s-security"), ("e", "3", "s")],
        );
        let news: &[(&str, Option<&'static str>, &[&str])] =
            &[("b", Some("high"), &["CVE-2024-1234", "CVE-2024-1235"]), ("d", Some("medium"), &[])];
        let report = report(&moved, news);
        assert_eq!(
            report.markdown(),
            "# tea: Update 5 packages, 2 security fixes\n\n\
             | package | from | to | |\n|---|---|---|---|\n\
             | `b` | `1~rc1` | `1` | **security**, urgency high, CVE-2024-1234 CVE-2024-1235 |\n\
             | `d` | `1` | `2` | **security** |\n\
             | `a` | `1` |  | removed |\n\
             | `c` | `2` | `1` | downgraded |\n\
             | `e` |  | `3` | added |\n"
        );
        let json = report.json(false);
        assert_eq!(json["changes"][1]["vulnerabilities"][0], "CVE-2024-1234");
        assert_eq!((&json["changes"][1]["security"], &json["written"]), (&true.into(), &false.into()));
    }

    #[test]
    fn fixes_are_counted_by_source_and_those_without_a_file_are_told() {
        let names = [("git", "1", "s"), ("git-man", "1", "s"), ("zlib1g", "1", "s")];
        let mut moved = moved(&names, &names.map(|(name, _, _)| (name, "2", "s-security")));
        for (package, source) in moved.new.packages.iter_mut().zip(["git", "git", "zlib"]) {
            package.path = format!("pool/main/x/{source}/{}_2_all.deb", package.name);
        }
        let title = |shipped: Option<&[&str]>| {
            let mut report = report(&moved, &[]);
            report.shipped = shipped.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            report.title()
        };
        let update = "tea: Update 3 packages, 2 security fixes";
        assert_eq!(title(None), update);
        assert_eq!(title(Some(&["git-man", "zlib1g"])), update);
        assert_eq!(title(Some(&["zlib1g"])), format!("{update} (1 of them with files in the package)"));
        assert_eq!(title(Some(&["tea"])), format!("{update} (none of them with files in the package)"));
    }

    #[test]
    fn a_lock_that_only_renews_itself_has_no_table() {
        let mut moved = moved(&[("a", "1", "s")], &[("a", "1", "s")]);
        moved.changes.other = true;
        assert_eq!(report(&moved, &[]).markdown(), "# tea: Renew the lock\n");
        assert_eq!(code("1~2`|<b>\n"), "`1~2???b??`");
    }

    #[test]
    fn suspects_are_named_by_the_error_else_by_what_is_shipped() {
        let moved = moved(
            &[("libtea1", "1", "s"), ("water", "1", "s")],
            &[("libtea1", "2", "s"), ("water", "2", "s")],
        );
        let shipped = ["water".to_owned()].into();
        let none = std::collections::BTreeSet::new();
        assert_eq!(moved.suspects("cannot unpack libtea1 2", &shipped), ["libtea1"]);
        assert_eq!(moved.suspects("/usr/lib/x of libtea1, asked for", &none), ["libtea1"]);
        assert_eq!(moved.suspects("2 steps differ", &shipped), ["water"]);
        assert_eq!(moved.suspects("2 steps differ on libtea10", &none), ["libtea1", "water"]);
    }
}
