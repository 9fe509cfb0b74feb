//! Reports: what was found, as values that commands show. Each has its renderers: text for reading, Markdown
//! for a comment on a change, and JSON for programs, as `docs/schemas` has it.
//!
//! Pure: nothing here runs an app, prints, or knows the command line.

mod build;
mod builds;
mod contents;
mod coverage;
mod duplicates;
mod history;
mod lock;
mod package;
mod page;
mod proof;
mod rebuild;
mod record;
mod resolution;
mod retained;
mod security;
mod size_diff;
mod trace;
mod update;
mod what_if;
mod why;
mod why_big;

pub use build::Summary;
pub use builds::{Builds, BuiltRecipe};
pub use contents::Contents;
pub use coverage::CoverageReport;
pub use history::HistoryReport;
pub use lock::LockReport;
pub use package::{Statement, Verified, summary};
pub use page::{Page, PageFile};
pub use proof::ProofReport;
pub use rebuild::RebuildReport;
pub use record::{Place, ProofRecord};
pub use resolution::{explanation_text, resolution_json, resolution_table, resolution_totals};
pub use retained::{Retained, sharing_note};
pub use security::Security;
pub use size_diff::{Compared, Facts, SizeReport};
pub use trace::{ListReport, trace_text};
pub use update::UpdateReport;
pub use what_if::WhatIfReport;
pub use why::{Reasons, Why, WhyError};
pub use why_big::WhyBig;
