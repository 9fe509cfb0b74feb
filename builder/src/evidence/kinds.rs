//! How a path was used: kinds of evidence, uses, and accesses to what was pruned.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::SystemTime};

use crate::layout::ImagePath;

/// How a path was used: a set of kinds of evidence.
///
/// It prints as the kinds' names, strongest first, joined by commas. A file that was opened is
/// not also *stat*, and a directory that was listed or passed is not either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kinds(u16);

impl Kinds {
    /// A program, script or ELF interpreter that the kernel was asked to run.
    pub const EXECUTED: Kinds = Kinds(1);
    /// A file opened; reading and mapping cannot be distinguished.
    pub const OPENED: Kinds = Kinds(1 << 1);
    /// A file changed, or opened to be changed.
    pub const WRITTEN: Kinds = Kinds(1 << 2);
    /// A symbolic link whose target was read.
    pub const READ_LINK: Kinds = Kinds(1 << 3);
    /// A directory whose entries were listed.
    pub const LISTED: Kinds = Kinds(1 << 4);
    /// A directory in which a name was looked up.
    pub const TRAVERSED: Kinds = Kinds(1 << 5);
    /// Found by stat, access or the like, and not used otherwise.
    pub const STAT: Kinds = Kinds(1 << 6);
    /// Looked for, and not there.
    pub const ABSENT: Kinds = Kinds(1 << 7);

    const NAMES: [(Kinds, &'static str); 8] = [
        (Kinds::EXECUTED, "executed"),
        (Kinds::OPENED, "opened"),
        (Kinds::WRITTEN, "written"),
        (Kinds::READ_LINK, "read-link"),
        (Kinds::LISTED, "listed"),
        (Kinds::TRAVERSED, "traversed"),
        (Kinds::STAT, "stat"),
        (Kinds::ABSENT, "absent"),
    ];

    /// Returns the set without kinds.
    pub fn none() -> Self {
        Kinds(0)
    }

    /// Returns true if every kind of `other` is in this set.
    pub fn contains(self, other: Kinds) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns true if any kind of `other` is in this set.
    pub fn intersects(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the kinds of either set.
    pub fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Returns the kinds of this set that are not in the other.
    pub fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    /// Returns true for the set without kinds.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the set as a number of eight bits, the strongest kind lowest.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Returns the set of such a number; bits beyond the eighth are left out.
    pub fn from_bits(bits: u16) -> Self {
        Kinds(bits & 0xff)
    }

    /// Returns each kind in it as a set of one with its name, strongest first.
    pub fn iter(self) -> impl Iterator<Item = (Kinds, &'static str)> {
        Kinds::NAMES.into_iter().filter(move |(kind, _)| self.contains(*kind))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, name)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// A word that names no kind of evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of evidence")]
pub struct UnknownKind(pub String);

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        text.split(',').try_fold(Kinds::none(), |all, word| {
            let known = Kinds::NAMES.iter().find(|(_, name)| *name == word);
            known.map(|(kind, _)| all.union(*kind)).ok_or_else(|| UnknownKind(word.to_owned()))
        })
    }
}

/// One path's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The path; for absent ones, as it was asked for.
    pub path: ImagePath,
    /// How it was used; never empty.
    pub kinds: Kinds,
    /// The program that used it first in the strongest of those ways.
    pub program: Arc<str>,
    /// The program that the first process started to do that work, directly or not; empty if unknown.
    pub service: Arc<str>,
    /// The exercise step that was current then.
    pub step: Arc<str>,
}

/// An access to a pruned path, a listing of a directory without its pruned names, or a refused change, as a
/// view records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunedAccess {
    /// The path.
    pub path: ImagePath,
    /// The Debian package that it came from, if known.
    pub package: Option<String>,
    /// The program that asked.
    pub program: Arc<str>,
    /// The exercise step that was current.
    pub step: Arc<str>,
    /// When.
    pub time: SystemTime,
    /// How.
    pub how: Missed,
}

/// How a path was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It was looked up and is not there.
    Absent,
    /// The directory was listed; so many names in it were pruned.
    Listed(usize),
    /// It is there, was to be changed, and may not be.
    Refused,
}

/// What was pruned: each path that the full root has and the image does not, with the
/// Debian package that owns it, if any.
pub type Pruned = BTreeMap<ImagePath, Option<String>>;

/// A page, as the kernel reads files that are mapped: the unit in which a view records what is read of a
/// file.
pub const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_print_and_read() {
        let kinds = Kinds::OPENED.union(Kinds::EXECUTED);
        assert_eq!(kinds.to_string(), "executed,opened");
        assert_eq!("opened,executed".parse(), Ok(kinds));
        assert_eq!("opened,mapped".parse::<Kinds>(), Err(UnknownKind("mapped".into())));
        assert_eq!("".parse::<Kinds>(), Err(UnknownKind("".into())));
        assert_eq!(kinds.without(Kinds::OPENED), Kinds::EXECUTED);
    }
}
