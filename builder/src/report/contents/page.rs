//! The contents of a package as a page for a browser: why each file is there, and what could go.

use std::collections::BTreeMap;

use super::Contents;
use crate::{
    coverage::Coverage,
    diff::own_bytes,
    progress::size_text,
    reasons::{Cause, Graph, Sum},
    report::{
        CoverageReport, Page, PageFile, Retained, WhyBig, package::Statement, page::PageWhy,
        retained::cause_text,
    },
    shown,
    tree::{Entry, TreePath},
};

/// Most reasons of a file that the page has: the C library is needed by every program.
const MAX_CAUSES: usize = 40;

impl Contents<'_> {
    /// Returns the contents as one page, complete in itself, with what its exercise reached, if that is known.
    pub fn page(&self, graph: &Graph, coverage: Option<&Coverage>) -> Page {
        let artifact = self.artifact;
        let (title, version) = (shown::name(artifact.title()), shown::name(artifact.version()));
        let retained = Retained::of(graph, &self.papers);
        let (notes, of_reasons) = (retained.notes(), retained.sections());
        drop(retained);
        let what_could_go = WhyBig::of(graph).section();
        let (files, why) = self.page_files(graph);
        let reached = coverage.map(CoverageReport);
        let versions = self.papers.versions();
        Page {
            title: format!("{title} {version}"),
            total: size_text(artifact.size_bytes),
            facts: self
                .page_facts(graph)
                .into_iter()
                .chain(reached.as_ref().map(CoverageReport::fact))
                .collect(),
            is_difference: false,
            is_packed_otherwise: false,
            files,
            versions: versions
                .map(|(name, version)| (name.to_owned(), None, Some(version.to_owned())))
                .collect(),
            notes,
            why: Some(why),
            sections: [what_could_go]
                .into_iter()
                .chain(of_reasons)
                .chain(reached.iter().flat_map(CoverageReport::sections))
                .chain(self.duplicates.sections())
                .filter(|section| !section.rows.is_empty())
                .collect(),
        }
    }

    fn page_facts(&self, graph: &Graph) -> Vec<String> {
        let artifact = self.artifact;
        let proof = self.proof.as_ref().map_or_else(|| "unknown".to_owned(), Statement::text);
        let mut out = vec![format!("{} unpacked", size_text(artifact.tree.size_bytes()))];
        out.extend(self.budget_text().map(|text| format!("budget: {text}")));
        out.push(format!("proof: {}", shown::line(&proof)));
        if let Some(prices) = &self.prices {
            let (names, rest) = (size_text(prices.metadata_bytes), size_text(prices.container_bytes));
            out.push(format!("besides files, {names} are names, modes and the signature, {rest} headers, checks and the index"));
        }
        out.extend(graph.facts().missing.iter().cloned());
        out
    }

    /// Returns links and files, and why each is there.
    fn page_files(&self, graph: &Graph) -> (Vec<PageFile>, PageWhy) {
        let there: Vec<(&TreePath, &Entry)> =
            self.paths().filter(|(_, entry)| entry.kind.counts_as_file()).collect();
        let places: BTreeMap<&TreePath, i64> = there.iter().map(|(path, _)| *path).zip(1..).collect();
        let retained: BTreeMap<&TreePath, Sum> = graph
            .retained()
            .into_iter()
            .flatten()
            .filter_map(|(cause, sum)| match cause {
                Cause::File(path) => Some((path, sum)),
                _ => None,
            })
            .collect();
        let mut why = PageWhy {
            causes: Vec::with_capacity(there.len()),
            left_out: Vec::with_capacity(there.len()),
            retained: Vec::with_capacity(there.len()),
            ..PageWhy::default()
        };
        let mut texts: BTreeMap<String, i64> = BTreeMap::new();
        let mut files = Vec::with_capacity(there.len());
        for (path, entry) in there {
            let facts = graph.facts().files.get(path);
            let causes = facts.map_or(&[][..], |facts| &facts.causes);
            let mut place = |cause: &Cause| match cause {
                Cause::File(by) if places.contains_key(by) => -places[by],
                _ => {
                    let text = if let Cause::Step(step) = cause {
                        format!("first used in {}", shown::line(step))
                    } else {
                        cause_text(cause)
                    };
                    let next = texts.len() as i64;
                    *texts.entry(text).or_insert(next)
                }
            };
            let own = causes.iter().take(MAX_CAUSES).map(&mut place).collect();
            why.causes.push(own);
            why.left_out.push(causes.len().saturating_sub(MAX_CAUSES));
            why.retained.push(retained.get(path).map(|sum| [sum.packed_bytes, sum.size_bytes]));
            files.push(PageFile {
                path: path.to_string(),
                package: self.papers.heading(path),
                packed_bytes: [
                    None,
                    self.prices.as_ref().map(|prices| prices.files.get(path).copied().unwrap_or_default()),
                ],
                plain_bytes: [None, Some(own_bytes(entry))],
                change: "same",
                path_before: None,
            });
        }
        let mut by_place: Vec<(i64, String)> = texts.into_iter().map(|(text, place)| (place, text)).collect();
        by_place.sort();
        why.texts = by_place.into_iter().map(|(_, text)| text).collect();
        (files, why)
    }
}
