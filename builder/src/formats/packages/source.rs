//! An index among others, and how it ranks.

use super::table::Table;

/// The text of one index.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The suite that it belongs to, such as `bookworm-security`.
    pub suite: &'a str,
    /// How it ranks, as apt's pins do: 500 for most; below 0, nothing of it is a candidate.
    pub priority: i32,
    /// Its stanzas.
    pub text: &'a [u8],
    /// The text's table for the universe's architecture, where there is one already.
    pub table: Option<&'a Table>,
}

impl<'a> Source<'a> {
    /// Makes a source of the usual rank.
    pub fn new(suite: &'a str, text: &'a [u8]) -> Self {
        Source { suite, priority: Self::PRIORITY, text, table: None }
    }

    /// The rank of a suite that says nothing else; source: apt_preferences(5).
    pub const PRIORITY: i32 = 500;
    /// The rank of a suite that is `NotAutomatic` and no more, such as experimental.
    pub const NOT_AUTOMATIC: i32 = 1;
    /// The rank of a suite that is `ButAutomaticUpgrades` as well, such as backports.
    pub const BUT_AUTOMATIC_UPGRADES: i32 = 100;

    /// Returns the rank of a suite by the two fields of its Release file.
    pub fn rank(not_automatic: bool, but_automatic_upgrades: bool) -> i32 {
        match (not_automatic, but_automatic_upgrades) {
            (false, _) => Self::PRIORITY,
            (true, false) => Self::NOT_AUTOMATIC,
            (true, true) => Self::BUT_AUTOMATIC_UPGRADES,
        }
    }
}
