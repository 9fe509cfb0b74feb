//! Whether a package came out again from what it encloses, and where it did not.

use serde_json::{Value, json};

use crate::{
    difference::{Contents, Difference, Shown, What},
    line::{Outcome, Rebuilt},
    progress::size_text,
    shown,
};

/// So many paths are shown; JSON has all.
const MOST_PATHS: usize = 20;

/// The report of a rebuild.
pub struct RebuildReport<'a>(pub &'a Rebuilt);

impl RebuildReport<'_> {
    /// Returns a clause that says what differs; `None` if nothing does.
    pub fn fault(&self) -> Option<String> {
        match &self.0.outcome {
            Outcome::Same => None,
            Outcome::Contents(differences) => match differences.len() {
                1 => Some("1 path differs".into()),
                count => Some(format!("{count} paths differ")),
            },
            Outcome::Layout(_) => Some("the same contents lie in another order".into()),
            Outcome::Compression { .. } => Some("the same archive is compressed otherwise".into()),
        }
    }

    /// Returns what was done about the proof: `repeated`, `not_repeated` or `none`.
    pub fn proof(&self) -> &'static str {
        match self.0.is_proven_again {
            Some(true) => "repeated",
            Some(false) => "not_repeated",
            None => "none",
        }
    }

    /// Returns the report for reading: a line for a package that is the same, else what differs.
    pub fn text(&self) -> String {
        let outcome = match &self.0.outcome {
            Outcome::Same => "the same bytes",
            _ => "differs",
        };
        let proof = match self.0.is_proven_again {
            Some(true) => "; its proof was repeated",
            Some(false) => "; its proof was not repeated",
            None => "",
        };
        let (made, materials) = (&self.0.provenance.version, self.0.provenance.materials.len());
        let version = shown::name(made);
        let mut out =
            format!("rebuild     {outcome}, from {materials} materials, made by tinyroot {version}{proof}\n");
        match &self.0.outcome {
            Outcome::Same => {}
            Outcome::Layout(text) => out += &format!("  {}\n", shown::line(text)),
            Outcome::Compression { offset, part } => {
                out += &format!("  first at byte {offset} of the file: {}\n", shown::line(part));
            }
            Outcome::Contents(differences) => {
                out += "  - the package, + the rebuild\n";
                for difference in differences.iter().take(MOST_PATHS) {
                    out += &path_text(difference);
                }
                if let Some(more) = differences.len().checked_sub(MOST_PATHS).filter(|more| *more > 0) {
                    out += &format!("  and {more} more; --json has all\n");
                }
            }
        }
        out
    }

    /// Returns the report as JSON.
    pub fn json(&self) -> Value {
        let outcome = &self.0.outcome;
        let word = match outcome {
            Outcome::Same => "same",
            Outcome::Contents(_) => "contents",
            Outcome::Layout(_) => "layout",
            Outcome::Compression { .. } => "compression",
        };
        let mut document = json!({
            "outcome": word,
            "proof": self.proof(),
            "made_by": self.0.provenance.version,
            "materials": self.0.provenance.materials.len(),
        });
        match outcome {
            Outcome::Same => {}
            Outcome::Layout(text) => document["layout"] = text.as_str().into(),
            Outcome::Compression { offset, part } => {
                document["compression"] = json!({ "offset": offset, "part": part });
            }
            Outcome::Contents(differences) => {
                document["differences"] = differences.iter().map(path_json).collect();
            }
        }
        document
    }
}

fn path_text(difference: &Difference) -> String {
    let path = format!("/{}", difference.path);
    match &difference.what {
        What::OnlyFirst => format!("  - {path}\n"),
        What::OnlySecond => format!("  + {path}\n"),
        What::Property { name, first, second } => {
            format!("  {path}: {name}\n    - {}\n    + {}\n", shown::line(first), shown::line(second))
        }
        What::Contents { first: (one, _), second: (two, _), inside } => {
            let sizes = match one == two {
                true => size_text(*one),
                false => format!("{} and {}", size_text(*one), size_text(*two)),
            };
            let inside = inside.as_ref().map(inside_text);
            let (at, inside) = inside.unwrap_or_default();
            format!("  {path}: contents, {sizes}{at}\n{inside}")
        }
    }
}

/// Returns where in the file, and the lines below.
fn inside_text(contents: &Contents) -> (String, String) {
    let mut out = String::new();
    for place in &contents.places {
        let offset = place.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
        out += &format!("    {}{offset}\n", shown::line(&place.place));
    }
    let side = |out: &mut String, mark: char, line: &str| {
        *out += &format!("    {mark} {}\n", shown::line(line));
    };
    match &contents.shown {
        Shown::Lines { line, first, second } => {
            out += &format!("    line {line}\n");
            first.iter().for_each(|line| side(&mut out, '-', line));
            second.iter().for_each(|line| side(&mut out, '+', line));
        }
        Shown::Bytes { first, second } => {
            side(&mut out, '-', first);
            side(&mut out, '+', second);
        }
        Shown::Said(text) => out += &format!("    {}\n", shown::line(text)),
    }
    (format!(", first at byte {}", contents.offset), out)
}

fn path_json(difference: &Difference) -> Value {
    let mut document = json!({ "path": format!("/{}", difference.path) });
    match &difference.what {
        What::OnlyFirst => document["change"] = "only_in_package".into(),
        What::OnlySecond => document["change"] = "only_in_rebuild".into(),
        What::Property { name, first, second } => {
            document["change"] = "property".into();
            document["property"] = json!({ "name": name, "first": first, "second": second });
        }
        What::Contents { first, second, inside } => {
            let side = |(size_bytes, digest): &(u64, crate::digest::Digest)| json!({ "size_bytes": size_bytes, "sha256": digest });
            document["change"] = "contents".into();
            document["first"] = side(first);
            document["second"] = side(second);
            document["inside"] = json!(inside);
        }
    }
    document
}
