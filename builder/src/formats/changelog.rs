//! Debian changelogs (deb-changelog(5)): the entries between two versions.
//!
//! ```text
//! tea (1.3-1) bookworm-security; urgency=high
//!
//!   * Hold the cup (CVE-2026-1234).
//!
//!  -- Name <address>  Mon, 02 Nov 2026 10:00:00 +0000
//! ```
//!
//! The newest entry comes first. Trailers, which name people and times, are left out.

use std::cmp::Ordering;

use super::version;

/// Most entries that are returned.
const MAX_ENTRIES: usize = 200;

/// Most bytes of one entry's text.
const MAX_TEXT_BYTES: usize = 16 << 10;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The version that it tells of.
    pub version: String,
    /// Where it was uploaded to, such as `bookworm-security`.
    pub distribution: String,
    /// Such as `high`; empty if it does not say.
    pub urgency: String,
    /// Its text without the indentation; cut where it is longer than any reader wants.
    pub text: String,
    /// The vulnerabilities that it names, sorted.
    pub cves: Vec<String>,
}

/// Returns the entries after one version up to another, the newest first. Empty where the changelog is not
/// that of the newer version, or the newer version is not newer. A rebuild (`+b1`) has no entry of its own.
pub fn between(text: &str, before: &str, after: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut current: Option<Entry> = None;
    for line in text.lines() {
        if let Some(entry) = head(line) {
            found.extend(current.take());
            if version::compare(&entry.version, before) != Ordering::Greater || found.len() == MAX_ENTRIES {
                break;
            }
            current = Some(entry);
        } else if let Some(entry) = &mut current
            && (line.is_empty() || line.starts_with("  "))
            && entry.text.len() + line.len() < MAX_TEXT_BYTES
        {
            entry.text += line.get(2..).unwrap_or_default();
            entry.text.push('\n');
        }
    }
    found.extend(current);
    if found.first().is_none_or(|newest| newest.version != without_rebuild(after)) {
        return Vec::new();
    }
    for entry in &mut found {
        entry.text = entry.text.trim_matches('\n').to_owned();
        entry.cves = cves(&entry.text);
    }
    found
}

/// Returns a version without the number of a rebuild.
fn without_rebuild(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => source,
        _ => version,
    }
}

/// Reads `PACKAGE (VERSION) DISTRIBUTION…; KEY=VALUE, …`.
fn head(line: &str) -> Option<Entry> {
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let (_, rest) = line.split_once(" (")?;
    let (version, rest) = rest.split_once(')')?;
    version::check(version).ok()?;
    let (distribution, keys) = rest.split_once(';')?;
    let urgency = keys.split(',').find_map(|key| key.trim().strip_prefix("urgency=")).unwrap_or_default();
    let word = |text: &str| text.split_whitespace().next().unwrap_or_default().chars().take(64).collect();
    Some(Entry {
        version: version.to_owned(),
        distribution: word(distribution),
        urgency: word(urgency),
        text: String::new(),
        cves: Vec::new(),
    })
}

/// Returns the names of vulnerabilities in a text: `CVE-YEAR-NUMBER`, the number with four digits or more.
fn cves(text: &str) -> Vec<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut found: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("CVE-") {
        let rest = &text[at + 4..];
        let number = rest.get(5..).map_or(0, digits);
        if digits(rest) == 4 && rest.as_bytes().get(4) == Some(&b'-') && (4..=12).contains(&number) {
            found.push(text[at..at + 9 + number].to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Finds entries in anything ([`testing::readers`](crate::testing::READERS)).
#[cfg(feature = "testing")]
pub(crate) fn read_anything(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let newest = text.lines().find_map(head).map(|entry| entry.version).unwrap_or_default();
    let found = between(&text, "0~", &newest);
    assert!(found.len() <= MAX_ENTRIES + 1 && found.iter().all(|entry| entry.text.len() <= MAX_TEXT_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
tea (1.3-2) bookworm-security; urgency=high

  * Hold the cup (CVE-2026-12345, CVE-2026-1234, CVE-26-1).
    And the pot.

  [ Somebody ]
  * Again CVE-2026-1234.

 -- A Maintainer <a@example.org>  Mon, 02 Nov 2026 10:00:00 +0000

tea (1.3-1) unstable; urgency=medium

  * New.

 -- A Maintainer <a@example.org>  Sun, 01 Nov 2026 10:00:00 +0000

tea (1.2-1) unstable; urgency=medium

  * Old.

 -- A Maintainer <a@example.org>  Thu, 01 Oct 2026 10:00:00 +0000
";

    #[test]
    fn entries_between_two_versions_without_their_trailers() {
        let found = between(TEXT, "1.2-1", "1.3-2+b1");
        let heads: Vec<_> =
            found.iter().map(|e| (&e.version[..], &e.distribution[..], &e.urgency[..])).collect();
        assert_eq!(heads, [("1.3-2", "bookworm-security", "high"), ("1.3-1", "unstable", "medium")]);
        let text = "* Hold the cup (CVE-2026-12345, CVE-2026-1234, CVE-26-1).\n  And the pot.\n\n[ Somebody ]\n\
                    * Again CVE-2026-1234.";
        assert_eq!(found[0].text, text);
        assert_eq!(found[0].cves, ["CVE-2026-1234", "CVE-2026-12345"]);
    }

    #[test]
    fn another_changelog_and_a_step_back_have_none() {
        for (before, after) in [("1.2-1", "1.4-1"), ("1.3-2", "1.3-2"), ("1.3-2", "1.2-1"), ("1", "1.3-1")] {
            assert_eq!(between(TEXT, before, after), [], "{before} to {after}");
        }
        assert_eq!(between("", "1", "2"), []);
        assert_eq!(between("<html>\n", "1", "2"), []);
    }
}
