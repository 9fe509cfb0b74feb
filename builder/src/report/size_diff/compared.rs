//! What is compared: a tree, what is known of its files, and what it says of itself.

use crate::{
    artifact::{Artifact, Format, Papers, Prices},
    formats::{app_id::AppId, prune_list::PruneList, xz::Effort},
    lock::Lock,
    operand::{Operand, Taken},
    papers,
    progress::size_text,
    report::package::Statement,
    shown,
    store::Store,
    tree::Tree,
};

/// One of two things that are compared. All but the tree may be unknown.
pub struct Compared {
    /// What it is.
    pub taken: Taken,
    /// Its name for reading, on one line: of a package title and version.
    pub name: String,
    /// The length of its file; `None` where it is none.
    pub size_bytes: Option<u64>,
    /// Its files.
    pub tree: Tree,
    /// Which Debian package each is of.
    pub papers: Papers,
    /// What each takes in the file; `None` where it is not known.
    pub prices: Option<Prices>,
    /// How the file is compressed: its format, and with how much work.
    pub packing: String,
    /// Its statements about itself, if it is a package.
    pub facts: Option<Facts>,
    /// Why each path is in it or was pruned.
    pub list: Option<PruneList>,
    /// The packages that it was made of, and who required each.
    pub lock: Option<Lock>,
}

impl Compared {
    /// Takes an operand.
    pub fn of(operand: Operand, store: &Store) -> Self {
        let name = match operand.artifact() {
            Some(artifact) => {
                format!("{} {}", shown::name(artifact.title()), shown::name(artifact.version()))
            }
            None => shown::name(operand.title()),
        };
        let (taken, size_bytes) = (operand.taken(), operand.size_bytes());
        let facts = operand.artifact().map(|artifact| Facts::read(artifact, store));
        let packing = match operand.artifact() {
            Some(artifact) => packing(artifact, store),
            None if taken == Taken::Image => OCI.to_owned(),
            None => taken.name().trim_start_matches("a ").to_owned(),
        };
        let tree = operand.root.into_tree();
        Compared {
            taken,
            name,
            size_bytes,
            facts,
            papers: operand.papers,
            prices: operand.prices,
            packing,
            list: papers::prune_list(&tree, store),
            lock: papers::lock(&tree, store),
            tree,
        }
    }
}

/// How OCI images are compressed, in a directory or a tar.
const OCI: &str = "oci";

/// Returns how a package is compressed.
fn packing(artifact: &Artifact, store: &Store) -> String {
    let format = match artifact.format() {
        Format::Oci | Format::OciDirectory => OCI,
        format => format.name(),
    };
    let effort = match papers::effort(&artifact.tree, store) {
        Effort::Fast if artifact.format() == Format::Spk => " --fast",
        _ => "",
    };
    format!("{format}{effort}")
}

/// The statements of a package about itself.
#[derive(serde::Serialize)]
pub struct Facts {
    version: String,
    app_version: u32,
    app_id: AppId,
    proof: String,
    budget_bytes: Option<u64>,
    /// Whether the budget is one of this format.
    #[serde(skip)]
    is_spk: bool,
}

impl Facts {
    /// Reads the statements of a package.
    pub fn read(artifact: &Artifact, store: &Store) -> Self {
        let proof = Statement::read(artifact, store);
        Facts {
            version: artifact.version().to_owned(),
            app_version: artifact.release(),
            app_id: artifact.app_id(),
            proof: proof
                .map_or_else(|| "unknown".to_owned(), |proof| shown::line(&proof.text()).into_owned()),
            budget_bytes: papers::budget_bytes(&artifact.tree, store),
            is_spk: artifact.format() == Format::Spk,
        }
    }

    /// Returns the budget that it has for its file.
    pub(super) fn budget_bytes(&self) -> Option<u64> {
        self.budget_bytes.filter(|_| self.is_spk)
    }

    /// Returns what they are called and how they are shown.
    fn rows(&self) -> [(&'static str, String); 4] {
        [
            ("version", format!("{} ({})", shown::name(&self.version), self.app_version)),
            ("app id", self.app_id.to_string()),
            ("proof", self.proof.clone()),
            ("budget", self.budget_bytes.map_or_else(|| "none".to_owned(), size_text)),
        ]
    }

    /// Returns those that differ: what they are called, how they were and how they are.
    pub(super) fn changed(&self, after: &Facts) -> Vec<(&'static str, String, String)> {
        let rows = self.rows().into_iter().zip(after.rows());
        rows.filter(|(was, is)| was.1 != is.1).map(|(was, is)| (was.0, was.1, is.1)).collect()
    }
}
