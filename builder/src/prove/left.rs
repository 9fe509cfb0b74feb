//! What an app leaves behind when it has been stopped: the files in its `/var`, and what it said about failures.
//!
//! Both are compared as answers are, so names and lines are given as they are; what changes by itself is folded there.

use std::{fs, io, path::Path};

use crate::exercise::{Outcome, Ran, Record};

/// Words of lines that tell of failures, in lower case.
const FAILURES: [&str; 10] =
    ["cannot", "can't", "couldn't", "denied", "error", "fail", "fatal", "no such", "not found", "unable"];

/// Returns the records of what was left: the files and links below `var` but for those that were shipped, each by its path
/// in the stage root, and the lines of `printed` that tell of failures.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn records(
    var: &Path,
    shipped: &dyn Fn(&str) -> bool,
    printed: &[Vec<u8>],
) -> io::Result<Vec<Record>> {
    let mut names = Vec::new();
    list(var, "var", shipped, &mut names)?;
    names.sort();
    let tells = |line: &&String| {
        let line = line.to_lowercase();
        FAILURES.iter().any(|word| line.contains(word))
    };
    let lines: Vec<String> = printed
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .filter(|line| tells(&line))
        .collect();
    let record = |what: &str, lines: Vec<String>| Record {
        step: 0,
        what: what.to_owned(),
        outcome: Outcome::Ran(Ran { status: 0, output: lines.join("\n").into_bytes() }),
    };
    Ok(vec![record("files left in /var", names), record("failures told in the log", lines)])
}

/// Lists what is below a directory; no link is followed.
fn list(
    directory: &Path,
    inside: &str,
    shipped: &dyn Fn(&str) -> bool,
    names: &mut Vec<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{inside}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        // Directories that nothing is in may be there or not: packages ship many.
        match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => list(&entry.path(), &name, shipped, names)?,
            _ if shipped(&name) => {}
            (_, true) => names.push(format!("link /{name}")),
            _ => names.push(format!("file /{name}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_failures_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let var = directory.path();
        fs::create_dir_all(var.join("lib/tea")).expect("creates");
        fs::write(var.join("lib/tea/leaf"), "").expect("writes");
        std::os::unix::fs::symlink("/", var.join("away")).expect("links");
        let printed =
            [&b"ready"[..], b"[ERROR] no tea", b"it couldn't be poured", b"bye"].map(<[u8]>::to_vec);
        fs::write(var.join("lib/tea/shipped"), "").expect("writes");
        let told: Vec<(String, String)> = records(var, &|name| name == "var/lib/tea/shipped", &printed)
            .expect("lists")
            .into_iter()
            .map(|record| {
                let Outcome::Ran(ran) = record.outcome else { panic!("all are alike") };
                (record.what, String::from_utf8(ran.output).expect("text"))
            })
            .collect();
        let files = "file /var/lib/tea/leaf\nlink /var/away";
        let failures = "[ERROR] no tea\nit couldn't be poured";
        assert_eq!(
            told,
            [
                ("files left in /var".to_owned(), files.to_owned()),
                ("failures told in the log".to_owned(), failures.to_owned())
            ]
        );
    }
}
