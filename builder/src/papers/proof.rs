//! proof.json: what was done before packing to show that the app still works, of which tree, and by whose
//! key.
//!
//! The paper is itself in the tree, and can be copied into another one. So it names the tree that was
//! exercised and the key that signed it, and [`standing`] holds both against a package.

use std::fmt::Write as _;

use super::{DIRECTORY, read::enclosed};
use crate::{
    digest::Digest,
    formats::app_id::AppId,
    store::Store,
    tree::{Kind, Tree, TreePath},
};

pub(super) const NAME: &str = "proof.json";

/// The longest proof that is read.
const LIMIT_BYTES: u64 = 1 << 20;

/// Files that the format adds to the tree that was exercised.
const MANIFEST: &[u8] = b"sandstorm-manifest";

/// The proof that was made before packing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProofPaper {
    /// Whether the app was taken through its exercise at all.
    pub exercised: bool,
    /// The steps that were answered as the recipe expects, in their order and in its words.
    pub steps: Vec<String>,
    /// Whether the answers were compared with those of the whole root.
    pub compared: bool,
    /// The digest of the tree that was exercised ([`digest_of`]).
    pub tree: Digest,
    /// The app ID of the key that the tree was signed with; papers before version 0.2 do not have it.
    #[serde(default)]
    pub app_id: Option<AppId>,
}

/// Returns whether the paper of a proof lies at a path.
pub fn is_proof(path: &TreePath) -> bool {
    path.as_bytes() == format!("{DIRECTORY}/{NAME}").as_bytes()
}

/// Whether a proof is one of the package that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is of this tree, signed by this key.
    Own,
    /// It is of this tree, which another key signed then.
    OtherKey(AppId),
    /// The tree was changed since.
    OtherTree,
    /// The tree was changed since, and another key signed it then.
    OtherTreeAndKey(AppId),
    /// The paper does not name its key.
    Unknown,
}

impl Standing {
    /// Returns true if the contents of the package are those that were proven.
    pub fn is_of_tree(&self) -> bool {
        matches!(self, Standing::Own | Standing::OtherKey(_))
    }

    /// Returns what is to be said of it; `None` if it is the package's own.
    pub fn text(&self) -> Option<String> {
        match self {
            Standing::Own => None,
            Standing::OtherKey(key) => Some(format!("proven by another key, {key}")),
            Standing::OtherTree => Some("proven for another tree: the package was changed since".to_owned()),
            Standing::OtherTreeAndKey(key) => Some(format!(
                "proven for another tree and by another key, {key}: the package was changed since"
            )),
            Standing::Unknown => {
                Some("proven for a tree or by a key that the paper does not name".to_owned())
            }
        }
    }

    /// Returns its name for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Standing::Own => "own",
            Standing::OtherKey(_) => "other_key",
            Standing::OtherTree => "other_tree",
            Standing::OtherTreeAndKey(_) => "other_tree_and_key",
            Standing::Unknown => "unknown",
        }
    }
}

/// Returns the digest of what a package keeps of a tree: SHA-256 of a line a path with kind, time, size, and
/// digest or link target. The proof itself and the format's manifest are left out.
pub fn digest_of(tree: &Tree) -> Digest {
    let proof = format!("{DIRECTORY}/{NAME}");
    let mut text = String::new();
    for (path, entry) in tree.iter() {
        if path.is_root() || path.as_bytes() == proof.as_bytes() || path.as_bytes() == MANIFEST {
            continue;
        }
        let time_s = entry.mtime_s.max(0);
        let written = match (&entry.kind, entry.kind.content()) {
            (Kind::Directory, _) => writeln!(text, "{path} directory {time_s}"),
            (Kind::Symlink { target }, _) => {
                writeln!(text, "{path} symlink {time_s} {}", target.escape_ascii())
            }
            (_, Some((digest, size_bytes))) => {
                let kind = if entry.mode & 0o111 == 0 { "file" } else { "program" };
                writeln!(text, "{path} {kind} {time_s} {size_bytes} {digest}")
            }
            (_, None) => writeln!(text, "{path} other {time_s}"),
        };
        written.expect("writing to a string");
    }
    Digest::of(text.as_bytes())
}

/// Returns what was proven of a tree; `None` if it does not say.
pub fn proof(tree: &Tree, store: &Store) -> Option<ProofPaper> {
    serde_json::from_slice(&enclosed(tree, store, NAME, LIMIT_BYTES)?).ok()
}

/// Returns whether a proof is of a tree that a key signed.
pub fn standing(paper: &ProofPaper, tree: &Tree, app_id: &AppId) -> Standing {
    let is_of_tree = digest_of(tree) == paper.tree;
    match &paper.app_id {
        None => Standing::Unknown,
        Some(key) => match (is_of_tree, key == app_id) {
            (true, true) => Standing::Own,
            (true, false) => Standing::OtherKey(*key),
            (false, true) => Standing::OtherTree,
            (false, false) => Standing::OtherTreeAndKey(*key),
        },
    }
}
