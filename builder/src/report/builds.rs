//! How the builds of several recipes ended.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Summary;
use crate::progress::size_text;

/// A recipe, and how its build ended.
#[derive(Debug)]
pub struct BuiltRecipe {
    /// Its name among the others.
    pub name: String,
    /// Its folder as it was named.
    pub folder: PathBuf,
    /// How long it took, from its first stage on.
    pub seconds: f64,
    /// The package: its figures, where it lies, and whether it was there already; `None` where there is none.
    pub package: Option<(Summary, PathBuf, bool)>,
    /// Why it did not end well, in a line, and as the value of `error`.
    pub fault: Option<(String, Value)>,
}

/// The builds of several recipes, in the order in which these were named.
#[derive(Debug)]
pub struct Builds(pub Vec<BuiltRecipe>);

/// The columns of the table.
const COLUMNS: [&str; 6] = ["recipe", "size", "steps", "misses", "time", "result"];

impl Builds {
    /// Returns a table with a line for each recipe.
    pub fn text(&self) -> String {
        let rows: Vec<[String; 6]> =
            [COLUMNS.map(str::to_owned)].into_iter().chain(self.0.iter().map(BuiltRecipe::row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 6] = std::array::from_fn(width);
        let line = |row: &[String; 6]| {
            let cells = row.iter().zip(widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                5 => cell.clone(),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ") + "\n"
        };
        rows.iter().map(line).collect()
    }

    /// Returns one JSON document, in which the result of each recipe is the document of its own build.
    pub fn json(&self) -> Value {
        json!({ "recipes": self.0.iter().map(BuiltRecipe::json).collect::<Vec<_>>() })
    }
}

impl BuiltRecipe {
    fn row(&self) -> [String; 6] {
        let none = || "-".to_owned();
        let summary = self.package.as_ref().map(|(summary, ..)| summary);
        let [steps, misses] = match summary.and_then(Summary::proven) {
            Some(counts) => counts.map(|count| count.to_string()),
            None => [none(), none()],
        };
        let result = match (&self.fault, &self.package) {
            (Some((fault, _)), _) => fault.clone(),
            (None, Some((_, _, true))) => "up to date".to_owned(),
            (None, _) => "built".to_owned(),
        };
        [
            self.name.clone(),
            summary.map_or_else(none, |summary| size_text(summary.size_bytes)),
            steps,
            misses,
            format!("{:.1} s", self.seconds),
            result,
        ]
    }

    fn json(&self) -> Value {
        let package = self.package.as_ref();
        let mut result =
            package.map_or_else(|| json!({}), |(summary, path, up_to_date)| summary.json(path, *up_to_date));
        if let Some((_, error)) = &self.fault {
            result["error"] = error.clone();
        }
        let seconds = (self.seconds * 1e3).round() / 1e3;
        json!({ "recipe": self.folder, "name": self.name, "seconds": seconds, "result": result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::build::made as summary;

    fn built(name: &str) -> BuiltRecipe {
        BuiltRecipe {
            name: name.to_owned(),
            folder: format!("recipes/{name}").into(),
            seconds: 41.26,
            package: Some((summary(), format!("out/{name}.spk").into(), false)),
            fault: None,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_recipe() {
        let late = BuiltRecipe { fault: Some(("over budget".into(), json!({}))), ..built("a") };
        let mut there = built("tea-and-milk");
        there.package.as_mut().expect("is there").2 = true;
        let failed = BuiltRecipe {
            package: None,
            fault: Some(("failed: it is cold".into(), json!({ "kind": "failed" }))),
            ..built("pot")
        };
        let builds = Builds(vec![late, there, failed]);
        assert_eq!(
            builds.text(),
            "recipe           size  steps  misses    time  result\n\
             a             17.2 MB     31       2  41.3 s  over budget\n\
             tea-and-milk  17.2 MB     31       2  41.3 s  up to date\n\
             pot                 -      -       -  41.3 s  failed: it is cold\n"
        );
        let json = builds.json();
        assert_eq!(json["recipes"][1]["result"]["path"], "out/tea-and-milk.spk");
        assert_eq!(
            json["recipes"][2],
            json!({
                "recipe": "recipes/pot", "name": "pot", "seconds": 41.26,
                "result": { "error": { "kind": "failed" } },
            })
        );
    }
}
