//! How a pruned app did in its exercise.

use serde_json::{Value, json};

use super::CoverageReport;
use crate::{
    coverage::Coverage,
    evidence::Cause,
    prove::{Explored, Proof},
};

/// A proof, the pages that were explored beyond it, and how much of the app it reached.
pub struct ProofReport<'a> {
    /// The proof.
    pub proof: &'a Proof,
    /// The exploration that it ends, if there was one.
    pub explored: Option<&'a Explored>,
    /// How much its exercise reached, if that was asked for.
    pub coverage: Option<&'a Coverage>,
}

impl ProofReport<'_> {
    /// Returns the report for reading.
    pub fn text(&self) -> String {
        let ProofReport { proof, explored, coverage } = self;
        let mut text = String::new();
        for miss in proof.listed.iter().filter(|_| !proof.differences.is_empty()) {
            text += &format!("{miss}\n");
        }
        for miss in &proof.misses {
            text += &format!("pruned: {miss}\n  to have it, add {}\n", miss.keep_line());
        }
        for difference in &proof.differences {
            text += &format!("differs: {difference}\n");
        }
        if let Some(explored) = explored {
            let (pages, left) = (explored.pages.len(), explored.left);
            text += &format!("{pages} pages explored beyond the exercise, {left} more found\n");
        }
        let compared = if proof.compared { "compared with the full root" } else { "as the recipe expects" };
        let (steps, misses) = (proof.transcript.steps.len(), proof.misses.len());
        text += &format!("{steps} steps, {compared}; {misses} pruned paths requested\n");
        text + &coverage.map(|coverage| CoverageReport(coverage).text()).unwrap_or_default()
    }

    /// Returns one JSON document.
    pub fn json(&self) -> Value {
        let ProofReport { proof, explored, coverage } = self;
        let misses = proof.misses.iter().map(|miss| {
            json!({
                "path": format!("/{}", miss.path), "package": miss.package, "program": miss.program,
                "step": miss.step, "keep": miss.keep_line(),
                "said": match &miss.cause { Cause::Said(line) => Some(line), _ => None },
            })
        });
        let differences = proof.differences.iter().map(|difference| {
            json!({
                "step": difference.step, "what": difference.what, "difference": difference.clause,
                "lines": difference.lines,
            })
        });
        json!({
            "steps": proof.transcript.steps.len(),
            "compared": proof.compared,
            "misses": misses.collect::<Vec<_>>(),
            "listed": proof.listed.iter().map(|miss| json!({
                "path": format!("/{}", miss.path),
                "pruned_names": match miss.cause { Cause::Listed(names) => names, _ => 0 },
                "program": miss.program, "step": miss.step,
            })).collect::<Vec<_>>(),
            "written": proof.written.iter().map(|miss| json!({
                "path": format!("/{}", miss.path), "package": miss.package, "program": miss.program,
                "step": miss.step, "remedy": miss.remedy(),
            })).collect::<Vec<_>>(),
            "differences": differences.collect::<Vec<_>>(),
            "warnings": proof.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "left_out": proof.left_out.iter().map(|lost| json!({
                "path": format!("/{}", lost.path), "parts": lost.parts, "remedy": lost.remedy,
            })).collect::<Vec<_>>(),
            "explored": explored.map(|explored| &explored.pages),
            "not_explored": explored.map(|explored| explored.left),
            "coverage": coverage,
        })
    }
}
