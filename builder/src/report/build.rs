//! The report at the end of a build.

use std::{cmp::Reverse, collections::BTreeSet, fmt::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    artifact::{Papers, sizes_by},
    digest::Digest,
    line::Built,
    progress::size_text,
    recipe::NPM_PREFIX,
};

/// Packages that the text names; JSON has all.
const SHOWN: usize = 6;

/// The figures of a build; kept with it, so that a build that has nothing to do can print them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The SHA-256 of the package.
    pub sha256: Digest,
    /// Its length.
    pub size_bytes: u64,
    app_id: String,
    package_id: String,
    unpacked_bytes: u64,
    packages_locked: usize,
    packages_kept: usize,
    npm_locked: usize,
    npm_kept: usize,
    paths_staged: usize,
    paths_kept: usize,
    /// Files that are kept since code imports them.
    #[serde(default)]
    imports: Imported,
    proof: Option<Proven>,
    /// Files left out of packages that are kept whole, by reason.
    left_out: Vec<LeftOut>,
    companions: Companions,
    /// Further reductions that are possible; the largest saving first.
    proposals: Vec<Proposed>,
    /// The largest first.
    contents: Vec<Share>,
    blocks: Vec<Block>,
    stages: Vec<Stage>,
    /// Warnings of the proof.
    #[serde(default)]
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Imported {
    files: usize,
    size_bytes: u64,
    largest: Option<(String, u64)>,
    /// Imports beyond the limit of the recipe: how many files, their sizes, the largest.
    #[serde(default)]
    left_out: Option<(usize, u64, String)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Proven {
    steps: usize,
    misses: usize,
}

/// Files left out of packages that are kept whole, before compression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LeftOut {
    reason: String,
    size_bytes: u64,
}

/// A line of `[reduce]` that the recipe could have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Proposed {
    line: String,
    files: String,
    why: String,
    takes_bytes: u64,
    saves_bytes: u64,
}

/// Libraries in the app's language that stay for its sake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Companions {
    packages: usize,
    code_bytes: u64,
    budget_bytes: u64,
}

/// The size of a package, before compression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Share {
    package: String,
    size_bytes: u64,
    files: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    kind: String,
    size_bytes: u64,
    packed_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stage {
    stage: String,
    seconds: f64,
}

impl Imported {
    /// Returns their text; `None` where there is nothing.
    fn text(&self) -> Option<String> {
        let stay = self.largest.as_ref().map(|(largest, bytes)| {
            let (all, bytes) = (size_text(self.size_bytes), size_text(*bytes));
            format!(
                "{} files, {all} before compression with their byte code, stay since code imports them ({largest} {bytes})",
                self.files
            )
        });
        let left_out = self.left_out.as_ref().map(|(files, bytes, largest)| {
            format!("{files} files, {}, left out for the bound ({largest} …)", size_text(*bytes))
        });
        let parts: Vec<String> = stay.into_iter().chain(left_out).collect();
        (!parts.is_empty()).then(|| format!("{}; [prune] imports bounds it", parts.join("; ")))
    }
}

impl Summary {
    /// Sums a build up.
    pub fn of(built: &Built) -> Self {
        let (packed, overlaid) = (&built.packed, &built.overlaid);
        let tree = &packed.tree;
        let image = built.finished.image();
        let papers = Papers::of_kept(tree, image.plan().kept_packages());
        let sizes = sizes_by(tree, |path| papers.heading(path));
        let mut contents: Vec<Share> = sizes
            .into_iter()
            .map(|(package, (size_bytes, files))| Share { package, size_bytes, files })
            .collect();
        contents.sort_by_key(|share| Reverse(share.size_bytes));
        let block = |block: &crate::artifact::BlockSize| Block {
            kind: block.kind.to_owned(),
            size_bytes: block.plain_bytes,
            packed_bytes: block.packed_bytes,
        };
        let stage = |(stage, took): &(&str, std::time::Duration)| Stage {
            stage: (*stage).to_owned(),
            seconds: (took.as_secs_f64() * 1e3).round() / 1e3,
        };
        let proven = |proof: &crate::prove::Proof| Proven {
            steps: proof.transcript.steps.len(),
            misses: proof.misses.len(),
        };
        let imports = &image.plan().imports;
        let proposed = |proposal: &crate::reduce::Proposal| Proposed {
            line: proposal.change.line(&overlaid.sources.recipe),
            files: proposal.files.clone(),
            why: proposal.why.clone(),
            takes_bytes: proposal.takes_bytes,
            saves_bytes: proposal.saves_bytes,
        };
        let kept = image.plan().packages_kept(overlaid.tree());
        let (npm, debian): (Vec<String>, Vec<String>) =
            kept.into_iter().partition(|package| package.starts_with(NPM_PREFIX));
        Summary {
            sha256: packed.digest,
            size_bytes: packed.size_bytes,
            app_id: packed.app_id.to_string(),
            package_id: packed.package_id.to_string(),
            unpacked_bytes: tree.size_bytes(),
            packages_locked: overlaid.sources.lock.packages.len(),
            packages_kept: debian.len(),
            npm_locked: overlaid
                .sources
                .recipe
                .npm_packages()
                .map(|package| &package.locked.name)
                .collect::<BTreeSet<_>>()
                .len(),
            npm_kept: npm.len(),
            paths_staged: overlaid.tree().iter().count(),
            paths_kept: image.pruned().tree.iter().count(),
            imports: Imported {
                files: imports.files,
                size_bytes: imports.bytes,
                largest: imports.largest.as_ref().map(|(path, bytes)| (format!("/{path}"), *bytes)),
                left_out: imports.left_out.iter().max_by_key(|(_, bytes)| **bytes).map(|(largest, _)| {
                    (imports.left_out.len(), imports.left_out.values().sum(), format!("/{largest}"))
                }),
            },
            proof: built.finished.proof().map(proven),
            left_out: left_out(built),
            proposals: built.proposals.iter().map(proposed).collect(),
            companions: Companions {
                packages: image.plan().companions.0,
                code_bytes: image.plan().companions.1,
                budget_bytes: overlaid.sources.recipe.prune.companion_bytes,
            },
            contents,
            blocks: packed.blocks.iter().map(block).collect(),
            stages: overlaid.sources.times.0.iter().map(stage).collect(),
            warnings: built.finished.proof().into_iter().flat_map(crate::prove::Proof::to_look_at).collect(),
        }
    }

    /// Returns the form that is kept.
    pub fn to_note(&self) -> String {
        serde_json::to_string(self).expect("figures are printable")
    }

    /// Reads the kept form; `None` if it is not one of this version.
    pub fn from_note(note: &[u8]) -> Option<Self> {
        serde_json::from_slice(note).ok()
    }

    /// Returns true if anything could be reduced as well.
    pub fn has_proposals(&self) -> bool {
        !self.proposals.is_empty()
    }

    /// Returns how many steps were proven, and how many pruned paths were requested; `None` of what is
    /// unproven.
    pub fn proven(&self) -> Option<[usize; 2]> {
        self.proof.as_ref().map(|proof| [proof.steps, proof.misses])
    }

    /// Returns what was proven, as a clause.
    pub fn proof_text(&self) -> String {
        match &self.proof {
            Some(Proven { steps, misses }) => {
                format!("{steps} steps respond as on the full root; {misses} pruned paths requested")
            }
            None => "none (--no-proof)".to_owned(),
        }
    }

    /// Returns one JSON document.
    pub fn json(&self, output: &Path, up_to_date: bool) -> serde_json::Value {
        let mut document = json!({ "path": output, "up_to_date": up_to_date });
        if let (Some(document), serde_json::Value::Object(figures)) = (document.as_object_mut(), json!(self))
        {
            document.extend(figures);
        }
        document
    }

    /// Returns the text for a build that had nothing to do.
    pub fn line(&self, output: &Path) -> String {
        format!("{} is up to date: {}\n", output.display(), size_text(self.size_bytes))
    }

    /// Returns the summary for reading.
    pub fn text(&self, output: &Path) -> String {
        let mut out = format!("wrote {}: {}\n", output.display(), size_text(self.size_bytes));
        let mut row = |name: &str, text: String| {
            let _ = writeln!(out, "  {name:<9} {text}");
        };
        row("sha256", self.sha256.to_string());
        row("app id", self.app_id.clone());
        row(
            "packages",
            match self.npm_locked {
                0 => format!(
                    "{} of {} Debian packages have files in it",
                    self.packages_kept, self.packages_locked
                ),
                locked => format!(
                    "{} of {} Debian packages and {} of {locked} of npm have files in it",
                    self.packages_kept, self.packages_locked, self.npm_kept
                ),
            },
        );
        row(
            "paths",
            format!(
                "{} of {} kept, {} before compression",
                self.paths_kept,
                self.paths_staged,
                size_text(self.unpacked_bytes)
            ),
        );
        if let Some(text) = self.imports.text() {
            row("imports", text);
        }
        let share = |share: &Share| format!("{} {}", share.package, size_text(share.size_bytes));
        if !self.left_out.is_empty() {
            let row_of = |left: &LeftOut| format!("{} {}", size_text(left.size_bytes), left.reason);
            let all = self.left_out.iter().map(row_of).collect::<Vec<_>>().join(", ");
            row("left out", format!("{all} (of packages kept whole, before compression)"));
        }
        if self.companions.packages > 0 {
            let Companions { packages, code_bytes, budget_bytes } = self.companions;
            row(
                "libraries",
                format!(
                    "{packages} in the app's language kept for its sake, {} of {} of code",
                    size_text(code_bytes),
                    size_text(budget_bytes)
                ),
            );
        }
        row("largest", self.contents.iter().take(SHOWN).map(share).collect::<Vec<_>>().join(", "));
        let block = |block: &Block| format!("{} {}", block.kind, size_text(block.packed_bytes));
        row("packed", self.blocks.iter().map(block).collect::<Vec<_>>().join(", "));
        row("proof", self.proof_text());
        let stage = |stage: &Stage| format!("{} {:.1} s", stage.stage, stage.seconds);
        row("time", self.stages.iter().map(stage).collect::<Vec<_>>().join(", "));
        for Proposed { line, files, why, takes_bytes, saves_bytes } in &self.proposals {
            let (takes, saves) = (size_text(*takes_bytes), size_text(*saves_bytes));
            let text = format!("`[reduce] {line}` saves {saves}: {files} takes {takes} compressed; {why}");
            row("smaller", text);
        }
        if self.has_proposals() {
            row("", "`tinyroot build --reduce` tries each and keeps what proves".to_owned());
        }
        out
    }
}

fn left_out(built: &Built) -> Vec<LeftOut> {
    let surplus = built.finished.image().plan().surplus(built.overlaid.tree());
    let mut all: Vec<LeftOut> = surplus
        .into_iter()
        .filter(|(_, size_bytes)| *size_bytes > 0)
        .map(|(reason, size_bytes)| LeftOut { reason: reason.to_owned(), size_bytes })
        .collect();
    all.sort_by_key(|left| Reverse(left.size_bytes));
    all
}

/// Returns a summary, for tests.
#[cfg(test)]
pub(super) fn made() -> Summary {
    Summary {
        sha256: Digest::of(b""),
        size_bytes: 17_200_000,
        app_id: "app".into(),
        package_id: "package".into(),
        unpacked_bytes: 60_100_000,
        packages_locked: 120,
        packages_kept: 60,
        npm_locked: 0,
        npm_kept: 0,
        paths_staged: 12_000,
        paths_kept: 3_000,
        imports: Imported {
            files: 12,
            size_bytes: 345_000,
            largest: Some(("/usr/lib/python3.11/decimal.py".into(), 300)),
            left_out: Some((2, 9_000, "/usr/lib/python3.11/pdb.py".into())),
        },
        proof: Some(Proven { steps: 31, misses: 2 }),
        proposals: vec![Proposed {
            line: "icu = { empty = true }".into(),
            files: "libicudata.so.72.1".into(),
            why: "only libxml2.so.2 uses it".into(),
            takes_bytes: 7_400_000,
            saves_bytes: 6_900_000,
        }],
        left_out: vec![LeftOut { reason: "a translation not asked for".into(), size_bytes: 4_500_000 }],
        companions: Companions { packages: 3, code_bytes: 1_200_000, budget_bytes: 12_000_000 },
        contents: vec![Share { package: "libicu72".into(), size_bytes: 31_000_000, files: 3 }],
        blocks: vec![Block { kind: "data".into(), size_bytes: 40, packed_bytes: 20 }],
        stages: vec![Stage { stage: "fetch".into(), seconds: 1.25 }],
        warnings: vec!["step 1, GET /: an empty page".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::{made as summary, *};

    #[test]
    fn a_summary_says_what_dominates_and_what_took_long() {
        let text = summary().text(Path::new("r/app.spk"));
        for part in [
            "wrote r/app.spk: 17.2 MB\n",
            "  packages  60 of 120 Debian packages have files in it\n",
            "  paths     3000 of 12000 kept, 60.1 MB before compression\n",
            "  left out  4.5 MB a translation not asked for (of packages kept whole, before compression)\n",
            "  libraries 3 in the app's language kept for its sake, 1.2 MB of 12.0 MB of code\n",
            "  largest   libicu72 31.0 MB\n",
            "  packed    data 20 B\n",
            "  imports   12 files, 345.0 kB before compression with their byte code, stay since code imports them \
             (/usr/lib/python3.11/decimal.py 300 B); 2 files, 9.0 kB, left out for the bound (/usr/lib/python3.11/pdb.py …); \
             [prune] imports bounds it\n",
            "  proof     31 steps respond as on the full root; 2 pruned paths requested\n",
            "  time      fetch 1.2 s\n",
            "  smaller   `[reduce] icu = { empty = true }` saves 6.9 MB: libicudata.so.72.1 takes 7.4 MB compressed; only \
             libxml2.so.2 uses it\n            `tinyroot build --reduce` tries each and keeps what proves\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let with_npm = Summary { npm_locked: 400, npm_kept: 200, ..summary() }.text(Path::new("a"));
        let packages = "  packages  60 of 120 Debian packages and 200 of 400 of npm have files in it\n";
        assert!(with_npm.contains(packages), "{with_npm}");
        let unproven = Summary { proof: None, ..summary() };
        assert!(unproven.text(Path::new("a")).contains("none (--no-proof)"));
    }

    #[test]
    fn a_note_comes_back() {
        assert_eq!(Summary::from_note(summary().to_note().as_bytes()), Some(summary()));
        assert_eq!(Summary::from_note(b"{}"), None);
        let json = summary().json(Path::new("r/app.spk"), true);
        assert_eq!(json["path"], "r/app.spk");
        assert_eq!(json["up_to_date"], true);
        assert_eq!(json["stages"][0]["seconds"], 1.25);
    }
}
