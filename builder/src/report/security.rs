//! Which packages of an artifact have a newer version in the security updates.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Value, json};

use crate::{
    formats::{
        deb822::Fault,
        packages::{Source, table::Table},
        version::compare,
    },
    papers::{Extent, Stock},
};

/// The packages of an artifact, compared with the security updates as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    suite: String,
    time_s: i64,
    compared: usize,
    outdated: Vec<Outdated>,
}

/// A package with a newer version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outdated {
    name: String,
    version: String,
    newer: String,
    /// Its source package, by which advisories go.
    source: String,
    extent: Option<Extent>,
}

impl Security {
    /// Compares a stock with the security updates: `suite` is theirs, and `time_s` when they were in this
    /// state.
    ///
    /// # Errors
    /// An index that breaks a rule.
    pub fn of(stock: &Stock, suite: &str, time_s: i64, sources: &[Source<'_>]) -> Result<Self, Fault> {
        let architecture = stock.architecture.as_deref().unwrap_or_default();
        let mut indexes: Vec<(Cow<'_, Table>, &[u8])> = Vec::new();
        for source in sources {
            let table = match source.table {
                Some(table) => Cow::Borrowed(table),
                None => Cow::Owned(Table::make(source.text, architecture)?),
            };
            indexes.push((table, source.text));
        }
        let mut outdated = Vec::new();
        for stocked in &stock.packages {
            let offered = indexes.iter().flat_map(|(table, text)| {
                table.about(&stocked.name, text).map(|stanza| table.package(stanza, text))
            });
            let Some(newest) = offered.max_by(|a, b| compare(a.version, b.version)) else { continue };
            if compare(newest.version, &stocked.version).is_gt() {
                outdated.push(Outdated {
                    name: stocked.name.clone(),
                    version: stocked.version.clone(),
                    newer: newest.version.to_owned(),
                    source: newest.source_name().to_owned(),
                    extent: stocked.extent,
                });
            }
        }
        Ok(Security { suite: suite.to_owned(), time_s, compared: stock.packages.len(), outdated })
    }

    /// Returns how many packages have a newer version, and how many of these are in the artifact, as a clause;
    /// `None` if there are none.
    pub fn exceeded(&self) -> Option<String> {
        let there = self.outdated.iter().filter(|package| package.extent != Some(Extent::Absent)).count();
        let (count, suite) = (self.outdated.len(), &self.suite);
        let have = if count == 1 { "package has" } else { "packages have" };
        (count > 0)
            .then(|| format!("{count} {have} a newer version in {suite}, {there} of them with files here"))
    }

    /// Returns the packages for reading, a line each.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for Outdated { name, version, newer, source, extent } in &self.outdated {
            let extent = extent.map_or("of unknown extent", Extent::word);
            let _ = writeln!(out, "{name} {version} -> {newer} (source {source}): {extent}");
        }
        if self.outdated.is_empty() {
            let _ = writeln!(out, "no newer version of {} packages in {}", self.compared, self.suite);
        }
        let time = jiff::Timestamp::from_second(self.time_s).unwrap_or_default();
        let _ = writeln!(out, "{} is of {time}", self.suite);
        out
    }

    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        let package = |package: &Outdated| {
            json!({
                "name": package.name,
                "version": package.version,
                "newer": package.newer,
                "source": package.source,
                "extent": package.extent.map(Extent::word),
            })
        };
        json!({
            "suite": self.suite,
            "time": jiff::Timestamp::from_second(self.time_s).unwrap_or_default().to_string(),
            "compared": self.compared,
            "outdated": self.outdated.iter().map(package).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::papers::Stocked;

    /// Returns the index of the security updates.
    fn security() -> String {
        let offered = [
            ("libfoo1", "foo (1.2)", "1.2-1+deb12u1"),
            ("libfoo1", "foo", "1.2-1+deb12u2"),
            ("tool", "tool", "2"),
            ("other", "other", "9"),
        ];
        let stanza = |(name, source, version): (&str, &str, &str)| {
            let digest = "0".repeat(64);
            format!(
                "Package: {name}\nSource: {source}\nVersion: {version}\nArchitecture: amd64\n\
                 Filename: pool/{name}.deb\nSize: 1\nSHA256: {digest}\n\n"
            )
        };
        offered.map(stanza).concat()
    }

    fn compared(packages: &[(&str, &str, Extent)]) -> Security {
        let stocked = |(name, version, extent): &(&str, &str, Extent)| Stocked {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            extent: Some(*extent),
        };
        let stock = Stock {
            suite: Some("bookworm".into()),
            architecture: Some("amd64".into()),
            components: vec!["main".into()],
            packages: packages.iter().map(stocked).collect(),
        };
        let text = security();
        let sources = [Source::new("bookworm-security", text.as_bytes())];
        Security::of(&stock, "bookworm-security", 7, &sources).expect("reads")
    }

    #[test]
    fn the_newest_version_counts_and_each_package_says_whether_it_is_there() {
        let found = compared(&[
            ("libfoo1", "1.2-1~rc1", Extent::Partial),
            ("tool", "2~1", Extent::Absent),
            ("unknown", "1", Extent::Whole),
        ]);
        assert_eq!(
            found.text(),
            "libfoo1 1.2-1~rc1 -> 1.2-1+deb12u2 (source foo): partial\ntool 2~1 -> 2 (source tool): absent\n\
             bookworm-security is of 1970-01-01T00:00:07Z\n"
        );
        let said = "2 packages have a newer version in bookworm-security, 1 of them with files here";
        assert_eq!(found.exceeded().as_deref(), Some(said));
        assert_eq!(found.json()["outdated"][1]["extent"], "absent");
    }

    #[test]
    fn equal_and_later_versions_are_no_news() {
        let found = compared(&[("libfoo1", "1.2-1+deb12u2", Extent::Whole), ("tool", "1:1", Extent::Whole)]);
        assert_eq!(found.exceeded(), None);
        assert!(found.text().starts_with("no newer version of 2 packages in bookworm-security\n"));
    }
}
